"""Doors that were forced or held open: which of their records are a case for somebody (R8.1).

Rules of this file. A door says once that it was broken open, and once that it has stood open for
too long, however long it then stands there. Either is a case. What the same door says of the same
kind within EPISODE_MS of that, in the same boot, belongs to it: for a contact that chatters
somebody is sent there once, and not hundreds of times. All of it stays on record. Times are the
door's own monotonic ones, so no wrong clock hides anything; behind a boot it is news.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ledger import reasons
from ledger.dialect import Dialect
from protocols.rules import door
from protocols.wire import messages, seal

EPISODE_MS = 600_000
# (state, event) as a DOOR record numbers them: the two by which a door calls out that it is open.
_CASES = {
    (door.STATES.index(door.FORCED), door.number("opened")): reasons.DOOR_FORCED,
    (door.STATES.index(door.HELD), door.number("left-open")): reasons.DOOR_HELD_OPEN,
}
_NEWEST = """
WITH k (what, number) AS (VALUES {keys})
SELECT what, number, sealed FROM k CROSS JOIN record WHERE device = number
AND seq = (SELECT MAX(c.seq) FROM suspense_case c WHERE c.reason = what AND c.device = number)"""

# (reason, device) -> (boot_id, mono_ms) of the record that has opened the newest case of these.
Newest = dict[tuple[int, int], tuple[int, int]]


def case_of(fields: Mapping[str, Any]) -> int | None:
    """The reason of the case that a DOOR record is, or belongs to; None: it calls nobody."""
    return _CASES.get((fields["state"], fields["event"]))


def new_case(fields: Mapping[str, Any], newest: Newest) -> int | None:
    """The reason of the case that a DOOR record opens, and `newest` knows it then; None: none."""
    reason = case_of(fields)
    if reason is None:
        return None
    key, boot_id, mono_ms = (reason, fields["device"]), fields["boot_id"], fields["mono_ms"]
    if key in newest:
        last_boot_id, began_ms = newest[key]
        if boot_id == last_boot_id and 0 <= mono_ms - began_ms < EPISODE_MS:
            return None
    newest[key] = boot_id, mono_ms
    return reason


def newest_cases(database: Dialect, keys: Iterable[tuple[int, int]]) -> Newest:
    """Of each (reason, device) of `keys` that has a case."""
    newest = {}
    for reason, device, sealed in database.rows_of(_NEWEST, keys):
        fields = messages.decode_record(seal.payload_of(bytes(sealed)))
        newest[reason, device] = fields["boot_id"], fields["mono_ms"]
    return newest
