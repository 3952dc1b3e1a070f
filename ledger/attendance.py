"""Who came and left when (R7.4): punches of machines, and what a person entered by hand.

Rules of this file. In and out are inferred: the first punch of a day is when somebody came, the
last one when they left. Punches within FOLD_S of the one before are one, and all are kept. A
punch has the interval in which it was, never a moment that nobody knew; the order in which its
machine wrote narrows it: it was not before an earlier one could have been, nor after a later one.
A punch whose day is not known is told beside the days, and a person may enter what it was. What
was entered by hand stays marked as that, and is withdrawn, never changed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import attrgetter

from ledger.claims import Claim
from ledger.dialect import Dialect
from ledger.signatures import signed
from protocols.wire import messages

FOLD_S = 60
BECAUSE_CHARS_MAX = 64
_DAY_S, _EPOCH = 86400, date(1970, 1, 1)
_KEEP = "INSERT INTO punch VALUES (?, ?, ?, ?, ?)"
# The bounds of the machine's other punches hold too, as far as they are of AROUND_S before or
# behind, or of no known time; where they contradict each other a clock was wrong, and a punch has
# nothing but its own. (In the words of ledger/growth_schema.py.)
AROUND_S = 31 * 86_400
_BETWEEN = """
WITH near AS (
    SELECT device, seq, card_no, earliest_s, latest_s FROM punch
    WHERE earliest_s >= ? AND earliest_s < ? AND latest_s - earliest_s <= 86400
    UNION ALL SELECT device, seq, card_no, earliest_s, latest_s FROM punch
    WHERE latest_s - earliest_s > 86400),
p AS (
    SELECT device, seq, card_no, earliest_s, latest_s,
        MAX(earliest_s) OVER (PARTITION BY device ORDER BY seq) AS from_s,
        MIN(latest_s) OVER (PARTITION BY device ORDER BY seq DESC) AS to_s
    FROM near),
known AS (
    SELECT device, seq, card_no,
        CASE WHEN from_s <= to_s THEN from_s ELSE earliest_s END AS first_s,
        CASE WHEN from_s <= to_s THEN to_s ELSE latest_s END AS last_s
    FROM p)
SELECT device, seq, card_no, first_s, last_s FROM known WHERE last_s >= ? AND first_s < ?"""
_BY_HAND = """
SELECT 0, number, card_no, time_s, time_s FROM manual_punch m
WHERE withdraws IS NULL AND time_s >= ? AND time_s < ?
    AND NOT EXISTS (SELECT 1 FROM manual_punch w WHERE w.withdraws = m.number)"""
_MACHINES = """
SELECT d.device, p.seq, p.latest_s FROM device d CROSS JOIN punch p
WHERE p.device = d.device AND p.seq = (SELECT MAX(o.seq) FROM punch o WHERE o.device = d.device)
ORDER BY d.device"""
_CARDS = """
WITH k (number) AS (VALUES {keys})
SELECT g.card_no, h.person_no FROM k CROSS JOIN holding g JOIN holder h ON h.number = g.holder
WHERE g.card_no = k.number"""
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM manual_punch"
_ENTER = "INSERT INTO manual_punch VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENTRY = "SELECT card_no, time_s, withdraws FROM manual_punch WHERE number = ?"
_WITHDRAWN = "SELECT 1 FROM manual_punch WHERE withdraws = ?"
_ENTRIES = """
SELECT number, card_no, time_s, entered_s, person, because, withdraws FROM manual_punch
ORDER BY number"""


class EntryRefused(Exception):
    """An entry by hand that cannot be; nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class Punch:
    """A card was held to a machine between two seconds (UTC).

    By hand: `device` is 0 and `seq` the number of the entry.
    """

    device: int
    seq: int
    card_no: int
    earliest_s: int
    latest_s: int

    @property
    def is_manual(self) -> bool:
        return self.device == 0


@dataclass(frozen=True, slots=True)
class Day:
    """A card's day: who came and who left; `left` is None where there is one punch only.

    `punches`: of them `folded` were within FOLD_S of the one before.
    """

    card_no: int
    day: date
    came: Punch
    left: Punch | None
    punches: int
    folded: int


@dataclass(frozen=True, slots=True)
class Month:
    """`days` by card and day; `undated`: punches that may be of this month, day unknown."""

    first: date
    days: list[Day]
    undated: list[Punch]


class Attendance:
    """The punches in the books. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def month(self, first: date, utc_offset_s: int, begins_s: int = 0) -> Month:
        """The month that begins with the day `first`.

        A day begins `begins_s` seconds after local midnight, and has the date on which it began:
        who works at night leaves on the day on which they came.
        """
        after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        shift_s = utc_offset_s - begins_s
        dated, undated = [], []
        for punch in self.punches(_second(first) - shift_s, _second(after) - shift_s):
            days = {(s + shift_s) // _DAY_S for s in (punch.earliest_s, punch.latest_s)}
            (dated if len(days) == 1 else undated).append(punch)
        return Month(first, list(_days(dated, shift_s)), undated)

    def punches(self, from_s: int, to_s: int) -> list[Punch]:
        """Each that was, or may have been, from `from_s` up to `to_s` (UTC); by card and time."""
        span, around = (from_s, to_s), (max(from_s - AROUND_S, 0), to_s + AROUND_S)
        found = [Punch(*row) for row in self._database.rows(_BETWEEN, (*around, *span))]
        found += [Punch(*row) for row in self._database.rows(_BY_HAND, span)]
        return sorted(found, key=lambda one: (one.card_no, one.earliest_s, one.device, one.seq))

    def machines(self) -> list[tuple[int, int, int]]:
        """(device, newest record, when that was at the latest) of each that has told a punch."""
        return list(self._database.rows(_MACHINES))

    def people(self, cards: Iterable[int]) -> dict[int, str]:
        """card -> number of its holder, of each of these that is or was somebody's."""
        return dict(self._database.rows_of(_CARDS, ((card_no,) for card_no in sorted(set(cards)))))

    def enter(self, card_no: int, time_s: int, entered_s: int, person: str, because: str) -> int:
        """Enter a punch by hand; its number. Raises EntryRefused.

        `person` is who answers for it, `because` why no machine tells it: a line each.
        """
        _check_line("who enters it", person)
        _check_line("the reason", because)
        if time_s > entered_s:
            raise EntryRefused("nobody has punched in the future")
        if time_s < 0:
            raise EntryRefused("nobody has punched before 1970")
        with self._database.transaction():
            if not list(self._database.rows(_IS_ISSUED, (card_no,))):
                raise EntryRefused(f"card {card_no} was never issued")
            return self._add(card_no, time_s, entered_s, person, because, None)

    def withdraw(self, number: int, entered_s: int, person: str, because: str) -> None:
        """Withdraw an entry: it stays in the books and counts no more. Raises EntryRefused."""
        _check_line("who withdraws it", person)
        _check_line("the reason", because)
        with self._database.transaction():
            entry = next(iter(list(self._database.rows(_ENTRY, (number,)))), None)
            if entry is None or entry[2] is not None:
                raise EntryRefused(f"{number} is no entry")
            if list(self._database.rows(_WITHDRAWN, (number,))):
                raise EntryRefused(f"entry {number} is withdrawn already")
            self._add(entry[0], entry[1], entered_s, person, because, number)

    def entries(self) -> list[tuple[int, int, int, int, str, str, int | None]]:
        """(number, card_no, time_s, entered_s, person, because, withdraws) of each, in order."""
        return list(self._database.rows(_ENTRIES))

    def _add(
        self,
        card_no: int,
        time_s: int,
        entered_s: int,
        person: str,
        because: str,
        withdraws: int | None,
    ) -> int:
        about = f"card {card_no}"
        person = signed(self._database, "punch.enter", person, entered_s, about, because)
        ((number,),) = self._database.rows(_NEXT)
        row = number, card_no, time_s, entered_s, person, because, withdraws
        self._database.many(_ENTER, [row])
        return number


def keep_punches(database: Dialect, claims: Iterable[Claim]) -> None:
    """Keep the punches among booked records, in the transaction that books them."""
    rows = []
    for claim in claims:
        if claim.kind == messages.PUNCH and claim.fields is not None:
            fields = claim.fields
            when = fields["earliest_s"], fields["latest_s"]
            rows.append((claim.device, claim.seq, fields["card_no"], *when))
    database.many(_KEEP, rows)


def unfolded(punches: list[Punch]) -> list[Punch]:
    """Without those within FOLD_S of the one before; `punches` are in order."""
    later = [b for a, b in pairwise(punches) if b.earliest_s - a.earliest_s > FOLD_S]
    return [*punches[:1], *later]


def _days(punches: list[Punch], shift_s: int) -> Iterator[Day]:
    """The days of punches that are in order of card and time."""
    for card_no, of_card in groupby(punches, attrgetter("card_no")):
        for number, group in groupby(
            of_card, lambda punch: (punch.earliest_s + shift_s) // _DAY_S
        ):
            of_day = list(group)
            counted = unfolded(of_day)
            left = counted[-1] if len(counted) > 1 else None
            folded = len(of_day) - len(counted)
            day = _EPOCH + timedelta(days=number)
            yield Day(card_no, day, counted[0], left, len(of_day), folded)


def _second(day: date) -> int:
    return (day - _EPOCH).days * _DAY_S


def _check_line(what: str, text: str) -> None:
    is_line = 0 < len(text) <= BECAUSE_CHARS_MAX and text.isprintable() and text == text.strip()
    if not is_line:
        raise EntryRefused(f"{what}: a line of 1 to {BECAUSE_CHARS_MAX} characters")
