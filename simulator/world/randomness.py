"""One seed, many independent streams: drawing from one never moves another."""

from __future__ import annotations

import hashlib
import random


class Seeds:
    """A tree of random streams under one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, *names: object) -> random.Random:
        """The stream of this name: the same for the same seed, whoever else draws."""
        label = "/".join(str(name) for name in (self.seed, *names))
        return random.Random(hashlib.sha256(label.encode()).digest())
