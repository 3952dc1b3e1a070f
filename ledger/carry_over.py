"""Carry-over (结转): what is left of a replaced card goes to the card in its place (R14.4b).

Rules of this file. What the books say is on the old card is frozen from the report of its loss on,
and goes on when so many hours are over since that report, whenever the new card came. What was
paid in and had waited for the old card was never on it, and goes on at once. What is promised to
the old card is frozen too: a load that was tried may have come on it, and that a sale was paid and
cancelled is a reader's word. When the hours are over it ends for the old card and goes on; what a
sale gave back does only as far as the purse is not overdrawn, so that no reader makes money.

No timer runs: the new card asks at its first tap online, or somebody sweeps.

What goes on is a load of the new card with a number of its own, and comes on it as any other. It
leaves the old card's account in the transaction that makes it, so it goes once, whoever asks how
often. What comes to the old card's accounts later (a payment by code that is called off) goes on
in the same way; what is told late and takes from them is in ledger/late.py. What was frozen goes
with a note whether it was proven then that no spend of before the report was missing
(ledger/quiescence.py): it goes in either case, for the hours are the holder's right.
"""

from dataclasses import dataclass

from ledger import chart, quiescence
from ledger.cancels import NUMBER_MIN
from ledger.card_status import Cards
from ledger.dialect import Dialect
from ledger.entries import post_authorized, post_recorded
from ledger.loads import Load, enter
from ledger.promises import HAS_ENDED, IS_PROMISED, release
from ledger.reissues import Reissues
from ledger.steady_clock import ahead_s
from ledger.topups import next_number
from ledger.transfers import (
    BEAR_LINE,
    CARRY_LINE,
    CARRY_OVER,
    COVER,
    COVER_LINE,
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
WHERE l.card_no = ? AND l.is_loaded = 0 AND NOT {HAS_ENDED} AND (? OR NOT {IS_PROMISED})
ORDER BY l.number"""
_END = "INSERT INTO load_end VALUES (?)"
# What somebody else has borne of a sale that was cancelled then, which is load number ?: the card
# centre, or whom two persons have named since in its place (ledger/corrections.py).
_BORNE = f"""
SELECT t.device, t.seq, COALESCE((
    SELECT p.debit_account FROM correction p
    JOIN correction_approval a ON a.number = p.number
    WHERE p.device = t.device AND p.seq = t.seq AND p.credit_account = t.debit_account
    LIMIT 1), t.debit_account), t.amount_fen FROM cancel c
JOIN transfer t ON t.device = c.device AND t.seq = c.intent_seq AND t.line = {BEAR_LINE}
WHERE c.number = ?"""
_ACCOUNT = "SELECT balance_fen, floor_fen FROM account WHERE id = ?"
_UNPROVEN = """
SELECT b.number FROM carry_basis b JOIN load l ON l.number = b.number
WHERE l.card_no = ? AND b.is_proven = 0 ORDER BY b.number"""
_REPLACED = "SELECT DISTINCT old_card FROM reissue ORDER BY old_card"


@dataclass(frozen=True, slots=True)
class Frozen:
    """`amount_fen` of a replaced card goes to card `heir`, from `due_s` on (seconds since 1970).

    `waiting_fen` was never on it and goes at once. What codes have reserved is in neither.
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

    def __init__(self, database: Dialect) -> None:
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
                is_due = now_s - lost_s >= after_s
                moved = self._carry(old_card, card_no, is_due)
                if is_due and moved:
                    numbers = [load.number for load in moved]
                    quiescence.note_basis(self._database, old_card, lost_s, numbers)
                claimed += moved
            return claimed

    def sweep(self, now_s: int, after_s: int = AFTER_S) -> list[Load]:
        """Do that for every card that is in the place of another and in use.

        It is due by the ledger's clock, though the wall says `now_s`.
        """
        now_s -= ahead_s(self._database, now_s, after_s)
        replaced = [row[0] for row in self._database.rows(_REPLACED)]
        heirs = sorted({self._reissues.heir(old_card) for old_card in replaced})
        return [load for heir in heirs for load in self.claim(heir, now_s, after_s)]

    def unproven(self, card_no: int) -> list[int]:
        """The carry-overs (loads) to a card that were made without a proof (quiescence.py)."""
        return [number for (number,) in self._database.rows(_UNPROVEN, (card_no,))]

    def frozen(self, card_no: int, after_s: int = AFTER_S) -> list[Frozen]:
        """What has not gone to card `card_no` yet, for each card that it is in the place of."""
        found = []
        for old_card, lost_s in self._reissues.before(card_no):
            heir, due_s = self._reissues.heir(card_no), lost_s + after_s
            on_card_fen, _none = self._account(chart.purse(old_card))
            waiting_fen, promised_fen = self._account(chart.pending(old_card))
            frozen_fen = max(on_card_fen + promised_fen, 0)
            found.append(Frozen(old_card, heir, due_s, frozen_fen, waiting_fen - promised_fen))
        return found

    def _carry(self, old_card: int, new_card: int, is_due: bool) -> list[Load]:
        self.end_loads(old_card, is_due)
        accounts = [chart.pending(old_card)]
        if is_due:
            accounts.insert(0, chart.purse(old_card))
        return [load for account in accounts for load in self._move(account, new_card)]

    def end_loads(self, old_card: int, is_due: bool) -> None:
        """Its loads come on a card no more, those that may have come only once it is due.

        In a transaction of the caller, who moves the money on.
        """
        rows = list(self._database.rows(_ENDING, (old_card, is_due)))
        ending = [Load(*row) for row in rows]
        release(self._database, ending)
        self._database.many(_END, [(load.number,) for load in ending])
        for load in ending:
            if load.number >= NUMBER_MIN:
                self._give_back(load)

    def _give_back(self, load: Load) -> None:
        """What a cancelled sale gave back is theirs first who have borne the sale."""
        pending, purse = chart.pending(load.card_no), chart.purse(load.card_no)
        left_fen = load.amount_fen
        for device, seq, bearer, fen in list(self._database.rows(_BORNE, (load.number,))):
            what = RECOVER_LINE, RECOVER, pending, bearer, fen
            post_authorized(self._database, [Transfer(device, seq, *what)])
            left_fen -= fen
        cover_fen = min(left_fen, -self._account(purse)[0])
        if cover_fen > 0:
            what = COVER_LINE, COVER, pending, purse, cover_fen
            post_recorded(self._database, [Transfer(CARD_CENTRE, load.number, *what)])

    def _move(self, account: int, new_card: int) -> list[Load]:
        """What is free on an account becomes loads of another card."""
        moved = []
        balance_fen, floor_fen = self._account(account)
        left_fen = balance_fen - floor_fen
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

    def _account(self, account: int) -> tuple[int, int]:
        """Balance and floor of an account, in fen; nothing if there is no such account."""
        for balance_fen, floor_fen in self._database.rows(_ACCOUNT, (account,)):
            return balance_fen, floor_fen
        return 0, 0
