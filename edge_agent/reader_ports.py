"""All ways to readers as one port: the broker's, and serial lines.

A device hangs on the line whose table names it, any other on the network. What the agent says goes
there; what it hears comes from wherever it was said, for a message is judged by its content.
"""

from collections.abc import Sequence
from typing import Protocol

from adapters.mqtt import Message, MqttPort
from protocols.wire import topics


class Line(Protocol):
    """A serial line as the agent sees it; `counters` only grow."""

    url: str
    devices: list[int]

    @property
    def connected(self) -> bool: ...
    @property
    def last_error(self) -> str: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def take(self) -> tuple[int, bytes] | None: ...
    def publish(self, device: int, payload: bytes) -> bool: ...


class ReaderPorts:
    """MqttPort's seam over the broker's port and `lines`."""

    def __init__(self, site: str, network: MqttPort, lines: Sequence[Line]) -> None:
        self._site = site
        self._network = network
        self._lines = lines
        self._line_of = {
            topics.down(site, device): (line, device) for line in lines for device in line.devices
        }
        self.step = network.step
        self.hold, self.release = network.hold, network.release
        self.listen = network.listen

    @property
    def connected(self) -> bool:
        """Of the network; each line says so itself."""
        return self._network.connected

    @property
    def counters(self) -> dict[str, int]:
        """The network's, and of each line, by its place in the configuration from 1 on."""
        found = dict(self._network.counters)
        for number, line in enumerate(self._lines, 1):
            found[f"line{number}_connected"] = int(line.connected)
            found |= {f"line{number}_{name}": value for name, value in line.counters.items()}
        return found

    def take(self) -> Message | None:
        """The oldest message of a line, else of the network."""
        for line in self._lines:
            taken = line.take()
            if taken is not None:
                topic = topics.up(self._site, taken[0])
                return Message(topic, taken[1], retain=False, link=line.url)
        return self._network.take()

    def ack(self, message: Message) -> None:
        """Acknowledge to the broker; a line needs none, its reader waits for STORED."""
        if message.qos:
            self._network.ack(message)

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand a message to whatever its reader hangs on; 0 when it went nowhere."""
        if topic not in self._line_of:
            return self._network.publish(topic, payload)
        line, device = self._line_of[topic]
        return int(line.publish(device, payload))
