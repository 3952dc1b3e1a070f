"""Payments that an acquirer takes, in the books: asked once, settled once.

Rules of this file. An order stands in the books before its acquirer hears of it. The reader's
record decides, as it does for campus codes (ledger/reservations.py): a CODE_SALE that is committed
makes the payment the merchant's, anything else gives it back to its payer. What the acquirer is
told follows from both, and is said until it is answered (ledger/acquirer_desk.py). No money moves
in these books before the record: what a payer's bank holds is the payer's.
"""

import hashlib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from ledger import chart, reasons
from ledger.acquirer import CASES, HELD, NEXT, Said, Word, follow
from ledger.claims import Claim
from ledger.code_sales import (
    Ask,
    OpenSale,
    SettleRefused,
    free_number,
    payable_of,
    place_of,
    propose,
    sign,
)
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.reservations import Settled, told_by
from ledger.transfers import ACQUIRE, SETTLE_LINE, Transfer
from protocols.rules import reasons as sale_reasons
from protocols.wire import messages

COLUMNS = "number, device, seq, order_no, amount_fen, state, word, reason"
_AT = f"""
SELECT nonce, code_sha256, {COLUMNS} FROM acquirer_order WHERE device = ? AND seq = ?"""
_AHEAD = f"""
WITH k (reader, place) AS (VALUES {{keys}})
SELECT {COLUMNS} FROM k CROSS JOIN acquirer_order WHERE device = reader AND seq > place"""
_BY_NUMBER = f"SELECT {COLUMNS} FROM acquirer_order WHERE number = ?"
_OPEN = f"""
SELECT {COLUMNS} FROM acquirer_order WHERE word < {int(Word.REFUSED)} ORDER BY number"""
_INSERT = """
INSERT INTO acquirer_order
    (number, device, seq, nonce, code_sha256, order_no, channel, amount_fen, asked_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_HEAR = "UPDATE acquirer_order SET word = ?, reason = ?, heard_s = ? WHERE number = ?"
_SETTLE = "UPDATE acquirer_order SET state = ? WHERE number = ?"
_DECIDE = "UPDATE acquirer_order SET state = ?, by_person = 1 WHERE number = ?"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_OPEN_SINCE = f"""
SELECT o.device, d.site, d.merchant_no, o.number, o.seq, o.amount_fen, o.asked_s,
    o.seq <= d.head_seq
FROM acquirer_order o JOIN device d ON d.device = o.device
WHERE o.state = {int(Settled.OPEN)} AND o.asked_s < ?
ORDER BY o.device, o.seq"""
# What an acquirer may say of a refusal, and what the reader shows of it.
_SHOWN = {
    "balance_short": sale_reasons.BALANCE_SHORT,
    "code_expired": sale_reasons.CODE_EXPIRED,
    "code_used": sale_reasons.CODE_USED,
    "limit": sale_reasons.OVER_SPEND_LIMIT,
}


@dataclass(slots=True)
class Order:
    """`amount_fen` by a platform's code; record (device, seq) tells what becomes of it.

    `reason`: why the acquirer has refused it, in the numbers of a reader.
    """

    number: int
    device: int
    seq: int
    order_no: str
    amount_fen: int
    state: Settled = Settled.OPEN
    word: Word = Word.SILENT
    reason: int = 0

    def sell(self, payable: int) -> Transfer:
        """What moves when it is the merchant's with the account `payable`."""
        what = ACQUIRE, chart.ACQUIRED, payable, self.amount_fen
        return Transfer(self.device, self.seq, SETTLE_LINE, *what)


class AcquirerOrders:
    """The orders in the books of `database`. Every method is one transaction, or only reads.

    Raises StoreUnavailable of ledger.dialect: nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def ask(self, ask: Ask, code: bytes, channel: int, asked_s: int) -> Order | None:
        """The order of an ask of a registered reader, made if it is new; the same ask, the same.

        `code` as the phone shows it, `channel` its kind (scan_codes). None: the record that the
        ask names is booked, or decides something else.
        """
        digest = hashlib.sha256(code).digest()
        with self._database.transaction():
            for nonce, known, *row in self._database.rows(_AT, (ask.device, ask.seq)):
                order = order_of(row)
                same = (nonce, known, order.amount_fen) == (ask.nonce, digest, ask.amount_fen)
                return order if same else None
            if ask.amount_fen <= 0 or not place_of(self._database, ask):
                return None
            order_no = f"{ask.device}-{ask.seq}-{ask.nonce.hex()}"
            number = free_number(self._database)
            order = Order(number, ask.device, ask.seq, order_no, ask.amount_fen)
            asked = number, ask.device, ask.seq, ask.nonce, digest, order_no, channel
            self._database.many(_INSERT, [(*asked, ask.amount_fen, asked_s)])
            return order

    def find(self, number: int) -> Order | None:
        """The order of this number; None if there is none."""
        for row in self._database.rows(_BY_NUMBER, (number,)):
            return order_of(row)
        return None

    def open(self) -> list[Order]:
        """Those that need a word of the acquirer, oldest first."""
        orders = map(order_of, self._database.rows(_OPEN))
        return [order for order in orders if (order.state, order.word) in NEXT]

    def hear(self, number: int, said: Said, heard_s: int) -> Order:
        """What the acquirer says of an order; how it stands now. Again: nothing."""
        with self._database.transaction():
            (order,) = map(order_of, list(self._database.rows(_BY_NUMBER, (number,))))
            word = follow(order.word, said.word)
            if word is order.word:
                return order
            order.word = word
            if word is Word.REFUSED:
                order.reason = _SHOWN.get(said.why, sale_reasons.ASK_LEDGER)
            self._database.many(_HEAR, [(int(word), order.reason, heard_s, number)])
            self._note_case(order)
            return order

    def open_since(self, before_s: int) -> list[OpenSale]:
        """What was asked before that second (UTC) and no record has settled, by reader."""
        rows = self._database.rows(_OPEN_SINCE, (before_s,))
        return [OpenSale(*facts, is_mute=bool(mute)) for *facts, mute in rows]

    def propose(self, number: int, state: Settled, person: str, time_s: int) -> int:
        """`person` says what became of order `number`, for another one to settle it so.

        The number of the proposal. Raises SettleRefused, NotAllowed.
        """
        with self._database.transaction():
            orders = map(order_of, list(self._database.rows(_BY_NUMBER, (number,))))
            known = next((int(order.state) for order in orders), None)
            what = f"order {number}", known
            return propose(self._database, what, state, person, time_s)

    def settle(self, number: int, state: Settled, person: str = "", time_s: int = 0) -> Order:
        """`person` settles order `number`, SOLD or VOID, as another one has proposed.

        Again, with the same state: nothing. What nobody has taken from the payer is not sold.
        Raises SettleRefused, NotAllowed.
        """
        with self._database.transaction():
            words = f"order {number}", state.name.lower()
            sign(self._database, person, time_s, *words)
            for row in list(self._database.rows(_BY_NUMBER, (number,))):
                order = order_of(row)
                if order.state is state:
                    return order
                if order.state is not Settled.OPEN or state is Settled.OPEN:
                    raise SettleRefused(f"order {number} is settled: {order.state.name.lower()}")
                if state is Settled.SOLD and order.word not in HELD:
                    raise SettleRefused(f"the acquirer holds nothing for order {number}")
                transfers = []
                if state is Settled.SOLD:
                    transfers.append(order.sell(payable_of(self._database, order.device)))
                order = replace(order, state=state)
                self._database.many(_DECIDE, [(int(state), number)])
                post_authorized(self._database, transfers)
                self._note_case(order)
                return order
        raise SettleRefused(f"there is no order {number}")

    def _note_case(self, order: Order) -> None:
        reason = CASES.get((order.state, order.word))
        if reason:
            self._database.many(_CASE, [(reason, order.device, order.seq, b"", b"")])


def order_of(row: Sequence[object]) -> Order:
    """The Order that a row of COLUMNS is."""
    *facts, state, word, reason = row
    return Order(*facts, Settled(state), Word(word), reason)  # type: ignore[arg-type]


def orders_ahead(
    database: Dialect, heads: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Order]:
    """By (device, seq): those whose record comes behind (device, head) of `heads`."""
    orders = map(order_of, database.rows_of(_AHEAD, heads))
    return {(order.device, order.seq): order for order in orders}


def settle(
    claim: Claim, order: Order, merchant_no: int, accounts: Container[int]
) -> tuple[list[Transfer], list[int]]:
    """What moves when the record at an order's place is booked, and the reasons of cases to open.

    The state of `order` is set here. As ledger/reservations.settle.
    """
    told, found = told_by(claim, order), []
    is_paid = (claim.fields or {}).get("result") == messages.COMMITTED
    if claim.kind == messages.CODE_SALE and is_paid and told is not Settled.SOLD:
        found.append(reasons.UNRESERVED_SALE)
    if told is Settled.OPEN or told is order.state:
        return [], found
    if order.state is not Settled.OPEN:
        return [], [*found, reasons.SETTLED_OTHERWISE]
    if told is Settled.SOLD and order.word not in HELD:
        # Books that were set back, or a reader that lies: a person asks the acquirer.
        return [], [*found, reasons.UNHEARD_SALE]
    order.state = told
    if (told, order.word) in CASES:
        found.append(CASES[told, order.word])
    if told is Settled.VOID:
        return [], found
    payable = chart.payable(merchant_no)
    if payable not in accounts:
        payable = chart.suspense(reasons.UNKNOWN_MERCHANT)
        found.append(reasons.UNKNOWN_MERCHANT)
    return [order.sell(payable)], found


def keep_settled(database: Dialect, orders: Iterable[Order]) -> None:
    """Write down what records have settled, in the transaction that books them."""
    database.update(_SETTLE, [(int(order.state), order.number) for order in orders])
