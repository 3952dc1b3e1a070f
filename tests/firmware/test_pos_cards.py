"""The POS and its card map: a lost card is refused, and what an old map means is policy.

The map comes from a bench's agent, without a network: the POS itself is offline all the time.
"""

import pytest

from protocols.rules import reasons
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, SUSPENDED
from protocols.wire import messages
from tests.firmware.card_desk import Centre
from tests.firmware.counter import CARD_NO, NOON_S, Counter, new_card, truth
from tests.firmware.test_pos_orders import FN, Online

HOUR_S = 3_600
PAID = "PAID 12.50"
SAME_CARD = reasons.display(reasons.TAP_AGAIN)
RULES = {"map_stale_s": HOUR_S, "stale_max_fen": 500, "map_expired_s": 24 * HOUR_S}
REFUSED = (
    (LOST, reasons.CARD_LOST, "REPORTED LOST"),
    (SUSPENDED, reasons.CARD_SUSPENDED, "CARD SUSPENDED"),
    (CLOSED, reasons.CARD_CLOSED, "CARD CLOSED"),
)


class Line:
    """An uplink that is there for as long as the map is talked of."""

    online = True

    def __init__(self, centre):
        self.counters = {"sessions": 1}
        self._centre = centre
        self.answers = []

    def say(self, _message_type, fields):
        self.answers.append(self._centre.answer(fields))
        return True


def inform(counter, centre):
    """The POS hears of everything the centre knows."""
    card_map = counter.pos._card_map
    real, card_map._uplink = card_map._uplink, Line(centre)
    card_map._session = 0
    now_ms = counter.ticks_us() // 1000
    while card_map.step(now_ms) <= now_ms:
        for answer in card_map._uplink.answers:
            assert card_map.hear(answer, now_ms) in ("", "repeated")
        card_map._uplink.answers.clear()
    card_map._uplink, card_map._session = real, real.counters["sessions"]


def informed(status=ACTIVE, **policy):
    """A counter with a map in which CARD_NO has this status, and the centre behind it."""
    centre, counter = Centre(), Counter(card_sectors=10, **policy)
    centre.now_s = NOON_S
    centre.set(CARD_NO, status)
    inform(counter, centre)
    return counter, centre


@pytest.mark.parametrize(("status", "reason", "said"), REFUSED)
def test_it_is_refused_with_its_own_reason(status, reason, said):
    counter, centre = informed(status)
    card = new_card()
    before = card.eeprom_writes
    for _ in range(2):
        assert counter.sell("12.50", card) == said
        assert counter.sell("0.01", card) == said
        counter.die()
        counter.boot()  # what it knows it knows behind a power cut
    assert card.eeprom_writes == before
    refusals = counter.records(messages.REFUSAL)
    assert {(r["reason"], r["card_no"]) for r in refusals} == {(reason, CARD_NO)}
    assert counter.records(messages.INTENT) == []
    assert counter.sell("12.50", new_card(card_no=CARD_NO + 1)) == PAID
    centre.set(CARD_NO, ACTIVE)
    inform(counter, centre)
    assert counter.sell("12.50", card) == PAID


def test_a_lost_card_is_asked_for_no_pin():
    """No try is counted on it, and nobody learns whether a PIN is right."""
    counter, _ = informed(LOST)
    assert counter.sell("62.50", new_card()) == "REPORTED LOST"
    assert counter.records(messages.INTENT) == []


def test_what_is_pending_on_it_is_settled():
    """The debit was on the card before its loss was heard of: it is told, and that is all."""
    for pull_ms in range(60, 150):
        counter, centre = informed()
        card = new_card(seed=pull_ms)
        card.torn = "new"
        counter.key(b"12.50\r")
        counter.put(card)
        counter.clock.advance_us(10_000)
        counter.after_ms(pull_ms, lambda counter=counter, card=card: counter.take(card))
        counter.run_ms(400)
        if counter.shown == SAME_CARD and truth(card).counter == 1:
            break
    else:
        raise AssertionError("nothing was left open")
    centre.set(CARD_NO, LOST)
    inform(counter, centre)
    counter.tap(card)
    assert counter.shown == PAID
    counter.run_ms(6_000)
    assert counter.sell("12.50", card) == "REPORTED LOST"
    assert truth(card).counter == 1


def test_an_old_map_is_a_lower_limit_and_then_none():
    counter, centre = informed(**RULES)
    card = new_card()
    assert counter.sell("12.50", card) == PAID
    counter.run_ms(HOUR_S * 1000)
    assert counter.sell("5.01", card) == reasons.display(reasons.OVER_STALE_LIMIT)
    assert counter.sell("5.00", card) == "PAID 5.00"
    counter.run_ms(23 * HOUR_S * 1000)
    assert counter.sell("0.01", card) == reasons.display(reasons.MAP_EXPIRED)
    centre.now_s = NOON_S + 24 * HOUR_S
    inform(counter, centre)
    assert counter.sell("12.50", card) == PAID


def test_a_pos_that_never_had_a_map():
    card = new_card()
    for sectors in (0, 10):
        assert Counter(card_sectors=sectors).sell("1.00", card) == "PAID 1.00"
        counter = Counter(card_sectors=sectors, **RULES)
        assert counter.sell("1.00", card) == reasons.display(reasons.MAP_EXPIRED)
        counter = Counter(card_sectors=sectors, **{**RULES, "map_expired_s": 0})
        assert counter.sell("5.01", card) == reasons.display(reasons.OVER_STALE_LIMIT)
        assert counter.sell("5.00", card) == "PAID 5.00"


def test_an_inspection_says_that_the_map_is_old():
    """R17.1: the worst is shown, and an old list only where policy calls it old."""
    for policy, said in ((RULES, reasons.display(reasons.OVER_STALE_LIMIT)), ({}, "ALL IN ORDER")):
        counter, _ = informed(**policy)
        counter.pos._uplink = Online()
        counter.pos._supply.test = b"\x05\x00" + NOON_S.to_bytes(4, "big")
        counter.key(FN + b"5")
        assert counter.shown == "ALL IN ORDER"
        counter.run_ms((HOUR_S + 60) * 1000)
        counter.key(FN + b"5")
        assert counter.shown == said


def test_a_tap_reads_no_more_of_the_map_than_it_needs():
    """One byte, and of the changes as many pages as there are: no map in the heap."""
    counter, centre = informed()
    for card_no in range(100):
        centre.set(card_no, LOST)
    inform(counter, centre)
    read = []
    flash = counter.pos._card_map._flash
    original = flash.read
    flash.read = lambda address, buffer: read.append(len(buffer)) or original(address, buffer)
    assert counter.sell("12.50", new_card()) == PAID
    assert sum(read) <= 2 * (1 + 4 * 100) and max(read) <= 256
