"""What is run at a board's console by whoever takes its journal: it only reads.

`onecard journal pull` sends this file to the raw REPL and calls one function behind it; nothing of
it stays. The program is interrupted meanwhile. A watchdog is armed at every call, and fed while it
works: when the cable is pulled out, the board starts anew by itself, with its program. Each
function prints one line of JSON, piece by piece, for a board has little heap.
"""

import hashlib
from binascii import b2a_base64, hexlify

import esp32
import machine

_SECTOR_BYTES = 4096
_WATCHDOG_MS = 30000
_PIECE_BYTES = 768  # of three: pieces of base64 can be put together


def digests():
    """The SHA-256 of each sector of the journal, "" where it is erased."""
    partition, watchdog = _partition(), machine.WDT(timeout=_WATCHDOG_MS)
    block, erased = bytearray(_SECTOR_BYTES), b"\xff" * _SECTOR_BYTES
    print("[", end="")
    for sector in range(partition.ioctl(4, 0)):
        partition.readblocks(sector, block)
        found = "" if block == erased else hexlify(hashlib.sha256(block).digest()).decode()
        print("," if sector else "", '"', found, '"', sep="", end="")
        watchdog.feed()
    print("]")


def sectors(numbers):
    """These sectors, each as base64."""
    partition, watchdog = _partition(), machine.WDT(timeout=_WATCHDOG_MS)
    block = bytearray(_SECTOR_BYTES)
    print("[", end="")
    for at, number in enumerate(numbers):
        partition.readblocks(number, block)
        print("," if at else "", '"', sep="", end="")
        for start in range(0, _SECTOR_BYTES, _PIECE_BYTES):
            piece = b2a_base64(bytes(block[start : start + _PIECE_BYTES]))
            print(piece[:-1].decode(), end="")
        print('"', end="")
        watchdog.feed()
    print("]")


def _partition():
    return esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]
