"""A building on a bench: the real agent on a real SQLite file between fake ports."""

from edge_agent.admission import Admissions
from edge_agent.card_history import CardHistory
from edge_agent.decisions import NAME
from edge_agent.inventory import Inventory
from edge_agent.reader_ports import ReaderPorts
from edge_agent.service import AgentService
from edge_agent.store import Store
from protocols.wire import messages, topics
from tests.edge_agent.peers import SITE, Reader, forwards
from tests.edge_agent.ports import FakePort


class Building:
    """`step` runs the agent; `deliver` and `answer_all` play the two networks by hand."""

    def __init__(
        self,
        folder,
        ledger,
        readers=(),
        with_cards=False,
        strangers=False,
        enrolment=False,
        lines=(),
    ):
        self.folder = folder
        self.keep_ms, self.space = 0, None
        self.with_cards, self.strangers, self.enrolment = with_cards, strangers, enrolment
        self.ledger = ledger
        self.readers = {device: Reader(device) for device in readers}
        self.now_ms = 1_000
        self.lines = lines
        self.start()

    def start(self):
        """A new agent process on the same disk; both brokers are there."""
        self.port, self.upstream = FakePort(), FakePort()
        self.port.up()
        self.upstream.up()
        path = str(self.folder / "agent.sqlite")
        self.store = Store(path, keep_ms=self.keep_ms, space=self.space)
        self.inventory = Inventory(str(self.folder / "inventory.json"), lambda: 1_700_000_000)
        self.admissions = None
        if self.enrolment:
            before = [
                *self.store.devices(),
                *(each["device"] for each in self.inventory.readers()),
            ]
            self.admissions = Admissions(self.folder / NAME, lambda: 1_700_000_000, before)
        self.history = None
        if self.with_cards:
            self.history = CardHistory(str(self.folder / "cards.sqlite"))
        self.agent = AgentService(
            SITE,
            self.store,
            self.inventory,
            ReaderPorts(SITE, self.port, self.lines) if self.lines else self.port,
            self.upstream,
            self.ledger.public_key,
            card_history=self.history,
            strangers=self.strangers,
            admissions=self.admissions,
        )

    def crash(self):
        """The process is gone: nothing is written any more, nothing is said."""
        self.store._db.close()
        if self.history:
            self.history._db.close()
        self.inventory._lock.close()

    def step(self, later_ms=0):
        self.now_ms += later_ms
        return self.agent.step(self.now_ms)

    def say(self, device, payload, **kwargs):
        return self.port.deliver(topics.up(SITE, device), payload, **kwargs)

    def answers(self, device):
        """What was said to a device since the last look, decoded."""
        kept, said = [], []
        for topic, payload in self.port.sent():
            if topic == topics.down(SITE, device):
                expected = (messages.STORED, messages.RECEIPT)
                said.append(messages.decode_message(payload, expected))
            else:
                kept.append((topic, payload))
        self.port.published = kept
        return said

    def stored(self, device):
        """The `upto` of each STORED said to a device since the last look."""
        return [said["upto"] for said in self.answers(device) if said["type"] == messages.STORED]

    def put(self, device, records):
        """Deliver records as batches and let the agent keep them."""
        for at in range(0, len(records), messages.BATCH_RECORDS_MAX):
            payload = messages.encode_message(
                messages.BATCH,
                {"device": device, "records": records[at : at + messages.BATCH_RECORDS_MAX]},
            )
            self.say(device, payload)
        self.step()

    def answer(self, data):
        self.upstream.deliver(topics.agent_receipts(SITE), data)

    def forwarded(self):
        return forwards(self.upstream.sent())

    def settle(self, rounds=200):
        """Let the ledger answer until nothing more is forwarded; the FORWARD payloads."""
        seen = []
        for _ in range(rounds):
            self.step()
            said = self.forwarded()
            if not said:
                return seen
            seen += said
            for payload in said:
                self.answer(self.ledger.answer(payload))
        raise AssertionError("the agent keeps forwarding")

    def play(self, rounds=500):
        """Readers and ledger both do their part until all is receipted; rounds needed."""
        for reader in self.readers.values():
            self.say(reader.device, reader.hello())
        for count in range(rounds):
            self.step(10)
            for topic, payload in self.port.sent():
                device = int(topic.split("/")[3])
                self.readers[device].hear(payload)
            for payload in self.forwarded():
                self.answer(self.ledger.answer(payload))
            for reader in self.readers.values():
                if reader.cursor < reader.head and not reader.outstanding:
                    reader.outstanding = True
                    self.say(reader.device, reader.batch())
            if all(reader.receipted == reader.head for reader in self.readers.values()):
                return count
        raise AssertionError("not everything was receipted")
