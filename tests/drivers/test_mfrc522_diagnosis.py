"""The self test: what it says of chips and clones, and that the reader works on afterwards."""

import pytest

from firmware.drivers.mfrc522 import BusFault
from firmware.drivers.mfrc522_diagnosis import DIFFERS, PASSED, UNKNOWN_VERSION, self_test
from simulator.cards.field import US
from tests.drivers.desk import UID4, Desk, new_card

CHIPS = [
    (0x91, False, PASSED),
    (0x92, False, PASSED),
    (0x92, True, DIFFERS),
    (0x91, True, DIFFERS),
    (0x90, False, UNKNOWN_VERSION),
    (0x88, False, UNKNOWN_VERSION),
    (0xB2, True, UNKNOWN_VERSION),
]


def test_without_a_chip_there_is_no_result():
    desk = Desk()
    for level in (0x00, 0xFF):
        desk.model.miso = level
        with pytest.raises(BusFault):
            self_test(desk.chip)


@pytest.mark.parametrize("after", [3, 20, 60, 100])
def test_a_bus_that_dies_on_the_way_is_a_fault(after):
    desk = Desk()
    desk.pcd.poll()
    begin = desk.model.transactions

    def die(number):
        if number - begin == after:
            desk.model.miso = 0xFF

    desk.model.before_exchange = die
    with pytest.raises(BusFault):
        self_test(desk.chip)
    desk.model.miso = desk.model.before_exchange = None
    desk.place(new_card())
    assert desk.pcd.poll().uid == UID4


def test_a_self_test_that_does_not_end_differs(monkeypatch):
    desk = Desk()
    monkeypatch.setattr("simulator.chips.mfrc522.SELF_TEST", 10_000_000 * US)
    start_us = desk.clock.now_us
    assert self_test(desk.chip) == DIFFERS
    assert desk.clock.now_us - start_us < 200_000


@pytest.mark.parametrize(("version", "is_clone", "expected"), CHIPS)
@pytest.mark.parametrize("is_used", [False, True])
def test_what_it_says_and_that_cards_are_read_afterwards(version, is_clone, expected, is_used):
    desk = Desk()
    desk.model.version, desk.model.is_clone = version, is_clone
    if is_used:
        desk.pcd.poll()
        desk.place(new_card())
        desk.purse(desk.pcd.poll()).read()
    for _ in range(2):
        assert self_test(desk.chip) == expected
    assert desk.chip.is_set_up()
    desk.place(*([] if is_used else [new_card()]))
    assert desk.pcd.poll().uid == UID4
    assert desk.purse(desk.pcd.poll()).read().balance_fen == 10_000
    assert (desk.chip.faults, desk.chip.recoveries) == (0, 0)
    assert desk.model.violations == []
