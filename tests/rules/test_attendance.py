"""Who may punch, what is said, and a card's validity by a clock that doubts."""

import pytest

from protocols.card.identity import Identity
from protocols.rules import attendance, card_status, clock, reasons, validity

POLICY = {"utc_offset_s": 28_800, "clock_width_max_ms": 120_000}
DAY = 20_700  # 2026-09-04
DAY_S = 86_400


def at(hour, minute=0, second=0, day=DAY, width_ms=0):
    """An interval that begins at a local time."""
    begin_ms = (day * DAY_S + hour * 3600 + minute * 60 + second - 28_800) * 1000
    return (begin_ms, begin_ms + width_ms)


def holder(days=(DAY, DAY), kind=3):
    return Identity(7, kind, *days, 1)


NOON = at(12)
NEVER_TOLD = clock.NEVER_SET


@pytest.mark.parametrize(
    ("days", "interval_ms", "answer"),
    [
        ((DAY, DAY), at(0), reasons.APPROVED),
        ((DAY, DAY), at(23, 59, 59), reasons.APPROVED),
        ((DAY, DAY), at(23, 59, 59, width_ms=1000), reasons.EXPIRED),  # perhaps over
        ((DAY, DAY), at(23, 59, 59, day=DAY - 1, width_ms=1000), reasons.NOT_YET_VALID),
        ((DAY + 1, DAY + 1), NOON, reasons.NOT_YET_VALID),
        ((DAY - 1, DAY - 1), NOON, reasons.EXPIRED),
        # An unknown clock keeps out only what is surely out.
        ((DAY, DAY), at(22, day=DAY - 1, width_ms=7_200_000), reasons.APPROVED),
        ((DAY, DAY), at(23, width_ms=7_200_000), reasons.APPROVED),
        ((DAY, DAY), at(1, day=DAY + 1, width_ms=7_200_000), reasons.EXPIRED),
        ((DAY, DAY), at(1, day=DAY - 1, width_ms=7_200_000), reasons.NOT_YET_VALID),
        ((DAY, DAY), NEVER_TOLD, reasons.APPROVED),
    ],
)
def test_validity_by_an_interval(days, interval_ms, answer):
    assert validity.reason(holder(days), interval_ms, POLICY) == answer
    assert validity.decide(holder(days), card_status.ACTIVE, interval_ms, POLICY) == answer


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (card_status.LOST, reasons.CARD_LOST),
        (card_status.SUSPENDED, reasons.CARD_SUSPENDED),
        (card_status.CLOSED, reasons.CARD_CLOSED),
    ],
)
def test_a_card_that_may_not_be_used_does_not_punch(status, answer):
    assert validity.decide(holder(), status, NOON, POLICY) == answer


def test_every_kind_of_card_punches_and_no_other():
    answers = [validity.decide(holder(kind=kind), 0, NOON, POLICY) for kind in range(5)]
    refused = reasons.KIND_NOT_SERVED
    assert answers == [refused, 0, 0, 0, refused]


def test_a_second_punch_within_the_minute_is_told():
    recent, again_ms = attendance.Recent(), attendance.REPEAT_MS - 1
    assert [recent.punched(7, ms) for ms in (0, again_ms)] == [False, True]
    assert not recent.punched(8, again_ms)
    assert recent.punched(7, 2 * again_ms), "counted from the last one"
    assert not recent.punched(7, 2 * again_ms + attendance.REPEAT_MS)


def test_a_crowd_is_not_remembered_for_ever():
    recent = attendance.Recent()
    for card_no in range(1000):
        assert not recent.punched(card_no, card_no)
    assert recent.punched(999, 1000) and not recent.punched(1, 1000)
    assert len(recent._punches) <= 64


@pytest.mark.parametrize(
    ("interval_ms", "shown"),
    [
        (at(8, 1), "08:01"),
        (at(23, 59, 30, width_ms=60_000), "00:00"),
        (at(8, 1, 10, width_ms=20_000), "08:01"),
        (at(8, 1, width_ms=60_001), attendance.UNKNOWN_TIME),
        (NEVER_TOLD, attendance.UNKNOWN_TIME),
    ],
)
def test_a_time_is_shown_where_it_is_known(interval_ms, shown):
    assert attendance.time_text(interval_ms, POLICY) == shown
