"""Punches in the books: kept once, read as days, and what nobody knew is said to be so."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.attendance import FOLD_S, EntryRefused
from ledger.dialect import ConstraintBroken
from ledger.invariants import check
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

NOVEMBER = date(2026, 11, 1)
OFFSET_S = 28_800
NEVER = (0, 0xFFFFFFFF)  # a machine that was never told the time


def at(day, hour, minute=0, second=0):
    """A local time in November 2026 as seconds since 1970."""
    moment = datetime(2026, 11, 1, hour, minute, second, tzinfo=UTC) + timedelta(days=day - 1)
    return int(moment.timestamp()) - OFFSET_S


def booked(*readers, seed=None):
    """The books behind any order of delivery."""
    store = open_ledger(*readers)
    sealed = [record for reader in readers for record in reader.records]
    if seed is not None:
        draw = random.Random(seed)
        sealed += draw.choices(sealed, k=len(sealed))
        draw.shuffle(sealed)
    for record in sealed:
        store.book([[record]])
    for _ in range(2):  # what was dropped far ahead of a gap comes again
        store.book([reader.records for reader in readers])
    assert check(store) == []
    return store


def november(store, begins_s=0):
    return store.attendance.month(NOVEMBER, OFFSET_S, begins_s)


def days(store, begins_s=0):
    """(card, day of the month, came, left or None, punches, folded), times as record ids."""
    return [
        (
            day.card_no,
            day.day.day,
            (day.came.device, day.came.seq),
            day.left and (day.left.device, day.left.seq),
            day.punches,
            day.folded,
        )
        for day in november(store, begins_s).days
    ]


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_any_repeat_is_the_same_month(seed):
    print("seed", seed)
    gate, yard = Reader(3001), Reader(3002)
    for hour in (8, 12, 13, 18):
        gate.punch(CARD, at(3, hour))
        yard.punch(OTHER_CARD, at(3, hour, 5))
        yard.punch(CARD, at(3, hour, 30))
    assert november(booked(gate, yard, seed=seed)) == november(booked(gate, yard))
    assert booked(gate, yard, seed=seed).dump() == booked(gate, yard).dump()


def test_a_machine_without_time_tells_no_day_and_loses_no_punch():
    gate = Reader(3001)
    gate.punch(CARD, *NEVER)
    found = november(booked(gate))
    assert found.days == []
    assert [(each.seq, each.earliest_s, each.latest_s) for each in found.undated] == [(1, *NEVER)]


def test_the_order_of_a_machine_narrows_what_its_clock_does_not_know():
    gate = Reader(3001)
    before, after = gate.punch(CARD, at(3, 8)), at(3, 9)
    unknown = gate.punch(OTHER_CARD, *NEVER)
    gate.punch(CARD, after)
    store = booked(gate)
    assert days(store) == [
        (CARD, 3, before, (3001, 3), 2, 0),
        (OTHER_CARD, 3, unknown, None, 1, 0),
    ]
    (day,) = [day for day in november(store).days if day.card_no == OTHER_CARD]
    assert (day.came.earliest_s, day.came.latest_s) == (at(3, 8), after + 1)


def test_clocks_that_contradict_each_other_narrow_nothing():
    gate = Reader(3001)
    gate.punch(CARD, at(9, 8))  # six days fast
    gate.punch(CARD, at(3, 9))
    assert [row[:3] for row in days(booked(gate))] == [
        (CARD, 3, (3001, 2)),
        (CARD, 9, (3001, 1)),
    ]


def test_a_punch_that_may_be_of_either_day_is_of_none():
    gate = Reader(3001)
    gate.punch(CARD, at(3, 23, 59, 50), at(4, 0, 0, 10))
    found = november(booked(gate))
    assert found.days == [] and len(found.undated) == 1


def test_the_books_keep_a_punch_for_good():
    store = booked_one()
    for sql in ("UPDATE punch SET card_no = 1", "DELETE FROM punch", "DELETE FROM manual_punch"):
        store.attendance.enter(CARD, at(3, 8), at(3, 9), "Wang", "card forgotten")
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.many(sql, [()])


def booked_one():
    gate = Reader(3001)
    gate.punch(CARD, at(3, 8))
    return booked(gate)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"card_no": 99}, "card 99 was never issued"),
        ({"time_s": at(4, 9) + 1}, "nobody has punched in the future"),
        ({"person": ""}, "who enters it: a line of 1 to 64 characters"),
        ({"person": "Wang\nLi"}, "who enters it: a line of 1 to 64 characters"),
        ({"because": " "}, "the reason: a line of 1 to 64 characters"),
        ({"because": "x" * 65}, "the reason: a line of 1 to 64 characters"),
    ],
)
def test_an_entry_that_cannot_be_changes_nothing(change, said):
    store = booked_one()
    entry = {
        "card_no": CARD,
        "time_s": at(4, 8),
        "entered_s": at(4, 9),
        "person": "Wang",
        "because": "card forgotten",
    }
    with pytest.raises(EntryRefused, match=said):
        store.attendance.enter(**(entry | change))
    assert store.attendance.entries() == []


def test_an_entry_is_withdrawn_once_and_stays_to_be_read():
    store = booked_one()
    number = store.attendance.enter(CARD, at(4, 8), at(4, 9), "Wang", "card forgotten")
    store.attendance.withdraw(number, at(4, 10), "Li", "was on leave")
    assert [row[1] for row in days(store)] == [3]
    for wrong in (number, number + 1, 99):
        with pytest.raises(EntryRefused):
            store.attendance.withdraw(wrong, at(4, 11), "Li", "once more")
    assert [(row[0], row[4], row[6]) for row in store.attendance.entries()] == [
        (1, "Wang", None),
        (2, "Li", 1),
    ]


# --- what it is for ---------------------------------------------------------------------------


def test_the_first_punch_came_and_the_last_one_left():
    gate, yard = Reader(3001), Reader(3002)
    came = gate.punch(CARD, at(3, 7, 58))
    yard.punch(CARD, at(3, 12))
    left = gate.punch(CARD, at(3, 18, 2))
    gate.punch(CARD, at(30, 8))
    assert days(booked(gate, yard)) == [
        (CARD, 3, came, left, 3, 0),
        (CARD, 30, (3001, 3), None, 1, 0),
    ]


def test_punches_within_the_minute_are_one_and_all_are_kept():
    gate = Reader(3001)
    for second in (0, 20, FOLD_S, 2 * FOLD_S):
        gate.punch(CARD, at(3, 8) + second)
    gate.punch(CARD, at(3, 8) + 3 * FOLD_S + 1)
    store = booked(gate)
    assert days(store) == [(CARD, 3, (3001, 1), (3001, 5), 5, 3)]
    assert len(list(store.database.rows("SELECT * FROM punch"))) == 5


def test_a_month_has_its_own_days_only():
    gate = Reader(3001)
    gate.punch(CARD, at(1, 0) - 1, at(1, 0) - 1)
    first, last = gate.punch(CARD, at(1, 0)), gate.punch(CARD, at(30, 23, 59, 58))
    gate.punch(CARD, at(31, 0))
    found = november(booked(gate))
    assert [(day.day.day, day.came.seq) for day in found.days] == [(1, first[1]), (30, last[1])]
    assert found.undated == []


def test_who_works_at_night_leaves_on_the_day_they_came():
    gate = Reader(3001)
    came, left = gate.punch(CARD, at(3, 20)), gate.punch(CARD, at(4, 8))
    store = booked(gate)
    assert [row[1] for row in days(store)] == [3, 4]
    assert days(store, begins_s=12 * 3600) == [(CARD, 3, came, left, 2, 0)]


def test_an_entry_by_hand_counts_and_stays_marked():
    store = booked_one()
    number = store.attendance.enter(CARD, at(3, 18), at(4, 9), "Wang", "machine was broken")
    (day,) = november(store).days
    assert day.left is not None and day.left.is_manual and day.left.seq == number
    assert not day.came.is_manual


@given(
    st.lists(
        st.tuples(st.sampled_from([CARD, OTHER_CARD]), st.integers(at(1, 0), at(30, 23))),
        max_size=20,
    )
)
def test_every_punch_is_in_one_day_of_one_card(punches):
    gate = Reader(3001)
    for card_no, second_s in sorted(punches, key=lambda punch: punch[1]):
        gate.punch(card_no, second_s, second_s)
    found = november(booked(gate))
    assert found.undated == []
    assert sum(day.punches for day in found.days) == len(punches)
    assert len({(day.card_no, day.day) for day in found.days}) == len(found.days)
    for day in found.days:
        of_day = [
            second_s
            for card_no, second_s in punches
            if card_no == day.card_no and at(day.day.day, 0) <= second_s < at(day.day.day + 1, 0)
        ]
        assert day.came.earliest_s == min(of_day) and day.punches == len(of_day)
        if day.left is not None:
            assert max(of_day) - day.left.earliest_s <= FOLD_S * day.folded
