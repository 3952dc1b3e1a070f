"""Readers that are in use no more: what still bars that, and what is then so (R20).

Rules of this file. A reader ends once nothing can still come of it: a record of the time behind
its department's signature, or later, is booked (its mark), and nothing waits for another one. What
it took between the mark and the moment when it was switched off is the word of who ends it. Or a
person passes over what bars, by the number of the newest record that they have seen booked, and
says why. Either way its key is dead from then on: nothing of it is booked, nobody answers it, and
its number is nobody else's. A genuine record that comes all the same is kept as a case with its
bytes (ledger/booking.py), for two persons to book what it has taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger import reasons
from ledger.certificates import note_release
from ledger.dialect import Dialect
from ledger.quiescence import Bar, bar_of, mark_below
from ledger.reservations import Settled

# Of the readers `d` of a query.
IN_USE = "NOT EXISTS (SELECT 1 FROM retirement x WHERE x.device = d.device)"
_HEAD = "SELECT head_seq, is_forked FROM device WHERE device = ?"
_RETIRED = "SELECT 1 FROM retirement WHERE device = ?"
_PARKED = "SELECT MIN(seq), COUNT(*) FROM parked WHERE device = ?"
_ASKED = f"""
SELECT seq FROM reservation WHERE device = ? AND state = {int(Settled.OPEN)}
UNION SELECT seq FROM acquirer_order WHERE device = ? AND state = {int(Settled.OPEN)}
ORDER BY seq"""
_EVERY = """
SELECT r.device, d.merchant_no, d.site, r.dossier, r.head_seq, r.since_s, r.mark_seq, r.mark_sha256
FROM retirement r JOIN device d ON d.device = r.device ORDER BY r.device"""
_END = "INSERT INTO retirement VALUES (?, ?, ?, ?, ?, ?)"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
RELEASED = "retired"  # why a reader bars no proof any more (ledger/quiescence.py)
# What bars, in words; of whole readers those of ledger/quiescence.py.
TEXTS = {
    Bar.NEVER_HEARD: "no record of it is booked",
    Bar.SILENT: "no booked record of it is surely of that time or later",
    Bar.FORKED: "two readers speak with its key",
}


@dataclass(frozen=True, slots=True)
class Retired:
    """A reader that has ended. `head_seq`: the last record that was booked of it.

    `mark_seq` of `mark_sha256` proves that it was heard since `since_s`; 0: it was passed over.
    """

    device: int
    merchant_no: int
    site: str
    dossier: int
    head_seq: int
    since_s: int
    mark_seq: int
    mark_sha256: bytes


def every(database: Dialect) -> list[Retired]:
    """All that have ended, by number."""
    return [Retired(*row) for row in database.rows(_EVERY)]


def is_retired(database: Dialect, device: int) -> bool:
    """Whether it has ended."""
    return bool(list(database.rows(_RETIRED, (device,))))


def head_of(database: Dialect, device: int) -> int:
    """The number of its newest booked record; 0: there is none."""
    return next((head_seq for head_seq, _is_forked in database.rows(_HEAD, (device,))), 0)


def bars(database: Dialect, device: int, since_s: int) -> list[str]:
    """What says that records of a reader may still come, in sentences; []: nothing does."""
    ((head_seq, is_forked),) = list(database.rows(_HEAD, (device,)))
    mark = mark_below(database, device, head_seq + 1, since_s) or (0, b"")
    whole = bar_of(head_seq, mark[0], bool(is_forked))
    found = [] if whole is None else [TEXTS[whole]]
    for seq, count in list(database.rows(_PARKED, (device,))):
        if count:
            found.append(f"{count} records wait behind a gap, from {device}/{seq} on")
    for (seq,) in list(database.rows(_ASKED, (device, device))):
        found.append(f"record {device}/{seq} decides a payment by code, and is not there")
    return found


def end(
    database: Dialect, dossier: int, device: int, since_s: int, by: tuple[str, int], proven: bool
) -> None:
    """From now on it has ended, in a transaction of the caller. `by`: (person, time_s).

    `proven`: nothing bars it, and its mark is kept; else what may be missing is a case.
    """
    person, time_s = by
    head_seq = head_of(database, device)
    mark = (0, b"")
    if proven:
        mark = mark_below(database, device, head_seq + 1, since_s) or mark
    database.many(_END, [(device, dossier, head_seq, since_s, mark[0], bytes(mark[1]))])
    note_release(database, (device, 0, head_seq), time_s, person, RELEASED)
    if not proven:
        row = reasons.ENDED_UNPROVEN, device, head_seq, b"", b""
        database.many(_CASE, [row])


def among(database: Dialect, devices: Iterable[int]) -> set[int]:
    """Those of `devices` that have ended."""
    sql = "WITH k (number) AS (VALUES {keys}) SELECT device FROM k CROSS JOIN retirement"
    keys = ((device,) for device in devices)
    return {device for (device,) in database.rows_of(f"{sql} WHERE device = number", keys)}
