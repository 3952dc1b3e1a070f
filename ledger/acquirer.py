"""An acquirer: what it is asked, what it may answer, and what follows on what. Pure.

An acquirer takes payments by the codes of WeChat, Alipay and UnionPay for the card centre. Four
verbs, each safe to say again: `reserve` holds the payer's money, `confirm` makes it ours, `void`
makes it the payer's, `query` only asks. An order number of ours is one payment for all time.

What whoever speaks for an acquirer has to keep (ledger/acquirer_client.py does, and
simulator/acquirer behind it):

- the same verb on the same order again has the same answer and moves nothing more;
- once `void` is answered VOIDED, the order is never paid, not by a `reserve` that comes later, and
  not if it was never heard of before;
- CONFIRMED, VOIDED and REFUSED are last words;
- no answer is no answer: a time-out, a fault, a signature that is not theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol

from ledger import reasons
from ledger.reservations import Settled


class Word(IntEnum):
    """What an acquirer has said of an order. The numbers are stored."""

    SILENT = 0  # nothing that counts: not heard, not known there, or its payer is being asked
    RESERVED = 1
    REFUSED = 2
    CONFIRMED = 3
    VOIDED = 4


class Verb(StrEnum):
    """What can be asked of an order."""

    RESERVE = "reserve"
    QUERY = "query"
    CONFIRM = "confirm"
    VOID = "void"


class NoAnswer(Exception):
    """The acquirer has said nothing that counts; it may have done what it was asked."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `why`: its word for a refusal; `is_known`: it has heard of the order."""

    word: Word
    why: str = ""
    is_known: bool = True


class StatementLine(NamedTuple):
    """One payment that an acquirer has taken and pays out to us."""

    order_no: str
    amount_fen: int


class Acquirer(Protocol):
    """Speaks for one acquirer; may wait for it. Every method raises NoAnswer."""

    def say(self, verb: Verb, order_no: str, code: bytes, amount_fen: int) -> Said:
        """Ask it; `code` and `amount_fen` are told with RESERVE only."""
        ...

    def statement(self, day: int) -> Sequence[StatementLine]:
        """All that it took on a day (since 1970, where the school is); that day is over."""
        ...


# What an order still needs, by what its record and the acquirer have said; nothing else does.
# An order that is open and reserved waits for its reader's record, as every payment by code does.
NEXT = {
    (Settled.OPEN, Word.SILENT): Verb.QUERY,
    (Settled.SOLD, Word.RESERVED): Verb.CONFIRM,
    (Settled.VOID, Word.SILENT): Verb.VOID,
    (Settled.VOID, Word.RESERVED): Verb.VOID,
}
# Where the two say what cannot both be right, a person has to look.
CASES = {
    (Settled.SOLD, Word.VOIDED): reasons.SOLD_NOT_CHARGED,
    (Settled.VOID, Word.CONFIRMED): reasons.CHARGED_NOT_SOLD,
}
HELD = (Word.RESERVED, Word.CONFIRMED)  # the payer's money is not the payer's


def follow(word: Word, said: Word) -> Word:
    """What is known of an order once its acquirer, who had said `word`, says `said`."""
    if word is Word.SILENT:
        return said
    if word is Word.RESERVED and said is not Word.SILENT:
        # It refuses what it had reserved: by its own time-out the money is the payer's again.
        return Word.VOIDED if said is Word.REFUSED else said
    return word
