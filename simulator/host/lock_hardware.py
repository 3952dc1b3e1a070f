"""The hardware of a lock on batteries: cells, bolt, a clock chip, and sleep.

Asleep, its chip has lost all but what it retains (the ESP32's deep sleep: waking is a boot). The
inputs that are wired to wake it, and a timer, end that.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Mapping

from protocols.rules import lock
from simulator.chips.alkaline import Pack
from simulator.chips.ds3231 import ADDRESS, Ds3231
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.chips.smart_lock import SmartLock
from simulator.host import lock_loads as loads
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from simulator.world.transcript import Transcript

DEEPSLEEP_RESET = 4
EXT0_WAKE, EXT1_WAKE, TIMER_WAKE = 2, 3, 4  # as the port numbers them
# From a wake-up to the first step. Measured by others on an ESP32-S3: 418 ms by MicroPython to the
# end of main.py, its image unchecked, which can be left out behind deep sleep (glenn20,
# upy-esp32-experiments, OptimisingMicropythonBootTime); assumed: 80 ms for modules of our own.
WAKE_US = 500_000
I2C_US_PER_BYTE = 23  # nine bits at 400 kHz
_I2C_BYTES = 3  # address, register, address again


class LockHardware(Hardware):
    """Hardware on `pack`. `age`: `celsius`, and as `health_percent` what the cells have left."""

    def __init__(
        self,
        name: str,
        world: World,
        transcript: Transcript,
        flash: NorFlash,
        nvs: dict[str, bytes],
        random_stream: random.Random,
        age: Mapping[str, int] | None = None,
        card_flash: NorFlash | None = None,
    ) -> None:
        super().__init__(name, world, transcript, flash, nvs, random_stream, card_flash=card_flash)
        age = age or {}
        percent, celsius = age.get("health_percent", 100), age.get("celsius", 20)
        self.pack = Pack(self.clock, self._brown_out, percent, celsius)
        self.battery = self.pack  # pyright: ignore[reportAttributeAccessIssue]
        self.field.on_carrier = lambda on: self.pack.draw("field", on * loads.FIELD_UA)
        self.bolt = SmartLock(self.clock, self.pack)
        self.clock_chip = Ds3231(self.clock, world.utc_s(self.clock.now_us), celsius)
        self.rtc_memory = b""  # what survives sleep
        # What ends its sleep: (input of EXT0, at which level, inputs of EXT1); None: it is awake.
        self.wakes_by: tuple[int, int, int] | None = None
        self._wake_reason = 0
        self.has_clock_chip = True
        self.bolt.on_input = self._feel
        self.on_wake: Callable[[], None] = lambda: None  # an input ends its sleep

    # -- sleep ------------------------------------------------------------------------------

    def fall_asleep(self, own: int, level: int, inputs: int) -> None:
        """Deep sleep, until one of `inputs` leaves its rest, the input `own` does so (`level` 1)
        or comes to rest (0), or time is up."""
        self.log("sleep", inputs | own)
        self.wakes_by, self._wake_reason = (own, level, inputs), 0
        self._go_dark()
        self.pack.draw("sleep", loads.SLEEP_UA)
        self._feel()

    def _feel(self) -> None:
        """An input has changed: it ends the sleep at once, whatever it does later."""
        if self.wakes_by is None or self._wake_reason:
            return
        (own, level, inputs), active = self.wakes_by, self.bolt.levels() ^ lock.INTACT
        if bool(active & own) == bool(level):
            self._wake_reason = EXT0_WAKE
        elif active & inputs:
            self._wake_reason = EXT1_WAKE
        if self._wake_reason:
            self.on_wake()

    def wake_reason(self) -> int:
        """What has ended the last sleep, as the port numbers it; 0: there was none."""
        return self._wake_reason

    def wake_up(self) -> int:
        """The chip boots, and all that was in its memory is gone; the time it takes, in us."""
        self._wake_reason = self._wake_reason or TIMER_WAKE
        self.log("wake", self._wake_reason)
        self.wakes_by = None
        self.boot_cause = DEEPSLEEP_RESET
        self._start()
        return WAKE_US

    def power_off(self) -> None:
        self.rtc_memory, self.wakes_by, self._wake_reason = b"", None, 0
        self._go_dark()

    def power_on(self) -> None:
        self.boot_cause = 1
        self.clock.advance_to(self.world.now_us)
        self._start()

    def _go_dark(self) -> None:
        self.bolt.reset()
        super().power_off()

    def _start(self) -> None:
        self._since_us, self._since_ticks_us = self.clock.now_us, self.ticks_from_us
        self.chip.reset_pin(1)
        if self.line is not None:
            self.line.power_off(self.clock.now_us)  # its UART has slept too
        self.pack.release()
        self.pack.draw("boot", loads.BOOT_UA)
        self.clock.advance_us(WAKE_US)
        self.pack.draw("boot", 0)
        self.pack.draw("awake", loads.AWAKE_UA)

    def _brown_out(self) -> None:
        raise PowerCut

    # -- its own parts ----------------------------------------------------------------------

    def battery_mv(self) -> int:
        """What the divider by three shows of the cells."""
        return self.pack.terminal_mv() // 3 * 3

    def bolt_levels(self) -> int:
        """The inputs, as bits of rules/lock.py."""
        return self.bolt.levels()

    def bolt_drive(self, direction: int) -> None:
        """Set the motor's pins: REST, DRAW or THROW of rules/lock.py."""
        if direction != self.bolt.direction:
            self.log("motor", direction)
            self.bolt.drive(direction)

    def i2c_read(self, address: int, register: int, count: int) -> bytes:
        """Registers of a chip on I2C; OSError where none answers."""
        self._i2c_pass(address, count)
        return self.clock_chip.read(register, count)

    def i2c_write(self, address: int, register: int, data: bytes) -> None:
        self.log("i2c", bytes((register,)) + data)
        self._i2c_pass(address, len(data))
        self.clock_chip.write(register, data)

    def _i2c_pass(self, address: int, count: int) -> None:
        self.clock.advance_us(I2C_US_PER_BYTE * (_I2C_BYTES + count))
        if address != ADDRESS or not self.has_clock_chip:
            raise OSError(errno.ENODEV)
