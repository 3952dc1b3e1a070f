"""What the VM home needs of hardware: simulator.host.hardware.Hardware, or a test's own.

Reading a clock or a level costs no time, nor does what the firmware does not wait for: rfid_reset,
display_write, led, beep, backlight, radio and net_close. Whatever else takes time moves ticks_us()
forward before it returns. Any call may raise a BaseException of the world's own (a power cut): the
VM dies with it.
"""

from __future__ import annotations

from typing import Protocol


class Hardware(Protocol):
    """One reader's chips, pins and supplies."""

    def ticks_us(self) -> int:
        """Microseconds since this reader's last reset."""
        ...

    def sleep_us(self, duration_us: int, /) -> None: ...

    def utc_s(self) -> int | None:
        """The battery clock in seconds since 1970; None if it was never set."""
        ...

    def reset_cause(self) -> int: ...

    def rfid_exchange(self, out: bytes, /) -> bytes:
        """One SPI transaction, as many bytes back as out."""
        ...

    def rfid_irq(self) -> int: ...

    def rfid_reset(self, level: int, /) -> None: ...

    def flash_size(self, start: int, /) -> int:
        """Bytes of the partition at `start`, a multiple of 4096: 0 the journal, 1 << 29 the
        images, 1 << 30 cards."""
        ...

    def flash_read(self, address: int, size: int, /) -> bytes: ...

    def flash_program(self, address: int, data: bytes, /) -> None: ...

    def flash_erase(self, sector: int, /) -> None: ...

    def nvs_get(self, key: str, /) -> bytes:
        """A blob of namespace "onecard"; KeyError if there is none."""
        ...

    def nvs_set(self, key: str, data: bytes, /) -> None:
        """Store a blob there; after a power cut it is the old or the new one."""
        ...

    def urandom(self, size: int, /) -> bytes: ...

    def net_is_up(self) -> bool: ...

    def net_open(self, host: str, port: int, /) -> int:
        """A handle; OSError if there is no way. The same for the four below."""
        ...

    def net_connected(self, handle: int, /) -> bool: ...

    def net_send(self, handle: int, data: bytes, /) -> int: ...

    def net_recv(self, handle: int, size: int, /) -> bytes | None: ...

    def net_close(self, handle: int, /) -> None: ...

    def radio(self, level: int, /) -> None:
        """Wi-Fi off (0), on and asleep between beacons (1), or on (2)."""
        ...

    def keypad_read(self) -> bytes: ...

    def display_write(self, data: bytes, /) -> None: ...

    def lcd_write(self, data: bytes, /) -> None:
        """One transfer to the clerk's display, chip select up."""
        ...

    def led(self, green: int, red: int, /) -> None: ...

    def beep(self, duration_ms: int, /) -> None: ...

    def backlight(self, level: int, /) -> None: ...

    def mains(self) -> bool: ...

    def is_open(self) -> bool:
        """Whether the case is open."""
        ...

    def battery_mv(self) -> int: ...


class LineHardware(Hardware, Protocol):
    """What a reader on a serial line has beside that."""

    def line_drive(self, level: int, /) -> None:
        """The transceiver speaks (1) or listens (0); it takes no time."""
        ...

    def line_read(self, size: int, /) -> bytes: ...

    def line_write(self, data: bytes, /) -> None:
        """Begin to send; it takes no time."""
        ...

    def line_flush(self) -> None:
        """Wait until the last stop bit has left."""
        ...


class Usb(Protocol):
    """What is at the other end of a chip's own USB; no call takes time."""

    def usb_config(self, device: bytes, configuration: bytes, /) -> None: ...

    def usb_active(self, is_active: bool, /) -> None: ...

    def usb_submit(self, endpoint: int, data: bytes, /) -> bool:
        """Whether a report is queued; OSError as machine.USBDevice raises it."""
        ...

    def usb_event(self, reply: bool | bytes, /) -> tuple[int, bytes] | None:
        """The next call back (chips/usb_host.py); `reply` is that to the one before."""
        ...


class UsbHardware(Hardware, Usb, Protocol):
    """A reader whose chip has USB."""


class DeskHardware(Hardware, Protocol):
    """What the reader of a library desk has beside that."""

    def desk_write(self, data: bytes, /) -> None:
        """Digits for the desk's machine; it takes no time."""
        ...


class CodeHardware(Hardware, Protocol):
    """What a POS with a scanner has beside that."""

    def scanner_read(self) -> bytes:
        """What the scanner has sent since the last call."""
        ...

    def scanner_write(self, data: bytes, /) -> None: ...


class DoorHardware(Hardware, Protocol):
    """What a door controller has beside that."""

    def lock_levels(self) -> int:
        """The inputs, as bits of protocols/rules/door.py."""
        ...

    def lock_train(self) -> None:
        """Begin a train of pulses, unless one is under way."""
        ...

    def lock_is_sending(self) -> bool:
        """Whether a train of pulses is under way."""
        ...


class LockHardware(LineHardware, Protocol):
    """What a lock on batteries has beside that of a reader on a serial line."""

    rtc_memory: bytes

    def bolt_levels(self) -> int:
        """The inputs, as bits of protocols/rules/lock.py."""
        ...

    def bolt_drive(self, direction: int, /) -> None:
        """The motor's pins: REST, DRAW or THROW of protocols/rules/lock.py; it takes no time."""
        ...

    def i2c_read(self, address: int, register: int, count: int, /) -> bytes:
        """Registers of a chip; OSError where none answers."""
        ...

    def i2c_write(self, address: int, register: int, data: bytes, /) -> None: ...

    def fall_asleep(self, own: int, level: int, inputs: int, /) -> None:
        """Deep sleep, which one of `inputs` that leaves its rest ends, or the input `own` that
        does so (`level` 1) or comes to rest (0); it takes no time."""
        ...

    def wake_up(self) -> int:
        """The sleep is over; the microseconds that booting took."""
        ...

    def wake_reason(self) -> int:
        """What ended the last sleep, as the port numbers it; 0: there was none."""
        ...
