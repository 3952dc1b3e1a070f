"""Bus traffic of our RC522 driver beside the drivers on PyPI, on the same modelled chip and card.

Every driver, ours included, sits on a 1 MHz bus (the others' own setting) where a transaction
costs 30 us beside its bits, and does the same four things. Polls are counted: they are traffic
too. The time is that of chip, card and bus; a driver's own code takes none. Each rival runs in a
process of its own, with fakes for the Raspberry Pi beneath it.

What no rival does at all is measured beside what the design allows for it.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import Mfrc522 as OurDriver
from simulator.cards.desfire import Desfire
from simulator.cards.field import Card, Field
from simulator.cards.mifare_classic import MifareClassic
from simulator.chips.mfrc522 import Mfrc522
from simulator.world.clock import ReaderClock, World
from tools.bench import driver_folder, fake_pi
from tools.bench.rc522_peers import BLOCK, PEERS, Driver, Ours
from tools.rooms import ROOT

UID = bytes.fromhex("de3ac417")
OLD, NEW = bytes(range(16)), bytes(range(16, 32))
SPI_HZ, CALL_US = 1_000_000, 30
OPERATIONS = ("empty poll", "select, 4-byte UID", "authenticate and read", "write")
# Transactions that the design allows.
DESIGN_MAX = {
    "select, 7-byte UID": 43,
    "RATS": 5,
    "ISO-DEP exchange": 5,
    "look into a dark field": 8,
}
UID7 = bytes.fromhex("04a1b2c3d4e5f6")
PAUSE_MS = 100
GET_VERSION, GO_ON, VERSION_PART_BYTES = b"\x60", b"\xaf", 8
PEER_TIMEOUT_S = 120

UNITS = ("SPI transactions", "SPI bytes", "us, modelled")
# By operation: a figure for each of UNITS.
Counts = dict[str, tuple[int, int, int]]
Steps = tuple[Callable[[], bool], Callable[[], bool], Callable[[], bool], Callable[[], bool]]


class WrongResult(Exception):
    """A driver did not do what it was asked to; the text says which step."""


class Desk:
    """A chip, a clock and a card; also the board seam for our own driver, with its settings."""

    def __init__(self, **settings: int) -> None:
        self.clock = ReaderClock(World(0))
        self.field = Field(self.clock)
        stream = random.Random(0)
        self.chip = Mfrc522(self.clock, self.field, stream, call_us=CALL_US, spi_hz=SPI_HZ)
        self.card = MifareClassic(UID, rng=random.Random(1))
        self.card.blocks[BLOCK] = OLD
        self.clock.advance_us(1000)
        self.rfid = self
        self.settings = settings
        self.exchange, self.irq = self.chip.exchange, self.chip.irq
        self.reset = self.chip.reset_pin
        self.sleep_us = self.clock.advance_us

    def ticks_us(self) -> int:
        """The board's microseconds."""
        return self.clock.now_us

    def place(self, card: Card) -> None:
        """Put `card` down and give it time to wake up."""
        self.field.place(card)
        self.clock.advance_us(10_000)

    def count(self, operation: str, step: Callable[[], bool]) -> tuple[int, int, int]:
        """What `step` takes; WrongResult when it did not do its work."""
        before = self.chip.transactions, self.chip.bytes_moved, self.clock.now_us
        if not step():
            raise WrongResult(operation)
        transactions, moved, start_us = before
        return (
            self.chip.transactions - transactions,
            self.chip.bytes_moved - moved,
            self.clock.now_us - start_us,
        )

    def measure(self, steps: Steps) -> Counts:
        """Run a step per operation, each True on success.

        The card comes after the empty poll. WrongResult when a step did not do its work.
        """
        counts: Counts = {}
        for operation, step in zip(OPERATIONS, steps, strict=True):
            counts[operation] = self.count(operation, step)
            self.place(self.card)
        if self.card.blocks[BLOCK] != NEW:
            raise WrongResult("the block was not written")
        return counts


def steps_of(driver: Driver) -> Steps:
    """The four operations."""
    return (
        lambda: driver.find() is None,
        lambda: driver.find() == UID,
        lambda: driver.read(UID) == OLD,
        lambda: driver.write(NEW),
    )


def measure_ours() -> Counts:
    """The counts of firmware/drivers."""
    desk = Desk()
    driver = Ours(desk)
    driver.poll()  # sets the chip up; a reader polls for ever, so what counts is the next one
    return desk.measure(steps_of(driver))


def measure_alone() -> Counts:
    """The counts of what only our driver does: a DESFire card, and a field that goes dark."""
    desk = Desk()
    pcd = Pcd(OurDriver(desk))
    pcd.poll()
    desk.place(Desfire(UID7, random.Random(1)))
    found = desk.count("select, 7-byte UID", lambda: getattr(pcd.poll(), "uid", b"") == UID7)
    link = IsoDep(pcd, pcd.card)
    counts = {
        "select, 7-byte UID": found,
        "RATS": desk.count("RATS", lambda: link.activate() is None),
    }

    def exchange(command: bytes) -> bool:
        answer = link.exchange(command, VERSION_PART_BYTES)
        return len(answer) == VERSION_PART_BYTES and answer[:1] == GO_ON

    exchange(
        GET_VERSION
    )  # sets the timer to the card's waiting time, for this and all that follow
    counts["ISO-DEP exchange"] = desk.count("ISO-DEP exchange", lambda: exchange(GO_ON))
    dark = Desk(rfid_pause_ms=PAUSE_MS)
    pcd = Pcd(OurDriver(dark))
    pcd.poll()
    dark.clock.advance_us(PAUSE_MS * 1000)
    counts["look into a dark field"] = dark.count("dark", lambda: pcd.poll() is None)
    return counts


def measure_peer(distribution: str, folder: Path) -> Counts:
    """The counts of a rival unpacked in `folder`; WrongResult when it fails."""
    told = json.loads(run_peer(__name__, distribution, folder))
    return {name: (one[0], one[1], one[2]) for name, one in told.items()}


def run_peer(module: str, distribution: str, folder: Path) -> str:
    """What `module` prints when run for a rival unpacked in `folder`, in a process of its own.

    WrongResult when it fails there; the text is the last line of its complaint.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-m", module, distribution],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PEER_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise WrongResult((done.stderr.strip() or "no output").splitlines()[-1])
    return done.stdout


def rows() -> list[dict[str, object]]:
    """Each operation: ours beside each rival that is installed, or beside what the design says."""
    ours = measure_ours()
    table: list[dict[str, object]] = [
        {
            "name": f"RC522, {operation}",
            "ours": transactions,
            "other": DESIGN_MAX[operation],
            "against": "the design's budget",
            "unit": "SPI transactions",
        }
        for operation, (transactions, _, _) in measure_alone().items()
    ]
    for distribution, (version, _driver) in PEERS.items():
        folder = driver_folder(distribution)
        if folder is None:
            print(f"rc522: {distribution} is not installed, no row for it", file=sys.stderr)
            continue
        theirs = measure_peer(distribution, folder)
        for operation in OPERATIONS:
            for index, unit in enumerate(UNITS):
                table.append(
                    {
                        "name": f"RC522, {operation}",
                        "ours": ours[operation][index],
                        "other": theirs[operation][index],
                        "against": f"{distribution} {version}",
                        "unit": unit,
                    }
                )
    return table


def _peer_process(distribution: str) -> None:
    desk = Desk()
    fake_pi.install(desk.chip)
    driver = PEERS[distribution][1]()
    desk.clock.advance_us(10_000)
    print(json.dumps(desk.measure(steps_of(driver))))


if __name__ == "__main__":
    _peer_process(sys.argv[1])
