"""A holder's account as the books have it: what it holds, how it came about, and a report of loss.

Rules of this file. An account is its holder's: it covers the card in use and every lost card that
this one is in the place of. What is on the card, what waits for it and what is reserved are told
apart, never as one number; the entries of a statement add up to them.
"""

from dataclasses import dataclass
from typing import Any

from ledger import api_reasons, chart
from ledger.card_status import CardRefused, change_status, standing
from ledger.carry_over import AFTER_S, CarryOvers, Frozen
from ledger.channel_topups import ChannelRefused
from ledger.dialect import Dialect
from ledger.lifecycle import APP, HOLDER, Act
from ledger.made_good import OF_CANCELLED
from ledger.reissues import Reissues
from ledger.transfers import (
    BEAR,
    CANCEL,
    CARRY_OVER,
    CODE_SALE,
    CORRECT,
    COVER,
    FORFEIT,
    LOAD,
    OFFSET,
    OPENING,
    RECOVER,
    REFUND,
    REPAY,
    RESERVE,
    SPEND,
    TOP_UP,
    UNDO,
    VOID,
)
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import CARD_NO_MAX, CLOSED

KINDS = {
    SPEND: "spend",
    OPENING: "opening",
    TOP_UP: "top_up",
    LOAD: "load",
    CANCEL: "cancelled_sale",
    RESERVE: "reserve",
    CODE_SALE: "code_sale",
    VOID: "void",
    CARRY_OVER: "carry_over",
    UNDO: "undo",
    BEAR: "borne",
    RECOVER: "recovered",
    COVER: "cover",
    REPAY: "repaid",
    OFFSET: "offset",
    REFUND: "refund",
    FORFEIT: "forfeit",
    CORRECT: "corrected",
}
START = (1 << 32, 0, 0, 0)  # before the newest entry
_TIME_UNKNOWN_S = 0xFFFFFFFF
_POTS = (chart.HOLDER, chart.PENDING, chart.RESERVED)
_KIND = 4294967296  # an account's number is kind * this + owner
_PURSES, _WAITING = chart.purse(0), chart.pending(0)  # the accounts of card 0
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_BALANCES = "SELECT kind, balance_fen FROM account WHERE id IN (?, ?, ?)"
_EPOCH = "SELECT COALESCE(MAX(epoch), 0) FROM card_change"
# What has moved money of these cards, by what it is numbered as; each looked up by its card. One
# number may be that of several transfers, of merchants too, so each source says which it means:
# 1 payments by code, 2 ends of cards, 3 corrections, 4 openings, 5 what came back of a sale of
# others that they had borne.
_ENTRIES = f"""
WITH k (number) AS (VALUES {{keys}}),
fact (device, seq, time_s, merchant_no, source) AS (
    SELECT i.device, i.seq,
        CASE WHEN i.latest_s = {_TIME_UNKNOWN_S} THEN i.earliest_s ELSE i.latest_s END,
        i.merchant_no, 0
    FROM k CROSS JOIN intent i WHERE i.card_no = k.number AND i.credit_no = 0
    UNION ALL SELECT {CARD_CENTRE}, l.number, COALESCE(c.heard_s, 0), 0, 0
    FROM k CROSS JOIN load l LEFT JOIN channel_topup c ON c.number = l.number
    WHERE l.card_no = k.number
    UNION ALL SELECT r.device, r.seq, r.asked_s, d.merchant_no, 1
    FROM k CROSS JOIN reservation r JOIN device d ON d.device = r.device
    WHERE r.card_no = k.number
    UNION ALL SELECT 0, c.opening_seq, 0, 0, 4
    FROM k CROSS JOIN card c WHERE c.card_no = k.number AND c.opening_seq > 0
    UNION ALL SELECT 0, s.number, s.time_s, 0, 2
    FROM k CROSS JOIN card_settlement s WHERE s.card_no = k.number
    UNION ALL SELECT 0, c.number, a.time_s, 0, 3
    FROM correction_approval a JOIN correction c ON c.number = a.number
    WHERE EXISTS (SELECT 1 FROM k WHERE k.number IN (c.debit_account - {_PURSES},
        c.credit_account - {_PURSES}, c.debit_account - {_WAITING}, c.credit_account - {_WAITING}))
    UNION ALL SELECT c.device, c.seq, MIN(a.time_s), 0, 5
    FROM correction_approval a JOIN correction c ON c.number = a.number
    WHERE (c.credit_account / {_KIND} = {chart.LOSS} OR a.reason IN {OF_CANCELLED})
    AND EXISTS (SELECT 1 FROM k WHERE k.number = c.debit_account - {_PURSES})
    AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.device = c.device AND i.seq = c.seq
        AND EXISTS (SELECT 1 FROM k WHERE k.number = i.card_no))
    GROUP BY c.device, c.seq
),
entry (
    time_s, device, seq, line, merchant_no, kind, debit_account, credit_account, amount_fen
) AS (
    SELECT COALESCE(x.cancelled_s, f.time_s), t.device, t.seq, t.line, f.merchant_no,
        t.kind, t.debit_account, t.credit_account, t.amount_fen
    FROM fact f JOIN transfer t ON t.device = f.device AND t.seq = f.seq
        AND (t.kind IN ({RESERVE}, {CODE_SALE}, {VOID})) = (f.source = 1)
        AND (t.kind IN ({OFFSET}, {REFUND}, {FORFEIT})) = (f.source = 2)
        AND (t.kind = {CORRECT}) = (f.source = 3)
        AND (t.kind = {OPENING}) = (f.source = 4)
        AND (f.source <> 5 OR t.kind = {RECOVER}
            AND EXISTS (SELECT 1 FROM k WHERE k.number = t.credit_account - {_PURSES}))
    LEFT JOIN topup_cancel x ON x.number = t.seq AND t.kind = {REPAY})
SELECT * FROM entry WHERE (time_s, device, seq, line) < (?, ?, ?, ?)
ORDER BY time_s DESC, device DESC, seq DESC, line DESC LIMIT ?"""

Place = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Balance:
    """Of the card in use, in fen: on it, waiting for it, reserved by codes. `frozen`: others."""

    status: int
    purse_fen: int
    waiting_fen: int
    reserved_fen: int
    frozen: list[Frozen]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one transfer has done; it stands at `place`. `time_s` 0: nobody has told when.

    `merchant_no` 0: no merchant has to do with it.
    """

    place: Place
    kind: int
    merchant_no: int
    purse_fen: int
    waiting_fen: int
    reserved_fen: int

    @property
    def time_s(self) -> int:
        return self.place[0]


class HolderAccounts:
    """The accounts in the books of `database`. Raises StoreUnavailable, and ChannelRefused with
    NO_ACCOUNT for a card that was never issued."""

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._reissues = Reissues(database)

    def card_in_use(self, card_no: int) -> int:
        """The card that the holder of this one has now."""
        if not list(self._database.rows(_IS_ISSUED, (card_no,))):
            raise ChannelRefused(api_reasons.NO_ACCOUNT)
        return self._reissues.heir(card_no)

    def balance(self, card_no: int, after_s: int = AFTER_S) -> Balance:
        """What the holder of a card has; `after_s` as in CarryOvers."""
        card_no = self.card_in_use(card_no)
        accounts = tuple(chart.account(kind, card_no) for kind in _POTS)
        found = dict(self._database.rows(_BALANCES, accounts))
        frozen = CarryOvers(self._database).frozen(card_no, after_s)
        status, _since_s = standing(self._database, card_no)
        purse_fen, waiting_fen, reserved_fen = (found.get(kind, 0) for kind in _POTS)
        return Balance(status, purse_fen, waiting_fen, reserved_fen, frozen)

    def entries(self, card_no: int, count: int, behind: Place = START) -> list[Entry]:
        """Up to `count` entries, newest first, from behind a place on."""
        card_no = self.card_in_use(card_no)
        cards = [card_no, *(old_card for old_card, _lost_s in self._reissues.before(card_no))]
        keys = ", ".join(["(?)"] * len(cards))
        sql = _ENTRIES.format(keys=keys)
        return [
            _entry(row, set(cards)) for row in self._database.rows(sql, (*cards, *behind, count))
        ]

    def report_loss(self, card_no: int, now_s: int, evidence: str) -> tuple[int, int]:
        """(since when it is lost, epoch of the list that says so). Again: the same time.

        Raises ChannelRefused.
        """
        with self._database.transaction():
            card_no = self.card_in_use(card_no)
            if card_no > CARD_NO_MAX:
                raise ChannelRefused(api_reasons.LOSS_IMPOSSIBLE)
            if standing(self._database, card_no)[0] == CLOSED:
                raise ChannelRefused(api_reasons.ACCOUNT_CLOSED)
            try:
                act = Act(HOLDER, APP, evidence)
                change_status(self._database, "lose", card_no, now_s, act)
            except CardRefused as error:
                raise ChannelRefused(api_reasons.LOSS_IMPOSSIBLE) from error
            ((epoch,),) = self._database.rows(_EPOCH)
            return standing(self._database, card_no)[1], epoch


def _entry(row: tuple[Any, ...], cards: set[int]) -> Entry:
    *place, merchant_no, kind, debit, credit, amount_fen = row
    changes = dict.fromkeys(_POTS, 0)
    for account, fen in ((debit, -amount_fen), (credit, amount_fen)):
        pot = account >> 32
        if pot in changes and chart.owner(account) in cards:
            changes[pot] += fen
    time_s, device, seq, line = place
    return Entry((time_s, device, seq, line), kind, merchant_no, *changes.values())
