"""Which readers have said that they have the newest card map, and which have not (R14.2a).

Rules of this file. Only what a reader has sealed counts: its newest INSPECTION names the epoch of
its map. So a reader that has the map and has not been inspected since is on the list too: it has
not said so yet. What agents see of readers within seconds is not sealed, and stands on their page.
"""

from dataclasses import dataclass
from typing import Any

from ledger.dialect import Dialect
from ledger.quiescence import map_epoch_of, read
from ledger.retirement import IN_USE
from protocols.wire import messages

_DEVICES = f"SELECT d.device, d.site, d.head_seq FROM device d WHERE {IN_USE} ORDER BY d.device"
# Found by the index of ledger/inspection_schema.py, hence its words.
_INSPECTED = f"""
SELECT sealed FROM record
WHERE kind IN (12, 13) AND (device + 0) = ? AND kind = {messages.INSPECTION}
ORDER BY (seq + 0) DESC LIMIT 1"""
_IS_DOOR = """
SELECT device FROM door d WHERE NOT EXISTS (SELECT 1 FROM lock l WHERE l.device = d.device)"""
_EPOCH = "SELECT COALESCE(MAX(epoch), 0) FROM card_change"
_TIME = "SELECT time_s FROM card_change WHERE epoch = ?"


@dataclass(frozen=True, slots=True)
class Behind:
    """A reader that has not said that it has the newest map.

    `epoch`: what it has said last (0: nothing), at `said_s` at the latest by its clock; `since_s`:
    when the first change was made that it has not said it has. Seconds since 1970.
    """

    device: int
    site: str
    epoch: int
    said_s: int
    since_s: int


def newest(database: Dialect) -> int:
    """The epoch of the newest map."""
    ((epoch,),) = database.rows(_EPOCH)
    return epoch


def behind(database: Dialect) -> list[Behind]:
    """The readers with a card map that have not said that theirs is the newest, by device.

    Doors keep one too, but write nothing about it: their agents and locks do.
    """
    epoch = newest(database)
    doors = {device for (device,) in database.rows(_IS_DOOR)}
    found = []
    for device, site, _head_seq in list(database.rows(_DEVICES)):
        said = _newest_inspection(database, device)
        known = map_epoch_of(said, epoch)
        if device not in doors and known < epoch:
            ((since_s,),) = database.rows(_TIME, (known + 1,))
            found.append(Behind(device, site, known, said.get("latest_s", 0), since_s))
    return found


def ahead(database: Dialect) -> list[int]:
    """The readers that have said that they have a map newer than the newest: changes are missing
    in these books, and the next ones get their numbers."""
    epoch = newest(database)
    devices = [device for device, _site, _head_seq in database.rows(_DEVICES)]
    return [
        device
        for device in devices
        if _newest_inspection(database, device).get("map_epoch", 0) > epoch
    ]


def _newest_inspection(database: Dialect, device: int) -> dict[str, Any]:
    for (sealed,) in database.rows(_INSPECTED, (device,)):
        return read(sealed) or {}
    return {}
