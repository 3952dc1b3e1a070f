"""A reader's uplink on the bench: a journal in memory, a network of lists, a broker and an agent.

Everything runs in one thread on a clock that jumps from due time to due time.
"""

from firmware.services.uplink import Uplink
from protocols.wire import messages, mqtt, seal, topics
from protocols.wire.errors import WireError
from protocols.wire.mqtt_client import MqttClient

SITE, DEVICE = "north", 1001
KEY = bytes(range(32))
DOWN = topics.down(SITE, DEVICE)


class Source:
    """The journal's side of the seam, with real seals in a real chain."""

    def __init__(self, count=0, device=DEVICE):
        self.device = device
        self.boot_id = 3
        self.key = KEY
        self.sealed = []
        self.receipted = 0
        self.readable = True
        self.grow(count)

    def grow(self, count):
        for _ in range(count):
            fields = {"kind": messages.POWER, "device": self.device, "seq": len(self.sealed) + 1}
            fields.update(earliest_s=1, latest_s=2, boot_id=self.boot_id, mono_ms=3)
            fields.update(source=messages.MAINS, battery_mv=4000)
            payload = messages.encode_record(fields)
            self.sealed.append(seal.seal(self.key, payload, self._before(len(self.sealed) + 1)))

    def _before(self, seq):
        return seal.tag_of(self.sealed[seq - 2]) if seq > 1 else seal.CHAIN_START

    def head_seq(self):
        return len(self.sealed)

    def receipted_seq(self):
        return self.receipted

    def records_from(self, seq, count_max, bytes_max):
        records = []
        for sealed in self.sealed[seq - 1 : seq - 1 + count_max] if self.readable else []:
            bytes_max -= len(sealed)
            if bytes_max < 0:
                break
            records.append(sealed)
        return records

    def tag_at(self, seq):
        return seal.tag_of(self.sealed[seq - 1]) if seq > self.receipted else None

    def is_sealed_with(self, device_key, seq):
        if not self.receipted < seq <= len(self.sealed):
            return False
        try:
            seal.unseal(device_key, self.sealed[seq - 1], self._before(seq))
        except WireError:
            return False
        return True


class Wire:
    """One TCP connection as two lists of bytes; how much passes at a time can be set."""

    def __init__(self, net):
        self.net = net
        self.to_broker = bytearray()
        self.to_device = bytearray()
        self.closed = self.reset = False

    def connected(self):
        if self.net.refuses:
            raise OSError(111)
        return self.net.answers

    def send(self, data):
        if self.reset:
            raise OSError(104)
        taken = bytes(data)[: self.net.send_max]
        self.to_broker += taken
        return len(taken)

    def recv(self, size):
        if self.reset:
            raise OSError(104)
        count = min(size, self.net.recv_max)
        data = bytes(self.to_device[:count])
        del self.to_device[:count]
        return data or (b"" if self.closed else None)

    def close(self):
        self.closed = True


class Net:
    """board.net: the link, and every connection ever opened."""

    client = MqttClient

    def __init__(self):
        self.up = self.answers = True
        self.refuses = self.no_route = False
        self.send_max = self.recv_max = 1 << 20
        self.wires = []

    def is_up(self):
        return self.up

    def open(self, _host, _port):
        self.wires.append(Wire(self))
        if self.no_route:
            raise OSError(113)
        return self.wires[-1]


class Board:
    def __init__(self):
        self.net = Net()
        self.settings = {"broker_host": "broker", "broker_port": 1883}


class Broker:
    """Answers one wire; keeps what was published. Set an attribute False to lose that answer."""

    def __init__(self, wire):
        self.wire = wire
        self.reader = mqtt.PacketReader()
        self.connack, self.suback, self.pubacks, self.pongs = b"\x00", b"\x01", True, True
        self.events = []
        self.packet_id = 100

    def step(self):
        """Read what came; returns the new events."""
        data = bytes(self.wire.to_broker)
        self.wire.to_broker.clear()
        events = [mqtt.parse(*packet) for packet in self.reader.feed(data)]
        for event in events:
            self._answer(event)
        self.events += events
        return events

    def _answer(self, event):
        kind = event[0]
        if kind == mqtt.CONNECT and self.connack:
            self.say(0x20, b"\x00" + self.connack)
        elif kind == mqtt.SUBSCRIBE and self.suback:
            self.say(0x90, event[1].to_bytes(2, "big") + self.suback)
        elif kind == mqtt.PUBLISH and event[3] and self.pubacks:
            self.say(0x40, event[5].to_bytes(2, "big"))
        elif kind == mqtt.PINGREQ and self.pongs:
            self.say(0xD0)

    def say(self, first, body=b""):
        self.wire.to_device += mqtt.packet(first, body)

    def publish(self, topic, payload, retain=False):
        self.packet_id += 1
        ident = self.packet_id.to_bytes(2, "big")
        self.say(0x32 | retain, mqtt.field(topic) + ident + payload)


def stored(upto, device=DEVICE):
    return messages.encode_message(messages.STORED, {"device": device, "upto": upto})


def receipt(source, upto, *, key=KEY, device=DEVICE, envelope=DEVICE, tag=None, time_s=77):
    """A RECEIPT message; each part can be falsified."""
    if tag is None:
        tag = seal.tag_of(source.sealed[upto - 1])[:8]
    body = messages.encode_receipt(device, upto, tag, time_s)
    sealed = seal.seal(seal.derive(key, b"receipt"), body, b"receipt")
    return messages.encode_message(messages.RECEIPT, {"device": envelope, "sealed": sealed})


class Bench:
    """An uplink, the broker at the other end of its newest wire, and an agent that keeps count."""

    def __init__(self, count=0, source=None, previous_key=None):
        self.source = source or Source(count)
        self.board = Board()
        if previous_key:
            self.board.settings["previous_device_key"] = previous_key
        self.receipts = []
        key = self.source.key
        self.uplink = Uplink(self.board, self.source, SITE, DEVICE, key, self.on_receipt)
        self.now_ms = 0
        self.brokers = []
        self.prepare = lambda broker: None
        self.held = []
        self.hellos = []
        self.batches = []
        self.agent = True

    def on_receipt(self, upto, time_s, sent_ms, now_ms):
        self.source.receipted = upto
        self.receipts.append((upto, time_s, sent_ms, now_ms))

    @property
    def net(self):
        return self.board.net

    @property
    def broker(self):
        return self.brokers[-1]

    @property
    def counters(self):
        return {name: count for name, count in self.uplink.counters.items() if count}

    def step(self):
        """One step of the device and of everything behind it; returns the due time."""
        due_ms = self.uplink.step(self.now_ms)
        assert due_ms >= self.now_ms
        while len(self.brokers) < len(self.net.wires):
            self.brokers.append(Broker(self.net.wires[len(self.brokers)]))
            self.prepare(self.broker)
        if self.brokers and not self.broker.wire.closed:
            for event in self.broker.step():
                self._hear(event)
        if self.brokers and self.broker.wire.to_device:
            return self.now_ms
        return due_ms

    def _hear(self, event):
        if event[0] != mqtt.PUBLISH or event[1] != topics.up(SITE, DEVICE):
            return
        expected = (messages.HELLO, messages.BATCH, messages.RELAY)
        fields = messages.decode_message(event[2], expected)
        if fields["type"] == messages.RELAY:
            return
        assert fields["device"] == DEVICE
        if fields["type"] == messages.HELLO:
            self.hellos.append((self.now_ms, fields))
        else:
            assert len(event[2]) <= messages.BATCH_BYTES_MAX
            self.batches.append((self.now_ms, fields["records"]))
            for sealed in fields["records"]:
                seq = messages.decode_record(seal.payload_of(sealed))["seq"]
                if seq == len(self.held) + 1:
                    self.held.append(sealed)
        if self.agent:
            self.say(stored(len(self.held)))

    def say(self, payload, topic=DOWN, retain=False):
        self.broker.publish(topic, payload, retain)

    def settle(self):
        """Step at this time until nothing more happens at it."""
        for _ in range(200):
            if self.step() > self.now_ms:
                return self
        raise AssertionError("the uplink spins")

    def run(self, until_ms):
        """Jump from due time to due time."""
        for _ in range(50_000):
            due_ms = self.step()
            if due_ms > until_ms:
                self.now_ms = until_ms
                return self
            self.now_ms = due_ms
        raise AssertionError("the uplink spins")
