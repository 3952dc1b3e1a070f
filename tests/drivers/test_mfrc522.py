"""The driver against the register model: bus budgets, health, interrupts, faults."""

import pytest

from firmware.drivers.mfrc522 import SILENCE, BusFault
from firmware.drivers.mifare_classic import Classic
from protocols.card.purse_classic import STATE_BLOCKS
from simulator.chips import mfrc522_registers as reg
from tests.drivers.desk import UID4, UID7, Desk, new_card


def ready(uid=None, **settings):
    """A desk whose chip is set up, with a card on it if `uid` is given."""
    desk = Desk(**settings)
    assert desk.pcd.poll() is None
    if uid is not None:
        desk.place(new_card(uid))
    return desk


# Transactions allowed by the design, and what the whole act may take in virtual time.
@pytest.mark.parametrize(
    ("uid", "transactions_max", "duration_us_max"), [(UID4, 23, 3_500), (UID7, 43, 6_000)]
)
def test_budget_of_select(uid, transactions_max, duration_us_max):
    desk = ready(uid)
    card, transactions, _, duration_us = desk.counted(desk.pcd.poll)
    assert card.uid == uid
    assert transactions <= transactions_max
    assert duration_us <= duration_us_max


def test_budget_of_select_with_the_registers_in_the_worst_state():
    """After an encrypted read every register has to be turned back."""
    desk = ready(UID4)
    key = desk.purses.classic_keys[0].sector(UID4, 1)
    Classic(desk.pcd, desk.pcd.poll()).authenticate(4, *key)
    desk.pcd.card = None  # as if another card had been there
    desk.pcd._is_awake = False
    desk.field.remove(desk.field.cards[0])
    desk.place(new_card())
    card, transactions, _, _ = desk.counted(desk.pcd.poll)
    assert card.uid == UID4
    assert transactions <= 23


def test_budget_of_an_empty_poll():
    desk = ready()
    for _ in range(3):
        card, transactions, _, duration_us = desk.counted(desk.pcd.poll)
        assert card is None
        assert transactions <= 6
        assert duration_us <= 2_000
    assert desk.model.violations == []


def test_budget_of_authentication_read_and_write():
    desk = ready(UID7)
    classic = Classic(desk.pcd, desk.pcd.poll())
    block = STATE_BLOCKS[0]
    key = desk.purses.classic_keys[0].sector(UID7, block // 4)

    def authenticate_and_read():
        classic.authenticate(block, *key)
        return classic.read(block)

    _, transactions, _, _ = desk.counted(authenticate_and_read)
    assert transactions <= 12
    for _ in range(2):
        _, transactions, _, _ = desk.counted(lambda: classic.write(block, bytes(16)))
        assert transactions <= 18
    _, transactions, _, _ = desk.counted(authenticate_and_read)
    assert transactions <= 12
    assert desk.model.violations == []


@pytest.mark.parametrize("views_max", [12, 32])
def test_no_lengths_of_frames_fill_the_heap(views_max):
    """A card chooses how long frames are; buffers are kept for so many lengths and no more."""
    desk = ready()
    desk.chip.views_max = views_max
    for count in range(1, 64):
        assert desk.chip.transceive(count, count, 1000) == SILENCE
        assert desk.chip.transceive(count, 64 - count, 1000, proof=True) == SILENCE
        assert len(desk.chip._views) <= views_max
    desk.place(new_card(UID4))
    assert desk.pcd.poll().uid == UID4
    assert desk.model.violations == []


def test_silence_is_measured_by_the_chip():
    """The timer set for 1 ms ends the wait, within what the bus and a step of waiting cost."""
    desk = ready()
    desk.chip.tx[0] = 0x52
    heard, _, _, duration_us = desk.counted(lambda: desk.chip.transceive(1, 2, 3_000, 7))
    assert heard == SILENCE
    assert 3_000 <= duration_us <= 3_700


@pytest.mark.parametrize("timeout_us", [125, 5_000, 40_000, 5_000_000])
def test_timer_covers_every_waiting_time(timeout_us):
    desk = ready()
    desk.chip.tx[0] = 0x52
    heard, _, _, duration_us = desk.counted(lambda: desk.chip.transceive(1, 2, timeout_us, 7))
    assert heard == SILENCE
    assert timeout_us <= duration_us <= timeout_us + 1_000 + timeout_us // 50


@pytest.mark.parametrize("wire", ["cut", "none", "shorted"])
def test_without_the_interrupt_wire_it_polls(wire):
    desk = ready(UID4)
    desk.rfid.wire = wire
    for _ in range(5):
        assert desk.pcd.poll().uid == UID4
    purse = desk.purse(desk.pcd.poll())
    assert purse.read().balance_fen == 10_000
    _, _, _, duration_us = desk.counted(desk.pcd.poll)
    assert duration_us < 10_000
    assert desk.chip.faults == 0
    assert (desk.chip.pin_misses > 0) == (wire != "shorted")
    assert desk.model.violations == []


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_stuck_miso_is_told_and_healed(level):
    desk = ready(UID4)
    assert desk.pcd.poll() is not None
    desk.model.miso = level
    for _ in range(3):
        with pytest.raises(BusFault):
            desk.pcd.poll()
    assert desk.chip.faults >= 3
    assert desk.chip.recoveries == 0
    desk.model.miso = None
    start_us = desk.clock.now_us
    assert desk.pcd.poll().uid == UID4
    assert desk.clock.now_us - start_us < 100_000
    assert desk.chip.recoveries == 1


def test_dead_at_boot():
    desk = Desk()
    desk.model.miso = 0xFF
    with pytest.raises(BusFault):
        desk.pcd.poll()
    desk.model.miso = None
    assert desk.pcd.poll() is None
    assert desk.chip.recoveries == 1


@pytest.mark.parametrize("after_us", [0, 50_000])
def test_silent_reset_is_healed_by_the_next_poll(after_us):
    desk = ready(UID4)
    card = desk.pcd.poll()
    desk.model.brown_out()
    desk.clock.advance_us(after_us)
    assert desk.pcd.poll() is card
    assert (desk.chip.faults, desk.chip.recoveries) == (1, 1)


@pytest.mark.parametrize(
    "register", [reg.RF_CFG, reg.T_MODE, reg.T_PRESCALER, reg.T_RELOAD_LO, reg.TX_CONTROL]
)
def test_one_lost_setting_is_seen_by_the_next_poll(register):
    """A disturbance that changes one register without a reset."""
    desk = ready()
    desk.model._regs[register] ^= 0x10
    assert desk.pcd.poll() is None
    assert desk.chip.is_set_up()
    assert (desk.chip.faults, desk.chip.recoveries) == (1, 1)


def test_dead_timer_does_not_hang():
    desk = ready()
    desk.model.timer_dead = True
    card, _, _, duration_us = desk.counted(desk.pcd.poll)
    assert card is None
    assert duration_us < 20_000
    desk.place(new_card())
    assert desk.pcd.poll().uid == UID4


@pytest.mark.parametrize(
    ("version", "is_known"), [(0x92, True), (0x91, True), (0x88, True), (0xB2, False)]
)
def test_clones_are_reported_not_refused(version, is_known):
    desk = Desk()
    desk.model.version = version
    desk.pcd.poll()
    assert desk.chip.version == version
    assert desk.chip.is_known_version == is_known
    desk.place(new_card())
    assert desk.pcd.poll().uid == UID4


@pytest.mark.parametrize(("setting", "expected"), [(0, 0x00), (7, 0x70), (99, 0x70)])
def test_gain_is_a_setting(setting, expected):
    desk = ready(rfid_gain=setting)
    assert desk.model.peek(reg.RF_CFG) & 0x70 == expected


def test_long_answer_is_fetched_whole():
    """More bytes than expected cost a transaction and no byte."""
    desk = ready(UID4)
    classic = Classic(desk.pcd, desk.pcd.poll())
    classic.authenticate(4, *desk.purses.classic_keys[0].sector(UID4, 1))
    whole = classic.read(4)
    for expected in (0, 1, 5, 15):
        desk.chip.tx[0] = 0x30
        desk.chip.tx[1] = 4
        desk.chip.set_crc(True, True)
        assert desk.chip.transceive(2, expected, 5_000) == 128
        assert bytes(desk.chip.rx[:16]) == whole


def test_not_set_up_is_not_used():
    desk = Desk()
    desk.chip.tx[0] = 0x52
    with pytest.raises(BusFault):
        desk.chip.transceive(1, 2, 1_000, 7)
    assert desk.model.transactions == 0
