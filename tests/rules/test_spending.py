"""The spending decision: a table of cases, what must hold for all others, and the real VM."""

import json
import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocols.card.purse import AMOUNT_FEN_MAX
from protocols.card.purse import COUNTER_MAX as CARD_COUNTER_MAX
from protocols.rules import reasons, spending
from protocols.rules.spending import POLICY_FIELDS, SPENT_FEN_MAX, decide
from tests.rules import tables
from tests.rules.tables import (
    CARD,
    DAY,
    IDENTITY,
    NOON,
    PIN,
    POLICY,
    PROVEN,
    SPENDING,
    Card,
    changed,
    ms,
)

LIMITS = [name for name in POLICY if name.endswith("_fen")]
INTERVALS = st.tuples(st.integers(ms(DAY - 2), ms(DAY + 2)), st.integers(0, 300_000)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1])
)
POLICIES = st.fixed_dictionaries(
    {name: st.integers(0, 20_000) | st.integers(0, SPENT_FEN_MAX) for name in LIMITS}
).map(lambda limits: {**POLICY, **limits})
SUMS = st.integers(0, 20_000) | st.integers(0, SPENT_FEN_MAX)
CARDS = st.fixed_dictionaries(
    {
        "kind": st.integers(0, 4),
        "valid_from": st.integers(DAY - 2, DAY + 1),
        "valid_to": st.integers(DAY - 1, DAY + 2),
        "counter": st.integers(0, 0xFFFF),
        "balance_fen": st.integers(0, 30_000) | st.integers(0, 0x7FFFFFFF),
        "day": st.integers(DAY - 2, DAY + 2) | st.integers(0, 0xFFFF),
        "day_total_fen": SUMS,
        "since_pin_fen": SUMS,
        "since_pin_count": st.integers(0, 15),
        "pin_tries": st.integers(0, 15),
    }
)
AMOUNTS = st.integers(-1, 25_000) | st.integers(0, 1 << 40)


@pytest.mark.parametrize("line", SPENDING, ids=lambda line: line[0])
def test_table(line):
    expected, tries = line[-1], line[1].get("pin_tries", CARD["pin_tries"])
    reason, state = tables.decided(line)
    if isinstance(expected, tuple):
        assert (reason, state) == (reasons.APPROVED, (*expected, tries))
    else:
        assert (reason, state) == (expected, None)


@pytest.mark.parametrize("line", PROVEN, ids=lambda line: line[0])
def test_what_a_pin_and_a_face_prove(line):
    expected = line[-1]
    is_approved = isinstance(expected, tuple)
    wanted = (reasons.APPROVED, expected) if is_approved else (expected, None)
    assert tables.decided_with(line) == wanted


@pytest.mark.parametrize("line", tables.KNOWN, ids=lambda line: line[0])
def test_what_the_map_says(line):
    expected, tries = line[-1], CARD["pin_tries"]
    is_approved = isinstance(expected, tuple)
    wanted = (reasons.APPROVED, (*expected, tries)) if is_approved else (expected, None)
    assert tables.decided_by_map(line) == wanted


def test_table_has_every_reason_that_is_given():
    given_reasons = {tables.decided(line)[0] for line in SPENDING}
    assert given_reasons == {
        reasons.APPROVED,
        reasons.BALANCE_SHORT,
        reasons.OVER_SPEND_LIMIT,
        reasons.PIN_NEEDED,
        reasons.OVER_DAY_LIMIT,
        reasons.NOT_YET_VALID,
        reasons.EXPIRED,
        reasons.OVER_OFFLINE_LIMIT,
        reasons.COUNTER_WORN,
        reasons.KIND_NOT_SERVED,
        reasons.CLOCK_UNKNOWN,
        reasons.BAD_AMOUNT,
    }


def test_names_of_the_table_are_those_of_policy_and_card():
    assert set(POLICY) == set(POLICY_FIELDS)
    assert not set(POLICY) & set(CARD)
    for name, changes, *_ in SPENDING:
        assert changes.keys() <= POLICY.keys() | CARD.keys(), name
    names = [line[0] for line in SPENDING]
    assert len(names) == len(set(names))


def test_micropython_decides_the_same(micropython, repo_root):
    done = subprocess.run(
        [micropython, "-X", "heapsize=1M", "-m", "tests.rules.tables"],
        capture_output=True,
        text=True,
        cwd=repo_root,
        env={"MICROPYPATH": f"{repo_root}:.frozen"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(tables.outcomes()))


# --- what holds for all -----------------------------------------------------------------------


def test_what_a_card_counts_is_said_once_on_either_side():
    assert spending.COUNTER_MAX == CARD_COUNTER_MAX
    assert spending.SPENT_FEN_MAX == AMOUNT_FEN_MAX


@given(POLICIES, CARDS, AMOUNTS, INTERVALS, st.booleans())
def test_refused_or_within_every_limit(policy, fields, amount_fen, interval_ms, offline):
    reason, state = decide(policy, Card(fields), amount_fen, interval_ms, offline)
    if reason != reasons.APPROVED:
        assert state is None
        assert reason in reasons.DISPLAY
        return
    day, day_total_fen, since_pin_fen, since_pin_count, pin_tries = state
    assert pin_tries == fields["pin_tries"]
    assert 0 < amount_fen <= min(policy["amount_max_fen"], policy["no_pin_max_fen"])
    assert amount_fen <= fields["balance_fen"]
    assert not offline or amount_fen <= policy["offline_max_fen"]
    assert amount_fen <= day_total_fen <= policy["day_max_fen"]
    assert amount_fen <= since_pin_fen <= policy["since_pin_max_fen"]
    # And it fits what the card has room for.
    assert fields["day"] <= day <= 0xFFFF
    assert max(day_total_fen, since_pin_fen) <= SPENT_FEN_MAX
    assert fields["counter"] < 0xFFFF
    assert 0 < since_pin_count <= 15


@given(POLICIES, CARDS, AMOUNTS, INTERVALS, st.booleans())
def test_less_is_never_refused_where_more_is_approved(
    policy, fields, amount_fen, interval_ms, offline
):
    assume(amount_fen > 1)
    reason, _ = decide(policy, Card(fields), amount_fen, interval_ms, offline)
    if reason == reasons.APPROVED:
        less = decide(policy, Card(fields), amount_fen // 2, interval_ms, offline)
        assert less[0] == reasons.APPROVED


@given(POLICIES, CARDS, AMOUNTS, INTERVALS)
def test_having_a_network_never_hurts(policy, fields, amount_fen, interval_ms):
    reason, state = decide(policy, Card(fields), amount_fen, interval_ms, True)
    if reason == reasons.APPROVED:
        assert decide(policy, Card(fields), amount_fen, interval_ms, False) == (reason, state)


@given(POLICIES, CARDS, AMOUNTS, INTERVALS, st.integers(0, 10**9), st.integers(0, 10**9))
def test_knowing_less_of_the_time_never_helps(
    policy, fields, amount_fen, interval_ms, before_ms, behind_ms
):
    """What an unsure clock approves, every clock within it approves: the safe side (R13)."""
    policy = {**policy, "clock_width_max_ms": 1 << 40}
    unsure_ms = (interval_ms[0] - before_ms, interval_ms[1] + behind_ms)
    reason, state = decide(policy, Card(fields), amount_fen, unsure_ms, False)
    if reason == reasons.APPROVED:
        known, known_state = decide(policy, Card(fields), amount_fen, interval_ms, False)
        assert known == reasons.APPROVED
        # An unsure clock never resets a day's sum that a sure one would have kept.
        assert state[1] >= known_state[1]


@given(st.lists(st.integers(1, 6_000), max_size=20), INTERVALS)
def test_a_day_never_holds_more_than_its_limit(amounts, interval_ms):
    """Tap after tap with the state the card was left in."""
    fields = {**CARD, "balance_fen": 1 << 30, "day_total_fen": 0, "since_pin_fen": 0}
    spent = dict.fromkeys(range(DAY - 3, DAY + 4), 0)
    for amount_fen in amounts:
        reason, state = decide(POLICY, Card(fields), amount_fen, interval_ms, False)
        if reason == reasons.APPROVED:
            names = ("day", "day_total_fen", "since_pin_fen", "since_pin_count", "pin_tries")
            fields.update(zip(names, state, strict=True))
            spent[state[0]] += amount_fen
    assert max(spent.values()) <= POLICY["day_max_fen"]
    assert sum(spent.values()) <= POLICY["since_pin_max_fen"]


@given(POLICIES, CARDS, AMOUNTS, INTERVALS, st.booleans(), st.sampled_from([PIN, IDENTITY]))
def test_a_proof_only_answers_the_question_for_one(
    policy, fields, amount_fen, interval_ms, offline, proof
):
    asked = decide(policy, Card(fields), amount_fen, interval_ms, offline)
    reason, state = decide(policy, Card(fields), amount_fen, interval_ms, offline, proof)
    if asked[0] != reasons.PIN_NEEDED:
        assert reason == asked[0]
        return
    assert reason == reasons.APPROVED
    assert max(state[1:3]) <= SPENT_FEN_MAX and state[3] <= 15
    assert state[4] == (0 if proof == PIN else fields["pin_tries"])
    assert (state[2:4] == (0, 0)) == (proof == PIN)


@given(POLICIES, CARDS, AMOUNTS, INTERVALS, st.integers(0, 3), st.integers(0, 1 << 32))
def test_a_map_only_refuses(policy, fields, amount_fen, interval_ms, status, map_s):
    """Whatever it says of the card, and however old it is: nobody spends because of it."""
    policy = {**policy, "map_stale_s": 3600, "map_expired_s": 86_400}
    free = {**policy, "map_stale_s": 0, "map_expired_s": 0}
    card = Card(fields)
    reason, state = decide(policy, card, amount_fen, interval_ms, False, 0, 0, status, map_s)
    if reason == reasons.APPROVED:
        assert not status
        assert (reason, state) == decide(free, card, amount_fen, interval_ms, False)
        age_s = interval_ms[0] // 1000 - map_s
        assert age_s <= 86_400
        assert age_s <= 3_600 or amount_fen <= policy["stale_max_fen"]


def test_deciding_changes_nothing():
    policy, card = dict(POLICY), Card(CARD)
    decide(policy, card, 1250, NOON, False)
    assert (policy, vars(card)) == (POLICY, CARD)
    assert changed(CARD, {}) == CARD
