"""The self-service machine: what it tells, to whom, and what it never does."""

import pytest

from firmware.roles import kiosk
from protocols.rules import reasons
from protocols.wire import messages
from simulator.chips.nor_flash import PROGRAM_CUTS
from tests.firmware.counter import CARD_NO, DAY, Counter, new_card
from tests.firmware.pin_window import DESFIRE
from tests.firmware.pin_window import new_card as desfire_card

HOME, FOUND, THANKS = "TAP YOUR CARD", "TAP FOUND CARD", "THANKS: HAND IN"
_NEVER = 1 << 40  # flash operations


class Machine(Counter):
    """A Counter whose reader is a self-service machine; `pos` is that machine."""

    build = staticmethod(kiosk.build)

    def ask(self, card, hold_ms=700):
        """Hold a card there; both lines of the display, as whoever holds it reads them."""
        self.put(card)
        self.run_ms(hold_ms)
        shown = tuple(line.strip() for line in self.lines)
        self.take(card)
        self.run_ms(100)
        return shown


def found(machine):
    return [each["card_no"] for each in machine.records(messages.CARD_FOUND)]


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", PROGRAM_CUTS)
def test_who_was_thanked_has_told_the_card_centre_wherever_the_power_goes(how):
    thanked = 0
    for operation in range(12):
        machine, card = Machine(seed=operation), new_card()
        machine.key(b"F")
        machine.flash.cut_after(operation, how=how)
        said = []
        if machine.survives(lambda m=machine, c=card, s=said: s.append(m.ask(c)[0])):
            machine.die()
        machine.take(card)
        machine.flash.cut_after(_NEVER)
        thanked += said == [THANKS]
        assert said != [THANKS] or found(machine) == [CARD_NO], operation
        assert found(machine) in ([], [CARD_NO])
        machine.boot()
        assert machine.shown.strip() == HOME
    assert thanked


def test_a_full_journal_thanks_nobody():
    machine = Machine(sectors=4)
    said, tellings = THANKS, 0
    while said == THANKS:
        machine.key(b"F")
        said = machine.ask(new_card(), hold_ms=200)[0]
        tellings += said == THANKS
    assert said == reasons.display(reasons.JOURNAL_FULL)
    assert len(found(machine)) == tellings


def test_nothing_is_written_to_a_card_that_is_only_shown():
    machine, card = Machine(), new_card()
    before = card.eeprom_writes
    for _ in range(3):
        machine.ask(card)
    assert card.eeprom_writes == before
    assert machine.records(messages.INTENT, messages.REFUSAL, messages.CREDIT) == []


@pytest.mark.parametrize("hold_ms", range(0, 60, 4))
def test_a_card_that_is_pulled_away_is_asked_for_again(hold_ms):
    machine, card = Machine(), new_card()
    machine.ask(card, hold_ms)
    machine.run_ms(9_000)
    assert machine.shown.strip() == HOME
    assert machine.ask(card) == ("BALANCE 100.00", "CARD IN ORDER")


def test_a_finder_learns_nothing():
    machine, card = Machine(language="en"), new_card(balance_fen=4_242)
    machine.key(b"F")
    assert machine.shown.strip() == FOUND
    shown = machine.ask(card, hold_ms=9_000)
    lcd = b" ".join(machine.hardware.lcd.lines()).decode()
    for secret in ("42.42", str(CARD_NO)):
        assert secret not in " ".join(shown) and secret not in lcd
    assert found(machine) == [CARD_NO]


def test_the_next_card_is_nobody_s_find():
    machine = Machine()
    machine.key(b"F")
    machine.ask(new_card())
    assert machine.ask(new_card(CARD_NO + 1))[0] == "BALANCE 100.00"
    machine.key(b"F\x1b")
    assert machine.ask(new_card())[0] == "BALANCE 100.00"
    machine.key(b"F")
    machine.run_ms(21_000)
    assert machine.ask(new_card())[0] == "BALANCE 100.00"
    assert found(machine) == [CARD_NO]


# --- what it is for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        (lambda: new_card(), ("BALANCE 100.00", "CARD IN ORDER")),
        (lambda: desfire_card(DESFIRE), ("BALANCE 100.00", "CARD IN ORDER")),
        (lambda: new_card(balance_fen=0), ("BALANCE 0.00", "BALANCE TOO LOW")),
        (lambda: new_card(days=(DAY - 9, DAY - 1)), ("BALANCE 100.00", "CARD EXPIRED")),
        (lambda: new_card(days=(DAY + 1, DAY + 9)), ("BALANCE 100.00", "CARD NOT YET VALID")),
        (lambda: new_card(mac_key=bytes(16)), ("NOT OUR CARD", "")),
        (lambda: new_card(purse_key=bytes(16)), ("NOT OUR CARD", "")),
    ],
)
def test_a_card_says_what_it_holds_and_why_it_is_refused(card, shown):
    assert Machine().ask(card()) == shown


def test_a_clerk_s_display_has_kind_balance_and_last_spend_too():
    machine, card = Machine(language="en"), new_card()
    machine.ask(card)
    lines = [line.decode("gb2312").rstrip() for line in machine.hardware.lcd.lines()]
    assert lines[0] == "STUDENT CARD" and lines[1].split() == ["LEFT", "100.00"]
    assert "CARD IN ORDER" in lines


def test_it_goes_home_and_keeps_nobody_s_balance_on_display():
    machine, card = Machine(), new_card()
    machine.put(card)
    machine.run_ms(8_500)
    assert machine.shown.strip() == HOME, "also while the card lies there"
    machine.take(card)


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        (lambda: new_card(), ("BALANCE 100.00", "LOAD LATER")),
        (lambda: new_card(balance_fen=0), ("BALANCE 0.00", "LOAD LATER")),
        (lambda: new_card(days=(DAY - 9, DAY - 1)), ("BALANCE 100.00", "CARD EXPIRED")),
    ],
)
def test_without_network_it_says_later_and_to_the_refused_why(card, shown):
    machine = Machine(own={"load_cards": 1})
    assert machine.ask(card()) == shown
    assert machine.records(messages.CREDIT) == []
