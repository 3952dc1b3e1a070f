"""Shows screens with the heap locked, where there is one to lock, and prints what goes out."""

import binascii

from firmware.drivers.lcd import Lcd

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock():
        """CPython has nothing to lock."""

    heap_unlock = heap_lock

SCREENS = (
    (b"PAID 12.50", b"\xd3\xe0\xb6\xee 87.50", b"A\xd6\xd0\xd6", b""),
    (b"PAID 12.60", b"\xd3\xe0\xb6\xee 87.40", b"A\xd6\xd0\xd6"),
    (b"\xd3\xe0\xb6\xee\xb2\xbb\xd7\xe3", b"", b"", b"E201"),
)


class Wire:
    """board.lcd: keeps what is sent, in room that is there from the start."""

    def __init__(self):
        self.sent = bytearray(1024)
        self.size = 0

    def write(self, data):
        for byte in data:
            self.sent[self.size] = byte
            self.size += 1


class Board:
    """What the driver needs of one."""

    def __init__(self):
        self.lcd = Wire()

    def sleep_us(self, duration_us):
        pass


def main():
    """One line for each screen: its transfers; then whether they took no memory."""
    board = Board()
    lcd = Lcd(board)
    locked = True
    for screen in SCREENS:
        board.lcd.size = 0
        heap_lock()
        try:
            lcd.show(screen)
        except MemoryError:
            locked = False
        finally:
            heap_unlock()
        sent = bytes(board.lcd.sent[: board.lcd.size])
        print("show", binascii.hexlify(sent).decode(), len(sent) // 3)
    print("locked", locked)


main()
