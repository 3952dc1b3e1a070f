"""What Raspberry Pi drivers import, wired to a modelled chip: `spidev`, `RPi.GPIO`, `time.sleep`.

`install` changes the process it runs in for good, so it belongs into a process of its own.
"""

import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType

from simulator.chips.mfrc522 import Mfrc522

BOARD, BCM, IN, OUT, FALLING, PUD_UP = 10, 11, 1, 0, 32, 22


class SpiDev:
    """The kernel's SPI device; one `xfer2` is one transaction. The bench sets the bus clock."""

    chip: Mfrc522
    max_speed_hz = 0

    def open(self, bus: int, device: int) -> None:
        """There is one chip on one bus."""

    def close(self) -> None:
        """Nothing is held."""

    def xfer2(self, values: Sequence[int]) -> list[int]:
        """Clock out `values`, masked to bytes as the C module does, and return what came in."""
        out = bytes(value & 0xFF for value in values)
        into = bytearray(len(out))
        self.chip.exchange(out, into)
        return list(into)


def install(chip: Mfrc522) -> None:
    """Put the fakes into `sys.modules` and let sleeping advance the chip's clock."""
    SpiDev.chip = chip
    spidev = ModuleType("spidev")
    vars(spidev)["SpiDev"] = SpiDev
    gpio = ModuleType("RPi.GPIO")
    vars(gpio).update(_gpio())
    package = ModuleType("RPi")
    vars(package)["GPIO"] = gpio
    sys.modules.update({"spidev": spidev, "RPi": package, "RPi.GPIO": gpio})
    time.sleep = lambda seconds: SpiDev.chip.clock.advance_us(round(float(seconds) * 1_000_000))


def _gpio() -> dict[str, int | Callable[..., int | None]]:
    """The pins the drivers touch: a reset line held high and an interrupt nobody waits for."""

    def ignore(*_args: object, **_options: object) -> None:
        return None

    names = ("setmode", "setup", "setwarnings", "output", "add_event_detect", "cleanup")
    constants = {"BOARD": BOARD, "BCM": BCM, "IN": IN, "OUT": OUT}
    more = {"FALLING": FALLING, "PUD_UP": PUD_UP, "HIGH": 1, "LOW": 0}
    return {**constants, **more, **dict.fromkeys(names, ignore), "getmode": lambda: None}
