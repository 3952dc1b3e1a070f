"""Rules of a POS on drawn inputs: the same on CPython and on MicroPython.

As a program it prints, as a line of JSON each, what they give: a heap full of results that all
have to be kept would be fragmented long before it is full.
"""

import json

from protocols.rules import charging, meals, split
from protocols.wire import messages


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
        flags = messages.FLAG_PIN if draw.below(6) == 0 else draw.below(4)
        head = (1001 + draw.below(2), seq, 5 + draw.below(2), 71, 1 + draw.below(4000))
        drawn.append(head + moment + (flags,))
    return drawn


class Card:
    """What a meal period wants to know of a card; its kind is drawn."""

    kind = day = period_use = 0


PERIODS = (
    (390, 540, 1500, 3, 1, 1, 0, 0, 0, 0),
    (630, 810, 3000, 4, 2, 1, 0, 1, 2, 0),
    (810, 1140, 0, 0, 1, 1, 1, 2, 0, 1),
    (1260, 60, 2000, 2, 1, 0, 0, 0, 0, 0),
)
PRICES = charging.packed(
    ((1, 1, 0, 900), (1, 0, 2, 1200), (1, 0, 0, 1000), (2, 0, 1, 300), (0, 0, 0, 800))
)
MEAL_PRICES = charging.packed(((100, 2, 0, 700), (100, 0, 0, 900), (101, 0, 0, 1600)))
KEYS = b"0123456789.+\r\r++FT\x1bx"


def purchases(draw):
    """What the ledger finds in drawn charges, and what a POS holds against the limit at each."""
    for count in range(16):
        drawn = charges(draw, count)
        yield "evidence", split.evidence(drawn, 120, 5000)
        ring = split.Recent(1001, 71, 5)
        for charge in drawn:
            yield "purchase_fen", ring.purchase_fen(charge, 120)
            ring.note(charge)


def spends(draw):
    """One card through some days of drawn spends, the clock now and then in doubt."""
    card, time_ms = Card(), 1790000000000
    for _ in range(400):
        time_ms += draw.below(2400) * 1000
        interval_ms = time_ms, time_ms + draw.below(3) * draw.below(9000) * 1000
        when = meals.span(PERIODS, interval_ms, 28800)
        card.kind, order = draw.below(4), (charging.AMOUNT, (1 + draw.below(2500),))
        if draw.below(3) == 0:
            order = charging.MEAL, ()
        sold = meals.sell((MEAL_PRICES, PERIODS), order, card, interval_ms, 28800)
        possible = meals.possible(PERIODS, when)
        yield "meal", (when, possible, card.day, card.period_use, sold)
        if not sold[0]:
            card.day = max(card.day, (interval_ms[0] // 1000 + 28800) // 86400)
            card.period_use = sold[2]


def keyed(draw):
    """Rows of drawn keys, and what the orders among them cost."""
    for mode in (charging.AMOUNT, charging.FIXED, charging.ITEM, charging.MEAL):
        entry = charging.home(mode)
        for _ in range(300):
            entry, effect, answer = charging.on(entry, KEYS[draw.below(len(KEYS))])
            yield "key", (entry, effect, answer)
            if entry[0] == "armed":
                order = charging.order_of(entry)
                periods = (draw.below(4), 4)
                yield "cost", charging.cost(order, PRICES, draw.below(4), periods)
                yield "offered", charging.offered(order, PRICES, periods)


def outcomes():
    """(rule, what it gives), one after the other."""
    draw = Draw(7)
    yield "faults", (meals.fault_of(PERIODS), charging.fault_of(PRICES))
    for drawn in (purchases, spends, keyed):
        yield from drawn(draw)


if __name__ == "__main__":
    for each in outcomes():
        print(json.dumps(each))
