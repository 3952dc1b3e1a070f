"""Whose word it is: the one question that whatever takes a signature asks, and its act.

Rules of this file. While the books have no operators a name is typed and proves nothing. From the
first two on (ledger/operators.py) `signed`, inside the transaction that does it, takes only a
`Proven` name, looks whether its session holds and its roles may (ledger/people.py), and writes the
act with what was shown. So nothing is done without its act, and no act stands there that was not
done, but for those with a reason: they were refused. Roles count as they are when somebody speaks,
not as they were at login. What was signed under typed names is told from what is proven by its
act (`was_proven`), and a hash that persons sign by what its signatures rest on (`basis`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from ledger import people
from ledger.dialect import Dialect

SESSION_S, IDLE_S = 8 * 3600, 1800
# A wall is looked at, and touched by nobody; whoever has its role says nothing (ADR 78).
DISPLAY_S = 30 * 86_400
CLOCK_S = 60  # so far may the clocks of two hosts be apart
VERB_CHARS_MAX, WORD_CHARS_MAX = 32, 64
_ANY = "SELECT 1 FROM operator LIMIT 1"
_SESSION = """
SELECT s.login, o.department, o.roles, s.begun_s, s.seen_s FROM operator_session s
JOIN operator o ON o.login = s.login
WHERE s.token_hash = ? AND s.is_ended = 0 AND o.is_active = 1 AND s.begun_s <= ?"""
_SEEN = "UPDATE operator_session SET seen_s = ? WHERE token_hash = ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM operator_act"
_ACT = "INSERT INTO operator_act VALUES (?, ?, ?, ?, ?, ?, ?)"
_SHOWN = """
SELECT evidence FROM operator_act WHERE login = ? AND verb = ? AND subject = ? AND reason = 0"""
_WORKS = "SELECT department, roles FROM operator WHERE login = ? AND is_active = 1"
_ACTS = """
SELECT number, login, verb, subject, evidence, reason, time_s FROM operator_act
WHERE number > ? ORDER BY number LIMIT ?"""

# What signatures under a hash rest on, as a part of it (`basis`).
TYPED, PROVEN = "", "proven"


class NotAllowed(Exception):
    """`reason` of ledger.people; nothing was changed. `login` is known where it was proven."""

    def __init__(self, reason: int, verb: str = "", login: str = "", subject: str = "") -> None:
        about = f"{verb}: " if verb else ""
        super().__init__(f"{about}{people.TEXTS[reason]} ({reason})")
        self.reason = reason
        self.verb = verb
        self.login = login
        self.subject = subject


class Proven(str):
    """A login with the session that proves it; it may stand wherever a name does.

    That it proves anything is looked at in the books each time it is used, so making one by hand
    gives nothing.
    """

    token_hash: bytes

    def __new__(cls, login: str, token_hash: bytes) -> "Proven":
        made = super().__new__(cls, login)
        made.token_hash = token_hash
        return made


@dataclass(frozen=True, slots=True)
class Said:
    """An act: `reason` 0, it was done; else it was refused."""

    number: int
    login: str
    verb: str
    subject: str
    evidence: str
    reason: int
    time_s: int


def are_there(database: Dialect) -> bool:
    """Whether the books have operators, so that no name is typed any more."""
    return bool(list(database.rows(_ANY)))


def signed(
    database: Dialect,
    verb: str,
    person: str,
    time_s: int,
    subject: str = "",
    evidence: str = "",
    *,
    among: Iterable[str] = people.ROLES,
    department: str = "",
) -> str:
    """The name that is written down for `verb` of ledger.people, in a transaction of the caller.

    Without operators in the books that is `person`, as typed. With them `person` has to be Proven
    and to have a role that may (one of `among`), in `department` where the thing is about one;
    the act on `subject`, with what was shown, is written too. Raises NotAllowed.
    """
    if not are_there(database):
        return person
    if not isinstance(person, Proven):
        raise NotAllowed(people.TYPED_NAME, verb)
    login, own, roles = session_of(database, person.token_hash, time_s)
    reason = 0
    if not people.may(roles, verb, among):
        reason = people.NOT_FOR_ROLE
    elif department and department != own:
        reason = people.OTHER_DEPARTMENT
    if reason:
        raise NotAllowed(reason, verb, login, subject)
    database.update(_SEEN, [(time_s, person.token_hash)])
    write_act(database, login, verb, subject, evidence, 0, time_s)
    return login


def was_proven(
    database: Dialect, login: str, verb: str, subject: str, evidence: str | None = None
) -> bool:
    """Whether `login` has said this as somebody proven: its act stands there.

    `evidence`: what was shown with it; None: anything.
    """
    said = login, verb[:VERB_CHARS_MAX], subject[:WORD_CHARS_MAX]
    shown = [row[0] for row in list(database.rows(_SHOWN, said))]
    return bool(shown) if evidence is None else evidence[:WORD_CHARS_MAX] in shown


def basis(database: Dialect) -> str:
    """What goes into the hash of whatever two persons sign: on what their signatures rest.

    So a hash that was signed under typed names is that of no list any more once the books have
    operators, and the list is signed again by those.
    """
    return PROVEN if are_there(database) else TYPED


def works_as(database: Dialect, login: str) -> tuple[str, tuple[str, ...]]:
    """(department, roles) of somebody who may log in; ("", ()): nobody of this login may."""
    for department, roles in list(database.rows(_WORKS, (login,))):
        return department, tuple(roles.split())
    return "", ()


def note_refusal(database: Dialect, refused: NotAllowed, time_s: int) -> None:
    """Write down that somebody proven was refused: what was to be done was rolled back."""
    if refused.login:
        with database.transaction():
            said = refused.verb, refused.subject, "", refused.reason
            write_act(database, refused.login, *said, time_s)


def acts(database: Dialect, count: int, behind: int = 0) -> list[Said]:
    """The first `count` acts behind one of that number."""
    return [Said(*row) for row in database.rows(_ACTS, (behind, count))]


def session_of(
    database: Dialect, token_hash: bytes, time_s: int
) -> tuple[str, str, tuple[str, ...]]:
    """(login, department, roles) of whoever has the session of this token. NotAllowed."""
    rows = list(database.rows(_SESSION, (token_hash, time_s + CLOCK_S)))
    for login, department, words, begun_s, seen_s in rows:
        roles = tuple(words.split())
        session_s, idle_s = lasts_s(roles)
        if begun_s > time_s - session_s and seen_s > time_s - idle_s:
            return login, department, roles
    raise NotAllowed(people.NO_SESSION)


def lasts_s(roles: Iterable[str]) -> tuple[int, int]:
    """How long a session of these roles lasts, and how long while nobody is there."""
    is_display = tuple(roles) == (people.DISPLAY,)
    return (DISPLAY_S, DISPLAY_S) if is_display else (SESSION_S, IDLE_S)


def write_act(
    database: Dialect,
    login: str,
    verb: str,
    subject: str,
    evidence: str,
    reason: int,
    time_s: int,
) -> None:
    """An act of an operator, in a transaction of the caller."""
    ((number,),) = database.rows(_NEXT)
    words = subject[:WORD_CHARS_MAX], evidence[:WORD_CHARS_MAX]
    database.many(_ACT, [(number, login, verb[:VERB_CHARS_MAX], *words, reason, time_s)])


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
