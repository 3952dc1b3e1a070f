"""Whether a reader's chain holds: each record sealed over the one before, to the head.

Rules of this file. Reading only. Whoever changes, removes or puts in a record breaks the chain at
a link, and the first one is named. A chain is gone through in stretches, each of which begins
behind the record that the one before has ended with.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import chain
from ledger.claims import UNREADABLE_KIND
from ledger.dialect import Dialect
from ledger.loading import keys_of
from protocols.wire import messages, seal

HEAD = "head"  # the last record is not the one that the books call the newest
_DEVICE = "SELECT head_seq, head_tag FROM device WHERE device = ?"
_ROWS = """
SELECT seq, kind, sha256, sealed, key_no FROM record
WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"""
_BEFORE = "SELECT sealed FROM record WHERE device = ? AND seq = ?"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records behind `behind` up to `upto` of a reader, whose newest is `head_seq`.

    `broken`: the number of the first record that does not follow; "head": the last one is not the
    head of the books; None: every link holds.
    """

    device: int
    behind: int
    upto: int
    head_seq: int
    broken: int | str | None

    @property
    def is_whole(self) -> bool:
        """Whether this stretch ends at the head."""
        return self.broken is None and self.upto == self.head_seq


def first_break(
    keys: Sequence[bytes], rows: Iterable[tuple], link: bytes
) -> tuple[int | None, bytes, int]:
    """(number of the first record that does not follow `link`, the link then, the last number).

    `rows`: (seq, kind, sha256, sealed, key_no) in order. A key is the chain's there; a LOST record
    may be under a newer one, which it does not begin. One that is kept as another kind than it
    says breaks the chain too: whatever looks for its kind would not find it.
    """
    last = 0
    for seq, kind, sha256, sealed, key_no in rows:
        among = keys[key_no:] if kind == messages.LOST else keys[key_no : key_no + 1]
        is_named = sha256 == link
        is_itself = sha256 == hashlib.sha256(sealed).digest()
        if not is_itself or not (
            (is_named or any(chain.follows(key, sealed, link) for key in among))
            and (kind == UNREADABLE_KIND or chain.kind_of(sealed) in (kind, None))
        ):
            return seq, link, last
        link, last = chain.link_of(sealed), seq
    return None, link, last


def check(database: Dialect, device: int, behind: int, count: int) -> Stretch | None:
    """The next `count` records of a reader behind that number; None: no such reader or record."""
    heads = list(database.rows(_DEVICE, (device,)))
    if not heads:
        return None
    ((head_seq, head_tag),) = heads
    link = seal.CHAIN_START
    if behind:
        before = [bytes(sealed) for (sealed,) in database.rows(_BEFORE, (device, behind))]
        if not before:
            return None
        link = chain.link_of(before[0])
    rows = [_plain(row) for row in database.rows(_ROWS, (device, behind, count))]
    broken: int | str | None
    broken, link, last = first_break(keys_of(database, [device]).get(device, []), rows, link)
    upto = last or behind
    is_end = len(rows) < count or upto >= head_seq
    if broken is None and is_end and link != bytes(head_tag):
        broken = HEAD
    return Stretch(device, behind, upto, head_seq, broken)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)
