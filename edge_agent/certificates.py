"""When the certificates end on which the agent's links rest.

Three for each link with TLS: "agent", ours; "authority", who has signed it; "broker", what the
other end has shown at the last connection. A broker that has ended is never connected to, so its
last one stays and says so.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.identity import LOOK_S, Identity, IdentityError, days_between, peer_end_s
from adapters.mqtt import MqttPort


class Certificates:
    """`links`: name, who we are there, and the port. Files are read once a minute."""

    def __init__(self, links: Sequence[tuple[str, Identity, MqttPort]] = ()) -> None:
        self._links = links
        self._ends_s: list[tuple[str, str, int]] = []
        self._shown: list[bytes] = []
        self._looked_s = -LOOK_S

    def left(self, utc_s: int) -> list[dict[str, Any]]:
        """link, whose and days_left (negative once it has ended) of each that can be read."""
        shown = [port.peer_certificate for _name, _identity, port in self._links]
        if shown != self._shown or not 0 <= utc_s - self._looked_s < LOOK_S:
            self._ends_s, self._shown, self._looked_s = list(self._look()), shown, utc_s
        return [
            {"link": link, "whose": whose, "days_left": days_between(utc_s, end_s)}
            for link, whose, end_s in self._ends_s
        ]

    def _look(self) -> Iterator[tuple[str, str, int]]:
        for link, identity, port in self._links:
            shown = port.peer_certificate
            try:
                yield link, "agent", identity.end_s()
                yield link, "authority", identity.authority_end_s()
            except IdentityError:
                pass  # the link itself says what is wrong
            if shown:
                yield link, "broker", peer_end_s(shown)
