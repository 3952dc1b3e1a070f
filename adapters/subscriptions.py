"""What one port is subscribed to, in this session of its broker and in the next."""

from collections.abc import Iterator, Sequence

from paho.mqtt import client as paho

FILTERS_PER_PACKET = 500  # of our topics 22 kB, where brokers take packets of 65


class Subscriptions:
    """`filters` of `qos`. `pending` counts the SUBACKs that are due."""

    def __init__(self, filters: Sequence[str], qos: int = 1) -> None:
        self._filters = list(filters)
        self._qos = qos
        self._asked: list[str] | None = None  # for what in this session; None before CONNACK
        self.pending = 0

    def forget(self) -> None:
        """A new connection begins: nothing has been asked for on it."""
        self._asked, self.pending = None, 0

    def ask(self, client: paho.Client) -> None:
        """The broker has accepted us."""
        self._asked = list(self._filters)
        self._subscribe(client, self._asked)

    def change(self, filters: Sequence[str], client: paho.Client | None) -> None:
        """Be subscribed to `filters` and to no others: what is new first, so nothing is missed."""
        self._filters = list(filters)
        if client is None or self._asked is None:
            return
        before, after = set(self._asked), set(self._filters)
        self._asked = list(self._filters)
        self._subscribe(client, [each for each in self._asked if each not in before])
        for part in _in_packets(sorted(before - after)):
            client.unsubscribe(part)

    def _subscribe(self, client: paho.Client, filters: list[str]) -> None:
        for part in _in_packets(filters):
            client.subscribe([(topic, self._qos) for topic in part])
            self.pending += 1


def _in_packets(filters: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(filters), FILTERS_PER_PACKET):
        yield filters[first : first + FILTERS_PER_PACKET]
