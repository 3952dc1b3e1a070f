"""The real tiers above the readers: two real brokers, the agent, the ledger, and what joins them.

Agent and ledger are the production objects over the production paho adapter and SQLite, stepped
with the world's clock; the daemons step the very same objects with the host's. A killed agent is
dropped without a goodbye and opened again from what its disk holds.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.aes import CIPHERS
from adapters.mqtt import MqttPort
from edge_agent.card_history import CardHistory
from edge_agent.inventory import Inventory
from edge_agent.reader_ports import ReaderPorts
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.store import Store
from ledger import service as ledger_service
from ledger.carry_over import AFTER_S
from ledger.code_desk import CodeDesk
from ledger.code_sales import CodePolicy
from ledger.credit_desk import CreditDesk
from ledger.entry_desk import EntryDesk
from ledger.holder_desk import LossDesk, PersonDesk
from ledger.menus import MenuDesk
from ledger.phones import CODE_KEY_BYTES, Phones
from ledger.relay_desk import RelayDesk
from ledger.service import LedgerService
from ledger.site_desk import SiteDesk
from ledger.store import LedgerStore
from simulator.broker import Broker, start_broker
from simulator.sites import Elsewhere
from simulator.world.clock import World
from simulator.world.network import BrokerPort, ReaderCable, ServicePort
from simulator.world.serial_bus import SerialBus

CODE_POLICY = CodePolicy(sale_max_fen=20_000, day_max_fen=50_000)
_STUCK_S = 20
_PATIENCE_S = 0.05
_NEVER_US = 1 << 62
_LINE_BAUD = 115_200


class SimulationStuck(Exception):
    """Broker or services did not come to rest: says what is still owed."""


class Services:
    """Building (broker and agent) and card centre (broker and ledger) of one site.

    `on_line`: the devices that hang on the agent by a serial line.
    """

    def __init__(
        self,
        site: str,
        world: World,
        directory: Path,
        broker_kind: str,
        signing_key: bytes,
        credit_key: bytes,
        random: Callable[[int], bytes],
        with_cards: bool = False,
        on_line: Sequence[int] = (),
        carry_over_after_s: int = AFTER_S,
        code_key: bytes = bytes(CODE_KEY_BYTES),
    ) -> None:
        self._site = site
        self._world = world
        self._directory = directory
        self._signing_key = signing_key
        self._credit_key, self._random = credit_key, random
        self._with_cards = with_cards
        self._carry_over_after_s = carry_over_after_s
        self._public_key = (
            Ed25519PrivateKey.from_private_bytes(signing_key)
            .public_key()
            .public_bytes(Encoding.Raw, PublicFormat.Raw)
        )
        self.brokers: dict[str, Broker] = {}
        for name in ("building", "centre"):
            (directory / name).mkdir()
            self.brokers[name] = start_broker(broker_kind, directory / name)
        self.building = BrokerPort(lambda: self.brokers["building"].port)
        self.centre = BrokerPort(lambda: self.brokers["centre"].port)
        self.agent_local = ServicePort("agent", self.building)
        self.agent_upstream = ServicePort("agent-upstream", self.centre)
        self.ledger_local = ServicePort("ledger", self.centre)
        self.cables: list[ReaderCable] = []
        self.line = SerialBus(world, _LINE_BAUD, list(on_line), self.settle) if on_line else None
        self.elsewhere: Elsewhere | None = None
        self.store = LedgerStore.open(str(directory / "ledger.sqlite"))
        self.phones = Phones(self.store.database, code_key, random)
        self.ledger: LedgerService | None = None
        self.agent: AgentService | None = None
        self._agent_parts: list[Store | Inventory | CardHistory] = []
        self._agent_ports: list[MqttPort] = []
        self._ledger_port: MqttPort | None = None
        self._due_ms = -1
        self._called_us = _NEVER_US

    # -- starting and dying -----------------------------------------------------------------

    def start_ledger(self) -> None:
        self._ledger_port = MqttPort(
            "127.0.0.1",
            self.ledger_local.port,
            "onecard-ledger",
            subscriptions=(
                ledger_service.WITH_CARDS if self._with_cards else ledger_service.SUBSCRIPTIONS
            ),
            will=ledger_service.WILL,
        )
        utc_s = self._world.utc_s
        keys = CIPHERS, self._credit_key, self._random
        credit = CreditDesk(self.store, *keys, utc_s, self._carry_over_after_s)
        codes = CodeDesk(self.store, self.phones, CODE_POLICY, self._interval_ms)
        offset_s = CODE_POLICY.utc_offset_s
        desks = (
            codes,
            EntryDesk(self.store, self.phones, self._interval_ms, offset_s),
            SiteDesk(self.store, utc_s),
            PersonDesk(self.store),
            LossDesk(self.store, self.phones, self._interval_ms, utc_s),
            MenuDesk(self.store.menus),
        )
        desk = RelayDesk(self.store, credit, *desks)
        self.ledger = LedgerService(
            self.store, self._ledger_port, self._signing_key, utc_s, desk, self._with_cards
        )

    def _interval_ms(self) -> tuple[int, int]:
        """The centre's clock goes right, and knows that to a second."""
        utc_ms = self._world.utc_s() * 1000
        return utc_ms, utc_ms + 1000

    def start_agent(self) -> None:
        """Boot the agent on whatever its directory holds."""
        directory = self._directory / "agent"
        directory.mkdir(exist_ok=True)
        store = Store(str(directory / "records.sqlite"))
        inventory = Inventory(str(directory / "inventory.json"), self._world.utc_s)
        readers = MqttPort(
            "127.0.0.1",
            self.agent_local.port,
            "onecard-agent",
            subscriptions=reader_subscriptions(self._site),
        )
        upstream = MqttPort(
            "127.0.0.1",
            self.agent_upstream.port,
            f"onecard-agent-{self._site}",
            subscriptions=upstream_subscriptions(self._site, with_cards=self._with_cards),
        )
        self._agent_parts, self._agent_ports = [store, inventory], [readers, upstream]
        history = CardHistory(str(directory / "cards.sqlite")) if self._with_cards else None
        if history is not None:
            self._agent_parts.append(history)
        self.agent = AgentService(
            self._site,
            store,
            inventory,
            ReaderPorts(self._site, readers, [self.line]) if self.line else readers,
            upstream,
            self._public_key,
            card_history=history,
        )
        if self.line:
            self.line.start()

    def start_elsewhere(self, site: str) -> None:
        """Another building comes to be, with the agent of another site."""
        kind, directory = self.brokers["building"].kind, self._directory / "elsewhere"
        self.elsewhere = Elsewhere(
            site, self._world, directory, kind, self.centre, self._public_key
        )

    def building_of(self, site: str) -> BrokerPort:
        """Where readers of a site are at home."""
        if self.elsewhere is not None and site != self._site:
            return self.elsewhere.building
        return self.building

    def kill_building(self) -> None:
        """The mains of the building are gone: broker and agent die where they stand."""
        self.agent = None
        if self.line:
            self.line.stop()
        self.agent_local.drop_all()
        self.agent_upstream.drop_all()
        # Not closed but dropped: nothing is flushed, no goodbye is said, only the handles go.
        self._agent_ports, self._agent_parts = [], []
        gc.collect()
        self.brokers["building"].kill()
        self.building.tap.forget()

    def restart_building(self) -> None:
        self.brokers["building"].restart()
        self.start_agent()

    def close(self) -> None:
        if self.elsewhere:
            self.elsewhere.close()
        for broker in self.brokers.values():
            broker.stop()
        for part in self._agent_parts:
            part.close()
        self.store.close()

    # -- settling ---------------------------------------------------------------------------

    def settle(self, now_us: int) -> None:
        """Let everything that bytes on the wire have set in motion come to rest."""
        now_ms = now_us // 1000
        deadline_s = time.monotonic() + _STUCK_S
        while True:
            moved = self._pump()
            moved |= self._step(now_ms)
            if moved:
                continue
            if self._is_quiet():
                break
            select.select(self._sockets(), [], [], _PATIENCE_S)
            if time.monotonic() > deadline_s:
                raise SimulationStuck(self._owed())
        for cable in self.cables:
            for stream in list(cable.streams):
                stream.settle(now_us)
        self._call_again()

    def _pump(self) -> bool:
        moved = False
        for cable in self.cables:
            for stream in list(cable.streams):
                moved |= stream.pump()
        for port in self._service_ports():
            moved |= port.pump()
        return moved

    def _service_ports(self) -> list[ServicePort]:
        more = self.elsewhere.services if self.elsewhere else ()
        return [self.agent_local, self.agent_upstream, self.ledger_local, *more]

    def _mqtt_ports(self) -> list[MqttPort]:
        more = self.elsewhere.ports if self.elsewhere else ()
        ledger = [self._ledger_port] if self._ledger_port else []
        return [*ledger, *self._agent_ports, *more]

    def _step(self, now_ms: int) -> bool:
        """Step agent and ledger; True if either wants to be stepped again at once."""
        services = [self.ledger, self.agent, self.elsewhere and self.elsewhere.agent]
        due_ms = [service.step(now_ms) for service in services if service]
        self._due_ms = min(due_ms, default=-1)
        return self._due_ms == now_ms

    def _is_quiet(self) -> bool:
        return all(broker.tap.is_quiet() for broker in self._broker_ports().values()) and not any(
            port.is_opening for port in self._mqtt_ports()
        )

    def _broker_ports(self) -> dict[str, BrokerPort]:
        found = {"building": self.building, "centre": self.centre}
        return {**found, "elsewhere": self.elsewhere.building} if self.elsewhere else found

    def _owed(self) -> str:
        ports = self._broker_ports().items()
        return "; ".join(f"{name}: {port.tap.owed()}" for name, port in ports)

    def _sockets(self) -> list[int]:
        """Every descriptor on which something may arrive."""
        found: list[int] = []
        for cable in self.cables:
            found += [stream.fileno() for stream in cable.streams if stream.is_open]
        for port in self._service_ports():
            found += [sock.fileno() for sock in port.sockets()]
        for mqtt_port in self._mqtt_ports():
            descriptor = mqtt_port.fileno()
            if descriptor is not None:
                found.append(descriptor)
        return found

    def _call_again(self) -> None:
        """Agent and ledger have time-outs too: settle again when the next one is due."""
        due_us = self._due_ms * 1000
        if self._world.now_us < due_us < self._called_us:
            self._called_us = due_us
            self._world.at(due_us, self._settle_when_due)

    def _settle_when_due(self) -> None:
        if self._world.now_us >= self._called_us:
            self._called_us = _NEVER_US
            self.settle(self._world.now_us)
