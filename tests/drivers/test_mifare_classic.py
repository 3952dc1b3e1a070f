"""The commands of a MIFARE Classic: what they do, and what they say when it goes wrong."""

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_B, AuthFailed, CardRefused, Classic
from protocols.card.personalise import encode_value
from protocols.card.purse_classic import decode_value
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desk import UID4, UID7, Desk

FACTORY = b"\xff" * 6


@pytest.fixture(params=[UID4, UID7], ids=["4", "7"])
def opened(request):
    """(desk, card model, Classic) of a factory card with its sector 2 open."""
    desk = Desk()
    card = MifareClassic(request.param)
    desk.pcd.poll()
    desk.place(card)
    classic = Classic(desk.pcd, desk.pcd.poll())
    classic.authenticate(8, FACTORY)
    yield desk, card, classic
    assert desk.model.violations == []


def test_write_and_read(opened):
    _, card, classic = opened
    data = bytes(range(16))
    classic.write(9, data)
    assert classic.read(9) == data
    assert card.blocks[9] == data


def test_value_operations(opened):
    _, card, classic = opened
    classic.write(8, encode_value(1_000, 8))
    classic.write(9, encode_value(0, 9))
    classic.decrement(8, 1)
    classic.transfer(9)
    assert decode_value(classic.read(9)) == 999
    assert decode_value(classic.read(8)) == 1_000
    classic.restore(9)
    classic.transfer(10)
    assert decode_value(card.blocks[10]) == 999


@pytest.mark.parametrize("act", ["decrement", "restore"])
def test_value_operation_on_plain_data_is_refused(opened, act):
    _, card, classic = opened
    image = card.image
    with pytest.raises(CardRefused) as caught:
        classic.decrement(8, 1) if act == "decrement" else classic.restore(8)
    assert caught.value.nak == 0x4
    assert card.image == image


def test_closed_sector_is_refused(opened):
    _, card, classic = opened
    image = card.image
    with pytest.raises(CardRefused):
        classic.write(12, bytes(16))
    with pytest.raises((CardRefused, CardGone)):
        classic.read(12)
    assert card.image == image


def test_wrong_key_leaves_the_card_selectable(opened):
    desk, _, classic = opened
    with pytest.raises(AuthFailed):
        classic.authenticate(12, bytes(6))
    classic.authenticate(12, FACTORY)
    assert classic.read(12) == bytes(16)
    assert desk.pcd.poll() is not None


def test_sectors_in_turn(opened):
    _, _, classic = opened
    for sector in (3, 1, 15, 1, 0):
        classic.authenticate(sector * 4, FACTORY)
        assert len(classic.read(sector * 4)) == 16


def test_readable_key_b_opens_nothing(opened):
    _, card, classic = opened
    image = card.image
    classic.authenticate(8, FACTORY, KEY_B)
    with pytest.raises(CardRefused):
        classic.write(8, bytes(range(16)))
    assert card.image == image


def test_removed_card_is_gone_not_unauthorised(opened):
    desk, card, classic = opened
    desk.field.remove(card)
    with pytest.raises(CardGone):
        classic.authenticate(12, FACTORY)
    with pytest.raises(CardGone):
        classic.read(8)
    with pytest.raises(CardGone):
        classic.write(8, bytes(16))


EFFECTS = ["flip_command", "flip_answer", "parity", "lose_command", "lose_answer", "noise"]


@pytest.mark.parametrize("effect", EFFECTS)
def test_damaged_reading_is_repeated_and_never_wrong(opened, effect):
    desk, _, classic = opened
    data = bytes(range(100, 116))
    classic.write(9, data)
    for value in range(0, 144, 7):
        desk.field.disturb(effect, value)
        assert classic.read(9) == data


def test_reading_gives_up(opened):
    desk, card, classic = opened
    for frame in range(200):
        desk.field.disturb("flip_answer", 11, after=frame)
    with pytest.raises((CardGone, AuthFailed, CardRefused)):
        classic.read(9)
    assert desk.field.frames < 100
    desk.field.remove(card)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("frame", [0, 1])
def test_damaged_write_is_not_repeated(opened, effect, frame):
    """The driver writes once or not at all, and never says that it wrote when it did not."""
    desk, card, classic = opened
    writes = card.eeprom_writes
    desk.field.disturb(effect, 9, after=frame)
    data = bytes(range(16))
    try:
        classic.write(9, data)
        assert card.blocks[9] == data
    except (CardGone, CardRefused):
        pass
    assert card.eeprom_writes - writes <= 1
