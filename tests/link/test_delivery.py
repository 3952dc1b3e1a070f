"""Delivery: what it refuses, its time-outs, and that a bad network cannot break it."""

import heapq
import random

import pytest

from protocols.link.delivery import (
    HELLO,
    IDLE,
    NOTHING,
    OFFLINE,
    QUIET_MS,
    RECEIPT_BEYOND_HEAD,
    SEND_BATCH,
    SEND_HELLO,
    STORED_BEYOND_HEAD,
    STORED_MS,
    STORED_MS_MAX,
    WAITING,
    Delivery,
    DeliveryError,
)

BATCH = 8


def linked(head=0, receipted=0, stored=None, now_ms=0):
    """A delivery whose HELLO was answered."""
    delivery = Delivery(head, receipted)
    delivery.connected(now_ms)
    assert delivery.wanted(now_ms) == SEND_HELLO
    delivery.hello_sent(now_ms)
    delivery.on_stored(receipted if stored is None else stored, now_ms)
    return delivery


# --- what is refused ---------------------------------------------------------------------------


def test_stored_beyond_head_is_refused_and_changes_nothing():
    delivery = linked(head=5)
    with pytest.raises(DeliveryError) as caught:
        delivery.on_stored(6, 0)
    assert caught.value.code == STORED_BEYOND_HEAD
    assert str(STORED_BEYOND_HEAD) in str(caught.value)
    assert (delivery.state, delivery.stored) == (IDLE, 0)


def test_receipt_beyond_head_is_refused_and_changes_nothing():
    delivery = linked(head=5)
    with pytest.raises(DeliveryError) as caught:
        delivery.on_receipt(6, 0)
    assert caught.value.code == RECEIPT_BEYOND_HEAD
    assert (delivery.receipted, delivery.stored) == (0, 0)


def test_a_foreign_stored_does_not_answer_our_hello():
    delivery = Delivery(5, 0)
    delivery.connected(0)
    delivery.wanted(0)
    delivery.hello_sent(0)
    with pytest.raises(DeliveryError):
        delivery.on_stored(6, 10)
    assert (delivery.state, delivery.answering) == (HELLO, False)


def test_receipts_only_go_forward():
    delivery = linked(head=9, stored=9)
    assert delivery.on_receipt(4, 0)
    assert not delivery.on_receipt(4, 0)
    assert not delivery.on_receipt(3, 0)
    assert delivery.receipted == 4


# --- one step at a time ------------------------------------------------------------------------


def test_offline_wants_nothing():
    delivery = Delivery(5, 2)
    assert delivery.wanted(0) == NOTHING
    assert delivery.due_ms(0) > 0
    assert delivery.state == OFFLINE


def test_hello_then_batches_then_quiet():
    delivery = Delivery(10, 2)
    delivery.connected(0)
    assert delivery.wanted(0) == SEND_HELLO
    assert delivery.wanted(0) == SEND_HELLO  # until it is confirmed
    assert not delivery.answering
    delivery.hello_sent(0)
    assert delivery.wanted(1) == NOTHING
    delivery.on_stored(3, 1)
    assert delivery.answering
    assert delivery.due_ms(1) == 1
    assert (delivery.wanted(1), delivery.stored + 1) == (SEND_BATCH, 4)
    delivery.batch_sent(10, 1)
    assert (delivery.state, delivery.wanted(2)) == (WAITING, NOTHING)
    delivery.on_stored(10, 2)
    assert delivery.wanted(2) == NOTHING
    assert delivery.due_ms(2) == 2 + QUIET_MS
    delivery.advance(11)
    assert (delivery.wanted(3), delivery.due_ms(3)) == (SEND_BATCH, 3)


def test_the_answer_to_a_hello_goes_backward_but_not_below_the_receipts():
    delivery = linked(head=20, receipted=5, stored=20)
    for said, stored in ((12, 12), (0, 5)):
        delivery.connected(0)
        delivery.wanted(0)
        delivery.hello_sent(0)
        delivery.on_stored(said, 0)
        assert (delivery.wanted(0), delivery.stored) == (SEND_BATCH, stored)


def test_an_agent_that_lost_its_disk_is_found_out_by_the_time_out():
    delivery = linked(head=20, receipted=5, stored=12)
    delivery.batch_sent(20, 0)
    delivery.on_stored(5, 1)
    assert (delivery.state, delivery.wanted(1)) == (WAITING, NOTHING)
    assert delivery.wanted(STORED_MS) == SEND_HELLO
    delivery.hello_sent(STORED_MS)
    delivery.on_stored(5, STORED_MS + 1)
    assert (delivery.wanted(STORED_MS + 1), delivery.stored) == (SEND_BATCH, 5)


def test_part_of_a_batch_goes_on_behind_that_part():
    delivery = linked(head=20)
    delivery.batch_sent(8, 0)
    delivery.on_stored(3, 1)
    assert (delivery.wanted(1), delivery.stored) == (SEND_BATCH, 3)


@pytest.mark.parametrize("old", [0, 3, 4])
def test_a_stored_that_says_nothing_new_does_not_send_a_batch_twice(old):
    delivery = linked(head=20, stored=4)
    delivery.batch_sent(12, 0)
    delivery.on_stored(old, 1)
    assert delivery.wanted(1) == NOTHING
    assert delivery.stored == 4
    assert delivery.wanted(STORED_MS) == SEND_HELLO


def test_a_receipt_answers_the_batch_it_covers():
    delivery = linked(head=8)
    delivery.batch_sent(8, 0)
    assert delivery.on_receipt(7, 1)
    assert (delivery.state, delivery.stored) == (WAITING, 7)
    assert delivery.on_receipt(8, 1)
    assert (delivery.state, delivery.stored) == (IDLE, 8)


def test_hello_backs_off_to_a_minute():
    delivery = Delivery(5, 0)
    delivery.connected(0)
    now_ms, waits = 0, []
    for _ in range(7):
        assert delivery.wanted(now_ms) == SEND_HELLO
        delivery.hello_sent(now_ms)
        waits.append(delivery.due_ms(now_ms) - now_ms)
        assert delivery.wanted(delivery.due_ms(now_ms) - 1) == NOTHING
        now_ms = delivery.due_ms(now_ms)
        assert not delivery.answering
    assert waits == [5_000, 10_000, 20_000, 40_000, STORED_MS_MAX, STORED_MS_MAX, STORED_MS_MAX]
    delivery.wanted(now_ms)
    delivery.hello_sent(now_ms)
    delivery.on_stored(5, now_ms + 1)
    delivery.advance(6)
    assert delivery.wanted(now_ms + 1) == SEND_BATCH
    delivery.batch_sent(6, now_ms + 1)
    assert delivery.due_ms(now_ms + 1) == now_ms + 1 + STORED_MS


def test_an_agent_that_answers_but_does_not_store_is_asked_ever_more_slowly():
    delivery = linked(head=5)
    now_ms, waits = 0, []
    for _ in range(6):
        assert delivery.wanted(now_ms) == SEND_BATCH
        delivery.batch_sent(5, now_ms)
        waits.append(delivery.due_ms(now_ms) - now_ms)
        now_ms += waits[-1]
        assert delivery.wanted(now_ms) == SEND_HELLO
        assert not delivery.answering
        delivery.hello_sent(now_ms)
        delivery.on_stored(0, now_ms)
    assert waits == [5_000, 10_000, 20_000, 40_000, STORED_MS_MAX, STORED_MS_MAX]
    delivery.wanted(now_ms)
    delivery.batch_sent(5, now_ms)
    delivery.on_stored(5, now_ms)
    delivery.advance(6)
    delivery.batch_sent(6, now_ms)
    assert delivery.due_ms(now_ms) == now_ms + STORED_MS


def test_a_quiet_link_is_asked_whether_it_lives():
    delivery = linked(head=3, stored=3)
    assert delivery.wanted(QUIET_MS - 1) == NOTHING
    assert delivery.wanted(QUIET_MS) == SEND_HELLO
    assert delivery.answering  # nothing is overdue yet
    delivery.hello_sent(QUIET_MS)
    assert delivery.wanted(QUIET_MS + STORED_MS) == SEND_HELLO
    assert not delivery.answering


def test_a_lost_connection_forgets_what_was_outstanding():
    delivery = linked(head=9)
    delivery.batch_sent(8, 0)
    delivery.disconnected()
    assert (delivery.state, delivery.sent, delivery.answering) == (OFFLINE, 0, False)
    delivery.connected(100)
    assert delivery.wanted(100) == SEND_HELLO


# --- a bad network -----------------------------------------------------------------------------


class Agent:
    """Holds a prefix of the device's records and books part of it; may lose the rest."""

    def __init__(self):
        self.held = 0
        self.booked = 0

    def on_hello(self):
        return self.held

    def on_batch(self, records):
        for seq in records:
            if seq == self.held + 1:
                self.held = seq
        return self.held


class World:
    """A device and an agent over a channel that drops, repeats and delays, drawn from a seed."""

    def __init__(self, seed, head, drop, repeat, delay_ms_max, cuts):
        self.rng = random.Random(seed)
        self.head = head
        self.drop, self.repeat, self.delay_ms_max = drop, repeat, delay_ms_max
        self.cuts = cuts
        self.now_ms = 0
        self.delivery = Delivery(0, 0)
        self.agent = Agent()
        self.events = []
        self.count = 0
        self.batches = 0
        self.outstanding_until_ms = 0

    def post(self, kind, value):
        if self.rng.random() < self.drop:
            return
        for _ in range(2 if self.rng.random() < self.repeat else 1):
            self.count += 1
            at_ms = self.now_ms + self.rng.randint(1, self.delay_ms_max)
            heapq.heappush(self.events, (at_ms, self.count, kind, value))

    def send(self):
        """What the device's loop does."""
        wanted = self.delivery.wanted(self.now_ms)
        if wanted == SEND_HELLO:
            self.delivery.hello_sent(self.now_ms)
            self.outstanding_until_ms = 0
            self.post("hello", None)
        elif wanted == SEND_BATCH:
            assert self.now_ms >= self.outstanding_until_ms, "two batches outstanding"
            first = self.delivery.stored + 1
            assert first > self.delivery.receipted, "a freed record cannot be read any more"
            upto = min(first + BATCH - 1, self.delivery.head)
            self.delivery.batch_sent(upto, self.now_ms)
            self.outstanding_until_ms = self.delivery.due_ms(self.now_ms)
            self.batches += 1
            self.post("batch", list(range(first, upto + 1)))

    def hear(self, kind, value):
        before = self.agent.held
        if kind == "hello":
            self.post("stored", self.agent.on_hello())
        elif kind == "batch":
            self.post("stored", self.agent.on_batch(value))
            if self.rng.random() < 0.5:
                self.agent.booked = max(self.agent.booked, self.rng.randint(0, self.agent.held))
                self.post("receipt", self.agent.booked)
        elif kind == "stored":
            self.delivery.on_stored(value, self.now_ms)
            if self.delivery.state != WAITING:
                self.outstanding_until_ms = 0
        else:
            self.delivery.on_receipt(value, self.now_ms)
            if self.delivery.state != WAITING:
                self.outstanding_until_ms = 0
        assert self.agent.held >= before
        assert self.delivery.receipted <= self.agent.booked

    def trouble(self):
        """Once in a while the connection is cut, or the agent comes back without its last rows."""
        if self.rng.random() < self.cuts:
            self.delivery.disconnected()
            self.events.clear()
            self.outstanding_until_ms = 0
            self.delivery.connected(self.now_ms)
            if self.rng.random() < 0.3:
                self.agent.held = self.rng.randint(self.agent.booked, self.agent.held)

    def run(self, limit_ms):
        self.delivery.connected(0)
        while self.now_ms < limit_ms:
            if self.delivery.head < self.head and self.rng.random() < 0.3:
                self.delivery.advance(self.delivery.head + 1)
            self.send()
            if self.delivery.stored == self.agent.held == self.head:
                return
            due_ms = max(self.now_ms + 1, self.delivery.due_ms(self.now_ms))
            if self.delivery.head < self.head:
                due_ms = min(due_ms, self.now_ms + 50)
            if self.events and self.events[0][0] <= due_ms:
                self.now_ms, _, kind, value = heapq.heappop(self.events)
                self.hear(kind, value)
            else:
                self.now_ms = due_ms
            self.trouble()
        raise AssertionError(
            f"not delivered: stored {self.delivery.stored}, held {self.agent.held} of {self.head}"
        )


NETWORKS = {
    "drops": {"drop": 0.3, "repeat": 0.0, "delay_ms_max": 50, "cuts": 0.0},
    "repeats": {"drop": 0.0, "repeat": 0.5, "delay_ms_max": 50, "cuts": 0.0},
    "reorders": {"drop": 0.0, "repeat": 0.3, "delay_ms_max": 9_000, "cuts": 0.0},
    "cuts": {"drop": 0.0, "repeat": 0.0, "delay_ms_max": 500, "cuts": 0.05},
    "all": {"drop": 0.2, "repeat": 0.2, "delay_ms_max": 7_000, "cuts": 0.02},
}


@pytest.mark.parametrize("network", NETWORKS)
def test_everything_arrives_in_order_over(network):
    for seed in range(60):
        print("seed", seed)
        world = World(seed, head=100, **NETWORKS[network])
        world.run(limit_ms=20_000_000)


def test_repeats_do_not_multiply():
    """The Sorcerer's Apprentice: one repeated answer must not repeat every batch behind it."""
    for seed in range(20):
        print("seed", seed)
        world = World(seed, head=400, drop=0.0, repeat=1.0, delay_ms_max=40, cuts=0.0)
        world.delivery.advance(400)
        world.run(limit_ms=1_000_000)
        assert world.batches <= 400 // BATCH + 10
