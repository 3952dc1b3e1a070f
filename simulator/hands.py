"""Hands that hold one card to one reader, and nothing else: a card is in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from protocols.rules import money, reasons, screen_texts, screens

if TYPE_CHECKING:
    from simulator.cardbox import HeldCard
    from simulator.reader import Reader
    from simulator.run import Run
    from simulator.scenario import Step

Verb = Callable[["Run", "Step"], None]
HOLD_MS = 700
_WAIT_US = 1_000_000
_LOOK_US = 900_000  # from a card that is taken away to somebody who has read the display
_PLEASE = (
    "CARD PLEASE",
    screen_texts.TEXTS[screens.CARD_OR_CODE][0],
    reasons.display(reasons.TAP_AGAIN),
    reasons.display(reasons.SAME_CARD_PLEASE),
    reasons.display(reasons.CARD_GONE),
    reasons.display(reasons.TWO_CARDS),
)


def in_one_place(verb: Verb, held_us: Callable[[Run, Step], int]) -> Verb:
    """A verb that holds `card` somewhere for `held_us`: it waits while the card is elsewhere."""

    def carefully(run: Run, step: Step) -> None:
        held = run.card(step.fields["card"])
        if held.is_busy:
            run.world.at(run.world.now_us + _WAIT_US, partial(carefully, run, step))
            return
        held.is_busy = True
        verb(run, step)
        run.world.at(
            run.world.now_us + held_us(run, step), partial(setattr, held, "is_busy", False)
        )

    return carefully


def _present(run: Run, step: Step) -> None:
    """One named person holds a card to a reader, whatever that waits for, and reads it."""
    held = run.card(step.fields["card"])
    if held.is_busy:
        run.world.at(run.world.now_us + _WAIT_US, partial(_present, run, step))
        return
    held.is_busy = True
    reader, now_us = run.readers[step.fields["reader"]], run.world.now_us
    away_us = now_us + step.fields.get("hold_ms", HOLD_MS) * 1000
    upper, lower = reader.hardware.panel.lines
    asked = lower.strip() if upper in _PLEASE else ""
    run.tally.taps += 1
    reader.at(now_us, partial(reader.hardware.put_card, held.chip))
    reader.at(away_us, partial(reader.hardware.take_card, held.chip))
    run.world.at(away_us + _LOOK_US, partial(_read, run, step, held, reader, asked))


def _read(run: Run, step: Step, held: HeldCard, reader: Reader, asked: str) -> None:
    """What the display says now; paid is who was asked for an amount and sees it paid."""
    held.is_busy = False
    shown = reader.hardware.panel.lines[0]
    run.tell(f"{held.name} at {reader.name}: {shown or 'nothing shown'}")
    amount_fen = money.parse_yuan(asked) if asked else None
    if amount_fen is not None and shown == f"PAID {asked}":
        run.tally.paid += 1
        run.paid[held.card_no, amount_fen] += 1
    elif shown:
        run.tally.refused[shown] = run.tally.refused.get(shown, 0) + 1
    wanted = step.fields.get("shows")
    if wanted not in (None, shown):
        run.not_shown.append(f"line {step.line}: {reader.name} says '{shown}', not '{wanted}'")


VERBS: dict[str, Verb] = {"present": _present}
