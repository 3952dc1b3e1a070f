"""Nothing is older than the monotonic clock says, whatever is done to the one on the wall."""

import random

import pytest

from ledger.dialect import StoreUnavailable
from ledger.doctor import GOOD, WORTH_A_LOOK, examine
from ledger.steady_clock import KEEP_MS, ClockKeeper, SteadyClock, ahead_s, kept_in
from ledger.store import LedgerStore
from tests.ledger.lives import END_S, let_go
from tests.ledger.readers import CARD, OPENING_FEN
from tests.ledger.replaced import CARRIED, DUE_S, FROZEN, HOUR_S, LOST_S, books, held, replaced

HOURS_S, DAY_S, NOW_S = 72 * 3600, 86_400, 1_790_000_000


class Clocks:
    """A wall and a monotonic clock; `look` is what the ledger makes of them."""

    def __init__(self, wall_s=NOW_S):
        self.wall_s, self.monotonic_s = wall_s, 5
        self.begin()

    def begin(self, kept=()):
        self.steady = SteadyClock(lambda: self.wall_s, lambda: self.monotonic_s, HOURS_S, kept)
        self.look = self.steady.now_s

    def start_again(self, away_s=0):
        """The ledger ends and starts, on a machine that has counted anew since."""
        kept = self.steady.to_keep()
        self.wall_s += away_s
        self.monotonic_s = 3
        self.begin(kept)

    def go_on(self, length_s):
        self.wall_s += length_s
        self.monotonic_s += length_s
        return self.look()


def test_a_wall_that_nobody_sets_is_the_time():
    clocks = Clocks()
    assert [clocks.go_on(length_s) for length_s in (0, 60, 9 * DAY_S)] == [
        NOW_S,
        NOW_S + 60,
        NOW_S + 60 + 9 * DAY_S,
    ]


@pytest.mark.parametrize("ahead_s", [1, DAY_S, 4 * DAY_S, 20_000 * DAY_S])
def test_a_wall_that_is_set_ahead_makes_nothing_old(ahead_s):
    clocks = Clocks()
    lost_s = clocks.wall_s
    clocks.go_on(60)
    clocks.wall_s += ahead_s
    assert clocks.look() - lost_s == 60
    assert clocks.go_on(HOURS_S - 61) - lost_s == HOURS_S - 1
    assert clocks.go_on(1) - lost_s == HOURS_S


def test_what_was_stamped_by_the_wrong_wall_is_not_old_when_that_is_put_right():
    """It was behind when the loss was reported: as if that had been years ago."""
    clocks = Clocks()
    lost_s = clocks.wall_s = NOW_S - 900 * DAY_S
    clocks.look()
    clocks.go_on(3600)
    clocks.wall_s = NOW_S + 3600
    assert clocks.look() - lost_s == 3600
    assert clocks.go_on(HOURS_S - 3600) - lost_s == HOURS_S


def test_a_wall_that_is_put_right_again_is_the_time_at_once():
    clocks = Clocks()
    clocks.wall_s += 4 * DAY_S
    clocks.look()
    clocks.wall_s -= 4 * DAY_S
    assert clocks.look() == NOW_S


@pytest.mark.parametrize("starts", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("seed", range(20))
def test_never_early_and_at_most_the_window_late(seed, starts):
    """Losses, settings of the wall and starts at random: due by what has passed, or later."""
    draw, clocks, losses, passed_s = random.Random(seed), Clocks(), [], 0
    for _ in range(400):
        length_s = draw.randrange(1, 6 * 3600)
        passed_s += length_s
        if draw.random() < starts:
            clocks.start_again(away_s=length_s)
        else:
            clocks.go_on(length_s)
        for stamped_s, since_s in losses:
            if clocks.look() - stamped_s >= HOURS_S:
                assert passed_s - since_s >= HOURS_S
        if draw.random() < 0.3:
            losses.append((clocks.wall_s, passed_s))
        if draw.random() < 0.2:
            clocks.wall_s += draw.choice([-9, -1, 1, 9]) * draw.randrange(1, DAY_S)
            clocks.look()  # which it does every second, and keeps it
    for _ in range(HOURS_S // 3600 + 6):
        clocks.go_on(3600)
        if draw.random() < starts:
            clocks.start_again()
    assert clocks.look() == clocks.wall_s


# --- in the books --------------------------------------------------------------------------------


def ahead(store, by_s):
    """The ledger of these books has seen its wall set ahead, a second before a card was lost."""
    clocks = Clocks(LOST_S - 1)
    keeper = ClockKeeper(store.database, clocks.steady)
    keeper.step(0)
    clocks.wall_s += by_s
    keeper.step(KEEP_MS)
    return clocks, keeper


def test_a_ledger_that_starts_goes_on_from_what_the_books_have():
    store = LedgerStore.open(":memory:")
    assert kept_in(store.database) == []
    clocks = Clocks()
    keeper = ClockKeeper(store.database, clocks.steady)
    assert keeper.step(7) == 7 + KEEP_MS
    clocks.wall_s += 9 * DAY_S
    assert keeper.step(8) == 7 + KEEP_MS and len(kept_in(store.database)) == 1
    keeper.step(7 + KEEP_MS)
    assert len(kept_in(store.database)) == 2
    clocks.wall_s += 3600  # away
    clocks.monotonic_s = 1
    clocks.begin(kept_in(store.database))
    assert clocks.look() == NOW_S + 3600
    assert clocks.go_on(HOURS_S - 3600) == NOW_S + HOURS_S
    assert clocks.go_on(1) == clocks.wall_s  # it was so for as long as anybody has to wait


def test_books_that_cannot_be_written_are_tried_again(monkeypatch):
    store = LedgerStore.open(":memory:")
    keeper = ClockKeeper(store.database, Clocks().steady)

    def full(*_args):
        raise StoreUnavailable("full")

    with monkeypatch.context() as broken:
        broken.setattr(store.database, "many", full)
        assert keeper.step(0) == KEEP_MS
    assert kept_in(store.database) == []
    keeper.step(KEEP_MS)
    assert kept_in(store.database) == [(NOW_S, NOW_S, 0)]


def test_nothing_goes_on_by_hand_because_the_wall_was_set():
    store = replaced()
    assert ahead_s(store.database, DUE_S, HOURS_S) == 0  # nothing was kept
    ahead(store, 9 * DAY_S)
    assert ahead_s(store.database, LOST_S + 9 * DAY_S, HOURS_S) == 9 * DAY_S
    assert store.carry_overs.sweep(LOST_S + 9 * DAY_S) == []
    assert store.carry_overs.sweep(DUE_S + 9 * DAY_S - HOUR_S) == []
    assert held(store) == FROZEN
    assert [load.amount_fen for load in store.carry_overs.sweep(DUE_S + 9 * DAY_S)] == [
        OPENING_FEN
    ]
    assert held(store) == CARRIED


def test_nor_does_what_an_ended_card_had():
    store = books()
    store.cards.set("close", CARD, END_S, "withdrawal-notice")
    clocks = Clocks(END_S)
    keeper = ClockKeeper(store.database, clocks.steady)
    keeper.step(0)
    clocks.wall_s += 9 * DAY_S
    keeper.step(KEEP_MS)
    due_s = END_S + 9 * DAY_S + HOURS_S
    assert let_go(store, due_s - 1) == []
    assert [one.amount_fen for one in let_go(store, due_s)] == [OPENING_FEN]


def test_the_doctor_tells_of_a_wall_that_is_ahead():
    store = replaced()

    def told(now_s):
        found = {one.about: one for one in examine(store, now_s)}
        return "clock" in found and (found["clock"].level, found["clock"].text)

    assert told(LOST_S) is False  # nothing was kept
    clocks, keeper = ahead(store, 0)
    assert told(LOST_S) == (GOOD, "as the ledger's own")
    clocks.wall_s += 9 * DAY_S + 120
    keeper.step(2 * KEEP_MS)
    text = "216 h 2 min ahead of what the ledger has seen pass"
    assert told(LOST_S + 9 * DAY_S + 120) == (WORTH_A_LOOK, text)
