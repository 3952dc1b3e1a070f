"""Agent and ledger as processes of the tortured world: stepped by its clock, killed, restarted.

The services are the production ones on real SQLite files; the file is all that outlives a kill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.card_history import CardHistory
from edge_agent.inventory import Inventory
from edge_agent.reader_ports import ReaderPorts
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.store import Store
from ledger import service as ledger_service
from ledger.dialect import SqliteDialect
from ledger.receipts import public_key
from ledger.relay_desk import RelayDesk
from ledger.service import LedgerService
from ledger.store import LedgerStore
from simulator.torture.broker import Broker
from simulator.torture.database import FaultyConnection, Killed
from simulator.torture.service_port import ServicePort
from simulator.world.clock import World
from simulator.world.serial_bus import SerialBus

_NEVER_US = 1 << 62
_BUSY_STEPS_MAX = 2_000


class Process:
    """What both have in common: a loop that steps when it is due or woken.

    `rest_us`: where nothing is to be done at once, it is not stepped earlier unless it is woken.
    """

    rest_us = 0

    def __init__(self, world: World, on_bug: Callable[[str], None]) -> None:
        self.world = world
        self.on_bug = on_bug
        self.is_up = False
        self.database: FaultyConnection | None = None
        self.ports: list[ServicePort] = []
        self.is_line_cut = False
        self.dead_inbox_high = 0  # of those that were killed
        self.on_death: Callable[[], None] = lambda: None
        self._service: Any = None
        self._due_us = _NEVER_US
        self._busy = 0

    @property
    def inbox_high(self) -> int:
        """The most messages that ever waited for it."""
        return max([self.dead_inbox_high, *(port.inbox_high for port in self.ports)])

    def start(self) -> None:
        """Boot on whatever the disk holds; a kill during the boot is a kill."""
        self.is_up = True
        try:
            self._open()
        except Killed:
            self._buried()
            return
        self.wake(self.world.now_us)

    def kill(self) -> None:
        """SIGKILL, between two steps."""
        if self.is_up:
            if self.database is not None:
                self.database.bury()
            self._buried()

    def wake(self, at_us: int) -> None:
        """Step at `at_us`, or earlier if it was due."""
        if self.is_up and at_us < self._due_us:
            self._due_us = at_us
            self.world.at(at_us, lambda: self._run(at_us))

    def _run(self, due_us: int) -> None:
        if not self.is_up or due_us != self._due_us:
            return
        self._due_us = _NEVER_US
        now_ms = self.world.now_ms
        try:
            due_ms = self._service.step(now_ms)
        except Killed:
            self._buried()
            return
        self._busy = self._busy + 1 if due_ms <= now_ms else 0
        if self._busy > _BUSY_STEPS_MAX:
            self.on_bug(f"{type(self).__name__} spins")
            self._busy = 0
            due_ms = now_ms + 1_000
        # A step is due again at the end of its millisecond at the earliest: time has to pass.
        rest_us = self.rest_us if due_ms > now_ms + 1 else 0
        self.wake(max(due_ms * 1000, self.world.now_us + max(rest_us, 200)))

    def _buried(self) -> None:
        self.is_up = False
        self._due_us = _NEVER_US
        self._service = None
        self.dead_inbox_high = self.inbox_high
        for port in self.ports:
            port.vanish()
        self._shut()
        self.on_death()

    def _open(self) -> None:
        """Open the files and make the service."""
        raise AssertionError("each process opens its own")

    def _shut(self) -> None:
        """Let go of what only the operating system would."""


class AgentProcess(Process):
    """The agent of the building; `with_cards`: it carries what is said of cards and doors.

    It keeps booked records for `keep_ms` from its next start on. `line`: a serial line that it
    has from its next start on; it is polled while somebody has it `out`.
    """

    keep_ms = 0
    line: SerialBus | None = None
    _is_line_out = False

    def __init__(
        self,
        world: World,
        on_bug: Callable[[str], None],
        site: str,
        directory: Path,
        building: Broker,
        centre: Broker,
        ledger_key: bytes,
        fired: Counter[str],
        *,
        with_cards: bool = False,
    ) -> None:
        super().__init__(world, on_bug)
        self._site = site
        self._root = directory
        self._brokers = building, centre
        self._ledger_key = public_key(ledger_key)
        self._fired = fired
        self._boxes = 0
        self._inventory: Inventory | None = None
        self._with_cards = with_cards
        self._history: CardHistory | None = None
        self.store: Store | None = None
        self.replace()

    @property
    def path(self) -> Path:
        """The file of its records."""
        return self.directory / "records.sqlite"

    @property
    def service(self) -> AgentService | None:
        return self._service

    def replace(self) -> None:
        """From the next start on this is a new box with an empty disk."""
        self._boxes += 1
        self.directory = self._root / f"agent-{self._boxes}"
        self.directory.mkdir(parents=True)

    def _open(self) -> None:
        site = self._site
        self.store = Store(str(self.path), keep_ms=self.keep_ms)
        self.database = FaultyConnection(self.store._db, "agent", self._fired)
        self.store._db = self.database  # type: ignore[assignment]
        inventory = Inventory(str(self.directory / "inventory.json"), self.world.utc_s)
        self._inventory = inventory
        building, centre = self._brokers
        readers = ServicePort("agent", self.world, building, reader_subscriptions(site), self.wake)
        heard = upstream_subscriptions(site, with_cards=self._with_cards)
        upstream = ServicePort(f"agent-{site}", self.world, centre, heard, self.wake)
        if self._with_cards:
            self._history = CardHistory(str(self.directory / "cards.sqlite"))
        upstream.is_plugged = not self.is_line_cut
        self.ports = [readers, upstream]
        self._service = AgentService(
            site,
            self.store,
            inventory,
            ReaderPorts(site, readers, [self.line]) if self.line else readers,  # type: ignore[arg-type]
            upstream,  # type: ignore[arg-type]
            self._ledger_key,
            card_history=self._history,
        )

        self.take_line(self._is_line_out)

    def take_line(self, out: bool) -> None:
        """Somebody goes round with its line, or has it home again."""
        self._is_line_out = out
        if self.line is not None and self.is_up:
            self.line.start() if out else self.line.stop()

    def _shut(self) -> None:
        if self.line is not None:
            self.line.stop()
        if self._inventory is not None:
            self._inventory._lock.close()
        if self._history is not None:
            self._history.close()
            self._history = None


class LedgerProcess(Process):
    """The ledger of the card centre; `with_cards`: it tells agents of cards and doors."""

    def __init__(
        self,
        world: World,
        on_bug: Callable[[str], None],
        path: Path,
        centre: Broker,
        signing_key: bytes,
        fired: Counter[str],
        make_desk: Callable[[LedgerStore], RelayDesk | None] = lambda _store: None,
        *,
        with_cards: bool = False,
    ) -> None:
        super().__init__(world, on_bug)
        self.path = path
        self._make_desk = make_desk
        self._with_cards = with_cards
        self._centre = centre
        self._signing_key = signing_key
        self._fired = fired
        self._port: ServicePort | None = None
        self.store: LedgerStore | None = None

    def _open(self) -> None:
        dialect = SqliteDialect.open(str(self.path))
        self.store = LedgerStore(dialect)
        self.database = FaultyConnection(dialect._connection, "ledger", self._fired)
        dialect._connection = self.database  # type: ignore[assignment]
        port = ServicePort(
            "ledger",
            self.world,
            self._centre,
            ledger_service.WITH_CARDS if self._with_cards else ledger_service.SUBSCRIPTIONS,
            self.wake,
            will=ledger_service.WILL,
        )
        port.is_plugged = not self.is_line_cut
        self.ports = [port]
        self._service = LedgerService(
            self.store,
            port,  # type: ignore[arg-type]
            self._signing_key,
            self.world.utc_s,
            self._make_desk(self.store),
            self._with_cards,
        )
