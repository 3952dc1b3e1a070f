"""One reader's hardware as models: the same object answers the CPython home and the VM home.

Everything that happens at these pins is written to the transcript here, so that the log cannot
depend on where the firmware runs. Reading a clock or a level costs no time; bus, flash and sleep
do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.cardbox import Chip
from simulator.cards.field import Field
from simulator.chips import cd5220
from simulator.chips.battery import Battery
from simulator.chips.door_lock import DoorLock
from simulator.chips.mfrc522 import Mfrc522
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.chips.qr_scanner import QrScanner
from simulator.chips.st7920 import St7920
from simulator.chips.syn6288 import Syn6288
from simulator.chips.usb_host import UsbHost
from simulator.host import loads
from simulator.world.clock import ReaderClock, World
from simulator.world.network import ReaderCable, ReaderStream
from simulator.world.serial_bus import LineTap
from simulator.world.transcript import Transcript

PROGRAM_US_PER_PAGE = 600
ERASE_US = 45_000
NVS_US = 3_000  # a few entries programmed; now and then a page is erased, which is not modelled
EPOCH_1970_S, EPOCH_2000_S = 0, 946_684_800  # where battery clocks begin that have lost the time
JOIN_US = 2_000_000  # assumed: from the radio's start until the access point has taken it in
_RADIO_OFF, _RADIO_SAVING = 0, 1  # other levels: on
IMAGES_AT = 1 << 29  # where the partition of firmware images begins, if there is one
CARDS_AT = 1 << 30  # the same of that for the card map
_SECTOR_BYTES = 4096


@dataclass
class Panel:
    """What a person at the reader sees and hears."""

    lines: list[str] = field(default_factory=lambda: ["", ""])
    green: bool = False
    red: bool = False
    beeps: list[tuple[int, int]] = field(default_factory=list)
    brightness: int = 4  # of the pole display, 1 to 4
    is_lit: bool = True  # the backlight of the clerk's display
    looks_away: bool = False  # the pole display: what comes is for the other device on its line


class Hardware:
    """The chips, pins and supplies of one reader.

    It hangs on a serial line if its `nvs` knows a baud rate, it has a radio if that knows a Wi-Fi,
    else a cable. `age`: what Battery takes.
    """

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
        image_flash: NorFlash | None = None,
    ) -> None:
        self.name = name
        self.world = world
        self.clock = ReaderClock(world)
        self.transcript = transcript
        self.flash = flash
        self.card_flash = card_flash
        self.image_flash = image_flash
        self.nvs = nvs
        self.random = random_stream
        self.field = Field(self.clock)
        self.chip = Mfrc522(self.clock, self.field, random_stream)
        self.chip.on_exchange = self._log_exchange
        # What its memory holds at power-on is its own affair: no other draw moves because of it.
        self.lcd = St7920(self.clock, random.Random(name))
        self.voice = Syn6288(self.clock)  # it hangs on the pole display's line, and is never asked
        self._scanner: QrScanner | None = None
        self.desk_out = b""  # what a library desk was told on a line
        self.usb: UsbHost | None = None  # that desk's PC, of a reader with USB
        self.lock = DoorLock(self.clock)  # of a door controller; nothing else ever moves its pin
        self.cable: ReaderCable | None = None
        self.streams: dict[int, ReaderStream] = {}
        self.panel = Panel()
        self.keys = b""
        self.mains_on = True
        self.case_is_open = False
        self.mains_off_at_us = 0
        self.battery = Battery(self.clock, _cut_power, **(age or {}))
        self.field.on_carrier = lambda on: self.battery.draw("field", on * loads.FIELD_UA)
        self.has_radio = "wifi_ssid" in nvs
        self.has_line = "serial_baud" in nvs
        self.line: LineTap | None = None
        self.radio_level = _RADIO_OFF
        self._joined_us = 0
        self.boot_cause = 1
        self.rtc_set = True
        self.rtc_error_ms = random_stream.randint(-8000, 8000)
        self.rtc_step_s = 0  # by how much somebody, or an empty cell, has moved it
        self.ticks_from_us = 0  # where the tick counter begins at the next power-on
        self._drift_ppm = 0
        self._since_us, self._since_ticks_us = 0, 0
        self.flash_operations = 0
        self.before_flash: Callable[[int], None] | None = None

    def log(self, what: str, data: bytes | str | int = b"") -> None:
        self.transcript.add(self.clock.now_us, self.name, what, data)

    @property
    def scanner(self) -> QrScanner | None:
        """Of a POS with Wi-Fi; what it draws follows from whether it looks."""
        return self._scanner

    @scanner.setter
    def scanner(self, scanner: QrScanner) -> None:
        self._scanner = scanner
        scanner.on_active = self._scanner_draws

    def _scanner_draws(self, is_active: bool) -> None:
        self.battery.draw("scanner", loads.SCANNER_UA[is_active])

    # -- time -------------------------------------------------------------------------------

    def ticks_us(self) -> int:
        """Since this reader's own power-on, as its crystal counts; the chip's register wraps."""
        elapsed_us = self.clock.now_us - self._since_us
        return self._since_ticks_us + elapsed_us + elapsed_us * self._drift_ppm // 1_000_000

    @property
    def drift_ppm(self) -> int:
        """How much too fast the crystal is; it may change at any time, as temperature does."""
        return self._drift_ppm

    @drift_ppm.setter
    def drift_ppm(self, ppm: int) -> None:
        self._since_us, self._since_ticks_us = self.clock.now_us, self.ticks_us()
        self._drift_ppm = ppm

    def sleep_us(self, duration_us: int) -> None:
        self.clock.advance_us(duration_us)

    def utc_s(self) -> int | None:
        """The battery clock, a few seconds wrong, as such clocks are; None if it was never set."""
        if not self.rtc_set:
            return None
        read_ms = self.world.utc_s(self.clock.now_us) * 1000 + self.rtc_error_ms
        return max(read_ms // 1000 + self.rtc_step_s, 0)

    def restart_rtc(self, epoch_s: int) -> None:
        """The cell of the battery clock was out: it counts from `epoch_s` (EPOCH_1970_S, ...)."""
        self.rtc_step_s = 0
        self.rtc_step_s = epoch_s - (self.utc_s() or 0)

    def reset_cause(self) -> int:
        return self.boot_cause

    # -- antenna ----------------------------------------------------------------------------

    def rfid_exchange(self, out: bytes) -> bytes:
        into = bytearray(len(out))
        self.chip.exchange(out, into)
        return bytes(into)

    def rfid_irq(self) -> int:
        return self.chip.irq()

    def rfid_reset(self, level: int) -> None:
        self.log("rfid-reset", level)
        self.chip.reset_pin(level)

    def _log_exchange(self, out: bytes, into: bytes) -> None:
        self.transcript.add(self.clock.now_us, self.name, "spi", bytes(out) + bytes(into))

    # -- flash ------------------------------------------------------------------------------

    def flash_size(self, start: int = 0) -> int:
        """Bytes of the partition at `start`: the journal's, IMAGES_AT, CARDS_AT; 0: none."""
        if start < IMAGES_AT:
            return self.flash.size_bytes
        flash = self.image_flash if start < CARDS_AT else self.card_flash
        return flash.size_bytes if flash else 0

    def _partition(self, address: int) -> tuple[NorFlash, int]:
        """Which flash an address is of, and where in it."""
        if address >= CARDS_AT and self.card_flash:
            return self.card_flash, address - CARDS_AT
        if address >= IMAGES_AT and self.image_flash:
            return self.image_flash, address - IMAGES_AT
        return self.flash, address

    def flash_read(self, address: int, size: int) -> bytes:
        buffer = bytearray(size)
        flash, at = self._partition(address)
        flash.read(at, buffer)
        return bytes(buffer)

    def flash_program(self, address: int, data: bytes) -> None:
        self._count_flash()
        self.log("program", address.to_bytes(4, "big") + data)
        flash, at = self._partition(address)
        flash.program(at, data)
        self.clock.advance_us(PROGRAM_US_PER_PAGE * ((len(data) + 255) // 256))

    def flash_erase(self, sector: int) -> None:
        self._count_flash()
        self.log("erase", sector)
        flash, at = self._partition(sector * _SECTOR_BYTES)
        flash.erase(at // _SECTOR_BYTES)
        self.clock.advance_us(ERASE_US)

    def _count_flash(self) -> None:
        self.flash_operations += 1
        if self.before_flash is not None:
            self.before_flash(self.flash_operations)

    # -- network ----------------------------------------------------------------------------

    def net_is_up(self) -> bool:
        is_up = self.cable is not None and self.cable.plugged
        if self.has_radio:
            is_up = is_up and bool(self.radio_level) and self.clock.now_us >= self._joined_us
            self.battery.draw("radio", loads.radio_ua(self.radio_level, is_up))
        return is_up

    def radio(self, level: int) -> None:
        """Off (0), asleep between beacons (1), or on (2)."""
        self.log("radio", level)
        if not self.radio_level:
            self._joined_us = self.clock.now_us + JOIN_US
        self.radio_level = level
        if not level:
            for stream in self.streams.values():
                stream.close()
        self.net_is_up()

    def net_open(self, host: str, port: int) -> int:
        """A handle of a new connection; OSError without a route. Host and port name the broker."""
        if self.cable is None:
            raise OSError("no network")
        self.log("net-open", f"{host}:{port}")
        stream = self.cable.open()
        handle = len(self.streams) + 1
        self.streams[handle] = stream
        return handle

    def net_connected(self, handle: int) -> bool:
        return self.streams[handle].is_open

    def net_send(self, handle: int, data: bytes) -> int:
        taken = self.streams[handle].send(data)
        self.log("net-send", data[:taken])
        return taken

    def net_recv(self, handle: int, size: int) -> bytes | None:
        data = self.streams[handle].recv(size, self.clock.now_us)
        if data is not None:
            self.log("net-recv", data)
        return data

    def net_close(self, handle: int) -> None:
        self.log("net-close")
        self.streams[handle].close()

    def line_drive(self, level: int) -> None:
        """The transceiver of the serial line speaks (1) or listens (0)."""
        if self.line is not None:
            self.line.drive(level, self.clock.now_us)

    def line_read(self, size: int) -> bytes:
        """What the UART has received; `size` bytes at most."""
        data = self.line.read(size, self.clock.now_us) if self.line is not None else b""
        if data:
            self.log("line-read", data)
        return data

    def line_write(self, data: bytes) -> None:
        """Begin to send."""
        self.log("line-write", data)
        if self.line is not None:
            self.line.write(data, self.clock.now_us)

    def line_flush(self) -> None:
        """Wait until the last stop bit has left."""
        if self.line is not None:
            self.clock.advance_to(self.line.sent_us)

    # -- cards ------------------------------------------------------------------------------

    def put_card(self, card: Chip) -> None:
        """A card comes into the field; it must have left every other one."""
        if card.in_field:
            raise ValueError("a card is in one place at a time")
        self.log("card-in", card.uid)
        self.field.place(card)

    def take_card(self, card: Chip) -> None:
        """A card leaves the field, whatever it was doing."""
        self.log("card-out", card.uid)
        self.field.remove(card)

    # -- people and power -------------------------------------------------------------------

    def keypad_read(self) -> bytes:
        keys, self.keys = self.keys, b""
        if keys:
            self.log("keys", keys)
        return keys

    def display_write(self, data: bytes) -> None:
        self.log("display", data)
        self.voice.write(data)
        cd5220.show(self.panel, data)
        self.battery.draw("pole", loads.POLE_UA[self.panel.brightness])

    def desk_write(self, data: bytes) -> None:
        """What the machine at a library desk is told."""
        self.log("desk", data)
        self.desk_out += data

    def desk_lines(self) -> list[str]:
        """What the program at a library desk was given, number by number."""
        return self.usb.lines if self.usb else self.desk_out.decode().split()

    def usb_config(self, device: bytes, configuration: bytes) -> None:
        """The USB descriptors of this reader."""
        self.log("usb-config", device + configuration)
        if self.usb:
            self.usb.config(device, configuration)

    def usb_active(self, is_active: bool) -> None:
        """It comes to the bus, or leaves it."""
        self.log("usb-active", int(is_active))
        if self.usb:
            self.usb.active(is_active)

    def usb_submit(self, endpoint: int, data: bytes) -> bool:
        """A report for the host to take."""
        self.log("usb-report", data)
        return self.usb is not None and self.usb.submit(endpoint, data)

    def usb_event(self, reply: bool | bytes) -> tuple[int, bytes] | None:
        """What the host does next to the device."""
        event = self.usb.next_event(reply) if self.usb else None
        if event:
            self.log("usb-event", bytes((event[0],)) + event[1])
        return event

    def scanner_read(self) -> bytes:
        """What the scanner has sent since the last call; nothing without one."""
        data = self.scanner.read() if self.scanner else b""
        if data:
            self.log("scanner", data)
        return data

    def scanner_write(self, data: bytes) -> None:
        """A command for the scanner."""
        self.log("scanner-command", data)
        if self.scanner:
            self.scanner.write(data)

    def lcd_write(self, data: bytes) -> None:
        """One transfer to the clerk's display."""
        self.log("lcd", data)
        self.lcd.write(data)

    def led(self, green: int, red: int) -> None:
        self.log("led", f"{int(green)}{int(red)}")
        self.panel.green, self.panel.red = bool(green), bool(red)
        self.battery.draw("led", (bool(green) + bool(red)) * loads.LED_UA)

    def beep(self, duration_ms: int) -> None:
        self.log("beep", duration_ms)
        self.panel.beeps.append((self.clock.now_us, duration_ms))
        self.battery.spend(loads.BEEPER_UA, duration_ms * 1000)

    def backlight(self, level: int) -> None:
        """Of the clerk's display; a board with a cable has no pin left for it."""
        self.log("backlight", int(level))
        self.panel.is_lit = bool(level)
        self.battery.draw("backlight", bool(level) * loads.BACKLIGHT_UA)

    def lock_levels(self) -> int:
        """The inputs of a door, as bits of rules/door.py."""
        return self.lock.levels()

    def lock_train(self) -> None:
        """Begin a train of pulses, unless one is under way."""
        if not self.lock.is_sending():
            self.log("lock-train")
            self.lock.train()

    def lock_is_sending(self) -> bool:
        return self.lock.is_sending()

    def mains(self) -> bool:
        return self.mains_on

    def is_open(self) -> bool:
        """Whether somebody has the case open, whatever runs in it."""
        return self.case_is_open

    def battery_mv(self) -> int:
        """What the divider shows of it."""
        return self.battery.terminal_mv()

    @property
    def battery_mv_now(self) -> int:
        """The same; set: somebody puts in a battery that reads so much."""
        return self.battery.terminal_mv()

    @battery_mv_now.setter
    def battery_mv_now(self, battery_mv: int) -> None:
        self.battery.replace(battery_mv)

    def set_mains(self, on: bool) -> None:
        """The plug is pulled or put back."""
        if on != self.mains_on:
            if not on:
                self.mains_off_at_us = self.clock.now_us
            self.mains_on = on
            self.battery.plug(on)
            self.lock.mains(on)  # a magnet has no battery behind it

    def nvs_get(self, key: str) -> bytes:
        return self.nvs[key]

    def nvs_find(self, key: str) -> bytes:
        """What stands under a key; empty if nothing does."""
        return self.nvs.get(key, b"")

    def nvs_set(self, key: str, data: bytes) -> None:
        """Store a value: the old one stands until the new one does, as ESP-IDF promises it."""
        self.log("nvs", data)
        self.clock.advance_us(NVS_US)
        self.nvs[key] = bytes(data)

    def urandom(self, size: int) -> bytes:
        return self.random.randbytes(size)

    def power_off(self) -> None:
        """The supply is gone: connections die, the panel is dark, the chip forgets."""
        for stream in self.streams.values():
            stream.close()
        self.streams.clear()
        self.keys = b""
        self.panel = Panel()
        self.chip.reset_pin(0)
        self.lcd.reset_pin(0)
        if self.line is not None:
            self.line.power_off(self.clock.now_us)
        self.lock.reset()
        if self.scanner:
            self.scanner.power(False)
            self.scanner.read()  # the UART forgets what has arrived
        if self.usb:
            self.usb.active(False)
        self.flash.power_on()
        self.radio_level = _RADIO_OFF
        self.battery.release()
        if self.card_flash:
            self.card_flash.power_on()

    def power_on(self) -> None:
        self.clock.advance_to(self.world.now_us)
        self._since_us, self._since_ticks_us = self.clock.now_us, self.ticks_from_us
        self.chip.reset_pin(1)
        self.lcd.reset_pin(1)
        if self.scanner:
            self.scanner.power(True)
            self._scanner_draws(False)
        steady_ua = loads.STEADY_UA if self.has_radio else loads.STEADY_UA + loads.PHY_UA
        self.battery.draw("steady", steady_ua)
        self.battery.draw("pole", loads.POLE_UA[self.panel.brightness])
        # Until a pin says otherwise, and without one for ever.
        self.battery.draw("backlight", loads.BACKLIGHT_UA)


def _cut_power() -> None:
    raise PowerCut
