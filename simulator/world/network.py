"""Cables between readers and the building's broker; service_port.py has those of agent and ledger.

Every byte goes through real TCP to a real broker on loopback; this file only decides when it
arrives, and whether there is a cable. A cut cable loses the connection at once (the link light
goes out); a dark one holds every byte back without a word, as a switch with a hung port does; a
slow one brings late what the broker says.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass

from protocols.wire import messages, mqtt
from simulator.world.tap import Leg, Tap
from simulator.world.wires import Wires

LATENCY_US = 3000
# What a TCP that is not answered waits before it says the same again, and twice as long each time
# (RFC 6298, 5.5; the least that Linux waits).
RTO_US, RTO_US_MAX = 200_000, 12_800_000
_WINDOW_BYTES = 8192
READ_BYTES = 65536
_NEVER_US = 1 << 62
# How the CBOR of each begins.
_CONNECT = bytes((mqtt.CONNECT << 4,))
_BEFORE_KEEPALIVE = 8  # behind the length: the protocol's name and level, and the flags
_RELAY, _CARDS = bytes((0xA3, 0x00, messages.RELAY)), bytes((0xA5, 0x00, messages.CARDS))


def _relays_last(packets: list[bytes]) -> list[bytes]:
    """PUBLISH packets as the broker would have sent them if it had got the relays last.

    And behind them what is said of cards and doors, whose order among themselves decides nothing.
    It numbers what it sends, so the numbers stay where they are.
    """
    events = [mqtt.parse(*next(mqtt.PacketReader().feed(packet))) for packet in packets]
    ranks = [_rank(event[2]) for event in events]
    if not any(rank for rank, _ in ranks) or not all(event[3] for event in events):
        return packets
    numbers = [event[5].to_bytes(2, "big") for event in events]
    order = sorted(range(len(packets)), key=ranks.__getitem__)
    return [
        bytes(mqtt.packet(packets[at][0], mqtt.field(events[at][1]), number, events[at][2]))
        for at, number in zip(order, numbers, strict=True)
    ]


def _rank(payload: bytes) -> tuple[int, bytes]:
    if payload.startswith(_CARDS):
        return 2, payload
    return int(payload.startswith(_RELAY)), b""


@dataclass
class Slowness:
    """Of a cable: all of it on the way to the reader, whose own words are as fast as ever.

    Of what is lost on the way there or back TCP makes time: `loss_percent` (below 100) of a
    hundred segments each way are said again.
    """

    delay_ms: int
    loss_percent: int
    draw: random.Random

    def late_us(self) -> int:
        """How much later than ever the next answer arrives."""
        late_us = self.delay_ms * 1000
        for _way in range(2):
            wait_us = RTO_US
            while self.loss_percent and self.draw.randrange(100) < self.loss_percent:
                late_us += wait_us
                wait_us = min(2 * wait_us, RTO_US_MAX)
        return late_us


class BrokerPort:
    """Where a broker listens and who watches its wire; the port is looked up at every dial."""

    def __init__(self, port_of: Callable[[], int], wires: Wires) -> None:
        self.port_of = port_of
        self.wires = wires
        self.tap = Tap()

    def dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port_of()), timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock


def without_keepalive(data: bytes) -> bytes:
    """What a client has said first, with 0 for the keep-alive of a CONNECT (MQTT 3.1.1, 3.1.2.10).

    A broker measures it on the wall, where a pause takes minutes and a busy campus is late: it
    would hang up on clients that have been silent for no time at all. Who is silent in the time of
    the campus has its cable to blame, and notices by its own pings.
    """
    at = 2
    while data[:1] == _CONNECT and data[at - 1 : at] >= b"\x80":
        at += 1
    at += _BEFORE_KEEPALIVE
    if data[:1] != _CONNECT or len(data) < at + 2:
        return data
    return data[:at] + bytes(2) + data[at + 2 :]


def sent(sock: socket.socket, data: bytes) -> bool:
    """Send all of it, waiting for room only where there is none; False if nobody takes it."""
    try:
        try:
            taken = sock.send(data)
        except BlockingIOError:
            taken = 0
        if taken < len(data):
            sock.setblocking(True)
            sock.sendall(data[taken:])
            sock.setblocking(False)
    except OSError:
        return False
    return True


class ReaderStream:
    """A reader's TCP connection: virtual on its side, a real socket on the broker's."""

    def __init__(self, cable: ReaderCable, sock: socket.socket) -> None:
        self._cable = cable
        self._sock: socket.socket | None = sock
        self._wires = cable.broker.wires
        self._wires.is_stirred = True
        self._wires.watch(sock, self._hear)
        self._leg: Leg = cable.broker.tap.open(cable.name)
        self._held = b""  # sent by the reader into a dark cable
        self._packets: list[bytes] = []  # from the broker, since the last settling
        self._arriving: list[tuple[int, bytes]] = []
        self._late_us = 0  # when the last answer arrives that was made late
        self._eof = False
        self._eof_us = _NEVER_US  # when the reader hears of that
        self._is_new = True  # nothing has been said on it

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    @property
    def number(self) -> int:
        """Of its cable: see Wires.number."""
        return self._cable.number

    def send(self, data: bytes) -> int:
        """Bytes taken: fewer than offered, or 0, when the window of a dark cable is full."""
        if self._sock is None:
            raise OSError("connection reset")
        if self._cable.dark:
            data = data[: _WINDOW_BYTES - len(self._held)]
            self._held += data
            return len(data)
        self._pass_on(data)
        return len(data)

    def recv(self, size: int, now_us: int) -> bytes | None:
        """Bytes that have arrived by `now_us`; None if there are none yet, b"" at the end."""
        if self._arriving and self._arriving[0][0] <= now_us:
            due_us, data = self._arriving.pop(0)
            if len(data) > size:
                self._arriving.insert(0, (due_us, data[size:]))
            return data[:size]
        if self._sock is None:
            raise OSError("connection reset")
        return b"" if self._eof_us <= now_us and not self._arriving else None

    def close(self) -> None:
        if self._sock is not None:
            self._wires.is_stirred = True
            self._wires.leave(self._sock)
            self._wires.heard.discard(self)
            self._sock.close()
            self._sock = None
            self._cable.broker.tap.close(self._leg)
            self._cable.streams.remove(self)

    def _hear(self) -> bool:
        """Take what the broker has sent; True if anything moved."""
        if self._sock is None or self._eof:
            return False
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._wires.heard.add(self)
        if data:
            self._packets += self._cable.broker.tap.broker_sent(self._leg, data)
        else:
            self._end()
            self._cable.broker.tap.close(self._leg)
        return True

    def _end(self) -> None:
        """The broker is gone, which the reader learns of when the world has come to rest."""
        assert self._sock is not None
        self._eof = True
        self._wires.leave(self._sock)
        self._wires.heard.add(self)

    def settle(self, now_us: int) -> None:
        """Everything the broker had to say has been said: send it on its way.

        A broker may answer a PUBLISH before or after it delivers another's. Both orders are legal
        MQTT and only real time decides, so acknowledgements go first here, always. What the agent
        only hands on may overtake what it has to write to its disk, or not: it goes last.
        """
        answers = [packet for packet in self._packets if packet[0] >> 4 != mqtt.PUBLISH]
        published = [packet for packet in self._packets if packet[0] >> 4 == mqtt.PUBLISH]
        self._packets = []
        data = b"".join(answers + _relays_last(published))
        arrival_us = _NEVER_US if self._cable.dark else now_us + LATENCY_US
        if data and self._cable.slowness and not self._cable.dark:
            # In order: nothing overtakes what was said again.
            arrival_us += self._cable.slowness.late_us()
            arrival_us = self._late_us = max(arrival_us, self._late_us)
        if data:
            self._arriving.append((arrival_us, data))
        if self._eof and self._eof_us == _NEVER_US:
            self._eof_us = arrival_us
        if (data or self._eof) and not self._cable.dark:
            self._cable.wake(arrival_us)

    def lighten(self, now_us: int) -> None:
        """The cable works again: what was held back arrives now."""
        held, self._held = self._held, b""
        if held and self._sock is not None:
            self._pass_on(held)
        arrival_us = now_us + LATENCY_US
        self._arriving = [(min(due_us, arrival_us), data) for due_us, data in self._arriving]
        if self._eof:
            self._eof_us = min(self._eof_us, arrival_us)
        self._cable.wake(arrival_us)

    def _pass_on(self, data: bytes) -> None:
        assert self._sock is not None
        self._wires.is_stirred = True
        self._cable.broker.tap.client_sent(self._leg, data)
        data, self._is_new = without_keepalive(data) if self._is_new else data, False
        if not sent(self._sock, data):
            self._end()


class ReaderCable:
    """One reader's network cable: plugged or cut, clear or dark."""

    def __init__(self, name: str, broker: BrokerPort, wake: Callable[[int], None]) -> None:
        self.name = name
        self.number = broker.wires.number()
        self.broker = broker
        self.wake = wake
        self.plugged = True
        self.dark = False
        self.slowness: Slowness | None = None
        self.streams: list[ReaderStream] = []

    def open(self) -> ReaderStream:
        """Dial the broker; OSError without a cable or without a broker."""
        if not self.plugged or self.dark:
            raise OSError("no route to host")
        stream = ReaderStream(self, self.broker.dial())
        self.streams.append(stream)
        return stream

    def set(self, *, plugged: bool, dark: bool, now_us: int) -> None:
        self.plugged, self.dark = plugged, dark
        for stream in list(self.streams):
            if not plugged:
                stream.close()
            elif not dark:
                stream.lighten(now_us)
