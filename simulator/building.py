"""A building of the campus: its broker, the agent of its site, and what happens with its mains.

A killed agent is dropped without a goodbye and opened again from what its disk holds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.mqtt import MqttPort
from edge_agent.card_history import CardHistory
from edge_agent.inventory import Inventory
from edge_agent.reader_ports import Line, ReaderPorts
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.store import Store
from simulator.broker import Broker, start_broker
from simulator.tiers import Tier
from simulator.world.clock import World
from simulator.world.network import BrokerPort
from simulator.world.service_port import ServicePort
from simulator.world.wires import Wires


@dataclass(frozen=True)
class Outside:
    """What a building has from elsewhere: the broker of the card centre and the ledger's key.

    `wake(at_us)` has what is late on the line to there settled at that time.
    """

    centre: BrokerPort
    wires: Wires
    ledger_public_key: bytes
    wake: Callable[[int], None]
    with_cards: bool = False


class BuildingLine(Line, Protocol):
    """A serial line of a building: the agent that boots opens its port, and closes it by dying."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Building:
    """Broker and agent of one site; `hears_strangers`: readers of other sites too."""

    def __init__(
        self,
        site: str,
        world: World,
        broker_directory: Path,
        agent_directory: Path,
        broker_kind: str,
        outside: Outside,
        *,
        hears_strangers: bool = False,
    ) -> None:
        self.site = site
        self._world = world
        self._directory = agent_directory
        self._outside = outside
        self._hears_strangers = hears_strangers
        broker_directory.mkdir(parents=True)
        self.broker: Broker = start_broker(broker_kind, broker_directory)
        self.port = BrokerPort(lambda: self.broker.port, outside.wires)
        self.local = ServicePort(f"agent of {site}", self.port, outside.wake)
        self.upstream = ServicePort(f"upstream of {site}", outside.centre, outside.wake)
        self.services = (self.local, self.upstream)
        self.has_mains = self.has_broker = True
        self.lines: list[BuildingLine] = []
        self.agent: AgentService | None = None
        self.tier: Tier | None = None  # the agent as what is stepped
        self.store: Store | None = None  # the agent's
        self._parts: list[Store | Inventory | CardHistory] = []

    def start_agent(self) -> None:
        """Boot the agent on whatever its directory holds."""
        self._directory.mkdir(parents=True, exist_ok=True)
        store = Store(str(self._directory / "records.sqlite"))
        inventory = Inventory(str(self._directory / "inventory.json"), self._world.utc_s)
        with_cards, strangers = self._outside.with_cards, self._hears_strangers
        readers = MqttPort(
            "127.0.0.1",
            self.local.port,
            "onecard-agent",
            subscriptions=reader_subscriptions(self.site, strangers=strangers),
        )
        upstream = MqttPort(
            "127.0.0.1",
            self.upstream.port,
            f"onecard-agent-{self.site}",
            subscriptions=upstream_subscriptions(self.site, with_cards=with_cards),
        )
        self.store = store
        self._parts = [store, inventory]
        history = CardHistory(str(self._directory / "cards.sqlite")) if with_cards else None
        if history is not None:
            self._parts.append(history)
        self.agent = AgentService(
            self.site,
            store,
            inventory,
            ReaderPorts(self.site, readers, self.lines) if self.lines else readers,
            upstream,
            self._outside.ledger_public_key,
            card_history=history,
            strangers=strangers,
        )
        self.tier = Tier(self.agent, self.services, [readers, upstream])
        for line in self.lines:
            line.start()

    def kill(self) -> None:
        """The mains are gone: broker and agent die where they stand."""
        self.has_mains = False
        self.agent = self.tier = None
        for line in self.lines:
            line.stop()
        for port in self.services:
            port.drop_all()
        # Not closed but dropped: nothing is flushed, no goodbye is said, only the handles go.
        self._parts, self.store = [], None
        gc.collect()
        self.broker.kill()
        self.port.tap.forget()

    def switch_broker(self, on: bool) -> None:
        """Only the broker dies, or comes back and remembers nothing; the agent goes on."""
        if on == self.has_broker:
            return
        self.has_broker = on
        if not on:
            self.broker.kill()
            self.port.tap.forget()
            self.local.drop_all()
        elif self.has_mains:
            self.broker.restart()

    def restart(self) -> None:
        """The mains are back: nothing that was only in memory is."""
        self.has_mains = True
        if self.has_broker:
            self.broker.restart()
        self.start_agent()

    def close(self) -> None:
        for line in self.lines:
            line.stop()
        self.broker.stop()
        for part in self._parts:
            part.close()
