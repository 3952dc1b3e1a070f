"""Who looks at readers, network and power lines, how often, and what was found (R21).

Rules of this file. A department names one person for a site, and how many days may pass between
two rounds; a newer word stands in its place. A round answers three questions, each with one of
RESULTS. What could not be put right goes to the library and information centre as a ticket
(ledger/procedures.py), in the transaction that notes the round; so a round without its tickets is
not in the books. One round a day; whoever tells it again, word for word, tells nothing. Where the
books have operators a head names somebody of the own department who can log in, and that person
notes the round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger import people
from ledger.dialect import Dialect, Row
from ledger.dossiers import ROUND, About, DossierRefused, begin, check_word
from ledger.procedures import (
    ANOTHER_PERSON,
    DEPARTMENT,
    NO_DOSSIER,
    NO_EVIDENCE,
    REPAIR,
    SAID_OTHERWISE,
    Act,
)
from ledger.retirement import IN_USE
from ledger.signatures import NotAllowed, are_there, signed, works_as
from ledger.tampers import is_person
from protocols.wire import topics

ITEMS = ("devices", "network", "power")  # R21: 设备、网络线路、电源线路
RESULTS = {"ok": 0, "mended": 1, "told": 2}
EVERY_DAYS_MAX, DAY_MAX = 366, 65_535
_NEWEST = """
SELECT number, department, site, person, every_days, day FROM duty u WHERE number = (
    SELECT MAX(number) FROM duty WHERE department = u.department AND site = u.site)"""
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM duty"
_NAME = "INSERT INTO duty VALUES (?, ?, ?, ?, ?, ?, ?)"
_ROUND = "INSERT INTO duty_round VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_KNOWN = """
SELECT person, devices, network, power FROM duty_round
WHERE department = ? AND site = ? AND day = ?"""
_LAST = "SELECT MAX(day) FROM duty_round WHERE department = ? AND site = ? AND day <= ?"
_TICKETS = """
SELECT item, dossier FROM duty_ticket WHERE department = ? AND site = ? AND day = ?
ORDER BY dossier"""
_ORIGIN = "SELECT department, site, day, item FROM duty_ticket WHERE dossier = ?"
_TICKET = "INSERT INTO duty_ticket VALUES (?, ?, ?, ?, ?)"
_UNNAMED = f"""
SELECT DISTINCT COALESCE(r.department, ''), d.site FROM device d
LEFT JOIN responsible r ON r.device = d.device
WHERE NOT EXISTS (SELECT 1 FROM duty u WHERE u.site = d.site
    AND u.department = COALESCE(r.department, ''))
AND {IN_USE} ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty as it stands on a day. `last`: the day of the last round, or None.

    `due`: the last day on which the next one is in time. Days since 1970.
    """

    department: str
    site: str
    person: str
    every_days: int
    last: int | None
    due: int


class Duties:
    """The duties in `database`. Every method is one transaction, or only reads.

    Raises DossierRefused, and NotAllowed where the books have operators.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def name(
        self,
        department: str,
        site: str,
        person: str,
        every_days: int,
        day: int,
        named_by: str,
        time_s: int,
    ) -> None:
        """`named_by` names the person for a site, from `day` on. Again: nothing."""
        check_word("the department", department)
        if not topics.is_site(site) or not is_person(person) or not is_person(named_by):
            raise _refused("a site has its name, and staff are a word of a-z, 0-9 and -")
        if named_by == person:
            raise _refused("nobody names himself", ANOTHER_PERSON)
        if not 1 <= every_days <= EVERY_DAYS_MAX or not 0 <= day <= DAY_MAX:
            raise _refused(f"a round is made every 1 to {EVERY_DAYS_MAX} days")
        about = f"rounds at {site}", person
        with self._database.transaction():
            words = "duty.name", named_by, time_s, *about
            named_by = signed(self._database, *words, department=department)
            self._check_named(department, person, named_by, about[0])
            known = self._newest(department, site)
            if known is not None and known[3:5] == (person, every_days):
                return
            ((number,),) = self._database.rows(_NUMBER)
            row = number, department, site, person, every_days, day, named_by
            self._database.many(_NAME, [row])

    def go_round(
        self,
        department: str,
        site: str,
        day: int,
        person: str,
        results: Sequence[str],
        said: str,
        time_s: int,
    ) -> list[int]:
        """Note a round; the dossiers of its tickets, one for each item that is "told".

        `results`: a word of RESULTS for each of ITEMS. `said`: what is wrong, where any is told.
        """
        if len(results) != len(ITEMS) or not all(word in RESULTS for word in results):
            raise _refused(f"{', '.join(ITEMS)}: each is one of {', '.join(RESULTS)}")
        told = [item for item, word in zip(ITEMS, results, strict=True) if word == "told"]
        if told and not said:
            raise _refused("say what could not be put right")
        values = tuple(RESULTS[word] for word in results)
        with self._database.transaction():
            where = department, site, day
            about = f"round at {site}, day {day}", " ".join(results)
            words = "duty.round", person, time_s, *about
            person = signed(self._database, *words, department=department)
            for known in list(self._database.rows(_KNOWN, where)):
                if known != (person, *values):
                    text = "the round of that day is noted otherwise"
                    raise _refused(text, SAID_OTHERWISE)
                return [number for _item, number in self._database.rows(_TICKETS, where)]
            newest = self._newest(department, site)
            if newest is None:
                raise _refused(f"nobody is named for {site} by {department}", NO_DOSSIER)
            if newest[3] != person or not newest[5] <= day <= DAY_MAX:
                text = f"{newest[3]} is named for {site}, and not before that day"
                raise _refused(text, ANOTHER_PERSON)
            self._database.many(_ROUND, [(*where, person, *values, time_s)])
            return [
                self._tell(where, item, Act(DEPARTMENT, person, said=said), time_s)
                for item in told
            ]

    def every(self, today: int) -> list[Duty]:
        """Each duty, and when its next round is due, as of `today`."""
        found = []
        for row in list(self._database.rows(_NEWEST)):
            _number, department, site, person, every_days, day = row
            ((last,),) = self._database.rows(_LAST, (department, site, today))
            since = day if last is None else max(day, last)
            due = since + every_days
            found.append(Duty(department, site, person, every_days, last, due))
        return sorted(found, key=lambda duty: (duty.department, duty.site))

    def origin(self, dossier: int) -> tuple[str, str, int, str] | None:
        """(department, site, day, item) of the round that a ticket comes from, or None."""
        return next(iter(list(self._database.rows(_ORIGIN, (dossier,)))), None)

    def unnamed(self) -> list[tuple[str, str]]:
        """(department, site) where readers stand for which nobody is named.

        "": readers that no department answers for.
        """
        return list(self._database.rows(_UNNAMED))

    def _check_named(self, department: str, person: str, named_by: str, about: str) -> None:
        """Whoever is named has to be able to note a round; NotAllowed."""
        if not are_there(self._database):
            return
        where, roles = works_as(self._database, person)
        checks = (
            (not where, people.NO_OPERATOR),
            (where != department, people.OTHER_DEPARTMENT),
            (not people.may(roles, "duty.round"), people.NOT_FOR_ROLE),
        )
        for is_so, reason in checks:
            if is_so:
                raise NotAllowed(reason, "duty.name", named_by, about)

    def _newest(self, department: str, site: str) -> Row | None:
        sql = f"{_NEWEST} AND department = ? AND site = ?"
        return next(iter(list(self._database.rows(sql, (department, site)))), None)

    def _tell(self, where: tuple[str, str, int], item: str, by: Act, time_s: int) -> int:
        """The ticket of an item of a round; its reference is no person's to choose."""
        sql = "SELECT COUNT(*) FROM duty_ticket"
        ((count,),) = self._database.rows(sql)
        reference = f"{ROUND}{count + 1}"
        number = begin(self._database, REPAIR, "report", reference, About(), by, time_s)
        self._database.many(_TICKET, [(*where, item, number)])
        return number


def _refused(text: str, reason: int = NO_EVIDENCE) -> DossierRefused:
    return DossierRefused(f"{text} ({reason}, R21)", reason)
