"""Records beside lines of a statement: what is verified, and that nothing is twice."""

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.aggregate_match import Line, Sale, Slack, Status, match

TIGHT = Slack(0, 0)
V, U, A = Status.VERIFIED, Status.UNVERIFIED, Status.AMBIGUOUS
NOON_S = 1_788_235_200
UNKNOWN_S = 0xFFFFFFFF


def sale(seq, earliest_s, latest_s=None, merchant_no=71, amount_fen=1250):
    return Sale(1001, seq, merchant_no, amount_fen, earliest_s, latest_s or earliest_s)


def line(order_no, time_s, merchant_no=71, amount_fen=1250, channel="wechat"):
    return Line(channel, str(order_no), merchant_no, amount_fen, time_s)


def statuses(sales, lines, slack=TIGHT):
    found = match(sales, lines, slack)
    return [found.sales[one] for one in sales], [found.lines[one] for one in lines]


# --- what must not verify anything ------------------------------------------------------------


def test_one_payment_and_its_screenshot_verify_neither_of_two_records():
    """Who of the two has paid is not ours to guess; that one has not is sure."""
    assert statuses([sale(1, 100), sale(2, 100)], [line(1, 100)]) == ([A, A], [V])


def test_the_same_record_and_the_same_line_again_are_one():
    found = match([sale(1, 100)] * 3, [line(1, 100)] * 3, TIGHT)
    assert (len(found.sales), len(found.lines), len(found.pairs)) == (1, 1, 1)


@pytest.mark.parametrize(
    "other",
    [
        line(1, 100, merchant_no=72),
        line(1, 100, amount_fen=1251),
        line(1, 100, amount_fen=125),
        line(1, 99),
        line(1, 111),
    ],
)
def test_what_is_not_the_same_is_nothing(other):
    assert statuses([sale(1, 100, 110)], [other]) == ([U], [U])


@pytest.mark.parametrize(("time_s", "is_near"), [(69, 0), (70, 1), (115, 1), (116, 0)])
def test_how_far_a_payment_may_be_from_its_record(time_s, is_near):
    (found,), _ = statuses([sale(1, 100, 110)], [line(1, time_s)], Slack(30, 5))
    assert found is (V if is_near else U)


# --- what is sure -----------------------------------------------------------------------------


def test_two_payments_verify_two_records_whichever_is_whose():
    assert statuses([sale(1, 100), sale(2, 105)], [line(1, 103), line(2, 102)], Slack(9, 9)) == (
        [V, V],
        [V, V],
    )


def test_a_record_is_verified_though_another_could_have_its_line():
    """Only the first can be the early line's, so the second is the late one's."""
    assert statuses([sale(1, 100, 100), sale(2, 100, 120)], [line(1, 100), line(2, 120)]) == (
        [V, V],
        [V, V],
    )


def test_two_lines_for_one_record_verify_it_and_leave_one_of_them_over():
    assert statuses([sale(1, 100, 110)], [line(1, 101), line(2, 109)]) == ([V], [A, A])


@pytest.mark.parametrize("width_s", [3_601, 86_400, UNKNOWN_S])
def test_a_record_without_a_time_is_for_a_person_and_puts_no_other_in_doubt(width_s):
    blind = sale(9, NOON_S - 60, min(NOON_S - 60 + width_s, UNKNOWN_S))
    assert statuses([blind, sale(1, NOON_S)], [line(1, NOON_S)]) == ([U, V], [V])
    assert statuses([blind], [line(1, NOON_S)]) == ([U], [U])
    known = sale(9, NOON_S - 60, NOON_S - 60 + 3_600)
    assert statuses([known], [line(1, NOON_S)]) == ([V], [V])


def test_doubt_spreads_as_far_as_it_reaches_and_no_further():
    chain = [sale(n, 10 * n, 10 * n + 10) for n in range(1, 5)]
    lines = [line(n, 10 * n) for n in (2, 3, 4)]
    assert statuses([*chain, sale(9, 90)], [*lines, line(9, 90)]) == ([A] * 4 + [V], [V] * 4)


# --- any sets -------------------------------------------------------------------------------

SALES = st.lists(
    st.builds(
        lambda seq, start, width, merchant, fen: sale(seq, start, start + width, merchant, fen),
        st.integers(1, 99),
        st.integers(1, 12),
        st.integers(0, 6),
        st.sampled_from([71, 72]),
        st.sampled_from([600, 1250]),
    ),
    max_size=6,
    unique_by=lambda one: one.seq,
)
LINES = st.lists(
    st.builds(
        lambda order, time_s, merchant, fen: line(order, time_s, merchant, fen),
        st.integers(1, 99),
        st.integers(0, 20),
        st.sampled_from([71, 72]),
        st.sampled_from([600, 1250]),
    ),
    max_size=5,
    unique_by=lambda one: one.order_no,
)
SLACK = st.builds(Slack, st.integers(0, 3), st.integers(0, 3))


def fits(one, other, slack):
    same = (one.merchant_no, one.amount_fen) == (other.merchant_no, other.amount_fen)
    return same and (
        one.earliest_s - slack.before_s <= other.time_s <= one.latest_s + slack.after_s
    )


def all_largest(sales, lines, slack):
    """Every largest pairing, by trying all: a list of dicts sale -> line."""
    found = [{}]
    for one in sales:
        found += [
            {**pairing, one: other}
            for pairing in found
            for other in lines
            if other not in pairing.values() and fits(one, other, slack)
        ]
    most = max(map(len, found))
    return [pairing for pairing in found if len(pairing) == most]


@settings(max_examples=150, deadline=None)
@given(SALES, LINES, SLACK)
def test_it_is_what_all_largest_pairings_say(sales, lines, slack):
    """And so no line verifies two records: one and the same pairing has a line for each."""
    largest = all_largest(sales, lines, slack)
    found = match(sales, lines, slack)
    for things, of in ((sales, dict.keys), (lines, dict.values)):
        status_of = found.sales if things is sales else found.lines
        for thing in things:
            count = sum(thing in of(pairing) for pairing in largest)
            wanted = V if count == len(largest) else A if count else U
            assert status_of[thing] is wanted, thing
    assert set(found.pairs) == {one for one in sales if found.sales[one] is V}
    assert len(set(found.pairs.values())) == len(found.pairs) <= len(lines)
    assert all(fits(one, other, slack) for one, other in found.pairs.items())


@settings(max_examples=60, deadline=None)
@given(SALES, LINES, st.randoms(use_true_random=False))
def test_in_any_order(sales, lines, draw):
    wanted = match(sales, lines, Slack(2, 1))
    draw.shuffle(sales)
    draw.shuffle(lines)
    assert match(sales, lines, Slack(2, 1)) == wanted
    assert list(wanted.sales) == sorted(sales) and list(wanted.lines) == sorted(lines)


def test_many_of_one_price_take_no_square():
    """A busy year of one price, with readers that had no clock: a moment, not hours."""
    draw = random.Random(22)
    times = [draw.randrange(365 * 86_400) for _ in range(4_000)]
    sales = [sale(n, at, at + 2) for n, at in enumerate(times)]
    sales += [sale(100_000 + n, 0, UNKNOWN_S) for n in range(100)]
    lines = [line(n, at - 20) for n, at in enumerate(times[50:])]
    found = match(sales, lines, Slack())
    counts = [list(found.sales.values()).count(status) for status in Status]
    assert len(found.pairs) == counts[0] > 3_500 and counts[1] >= 100 and sum(counts) == 4_100


def test_three_of_each_in_every_order():
    lines = [line(n, 100 + n) for n in range(3)]
    sales = [sale(n, 100 + n) for n in range(3)]
    verdicts = {str(match(each, lines, Slack(1, 1))) for each in permutations(sales)}
    assert len(verdicts) == 1
