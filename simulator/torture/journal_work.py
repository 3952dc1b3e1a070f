"""The reference workload of the journal's torture, and every moment in it at which power may go.

A small ring, so that it turns often: spends with intent and outcome, receipts, values that are
kept, a ring that is nearly full and full, sectors that go bad in each way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from random import Random

from firmware.services.journal_bytes import KEPT, RECEIPTED
from simulator.chips.nor_flash import SECTOR_FAULTS
from simulator.torture.journal_twin import Step, Twin, WatchedFlash

SECTOR_BYTES, SECTORS = 1024, 6
INTENT_BYTES, OUTCOME_BYTES, LONG_BYTES, SHORT_BYTES = 113, 90, 256, 33
_SPENDS = 30  # until the ring has turned


@dataclass(frozen=True)
class Place:
    """One flash operation of one step: its number in the step, and the bytes it programs or 0."""

    moment: int
    operation: int
    size: int


@dataclass(frozen=True)
class Moment:
    """The journal before a step, and what the step does to flash: (kind, bytes; 0: an erase)."""

    number: int
    step: Step
    twin: Twin
    image: bytes
    bad: dict[int, str]
    operations: tuple[tuple[str, int], ...]

    def start(self, rng: Random) -> Twin:
        """The journal as it was, on a flash with faults of its own."""
        flash = WatchedFlash(len(self.image), rng, SECTOR_BYTES)
        flash.load(self.image)
        for sector, how in self.bad.items():
            flash.fail_sector(sector, how)
        return self.twin.on(flash)


def content(number: int, size: int) -> bytes:
    """Bytes that no other number has."""
    return (sha256(b"%d" % number).digest() * (size // 32 + 1))[:size]


def kind_of(step: Step, calls: list[tuple[int, bytes | None, bool]]) -> str:
    """What the last of a step's flash operations is for."""
    address, data, is_headless = calls[-1]
    if data is None:
        return "erase ahead" if step[0] == "prepare" else "erase"
    if not any(data):
        return "kill"
    if step[0] == "boot":
        return "newest again"
    if address % SECTOR_BYTES == 0:
        return "sector header"
    if data[2] == RECEIPTED:
        return "receipt note"
    if data[2] == KEPT:
        return "kept value carried over" if is_headless else "kept value"
    opened = any(call[0] % SECTOR_BYTES == 0 and call[1] for call in calls)
    return "record in a new sector" if opened else "record"


@cache
def moments() -> list[Moment]:
    """Every step of the workload with the journal as it is before it."""
    flash = WatchedFlash(SECTORS * SECTOR_BYTES, Random(0), SECTOR_BYTES)
    twin = Twin(flash)
    bad: dict[int, str] = {}
    found: list[Moment] = []
    for step in _workload(twin):
        if step[0] == "fail":
            flash.fail_sector(step[1], step[2])
            bad = {step[1]: step[2]} if step[2] else {}
            continue
        before, image = twin.on(flash), flash.image()
        flash.calls = []
        twin.do(step)
        calls = flash.calls
        operations = tuple(
            (kind_of(step, calls[: number + 1]), len(call[1] or b""))
            for number, call in enumerate(calls)
        )
        found.append(Moment(len(found), step, before, image, bad, operations))
        twin.judge()
    return found


@cache
def places() -> dict[str, list[Place]]:
    """By kind of operation, where in the workload it is done."""
    found: dict[str, list[Place]] = {}
    for moment in moments():
        for number, (kind, size) in enumerate(moment.operations):
            found.setdefault(kind, []).append(Place(moment.number, number, size))
    return found


def _workload(twin: Twin) -> Iterator[Step]:
    yield ("boot",)
    yield ("keep", 0, content(1, 8))
    yield ("keep", 7, content(2, 20))
    yield from _turn(1000)
    yield from _fill_up(twin, 2000)
    for number, how in enumerate(SECTOR_FAULTS):
        yield ("append", content(3000 + 100 * number, SHORT_BYTES))
        bad = (twin.flash.calls[-1][0] // SECTOR_BYTES + 2) % SECTORS
        yield ("fail", bad, how)
        for spend in range(5):
            yield from _spend(3001 + 100 * number + 2 * spend)
            yield ("receipt", 1)
            yield ("prepare",)
        yield ("fail", bad, "")  # so that one at a time is bad
        yield ("boot",)
    yield from _turn(4000)


def _turn(first: int) -> Iterator[Step]:
    """Spends with receipts some way behind, until the ring has turned."""
    for spend in range(_SPENDS):
        yield from _spend(first + 2 * spend)
        if spend % 4 == 3:
            yield ("receipt", 3)
        if spend % 3:
            yield ("prepare",)
        if spend % 5 == 4:
            yield ("keep", spend % 3, content(first + 200 + spend, 8))
        if spend % 7 == 6:
            yield ("boot",)
    yield ("append", content(first + 100, LONG_BYTES))
    yield ("append", content(first + 101, SHORT_BYTES))
    yield ("receipt", 0)
    yield ("boot",)


def _fill_up(twin: Twin, first: int) -> Iterator[Step]:
    """Spends without receipts until they stop, then the rest until nothing is taken any more."""
    while twin.journal.has_room():
        yield from _spend(first)
        first += 2
    for size in 12 * [OUTCOME_BYTES] + 12 * [SHORT_BYTES]:
        yield ("try", content(first, size))
        first += 1
    yield ("full", content(first, LONG_BYTES))
    yield ("full", content(first + 1, SHORT_BYTES))
    yield ("keep", 3, content(first + 2, 12))
    yield ("boot",)
    yield ("full", content(first + 3, LONG_BYTES))
    # Frees a sector and is too small a step to be noted at once.
    yield ("receipt", twin.head_seq - twin.told - 9)
    yield ("append", content(first + 4, OUTCOME_BYTES))
    yield ("receipt", 12)
    yield ("append", content(first + 5, OUTCOME_BYTES))
    yield ("receipt", 0)


def _spend(number: int) -> Iterator[Step]:
    yield ("append", content(number, INTENT_BYTES))
    yield ("append", content(number + 1, OUTCOME_BYTES))
