"""The matrix of who may say what: total, and nobody says both halves of what takes two."""

import itertools

import pytest

from ledger import api_reasons, lifecycle, people, procedures
from ledger.card_status import VERBS as CARD_VERBS
from ledger.procedure_rows import ROWS


def test_every_verb_is_somebody_s_and_every_role_says_something():
    assert all(verb.roles and verb.article and verb.text for verb in people.VERBS.values())
    assert all(set(verb.roles) <= set(people.ROLES) for verb in people.VERBS.values())
    said = {role for verb in people.VERBS.values() for role in verb.roles}
    assert said == set(people.ROLES) - {people.DISPLAY}, "a screen on a wall says nothing"
    assert max(map(len, people.VERBS)) <= 32  # as the column has it


@pytest.mark.parametrize("role", people.ROLES)
def test_the_matrix_is_what_is_asked(role):
    at = 3 + list(people.ROLES).index(role)
    rows = people.matrix()
    assert [row[0] for row in rows] == list(people.VERBS)
    assert [row[at] == "yes" for row in rows] == [people.may([role], row[0]) for row in rows]


def test_every_verb_of_a_card_that_is_said_at_a_desk_is_in_it():
    at_desk = {
        name
        for name, rule in lifecycle.RULES.items()
        if any(channel in (lifecycle.COUNTER, lifecycle.BATCH) for _role, channel in rule.who)
        and any(role in people.ENTERED_BY for role, _channel in rule.who)
    }
    assert {f"card.{name}" for name in at_desk} <= set(people.VERBS)
    assert at_desk >= set(CARD_VERBS)
    assert not {"card.expire", "card.capture"} & set(people.VERBS)


def test_every_step_of_a_dossier_is_a_verb_of_its_role():
    for row in ROWS:
        verb = people.VERBS[people.step_verb(row.kind, row.role)]
        assert row.verb in verb.text.rpartition(": ")[2].split(", ")
    assert set(people.SAID_BY) == set(procedures.ROLES)
    for name, roles in people._SAID_OTHERWISE.items():
        assert people.VERBS[name].roles == roles


def _sets():
    for size in (1, 2, 3):
        yield from itertools.combinations(people.ROLES, size)


def test_no_hand_that_may_be_has_both_halves_of_what_takes_two():
    """Every set of up to three roles, in every department that the school has, and in another."""
    checked = 0
    for roles in _sets():
        for department in (*people.DEPARTMENTS, "Nursing"):
            if people.check_roles(department, roles):
                continue
            checked += 1
            for one, other in people.TWO_PERSONS:
                holders = [
                    (a, b)
                    for a in roles
                    for b in roles
                    if people.may([a], one) and people.may([b], other)
                ]
                assert all(a == b == people.ADMINISTRATOR for a, b in holders), (roles, one)
    assert checked >= len(people.ROLES)


def test_a_pair_is_of_two_verbs_that_are_there():
    for one, other in people.TWO_PERSONS:
        assert one != other
        assert {one, other} <= set(people.VERBS)


@pytest.mark.parametrize(
    ("department", "roles"),
    [
        (people.FINANCE, (people.CLERK, people.TREASURER)),
        (people.INFORMATION, (people.ADMINISTRATOR, people.ENGINEER)),
        (people.FINANCE, (people.ADMINISTRATOR,)),
        (people.INFORMATION, (people.CLERK,)),
        (people.GENERAL, (people.STEWARD, people.ENGINEER)),
        (people.STUDENTS, (people.WARDEN, people.HEAD)),
        (people.FINANCE, ()),
        (people.FINANCE, (people.CLERK, people.CLERK)),
        (people.FINANCE, ("boss",)),
        (people.GENERAL, (people.STEWARD, people.HEAD)),
        (people.GENERAL, (people.HEAD, people.LEADER)),
        (people.GENERAL, (people.STEWARD, people.LEADER)),
        (people.FINANCE, (people.CLERK, people.LEADER)),
        ("School", (people.LEADER, people.PRESIDENT)),
        ("School", (people.HEAD, people.PRESIDENT)),
    ],
)
def test_hands_that_may_not_be(department, roles):
    assert people.check_roles(department, roles) == people.ROLES_APART


@pytest.mark.parametrize(
    ("department", "roles"),
    [
        (people.FINANCE, (people.CLERK, people.HEAD)),
        ("Nursing", (people.HEAD,)),
        ("Nursing", (people.LEADER,)),
        ("School", (people.PRESIDENT,)),
    ],
)
def test_hands_that_may_be(department, roles):
    assert people.check_roles(department, roles) == 0


def test_numbers_have_one_meaning():
    assert set(people.TEXTS) == set(range(750, 750 + len(people.TEXTS)))
    assert max(people.TEXTS) < 770
    for reason in set(people.TEXTS) & set(api_reasons.TEXTS):
        assert api_reasons.TEXTS[reason][1] == people.TEXTS[reason]
