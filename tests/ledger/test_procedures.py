"""The procedures of merchants and devices: a table that answers everything, and signs in order."""

from dataclasses import replace
from itertools import product

import pytest

from ledger import procedures
from ledger.procedures import (
    ABSENT,
    ACTS,
    ANNEX_2,
    APPROVED,
    CAPTURE,
    CLOSING,
    COSTS,
    COSTS_BOOKED,
    COSTS_SAID,
    DAMAGE,
    DUE_H,
    EVIDENCE,
    GIVE,
    KINDS,
    MOVE_OF,
    QUESTION,
    REPAIR,
    ROLES,
    SIGN,
    TAKE,
    WITH_TEXT,
    Act,
    Step,
    answer,
    custodian,
    is_open,
    of,
    states,
)

EVERY = [row for kind in KINDS for row in of(kind)]


def act_of(row, person, steps=(), **more):
    """Who says a row, with whatever it takes."""
    words = EVIDENCE.get((row.kind, row.verb), ("",))
    has_it = custodian(steps) if row.act in (TAKE, GIVE) else ""
    who = has_it if row.act == GIVE else person
    said = "because" if (row.kind, row.verb) in WITH_TEXT else ""
    return Act(
        **{"role": row.role, "person": who, "evidence": words[0], "said": said, "given_by": has_it}
        | more
    )


def step_of(row, by):
    return Step(row.verb, row.before, row.after, row.act, by, 1)


def way_to(kind, state):
    """The steps of a shortest way to `state`, each by a person of its own."""
    ways = {ABSENT: []}
    queue = [ABSENT]
    for at in queue:
        for row in of(kind):
            if row.before == at and row.after not in ways:
                person = f"p{len(ways[at])}"
                steps = ways[at]
                ways[row.after] = [*steps, step_of(row, act_of(row, person, steps))]
                queue.append(row.after)
    return ways[state]


def test_the_table_is_sound():
    assert {row.kind for row in EVERY} == set(KINDS) and len(set(EVERY)) == len(EVERY)
    assert {row.role for row in EVERY} == set(ROLES)
    assert {row.act for row in EVERY} == set(ACTS)
    verbs = {(row.kind, row.verb) for row in EVERY}
    assert set(EVIDENCE) | WITH_TEXT | set(COSTS_SAID.items()) <= verbs
    assert COSTS.keys() == COSTS_SAID.keys() == COSTS_BOOKED.keys()
    for kind in KINDS:
        begins = {row.after for row in of(kind) if row.before == ABSENT}
        ways = 2 if kind == CLOSING else 1  # a merchant leaves, or is thrown out
        assert len(begins) == ways and all(row.after != ABSENT for row in of(kind))
        assert COSTS_BOOKED.get(kind, ABSENT) in states(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_is_reached_and_what_may_wait_has_its_hours(kind):
    """Each open state but those that wait for nobody; nothing that is ended."""
    for state in states(kind):
        steps = way_to(kind, state)
        assert state == ABSENT or steps[-1].after == state
        waits = is_open(kind, state) and state != ABSENT
        assert ((kind, state) in DUE_H) == waits
    assert {key for key in DUE_H if key[0] == kind} <= {(kind, state) for state in states(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_verb_and_role_has_an_answer(kind):
    """The next state or a number with its article, and never both."""
    verbs = {row.verb for row in of(kind)}
    for state, verb, role in product(states(kind), verbs, ROLES):
        steps = way_to(kind, state)
        rows = [row for row in of(kind) if (row.verb, row.before) == (verb, state)]
        may = [row for row in rows if row.role == role]
        by = act_of(may[0], "new", steps) if may else Act(role, "new")
        said = answer(kind, steps, verb, by)
        if may:
            assert (said.reason, said.row) == (0, may[0])
        else:
            wanted = procedures.WRONG_ROLE if rows else procedures.WRONG_STATE
            assert said.reason == wanted and said.row is None
            assert f"({wanted}, {KINDS[kind][1]})" in said.because
            assert wanted in procedures.TEXTS


def test_what_is_ended_stays_so():
    ended = [(kind, state) for kind in KINDS for state in states(kind) if not is_open(kind, state)]
    assert ("merchant", APPROVED) in ended and (REPAIR, "closed") in ended
    for kind, state in ended:
        steps = way_to(kind, state)
        others = {row.verb for row in EVERY}
        if (kind, state) in procedures.AT_REST:
            others.remove("reopen")
        for verb, role in product(others, ROLES):
            said = answer(kind, steps, verb, Act(role, "new", "id-card", "because"))
            assert said.reason == procedures.WRONG_STATE


@pytest.mark.parametrize("kind", ANNEX_2)
def test_annex_2_takes_five_opinions_in_its_order(kind):
    """管理部门负责人, 管理部门分管校领导, 项目管理部门, 项目管理部门分管校领导, 校长."""
    signers = [step.by.role for step in way_to(kind, APPROVED) if step.act == SIGN]
    assert signers == [
        "department",
        "department-leader",
        "project",
        "project-leader",
        "president",
    ]
    for row in of(kind):
        if row.after == APPROVED:
            assert (row.before, row.role, row.act) == ("signed-4", "president", SIGN)


def test_a_move_takes_the_department_first_and_then_the_centre():
    signers = [step.by.role for step in way_to(MOVE_OF, "moved") if step.act == SIGN]
    assert signers == ["department", "centre"]


@pytest.mark.parametrize("row", [row for row in EVERY if row.act == SIGN and row.before != ABSENT])
def test_nobody_signs_twice_nor_what_he_has_said(row):
    steps = way_to(row.kind, row.before)
    barred = {step.by.person for step in steps if step.act == SIGN} | {steps[-1].by.person}
    if row.kind in (*ANNEX_2, MOVE_OF, DAMAGE):
        barred.add(steps[0].by.person)  # who applies approves nothing, who opens finds nothing
    for person in barred:
        said = answer(row.kind, steps, row.verb, act_of(row, person, steps))
        assert said.reason == procedures.ANOTHER_PERSON, person
    assert answer(row.kind, steps, row.verb, act_of(row, "new", steps)).row == row


@pytest.mark.parametrize("row", [row for row in EVERY if row.act in (TAKE, GIVE)])
def test_a_thing_comes_from_the_hands_that_have_it(row):
    steps = way_to(row.kind, row.before)
    has_it = custodian(steps)
    for given_by in sorted({"", "somebody", "new"} - {has_it}):
        by = act_of(row, "new", steps, given_by=given_by)
        assert answer(row.kind, steps, row.verb, by).reason == procedures.NOT_IN_CUSTODY
    if row.act == GIVE:
        by = replace(act_of(row, "new", steps), person="somebody")
        assert answer(row.kind, steps, row.verb, by).reason == procedures.NOT_IN_CUSTODY


@pytest.mark.parametrize("row", [row for row in EVERY if row.act not in (TAKE, GIVE)])
def test_what_changes_no_hands_names_none(row):
    steps = way_to(row.kind, row.before)
    by = act_of(row, "new", steps, given_by="somebody")
    assert answer(row.kind, steps, row.verb, by).reason == procedures.NOT_IN_CUSTODY


@pytest.mark.parametrize("kind_verb", sorted(set(EVIDENCE) | WITH_TEXT))
def test_without_what_has_to_be_shown_or_said_nothing_is_done(kind_verb):
    kind, verb = kind_verb
    for row in of(kind):
        if row.verb == verb:
            steps = way_to(kind, row.before)
            by = act_of(row, "new", steps, evidence="nothing", said="")
            assert answer(kind, steps, verb, by).reason == procedures.NO_EVIDENCE


@pytest.mark.parametrize("row", EVERY)
def test_said_again_word_for_word_it_is_nothing(row):
    steps = way_to(row.kind, row.before)
    by = act_of(row, "new", steps)
    again = answer(row.kind, [*steps, step_of(row, by)], row.verb, by)
    assert (again.reason, again.row) == (0, None)


def test_a_late_copy_of_a_hand_over_moves_nothing():
    """wu -> han -> wu; the first of them again would say that han has it."""
    steps = way_to(CAPTURE, "withheld")
    for person, given_by in (("han", "p0"), ("p0", "han")):
        row = answer(CAPTURE, steps, "pass", Act("security", person, given_by=given_by)).row
        steps = [*steps, step_of(row, Act("security", person, given_by=given_by))]
    late = answer(CAPTURE, steps, "pass", Act("security", "han", given_by="p0"))
    assert late.reason == procedures.SAID_OTHERWISE
    again = Act("security", "han", said="once more, to the centre", given_by="p0")
    assert answer(CAPTURE, steps, "pass", again).reason == 0


def test_who_has_signed_has_signed_whatever_came_behind():
    steps = way_to("device", APPROVED)
    for step in steps[1:]:
        assert answer("device", steps, "sign", step.by).reason == 0
        other = answer("device", steps, "sign", replace(step.by, person="new"))
        assert other.reason == procedures.WRONG_STATE


def test_what_the_regulation_wants_after_the_finding():
    """R22: compensation, and the security office; nothing is compensated before both."""
    verbs = [step.verb for step in way_to(DAMAGE, "compensated")]
    assert verbs == ["open", "establish", "refer", "compensate"]
    ends = {row.after for row in of(CAPTURE) if not is_open(CAPTURE, row.after)}
    assert ends == {"returned", "destroyed"}  # R19.4: by the card centre alone
    assert {row.role for row in of(CAPTURE) if row.after in ends} == {"card-centre"}
    assert {row.role for row in of(QUESTION) if row.verb == "answer"} == {"merchant"}
