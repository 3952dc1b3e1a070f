"""A reader's uplink with a backlog: it holds a window of it, never the backlog."""

import tracemalloc

from protocols.wire import messages, mqtt, seal, topics
from tests.link.bench import DEVICE, SITE, Bench, Source, stored

FIRST_SEQ = 100_001  # five bytes of CBOR from here on, so one template serves
BACKLOG = 32_000  # as much as the reference board's journal holds
LOOK_AT = BACKLOG // 4


class LongSource(Source):
    """A journal that is too long for a list: every record is made when it is asked for."""

    def __init__(self, count):
        super().__init__(1)
        self._head = FIRST_SEQ + count
        self.receipted = FIRST_SEQ - 1
        self._payload = self.sealed[0]

    def head_seq(self):
        return self._head

    def records_from(self, seq, count_max, bytes_max):
        count = min(count_max, self._head - seq + 1, bytes_max // len(self._payload))
        return [self._payload] * count

    def tag_at(self, seq):
        return seal.tag_of(self._payload)


class Forgetful(Bench):
    """A bench whose broker and agent count and keep nothing."""

    upto = FIRST_SEQ - 1

    def _hear(self, event):
        self.broker.events.clear()
        if event[0] != mqtt.PUBLISH or event[1] != topics.up(SITE, DEVICE):
            return
        fields = messages.decode_message(event[2], (messages.HELLO, messages.BATCH))
        self.upto += len(fields.get("records", ()))
        if self.agent:
            self.say(stored(self.upto))


def test_a_backlog_that_the_agent_takes_and_the_ledger_never_books_costs_no_heap():
    bench = Forgetful(source=LongSource(BACKLOG))
    tracemalloc.start()
    try:
        while bench.upto < FIRST_SEQ + LOOK_AT:
            bench.now_ms = max(bench.now_ms, bench.step())
        tracemalloc.reset_peak()
        early, _ = tracemalloc.get_traced_memory()
        while bench.upto < bench.source.head_seq():
            bench.now_ms = max(bench.now_ms, bench.step())
        late, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late - early < 1_024  # of 24,000 more records
    assert peak - early < 16_384  # one batch on its way, as bytes, several times over
    assert bench.receipts == []


def test_an_agent_that_is_away_for_long_costs_no_heap():
    bench = Forgetful(source=LongSource(8))
    bench.agent = False
    tracemalloc.start()
    try:
        bench.run(3_600_000)
        early, _ = tracemalloc.get_traced_memory()
        for hour in range(2, 24):
            bench.source._head += 600
            bench.run(hour * 3_600_000)
        late, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late - early < 1_024
