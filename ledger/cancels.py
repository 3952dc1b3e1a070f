"""Cancelled sales: what the merchant got goes back to what waits for the card, once.

A reader says CANCEL of a sale of its own while that sale's card lies there; it cannot put money on
a card. So the money becomes a load (ledger/loads.py), which comes on the card as any other.

Rules of this file. The books believe a CANCEL as far as they know its sale: the INTENT of the same
reader and its merchant, that card, all of that amount. The money moves as soon as the sale is
committed, which mostly it is before; until then the CANCEL waits, and no time ends that. A second
CANCEL of a sale gives nothing. What two persons have made good of it before goes on at once to who
had borne it, and only the rest waits (ledger/made_good.py). The number of the credit follows from
the sale, so that whoever books the same records has the same numbers, in whatever order they came;
those of top-ups are counted from 1 and stay below.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ledger import chart, reasons
from ledger.evidence import Intent
from ledger.loads import Load
from ledger.transfers import CANCEL, CANCEL_LINE, MADE_GOOD_LINE, RECOVER, Transfer
from protocols.card.purse import AMOUNT_FEN_MAX

NUMBER_MIN = 1 << 31
# Two sales may want one number: each has some more to choose from.
_CHOICE = 8


@dataclass(frozen=True, slots=True)
class Cancel:
    """Record (device, seq) cancels the sale (device, intent_seq); its credit has this number."""

    device: int
    seq: int
    intent_seq: int
    number: int

    @property
    def intent_id(self) -> tuple[int, int]:
        return self.device, self.intent_seq

    def load_of(self, intent: Intent, made_good_fen: int = 0) -> Load:
        """What waits for the card, once the sale is committed, less what was made good of it."""
        return Load(self.number, intent.card_no, intent.amount_fen - made_good_fen)


def fault_of(fields: dict[str, Any], intent: Intent | None, merchant_no: int) -> int:
    """0, or the reason why a CANCEL (its fields) does not fit `intent`, which it names.

    `intent` is None if no INTENT stands there; `merchant_no` is that of the CANCEL's reader.
    """
    if intent is None or intent.credit_no or intent.device != fields["device"]:
        return reasons.CANCEL_OF_NO_SALE
    if not 0 < intent.amount_fen <= AMOUNT_FEN_MAX:
        return reasons.CANCEL_OF_NO_SALE  # a PIN try, or more than a card can hold
    said = fields["card_no"], fields["amount_fen"], merchant_no
    if said != (intent.card_no, intent.amount_fen, intent.merchant_no):
        return reasons.CANCEL_DIFFERS
    return 0


def numbers_of(device: int, intent_seq: int) -> list[int]:
    """The credit numbers that the cancellation of a sale may have; the first free one counts."""
    sale = device.to_bytes(4, "big") + intent_seq.to_bytes(4, "big")
    digest = hashlib.sha256(b"onecard/v1/cancel" + sale).digest()
    words = (digest[at : at + 4] for at in range(0, 4 * _CHOICE, 4))
    return [NUMBER_MIN | int.from_bytes(word, "big") for word in words]


def free_number(device: int, intent_seq: int, taken: Iterable[int]) -> int:
    """The credit number for a cancellation; `taken` are those that cancellations have."""
    taken = set(taken)
    return next(number for number in numbers_of(device, intent_seq) if number not in taken)


def given_back(intent: Intent, accounts: set[int]) -> Transfer:
    """What moves: the way back of the sale, to what waits for the card; over suspense as there."""
    payable, pending = chart.payable(intent.merchant_no), chart.pending(intent.card_no)
    if payable not in accounts:
        payable = chart.suspense(reasons.UNKNOWN_MERCHANT)
    if chart.purse(intent.card_no) not in accounts:
        pending = chart.suspense(reasons.UNKNOWN_CARD)
    return Transfer(
        intent.device, intent.seq, CANCEL_LINE, CANCEL, payable, pending, intent.amount_fen
    )


def recovered(back: Transfer, bearer: int, amount_fen: int) -> Transfer:
    """What goes on at once of `back`, to the account that had made the sale good before."""
    what = MADE_GOOD_LINE, RECOVER, back.credit_account, bearer, amount_fen
    return Transfer(back.device, back.seq, *what)
