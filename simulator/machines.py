"""People at machines that take no money: they hold a card there and believe the display."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ledger.card_validity import Validity, know
from protocols.rules import card_number
from simulator.cardbox import HeldCard
from simulator.hands import hold_there, in_one_place
from simulator.phones import IDENTITY
from simulator.reader import Reader

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

_HOLD_US = 700_000
_ASK_US = 4_000_000
_READ_US = 200_000  # until somebody has read what stands there
_PHONE_US = 1_000_000  # until the phone is held there
_LOSS_KEYS = b"FF\r"
_PUNCHED = "PUNCHED"
NOTHING_SHOWN = "nothing shown"


def punch(run: Run, step: Step) -> None:
    """One named person holds a card to the machine."""
    reader = run.readers[step.fields["reader"]]
    held = run.card(step.fields["card"])
    run.tally.taps += 1
    now_us = run.world.now_us
    hold_there(run, step, now_us, _HOLD_US)
    # Who holds it longer reads meanwhile.
    reader.at(now_us + _HOLD_US + _READ_US, partial(_read, run, step, reader, held))


def _read(run: Run, step: Step, reader: Reader, held: HeldCard) -> None:
    shown = reader.hardware.panel.lines[0].strip() if reader.is_on else ""
    run.tell(f"{held.name} at {reader.name}: {shown or NOTHING_SHOWN}")
    run.read(step, shown)
    if shown.startswith(_PUNCHED):
        run.tally.paid += 1
    else:
        shown = shown or NOTHING_SHOWN
        run.tally.refused[shown] = run.tally.refused.get(shown, 0) + 1


def ask(run: Run, step: Step) -> None:
    """One named person holds a card to a self-service machine and reads what it says."""
    reader = run.readers[step.fields["reader"]]
    held = run.card(step.fields["card"])
    now_us, seen = run.world.now_us, []
    run.tally.taps += 1
    hold_there(run, step, now_us, _ASK_US)
    for at_us in range(0, _ASK_US, _READ_US):
        reader.at(now_us + at_us, partial(_note, reader, seen))
    reader.at(now_us + _ASK_US, partial(_heard, run, step, held, seen))


def report(run: Run, step: Step) -> None:
    """Somebody whose card is gone shows a phone to a machine and reads what it says."""
    reader = run.readers[step.fields["reader"]]
    held = run.card(step.fields["card"])
    now_us, seen = run.world.now_us, []
    scanner = reader.hardware.scanner
    assert scanner is not None, "a scenario lets nobody report a loss where no scanner is"
    run.tally.taps += 1
    what = step.fields.get("code", IDENTITY)
    reader.at(now_us, partial(_press, reader, _LOSS_KEYS))
    reader.at(now_us + _PHONE_US, lambda: scanner.show(run.phones.show(held.card_no, what)))
    reader.at(now_us + _ASK_US, partial(scanner.show, None))
    for at_us in range(0, _ASK_US, _READ_US):
        reader.at(now_us + at_us, partial(_note, reader, seen))
    reader.at(now_us + _ASK_US, partial(_heard, run, step, held, seen))


def _press(reader: Reader, keys: bytes) -> None:
    if reader.is_on:
        reader.hardware.keys += keys
        reader.wake(reader.now_us)


def _note(reader: Reader, seen: list[str]) -> None:
    lines = [line.strip() for line in reader.hardware.panel.lines] if reader.is_on else []
    seen += [line for line in lines if line and line not in seen]


def _heard(run: Run, step: Step, held: HeldCard, seen: list[str]) -> None:
    name = step.fields["reader"]
    run.tell(f"{held.name} at {name}: {', '.join(seen) or NOTHING_SHOWN}")
    typed = run.readers[name].hardware.desk_lines()
    if step.fields.get("types", "") not in ("", *typed[-1:]):
        run.not_shown.append(f"line {step.line}: {name} typed {typed[-1:]}")
    run.readings[step.line] = seen
    missing = [text for text in step.fields.get("shows", ()) if text not in seen]
    if missing:
        run.not_shown.append(f"line {step.line}: {name} said {seen}, not {missing}")
    run.tally.paid += not missing


def register(run: Run) -> None:
    """What the register says for library desks, and until when cards with a phone are valid."""
    numbers = run.services.store.person_numbers
    readers = run.scenario.readers
    numbers.let_ask(
        (reader["device"], reader.get("desk_format") == card_number.PERSON) for reader in readers
    )
    issued = [card.card_no for card in run.cards if card.issued_fen is not None]
    numbers.know((card_no, f"2026{card_no:06d}") for card_no in issued)
    with_phone = [card.identity for card in run.cards if run.phones.has(card.card_no)]
    know(
        run.services.store.database,
        [
            Validity(one.card_no, one.kind, one.valid_from, one.valid_to)
            for one in with_phone
            if one is not None
        ],
    )


def _held_us(_run: Run, step: Step) -> int:
    if "hold_ms" in step.fields:
        return step.fields["hold_ms"] * 1000
    return _ASK_US if step.do == "ask" else _HOLD_US


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "punch": in_one_place(punch, _held_us),
    "ask": in_one_place(ask, _held_us),
    "report": report,
}
