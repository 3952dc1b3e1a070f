"""What a seed's campus does beside selling lunch by Classic cards, and how often.

A seed draws its kinds of business as it draws its faults, from a stream of its own: a third of the
seeds have none, and each of the others about half of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

_PLAIN_IN = 3  # one seed in so many has no business beside


@dataclass(frozen=True)
class Business:
    """Which kinds there are; the names are those of the fields."""

    desfire: bool = False  # some people have DESFire cards
    loads: bool = False  # money is paid in for cards, and readers load it
    cancels: bool = False  # some people want their money back
    losses: bool = False  # cards are reported lost, and found again
    codes: bool = False  # some windows have a scanner, and some people pay by phone


def drawn(draw: random.Random) -> Business:
    """The business of one seed."""
    is_plain = draw.randrange(_PLAIN_IN) == 0
    # Each kind draws in its turn: one more at the end of the list moves none before it.
    return Business(
        **{kind.name: draw.randrange(2) == 1 and not is_plain for kind in fields(Business)}
    )
