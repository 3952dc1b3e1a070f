"""Carry-over (结转): what is left of a replaced card goes to the card in its place (R14.4b).

Rules of this file. What the books say is on the old card is frozen from the report of its loss on,
and goes on when so many hours are over since that report, whenever the new card came. What had
waited for the old card was never on it, and goes on at once; but a load that was tried may have
come on it: it waits for the hours too, and what the books do not know to be on the old card by
then ends for it. No timer runs: the new card asks at its first tap online, or somebody sweeps.

What goes on is a load of the new card with a number of its own, and comes on it as any other. It
leaves the old card's account in the transaction that makes it, so it goes once, whoever asks how
often. What comes to the old card's accounts later (a payment by code that is called off) goes on
in the same way; what is told late and takes from them is in ledger/late.py.
"""

from dataclasses import dataclass

from ledger import chart
from ledger.card_status import Cards
from ledger.dialect import SqliteDialect
from ledger.loads import Load, enter
from ledger.posting import post_authorized
from ledger.promises import HAS_ENDED, WAS_TRIED, release
from ledger.reissues import Reissues
from ledger.topups import next_number
from ledger.transfers import (
    BEAR_LINE,
    CARRY_LINE,
    CARRY_OVER,
    RECOVER,
    RECOVER_LINE,
    Transfer,
)
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.rules.card_status import ACTIVE

AFTER_S = 72 * 3600  # since the report of the loss, says the regulation
# No channel's order number has a tab.
_ORDER = "carried over\t{}"
_ENDING = f"""
SELECT l.number, l.card_no, l.amount_fen FROM load l
WHERE l.card_no = ? AND l.is_loaded = 0 AND NOT {HAS_ENDED} AND (? OR NOT {WAS_TRIED})
ORDER BY l.number"""
_IN_FLIGHT = f"""
SELECT COALESCE(SUM(l.amount_fen), 0) FROM load l
WHERE l.card_no = ? AND l.is_loaded = 0 AND {WAS_TRIED} AND NOT {HAS_ENDED}"""
_END = "INSERT INTO load_end VALUES (?)"
# What somebody else has borne of a sale that was cancelled then, which is load number ?.
_BORNE = f"""
SELECT t.device, t.seq, t.debit_account, t.amount_fen FROM cancel c
JOIN transfer t ON t.device = c.device AND t.seq = c.intent_seq AND t.line = {BEAR_LINE}
WHERE c.number = ?"""
_FREE = "SELECT balance_fen - floor_fen FROM account WHERE id = ?"
_REPLACED = "SELECT DISTINCT old_card FROM reissue ORDER BY old_card"


@dataclass(frozen=True, slots=True)
class Frozen:
    """`amount_fen` of a replaced card goes to card `heir`, from `due_s` on (seconds since 1970).

    `waiting_fen` was never on it and goes at once. What codes have not settled is in neither.
    """

    old_card: int
    heir: int
    due_s: int
    amount_fen: int
    waiting_fen: int


class CarryOvers:
    """The carry-overs in the books of `database`. Every method is one transaction, or only reads.

    `after_s`: how long after the report of a loss. Raises StoreUnavailable of ledger.dialect.
    """

    def __init__(self, database: SqliteDialect) -> None:
        self._database = database
        self._reissues = Reissues(database)

    def claim(self, card_no: int, now_s: int, after_s: int = AFTER_S) -> list[Load]:
        """Everything that is due for a card goes to it; the loads that wait for it since."""
        if not self._reissues.before(card_no):
            return []
        with self._database.transaction():
            is_last = self._reissues.heir(card_no) == card_no
            if not is_last or Cards(self._database).status(card_no) != ACTIVE:
                return []
            claimed = []
            for old_card, lost_s in self._reissues.before(card_no):
                claimed += self._carry(old_card, card_no, now_s - lost_s >= after_s)
            return claimed

    def sweep(self, now_s: int, after_s: int = AFTER_S) -> list[Load]:
        """Do that for every card that is in the place of another and in use."""
        replaced = [row[0] for row in self._database.rows(_REPLACED)]
        heirs = sorted({self._reissues.heir(old_card) for old_card in replaced})
        return [load for heir in heirs for load in self.claim(heir, now_s, after_s)]

    def frozen(self, card_no: int, after_s: int = AFTER_S) -> list[Frozen]:
        """What has not gone to card `card_no` yet, for each card that it is in the place of."""
        found = []
        for old_card, lost_s in self._reissues.before(card_no):
            heir, due_s = self._reissues.heir(card_no), lost_s + after_s
            on_card_fen = self._free_fen(chart.purse(old_card))
            ((in_flight_fen,),) = self._database.rows(_IN_FLIGHT, (old_card,))
            pending_fen = self._pending_fen(old_card)
            fen = max(on_card_fen, 0) + in_flight_fen
            found.append(Frozen(old_card, heir, due_s, fen, pending_fen - in_flight_fen))
        return found

    def _carry(self, old_card: int, new_card: int, is_due: bool) -> list[Load]:
        self._end_loads(old_card, is_due)
        accounts = [chart.pending(old_card)]
        if is_due:
            accounts.insert(0, chart.purse(old_card))
        return [load for account in accounts for load in self._move(account, new_card)]

    def _end_loads(self, old_card: int, is_due: bool) -> None:
        rows = list(self._database.rows(_ENDING, (old_card, is_due)))
        ending = [Load(*row) for row in rows]
        release(self._database, ending)
        self._database.many(_END, [(load.number,) for load in ending])
        recovered = [
            Transfer(device, seq, RECOVER_LINE, RECOVER, chart.pending(old_card), loss, fen)
            for load in ending
            for device, seq, loss, fen in list(self._database.rows(_BORNE, (load.number,)))
        ]
        post_authorized(self._database, recovered)

    def _move(self, account: int, new_card: int) -> list[Load]:
        """What is free on an account becomes loads of another card."""
        moved = []
        left_fen = self._free_fen(account)
        while left_fen > 0:
            amount_fen = min(left_fen, AMOUNT_FEN_MAX)
            load = Load(next_number(self._database), new_card, amount_fen)
            enter(self._database, [(load, _ORDER.format(load.number))])
            what = CARRY_OVER, account, chart.pending(new_card), amount_fen
            transfer = Transfer(CARD_CENTRE, load.number, CARRY_LINE, *what)
            post_authorized(self._database, [transfer])
            moved.append(load)
            left_fen -= amount_fen
        return moved

    def _free_fen(self, account: int) -> int:
        """What stands on an account above its floor; 0 if there is no such account."""
        for (free_fen,) in self._database.rows(_FREE, (account,)):
            return free_fen
        return 0

    def _pending_fen(self, card_no: int) -> int:
        sql = "SELECT balance_fen FROM account WHERE id = ?"
        for (balance_fen,) in self._database.rows(sql, (chart.pending(card_no),)):
            return balance_fen
        return 0
