"""Runs: what one reader wrote, record behind record under one key, booked as one piece.

Nearly all that a portion brings are straight pieces of readers' chains, delivered once or more.
A process beside the ledger (ledger/read_ahead.py) finds them: `run_of` checks each seal over the
tag before it. What the first record follows it cannot know. So booking looks whether a run goes on
where the books end, under a key that the books have (`goes_on`). Where it does not, its records
are read and checked one by one, like all others (ledger/loading.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Any

from ledger import chain
from ledger.chain import Link, SealKey
from ledger.claims import SIGHTING_NUMBERS, Claim, RecordRow
from protocols.wire import messages, seal

_SEQ = attrgetter("seq")
# Of a claim behind its bytes and their hash, which stand in the row of its record.
_REST = attrgetter("device", "seq", "kind", "numbers", "named", "code", "link")
_AMOUNT, _TRY = 4, messages.FLAG_TRY
_Sighting = tuple[int, int, int, int, int, int, int, int, int, int]
Spend = tuple[_Sighting, int]


@dataclass(frozen=True, slots=True)
class Run:
    """Two records or more of a reader, numbered without a gap, and none of them LOST.

    `rows` are those of the table. `spends` are the INTENTs that need no second look, each with the
    result of the OUTCOME behind it: (the first SIGHTING_NUMBERS of its numbers, result). `others`
    are the claims of all other records, in their order. `again`: of each repeat its row's place.
    From the second record on the seals hold under `key`, the reader's with the number `key_no`.
    """

    device: int
    key_no: int
    again: list[int]
    rows: list[RecordRow]
    spends: list[Spend]
    others: list[Claim]
    key: bytes = field(repr=False)  # never in a log

    @property
    def first_seq(self) -> int:
        return self.rows[0][1]

    @property
    def last_seq(self) -> int:
        return self.rows[-1][1]

    @property
    def told(self) -> Sequence[Spend | Claim]:
        """Its spends and others in the order of the chain: a later one may need an earlier one."""
        if not self.others:
            return self.spends
        return sorted((*self.spends, *self.others), key=_place)

    @property
    def head(self) -> Link:
        """What the record behind it must follow."""
        return Link(seal.tag_of(self.rows[-1][4]), self.key_no)

    @property
    def delivered(self) -> list[bytes]:
        """All that came of it, sealed as it was."""
        return [row[4] for row in (*self.rows, *(self.rows[at] for at in self.again))]

    def goes_on(self, head_seq: int, head: Link, keys: Sequence[bytes]) -> bool:
        """Whether its first record is the one behind the head of a reader with these keys.

        The books may have come back from a backup, under a ledger that goes on: what they have at
        `key_no` must be what the seals were checked under.
        """
        first = self.rows[0][4]
        return (
            self.first_seq == head_seq + 1
            and head.key_no <= self.key_no < len(keys)
            and keys[self.key_no] == self.key
            and chain.is_sealed(self.key, seal.payload_of(first), first, head.tag)
        )


def _place(one: Spend | Claim) -> int:
    return one.seq if isinstance(one, Claim) else one[0][1]


def run_of(claims: Sequence[Claim], keys: Sequence[SealKey]) -> tuple[Any, ...] | None:
    """What `run_from` makes a Run of, if the claims of one reader are one; else None.

    `keys`: those that are known to be the reader's, oldest first.
    """
    straight: list[Claim] = []
    again: list[int] = []
    for claim in sorted(claims, key=_SEQ):
        if straight:
            before = straight[-1]
            if claim.sha256 == before.sha256:
                again.append(len(straight) - 1)
                continue
            if claim.seq != before.seq + 1:
                return None
        if not claim.link or claim.kind == messages.LOST:
            return None
        straight.append(claim)
    if len(straight) < 2:
        return None
    for key_no, key in enumerate(keys):
        if all(key.holds(after.sealed, before.link) for before, after in pairwise(straight)):
            return _words(straight, key_no, again)
    return None


def _words(claims: list[Claim], key_no: int, again: list[int]) -> tuple[Any, ...]:
    rows = [(c.device, c.seq, c.kind, c.sha256, c.sealed, key_no) for c in claims]
    spends: list[Spend] = []
    others: list[tuple[Any, ...]] = []
    at = 0
    while at < len(claims):
        claim = claims[at]
        behind = claims[at + 1] if at + 1 < len(claims) else None
        result = _result(claim, behind)
        if result is None:
            others.append((at, *_REST(claim)))
            at += 1
        else:
            spends.append((claim.numbers[:SIGHTING_NUMBERS], result))
            at += 2
    return claims[0].device, key_no, again, rows, spends, others


def _result(claim: Claim, behind: Claim | None) -> int | None:
    """That of the OUTCOME `behind`, if `claim` is an INTENT whose other numbers say nothing more.

    What they could say is asked in Effects._book_intent (ledger/effects.py).
    """
    if behind is None or (claim.kind, behind.kind) != (messages.INTENT, messages.OUTCOME):
        return None
    intent_device, intent_seq, result = behind.numbers
    before_fen, after_fen, flags = claim.numbers[SIGHTING_NUMBERS:]
    amount_fen = claim.numbers[_AMOUNT]
    is_plain = amount_fen and before_fen - amount_fen == after_fen and not flags & _TRY
    is_of_it = (intent_device, intent_seq) == (claim.device, claim.seq)
    return result if is_plain and is_of_it else None


def run_from(words: tuple[Any, ...], keys: Sequence[bytes]) -> Run:
    """The Run that `run_of` has found; `keys` are those it was given."""
    device, key_no, again, rows, spends, others = words
    claims = [Claim(rows[at][4], rows[at][3], *rest) for at, *rest in others]
    return Run(device, key_no, again, rows, spends, claims, keys[key_no])
