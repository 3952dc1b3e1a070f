"""Agents and the ledger, each stepped when it has something to do: with a campus of buildings most
have nothing most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.mqtt import MqttPort
from simulator.world.service_port import ServicePort


class Service(Protocol):
    """An agent, the ledger, or what asks the acquirer."""

    def step(self, now_ms: int) -> int: ...


@dataclass(eq=False)
class Tier:
    """A service, the ports through which it hears, and when it wants to be stepped."""

    service: Service
    ports: Sequence[ServicePort] = ()
    mqtt_ports: Sequence[MqttPort] = ()
    due_ms: int = -1
    _stepped_ms: int = -1
    _opens: bool = False  # as the last step left its ports: only a step connects

    def step(self, now_ms: int) -> bool:
        """A step, if it is of use; True if it may have said something, or wants another now."""
        has_news = False
        for port in self.ports:
            has_news |= port.take_news()
        is_due = self.due_ms == now_ms or (self.due_ms < now_ms != self._stepped_ms)
        if not (has_news or is_due or self._opens):
            return False
        self._stepped_ms, self.due_ms = now_ms, self.service.step(now_ms)
        self._opens = any(port.is_opening for port in self.mqtt_ports)
        if any(port.wants_write() for port in self.mqtt_ports):
            self.due_ms = now_ms
        return has_news or is_due or self.due_ms == now_ms

    def is_opening(self) -> bool:
        """Whether it is making a connection, of which no port tells, but over a late line."""
        pairs = zip(self.ports, self.mqtt_ports, strict=False)
        return self._opens and any(
            port.is_opening and not cable.is_waiting for cable, port in pairs
        )
