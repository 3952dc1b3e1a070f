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


def cards_of(run: Run, step: Step) -> list[HeldCard]:
    """The card of a step, and those that are held there together with it."""
    return [run.card(name) for name in (step.fields["card"], *step.fields.get("with", []))]


def in_one_place(verb: Verb, held_us: Callable[[Run, Step], int]) -> Verb:
    """A verb that holds cards somewhere for `held_us`: it waits while one of them is elsewhere."""

    def carefully(run: Run, step: Step) -> None:
        cards = cards_of(run, step)
        if any(held.is_busy for held in cards):
            run.world.at(run.world.now_us + _WAIT_US, partial(carefully, run, step))
            return
        _set_busy(cards, True)
        verb(run, step)
        free_us = run.world.now_us + held_us(run, step)
        run.world.at(free_us, partial(_set_busy, cards, False))

    return carefully


def hold_there(run: Run, step: Step, from_us: int, hold_us: int) -> int:
    """Hold the cards of a step to its reader for so long, or for its own `hold_ms`.

    Returns when they are away again.
    """
    hardware = run.readers[step.fields["reader"]].hardware
    away_us = from_us + (step.fields["hold_ms"] * 1000 if "hold_ms" in step.fields else hold_us)
    at = run.readers[step.fields["reader"]].at
    for held in cards_of(run, step):
        at(from_us, partial(hardware.put_card, held.chip))
        at(away_us, partial(hardware.take_card, held.chip))
    return away_us


def _set_busy(cards: list[HeldCard], is_busy: bool) -> None:
    for held in cards:
        held.is_busy = is_busy


def _present(run: Run, step: Step) -> None:
    """One named person holds a card to a reader, whatever that waits for, and reads it."""
    cards = cards_of(run, step)
    if any(held.is_busy for held in cards):
        run.world.at(run.world.now_us + _WAIT_US, partial(_present, run, step))
        return
    _set_busy(cards, True)
    reader = run.readers[step.fields["reader"]]
    upper, lower = reader.hardware.panel.lines
    asked = lower.strip() if upper in _PLEASE else ""
    run.tally.taps += 1
    away_us = hold_there(run, step, run.world.now_us, HOLD_MS * 1000)
    run.world.at(away_us + _LOOK_US, partial(_read, run, step, cards, reader, asked))


def _read(run: Run, step: Step, cards: list[HeldCard], reader: Reader, asked: str) -> None:
    """What the display says now; paid is who was asked for an amount and sees it paid."""
    _set_busy(cards, False)
    held = cards[0]
    shown = reader.hardware.panel.lines[0]
    run.tell(f"{held.name} at {reader.name}: {shown or 'nothing shown'}")
    amount_fen = money.parse_yuan(asked) if asked else None
    if amount_fen is not None and shown == f"PAID {asked}":
        run.tally.paid += 1
        run.paid[held.card_no, amount_fen] += 1
    elif shown:
        run.tally.refused[shown] = run.tally.refused.get(shown, 0) + 1
    run.read(step, shown)


VERBS: dict[str, Verb] = {"present": _present}
