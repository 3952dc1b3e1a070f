"""Who may open which door, and who said so: every grant in its order, for good (R8.2, R9.2).

Rules of this file. A door belongs to a dormitory ("dorm") or to family and public places
("public"). Only a named person who has been appointed for doors of that scope at that site grants
there; the name stands beside each grant, and nothing is taken back, what comes later counts. The
number of the newest change of a door is the epoch of its access map (protocols/rules/access.py).
A grant may end at a time: then a change takes it back, in the name of who had granted.
Whatever would make a map that no door can hold changes nothing.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from ledger import people
from ledger.access_terms import over
from ledger.dialect import Dialect
from ledger.retirement import IN_USE
from ledger.signatures import NotAllowed, signed
from protocols.card.pin import is_pin
from protocols.rules import access
from protocols.wire import topics
from protocols.wire.errors import WireError

SCOPES = {"dorm": "R8", "public": "R9"}
DEPARTMENTS = {"dorm": people.STUDENTS, "public": people.SECURITY}
PERSON_CHARS_MAX = 32
APPOINT, DISMISS = "appoint", "dismiss"
GRANT, HOURS, FREE, PIN = "grant", "hours", "free", "pin"
ALWAYS = ((127, 0, 1440),)  # the hours of group 1 until somebody says otherwise
_CARDS_MAX = access.CARDS_MAX
_TIME_MAX_S = 0xFFFFFFFF
_CHANGE = "INSERT INTO access_change VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHANGES = (
    "SELECT number, verb, first_no, count, group_no, periods, person, time_s FROM access_change"
    " WHERE device = ? ORDER BY number"
)
_DUE = (
    "SELECT c.device, t.number FROM access_term t JOIN access_change c ON c.number = t.number"
    " WHERE t.until_s <= ? AND NOT EXISTS (SELECT 1 FROM access_end e WHERE e.grant_no = t.number)"
    " ORDER BY t.number"
)
_IS_ENDED = "SELECT 1 FROM access_end WHERE grant_no = ?"
_TERMS = (
    "SELECT t.number, t.until_s FROM access_term t JOIN access_change c ON c.number = t.number"
    " WHERE c.device = ?"
)
_ENDS = (
    "SELECT e.number, e.grant_no FROM access_end e JOIN access_change c ON c.number = e.number"
    " WHERE c.device = ? AND e.count > 0"
)
_KEY = (
    "SELECT k.device_key FROM device v JOIN device_key k"
    " ON k.device = v.device AND k.key_no = v.head_key_no WHERE v.device = ?"
)
_DOORS = (
    "SELECT d.device, k.device_key, COALESCE((SELECT MAX(number) FROM access_change c"
    " WHERE c.device = d.device), 0) FROM door d JOIN device v ON v.device = d.device"
    " JOIN device_key k ON k.device = v.device AND k.key_no = v.head_key_no"
    f" WHERE v.site = ? AND {IN_USE} ORDER BY d.device"
)

Periods = Sequence[tuple[int, int, int]]


class AccessRefused(Exception):
    """Nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a door; `periods` as in protocols/rules/access.py, of a PIN its verifier."""

    number: int
    verb: str
    first_no: int
    count: int
    group: int
    periods: bytes
    person: str
    time_s: int


@dataclass(frozen=True, slots=True)
class Door:
    """A door of a site: the key of its newest record, and the epoch of its access map."""

    device: int
    device_key: bytes
    epoch: int


class AccessBook:
    """The doors and their grants. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    # --- people and doors ------------------------------------------------------------------------

    def appoint(
        self, verb: str, site: str, scope: str, person: str, time_s: int, by: str = ""
    ) -> None:
        """APPOINT a person for doors of a scope at a site, or DISMISS; again: nothing.

        `by`: the head of the department whose doors these are, and somebody else.
        """
        _check_scope(scope)
        _check_person(person)
        if not topics.is_site(site):
            raise AccessRefused(f"{site!r} is no site")
        is_in = int(verb == APPOINT)
        with self._database.transaction():
            about = f"{verb} {person}: {scope}, {site}"
            whose = DEPARTMENTS[scope]
            said = "access.appoint"
            head = signed(self._database, said, by, time_s, about, department=whose)
            if head and head == person:
                raise NotAllowed(people.SAME_PERSON, said, head, about)
            if self.is_in_office(site, scope, person) != bool(is_in):
                sql = "SELECT COALESCE(MAX(number), 0) + 1 FROM access_person"
                ((number,),) = self._database.rows(sql)
                row = (number, site, scope, person, is_in, time_s)
                self._database.many("INSERT INTO access_person VALUES (?, ?, ?, ?, ?, ?)", [row])

    def appointments(self, site: str) -> list[tuple[str, str, int, int]]:
        """(scope, person, whether appointed, time_s) of a site, in their order."""
        sql = (
            "SELECT scope, person, is_in, time_s FROM access_person WHERE site = ? ORDER BY number"
        )
        return list(self._database.rows(sql, (site,)))

    def add_door(
        self,
        device: int,
        scope: str,
        grant_ms: int,
        passback_s: int,
        is_lock: bool = False,
        by: str = "",
        time_s: int = 0,
    ) -> None:
        """Make a registered device a door. Again, with the same values: nothing.

        `is_lock`: it has no network, and cards carry its letters (R24.3). Said later, too.
        """
        _check_scope(scope)
        if is_lock and passback_s:
            raise AccessRefused("a lock sleeps and forgets who has just opened it")
        with self._database.transaction():
            signed(self._database, "door.add", by, time_s, f"door {device}: {scope}")
            if not list(self._database.rows("SELECT 1 FROM device WHERE device = ?", (device,))):
                raise AccessRefused(f"device {device} was never registered")
            wanted = (scope, grant_ms, passback_s)
            known = self._settings(device)
            if known and known[0] != wanted:
                raise AccessRefused(f"door {device} is known with other values: {known[0]}")
            if not known:
                _encoded(device, {}, [ALWAYS], (), grant_ms, passback_s)
                self._database.many("INSERT INTO door VALUES (?, ?, ?, ?)", [(device, *wanted)])
            if is_lock:
                self._database.many(
                    "INSERT INTO lock VALUES (?) ON CONFLICT DO NOTHING", [(device,)]
                )

    # --- grants ----------------------------------------------------------------------------------

    def grant(
        self,
        device: int,
        first_no: int,
        count: int,
        group: int,
        person: str,
        time_s: int,
        until_s: int | None = None,
    ) -> int:
        """Put cards into a group of a door, 0: into none; the door's new epoch.

        `until_s`: when that is over, and they are in none (`end_grants`).
        """
        if until_s is not None and (not group or not time_s < until_s <= _TIME_MAX_S):
            raise AccessRefused("a grant into a group may end, and later than now")
        with self._database.transaction():
            if not 0 < count <= _CARDS_MAX or first_no < 0:
                raise AccessRefused(f"a grant is for 1 to {_CARDS_MAX} cards")
            issued = "SELECT COUNT(*) FROM card WHERE card_no BETWEEN ? AND ?"
            ((known,),) = self._database.rows(issued, (first_no, first_no + count - 1))
            if known != count:
                raise AccessRefused(f"of these {count} cards {count - known} were never issued")
            number = self._add(device, GRANT, person, time_s, first_no, count, group)
            if until_s is not None:
                self._database.many("INSERT INTO access_term VALUES (?, ?)", [(number, until_s)])
            return number

    def end_grants(self, now_s: int) -> list[tuple[int, int]]:
        """Take back what is over; (door, its new epoch) of each that has changed. Again: none."""
        ended: dict[int, int] = {}
        for device, grant_no in list(self._database.rows(_DUE, (now_s,))):
            with self._database.transaction():
                # Another program may have looked too.
                if list(self._database.rows(_IS_ENDED, (grant_no,))):
                    continue
                for epoch in self._end(device, grant_no, now_s):
                    ended[device] = epoch
        return list(ended.items())

    def _end(self, device: int, grant_no: int, now_s: int) -> list[int]:
        """The changes by which a grant of a door ends, written inside a transaction."""
        grants = [each for each in self.changes(device) if each.verb == GRANT]
        (person,) = (each.person for each in grants if each.number == grant_no)
        rows = []
        for first_no, count in over(grants, grant_no):
            number = self._write(device, GRANT, first_no, count, 0, b"", person, now_s)
            rows.append((grant_no, number, count))
        noted = rows or [(grant_no, grants[-1].number, 0)]
        self._database.many("INSERT INTO access_end VALUES (?, ?, ?)", noted)
        return [number for _grant_no, number, _count in rows]

    def terms(self, device: int) -> dict[int, int]:
        """Number of a grant of a door -> when it is over (UTC)."""
        return dict(self._database.rows(_TERMS, (device,)))

    def ends(self, device: int) -> dict[int, int]:
        """Number of a change that took a grant of a door back -> the number of that grant."""
        return dict(self._database.rows(_ENDS, (device,)))

    def set_hours(
        self, device: int, group: int, periods: Periods, person: str, time_s: int
    ) -> int:
        """When a group may enter, 1 to 15; 0: when the door is open to everybody. New epoch."""
        verb = HOURS if group else FREE
        with self._database.transaction():
            return self._add(device, verb, person, time_s, group=group, periods=periods)

    def set_pin(self, device: int, group: int, digits: bytes, person: str, time_s: int) -> int:
        """The PIN that a group, 1 to 15, has to give too, or none (b""). The door's new epoch.

        Only its verifier is kept, under the key that the door's newest record is sealed with.
        """
        if digits and not is_pin(digits):
            raise AccessRefused(f"a PIN has {access.PIN_DIGITS} digits")
        with self._database.transaction():
            expected = b""
            for (key,) in list(self._database.rows(_KEY, (device,))) if digits else ():
                expected = access.verifier(key, group, digits)
            return self._add(device, PIN, person, time_s, group=group, data=expected)

    def check_office(self, site: str, scope: str, person: str) -> None:
        """AccessRefused unless that person is appointed for doors of a scope at a site now."""
        if not self.is_in_office(site, scope, person):
            text = f"{person} has not been appointed for {scope} doors at {site}"
            raise AccessRefused(f"{text} ({SCOPES[scope]})")

    def changes(self, device: int) -> list[Change]:
        """Every change of a door, in order."""
        return [Change(*row) for row in self._database.rows(_CHANGES, (device,))]

    # --- what doors are told ---------------------------------------------------------------------

    def newest(self) -> int:
        """How many changes there were, of all doors."""
        ((number,),) = self._database.rows("SELECT COALESCE(MAX(number), 0) FROM access_change")
        return number

    def heads_of_locks(self) -> int:
        """A number that grows with every record of a lock that is booked."""
        sql = "SELECT COALESCE(SUM(head_seq), 0) FROM lock JOIN device USING (device)"
        ((total,),) = self._database.rows(sql)
        return total

    def doors_at(self, site: str) -> list[Door]:
        """The doors of a site; epoch 0: nobody has said anything of that one yet."""
        return [Door(*row) for row in self._database.rows(_DOORS, (site,))]

    def access_map(self, device: int, closed: Container[int] = ()) -> bytes:
        """The access map of a door, as all its changes make it, without the cards `closed`."""
        (settings,) = self._settings(device)
        return _made(device, settings, self.changes(device), closed)

    def _settings(self, device: int) -> list[tuple[str, int, int]]:
        sql = "SELECT scope, grant_ms, passback_s FROM door WHERE device = ?"
        return [(row[0], row[1], row[2]) for row in self._database.rows(sql, (device,))]

    def _is_lock(self, device: int) -> bool:
        return bool(list(self._database.rows("SELECT 1 FROM lock WHERE device = ?", (device,))))

    def is_in_office(self, site: str, scope: str, person: str) -> bool:
        """Whether that person is appointed for doors of a scope at a site now."""
        sql = (
            "SELECT is_in FROM access_person WHERE site = ? AND scope = ? AND person = ?"
            " ORDER BY number DESC LIMIT 1"
        )
        return any(row[0] for row in self._database.rows(sql, (site, scope, person)))

    def _add(
        self,
        device: int,
        verb: str,
        person: str,
        time_s: int,
        first_no: int = 0,
        count: int = 0,
        group: int = 0,
        periods: Periods = (),
        data: bytes = b"",
    ) -> int:
        """Write a change, if that person may, and it makes a map; inside a transaction."""
        _check_person(person)
        settings = self._settings(device)
        if not settings:
            raise AccessRefused(f"device {device} is no door")
        ((site,),) = self._database.rows("SELECT site FROM device WHERE device = ?", (device,))
        scope = settings[0][0]
        about = f"door {device}: {verb}"
        person = signed(self._database, f"access.{scope}", person, time_s, about)
        self.check_office(site, scope, person)
        if (data or periods) and verb in (PIN, FREE) and self._is_lock(device):
            raise AccessRefused("a lock has no keys for a PIN, and is never open to everybody")
        if not int(verb == PIN) <= group <= access.GROUPS:
            raise AccessRefused(f"groups are 1 to {access.GROUPS}")
        try:
            packed = data or access.packed(periods)
        except ValueError as error:
            raise AccessRefused(f"hours: {error}") from None
        what = first_no, count, group, packed, person, time_s
        change = Change(self.newest() + 1, verb, *what)
        _made(device, settings[0], [*self.changes(device), change])
        return self._write(device, verb, *what)

    def _write(self, device: int, verb: str, *what: object) -> int:
        number = self.newest() + 1
        self._database.many(_CHANGE, [(number, device, verb, *what)])
        return number


def spans_of(groups: dict[int, int]) -> list[tuple[int, list[int]]]:
    """Groups by card as at most SPANS_MAX spans; the smallest gaps are bridged with group 0.

    AccessRefused where that takes more cards than a door has room for.
    """
    cards = sorted(card_no for card_no, group in groups.items() if group)
    gaps = [(cards[at] - cards[at - 1], at) for at in range(1, len(cards))]
    widest = sorted(gaps)[1 - access.SPANS_MAX :]
    starts = [0, *sorted(at for gap, at in widest if gap > 1)]
    ends = [*starts[1:], len(cards)]
    spans = [range(cards[a], cards[b - 1] + 1) for a, b in zip(starts, ends, strict=True) if cards]
    if sum(len(span) + len(span) % 2 for span in spans) > _CARDS_MAX:
        raise AccessRefused(f"a door has room for {_CARDS_MAX} cards, and for what lies between")
    return [(span[0], [groups.get(card_no, 0) for card_no in span]) for span in spans]


def _made(
    device: int,
    settings: tuple[str, int, int],
    changes: Iterable[Change],
    closed: Container[int] = (),
) -> bytes:
    groups: dict[int, int] = {}
    hours: dict[int, Periods] = {1: ALWAYS}
    free: Periods = ()
    pins: dict[int, bytes] = {}
    for change in changes:
        if change.verb == GRANT:
            for card_no in range(change.first_no, change.first_no + change.count):
                groups[card_no] = change.group
        elif change.verb == HOURS:
            hours[change.group] = access.unpacked(change.periods)
        elif change.verb == PIN:
            pins[change.group] = change.periods
        else:
            free = access.unpacked(change.periods)
    for group in {group for group in groups.values() if group}:
        if group not in hours:
            raise AccessRefused(f"group {group} of door {device} has no hours yet")
    groups = {card_no: group for card_no, group in groups.items() if card_no not in closed}
    schedules = [hours.get(group, ()) for group in range(1, max(hours) + 1)]
    listed = [pins.get(group, b"") for group in range(1, max(pins, default=0) + 1)]
    return _encoded(device, groups, schedules, free, *settings[1:], listed)


def _encoded(
    device: int,
    groups: dict[int, int],
    schedules: list[Periods],
    free: Periods,
    grant_ms: int,
    passback_s: int,
    pins: Sequence[bytes] = (),
) -> bytes:
    try:
        return access.encode(spans_of(groups), schedules, free, grant_ms, passback_s, pins)
    except WireError as error:
        raise AccessRefused(f"door {device} could not hold that: {error}") from None


def _check_scope(scope: str) -> None:
    if scope not in SCOPES:
        raise AccessRefused(f"a scope is one of {', '.join(SCOPES)}")


def _check_person(person: str) -> None:
    if not 0 < len(person) <= PERSON_CHARS_MAX or not person.isprintable():
        raise AccessRefused(f"a person has a name of 1 to {PERSON_CHARS_MAX} characters")
