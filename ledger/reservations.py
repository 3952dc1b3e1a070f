"""Reservations: what a payment code has taken from what waits for a card, until it is settled.

A reader that asks (PAY_ASK) names the number of its very next journal record. That record decides:
a CODE_SALE that is committed, of this number and amount, gives the money to the reader's merchant;
whatever else stands there (the sale called off, a boot behind a power cut) gives it back. There is
one such record for all time, so the money moves once, whenever and in whatever order records come,
and no clock is asked.

A record that tells nothing, a LOST one or one that this ledger cannot read, leaves it reserved: a
customer may have been shown that it is paid. A person settles it then (ledger/code_sales.py); what
a record says behind that moves nothing and becomes a case.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ledger import chart, reasons
from ledger.claims import UNREADABLE_KIND, Claim
from ledger.dialect import Dialect
from ledger.transfers import CODE_SALE, RESERVE, RESERVE_LINE, SETTLE_LINE, VOID, Transfer
from protocols.wire import messages

_TELLS_NOTHING = (messages.LOST, UNREADABLE_KIND)
_AHEAD = """
WITH k (number, place) AS (VALUES {keys})
SELECT r.number, device, seq, card_no, amount_fen, state
FROM k CROSS JOIN reservation r WHERE device = k.number AND seq > place"""


class Settled(IntEnum):
    """What became of a reservation. The numbers are stored."""

    OPEN = 0
    SOLD = 1
    VOID = 2


class Asked(Protocol):
    """A payment that a reader was told of, by the number that it was told."""

    number: int
    amount_fen: int


# What a transfer of this kind makes of its reservation.
OF_TRANSFER = {CODE_SALE: Settled.SOLD, VOID: Settled.VOID}


@dataclass(slots=True)
class Reservation:
    """`amount_fen` of the holder of `card_no`; record (device, seq) tells what becomes of it."""

    number: int
    device: int
    seq: int
    card_no: int
    amount_fen: int
    state: Settled = Settled.OPEN

    def reserve(self) -> Transfer:
        """What moves when it is made."""
        pending, reserved = chart.pending(self.card_no), chart.reserved(self.card_no)
        return self._transfer(RESERVE_LINE, RESERVE, pending, reserved)

    def give_back(self) -> Transfer:
        """What moves when nothing was bought."""
        pending, reserved = chart.pending(self.card_no), chart.reserved(self.card_no)
        return self._transfer(SETTLE_LINE, VOID, reserved, pending)

    def sell(self, payable: int) -> Transfer:
        """What moves when it was paid to the merchant with the account `payable`."""
        return self._transfer(SETTLE_LINE, CODE_SALE, chart.reserved(self.card_no), payable)

    def _transfer(self, line: int, kind: int, debit: int, credit: int) -> Transfer:
        return Transfer(self.device, self.seq, line, kind, debit, credit, self.amount_fen)


def told_by(claim: Claim, reservation: Asked | None) -> Settled:
    """What the record at a reservation's place makes of it; OPEN: it tells nothing."""
    if claim.kind in _TELLS_NOTHING or reservation is None:
        return Settled.OPEN
    fields = claim.fields or {}
    said = fields.get("number"), fields.get("amount_fen"), fields.get("result")
    fits = said == (reservation.number, reservation.amount_fen, messages.COMMITTED)
    return Settled.SOLD if claim.kind == messages.CODE_SALE and fits else Settled.VOID


def settle(
    claim: Claim, reservation: Reservation | None, merchant_no: int, accounts: Container[int]
) -> tuple[list[Transfer], list[int]]:
    """What moves when record `claim` is booked, and the reasons of the cases to open.

    `reservation` is the one of the record's place, if there is one: its state is set here.
    `merchant_no` is that of the reader; a merchant whose account is not in `accounts` is paid to
    suspense.
    """
    told, found = told_by(claim, reservation), []
    is_paid = (claim.fields or {}).get("result") == messages.COMMITTED
    if claim.kind == messages.CODE_SALE and is_paid and told is not Settled.SOLD:
        found.append(reasons.UNRESERVED_SALE)
    if reservation is None or told is Settled.OPEN:
        return [], found
    if reservation.state is not Settled.OPEN:
        if reservation.state is not told:
            found.append(reasons.SETTLED_OTHERWISE)
        return [], found
    reservation.state = told
    if told is Settled.VOID:
        return [reservation.give_back()], found
    payable = chart.payable(merchant_no)
    if payable not in accounts:
        payable = chart.suspense(reasons.UNKNOWN_MERCHANT)
        found.append(reasons.UNKNOWN_MERCHANT)
    return [reservation.sell(payable)], found


def reservations_ahead(
    database: Dialect, heads: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Reservation]:
    """By (device, seq): those whose record comes behind (device, head) of `heads`."""
    found = {}
    for number, device, seq, card_no, amount_fen, state in database.rows_of(_AHEAD, heads):
        reservation = Reservation(number, device, seq, card_no, amount_fen, Settled(state))
        found[device, seq] = reservation
    return found
