"""Identity codes that were shown at doors: whose they are, once, and what doors made of it.

Rules of this file. An ask is judged and its code burned in one transaction: whatever becomes of
the answer, that code never says again whose it is, but to the same question of the same door.
Whether they may enter is not decided here: the door does that, as for a card. What it did is its
ENTRY, which has the number of the answer; an answer that no ENTRY has stays visible as that
(`unused`). An ENTRY of a number that was not given to this door for this card, or that has one, is
a case.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger import card_validity, reasons
from ledger.card_status import Cards
from ledger.claims import Claim
from ledger.dialect import Dialect
from protocols.card import virtual_code
from protocols.rules import access, clock, validity
from protocols.rules import reasons as refusals
from protocols.rules.card_status import ACTIVE, LOST
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from protocols.wire import messages

_AT = "SELECT number, code FROM code_answer WHERE device = ? AND nonce = ?"
_IS_DOOR = "SELECT 1 FROM door WHERE device = ?"
# A code that has reported a loss at a machine has been used as well.
_USED = """
SELECT 1 FROM code_answer WHERE code = ?
UNION ALL SELECT 1 FROM loss_report WHERE code = ?"""
_NUMBER = "SELECT COALESCE(MAX(number), 0) + 1 FROM code_answer"
_ANSWER = "INSERT INTO code_answer VALUES (?, ?, ?, ?, ?, ?)"
_OF = "SELECT device, card_no FROM code_answer WHERE number = ?"
_HAS_ENTRY = "SELECT 1 FROM code_entry WHERE number = ?"
_ENTRY = "INSERT INTO code_entry VALUES (?, ?, ?)"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_UNUSED = """
SELECT a.number, a.device, d.site, a.card_no, a.asked_s FROM code_answer a
JOIN device d ON d.device = a.device
WHERE a.asked_s < ? AND NOT EXISTS (SELECT 1 FROM code_entry e WHERE e.number = a.number)
ORDER BY a.device, a.number"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a door asks: whose is this `code` (38 bytes)? `nonce` is of this question alone."""

    device: int
    nonce: bytes
    code: bytes


@dataclass(frozen=True, slots=True)
class Holder:
    """`reason` 0: the code is of this card, and the answer has this `number`."""

    reason: int
    number: int = 0
    card_no: int = 0
    kind: int = 0
    valid_from: int = 0
    valid_to: int = 0


@dataclass(frozen=True, slots=True)
class Unused:
    """An answer that no ENTRY has: it was lost or late, or its door has not been heard since."""

    number: int
    device: int
    site: str
    card_no: int
    asked_s: int


class CodeEntries:
    """The answers in the books of `database`. Every method is one transaction, or only reads.

    Raises StoreUnavailable of ledger.dialect: nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def ask(
        self,
        shown: Shown,
        seed_of: Callable[[int], bytes | None],
        interval_ms: tuple[int, int],
        utc_offset_s: int,
    ) -> Holder:
        """Whose code a registered reader was shown; the code is used up if that is told.

        seed_of(card_no) is the seed of the card's phone, or None; `interval_ms` the ledger's clock
        as (earliest, latest) in ms since 1970.
        """
        code = virtual_code.parse(shown.code)
        if code is None:
            return Holder(refusals.CODE_UNKNOWN)
        with self._database.transaction():
            if not list(self._database.rows(_IS_DOOR, (shown.device,))):
                return Holder(access.CODE_NOT_HERE)
            number, of_code = self._known(shown)
            if number and of_code != code.number:
                return Holder(refusals.CODE_USED)  # a question is asked about one code
            seen = () if number else _Burned(self._database)
            reason = virtual_code.verify(
                code, CAMPUS_IDENTITY, seed_of(code.card), interval_ms, seen
            )
            if reason != refusals.APPROVED:
                return Holder(reason)
            found = card_validity.of(self._database, code.card)
            reason = self._card_reason(code.card, found, interval_ms, utc_offset_s)
            if found is None or reason != refusals.APPROVED:
                return Holder(reason)
            number = number or self._burn(shown, code, clock.seconds(interval_ms)[0])
            facts = found.card_no, found.kind, found.valid_from, found.valid_to
            return Holder(reason, number, *facts)

    def unused(self, before_s: int) -> list[Unused]:
        """Answers given before that second (UTC) that no ENTRY has, by door."""
        return [Unused(*row) for row in self._database.rows(_UNUSED, (before_s,))]

    def _known(self, shown: Shown) -> tuple[int, bytes]:
        """The number of the answer that this question had, and its code; 0 if it had none."""
        for number, code in self._database.rows(_AT, (shown.device, shown.nonce)):
            return number, code
        return 0, b""

    def _card_reason(
        self,
        card_no: int,
        found: card_validity.Validity | None,
        interval_ms: tuple[int, int],
        utc_offset_s: int,
    ) -> int:
        status = Cards(self._database).status(card_no)
        if status != ACTIVE:
            return refusals.CARD_LOST - LOST + status
        if found is None:
            return access.CODE_NO_VALIDITY
        # The code's own life is shorter than any doubt of this clock.
        width_ms = interval_ms[1] - interval_ms[0]
        policy = {"utc_offset_s": utc_offset_s, "clock_width_max_ms": width_ms}
        return validity.reason(found, interval_ms, policy)

    def _burn(self, shown: Shown, code: virtual_code.VirtualCode, asked_s: int) -> int:
        ((number,),) = self._database.rows(_NUMBER)
        row = number, shown.device, shown.nonce, code.number, code.card, asked_s
        self._database.many(_ANSWER, [row])
        return number


class _Burned:
    """The codes whose holder was told, as virtual_code.verify asks for them: for all time."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def __contains__(self, number: bytes) -> bool:
        return bool(list(self._database.rows(_USED, (number, number))))


def keep_entries(database: Dialect, claims: Iterable[Claim]) -> None:
    """Keep what doors made of answers, among booked records, in the transaction that books them.

    One door's records come in the order of its chain, so the first of two is always the same.
    """
    for claim in claims:
        if claim.kind != messages.ENTRY or not claim.fields:
            continue
        number = claim.fields.get("number", 0)
        if not number:
            continue
        reason = _fault(database, claim, number, claim.fields["card_no"])
        if reason:
            database.many(_CASE, [(reason, claim.device, claim.seq, b"", b"")])
        else:
            database.many(_ENTRY, [(number, claim.device, claim.seq)])


def _fault(database: Dialect, claim: Claim, number: int, card_no: int) -> int:
    if list(database.rows(_OF, (number,))) != [(claim.device, card_no)]:
        return reasons.ENTRY_UNANSWERED
    return reasons.ENTERED_TWICE if list(database.rows(_HAS_ENTRY, (number,))) else 0
