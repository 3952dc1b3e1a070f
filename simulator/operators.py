"""Who has logged in at the card centre in a scenario: from then on no typed name signs (ADR 51).

Two administrators found the books' operators and let in each [[operator]] of the file together;
each chooses a password and logs in. Whoever a step names is then that session, or a typed name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger import people
from ledger.operators import ENROL, Wanted
from ledger.store import LedgerStore

_FIRST = ("admin-1", "admin-2")
_CHOSEN = "correct horse, and its cart of {:.1}"  # as worthless as the keys of a simulation


def fault_of(operators: Sequence[Mapping[str, Any]]) -> tuple[int, str, str] | None:
    """(which one, key, why) of the first that cannot be let in."""
    for at, one in enumerate(operators):
        roles = one.get("roles")
        if not isinstance(roles, list) or not roles or not set(roles) <= set(people.ROLES):
            return at, "roles", f"roles = {roles!r}: some of {', '.join(people.ROLES)}"
        if people.check_roles(one["department"], roles):
            return at, "roles", f"'{one['department']}' has nobody who is {' and '.join(roles)}"
    return None


def log_in(
    store: LedgerStore, operators: Sequence[Mapping[str, Any]], now_s: int
) -> dict[str, str]:
    """The proven name of each by name; {} where the books shall have no operators."""
    if not operators:
        return {}
    desk, proven = store.operators, {}
    for login, password in zip(_FIRST, desk.found(_FIRST, now_s), strict=True):
        proven[login] = _begin(store, login, password, now_s)
    for one in operators:
        wanted = Wanted(ENROL, one["name"], one["department"], tuple(one["roles"]))
        number = desk.propose(wanted, proven[_FIRST[0]], now_s)
        password = desk.approve(number, proven[_FIRST[1]], now_s)
        proven[one["name"]] = _begin(store, one["name"], password, now_s)
    return proven


def password_of(login: str) -> str:
    """What everybody of that login has chosen here."""
    return _CHOSEN.format(login)


def log_in_again(store: LedgerStore, login: str, now_s: int) -> str:
    """The proven name of somebody who was let in before."""
    token = store.operators.log_in(login, password_of(login), now_s)
    return store.operators.prove(token, now_s)


def _begin(store: LedgerStore, login: str, password: str, now_s: int) -> str:
    store.operators.set_password(login, password, password_of(login), now_s)
    return log_in_again(store, login, now_s)
