"""Two wires with readers on them, and an agent that polls: a serial line in virtual time.

Bytes take the time that the baud rate gives them, and go to all who listen. Who speaks while
another does spoils both; a transceiver that is switched off before its last stop bit, or loses its
power, ends in the middle. The agent's end is edge_agent.polling.Polling itself, stepped by the
world's clock where edge_agent.serial_line steps it by the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.polling import Polling
from simulator.world.clock import World

_RX_BYTES = 1024  # of a reader's UART; what comes beside is lost
_BITS_PER_BYTE = 10
_NEVER_US = 1 << 62

# What becomes of a transmission on its way: none, one or more of them.
Mischief = Callable[[bytes], list[bytes]]


@dataclass(eq=False)
class Transmission:
    """Bytes on the wires, from the first start bit to the last stop bit."""

    tap: LineTap | None  # None: the agent
    data: bytes
    start_us: int
    end_us: int
    is_spoiled: bool = False


class LineTap:
    """One reader's transceiver; `wake(at_us)` runs the reader when something has arrived."""

    def __init__(self, bus: SerialBus, wake: Callable[[int], None]) -> None:
        self._bus = bus
        self._wake = wake
        self._speaks = False
        self._arrived: list[tuple[int, bytes]] = []
        self._last: Transmission | None = None
        self._looked_us = 0
        self.sent_us = 0
        self.is_cut = False  # its own stub of the line

    def drive(self, level: int, now_us: int) -> None:
        if not level:
            self._end(now_us)
        self._speaks = bool(level)

    def write(self, data: bytes, now_us: int) -> None:
        """Begin to send; nobody hears it while the transceiver listens."""
        start_us = max(now_us, self.sent_us)
        self.sent_us = start_us + self._bus.wire_us(len(data))
        if self._speaks and not self.is_cut:
            self._last = self._bus.transmit(self, data, start_us)

    def read(self, size: int, now_us: int) -> bytes:
        """What has arrived by `now_us`, at most `size` bytes."""
        self._looked_us = now_us
        data = b"".join(data for at_us, data in self._arrived if at_us <= now_us)[:_RX_BYTES]
        self._arrived = [entry for entry in self._arrived if entry[0] > now_us]
        if len(data) > size:
            self._arrived.insert(0, (now_us, data[size:]))
        return data[:size]

    def hear(self, data: bytes, at_us: int) -> None:
        """Bytes for whoever listens.

        A reader's clock runs ahead while it is in a step. What arrives before the moment at which
        it has looked last, in the world's order after it, would be answered late: it is lost.
        """
        if not self._speaks and not self.is_cut and at_us >= self._looked_us:
            self._arrived.append((at_us, data))
            self._wake(at_us)

    def power_off(self, now_us: int) -> None:
        self.drive(0, now_us)
        self._arrived.clear()
        self.sent_us = now_us

    def _end(self, now_us: int) -> None:
        last, self._last = self._last, None
        if last is not None and now_us < last.end_us:
            self._bus.truncate(last, now_us)


class SerialBus:
    """One line of `baud` with `devices`, and the agent at its end; edge_agent.reader_ports.Line.

    `on_message(now_us)` is called when a reader has said something whole. `mischief` may be set,
    and `jitter_us()`: by how much the agent's thread is late.
    """

    def __init__(
        self, world: World, baud: int, devices: list[int], on_message: Callable[[int], None]
    ) -> None:
        self.polling = Polling(devices, baud)
        self.devices = devices
        self.url = "/dev/ttyUSB0"
        self.connected = False
        self.last_error = ""
        self.mischief: Mischief | None = None
        self.jitter_us: Callable[[], int] = lambda: 0
        self.taps: list[LineTap] = []
        self.is_cut = False  # between the agent and all readers
        self.events: list[tuple[str, int]] = []
        self.collisions = 0
        self._world = world
        self._baud = baud
        self._on_message = on_message
        self._on_air: list[Transmission] = []
        self._due_us = _NEVER_US

    def tap(self, wake: Callable[[int], None]) -> LineTap:
        """One more reader on the wires."""
        self.taps.append(LineTap(self, wake))
        return self.taps[-1]

    def wire_us(self, size: int) -> int:
        return size * _BITS_PER_BYTE * 1_000_000 // self._baud

    # -- the agent's side -------------------------------------------------------------------

    def start(self) -> None:
        """An agent has opened its port; it knows nothing of one before."""
        self.polling = Polling(self.devices, self._baud)
        self.connected = True
        self._step()

    def stop(self) -> None:
        """The agent is gone."""
        self.connected = False
        self._due_us = _NEVER_US

    def take(self) -> tuple[int, bytes] | None:
        return self.polling.inbox.popleft() if self.polling.inbox else None

    def publish(self, device: int, payload: bytes) -> bool:
        was_taken = self.connected and self.polling.send(device, payload)
        if was_taken:
            self._world.at(self._world.now_us, self._step)
        return was_taken

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.polling.counters)

    def _step(self) -> None:
        if not self.connected:
            return
        now_us = self._world.now_us
        due_ms = self.polling.step(now_us // 1000)
        self.events += self.polling.events
        self.polling.events.clear()
        data = self.polling.data_to_send()
        if data:
            self.transmit(None, data, now_us)
        self._due_us = max(due_ms * 1000, now_us + 1000) + self.jitter_us()
        self._world.at(self._due_us, self._step_when_due)

    def _step_when_due(self) -> None:
        if self._world.now_us >= self._due_us:
            self._step()

    # -- the wires --------------------------------------------------------------------------

    def transmit(self, tap: LineTap | None, data: bytes, start_us: int) -> Transmission:
        """Put bytes on the wires; they arrive when the last one has been sent."""
        sent = Transmission(tap, data, start_us, start_us + self.wire_us(len(data)))
        for other in self._on_air:
            if other.start_us < sent.end_us and sent.start_us < other.end_us:
                other.is_spoiled = sent.is_spoiled = True
                self.collisions += 1
        self._on_air.append(sent)
        self._world.at(sent.end_us, lambda: self._arrive(sent))
        return sent

    def truncate(self, sent: Transmission, now_us: int) -> None:
        """Its sender has stopped in the middle."""
        whole_us = max(sent.end_us - sent.start_us, 1)
        kept = len(sent.data) * max(now_us - sent.start_us, 0) // whole_us
        sent.data = sent.data[:kept]

    def _arrive(self, sent: Transmission) -> None:
        self._on_air = [
            other for other in self._on_air if other.end_us > self._world.now_us - 1_000_000
        ]
        data = bytes(byte ^ 0x5A for byte in sent.data) if sent.is_spoiled else sent.data
        if self.is_cut:
            return
        for arrived in self.mischief(data) if self.mischief else [data]:
            for tap in self.taps:
                if tap is not sent.tap:
                    tap.hear(arrived, sent.end_us)
            if sent.tap is not None and self.connected:
                self.hear(arrived)

    def hear(self, data: bytes) -> None:
        """What arrives at the agent's port."""
        before = len(self.polling.inbox)
        self.polling.receive(data, self._world.now_us // 1000)
        if len(self.polling.inbox) > before:
            self._on_message(self._world.now_us)
        self._step()
