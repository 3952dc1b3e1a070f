"""What one person has said and another one does, where nothing but their acts keeps it (R4).

Rules of this file. A proposal is an act of the first person (ledger/signatures.py), and is called
by its number. It counts until the same is proposed again, is done, or the second person declines
it (ledger/declines.py); what was declined counts again only when it is proposed anew. Of a payment
by code the newest proposal counts alone, whatever it says. Names that are typed propose nothing.
"""

from dataclasses import dataclass

from ledger import declines, people
from ledger.declines import DECLINED, No
from ledger.dialect import Dialect
from ledger.signatures import WORD_CHARS_MAX, NotAllowed, are_there, signed

TOPUP, CODE = "topup", "code"
CUT_SHORT = 803
TEXTS = {CUT_SHORT: "what was proposed was cut short when it was written down: nobody can do it"}
_DAY_S = 86_400
TOLD_S = 30 * _DAY_S  # so long does whoever has proposed something see that it was declined
_SAME = "n.verb = p.verb AND n.subject = p.subject AND n.reason = 0"
_BY_CODE = "CAST(replace(replace(p.subject, 'reservation ', ''), 'order ', '') AS BIGINT)"


@dataclass(frozen=True, slots=True)
class Kind:
    """`do`: the verb of the second person. `same`: SQL, which later act n is about what p is.

    `is_open`: SQL, whether the books have not got yet what p proposes.
    """

    do: str
    same: str
    is_open: str


KINDS = {
    TOPUP: Kind(
        "topup.book",
        f"{_SAME} AND n.evidence = p.evidence",
        "NOT EXISTS (SELECT 1 FROM load l WHERE l.order_id = p.evidence)",
    ),
    CODE: Kind(
        "code.settle",
        _SAME,
        f"""EXISTS (
    SELECT 1 FROM reservation r WHERE r.number = {_BY_CODE} AND r.state = 0
    UNION ALL SELECT 1 FROM acquirer_order o WHERE o.number = {_BY_CODE} AND o.state = 0)""",
    ),
}
_OPEN = """
SELECT p.number, p.login, p.subject, p.evidence, p.time_s FROM operator_act p
WHERE p.verb = ? AND p.reason = 0 AND {is_open} AND NOT EXISTS (
    SELECT 1 FROM operator_act n WHERE {same} AND n.number > p.number)
ORDER BY p.number"""
# The newest one of just that, by whom, and whether anything has been proposed in its place.
_NEWEST = """
SELECT p.number, p.login,
    EXISTS (SELECT 1 FROM operator_act n WHERE {same} AND n.number > p.number)
FROM operator_act p WHERE p.verb = ? AND p.subject = ? AND p.evidence = ? AND p.reason = 0
ORDER BY p.number DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`person` has said `words` about `about`, in act `number`."""

    number: int
    person: str
    about: str
    words: str
    time_s: int

    @property
    def subject(self) -> str:
        """What it is called when somebody declines it."""
        return _subject(self.number)


def propose(database: Dialect, kind: str, person: str, time_s: int, about: str, words: str) -> int:
    """Write a proposal down in books with operators, in a transaction of the caller; its number.

    Raises NotAllowed.
    """
    signed(database, f"{kind}.propose", person, time_s, about, words)
    ((number, *_by),) = _newest(database, kind, about, words)
    return number


def check(
    database: Dialect,
    kind: str,
    who: str,
    about: str,
    words: str,
    refused: type[Exception],
) -> None:
    """NotAllowed unless another one than `who` has proposed just that, and it counts.

    `refused` is raised if it was declined. Where the books have no operators nobody has to.
    """
    if not are_there(database):
        return
    newest = _newest(database, kind, about, words)
    for number, login, is_replaced in newest:
        if declines.declined(database, kind, _subject(number)):
            raise refused(f"{declines.TEXTS[DECLINED]} ({DECLINED})")
        if login != who and not is_replaced:
            return
    raise NotAllowed(people.NO_PROPOSAL, KINDS[kind].do, who, about)


def waiting(database: Dialect, kind: str) -> list[Proposal]:
    """Those that count, oldest first."""
    declined = declines.all_declined(database, kind)
    return [one for one in _open(database, kind) if one.subject not in declined]


def decline(database: Dialect, kind: str, number: int, no: No) -> None:
    """Say no to the proposal of that number, in a transaction of the caller. NotAllowed."""
    waits = [one.number for one in waiting(database, kind)]
    login = declines.decline(database, kind, _subject(number), no)
    if number not in waits:
        raise NotAllowed(people.NO_PROPOSAL, f"{kind}.decline", login, _subject(number))


def told(database: Dialect, kind: str, login: str, now_s: int) -> list[tuple[Proposal, No]]:
    """What `login` has proposed, and why it was declined within TOLD_S; until it is done anew."""
    declined = declines.all_declined(database, kind)
    return [
        (one, declined[one.subject])
        for one in _open(database, kind)
        if one.person == login and one.subject in declined
        and declined[one.subject].time_s > now_s - TOLD_S
    ]  # fmt: skip


def _open(database: Dialect, kind: str) -> list[Proposal]:
    what = KINDS[kind]
    sql = _OPEN.format(is_open=what.is_open, same=what.same)
    return [Proposal(*row) for row in list(database.rows(sql, (f"{kind}.propose",)))]


def _newest(database: Dialect, kind: str, about: str, words: str) -> list[tuple]:
    """[(number, by whom, whether it is replaced)] of the newest proposal of just that, or []."""
    said = f"{kind}.propose", about[:WORD_CHARS_MAX], words[:WORD_CHARS_MAX]
    return list(database.rows(_NEWEST.format(same=KINDS[kind].same), said))


def _subject(number: int) -> str:
    return f"proposal {number}"
