"""The second person says no: an act with its reason, behind which the first word counts no more.

Rules of this file. What waits for a second signature may be declined by whoever would give it.
The no is the act itself (ledger/signatures.py), so nothing beside it can say otherwise; like a
signature it is somebody's who has logged in, and is never taken back. What was declined is
proposed, listed or applied for anew: that is another thing, and free of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.dialect import Dialect
from ledger.people import NO_REASON_GIVEN, NOT_FOUNDED, ROLES
from ledger.signatures import WORD_CHARS_MAX, NotAllowed, are_there, signed

DECLINED = 800
TEXTS = {DECLINED: "whoever was to sign second has declined it: it takes another one"}
# Who proposes, who may decline that: by kind, in people.VERBS.
OPERATOR, CASE, BATCH, TEMPORARY = "operator", "case", "batch", "temporary"
_SAID = """
SELECT subject, login, evidence, time_s FROM operator_act
WHERE verb = ? AND reason = 0 ORDER BY number"""
_OF = """
SELECT login, evidence, time_s FROM operator_act
WHERE verb = ? AND subject = ? AND reason = 0 ORDER BY number LIMIT 1"""


@dataclass(frozen=True, slots=True)
class No:
    """Somebody's no, and why."""

    person: str
    because: str
    time_s: int


def decline(
    database: Dialect,
    kind: str,
    subject: str,
    no: No,
    *,
    among: Iterable[str] = ROLES,
    department: str = "",
) -> str:
    """Write a no down, in a transaction of the caller; whose it is. Raises NotAllowed.

    Its reason has 1 to WORD_CHARS_MAX printable characters. `among`, `department`: of whom the
    one has to be who says it, as `signed` has them.
    """
    verb = f"{kind}.decline"
    if not are_there(database):
        raise NotAllowed(NOT_FOUNDED, verb)
    if not 0 < len(no.because) <= WORD_CHARS_MAX or not no.because.isprintable():
        raise NotAllowed(NO_REASON_GIVEN, verb)
    what = verb, no.person, no.time_s, subject, no.because
    return signed(database, *what, among=among, department=department)


def declined(database: Dialect, kind: str, subject: str) -> No | None:
    """The no to this very thing; None: nobody has said one."""
    for row in list(database.rows(_OF, (f"{kind}.decline", subject))):
        return No(*row)
    return None


def all_declined(database: Dialect, kind: str) -> dict[str, No]:
    """Subject -> the no to it, of everything of a kind."""
    rows = database.rows(_SAID, (f"{kind}.decline",))
    return {subject: No(*said) for subject, *said in rows}
