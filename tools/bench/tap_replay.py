"""A tap played again in MicroPython, with nothing behind the board but a tape: what is left is the
interpreter's own time.

Runs in MicroPython as the main program of an image (see tap_tape.py): main.py TAPE ROUNDS. Every
answer of bus, pin, flash, AES and random source is read from the tape, and time is the tape's. The
first round checks what the firmware says to its hardware against the tape; the others are timed.
Prints a dictionary: `tap_us` and `yard_us` (the best of all rounds), `allocated_bytes`.

main.py TAPE ROUNDS STEPS only plays, for somebody who counts from outside: "all" the steps of the
tape, or those "before" the last one.

Garbage is not collected inside a round: the heap is large enough, and what a collection costs is
told elsewhere. The looks at the interrupt pin while a card is busy are played once, not fifty
times: they pass while there is nothing else to do.
"""

# MicroPython has no typing module to take the names of types from, and functions of its own.
# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ANN204
# pyright: reportAttributeAccessIssue=false

import gc
import sys
import time

from firmware.drivers.ticks import Ticks
from firmware.roles.pos import build
from protocols.wire.mqtt_client import MqttClient

_WRAP_US = 1 << 30


class Diverged(Exception):
    """The firmware does not do here what it did when the tape was made."""


class Part:
    """A part of the board: whatever is assigned to it."""


class TapeBoard:
    """The board seam, answered from `tape`; `is_checking` compares what the firmware says."""

    def __init__(self, tape, is_checking):
        self._tape = tape
        self._left = {}
        for name in tape["queues"]:
            self._left[name] = iter(tape["queues"][name])
        self._now_us = tape["start_us"]
        self.ticks_us = Ticks(lambda: self._now_us % _WRAP_US).us
        self.settings, self.boot_cause = tape["settings"], tape["boot_cause"]
        self.menu = b""
        self.card_flash = None
        self._add_parts(is_checking)

    def _add_parts(self, is_checking):
        self.rfid = Part()
        self._spi = self._left["spi"]
        self.rfid.exchange = self._exchange_checked if is_checking else self._exchange
        self.rfid.irq = lambda: self._next("irq")
        self.rfid.reset = self._ignore
        self.flash = Part()
        self.flash.sector_bytes, self.flash.size_bytes = 4096, self._tape["flash_bytes"]
        self.flash.read = self._flash_read
        self.flash.program = self._program_checked if is_checking else self._ignore
        self.flash.erase = self._ignore
        self.net, self.keypad, self.display, self.power = Part(), Part(), Part(), Part()
        self.lcd = self.display
        self.net.is_up = lambda: False
        self.net.client = MqttClient
        self.keypad.read = lambda: self._next("keys")
        self.display.write = self._ignore
        self.power.mains = lambda: True
        self.power.is_open = lambda: False
        self.power.load_ma = 0  # what a battery would have to give: nobody asks on mains
        self.sleep_us = self.led = self.beep = self.store = self._ignore
        self.stored = lambda _name: b""

    def ticks_ms(self):
        return self.ticks_us() // 1000

    def utc_s(self):
        return self._next("utc")

    def urandom(self, _size):
        return self._next("random")

    def aes(self, _key):
        return self._encrypt

    def aes_cbc(self, _key, _iv, _data, _decrypting):
        return self._next("cbc")

    def left(self):
        """How many answers of the tape nobody has asked for."""
        return sum([len(list(answers)) for answers in self._left.values()])

    def _encrypt(self, _block):
        return self._next("aes")

    def _exchange(self, _out, into):
        _, answer, self._now_us = next(self._spi)
        into[:] = answer

    def _exchange_checked(self, out, into):
        said, answer, self._now_us = next(self._spi)
        if bytes(out) != said:
            raise Diverged(f"bus: {bytes(out)} instead of {said}")
        into[:] = answer

    def _flash_read(self, _address, buffer):
        buffer[:] = self._next("read")

    def _program_checked(self, address, data):
        if (address, bytes(data)) != self._next("program"):
            raise Diverged(f"flash at {address:#x}")

    def _next(self, name):
        return next(self._left[name])

    def _ignore(self, *_):
        return None


class Yard:
    """The yardstick: method calls, attributes, bytes and small integers, as drivers have them."""

    def __init__(self):
        self.data = bytearray(64)
        self.total = 0

    def add(self, at, value):
        data = self.data
        data[at] = value & 0xFF
        self.total = self.total + data[at] & 0xFFFF
        return self.total

    def round(self):
        for at in range(64):
            if self.add(at, at * 5 ^ at >> 1) > 0x8000:
                self.total = 0


def booted(tape, is_checking):
    """(board, device) after all steps on the tape but the last."""
    board = TapeBoard(tape, is_checking)
    device = build(board)
    for now_ms in tape["steps"][:-1]:
        device.step(now_ms)
    return board, device


def one_round(tape, is_checking):
    """(us, bytes allocated) of the last step on the tape."""
    gc.collect()
    board, device = booted(tape, is_checking)
    now_ms = tape["steps"][-1]
    before_bytes = gc.mem_alloc()
    begin_us = time.ticks_us()
    device.step(now_ms)
    took_us = time.ticks_diff(time.ticks_us(), begin_us)
    allocated_bytes = gc.mem_alloc() - before_bytes
    left = board.left() if is_checking else 0
    if left:
        raise Diverged(f"{left} answers were not asked for")
    return took_us, allocated_bytes


def yard_us():
    """One round of the yardstick, in us times 100."""
    yard = Yard()
    begin_us = time.ticks_us()
    for _ in range(100):
        yard.round()
    return time.ticks_diff(time.ticks_us(), begin_us)


def play(tape, rounds, steps):
    """Play `rounds` times, each on a heap without garbage: it makes allocations longer."""
    gc.disable()
    for _ in range(rounds):
        gc.collect()
        _, device = booted(tape, False)
        if steps == "all":
            device.step(tape["steps"][-1])


def main(path, rounds, steps=None):
    """Check once, then time `rounds` times; or only play the steps."""
    with open(path) as file:
        tape = eval(file.read())  # noqa: S307 - a literal that our own process has written
    if steps is not None:
        play(tape, rounds, steps)
        return
    _, allocated_bytes = one_round(tape, True)
    tap_us, best_us = [], []
    for _ in range(rounds):
        tap_us.append(one_round(tape, False)[0])
        best_us.append(yard_us())
    print(
        {
            "tap_us": min(tap_us),
            "yard_us": min(best_us) / 100,
            "allocated_bytes": allocated_bytes,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
