"""The reader of a library desk: what it types, of whose card, and of whose it does not."""

import random

import pytest

from firmware.roles import identity
from protocols.rules import card_number, reasons
from protocols.wire import messages
from simulator.cards.mifare_classic import MifareClassic
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    DAY,
    MAC_KEY,
    PURSE_KEY,
    Counter,
    _image,
    new_card,
)
from tests.firmware.entrance import MASTERS, new_desfire


class Desk(Counter):
    """A Counter whose reader stands on a library desk; `pos` is that reader."""

    build = staticmethod(identity.build)

    def __init__(self, form=card_number.CARD, **own):
        super().__init__(boot=False, own={"read_key": MASTERS.read}, **own)
        self.hardware.nvs["desk_format"] = form.encode()
        self.boot()

    def ask(self, card, hold_ms=700):
        """(what the display says, what was typed)."""
        before = len(self.hardware.desk_out)
        self.put(card)
        self.run_ms(hold_ms)
        shown = self.shown.strip()
        self.take(card)
        self.run_ms(100)
        return shown, self.hardware.desk_out[before:]


@pytest.mark.parametrize("form", sorted({*card_number.FORMATS} - {card_number.PERSON}))
@pytest.mark.parametrize("make", [new_card, new_desfire])
def test_a_card_in_order_gives_its_number_once(form, make):
    desk, card = Desk(form), make()
    digits = card_number.number(form, card.uid, CARD_NO).encode()
    assert desk.ask(card, hold_ms=2_900) == ("TAP YOUR CARD", digits + b"\r\n")
    assert desk.ask(card) == ("CARD IN ORDER", digits + b"\r\n")
    assert desk.records(messages.REFUSAL, messages.INTENT, messages.ENTRY) == []


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (lambda: new_card(days=(DAY - 9, DAY - 1)), reasons.EXPIRED),
        (lambda: new_card(days=(DAY + 1, DAY + 9)), reasons.NOT_YET_VALID),
        (lambda: new_card(kind=4), reasons.KIND_NOT_SERVED),
        (lambda: new_card(purse_key=bytes(16)), reasons.WRONG_KEY),
    ],
)
def test_a_card_that_is_not_in_order_gives_none_and_is_told_why(card, reason):
    desk = Desk()
    assert desk.ask(card()) == (reasons.display(reason), b"")
    assert [each["reason"] for each in desk.records(messages.REFUSAL)] == [reason]


def test_a_chip_that_draws_its_number_has_none_to_give():
    uid = b"\x08\x01\x02\x03"
    days = DAY - 300, DAY + 700
    blocks = _image(uid, CARD_NO, BALANCE_FEN, 2, *days, PURSE_KEY, MAC_KEY)
    card = MifareClassic(uid, blocks, random.Random(0))
    assert Desk("8H-10D").ask(card) == (reasons.display(reasons.NO_NUMBER), b"")
    assert Desk().ask(card) == ("CARD IN ORDER", b"%010d\r\n" % CARD_NO)


def test_without_network_and_time_it_goes_on():
    desk = Desk()
    desk.die()
    desk.boot(tell_time=False)
    assert desk.ask(new_card())[1] == b"%010d\r\n" % CARD_NO
