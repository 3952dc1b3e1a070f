"""`os` of the ESP32 port: a reader needs its random numbers and nothing else of it."""

from bridge import call, take
from micropython import const

_URANDOM = const(14)


def urandom(size):
    return take(call(_URANDOM, size))
