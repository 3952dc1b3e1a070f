"""The cables of agent and ledger: a TCP port in front of a broker, which is watched, and held up.

Whoever connects is in real time, and only when bytes arrive is decided here: at once, late as on a
bad line (network.Slowness, all of it on the way from the broker), or not at all, as behind a
hung switch port, until somebody plugs it anew.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from protocols.wire import mqtt
from simulator.world.network import READ_BYTES, BrokerPort, Slowness, sent, without_keepalive
from simulator.world.tap import Leg


class ServiceStream:
    """One connection through the port. On a dark line it has no broker until there is light."""

    def __init__(self, port: ServicePort, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        self._port = port
        self._wires = port.broker.wires
        self.number = self._wires.number()
        self._client = client
        self._broker: socket.socket | None = None
        self._leg: Leg = port.broker.tap.open(port.name)
        self._said: list[bytes] = []  # by the client, and not with the broker yet
        self._heard: list[bytes] = []  # from the broker, since the last settling
        self._arriving: list[tuple[int, list[bytes]]] = []
        self._late_us = 0
        self._wires.watch(client, self._ask)

    @property
    def is_waiting(self) -> bool:
        """Whether something is on its way that only virtual time will bring."""
        return self._port.is_dark or bool(self._heard or self._arriving)

    def settle(self, now_us: int) -> None:
        """Everything the broker had to say has been said: on a bad line it goes on its way."""
        # What amqtt greets with comes when it likes: it goes with what it was asked for.
        if self not in self._port.streams or all(map(_is_greeting, self._heard)):
            return
        if self._port.is_dark:
            return
        slow = self._port.slowness
        self._late_us = max(self._late_us, now_us + (slow.late_us() if slow else 0))
        self._arriving.append((self._late_us, self._heard))
        self._heard = []
        self._port.wake(self._late_us)

    def lighten(self, now_us: int) -> None:
        """The line works again: what was held back arrives now, both ways."""
        self._late_us = now_us
        self._arriving = [(min(due_us, now_us), packets) for due_us, packets in self._arriving]
        if self._heard:
            self._wires.heard.add(self)
        if self._said and not self._pass_on():
            self.drop()
            return
        self.deliver(now_us)

    def deliver(self, now_us: int) -> None:
        """The client gets what has arrived by now."""
        ready: list[bytes] = []
        while self._arriving and self._arriving[0][0] <= now_us and not self._port.is_dark:
            ready += self._arriving.pop(0)[1]
        self._hand(ready)

    def drop(self) -> None:
        """The connection is gone, and whatever was on its way."""
        if self in self._port.streams:
            self._port.streams.remove(self)
        for sock in (self._client, *([self._broker] if self._broker else [])):
            self._wires.leave(sock)
            sock.close()
        self._port.broker.tap.close(self._leg)
        self._port.stir()

    def _ask(self) -> bool:
        """Take what the client says, and pass it on if the line works."""
        if self not in self._port.streams:
            return False  # it has been dropped since it was found to have something
        data = _received(self._client)
        if data:
            self._said += self._port.broker.tap.client_said(self._leg, data)
        if data == b"" or (self._said and not self._port.is_dark and not self._pass_on()):
            self.drop()
        return data is not None

    def _answer(self) -> bool:
        """Take what the broker says. It is there at once if the line is as ever."""
        if self not in self._port.streams or self._broker is None:
            return False
        answer = _received(self._broker)
        if answer == b"":
            self.drop()
        elif answer:
            self._heard += self._port.broker.tap.broker_sent(self._leg, answer)
            if self._port.slowness or self._port.is_dark or self._arriving:
                self._wires.heard.add(self)
            else:
                ready, self._heard = self._heard, []
                self._hand(ready)
        return answer is not None

    def _hand(self, packets: list[bytes]) -> None:
        """Whole packets are with the client now."""
        if not packets:
            return
        self._port.stir()
        self._port.broker.tap.client_has(self._leg, packets)
        if not sent(self._client, b"".join(packets)):
            self.drop()

    def _pass_on(self) -> bool:
        """To the broker, which is dialled with the first bytes; False if it does not take them."""
        if self._broker is None:
            try:
                self._broker = self._port.broker.dial()
            except OSError:
                return False
            self._wires.watch(self._broker, self._answer)
        data, self._said = b"".join(self._said), []
        self._port.broker.tap.client_sent(self._leg, data)
        return sent(self._broker, without_keepalive(data))


class ServicePort:
    """A TCP port in front of a broker for agent and ledger: watched, cut, slow or dark when told.

    `wake(at_us)` has everything settled again at that virtual time. It has news when the service
    behind it has something to read, or to notice.
    """

    def __init__(self, name: str, broker: BrokerPort, wake: Callable[[int], None]) -> None:
        self.name = name
        self.broker = broker
        self.wake = wake
        self.slowness: Slowness | None = None
        self.is_dark = False
        self.streams: list[ServiceStream] = []
        self._has_news = False
        self._listener: socket.socket | None = None
        self.port = 0
        self.plug(0)

    @property
    def is_plugged(self) -> bool:
        """Whether anybody can connect."""
        return self._listener is not None

    @property
    def is_waiting(self) -> bool:
        """Whether bytes are on their way that only virtual time will bring."""
        return any(stream.is_waiting for stream in self.streams)

    def plug(self, now_us: int) -> None:
        """It carries again, what it has held back first."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self.broker.wires.watch(self._listener, self._accept)
        self.is_dark = False
        for stream in list(self.streams):
            stream.lighten(now_us)
        self.stir()

    def darken(self) -> None:
        """It looks alive and carries nothing; who connects gets no answer."""
        self.is_dark = self._listener is not None

    def cut(self) -> None:
        if self._listener is not None:
            self.broker.wires.leave(self._listener)
            self._listener.close()
            self._listener = None
        self.is_dark = False
        self.drop_all()

    def drop_all(self) -> None:
        """Every connection is gone; new ones may come."""
        for stream in list(self.streams):
            stream.drop()
        self.stir()

    def deliver(self, now_us: int) -> None:
        """The time of something late has come."""
        for stream in list(self.streams):
            stream.deliver(now_us)

    def take_news(self) -> bool:
        """Whether there were news since the last call."""
        had, self._has_news = self._has_news, False
        return had

    def stir(self) -> None:
        """There is news."""
        self._has_news = self.broker.wires.is_stirred = True

    def _accept(self) -> bool:
        if self._listener is None:
            return False
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return False
        self.streams.append(ServiceStream(self, client))
        return True


def _is_greeting(packet: bytes) -> bool:
    """Whether it is what somebody has had retained, at QoS 0, for whom nobody has asked."""
    return packet[0] == mqtt.PUBLISH << 4 | 1


def _received(sock: socket.socket) -> bytes | None:
    """What has arrived; None if nothing has, b"" at the end."""
    try:
        return sock.recv(READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
