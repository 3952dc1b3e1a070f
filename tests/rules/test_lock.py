"""The rules of a lock on batteries: the table is total, and what it must never do it does not."""

import random

import pytest

from protocols.rules import lock, lock_texts

STROKE = 15  # steps of 20 ms
AT_ENDS = {lock.THROWN: lock.INTACT | lock.THROWN, lock.DRAWN: lock.INTACT | lock.DRAWN}


def new_lock(levels=AT_ENDS[lock.THROWN], may_move=True, now_ms=0):
    one = lock.Lock(lock.INTACT, may_move, 5000, now_ms)
    play(one, levels, now_ms)
    return one


def play(one, levels, now_ms):
    """All that comes about at one moment."""
    told = []
    while event := one.event(levels, now_ms):
        assert len(told) < 20, told
        one.happen(event, now_ms)
        told.append(event)
    return told


def test_every_event_is_answered_in_every_state():
    for line in lock.TABLE.strip().split("\n")[1:]:
        assert len(line.split()) == 1 + len(lock.STATES)
        event = line.split()[0]
        assert event in lock_texts.EVENTS
        for state in lock.STATES:
            after, action = lock_texts.answer(state, event)
            assert after in lock.STATES
            assert action is None or action == "" or action in lock_texts.ACTIONS
    events = [line.split()[0] for line in lock.TABLE.strip().split("\n")[1:]]
    assert [lock.number(event) for event in events] == list(range(len(events)))
    assert set(lock_texts.STATES) == set(lock.STATES)


def test_nothing_but_a_card_draws_the_bolt():
    for event in lock_texts.EVENTS:
        for state in lock.STATES:
            after, _ = lock_texts.answer(state, event)
            if after == lock.DRAWING and state != lock.DRAWING:
                assert event == "grant"


@pytest.mark.parametrize("levels", [lock.INTACT, AT_ENDS[lock.DRAWN], lock.THROWN | lock.DRAWN])
def test_a_boot_throws_a_bolt_that_is_anywhere_else(levels):
    one = lock.Lock(lock.INTACT, True, 0, 0)
    assert play(one, levels | lock.INTACT, 0)[0] == "adrift"
    assert one.motor() == lock.THROW
    # A contact that was closed all the time says nothing before the motor has run its whole time.
    play(one, AT_ENDS[lock.THROWN], lock.MOTOR_MS if levels & lock.THROWN else 300)
    assert one.state == lock.LOCKED and one.motor() == lock.REST


def test_cells_that_break_down_under_the_motor_are_left_in_peace():
    one = lock.Lock(lock.INTACT, False, 0, 0)
    assert play(one, lock.INTACT, 0) == ["spent"]
    for now_ms in range(0, 60_000, 50):
        play(one, lock.INTACT, now_ms)
        assert one.motor() == lock.REST
    play(one, AT_ENDS[lock.THROWN], 60_000)
    assert one.state == lock.LOCKED


def test_a_bolt_that_is_held_goes_back_and_then_rests():
    """Half way out something holds it: it is never left to stall."""
    one = new_lock()
    one.happen("grant", 0)
    told, driven_ms = [], 0
    for now_ms in range(0, 120_000, 10):
        told += play(one, lock.INTACT, now_ms)
        driven_ms += 10 * (one.motor() != lock.REST)
    assert told == ["stall", "stall"] + ["retry", "stall"] * lock.RETRIES
    assert one.state == lock.JAMMED
    assert driven_ms <= (2 + lock.RETRIES) * lock.MOTOR_MS + 50


def test_a_key_is_never_fought():
    """The bolt follows the key for as long as that turns, and for a while behind it."""
    one = new_lock()
    told = []
    for now_ms in range(0, 20_000, 50):
        is_turned = 1000 <= now_ms < 3000
        levels = lock.INTACT | (lock.KEY if is_turned else 0) | (lock.THROWN * (now_ms < 1200))
        told += play(one, levels, now_ms)
        if now_ms < 3000 + lock.KEY_MS - 50:
            assert one.motor() == lock.REST
    assert told[0] == "key" and "slip" in told
    assert one.motor() == lock.THROW or one.state == lock.JAMMED


@pytest.mark.parametrize("seed", range(200))
def test_walks_end_locked_and_never_stall_for_long(seed):
    """Whatever happens to inputs and bolt: the motor rests in the end, and the bolt is thrown."""
    draw, now_ms, bolt = random.Random(seed), 0, draw_bolt(seed)
    one, driven_ms, held, levels = lock.Lock(lock.INTACT, True, 0, 0), 0, False, lock.INTACT
    for step in range(4000):
        if step < 3000:
            if draw.random() < 0.01 and one.state != lock.UNSURE:
                one.happen("grant", now_ms)
                driven_ms = 0
            held = held != (draw.random() < 0.005)
            for bit in (lock.KEY, lock.INSIDE, lock.LINE, lock.INTACT):
                levels ^= bit * (draw.random() < 0.01)
        else:
            held, levels = False, lock.INTACT
        motor = one.motor()
        if motor and not held:
            bolt = min(max(bolt + (1 if motor == lock.DRAW else -1), 0), STROKE)
        driven_ms = driven_ms + 20 if motor else 0
        assert driven_ms <= 2 * lock.MOTOR_MS + 40, f"seed {seed}"
        ends = lock.THROWN * (bolt == 0) | lock.DRAWN * (bolt == STROKE)
        play(one, levels | ends, now_ms)
        now_ms += 20
    if one.state == lock.JAMMED:  # until the next waking, which is a boot
        one = lock.Lock(lock.INTACT, True, 0, now_ms)
        play(one, lock.INTACT | lock.THROWN * (bolt == 0), now_ms)
        assert one.state in (lock.LOCKED, lock.THROWING), f"seed {seed}"
    else:
        assert one.state == lock.LOCKED and bolt == 0, f"seed {seed}"


def draw_bolt(seed):
    return random.Random(seed + 1).choice((0, STROKE // 2, STROKE))


def test_a_contact_that_was_closed_all_the_time_stops_nothing_early():
    """The contact of the thrown end is welded: the bolt still goes all the way back."""
    one = new_lock()
    one.happen("grant", 0)
    bolt, locked_at = 0, None
    for now_ms in range(0, 20_000, 20):
        motor = one.motor()
        if motor:
            bolt = min(max(bolt + (1 if motor == lock.DRAW else -1), 0), STROKE)
        play(one, lock.INTACT | lock.THROWN | lock.DRAWN * (bolt == STROKE), now_ms)
        if one.state == lock.LOCKED and now_ms:
            locked_at = locked_at or now_ms
            assert bolt == 0
    assert locked_at


def test_an_end_contact_that_chatters_moves_the_bolt_once():
    """Each time would be a stroke by the cells; one that stays open is believed all the same."""
    one, told = new_lock(), []
    for now_ms in range(100, 600_000, 50):
        levels = AT_ENDS[lock.THROWN] if now_ms // 150 % 2 else lock.INTACT
        told += play(one, levels, now_ms)
    assert told.count("slip") == 1 and one.state == lock.LOCKED
    told = []
    for now_ms in range(600_000, 600_100 + lock.SLIP_AGAIN_MS, 50):
        told += play(one, lock.INTACT, now_ms)
    assert told == ["slip"] and one.motor() == lock.THROW
