"""Who opened a door, told to whoever is appointed for it and says what for (R8, R9).

Rules of this file. An answer is personal data, so the question is in the books first, with who
asks and why, in a journal that nobody changes: told and not noted cannot be. Only a person who is
appointed for that door asks, and for MONTH_S at most. Only booked records tell; what a door has
not delivered is not known here. An entry has the interval in which it was, which the order of the
door's records narrows.
"""

from dataclasses import dataclass, replace

from ledger import entry_stretches
from ledger.access import AccessBook, AccessRefused
from ledger.dialect import Dialect
from ledger.intervals import narrowed
from ledger.signatures import signed

MONTH_S = 31 * 86_400
_SAID = ("seq", "earliest_s", "latest_s", "card_no", "reason")
PURPOSE_CHARS_MAX = 64
_DOOR = (
    "SELECT o.scope, v.site FROM door o JOIN device v ON v.device = o.device WHERE o.device = ?"
)
_HOLDERS = """
WITH k (number) AS (VALUES {keys})
SELECT g.card_no, h.person_no FROM k CROSS JOIN holding g JOIN holder h ON h.number = g.holder
WHERE g.card_no = k.number"""
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM access_question"
_NOTE = "INSERT INTO access_question VALUES (?, ?, ?, ?, ?, ?, ?)"
_QUESTIONS = """
SELECT number, device, from_s, to_s, purpose, person, time_s FROM access_question
ORDER BY number"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A card, or somebody with none (0), at a door between two seconds (UTC).

    `reason`: 0, it opened; else why not, or under duress (protocols/rules/access.py). `person_no`:
    whose the card is or was; "" if the books do not say.
    """

    seq: int
    earliest_s: int
    latest_s: int
    card_no: int
    reason: int
    person_no: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Who has asked what, and why. From `from_s` up to `to_s`, UTC."""

    number: int
    device: int
    from_s: int
    to_s: int
    purpose: str
    person: str
    time_s: int


class DoorLog:
    """The entries in the books of `database`. AccessRefused, NotAllowed: nothing was told."""

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._access = AccessBook(database)

    def ask(
        self, device: int, span_s: tuple[int, int], purpose: str, person: str, time_s: int
    ) -> list[Entry]:
        """Each entry that was, or may have been, from `span_s[0]` up to `span_s[1]` (UTC)."""
        from_s, to_s = span_s
        is_line = purpose.isprintable() and purpose == purpose.strip()
        if not is_line or not 0 < len(purpose) <= PURPOSE_CHARS_MAX:
            raise AccessRefused(f"the purpose: a line of 1 to {PURPOSE_CHARS_MAX} characters")
        if not 0 <= from_s < to_s <= min(from_s + MONTH_S, 0xFFFFFFFF):
            raise AccessRefused(f"a question is about {MONTH_S // 86_400} days at most")
        with self._database.transaction():
            for scope, site in list(self._database.rows(_DOOR, (device,))):
                about = f"door {device}: who"
                person = signed(self._database, f"access.{scope}", person, time_s, about, purpose)
                self._access.check_office(site, scope, person)
                ((number,),) = self._database.rows(_NEXT)
                row = number, device, from_s, to_s, purpose, person, time_s
                self._database.many(_NOTE, [row])
                break
            else:
                raise AccessRefused(f"device {device} is no door")
        return self._entries(device, from_s, to_s)

    def questions(self) -> list[Question]:
        """Every question, in order."""
        return [Question(*row) for row in self._database.rows(_QUESTIONS)]

    def _entries(self, device: int, from_s: int, to_s: int) -> list[Entry]:
        found = [
            each
            for stretch in entry_stretches.of_time(self._database, device, from_s, to_s)
            for each in narrowed(
                [Entry(*(said[name] for name in _SAID)) for said in stretch.entries],
                stretch.after_s,
                stretch.before_s,
            )
            if each.earliest_s < to_s and each.latest_s >= from_s
        ]
        cards = ((card_no,) for card_no in sorted({one.card_no for one in found}))
        people = dict(self._database.rows_of(_HOLDERS, cards))
        return [replace(each, person_no=people.get(each.card_no, "")) for each in found]
