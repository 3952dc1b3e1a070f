"""The board object (docs/ARCHITECTURE.md, board seam): ESP32-WROVER-E, MicroPython 1.28 or later.

Time stands still for nobody: nothing here blocks but sleep_us(), wait(), a flash operation (an
erase takes about 45 ms) and a beep that begins before the one before it has ended. `broker_host`
should be an address: the port resolves names in place, for seconds when the network is ill.

The wiring leaves the RMII pins 0, 18, 19, 21-23, 25-27 to a LAN8720, the PSRAM 16 and 17, the
flash 6-11, the console 1 and 3. 34-39 are inputs only. 36 and 39 see 80 ns glitches while the ADC
starts (ESP32 errata 3.11), so they carry levels that are looked at again, never clocks or bytes.
2, 5, 12 and 15 are strapping pins: what hangs on them leaves 2 and 12 low, 5 and 15 high or open.
The clerk's display has no pins of its own: it hangs on the bus of the card front end, and its chip
select, which is active high, on the same wire as that one's, which is active low. A board without
LAN8720 has pins to spare: one of them switches that display's backlight, which is lit while
nobody drives it. No pin is left that could take the reader off its mains (ADR 17), and none for
the switch of its case: that shares the pin of the mains sense, by way of resistors (ADR 25).
"""

import errno
import select
import socket
import time
from os import urandom

import cryptolib
import esp32
import machine
import network
from machine import Pin

from firmware.drivers.ticks import Ticks
from protocols.rules import menu, settings
from protocols.wire.mqtt_client import MqttClient

# Card front end (RC522 module) on HSPI through the GPIO matrix.
SCK, MOSI, MISO, CS = 14, 13, 35, 5
RFID_RESET, RFID_IRQ = 2, 39
# UART1 listens to the keypad and speaks to the pole display, on whose line a voice module may hang
# too (ADR 34). Both pins are given: the port's
# defaults for what is left out are pins of the flash (UART1) and of the PSRAM (UART2).
KEYPAD_RX, DISPLAY_TX = 34, 33
LED_GREEN, LED_RED, BEEPER = 15, 12, 4
# Sense: adapter, 3.3 V and ground by 100 kohm each, and ground by 49.9 kohm more while the case is
# shut: 2.77 V and 1.66 V with mains, 1.1 V and 0.66 V without, the higher one open; so a cut wire
# is an open case. Between them stand the bounds. Battery: a divider by two.
SENSE, BATTERY = 36, 32
_SENSE_UV = (880000, 1380000, 2210000)
LAN_MDC, LAN_MDIO, LAN_PHY_ADDRESS = 23, 18, 0
BACKLIGHT = 27  # on a board with Wi-Fi; with a LAN8720 this is its CRS_DV
# What the reader draws from its battery while it saves and sells, in the sum of the data sheets
# (no board has been measured): with a cable, and with a radio.
WIRED_MA, WIFI_MA = 256, 219

SECTOR_BYTES = 4096
_SPI_BAUD = 8000000  # the RC522 takes 10 MHz
_LCD_BAUD = 1000000  # the ST7920 takes 1.6 MHz
UART_BAUD = 9600  # what CD5220 displays and serial keypads are shipped with
_BATTERY_DIVIDER = 2
_AES_ECB, _AES_CBC = 1, 2
RADIO_OFF, RADIO_ON = 0, 2
_POWER_MODES = (0, network.WLAN.PM_POWERSAVE, network.WLAN.PM_PERFORMANCE)
_WIFI_BYTES_MAX = 64
_STORED_BYTES_MAX = 160  # the totals take 154, the picture of an aggregate code 128
_WDT_MS = 30000
_WAIT_MS = 10000  # between two looks at a clock that wraps after 17.9 minutes
_EPOCH_2000_S = 946684800  # the port counts from 2000, we from 1970
_CLOCK_SET_S = 757382400  # 2024-01-01 in the port's time: an unset clock starts in 2000
# The sounder's own timer ends a beep: 80 MHz / 250 = 320 ticks in a ms, 15 bits per pulse.
_BEEP_CLOCK_DIV, _BEEP_TICKS_PER_MS, _BEEP_PULSE_MS = 250, 320, 100
_BEEP_TONE = (2700, 50, True)


class NotProvisioned(Exception):
    """This board has no settings in its NVS, or no journal partition."""


class RawFlash:
    """A raw partition; programming clears bits and never erases by itself."""

    sector_bytes = SECTOR_BYTES

    def __init__(self, partition):
        self._partition = partition
        self.size_bytes = self._partition.ioctl(4, 0) * SECTOR_BYTES

    def read(self, address, buffer):
        """Fill `buffer` from `address` on."""
        self._partition.readblocks(address // SECTOR_BYTES, buffer, address % SECTOR_BYTES)

    def program(self, address, data):
        """Clear the bits that are 0 in `data`."""
        # With an offset, even 0, the port does not erase first.
        self._partition.writeblocks(address // SECTOR_BYTES, data, address % SECTOR_BYTES)

    def erase(self, sector):
        """Set every bit of a sector."""
        error = self._partition.ioctl(6, sector)
        if error:
            raise OSError(-error)


class Rfid:
    """The RC522's bus and pins."""

    def __init__(self):
        self._spi = machine.SPI(
            1, baudrate=_SPI_BAUD, sck=Pin(SCK), mosi=Pin(MOSI), miso=Pin(MISO)
        )
        self._is_slow = False
        self._select = Pin(CS, Pin.OUT, value=1)
        self.irq = Pin(RFID_IRQ, Pin.IN).value
        self.reset = Pin(RFID_RESET, Pin.OUT, value=1).value

    def exchange(self, out, into):
        """One SPI transaction, full duplex; both buffers have the same length."""
        if self._is_slow:
            self._is_slow = False
            self._spi.init(baudrate=_SPI_BAUD)
        self._select(0)
        self._spi.write_readinto(out, into)
        self._select(1)

    def write(self, data):
        """One transfer to the clerk's display, which listens while the RC522 is not selected."""
        if not self._is_slow:
            self._is_slow = True
            self._spi.init(baudrate=_LCD_BAUD)
        self._spi.write(data)


class Stream:
    """One TCP connection that never blocks."""

    def __init__(self, address, waiting):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._waiting = waiting
        self._opening = select.poll()
        self._opening.register(self._socket, select.POLLOUT | select.POLLHUP)
        self._connected = False
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                self._socket.close()
                raise
        waiting.register(self._socket, select.POLLIN | select.POLLOUT | select.POLLHUP)

    def connected(self):
        """Whether the connection has been made; OSError if it was refused."""
        if not self._connected:
            for _, events in self._opening.poll(0):
                if events & select.POLLHUP:
                    raise OSError(errno.ECONNREFUSED)
                self._connected = True
                # Output is not waited for any more: it would be ready for ever.
                self._waiting.modify(self._socket, select.POLLIN | select.POLLHUP)
        return self._connected

    def send(self, data):
        """How many bytes of `data` were taken: 0 when it would block."""
        try:
            return self._socket.send(data)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        return 0

    def recv(self, size):
        """At most `size` bytes; None when there are none yet, b"" when the peer has closed."""
        try:
            return self._socket.recv(size)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        return None

    def close(self):
        self._waiting.unregister(self._socket)
        self._socket.close()


class Net:
    """The link: Wi-Fi if NVS has the blobs "wifi_ssid" and "wifi_key", else the wired one."""

    client = MqttClient

    def __init__(self, board, nvs):
        self._waiting = board.waiting
        ssid = blob_of(nvs, "wifi_ssid", _WIFI_BYTES_MAX)
        self.has_radio = ssid is not None
        self._level = RADIO_OFF
        if ssid is None:
            # The stubs describe the LAN of another port.
            link = network.LAN(
                mdc=Pin(LAN_MDC),  # pyright: ignore[reportCallIssue]
                mdio=Pin(LAN_MDIO),  # pyright: ignore[reportCallIssue]
                phy_type=network.PHY_LAN8720,  # pyright: ignore[reportCallIssue]
                phy_addr=LAN_PHY_ADDRESS,  # pyright: ignore[reportCallIssue]
            )
            link.active(True)
        else:
            key = blob_of(nvs, "wifi_key", _WIFI_BYTES_MAX) or b""
            link = network.WLAN(network.WLAN.IF_STA)
            self._network = ssid.decode(), key.decode()
        self._link = link
        self.is_up = link.isconnected  # pyright: ignore[reportAttributeAccessIssue]
        self.radio(RADIO_ON)

    def radio(self, level):
        """Switch the radio off, on, or on and asleep between beacons; a cable has none."""
        if not self.has_radio:
            return
        link, was_off, self._level = self._link, self._level == RADIO_OFF, level
        link.active(level != RADIO_OFF)
        if level != RADIO_OFF:
            link.config(pm=_POWER_MODES[level])  # pyright: ignore[reportAttributeAccessIssue]
            if was_off:
                ssid, key = self._network
                # The port dials again whenever it is lost.
                link.connect(ssid, key)  # pyright: ignore[reportAttributeAccessIssue]

    def open(self, host, port):
        """A Stream on its way to `host`; OSError when it cannot even start."""
        return Stream((host, port), self._waiting)


class Keypad:
    """Keys as ASCII bytes from a serial keypad."""

    def __init__(self, uart):
        self._uart = uart

    def read(self):
        return self._uart.read() or b""


class Power:
    """What the reader runs on; `load_ma` is what it draws from a battery."""

    def __init__(self, has_radio):
        self.load_ma = WIFI_MA if has_radio else WIRED_MA
        # backlight(level) of the clerk's display, or None without a pin for it.
        self.backlight = Pin(BACKLIGHT, Pin.OUT, value=1).value if has_radio else None
        self._sense = machine.ADC(Pin(SENSE), atten=machine.ADC.ATTN_11DB)
        self._battery = machine.ADC(Pin(BATTERY), atten=machine.ADC.ATTN_11DB)

    def mains(self):
        return self._sense.read_uv() >= _SENSE_UV[1]

    def is_open(self):
        """Whether the case is open, or the wire to its switch cut."""
        level_uv = self._sense.read_uv()
        return level_uv >= _SENSE_UV[2 if level_uv >= _SENSE_UV[1] else 0]

    def battery_mv(self):
        return self._battery.read_uv() * _BATTERY_DIVIDER // 1000


class Board:
    """Everything the firmware may touch; NotProvisioned when it has no settings.

    What every reader has, and by `_wire` what a POS has beside it. `link` is what it hangs on:
    Net, or Net of esp32_serial.py; `bus` and the pins behind it are those of another circuit.
    """

    def __init__(self, link, bus=Rfid, green=LED_GREEN, red=LED_RED, beeper=BEEPER):
        nvs = self._nvs = esp32.NVS("onecard")
        blob = blob_of(nvs, "settings", settings.SETTINGS_BYTES_MAX)
        if blob is None:
            raise NotProvisioned("no settings in NVS")
        self.settings = settings.decode(blob)
        self.boot_cause = machine.reset_cause()
        self.ticks_us = Ticks(time.ticks_us).us
        self.sleep_us = time.sleep_us
        self.urandom = urandom
        self.waiting = select.poll()
        find, data = esp32.Partition.find, esp32.Partition.TYPE_DATA
        found = find(data, label="journal")
        if not found:
            raise NotProvisioned("no partition named journal")
        self.flash = RawFlash(found[0])
        found = find(data, label="cards")
        self.card_flash = RawFlash(found[0]) if found else None  # it knows of no lost cards
        self.rfid = bus()
        self.lcd = self.rfid  # one bus, one wire of chip select
        self.net = link(self, nvs)
        self._wire(nvs)
        self._green = Pin(green, Pin.OUT, value=0)
        self._red = Pin(red, Pin.OUT, value=0)
        self._beeper = esp32.RMT(
            0, pin=Pin(beeper), clock_div=_BEEP_CLOCK_DIV, tx_carrier=_BEEP_TONE
        )
        self._watchdog = machine.WDT(timeout=_WDT_MS)

    def _wire(self, nvs):
        """Keypad, pole display, supply, menu."""
        self.menu = blob_of(nvs, "menu", menu.MENU_BYTES_MAX) or b""
        uart = machine.UART(1, baudrate=UART_BAUD, tx=Pin(DISPLAY_TX), rx=Pin(KEYPAD_RX))
        self.waiting.register(uart, select.POLLIN)
        self.keypad = Keypad(uart)
        self.display = uart  # its transmit buffer holds 256 bytes: write() does not wait
        self.power = Power(self.net.has_radio)

    def ticks_ms(self):
        """Milliseconds since reset; never wraps."""
        return self.ticks_us() // 1000

    def utc_s(self):
        """Seconds since 1970, or None when the clock was never set."""
        now_s = time.time()
        return None if now_s < _CLOCK_SET_S else now_s + _EPOCH_2000_S

    def aes(self, key):
        """encrypt(block) of AES-128 ECB: one block of 16 bytes in, one out."""
        return cryptolib.aes(key, _AES_ECB).encrypt

    def aes_cbc(self, key, iv, data, decrypting):
        """`data` (whole blocks) of AES-128 CBC under `key`, chained from `iv`."""
        cipher = cryptolib.aes(key, _AES_CBC, iv)
        return cipher.decrypt(data) if decrypting else cipher.encrypt(data)

    def store(self, name, data):
        """Store a small value for ever: after a cut it is the old or the new one."""
        self._nvs.set_blob(name, data)
        self._nvs.commit()

    def stored(self, name):
        """What is stored under a name; empty if nothing is."""
        return blob_of(self._nvs, name, _STORED_BYTES_MAX) or b""

    def led(self, green, red):
        self._green(green)
        self._red(red)

    def beep(self, duration_ms):
        """Sound for `duration_ms` (1 to 3000) while everything else goes on."""
        pulses = duration_ms // _BEEP_PULSE_MS + 1
        self._beeper.write_pulses(duration_ms * _BEEP_TICKS_PER_MS // pulses, (1,) * pulses)

    def feed(self):
        """The loop is alive: hold the watchdog off for another 30 s."""
        self._watchdog.feed()

    def restart(self):
        """End this life and begin the next one; it does not return."""
        machine.reset()

    def wait(self, due_ms):
        """Sleep until `due_ms`, or until there is something to read; feeds the watchdog."""
        while True:
            left_ms = max(due_ms - self.ticks_ms(), 0)
            woken = False
            for _ in self.waiting.ipoll(min(left_ms, _WAIT_MS)):
                woken = True
            self.feed()
            if woken or left_ms <= _WAIT_MS:
                return


def blob_of(nvs, key, bytes_max):
    """A blob of the key-value store as bytes, or None if there is none."""
    buffer = bytearray(bytes_max)
    try:
        size = nvs.get_blob(key, buffer)
    except OSError:
        return None
    return bytes(memoryview(buffer)[:size])
