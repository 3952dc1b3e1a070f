"""Classifies two thousand byte strings and prints what comes of it; CPython and MicroPython.

The draw is a congruential generator, for the two have different ones of their own.
"""

from protocols.rules import scan_codes

PREFIXES = (
    b"",
    b"10",
    b"15",
    b"25",
    b"30",
    b"62",
    b"01",
    b"OCPAYA",
    b"OCIDYA",
    b"hQVDUFY",
    b"\x80",
)
LENGTHS = (16, 18, 19, 24, 38, 48, 243)
ALPHABETS = (b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bytes(range(256)))


class Draw:
    """Numbers from a seed."""

    def __init__(self, seed):
        self.state = seed

    def below(self, end):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % end


def drawn(draw):
    """Bytes that come near a code."""
    prefix = PREFIXES[draw.below(len(PREFIXES))]
    size = LENGTHS[draw.below(len(LENGTHS))]
    alphabet = ALPHABETS[draw.below(len(ALPHABETS))]
    code = bytearray(size)
    for at in range(size):
        code[at] = alphabet[draw.below(len(alphabet))]
    code[: len(prefix)] = prefix
    if prefix == b"\x80":
        code[1:3] = (size - 3).to_bytes(2, "big")
    return bytes(code)


def main():
    """Print number, kind and reason of each."""
    draw = Draw(7)
    total = 0
    for turn in range(2000):
        code = drawn(draw)
        kind, reason = scan_codes.decide(code, (scan_codes.CAMPUS_PAYMENT,), turn % 2 == 0)
        total += kind * 1000 + reason
        print(turn, kind, reason)
    print("sum", total)


main()
