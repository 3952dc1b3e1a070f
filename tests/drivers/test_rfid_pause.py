"""An empty field that goes dark between looks: nobody is missed; what it saves, what it costs."""

import random

import pytest

from firmware.drivers.iso14443 import CardCollision, CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import BusFault
from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.drivers.desk import UID4, UID7, Desk, new_card
from tests.rules.test_settings import GOOD
from tests.simulator.cards.test_iso_dep import Echo

PAUSE_MS = 100
PAUSE_US = PAUSE_MS * 1000
LOOK_US = 8_000  # guard time of the field, call, bus
POLL_EVERY_US = 10_000


class Port:
    """The same antenna at card depth."""

    def __init__(self, pause_ms):
        store = {"settings": settings.encode({**GOOD, "rfid_pause_ms": pause_ms})}
        flash = NorFlash(4096, random.Random(0))
        hardware = Hardware("pos", World(0), Transcript(), flash, store, random.Random(0))
        hardware.power_on()
        self.clock, self.field = hardware.clock, hardware.field
        self.pcd = front_end(hardware)


def desk(depth="register", pause_ms=PAUSE_MS):
    """An antenna that has looked once and found nobody."""
    opened = Port(pause_ms) if depth == "card" else Desk(rfid_pause_ms=pause_ms)
    assert opened.pcd.poll() is None
    return opened


def is_dark(opened):
    return not opened.field._carrier


def found_after_us(opened, card):
    """How long a card must wait that is put down now, with a poll every 10 ms."""
    opened.field.place(card)
    start_us = opened.clock.now_us
    while opened.pcd.poll() is None:
        opened.clock.advance_us(POLL_EVERY_US)
        assert opened.clock.now_us - start_us < 1_000_000
    return opened.clock.now_us - start_us


# ---------------------------------------------------------------- nobody is missed


@pytest.mark.parametrize("depth", ["register", "card"])
@pytest.mark.parametrize("after_us", range(0, 2 * PAUSE_US, 7_700))
def test_a_card_is_found_at_the_next_look(depth, after_us):
    opened = desk(depth)
    while opened.clock.now_us < after_us:
        opened.pcd.poll()
        opened.clock.advance_us(POLL_EVERY_US)
    waited_us = found_after_us(opened, Echo(seed=after_us))
    assert waited_us < PAUSE_US + POLL_EVERY_US + 2 * LOOK_US
    assert opened.pcd.card.uid == UID7


@pytest.mark.parametrize("depth", ["register", "card"])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_known_card_keeps_the_field_on_until_it_leaves(depth, is_open):
    opened = desk(depth)
    card = Echo()
    found_after_us(opened, card)
    first = opened.pcd.card
    for _ in range(20):
        if is_open:
            link = IsoDep(opened.pcd, first)
            link.activate()
            assert link.exchange(b"\x01") == b"\x01\x01"
        opened.clock.advance_us(50_000)
        assert opened.pcd.poll() is first
        assert not is_dark(opened)
    assert card.violations == []
    opened.field.remove(card)
    assert opened.pcd.poll() is None
    assert is_dark(opened)
    with pytest.raises(CardGone):
        opened.pcd.select(first)
    assert opened.pcd.poll() is None
    assert is_dark(opened)


@pytest.mark.parametrize("depth", ["register", "card"])
def test_a_card_can_be_selected_out_of_the_dark(depth):
    """A debit that is still open asks for its card, whatever the last poll has said."""
    opened = desk(depth)
    card = new_card()
    found_after_us(opened, card)
    first = opened.pcd.card
    opened.field.remove(card)
    assert opened.pcd.poll() is None
    opened.field.place(card)
    opened.pcd.select(first)
    assert opened.pcd.poll() is first


def test_two_cards_keep_the_field_on():
    opened = desk()
    cards = [new_card(), new_card(UID7)]
    for card in cards:
        opened.field.place(card)
    opened.clock.advance_us(PAUSE_US)
    for _ in range(3):
        with pytest.raises(CardCollision):
            opened.pcd.poll()
        assert not is_dark(opened)
        opened.clock.advance_us(POLL_EVERY_US)
    opened.field.remove(cards[0])
    assert opened.pcd.poll().uid == UID7


# ---------------------------------------------------------------- the chip fails in the dark


def test_a_reset_in_the_dark_is_healed_at_the_next_look():
    opened = desk()
    opened.model.brown_out()
    assert found_after_us(opened, new_card()) < PAUSE_US + POLL_EVERY_US + 4 * LOOK_US
    assert (opened.chip.faults, opened.chip.recoveries) == (1, 1)
    assert opened.pcd.card.uid == UID4


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_bus_that_dies_in_the_dark_is_told_at_the_next_look(level):
    opened = desk()
    opened.model.miso = level
    opened.clock.advance_us(PAUSE_US)
    for _ in range(3):
        with pytest.raises(BusFault):
            opened.pcd.poll()
    opened.model.miso = None
    opened.field.place(new_card())
    start_us = opened.clock.now_us
    while opened.pcd.poll() is None:
        opened.clock.advance_us(POLL_EVERY_US)
    assert opened.clock.now_us - start_us < 1_000_000
    assert opened.pcd.card.uid == UID4


# ---------------------------------------------------------------- what it saves, what it costs


def test_without_the_setting_the_field_stays_on():
    opened = Desk()
    for _ in range(3):
        assert opened.pcd.poll() is None
        assert not is_dark(opened)


def test_budget_of_a_look_and_of_the_polls_between():
    opened = desk()
    card, transactions, _, duration_us = opened.counted(opened.pcd.poll)
    assert (card, transactions, duration_us) == (None, 0, 0)
    for _ in range(3):
        opened.clock.advance_us(PAUSE_US)
        card, transactions, _, duration_us = opened.counted(opened.pcd.poll)
        assert card is None
        assert transactions <= 8
        assert duration_us <= LOOK_US
    assert opened.model.violations == []


@pytest.mark.parametrize(("pause_ms", "share_max"), [(50, 0.16), (100, 0.09), (500, 0.02)])
def test_the_carrier_is_on_for_the_looks_only(pause_ms, share_max):
    opened = desk(pause_ms=pause_ms)
    switch = opened.field.carrier
    turned, on_us = [], 0

    def watch(on, now):
        if on != opened.field._carrier:
            turned.append(opened.clock.now_us)
        switch(on, now)

    opened.field.carrier = watch
    start_us = opened.clock.now_us
    while opened.clock.now_us - start_us < 5_000_000:
        opened.pcd.poll()
        opened.clock.advance_us(1_000)
    for on, off in zip(turned[::2], turned[1::2], strict=False):
        on_us += off - on
    share = on_us / 5_000_000
    print(f"pause {pause_ms} ms: carrier on for {share:.3f} of the time")
    assert 0 < share < share_max
