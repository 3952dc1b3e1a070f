"""Booked records stay for a while, and a ledger that comes back from a backup gets them again."""

import pytest

from edge_agent.outbox import PAUSE_MS_MAX
from edge_agent.retention import Retention
from edge_agent.space import Space
from edge_agent.store import WRITE_DELAY_MS, Store
from protocols.wire import messages
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger
from tests.edge_agent.test_store import A, B, _records

HOUR_MS = 3_600_000


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "agent.sqlite")


def test_what_is_noted_is_ripe_once_and_never_early():
    retention = Retention(HOUR_MS)
    retention.note(A, 5, 1_000)
    retention.note(A, 9, 2_000)
    retention.note(B, 7, 1_000 + HOUR_MS // 4)
    assert retention.ripe(HOUR_MS + 1_999) == {}
    due_ms = retention.due_ms()
    assert HOUR_MS + 2_000 <= due_ms <= 1_000 + HOUR_MS * 17 // 16
    assert retention.ripe(due_ms) == {A: 9}
    assert retention.ripe(3 * HOUR_MS) == {B: 7}
    assert retention.ripe(9 * HOUR_MS) == {}
    assert retention.due_ms() is None


def test_where_room_is_short_all_that_is_booked_may_go():
    retention = Retention(HOUR_MS)
    retention.note(A, 5, 0)
    retention.note(A, 8, HOUR_MS // 2)
    assert retention.ripe(1, hurry=True) == {A: 8}


def test_its_memory_is_flat():
    retention = Retention(HOUR_MS)
    for now_ms in range(0, 10 * HOUR_MS, 1_000):
        retention.note(A, now_ms, now_ms)
        retention.ripe(now_ms)
    assert len(retention._slots) <= 18


def test_booked_records_are_freed_when_their_time_is_over_also_after_a_restart(path):
    store = Store(path, keep_ms=HOUR_MS)
    store.put_many(_records(A, 1, 20))
    store.apply_receipt(A, 15, b"", 0)
    store.step(WRITE_DELAY_MS)
    assert store.count() == 20
    assert store.records_after(A, 0, 99)[0][0] == 16  # booked: nobody is sent it
    store._db.close()
    store = Store(path, keep_ms=HOUR_MS)
    due_ms = store.step(0)
    assert due_ms is not None and HOUR_MS <= due_ms < 2 * HOUR_MS
    while due_ms is not None:
        assert store.count() == 20
        now_ms, due_ms = due_ms, store.step(due_ms)
        if due_ms == now_ms + WRITE_DELAY_MS:
            due_ms = store.step(due_ms)
    assert store.count() == 5


def test_a_full_store_takes_nothing_new_and_frees_what_is_booked_first(tmp_path):
    """Nobody is told that a record is stored which is not, and the reader keeps it."""
    ledger = Ledger([A])
    building = Building(tmp_path, ledger, [A])
    building.crash()
    building.keep_ms, building.space = 24 * HOUR_MS, Space(100_000, lambda: 1 << 40)
    building.start()
    reader = building.readers[A]
    reader.write(100)
    building.play()
    building.step(1_000)
    assert building.store.count() == 100  # kept, there is room
    building.upstream.down()
    reader.write(3_000)
    building.say(A, reader.hello())
    rounds = 0
    while "records_not_taken" not in building.agent.counters:
        building.step(100)
        for _topic, payload in building.port.sent():
            reader.hear(payload)
        building.say(A, reader.batch())
        rounds += 1
        assert rounds < 3_000
    building.step(2_000)
    for _topic, payload in building.port.sent():
        reader.hear(payload)
    held = building.store.count()
    stored = reader.cursor
    assert held == stored - 100, "what was booked has gone, what is not is here"
    assert building.store.mark(A).stored == stored < reader.head
    assert building.store.space.used_bytes <= 100_000
    # The reader is still answered, and once the ledger is back all of it arrives.
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [stored]
    building.upstream.up()
    while reader.receipted < reader.head:
        building.say(A, reader.hello())
        building.step(1_000)
        if reader.cursor < reader.head:
            building.say(A, reader.batch())
        building.settle()
        for _topic, payload in building.port.sent():
            reader.hear(payload)
        rounds += 1
        assert rounds < 6_000
    assert ledger.booked[A] == reader.journal


def test_a_disk_that_others_fill_counts_as_full():
    free_bytes = [10 << 30]
    space = Space(1 << 30, lambda: free_bytes[0])
    space.measure(500 << 20)
    assert (space.limit_bytes, space.level) == (1 << 30, 0)
    free_bytes[0] = (64 << 20) + (20 << 20)
    space.measure(500 << 20)
    assert (space.limit_bytes, space.level) == (520 << 20, 2)
    free_bytes[0] = 1 << 20
    space.measure(500 << 20)
    assert (space.level, space.take(10, 1)) == (3, False)


def test_a_ledger_that_comes_back_from_a_backup_is_sent_again_what_it_lost(tmp_path):
    ledger = Ledger([A, B])
    building = Building(tmp_path, ledger, [A, B])
    building.crash()
    building.keep_ms = HOUR_MS
    building.start()
    for reader in building.readers.values():
        reader.write(40)
    building.play()
    backup = {device: list(booked) for device, booked in ledger.booked.items()}
    for reader in building.readers.values():
        reader.write(30)
    building.play()
    assert building.readers[A].receipted == 70  # the readers have none of it any more
    ledger.booked = backup
    building.readers[A].write(1)  # one new record is enough for one reader
    building.play()
    building.settle()
    assert ledger.booked[A] == building.readers[A].journal
    assert building.agent.counters["unbooked"] == 1
    assert "unbooked_gone" not in building.agent.counters or (
        building.agent.counters["unbooked_gone"] == 0
    )
    assert ledger.head(B) == 40  # nobody has asked yet
    building.readers[B].write(2)
    building.play()
    building.settle()
    assert ledger.booked[B] == building.readers[B].journal
    assert building.store.mark(B).receipted == 72


def test_an_old_answer_said_again_unbooks_nothing(tmp_path):
    building = Building(tmp_path, Ledger([A]), [A])
    reader = building.readers[A]
    reader.write(8)
    building.say(A, reader.batch())
    building.step()
    (first,) = building.forwarded()
    old = building.ledger.answer(first)
    building.answer(old)
    building.step()
    reader.write(8)
    building.say(A, reader.batch(9))
    building.step()
    (second,) = building.forwarded()
    building.answer(old)  # while the second waits
    building.step()
    building.answer(building.ledger.answer(second))
    building.answer(old)
    building.step()
    assert building.store.mark(A).receipted == 16
    assert "unbooked" not in building.agent.counters


def test_records_that_are_gone_are_said_to_be_and_the_rest_goes_on(tmp_path):
    """A backup older than the retention: what is missing has a number, and nothing else stops."""
    ledger = Ledger([A, B])
    building = Building(tmp_path, ledger, [A, B])  # keeps nothing that is booked
    for reader in building.readers.values():
        reader.write(40)
    building.play()
    building.step(WRITE_DELAY_MS)
    ledger.booked[A] = ledger.booked[A][:21]
    building.readers[A].write(1)
    building.readers[B].write(8)
    building.say(A, building.readers[A].batch(41))
    building.say(B, building.readers[B].batch(41))
    building.step()
    for _ in range(5):
        for payload in building.forwarded():
            building.answer(ledger.answer(payload))
        building.step(100)
    assert building.agent.counters["unbooked_gone"] == 1
    assert (ledger.head(A), ledger.head(B)) == (20, 48)
    assert building.store.records_after(A, 0, 9)[0][0] == 41  # kept until a person has decided


def _behind_a_backup(tmp_path, heard, backup):
    """40 records are booked and freed here; the reader heard of `heard` of them, then the books
    come back from a backup that ends at `backup`, and the agent learns that by record 41."""
    ledger = Ledger([A])
    building = Building(tmp_path, ledger, [A])  # keeps nothing that is booked
    reader = building.readers[A]
    reader.write(40)
    building.play()
    building.step(WRITE_DELAY_MS)
    assert building.store.count() == 0
    reader.receipted = heard  # what came behind that never got there
    ledger.booked[A] = ledger.booked[A][: backup + 1]
    reader.write(1)
    building.say(A, reader.batch(41))
    building.step()
    building.settle()
    assert building.agent.counters["unbooked"] == 1
    building.answers(A)
    return building


def _heard(building, is_new):
    if is_new:
        building.crash()
        building.start()
    building.say(A, building.readers[A].hello())
    building.step()
    return building.answers(A)


@pytest.mark.parametrize("is_new", [False, True])
def test_no_reader_is_told_what_the_books_had_booked_before_the_backup(tmp_path, is_new):
    """It would free the last copy of what is in no books any more."""
    building = _behind_a_backup(tmp_path, 10, 20)
    building.step(WRITE_DELAY_MS)
    said = [each for each in _heard(building, is_new) if each["type"] == messages.RECEIPT]
    for receipt in said:
        building.readers[A].hear(messages.encode_message(messages.RECEIPT, receipt))
    assert building.readers[A].receipted == 20


@pytest.mark.parametrize("is_new", [False, True])
def test_what_is_gone_here_a_reader_that_has_it_is_asked_for(tmp_path, is_new):
    building = _behind_a_backup(tmp_path, 20, 20)
    building.step(WRITE_DELAY_MS)
    (stored,) = _heard(building, is_new)
    assert stored["upto"] == 20  # and not 41: the 20 between are on the reader only
    reader = building.readers[A]
    reader.cursor, reader.outstanding = 20, False
    building.play()
    building.settle()
    assert building.ledger.booked[A] == reader.journal


def test_what_neither_has_any_more_is_not_asked_for(tmp_path):
    """The reader has freed a part of it: the rest goes up all the same, for a person to decide."""
    building = _behind_a_backup(tmp_path, 30, 20)
    (stored,) = _heard(building, False)
    assert stored["upto"] == 30
    for first in (31, 39):
        building.say(A, building.readers[A].batch(first))
        building.step()
    building.step(PAUSE_MS_MAX)
    building.settle()
    assert building.stored(A)[-1] == 41
    assert sorted(seq for _device, seq in building.ledger.parked) == list(range(31, 42))
