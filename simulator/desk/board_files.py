"""What a real board and a real card are set up with so that the desk's campus knows them, and what
a ledger is told of them.

Both follow from the scenario and its seed. The keys are the simulation's own and worth nothing;
they are written so that nobody else reads them all the same, as `onecard card` wants its file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.cardbox import HeldCard
from simulator.cards.desfire import Desfire
from simulator.desk.boards import PROGRAMS, on_a_line
from simulator.provisioning import Secrets, stored
from simulator.scenario import Scenario, ScenarioError, parse
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
            write_secret(own / key, data)
        said.append(f"{own}: {', '.join(found)}; its program is firmware/{PROGRAMS[role]}.py")
    write_secret(folder / CARD_KEYS, _card_keys(secrets).encode())
    return "\n".join([*said, f"{folder / CARD_KEYS}: the masters of cards"])


def register_of(
    scenario: Scenario, secrets: Secrets, reader: Mapping[str, Any], cards: Iterable[HeldCard]
) -> str:
    """`register.toml` of a ledger that shall know that one reader and the cards that were issued.

    It has the reader's key in it."""
    merchant_no = scenario.merchants[reader["merchant"]]
    lines = [
        "[[merchant]]",
        f"merchant_no = {merchant_no}",
        f'name = "{reader["merchant"]}"',
        "[[device]]",
        f"device = {reader['device']}",
        f'key = "{secrets.devices[reader["device"]].hex()}"',
        f"merchant_no = {merchant_no}",
        f'site = "{reader.get("site", scenario.site)}"',
    ]
    for card in cards:
        if card.issued_fen is not None:
            chip = "desfire" if isinstance(card.chip, Desfire) else "classic"
            lines += ["[[card]]", f"card_no = {card.card_no}", f"balance_fen = {card.issued_fen}"]
            lines += [f'uid = "{card.chip.uid.hex()}"', f'chip = "{chip}"']
    return "\n".join([*lines, ""])


def _card_keys(secrets: Secrets) -> str:
    cards = secrets.cards
    keys = {"purse_key": cards.purse, "credit_key": cards.credit, "mac_key": cards.mac}
    desfire = cards.desfire
    keys |= {"master_key": desfire.master, "read_key": desfire.read}
    keys |= {"transaction_key": desfire.transaction}
    lines = [f'{name} = "{key.hex()}"' for name, key in keys.items()]
    return "\n".join([*lines, "key_version = 1", ""])


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that nobody but its owner may read. OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
