"""Firmware and policies from the books to a reader: the real ledger, agent and reader on a table.

Only the two brokers are lists here.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.cards import ASK_MS
from edge_agent.policies import TELL_MS
from firmware.services import built, update
from ledger.receipts import public_key
from ledger.release_file import Release
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.rules import release, slots
from protocols.wire import mqtt, topics
from simulator.vm.image import program_no
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE
from tests.edge_agent.ports import FakePort
from tests.firmware.counter import DEVICE, DEVICE_KEY, MERCHANT, POLICY
from tests.firmware.workshop import NEW, Workshop
from tests.link.bench import Broker, Net

SIGNING_KEY = bytes(range(32))
RELEASE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


class Signed:
    """What a building knows of its ledger."""

    public_key = public_key(SIGNING_KEY)


class Campus:
    """Agent and ledger in the place of a reader's depot."""

    def __init__(self, folder, utc_s):
        self.net = Net()
        self.store = LedgerStore.open(":memory:")
        self.store.register_merchant(MERCHANT)
        self.store.register_devices([(DEVICE, DEVICE_KEY, MERCHANT, SITE)])
        self.centre = FakePort()
        self.centre.up()
        self.ledger = LedgerService(self.store, self.centre, SIGNING_KEY, utc_s, with_cards=True)
        self.building = Building(folder, Signed(), with_cards=True)
        self._broker = None

    def set(self, percent, version=2, image=NEW, *, hours=None):
        """A stage at any hour, or within `hours` (minutes of a day)."""
        signed = Release("main", version, 1, image).signed(RELEASE_KEY)
        keys = [RELEASE_KEY.public_key().public_bytes_raw()]
        when = {"minutes": hours} if hours else {"is_forced": True}
        self.store.firmware.set_stage(signed, keys, 1, percent, "wang", 1, **when)
        self.building.now_ms += ASK_MS

    def step(self):
        """Carry what was said; whether something is on its way to the reader."""
        wire = self.net.wires[-1] if self.net.wires else None
        if wire is not None and (self._broker is None or self._broker.wire is not wire):
            self._broker = Broker(wire)
        is_up = wire is not None and not wire.closed and not wire.reset
        for event in self._broker.step() if is_up else ():
            if event[0] == mqtt.PUBLISH:
                self.building.port.deliver(event[1], event[2])
        self.building.now_ms += 50
        for _ in range(3):
            self.building.step()
            self._carry()
        for topic, payload in self.building.port.sent():
            if is_up and topic == topics.down(SITE, DEVICE):
                self._broker.publish(topic, payload)
        return bool(is_up and wire.to_device)

    def _carry(self):
        """What agent and ledger have to say to each other."""
        for topic, payload in self.building.upstream.sent():
            self.centre.deliver(topic, payload)
        for _ in range(3):
            self.ledger.step(self.building.now_ms)
        for topic, payload in self.centre.sent():
            if topic.startswith(topics.PREFIX + SITE):
                self.building.upstream.deliver(topic, payload)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A reader that has booted, with the campus in its depot's place."""
    monkeypatch.setattr(built, "PROGRAM", program_no("main"))
    shop = Workshop(monkeypatch)
    campus = shop.depot = Campus(tmp_path, shop.utc_s)
    shop.hardware.cable._depot = campus
    shop.run(20)
    assert campus.store.firmware.versions() == {DEVICE: 1}
    return shop


def test_from_the_books_to_the_slot_and_back_to_the_books(shop):
    campus = shop.depot
    campus.set(5)
    assert shop.run(300, until=lambda: shop.running == (2, True))
    slot = shop.state[slots.IN_USE]
    assert slots.image(shop.state, slot)[1] == len(NEW)
    shop.run(10)
    assert campus.store.firmware.versions() == {DEVICE: 2}
    # The next one has an end of its own: every boot crashes, and the books know.
    campus.set(100, version=3, image=NEW + b"3")
    assert shop.run(300, until=lambda: bool(shop.state[slots.IS_TRIAL]))
    for _ in range(slots.TRIAL_TRIES):
        shop.run(5)
        shop.die()
    shop.run(100)
    assert shop.running == (2, True)
    assert campus.store.firmware.failures() == [(DEVICE, 3, release.NOT_PROVEN)]
    assert campus.store.firmware.versions() == {DEVICE: 2}


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_set_later_the_same_day_counts(shop, version):
    """The same release at any hour now, or a corrected one in the place of one that waits."""
    campus, minute = shop.depot, shop.utc_s() // 60 % 1440
    campus.set(100, hours=((minute + 600) % 1440, (minute + 601) % 1440))
    shop.run(70)
    assert update.STORED_AS in shop.hardware.nvs and shop.boots == 1
    campus.set(100, version, NEW + bytes(version - 2))
    assert shop.run(300, until=lambda: shop.running == (version, True))


def test_a_policy_from_the_books_to_a_reader_and_back_to_the_books(tmp_path, monkeypatch):
    """The agent tells it, while the ledger is away too; which one it has the reader says."""
    monkeypatch.setattr(built, "PROGRAM", program_no("main"))
    shop = Workshop(monkeypatch)
    campus = shop.depot = Campus(tmp_path, shop.utc_s)
    shop.hardware.cable._depot = campus
    policies = campus.store.policies
    shop.run(20)
    assert policies.said() == {DEVICE: POLICY["epoch"]}
    limits = {name: value for name, value in POLICY.items() if name != "epoch"}
    lower = limits | {"amount_max_fen": 100}
    assert policies.set_policy(lower, "wang", 1, site=SITE) == [(DEVICE, POLICY["epoch"] + 1)]
    campus.building.now_ms += ASK_MS
    has_it = lambda: policies.said()[DEVICE] == POLICY["epoch"] + 1  # noqa: E731
    assert shop.run(30, until=has_it)
    # Another one is on the agent's disk when the line to the ledger goes and the reader comes.
    shop.die()
    assert policies.set_policy(limits, "wang", 2, device=DEVICE)[0][1] == POLICY["epoch"] + 2
    campus.building.now_ms += ASK_MS
    campus.step()
    campus.building.crash()
    campus.building.start()
    campus.building.upstream.down()
    shop.run(10)
    campus.building.now_ms += TELL_MS
    shop.run(10)
    assert policies.said()[DEVICE] == POLICY["epoch"] + 1  # nobody has heard
    campus.building.upstream.up()
    assert shop.run(60, until=lambda: policies.said()[DEVICE] == POLICY["epoch"] + 2)
