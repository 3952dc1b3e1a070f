"""Looks at the agent once a second and gives what it sees to who shows it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.mqtt import MqttPort
from edge_agent.certificates import Certificates
from edge_agent.serial_line import SerialLine
from edge_agent.service import AgentService
from edge_agent.view import Filling, view

LOOK_MS = 1_000


class Viewer:
    """`links` by name; `shows` get each view; `utc_s` says what time it is for people."""

    def __init__(
        self,
        site: str,
        service: AgentService,
        links: Mapping[str, MqttPort | SerialLine],
        shows: Sequence[Callable[[dict[str, Any]], None]],
        utc_s: Callable[[], int],
        certificates: Certificates | None = None,
    ) -> None:
        self._site = site
        self._service = service
        self._links = links
        self._shows = shows
        self._utc_s = utc_s
        self._certificates = certificates or Certificates()
        self._filling = Filling()
        self._look_ms: int | None = None

    def step(self, now_ms: int) -> int:
        """Look if it is time; when to call again (ms)."""
        if self._look_ms is None or now_ms >= self._look_ms:
            self._look_ms = now_ms + LOOK_MS
            space = self._service.space
            links = self._links.items()
            utc_s = self._utc_s()
            seen = view(
                site=self._site,
                utc_s=utc_s,
                links={name: (link.connected, link.last_error) for name, link in links},
                space=space,
                hours_left=self._filling.hours_left(space, now_ms),
                counters=self._service.status(),
                readers=self._service.readers(),
                enrolment=self._service.enrolment(now_ms),
                certificates=self._certificates.left(utc_s),
            )
            for show in self._shows:
                show(seen)
        return self._look_ms
