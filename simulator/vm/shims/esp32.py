"""`esp32` of the ESP32 port: partitions, non-volatile settings, and pulses by hardware."""

from bridge import call, post, take, wakers
from micropython import const

_FLASH_SECTORS = const(9)
_FLASH_READ = const(10)
_FLASH_PROGRAM = const(11)
_FLASH_ERASE = const(12)
_NVS_GET = const(13)
_NVS_SET = const(20)
_PULSE_DONE = const(21)
_PULSE = const(36)

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True

_BLOCK_BYTES = const(4096)
_IMAGES_AT = const(1 << 29)
_CARDS_AT = const(1 << 30)
_RTC_PINS = (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39)
_SOURCE_KHZ = const(80000)
_NVS_NOT_FOUND = const(0x1102)
_NVS_INVALID_LENGTH = const(0x110C)
_NVS_KEY_TOO_LONG = const(0x1109)


class Partition:
    TYPE_DATA = 1

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        if type != Partition.TYPE_DATA or label not in ("journal", "romfs", "cards"):
            return []
        start = {"romfs": _IMAGES_AT, "cards": _CARDS_AT}.get(label, 0)
        if block_size != _BLOCK_BYTES:
            raise RuntimeError("smaller blocks are not power safe")
        return [Partition(start)] if call(_FLASH_SECTORS, start) else []

    def __init__(self, start):
        self._start = start

    def readblocks(self, block, buffer, offset=0):
        address = self._start + block * _BLOCK_BYTES + offset
        call(_FLASH_READ, address, len(buffer), b"", buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:  # the port erases first only when no offset is given
            for sector in range(block, block + len(buffer) // _BLOCK_BYTES):
                self.ioctl(6, sector)
            offset = 0
        address = self._start + block * _BLOCK_BYTES + offset
        _checked(call(_FLASH_PROGRAM, address, 0, buffer))

    def ioctl(self, request, value):
        if request in (1, 2, 3):
            return 0
        if request == 4:
            return call(_FLASH_SECTORS, self._start)
        if request == 5:
            return _BLOCK_BYTES
        if request == 6:
            return _checked(call(_FLASH_ERASE, self._start // _BLOCK_BYTES + value))
        return None


def _checked(value):
    """As the port's check_esp_err: an operation that failed raises."""
    if value < 0:
        raise OSError(value, "ESP_FAIL")
    return value


class NVS:
    def __init__(self, namespace):
        if namespace != "onecard":
            raise RuntimeError("one namespace")
        self._changed = b"", b""

    def get_blob(self, key, buffer):
        size = call(_NVS_GET, 0, 0, key.encode())
        if size < 0:
            raise OSError(-_NVS_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        data = take(size)
        if size > len(buffer):
            raise OSError(-_NVS_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[:size] = data
        return size

    def set_blob(self, key, value):
        if len(key) > 15:
            raise OSError(-_NVS_KEY_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._changed = key.encode(), bytes(value)

    def commit(self):
        key, value = self._changed
        call(_NVS_SET, len(key), 0, key + value)


class RMT:
    def __init__(self, id=-1, *, pin, clock_div=8, idle_level=False, tx_carrier=None):
        if not 1 <= clock_div <= 255:
            raise ValueError("clock_div must be between 1 and 255")
        self._pins = pin
        self._divisor = clock_div

    def write_pulses(self, duration, data=True):
        """Mode 2 of the port: one duration for all, and a level for each."""
        if not isinstance(duration, int) or not isinstance(data, (tuple, list)):
            raise RuntimeError("only write_pulses(int, tuple)")
        if not 0 < duration <= 32767:
            raise ValueError("a pulse has 15 bits")
        ticks = duration * len(data)
        post(_PULSE, self._pins.id, ticks * self._divisor * 1000 // _SOURCE_KHZ)

    def wait_done(self, *, timeout=0):
        if timeout:
            raise RuntimeError("only wait_done(timeout=0)")
        return bool(call(_PULSE_DONE, self._pins.id))


def wake_on_ext0(pin, level):
    if pin is not None and pin.id not in _RTC_PINS:
        raise ValueError("invalid pin")
    wakers[0] = pin.id << 1 | level if pin else -1


def wake_on_ext1(pins, level):
    """The port takes Pin objects, all of them of the RTC."""
    if level is not WAKEUP_ANY_HIGH:
        raise RuntimeError("they are wired to wake at 1")
    for pin in pins:
        if pin.id not in _RTC_PINS:
            raise ValueError("invalid pin")
    wakers[1] = bytes([pin.id for pin in pins])
