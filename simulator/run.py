"""Runs a scenario: builds the world, lets things happen, waits until all is quiet, and judges."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from ledger.phones import CODE_KEY_BYTES
from protocols.rules import clock as clock_rules
from simulator import locks
from simulator.acquiring import judge as judge_acquirer
from simulator.cardbox import HeldCard, make_cards
from simulator.checkers import Flash, Verdict, journal_of, judge
from simulator.checkers_scan import judge_scans
from simulator.chips.nor_flash import NorFlash
from simulator.chips.qr_scanner import QrScanner
from simulator.chips.usb_host import UsbHost
from simulator.code_checker import judge_codes
from simulator.happenings import announce, happen
from simulator.homes import Homes
from simulator.host.hardware import Hardware
from simulator.host.lock_hardware import LockHardware
from simulator.in_ledger import counts
from simulator.meal_checker import too_many
from simulator.operators import log_in
from simulator.payers import Channel, Scans
from simulator.people import Clerk, Customer, Tally
from simulator.phones import Phones
from simulator.provisioning import Secrets, stored
from simulator.reader import Reader
from simulator.register import register
from simulator.report import Report
from simulator.residence.doze import DoorHome
from simulator.rest import Rest
from simulator.scenario import Scenario, ScenarioError, Step, load
from simulator.scenario_words import EXPECTS
from simulator.services import Services
from simulator.speech_checker import misspoken
from simulator.world.clock import World
from simulator.world.network import ReaderCable
from simulator.world.randomness import Seeds
from simulator.world.transcript import Transcript

__all__ = ["Report", "Run", "ScenarioError", "run_scenario"]

FLASH_BYTES = 256 * 1024
CARD_FLASH_BYTES = 10 * 4096  # twice 65,536 cards, and what changes
DOOR_FLASH_BYTES = 16 * 4096  # and twice who may open a door
_SECOND_US = 1_000_000
_LOOK_US = 5 * _SECOND_US
_QUIET_US = 5 * _SECOND_US
_STATUS_US = 60 * _SECOND_US
# What a scenario calls the age of a reader's battery.
_AGE = {"battery_percent": "health_percent", "celsius": "celsius"}


class TimeOut(Exception):
    """The scenario took more real time than it allows itself."""


Progress = Callable[[str], None]


def run_scenario(
    path: Path,
    seed: int | None = None,
    home: str = "cpython",
    depth: str = "register",
    broker: str = "auto",
    progress: Progress | None = None,
    keep: Path | None = None,
) -> Report:
    """Play a scenario file and judge the end; ScenarioError for a file that cannot be used.

    `keep` is a new folder for what remains: the event log, each reader's flash and key, the
    agent's and the ledger's databases. The keys are the simulation's own and worth nothing.
    """
    scenario = load(path)
    if home == "vm" and depth == "card":
        raise ScenarioError(path, 1, "--depth card has no registers for a driver in a VM")
    if keep is not None and keep.exists():
        raise ScenarioError(path, 1, f"--keep {keep}: is there already")
    directory = keep or Path(tempfile.mkdtemp(prefix="onecard-"))
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if keep is None:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        log = stack.enter_context((directory / "events.log").open("w")) if keep else None
        chosen = scenario.seed if seed is None else seed
        run = Run(scenario, chosen, home, depth, directory, log)
        stack.callback(run.close)
        run.build(broker)
        report = run.play(progress)
        if keep is not None:
            run.leave_behind(keep)
        return report


class Run:
    """One scenario, one seed, one world."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        home: str,
        depth: str,
        directory: Path,
        log: TextIO | None,
        homes: Homes | None = None,
    ) -> None:
        self.scenario = scenario
        self.seeds = Seeds(seed)
        self.world = World(scenario.start_utc_s)
        self.transcript = Transcript(log)
        self.readers: dict[str, Reader] = {}
        self.provisioned: dict[str, dict[str, bytes]] = {}  # what a cable writes, by reader
        self.clerks: dict[str, Clerk] = {}
        self.cards: list[HeldCard] = []
        self.tally = Tally()
        self.channel = Channel()
        self.scans = Scans()
        self.paid: Counter[tuple[int, int]] = Counter()
        self.paid_in: Counter[tuple[int, int]] = Counter()
        self.readings: dict[
            int, str | list[str]
        ] = {}  # what the person of each step read, by line
        self.not_shown: list[str] = []  # what they should have read, and did not
        self.cancelled: Counter[tuple[int, int]] = Counter()
        self.by_code: Counter[tuple[int, int]] = Counter()
        self.phones = Phones(self.world, self.seeds.stream("phones"))
        self.rest = Rest(self)
        self._directory = directory
        self._homes = homes or Homes(home, depth, directory, dozes=scenario.dozes)
        self._report = Report(scenario.name, seed, home, depth)
        self.applications: dict[str, int] = {}  # of new readers, by name: the form of annex 2
        self._proven: dict[str, str] = {}  # who has logged in at the card centre, by name
        self.kept_in: list[str] = []  # who wanted to leave by a door and could not
        self._started_s = time.monotonic()
        self._progress: Progress | None = None
        self._services: Services | None = None

    @property
    def services(self) -> Services:
        """The real tiers above the readers; there once build() was called."""
        assert self._services is not None
        return self._services

    # -- building ---------------------------------------------------------------------------

    def build(self, broker: str) -> None:
        """Broker, ledger, agent, cards and readers, all connected and at rest."""
        scenario = self.scenario
        self.secrets = self.draw_secrets()
        self.keys, self.device_keys = self.secrets.cards, self.secrets.devices
        self._services = Services(
            scenario.sites,
            self.world,
            self._directory,
            broker,
            self.secrets.signing,
            self.keys.credit,
            self.seeds.stream("desk").randbytes,
            with_cards=any(
                {"card_map", "ledger_menu"} & set(reader) for reader in scenario.readers
            )
            or any(step.do == "limit" for step in scenario.steps),
            on_line=[
                reader["device"]
                for reader in scenario.readers
                if reader.get("serial") and reader["name"] not in self._homes.boards
            ],
            carry_over_after_s=scenario.carry_over_us // _SECOND_US,
            code_key=self.seeds.stream("code-key").randbytes(CODE_KEY_BYTES),
            with_acquirer=scenario.has_acquirer,
        )
        self.services.naps_us = self.rest.service_naps_us
        self._report.broker = self.services.broker_kind
        self._make_cards()
        register(self)
        now_s = self.world.utc_s()
        self._proven = log_in(self.services.store, self.scenario.operators, now_s)
        self.services.start_ledger()
        self.services.settle(0)  # it has subscribed before anybody asks it something
        for name, board in self._homes.boards.items():
            self.services.building_of(self.site_of(name)).lines.append(board)
        self.services.start_agents()
        self.services.settle(0)
        if scenario.elsewhere:
            self.services.start_elsewhere(scenario.elsewhere)
            self.services.settle(0)
        for description in scenario.readers:
            self._add_reader(description)
        for number, reader in enumerate(self.readers.values()):
            at_us = scenario.start_over_us * number // len(self.readers)
            if at_us:
                self.world.at(at_us, partial(self._start, reader))
            else:
                reader.switch_on()

    def _start(self, reader: Reader) -> None:
        """For the first time, unless somebody has done so."""
        if not reader.boots:
            reader.switch_on()

    # What a run draws for itself; one with a board from outside has it from there.

    def draw_secrets(self) -> Secrets:
        return Secrets.drawn(self.scenario, self.seeds)

    def stored(self, description: dict[str, Any]) -> dict[str, bytes]:
        return stored(self.scenario, self.secrets, description)

    def journal_flash(self, draw: random.Random) -> NorFlash:
        return NorFlash(FLASH_BYTES, draw)

    def image_flash(self) -> NorFlash | None:
        """The partition of both images, of a reader that has a loader."""
        return None

    def _make_cards(self) -> None:
        today = clock_rules.day(self.scenario.start_utc_s, self.scenario.policy["utc_offset_s"])
        for batch in self.scenario.cards:
            draw = self.seeds.stream("cards", batch.name)
            self.cards += make_cards(batch, self.keys, draw, today)

    def _add_reader(self, description: dict[str, Any]) -> None:
        name = description["name"]
        role = description.get("role", "pos")
        draw = self.seeds.stream("reader", name)
        flash = self.journal_flash(self.seeds.stream("flash", name))
        nvs = self.stored(description)
        # Whose menu is the ledger's has it from there.
        lacks = ("menu",) if description.get("ledger_menu") else ()
        self.provisioned[name] = {key: nvs[key] for key in nvs if key not in lacks}
        age = {_AGE[name]: description[name] for name in _AGE if name in description}
        card_flash = None
        if description.get("card_map"):
            size = DOOR_FLASH_BYTES if role in ("door", "lock") else CARD_FLASH_BYTES
            card_flash = NorFlash(size, self.seeds.stream("card-flash", name))
        make = LockHardware if role == "lock" else Hardware
        hardware = make(name, self.world, self.transcript, flash, nvs, draw, age, card_flash)
        hardware.image_flash = self.image_flash()
        has_scanner = bool(description.get("scanner"))
        if description.get("usb"):
            role, hardware.usb = "usb_desk", UsbHost(hardware.clock)
        reader = self._homes.reader(
            f"code_{role}" if has_scanner else role, hardware, self.services.after_step
        )
        reader.keeps_pulse = role == "door"
        self.readers[name] = reader
        if reader.is_real:
            return  # nobody of ours serves there, and no cable of ours ends there
        if has_scanner:
            scanner = QrScanner(reader, self.seeds.stream("scanner", name))
            scanner.on_bytes = reader.wake
            hardware.scanner = scanner
        if hardware.has_line and self.services.line:
            hardware.line = self.services.line.tap(locks.hang_up(reader))
        else:
            building = self.services.building_of(self.site_of(name))
            hardware.cable = ReaderCable(name, building.port, reader.wake)
        self.clerks[name] = Clerk(
            reader,
            self.world,
            self.seeds.stream("clerk", name),
            self.tally,
            self._served,
            self.scans,
        )
        reader.naps_us = self.rest.naps_of(reader, self.clerks[name])
        if isinstance(reader.home, DoorHome):
            reader.home.rest_left_us = self.rest.left_us

    # -- playing ----------------------------------------------------------------------------

    def play(self, progress: Progress | None = None) -> Report:
        """Everything in the file, then quiet, then the verdict; `progress` is told on the way."""
        self._progress = progress
        for step in self.scenario.steps:
            announce(self, step)
            self.world.at(step.at_us, partial(happen, self, step))
        if progress is not None:
            self.world.at(_STATUS_US, self._tell_status)
        return self.play_out(self.scenario.steps)

    def play_out(self, steps: Sequence[Step]) -> Report:
        """Until the last of these steps has happened, then quiet, then the verdict.

        Whoever has let them happen one by one ends as whoever has played them from the start: the
        looks at whether it is quiet are at the same times.
        """
        last_us = max(step.at_us + step.fields.get("over", 0) for step in steps)
        try:
            self._until_us(-(-self.world.now_us // _LOOK_US) * _LOOK_US)
            self._until(lambda: self.world.now_us >= last_us and self._is_served())
            end_us = self.world.now_us + self.scenario.drain_us
            self._until(lambda: self.world.now_us >= end_us or self._is_drained())
            self._until_us(self.world.now_us + _QUIET_US)
        except TimeOut:
            self._report.timed_out = True
        return self._judge()

    def listen(self, progress: Progress) -> None:
        """Who watches, where nobody plays it from start to end."""
        self._progress = progress

    def tell(self, what: str) -> None:
        """Tell whoever watches, with the time of day in the canteen."""
        if self._progress is not None:
            utc_s = self.world.utc_s() + self.scenario.policy["utc_offset_s"]
            self._progress(time.strftime("%H:%M:%S  ", time.gmtime(utc_s)) + what)

    def read(self, step: Step, text: str) -> None:
        """The person of a step has read this in the end; is it what the step expects?"""
        self.readings[step.line] = text
        wanted = step.fields.get(EXPECTS[step.do])
        if wanted not in (None, text):
            name = step.fields["reader"]
            self.not_shown.append(f"line {step.line}: {name} says '{text}', not '{wanted}'")

    def _tell_status(self) -> None:
        heads = Counter(self.services.store.heads())  # who is new has none
        waiting = sum(self._journal_head(name) - heads[device] for name, device in self.devices())
        queues = sum(len(clerk.queue) for clerk in self.clerks.values())
        tally = self.tally
        self.tell(
            f"  paid {tally.paid}, refused {sum(tally.refused.values())}, queueing {queues}, "
            f"records waiting to be booked {waiting}"
        )
        self.world.at(self.world.now_us + _STATUS_US, self._tell_status)

    def _until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            self._until_us(self.world.now_us + _LOOK_US)

    def _until_us(self, until_us: int) -> None:
        while self.world.step(until_us):
            if time.monotonic() - self._started_s > self.scenario.timeout_s:
                raise TimeOut

    def _is_served(self) -> bool:
        return all(clerk.is_idle for clerk in self.clerks.values())

    def _is_drained(self) -> bool:
        """Whether the ledger has every record of a journal, and has told what follows."""
        if self.services.owes_acquirer():
            return False
        heads = Counter(self.services.store.heads())  # who is new has none
        return all(self._journal_head(name) <= heads[device] for name, device in self.devices())

    def devices(self) -> list[tuple[str, int]]:
        return [(reader["name"], reader["device"]) for reader in self.scenario.readers]

    def card(self, name: str) -> HeldCard:
        """The card that goes by a name."""
        (found,) = (card for card in self.cards if card.name == name)
        return found

    def named(self, person: str) -> str:
        """A person as the ledger hears of them: with a session, or as a typed name."""
        return self._proven.get(person, person)

    def site_of(self, name: str) -> str:
        """The site where a reader is at home."""
        (found,) = (one for one in self.scenario.readers if one["name"] == name)
        return found.get("site", self.scenario.site)

    def _journal_head(self, name: str) -> int:
        return journal_of(self.readers[name].hardware.flash).head_seq

    def _judge(self) -> Report:
        report, store = self._report, self.services.store
        flashes = {device: self.readers[name].hardware.flash for name, device in self.devices()}
        verdict = self.judged(flashes)
        judge_codes(store, flashes, self.by_code, verdict)
        summary = store.summary()
        report.taps = self.tally.taps
        report.approved = self.tally.paid
        report.refusals = dict(sorted(self.tally.refused.items()))
        report.refused = sum(report.refusals.values())
        report.given_up = self.tally.given_up
        report.records, report.booked = summary["records"], summary["booked"]
        report.lost, report.duplicated = verdict.lost, verdict.duplicated
        report.unseen = verdict.unseen
        report.conserved, report.in_flight_fen = verdict.conserved, verdict.in_flight_fen
        report.issued_fen, report.on_cards_fen = verdict.issued_fen, verdict.on_cards_fen
        report.booked_fen = verdict.booked_fen
        report.topped_up = self.paid_in.total()
        report.loaded, report.paid_in_fen = verdict.loaded, verdict.paid_in_fen
        report.loaded_fen = verdict.loaded_fen
        report.cancelled, report.cancelled_fen = verdict.cancelled, verdict.cancelled_fen
        served = self.scenario.periods, self.scenario.policy["utc_offset_s"]
        report.sold_by_code = verdict.sold_by_code
        report.sold_by_code_fen = verdict.sold_by_code_fen
        report.violations = verdict.violations + self.kept_in
        if self.services.acquiring:
            report.violations += judge_acquirer(store, self.services.acquiring.charged())
        report.violations += too_many(self.cards, self.keys, store, *served)
        for reader in self.readers.values():
            report.violations += misspoken(reader.hardware)
        report.scanned = self.scans.recorded.total()
        of = {reader["name"]: reader for reader in self.scenario.readers}
        names = {
            name: (of[name]["device"], self.scenario.merchants[of[name]["merchant"]])
            for name in of
        }
        report.violations += judge_scans(store, flashes, self.scans, names)
        report.takings_fen = {
            name: store.takings(number) - store.given_back(number)
            for name, number in self.scenario.merchants.items()
        }
        report.in_ledger = counts(store, self.scenario.policy, self.world.utc_s())
        report.failures += self.not_shown
        report.transcript_sha256 = self.transcript.sha256()
        report.virtual_s = self.world.now_us // _SECOND_US
        report.real_s = int(time.monotonic() - self._started_s)
        report.check(self.scenario.asserts)
        return report

    def judged(self, flashes: Mapping[int, Flash]) -> Verdict:
        """Cards, books and these journals compared; without cards that real boards have had.

        What stands on a real card nobody here can read.
        """
        away = self.cards_away()
        cards = [card for card in self.cards if card.card_no not in away]
        paid = Counter({key: count for key, count in self.paid.items() if key[0] not in away})
        store = self.services.store
        people = paid, (), self.paid_in, self.cancelled
        return judge(cards, self.keys, store, flashes, *people, elsewhere=away)

    def cards_away(self) -> set[int]:
        """The cards, by number, that a real board has had to do with, as the ledger knows."""
        real = {name for name, reader in self.readers.items() if reader.is_real}
        rows = self.services.store.database.rows
        sql = "SELECT DISTINCT card_no FROM intent WHERE device = ?"
        return {
            card_no
            for name, device in self.devices()
            if name in real
            for (card_no,) in rows(sql, (device,))
        }

    def leave_behind(self, directory: Path) -> None:
        """Write every reader's flash and key into a folder, for `onecard journal show`."""
        for name, device in self.devices():
            (directory / f"{name}.flash").write_bytes(self.readers[name].hardware.flash.image())
            key_file = directory / f"{name}.key"
            key_file.touch(0o600)  # as whatever reads it wants it
            key_file.write_text(self.device_keys[device].hex() + "\n")

    def top_up(self, held: HeldCard, amount_fen: int, order_id: str) -> None:
        """The holder pays in by the app: money that waits for the card."""
        self.services.store.top_ups.top_up(held.card_no, amount_fen, order_id)
        self.paid_in[held.card_no, amount_fen] += 1

    def pay(self, reader: str, amount_fen: int) -> None:
        """A telephone pays the merchant of a reader by the code that is shown there."""
        (merchant,) = (one["merchant"] for one in self.scenario.readers if one["name"] == reader)
        time_s = self.world.utc_s()
        moment = datetime.fromtimestamp(time_s, UTC).isoformat()
        self.channel.pay(self.scenario.merchants[merchant], amount_fen, moment)

    def close(self) -> None:
        for reader in self.readers.values():
            reader.switch_off()
        if self._services is not None:
            self._services.close()

    def _served(self, customer: Customer, was_paid: bool) -> None:
        for held in (customer.held, *customer.others):
            held.is_busy = False
        if was_paid:
            paid = self.paid if customer.code is None else self.by_code
            paid[customer.payer_no, customer.amount_fen] += 1
        if customer.has_cancelled:
            self.cancelled[customer.held.card_no, customer.amount_fen] += 1
