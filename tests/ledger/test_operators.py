"""Operators: let in by two, locked out by wrong passwords, and gone when they are said to be."""

import re

import pytest

from ledger import passwords, people, people_rules, signatures
from ledger.dialect import ConstraintBroken
from ledger.invariants import check
from ledger.operators import (
    CHANGE,
    ENROL,
    INITIAL_S,
    LOCK_S,
    RESET,
    TRIES,
    Wanted,
)
from ledger.signatures import CLOCK_S, IDLE_S, SESSION_S, NotAllowed, Proven
from ledger.store import LedgerStore
from tests.ledger.staff import FIRST, cheap, enrol, found, log_in, password_of
from tests.ledger.tampering import tamper

NOW_S = 1_790_000_000
CLERK = people.FINANCE, (people.CLERK,)
GUARD = people.SECURITY, (people.GUARD,)
ADMINISTRATOR = people.INFORMATION, (people.ADMINISTRATOR,)

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture
def store():
    return LedgerStore.open(":memory:")


@pytest.fixture
def admins(store):
    return found(store, NOW_S)


def reason(act, *words):
    with pytest.raises(NotAllowed) as caught:
        act(*words)
    return caught.value.reason


def acts(store):
    return [(one.login, one.verb, one.reason) for one in signatures.acts(store.database, 1_000)]


def changes(store):
    sql = "SELECT verb, login, person FROM operator_change ORDER BY number"
    return list(store.database.rows(sql))


# --- letting in ----------------------------------------------------------------------------------


def test_the_first_two_are_two_and_come_once(store):
    operators = store.operators
    assert reason(operators.found, ("anna", "anna"), NOW_S) == people.SAME_PERSON
    assert operators.all() == []
    operators.found(FIRST, NOW_S)
    assert reason(operators.found, ("carl", "dora"), NOW_S) == people.FOUNDED
    assert [one.login for one in operators.all()] == list(FIRST)
    row = 3, "found", "carl", people.INFORMATION, people.ADMINISTRATOR, "anna", NOW_S
    sql = "INSERT INTO operator_change (number, verb, login, department, roles, person, time_s)"
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.many(f"{sql} VALUES (?, ?, ?, ?, ?, ?, ?)", [row])


def test_before_the_first_two_no_typed_name_lets_anybody_in(store):
    """It would be one person's word, and nobody could be founded any more."""
    operators, before = store.operators, store.dump()
    for act, *words in (
        (operators.propose, Wanted(ENROL, "mallory", *CLERK), "anna"),
        (operators.approve, 1, "bao"),
        (operators.disable, "mallory", "bao"),
        (operators.unlock, "mallory", "bao"),
    ):
        assert reason(act, *words, NOW_S) == people.NOT_FOUNDED
    assert store.dump() == before
    # Written by hand before, it counts for nothing behind them, and the database keeps 1 and 2.
    row = 1, ENROL, "mallory", people.FINANCE, people.CLERK, "anna", NOW_S
    with store.database.transaction():
        store.database.many("INSERT INTO operator_proposal VALUES (?, ?, ?, ?, ?, ?, ?)", [row])
    sql = "INSERT INTO operator_change VALUES (1, ?, ?, ?, ?, 1, 'bao', 0)"
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.many(sql, [row[1:5]])
    _one, other = found(store, NOW_S)
    assert operators.proposals() == []
    assert reason(operators.approve, 1, other, NOW_S) == people.NO_PROPOSAL


def test_a_proposal_counts_as_long_as_who_has_made_it_lets_people_in(store, admins):
    one, other = admins
    third = enrol(store, admins, "carl", people.INFORMATION, (people.ADMINISTRATOR,), NOW_S)
    number = store.operators.propose(Wanted(ENROL, "clara", *CLERK), third, NOW_S)
    head = Wanted(CHANGE, "carl", "Nursing", (people.HEAD,))
    store.operators.approve(store.operators.propose(head, one, NOW_S), other, NOW_S)
    assert store.operators.proposals() == []
    assert reason(store.operators.approve, number, other, NOW_S) == people.NO_PROPOSAL


def test_nobody_lets_anybody_in_alone(store, admins):
    one, other = admins
    operators = store.operators
    number = operators.propose(Wanted(ENROL, "clara", *CLERK), one, NOW_S)
    before = store.dump()
    assert reason(operators.approve, number, one, NOW_S) == people.SAME_PERSON
    assert reason(operators.approve, number, "bao", NOW_S) == people.TYPED_NAME
    assert reason(operators.approve, number + 1, other, NOW_S) == people.NO_PROPOSAL
    assert store.dump() == before  # refused whole: not even an act of what was rolled back
    password = operators.approve(number, other, NOW_S)
    assert reason(operators.approve, number, other, NOW_S) == people.NO_PROPOSAL
    assert password and changes(store)[-1] == ("enrol", "clara", "bao")
    operators.set_password("clara", password, password_of("clara"), NOW_S)
    clara = log_in(store, "clara", NOW_S)
    assert reason(operators.propose, Wanted(ENROL, "dora", *CLERK), clara, NOW_S) == (
        people.NOT_FOR_ROLE
    )


def test_the_database_itself_takes_no_one_who_approves_for_himself(store, admins):
    number = store.operators.propose(Wanted(ENROL, "clara", *CLERK), admins[0], NOW_S)
    sql = "INSERT INTO operator_change VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    for roles, person in (("clerk", "anna"), ("clerk head", "bao")):
        row = 3, "enrol", "clara", people.FINANCE, roles, number, person, NOW_S
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.many(sql, [row])


def test_a_newer_proposal_stands_in_the_place_of_an_older(store, admins):
    one, other = admins
    older = store.operators.propose(Wanted(ENROL, "clara", *CLERK), one, NOW_S)
    newer = store.operators.propose(
        Wanted(ENROL, "clara", "Nursing", (people.HEAD,)), other, NOW_S
    )
    assert reason(store.operators.approve, older, other, NOW_S) == people.NO_PROPOSAL
    assert store.operators.approve(newer, one, NOW_S)
    assert store.operators.roles_of("clara") == (people.HEAD,)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(ENROL, "anna", *CLERK), people.NO_OPERATOR),
        (Wanted(CHANGE, "nobody", *CLERK), people.NO_OPERATOR),
        (Wanted(RESET, "nobody"), people.NO_OPERATOR),
        (Wanted(ENROL, "Clara", *CLERK), people.NO_OPERATOR),
        (Wanted(ENROL, "clara", people.FINANCE, ("clerk", "treasurer")), people.ROLES_APART),
        (Wanted(ENROL, "clara", people.SECURITY, ("clerk",)), people.ROLES_APART),
        (Wanted(ENROL, "clara", people.FINANCE, ()), people.ROLES_APART),
        (Wanted(ENROL, "clara", "", (people.HEAD,)), people.ROLES_APART),
        (Wanted(ENROL, "clara", "x" * 33, (people.HEAD,)), people.ROLES_APART),
        (Wanted(ENROL, "clara", "a\nb", (people.HEAD,)), people.ROLES_APART),
    ],
)
def test_what_cannot_be_proposed(store, admins, wanted, expected):
    assert reason(store.operators.propose, wanted, admins[0], NOW_S) == expected
    assert store.operators.proposals() == []


def test_whoever_is_disabled_or_changed_is_out_at_once(store, admins):
    one, other = admins
    clara = enrol(store, admins, "clara", *CLERK, NOW_S)
    store.operators.disable("clara", one, NOW_S)
    assert reason(_sign, store, clara) == people.NO_SESSION
    assert reason(log_in, store, "clara", NOW_S) == people.WRONG_LOGIN
    number = store.operators.propose(Wanted(RESET, "clara"), one, NOW_S)
    password = store.operators.approve(number, other, NOW_S)
    store.operators.set_password("clara", password, password_of("clara"), NOW_S)
    clara = log_in(store, "clara", NOW_S)
    assert _sign(store, clara) == "clara"
    wanted = Wanted(CHANGE, "clara", "Nursing", (people.HEAD,))
    assert store.operators.approve(store.operators.propose(wanted, one, NOW_S), other, NOW_S) == ""
    assert reason(_sign, store, clara) == people.NO_SESSION
    assert reason(_sign, store, log_in(store, "clara", NOW_S)) == people.NOT_FOR_ROLE


@pytest.mark.parametrize("verb", [CHANGE, RESET])
@pytest.mark.parametrize("gone", ["clara", "carl"])
def test_disable_is_not_undone_by_what_was_proposed_before_it(store, admins, verb, gone):
    """Neither of whom it is about, nor by whom; also with the clock set back."""
    one, other = admins
    enrol(store, admins, "clara", *CLERK, NOW_S)
    carl = enrol(store, admins, "carl", people.INFORMATION, (people.ADMINISTRATOR,), NOW_S)
    wanted = Wanted(verb, "clara", *CLERK)
    number = store.operators.propose(wanted, carl, NOW_S)
    store.operators.disable(gone, one, NOW_S - 1)
    assert store.operators.proposals() == []
    assert reason(store.operators.approve, number, other, NOW_S) == people.NO_PROPOSAL
    assert store.operators.roles_of(gone) == ()
    # Let in again, carl has not said it anew.
    again = store.operators.propose(Wanted(RESET, gone), one, NOW_S)
    assert store.operators.approve(again, other, NOW_S)
    assert reason(store.operators.approve, number, other, NOW_S) == people.NO_PROPOSAL
    assert check(store) == []


@pytest.mark.parametrize("by", ["bao", "zed"])  # zed was let in behind the backup too
@pytest.mark.parametrize("gone", ["clara", "carl"])
def test_disable_behind_a_backup_ends_what_was_proposed_before_it_as_well(store, admins, by, gone):
    """Else one administrator of the restored books lets in by an old word whom nobody would."""
    one, other = admins
    enrol(store, admins, "clara", *CLERK, NOW_S)
    carl = enrol(store, admins, "carl", people.INFORMATION, (people.ADMINISTRATOR,), NOW_S)
    number = store.operators.propose(Wanted(RESET, "clara"), carl, NOW_S)
    lost = [(90, "disable", gone, people.FINANCE, people.CLERK, None, by, NOW_S)]
    assert store.operators.disable_again(lost, NOW_S) == ([gone], [])
    assert store.operators.proposals() == []
    again = store.operators.propose(Wanted(RESET, gone), one, NOW_S)
    assert store.operators.approve(again, other, NOW_S)
    assert reason(store.operators.approve, number, other, NOW_S) == people.NO_PROPOSAL
    assert check(store) == []


def test_two_stay_who_can_let_people_in(store, admins):
    """Nobody is one of them before they have chosen a password: the first one may be lost."""
    one, other = admins
    operators = store.operators
    carl = operators.approve(
        operators.propose(Wanted(ENROL, "carl", *ADMINISTRATOR), one, NOW_S), other, NOW_S
    )
    out = Wanted(CHANGE, "bao", "Nursing", (people.HEAD,))
    before = store.dump()
    for login in FIRST:
        assert reason(operators.disable, login, one, NOW_S) == people.LAST_TWO
    assert reason(operators.propose, out, one, NOW_S) == people.LAST_TWO
    assert store.dump() == before
    operators.disable("carl", one, NOW_S)  # who is none of the two goes
    carl = operators.approve(operators.propose(Wanted(RESET, "carl"), one, NOW_S), other, NOW_S)
    operators.set_password("carl", carl, password_of("carl"), NOW_S)
    operators.disable("bao", one, NOW_S)
    third = log_in(store, "carl", NOW_S)
    assert reason(operators.disable, "anna", third, NOW_S) == people.LAST_TWO
    number = operators.propose(Wanted(RESET, "bao"), one, NOW_S)
    assert operators.approve(number, third, NOW_S)


def test_roles_that_waited_are_not_taken_from_one_of_the_last_two(store, admins):
    one, other = admins
    enrol(store, admins, "carl", *ADMINISTRATOR, NOW_S)
    own = Wanted(CHANGE, "anna", "Nursing", (people.HEAD,))
    number = store.operators.propose(own, one, NOW_S)
    store.operators.disable("carl", other, NOW_S)
    assert reason(store.operators.approve, number, other, NOW_S) == people.LAST_TWO
    assert store.operators.roles_of("anna") == ADMINISTRATOR[1]


def test_a_restore_leaves_two_who_can_let_people_in(store, admins):
    """Who came in their place came behind the backup, and is in none of its books."""
    enrol(store, admins, "clara", *CLERK, NOW_S)
    facts = *ADMINISTRATOR[:1], people.ADMINISTRATOR, None, "zed", NOW_S
    lost = [(90 + n, "disable", login, *facts) for n, login in enumerate(("bao", "clara"))]
    assert store.operators.disable_again(lost, NOW_S) == (["clara"], ["bao"])
    assert store.operators.roles_of("bao") == ADMINISTRATOR[1]
    assert check(store) == []


def test_other_roles_let_nobody_in_who_is_disabled(store, admins):
    one, other = admins
    enrol(store, admins, "clara", *CLERK, NOW_S)
    store.operators.disable("clara", one, NOW_S)
    wanted = Wanted(CHANGE, "clara", "Nursing", (people.HEAD,))
    assert reason(store.operators.propose, wanted, other, NOW_S) == people.DISABLED
    assert store.operators.roles_of("clara") == ()


def _sign(store, person, time_s=NOW_S, verb="card.warn"):
    with store.database.transaction():
        return signatures.signed(store.database, verb, person, time_s, "card 7", "id-card")


def test_roles_that_came_apart_later_are_kept_through_a_reset_and_given_to_nobody(
    store, admins, monkeypatch
):
    """Books of a release in which a steward might sign as head: one is both, one waits for it."""
    one, other = admins
    both = people.GENERAL, (people.STEWARD, people.HEAD)
    with monkeypatch.context() as before:
        before.setattr(people, "check_roles", lambda *_words: 0)
        enrol(store, admins, "stella", *both, NOW_S)
        waiting = store.operators.propose(Wanted(ENROL, "sun", *both), one, NOW_S)
    assert reason(store.operators.approve, waiting, other, NOW_S) == people.ROLES_APART
    store.operators.disable("stella", one, NOW_S)
    number = store.operators.propose(Wanted(RESET, "stella"), one, NOW_S)
    assert store.operators.approve(number, other, NOW_S)
    assert store.operators.roles_of("stella") == both[1] and check(store) == []
    number = store.operators.propose(Wanted(CHANGE, "stella", *GUARD), one, NOW_S)
    store.operators.approve(number, other, NOW_S)
    assert store.operators.roles_of("stella") == GUARD[1] and check(store) == []


def test_a_reset_gives_nobody_roles_that_were_written_by_hand(store, admins):
    enrol(store, admins, "clara", *CLERK, NOW_S)
    tamper(store, ["UPDATE operator SET roles = 'clerk treasurer' WHERE login = 'clara'"])
    wanted = Wanted(RESET, "clara")
    assert reason(store.operators.propose, wanted, admins[0], NOW_S) == people.ROLES_APART


def test_nobody_approves_what_is_about_himself(store, admins):
    one, other = admins
    third = enrol(store, admins, "carl", *ADMINISTRATOR, NOW_S)
    wanted = Wanted(CHANGE, "anna", "Nursing", (people.HEAD,))
    number = store.operators.propose(wanted, other, NOW_S)
    assert reason(store.operators.approve, number, one, NOW_S) == people.SAME_PERSON
    store.operators.approve(number, third, NOW_S)
    assert store.operators.roles_of("anna") == (people.HEAD,)


# --- passwords -----------------------------------------------------------------------------------


def test_a_first_password_serves_once_and_some_days(store):
    first, second = store.operators.found(FIRST, NOW_S)
    set_password = store.operators.set_password
    assert reason(store.operators.log_in, "anna", first, NOW_S) == people.INITIAL_PASSWORD
    assert reason(set_password, "anna", first, first, NOW_S) == people.WEAK_PASSWORD
    set_password("anna", first, password_of("anna"), NOW_S)
    assert reason(set_password, "anna", first, "another-long-word", NOW_S) == people.WRONG_LOGIN
    late = NOW_S + INITIAL_S
    assert reason(set_password, "bao", second, password_of("bao"), late) == people.INITIAL_PASSWORD


@pytest.mark.parametrize(
    "weak",
    ["short-word1", "aaaaaaaaaaaaaaaa", "my-name-is-Anna!", "a" * 129, "tab\tin-the-middle"],
)
def test_passwords_that_are_not_kept(weak):
    assert not passwords.is_good(weak, "anna")
    assert passwords.is_good("校园卡是一张卡片也是一把钥匙", "anna")


def test_tries_are_counted_and_a_right_one_waits_too(store, admins):
    operators = store.operators
    for _ in range(TRIES - 1):
        assert reason(operators.log_in, "anna", "wrong", NOW_S) == people.WRONG_LOGIN
    log_in(store, "anna", NOW_S)  # a right one begins the count anew
    for _ in range(TRIES):
        assert reason(operators.log_in, "anna", "wrong", NOW_S) == people.WRONG_LOGIN
    assert reason(log_in, store, "anna", NOW_S) == people.WRONG_LOGIN
    assert reason(log_in, store, "anna", NOW_S + LOCK_S - 1) == people.WRONG_LOGIN
    assert acts(store).count(("anna", "session.begin", people.LOCKED)) == 1
    later = NOW_S + LOCK_S
    assert reason(operators.log_in, "anna", "wrong", later) == people.WRONG_LOGIN
    assert reason(log_in, store, "anna", later) == people.WRONG_LOGIN  # one more each time
    operators.unlock("anna", admins[1], later - LOCK_S)
    log_in(store, "anna", later)


def test_the_fifth_try_is_taken_if_it_is_right(store, admins):
    for _ in range(TRIES - 1):
        assert reason(store.operators.log_in, "anna", "wrong", NOW_S) == people.WRONG_LOGIN
    log_in(store, "anna", NOW_S)
    assert [one.failed for one in store.operators.all()] == [0, 0]


def test_power_gone_while_a_password_is_looked_at_has_counted_it(store, admins, monkeypatch):
    class PowerGone(BaseException):
        pass

    def gone(*_words):
        raise PowerGone

    monkeypatch.setattr(passwords, "fits", gone)
    for _ in range(TRIES):
        with pytest.raises(PowerGone):
            store.operators.log_in("anna", "guess", NOW_S)
    monkeypatch.undo()
    assert store.operators.all()[0].failed == TRIES
    assert reason(log_in, store, "anna", NOW_S) == people.WRONG_LOGIN


def test_who_is_not_there_is_answered_as_who_is(store, admins, monkeypatch):
    looked = []
    real = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda *words: looked.append(words) or real(*words))
    for login in ("anna", "nobody", "'; --"):
        with pytest.raises(NotAllowed) as caught:
            store.operators.log_in(login, "wrong", NOW_S)
        assert str(caught.value) == f"{people.TEXTS[people.WRONG_LOGIN]} ({people.WRONG_LOGIN})"
    assert [kept[:10] for kept, _password in looked] == ["$argon2id$"] * 3


def test_what_is_kept_is_argon2id_of_the_cost_that_is_said(monkeypatch):
    monkeypatch.undo()  # as in service
    kept = passwords.hashed("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert kept != passwords.hashed("correct horse battery")
    assert passwords.fits(kept, "correct horse battery")
    assert not passwords.fits(kept, "correct horse batterz")
    assert not passwords.fits("no hash at all", "no hash at all")


# --- sessions ------------------------------------------------------------------------------------


def test_a_session_ends_by_itself_by_its_owner_and_by_another_password(store, admins):
    one = admins[0]
    assert _sign(store, _clerk(store, admins)) == "clara"
    for late in (IDLE_S, SESSION_S):
        clara = log_in(store, "clara", NOW_S)
        assert reason(_sign, store, clara, NOW_S + late) == people.NO_SESSION
    clara = log_in(store, "clara", NOW_S)
    for time_s in range(NOW_S, NOW_S + SESSION_S, IDLE_S - 1):
        assert _sign(store, clara, time_s) == "clara"  # used, it lasts
    assert reason(_sign, store, clara, NOW_S + SESSION_S) == people.NO_SESSION
    token = store.operators.log_in("clara", password_of("clara"), NOW_S)
    for _ in range(2):
        store.operators.log_out(token)
    assert reason(store.operators.prove, token, NOW_S) == people.NO_SESSION
    clara = log_in(store, "clara", NOW_S)
    store.operators.set_password("clara", password_of("clara"), "another-long-word", NOW_S)
    assert reason(_sign, store, clara) == people.NO_SESSION
    assert one == "anna"


def _clerk(store, admins):
    return enrol(store, admins, "clara", *CLERK, NOW_S)


def test_a_clock_that_is_set_back_takes_a_session_with_it(store, admins):
    clara = _clerk(store, admins)
    assert _sign(store, clara, NOW_S - CLOCK_S) == "clara"
    assert reason(_sign, store, clara, NOW_S - CLOCK_S - 1) == people.NO_SESSION


@pytest.mark.parametrize("token_hash", [bytes(32), b"", b"x" * 33])
def test_a_name_that_somebody_has_made_proves_nothing(store, admins, token_hash):
    assert reason(_sign, store, Proven("anna", token_hash)) == people.NO_SESSION
    assert reason(_sign, store, "anna") == people.TYPED_NAME


def test_a_proven_name_is_whoever_has_the_session(store, admins):
    """Not what stands in the name: another's name with my session is me."""
    clara = _clerk(store, admins)
    assert _sign(store, Proven("anna", clara.token_hash)) == "clara"


def test_while_there_are_no_operators_a_name_is_as_typed(store):
    assert _sign(store, "wang") == "wang"
    assert acts(store) == []


def test_no_password_and_no_token_stands_in_what_is_told(store, admins):
    token = store.operators.log_in("anna", password_of("anna"), NOW_S)
    told = store.dump().decode() + repr(store.operators.all()) + repr(admins)
    assert token not in told
    assert not re.search(r"argon2|correct-horse", told)


# --- acts ----------------------------------------------------------------------------------------


def test_an_act_stands_there_with_what_was_shown_or_why_it_was_refused(store, admins):
    clara = _clerk(store, admins)
    _sign(store, clara)
    said = signatures.acts(store.database, 1_000)[-1]
    assert (said.login, said.verb, said.subject, said.evidence, said.reason) == (
        *("clara", "card.warn", "card 7", "id-card"),
        0,
    )
    with pytest.raises(NotAllowed) as caught:
        _sign(store, clara, verb="case.approve")
    assert acts(store)[-1][1] == "card.warn"  # rolled back with what it was for
    signatures.note_refusal(store.database, caught.value, NOW_S)
    assert acts(store)[-1] == ("clara", "case.approve", people.NOT_FOR_ROLE)
    with pytest.raises(NotAllowed) as caught:
        _sign(store, "clara")
    signatures.note_refusal(store.database, caught.value, NOW_S)
    assert acts(store)[-1][1] == "case.approve"  # of whom nobody knows there is no act


@pytest.mark.parametrize("table", ["operator_act", "operator_change", "operator_proposal"])
def test_what_was_said_stays(store, admins, table):
    store.operators.propose(Wanted(ENROL, "clara", *CLERK), admins[0], NOW_S)
    for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET time_s = 0"):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            list(store.database.rows(sql))
    with pytest.raises(ConstraintBroken), store.database.transaction():
        list(store.database.rows("DELETE FROM operator"))


# --- what somebody does behind them --------------------------------------------------------------

TAMPERED = {
    "who works with the books was let in by two persons": [
        "UPDATE operator_change SET person = 'anna' WHERE verb = 'enrol'",
        "UPDATE operator_change SET roles = 'treasurer' WHERE verb = 'enrol'",
        "DELETE FROM operator_proposal",
        "UPDATE operator_proposal SET person = 'nobody'",
        "UPDATE operator_change SET verb = 'enrol' WHERE number = 2",
        "UPDATE operator_change SET verb = 'found' WHERE verb = 'enrol'",
    ],
    "an operator is what was approved last": [
        "UPDATE operator SET roles = 'clerk treasurer' WHERE login = 'clara'",
        "UPDATE operator SET department = 'Nursing' WHERE login = 'clara'",
        "UPDATE operator SET is_active = 1 WHERE login = 'chen'",
        "INSERT INTO operator VALUES ('eve', 'Finance', 'treasurer', 1, 'x', 0, 0, 0)",
    ],
}


@pytest.mark.parametrize(
    ("rule", "sql"), [(rule, sql) for rule in TAMPERED for sql in TAMPERED[rule]]
)
def test_a_role_that_somebody_has_written_by_hand_is_seen(store, admins, rule, sql):
    enrol(store, admins, "clara", *CLERK, NOW_S)
    enrol(store, admins, "chen", *CLERK, NOW_S)
    store.operators.disable("chen", admins[0], NOW_S)
    store.operators.unlock("chen", admins[0], NOW_S)
    assert check(store) == []
    tamper(store, [sql])
    assert rule in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert set(TAMPERED) == set(people_rules.RULES)
