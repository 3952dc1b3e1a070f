"""The board as the firmware sees it, for readers that live in this CPython process.

The twin of firmware/boards/esp32.py: the same attributes and methods, answered by Hardware.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.aes import CIPHERS
from firmware.drivers.rs485 import Rs485
from firmware.drivers.ticks import WRAP_US, Ticks
from firmware.drivers.usb_keyboard import UsbKeyboard
from protocols.rules import settings
from protocols.wire.mqtt_client import MqttClient
from protocols.wire.serial_client import SerialClient
from simulator.host.hardware import CARDS_AT, IMAGES_AT, Hardware
from simulator.host.usb import HostUsb


class HostFlash:
    """The partition that begins at `start`."""

    sector_bytes = 4096

    def __init__(self, hardware: Hardware, start: int = 0) -> None:
        self._hardware = hardware
        self._start = start
        self.size_bytes = hardware.flash_size(start)

    def read(self, address: int, buffer: memoryview | bytearray) -> None:
        buffer[:] = self._hardware.flash_read(self._start + address, len(buffer))

    def program(self, address: int, data: bytes) -> None:
        self._hardware.flash_program(self._start + address, bytes(data))

    def erase(self, sector: int) -> None:
        self._hardware.flash_erase(self._start // self.sector_bytes + sector)


class HostRfid:
    """The SPI bus and pins of the card front end."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def exchange(self, out: bytes | bytearray | memoryview, into: bytearray | memoryview) -> None:
        into[:] = self._hardware.rfid_exchange(bytes(out))

    def irq(self) -> int:
        return self._hardware.rfid_irq()

    def reset(self, level: int) -> None:
        self._hardware.rfid_reset(level)


class HostStream:
    def __init__(self, hardware: Hardware, handle: int) -> None:
        self._hardware = hardware
        self._handle = handle

    def connected(self) -> bool:
        return self._hardware.net_connected(self._handle)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        return self._hardware.net_send(self._handle, bytes(data))

    def recv(self, size: int) -> bytes | None:
        return self._hardware.net_recv(self._handle, size)

    def close(self) -> None:
        self._hardware.net_close(self._handle)


class HostNet:
    client = MqttClient

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self.radio(2)

    def radio(self, level: int) -> None:
        if self._hardware.has_radio:
            self._hardware.radio(level)

    def is_up(self) -> bool:
        return self._hardware.net_is_up()

    def open(self, host: str, port: int) -> HostStream:
        return HostStream(self._hardware, self._hardware.net_open(host, port))


class HostUart:
    """The UART of a serial line, as far as firmware/drivers/rs485.py uses it."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self.flush = hardware.line_flush

    def read(self, size: int) -> bytes | None:
        return self._hardware.line_read(size) or None

    def write(self, data: bytes | bytearray) -> None:
        self._hardware.line_write(bytes(data))


class HostLine:
    """The twin of Net in firmware/boards/esp32_serial.py."""

    def __init__(self, hardware: Hardware, board: HostBoard) -> None:
        self._board = board
        self._stream = Rs485(HostUart(hardware), hardware.line_drive, board.ticks_ms)

    def client(self, *_: object) -> SerialClient:
        return SerialClient(self._board.settings["device"], self._board.urandom)

    def radio(self, level: int) -> None:
        """There is none."""

    def is_up(self) -> bool:
        return True

    def open(self, _host: str, _port: int) -> Rs485:
        return self._stream


class HostKeypad:
    def __init__(self, hardware: Hardware) -> None:
        self.read = hardware.keypad_read


class HostDisplay:
    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def write(self, data: bytes) -> None:
        self._hardware.display_write(bytes(data))


class HostLcd:
    """The clerk's display."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def write(self, data: bytes | bytearray) -> None:
        self._hardware.lcd_write(bytes(data))


class HostDesk:
    """The twin of SerialDesk in firmware/boards/esp32_desk.py."""

    told = True

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def tell(self, text: str, _now_ms: int) -> None:
        self._hardware.desk_write(text.encode() + b"\r\n")

    def step(self, now_ms: int) -> int:
        return now_ms + 60_000


class HostScanner:
    """The UART of the scanner; neither call waits."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def read(self) -> bytes | None:
        return self._hardware.scanner_read() or None

    def write(self, data: bytes | bytearray) -> None:
        self._hardware.scanner_write(bytes(data))


class HostLock:
    """The door's inputs, and the pulses that hold it."""

    def __init__(self, hardware: Hardware) -> None:
        self.levels = hardware.lock_levels
        self.train = hardware.lock_train


class HostPower:
    def __init__(self, hardware: Hardware) -> None:
        self.backlight = hardware.backlight if hardware.has_radio else None
        self.load_ma = 219 if hardware.has_radio else 256
        if hardware.scanner:
            self.load_ma += 30
        self.mains = hardware.mains
        self.is_open = hardware.is_open
        self.battery_mv = hardware.battery_mv


class Restarted(BaseException):
    """The firmware has ended this life; nothing of it goes on."""


class HostBoard:
    """See the board seam in docs/ARCHITECTURE.md."""

    def __init__(self, hardware: Hardware) -> None:
        self.ticks_us = Ticks(lambda: hardware.ticks_us() % WRAP_US).us
        self.sleep_us = hardware.sleep_us
        self.utc_s = hardware.utc_s
        self.boot_cause = hardware.reset_cause()
        self.settings = settings.decode(hardware.nvs_get("settings"))
        self.menu = hardware.nvs_find("menu")
        self.access = hardware.nvs_find("access")
        self.flash = HostFlash(hardware)
        self.card_flash = HostFlash(hardware, CARDS_AT) if hardware.card_flash else None
        # Of the updater's board alone.
        self.image_flash = HostFlash(hardware, IMAGES_AT) if hardware.image_flash else None
        self.rfid = HostRfid(hardware)
        self.urandom = hardware.urandom
        self.net = HostLine(hardware, self) if hardware.has_line else HostNet(hardware)
        self.keypad = HostKeypad(hardware)
        self.display = HostDisplay(hardware)
        self.lcd = HostLcd(hardware)
        self.power = HostPower(hardware)
        self.scanner = HostScanner(hardware)
        self.desk_format = hardware.nvs.get("desk_format", b"").decode()
        usb = HostUsb(hardware) if hardware.usb else None
        self.after_wait = usb.woken if usb else lambda: None  # what the port runs after a wait
        self.desk = UsbKeyboard(usb) if usb else HostDesk(hardware)
        self.lock = HostLock(hardware)
        self.led = hardware.led
        self.beep = hardware.beep
        self.store = hardware.nvs_set
        self.stored = hardware.nvs_find

    def ticks_ms(self) -> int:
        return self.ticks_us() // 1000

    def restart(self) -> None:
        """End this life, and begin the next one."""
        raise Restarted

    def aes(self, key: bytes) -> Callable[[bytes], bytes]:
        """One AES block under `key`, as cryptolib does it on the board."""
        return CIPHERS.aes(key)

    def aes_cbc(self, key: bytes, iv: bytes, data: bytes, decrypting: bool) -> bytes:
        """Whole blocks of `data` under `key`, chained from `iv`."""
        return CIPHERS.aes_cbc(key, iv, data, decrypting)
