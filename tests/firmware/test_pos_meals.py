"""Counted meals at the POS: the card holds the count, over readers, cuts and lost networks.

No reader here has a network, and none knows of the other. It is noon: lunch.
"""

import random

import pytest

from protocols.rules import charging, menu, reasons
from protocols.rules.spending import STAFF, STUDENT
from protocols.wire import messages
from simulator.chips.nor_flash import PowerCut
from tests.firmware import counter as classic
from tests.firmware.counter import Counter, writes_of
from tests.firmware.pin_window import CLASSIC, DESFIRE, DIGITS, new_card, truth
from tests.firmware.test_pos import Online

BREAKFAST = (390, 540, 0, 0, 1, 1, 1, 0, 0, 0)
LUNCH = (630, 810, 3000, 3, 1, 1, 0, 1, 2, 0)  # staff: PIN, students: plain price, guests: none
STRICT = (*LUNCH[:7], 0, 0, 0)
PRICES = charging.packed([(charging.MEAL_ITEM, 0, 0, 800), (charging.PLAIN_MEAL_ITEM, 0, 0, 1500)])
MENU = menu.encode(PRICES, (BREAKFAST, LUNCH))
REFUSING = menu.encode(PRICES, (BREAKFAST, STRICT))
NO_LUNCH = menu.encode(PRICES, (BREAKFAST, (*LUNCH[:4], 0, 0, 0, 0, 0, 0)))
LEFT, NOW, SPEND, COUNT = (
    reasons.display(number)
    for number in (
        reasons.NO_MEAL_LEFT,
        reasons.NO_MEAL_NOW,
        reasons.OVER_MEAL_SPEND,
        reasons.OVER_MEAL_COUNT,
    )
)
ONE_MEAL = 2 * 25 + 5  # period_use: lunch, a meal, nothing else
both = pytest.mark.parametrize("kind", [CLASSIC, DESFIRE])


class Canteen(Counter):
    """A counter with a menu; `device` is another one's."""

    def __init__(self, menu_blob=MENU, **options):
        super().__init__(menu=menu_blob, **options)

    def card_no_of(self, card):
        return truth(card).card_no

    def sell(self, amount, *cards, **options):
        """FN 1 first: the mode stays what it was."""
        self._look_away()
        self.key(b"\x1bF1")
        return super().sell(amount, *cards, **options)

    def meal(self, card):
        """FN 4, confirm, the card; the upper line of the display."""
        self._look_away()
        self.key(b"\x1bF4\r")
        self.tap(card)
        if self.shown == reasons.display(reasons.PAID_JUST_NOW):
            self.key(b"\r")
            self.tap(card)
        return self.shown

    def _look_away(self):
        """Cards were elsewhere since, and written there."""
        self.witness.written = {card: writes_of(card) for card in self.cards}


def refusals(canteen):
    return [record["reason"] for record in canteen.records(messages.REFUSAL)]


def meals_of(canteen):
    """(amount, whether it is a counted meal) of all debits."""
    intents = canteen.records(messages.INTENT)
    return [(one["amount_fen"], one["flags"] & messages.FLAG_MEAL > 0) for one in intents]


# -- failures -------------------------------------------------------------------------------


@both
def test_the_card_tells_the_next_reader_what_it_has_had(kind):
    card = new_card(kind)
    first, second = Canteen(REFUSING), Canteen(REFUSING, device=1002)
    assert first.meal(card) == "PAID 8.00"
    assert truth(card).period_use == ONE_MEAL
    assert second.meal(card) == LEFT
    assert refusals(second) == [reasons.NO_MEAL_LEFT] and meals_of(second) == []
    assert second.sell("30.01", card) == SPEND
    assert second.sell("12.50", card) == "PAID 12.50"
    assert first.sell("3", card) == "PAID 3.00"
    assert second.sell("1", card) == COUNT
    assert first.sell("1", card) == COUNT
    assert truth(card).period_use == ONE_MEAL + 2


def test_what_comes_behind_the_counted_meal_is_of_the_kind_of_card():
    canteen = Canteen()
    student, guest = classic.new_card(1, kind=STUDENT), classic.new_card(2, kind=3)
    staff = classic.new_card(3, kind=STAFF)
    assert [canteen.meal(student) for _ in range(2)] == ["PAID 8.00", "PAID 15.00"]
    assert canteen.meal(guest) == NOW
    assert canteen.meal(staff) == "PAID 8.00"
    canteen.run_ms(6000)
    assert canteen.meal(staff) == reasons.display(reasons.NO_PIN_SET)
    assert meals_of(canteen) == [(800, True), (1500, False), (800, True)]


@both
def test_a_meal_behind_the_counted_ones_needs_the_pin(kind):
    """Its try is no meal, and a wrong one gives none."""
    asking = menu.encode(PRICES, (BREAKFAST, (*LUNCH[:7], 0, 1, 0)))
    canteen, card = Canteen(asking, device=1002), new_card(kind)
    assert Canteen(asking).meal(card) == "PAID 8.00"
    assert canteen.meal(card) == reasons.display(reasons.PIN_NEEDED)
    canteen.key(DIGITS + b"\r")
    canteen.tap(card)
    assert canteen.shown == "PAID 8.00"
    flags = [
        record["flags"] & ~messages.FLAG_OFFLINE for record in canteen.records(messages.INTENT)
    ]
    assert flags == [messages.FLAG_TRY, messages.FLAG_PIN | messages.FLAG_MEAL]
    assert truth(card).period_use == ONE_MEAL + 5


def test_a_reader_that_does_not_know_the_time_counts_no_meal():
    canteen, card = Canteen(boot=False), new_card(CLASSIC)
    canteen.boot(tell_time=False)
    assert canteen.meal(card) == NOW
    assert canteen.sell("12.50", card) == "PAID 12.50"
    assert Canteen(device=1002).meal(card) == "PAID 8.00"


def test_a_pos_without_meals_leaves_the_count_alone():
    card = new_card(CLASSIC)
    assert Canteen(REFUSING).meal(card) == "PAID 8.00"
    assert Canteen(b"", device=1002).sell("12.50", card) == "PAID 12.50"
    assert truth(card).period_use == ONE_MEAL
    assert Canteen(NO_LUNCH, device=1003).meal(card) == NOW


def test_the_next_day_everything_is_new():
    canteen, card = Canteen(REFUSING), new_card(CLASSIC)
    assert canteen.meal(card) == "PAID 8.00"
    canteen.clock.advance_us((23 * 3600 + 1800) * 1_000_000)
    canteen.tell_time()
    assert canteen.meal(card) == "PAID 8.00"
    assert canteen.meal(card) == LEFT


def test_a_cancelled_meal_stays_counted():
    """The money comes back with the next load, the meal does not: the card is not written."""
    canteen, card = Canteen(REFUSING), new_card(CLASSIC)
    canteen.pos._uplink = Online()
    assert canteen.meal(card) == "PAID 8.00"
    canteen.key(b"F7")
    canteen.tap(card)
    assert canteen.shown == "CANCELLED 8.00"
    assert canteen.meal(card) == LEFT
    assert truth(card).period_use == ONE_MEAL


# -- the card leaves, the power goes ----------------------------------------------------------


def served_after(disturb, kind, seed=0):
    """A counted meal that `disturb` strikes; then everybody goes on until it is paid."""
    canteen, card = Canteen(REFUSING, seed=seed), new_card(kind, seed)
    canteen.key(b"F4\r")
    canteen.put(card)
    canteen.clock.advance_us(10_000)
    disturb(canteen, card)
    canteen.survives(lambda: canteen.run_ms(600))
    if card.in_field:
        canteen.take(card)
    for _ in range(6):
        if canteen.pos is None:
            canteen.boot()
        view = truth(card)
        # Money and count are one write: never one without the other.
        assert (view.counter, view.period_use) in ((0, 0), (1, ONE_MEAL))
        if canteen.shown in ("PAID 8.00", "LAST PAID"):
            break
        if canteen.shown == "WELCOME":
            canteen.key(b"F4\r")
        canteen.tap(card)
    assert canteen.shown in ("PAID 8.00", "LAST PAID")
    assert (truth(card).counter, truth(card).period_use) == (1, ONE_MEAL)
    assert all(is_meal for _, is_meal in meals_of(canteen))
    return canteen, card


def whole_meal(kind):
    """(frames on the air, flash operations) of a counted meal."""
    seen = []

    def look(canteen, _card):
        seen.append((canteen.hardware.field.frames, canteen.flash.operations))

    canteen, _ = served_after(look, kind)
    (frames, operations), field = seen[0], canteen.hardware.field
    return field.frames - frames, canteen.flash.operations - operations


@pytest.mark.parametrize("blow", ["card", "power"])
@both
def test_what_goes_at_any_frame_has_paid_and_counted_once(kind, blow):
    """The card, or the power: then what waits for its card after the boot is a meal still."""
    frames, _ = whole_meal(kind)
    draw = random.Random(23)
    chosen = sorted(draw.sample(range(frames // 2, frames), 8))
    print("seed 23, frames", chosen)
    for number in chosen:

        def tear(canteen, card, number=number):
            field = canteen.hardware.field
            last, send = field.frames + number, field.send

            def torn(frame, now):
                if field.frames == last and blow == "power":
                    field.send = send
                    raise PowerCut
                if field.frames == last:
                    canteen.take(card)
                return send(frame, now)

            field.send = torn

        _, card = served_after(tear, kind, number)
        assert Canteen(REFUSING, device=1002).meal(card) == LEFT


@both
def test_power_that_goes_at_the_flash_gives_no_second_meal(kind):
    _, operations = whole_meal(kind)
    for cut_at in range(1, operations + 1):

        def cut(canteen, _card, cut_at=cut_at):
            last = canteen.flash.operations + cut_at

            def look(number):
                if number == last:
                    canteen.hardware.before_flash = None
                    raise PowerCut

            canteen.hardware.before_flash = look

        _, card = served_after(cut, kind, cut_at)
        assert Canteen(REFUSING, device=1002).meal(card) == LEFT
