"""Quiescence: can there be a spend of a card that no reader has told of? A proof, or who bars it.

Rules of this file. Reading only. A reader's records are sealed and follow each
other, and the books have all of them up to its head. So a record that was surely written at T or
later is the reader's signed high-water mark: what it took before T stands below it, and is booked.
A record that says which card map the reader has is a mark too: with the loss in its map it takes
that card no more. Every reader of the register but doors must have given its mark.

Where a record is in the books but cannot be read (LOST, or of a later firmware), it may be the
very spend, unless a mark lies below it, another card names it, or the card's own later taps name
all of its debits back to its first. Unfinished intents of the card are in the books, but not what
became of them: they bar the proof.

What it rests on: readers whose keys nobody else has, and clocks that are right within the interval
that they state. What a person has released (a reader that was scrapped, a record that somebody has
looked into) is named in the certificate with that person.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ledger import reasons
from ledger.card_status import Cards
from ledger.dialect import Dialect
from ledger.evidence import State
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import LOST
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_CHUNK = 64
# Further back than this no mark is looked for: the reader counts as silent.
_LOOKED_AT_MAX = 4096
HEADS = """
SELECT device, site, head_seq, is_forked FROM device d
WHERE NOT EXISTS (SELECT 1 FROM door o WHERE o.device = d.device) ORDER BY device"""
_BELOW = """
SELECT seq, sha256, sealed FROM record WHERE device = ? AND seq < ? ORDER BY seq DESC LIMIT ?"""
_BEHIND = "SELECT sealed FROM record WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"
# Found by the index of ledger/inspection_schema.py, hence its words.
_INSPECTED = f"""
SELECT seq, sealed FROM record
WHERE kind IN (12, 13) AND (device + 0) = ? AND (seq + 0) < ? AND kind = {messages.INSPECTION}
ORDER BY (seq + 0) DESC LIMIT 1"""
OPAQUE = f"""
SELECT device, seq FROM suspense_case WHERE reason IN ({reasons.LOST}, {reasons.UNREADABLE})
ORDER BY device, seq"""
KEPT = f"""
SELECT reason, device, seq, sealed FROM suspense_case
WHERE reason IN ({reasons.FOUND}, {reasons.FORK}, {reasons.TOLD_AFTER_ITS_END})
ORDER BY device, seq, reason"""
# No index has it: one walk through all taps, for few records at a time.
_NAMED = """
WITH k (place, wanted) AS (VALUES {keys})
SELECT last_device, last_seq, card_no FROM intent CROSS JOIN k
WHERE last_device = place AND last_seq = wanted"""
_TAPS = """
SELECT device, seq, counter, last_device, last_seq, credit_no, amount_fen, earliest_s, state
FROM intent
WHERE card_no = ? ORDER BY counter, device, seq"""
_RECORD = "SELECT sha256, sealed FROM record WHERE device = ? AND seq = ?"
_RELEASES = """
SELECT device, seq, head_seq, time_s, person, because FROM reader_release ORDER BY number"""
_LOSS = f"""
SELECT epoch, time_s FROM card_change WHERE card_no = ? AND status = {LOST}
ORDER BY epoch DESC LIMIT 1"""
_BASIS = "INSERT INTO carry_basis VALUES (?, ?, ?)"

RecordId = tuple[int, int]


class QuiescenceRefused(Exception):
    """A question or a release that cannot be; nothing was changed, and the text says why."""


class Bar(StrEnum):
    """What keeps the proof from being given."""

    NEVER_HEARD = "never heard"
    SILENT = "silent"
    FORKED = "forked"
    UNREADABLE = "unreadable"
    UNFINISHED = "unfinished"
    NAMED = "named"
    NOT_BOOKED = "not booked"


# What it is, and what ends it.
TEXTS = {
    Bar.NEVER_HEARD: (
        "no record of it is booked",
        "any record of it with a known time; or release it, if it was never in use",
    ),
    Bar.SILENT: (
        "no booked record of it is surely of that time or later",
        "bring it online and inspect it; or release it, if it is gone",
    ),
    Bar.FORKED: (
        "two readers speak with its key",
        "find the twin; then release it",
    ),
    Bar.UNREADABLE: (
        "this record cannot be read and may be a spend",
        "the record itself, or release it when somebody has looked at its merchant's papers",
    ),
    Bar.UNFINISHED: (
        "nobody knows whether this intent has debited the card",
        "its OUTCOME, or a tap of the card anywhere; or release it",
    ),
    Bar.NAMED: (
        "the card names this record as its last debit, and it is not in the books as a spend",
        "the record itself; or release it when it was booked by hand",
    ),
    Bar.NOT_BOOKED: (
        "a genuine spend of the card lies among the cases and is not booked",
        "book it by hand, then release it",
    ),
}


@dataclass(frozen=True, slots=True)
class Blocking:
    """Record (device, seq), or the whole reader where `seq` is 0, bars the proof."""

    bar: Bar
    device: int
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reader has said under its seal, as far as it counts here.

    `seq` and `sha256` of its mark by time (0 and b"": none), `head_seq` what is booked of it;
    `map_epoch` and `map_seq`: the newest card map that it has said it has, and where (0: none).
    """

    device: int
    site: str
    head_seq: int
    seq: int
    sha256: bytes
    map_epoch: int
    map_seq: int


@dataclass(frozen=True, slots=True)
class Known:
    """What was found for one card and holds for the next one, asked shortly after.

    `marks` of readers by time; `named`: which cards name a record that nobody can read.
    """

    marks: dict[int, list[Mark]] = field(default_factory=dict)
    named: dict[RecordId, set[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """A person's word: nothing comes of a reader whose head is `head_seq`, or of one record."""

    device: int
    seq: int
    head_seq: int
    time_s: int
    person: str
    because: str


@dataclass(frozen=True, slots=True)
class Quiescence:
    """What is proven for a card: no spend of before `before_s` is missing unless `blocking`.

    `loss_epoch`: the change of the card map with its loss, 0 if it is not lost. `unaware`: the
    readers that have not said that they have it; with none of them, and none blocking, no spend
    that a reader took before it knew of the loss is missing either.
    """

    card_no: int
    before_s: int
    loss_epoch: int
    marks: tuple[Mark, ...]
    released: tuple[Release, ...]
    blocking: tuple[Blocking, ...]
    unaware: tuple[int, ...]


def examine(
    database: Dialect,
    card_no: int,
    before_s: int | None = None,
    known: Known | None = None,
) -> Quiescence:
    """What is proven for a card, by the books alone; before the report of its loss, if not said.

    `known`: of questions shortly before this one; it is added to. Raises QuiescenceRefused for a
    card that was never lost, if nothing else is said.
    """
    loss_epoch, lost_s = next(iter(database.rows(_LOSS, (card_no,))), (0, None))
    if before_s is None:
        before_s = lost_s
    if before_s is None:
        raise QuiescenceRefused(f"card {card_no} was never reported lost: before when?")
    return _Examiner(database, card_no, before_s, loss_epoch, known or Known()).examine()


def statement(found: Quiescence) -> bytes:
    """The same as canonical JSON: equal findings have equal bytes. Hashes in hexadecimal."""
    fields = asdict(found)
    for mark in fields["marks"]:
        mark["sha256"] = mark["sha256"].hex()
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def note_basis(database: Dialect, old_card: int, lost_s: int, numbers: Iterable[int]) -> None:
    """Keep with carry-overs (loads) of a card what they rest on, in their transaction."""
    found = examine(database, old_card, lost_s)
    digest = hashlib.sha256(statement(found)).digest()
    database.many(_BASIS, [(number, int(not found.blocking), digest) for number in numbers])


def marks_time(fields: dict[str, Any] | None, before_s: int) -> bool:
    """Whether a record was surely written at `before_s` or later, so that it is a mark."""
    return (
        fields is not None and fields["kind"] != messages.LOST and fields["earliest_s"] >= before_s
    )


def mark_below(
    database: Dialect, device: int, below: int, before_s: int
) -> tuple[int, bytes] | None:
    """(seq, sha256) of a reader's newest mark by time below a number; None: there is none."""
    looked_at = 0
    while below > 1 and looked_at < _LOOKED_AT_MAX:
        for seq, sha256, sealed in list(database.rows(_BELOW, (device, below, _CHUNK))):
            below, looked_at = seq, looked_at + 1
            fields = read(sealed)
            if marks_time(fields, before_s):
                return seq, sha256
            if is_before(fields, before_s):
                return None  # so was everything below it
    return None


def bar_of(head_seq: int, mark_seq: int, is_forked: bool) -> Bar | None:
    """What a whole reader bars a proof by; None: nothing."""
    if is_forked:
        return Bar.FORKED
    if not head_seq:
        return Bar.NEVER_HEARD
    return None if mark_seq else Bar.SILENT


def releases_in(database: Dialect, head_of: Mapping[int, int]) -> dict[RecordId, Release]:
    """What persons have released; of a whole reader as long as it has said nothing since."""
    releases = [Release(*row) for row in database.rows(_RELEASES)]
    return {
        (one.device, one.seq): one
        for one in releases
        if one.seq or head_of.get(one.device) == one.head_seq
    }


def read(sealed: bytes) -> dict[str, Any] | None:
    """The fields of a record that stands in the books; None if this program cannot read it."""
    try:
        return messages.decode_record(seal.payload_of(sealed))
    except WireError:
        return None


def fields_of(database: Dialect, device: int, seq: int) -> dict[str, Any] | None:
    """Those of a record of the books; None if it is not there, or cannot be read."""
    for _sha256, sealed in database.rows(_RECORD, (device, seq)):
        return read(sealed)
    return None


def is_before(fields: dict[str, Any] | None, before_s: int) -> bool:
    """Whether a record was surely written before `before_s`."""
    return fields is not None and fields["latest_s"] < before_s


def map_epoch_of(fields: dict[str, Any] | None, newest: int) -> int:
    """The card map that an INSPECTION says its reader has; 0: none of these books.

    One above their `newest` is of books that were lost: a restored ledger gives its number again.
    """
    epoch = (fields or {}).get("map_epoch", 0)
    return epoch if epoch <= newest else 0


@dataclass(frozen=True, slots=True)
class _Tap:
    """An intent of the card: what it showed, and what it leaves on it."""

    device: int
    seq: int
    counter: int
    last: RecordId
    mark: RecordId
    earliest_s: int
    is_open: bool


class _Examiner:
    def __init__(
        self, database: Dialect, card_no: int, before_s: int, loss_epoch: int, known: Known
    ) -> None:
        self._database = database
        self._known = known
        self._card_no = card_no
        self._before_s = before_s
        self._loss_epoch = loss_epoch
        self._epoch = Cards(database).epoch()
        self._heads = list(database.rows(HEADS))
        self._taps = [_tap(row) for row in database.rows(_TAPS, (card_no,))]
        self._releases = releases_in(
            database, {device: head_seq for device, _site, head_seq, _is_forked in self._heads}
        )

    def examine(self) -> Quiescence:
        marks = self._known.marks.get(self._before_s)
        if marks is None or len(marks) != len(self._heads):
            marks = [self._mark(*row[:3]) for row in self._heads]
            self._known.marks[self._before_s] = marks
        hidden = self._hidden()
        found = [*self._readers(marks), *self._of_card(), *self._not_booked()]
        found += [
            Blocking(Bar.UNREADABLE, *place) for place in hidden if not self._mark_below(*place)
        ]
        used = {(one.device, one.seq) for one in found} & set(self._releases)
        released = [self._releases[key] for key in sorted(used)]
        blocking = [one for one in found if (one.device, one.seq) not in used]
        # One that could not be read may also be a spend of before its reader knew of the loss.
        doubtful = {place[0] for place in hidden if self._map_below(*place)[1] < self._loss_epoch}
        unaware = [
            mark.device
            for mark in marks
            if mark.map_epoch < self._loss_epoch or mark.device in doubtful
            if (mark.device, 0) not in self._releases
        ]
        return Quiescence(
            self._card_no,
            self._before_s,
            self._loss_epoch,
            tuple(marks),
            tuple(released),
            tuple(sorted(set(blocking), key=lambda one: (one.device, one.seq, one.bar))),
            tuple(unaware) if self._loss_epoch else (),
        )

    # --- readers -------------------------------------------------------------------------------

    def _mark(self, device: int, site: str, head_seq: int) -> Mark:
        seq, sha256 = self._mark_below(device, head_seq + 1) or (0, b"")
        map_seq, map_epoch = self._map_below(device, head_seq + 1)
        return Mark(device, site, head_seq, seq, sha256, map_epoch, map_seq)

    def _map_below(self, device: int, below: int) -> tuple[int, int]:
        """(seq, epoch) of the newest record below a number that says which card map there is."""
        for seq, sealed in list(self._database.rows(_INSPECTED, (device, below))):
            return seq, map_epoch_of(read(sealed), self._epoch)
        return 0, 0

    def _mark_below(self, device: int, below: int) -> tuple[int, bytes] | None:
        return mark_below(self._database, device, below, self._before_s)

    def _readers(self, marks: list[Mark]) -> Iterator[Blocking]:
        forked = {device for device, _site, _head, is_forked in self._heads if is_forked}
        for mark in marks:
            bar = bar_of(mark.head_seq, mark.seq, mark.device in forked)
            if bar is not None:
                yield Blocking(bar, mark.device)

    # --- records that nobody can read ----------------------------------------------------------

    def _hidden(self) -> list[RecordId]:
        """Those that may be a debit of the card, and are not below both marks of their reader."""
        spenders = {row[0] for row in self._heads}
        kept = self._database.rows(KEPT)
        found = {
            (device, seq)
            for reason, device, seq, sealed in kept
            if reason == reasons.FOUND and read(sealed) is not None
        }
        opaque = [
            place
            for place in self._database.rows(OPAQUE)
            if place[0] in spenders
            and place not in found
            and not self._is_of_later(*place)
            and not self._is_known_now(*place)
            and not self._has_passed(*place)
        ]
        named = self._named(opaque)
        return [place for place in opaque if not named[place] - {self._card_no}]

    def _named(self, places: Iterable[RecordId]) -> dict[RecordId, set[int]]:
        """Which cards name each of these records as their last one."""
        named = self._known.named
        new = {place: set[int]() for place in places if place not in named}
        for device, seq, card_no in self._database.rows_of(_NAMED, new):
            new[device, seq].add(card_no)
        named |= new
        return named

    def _is_of_later(self, device: int, seq: int) -> bool:
        knows = self._map_below(device, seq)[1] >= self._loss_epoch
        return knows and self._mark_below(device, seq) is not None

    def _not_booked(self) -> Iterator[Blocking]:
        for _reason, device, seq, sealed in self._database.rows(KEPT):
            if self._is_spend(read(sealed)):
                yield Blocking(Bar.NOT_BOOKED, device, seq)

    def _is_known_now(self, device: int, seq: int) -> bool:
        """A record of a later firmware, which this program has learnt to read: no spend of it."""
        fields = fields_of(self._database, device, seq)
        return (
            fields is not None and fields["kind"] != messages.LOST and not self._is_spend(fields)
        )

    def _is_spend(self, fields: dict[str, Any] | None) -> bool:
        return (
            fields is not None
            and fields["kind"] == messages.INTENT
            and fields["card_no"] == self._card_no
            and fields["amount_fen"] > 0
        )

    def _has_passed(self, device: int, seq: int) -> bool:
        """Whether a tap of the card, surely later, names all debits before it, to the first."""
        latest_s = None
        for (sealed,) in self._database.rows(_BEHIND, (device, seq, _CHUNK)):
            fields = read(sealed)
            if fields is not None and fields["kind"] != messages.LOST:
                latest_s = fields["latest_s"]
                break
        left = {(tap.mark, tap.counter): tap for tap in self._taps}
        for tap in self._taps:
            is_later = tap.device == device and tap.seq > seq
            is_later |= latest_s is not None and tap.earliest_s >= latest_s
            if is_later and _leads_to_first(tap, left):
                return True
        return False

    # --- the card ------------------------------------------------------------------------------

    def _of_card(self) -> Iterator[Blocking]:
        places = {(tap.device, tap.seq) for tap in self._taps}
        for tap in self._taps:
            if tap.is_open and tap.earliest_s < self._before_s:
                yield Blocking(Bar.UNFINISHED, tap.device, tap.seq)
            last = tap.last
            if last[0] not in (0, CARD_CENTRE) and last not in places:
                fields = fields_of(self._database, *last)
                if fields is None or fields["kind"] == messages.LOST:
                    yield Blocking(Bar.NAMED, *last)


def _leads_to_first(tap: _Tap, left: dict[tuple[RecordId, int], _Tap]) -> bool:
    """Whether the names go back, tap by tap, to one that found the card knowing of none.

    The tries of one credit all leave the same mark: the one that is on the card was made at the
    counter before. At another one it came off, and debits may lie between.
    """
    while tap.last != (0, 0):
        before = left.get((tap.last, tap.counter - 1))
        if before is None:
            return False
        tap = before
    return True


def _tap(row: tuple[Any, ...]) -> _Tap:
    device, seq, counter, last_device, last_seq, credit_no, amount_fen, earliest_s, state = row
    mark = (CARD_CENTRE, credit_no) if credit_no else (device, seq)
    is_open = not credit_no and amount_fen > 0 and state < State.NOT_COMMITTED
    return _Tap(device, seq, counter, (last_device, last_seq), mark, earliest_s, is_open)
