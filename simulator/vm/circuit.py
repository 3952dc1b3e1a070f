"""The reader's circuit board: which pin of the ESP32-WROVER goes to which part.

It is drawn here a second time, not taken from firmware/boards/esp32.py: a firmware that uses the
wrong pin finds nothing there, as it would on the bench.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.vm.parts import Hardware, Usb

RFID_SELECT, RFID_RESET, LED_GREEN, LED_RED = "rfid select", "rfid reset", "green", "red"
RFID_IRQ, BACKLIGHT = "rfid irq", "backlight"
OUTPUTS = {5: RFID_SELECT, 2: RFID_RESET, 15: LED_GREEN, 12: LED_RED, 27: BACKLIGHT}
INPUTS = {39: RFID_IRQ}
RFID_BUS = (14, 13, 35)  # sck, mosi, miso
KEYPAD_PIN, DISPLAY_PIN, BEEPER_PIN, BATTERY_PIN, SENSE_PIN = 34, 33, 4, 32, 36
BATTERY_DIVIDER = 2
# What meets at the sense pin: the adapter's 5 V, or the ground behind it, the board's own 3.3 V,
# and ground, by so many ohm each; ground once more while the switch of the case is shut.
_ADAPTER_UV, _SUPPLY_UV, _SENSE_OHM, _CASE_OHM = 5_000_000, 3_300_000, 100_000, 49_900
_ADC_UV_MAX = 2_900_000  # about where it saturates at 11 dB
SPI_BAUD_MAX = 10_000_000
LCD_BAUD_MAX = 1_600_000
# Levels while nobody drives a pin: the module's pull-ups, and dark lamps.
_IDLE_LEVELS = {RFID_SELECT: 1, RFID_RESET: 1, LED_GREEN: 0, LED_RED: 0, BACKLIGHT: 1}


class WiringError(Exception):
    """The firmware uses a pin in a way the board is not wired for."""


class Circuit:
    """Turns what the firmware does to pins into what it does to parts.

    `lamps_touched`: a lamp was switched and settle() has to be called before anything else.
    """

    outputs: ClassVar[dict[int, str]] = OUTPUTS
    inputs: ClassVar[dict[int, str]] = INPUTS
    keypad_pin, display_pin, battery_pin = KEYPAD_PIN, DISPLAY_PIN, BATTERY_PIN
    sense_pin, beeper_pin, rfid_bus = SENSE_PIN, BEEPER_PIN, RFID_BUS

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._levels = dict(_IDLE_LEVELS)
        self._spi_baud = 0
        self.lamps_touched = False

    def settle(self) -> None:
        """Time may pass now: lamps that were switched one after the other shine as one."""
        if self.lamps_touched:
            self.lamps_touched = False
            self._hardware.led(self._levels[LED_GREEN], self._levels[LED_RED])

    def pin_setup(self, pin: int, level: int, data: bytes) -> None:
        part = _look_up(self.outputs, pin, "output")
        if self._levels[part] != level:
            self.pin_write(pin, level, data)

    def pin_write(self, pin: int, level: int, _data: bytes) -> None:
        part = _look_up(self.outputs, pin, "output")
        self._levels[part] = level
        if part in (LED_GREEN, LED_RED):
            self.lamps_touched = True
            return
        self.settle()
        if part == RFID_RESET:
            self._hardware.rfid_reset(level)
        elif part == BACKLIGHT:
            self._hardware.backlight(level)

    def pin_read(self, pin: int, _b: int, _data: bytes) -> int:
        if pin in self.outputs:
            return self._levels[self.outputs[pin]]
        _look_up(self.inputs, pin, "input")
        return self._hardware.rfid_irq()

    def spi_setup(self, baud: int, mode: int, _data: bytes) -> None:
        if mode != 0 or baud > SPI_BAUD_MAX:
            raise WiringError(f"the RC522 speaks SPI mode 0 up to 10 MHz, not {mode} at {baud}")
        self._spi_baud = baud

    def spi_transfer(self, pins: int, _b: int, out: bytes) -> bytes:
        if (pins >> 16, pins >> 8 & 0xFF, pins & 0xFF) != self.rfid_bus:
            raise WiringError("SPI on pins where no bus is")
        if not self._levels[RFID_SELECT]:
            return self._hardware.rfid_exchange(out)
        # The clerk's display is selected by the same wire, the other way round.
        if self._spi_baud > LCD_BAUD_MAX:
            raise WiringError(f"the ST7920 takes {LCD_BAUD_MAX} Hz, not {self._spi_baud}")
        self._hardware.lcd_write(out)
        return b"\xff" * len(out)  # nobody drives MISO

    def uart_read(self, pin: int, _b: int, _data: bytes) -> bytes:
        if pin != self.keypad_pin:
            raise WiringError(f"nothing sends to pin {pin}")
        return self._hardware.keypad_read()

    def uart_write(self, pin: int, _b: int, data: bytes) -> None:
        if pin != self.display_pin:
            raise WiringError(f"nothing listens on pin {pin}")
        self._hardware.display_write(data)

    def uart_flush(self, pin: int, _b: int, _data: bytes) -> None:
        """Until the last stop bit has left a pin."""
        raise WiringError(f"nobody waits for pin {pin}")

    def pulse(self, pin: int, duration_us: int, _data: bytes) -> None:
        if pin != self.beeper_pin:
            raise WiringError(f"no sounder on pin {pin}")
        self._hardware.beep((duration_us + 500) // 1000)

    def pulse_done(self, pin: int, _b: int, _data: bytes) -> int:
        """Whether pulses that a pin sends by itself are over."""
        raise WiringError(f"nobody asks whether pin {pin} is done")

    def usb(self) -> Usb:
        """The USB host that the chip's own pins lead to."""
        raise WiringError("this chip has no USB of its own")

    def i2c_read(self, _pins: int, _what: int, _data: bytes) -> bytes:
        """Registers of a chip on I2C."""
        raise WiringError("no I2C on this board")

    def i2c_write(self, _pins: int, _register: int, _data: bytes) -> int:
        """Set them."""
        raise WiringError("no I2C on this board")

    def fall_asleep(self, _own: int, _pins: bytes) -> None:
        """Deep sleep."""
        raise WiringError("this board is not wired to wake up")

    def wake_up(self) -> int:
        """The sleep is over."""
        raise WiringError("this board is not wired to wake up")

    def wake_reason(self, *_: object) -> int:
        """Why it woke: it never slept."""
        return 0

    def retained(self, *_: object) -> bytes:
        """What sleep has left: nothing."""
        return b""

    def retain(self, _a: int, _b: int, _data: bytes) -> None:
        """What sleep shall leave."""
        raise WiringError("this board is not wired to wake up")

    def adc_read_uv(self, pin: int, _b: int, _data: bytes) -> int:
        if pin == self.sense_pin:
            return sense_uv(self._hardware.mains(), self._hardware.is_open())
        if pin != self.battery_pin:
            raise WiringError(f"no voltage on pin {pin}")
        return self._hardware.battery_mv() * 1000 // BATTERY_DIVIDER


def sense_uv(on_mains: bool, is_open: bool) -> int:
    """The voltage at the sense pin, as the converter gives it."""
    driven_uv = on_mains * _ADAPTER_UV + _SUPPLY_UV
    # Conductances, in those of one of the three resistors, in thousandths.
    case = 0 if is_open else 1000 * _SENSE_OHM // _CASE_OHM
    return min(1000 * driven_uv // (3000 + case), _ADC_UV_MAX)


def _look_up(parts: dict[int, str], pin: int, what: str) -> str:
    if pin not in parts:
        raise WiringError(f"pin {pin} is not wired as an {what}")
    return parts[pin]
