"""How each reader stands by what it has said last: when it was heard, its queue, map, clock.

Rules of this file. Reading only, and one statement for all readers: their newest INSPECTION and
BOOT by the indexes of inspection_schema.py and policy_schema.py (hence its words), and
the newest record. What a reader has not delivered is not known here; what agents see of readers
within seconds stands on their own page (ADR 56).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ledger.dialect import Dialect
from ledger.intervals import TIME_UNKNOWN_S
from ledger.quiescence import read
from ledger.retirement import IN_USE
from protocols.wire import messages

# A reader inspects itself once a day: one that was not heard for this long is not there.
HEARD_S = 26 * 3_600
QUEUE_S = 3_600  # a queue as old as that is told
MAP_S = 86_400
CLOCK_S = 120
_READERS = f"""
SELECT d.device, d.site,
    (SELECT r.sealed FROM record r WHERE r.device = d.device AND r.seq = d.head_seq),
    (SELECT r.sealed FROM record r WHERE r.kind IN (12, 13) AND (r.device + 0) = (d.device + 0)
        AND r.kind = {messages.INSPECTION} ORDER BY (r.seq + 0) DESC LIMIT 1),
    (SELECT r.sealed FROM record r WHERE r.kind = 1 AND (r.device + 0) = (d.device + 0)
        ORDER BY (r.seq + 0) DESC LIMIT 1)
FROM device d WHERE {IN_USE} AND NOT EXISTS (SELECT 1 FROM lock l WHERE l.device = d.device)
ORDER BY d.device"""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """What is known of one reader. Times are seconds since 1970 by its own clock, 0: not known.

    `waiting`: records without a receipt at its last inspection, the oldest of them for `queue_s`
    at most. `map_epoch`, `map_made_s`: of its card map; `clock_width_s`: how far its clock may be
    off; `firmware`: its version. None: it has never said.
    """

    device: int
    site: str
    heard_s: int
    is_online: bool | None
    waiting: int | None
    queue_s: int
    map_epoch: int | None
    map_made_s: int
    clock_width_s: int | None
    firmware: int | None

    def is_heard(self, now_s: int) -> bool:
        """Whether it was heard within HEARD_S."""
        return now_s - self.heard_s <= HEARD_S

    def wrong(self, now_s: int, newest: int | None = None) -> tuple[str, ...]:
        """What is wrong with it, the most urgent first; `newest`: the firmware it should have."""
        is_old = newest is not None and self.firmware is not None and self.firmware < newest
        table = (
            (not self.heard_s, "never"),
            (self.heard_s and not self.is_heard(now_s), "silent"),
            (self.is_online is False, "offline"),
            (self.queue_s > QUEUE_S, "queue"),
            (self.map_made_s and now_s - self.map_made_s > MAP_S, "map"),
            ((self.clock_width_s or 0) > CLOCK_S, "clock"),
            (is_old, "firmware"),
        )
        return tuple(name for is_wrong, name in table if is_wrong)


def readers(database: Dialect) -> list[ReaderState]:
    """All readers in use, by number, but locks without a network."""
    return [_state(*row) for row in database.rows(_READERS)]


def by_site(states: Iterable[ReaderState], now_s: int) -> dict[str, tuple[int, int]]:
    """(how many were heard, how many there are) of each site."""
    found: dict[str, tuple[int, int]] = {}
    for one in states:
        heard, count = found.get(one.site, (0, 0))
        found[one.site] = heard + one.is_heard(now_s), count + 1
    return dict(sorted(found.items()))


def _state(device: int, site: str, last: Any, inspection: Any, boot: Any) -> ReaderState:
    look, booted = _fields(inspection), _fields(boot)
    heard_s = max(_known(_fields(last).get("latest_s", 0)), _known(look.get("latest_s", 0)))
    waiting, receipt_s = look.get("waiting"), look.get("receipt_s", 0)
    looked_s = _known(look.get("latest_s", 0))
    is_waiting = bool(waiting) and receipt_s and looked_s
    return ReaderState(
        device,
        site,
        heard_s,
        bool(look["network"]) if look else None,
        waiting,
        max(looked_s - receipt_s, 0) if is_waiting else 0,
        look.get("map_epoch", 0) if look else None,
        look.get("map_made_s", 0),
        look.get("clock_width_s"),
        booted.get("firmware"),
    )


def _fields(sealed: Any) -> dict[str, Any]:
    return (read(bytes(sealed)) if sealed is not None else None) or {}


def _known(time_s: int) -> int:
    return 0 if time_s == TIME_UNKNOWN_S else time_s
