"""Bus traffic of our RC522 driver beside the drivers on PyPI, on the same modelled chip and card.

Every driver, ours included, sits on a 1 MHz bus (the others' own setting) where a transaction
costs 30 us beside its bits, and does the same four things. Polls are counted: they are traffic
too. Each rival runs in a process of its own, with fakes for the Raspberry Pi beneath it.

What no rival does at all is measured beside what the design allows for it.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import Mfrc522 as OurDriver
from firmware.drivers.mifare_classic import Classic
from simulator.cards.desfire import Desfire
from simulator.cards.field import Card, Field
from simulator.cards.mifare_classic import FACTORY_KEY, MifareClassic
from simulator.chips.mfrc522 import Mfrc522
from simulator.world.clock import ReaderClock, World
from tools.bench import driver_folder, fake_pi
from tools.rooms import ROOT

UID = bytes.fromhex("de3ac417")
BLOCK = 4
OLD, NEW = bytes(range(16)), bytes(range(16, 32))
SPI_HZ, CALL_US = 1_000_000, 30
REQA, KEY_A = 0x26, 0x60
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

Counts = dict[str, tuple[int, int]]
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

    def count(self, operation: str, step: Callable[[], bool]) -> tuple[int, int]:
        """(transactions, bytes) of `step`; WrongResult when it did not do its work."""
        transactions, bytes_moved = self.chip.transactions, self.chip.bytes_moved
        if not step():
            raise WrongResult(operation)
        return self.chip.transactions - transactions, self.chip.bytes_moved - bytes_moved

    def measure(self, steps: Steps) -> Counts:
        """Run a step per operation, each True on success; {operation: (transactions, bytes)}.

        The card comes after the empty poll. WrongResult when a step did not do its work.
        """
        counts: Counts = {}
        for operation, step in zip(OPERATIONS, steps, strict=True):
            counts[operation] = self.count(operation, step)
            self.place(self.card)
        if self.card.blocks[BLOCK] != NEW:
            raise WrongResult("the block was not written")
        return counts


def measure_ours() -> Counts:
    """The counts of firmware/drivers."""
    desk = Desk()
    pcd = Pcd(OurDriver(desk))
    pcd.poll()  # sets the chip up; a reader polls for ever, so what counts is the next one
    opened: list[Classic] = []

    def select() -> bool:
        card = pcd.poll()
        return card is not None and card.uid == UID

    def read() -> bool:
        opened.append(Classic(pcd, pcd.card))
        opened[0].authenticate(BLOCK, FACTORY_KEY)
        return opened[0].read(BLOCK) == OLD

    return desk.measure(
        (
            lambda: pcd.poll() is None,
            select,
            read,
            lambda: opened[0].write(BLOCK, NEW) is None,
        )
    )


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


# ---------------------------------------------------------------- the others
# Their status 0 is success. `Any`: nothing here is typed, nor installed when we are checked.


def _mfrc522() -> Steps:
    reader: Any = import_module("mfrc522").MFRC522()

    def select() -> bool:
        found = reader.MFRC522_Request(REQA)[0] == 0
        status, uid = reader.MFRC522_Anticoll()
        sak = reader.MFRC522_SelectTag(uid)
        return found and status == 0 and bytes(uid[:4]) == UID and sak == 8

    def read() -> bool:
        status = reader.MFRC522_Auth(KEY_A, BLOCK, list(FACTORY_KEY), list(UID))
        return status == 0 and bytes(reader.MFRC522_Read(BLOCK)) == OLD

    return (
        lambda: reader.MFRC522_Request(REQA)[0] != 0,
        select,
        read,
        lambda: reader.MFRC522_Write(BLOCK, list(NEW)) is None,
    )


def _mfrc522_python() -> Steps:
    reader: Any = import_module("mfrc522").MFRC522()

    def select() -> bool:
        found = reader.Request(REQA)[0] == 0
        status, uid = reader.Anticoll()
        reader.SelectTag(uid)
        return found and status == 0 and bytes(uid[:4]) == UID

    def read() -> bool:
        status = reader.Authenticate(KEY_A, BLOCK, list(FACTORY_KEY), list(UID))
        return status == 0 and bytes(reader.ReadTag(BLOCK)) == OLD

    return (
        lambda: reader.Request(REQA)[0] != 0,
        select,
        read,
        lambda: reader.WriteTag(BLOCK, list(NEW)) is None,
    )


def _pi_rc522() -> Steps:
    reader: Any = import_module("pirc522").RFID()

    def select() -> bool:
        found = not reader.request()[0]
        failed, uid = reader.anticoll()
        return found and not failed and bytes(uid[:4]) == UID and not reader.select_tag(uid)

    def read() -> bool:
        failed = reader.card_auth(KEY_A, BLOCK, list(FACTORY_KEY), list(UID))
        refused, data = reader.read(BLOCK)
        return not failed and not refused and bytes(data) == OLD

    return (
        lambda: bool(reader.request()[0]),
        select,
        read,
        lambda: not reader.write(BLOCK, list(NEW)),
    )


# Distribution on PyPI -> version, and how to do the four things with it.
PEERS = {
    "mfrc522": ("0.0.7", _mfrc522),
    "mfrc522-python": ("0.0.9", _mfrc522_python),
    "pi-rc522": ("2.3.0", _pi_rc522),
}


def measure_peer(distribution: str, folder: Path) -> Counts:
    """The counts of a rival unpacked in `folder`, from a process of its own.

    WrongResult when it fails there; the text is the last line of its complaint.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    command = [sys.executable, "-m", "tools.bench.rc522", distribution]
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PEER_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise WrongResult((done.stderr.strip() or "no output").splitlines()[-1])
    return {name: (pair[0], pair[1]) for name, pair in json.loads(done.stdout).items()}


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
        for operation, (transactions, _bytes) in measure_alone().items()
    ]
    for distribution, (version, _steps) in PEERS.items():
        folder = driver_folder(distribution)
        if folder is None:
            print(f"rc522: {distribution} is not installed, no row for it", file=sys.stderr)
            continue
        theirs = measure_peer(distribution, folder)
        for operation in OPERATIONS:
            for index, unit in enumerate(("SPI transactions", "SPI bytes")):
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
    steps = PEERS[distribution][1]()
    desk.clock.advance_us(10_000)
    print(json.dumps(desk.measure(steps)))


if __name__ == "__main__":
    _peer_process(sys.argv[1])
