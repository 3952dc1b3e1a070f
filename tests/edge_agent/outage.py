"""A program: the real agent through an outage of some days, then the drain; prints what it took.

    python -m tests.edge_agent.outage FOLDER DAYS

Run as a process of its own, so that its resident memory is its own. The readers' seals are one
true record with another number patched in, the ledger's answers are signed for whatever is asked:
neither is what is measured, and both would take most of the time.
"""

import json
import resource
import sys
import time
import tracemalloc
from pathlib import Path

from protocols.wire import messages, seal
from protocols.wire.routing import route
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger, batch, power_record

READERS = (1001, 1002)
RECORDS_A_DAY = 2 * 3_000  # an INTENT and an OUTCOME each
DAY_MS = 86_400_000
FIRST_SEQ = 100_001  # five bytes of CBOR from here on, so one template serves
STEP_RECORDS = 320  # of each reader between two steps of the agent


class Template:
    """A reader's records without a reader: one true record, with the number patched in."""

    def __init__(self, device):
        self.sealed = power_record(device, FIRST_SEQ, seal.CHAIN_START)
        self._at = self.sealed.index(FIRST_SEQ.to_bytes(4, "big"))

    def record(self, seq):
        return self.sealed[: self._at] + seq.to_bytes(4, "big") + self.sealed[self._at + 4 :]


class Outage:
    """The agent's building with its line to the ledger cut, and what is seen of its queues."""

    def __init__(self, folder):
        self.ledger = Ledger(READERS)
        self.building = Building(folder, self.ledger)
        self.templates = {device: Template(device) for device in READERS}
        self.written = dict.fromkeys(READERS, FIRST_SEQ - 1)
        self.booked = dict(self.written)
        self.queued_max = 0

    def step(self, later_ms):
        building = self.building
        building.step(later_ms)
        agent = building.agent
        outbox, readers = agent._outbox, agent._reader_side
        queues = (outbox._ready, outbox._sent, outbox._paused, readers._records, readers._owed)
        self.queued_max = max(self.queued_max, *map(len, queues))
        building.port.sent()
        building.port.acked.clear()
        building.port.events.clear()
        building.upstream.acked.clear()
        building.upstream.events.clear()

    def hello(self):
        for device, head in self.written.items():
            fields = {"device": device, "boot_id": 1, "receipted": self.booked[device]}
            fields["head"] = head
            self.building.say(device, messages.encode_message(messages.HELLO, fields))
        self.step(20)

    def go_through(self, days):
        """Records arrive at the rate of a busy canteen; nothing leaves."""
        self.building.upstream.down()
        self.hello()
        rounds = days * RECORDS_A_DAY // STEP_RECORDS
        for _ in range(rounds):
            for device, template in self.templates.items():
                for _ in range(STEP_RECORDS // messages.BATCH_RECORDS_MAX):
                    first = self.written[device] + 1
                    last = first + messages.BATCH_RECORDS_MAX
                    records = [template.record(seq) for seq in range(first, last)]
                    self.building.say(device, batch(device, records))
                    self.written[device] = last - 1
            self.step(days * DAY_MS // rounds)

    def drain(self):
        """The line is back; the ledger books what comes, and says so."""
        self.building.upstream.up()
        forwards = turns = 0
        while self.booked != self.written or self.building.store.count():
            turns += 1
            assert turns < 100_000, "it does not drain"
            self.step(20)
            for payload in self.building.forwarded():
                forwards += 1
                self.building.answer(self._answer(payload))
        return forwards

    def _answer(self, payload):
        forward = messages.decode_message(payload, (messages.FORWARD,))
        numbers = [route(sealed) for sealed in forward["records"]]
        for device, seq in numbers:
            if seq == self.booked[device] + 1:
                self.booked[device] = seq
        devices = sorted({device for device, _seq in numbers})
        receipts = [(device, self.booked[device], b"for the reader") for device in devices]
        return self.ledger.receipts(forward["number"], receipts)


def _disk_bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).glob("agent.sqlite*"))


def main(folder, days):
    outage = Outage(Path(folder))
    outage.go_through(1)
    base_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    base_disk_bytes, base_queued = _disk_bytes(folder), outage.queued_max
    start_s = time.monotonic()
    if days > 1:
        outage.go_through(days - 1)
    arrived_s = time.monotonic() - start_s
    disk_bytes = _disk_bytes(folder)
    held = outage.building.store.count()
    forwards = outage.drain()
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tracemalloc.start()  # once more a day, now with every Python object counted
    outage.go_through(1)
    outage.drain()
    _, traced_bytes = tracemalloc.get_traced_memory()
    report = {
        "records": held,
        "forwards": forwards,
        "queued_max": outage.queued_max,
        "queued_after_one_day": base_queued,
        "rss_after_one_day_bytes": base_bytes,
        "rss_at_the_end_bytes": peak_bytes,
        "traced_peak_bytes": traced_bytes,
        "disk_bytes": disk_bytes,
        "disk_after_one_day_bytes": base_disk_bytes,
        "rate_per_s": round(held / arrived_s) if days > 1 else 0,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
