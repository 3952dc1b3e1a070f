"""Shifts and who works in them: what holds on a day is what was said last for it."""

import random
from dataclasses import replace

import pytest

from ledger.department_schema import JOURNALS
from ledger.dialect import ConstraintBroken
from ledger.rosters import Place, Roster, RosterRefused, Rosters, Shift
from ledger.store import LedgerStore
from tests.ledger.departments import DAY, EARLY, NIGHT, fill

SEED = 472


@pytest.fixture
def rosters():
    made = Rosters(LedgerStore.open(":memory:").database)
    made.set_shift(EARLY, "li", 1)
    made.set_shift(NIGHT, "li", 1)
    return made


def place(rosters, *places):
    return rosters.place(list(enumerate(places, 2)), "li", 5)


def test_what_holds_on_a_day_is_what_was_said_last_for_the_latest_day_up_to_it(rosters):
    place(rosters, Place("P1", DAY, "保洁", "早班"), Place("P2", DAY + 5, "保安", "夜班"))
    place(rosters, Place("P1", DAY + 10, "保洁", "夜班"), Place("P1", DAY + 20, "", ""))
    place(rosters, Place("P1", DAY + 10, "绿化", "夜班"))  # the line before was wrong
    known = rosters.roster()
    asked = [known.place("P1", DAY + at) for at in (-1, 0, 9, 10, 19, 20)]
    assert [one and (one.team, one.shift) for one in asked] == [
        None,
        ("保洁", "早班"),
        ("保洁", "早班"),
        ("绿化", "夜班"),
        ("绿化", "夜班"),
        None,
    ]
    assert known.people([DAY]) == ["P1"] and known.people(range(DAY, DAY + 9)) == ["P1", "P2"]
    assert known.hours("P1", DAY) == EARLY and known.hours("P1", DAY + 2) is None  # a Saturday


def test_new_hours_hold_from_their_day_on(rosters):
    place(rosters, Place("P1", DAY, "保洁", "早班"))
    later = Shift("早班", DAY + 7, 31, 420, 960, 0)
    rosters.set_shift(later, "li", 2)
    known = rosters.roster()
    assert (known.hours("P1", DAY + 6), known.hours("P1", DAY + 7)) == (EARLY, later)


def test_a_list_that_is_entered_again_is_no_news(rosters):
    lines = Place("P1", DAY, "保洁", "早班"), Place("P2", DAY, "保安", "夜班")
    assert [place(rosters, *lines), place(rosters, *lines)] == [2, 0]
    assert place(rosters, Place("P1", DAY, "", "")) == 1
    assert place(rosters, lines[0]) == 1  # it is news again
    before = rosters.shifts()
    rosters.set_shift(EARLY, "li", 9)
    assert rosters.shifts() == before


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Place("工号", DAY, "保洁", "早班"), "no number of a person"),
        (Place("P9", DAY, "", "早班"), "a team has a name"),
        (Place("P9", DAY, "保" * 33, "早班"), "a team has a name"),
        (Place("P9", DAY, "保洁", "中班"), "no shift of this name"),
        (Place("P9", DAY, "保洁", ""), "no shift of this name"),
        (Place("P9", DAY - 31, "保洁", "早班"), "no shift of this name has hours on that day"),
        (Place("P9", -1, "保洁", "早班"), "a day is between"),
        (Place("P1", DAY, "保洁", "早班"), "the person and day of line 2 again"),
    ],
)
def test_of_a_list_with_a_mistake_nothing_is_entered(rosters, bad, said):
    with pytest.raises(RosterRefused) as refused:
        place(rosters, Place("P1", DAY, "保洁", "早班"), bad)
    assert said in str(refused.value) and "line 3" in str(refused.value)
    assert rosters.roster().people([DAY]) == [] and "P9" not in str(refused.value)


@pytest.mark.parametrize(
    "facts",
    [
        ("", DAY, 31, 480, 1020, 0),
        ("早班", DAY, 0, 480, 1020, 0),
        ("早班", DAY, 128, 480, 1020, 0),
        ("早班", DAY, 31, 480, 480, 0),
        ("早班", DAY, 31, 0, 961, 0),
        ("早班", DAY, 31, 1440, 1500, 0),
        ("早班", DAY, 31, 480, 1020, 121),
        ("早班", 65_536, 31, 480, 1020, 0),
        # Stretches that meet or go back, too many of them, too long in all.
        ("早班", DAY, 31, 480, 720, 0, ((720, 1020),)),
        ("早班", DAY, 31, 480, 720, 0, ((700, 1020),)),
        ("早班", DAY, 31, 480, 720, 0, ((780, 780),)),
        ("早班", DAY, 31, 480, 720, 0, ((780, 1020), (800, 1030))),
        ("早班", DAY, 31, 0, 60, 0, ((90, 120), (150, 180), (210, 240), (270, 300))),
        ("早班", DAY, 31, 0, 60, 0, ((900, 961),)),
    ],
)
def test_hours_that_cannot_be_are_refused(rosters, facts):
    with pytest.raises(RosterRefused):
        rosters.set_shift(Shift(*facts), "li", 2)
    assert rosters.shifts() == [EARLY, NIGHT]


def test_it_is_what_a_plain_reading_says_whatever_was_said():
    print("seed", SEED)
    draw = random.Random(SEED)
    for _ in range(100):
        said = [Place("P", draw.randrange(8), "t", draw.choice("abc")) for _ in range(6)]
        roster = Roster([], said)
        for day in range(9):
            plain = None
            for _from_day, _at, one in sorted(
                (one.from_day, at, one) for at, one in enumerate(said) if one.from_day <= day
            ):
                plain = one
            assert roster.place("P", day) == plain


@pytest.fixture(scope="module")
def filled():
    store = LedgerStore.open(":memory:")
    store.register_merchant(1, "nobody")
    fill(store)
    return store


@pytest.mark.parametrize("table", JOURNALS)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_journals_of_departments_are_append_only(filled, table, verb):
    what = f"UPDATE {table} SET number = number" if verb == "UPDATE" else f"DELETE FROM {table}"
    with pytest.raises(ConstraintBroken, match="append-only"), filled.database.transaction():
        filled.database.rows(what)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO shift_change VALUES (9, 's', 1, 31, 480, 480, 0, 'x', 1)",
        "INSERT INTO shift_change VALUES (9, 's', 1, 0, 480, 500, 0, 'x', 1)",
        "INSERT INTO roster_change VALUES (9, 'P', 1, 'a team', '', 'x', 1)",
        "INSERT INTO roster_change VALUES (9, 'P', 1, '', 'a shift', 'x', 1)",
        "INSERT INTO roster_change VALUES (1, 'P', 1, '', '', 'x', 1)",
    ],
)
def test_the_database_keeps_it_too(filled, sql):
    with pytest.raises(ConstraintBroken), filled.database.transaction():
        filled.database.rows(sql)


BREAK = Shift("早班", DAY + 7, 31, 480, 720, 5, ((780, 1020),))


def test_a_shift_with_a_break_is_said_whole(rosters):
    for _ in range(2):  # the answer was lost
        rosters.set_shift(BREAK, "li", 2)
    assert rosters.shifts() == [EARLY, NIGHT, BREAK]
    whole = replace(BREAK, more=())
    rosters.set_shift(whole, "li", 3)  # there is no break any more
    assert rosters.roster().shift("早班", DAY + 7) == whole
    assert rosters.roster().shift("早班", DAY + 6) == EARLY


def test_its_stretches_stay_as_they_were_said(rosters):
    rosters.set_shift(BREAK, "li", 2)
    database = rosters._database
    for sql in ("DELETE FROM shift_part", "UPDATE shift_part SET part = part"):
        with pytest.raises(ConstraintBroken, match="append-only"), database.transaction():
            database.rows(sql)
