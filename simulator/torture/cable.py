"""A reader's network cable to a torture.Broker: MQTT byte by byte on the reader's side.

Cut, the connection is gone at once. Half-open, bytes vanish in one direction or both and nobody is
told. The reader's own client, which this is here to torment, is the firmware's.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from protocols.wire import mqtt
from simulator.torture.broker import LATENCY_US, Broker
from simulator.world.clock import World

_WINDOW_BYTES = 8192
_PACKET_BYTES_MAX = 1 << 16
_OUT, _IN = 1, 2  # directions, as the reader sees them


class Stream:
    """One TCP connection, with the broker's session behind it."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable
        self._world = cable.world
        self._broker = cable.broker
        self._reader = mqtt.PacketReader(_PACKET_BYTES_MAX)
        self._arriving: list[tuple[int, bytes]] = []
        self._held = 0  # bytes in the window of a half-open connection
        self._mid = 0
        self._is_reset = False
        self.dead = 0  # directions in which bytes vanish
        self.is_open = True
        self.client_id = ""
        self.filters: list[str] = []
        self.will: tuple[str, bytes] | None = None

    # -- the reader's end -------------------------------------------------------------------

    def send(self, data: bytes) -> int:
        """Bytes taken; 0 when the window of a connection that gets no answer is full."""
        if not self.is_open or self._is_reset:
            raise OSError("connection reset")
        if self.dead & _OUT:
            taken = min(len(data), _WINDOW_BYTES - self._held)
            self._held += taken
            return taken
        self._world.at(self._cable.now_us() + LATENCY_US, lambda: self._feed(bytes(data)))
        return len(data)

    def recv(self, size: int, now_us: int) -> bytes | None:
        """Bytes that have arrived by `now_us`; None if there are none yet, b"" at the end."""
        if self._arriving and self._arriving[0][0] <= now_us:
            due_us, data = self._arriving.pop(0)
            if len(data) > size:
                self._arriving.insert(0, (due_us, data[size:]))
            return data[:size]
        if not self.is_open:
            raise OSError("connection reset")
        return b"" if self._is_reset and not self._arriving else None

    def close(self) -> None:
        """The reader hangs up, or is dead; a broker that cannot hear it finds out later."""
        if self.is_open:
            self.is_open = False
            self._cable.streams.remove(self)
            self._broker.leave(self, say_will=True)

    # -- the broker's end -------------------------------------------------------------------

    def closed(self) -> None:
        """The broker hangs up."""
        self._cable.wake(self._world.now_us + LATENCY_US)
        self._is_reset = True

    def deliver(self, topic: str, payload: bytes, retain: bool, at_us: int) -> None:
        """A message for the reader, QoS 1."""
        self._mid = self._mid % 0xFFFF + 1
        head = mqtt.PUBLISH << 4 | 2 | retain
        mid = self._mid.to_bytes(2, "big")
        self._say(bytes(mqtt.packet(head, mqtt.field(topic), mid, payload)), at_us)

    def _feed(self, data: bytes) -> None:
        """What the reader sent arrives at the broker."""
        if not self.is_open or self._is_reset or self.dead & _OUT or not self._broker.is_up:
            return
        for packet in self._reader.feed(data):
            self._take(mqtt.parse(*packet))

    def _take(self, event: tuple) -> None:
        kind = event[0]
        if kind == mqtt.CONNECT:
            self.client_id = event[1]
            if event[4] is not None:
                self.will = (event[4], b"")
            self._broker.enter(self)
            self._say(bytes(mqtt.packet(mqtt.CONNACK << 4, b"\x00\x00")))
        elif kind == mqtt.SUBSCRIBE:
            codes = bytes(1 for _ in event[2])
            mid = event[1].to_bytes(2, "big")
            self._say(bytes(mqtt.packet(mqtt.SUBACK << 4, mid, codes)))
            for topic_filter, _qos in event[2]:
                self._broker.subscribe(self, topic_filter)
        elif kind == mqtt.PUBLISH:
            _, topic, payload, _qos, retain, mid, _dup = event
            if self._broker.publish(topic, bytes(payload), retain=retain):
                self._say(bytes(mqtt.packet(mqtt.PUBACK << 4, mid.to_bytes(2, "big"))))
        elif kind == mqtt.PINGREQ:
            self._say(bytes(mqtt.packet(mqtt.PINGRESP << 4)))

    def _say(self, data: bytes, at_us: int = 0) -> None:
        """Bytes to the reader. Within one connection TCP keeps their order."""
        if self.dead & _IN or not self.is_open:
            return
        grain_us = self._cable.grain_us
        due_us = -(-max(at_us, self._world.now_us + LATENCY_US) // grain_us) * grain_us
        self._world.at(due_us, lambda: self._arrive(data))

    def _arrive(self, data: bytes) -> None:
        if self.dead & _IN or not self.is_open or self._is_reset:
            return
        self._cable.wake(self._world.now_us)
        if self.is_open:  # whoever was asleep may have hung up
            self._arriving.append((self._world.now_us, data))


class Cable:
    """One reader's cable. `now_us` is the reader's own clock, which may run ahead.

    What comes to the reader arrives at multiples of `grain_us`: who has many readers lets answers
    that are close to each other come at once, for each arrival is a step.
    """

    grain_us = 1

    def __init__(
        self,
        name: str,
        world: World,
        broker: Broker,
        now_us: Callable[[], int],
        wake: Callable[[int], None],
    ) -> None:
        self.name = name
        self.world = world
        self.broker = broker
        self.now_us = now_us
        self.wake = wake
        self.plugged = True
        self.unplugged_us = 0  # since when
        self.streams: list[Stream] = []

    def open(self) -> Stream:
        """Dial the broker; OSError without a cable or without a broker."""
        if not self.plugged or not self.broker.is_up:
            raise OSError("no route to host")
        stream = Stream(self)
        self.streams.append(stream)
        return stream

    def cut(self) -> None:
        """The plug is out: the link light goes off, every connection is lost."""
        if self.plugged:
            self.plugged = False
            self.unplugged_us = self.now_us()
        for stream in list(self.streams):
            stream.close()

    def plug(self) -> None:
        """The plug is in again; what was half open is so no longer."""
        self.wake(self.world.now_us)
        self.plugged = True
        for stream in self.streams:
            stream.dead = 0

    def half_open(self, draw: random.Random) -> bool:
        """Bytes vanish in one direction or both from now on; False if nothing is connected."""
        for stream in self.streams:
            stream.dead = draw.choice((_OUT, _IN, _OUT | _IN))
        return bool(self.streams)
