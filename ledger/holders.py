"""Holders: whose a card is, from its order to its end (R10.1, R11 to R13).

Rules of this file. A person is the number by which the school knows them, a kind and a department;
name and ID stand on paper. One person has one card at a time: an index in the database keeps it,
here is only the clear word. A card that ends ends the holding in the same transaction
(ledger/card_status.py), and what takes its place takes its holder (ledger/reissues.py).
"""

from dataclasses import dataclass, replace

from ledger import card_validity
from ledger.card_status import CardRefused, change_state, entered, judged, note, states_of
from ledger.card_validity import Validity
from ledger.dialect import Dialect
from ledger.issuing import issue
from ledger.lifecycle import (
    ABSENT,
    BATCH,
    CENTRE,
    COUNTER,
    HAS_A_CARD,
    LEDGER,
    NO_EVIDENCE,
    NOT_NOW,
    Act,
    lacking,
)
from protocols.rules.card_status import CARD_NO_MAX
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY

KINDS = {"staff": STAFF, "student": STUDENT, "temporary": TEMPORARY}
KIND_NAMES = {number: name for name, number in KINDS.items()}
PERSON_NO_CHARS_MAX = 16
WORD_CHARS_MAX = 32
DAY_MAX = 65_535  # of a card: days since 1970
_HOLDER = "SELECT number FROM holder WHERE person_no = ?"
_NOW = "UPDATE holder SET kind = ?, department = ? WHERE number = ?"
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM holder"
_HELD = "SELECT card_no FROM holding WHERE holder = ? AND is_current = 1"
_OF_CARD = """
SELECT h.number, h.person_no, h.kind, h.department FROM holding g
JOIN holder h ON h.number = g.holder WHERE g.card_no = ?"""
_HOLD = "INSERT INTO holding VALUES (?, ?, 1)"
_PASS_ON = "INSERT INTO holding SELECT ?, holder, 1 FROM holding WHERE card_no = ?"
_OVER = """
SELECT g.card_no FROM holding g JOIN card_validity v ON v.card_no = g.card_no
JOIN holder h ON h.number = g.holder
WHERE g.is_current = 1 AND h.kind = ? AND v.valid_to < ? ORDER BY g.card_no"""
_PERSON_NO = """
INSERT INTO person_no VALUES (?, ?)
ON CONFLICT (card_no) DO UPDATE SET person_no = excluded.person_no"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A person: the school's number of theirs (personal), kind 1 to 3 (R11), department."""

    person_no: str
    kind: int
    department: str

    def __repr__(self) -> str:
        return f"Holder(kind={self.kind}, department={self.department!r})"  # no number in a log


class Holders:
    """Whose the cards in the books of `database` are. Every method is one transaction, or reads.

    Raises CardRefused: nothing was changed, and the text says why without saying who.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def order(self, card_no: int, time_s: int, by: Act = CENTRE) -> None:
        """The bank makes a card of this number (R6.2). Again: nothing."""
        self._begin("order", card_no, time_s, by)

    def issue(self, card_no: int, time_s: int, by: Act = CENTRE) -> None:
        """It is made, and not activated. Again: nothing."""
        self._begin("issue", card_no, time_s, by)

    def open(
        self,
        card_no: int,
        holder: Holder,
        valid_days: tuple[int, int],
        time_s: int,
        by: Act = CENTRE,
    ) -> None:
        """Activate an issued card for a person who has none (R12), valid from day to day.

        Days since 1970, both inside. Again, for the same person: nothing.
        """
        if holder.kind == TEMPORARY:
            raise CardRefused("a temporary card takes an application (annex 1)", NO_EVIDENCE)
        with self._database.transaction():
            open_for(self._database, card_no, holder, valid_days, time_s, by)

    def of(self, card_no: int) -> Holder | None:
        """Whose a card is, or was when it ended; None if nobody has said."""
        return holder_of(self._database, card_no)

    def card_of(self, person_no: str) -> int | None:
        """The card that a person has now; None if there is none."""
        return card_of(self._database, person_no)

    def expire(self, today: int, time_s: int) -> list[int]:
        """The temporary cards whose last day is over, which are now expired. Again: none.

        Those of staff and students end with their time here (R13), by other verbs: until somebody
        says so, their days are only what stands on the card, and may be written anew. `today`:
        days since 1970, where the school is. What readers know stands on the card.
        """
        act, expired = Act(LEDGER, BATCH), []
        for (card_no,) in list(self._database.rows(_OVER, (TEMPORARY, today))):
            with self._database.transaction():
                try:
                    is_new = judged(self._database, "expire", card_no, act).is_new
                except CardRefused:
                    continue  # lost or frozen: that says more
                if is_new:
                    change_state(self._database, "expire", card_no, time_s, act)
                    expired.append(card_no)
        return expired

    def _begin(self, verb: str, card_no: int, time_s: int, by: Act) -> None:
        with self._database.transaction():
            begin(self._database, verb, card_no, time_s, by)


def begin(database: Dialect, verb: str, card_no: int, time_s: int, by: Act) -> None:
    """Order or issue a card, in a transaction of the caller. Raises CardRefused."""
    if not 0 <= card_no <= CARD_NO_MAX:
        raise CardRefused(f"card {card_no}: numbers are 0 to {CARD_NO_MAX}")
    by = entered(database, verb, card_no, time_s, by)
    said = judged(database, verb, card_no, by)
    if not said.is_new:
        return
    if states_of(database, card_no) == [ABSENT]:
        issue(database, {card_no: 0})
    note(database, card_no, said.state, verb, time_s, by)


def open_for(
    database: Dialect,
    card_no: int,
    holder: Holder,
    valid_days: tuple[int, int],
    time_s: int,
    by: Act,
) -> None:
    """As Holders.open for any kind, in a transaction of the caller. Raises CardRefused."""
    check(holder, valid_days)
    said = judged(database, "open", card_no, by)
    missing = lacking(holder.kind, by.evidence) if by.channel == COUNTER else []
    if missing:
        text = f"card {card_no}: to open it also takes {', '.join(missing)} ({NO_EVIDENCE}, R12.1)"
        raise CardRefused(text, NO_EVIDENCE)
    for _number, person_no, _kind, _department in list(database.rows(_OF_CARD, (card_no,))):
        if person_no == holder.person_no:
            return
        raise CardRefused(f"card {card_no} is somebody else's ({HAS_A_CARD}, R10.1)", HAS_A_CARD)
    held = card_of(database, holder.person_no)
    if held is not None:
        text = f"card {card_no}: this person has card {held} ({HAS_A_CARD}, R10.1)"
        raise CardRefused(text, HAS_A_CARD)
    # One that was in use before there were holders in the books only gets one.
    if said.is_new:
        change_state(database, "open", card_no, time_s, by)
    else:
        entered(database, "open", card_no, time_s, by)
    database.many(_HOLD, [(card_no, _number_of(database, holder))])
    database.many(_PERSON_NO, [(card_no, holder.person_no)])
    card_validity.write(database, Validity(card_no, holder.kind, *valid_days))


def pass_on(database: Dialect, old_card: int, new_card: int) -> int:
    """A card in the place of another is its holder's, and valid as long; its kind, or 0."""
    database.many(_PASS_ON, [(new_card, old_card)])
    held = list(database.rows(_OF_CARD, (old_card,)))
    database.many(_PERSON_NO, [(new_card, person_no) for _number, person_no, *_rest in held])
    valid = card_validity.of(database, old_card)
    if valid is not None:
        card_validity.write(database, replace(valid, card_no=new_card))
    return held[0][2] if held else 0


def holder_of(database: Dialect, card_no: int) -> Holder | None:
    """As Holders.of."""
    for _number, *facts in list(database.rows(_OF_CARD, (card_no,))):
        return Holder(*facts)
    return None


def card_of(database: Dialect, person_no: str) -> int | None:
    """As Holders.card_of."""
    for (number,) in list(database.rows(_HOLDER, (person_no,))):
        for (card_no,) in database.rows(_HELD, (number,)):
            return card_no
    return None


def check(holder: Holder, valid_days: tuple[int, int]) -> None:
    """CardRefused if these are no facts for the books."""
    if not is_person_no(holder.person_no):
        raise CardRefused(f"a person's number has 1 to {PERSON_NO_CHARS_MAX} of A-Z, a-z, 0-9, -")
    if holder.kind not in KIND_NAMES:
        raise CardRefused(f"kind {holder.kind}: a card is of staff, a student, or temporary")
    check_word("a department", holder.department)
    first, last = valid_days
    if not 0 <= first <= last <= DAY_MAX:
        raise CardRefused(f"valid from day {first} to day {last}: no such time", NOT_NOW)


def is_person_no(text: str) -> bool:
    letters = text.replace("-", "")
    return 0 < len(text) <= PERSON_NO_CHARS_MAX and letters.isascii() and letters.isalnum()


def check_word(what: str, text: str) -> None:
    """CardRefused unless `text` may name a department or somebody at the card centre."""
    if not 0 < len(text) <= WORD_CHARS_MAX or not text.isprintable() or text != text.strip():
        raise CardRefused(f"{what} has a name of 1 to {WORD_CHARS_MAX} characters")


def _number_of(database: Dialect, holder: Holder) -> int:
    for (number,) in list(database.rows(_HOLDER, (holder.person_no,))):
        database.many(_NOW, [(holder.kind, holder.department, number)])
        return number
    ((number,),) = database.rows(_NUMBER)
    row = number, holder.person_no, holder.kind, holder.department
    database.many("INSERT INTO holder VALUES (?, ?, ?, ?)", [row])
    return number
