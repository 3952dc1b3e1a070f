"""A door that asks for a PIN: right, wrong, too often, and typed by somebody who is forced to."""

import pytest

from protocols.rules import access, door, reasons
from tests.firmware.counter import DEVICE_KEY
from tests.firmware.entrance import CARD_NO, Entrance, new_card

PIN, DURESS, WRONG = b"271828", b"271829", b"000000"
NO_PIN_CARD = CARD_NO + 1
PINS = (access.verifier(DEVICE_KEY, 1, PIN),)


def entrance(**own):
    return Entrance(**{"pins": PINS, **own}).secured()


def enters(each, digits, card=None):
    """A card is held to the door, and this is typed: whether it opens."""
    each.tap(card or new_card())
    each.type(digits)
    each.run_ms(300)
    return each.state == door.GRANTED


def test_a_card_alone_does_not_open_and_with_its_pin_it_does():
    each = entrance()
    assert each.released_after_ms(new_card(), 1500) is None
    each.type(PIN[:5])
    assert each.lock.is_powered()
    each.type(PIN[5:]).run_ms(600)
    assert each.lock.push() and each.entries() == [(CARD_NO, reasons.APPROVED)]


def test_a_group_without_a_pin_opens_by_the_card():
    each = entrance()
    assert each.released_after_ms(new_card(NO_PIN_CARD)) is not None


def test_who_is_forced_to_open_opens_and_only_the_record_knows():
    seen = {}
    for digits in (PIN, DURESS):
        each = entrance()
        each.witness.lights.clear()
        each.witness.beeps.clear()
        assert enters(each, digits)
        each.run_ms(door.GRANT_MS + door.SETTLE_MS + 1000)
        seen[digits] = (each.witness.lights, each.witness.beeps, each.told(), each.lock.unlocked)
        assert len(each.entries()) == 1
        reason = access.DURESS if digits == DURESS else reasons.APPROVED
        assert each.entries() == [(CARD_NO, reason)]
    assert seen[PIN] == seen[DURESS]


def test_a_wrong_pin_is_told_and_the_card_has_to_come_again():
    each = entrance()
    assert not enters(each, WRONG)
    each.type(PIN).run_ms(500)
    assert each.entries() == [(CARD_NO, reasons.PIN_WRONG)]
    assert enters(each, PIN)


def test_five_wrong_ones_and_nothing_is_taken_for_ninety_seconds_but_everybody_leaves():
    each = entrance()
    for _ in range(access.TRIES_MAX):
        assert not enters(each, WRONG)
    assert each.entries()[-1] == (0, access.LOCKED_OUT)
    beeps = len(each.witness.beeps)
    assert not enters(each, PIN)
    each.run_ms(3000)
    assert len(each.witness.beeps) > beeps + 3, "nobody is called"
    assert each.can_leave()
    each.lock.shut()
    each.run_ms(access.LOCKED_OUT_MS)
    assert each.entries()[-1] == (0, access.LOCKED_OUT), "nothing was looked at meanwhile"
    assert enters(each, PIN)


def test_a_card_that_is_only_held_there_does_not_begin_the_count_anew():
    """Four wrong PINs, the card, and a fifth: who has the card must not have more tries."""
    each = entrance()
    for _ in range(access.TRIES_MAX - 1):
        enters(each, WRONG)
    each.tap(new_card())
    assert not enters(each, WRONG)
    assert (0, access.LOCKED_OUT) in each.entries()


def test_a_right_one_does():
    each = entrance()
    for digits in (WRONG,) * 4 + (PIN,) + (WRONG,) * 4:
        enters(each, digits)
        each.run_ms(door.GRANT_MS + door.SETTLE_MS + 1000)
    assert (0, access.LOCKED_OUT) not in each.entries()


def test_a_pin_that_does_not_come_is_told():
    each = entrance()
    each.tap(new_card())
    each.type(PIN[:3]).run_ms(15_500)
    each.type(PIN[3:]).run_ms(500)
    assert each.state == door.SECURED
    assert each.entries() == [(CARD_NO, access.NO_PIN_GIVEN)]


def test_another_card_takes_the_place_of_the_first():
    each = entrance()
    each.tap(new_card())
    each.type(PIN[:3])
    assert each.released_after_ms(new_card(NO_PIN_CARD)) is not None
    assert each.entries() == [(CARD_NO, access.NO_PIN_GIVEN), (NO_PIN_CARD, reasons.APPROVED)]


def test_another_key_begins_anew():
    each = entrance()
    assert enters(each, b"99" + b"\x1b" + PIN)


@pytest.mark.parametrize("noise", [b"", bytes(range(256)), PIN * 3])
def test_keys_that_nobody_asked_for(noise):
    each = entrance()
    each.hardware.keys += noise
    each.run_ms(1000)
    each.type(noise[:20])
    assert each.state == door.SECURED and each.entries() == []


def test_a_power_cut_forgets_what_was_typed():
    each = entrance()
    each.tap(new_card())
    each.type(PIN[:5])
    each.die()
    each.boot()
    each.secured()
    each.type(PIN[5:]).run_ms(500)
    assert each.state == door.SECURED


def test_the_key_before_this_one_is_good_for_a_pin_too():
    """The door was given a new key; its PINs are set anew by and by."""
    old = bytes(range(32, 64))
    pins = (access.verifier(old, 1, PIN),)
    keys = {"previous_device_key": old}
    assert enters(entrance(pins=pins, keys=keys), PIN)
    assert not enters(entrance(pins=pins), PIN)


def test_the_exit_button_asks_for_nothing():
    each = entrance()
    each.tap(new_card())
    assert each.can_leave()
