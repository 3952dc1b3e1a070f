"""How much a booking takes at once."""

from ledger.portions import DELIVERIES_MAX, FEW, PORTION_MS, Portions


def sizes(portions, waiting, took_ms):
    """What is booked of `waiting`, portion by portion, each of which takes so long; its ahead."""
    now_ms, left = 0, list(range(waiting))
    while left:
        portion, ahead = portions.split(left, now_ms)
        assert [*portion, *ahead] == left[: len(portion) + len(ahead)]  # in order, none left out
        now_ms += took_ms(len(portion))
        portions.ended(now_ms)
        yield len(portion), len(ahead)
        del left[: len(portion)]


def test_what_nobody_has_read_is_few_and_what_was_read_is_next():
    found = list(sizes(Portions(), 3_000, lambda size: 0))
    assert found[0] == (FEW, 2 * FEW)
    assert all(found[n + 1][0] == max(found[n][1], FEW) for n in range(len(found) - 1))
    assert max(size for size, _ahead in found) == DELIVERIES_MAX
    assert sum(size for size, _ahead in found) == 3_000


def test_who_comes_behind_a_portion_waits_no_longer_on_a_slow_machine():
    booked = [size for size, _ahead in sizes(Portions(), 5_000, lambda size: 2 * size)]
    assert max(booked) * 2 <= PORTION_MS
    slower = [size for size, _ahead in sizes(Portions(), 5_000, lambda size: 100 * size)]
    assert set(slower[2:-1]) == {FEW}  # behind what was being read by then; never less than a few


def test_a_machine_that_was_slow_for_a_while_is_taken_at_its_word_again():
    portions = Portions()
    slow = [size for size, _ahead in sizes(portions, 2_000, lambda size: 9_000)]
    assert set(slow[2:-1]) == {FEW}
    assert max(size for size, _ahead in sizes(portions, 3_000, lambda size: 1)) == DELIVERIES_MAX


def test_what_was_not_booked_is_not_read_any_more():
    portions, waiting = Portions(), list(range(4 * DELIVERIES_MAX))
    for _ in range(5):
        portion, _ahead = portions.split(waiting, 0)
        portions.ended(0)
    assert len(portion) == DELIVERIES_MAX
    portions.split(waiting, 0)
    portions.failed()
    portion, _ahead = portions.split(waiting, 0)
    assert len(portion) == FEW


def test_an_idle_ledger_books_what_comes_at_once():
    portions = Portions()
    assert portions.split(["one"], 5) == (["one"], [])
    portions.ended(6)
    portions.ended(90_000)  # asleep meanwhile: no portion took so long
    assert portions.split(["a", "b"], 90_000) == (["a", "b"], [])
