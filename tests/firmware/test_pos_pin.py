"""The PIN at the POS (R19.2 to R19.4): what is asked, what is shown, and what is forgotten."""

import pytest

from protocols.card.purse_classic import NAME_BLOCK
from protocols.rules import reasons
from protocols.wire import messages
from tests.firmware.counter import Counter
from tests.firmware.pin_window import CLASSIC, DESFIRE, DIGITS, WRONG, new_card, truth

AMOUNT, PAID = "62.50", "PAID 62.50"
NEEDED, WRONG_PIN, WHO, KEEP = (
    reasons.display(number)
    for number in (
        reasons.PIN_NEEDED,
        reasons.PIN_WRONG,
        reasons.IDENTITY_CHECK,
        reasons.CARD_CAPTURED,
    )
)
both = pytest.mark.parametrize("kind", [CLASSIC, DESFIRE])


class PinCounter(Counter):
    """A counter for cards of both kinds, with limits above which a PIN is asked for."""

    def __init__(self, **options):
        super().__init__(offline_max_fen=20_000, **options)

    def card_no_of(self, card):
        return truth(card).card_no


def at_the_pin(card, **options):
    """A POS that asks for the PIN of `card`."""
    counter = PinCounter(**options)
    assert counter.sell(AMOUNT, card) == NEEDED
    return counter


def lcd(counter):
    """The clerk's display as people read it."""
    return [line.decode("gb2312").strip() for line in counter.hardware.lcd.lines()]


def say(counter, card, digits):
    """Key a PIN, confirm, lay the card back."""
    counter.key(digits + b"\r")
    counter.tap(card)
    return counter.shown


# -- failures -------------------------------------------------------------------------------


@both
def test_three_wrong_ones_and_not_the_holder(kind):
    """The card stays here, is refused at once, and a record says so (R19.4)."""
    card = new_card(kind)
    counter = at_the_pin(card)
    assert say(counter, card, WRONG) == WRONG_PIN
    assert say(counter, card, WRONG) == WRONG_PIN
    assert say(counter, card, WRONG) == WHO
    counter.run_ms(120_000)
    assert counter.shown == WHO  # nobody gets away without an answer
    counter.key(b"7")
    assert counter.shown == WHO
    counter.key(b"\x1b")
    assert counter.shown == KEEP
    assert len(counter.records(messages.CAPTURE)) == 1
    counter.run_ms(6000)
    assert counter.sell("1", card) == KEEP
    assert all(not record["amount_fen"] for record in counter.records(messages.INTENT))


@both
def test_the_holder_s_name_is_shown_to_the_clerk_alone(kind):
    card = new_card(kind, name="欧阳建国")
    counter = at_the_pin(card, language="zh")
    for _ in range(3):
        say(counter, card, WRONG)
    assert lcd(counter) == ["是否本人？", "欧阳建国", "学生卡      4711", "OK / ESC"]
    assert counter.lines == (WHO, "62.50"), "who stands behind reads that one"
    assert "欧阳".encode("gb2312") not in counter.flash.image(), "nobody keeps it"


@pytest.mark.parametrize(
    ("spoil", "shown"),
    [
        (lambda block: bytes((block[0] ^ 1,)) + block[1:], "卡号        4711"),  # forged
        (lambda _block: bytes(16), "卡号        4711"),  # made before there were names
    ],
)
def test_a_name_that_is_not_to_be_believed_is_not_shown(spoil, shown):
    card = new_card(CLASSIC, name="王伟")
    card.blocks[NAME_BLOCK] = spoil(card.blocks[NAME_BLOCK])
    counter = at_the_pin(card, language="zh")
    for _ in range(3):
        say(counter, card, WRONG)
    assert lcd(counter)[1:3] == ["学生卡", shown]


@both
def test_a_card_that_leaves_before_it_says_a_name_is_asked_about_all_the_same(kind):
    """From the last wrong try on, the card is pulled ever earlier."""
    asked = 0
    for at_ms in range(40, 400, 12):
        card = new_card(kind, name="王伟")
        counter = at_the_pin(card, language="zh")
        for _ in range(2):
            say(counter, card, WRONG)
        counter.key(WRONG + b"\r")
        counter.put(card)
        counter.after_ms(at_ms, lambda counter=counter, card=card: counter.take(card))
        counter.run_ms(1500)
        if truth(card).pin_tries == 3:
            asked += counter.shown == WHO
            if counter.shown != WHO:
                counter.tap(card)
                assert lcd(counter)[1] == "王伟", at_ms
            assert counter.shown == WHO, at_ms
    assert asked


@both
def test_the_merchant_answers_for_the_holder_once(kind):
    card = new_card(kind)
    counter = at_the_pin(card)
    for _ in range(3):
        say(counter, card, WRONG)
    counter.key(b"\r")
    assert counter.shown == "CARD PLEASE"
    counter.tap(card)
    assert counter.shown == PAID
    assert counter.records(messages.INTENT)[-1]["flags"] & messages.FLAG_IDENTITY
    assert truth(card).pin_tries == 3  # only the card centre gives them back


@pytest.mark.parametrize("leave", ["esc", "silence", "short"])
def test_a_pin_that_is_given_up_is_forgotten(leave):
    card = new_card(CLASSIC)
    counter = at_the_pin(card)
    counter.key(DIGITS[:4])
    typed = counter.pos._pin
    assert len(typed) == 4
    if leave == "esc":
        counter.key(b"\x1b")
    elif leave == "silence":
        counter.run_ms(31_000)
    else:
        assert say(counter, card, b"") == NEEDED
    assert bytes(typed) == bytes(4) and not counter.pos._pin
    assert counter.records(messages.INTENT) == []


def test_a_pin_is_for_the_card_it_was_asked_of():
    """A stranger's card held to it is neither tried nor charged."""
    mine, other = new_card(CLASSIC), new_card(DESFIRE, card_no=77)
    counter = at_the_pin(mine)
    counter.key(DIGITS + b"\r")
    counter.tap(other)
    assert counter.shown == reasons.display(reasons.SAME_CARD_PLEASE)
    assert counter.records(messages.INTENT) == []
    counter.tap(mine)
    assert counter.shown == PAID


def test_a_digit_too_many_is_not_taken_and_the_others_stay():
    card = new_card(CLASSIC)
    counter = at_the_pin(card)
    counter.key(DIGITS + b"9")
    assert counter.shown == "PIN ******"
    assert say(counter, card, b"") == PAID


def test_the_pin_is_nowhere_once_it_is_keyed():
    card = new_card(CLASSIC)
    counter = at_the_pin(card, language="en")
    assert say(counter, card, DIGITS) == PAID
    everywhere = counter.flash.image() + b"".join(counter.hardware.nvs.values())
    everywhere += repr(counter.witness.texts).encode()
    assert DIGITS not in everywhere
    assert DIGITS not in b"".join(counter.hardware.lcd.lines())


# -- what it is for ---------------------------------------------------------------------------


@both
def test_paid_with_the_pin(kind):
    card = new_card(kind)
    counter = at_the_pin(card, language="en")
    assert lcd(counter)[:3] == ["PIN NEEDED", "AMOUNT     62.50", "TRIES LEFT     3"]
    counter.key(b"80")
    assert counter.lines == ("PIN **", AMOUNT)
    assert lcd(counter)[0] == "PIN           **"
    assert say(counter, card, b"2613") == PAID
    tried, paid = counter.records(messages.INTENT)
    assert tried["flags"] & messages.FLAG_TRY and tried["amount_fen"] == 0
    assert paid["flags"] & messages.FLAG_PIN and paid["amount_fen"] == 6250
    counter.pos._totals.read_on()
    assert counter.pos._totals.sums(True) == [1, 6250, 0, 0, 0, 0]  # a try is no sale


def test_the_card_may_stay_where_it_lies():
    card = new_card(CLASSIC)
    counter = PinCounter()
    counter.key(AMOUNT.encode() + b"\r")
    counter.put(card)
    counter.run_ms(1000)
    assert counter.shown == NEEDED
    counter.key(DIGITS + b"\r")
    counter.run_ms(1000)
    assert counter.shown == PAID


def test_whose_card_it_is_stands_on_the_clerk_s_display():
    card = new_card(CLASSIC)
    counter = at_the_pin(card, language="zh")
    for _ in range(3):
        say(counter, card, WRONG)
    assert lcd(counter) == ["是否本人？", "学生卡", "卡号        4711", "OK / ESC"]
