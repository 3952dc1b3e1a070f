"""Where a spend may fall in the journal, and what there is to strike in it.

The firmware itself fills the journal, record by record, until its undisturbed spend writes what a
start is named after: nothing here knows how a journal is laid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from firmware.services.journal import KEPT_BYTES_MAX, KEYS, Journal
from protocols.wire import messages, seal
from simulator.checkers import journal_of
from simulator.torture.tap_blows import CutFlash, FlashCut, StruckCard
from simulator.torture.tap_window import CLASSIC, HOME, NOON_S, Window, new_card, records_on
from simulator.world.clock import World

FRESH = "fresh"
INTENT_OPENS, OUTCOME_OPENS = "INTENT opens a sector", "OUTCOME opens a sector"
# The amount was keyed in while the reader started: it was never idle, to erase a sector ahead.
HURRIED_INTENT, HURRIED_OUTCOME = "INTENT waits for an erase", "OUTCOME waits for an erase"
STARTS = (FRESH, INTENT_OPENS, OUTCOME_OPENS, HURRIED_INTENT, HURRIED_OUTCOME)

ERASE, CARRY, HEADER = "erase", "what is kept", "sector header"
INTENT, OUTCOME = "INTENT", "OUTCOME"
# What comes first in the new sector.
_OPENERS = {
    INTENT_OPENS: INTENT,
    OUTCOME_OPENS: OUTCOME,
    HURRIED_INTENT: INTENT,
    HURRIED_OUTCOME: OUTCOME,
}
_RECORDS = {messages.INTENT: INTENT, messages.OUTCOME: OUTCOME}
_TYPED = b"12.50\r"
_ENTRIES = 34  # more than half of a sector
_RECORDS_MAX = 25  # more than the rest of it holds


@dataclass(frozen=True)
class Course:
    """An undisturbed tap: `frames` on the air, of which `written_frames` change the card; the
    sizes of its flash operations (0 is an erase), how many frames came before each, and which of
    them are `mends`, which change nothing."""

    frames: int
    written_frames: tuple[int, ...]
    sizes: tuple[int, ...]
    frames_before: tuple[int, ...]
    mends: tuple[int, ...]


def is_hurried(start: str) -> bool:
    """Whether the amount is keyed in while the reader starts."""
    return start in (HURRIED_INTENT, HURRIED_OUTCOME)


def image_of(start: str) -> bytes | None:
    """The journal partition with which the reader boots."""
    return None if start == FRESH else _nearly_full()


@cache
def records_before(start: str, chip: str = CLASSIC) -> int:
    """How many records the reader then writes before the spend that `start` is named after."""
    if start == FRESH:
        return 0
    for records in range(_RECORDS_MAX):
        writes = _writes_behind(records, start, chip)
        if (ERASE in writes) == is_hurried(start) and HEADER in writes:
            if writes[writes.index(HEADER) + 1] == _OPENERS[start]:
                return records
    raise AssertionError(f"no journal found on which {start}")


@cache
def writes_of(start: str, chip: str = CLASSIC) -> tuple[str, ...]:
    """What each flash operation of the first tap writes."""
    return _writes_behind(records_before(start, chip), start, chip)


@cache
def course_of(start: str, chip: str = CLASSIC) -> Course:
    """What there is to strike in the first tap of a case."""
    return course(*_spend(records_before(start, chip), start, None, chip))


def course(window: Window, card: StruckCard) -> Course:
    """What a window and a card went through since they were told to count."""
    flash = window.flash
    return Course(
        card.frames,
        tuple(card.written_frames),
        tuple(flash.sizes),
        tuple(flash.frames_before),
        tuple(flash.mends),
    )


def _spend(records: int, start: str, cut: FlashCut | None, chip: str) -> tuple[Window, StruckCard]:
    window, card = Window(HOME, World(NOON_S), image_of(start), 0), new_card(0, chip)
    window.open(_TYPED, is_hurried(start), records)
    window.strike(card, None, cut)
    window.first_sale(card, _TYPED, is_hurried(start))
    return window, card


def _writes_behind(records: int, start: str, chip: str) -> tuple[str, ...]:
    """What each flash operation of a spend writes: what is new if the power goes behind it."""
    sizes = _spend(records, start, None, chip)[0].flash.sizes
    writes: list[str] = []
    before = _spend(records, start, FlashCut(0), chip)[0].flash
    for number, size in enumerate(sizes):
        after = _spend(records, start, FlashCut(number, size), chip)[0].flash
        writes.append(ERASE if size == 0 else _what_is_new(before, after))
        before = after
    return tuple(writes)


def _what_is_new(before: CutFlash, after: CutFlash) -> str:
    was, now = journal_of(before), journal_of(after)
    if now.generation != was.generation:
        return HEADER
    if now.head_seq == was.head_seq:
        return CARRY
    kind = messages.decode_record(seal.payload_of(records_on(after)[-1]))["kind"]
    return _RECORDS.get(kind, "another record")


@cache
def _nearly_full() -> bytes:
    """A journal filled with values to keep, which no ledger has to book."""
    window = Window(HOME, World(NOON_S), None, 0)
    window.open()
    journal = Journal(window.flash)
    journal.recover()
    for number in range(_ENTRIES):
        journal.keep(KEYS - 1, bytes((number,)) * KEPT_BYTES_MAX)
    return window.flash.image()
