"""Reconciliation: what a card says it holds against what the books owe, card by card.

Rules of this file. Reading only; what is found depends on which records are booked. A card says
what it holds with each tap, so the way of its balance is followed from its opening on, in the
order of its counter: from one tap to the next it holds what the step between has left. Where a
step is missing (LOST, under way, or never written) the card may have spent anything, and may have
got what was paid in for it; more than that nobody has given it. A tap whose outcome is not known
leaves either. So torn taps, lost records and late ones are never an imbalance.

What does not fit is an imbalance made by the reader of that record, which is a case already: 334
and 337 since it was booked, 432 and 433 since the detector looked (ledger/watch.py). Nothing is
barred. A card whose records show forks is COPIED: its balances are not one card's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from ledger import chart
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.forks import TAP_COLUMNS, TAP_ORDER, Ground, Tap, forks_of, tap_of, twins_in
from ledger.store import LedgerStore
from ledger.transfers import LOAD, OPENING, SPEND
from protocols.card.purse import CARD_CENTRE

_TAPS = f"""
SELECT {TAP_COLUMNS} FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
WHERE ? IN (-1, i.card_no) ORDER BY {TAP_ORDER}"""
_CARD = """
SELECT c.opening_fen, a.balance_fen FROM card c JOIN account a ON a.id = ? WHERE c.card_no = ?"""
_LOADS = "SELECT number, amount_fen, is_loaded FROM load WHERE card_no = ?"
# What has moved on purses without a card: corrections, and what is carried over or borne.
_OTHERS = f"""
SELECT account, SUM(fen) FROM (
    SELECT debit_account AS account, -amount_fen AS fen FROM transfer
    WHERE kind NOT IN ({OPENING}, {LOAD}, {SPEND})
    UNION ALL SELECT credit_account, amount_fen FROM transfer
    WHERE kind NOT IN ({OPENING}, {LOAD}, {SPEND})) moved
WHERE account / 4294967296 = {chart.HOLDER} GROUP BY account"""
_EVERY_CARD = -1
_OF_COPIES = (Ground.TWO_DEBITS, Ground.OTHER_PAST, Ground.WENT_BACK)


class Verdict(StrEnum):
    """What the comparison comes to."""

    EQUAL = "equal"
    IN_TRANSIT = "in transit"  # apart by no more than what is on its way
    IMBALANCE = "imbalance"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Record (device, seq) holds `off_fen` more than it may (less: negative)."""

    device: int
    seq: int
    off_fen: int


@dataclass(frozen=True, slots=True)
class CardBalance:
    """A card that was seen, as of its newest record.

    `low_fen` to `high_fen`: what it holds, as far as is known. `ledger_fen`: what the books owe
    for it by its opening, its loads and its spends; `other_fen`: what else stands on its purse.
    `waiting_fen`: loads that are not on it by then. `missing`: steps of its counter without a
    record.
    """

    card_no: int
    verdict: Verdict
    low_fen: int
    high_fen: int
    ledger_fen: int
    other_fen: int
    waiting_fen: int
    missing: int
    imbalances: tuple[Imbalance, ...]


def reconcile(store: LedgerStore, card_no: int | None = None) -> Iterator[CardBalance]:
    """The balance of each issued card that was seen, or of one; by card."""
    database = store.database
    twins, others = twins_in(database), dict(database.rows(_OTHERS))
    chosen = _EVERY_CARD if card_no is None else card_no
    for number, group in groupby(map(tap_of, database.rows(_TAPS, (chosen,))), _card_no):
        taps = list(group)
        for opening_fen, balance_fen in list(database.rows(_CARD, (chart.purse(number), number))):
            other_fen = int(others.get(chart.purse(number), 0))
            way = _Way(opening_fen, _loads(database, number))
            yield _balance(taps, way, balance_fen - other_fen, other_fen, twins)


_card_no = attrgetter("card_no")


def _loads(database: Dialect, card_no: int) -> dict[int, tuple[int, bool]]:
    rows = database.rows(_LOADS, (card_no,))
    return {number: (amount_fen, bool(is_loaded)) for number, amount_fen, is_loaded in rows}


class _Way:
    """The way of a card's balance along its taps."""

    def __init__(self, opening_fen: int, loads: dict[int, tuple[int, bool]]) -> None:
        self.low_fen = self.high_fen = opening_fen
        self.loads = loads  # (amount_fen, is_loaded) by number: those that are not on it yet
        self.counter = 0
        self.missing = 0
        self.found: list[Imbalance] = []
        self._known = set(loads)

    def follow(self, counter: int, here: list[Tap]) -> None:
        """The taps that found it at `counter`."""
        if counter > self.counter:
            self.missing += counter - self.counter
            self.low_fen = 0
            self.high_fen += sum(amount_fen for amount_fen, _is_loaded in self.loads.values())
        for tap in here:
            if tap.last[0] == CARD_CENTRE:
                self.loads.pop(tap.last[1], None)
            nearest_fen = min(max(tap.before_fen, self.low_fen), self.high_fen)
            self._note(tap, tap.before_fen - nearest_fen)
            self.low_fen = self.high_fen = tap.before_fen
        debits = [tap for tap in here if tap.is_debit]
        self.counter = counter + bool(debits)
        if debits:
            self._step(debits[0])
            return
        open_fen = [tap.after_fen for tap in here if tap.state < State.NOT_COMMITTED]
        self.low_fen = min([self.low_fen, *open_fen])
        self.high_fen = max([self.high_fen, *open_fen])

    def _step(self, tap: Tap) -> None:
        if tap.credit_no and tap.credit_no not in self._known:
            self._note(tap, -tap.amount_fen)
        self.loads.pop(tap.credit_no, None)
        self._note(tap, tap.after_fen - (tap.before_fen - tap.amount_fen))
        self.low_fen = self.high_fen = tap.after_fen

    def _note(self, tap: Tap, off_fen: int) -> None:
        if off_fen:
            self.found.append(Imbalance(*tap.record_id, off_fen))


def _balance(
    taps: list[Tap], way: _Way, ledger_fen: int, other_fen: int, twins: set[int]
) -> CardBalance:
    forks = [fork for fork in forks_of(taps, twins) if fork.ground in _OF_COPIES]
    for counter, group in groupby(taps, attrgetter("counter")):
        way.follow(counter, list(group))
    waiting_fen = sum(amount_fen for amount_fen, _is_loaded in way.loads.values())
    loaded_fen = sum(amount_fen for amount_fen, is_loaded in way.loads.values() if is_loaded)
    due_fen = ledger_fen - loaded_fen
    nearest_fen = min(max(due_fen, way.low_fen), way.high_fen)
    if not (way.missing or way.found or forks) and nearest_fen != due_fen:
        way.found.append(Imbalance(*taps[-1].record_id, nearest_fen - due_fen))
    if forks:
        verdict = Verdict.COPIED
    elif way.found:
        verdict = Verdict.IMBALANCE
    else:
        is_equal = way.low_fen == way.high_fen == ledger_fen
        verdict = Verdict.EQUAL if is_equal else Verdict.IN_TRANSIT
    return CardBalance(
        taps[0].card_no,
        verdict,
        way.low_fen,
        way.high_fen,
        ledger_fen,
        other_fen,
        waiting_fen,
        way.missing,
        () if forks else tuple(way.found),
    )
