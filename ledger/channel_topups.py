"""Top-ups that payment channels take in, and their cancellation (R14.1).

Rules of this file. A channel's order number stands for one top-up for all time: the same again is
answered the same, with other facts it is refused. A top-up has a bank's reference, which pays for
one. Its money waits for the card (ledger/topups.py); until anything was sent that may put it
there, the channel can have it back, all of it and once. What is cancelled before it has come, as
a request that was long under way, is never taken. Whose account it is does not change when a card
is replaced: what is paid in goes to the last card in its place.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger import api_reasons, chart
from ledger.card_status import Cards
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.promises import HAS_ENDED, WAS_TRIED
from ledger.reissues import Reissues
from ledger.topups import pay_in
from ledger.transfers import REPAY, REPAY_LINE, Transfer
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import CLOSED

# No order number that a person types has a tab.
_ORDER = "topup\t{}\t{}"
_FIND = f"""
SELECT t.number, l.card_no, l.amount_fen, t.bank_reference, t.paid_s, t.heard_s,
    (SELECT c.cancelled_s FROM topup_cancel c WHERE c.number = t.number),
    l.is_loaded, {HAS_ENDED}, {WAS_TRIED}
FROM channel_topup t JOIN load l ON l.number = t.number
WHERE t.channel = ? AND t.order_no = ?"""
_PAID_BY = "SELECT 1 FROM channel_topup WHERE channel = ? AND bank_reference = ?"
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_FREE = "SELECT balance_fen - floor_fen FROM account WHERE id = ?"
_INSERT = "INSERT INTO channel_topup VALUES (?, ?, ?, ?, ?, ?)"
_CANCEL = "INSERT INTO topup_cancel VALUES (?, ?)"
_VOIDED = "SELECT voided_s FROM topup_void WHERE channel = ? AND order_no = ?"
_VOID = "INSERT INTO topup_void VALUES (?, ?, ?)"
_END = "INSERT INTO load_end VALUES (?)"


class ChannelRefused(Exception):
    """Nothing was changed; `reason` is one of ledger/api_reasons.py."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"{reason}: {api_reasons.TEXTS[reason][1]}")
        self.reason = reason


class State(StrEnum):
    """What became of a top-up."""

    WAITING = "waiting"  # for its card
    OFFERED = "offered"  # to its card, which has not told whether it has it
    ON_CARD = "on_card"
    CANCELLED = "cancelled"
    WENT_ON = "went_on"  # its card was replaced, and it waits for the next one


@dataclass(frozen=True, slots=True)
class Order:
    """What a channel has taken in: `bank_reference` names what moved at the bank at `paid_s`."""

    channel: str
    order_no: str
    card_no: int
    amount_fen: int
    bank_reference: str
    paid_s: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An order that its channel has cancelled; `amount_fen` 0: it had not come, and never will."""

    cancelled_s: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class ChannelTopUp:
    """An order in the books: credit `number`, told at `heard_s` (seconds since 1970)."""

    number: int
    order: Order
    heard_s: int
    cancelled_s: int | None
    state: State


class ChannelTopUps:
    """The channels' top-ups in the books of `database`. Every method is one transaction or reads.

    Raises StoreUnavailable of ledger.dialect: whoever asks again is answered as the first time.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._reissues = Reissues(database)

    def book(self, order: Order, now_s: int, number: int = 0) -> ChannelTopUp:
        """Book an order; again, with the same facts, what was booked. Raises ChannelRefused.

        `number`: as in `top_up` of ledger/topups.py, of which it raises TopUpRefused then.
        """
        with self._database.transaction():
            heir = self._reissues.heir(order.card_no)
            known = self.find(order.channel, order.order_no)
            if known is not None:
                if self._facts(known.order) != self._facts(order):
                    raise ChannelRefused(api_reasons.ORDER_DIFFERS)
                return known
            if self.voided_s(order.channel, order.order_no) is not None:
                raise ChannelRefused(api_reasons.VOID)
            paid_by = order.channel, order.bank_reference
            if list(self._database.rows(_PAID_BY, paid_by)):
                raise ChannelRefused(api_reasons.REFERENCE_USED)
            if not list(self._database.rows(_IS_ISSUED, (heir,))):
                raise ChannelRefused(api_reasons.NO_ACCOUNT)
            if Cards(self._database).status(heir) == CLOSED:
                raise ChannelRefused(api_reasons.ACCOUNT_CLOSED)
            order_id = _ORDER.format(order.channel, order.order_no)
            booked = pay_in(self._database, heir, order.amount_fen, order_id, number)
            row = order.channel, order.order_no, booked, order.bank_reference, order.paid_s, now_s
            self._database.many(_INSERT, [row])
            return self._found(order.channel, order.order_no)

    def find(self, channel: str, order_no: str) -> ChannelTopUp | None:
        """What was booked under a channel's order number; None if nothing was."""
        for number, card_no, amount_fen, *told in self._database.rows(_FIND, (channel, order_no)):
            reference, paid_s, heard_s, cancelled_s, *facts = told
            order = Order(channel, order_no, card_no, amount_fen, reference, paid_s)
            state = _state(cancelled_s is not None, *map(bool, facts))
            return ChannelTopUp(number, order, heard_s, cancelled_s, state)
        return None

    def voided_s(self, channel: str, order_no: str) -> int | None:
        """When an order was cancelled that had not come; None: none of this number was."""
        for (voided_s,) in self._database.rows(_VOIDED, (channel, order_no)):
            return voided_s
        return None

    def cancel(self, channel: str, order_no: str, now_s: int) -> Cancelled:
        """The channel has its money back. Again: what was done. Raises ChannelRefused."""
        with self._database.transaction():
            found = self.find(channel, order_no)
            if found is None:
                return self._void(channel, order_no, now_s)
            if found.cancelled_s is not None:
                return Cancelled(found.cancelled_s, found.order.amount_fen)
            if found.state in _TOO_LATE:
                raise ChannelRefused(_TOO_LATE[found.state])
            pending = chart.pending(found.order.card_no)
            ((free_fen,),) = self._database.rows(_FREE, (pending,))
            if free_fen < found.order.amount_fen:
                raise ChannelRefused(api_reasons.SPENT)
            self._database.many(_END, [(found.number,)])
            self._database.many(_CANCEL, [(found.number, now_s)])
            what = REPAY, pending, chart.BANK, found.order.amount_fen
            post_authorized(
                self._database, [Transfer(CARD_CENTRE, found.number, REPAY_LINE, *what)]
            )
            return Cancelled(now_s, found.order.amount_fen)

    def _void(self, channel: str, order_no: str, now_s: int) -> Cancelled:
        voided_s = self.voided_s(channel, order_no)
        if voided_s is None:
            self._database.many(_VOID, [(channel, order_no, now_s)])
            voided_s = now_s
        return Cancelled(voided_s, 0)

    def _found(self, channel: str, order_no: str) -> ChannelTopUp:
        found = self.find(channel, order_no)
        if found is None:
            raise ChannelRefused(api_reasons.NO_ORDER)
        return found

    def _facts(self, order: Order) -> tuple[int, int, str, int]:
        """What may not differ; its card may have been replaced since."""
        heir = self._reissues.heir(order.card_no)
        return heir, order.amount_fen, order.bank_reference, order.paid_s


_TOO_LATE = {
    State.ON_CARD: api_reasons.ON_CARD,
    State.OFFERED: api_reasons.MAY_BE_ON_CARD,
    State.WENT_ON: api_reasons.WENT_ON,
}


def _state(is_cancelled: bool, is_loaded: bool, has_ended: bool, was_tried: bool) -> State:
    """The first that holds; what has ended stays so, whatever a reader says of its card later."""
    states = (
        (is_cancelled, State.CANCELLED),
        (has_ended, State.WENT_ON),
        (is_loaded, State.ON_CARD),
        (was_tried, State.OFFERED),
    )
    return next((state for holds, state in states if holds), State.WAITING)
