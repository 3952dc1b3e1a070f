"""When a reader hears that it is booked: the first at once, the last of many soon."""

import pytest

from edge_agent.receipts import EVERY_MS, Receipts
from edge_agent.store import Store

NOODLES, DOOR = 1001, 1002


class Counter:
    """A store with records of two readers, the ledger's word, and what the readers hear."""

    def __init__(self):
        self.store = Store(":memory:")
        self.store.put_many(
            [(device, seq, b"sealed") for device in (NOODLES, DOOR) for seq in range(1, 101)]
        )
        self.told = []
        self.receipts = Receipts(self.store, lambda device, sealed: self.tell(device, sealed))

    def tell(self, device, sealed):
        self.told.append((device, int(sealed)))

    def book(self, device, upto, now_ms):
        if self.store.apply_receipt(device, upto, b"%d" % upto, now_ms):
            self.receipts.offer(device, b"%d" % upto, now_ms)

    def heard(self):
        told, self.told = self.told, []
        return told


@pytest.fixture
def counter():
    counter = Counter()
    yield counter
    counter.store.close()


def test_who_speaks_now_and_then_hears_each_at_once(counter):
    for number in range(1, 4):
        counter.book(NOODLES, number, number * EVERY_MS)
        counter.receipts.step(number * EVERY_MS)
        assert counter.heard() == [(NOODLES, number)]
        counter.receipts.step((number + 1) * EVERY_MS)
        assert counter.heard() == []


def test_who_empties_its_journal_hears_the_first_and_the_latest(counter):
    for number in range(1, 51):
        counter.book(NOODLES, number, number)
        counter.receipts.step(number)
    assert counter.heard() == [(NOODLES, 1)]
    due_ms = 1 + EVERY_MS
    assert counter.receipts.step(due_ms - 1) == due_ms and not counter.heard()
    # Nothing waits any more; what comes next waits for its turn again, and no longer.
    assert counter.receipts.step(due_ms) is None
    assert counter.heard() == [(NOODLES, 50)]
    counter.book(NOODLES, 60, due_ms + 1)
    assert counter.receipts.step(due_ms + 1) == due_ms + EVERY_MS
    assert counter.receipts.step(due_ms + EVERY_MS) is None
    assert counter.heard() == [(NOODLES, 60)]


def test_one_reader_does_not_wait_for_another(counter):
    counter.book(NOODLES, 1, 0)
    counter.book(NOODLES, 2, 10)
    counter.book(DOOR, 1, 10)
    assert counter.heard() == [(NOODLES, 1), (DOOR, 1)]
    assert counter.receipts.step(10) == EVERY_MS
    counter.book(DOOR, 2, 20)
    # Late by a long way, as behind a commit that took its time: all of them, each once.
    assert counter.receipts.step(10 * EVERY_MS) is None
    assert counter.heard() == [(NOODLES, 2), (DOOR, 2)]


def test_books_of_yesterday_keep_a_reader_from_freeing_what_they_lack(counter):
    """The ledger comes back from a backup while a receipt waits: it says more than is booked."""
    counter.book(NOODLES, 10, 0)
    counter.book(NOODLES, 20, 1)
    assert counter.store.unbook(NOODLES, 10, b"receipt 10", 2) == 11
    counter.receipts.step(EVERY_MS)
    assert counter.heard() == [(NOODLES, 10)]
    counter.book(NOODLES, 15, EVERY_MS + 1)
    assert counter.heard() == [(NOODLES, 15)]
    counter.receipts.step(10 * EVERY_MS)
    assert counter.heard() == []


def test_no_reader_is_kept_in_mind_for_ever(counter):
    for number in range(1, 101):
        counter.book(NOODLES, number, number)
        counter.book(DOOR, number, number)
        counter.receipts.step(number)
    for now_ms in range(0, 10 * EVERY_MS, EVERY_MS // 2):
        counter.receipts.step(now_ms)
    assert not counter.receipts._rest_ms and not counter.receipts._waiting
