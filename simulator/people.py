"""People at a reader: a clerk who keys amounts, and customers who hold cards to it, well or badly.

They see only what a person sees: the customer display. Every draw comes from the scenario's seed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from protocols.rules import money, reasons, screen_texts, screens
from simulator.cardbox import HeldCard
from simulator.payers import Payer, ScanClerk, Scans
from simulator.reader import Reader
from simulator.world.clock import World

_SECOND_US = 1_000_000
_KEYING_US = 1_500_000
_LOOK_US = 900_000
_NEXT_US = 2_500_000
_ATTEMPTS_MAX = 4
_ROUNDS_MAX = 5
_SAME_CARD = reasons.display(reasons.TAP_AGAIN)
_LAST_PAID = "LAST PAID"
_LOADED = "LOADED"
_CARD_OR_CODE = screen_texts.TEXTS[screens.CARD_OR_CODE][0]
_ONE_MOMENT = screen_texts.TEXTS[screens.ONE_MOMENT][0]
_GLANCE_US = 300_000  # between two looks of somebody who holds a phone there
_PHONE_US = 8 * _SECOND_US  # after which nobody holds it there any more
_PIN = (reasons.display(reasons.PIN_NEEDED), reasons.display(reasons.PIN_WRONG))
_WHO = reasons.display(reasons.IDENTITY_CHECK)
_CONFIRM, _ESC = b"\r", b"\x1b"
_CANCEL = b"F7"
_MEAL = b"F4"
_CANCEL_CARD = screen_texts.TEXTS[screens.CANCEL_CARD][0]
_CANCELLED = screen_texts.TEXTS[screens.CANCELLED][0]
_BACK_MS = 3_000  # somebody who waits for money holds the card still
_DEAD = ("", "WELCOME", _LAST_PAID)
_CHECK = reasons.display(reasons.ASK_LEDGER)
_AGAIN = (
    "CARD PLEASE",
    _CARD_OR_CODE,
    _SAME_CARD,
    reasons.display(reasons.SAME_CARD_PLEASE),
    reasons.display(reasons.CARD_GONE),
    reasons.display(reasons.TWO_CARDS),
    reasons.display(reasons.READER_FAULT),
)


@dataclass
class Customer:
    """Someone with a card and an appetite."""

    held: HeldCard
    amount_fen: int
    hold_ms: list[int]  # of each attempt; the last one repeats
    others: list[HeldCard] = field(default_factory=list)  # held to it too, at the first attempt
    pins: list[bytes] = field(default_factory=list)  # what is tried, one at each asking
    pin: bytes = b""  # what is known, and typed from then on
    is_holder: bool = True  # what the merchant sees who looks at the person
    items: list[int] = field(
        default_factory=list
    )  # of the price list; the amount is keyed if none
    is_meal: bool = False  # a counted meal is asked for
    code: Callable[[], bytes] | None = None  # who pays by phone: what it shows, each time
    attempts: int = 0
    rounds: int = 0
    has_tapped: bool = False
    changes_mind: bool = False  # and wants the money back, once it is paid
    cancels_again: bool = False  # and asks for it a second time, which gives nothing
    has_cancelled: bool = False  # and has seen that said
    on_read: Callable[[str], None] | None = None  # told what the display said in the end
    saw: str = ""
    is_platform: bool = False  # the code is none of ours: no card of ours pays

    @property
    def payer_no(self) -> int:
        """Whose payment the books have it as: a card's, or of a platform's customer, 0."""
        return 0 if self.is_platform else self.held.card_no


@dataclass
class Tally:
    """What a person standing there would have written down."""

    taps: int = 0
    paid: int = 0
    paid_fen: int = 0
    given_up: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Clerk:
    """Serves the queue in front of one reader, one customer after the other.

    `keying_us`: from an order that is keyed to the card that is held there.
    """

    keying_us = _KEYING_US

    def __init__(
        self,
        reader: Reader,
        world: World,
        draw: random.Random,
        tally: Tally,
        on_served: Callable[[Customer, bool], None],
        scans: Scans,
    ) -> None:
        self.reader = reader
        self.queue: deque[Customer | Payer] = deque()
        self.presses: deque[Any] = deque()  # steps of keys that wait until nobody is served
        self._scan_clerk = ScanClerk(self, scans)
        self._world = world
        self._draw = draw
        self._tally = tally
        self._on_served = on_served
        self._busy = False

    def join(self, customer: Customer | Payer) -> None:
        self.queue.append(customer)
        if not self._busy:
            self._busy = True
            self._world.at(self._world.now_us, self._serve)

    @property
    def is_idle(self) -> bool:
        return not self._busy and not self.queue

    def press(self, keys: bytes) -> None:
        """The merchant presses keys while nobody is served, or for somebody without a card."""
        self._press(keys)

    def later(self, delay_us: int, act: Callable[[], None]) -> None:
        """Do something in a while."""
        self._world.at(self._world.now_us + delay_us, act)

    def again(self) -> None:
        """Look at who is the first in the queue once more."""
        self.later(_SECOND_US, self._serve)

    def next_one(self) -> None:
        """The first in the queue has left."""
        self.queue.popleft()
        self.later(_NEXT_US, self._serve)

    def _serve(self) -> None:
        if not self.queue:
            self._busy = False
            return
        if not self.reader.is_on:
            self._world.at(self._world.now_us + _SECOND_US, self._serve)
            return
        customer = self.queue[0]
        if isinstance(customer, Payer):
            self._scan_clerk.serve(customer)
            return
        if customer.has_tapped and self._says_paid(customer):
            customer.saw = self._shown()
            self._leave(customer, paid=True)
            return
        if self._shown() in _AGAIN and customer.has_tapped and self._waits_for(customer):
            # The reader died under this customer's card and wants to see it again.
            self._pay(customer)
            return
        if self._shown() in _AGAIN:
            # It still waits for the last customer, who has left: the clerk clears it.
            self._press(_ESC)
        customer.rounds += 1
        self._press(_order(customer) + _CONFIRM)
        self._world.at(self._world.now_us + self.keying_us, partial(self._pay, customer))

    def _pay(self, customer: Customer) -> None:
        if customer.code is None:
            self._tap(customer)
        else:
            self._show_phone(customer, customer.code())

    def _show_phone(self, customer: Customer, code: bytes) -> None:
        """The customer holds the phone there until the display says something."""
        reader, scanner = self.reader, self.reader.hardware.scanner
        assert scanner is not None, "a scenario lets nobody pay by phone at a reader without one"
        customer.attempts += 1
        customer.has_tapped = True
        self._tally.taps += 1
        reader.at(self._world.now_us, partial(scanner.show, code))
        self._glance(customer, self._world.now_us + _PHONE_US)

    def _glance(self, customer: Customer, until_us: int) -> None:
        scanner, now_us = self.reader.hardware.scanner, self._world.now_us
        if self._shown() in (_CARD_OR_CODE, _ONE_MOMENT) and now_us < until_us:
            self._world.at(now_us + _GLANCE_US, partial(self._glance, customer, until_us))
            return
        assert scanner is not None
        self.reader.at(now_us, partial(scanner.show, None))
        self._look(customer)

    def _tap(self, customer: Customer) -> None:
        """The customer holds the card to the reader for a while."""
        reader = self.reader
        hold_ms = customer.hold_ms[min(customer.attempts, len(customer.hold_ms) - 1)]
        customer.attempts += 1
        customer.has_tapped = True
        self._tally.taps += 1
        others = customer.others if customer.attempts == 1 else []
        cards = [held.chip for held in (customer.held, *others)]
        reader.rouse()
        for card in cards:
            reader.hardware.put_card(card)
        away_us = self._world.now_us + hold_ms * 1000 + self._draw.randrange(1000)
        for card in cards:
            reader.at(away_us, partial(reader.hardware.take_card, card))
        self._world.at(away_us + _LOOK_US, partial(self._look, customer))

    def _look(self, customer: Customer) -> None:
        """What does the display say to this customer?"""
        shown = customer.saw = self._shown()
        if shown == f"PAID {money.format_yuan(customer.amount_fen)}":
            self._leave(customer, paid=True)
        elif shown.startswith("PAID") and customer.rounds < _ROUNDS_MAX:
            # The card has told the end of its last sale here, and this one has not begun.
            customer.attempts = 0
            self._world.at(self._world.now_us + _NEXT_US, self._serve)
        elif shown in _PIN and (customer.pins or customer.pin):
            digits = customer.pins.pop(0) if customer.pins else customer.pin
            self._answer(customer, digits + _CONFIRM)
        elif shown in _PIN:
            self._press(_ESC)  # nobody here knows it
            self._refused(customer, shown)
        elif shown == _WHO and customer.is_holder:
            self._answer(customer, _CONFIRM)
        elif shown == _WHO:
            # The merchant keeps the card; what the display says then is for the person.
            self._press(_ESC)
            self._world.at(self._world.now_us + _LOOK_US, partial(self._look, customer))
        elif shown in _AGAIN and customer.attempts < _ATTEMPTS_MAX:
            self._world.at(self._world.now_us + _SECOND_US, partial(self._pay, customer))
        elif shown in _DEAD and customer.rounds < _ROUNDS_MAX:
            # It died under our hands, or it did and is back: serve the same customer again.
            customer.attempts = 0
            self._world.at(self._world.now_us + _SECOND_US, self._serve)
        elif shown in _AGAIN or shown in _DEAD or shown == _CHECK or shown.startswith("PAID"):
            self._tally.given_up += 1
            self._leave(customer, paid=False)
        elif self.reader.hardware.panel.lines[1].startswith(_LOADED) and (
            customer.rounds < _ROUNDS_MAX
        ):
            # It was not enough; now there is more on the card.
            customer.attempts = 0
            self._world.at(self._world.now_us + _NEXT_US, self._serve)
        else:
            if customer.code is not None:
                self._press(_ESC)  # the order may still wait for another code
            self._refused(customer, shown)

    def _answer(self, customer: Customer, keys: bytes) -> None:
        """Keys that the reader waits for, and then the card once more."""
        self._press(keys)
        self._world.at(self._world.now_us + _KEYING_US, partial(self._tap, customer))

    def _refused(self, customer: Customer, shown: str) -> None:
        self._tally.refused[shown] = self._tally.refused.get(shown, 0) + 1
        self._leave(customer, paid=False)

    def _cancel(self, customer: Customer) -> None:
        """The clerk presses FN 7, and looks whose sale it is."""
        if self.reader.is_on:
            self._press(_CANCEL)
        self._world.at(self._world.now_us + _KEYING_US, partial(self._hold_again, customer))

    def _hold_again(self, customer: Customer) -> None:
        amount = money.format_yuan(customer.amount_fen)
        lines = [_CANCEL_CARD, f"{amount} #{customer.held.card_no}"]
        if not self.reader.is_on or self.reader.hardware.panel.lines != lines:
            self._leave(customer, paid=True)
            return
        reader, card = self.reader, customer.held.chip
        reader.rouse()
        reader.hardware.put_card(card)
        reader.at(self._world.now_us + _BACK_MS * 1000, partial(reader.hardware.take_card, card))
        self._world.at(self._world.now_us + _LOOK_US, partial(self._look_back, customer))

    def _look_back(self, customer: Customer) -> None:
        amount = money.format_yuan(customer.amount_fen)
        customer.has_cancelled |= self._shown() == f"{_CANCELLED} {amount}"
        gone_us = self._world.now_us + _BACK_MS * 1000
        if customer.cancels_again:
            customer.cancels_again = False
            self._world.at(gone_us, partial(self._cancel, customer))
            return
        self._world.at(gone_us, partial(self._leave, customer, paid=True))

    def _leave(self, customer: Customer, *, paid: bool) -> None:
        if paid and customer.changes_mind:
            customer.changes_mind = False
            self._world.at(self._world.now_us + _NEXT_US, partial(self._cancel, customer))
            return
        if paid:
            self._tally.paid += 1
            self._tally.paid_fen += customer.amount_fen
        if customer.on_read is not None:
            customer.on_read(customer.saw)
        self.queue.popleft()
        self._on_served(customer, paid)
        self._world.at(self._world.now_us + _NEXT_US, self._serve)

    def _says_paid(self, customer: Customer) -> bool:
        """Whether a reader that came back says that this very customer has paid."""
        amount = money.format_yuan(customer.amount_fen)
        upper, lower = self.reader.hardware.panel.lines
        if customer.code is not None:
            return (upper, lower) == (_LAST_PAID, amount)
        # With two in one hand, the reader may have met either.
        cards = (customer.held, *customer.others)
        receipts = [f"{amount} #{card.card_no}" for card in cards]
        return upper == _LAST_PAID and lower in receipts

    def _waits_for(self, customer: Customer) -> bool:
        """Whether the reader waits for a card with this customer's amount."""
        amount = money.format_yuan(customer.amount_fen)
        return self.reader.hardware.panel.lines[1] == amount

    def _shown(self) -> str:
        return self.reader.hardware.panel.lines[0]

    def _press(self, keys: bytes) -> None:
        self.reader.rouse()
        self.reader.hardware.keys += keys
        self.reader.wake(self._world.now_us)


def _order(customer: Customer) -> bytes:
    """What the clerk keys for a customer: a meal, items of the price list, or the amount."""
    if customer.is_meal:
        return _MEAL
    if customer.items:
        return b"+".join(b"%d" % item for item in customer.items)
    return money.format_yuan(customer.amount_fen).encode()
