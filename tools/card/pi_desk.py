"""An MFRC522 on a Raspberry Pi, through `mfrc522` from PyPI, below the readers' own driver.

Of the package only the register access is used: its frames know no 7-byte UID, check no CRC and
end by counting. One transaction of ours becomes one call for each register in it. That takes time,
and an answer may come in between: the FIFO, which a reading empties, is left alone unless the
interrupts read in the same transaction say that the answer was there before.
"""

import sys
import time
from importlib import import_module
from typing import Any

from tools.card.desk import RadioDesk
from tools.card.errors import DeskMissing

_TRIES = 200  # with the pause between them, about ten seconds to lay a card down
_READ = 0x80
_ADDRESS_MASK = 0x3F
_COM_IRQ, _FIFO_DATA = 0x04, 0x09
_RECEIVED = 0x20


class PiBoard:
    """The board seam of firmware.drivers.mfrc522 over `reader`, an object of the package.

    `set_reset` drives the reset pin.
    """

    def __init__(self, reader: Any, set_reset: Any) -> None:
        self._write, self._read = reader.Write_MFRC522, reader.Read_MFRC522
        self.rfid = self
        self.reset = set_reset
        self.settings: dict[str, int] = {}

    def exchange(self, out: bytes, into: bytearray | memoryview) -> None:
        """One transaction: the first byte says where, and whether to read or to write."""
        into[0] = 0
        if out[0] & _READ:
            self._read_all(out, into)
            return
        register = out[0] >> 1 & _ADDRESS_MASK
        for at in range(1, len(out)):
            self._write(register, out[at])
            into[at] = 0

    def _read_all(self, out: bytes, into: bytearray | memoryview) -> None:
        has_answer = True
        for at in range(1, len(out)):
            register = out[at - 1] >> 1 & _ADDRESS_MASK
            if register == _FIFO_DATA and not has_answer:
                into[at] = 0
                continue
            into[at] = self._read(register)
            if register == _COM_IRQ:
                has_answer = bool(into[at] & _RECEIVED)

    def irq(self) -> int | None:
        """The package knows no interrupt pin: None, not wired."""
        return None

    def ticks_us(self) -> int:
        """Microseconds that only go forward."""
        return time.monotonic_ns() // 1000

    def sleep_us(self, duration_us: int) -> None:
        """At least that long."""
        time.sleep(duration_us / 1_000_000)


class PiDesk(RadioDesk):
    """The reader on the Pi's first SPI bus; DeskMissing when package or bus are not there."""

    def __init__(self, reset_pin: int | None = None) -> None:
        options = {} if reset_pin is None else {"pin_rst": reset_pin}
        try:
            package: Any = import_module("mfrc522")
        # Off a Pi, RPi.GPIO raises RuntimeError on import.
        except (ImportError, RuntimeError) as error:
            raise DeskMissing(
                f"the desk on a Raspberry Pi needs its packages: pip install 'onecard[desk-pi]'"
                f" ({error})"
            ) from None
        try:
            self._reader = package.MFRC522(**options)
        except (OSError, RuntimeError) as error:
            raise DeskMissing(f"no SPI bus for the reader: {error}") from None
        super().__init__("pi", PiBoard(self._reader, self._reset_by_pin(reset_pin)), _TRIES)

    def _reset_by_pin(self, reset_pin: int | None) -> Any:
        """What drives the reset pin that the package has set up: its own GPIO, its own default."""
        gpio = sys.modules[type(self._reader).__module__].GPIO
        pin = _default_pin(gpio) if reset_pin is None else reset_pin
        return lambda level: gpio.output(pin, level)

    def close(self) -> None:
        """Let go of bus and pins."""
        self._reader.Close_MFRC522()


def _default_pin(gpio: Any) -> int:
    """The package's own choice: BCM 15 or BOARD 22, by the numbering that is in force."""
    return 15 if gpio.getmode() == gpio.BCM else 22
