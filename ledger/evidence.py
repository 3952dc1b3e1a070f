"""What became of a spend or a credit: a pure rule over everything that is known about it.

Rules of this file. Records of different readers arrive in any order, so a verdict may depend only
on which records there are, never on which came first. Everything known about an intent is a
statement PENDING < UNKNOWN < NOT_COMMITTED < COMMITTED, and the verdict is the highest of them. It
can only rise: "not committed" moves no money and may turn into "committed" when a later record
shows the debit; the reverse would need money to be taken back, so a contradiction stays booked and
opens a case instead.

A credit from the card centre takes the card from counter c to c + 1 like a debit, and leaves its
number there instead of a record id. It may be tried more than once, by several readers too, so its
CREDIT records speak of the credit and not of one try: none of them states that it is not there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages


class State(IntEnum):
    """What is known of an intent. The numbers are stored, and their order is the rule."""

    PENDING = 0
    UNKNOWN = 1
    NOT_COMMITTED = 2
    COMMITTED = 3


# By name, for whoever asks of each record: to find a member in its class takes longer than to
# compare it.
STATES = PENDING, UNKNOWN, NOT_COMMITTED, COMMITTED = tuple(State)

# What the result of an OUTCOME states.
OF_RESULT = {
    messages.COMMITTED: COMMITTED,
    messages.NOT_COMMITTED: NOT_COMMITTED,
    messages.UNKNOWN: UNKNOWN,
}


@dataclass(slots=True)
class Intent:
    """An INTENT or CREDIT in the books: what the card showed before it, and what is known.

    `credit_no` is the number of the credit, 0 of a debit; a credit has no merchant. `is_stored`:
    it stands in the database, and what is learned of it is a change there.
    """

    device: int
    seq: int
    card_no: int
    counter: int
    amount_fen: int
    merchant_no: int
    last_device: int
    last_seq: int
    earliest_s: int
    latest_s: int
    state: State = PENDING
    credit_no: int = 0
    is_stored: bool = False

    @property
    def record_id(self) -> tuple[int, int]:
        return self.device, self.seq

    @property
    def mark(self) -> tuple[int, int]:
        """What it leaves on the card as the last record."""
        return (CARD_CENTRE, self.credit_no) if self.credit_no else self.record_id

    @property
    def last(self) -> tuple[int, int]:
        """The record the card took part in before this one; (0, 0) if it knows of none."""
        return self.last_device, self.last_seq


def stated_by_outcome(about: Intent, result: int) -> State:
    """What an OUTCOME with `result` states about `about`."""
    if about.credit_no and result == messages.NOT_COMMITTED:
        return UNKNOWN  # not by this try
    return OF_RESULT[result]


def stated_by(other: Intent, about: Intent) -> State:
    """What `other`, an intent of the same card, states about the intent `about`.

    A debit or credit takes the card from counter c to c + 1 and leaves its mark on it; so does a
    counted PIN try, an INTENT of nothing, and all of this holds for it. `about` saw the card at c:

    | `other` saw the card at | and                                     | so `about` is |
    |-------------------------|-----------------------------------------|---------------|
    | c + 1                   | the card's last record is its mark      | COMMITTED     |
    | c + 1                   | its last record is another              | NOT_COMMITTED |
    | c + 1                   | it knows of none (new, or reset card)   | no statement  |
    | c                       | the same credit, tried again            | as `other`    |
    | c                       | later at the same reader: by sequence;  |               |
    |                         | and `about` is a debit                  | NOT_COMMITTED |
    | c                       | `other` is itself COMMITTED: only one   |               |
    |                         | step leads away from c                  | NOT_COMMITTED |
    | c                       | neither                                 | no statement  |
    | c + 2                   | the card's last record is `about`, a    |               |
    |                         | debit: the card centre gave PIN tries   |               |
    |                         | back between. (A credit may have been   |               |
    |                         | tried again at c + 1.)                  | COMMITTED     |
    | more than c + 1         | the chain of steps passes c + 1: the    |               |
    |                         | intent there decides when it arrives    | no statement  |
    | less than c             | seen before, or a clone                 | no statement  |

    To give tries back is a step of the counter that leaves the name of the last record as it was,
    and no two of them follow each other: without a try between there is nothing to give back.

    ledger/loading.py asks the database only for those that by this table have something to say or
    to hear: who changes one of the two changes both.

    "No statement" is PENDING, which changes nothing. No clock is asked: that of a reader may be
    hours off, and what two readers saw in which order the card's counter tells soon enough.
    """
    if other.counter == about.counter + 1:
        if other.last == about.mark:
            return COMMITTED
        return PENDING if other.last == (0, 0) else NOT_COMMITTED
    if other.counter == about.counter + 2 and other.last == about.record_id:
        return COMMITTED
    if other.counter != about.counter:
        return PENDING
    if other.mark == about.mark:
        return COMMITTED if other.state is COMMITTED else PENDING
    is_later = other.device == about.device and other.seq > about.seq and not about.credit_no
    if other.state is COMMITTED or is_later:
        return NOT_COMMITTED
    return PENDING


def verdict(statements: Iterable[State]) -> State:
    """What holds when all of `statements` were made, in whatever order."""
    return max(statements, default=State.PENDING)


def is_contradiction(known: State, stated: State) -> bool:
    """Whether one of the two says debited and the other says not."""
    if known is COMMITTED:
        return stated is NOT_COMMITTED
    return known is NOT_COMMITTED and stated is COMMITTED
