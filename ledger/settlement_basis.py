"""What a settlement of an ended card rests on: a proof, or a person who names what is not proven.

Rules of this file. The hours alone do not say that every reader has told what it took. So money
moves when the books prove that no spend of before the end is missing (ledger/quiescence.py), or a
person decides that it moves all the same, names every reader and record that bars the proof, and
says why. Naming one that bars nothing does no harm; one that is not named keeps the money.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ledger.card_status import CardRefused
from ledger.dialect import Dialect
from ledger.holders import check_word
from ledger.quiescence import Blocking, Quiescence, RecordId, statement
from ledger.signatures import signed

BECAUSE_CHARS_MAX = 64
_BASIS = "INSERT INTO settlement_basis VALUES (?, ?, ?, ?, ?)"
_DESPITE = "INSERT INTO settlement_despite VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Decision:
    """`person` lets money go although nothing is proven of `despite`, `because` of what they know.

    `despite`: (device, 0) for a whole reader, (device, seq) for one record, as Blocking says it.
    CardRefused for what is no name or no reason.
    """

    person: str
    because: str
    despite: frozenset[RecordId]

    def __post_init__(self) -> None:
        check_word("who decides it", self.person)
        is_said = 0 < len(self.because) <= BECAUSE_CHARS_MAX and self.because.isprintable()
        if not is_said or not self.despite:
            text = f"a decision names readers, and why in 1 to {BECAUSE_CHARS_MAX} characters"
            raise CardRefused(text)


def barring(found: Quiescence, decision: Decision | None) -> list[Blocking]:
    """What keeps the money where it is."""
    named = frozenset() if decision is None else decision.despite
    return [one for one in found.blocking if (one.device, one.seq) not in named]


def signed_for(database: Dialect, decision: Decision, now_s: int) -> Decision:
    """A decision under the name that is written down for it; NotAllowed, before anything moves."""
    places = sorted(decision.despite)
    subject = " ".join(f"{device}/{seq}" if seq else str(device) for device, seq in places)
    words = decision.person, now_s, subject, decision.because
    return replace(decision, person=signed(database, "settlement.decide", *words))


def note(
    database: Dialect, numbers: Iterable[int], found: Quiescence, decision: Decision | None
) -> None:
    """Keep with settlements what they rest on, in their transaction; nothing is barring them."""
    digest = hashlib.sha256(statement(found)).digest()
    is_decided = decision is not None and bool(found.blocking)
    who = (decision.person, decision.because) if decision and is_decided else ("", "")
    for number in numbers:
        database.many(_BASIS, [(number, found.before_s, digest, *who)])
        rows = [(number, one.device, one.seq, one.bar.value) for one in found.blocking]
        database.many(_DESPITE, rows)
