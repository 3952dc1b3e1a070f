"""`time` of the ESP32 port: ticks that wrap at 2**30, an epoch in 2000; the world's clock."""

import bridge
from micropython import const

_TIME_S = const(3)
_PERIOD = const(1 << 30)
_HALF = const(1 << 29)

ticks_us = bridge.ticks_us


def time():
    return bridge.call(_TIME_S)


def sleep_us(duration):
    if duration > 0:
        bridge.sleep_us(duration)


def sleep_ms(duration):
    sleep_us(duration * 1000)


def ticks_diff(end, start):
    return ((end - start + _HALF) & (_PERIOD - 1)) - _HALF
