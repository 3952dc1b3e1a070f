"""Where in a door's journal entries of a time are: bounds of each STRETCH of its records.

Rules of this file. A question about one day must not read all that a gate has ever told. So the
least and the greatest times of the entries of each stretch of a device's records are kept, in the
transaction that books them: entries of a time are in the stretches whose bounds reach it, and how
far entries before and behind a stretch narrow its own stands in the others' bounds. So what is
found is what going through all of them finds. What was booked before there were bounds (`unread`)
is gone through once, at the first question about its door.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.claims import Claim
from ledger.dialect import Dialect, Row
from ledger.intervals import TIME_UNKNOWN_S
from protocols.wire import messages, seal

STRETCH = 512  # records
_LESS = "CASE WHEN excluded.{0} < entry_stretch.{0} THEN excluded.{0} ELSE entry_stretch.{0} END"
_MORE = "CASE WHEN excluded.{0} > entry_stretch.{0} THEN excluded.{0} ELSE entry_stretch.{0} END"
_BOUNDS = (
    ("earliest_min_s", _LESS),
    ("earliest_max_s", _MORE),
    ("latest_min_s", _LESS),
    ("latest_max_s", _MORE),
)
_KEEP = "INSERT INTO entry_stretch VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device, stretch)"
_KEEP += " DO UPDATE SET " + ", ".join(f"{name} = {how.format(name)}" for name, how in _BOUNDS)
_OF_DOOR = """
SELECT stretch, earliest_min_s, earliest_max_s, latest_min_s, latest_max_s FROM entry_stretch
WHERE device = ? ORDER BY stretch"""
_UNREAD = "SELECT upto_seq FROM entry_unread WHERE device = ?"
_IS_READ = "UPDATE entry_unread SET upto_seq = 0 WHERE device = ?"
_RECORDS = f"""
SELECT sealed FROM record
WHERE device = ? AND seq >= ? AND seq < ? AND kind = {messages.ENTRY} ORDER BY seq"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of a door, in its order: each was after `after_s` and before `before_s` (UTC)."""

    entries: list[dict[str, Any]]
    after_s: int
    before_s: int


def keep(database: Dialect, claims: Iterable[Claim]) -> None:
    """Keep the bounds of entries among booked records, in the transaction that books them."""
    found: dict[tuple[int, int], list[int]] = {}
    for claim in claims:
        if claim.kind == messages.ENTRY and claim.fields is not None:
            _widen(found, claim.device, claim.fields)
    _write(database, found)


def of_time(database: Dialect, device: int, from_s: int, to_s: int) -> Iterator[Stretch]:
    """The stretches in which entries from `from_s` up to `to_s` (UTC) may be, in order."""
    _read_before(database, device)
    bounds = list(database.rows(_OF_DOOR, (device,)))
    before_s = _least_behind([row[3] for row in bounds])
    after_s = 0
    for at, (stretch, earliest_min_s, earliest_max_s, _latest_min_s, latest_max_s) in enumerate(
        bounds
    ):
        if earliest_min_s < to_s and latest_max_s >= from_s:
            span = stretch * STRETCH, (stretch + 1) * STRETCH
            yield Stretch(list(_entries(database, device, *span)), after_s, before_s[at])
        after_s = max(after_s, earliest_max_s)


def _read_before(database: Dialect, device: int) -> None:
    """Of what was booked before there were bounds; nobody waits meanwhile to book."""
    ((upto_seq,),) = list(database.rows(_UNREAD, (device,))) or [(0,)]
    if not upto_seq:
        return
    found: dict[tuple[int, int], list[int]] = {}
    for fields in _entries(database, device, 0, upto_seq + 1):
        _widen(found, device, fields)
    with database.transaction():
        _write(database, found)
        database.many(_IS_READ, [(device,)])


def _entries(database: Dialect, device: int, first: int, end: int) -> Iterator[dict[str, Any]]:
    for (sealed,) in database.rows(_RECORDS, (device, first, end)):
        yield messages.decode_record(seal.payload_of(bytes(sealed)))


def _widen(
    found: dict[tuple[int, int], list[int]], device: int, fields: Mapping[str, Any]
) -> None:
    earliest_s, latest_s = fields["earliest_s"], fields["latest_s"]
    known = found.setdefault(
        (device, fields["seq"] // STRETCH), [earliest_s, earliest_s, latest_s, latest_s]
    )
    known[0], known[1] = min(known[0], earliest_s), max(known[1], earliest_s)
    known[2], known[3] = min(known[2], latest_s), max(known[3], latest_s)


def _write(database: Dialect, found: Mapping[tuple[int, int], list[int]]) -> None:
    rows: list[Row] = [(*key, *bounds) for key, bounds in sorted(found.items())]
    database.many(_KEEP, rows)


def _least_behind(latest_min_s: list[int]) -> list[int]:
    """For each the least of those behind it."""
    least, found = TIME_UNKNOWN_S, []
    for each in reversed(latest_min_s):
        found.append(least)
        least = min(least, each)
    return found[::-1]
