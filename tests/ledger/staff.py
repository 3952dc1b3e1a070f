"""Operators for tests, let in by the ledger's own verbs; argon2 with less memory."""

import pytest
from argon2 import PasswordHasher

from ledger import passwords, people, signatures
from ledger.operators import CHANGE, ENROL, Wanted
from ledger.signatures import NotAllowed

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
    "hip": ("Informatisation", (people.HEAD,)),
    "lin": (people.GENERAL, (people.LEADER,)),
    "lip": ("Informatisation", (people.LEADER,)),
    "pei": ("School", (people.PRESIDENT,)),
    "wall": (people.INFORMATION, (people.DISPLAY,)),
    "sun": (people.GENERAL, (people.STEWARD,)),
    "engel": (people.INFORMATION, (people.ENGINEER,)),
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


def change(store, admins, login, department, roles, time_s):
    """Other roles for somebody; a new session."""
    one, other = admins
    number = store.operators.propose(Wanted(CHANGE, login, department, roles), one, time_s)
    store.operators.approve(number, other, time_s)
    return log_in(store, login, time_s)


def tell(store, staff, story):
    """Each (verb, who may, how it is said) by every role, by a typed name, and by who may.

    Whoever may not changes nothing; whoever may does it, with its act. How many were refused.
    """
    refused = 0
    for verb, right, say in story:
        allowed = people.VERBS[verb].roles
        before = store.dump()
        for role in people.ROLES:
            if role not in allowed:
                with pytest.raises(NotAllowed) as caught:
                    say(store, staff[OF_ROLE[role]])
                assert caught.value.reason == people.NOT_FOR_ROLE, (verb, role)
                assert caught.value.verb == verb
                refused += 1
        with pytest.raises(NotAllowed) as caught:
            say(store, right)
        assert caught.value.reason == people.TYPED_NAME, verb
        assert store.dump() == before, verb
        say(store, staff[right])
        done = signatures.acts(store.database, 1_000)
        assert (right, verb, 0) in [(one.login, one.verb, one.reason) for one in done]
        assert store.dump() != before, verb
    return refused
