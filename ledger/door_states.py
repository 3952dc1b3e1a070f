"""How each door stands by what it has said last: locked or released, its cells, its last taps.

Rules of this file. Reading only. What stands here is a door's own sealed word and how old that
may be: nobody knows better, and a magnet that is dead has let go (ADR 19). Only the newest
LOOKED_AT records of a door are looked at, so many doors are one short look. Of a tap only time and
reason are told: who that was is a question with a purpose (ledger/door_log.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ledger.dialect import Dialect
from ledger.intervals import TIME_UNKNOWN_S
from ledger.quiescence import read
from ledger.retirement import IN_USE
from protocols.rules import cells, door, lock
from protocols.wire import messages

LOOKED_AT = 512
TAPS_MAX = 8
# Four new alkaline cells at rest, and what they read at 20 degrees when the motor has to stop.
FRESH_MV = cells.CELLS * 1600
EMPTY_MV = cells.LOADED_MV_MIN + cells.sag_mv(20)
_NEWEST = (
    "(SELECT r.sealed FROM record r WHERE r.device = d.device AND r.kind {kinds}"
    f" AND r.seq > v.head_seq - {LOOKED_AT} ORDER BY r.seq DESC LIMIT 1)"
)
_SAID = _NEWEST.format(kinds=f"= {messages.DOOR}")
_READING = _NEWEST.format(kinds=f"IN ({messages.POWER}, {messages.INSPECTION})")
_LAST = "(SELECT r.sealed FROM record r WHERE r.device = d.device AND r.seq = v.head_seq)"
_EPOCH = "(SELECT MAX(c.number) FROM access_change c WHERE c.device = d.device)"
_DOORS = f"""
SELECT d.device, v.site, d.scope, l.device, {_SAID}, {_READING}, {_LAST}, {_EPOCH},
    w.seq, w.epoch, w.made_s, w.battery_mv, w.heard_s
FROM door d JOIN device v ON v.device = d.device
LEFT JOIN lock l ON l.device = d.device LEFT JOIN lock_word w ON w.device = d.device
WHERE {IN_USE} AND """
_ONE = _DOORS + "d.device = ?"
_OF_SITE = _DOORS + "v.site = ? AND d.device > ? ORDER BY d.device LIMIT ?"
_ALL = _DOORS + "d.device > ? ORDER BY d.device LIMIT ?"
_TAPS = f"""
SELECT sealed FROM record WHERE device = ? AND kind = {messages.ENTRY}
AND seq > (SELECT head_seq FROM device WHERE device = ?) - {LOOKED_AT}
ORDER BY seq DESC LIMIT {TAPS_MAX}"""
_SITES = f"""
SELECT v.site, COUNT(*) FROM door d JOIN device v ON v.device = d.device WHERE {IN_USE}
GROUP BY v.site ORDER BY v.site"""


@dataclass(frozen=True, slots=True)
class DoorState:
    """What is known of one door.

    `state` and `event` by their names in protocols/rules (door.py; of one on batteries lock.py),
    `cause` as there, at `said_s`; "" where it has not said. `heard_s`: of its newest record, at
    the latest by its clock; 0: never, or by no clock. `battery_mv`, `grade` (cells.py): of its
    cells, or None. `epoch`: the newest change of who may open it; `held_epoch` what a lock without
    a network says that it has (None: not said), `map_made_s` when its card map was the newest (0:
    not said).
    """

    device: int
    site: str
    scope: str
    is_by_card: bool
    is_lock: bool
    state: str
    event: str
    cause: int
    said_s: int
    heard_s: int
    battery_mv: int | None
    grade: int | None
    epoch: int
    held_epoch: int | None
    map_made_s: int

    @property
    def is_released(self) -> bool:
        """A door that a magnet holds, and by its own last word nothing holds it now."""
        return bool(self.state) and not self.is_lock and self.state not in door.LOCKING

    @property
    def is_dark(self) -> bool:
        """Released because its supply is gone (R23.2)."""
        return not self.is_lock and self.state == door.DARK

    @property
    def is_told(self) -> bool:
        """Whether what was granted last stands at the door, as far as it says."""
        return not self.is_by_card or (self.held_epoch or 0) >= self.epoch


@dataclass(frozen=True, slots=True)
class Tap:
    """A card at a door between two seconds (UTC); `reason` 0: it opened."""

    earliest_s: int
    latest_s: int
    reason: int


def of(database: Dialect, device: int) -> DoorState | None:
    """How a door stands; None: there is none of this number in use."""
    return next((_state(row) for row in database.rows(_ONE, (device,))), None)


def at(database: Dialect, site: str, count: int, behind: int = 0) -> list[DoorState]:
    """The first `count` doors of a site behind that number; of all sites if `site` is ""."""
    if site:
        return [_state(row) for row in database.rows(_OF_SITE, (site, behind, count))]
    return [_state(row) for row in database.rows(_ALL, (behind, count))]


def sites(database: Dialect) -> dict[str, int]:
    """Each site that has doors in use, and how many."""
    return dict(database.rows(_SITES))


def taps(database: Dialect, device: int) -> list[Tap]:
    """The last taps at a door, the newest first."""
    said = (read(bytes(sealed)) for (sealed,) in database.rows(_TAPS, (device, device)))
    return [Tap(each["earliest_s"], each["latest_s"], each["reason"]) for each in said if each]


def percent_left(battery_mv: int) -> int:
    """How much of the voltage between empty and new cells is left; no measure of their charge."""
    return min(max((battery_mv - EMPTY_MV) * 100 // (FRESH_MV - EMPTY_MV), 0), 100)


def by_need(states: Iterable[DoorState]) -> list[DoorState]:
    """Locks on cells, those first to which somebody has to go."""
    locks = [each for each in states if each.is_lock]
    full = FRESH_MV

    def need(each: DoorState) -> tuple[int, int, int, int]:
        is_jammed = each.state == lock.JAMMED
        reads = full if each.battery_mv is None else each.battery_mv
        return -is_jammed, -(each.grade or 0), reads, each.device

    return sorted(locks, key=need)


def _state(row: Any) -> DoorState:
    device, site, scope, by_card, said, reading, last, epoch, *word = row
    told = _read(said)
    number = told.get("state", -1)
    is_lock = by_card is not None or number >= lock.STATES_AT
    names, events = (lock.STATES, lock) if number >= lock.STATES_AT else (door.STATES, door)
    place = number - lock.STATES_AT if number >= lock.STATES_AT else number
    is_known = 0 <= place < len(names)
    look = _read(reading)
    battery_mv, read_at = look.get("battery_mv"), look.get("seq", 0)
    word_seq, held_epoch, made_s, word_mv, word_heard_s = word
    if word_seq is not None and word_seq >= read_at:
        battery_mv = word_mv
    return DoorState(
        device,
        site,
        scope,
        by_card is not None,
        is_lock,
        names[place] if is_known else "",
        _event(events, told["event"]) if is_known else "",
        told["cause"] if is_known else 0,
        _known(told.get("latest_s", 0)),
        _known(_read(last).get("latest_s", 0)) or word_heard_s or 0,
        battery_mv if is_lock else None,
        told["cause"] if is_known and is_lock else None,
        epoch or 0,
        held_epoch,
        made_s or look.get("map_made_s", 0),
    )


def _read(sealed: Any) -> dict[str, Any]:
    return (read(bytes(sealed)) if sealed is not None else None) or {}


def _known(time_s: int) -> int:
    return 0 if time_s == TIME_UNKNOWN_S else time_s


def _event(rules: Any, number: int) -> str:
    """The name of an event by where it stands in the table."""
    lines = rules.TABLE.strip().splitlines()[1:]
    return lines[number].split()[0] if number < len(lines) else ""
