"""Who bears what an offline tap has cost: for each kind of case, where its money lies and why.

A table, so that a reader, a book-keeper and a test see all of it. A case that can hold money names
whom a correction (ledger/corrections.py) relieves, and who bears it unless two persons say
otherwise; any of the four may. A case that cannot says why not. The reason of the case is that of
the loss, by its number.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger import reasons


class Bearer(StrEnum):
    """Whose account a loss comes to. A loss has one bearer."""

    HOLDER = "holder"
    MERCHANT = "merchant"
    CARD_CENTRE = "card centre"
    DEVICE_OWNER = "device owner"


class Relieved(StrEnum):
    """Whose account is made good."""

    SUSPENSE = "suspense"  # all that this record has there
    LOSS = "the loss account"  # likewise
    PURSE = "the card's purse"
    MERCHANT = "the reader's merchant"


@dataclass(frozen=True, slots=True)
class Loss:
    """Where the money of a kind of case lies, and who bears it as a rule.

    `is_as_recorded`: no more than the amount in the record; else the evidence is elsewhere.
    `is_owed`: it is money that has no owner yet, and the "bearer" is who gets it.
    """

    relieved: Relieved
    bearer: Bearer
    why: str
    is_as_recorded: bool = True
    is_owed: bool = False


_H, _M, _C, _D = Bearer.HOLDER, Bearer.MERCHANT, Bearer.CARD_CENTRE, Bearer.DEVICE_OWNER
_PURSE, _MERCHANT = Relieved.PURSE, Relieved.MERCHANT
LOSSES = {
    reasons.FORK: Loss(_MERCHANT, _D, "what a twin has taken is not booked; keys are its owner's"),
    reasons.UNREADABLE: Loss(_MERCHANT, _C, "not booked while nobody can read it", False),
    reasons.LOST: Loss(_MERCHANT, _H, "the card was debited, and names the record", False),
    reasons.FOUND: Loss(_MERCHANT, _H, "a spend that was found again is its holder's"),
    reasons.TOLD_AFTER_ITS_END: Loss(
        _MERCHANT, _H, "a spend that came when its reader had ended is its holder's"
    ),
    reasons.CONTRADICTION: Loss(_PURSE, _M, "booked as debited; if it was not, no goods left"),
    reasons.UNKNOWN_CARD: Loss(Relieved.SUSPENSE, _C, "a card that the centre has not issued"),
    reasons.UNKNOWN_MERCHANT: Loss(
        Relieved.SUSPENSE, _M, "what was taken for nobody is its merchant's", is_owed=True
    ),
    reasons.OTHER_MERCHANT: Loss(_MERCHANT, _M, "who was paid and should not have been"),
    reasons.BAD_ARITHMETIC: Loss(_PURSE, _D, "its reader took other than it wrote"),
    reasons.TRY_OF_MONEY: Loss(_PURSE, _D, "its reader took money where none was due"),
    reasons.UNKNOWN_CREDIT: Loss(_PURSE, _C, "money on a card that nobody paid in", False),
    reasons.CREDITED_TWICE: Loss(_PURSE, _C, "one credit that came on its card twice"),
    reasons.SPENT_WHILE_LOST: Loss(
        Relieved.LOSS, _C, "after the report it is not the holder's (R14.2b)"
    ),
    reasons.LATE_SPEND: Loss(
        Relieved.LOSS, _H, "before the report it is the holder's, and was laid out (R14.2b)"
    ),
    reasons.LOADED_TOO_LATE: Loss(_PURSE, _C, "the same money on two cards"),
    reasons.SPENT_BEFORE_ITS_END: Loss(_PURSE, _H, "told after the settlement: the purse owes it"),
    reasons.UNRESERVED_SALE: Loss(_MERCHANT, _M, "sold by code without an answer"),
    reasons.SETTLED_OTHERWISE: Loss(_MERCHANT, _C, "a person had decided against the record"),
    reasons.CARD_FORKED: Loss(_PURSE, _C, "its card can be copied"),
    reasons.TOO_FAST: Loss(_PURSE, _C, "a copy of its card, or a clock"),
    reasons.ABOVE_LOAD: Loss(_PURSE, _D, "money that a reader has put on a card", False),
    reasons.IMBALANCE: Loss(_PURSE, _D, "money that a reader has put on a card or taken", False),
}
_NO_MONEY = "nothing that costs money"
_A_PERSON = "a person is sent"
_AT_ACQUIRER = "the acquirer and the payer settle it; these books have what the record says"
_ITS_SALE = "nothing moved; what the holder is owed is paid in for the card"
NO_LOSS = {
    reasons.OUTCOME_OF_NO_INTENT: "its intent is a case of its own where it was lost",
    reasons.NO_AMOUNT: "a spend of nothing",
    reasons.CARD_CAPTURED: _A_PERSON,
    reasons.CARD_FOUND: _A_PERSON,
    reasons.CANCEL_OF_NO_SALE: _ITS_SALE,
    reasons.CANCEL_DIFFERS: _ITS_SALE,
    reasons.CANCELLED_WHEN_MADE_GOOD: "who had borne the sale has it back",
    reasons.CANCELLED_TWICE: "given back once already",
    reasons.CASE_OPENED: "its merchant bears what follows, outside these books (R18.1)",
    reasons.MOVED: "its merchant bears what follows, outside these books (R18.1)",
    reasons.APPROVED_BY_NOBODY: _A_PERSON,
    reasons.SEEN_ELSEWHERE: _A_PERSON,
    reasons.OPENED_UNDER_DURESS: _A_PERSON,
    reasons.WRONG_AT_A_DOOR: _A_PERSON,
    reasons.DOOR_FORCED: _A_PERSON,
    reasons.DOOR_HELD_OPEN: _A_PERSON,
    reasons.LOCK_CELLS_LOW: _NO_MONEY,
    reasons.LOCK_CELLS_EMPTY: _NO_MONEY,
    reasons.LOCK_JAMMED: _A_PERSON,
    reasons.LOCK_CASE_OPENED: _A_PERSON,
    reasons.UNREAD_LETTER: _NO_MONEY,
    reasons.TOLD_BEHIND_ITS_MARK: "its merchant gets it with the next period",
    reasons.OF_A_TIME_TO_COME: "its merchant has it with the period that was closed",
    reasons.ENDED_UNPROVEN: "what it has taken is a case of its own once it comes",
    reasons.PAID_AFTER_ITS_END: "its merchant has it with the period that was closed",
    reasons.ENTRY_UNANSWERED: _NO_MONEY,
    reasons.ENTERED_TWICE: _NO_MONEY,
    reasons.SOLD_NOT_CHARGED: _AT_ACQUIRER,
    reasons.CHARGED_NOT_SOLD: _AT_ACQUIRER,
    reasons.CHARGED_OTHERWISE: _AT_ACQUIRER,
    reasons.STATED_TWICE: _AT_ACQUIRER,
    reasons.STATED_NO_MORE: _AT_ACQUIRER,
    reasons.UNHEARD_SALE: "nothing moved; onecard ledger settle says whose it is",
}
