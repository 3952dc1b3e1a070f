"""How much faster than real time a scenario runs, by where the firmware runs and how deep.

The readers, brokers, agent and ledger of one scenario with every fault; starting and judging are
not counted. Two readers do not make much of a difference to what the brokers cost, so beside the
whole there is the part that grows with the readers: CPU time of this process for the dialogue of
a card, poll to debit.
"""

import random
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services.purse import COMMITTED
from firmware.services.purse_classic import ClassicPurse, PurseKeys
from simulator.cardbox import CardKeys, aes, make_cards
from simulator.chips.nor_flash import NorFlash
from simulator.host.board import HostRfid
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.run import Run
from simulator.scenario import CardBatch, load
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tools.rooms import ROOT

SCENARIO = ROOT / "simulator" / "scenarios" / "every_fault.toml"
WAYS = (("cpython", "register"), ("cpython", "card"), ("vm", "register"))
DIALOGUES = 100


class NotRight(Exception):
    """The run violated something: its speed means nothing."""


def speed(scenario: Path, home: str, depth: str) -> float:
    """Virtual seconds for each real second of playing `scenario`."""
    loaded = load(scenario)
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        run = Run(loaded, loaded.seed, home, depth, Path(folder), None)
        try:
            run.build("amqtt")
            start_s = time.perf_counter()
            report = run.play()
            took_s = time.perf_counter() - start_s
        finally:
            run.close()
    if report.violations or report.timed_out:
        raise NotRight(f"{home}, {depth}: {report.violations}")
    return run.world.now_us / 1e6 / took_s


class _Board:
    """As much of a board as the RC522 driver wants."""

    def __init__(self, hardware: Hardware) -> None:
        self.rfid = HostRfid(hardware)
        self.ticks_us, self.sleep_us = hardware.ticks_us, hardware.sleep_us
        self.settings: dict[str, int] = {}


def dialogue_s(depth: str, dialogues: int) -> tuple[float, float]:
    """(CPU seconds, virtual seconds) of one purchase: found, selected, read, debited."""
    draw = random.Random(1)
    flash = NorFlash(4096, draw)
    hardware = Hardware("bench", World(0), Transcript(), flash, {}, draw)
    hardware.power_on()
    pcd = front_end(hardware) if depth == "card" else Pcd(Mfrc522(_Board(hardware)))
    keys = CardKeys.drawn(draw)
    batch = CardBatch("bench", 1, "ours", 1, 1, (1_000_000, 1_000_000))
    card = make_cards(batch, keys, draw, 20_000)[0].chip
    purse_keys = [PurseKeys(aes, keys.purse, keys.mac)]
    pcd.poll()
    start_us, start_s = hardware.clock.now_us, time.process_time()
    for number in range(1, dialogues + 1):
        hardware.put_card(card)
        hardware.clock.advance_us(10_000)
        purse = ClassicPurse(pcd, pcd.poll(), purse_keys)
        view = purse.read()
        if purse.debit(view, 1, 1, number, 1, 20_000, 1, 1, 1) != COMMITTED:
            raise NotRight(f"debit {number} at {depth} depth: {purse.fault}")
        hardware.take_card(card)
    cpu_s = (time.process_time() - start_s) / dialogues
    return cpu_s, (hardware.clock.now_us - start_us) / 1e6 / dialogues


def rows(
    scenario: Path = SCENARIO,
    ways: tuple[tuple[str, str], ...] = WAYS,
    dialogues: int = DIALOGUES,
) -> list[dict[str, object]]:
    """Each way's speed, and what a dialogue costs at both depths, beside real time."""
    if find_spec("micropython_unix") is None:
        print("simulator: MicroPython is not installed, no row for it", file=sys.stderr)
        ways = tuple(way for way in ways if way[0] != "vm")
    table: list[dict[str, object]] = [
        {
            "name": f"simulator, {scenario.stem}, {home}, {depth} depth",
            "ours": round(speed(scenario, home, depth), 1),
            "other": 1,
            "against": "real time",
            "unit": "virtual s per real s",
        }
        for home, depth in ways
    ]
    for depth in ("register", "card"):
        cpu_s, virtual_s = dialogue_s(depth, dialogues)
        table.append(
            {
                "name": f"simulator, one purchase at the card, {depth} depth",
                "ours": round(cpu_s * 1000, 2),
                "other": round(virtual_s * 1000, 2),
                "against": "virtual time of the same",
                "unit": "ms of CPU",
            }
        )
    return table
