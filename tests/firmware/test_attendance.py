"""The attendance machine: what it has said yes to stands on flash, whatever happens to it."""

import functools

import pytest

from protocols.rules import reasons
from protocols.wire import messages
from simulator.chips.nor_flash import PROGRAM_CUTS, PowerCut
from tests.firmware.counter import CARD_NO, DAY, NOON_S
from tests.firmware.gate import Gate, new_card, new_desfire

PUNCHED, TWICE = "PUNCHED 12:00", "PUNCHED TWICE 12:00"
_HOLD_MS = 700
_NEVER = 1 << 40  # flash operations


def punches(gate):
    return [each["card_no"] for each in gate.records(messages.PUNCH)]


# --- failures ---------------------------------------------------------------------------------


@functools.cache
def operations_of_a_punch():
    """How many flash operations one punch takes."""
    gate = Gate()
    before = gate.flash.operations
    gate.punch(new_card())
    return gate.flash.operations - before


@pytest.mark.parametrize("how", PROGRAM_CUTS)
def test_a_punch_that_was_shown_is_kept_wherever_the_power_goes(how):
    for operation in range(operations_of_a_punch() + 1):
        gate, card = Gate(seed=operation), new_card()
        gate.flash.cut_after(operation, how=how)
        shown = ""

        def act(gate=gate, card=card):
            nonlocal shown
            shown = gate.punch(card)

        if gate.survives(act):
            gate.die()
        gate.take(card)
        gate.flash.cut_after(_NEVER)
        kept = punches(gate)
        assert kept in ([], [CARD_NO]), (operation, kept)
        assert not shown or kept == [CARD_NO], (operation, shown)
        gate.boot()
        gate.run_ms(3_000)
        assert gate.punch(card).startswith("PUNCHED"), operation
        assert punches(gate)[-1] == CARD_NO and set(punches(gate)) == {CARD_NO}


def test_power_that_goes_at_any_millisecond_leaves_nobody_deceived():
    for at_ms in range(1, 120, 3):
        gate, card = Gate(seed=at_ms), new_card()
        said = []

        def fail(gate=gate, said=said):
            said.append(gate.shown.strip())
            gate.flash.cut()
            raise PowerCut

        gate.after_ms(at_ms, fail)
        assert not gate.survives(lambda gate=gate, card=card: gate.punch(card))
        assert not said[0].startswith("PUNCHED") or punches(gate) == [CARD_NO], at_ms


def test_a_full_journal_refuses_and_says_so():
    gate = Gate(sectors=4)
    cards = [new_card(CARD_NO + n) for n in range(400)]
    said = ""
    for card in cards:
        said = gate.punch(card, hold_ms=200)
        if not said.startswith("PUNCHED"):
            break
    assert said == reasons.display(reasons.JOURNAL_FULL)
    assert len(punches(gate)) == cards.index(card), "each that was shown, and no other"
    assert gate.punch(cards[0], hold_ms=200) == said, "it goes on saying so"


# --- what it is for ---------------------------------------------------------------------------


def test_a_punch_is_kept_with_its_time_and_shown_with_it():
    gate = Gate()
    assert gate.shown.strip() == "TAP TO PUNCH 12:00"
    assert gate.punch(new_card()) == PUNCHED
    (record,) = gate.records(messages.PUNCH)
    assert record["card_no"] == CARD_NO
    assert record["earliest_s"] <= NOON_S + 1 <= record["latest_s"] + 1
    assert record["latest_s"] - record["earliest_s"] <= 2
    gate.run_ms(2_000)
    assert gate.shown.strip() == "TAP TO PUNCH 12:00"
    gate.run_ms(60_000)
    assert gate.shown.strip() == "TAP TO PUNCH 12:01"


def test_both_kinds_of_card_punch():
    gate = Gate()
    assert gate.punch(new_desfire(CARD_NO + 1)) == PUNCHED
    assert gate.punch(new_card()) == PUNCHED
    assert punches(gate) == [CARD_NO + 1, CARD_NO]


def test_a_card_that_stays_there_punches_once():
    gate, card = Gate(), new_card()
    gate.put(card)
    gate.run_ms(90_000)
    assert punches(gate) == [CARD_NO]
    gate.take(card)
    gate.run_ms(200)
    assert gate.punch(card).startswith("PUNCHED 12:01")
    assert punches(gate) == [CARD_NO] * 2


def test_a_second_punch_is_kept_and_told():
    gate, card = Gate(), new_card()
    assert [gate.punch(card), gate.punch(card)] == [PUNCHED, TWICE]
    assert punches(gate) == [CARD_NO] * 2


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (lambda: new_card(days=(DAY - 9, DAY - 1)), reasons.EXPIRED),
        (lambda: new_card(days=(DAY + 1, DAY + 9)), reasons.NOT_YET_VALID),
        (lambda: new_card(mac_key=bytes(16)), reasons.WRONG_KEY),
        (lambda: new_card(purse_key=bytes(16)), reasons.WRONG_KEY),
    ],
)
def test_a_card_that_may_not_is_told_why_and_recorded_once(card, reason):
    gate = Gate()
    gate.put(shown := card())
    gate.run_ms(_HOLD_MS)
    assert gate.shown.strip() == reasons.display(reason)
    gate.run_ms(60_000)
    gate.take(shown)
    assert punches(gate) == []
    (refusal,) = gate.records(messages.REFUSAL)
    assert refusal["reason"] in (reason, reasons.FOREIGN_CARD)


def test_two_cards_at_once_punch_for_nobody():
    gate = Gate()
    gate.put(new_card(), new_card(CARD_NO + 1))
    gate.run_ms(_HOLD_MS)
    assert gate.shown.strip() == reasons.display(reasons.TWO_CARDS) and punches(gate) == []


def test_without_the_time_a_punch_is_kept_as_what_it_is():
    gate = Gate(boot=False)
    gate.boot(tell_time=False)
    assert gate.punch(new_card()) == "PUNCHED --:--"
    (record,) = gate.records(messages.PUNCH)
    assert record["latest_s"] - record["earliest_s"] > 86_400


def test_what_is_written_without_network_waits_and_is_told():
    gate = Gate(language="en")
    gate.punch(new_card())
    assert any(line.startswith(b"OFFLINE") for line in gate.hardware.lcd.lines())
