"""Feeds a scanner driver with whatever may come and prints what it makes of it.

CPython and MicroPython; in the latter also with the heap locked while nothing comes.
"""

from firmware.drivers.qr_scanner import QrScanner, crc, frame

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock():
        """CPython has no such lock."""

    def heap_unlock():
        """Nor this."""


PIECES = (
    b"134567890123456789\r",
    b"OCPAYA" + b"A2" * 16 + b"\r",
    b"x" * 256 + b"\r",
    b"y" * 300,
    b"\r",
    b"\x02\x00\x00\x01\x00\x33\x31",
    b"\x02\x00\x00",
    bytes(range(256)),
    b"half a code",
    b"",
)


class Uart:
    """A line on which `arrived` comes in, and nobody answers unless `answers`."""

    def __init__(self):
        self.arrived = b""
        self.written = []
        self.answers = True
        self.zones = bytearray(256)

    def read(self):
        data, self.arrived = self.arrived, b""
        return data or None

    def write(self, data):
        self.written.append(bytes(data))
        if self.answers:
            self.zones[data[5]] = self.zones[data[5]] if data[2] == 7 else data[6]
            value = self.zones[data[5]] if data[2] == 7 else 0
            body = b"\x00\x00\x01" + bytes((value,))
            self.arrived += b"\x02" + body + crc(body).to_bytes(2, "big")


def counted(scanner):
    """What a driver has counted so far."""
    return (
        scanner.too_long,
        scanner.torn,
        scanner.repeats,
        scanner.unasked,
        scanner.resets,
        scanner.is_present,
    )


def main():
    """Set up, then three hundred pieces in an order that a generator draws."""
    uart = Uart()
    scanner = QrScanner(uart)
    scanner.is_wanted = True
    state, now_ms = 11, 0
    for _ in range(40):
        scanner.read(now_ms)
        now_ms += 10
    print([bytes(sent)[4:7] for sent in uart.written], frame(7, 0, 1))
    for turn in range(300):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        uart.arrived += PIECES[(state >> 8) % len(PIECES)]
        uart.answers = turn < 200
        now_ms += (state >> 16) % 200
        code = scanner.read(now_ms)
        print(turn, code and (len(code), code[:8]), counted(scanner), scanner.due_ms - now_ms)
    uart.answers = True
    for _ in range(100):
        now_ms += 100
        scanner.read(now_ms)
    while scanner.due_ms - now_ms < 500:
        now_ms += 10
        scanner.read(now_ms)
    half = PIECES[8]
    heap_lock()
    try:
        for _ in range(10):
            now_ms += 1
            scanner.read(now_ms)
            scanner.feed(half)
    finally:
        heap_unlock()
    print("quiet", counted(scanner))


main()
