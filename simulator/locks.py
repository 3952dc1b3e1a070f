"""People at a lock on batteries: a hand at the handle, a card, the warden's key, other cells.

Everything happens at the lock's own time; what wakes it wakes it in the middle of its sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from protocols.rules import lock
from simulator.hands import hold_there
from simulator.host.lock_hardware import LockHardware
from simulator.reader import Reader
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

STAYS_LOCKED, OPENS = "stays locked", "door open"
_TOUCH_US = 300_000
_CARD_US = 400_000  # from the touch to the card: it boots meanwhile
_HOLD_US = 1_100_000
HELD_US = _CARD_US + _HOLD_US
_PULL_US = 1_600_000
_KEY_US = 2_000_000
_SWAP_US = 60_000_000  # without cells


def hardware_of(reader: Reader) -> LockHardware | None:
    """What a lock has; None of another reader."""
    return reader.hardware if isinstance(reader.hardware, LockHardware) else None


def hang_up(reader: Reader) -> Callable[[int], None]:
    """What wakes a reader when something has arrived: of a lock that sleeps, nothing does."""
    hardware = hardware_of(reader)
    if hardware is None:
        return reader.wake

    def wake(at_us: int) -> None:
        if hardware.wakes_by is None:
            reader.wake(at_us)

    hardware.on_wake = lambda: reader.wake(hardware.clock.now_us)
    plug(reader, False, 0)
    return wake


def held_us(hold_us: int | None) -> int:
    """How long a card is away from its holder that is held to a lock for so long, or as ever."""
    return HELD_US if hold_us is None else _CARD_US + hold_us


def enter(run: Run, step: Step) -> None:
    """One named person touches the handle, holds a card there, and presses the handle down."""
    reader = run.readers[step.fields["reader"]]
    now_us = run.world.now_us
    run.tally.taps += 1
    _press(reader, now_us, lock.TOUCHED, _TOUCH_US)
    away_us = hold_there(run, step, now_us + _CARD_US, _HOLD_US)
    pull_us = max(now_us + _PULL_US, away_us + _PULL_US - HELD_US)
    reader.at(pull_us, partial(_pull, run, step, reader))


def plug(reader: Reader, plugged: bool, now_us: int) -> None:
    """The warden's handheld is plugged in, or taken away."""
    hardware = _lock(reader)
    if hardware.line is not None:
        hardware.line.is_cut = not plugged
    reader.at(now_us, partial(hardware.bolt.set_input, lock.LINE, plugged))


def _key(run: Run, step: Step) -> None:
    """The warden opens with the key (R23.3b, R24.3), which no battery can prevent."""
    reader = _reader(run, step)
    run.tell(f"{reader.name} is opened with the key")
    _press(reader, run.world.now_us, lock.KEY, _KEY_US)


def _wear(run: Run, step: Step) -> None:
    """Its cells have so much left from now on."""
    reader = _reader(run, step)
    reader.at(run.world.now_us, partial(_lock(reader).pack.replace, step.fields["percent"]))


def _swap(run: Run, step: Step) -> None:
    """The old cells are taken out, and a minute later new ones are put in."""
    reader = _reader(run, step)
    run.tell(f"{reader.name} gets new cells")
    reader.switch_off()
    _lock(reader).pack.replace(100)
    run.world.at(run.world.now_us + _SWAP_US, reader.switch_on)


def _press(reader: Reader, at_us: int, bit: int, hold_us: int) -> None:
    bolt = _lock(reader).bolt
    reader.at(at_us, partial(bolt.set_input, bit, True))
    reader.at(at_us + hold_us, partial(bolt.set_input, bit, False))


def _pull(run: Run, step: Step, reader: Reader) -> None:
    held, is_open = run.card(step.fields["card"]), _lock(reader).bolt.pull()
    run.read(step, OPENS if is_open else STAYS_LOCKED)
    if is_open:
        run.tally.paid += 1
        run.tell(f"{held.name} enters by {reader.name}")
    else:
        run.tally.refused[STAYS_LOCKED] = run.tally.refused.get(STAYS_LOCKED, 0) + 1
        run.tell(f"{reader.name} {STAYS_LOCKED} for {held.name}")


def _reader(run: Run, step: Step) -> Reader:
    reader = run.readers[step.fields["reader"]]
    if hardware_of(reader) is None:
        raise ScenarioError(run.scenario.path, step.line, f"{reader.name} has no such thing")
    return reader


def _lock(reader: Reader) -> LockHardware:
    hardware = hardware_of(reader)
    assert hardware is not None
    return hardware


VERBS: dict[str, Callable[[Run, Step], None]] = {"key": _key, "wear": _wear, "swap": _swap}
