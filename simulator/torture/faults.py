"""What can go wrong, as a table: a kind, how often it is drawn, and what it does.

Rules of this file. Only what the system must survive is here (two rotten bits in one record are
not: see docs/torture.md). A fault either is over at once or ends by itself, and all of them end
when the campus heals. What really struck is counted where it strikes, in campus.fired; a kind that
was drawn and did nothing does not count.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields

from simulator.torture import faults_reader as on_reader
from simulator.torture import faults_service as on_service
from simulator.torture.broker import Mischief
from simulator.torture.campus import Campus

Act = Callable[[Campus, random.Random], None]

# Kind -> (weight, what it does).
FAULTS: dict[str, tuple[int, Act]] = {
    "torn": (10, on_reader.torn),
    "two cards": (2, on_reader.two_cards),
    "stranger": (4, on_reader.stranger),
    "radio": (6, on_reader.radio),
    "uart": (2, on_reader.keypad_noise),
    "power": (6, on_reader.power_cut),
    "flash cut": (8, on_reader.cut_in_flash),
    "sawtooth": (2, on_reader.sawtooth),
    "mains": (3, on_reader.mains),
    "heap": (3, on_reader.out_of_memory),
    "rot": (3, on_reader.rot),
    "rotten record": (3, on_reader.rotten_record),
    "loose": (3, on_reader.loose),
    "cable": (4, on_service.cable),
    "half-open": (4, on_service.half_open),
    "reset": (3, on_service.reset),
    "mischief": (8, on_service.mischief),
    "broker": (3, on_service.broker),
    "upstream": (4, on_service.upstream),
    "agent kill": (5, lambda campus, draw: on_service.kill(campus.agent, campus, draw)),
    "agent disk": (3, lambda campus, draw: on_service.disk(campus.agent, campus, draw)),
    "agent replaced": (1, on_service.replace_agent),
    "ledger kill": (5, lambda campus, draw: on_service.kill(campus.ledger, campus, draw)),
    "ledger disk": (3, lambda campus, draw: on_service.disk(campus.ledger, campus, draw)),
    "bad sector": (1, on_reader.bad_sector),
    "slow flash": (2, on_reader.slow_flash),
    "battery clock": (3, on_reader.battery_clock),
    "crystal": (2, on_reader.crystal),
    "key": (2, on_reader.rotate_key),
    "swap": (1, on_reader.swap_reader),
}

# What a run of some length has to have seen, each counted where it strikes.
MARKS = (
    "agent I/O error",
    "agent disk full",
    "agent killed",
    "agent killed at COMMIT",
    "agent killed in a transaction",
    "agent replaced",
    "another card than the one awaited",
    "bad sector",
    "battery clock at 1970 or 2000",
    "battery clock days off",
    "battery clock hours off",
    "battery clock unset",
    "bit rot",
    "building broker restart",
    "building broker restart, state lost",
    *(f"{name} mqtt {what.name}" for name in ("building", "centre") for what in fields(Mischief)),
    "cable cut",
    "card pulled in a dialogue",
    "card reported lost",
    "card write torn",
    "centre broker restart",
    "centre broker restart, state lost",
    "DESFire commit torn",
    "connection reset",
    "credit on a card",
    "credit tried again",
    "crystal drift",
    "flash loose",
    "half-open",
    "heap exhausted",
    "key rotated",
    "key rotated, reader first",
    "ledger I/O error",
    "ledger disk full",
    "ledger killed",
    "ledger killed at COMMIT",
    "ledger killed in a transaction",
    "lost card found",
    "mains gone",
    "money paid in",
    "power cut",
    "power cut in a card map",
    "power cut in an erase",
    "power cut in a program",
    "power sawtooth",
    "radio disturbed",
    "reader swapped, journal not empty",
    "record rotten beyond repair",
    "sale by code",
    "sale by code called off",
    "sale cancelled",
    "slow flash",
    "spend while lost",
    "ticks near their wrap",
    "two cards",
    "uart noise",
    "upstream cut",
)
