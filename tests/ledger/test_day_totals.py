"""A merchant's day: two totals, and a signature that is of what was seen."""

import pytest

from ledger import day_totals, meal_takings, people
from ledger.day_totals import APART, CHANGED, DayRefused
from ledger.signatures import NotAllowed, acts
from tests.ledger.months import DAY_S, FROM_S, Pos, month
from tests.ledger.readers import CANTEEN, CARD, KIOSK
from tests.ledger.staff import cheap, staffed

__all__ = ["cheap"]
OFFSET_S = 28_800
FIRST = (FROM_S + 5 + OFFSET_S) // DAY_S
WHAT = CANTEEN, FIRST, OFFSET_S


def test_each_reader_has_what_it_recorded_and_what_is_booked():
    store, canteen, _kiosk = month()
    second = Pos(1003, CANTEEN, [5, (0, 0)])
    store.register_device(second.device, second.key, CANTEEN)
    sale = second.sell(250, FROM_S + 60)
    second.cancel(sale, CARD, 250)
    second.sell(70, FROM_S + 90)
    second.try_to_sell(999, FROM_S + 99)
    store.book([second.records])
    seen = day_totals.total(store.database, *WHAT)
    told = [
        (one.device, one.count, one.recorded_fen, one.booked_fen, one.cancelled_fen)
        for one in seen.readers
    ]
    assert told == [(canteen.device, 1, 600, 600, 0), (1003, 2, 320, 320, 250)]
    assert seen.booked_fen == 600 + 70 and seen.is_even
    kiosk_day = day_totals.total(store.database, KIOSK, FIRST, OFFSET_S)
    assert kiosk_day.readers == () and kiosk_day.booked_fen == 0
    store.close()


def test_what_has_changed_since_is_not_signed(cheap):
    store, canteen, _kiosk = month()
    staff = staffed(store, FROM_S)
    steward = staff["stella"]
    seen = day_totals.total(store.database, *WHAT)
    done = len(acts(store.database, 1_000))
    told = len(canteen.records)
    canteen.sell(111, FROM_S + 30)  # late, and of that day
    store.book([canteen.records[told:]])
    with pytest.raises(DayRefused) as refused:
        day_totals.sign(store.database, WHAT, seen.sha256, steward, FROM_S + 9)
    assert refused.value.reason == CHANGED
    assert len(acts(store.database, 1_000)) == done, "nothing of it stands"
    seen = day_totals.total(store.database, *WHAT)
    day_totals.sign(store.database, WHAT, seen.sha256, steward, FROM_S + 9)
    assert day_totals.signatures(store.database, CANTEEN, FIRST) == [
        ("stella", seen.sha256, FROM_S + 9)
    ]
    assert day_totals.signatures(store.database, CANTEEN, FIRST + 1) == []
    with pytest.raises(NotAllowed) as no:
        day_totals.sign(store.database, WHAT, seen.sha256, staff["clara"], FROM_S + 9)
    assert no.value.reason == people.NOT_FOR_ROLE
    store.close()


def test_what_does_not_fit_is_not_signed(cheap):
    store, _canteen, _kiosk = month()
    steward = staffed(store, FROM_S)["stella"]
    # Books that somebody has changed by hand: no verb can do this.
    store.database._connection.execute("DROP TRIGGER transfer_UPDATE")
    store.database._connection.execute(
        "UPDATE transfer SET amount_fen = 599 WHERE kind = 1 AND amount_fen = 600"
    )
    seen = day_totals.total(store.database, *WHAT)
    assert not seen.is_even and seen.booked_fen == 599
    with pytest.raises(DayRefused) as refused:
        day_totals.sign(store.database, WHAT, seen.sha256, steward, FROM_S + 9)
    assert refused.value.reason == APART
    store.close()


def test_without_operators_nobody_signs():
    store, _canteen, _kiosk = month()
    with pytest.raises(NotAllowed) as no:
        day_totals.sign(store.database, WHAT, "", "wang", FROM_S)
    assert no.value.reason == people.NOT_FOUNDED
    store.close()


def test_takings_are_of_the_meal_at_which_they_began():
    store, _canteen, _kiosk = month()
    pos = Pos(1003, CANTEEN, [5, (0, 0)])
    store.register_device(pos.device, pos.key, CANTEEN)
    midnight_s = FIRST * DAY_S - OFFSET_S
    # The last second before breakfast, its first, its last; lunch; in the night.
    for fen, second in ((1, 18_000 - 1), (2, 18_000), (4, 36_000 - 1), (8, 43_200), (16, 80_000)):
        pos.sell(fen, midnight_s + second)
    store.book([pos.records])
    found = meal_takings.of_days(store.database, FIRST, FIRST, OFFSET_S, CANTEEN)
    assert {one.meal: (one.count, one.fen) for one in found} == {
        0: (3, 1 + 16 + 600),
        1: (2, 2 + 4),
        2: (1, 8),
    }
    assert meal_takings.of_days(store.database, FIRST, FIRST, OFFSET_S, KIOSK) == []
    assert meal_takings.meals(store.database) == meal_takings.MEALS
    store.close()
