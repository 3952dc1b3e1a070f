"""Personal numbers (of students and staff) by card, for the desks that may be told them.

Rules of this file. A number is personal: it stands here, goes to a reader that the register calls
a desk, sealed for that one question, and nowhere else; no log, no error and no dump has it. It is
whatever the register said last, until it is blanked (ledger/retention.py): then no register brings
it back. Of a card that is not active nobody is told one.
"""

from collections.abc import Iterable

from ledger.card_status import Cards
from ledger.dialect import Dialect
from protocols.rules import reasons
from protocols.rules.card_status import ACTIVE, LOST

GONE = "~"  # what a blanked number begins with; no person's number does
_IS_DESK = "SELECT 1 FROM person_desk WHERE device = ?"
_OF = "SELECT person_no FROM person_no WHERE card_no = ?"
_KNOW = f"""
INSERT INTO person_no VALUES (?, ?)
ON CONFLICT (card_no) DO UPDATE SET person_no = excluded.person_no
WHERE substr(person_no.person_no, 1, 1) <> '{GONE}'"""
_LET = "INSERT INTO person_desk VALUES (?) ON CONFLICT DO NOTHING"
_FORBID = "DELETE FROM person_desk WHERE device = ?"


class PersonNumbers:
    """The numbers in the books of `database`. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def know(self, numbers: Iterable[tuple[int, str]]) -> None:
        """Note the number of each of these issued cards (card_no, person_no), but blanked ones."""
        with self._database.transaction():
            self._database.many(_KNOW, list(numbers))

    def known(self, card_no: int) -> str:
        """The number of a card's holder; "" if nobody has told it."""
        for (person_no,) in self._database.rows(_OF, (card_no,)):
            return person_no
        return ""

    def let_ask(self, devices: Iterable[tuple[int, bool]]) -> None:
        """Which of these registered readers (device, whether it is a desk) may ask."""
        wanted = list(devices)
        with self._database.transaction():
            self._database.many(_LET, [(device,) for device, is_desk in wanted if is_desk])
            self._database.many(_FORBID, [(device,) for device, is_desk in wanted if not is_desk])

    def of(self, device: int, card_no: int) -> tuple[int, str]:
        """(0, number) of a card's holder for a reader that asks, or (reason, "")."""
        if not list(self._database.rows(_IS_DESK, (device,))):
            return reasons.NOT_A_DESK, ""
        status = Cards(self._database).status(card_no)
        if status != ACTIVE:
            return reasons.CARD_LOST - LOST + status, ""
        for (person_no,) in self._database.rows(_OF, (card_no,)):
            return reasons.APPROVED, person_no
        return reasons.NO_PERSON_NO, ""
