"""The VM's end of the bridge: one blocking request and answer per hardware call (vm/ops.py).

The modules beside this file are those of the ESP32 port, as far as firmware/boards uses them. They
stand first on sys.path and hide the host's; what the port does not accept they do not accept.
Nothing here allocates but the answer's own bytes. Private constants are compiled away, so that
this end takes little of the heap that is being measured.

Round trips are dear. Requests without an answer wait in a buffer and go out, in order, with the
next call. Every answer brings the time along. And a sleep right after a look at a pin is a loop
that waits for that pin: its answer brings the pin's level along.
"""

import gc
from array import array
from struct import pack_into

from micropython import const

_WAIT = const(0)
_TICKS_US = const(1)
_SLEEP_US = const(2)
_PIN_READ = const(5)
_MEMORY = const(40)
_PROBE_WAITS = const(1)
_PROBE_CALLS = const(2)
_HEAD_BYTES = const(16)
_OUT_BYTES = const(512)

_out = bytearray(_OUT_BYTES)
_waiting = 0
_answer = array("i", (0, 0, -1))
_pin = 0  # the pin looked at last, if nothing but a sleep came after it
_level = -1  # its level, if it is known at this instant
woken = None  # what the port's scheduler runs when the firmware has waited; None: nothing
_reader = None
_writer = None
_probe = 0
# The pins that end deep sleep at 1: the one of EXT0, or -1, and those of EXT1.
wakers = [-1, b""]


def connect(reader, writer, probe):
    """Use two inherited pipes, by descriptor."""
    global _reader, _writer, _probe
    _reader = open(reader, "rb")
    _writer = open(writer, "wb")
    _probe = probe


def post(op, a=0, b=0, data=b""):
    """A request nobody waits for."""
    global _waiting, _pin
    _pin = 0
    size = len(data)
    if _waiting + _HEAD_BYTES + size > _OUT_BYTES:
        _flush()
    pack_into("<iiii", _out, _waiting, op, a, b, size)
    _waiting += _HEAD_BYTES
    if _waiting + size > _OUT_BYTES:
        _flush()
        _writer.write(data)
    elif size:
        _out[_waiting : _waiting + size] = data
        _waiting += size


def call(op, a=0, b=0, data=b"", into=None):
    """The result of a request; its bytes go to `into`, or are left for take()."""
    if _probe == _PROBE_CALLS or (_probe == _PROBE_WAITS and op == _WAIT):
        used = gc.mem_alloc()
        gc.collect()
        post(_MEMORY, used, gc.mem_alloc())
    post(op, a, b, data)
    _flush()
    if _reader.readinto(_answer) != 12:
        raise SystemExit  # the world is gone
    if into is not None and _answer[1]:
        if _answer[1] != len(into):
            raise ValueError("answer of another length")
        _reader.readinto(into)
    return _answer[0]


def take(size):
    """The bytes that follow an answer."""
    return _reader.read(size) if size else b""


def ticks_us():
    """The time since reset, modulo 2**30. None passes between two calls."""
    return _answer[2] if _answer[2] >= 0 else call(_TICKS_US)


def read_pin(pin):
    """The level of a pin."""
    global _pin, _level
    if pin != _pin or _level < 0:
        _level = call(_PIN_READ, pin)
        _pin = pin
    return _level


def sleep_us(duration):
    """Let time pass."""
    global _pin, _level
    pin = _pin
    _level = call(_SLEEP_US, duration, pin)
    _pin = pin


def _flush():
    global _waiting
    if _waiting:
        _writer.write(_out, _waiting)
        _waiting = 0
