"""One district of the city: buildings of readers, their agents, and the ledger behind them.

Everything that decides is production code: the firmware of role POS on its host board, each
building's agent and the district's ledger on real SQLite. Brokers and cables are those of the
torture (ADR 10), the front end is at card depth. Districts know nothing of each other.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from adapters.aes import CIPHERS
from ledger.credit_desk import CreditDesk
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.rules import settings
from protocols.rules.spending import STUDENT
from protocols.wire import messages
from simulator.cardbox import CardKeys, HeldCard, make_cards
from simulator.chips.nor_flash import NorFlash
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.payers import Scans
from simulator.people import Clerk, Customer, Tally
from simulator.residence.place import GuardedHome, Silent
from simulator.scenario import CardBatch
from simulator.torture.broker import Broker
from simulator.torture.cable import Cable
from simulator.torture.campus import POLICY
from simulator.torture.process import AgentProcess, LedgerProcess
from simulator.torture.window import MortalReader
from simulator.world.clock import World
from simulator.world.randomness import Seeds

START_UTC_S = 1_788_192_000  # 2026-09-01 00:00 in China
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
READERS_PER_BUILDING = 25
FIRST_MERCHANT, FIRST_DEVICE, FIRST_CARD = 71, 1001, 20_001
SECTOR_BYTES = 4096
_JOURNAL_SECTORS = 32
_STATES_PER_SECTOR = 4 * SECTOR_BYTES  # of a card map, which stands there twice with its changes
_VIOLATIONS_MAX = 20
# An idle reader is stepped so often, by whether it has mains; whatever reaches it wakes it. The
# tick counter of the chip has to be read within five minutes.
_NAP_US = {True: 285 * SECOND_US, False: 20 * SECOND_US}
_GRAIN_US = 20_000  # answers within that come to a reader together
_KEYING_US = 300_000  # in a canteen the card is at hand
_REST_US = 30 * SECOND_US  # the same of an agent and the ledger
_AWAKE_US = 10 * SECOND_US  # behind a boot
_REVIVED_US = (2 * SECOND_US, 30 * SECOND_US)


@dataclass(eq=False)
class Window:
    """A reader, who stands behind it, and what customers saw there.

    `takings_fen`: by what they were shown; `unsure_fen`: of those who left and did not know.
    """

    name: str
    device: int
    merchant_no: int
    hardware: Hardware
    reader: MortalReader
    cable: Cable
    clerk: Clerk
    on_us: int = 0  # when it was switched on last
    takings_fen: int = 0
    unsure_fen: int = 0


@dataclass(eq=False)
class Building:
    """A canteen: its broker, its agent, its windows; `ill`: the outage that it is in, or ""."""

    site: str
    broker: Broker
    agent: AgentProcess
    windows: list[Window] = field(default_factory=list)
    ill: str = ""


class District:
    """One seed's district. `fired` counts the faults that struck, `done` all else."""

    def __init__(self, seed: int, directory: Path, readers: int, cards: int) -> None:
        self.seeds = Seeds(seed)
        self.world = World(START_UTC_S)
        self.fired: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.violations: list[str] = []
        self.tally = Tally()
        self.on_served: Callable[[Window, Customer, bool], None] = lambda *_: None
        self.keys = CardKeys.drawn(self.seeds.stream("keys"))
        self._secrets = self.seeds.stream("secrets")
        self._signing_key = self._secrets.randbytes(32)
        self._directory = directory
        self.centre = Broker("centre", self.world, self.seeds.stream("centre"), self.fired)
        path = directory / "ledger.sqlite"
        self.ledger = LedgerProcess(
            self.world,
            self.report,
            path,
            self.centre,
            self._signing_key,
            self.fired,
            self._desk,
            with_cards=True,
        )
        self.ledger.rest_us = _REST_US
        self.ledger.start()
        self.books = LedgerStore.open(str(path))  # the card centre's own hand in them
        self._next_card = FIRST_CARD
        self.cards: list[HeldCard] = []
        self._uids: set[bytes] = set()
        # Whoever loses a card gets a new number.
        self._map_sectors = 2 * (-(-(FIRST_CARD + 2 * cards) // _STATES_PER_SECTOR) + 1)
        self.buildings: list[Building] = []
        for first in range(0, readers, READERS_PER_BUILDING):
            self._build(min(READERS_PER_BUILDING, readers - first))

    @property
    def windows(self) -> list[Window]:
        return [window for building in self.buildings for window in building.windows]

    # -- building -------------------------------------------------------------------------------

    def _desk(self, store: LedgerStore) -> RelayDesk:
        draw = self.seeds.stream("desk", self.world.now_us).randbytes
        credit = CreditDesk(store, CIPHERS, self.keys.credit, draw, self.world.utc_s)
        return RelayDesk(store, credit)

    def _build(self, windows: int) -> None:
        number = len(self.buildings)
        site, merchant_no = f"canteen-{number + 1}", FIRST_MERCHANT + number
        self.books.register_merchant(merchant_no, site)
        broker = Broker("building", self.world, self.seeds.stream("broker", site), self.fired)
        agent = AgentProcess(
            self.world,
            self.report,
            site,
            self._directory / site,
            broker,
            self.centre,
            self._signing_key,
            self.fired,
            with_cards=True,
        )
        agent.rest_us = _REST_US
        building = Building(site, broker, agent)
        first = FIRST_DEVICE + number * READERS_PER_BUILDING
        keys = {first + index: self._secrets.randbytes(32) for index in range(windows)}
        self.books.register_devices((dev, key, merchant_no, site) for dev, key in keys.items())
        for device, key in keys.items():
            building.windows.append(self._make_window(building, device, key, merchant_no))
        self.buildings.append(building)
        agent.start()

    def _make_window(
        self, building: Building, device: int, key: bytes, merchant_no: int
    ) -> Window:
        name = f"{building.site}/{device}"
        fields = {
            "device": device,
            "site": building.site,
            "merchant_no": merchant_no,
            "device_key": key,
            "purse_key": self.keys.purse,
            "mac_key": self.keys.mac,
            "broker_host": "building",
            "broker_port": 1883,
            "policy": POLICY,
            "load_cards": 1,
        }
        draw = self.seeds.stream("reader", name)
        flash, card_flash = (
            NorFlash(sectors * SECTOR_BYTES, random.Random(draw.randbytes(8)))
            for sectors in (_JOURNAL_SECTORS, self._map_sectors)
        )
        nvs = {"settings": settings.encode(fields)}
        hardware = Hardware(name, self.world, Silent(), flash, nvs, draw, card_flash=card_flash)
        home = GuardedHome("pos", hardware, front_end)
        home.on_crash = lambda text: self.report(f"{name} crashed: {text}")
        reader = MortalReader(name, self.world, hardware, home, lambda _now_us: None)
        cable = Cable(
            name, self.world, building.broker, lambda: hardware.clock.now_us, reader.wake
        )
        cable.grain_us = _GRAIN_US
        hardware.cable = cable  # type: ignore[assignment]

        def served(customer: Customer, was_paid: bool) -> None:
            self.on_served(window, customer, was_paid)

        clerk_draw = random.Random(draw.randbytes(8))
        clerk = Clerk(reader, self.world, clerk_draw, self.tally, served, Scans())
        clerk.keying_us = _KEYING_US
        window = Window(name, device, merchant_no, hardware, reader, cable, clerk)
        reader.naps_us = partial(self._naps_us, window)
        reader.on_death = partial(self._died, window)
        return window

    def issue(self, count: int, low_fen: int, high_fen: int) -> list[HeldCard]:
        """So many new cards, written by the card centre and in its books.

        A chip with the number of another is not issued: of 30,000 with four bytes each a tenth of
        the districts has a pair.
        """
        number, self._next_card = self._next_card, self._next_card + count
        made = []
        for held in self._write(number, count, low_fen, high_fen, number):
            tries = 0
            while held.chip.uid in self._uids:
                tries += 1
                again = held.card_no, 1, low_fen, high_fen
                (held,) = self._write(*again, f"{held.card_no} again {tries}")
            self._uids.add(held.chip.uid)
            made.append(held)
        self.books.issue_cards((held.card_no, held.issued_fen or 0) for held in made)
        chips = ((held.card_no, held.chip.uid) for held in made)
        self.books.know_chips(chips, messages.CLASSIC)
        self.cards += made
        return made

    def _write(
        self, number: int, count: int, low_fen: int, high_fen: int, stream: object
    ) -> list[HeldCard]:
        """Cards from `number` on, as the stream of that name draws them."""
        batch = CardBatch("card", STUDENT, "ours", count, number, (low_fen, high_fen))
        today = (START_UTC_S + POLICY["utc_offset_s"]) // 86_400
        return make_cards(batch, self.keys, self.seeds.stream("cards", stream), today)

    # -- power ----------------------------------------------------------------------------------

    def switch_on(self, window: Window) -> None:
        """Power comes to a reader that has none."""
        if not window.reader.is_on:
            window.on_us = self.world.now_us
            self.done["boots"] += 1
            window.reader.switch_on()

    def _died(self, window: Window) -> None:
        """A reader without power: somebody switches it on when there is some."""
        self.fired["reader without power"] += 1
        if window.hardware.mains_on:
            self.revive(window)

    def revive(self, window: Window) -> None:
        """Power is there, or comes back, and in a while the reader has booted."""
        draw = self.seeds.stream("revive", window.name, self.world.now_us)
        self.later(draw.randrange(*_REVIVED_US), partial(self.switch_on, window))

    def _naps_us(self, window: Window) -> int:
        """How long a reader is not stepped: nobody is there, and nothing has reached it."""
        is_idle = window.clerk.is_idle and not window.hardware.field.cards
        if not is_idle or self.world.now_us < window.on_us + _AWAKE_US:
            return 0
        return _NAP_US[window.hardware.mains_on]

    # -- time -----------------------------------------------------------------------------------

    def run_until(self, until_us: int) -> None:
        """Let everything happen that is due by then."""
        while self.world.step(until_us):
            pass

    def later(self, delay_us: int, act: Callable[[], object]) -> None:
        """Do something in a while."""
        self.world.at(self.world.now_us + delay_us, act)

    def report(self, what: str) -> None:
        """A rule is broken."""
        if len(self.violations) < _VIOLATIONS_MAX:
            day, us = divmod(self.world.now_us, DAY_US)
            self.violations.append(f"day {day} {us / HOUR_US:05.2f} h: {what}")

    def close(self) -> None:
        """Nothing of it goes on."""
        for window in self.windows:
            window.reader.home.kill()
        for process in (*(building.agent for building in self.buildings), self.ledger):
            process.kill()
        self.books.close()
