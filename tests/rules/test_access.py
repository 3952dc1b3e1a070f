"""Who may open a door, and when: groups, schedules, validity, and a clock that doubts."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.card.identity import Identity
from protocols.rules import access, access_texts, card_status, clock, reason_texts, reasons
from protocols.wire import cbor
from protocols.wire.errors import (
    BAD_FIELD,
    NOT_A_MAP,
    TOO_LONG,
    TRUNCATED,
    UNKNOWN_FIELD,
    WireError,
)

POLICY = {"utc_offset_s": 28_800, "clock_width_max_ms": 120_000, "map_expired_s": 0}
DAY = 20_700  # 2026-09-04, a Friday
FIRST = 1000
WORKDAYS, ALL_DAYS = 0b0011111, 127
ALWAYS = [(ALL_DAYS, 0, 1440)]
OFFICE = [(WORKDAYS, 8 * 60, 18 * 60)]
NIGHT = [(ALL_DAYS, 0, 23 * 60), (ALL_DAYS, 23 * 60, 1440)]
WEEK = [(WORKDAYS, 0, 1440)]
SCHEDULES = [ALWAYS, OFFICE, NIGHT, WEEK]


def at(hour, minute=0, second=0, day=DAY, width_ms=1000):
    """An interval that begins at a local time."""
    begin_ms = (day * 86400 + hour * 3600 + minute * 60 + second - 28_800) * 1000
    return (begin_ms, begin_ms + width_ms)


def holder(card_no, days=(DAY - 100, DAY + 100)):
    return Identity(card_no, 2, *days, 1)


def made(groups=(1, 2, 3, 0, 15, 4), schedules=SCHEDULES, free=(), passback_s=0):
    return access.whole(access.encode([(FIRST, groups)], schedules, free, 5000, passback_s))


NOON = at(12)
NEVER_ON_FRIDAY_MS = at(12, day=DAY + 7 * 1000)[0]


@pytest.mark.parametrize(
    ("card_no", "interval_ms", "answer"),
    [
        (1000, NOON, reasons.APPROVED),
        (1001, NOON, reasons.APPROVED),
        (1003, NOON, access.NO_ACCESS),  # group 0
        (1004, NOON, access.NO_ACCESS),  # a group without schedule
        (999, NOON, access.NO_ACCESS),
        (1006, NOON, access.NO_ACCESS),
        (0, NOON, access.NO_ACCESS),
        (0xFFFFFFFF, NOON, access.NO_ACCESS),
        (1001, at(7, 59, 59, width_ms=0), access.NOT_NOW),
        (1001, at(7, 59, 59), access.NOT_NOW),  # perhaps not yet
        (1001, at(8), reasons.APPROVED),
        (1001, at(17, 59, 58), reasons.APPROVED),
        (1001, at(17, 59, 59), access.NOT_NOW),  # perhaps over
        (1001, at(12, day=DAY + 1), access.NOT_NOW),  # Saturday
        (1001, at(12, day=DAY + 3), reasons.APPROVED),  # Monday
        (1001, at(23, 59, 59), access.NOT_NOW),
        (1002, at(23, 59, 59), reasons.APPROVED),  # over midnight, each side by itself
        (1000, at(23, 59, 59), reasons.APPROVED),
        # A clock that is not known: only who may always.
        (1000, clock.NEVER_SET, reasons.APPROVED),
        (1001, at(9, width_ms=7_200_000), reasons.APPROVED),  # within the hours all the same
        (1001, clock.NEVER_SET, access.NOT_NOW),
        (1001, at(12, width_ms=86_400_000), access.NOT_NOW),
        (1002, clock.NEVER_SET, access.NOT_NOW),
        # A weekend lies between its ends, or thousands of them.
        (1005, at(9), reasons.APPROVED),
        (1005, at(12, day=DAY + 1), access.NOT_NOW),
        (1005, at(9, width_ms=4 * 86_400_000), access.NOT_NOW),
        (1005, (at(9)[0], NEVER_ON_FRIDAY_MS), access.NOT_NOW),
        (1002, at(9, width_ms=86_400_000 * 3), access.NOT_NOW),
    ],
)
def test_groups_and_schedules(card_no, interval_ms, answer):
    assert made().decide(holder(card_no), interval_ms, POLICY, 0) == answer


@pytest.mark.parametrize(
    ("days", "interval_ms", "answer"),
    [
        ((DAY, DAY), NOON, reasons.APPROVED),
        ((DAY + 1, DAY + 9), NOON, reasons.NOT_YET_VALID),
        ((DAY - 9, DAY - 1), NOON, reasons.EXPIRED),
        ((DAY, DAY), at(23, 59, 59), reasons.EXPIRED),  # perhaps the day after
        ((DAY + 1, DAY + 9), at(23, 59, 59), reasons.NOT_YET_VALID),
        # Not known: what is sure decides (R24.2).
        ((0, DAY), (at(0)[0], clock.NEVER_MS), reasons.APPROVED),
        ((0, DAY - 1), (at(0)[0], clock.NEVER_MS), reasons.EXPIRED),
        ((DAY + 5, DAY + 9), (at(0)[0], clock.NEVER_MS), reasons.APPROVED),
        ((DAY + 5, DAY + 9), at(0, width_ms=3_600_000), reasons.NOT_YET_VALID),
    ],
)
def test_validity(days, interval_ms, answer):
    assert made().decide(holder(1000, days), interval_ms, POLICY, 0) == answer


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (card_status.ACTIVE, reasons.APPROVED),
        (card_status.LOST, reasons.CARD_LOST),
        (card_status.SUSPENDED, reasons.CARD_SUSPENDED),
        (card_status.CLOSED, reasons.CARD_CLOSED),
    ],
)
def test_a_card_that_is_not_active_opens_nothing(status, answer):
    """R10, R14.2: whatever else is wrong with it, that is what is said."""
    now_s = NOON[0] // 1000
    assert made().decide(holder(1000), NOON, POLICY, 0, status, now_s) == answer
    if status:
        expired = holder(1000, (DAY - 9, DAY - 1))
        assert made().decide(expired, NOON, POLICY, 0, status, 0) == answer
        assert made().decide(holder(5), clock.NEVER_SET, POLICY, 0, status) == answer


@pytest.mark.parametrize(
    ("age_s", "interval_ms", "expired_s", "answer"),
    [
        (10**6, NOON, 0, reasons.APPROVED),  # no rule: without network a card opens (R24.2)
        (3_599, NOON, 3600, reasons.APPROVED),
        (3_600, NOON, 3600, reasons.MAP_EXPIRED),  # at the far end of the clock's interval
        # Not known: only what is surely too old.
        (3_600, at(12, width_ms=7_200_000), 3600, reasons.APPROVED),
        (3_601, at(12, width_ms=7_200_000), 3600, reasons.MAP_EXPIRED),
    ],
)
def test_a_card_map_that_is_too_old_by_policy(age_s, interval_ms, expired_s, answer):
    map_s = NOON[0] // 1000 - age_s
    policy = {**POLICY, "map_expired_s": expired_s}
    assert made().decide(holder(1000), interval_ms, policy, 0, 0, map_s) == answer


def test_no_map_at_all_is_too_old_where_there_is_a_rule():
    assert made().decide(holder(1000), NOON, POLICY, 0) == reasons.APPROVED
    policy = {**POLICY, "map_expired_s": 1}
    assert made().decide(holder(1000), NOON, policy, 0) == reasons.MAP_EXPIRED


def test_a_door_without_a_blob_opens_for_nobody():
    nobody = access.whole(b"")
    assert nobody.decide(holder(0), NOON, POLICY, 0) == access.NO_ACCESS
    assert not nobody.is_free(NOON, POLICY)


def test_every_card_has_the_group_it_was_given():
    stream = random.Random(5)
    groups = [stream.randrange(16) for _ in range(access.CARDS_MAX)]
    full = access.whole(access.encode([(7, groups)], [ALWAYS] * 15, (), 3000, 0))
    assert [full.group(7 + at) for at in range(len(groups))] == groups
    assert full.group(6) == full.group(7 + len(groups)) == 0


def test_staff_and_students_have_numbers_far_apart():
    both = access.whole(access.encode([(5, [1, 2, 3]), (20_000, [4])], [ALWAYS], (), 3000, 0))
    asked = (4, 5, 6, 7, 8, 9, 19_999, 20_000, 20_001, 20_002)
    assert [both.group(card_no) for card_no in asked] == [0, 1, 2, 3, 0, 0, 0, 4, 0, 0]


def test_a_door_that_is_free_for_some_hours():
    free = made(free=OFFICE)
    assert free.is_free(NOON, POLICY)
    assert not free.is_free(at(17, 59, 59), POLICY)
    assert not free.is_free(clock.NEVER_SET, POLICY)
    assert not made().is_free(NOON, POLICY)


def test_anti_passback():
    each = made(passback_s=60)
    each.passed(1000, 5000)
    assert each.decide(holder(1000), NOON, POLICY, 64_999) == access.PASSED_JUST_NOW
    assert each.decide(holder(1001), NOON, POLICY, 64_999) == reasons.APPROVED
    assert each.decide(holder(1000), NOON, POLICY, 65_000) == reasons.APPROVED
    without = made()
    without.passed(1000, 5000)
    assert without.decide(holder(1000), NOON, POLICY, 5001) == reasons.APPROVED


def test_what_is_remembered_of_who_passed_is_bounded():
    each = made(groups=[1] * 200, passback_s=3600)
    for number in range(200):
        each.passed(FIRST + number, number)
    assert len(each._passed) == 64
    assert each.decide(holder(FIRST + 199), NOON, POLICY, 300) == access.PASSED_JUST_NOW


def test_five_wrong_tries_and_ninety_seconds():
    tries = access.Tries()
    assert [tries.wrong(ms) for ms in range(0, 5000, 1000)] == [False] * 4 + [True]
    assert tries.is_locked_out(4000) and tries.is_locked_out(4000 + 89_999)
    assert not tries.is_locked_out(4000 + 90_000)
    assert [tries.wrong(100_000 + n) for n in range(5)] == [False] * 4 + [True]


def test_a_right_one_breaks_the_row_and_so_do_five_minutes():
    tries = access.Tries()
    for _ in range(3):
        assert not any(tries.wrong(ms) for ms in range(4))
        tries.right()
    assert not any(tries.wrong(ms) for ms in range(0, 3_000_000, 75_000))


def period(*numbers):
    return struct.pack(access.PERIOD, *numbers)


def blob(groups=b"\x21", **changes):
    fields = {1: [[FIRST, 2]], 2: [access.ALWAYS], 3: b"", 4: 5000, 5: 0}
    fields.update({int(key[1:]): value for key, value in changes.items()})
    return framed({key: value for key, value in fields.items() if value is not None}, groups)


def framed(value, groups=b""):
    head = cbor.encode(value)
    return struct.pack(">H", len(head)) + head + groups


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00", TRUNCATED),
        (b"\x00\x01", TRUNCATED),
        (blob()[:-2], TRUNCATED),
        (blob()[:-1], BAD_FIELD),
        (blob() + b"\x00", BAD_FIELD),
        (framed([1]), NOT_A_MAP),
        (bytes(access.ACCESS_BYTES_MAX + 1), TOO_LONG),
        (blob(f7=0), UNKNOWN_FIELD),
        (blob(f6=b""), BAD_FIELD),
        (blob(f6=[b""] * 16), BAD_FIELD),
        (blob(f6=[bytes(7)]), BAD_FIELD),
        (blob(f6=[0]), BAD_FIELD),
        *((blob(**{f"f{key}": None}), BAD_FIELD) for key in range(1, 6)),
        (blob(f1=b"\x21"), BAD_FIELD),
        (blob(f1=[FIRST]), BAD_FIELD),
        (blob(f1=[[FIRST]]), BAD_FIELD),
        (blob(f1=[[-1, 2]]), BAD_FIELD),
        (blob(f1=[[1 << 32, 2]]), BAD_FIELD),
        (blob(f1=[[1, b"\x21"]]), BAD_FIELD),
        (blob(f1=[[1, 3]]), BAD_FIELD),
        (blob(f1=[[1, 4], [4, 0]], groups=bytes(2)), BAD_FIELD),
        (blob(f1=[[1, access.CARDS_MAX + 1]], groups=bytes(4097)), BAD_FIELD),
        (blob(f1=[[1, 8192], [9000, 2]], groups=bytes(4097)), BAD_FIELD),
        (blob(f1=[[n, 0] for n in range(17)], groups=b""), BAD_FIELD),
        (blob(f2=[b""] * 16), BAD_FIELD),
        (blob(f2=[1]), BAD_FIELD),
        (blob(f2=access.ALWAYS), BAD_FIELD),
        (blob(f2=[access.ALWAYS[1:]]), BAD_FIELD),
        (blob(f2=[period(127, 600, 600)]), BAD_FIELD),
        (blob(f2=[period(128, 0, 1440)]), BAD_FIELD),
        (blob(f2=[period(0, 0, 1440)]), BAD_FIELD),
        (blob(f2=[period(127, 0, 1441)]), BAD_FIELD),
        (blob(f2=[access.ALWAYS * 9]), BAD_FIELD),
        (blob(f3=access.ALWAYS[1:]), BAD_FIELD),
        (blob(f3=[]), BAD_FIELD),
        (blob(f4=b""), BAD_FIELD),
        (blob(f5=86_401), BAD_FIELD),
    ],
)
def test_a_blob_that_is_wrong_is_refused_with_a_number(data, code):
    with pytest.raises(WireError) as refusal:
        access.whole(data)
    assert refusal.value.code == code
    assert access.whole(blob()).group(FIRST) == 1


def test_a_group_that_does_not_exist_cannot_be_written():
    with pytest.raises(ValueError, match="16"):
        access.encode([(1, [16])], SCHEDULES, (), 5000, 0)


def test_the_answers_have_numbers_and_words_of_their_own():
    assert set(access_texts.TEXTS) == {281, 282, 283, 284, 285, 286, 305, 306, 307}
    assert not set(access_texts.TEXTS) & set(reason_texts.TEXTS)


# --- PINs ---------------------------------------------------------------------------------------

KEY, OLD_KEY, PIN = bytes(range(32)), bytes(32), b"314159"
VERIFIER = access.verifier(KEY, 2, PIN)


@pytest.mark.parametrize(
    ("digits", "answer"),
    [
        (PIN, reasons.APPROVED),
        (b"314150", access.DURESS),  # 9 is followed by 0
        (b"314158", reasons.PIN_WRONG),
        (b"314151", reasons.PIN_WRONG),
        (b"413159", reasons.PIN_WRONG),
        (b"000000", reasons.PIN_WRONG),
    ],
)
def test_a_pin_and_the_one_of_who_is_forced(digits, answer):
    assert access.judge((KEY,), 2, VERIFIER, digits) == answer
    assert access.judge((bytes(31) + b"x", KEY), 2, VERIFIER, digits) == answer


@pytest.mark.parametrize("last", range(10))
def test_under_duress_the_last_digit_is_one_higher(last):
    pin = b"12345" + b"%d" % last
    expected = access.verifier(KEY, 1, pin)
    said = {digit: access.judge((KEY,), 1, expected, b"12345%d" % digit) for digit in range(10)}
    assert said.pop(last) == reasons.APPROVED
    assert said.pop((last + 1) % 10) == access.DURESS
    assert set(said.values()) == {reasons.PIN_WRONG}


def test_a_pin_is_one_of_its_group_and_of_its_door():
    assert access.judge((KEY,), 1, VERIFIER, PIN) == reasons.PIN_WRONG
    assert access.judge((OLD_KEY,), 2, VERIFIER, PIN) == reasons.PIN_WRONG


def test_a_group_has_its_pin():
    pins = (b"", VERIFIER)
    data = access.encode([(FIRST, (1, 2, 0, 3))], SCHEDULES, (), 5000, 0, pins)
    each = access.whole(data)
    asked = [each.pin(FIRST + at) for at in range(5)]
    assert asked == [(1, b""), (2, VERIFIER), (0, b""), (3, b""), (0, b"")]
    assert made().pin(FIRST) == (1, b"")


@given(
    st.lists(st.tuples(st.integers(0, 90_000), st.booleans()), max_size=12),
    st.integers(0, 12),
    st.integers(0, 200_000),
)
def test_tries_that_sleep_are_those_that_stay_awake(steps, at, slept_ms):
    """A lock that sleeps anywhere in a row of tries, and has lost its memory, counts on."""
    awake, asleep, now_ms = access.Tries(), access.Tries(), 0
    for place, (pause_ms, is_right) in enumerate(steps):
        now_ms += pause_ms
        if place == at:
            ages, asleep = asleep.ages(now_ms), access.Tries()
            assert len(ages) <= 4 * access.TRIES_MAX
            now_ms += slept_ms
            asleep.resume(ages, slept_ms, now_ms)
        assert asleep.is_locked_out(now_ms) == awake.is_locked_out(now_ms)
        if is_right:
            assert asleep.right() == awake.right()
        else:
            assert asleep.wrong(now_ms) == awake.wrong(now_ms)


def test_a_try_of_last_term_is_not_retained():
    """A lock that nobody touches for two months goes on: ages have 32 bits."""
    tries = access.Tries()
    tries.wrong(0)
    two_months_ms = 60 * 86_400_000
    ages = tries.ages(two_months_ms)
    assert len(tries.ages(299_999)) == 8 and len(ages) == 4
    tries.resume(ages, 0, two_months_ms)
    assert not tries.is_locked_out(two_months_ms)
