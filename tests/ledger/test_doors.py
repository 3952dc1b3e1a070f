"""Doors that were forced or held open: a case for somebody (R8.1), and not hundreds of them."""

import random

import pytest

from ledger import reasons
from ledger.doors import EPISODE_MS
from protocols.rules import door
from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger

DOOR, OTHER = 2001, 2002
SEED = 402
STEP_MS, HOUR_MS = 50, 3_600_000
SHUT = door.CLOSED | door.MAINS | door.FIRE_QUIET | door.EXIT_IDLE | door.INTACT
OPEN = SHUT & ~door.CLOSED
FORCED = (door.FORCED, "opened")
HELD = (door.HELD, "left-open")


def says(reader, state, event, mono_ms, boot_id=1, **fields):
    reader.write(
        messages.DOOR,
        state=door.STATES.index(state),
        event=door.number(event),
        levels=OPEN,
        cause=0,
        mono_ms=mono_ms,
        boot_id=boot_id,
        **fields,
    )


def write_for(reader, each, levels_at, duration_ms):
    """What a door writes for so long, whose inputs are `levels_at(ms)`, as its role does."""
    for now_ms in range(0, duration_ms, STEP_MS):
        levels = levels_at(now_ms) | (door.RELAY if each.holds() else 0)
        while event := each.event(levels, False, now_ms):
            before = each.state
            action = each.happen(event, now_ms)
            if each.state != before or action:
                says(reader, each.state, event, now_ms)


def booked(*readers):
    """Books that have been told everything twice."""
    store = open_ledger(*readers)
    for _ in range(2):
        store.book([reader.records for reader in readers])
    return store


def test_a_forced_door_and_one_held_open_are_a_case_each():
    reader = Reader(DOOR)
    said = (
        (door.SECURED, "ready"),
        FORCED,
        (door.FORCED, "slip"),
        (door.FORCED, "tamper"),
        (door.SECURED, "closed"),
        (door.GRANTED, "grant"),
        (door.GRANTED, "opened"),
        HELD,
        (door.HELD, "tamper"),
        (door.HELD, "exit"),
        (door.SETTLING, "closed"),
    )
    for at, (state, event) in enumerate(said):
        says(reader, state, event, at * EPISODE_MS)
    assert booked(reader).cases() == [
        (reasons.DOOR_FORCED, DOOR, 2),
        (reasons.DOOR_HELD_OPEN, DOOR, 8),
    ]


def test_a_door_with_a_chair_in_it_for_an_hour_is_one_case():
    reader, each = Reader(DOOR), door.Door("", 0, door.GRANT_MS, 0)
    write_for(reader, each, lambda now_ms: OPEN, HOUR_MS)
    assert each.state == door.HELD
    assert len(booked(reader).cases()) == 1


def test_a_contact_that_chatters_for_a_quarter_of_an_hour_is_a_few_records_and_two_cases():
    reader, each = Reader(DOOR), door.Door("", 0, door.GRANT_MS, 0)
    draw = random.Random(SEED)
    print(f"seed {SEED}")
    flips = [draw.random() < 0.5 for _ in range(EPISODE_MS * 3 // 2 // 500)]
    write_for(
        reader,
        each,
        lambda now_ms: OPEN if now_ms > 5_000 and flips[now_ms // 500] else SHUT,
        EPISODE_MS * 3 // 2,
    )
    assert reader.seq < 10
    assert [reason for reason, *_ in booked(reader).cases()] == [reasons.DOOR_FORCED]


def test_a_door_that_tells_each_time_that_its_contact_chatters_is_two_cases():
    """As readers did whose firmware believed it at once."""
    reader, draw = Reader(DOOR), random.Random(SEED)
    print(f"seed {SEED}")
    for now_ms in range(0, EPISODE_MS * 3 // 2, 2000):
        says(reader, *FORCED, now_ms)
        says(reader, door.SECURED, "closed", now_ms + 1000)
    assert reader.seq > 500, "what the door has said stays on record"
    cases = booked(reader).cases()
    assert [reason for reason, *_ in cases] == [reasons.DOOR_FORCED] * 2
    # Whatever pieces it comes in, and in whatever order.
    pieces = [reader.records[at : at + 97] for at in range(0, reader.seq, 97)]
    draw.shuffle(pieces)
    store = open_ledger(reader)
    for piece in pieces * len(pieces):
        store.book([piece])
    assert store.heads()[DOOR] == reader.seq
    assert store.cases() == cases


@pytest.mark.parametrize(
    ("after_ms", "boot_id", "is_news"),
    [
        (EPISODE_MS - 1, 1, False),
        (EPISODE_MS, 1, True),
        (24 * HOUR_MS, 1, True),
        (-1, 1, True),  # no door counts backwards; who does is not believed
        (1, 2, True),
    ],
)
@pytest.mark.parametrize("clock_s", [0, 0xFFFFFFFF])  # no wrong clock hides anything
def test_when_it_is_news_again(after_ms, boot_id, is_news, clock_s):
    reader = Reader(DOOR)
    says(reader, *HELD, 60_000, earliest_s=1_790_000_000, latest_s=1_790_000_002)
    store = booked(reader)
    says(reader, *HELD, 60_000 + after_ms, boot_id, earliest_s=clock_s, latest_s=clock_s)
    store.book([reader.records])
    assert len(store.cases()) == 1 + is_news


def test_an_episode_ends_though_it_never_stops():
    """What belongs to a case does not make it longer."""
    reader = Reader(DOOR)
    for at in range(5):
        says(reader, *FORCED, at * EPISODE_MS // 2)
    assert booked(reader).cases() == [(reasons.DOOR_FORCED, DOOR, seq) for seq in (1, 3, 5)]


def test_no_door_and_no_kind_hides_another():
    readers = Reader(DOOR), Reader(OTHER)
    for reader in readers:
        says(reader, *FORCED, 1_000)
        says(reader, *HELD, 2_000)
    assert booked(*readers).cases() == [
        (reason, device, seq)
        for seq, reason in enumerate((reasons.DOOR_FORCED, reasons.DOOR_HELD_OPEN), 1)
        for device in (DOOR, OTHER)
    ]


def test_nothing_is_owed_for_it():
    reader = Reader(DOOR)
    says(reader, *FORCED, 1_000)
    store = open_ledger(reader)
    before = list(store.database.rows("SELECT * FROM account ORDER BY id"))
    store.book([reader.records])
    assert store.cases()
    assert list(store.database.rows("SELECT * FROM account ORDER BY id")) == before
