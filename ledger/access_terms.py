"""Grants that end: which cards have to be taken back.

Rules of this file. It is pure. A card is in the group that its newest grant says, so of a grant
that is over only those cards leave whose newest it is; what they were in before does not come
back.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Protocol


class Grant(Protocol):
    """As far as an end needs it: ledger.access.Change."""

    @property
    def number(self) -> int: ...
    @property
    def first_no(self) -> int: ...
    @property
    def count(self) -> int: ...


def over(grants: Iterable[Grant], grant_no: int) -> Iterator[tuple[int, int]]:
    """(first card, how many) of those that are still in by grant `grant_no` of a door.

    `grants`: all of the door, in order, those into no group too.
    """
    left: set[int] = set()
    for grant in grants:
        cards = range(grant.first_no, grant.first_no + grant.count)
        if grant.number == grant_no:
            left.update(cards)
        else:
            left.difference_update(cards)
    ordered = sorted(left)
    breaks = [(before, after) for before, after in pairwise(ordered) if after > before + 1]
    starts = [*ordered[:1], *(after for _before, after in breaks)]
    ends = [*(before for before, _after in breaks), *ordered[-1:]]
    for first_no, last_no in zip(starts, ends, strict=True):
        yield first_no, last_no - first_no + 1
