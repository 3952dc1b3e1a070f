"""The whole system on one desk, small enough to be broken ten thousand times: cards, windows,
brokers, agent, ledger, and the people who eat.

Everything that decides is production code: the readers' firmware, the agent's and the ledger's
services on real SQLite. Everything that can break is a model that breaks when told to.
faults.py tells it; system.py plays a seed and judges the end.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ledger.store import LedgerStore
from protocols.rules import settings
from protocols.wire import messages, topics
from simulator.cardbox import HeldCard, truth
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.chips.nor_flash import NorFlash
from simulator.chips.qr_scanner import QrScanner
from simulator.host.card_port import front_end
from simulator.host.home import HostHome
from simulator.payers import Scans
from simulator.people import Clerk, Customer, Tally
from simulator.phones import SHOWN, Phones
from simulator.reader import Home
from simulator.torture import business, desks
from simulator.torture.broker import Broker
from simulator.torture.cable import Cable
from simulator.torture.cards import issued, new_cards
from simulator.torture.lost_cards import LostCards
from simulator.torture.process import AgentProcess, LedgerProcess
from simulator.torture.watch import Watch
from simulator.torture.window import CrashingHome, MortalReader, Trace, WatchedHardware
from simulator.vm.home import VmHome
from simulator.world.clock import World
from simulator.world.randomness import Seeds

SITE = "canteen-9"
SECTOR_BYTES = 4096
_CARD_FLASH_BYTES = 10 * SECTOR_BYTES  # two maps of 65,536 cards, and what changes
MERCHANT_NO = 91
_NOON_UTC_S = 1_788_235_200  # 2026-09-01 12:00 in China
# Some runs begin shortly before midnight, when limits of the day begin anew.
_STARTS_UTC_S = (_NOON_UTC_S, _NOON_UTC_S, _NOON_UTC_S + 43_200 - 200)
_DAY_MAX_FEN = (1_000_000, 1_000_000, 15_000)
_SCANNER_IN = 2  # one window in so many, where there are codes
_SECOND_US = 1_000_000
_FIRST_DEVICE = 3001
POLICY = {
    "epoch": 1,
    "utc_offset_s": 28_800,
    "amount_max_fen": 10_000,
    "no_pin_max_fen": 5_000,
    "since_pin_max_fen": 1_000_000,
    "day_max_fen": 1_000_000,
    "offline_max_fen": 3_000,
    "clock_width_max_ms": 300_000,
    "blind_max_fen": 2_000,
    "pin_tries_max": 3,
    "split_window_s": 0,  # people here pay again and again
    "cancel_window_s": 60,
}


@dataclass
class Window:
    """One reader and what is true about it."""

    device: int
    key: bytes
    hardware: WatchedHardware
    reader: MortalReader
    cable: Cable
    clerk: Clerk
    policy: dict[str, int]
    on_us: int = 0  # when it was switched on last
    answered_us: int = 0  # when an answer reached it last
    is_clock_fooled: bool = False  # its battery clock is plausible and wrong: see faults_reader.py
    is_rotating: bool = False  # reader and ledger have not both heard of its next key
    is_retired: bool = False  # taken off the wall: nobody pays here any more
    bad_sectors: int = 0
    # Bits that were flipped: address, sector, and how often that had been erased by then.
    rotten: list[tuple[int, int, int]] = field(default_factory=list)


class Campus:
    """One seed's world. `fired` counts the faults that struck; `watch` what broke."""

    def __init__(
        self, seed: int, directory: Path, home: str = "cpython", image: Path | None = None
    ) -> None:
        self.seeds = Seeds(seed)
        shape = self.seeds.stream("shape")
        self.world = World(shape.choice(_STARTS_UTC_S))
        self.policy = {**POLICY, "day_max_fen": shape.choice(_DAY_MAX_FEN)}
        self.fired: Counter[str] = Counter()
        self.lost_cards = LostCards()
        self.trace = Trace()
        self.trace.on_out_of_memory = partial(self._count, "heap exhausted")
        self.watch = Watch(
            SITE, directory / "ledger.sqlite", lambda: f"t={self.world.now_us / 1e6:.3f}"
        )
        self.tally = Tally()
        self.paid: Counter[tuple[int, int]] = Counter()
        self.unsure: Counter[tuple[int, int]] = Counter()  # left, and did not know
        self.by_code: Counter[tuple[int, int]] = Counter()
        self.unsure_by_code: Counter[tuple[int, int]] = Counter()
        self.paid_in: Counter[tuple[int, int]] = Counter()
        self.cancelled: Counter[tuple[int, int]] = Counter()  # and seen to be
        self.is_healing = False
        self.rotten: set[tuple[int, int]] = set()  # (device, seq) of records beyond repair
        self.endings: list[Callable[[], None]] = []  # of faults that last a while
        self._home, self._image = home, image
        self._given_up = 0
        self.customers = 0
        self._counters: dict[int, int] = {}  # of cards that are held to a reader beside another
        self.sectors = shape.randrange(5, 11)
        self.keys = issued()[0]
        self.business = business.drawn(self.seeds.stream("business"))
        if home == "vm":  # its image has no codes
            self.business = replace(self.business, codes=False)
        self.manners = self.seeds.stream("manners")  # of people who know of that
        chips = self.seeds.stream("chips") if self.business.desfire else None
        self.cards = new_cards(self.seeds.stream("cards"), chips)
        self._make_tiers(directory)
        self.windows: list[Window] = []
        for _ in range(shape.randrange(2, 4)):
            self.add_window()

    # -- building -------------------------------------------------------------------------------

    def _make_tiers(self, directory: Path) -> None:
        secrets = self.seeds.stream("keys")
        signing_key = secrets.randbytes(32)
        self._secrets = secrets
        self.building, self.centre = (
            Broker(name, self.world, self.seeds.stream("broker", name), self.fired)
            for name in ("building", "centre")
        )
        self.building.watch = self._building_says
        self.centre.watch = self._centre_says
        bug = self.watch.report
        self.ledger = LedgerProcess(
            self.world,
            bug,
            self.watch.ledger,
            self.centre,
            signing_key,
            self.fired,
            partial(desks.desk, self.business, self.seeds, self.world, self.keys.credit),
            with_cards=self.business.losses,
        )
        self.agent = AgentProcess(
            self.world,
            bug,
            SITE,
            directory,
            self.building,
            self.centre,
            signing_key,
            self.fired,
            with_cards=self.business.losses,
        )
        self.ledger.start()
        # The card centre's own hand in the books: registers, issues, and looks.
        self.books = LedgerStore.open(str(self.ledger.path))
        self.books.register_merchant(MERCHANT_NO, "noodles")
        self.books.issue_cards(
            (card.card_no, card.issued_fen) for card in self.cards if card.issued_fen is not None
        )
        for kind, chip in ((messages.CLASSIC, MifareClassic), (messages.DESFIRE, Desfire)):
            ours = (card for card in self.cards if card.issued_fen is not None)
            self.books.know_chips(
                ((card.card_no, card.chip.uid) for card in ours if isinstance(card.chip, chip)),
                kind,
            )
        self.phones = Phones(self.world, self.seeds.stream("phones"))
        if self.business.codes:
            phones = desks.phones(self.seeds, self.world, self.books)
            for card_no in (card.card_no for card in self.cards if card.issued_fen is not None):
                self.phones.bind(card_no, phones.bind(card_no, SHOWN, self.world.utc_s())[1])
        self.agent.start()

    def add_window(self) -> Window:
        """A new reader on the wall, registered and switched on."""
        number = len(self.windows)
        device, key = _FIRST_DEVICE + number, self._secrets.randbytes(32)
        name = f"pos-{number + 1}"
        self.books.register_device(device, key, MERCHANT_NO, SITE)
        draw = self.seeds.stream("reader", name)
        flash = NorFlash(self.sectors * SECTOR_BYTES, self.seeds.stream("flash", name))
        nvs = {"settings": self.settings(device, key)}
        card_flash = None
        if self.business.losses:
            card_flash = NorFlash(_CARD_FLASH_BYTES, self.seeds.stream("card-flash", name))
        has_scanner = self.business.codes and number % _SCANNER_IN == 0
        if has_scanner:
            nvs["wifi_ssid"] = b"campus"  # with a cable there is no pin for a scanner
        hardware = WatchedHardware(
            name, self.world, self.trace, flash, nvs, draw, self.fired, card_flash
        )
        role = "code_pos" if has_scanner else "pos"
        inner = self._make_home(role, hardware)
        home = CrashingHome(inner, self.trace, partial(self._crashed, name))
        reader = MortalReader(name, self.world, hardware, home, lambda _now_us: None)
        if has_scanner:
            scanner = QrScanner(reader, self.seeds.stream("scanner", name))
            scanner.on_bytes = reader.wake
            hardware.scanner = scanner
        cable = Cable(name, self.world, self.building, lambda: hardware.clock.now_us, reader.wake)
        hardware.cable = cable  # type: ignore[assignment]
        clerk = Clerk(
            reader,
            self.world,
            self.seeds.stream("clerk", name),
            self.tally,
            self._served,
            Scans(),
        )
        window = Window(device, key, hardware, reader, cable, clerk, self.policy)
        hardware.on_record = partial(self._recorded, window)
        reader.on_death = partial(self._died, window)
        self.windows.append(window)
        self.switch_on(window)
        return window

    def _recorded(self, window: Window, fields: dict[str, Any]) -> None:
        """A reader writes a record."""
        self.watch.record(window, fields)
        is_spend = fields["kind"] == messages.INTENT
        if is_spend and self.lost_cards.must_refuse(window.device, fields["card_no"]):
            name = window.hardware.name
            self.watch.report(f"{name} intent {fields['seq']}: card {fields['card_no']} is lost")

    def settings(self, device: int, key: bytes, **more: Any) -> bytes:
        """What a reader is provisioned with."""
        return settings.encode(
            {
                "device": device,
                "site": SITE,
                "merchant_no": MERCHANT_NO,
                "device_key": key,
                "purse_key": self.keys.purse,
                "mac_key": self.keys.mac,
                "broker_host": "building",
                "broker_port": 1883,
                "policy": self.policy,
                **({"load_cards": 1} if self.business.loads else {}),
                **more,
            }
        )

    def provision(self, window: Window, key: bytes) -> None:
        """Give a reader its next key; it goes by it from its next boot on."""
        old_key, window.key = window.key, key
        window.hardware.nvs["settings"] = self.settings(
            window.device, key, previous_device_key=old_key
        )

    def _make_home(self, role: str, hardware: WatchedHardware) -> Home:
        if self._home == "vm":
            return VmHome(hardware.name, hardware, image=self._image)
        return HostHome(role, hardware, front_end)

    # -- power and processes --------------------------------------------------------------------

    def switch_on(self, window: Window) -> None:
        """Power comes to a reader that has none."""
        if not window.reader.is_on:
            window.on_us = self.world.now_us
            window.reader.switch_on()

    def _died(self, window: Window) -> None:
        """A reader is dead: someone switches it on again, sooner or later."""
        if window.is_retired and not self.is_healing:
            return
        pause_us = self.seeds.stream("revive", window.reader.name, self.world.now_us).randrange(
            200_000, 15 * _SECOND_US
        )
        self.world.at(self.world.now_us + pause_us, partial(self.switch_on, window))

    def _crashed(self, name: str, error: BaseException, text: str) -> None:
        if not isinstance(error, MemoryError):
            self.watch.report(f"{name} crashed: {text}")

    def _count(self, what: str) -> None:
        self.fired[what] += 1

    # -- looking on -----------------------------------------------------------------------------

    def _building_says(self, topic: str, payload: bytes) -> None:
        if self.watch.is_down(topic):
            device = int(topic.split("/")[3])
            for window in self.windows:
                if window.device == device:
                    window.answered_us = self.world.now_us
            if not self.fired["building mqtt forged"]:
                self.watch.down(self.agent.path, topic, payload)

    def _centre_says(self, topic: str, payload: bytes) -> None:
        if topic == topics.agent_receipts(SITE):
            self.watch.receipts(payload)

    # -- people ---------------------------------------------------------------------------------

    def arrive(self, window: Window, customer: Customer) -> None:
        """A customer gets in line."""
        customer.held.is_busy = True
        for other in customer.others:
            other.is_busy = True
            self._counters[other.card_no] = self._counter_of(other)
        window.clerk.join(customer)

    def free_cards(self) -> list[HeldCard]:
        return [card for card in self.cards if not card.is_busy]

    def _served(self, customer: Customer, was_paid: bool) -> None:
        for held in (customer.held, *customer.others):
            held.is_busy = False
        payer = customer.held
        if customer.others:
            # Two cards in one hand, and the reader met only one: what stands on them says which.
            amount_fen = customer.amount_fen
            payer = next(
                (one for one in customer.others if self._has_paid(one, amount_fen)), payer
            )
        what = payer.card_no, customer.amount_fen
        is_card = customer.code is None
        if was_paid:
            (self.paid if is_card else self.by_code)[what] += 1
        elif self.tally.given_up > self._given_up:
            (self.unsure if is_card else self.unsure_by_code)[what] += 1
        if customer.has_cancelled:
            self.cancelled[what] += 1
        self._given_up = self.tally.given_up

    def _has_paid(self, card: HeldCard, amount_fen: int) -> bool:
        # Not its memory: a debit that came to nothing leaves its traces there too.
        if card.issued_fen is None:
            return False
        since, now = self._counters[card.card_no], truth(card.chip, self.keys)
        return self.watch.steps.has_paid(card.card_no, amount_fen, since, now)

    def top_up(
        self, card: HeldCard, amount_fen: int, order_id: str, *, is_told_twice: bool
    ) -> None:
        """The holder pays in; the channel may tell of it twice, and it counts once."""
        for _ in range(1 + is_told_twice):
            self.books.top_ups.top_up(card.card_no, amount_fen, order_id)
        self.paid_in[card.card_no, amount_fen] += 1
        self.fired["money paid in"] += 1

    def _counter_of(self, card: HeldCard) -> int:
        """How often it has been debited; no reader debits a card that was not issued here."""
        return 0 if card.issued_fen is None else truth(card.chip, self.keys).counter

    def count_quiet_faults(self) -> None:
        """What models have counted by themselves."""
        self.fired["card write torn"] += sum(card.chip.torn_writes for card in self.cards)
        self.fired["DESFire commit torn"] += sum(
            card.chip.torn_writes for card in self.cards if isinstance(card.chip, Desfire)
        )
        self.fired["radio disturbed"] += sum(w.hardware.field.disturbed for w in self.windows)

    # -- the end --------------------------------------------------------------------------------

    def run_until(self, until_us: int) -> None:
        """Let everything happen that is due by then."""
        while self.world.step(until_us):
            pass

    def open_windows(self) -> list[Window]:
        return [window for window in self.windows if not window.is_retired]

    def any_window(self, draw: random.Random) -> Window:
        return draw.choice(self.open_windows())

    def later(self, delay_us: int, act: Callable[[], None]) -> None:
        self.world.at(self.world.now_us + delay_us, act)

    def until(self, duration_us: int, end: Callable[[], None]) -> None:
        """`end` is called once: after the duration, or when the campus heals before."""
        ended = []

        def once() -> None:
            if not ended:
                ended.append(True)
                end()

        self.endings.append(once)
        self.later(duration_us, once)

    def close(self) -> None:
        for window in self.windows:
            window.reader.home.kill()
        self.agent.kill()
        self.ledger.kill()
        self.books.close()
        self.watch.close()
