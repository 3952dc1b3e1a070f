"""People at a door: they hold a card to it and push, press the button, open it by force.

Everything happens at the reader's own time, whatever its firmware is at, or without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ledger.access import AccessBook, AccessRefused
from protocols.rules import access, door
from simulator import locks
from simulator.cardbox import HeldCard
from simulator.hands import hold_there, in_one_place
from simulator.phones import IDENTITY
from simulator.reader import Reader
from simulator.refusals import refusing
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import CardBatch, Step

SHUT, OPEN = "door shut", "door open"
_ALL_DAYS = (127, 0, 1440)
_HOLD_US = 700_000
_SCAN_US = 1_500_000
_PUSH_US = 900_000  # from a card that is taken away to somebody who pushes
_PRESS_US = 300_000
_OUT_US = 1_000_000  # from a button that is pressed to somebody who must be out
_SHUT_US = 2_000_000  # a closer's time
_CHAIR_US = 25_000_000  # longer than a door may stand open behind a grant
_TURN_US = 300_000


def rights(batches: Sequence[CardBatch]) -> bytes:
    """The blob of protocols/rules/access.py: batches with `enters` may, at any time."""
    spans = sorted((batch.first_no, [1] * batch.count) for batch in batches if batch.enters)
    return access.encode(spans, [[_ALL_DAYS]], (), door.GRANT_MS, 0)


def enter(run: Run, step: Step) -> None:
    """One named person holds a card to the door and pushes; with `hold` a chair keeps it open."""
    reader = run.readers[step.fields["reader"]]
    held = run.card(step.fields["card"])
    if locks.hardware_of(reader):
        locks.enter(run, step)
        return
    run.tally.taps += 1
    away_us = hold_there(run, step, run.world.now_us, _HOLD_US)
    open_us = _CHAIR_US if step.do == "hold" else _SHUT_US
    reader.at(away_us + _PUSH_US, partial(_push_in, run, step, reader, held, open_us))


def _held_us(run: Run, step: Step) -> int:
    is_lock = locks.hardware_of(run.readers[step.fields["reader"]])
    own_us = step.fields["hold_ms"] * 1000 if "hold_ms" in step.fields else None
    if is_lock:
        return locks.held_us(own_us)
    return _HOLD_US if own_us is None else own_us


def scan(run: Run, step: Step) -> None:
    """One named person holds a phone before the scanner of a door, and pushes."""
    reader = run.readers[step.fields["reader"]]
    held = run.card(step.fields["card"])
    scanner, now_us = reader.hardware.scanner, run.world.now_us
    assert scanner is not None, "a scenario lets nobody scan at a door without a scanner"
    run.tally.taps += 1
    code = run.phones.show(held.card_no, step.fields.get("shows", IDENTITY))
    reader.at(now_us, partial(scanner.show, code))
    reader.at(now_us + _SCAN_US, partial(scanner.show, None))
    reader.at(now_us + _SCAN_US + _PUSH_US, partial(_push_in, run, step, reader, held))


def leave(run: Run, step: Step) -> None:
    """Somebody inside presses the button and pushes; who then stays inside is a violation."""
    reader = run.readers[step.fields["reader"]]
    lock, now_us = reader.hardware.lock, run.world.now_us
    reader.at(now_us, partial(lock.press, True))
    reader.at(now_us + _PRESS_US, partial(lock.press, False))
    reader.at(now_us + _OUT_US, partial(_push_out, run, reader))


def force(run: Run, step: Step) -> None:
    """Somebody breaks a door open; its closer shuts it."""
    reader = run.readers[step.fields["reader"]]
    lock, now_us = reader.hardware.lock, run.world.now_us
    run.tell(f"{reader.name} is broken open")
    reader.at(now_us, lock.force)
    reader.at(now_us + _SHUT_US, lock.shut)


def fire(run: Run, step: Step) -> None:
    """The fire panel opens the loop of a door."""
    reader = run.readers[step.fields["reader"]]
    run.tell(f"fire alarm at {reader.name}")
    reader.at(run.world.now_us, partial(reader.hardware.lock.fire, True))


def rearm(run: Run, step: Step) -> None:
    """The fire panel is reset, and somebody turns the key at the door."""
    reader = run.readers[step.fields["reader"]]
    lock, now_us = reader.hardware.lock, run.world.now_us
    reader.at(now_us, partial(lock.fire, False))
    for after_us, is_turned in ((_TURN_US, True), (2 * _TURN_US, False)):
        reader.at(now_us + after_us, partial(setattr, lock, "key_is_turned", is_turned))


def appoint(run: Run, step: Step) -> None:
    """A named person authorises for the doors of a scope from now on, or no more."""
    site = step.fields.get("site", run.scenario.site)
    scope, person, by = step.fields["scope"], step.fields["person"], step.fields.get("by", "")
    _try(run, step, lambda book: book.appoint(step.do, site, scope, person, run.world.utc_s(), by))
    run.tell(f"{step.do}: {person} for {scope} doors")


def grant(run: Run, step: Step) -> None:
    """That person lets a card open a door at any time, or no more."""
    held = run.card(step.fields["card"])
    name, person = step.fields["reader"], step.fields["person"]
    (device,) = (one["device"] for one in run.scenario.readers if one["name"] == name)
    group, time_s = int(step.do == "grant"), run.world.utc_s()
    until_s = None
    if "until" in step.fields:
        until_s = run.scenario.start_utc_s + step.fields["until"] // 1_000_000
    what = device, held.card_no, 1, group, person, time_s, until_s
    _try(run, step, lambda book: book.grant(*what))
    run.tell(f"{step.do}: {held.name} at {name}, by {person}")


def end_grants(run: Run, _step: Step) -> None:
    """What a ledger does each minute: what is over is taken back."""
    ended = run.services.store.access.end_grants(run.world.utc_s())
    run.tell(f"{len(ended)} doors have grants that are over")


def _try(run: Run, step: Step, act: Callable[[AccessBook], object]) -> None:
    try:
        act(run.services.store.access)
    except AccessRefused as refusal:
        raise ScenarioError(run.scenario.path, step.line, str(refusal)) from refusal


def _push_in(
    run: Run, step: Step, reader: Reader, held: HeldCard, open_us: int = _SHUT_US
) -> None:
    is_open = _push(reader, open_us)
    run.read(step, OPEN if is_open else SHUT)
    if is_open:
        run.tally.paid += 1
        run.tell(f"{held.name} enters {reader.name}")
    else:
        run.tally.refused[SHUT] = run.tally.refused.get(SHUT, 0) + 1
        run.tell(f"{reader.name} stays shut for {held.name}")


def _push_out(run: Run, reader: Reader) -> None:
    if not _push(reader):
        run.kept_in.append(f"{reader.name}: somebody could not leave")


def _push(reader: Reader, open_us: int = _SHUT_US) -> bool:
    lock = reader.hardware.lock
    is_open = lock.push()
    if is_open:
        reader.at(reader.hardware.clock.now_us + open_us, lock.shut)
    return is_open


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "enter": in_one_place(enter, _held_us),
    "hold": in_one_place(enter, _held_us),
    "scan": scan,
    "leave": leave,
    "force": force,
    "fire": fire,
    "rearm": rearm,
    "appoint": refusing(appoint),
    "dismiss": refusing(appoint),
    "grant": refusing(grant),
    "revoke": refusing(grant),
    "end-grants": end_grants,
}
