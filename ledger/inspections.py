"""Whether each merchant has inspected its readers on a day, and what was wrong (R17, R7.3).

Rules of this file. Only booked records tell: what a reader has not delivered is not known here. A
record has the interval in which it was written, and only one that lies in the day whole is proof
of that day; the order in which a reader wrote narrows it, as with punches (attendance.py). The
first INSPECTION that carries a new measurement of the battery was written by the reader itself
when that had ended, and one that says so (`by_clock`) because a day was over: they show what was
wrong and are nobody's inspection. A fault report stands until a later INSPECTION by hand finds
that reader in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ledger.dialect import Dialect
from ledger.intervals import TIME_UNKNOWN_S, narrowed
from protocols.rules import battery, reasons
from protocols.wire import messages, seal

INSPECTED, PERHAPS, MISSING = "inspected", "perhaps", "missing"
_FIRST, _CHUNK = 3, 64  # mostly the last looks are enough, so most are not even read
# Of registered merchants. Doors and locks have wardens, and what punches has no merchant's day. Of
# one that has ended since, the days before are what they were.
_READERS = """
SELECT d.device, d.site, m.merchant_no, m.name, COALESCE(r.department, '')
FROM device d JOIN merchant m ON m.merchant_no = d.merchant_no
LEFT JOIN responsible r ON r.device = d.device
WHERE NOT EXISTS (SELECT 1 FROM door o WHERE o.device = d.device)
    AND NOT EXISTS (SELECT 1 FROM punch p WHERE p.device = d.device)
    AND NOT EXISTS (SELECT 1 FROM retirement x JOIN dossier_step s ON s.dossier = x.dossier
        AND s.state_after = 'retired' WHERE x.device = d.device AND s.time_s < ?)
ORDER BY m.merchant_no, d.device"""
_BACKWARDS = """
SELECT seq, sealed FROM record WHERE device + 0 = ? AND seq + 0 < ? AND kind IN (12, 13)
ORDER BY seq + 0 DESC LIMIT ?"""  # in the words of ledger/inspection_schema.py


@dataclass(frozen=True, slots=True)
class Look:
    """An INSPECTION between two seconds (UTC), and the reasons of what was wrong.

    `is_own`: the reader wrote it by itself. `waiting` records, `battery_mv`: as they were then.
    """

    seq: int
    earliest_s: int
    latest_s: int
    wrong: tuple[int, ...]
    waiting: int
    battery_mv: int
    battery_test: bytes
    is_own: bool = False

    @property
    def is_in_order(self) -> bool:
        """A battery that was not measured for long wants a test, and is no fault."""
        return not set(self.wrong) - {reasons.BATTERY_UNTESTED}


@dataclass(frozen=True, slots=True)
class Fault:
    """A FAULT record between two seconds, the last refusal it names, and what ended it."""

    seq: int
    earliest_s: int
    latest_s: int
    last_reason: int
    end: Look | None = None


@dataclass(frozen=True, slots=True)
class ReaderDay:
    """A reader on a day. `look`: the proof; else what may have been one, or the last one before.

    `faults`: those reported on the day, and those that stood when it began.
    """

    device: int
    site: str
    merchant_no: int
    merchant: str
    department: str
    state: str
    look: Look | None
    faults: tuple[Fault, ...]


def of_day(database: Dialect, from_s: int, to_s: int) -> list[ReaderDay]:
    """Each reader that has to be inspected, on the day from `from_s` up to `to_s` (UTC, seconds).

    By merchant and device number; none that had ended by `to_s`.
    """
    found = []
    for device, site, merchant_no, name, department in list(database.rows(_READERS, (to_s,))):
        known = list(_until(database, device, from_s))
        state, look = _judge([each for each in known if isinstance(each, Look)], from_s, to_s)
        faults = tuple(
            fault
            for fault in _ended(known)
            if fault.earliest_s < to_s and (fault.end is None or fault.end.latest_s >= from_s)
        )
        found.append(ReaderDay(device, site, merchant_no, name, department, state, look, faults))
    return found


def wrong_of(fields: dict[str, Any]) -> tuple[int, ...]:
    """What an INSPECTION record says that is wrong, by protocols.rules.reasons.

    Less than the reader showed: how old its list of cards may be stands in its own policy, and
    whether its battery is worn takes what it draws, which no record has.
    """
    tested_s = int.from_bytes(fields.get("battery_test", b"")[2:], "big")
    table = (
        (not fields["free_sectors"], reasons.JOURNAL_FULL),
        (fields["reader_faults"], reasons.READER_FAULT),
        (0 < fields["battery_mv"] < battery.STOP_MV, reasons.BATTERY_EMPTY),
        (fields["latest_s"] == TIME_UNKNOWN_S, reasons.CLOCK_UNKNOWN),
        (not fields["network"], reasons.OFFLINE),
        (fields["earliest_s"] > tested_s + battery.TEST_EVERY_S, reasons.BATTERY_UNTESTED),
    )
    return tuple(reason for is_wrong, reason in table if is_wrong)


def _until(database: Dialect, device: int, from_s: int) -> Iterator[Look | Fault]:
    """What a reader has told, in its order, from where nothing before matters to the day."""
    newest_first: list[Look | Fault] = []
    for each in _backwards(database, device):
        newest_first.append(each)
        enough = [one for one in newest_first[:-1] if isinstance(one, Look)]
        # One look further back than the one that counts: its battery tells who wrote that.
        if enough and isinstance(each, Look):
            counts = _by_whom(enough[-1], each)
            if not counts.is_own and counts.is_in_order and counts.latest_s < from_s:
                break
    told = newest_first[::-1]
    before: Look | None = None
    for at, each in enumerate(told):
        if isinstance(each, Look):
            told[at] = _by_whom(each, before)
            before = each
    yield from narrowed(told)


def _backwards(database: Dialect, device: int) -> Iterator[Look | Fault]:
    below, count = TIME_UNKNOWN_S + 1, _FIRST
    while True:
        rows = list(database.rows(_BACKWARDS, (device, below, count)))
        for seq, sealed in rows:
            below = seq
            yield _told(messages.decode_record(seal.payload_of(bytes(sealed))))
        if len(rows) < count:
            return
        count = _CHUNK


def _told(fields: dict[str, Any]) -> Look | Fault:
    when = fields["seq"], fields["earliest_s"], fields["latest_s"]
    if fields["kind"] == messages.FAULT:
        return Fault(*when, fields["last_reason"])
    test, is_own = fields.get("battery_test", b""), "by_clock" in fields
    return Look(*when, wrong_of(fields), fields["waiting"], fields["battery_mv"], test, is_own)


def _by_whom(look: Look, before: Look | None) -> Look:
    test = look.battery_test
    is_of_test = bool(test) and (before is None or before.battery_test != test)
    return replace(look, is_own=look.is_own or is_of_test)


def _judge(looks: list[Look], from_s: int, to_s: int) -> tuple[str, Look | None]:
    by_hand = [look for look in looks if not look.is_own]
    for look in by_hand:
        if from_s <= look.earliest_s and look.latest_s < to_s:
            return INSPECTED, look
    for look in by_hand:
        if look.earliest_s < to_s and look.latest_s >= from_s:
            return PERHAPS, look
    before = [look for look in by_hand if look.latest_s < from_s]
    return MISSING, before[-1] if before else None


def _ended(told: list[Look | Fault]) -> Iterator[Fault]:
    for at, each in enumerate(told):
        if isinstance(each, Fault):
            later = (one for one in told[at:] if isinstance(one, Look) and not one.is_own)
            yield replace(each, end=next((one for one in later if one.is_in_order), None))
