"""Rules of a POS on drawn inputs: the same on CPython and on MicroPython.

As a program it prints, as JSON, what they give.
"""

import json

from protocols.rules import split


class Draw:
    """Numbers that look random and are the same in both interpreters."""

    def __init__(self, seed):
        self._state = seed

    def below(self, bound):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % bound


def charges(draw, count):
    """Charges of two cards at two POS of one merchant, some blind, some with the PIN."""
    drawn = []
    for seq in range(1, count + 1):
        at_s = draw.below(500)
        latest_s = 0xFFFFFFFF if draw.below(8) == 0 else 1790000000 + at_s + draw.below(9)
        moment = (1790000000 + at_s, latest_s, 1 + draw.below(2), at_s)
        flags = split.FLAG_PIN if draw.below(6) == 0 else draw.below(4)
        head = (1001 + draw.below(2), seq, 5 + draw.below(2), 71, 1 + draw.below(4000))
        drawn.append(head + moment + (flags,))
    return drawn


def outcomes():
    """What each rule gives, as JSON can carry it."""
    draw = Draw(7)
    found, sums = [], []
    for count in range(16):
        drawn = charges(draw, count)
        found.append(split.evidence(drawn, 120, 5000))
        ring = split.Recent(1001, 71, 5)
        for charge in drawn:
            sums.append(ring.purchase_fen(charge, 120))
            ring.note(charge)
    return {"evidence": found, "purchase_fen": sums}


if __name__ == "__main__":
    print(json.dumps(outcomes()))
