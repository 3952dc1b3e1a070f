"""Personal data in answers: masked, unless somebody who may says why, which is an act.

Rules of this file. Of a person the books know the school's number, a kind and a department. Who
asks whose a card is gets the number masked. Unmasked it is for roles that may (ledger/people.py),
and with the reason that they gave it stands among the acts, in the same transaction.
"""

from dataclasses import dataclass, replace

from ledger import people
from ledger.dialect import Dialect
from ledger.holders import KIND_NAMES, holder_of
from ledger.signatures import NotAllowed, signed

BECAUSE_CHARS_MAX = 64
_SHOWN_MAX = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose a card is, or was; `person_no` is masked where `is_masked`."""

    card_no: int
    kind: str
    department: str
    person_no: str
    is_masked: bool

    def __repr__(self) -> str:
        return f"Shown(card_no={self.card_no}, kind={self.kind!r})"  # no number in a log


def masked(text: str) -> str:
    """`text` with two characters left at each end at most, and less of what is short."""
    left = min(_SHOWN_MAX, len(text) // 4)
    return text[:left] + "*" * (len(text) - 2 * left) + text[len(text) - left :]


def show_holder(database: Dialect, card_no: int) -> Shown:
    """Whose a card is, masked. NotAllowed: NO_HOLDER."""
    shown = _shown(database, card_no)
    return replace(shown, person_no=masked(shown.person_no), is_masked=True)


def reveal_holder(
    database: Dialect, card_no: int, person: str, because: str, time_s: int
) -> Shown:
    """The same with the number as it stands, which is an act of `person`. NotAllowed."""
    if not len(because.strip()) > 0 or len(because) > BECAUSE_CHARS_MAX:
        raise NotAllowed(people.NO_REASON_GIVEN)
    if not because.isprintable() or not person:
        raise NotAllowed(people.NO_REASON_GIVEN)
    with database.transaction():
        signed(database, "personal.show", person, time_s, f"card {card_no}", because)
        return _shown(database, card_no)


def _shown(database: Dialect, card_no: int) -> Shown:
    holder = holder_of(database, card_no)
    if holder is None:
        raise NotAllowed(people.NO_HOLDER)
    kind = KIND_NAMES[holder.kind]
    return Shown(card_no, kind, holder.department, holder.person_no, is_masked=False)
