"""Memory runs out in a spend, at every call to the board: the money is right all the same.

An allocation fails before a call is made, or when its result is to be kept. What catches it is
either purse.debit, which makes a result of it, or nobody: then the watchdog resets the reader.
"""

from functools import cache

import pytest

from firmware.roles import pos
from protocols.wire import messages
from simulator.host.board import HostBoard
from tests.firmware.counter import Counter, new_card, truth
from tests.firmware.test_pos_cuts import AMOUNT, PAID, check_paid_once, go_on

NEVER = 1 << 40
PARTS = ("flash", "rfid", "net", "keypad", "display", "power")
BEFORE, AFTER = False, True


class Heap:
    """Counts the calls to a board; memory runs out at one of them, or from it on."""

    def __init__(self):
        self.calls = 0
        self.empty_at, self.is_after, self.lasts = NEVER, BEFORE, False

    def spend(self, is_after):
        if is_after != self.is_after:
            return
        if self.calls == self.empty_at or (self.lasts and self.calls > self.empty_at):
            raise MemoryError

    def guarded(self, call):
        def guard(*arguments):
            self.calls += 1
            self.spend(BEFORE)
            result = call(*arguments)
            self.spend(AFTER)
            return self.guarded(result) if callable(result) else result

        return guard


class Scarce:
    """A board, or a part of one, whose every call passes the heap."""

    def __init__(self, part, heap):
        self._part, self._heap = part, heap

    def __getattr__(self, name):
        value = getattr(self._part, name)
        if name in PARTS:
            return Scarce(value, self._heap)
        return self._heap.guarded(value) if callable(value) else value


class ScarceCounter(Counter):
    """A counter with `heap` between firmware and board."""

    def __init__(self, seed=0):
        self.heap = Heap()
        super().__init__(seed)

    def boot(self, tell_time=True):
        self.heap.empty_at = NEVER
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = pos.build(Scarce(board, self.heap))
        if tell_time and not self._is_told:
            self.tell_time()
        self.run_ms(0)

    def die(self):
        """The witness would look for an INTENT on top; here an OUTCOME may have followed it."""
        look, self.witness.look_at_cards = self.witness.look_at_cards, lambda: None
        super().die()
        self.witness.look_at_cards = look
        self.witness.written = {card: card.eeprom_writes for card in self.cards}

    def survives_heap(self, act):
        """Whether the firmware went on; if not, the watchdog has reset the reader."""
        try:
            act()
        except MemoryError:
            self.die()
            return False
        return True


def begin():
    """A counter with the amount keyed in and a card in the field."""
    counter, card = ScarceCounter(), new_card()
    counter.key(AMOUNT.encode() + b"\r")
    counter.put(card)
    counter.clock.advance_us(10_000)
    return counter, card


@cache
def calls_of_a_spend():
    counter, _ = begin()
    first = counter.heap.calls
    counter.run_ms(0)
    assert counter.shown == PAID
    return counter.heap.calls - first


def spend_without(number, is_after, lasts=False):
    """A spend whose call `number` fails; (counter, card, whether it went on)."""
    counter, card = begin()
    heap = counter.heap
    heap.empty_at, heap.is_after, heap.lasts = heap.calls + number, is_after, lasts
    went_on = counter.survives_heap(lambda: counter.run_ms(0))
    heap.empty_at = NEVER
    counter.take(card)
    return counter, card, went_on


def test_there_are_many_calls_in_a_spend():
    assert 1000 < calls_of_a_spend() < 5000


@pytest.mark.parametrize("is_after", [BEFORE, AFTER])
def test_memory_runs_out_once(is_after):
    """At each call of a spend; then clerk and customer do what the display says."""
    ends = set()
    # "After" differs from "before the next one" only where a call has changed something.
    for number in range(1, calls_of_a_spend() + 1, 5 if is_after else 1):
        counter, card, went_on = spend_without(number, is_after)
        ends.add((went_on, truth(card).counter))
        go_on(counter, card)
        check_paid_once(counter, card)
    # Inside a debit it goes on and takes the money; elsewhere it starts anew, paid or unpaid.
    assert ends == {(True, 1), (False, 0), (False, 1)}


@pytest.mark.parametrize("is_after", [BEFORE, AFTER])
def test_memory_stays_short_until_the_reset(is_after):
    for number in range(1, calls_of_a_spend() + 1, 7):
        counter, card, went_on = spend_without(number, is_after, lasts=True)
        assert not went_on
        go_on(counter, card)
        check_paid_once(counter, card)


@pytest.mark.parametrize("is_after", [BEFORE, AFTER])
def test_memory_runs_out_in_the_boot_behind_a_spend(is_after):
    """At each call of a boot that takes up what the last one left."""
    counter, card, _ = spend_without(calls_of_a_spend() - 60, BEFORE, lasts=True)
    number = 0
    while counter.pos is None:
        number += 1
        counter.hardware.power_on()
        board = HostBoard(counter.hardware)
        heap = counter.heap = Heap()
        heap.empty_at, heap.is_after = number, is_after
        if counter.survives_heap(lambda board=board, heap=heap: pos.build(Scarce(board, heap))):
            counter.boot()
    assert number > 20
    go_on(counter, card)
    check_paid_once(counter, card)


def test_a_debit_makes_a_result_of_it():
    """In the middle of the dialogue the card is still there: it is tried again, and paid."""
    counter, card, went_on = spend_without(calls_of_a_spend() * 3 // 4, BEFORE)
    assert went_on and counter.shown == PAID
    (outcome,) = counter.records(messages.OUTCOME)
    assert outcome["result"] == messages.COMMITTED and truth(card).counter == 1
