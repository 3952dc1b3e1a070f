"""The real tiers above the readers: real brokers, the agents, the ledger, and what joins them.

Agent and ledger are the production objects over the production paho adapter and SQLite, stepped
with the world's clock; the daemons step the very same objects with the host's.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.aes import CIPHERS
from adapters.mqtt import MqttPort
from ledger import service as ledger_service
from ledger.carry_over import AFTER_S
from ledger.code_desk import CodeDesk
from ledger.code_sales import CodePolicy
from ledger.credit_desk import CreditDesk
from ledger.entry_desk import EntryDesk
from ledger.holder_desk import LossDesk, PersonDesk
from ledger.phones import CODE_KEY_BYTES, Phones
from ledger.relay_desk import RelayDesk
from ledger.service import LedgerService
from ledger.site_desk import SiteDesk
from ledger.spend_desk import SpendDesk
from ledger.store import LedgerStore
from simulator.acquiring import Acquiring
from simulator.broker import start_broker
from simulator.building import Building, Outside
from simulator.provisioning import LINE_BAUD
from simulator.tiers import Tier
from simulator.world.clock import World
from simulator.world.network import BrokerPort
from simulator.world.serial_bus import SerialBus
from simulator.world.service_port import ServicePort
from simulator.world.wires import Wires

CODE_POLICY = CodePolicy(sale_max_fen=20_000, day_max_fen=50_000)
_STUCK_S = 20
_FORGIVES_S = 2.0  # then nothing more comes that would make up for a delivery too many
_PATIENCE_S = 0.05
_NEVER_US = 1 << 62


class SimulationStuck(Exception):
    """Broker or services did not come to rest: says what is still owed."""


class Services:
    """Buildings (broker and agent), one for each site, and card centre (broker and ledger).

    `on_line`: the devices that hang on the agent of the first site by a serial line.
    """

    def __init__(
        self,
        sites: Sequence[str],
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
        *,
        with_acquirer: bool = False,
    ) -> None:
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
        (directory / "centre").mkdir()
        self.broker_kind = broker_kind
        self._centre_broker = start_broker(broker_kind, directory / "centre")
        self.broker_kind = self._centre_broker.kind
        self.wires = Wires()
        self.centre = BrokerPort(lambda: self._centre_broker.port, self.wires)
        self._outside = Outside(self.centre, self.wires, self._public_key, self._wake, with_cards)
        home, *others = sites
        found = [self._build(home, directory / "building", directory / "agent")]
        for site in others:
            own = directory / "sites" / site
            found.append(self._build(site, own / "broker", own))
        self.buildings = {building.site: building for building in found}
        self.ledger_local = ServicePort("ledger", self.centre, self._wake)
        self.line: SerialBus | None = None
        if on_line:
            self.line = SerialBus(world, LINE_BAUD, list(on_line), self.settle)
            self.buildings[home].lines.append(self.line)
        self.elsewhere: Building | None = None
        self.store = LedgerStore.open(str(directory / "ledger.sqlite"))
        self.phones = Phones(self.store.database, code_key, random)
        self.acquiring: Acquiring | None = None
        if with_acquirer:
            self.acquiring = self._acquiring()
        self._ledger: Tier | None = None
        self.naps_us: Callable[[], int] = lambda: 0  # as Reader.naps_us
        self._acquirer: Tier | None = None
        self._next_us = self._called_us = _NEVER_US

    # -- starting and dying -----------------------------------------------------------------

    def start_ledger(self) -> None:
        port = MqttPort(
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
        acquirer = self.acquiring.desk if self.acquiring else None
        codes = CodeDesk(self.store, self.phones, CODE_POLICY, self._interval_ms, acquirer)
        offset_s = CODE_POLICY.utc_offset_s
        desks = (
            codes,
            EntryDesk(self.store, self.phones, self._interval_ms, offset_s),
            SiteDesk(self.store, utc_s),
            PersonDesk(self.store),
            SpendDesk(self.store.database),
            LossDesk(self.store, self.phones, self._interval_ms, utc_s),
        )
        desk = RelayDesk(self.store, credit, *desks)
        ledger = LedgerService(self.store, port, self._signing_key, utc_s, desk, self._with_cards)
        self._ledger = Tier(ledger, [self.ledger_local], [port])

    def switch_ledger(self, on: bool) -> None:
        """The ledger dies where it stands and its books stay; or it starts on them."""
        if on and not self.has_ledger:
            self.start_ledger()
        elif not on and self.has_ledger:
            self._ledger = None
            self.ledger_local.drop_all()
            gc.collect()

    def switch_centre(self, on: bool) -> None:
        """The card centre's broker dies, or comes back and remembers nothing."""
        if on and not self._centre_broker.running:
            self._centre_broker.restart()
        elif not on and self._centre_broker.running:
            self._centre_broker.kill()
            self.centre.tap.forget()
            for port in (self.ledger_local, *(one.upstream for one in self._all_buildings())):
                port.drop_all()

    @property
    def has_ledger(self) -> bool:
        """Whether the ledger runs."""
        return self._ledger is not None

    @property
    def has_centre(self) -> bool:
        """Whether the card centre's broker runs."""
        return self._centre_broker.running

    def _interval_ms(self) -> tuple[int, int]:
        """The centre's clock goes right, and knows that to a second."""
        utc_ms = self._world.utc_s() * 1000
        return utc_ms, utc_ms + 1000

    def _acquiring(self) -> Acquiring:
        where, offset_s = self._directory / "acquirer", CODE_POLICY.utc_offset_s
        told = lambda: self.settle(self._world.now_us)  # noqa: E731
        return Acquiring(where, self._world, self.store, offset_s, self._random, told)

    def owes_acquirer(self) -> bool:
        """Whether some order still needs a word of the acquirer."""
        return self.acquiring is not None and bool(self.store.acquirer_orders.open())

    def start_agents(self) -> None:
        """Boot the agents of all buildings, each on whatever its directory holds."""
        for building in self.buildings.values():
            building.start_agent()

    def start_elsewhere(self, site: str) -> None:
        """Another building comes to be, with the agent of another site, which hears strangers."""
        directory = self._directory / "elsewhere"
        self.elsewhere = self._build(site, directory / "broker", directory, hears_strangers=True)
        self.elsewhere.start_agent()

    def building_of(self, site: str) -> Building:
        """Where readers of a site are at home."""
        if self.elsewhere is not None and site == self.elsewhere.site:
            return self.elsewhere
        return self.buildings[site]

    def _build(
        self, site: str, broker: Path, agent: Path, *, hears_strangers: bool = False
    ) -> Building:
        where = site, self._world, broker, agent, self.broker_kind
        return Building(*where, self._outside, hears_strangers=hears_strangers)

    def _all_buildings(self) -> list[Building]:
        return [*self.buildings.values(), *([self.elsewhere] if self.elsewhere else ())]

    def close(self) -> None:
        for building in self._all_buildings():
            building.close()
        self._centre_broker.stop()
        if self.acquiring:
            self.acquiring.close()
        self.store.close()
        self.wires.close()

    # -- settling ---------------------------------------------------------------------------

    def after_step(self, now_us: int) -> None:
        """The same as `settle` behind a reader's step; nearly always there is nothing to do.

        Whatever a step sends stirs the wires; where nothing did, and nobody's time has come, all
        still rests as the last settling left it.
        """
        if self.wires.is_stirred or now_us >= self._next_us:
            self._settle(now_us)

    def settle(self, now_us: int) -> None:
        """Let everything that bytes on the wire have set in motion come to rest.

        And what people have done to agents and ledger: each is asked, whether it has news or not.
        """
        for tier in self._tiers():
            tier.due_ms = -1
        self._settle(now_us)

    def _settle(self, now_us: int) -> None:
        now_ms = now_us // 1000
        began_s = time.monotonic()
        self.wires.is_stirred = False
        tiers = self._tiers()
        while True:
            moved = self.wires.pump()
            stepped = [tier.step(now_ms) for tier in tiers]  # each of them
            if moved or any(stepped):
                continue
            if self._is_quiet(tiers):
                break
            self.wires.pump(_PATIENCE_S)
            waited_s = time.monotonic() - began_s
            if waited_s > _FORGIVES_S:
                for port in self._broker_ports().values():
                    port.tap.forgive()
            if waited_s > _STUCK_S:
                raise SimulationStuck(self._owed())
        self.wires.is_stirred = False
        heard, self.wires.heard = self.wires.heard, set()
        for stream in sorted(heard, key=lambda one: one.number):
            stream.settle(now_us)
        self._call_again(tiers)

    def _wake(self, at_us: int) -> None:
        """Something arrives then at an agent or the ledger."""
        self._world.at(at_us, self._deliver)

    def _deliver(self) -> None:
        now_us = self._world.now_us
        for port in (self.ledger_local, *chain(*(one.services for one in self._all_buildings()))):
            port.deliver(now_us)
        self._settle(now_us)

    def _tiers(self) -> list[Tier]:
        """Everybody who is there now; whoever has died must be held by nobody."""
        acquirer = self.acquiring.desk if self.acquiring else None
        if acquirer is not None and (not self._acquirer or self._acquirer.service is not acquirer):
            self._acquirer = Tier(acquirer)
        agents = [building.tier for building in self._all_buildings()]
        return [tier for tier in (self._ledger, *agents, self._acquirer) if tier]

    def _is_quiet(self, tiers: list[Tier]) -> bool:
        return not any(tier.is_opening() for tier in tiers) and all(
            port.tap.is_quiet() for port in self._broker_ports().values()
        )

    def _broker_ports(self) -> dict[str, BrokerPort]:
        found = {one.site: one.port for one in self._all_buildings()}
        return {**found, "the centre": self.centre}

    def _owed(self) -> str:
        ports = self._broker_ports().items()
        return "; ".join(f"{name}: {port.tap.owed()}" for name, port in ports)

    def _call_again(self, tiers: list[Tier]) -> None:
        """Agent and ledger have time-outs too: settle again when the next one is due."""
        due_ms = min((tier.due_ms for tier in tiers), default=-1)
        due_us = max(due_ms * 1000, self._world.now_us + self.naps_us())
        self._next_us = due_us
        if self._world.now_us < due_us < self._called_us:
            self._called_us = due_us
            self._world.at(due_us, self._settle_when_due)

    def _settle_when_due(self) -> None:
        if self._world.now_us >= self._called_us:
            self._called_us = _NEVER_US
            self._settle(self._world.now_us)
