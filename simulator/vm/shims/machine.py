"""`machine` of the ESP32 port."""

from bridge import call, post, read_pin, take, wakers
from micropython import const

_RESET_CAUSE = const(4)
_ADC_READ_UV = const(6)
_SPI_TRANSFER = const(7)
_UART_READ = const(8)
_UART_FLUSH = const(22)
_DEEP_SLEEP = const(27)
_RTC_MEMORY = const(28)
_I2C_READ = const(29)
_I2C_WRITE = const(30)
_WAKE_REASON = const(31)
_PIN_SETUP = const(32)
_PIN_WRITE = const(33)
_SPI_SETUP = const(34)
_UART_WRITE = const(35)
_WDT_START = const(38)
_WDT_FEED = const(39)
_RETAIN = const(43)
_RESTART = const(44)

EXT0_WAKE = 2


def __getattr__(name):
    """USBDevice, of a chip that has it: only its image pays for that."""
    return getattr(__import__("usb"), name)


def reset_cause():
    return call(_RESET_CAUSE)


def wake_reason():
    return call(_WAKE_REASON)


def reset():
    """It never returns, as below."""
    call(_RESTART)
    raise SystemExit


def deepsleep(time_ms):
    """It never returns: whoever answers has ended this life."""
    call(_DEEP_SLEEP, time_ms, wakers[0], wakers[1])
    raise SystemExit


class RTC:
    def memory(self, data=None):
        if data is None:
            return take(call(_RTC_MEMORY))
        if len(data) > 2048:
            raise ValueError("buffer too long")
        return post(_RETAIN, 0, 0, data)


class I2C:
    def __init__(self, id, *, scl, sda, freq=400000, timeout=50000):
        if id not in (0, 1):
            raise ValueError("I2C(%d) doesn't exist" % id)
        if freq > 400000:
            raise ValueError("no chip here takes more than 400 kHz")
        self._pins = sda.id << 16 | scl.id << 8

    def readfrom_mem(self, addr, memaddr, nbytes):
        return take(_answered(call(_I2C_READ, self._pins | addr, memaddr << 8 | nbytes)))

    def writeto_mem(self, addr, memaddr, buf):
        _answered(call(_I2C_WRITE, self._pins | addr, memaddr, buf))


def _answered(result):
    if result < 0:
        raise OSError(-result)
    return result


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self.id = id
        if mode == Pin.OUT and value is not None:
            post(_PIN_SETUP, id, value)

    def value(self, level=None):
        if level is None:
            return read_pin(self.id)
        return post(_PIN_WRITE, self.id, 1 if level else 0)

    __call__ = value

    def irq(self, handler=None, trigger=3, wake=None):
        # The stubs list priority= and hard=; the port takes neither.
        raise RuntimeError("no pin interrupts over the bridge: levels are polled")


class SPI:
    def __init__(
        self, id, baudrate=1000000, *, polarity=0, phase=0, sck=None, mosi=None, miso=None
    ):
        if id not in (1, 2):
            raise ValueError("SPI(%d) doesn't exist" % id)
        self._pins = sck.id << 16 | mosi.id << 8 | miso.id
        self.init(baudrate, polarity=polarity, phase=phase)

    def init(self, baudrate=1000000, *, polarity=0, phase=0):
        post(_SPI_SETUP, baudrate, polarity << 1 | phase)

    def write(self, data):
        call(_SPI_TRANSFER, self._pins, 0, data, bytearray(len(data)))

    def write_readinto(self, out, into):
        if len(out) != len(into):
            raise ValueError("buffers must be the same length")
        call(_SPI_TRANSFER, self._pins, 0, out, into)


class UART:
    def __init__(self, id, baudrate=115200, *, tx=None, rx=None, txbuf=256, rxbuf=256, timeout=0):
        if id not in (0, 1, 2):
            raise ValueError("UART(%d) does not exist" % id)
        if timeout:
            raise RuntimeError("only UARTs that do not block")
        self._pins = tx, rx

    def read(self, size=-1):
        return take(call(_UART_READ, self._pins[1].id, size)) or None

    def write(self, data):
        post(_UART_WRITE, self._pins[0].id, 0, data)
        return len(data)

    def flush(self):
        call(_UART_FLUSH, self._pins[0].id)

    def ioctl(self, mask, woken):
        """What select.poll reports: that something woke the reader, not which of its inputs."""
        return mask & 1 if woken else 0


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, *, atten=0):
        # ADC2 cannot be used beside Wi-Fi; ADC1 of an ESP32, and of an ESP32-S3.
        if not 32 <= pin.id <= 39 and not 1 <= pin.id <= 10:
            raise ValueError("invalid pin")
        self._pins = pin

    def read_uv(self):
        return call(_ADC_READ_UV, self._pins.id)


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT(%d, %d)" % (id, timeout))
        post(_WDT_START, timeout)

    def feed(self):
        post(_WDT_FEED)
