"""Who may open which door: a second opinion, made of what was ordered and nothing else.

The orders go to the books (ledger/access.py, ledger/card_status.py) and are written down here,
with their time. Of each door that is a row of versions. Which of them a door goes by nobody asks
it: it may be any from the one that has surely arrived up to the newest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from simulator.residence.building import SITE, UTC_OFFSET_S, Building
from simulator.residence.doorway import Doorway
from simulator.residence.place import Place
from simulator.world.clock import World

WARDEN = "warden"
ALWAYS = ((127, 0, 1440),)
# Whose hours end at night, and come again in the morning (curfew).
CURFEW = ((127, 330, 1380),)
STAFF = ((0b0111111, 420, 1140),)
# When the house door stands open to everybody.
MORNING = ((0b0011111, 420, 480),)
RESIDENT, NIGHTLY, WORKER, WITH_PIN = 1, 2, 3, 4  # groups
Periods = tuple[tuple[int, int, int], ...]
HOURS: dict[int, Periods] = {RESIDENT: ALWAYS, NIGHTLY: CURFEW, WORKER: STAFF, WITH_PIN: ALWAYS}
_DAY_S, _MINUTE_S, _THURSDAY = 86_400, 60, 3
_AFTER = {"lose": "lost", "suspend": "suspended", "unlose": "active", "resume": "active"}
_IN_PERSON = ("unlose", "resume")


@dataclass(frozen=True)
class Version:
    """What holds at a door from `time_us` on, as the books have it under `epoch`."""

    time_us: int
    epoch: int
    groups: dict[int, int] = field(default_factory=dict)
    pins: dict[int, bytes] = field(default_factory=dict)
    hours: dict[int, Periods] = field(default_factory=dict)
    free: Periods = ()


@dataclass(frozen=True)
class Holder:
    """What a card says of itself: `card_no` is 0 where no door of ours can read it."""

    card_no: int
    first_day: int
    last_day: int


def holds(periods: Periods, local_s: int) -> bool:
    """Whether a schedule holds at a second of local time."""
    day, minute = local_s // _DAY_S, local_s % _DAY_S // _MINUTE_S
    weekday = (day + _THURSDAY) % 7
    return any(days >> weekday & 1 and first <= minute < end for days, first, end in periods)


class Rights:
    """The orders of a building so far, and what follows from them."""

    def __init__(self, building: Building) -> None:
        self._building = building
        self._book = building.books.access
        self._versions: dict[int, list[Version]] = {}
        self._statuses: dict[int, list[tuple[int, str]]] = {}
        self._book.appoint("appoint", SITE, "dorm", WARDEN, building.world.utc_s())

    # -- orders ---------------------------------------------------------------------------------

    def set_up(
        self,
        door: Place,
        groups: dict[int, int],
        free: Periods | None,
        hours: dict[int, Periods] = HOURS,
    ) -> None:
        """A new door: its hours, who enters, and when everybody does (None: it is a lock)."""
        now_s = self._building.world.utc_s()
        for group, periods in hours.items():
            self._book.set_hours(door.device, group, periods, WARDEN, now_s)
        first = Version(self._building.world.now_us, 0, hours=dict(hours))
        self._versions[door.device] = [first]
        for card_no, group in groups.items():
            self.grant(door, card_no, group)
        if free is not None:
            self.open_to_all(door, free)

    def grant(self, door: Place, card_no: int, group: int) -> None:
        """A card enters with a group from now on; group 0: not any more."""
        now_s = self._building.world.utc_s()
        epoch = self._book.grant(door.device, card_no, 1, group, WARDEN, now_s)
        self._add(door, epoch, groups={**self.newest(door).groups, card_no: group})

    def set_pin(self, door: Place, group: int, digits: bytes) -> None:
        """A group has to type digits, or none any more."""
        now_s = self._building.world.utc_s()
        epoch = self._book.set_pin(door.device, group, digits, WARDEN, now_s)
        self._add(door, epoch, pins={**self.newest(door).pins, group: digits})

    def open_to_all(self, door: Place, periods: Periods) -> None:
        """When the door stands open."""
        now_s = self._building.world.utc_s()
        epoch = self._book.set_hours(door.device, 0, periods, WARDEN, now_s)
        self._add(door, epoch, free=periods)

    def set_status(self, verb: str, card_no: int) -> None:
        """Report a card lost, or suspend it, or undo either."""
        evidence = "id-card" if verb in _IN_PERSON else ""
        self._building.books.cards.set(verb, card_no, self._building.world.utc_s(), evidence)
        known = self._statuses.setdefault(card_no, [])
        known.append((self._building.world.now_us, _AFTER[verb]))

    def _add(self, door: Place, epoch: int, **changed: Any) -> None:
        version = replace(self.newest(door), time_us=self._building.world.now_us, epoch=epoch)
        self._versions[door.device].append(replace(version, **changed))

    # -- what follows ---------------------------------------------------------------------------

    def newest(self, door: Place) -> Version:
        """What holds now."""
        return self._versions[door.device][-1]

    @property
    def world(self) -> World:
        """Whose time it is."""
        return self._building.world

    def all_versions(self, device: int) -> list[Version]:
        """Everything that ever held at a door, the oldest first."""
        return self._versions[device]

    def statuses_between(self, card_no: int, from_us: int, to_us: int) -> set[str]:
        """What a card was, in the books, at any time between two."""
        rows = [(-1, "active"), *self._statuses.get(card_no, [])]
        first = max((at for at, each in enumerate(rows) if each[0] <= from_us), default=0)
        return {status for time_us, status in rows[first:] if time_us <= to_us}

    def status(self, card_no: int) -> str:
        """Of a card, in the books."""
        return self._statuses.get(card_no, [(0, "active")])[-1][1]

    def versions(self, door: Doorway, until_us: int) -> list[Version]:
        """Those the door may go by at a time: none that a newer one has surely replaced."""
        known_us, heard = door.known_us, door.heard_epoch
        rows = [each for each in self._versions[door.device] if each.time_us <= until_us]
        surely = [
            at for at, each in enumerate(rows) if each.time_us <= known_us or each.epoch <= heard
        ]
        return rows[max(surely, default=0) :]

    def statuses(self, door: Doorway, card_no: int, until_us: int) -> set[str]:
        """What the door may think of a card at a time."""
        rows = [(-1, "active"), *self._statuses.get(card_no, [])]
        rows = [each for each in rows if each[0] <= until_us]
        surely = [at for at, each in enumerate(rows) if each[0] <= door.known_us]
        return {status for _, status in rows[surely[-1] :]}

    def outcomes(
        self, door: Doorway, holder: Holder, time_us: int, until_us: int, doubt_s: int
    ) -> set[tuple[bool, bytes]]:
        """(whether the card may open, the PIN it then has to give) by all that may hold.

        `doubt_s`: the door's clock may be that wrong, either way.
        """
        door.look_at_link()
        local_s = self._building.local_s(time_us)
        moments = range(local_s - doubt_s, local_s + doubt_s + 1, _MINUTE_S)
        statuses = self.statuses(door, holder.card_no, until_us)
        found: set[tuple[bool, bytes]] = set()
        for version in self.versions(door, until_us):
            group = version.groups.get(holder.card_no, 0)
            for moment_s in moments:
                is_valid = holder.first_day <= moment_s // _DAY_S <= holder.last_day
                may = bool(group) and is_valid and holds(version.hours.get(group, ()), moment_s)
                for status in statuses:
                    is_in = may and status == "active"
                    found.add((is_in, version.pins.get(group, b"") if is_in else b""))
        return found


def day_of(building: Building) -> int:
    """Today, as cards count days."""
    return building.local_s(building.world.now_us) // _DAY_S


__all__ = ["UTC_OFFSET_S", "Holder", "Rights", "Version", "day_of", "holds"]
