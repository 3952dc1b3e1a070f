"""Operators for tests, let in by the ledger's own verbs; argon2 with less memory."""

import pytest
from argon2 import PasswordHasher

from ledger import passwords, people
from ledger.operators import ENROL, Wanted

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FIRST = ("anna", "bao")
# login -> (department, roles): one of each role, and a second one where a test needs another.
STAFF = {
    "eng": (people.INFORMATION, (people.ENGINEER,)),
    "clara": (people.FINANCE, (people.CLERK,)),
    "chen": (people.FINANCE, (people.CLERK,)),
    "tian": (people.FINANCE, (people.TREASURER,)),
    "stella": (people.GENERAL, (people.STEWARD,)),
    "wen": (people.STUDENTS, (people.WARDEN,)),
    "gu": (people.SECURITY, (people.GUARD,)),
    "hua": (people.GENERAL, (people.HEAD,)),
    "hes": (people.STUDENTS, (people.HEAD,)),
}
OF_ROLE = {roles[0]: login for login, (_department, roles) in reversed(STAFF.items())}
OF_ROLE[people.ADMINISTRATOR] = FIRST[0]


@pytest.fixture
def cheap(monkeypatch):
    """What argon2 costs is measured once, in test_operators.py."""
    monkeypatch.setattr(passwords, "_HASHER", CHEAP)


def password_of(login):
    return f"{login[:1]}-correct-horse-{len(login)}"


def token_of(store, login, time_s):
    """That of a session that begins now."""
    return store.operators.log_in(login, password_of(login), time_s)


def log_in(store, login, time_s):
    """A proven name, by a session that begins now."""
    return store.operators.prove(token_of(store, login, time_s), time_s)


def found(store, time_s, first=FIRST):
    """The first two, with passwords of their own, logged in."""
    for login, password in zip(first, store.operators.found(first, time_s), strict=True):
        store.operators.set_password(login, password, password_of(login), time_s)
    return [log_in(store, login, time_s) for login in first]


def enrol(store, admins, login, department, roles, time_s):
    one, other = admins
    number = store.operators.propose(Wanted(ENROL, login, department, roles), one, time_s)
    password = store.operators.approve(number, other, time_s)
    store.operators.set_password(login, password, password_of(login), time_s)
    return log_in(store, login, time_s)


def staffed(store, time_s):
    """login -> proven name of everybody in STAFF, and of the first two."""
    admins = found(store, time_s)
    people_of = {str(one): one for one in admins}
    for login, (department, roles) in STAFF.items():
        people_of[login] = enrol(store, admins, login, department, roles, time_s)
    return people_of
