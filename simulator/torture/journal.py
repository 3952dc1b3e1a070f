"""`onecard sim torture --exhaustive journal`: every cut point of a journal, and what follows.

Two kinds of units, and a unit's name says all of it:
- `byte.STEP`: each operation of a step of the reference workload is cut at every byte of a program
  and in each phase of an erase; then once more in every operation of the recovery.
- `bit.KIND.FIRST.RUNS`: seeds from FIRST on. Each draws an operation of that kind, a cut that
  leaves its bits in any order and unstable, and what else strikes: a cut in the recovery, a chip
  that wakes slowly, programs that do not stick, a sector that goes bad.
After each the journal boots several times, is judged, writes, fills up, and is judged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulator.chips.nor_flash import ERASE_CUTS, SECTOR_FAULTS, PowerCut
from simulator.torture.journal_twin import Broken, Twin, Unresolved
from simulator.torture.journal_work import (
    INTENT_BYTES,
    LONG_BYTES,
    SECTOR_BYTES,
    SECTORS,
    SHORT_BYTES,
    Moment,
    Place,
    content,
    kind_of,
    moments,
    places,
)
from simulator.torture.result import Result

TWICE = "twice"  # a bit-level kind of its own: any operation, and the recovery from it
LOOSE = "does not stick"  # another: no cut at first, but a bit that stays 1
RUNS_IN_UNIT = 500
LOOSE_PER_MILLION = 50_000
SLOW_READS_MAX = 64  # what the journal says that it bears
_RECOVERY_OPERATIONS_MAX = 60
_NUMBERS = 9_000_000  # of contents that the workload has not used


@dataclass(frozen=True)
class JournalUnit:
    """One unit by its name, for example byte.17 or bit.erase.0.500."""

    name: str

    @property
    def replay(self) -> str:
        """The command that plays this unit again."""
        return f'onecard sim torture --exhaustive journal --seed "{self.name}"'


@dataclass(frozen=True)
class Strike:
    """Where and how it strikes: `at_byte` exactly, or `how` (drawn if empty) at the bits.

    `again`: the power goes in that operation of the recovery too.
    """

    place: Place
    at_byte: int | None = None
    how: str = ""
    again: int | None = None


def units() -> Iterator[JournalUnit]:
    """Every cut point of the reference workload."""
    for moment in moments():
        if moment.operations:
            yield JournalUnit(f"byte.{moment.number}")


def kinds() -> list[str]:
    """The kinds of operations that bit-level runs are made for."""
    return [*sorted(places()), TWICE, LOOSE]


def bit_units(runs_per_kind: int, first: int = 0) -> Iterator[JournalUnit]:
    """So many runs with unstable bits for each kind, seeds from `first` on."""
    for start in range(0, runs_per_kind, RUNS_IN_UNIT):
        runs = min(RUNS_IN_UNIT, runs_per_kind - start)
        for kind in kinds():
            yield JournalUnit(f"bit.{kind}.{first + start}.{runs}")


def unit_of(name: str) -> JournalUnit:
    """The unit of a name; ValueError if it is none."""
    level, _, rest = name.partition(".")
    if level == "byte" and rest.isdecimal() and int(rest) < len(moments()):
        return JournalUnit(name)
    kind, *numbers = rest.split(".")
    if (
        level == "bit"
        and kind in kinds()
        and len(numbers) == 2
        and all(map(str.isdecimal, numbers))
    ):
        return JournalUnit(name)
    raise ValueError(f"{name!r} names no unit")


def run_unit(unit: JournalUnit) -> Result:
    """Play one unit to all its ends."""
    result = Result()
    level, _, rest = unit.name.partition(".")
    if level == "byte":
        _cut_everywhere(moments()[int(rest)], unit, result)
    else:
        kind, seed, runs = rest.split(".")
        for number in range(int(seed), int(seed) + int(runs)):
            _strike_bits(kind, number, result)
    return result


# -- every byte -------------------------------------------------------------------------------


def _cut_everywhere(moment: Moment, unit: JournalUnit, result: Result) -> None:
    for operation, (_, size) in enumerate(moment.operations):
        place = Place(moment.number, operation, size)
        if size:
            strikes = [Strike(place, at_byte) for at_byte in range(size + 1)]
        else:
            strikes = [Strike(place, how=how) for how in ERASE_CUTS]
        for strike in strikes:
            _cut_and_cut_again(strike, unit, result)


def _cut_and_cut_again(strike: Strike, unit: JournalUnit, result: Result) -> None:
    """Once with a recovery that runs through, then with one cut in each of its operations."""
    seed = f"{strike.place} {strike.at_byte} {strike.how}"
    for again in (None, *range(_RECOVERY_OPERATIONS_MAX)):
        rng = Random(f"{seed} {again}")
        twin = moments()[strike.place.moment].start(rng)
        one = Strike(strike.place, strike.at_byte, strike.how, again)
        try:
            is_over = not _play(twin, one, rng, result)
        except (Broken, Unresolved) as wrong:
            _note(result, unit.replay, f"{one}: {wrong}", wrong)
            return
        if again is not None and is_over:
            return
        result.cut_points += 1


# -- bits -------------------------------------------------------------------------------------


def _strike_bits(kind: str, seed: int, result: Result) -> None:
    rng = Random(f"{kind} {seed}")
    everywhere = places()
    place = rng.choice(everywhere[kind if kind in everywhere else rng.choice(list(everywhere))])
    twin = moments()[place.moment].start(rng)
    is_twice = kind == TWICE or rng.randrange(4) == 0
    strike = Strike(place, again=rng.randrange(6) if is_twice else None)
    if rng.randrange(4) == 0:
        twin.flash.slow_start_reads = rng.randrange(1, SLOW_READS_MAX + 1)
    if kind == LOOSE:
        twin.flash.loosen_call, twin.is_bad = place.operation, True
    try:
        _play(twin, strike, rng, result, is_worn=rng.randrange(4) == 0)
        result.fired(f"run: {kind}")
        result.cut_points += 1
    except (Broken, Unresolved) as wrong:
        unit = JournalUnit(f"bit.{kind}.{seed}.1")
        _note(result, unit.replay, str(wrong), wrong)


def _note(result: Result, replay: str, what: str, wrong: Exception) -> None:
    result.violations.append(f"{replay}: {what}")
    result.unresolved += isinstance(wrong, Unresolved)


# -- one run ----------------------------------------------------------------------------------


def _play(twin: Twin, strike: Strike, rng: Random, result: Result, is_worn: bool = False) -> bool:
    """Strike, recover, judge and go on; False if the second cut never came."""
    flash = twin.flash
    step = moments()[strike.place.moment].step
    flash.calls.clear()
    flash.cut_after(strike.place.operation + twin.is_bad, strike.at_byte, strike.how)
    try:
        twin.do(step)
        flash.cut()  # it did less than usual: between operations, then
        result.fired("cut between operations")
    except PowerCut:
        result.fired(f"{kind_of(step, flash.calls)}: {flash.last_cut}")
    if twin.is_bad:
        result.fired("a bit did not fall")
    flash.loosen_call = -1
    if flash.weak_bits:
        result.fired("bits left unstable")
    torn = {call[0] // SECTOR_BYTES for call in flash.calls}
    came = strike.again is not None and _is_cut_again(twin, strike.again, result)
    torn.update(call[0] // SECTOR_BYTES for call in flash.calls)
    flash.power_on()
    if is_worn:
        _wear(twin, torn, rng, result)
    _go_on(twin, result)
    result.events += flash.operations
    if flash.slow_start_reads:
        result.fired("flash that wakes slowly")
    return came


def _is_cut_again(twin: Twin, operation: int, result: Result) -> bool:
    """Boot, and lose the power in one of the operations of the recovery."""
    flash = twin.flash
    flash.power_on()
    flash.calls.clear()
    flash.cut_after(operation)
    try:
        twin.boot()
    except PowerCut:
        what = "kill" if not any(flash.calls[-1][1] or b"") else "newest again"
        result.fired(f"cut again, {what}: {flash.last_cut}")
        return True
    flash.cut()
    return False


def _wear(twin: Twin, torn: set[int], rng: Random, result: Result) -> None:
    """The flash gets old as well: programs do not stick, and a sector goes bad.

    Not one in which a cut has just left bits half way: nobody could make them firm.
    """
    twin.is_bad = True
    if rng.randrange(2):
        twin.flash.loose_per_million = LOOSE_PER_MILLION
        result.fired("programs that do not stick")
    how = rng.choice(SECTOR_FAULTS)
    sound = [sector for sector in range(SECTORS) if sector not in torn]
    twin.flash.fail_sector(rng.choice(sound), how)
    result.fired(f"bad sector: {how}")


def _go_on(twin: Twin, result: Result) -> None:
    """Boot, and boot again; then write over two sectors' ends; each time it must agree."""
    begun, head = twin.attempt is not None, twin.head_seq
    twin.boot()
    twin.judge()
    if begun:
        result.fired("begun record " + ("there" if twin.head_seq > head else "not there"))
    twin.power_cycle()
    if not twin.journal.has_room():
        result.fired("full" if not twin.journal.free_sectors() else "nearly full")
    number = _NUMBERS
    for size in (SHORT_BYTES, LONG_BYTES, INTENT_BYTES, LONG_BYTES):
        twin.append_in_the_end(content(number, size))
        number += 1
        if size == SHORT_BYTES:
            twin.power_cycle()
    twin.keep(number % 3, content(number, 16))
    twin.judge()
    twin.do(("receipt", 2))
    twin.do(("prepare",))
    twin.append_in_the_end(content(number + 1, LONG_BYTES))
    twin.power_cycle()
