"""What a real board and a real card are set up with so that the desk's campus knows them.

Both follow from the scenario and its seed. The keys are the simulation's own and worth nothing;
they are written so that nobody else reads them all the same, as `onecard card` wants its file.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from simulator.desk.boards import PROGRAMS, on_a_line
from simulator.provisioning import Secrets, stored
from simulator.scenario import ScenarioError, parse
from simulator.world.randomness import Seeds

CARD_KEYS = "card-keys.toml"


def leave(path: Path, seed: int | None, boards: Collection[str], folder: Path) -> str:
    """Write FOLDER/READER/KEY for each board, as its NVS (namespace "onecard") takes it, and the
    masters of cards; returns what was written, for people. ScenarioError, OSError."""
    scenario = parse(path.read_text(encoding="utf-8"), path)
    secrets = Secrets.drawn(scenario, Seeds(scenario.seed if seed is None else seed))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = []
    for one in scenario.readers:
        name, role = one["name"], one.get("role", "pos")
        if name not in boards:
            continue
        if role not in PROGRAMS:
            fault = f"{name}: no program of a {role} speaks over a serial line"
            raise ScenarioError(path, 1, fault)
        own = folder / name
        own.mkdir(mode=0o700, exist_ok=True)
        found = stored(scenario, secrets, on_a_line(one))
        for key, data in found.items():
            _write(own / key, data)
        said.append(f"{own}: {', '.join(found)}; its program is firmware/{PROGRAMS[role]}.py")
    _write(folder / CARD_KEYS, _card_keys(secrets).encode())
    return "\n".join([*said, f"{folder / CARD_KEYS}: the masters of cards"])


def _card_keys(secrets: Secrets) -> str:
    cards = secrets.cards
    keys = {"purse_key": cards.purse, "credit_key": cards.credit, "mac_key": cards.mac}
    desfire = cards.desfire
    keys |= {"master_key": desfire.master, "read_key": desfire.read}
    keys |= {"transaction_key": desfire.transaction}
    lines = [f'{name} = "{key.hex()}"' for name, key in keys.items()]
    return "\n".join([*lines, "key_version = 1", ""])


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
