"""The first meal at a board that was provisioned: what lies on its chip runs in a MicroPython VM,
over a real broker, agent and ledger, and its first customer pays.

Its file system and its images are read off the chip; the loader is run as memory, where the port
would copy it into its heap. Afterwards journal, settings and images are on the chip again.
"""

from __future__ import annotations

import random
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols.rules import settings
from simulator.board.flash_file import FlashFile
from simulator.board.served import FLASH, FLASH_BYTES
from simulator.cardbox import CardKeys
from simulator.chips.nor_flash import NorFlash
from simulator.homes import Homes
from simulator.host.hardware import Hardware
from simulator.provisioning import Secrets
from simulator.report import Report
from simulator.run import Progress, Run
from simulator.scenario import load
from simulator.vm.home import HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import FIRMWARE_ROM, build, pack
from simulator.vm.ops import PROBE_OFF

SCENARIO = Path(__file__).parents[1] / "scenarios" / "first_meal.toml"
_BOOT = ("boot.py", "main.py")


class NotAMeal(Exception):
    """The board cannot take one; the text says why, and names no key."""


@dataclass
class OnBoard:
    """What a provisioned board's chip holds; `files` lie in a folder."""

    nvs: dict[str, bytes]
    journal: bytes
    images: bytes
    files: Path


class _Homes(Homes):
    """The one reader runs what is on the board, by its loader."""

    def __init__(self, directory: Path, on_board: OnBoard) -> None:
        super().__init__("vm", "register", directory, dozes=False)
        self._image = build(ROOT, directory / "loader", ROOT / "firmware" / "main_loader.py")
        rom = directory / "rom"
        (rom / "firmware").mkdir(parents=True)
        for path in on_board.files.iterdir():
            folder = rom / "firmware" if path.name in _BOOT else rom
            (folder / path.name).write_bytes(path.read_bytes())
        (self._image / FIRMWARE_ROM).write_bytes(pack(rom))

    def make_vm(self, role: str, hardware: Hardware, probe: int = PROBE_OFF) -> VmHome:
        """The board's own files and images, which are those of `role`."""
        del role
        return VmHome(
            hardware.name,
            hardware,
            image=self._image,
            is_slotted=True,
            heap_bytes=HEAP_BYTES,
            probe=probe,
        )


class _MealRun(Run):
    """The scenario of one meal, with the keys of the card centre and the board as it is."""

    on_board: OnBoard
    centre: CardKeys
    device_key: bytes

    def draw_secrets(self) -> Secrets:
        signing = self.seeds.stream("keys").randbytes(32)
        return Secrets(self.centre, signing, {self.scenario.readers[0]["device"]: self.device_key})

    def stored(self, description: dict[str, Any]) -> dict[str, bytes]:
        del description
        return self.on_board.nvs

    def journal_flash(self, draw: random.Random) -> NorFlash:
        return _flash_of(self.on_board.journal, draw)

    def image_flash(self) -> NorFlash | None:
        return _flash_of(self.on_board.images, random.Random(0))


def meal(
    folder: Path, files: Path, masters: CardKeys, register: Path, progress: Progress | None = None
) -> Report:
    """Let a customer pay at the board in `folder`; `files` are those of its file system.

    `masters` make the card, `register` has the readers as the ledger is told of them. NotAMeal.
    """
    flash = FlashFile(folder / FLASH, FLASH_BYTES)
    try:
        on_board, own = _read(flash, files)
        scenario = load(SCENARIO)
        (reader,) = scenario.readers
        reader["device"], scenario.sites = own["device"], (own["site"],)
        scenario.merchants = dict.fromkeys(scenario.merchants, int(own["merchant_no"]))
        with tempfile.TemporaryDirectory(prefix="onecard-meal-") as name:
            directory = Path(name)
            homes = _Homes(directory, on_board)
            run = _MealRun(scenario, scenario.seed, "vm", "register", directory, None, homes)
            run.on_board, run.centre = on_board, masters
            run.device_key = _key_in(register, own["device"])
            try:
                run.build("auto")
                report = run.play(progress)
                _write(flash, run.readers[reader["name"]].hardware)
            finally:
                run.close()
        return report
    finally:
        flash.close()


def _read(flash: FlashFile, files: Path) -> tuple[OnBoard, dict]:
    nvs = flash.nvs()
    parts = {label: flash.partition(label) for label in ("journal", "romfs")}
    if "settings" not in nvs or "slots" not in nvs or not (files / "main.py").exists():
        raise NotAMeal("this board is no POS on the network: onecard device provision --role pos")
    data = {label: flash.read(part.start, part.size) for label, part in parts.items() if part}
    return OnBoard(nvs, data["journal"], data["romfs"], files), settings.decode(nvs["settings"])


def _write(flash: FlashFile, hardware: Hardware) -> None:
    for label, chip in (("journal", hardware.flash), ("romfs", hardware.image_flash)):
        part = flash.partition(label)
        if part is not None and chip is not None:
            flash.erase(part.start, part.size)
            flash.program(part.start, chip.image())
    flash.set_nvs(hardware.nvs)


def _key_in(register: Path, device: int) -> bytes:
    rows = tomllib.loads(register.read_text()).get("device", [])
    for row in rows:
        if row.get("device") == device:
            return bytes.fromhex(row["key"])
    raise NotAMeal(f"{register}: has no reader {device}")


def _flash_of(data: bytes, draw: random.Random) -> NorFlash:
    flash = NorFlash(len(data), draw)
    flash.load(data)
    return flash
