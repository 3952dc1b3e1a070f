"""What the card centre's own systems ask about readers and cases, page by page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.dialect import Dialect
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_DEVICES = """
SELECT d.device, d.site, d.merchant_no, d.head_seq, d.is_forked,
    (SELECT COALESCE(MAX(c.number), 0) FROM access_change c WHERE c.device = d.device)
FROM device d WHERE d.device > ? ORDER BY d.device LIMIT ?"""
_INSPECTED = f"""
SELECT sealed FROM record WHERE device + 0 = ? AND kind IN (12, 13)
AND kind = {messages.INSPECTION} ORDER BY seq + 0 DESC LIMIT 1"""  # by inspection_schema.py
_CASES = """
SELECT reason, device, seq, sha256 FROM suspense_case
WHERE (reason, device, seq, sha256) > (?, ?, ?, ?)
ORDER BY reason, device, seq, sha256 LIMIT ?"""

CasePlace = tuple[int, int, int, bytes]
FIRST_CASE = (0, 0, 0, b"")


@dataclass(frozen=True, slots=True)
class Reader:
    """A registered reader; `inspection`: the fields of its last INSPECTION, if there is one."""

    device: int
    site: str
    merchant_no: int
    head_seq: int
    is_forked: bool
    door_epoch: int
    inspection: dict[str, Any] | None


def readers_behind(database: Dialect, device: int, count: int) -> Iterator[Reader]:
    """Up to `count` readers with higher numbers than `device`, in order."""
    for row in list(database.rows(_DEVICES, (device, count))):
        number, site, merchant_no, head_seq, is_forked, door_epoch = row
        facts = number, site, merchant_no, head_seq, bool(is_forked), door_epoch
        yield Reader(*facts, _inspection(database, number))


def cases_behind(database: Dialect, place: CasePlace, count: int) -> list[CasePlace]:
    """Up to `count` cases (reason, device, seq, sha256) behind that one, in order."""
    return [
        (reason, device, seq, bytes(sha256))
        for reason, device, seq, sha256 in database.rows(_CASES, (*place, count))
    ]


def _inspection(database: Dialect, device: int) -> dict[str, Any] | None:
    for (sealed,) in database.rows(_INSPECTED, (device,)):
        try:
            return messages.decode_record(seal.payload_of(sealed))
        except WireError:
            return None  # genuine, and of a newer firmware than this ledger: it has a case
    return None
