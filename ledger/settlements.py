"""What becomes of the money of a card that has ended (R15): paid out to its holder, or forfeited.

Rules of this file. Nothing moves on the day itself: readers without a network may still tell of
spends of before. So many hours later, and when it is proven that no such spend is missing or a
person has said who is passed over (ledger/settlement_basis.py), what is on the card, what waits
for it, and what is left of cards that it was in the place of, goes one way: on to the holder's
bank (withdrawal, graduation), or, of staff who have left and were told beforehand, to the
unclaimed (R15.1). Of those who were not told nothing is taken. No timer runs: somebody settles,
as often as they like. How it gets to a bank is in ledger/payouts.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import chart, quiescence, settlement_basis
from ledger.card_status import check_state
from ledger.carry_over import AFTER_S, CarryOvers
from ledger.dialect import Dialect
from ledger.entries import next_number, post_authorized, post_recorded
from ledger.holders import check_word
from ledger.late import bear_all_ended
from ledger.quiescence import Known, Quiescence
from ledger.reissues import Reissues
from ledger.settlement_basis import Decision
from ledger.signatures import signed
from ledger.steady_clock import ahead_s
from ledger.transfers import (
    FORFEIT,
    OFFSET,
    OFFSET_LINE,
    PENDING_LINE,
    PURSE_LINE,
    REFUND,
    Transfer,
)

_MAY_BE_WARNED = ("active", "lost", "suspended", "frozen", "expired")
# Those that may have something left: a card is looked at for good, an empty one is not.
_ENDED = f"""
SELECT c.card_no, c.cause, c.time_s FROM card_change c
WHERE c.cause IN ('close', 'terminate') AND c.time_s <= ? AND (
    EXISTS (SELECT 1 FROM account a WHERE a.balance_fen <> 0 AND a.id IN (
        {chart.account(chart.HOLDER, 0)} + c.card_no,
        {chart.account(chart.PENDING, 0)} + c.card_no))
    OR EXISTS (SELECT 1 FROM reissue r WHERE r.new_card = c.card_no))
ORDER BY c.card_no"""
_HAS_SOMETHING = "SELECT 1 FROM account WHERE id IN (?, ?) AND balance_fen <> 0"
# A person is told: with any card that this one is in the place of.
_IS_WARNED = """
WITH RECURSIVE before (card_no) AS (
    SELECT ? UNION SELECT r.old_card FROM reissue r JOIN before b ON r.new_card = b.card_no)
SELECT 1 FROM leaving_notice
WHERE card_no IN (SELECT card_no FROM before) AND time_s < ?"""
_ACCOUNT = "SELECT balance_fen - COALESCE(floor_fen, 0) FROM account WHERE id = ?"
_FORFEITED = f"""
SELECT COALESCE(SUM(CASE t.kind WHEN {FORFEIT} THEN t.amount_fen ELSE -t.amount_fen END), 0)
FROM card_settlement s JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = s.number
    AND t.line BETWEEN {OFFSET_LINE} AND {PENDING_LINE}
WHERE s.card_no = ? AND (t.kind = {FORFEIT} OR t.debit_account = {chart.FORFEITED})"""
_OPEN_ACCOUNT = (
    "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING"
)
_INSERT = "INSERT INTO card_settlement VALUES (?, ?, ?, ?, ?)"
_NOTICE = "INSERT INTO leaving_notice VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Settled:
    """`amount_fen` of card `card_no` (after offsets) is to be paid out, or forfeited."""

    number: int
    card_no: int
    amount_fen: int
    is_forfeit: bool


class Settlements:
    """The money of ended cards in the books. Every method is one transaction, or only reads.

    Raises CardRefused: nothing was changed, and the text says why.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._reissues = Reissues(database)

    # --- before the end --------------------------------------------------------------------------

    def warn(self, card_no: int, person: str, time_s: int) -> None:
        """`person` has told a holder who leaves the staff: what is not spent is lost (R15.1)."""
        check_word("who tells it", person)
        with self._database.transaction():
            person = signed(self._database, "card.warn", person, time_s, f"card {card_no}")
            check_state(self._database, card_no, _MAY_BE_WARNED)
            number = next_number(self._database, "leaving_notice")
            self._database.many(_NOTICE, [(number, card_no, person, time_s)])

    # --- the money -------------------------------------------------------------------------------

    def settle(
        self, now_s: int, after_s: int = AFTER_S, decision: Decision | None = None
    ) -> list[Settled]:
        """Everything moves that is due and proven, or let go by `decision`; what did.

        Again: nothing is left to move. Raises NotAllowed.
        """
        settled: list[Settled] = []
        known = Known()
        with self._database.transaction():
            if decision is not None:
                decision = settlement_basis.signed_for(self._database, decision, now_s)
            bear_all_ended(self._database)
        for is_forfeit, sources in self._due(now_s, after_s):
            with self._database.transaction():
                for source, before_s in sources:
                    found = self._examined(source, before_s, known)
                    if found is None or settlement_basis.barring(found, decision):
                        continue
                    moved = self._settle(source, is_forfeit, now_s)
                    numbers = [one.number for one in moved]
                    settlement_basis.note(self._database, numbers, found, decision)
                    settled += moved
        return settled

    def waiting(self, now_s: int, after_s: int = AFTER_S) -> list[Quiescence]:
        """What is found of cards whose money is due and stays, because a spend may be missing."""
        known = Known()
        found = [
            self._examined(source, before_s, known)
            for _is_forfeit, sources in self._due(now_s, after_s)
            for source, before_s in sources
        ]
        return [one for one in found if one is not None and one.blocking]

    def unwarned(self) -> list[int]:
        """Cards of staff who have left and were not told before: their money stays as it is."""
        rows = self._database.rows(_ENDED, (0xFFFFFFFF,))
        left = [(card_no, ended_s) for card_no, cause, ended_s in rows if cause == "terminate"]
        return [who[0] for who in left if not list(self._database.rows(_IS_WARNED, who))]

    # --- how -------------------------------------------------------------------------------------

    def _due(self, now_s: int, after_s: int) -> Iterator[tuple[bool, list[tuple[int, int]]]]:
        """(is forfeit, cards whose money goes with it and before when their spends count).

        A card that was lost or handed in counts to that day, one that has ended to its end. It is
        due by the ledger's clock, though the wall says `now_s`.
        """
        until_s = now_s - ahead_s(self._database, now_s, after_s) - after_s
        for card_no, cause, ended_s in list(self._database.rows(_ENDED, (until_s,))):
            is_forfeit = cause == "terminate"
            if is_forfeit and not list(self._database.rows(_IS_WARNED, (card_no, ended_s))):
                continue
            yield is_forfeit, [*self._reissues.before(card_no), (card_no, ended_s)]

    def _examined(self, card_no: int, before_s: int, known: Known) -> Quiescence | None:
        """What is proven of a card, None if it has nothing that could move."""
        accounts = chart.purse(card_no), chart.pending(card_no)
        if not list(self._database.rows(_HAS_SOMETHING, accounts)):
            return None
        return quiescence.examine(self._database, card_no, before_s, known)

    def _settle(self, card_no: int, is_forfeit: bool, now_s: int) -> list[Settled]:
        """What there is of one card moves, in a transaction of the caller."""
        CarryOvers(self._database).end_loads(card_no, is_due=True)
        purse, pending = chart.purse(card_no), chart.pending(card_no)
        number = next_number(self._database, "card_settlement")
        offset_fen = self._offset(number, card_no)
        parts = [(PURSE_LINE, purse, self._free_fen(purse))]
        parts.append((PENDING_LINE, pending, self._free_fen(pending)))
        parts = [part for part in parts if part[-1] > 0]
        amount_fen = sum(part[-1] for part in parts)
        if not offset_fen and not amount_fen:
            return []
        row = number, card_no, amount_fen, int(is_forfeit), now_s
        self._database.many(_INSERT, [row])
        kind, to = (FORFEIT, chart.FORFEITED) if is_forfeit else (REFUND, chart.payout(card_no))
        if not is_forfeit:
            self._database.many(_OPEN_ACCOUNT, [(to, chart.PAYOUT, card_no)])
        post_authorized(
            self._database,
            [
                Transfer(chart.LEDGER_DEVICE, number, line, kind, account, to, fen)
                for line, account, fen in parts
            ],
        )
        return [Settled(number, card_no, amount_fen, is_forfeit)]

    def _offset(self, number: int, card_no: int) -> int:
        """What a purse lacks is taken from what waits for it, or else was forfeited of it."""
        lacking_fen = -self._free_fen(chart.purse(card_no))
        ((forfeited_fen,),) = self._database.rows(_FORFEITED, (card_no,))
        pending = chart.pending(card_no)
        for account, there_fen in (
            (pending, self._free_fen(pending)),
            (chart.FORFEITED, forfeited_fen),
        ):
            fen = min(lacking_fen, there_fen)
            if fen > 0:
                what = OFFSET, account, chart.purse(card_no), fen
                transfer = Transfer(chart.LEDGER_DEVICE, number, OFFSET_LINE, *what)
                post_recorded(self._database, [transfer])
                return fen
        return 0

    def _free_fen(self, account: int) -> int:
        for (free_fen,) in list(self._database.rows(_ACCOUNT, (account,))):
            return free_fen
        return 0
