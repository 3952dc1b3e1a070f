"""What `onecard ledger operator` does: who works with the books, and who of them is here now.

May run beside the ledger. NotBooks, NotAllowed, StoreUnavailable.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ledger import marks, people
from ledger.declines import OPERATOR
from ledger.operators import CHANGE, ENROL, RESET, Operator, Wanted
from ledger.signatures import Said, acts, are_there
from tools import session
from tools.ledger_forks import opened
from tools.session import signing, written

PAGE = 200
VERBS = (ENROL, CHANGE, RESET)


def found(path: Path, logins: tuple[str, str], now_s: int) -> str:
    """The first two; the first password of each, told once."""
    with written(path) as store:
        made = store.operators.found(logins, now_s)
    return "\n".join(f"{who}: {word}" for who, word in zip(logins, made, strict=True))


def propose(path: Path, wanted: Wanted, by: str, now_s: int) -> str:
    """What waits for another administrator."""
    with signing(path, by, now_s) as (store, who):
        number = store.operators.propose(wanted, who, now_s)
    return f"proposal {number}: another administrator has to approve it"


def approve(path: Path, number: int, mark: str, by: str, now_s: int) -> str:
    """What is done now; a first password is told once. OtherMark."""
    with signing(path, by, now_s) as (store, who):
        marks.check(store, OPERATOR, str(number), mark)
        password = store.operators.approve(number, who, now_s)
    return f"first password: {password}" if password else "done"


def alone(path: Path, verb: str, login: str, by: str, now_s: int) -> str:
    """`disable` or `unlock`."""
    with signing(path, by, now_s) as (store, who):
        act = store.operators.disable if verb == "disable" else store.operators.unlock
        act(login, who, now_s)
    return f"{login}: {verb}d" if verb == "disable" else f"{login}: {verb}ed"


def set_password(path: Path, login: str, old: str, new: str, now_s: int) -> str:
    """It is another one from now on."""
    with written(path) as store:
        store.operators.set_password(login, old, new, now_s)
    return f"{login} has another password; every session of theirs is over"


def log_in(path: Path, login: str, password: str, now_s: int) -> str:
    """A session whose token is in the file from now on. OSError if it cannot be written."""
    with written(path) as store:
        token = store.operators.log_in(login, password, now_s)
    return f"{login} is logged in; {session.keep(token)} says so to who signs here"


def log_out(path: Path) -> str:
    """The session is over, and its file is gone."""
    with written(path) as store:
        store.operators.log_out(session.token())
    session.forget()
    return "logged out"


def listed(path: Path, now_s: int) -> str:
    """Everybody, and what waits."""
    with opened(path) as store:
        is_typed = not are_there(store.database)
        lines = [_line(one, now_s) for one in store.operators.all()]
        for one in store.operators.proposals():
            what = f"{one.verb} {one.login}, {one.department}: {', '.join(one.roles)}"
            _told, mark = marks.shown(store, OPERATOR, str(one.number))
            lines.append(f"proposal {one.number} by {one.person} waits: {what} (mark {mark})")
    if is_typed:
        return "no operators: names are typed, and prove nothing"
    return "\n".join(lines)


def _line(one: Operator, now_s: int) -> str:
    marks = [
        word
        for is_so, word in (
            (not one.is_active, "disabled"),
            (one.initial_until_s, "has not chosen a password"),
            (one.locked_until_s > now_s, "locked"),
        )
        if is_so
    ]
    roles = ", ".join(one.roles)
    return f"{one.login}, {one.department}: {roles}" + "".join(f"; {word}" for word in marks)


def told(path: Path, behind: int) -> str:
    """A page of the acts."""
    with opened(path) as store:
        said = acts(store.database, PAGE, behind)
    return "\n".join(map(_act, said)) or "nothing was said since"


def _act(one: Said) -> str:
    time = datetime.fromtimestamp(one.time_s, UTC).isoformat().replace("+00:00", "Z")
    shown = f" ({one.evidence})" if one.evidence else ""
    why = f": refused, {people.TEXTS[one.reason]} ({one.reason})" if one.reason else ""
    return f"{one.number} {time} {one.login}: {one.verb} {one.subject}".rstrip() + shown + why


def matrix() -> Iterator[str]:
    """Who may say what: a line for each verb."""
    for name, verb in people.VERBS.items():
        yield f"{name:<25} {', '.join(verb.roles):<46} {verb.text} ({verb.article})"
