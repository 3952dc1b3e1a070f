"""Entries of a time: found by bounds of stretches as by going through all of them."""

import random
from contextlib import closing

from ledger import entry_stretches
from ledger.door_log import _SAID, DoorLog, Entry
from ledger.entry_stretches import STRETCH
from ledger.intervals import TIME_UNKNOWN_S, narrowed
from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger

DOOR = 2001
SEED = 1139
START_S = 1_790_000_000
COUNT = 3 * STRETCH


def told(seed=SEED, count=COUNT):
    """A door whose clock is right, then lost, then wrong for a while; other records between."""
    print(f"seed {seed}")
    draw, reader, said = random.Random(seed), Reader(DOOR, 1), []
    time_s = START_S
    for number in range(count):
        time_s += draw.randrange(0, 90)
        when = time_s - draw.randrange(0, 300), time_s + draw.randrange(0, 300)
        doubt = draw.random()
        if doubt < 0.02:
            when = 0, TIME_UNKNOWN_S
        elif doubt < 0.03:
            off_s = draw.choice((-1, 1)) * draw.randrange(86_400)
            when = when[0] + off_s, when[1] + off_s
        if draw.random() < 0.2:
            reader.write(messages.POWER, source=0, battery_mv=6_000)
        fields = {"earliest_s": when[0], "latest_s": when[1], "card_no": number, "reason": 0}
        reader.write(messages.ENTRY, **fields)
        said.append((reader.seq, *when))
    return reader, said


def books(reader, portions=(), path=":memory:"):
    store = open_ledger(reader, path=path)
    for portion in portions or [reader.records]:
        store.book([portion])
    return store


def by_all(store, from_s, to_s):
    """What the log said when it went through every entry."""
    entries = entry_stretches._entries(store.database, DOOR, 0, 1 << 32)
    every = [Entry(*(one[name] for name in _SAID)) for one in entries]
    return [one for one in narrowed(every) if one.earliest_s < to_s and one.latest_s >= from_s]


def asked(store, from_s, to_s):
    return DoorLog(store.database)._entries(DOOR, from_s, to_s)


def test_what_is_found_is_what_going_through_all_finds_whatever_the_clock_said():
    reader, said = told()
    draw, store = random.Random(SEED), books(reader)
    last_s = START_S + COUNT * 45
    for _ in range(20):
        from_s = draw.randrange(START_S - 90_000, last_s + 90_000)
        to_s = from_s + draw.choice((1, 600, 3_600, 86_400))
        assert asked(store, from_s, to_s) == by_all(store, from_s, to_s), (from_s, to_s)
    assert len(asked(store, 0, TIME_UNKNOWN_S)) == len(said)


def test_bounds_are_the_same_however_records_were_delivered():
    reader, _said = told()
    records, draw = reader.records, random.Random(SEED)
    cuts = sorted(draw.sample(range(1, len(records)), 9))
    spans = zip([0, *cuts], [*cuts, len(records)], strict=True)
    portions = [records[a:b] for a, b in spans]
    out_of_order = [*reversed(portions), *portions]
    assert books(reader, out_of_order).dump() == books(reader).dump()


def test_only_the_stretches_of_a_time_are_read(monkeypatch):
    reader = Reader(DOOR, 1)
    for at in range(4 * STRETCH):
        when = {"earliest_s": START_S + at * 60, "latest_s": START_S + at * 60 + 4}
        reader.write(messages.ENTRY, card_no=at, reason=0, **when)
    store, read = books(reader), []
    inner = entry_stretches._entries

    def entries(database, device, first, end):
        read.append(first)
        return inner(database, device, first, end)

    monkeypatch.setattr(entry_stretches, "_entries", entries)
    found = asked(store, START_S + 2 * STRETCH * 60 + 600, START_S + 2 * STRETCH * 60 + 1_200)
    assert [one.card_no for one in found] == list(range(2 * STRETCH + 10, 2 * STRETCH + 20))
    assert read == [2 * STRETCH]


def test_books_of_before_are_gone_through_once(monkeypatch):
    reader, said = told(count=STRETCH + 40)
    half = len(reader.records) // 2
    with closing(books(reader, [reader.records[:half]])) as store:
        _as_if_migrated_now(store)
        assert asked(store, START_S, START_S + 9) == by_all(store, START_S, START_S + 9)
        _as_if_migrated_now(store)
        store.book([reader.records[half:]])
        # The stretch in which that happened has bounds of its later part alone by now.
        assert len(asked(store, 0, TIME_UNKNOWN_S)) == len(said)
        assert asked(store, START_S, START_S + 9_000) == by_all(store, START_S, START_S + 9_000)
        assert store.dump() == books(reader).dump()
        monkeypatch.setattr(entry_stretches, "_write", None)
        assert len(asked(store, 0, TIME_UNKNOWN_S)) == len(said), "and not a second time"


def _as_if_migrated_now(store):
    with store.database.transaction():
        store.database.many("DELETE FROM entry_stretch WHERE device = ?", [(DOOR,)])
        store.database.many("DELETE FROM entry_unread WHERE device = ?", [(DOOR,)])
        heads = "INSERT INTO entry_unread SELECT device, head_seq FROM device WHERE head_seq > ?"
        store.database.many(heads, [(0,)])
