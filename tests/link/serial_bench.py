"""Readers on a serial line in virtual time: real uplinks and drivers, the real polling, an agent
that keeps count."""

from firmware.drivers.rs485 import Rs485
from firmware.services.uplink import Uplink
from protocols.wire import messages, seal
from protocols.wire.serial_client import SerialClient
from simulator.world.clock import ReaderClock, World
from simulator.world.serial_bus import SerialBus
from tests.link.bench import KEY, SITE, receipt, stored

BAUD = 115_200
STEP_US = 2_000  # what a step of a reader takes


class Line:
    """board.net over a tap of the bus, by the real driver."""

    def __init__(self, reader):
        self._reader = reader
        self._stream = Rs485(self, reader.tap_drive, lambda: reader.clock.now_us // 1000)

    def client(self, *_):
        return SerialClient(self._reader.device, self._reader.draw.randbytes)

    def is_up(self):
        return True

    def open(self, _host, _port):
        return self._stream

    # The UART.

    def read(self, size):
        return self._reader.tap.read(size, self._reader.clock.now_us) or None

    def write(self, data):
        self._reader.tap.write(bytes(data), self._reader.clock.now_us)

    def flush(self):
        if not self._reader.forgets_to_flush:
            self._reader.clock.advance_to(self._reader.tap.sent_us)


class Board:
    settings = {"broker_host": "", "broker_port": 0}  # noqa: RUF012

    def __init__(self, reader):
        self.net = Line(reader)


class Reader:
    """One reader with `source` for a journal; `boot` it. It is deaf while `busy_us` lasts."""

    def __init__(self, bus, world, device, source, draw):
        self.device, self.source, self.draw, self.world = device, source, draw, world
        self.clock = ReaderClock(world)
        self.tap = bus.tap(self.wake)
        self.forgets_to_flush = False
        self.busy_us = 0
        self.steps = 0
        self.relays = []
        self.uplink = None
        self.due_us = 0

    def tap_drive(self, level):
        self.tap.drive(level, self.clock.now_us)

    def boot(self):
        self.clock.advance_to(self.world.now_us)
        self.uplink = Uplink(
            Board(self), self.source, SITE, self.device, self.source.key, self.on_receipt
        )
        self.uplink.on_relay = self.on_relay
        self._plan(self.world.now_us)

    def die(self):
        self.uplink = None
        self.tap.power_off(self.world.now_us)

    def on_receipt(self, upto, *_):
        self.source.receipted = upto

    def on_relay(self, sealed, _now_ms):
        self.relays.append(sealed)
        return ""

    def wake(self, at_us):
        if self.uplink is not None and at_us < self.due_us:
            self._plan(at_us)

    def _plan(self, at_us):
        self.due_us = max(at_us, self.clock.now_us)
        due_us = self.due_us
        self.world.at(due_us, lambda: self._run(due_us))

    def _run(self, due_us):
        if self.uplink is None or due_us != self.due_us:
            return
        self.clock.advance_to(self.world.now_us)
        # A card comes first in a step, and its time is not the uplink's.
        now_ms = self.clock.now_us // 1000
        self.clock.advance_us(STEP_US + self.busy_us)
        self.busy_us = 0
        self.steps += 1
        due_ms = self.uplink.step(now_ms)
        self._plan(max(due_ms * 1000, self.clock.now_us))


class Desk:
    """A line, its readers, and an agent that answers what it is told. `keep` off: it is silent."""

    def __init__(self, draw, devices=(1001,), baud=BAUD):
        self.world = World(1_790_000_000)
        self.draw = draw
        self.bus = SerialBus(self.world, baud, list(devices), self.on_message)
        self.readers = []
        self.held = {device: [] for device in devices}
        self.hellos = dict.fromkeys(devices, 0)
        self.repeated = 0
        self.relayed = []
        self.keep = True

    def add(self, device, source):
        reader = Reader(self.bus, self.world, device, source, self.draw)
        self.readers.append(reader)
        reader.boot()
        return reader

    def on_message(self, _now_us):
        while (taken := self.bus.take()) is not None:
            self._hear(*taken)

    def _hear(self, device, payload):
        expected = (messages.HELLO, messages.BATCH, messages.RELAY)
        fields = messages.decode_message(payload, expected)
        assert fields["device"] == device
        if fields["type"] == messages.RELAY:
            self.relayed.append(fields["sealed"])
            return
        held = self.held[device]
        if fields["type"] == messages.HELLO:
            self.hellos[device] += 1
        else:
            for sealed in fields["records"]:
                seq = messages.decode_record(seal.payload_of(sealed))["seq"]
                if seq == len(held) + 1:
                    held.append(sealed)
                else:
                    assert seq <= len(held), "a hole"
                    assert held[seq - 1] == sealed
                    self.repeated += 1
        if self.keep:
            self.bus.publish(device, stored(len(held), device))

    def book(self, reader):
        """The ledger's receipt for all that the agent holds of a reader."""
        upto = len(self.held[reader.device])
        said = receipt(reader.source, upto, device=reader.device, envelope=reader.device)
        return self.bus.publish(reader.device, said)

    def run(self, duration_ms):
        until_us = self.world.now_us + duration_ms * 1000
        while self.world.step(until_us):
            pass

    def run_until(self, is_done, limit_ms):
        """Milliseconds until `is_done()`."""
        start_us = self.world.now_us
        while not is_done():
            if self.world.now_us - start_us > limit_ms * 1000:
                raise AssertionError(f"not within {limit_ms} ms: {dict(self.bus.counters)}")
            self.run(1)
        return (self.world.now_us - start_us) // 1000


__all__ = ["BAUD", "KEY", "Desk", "Reader"]
