"""The till between a journal and a card that are both scripted: what is written, and when."""

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.services.journal import Journal, JournalFull
from firmware.services.records import Recorder
from firmware.services.till import Till
from protocols.rules import reasons
from protocols.wire import messages, seal
from tests.firmware.counter import DAY, DEVICE, DEVICE_KEY, MERCHANT, NOON_S, POLICY
from tests.firmware.ring import PlainFlash
from tests.firmware.test_clock import knowing

COMMITTED, NOT_COMMITTED, UNKNOWN = messages.COMMITTED, messages.NOT_COMMITTED, messages.UNKNOWN
INTENT, OUTCOME, REFUSAL = messages.INTENT, messages.OUTCOME, messages.REFUSAL
CARD_NO = 4711
PROOF, TOLD_LATER = bytes(range(21)), bytes(range(1, 22))


class Card:
    """What a purse says of a card, and what debits have made of it."""

    kind, valid_from, valid_to = 2, DAY - 300, DAY + 700
    day, day_total_fen, since_pin_fen, since_pin_count, pin_tries = DAY - 1, 500, 900, 2, 0
    period_use = 0

    def __init__(self, card_no=CARD_NO, balance_fen=10_000, counter=6):
        self.card_no, self.balance_fen, self.counter = card_no, balance_fen, counter
        self.last_device, self.last_seq = 1003, 77


class Purse:
    """A card's purse whose next debit does and returns what the test says."""

    def __init__(self, desk, card, result=COMMITTED, is_done=None):
        self._desk, self._card, self._result = desk, card, result
        self._is_done = result == COMMITTED if is_done is None else is_done
        self.asked = None
        self.card_proof = PROOF if result == COMMITTED else b""

    def proof_of(self, view):
        """A DESFire can still tell."""
        return TOLD_LATER if view.last_device == DEVICE else b""

    def read(self):
        return self._card

    def debit(self, view, amount_fen, device, seq, time_s, *state):
        newest = self._desk.records()[-1]
        assert (newest["kind"], newest["seq"], device) == (INTENT, seq, DEVICE)
        self.asked = (amount_fen, time_s, state)
        if self._is_done:
            view.balance_fen -= amount_fen
            view.counter += 1
            view.last_device, view.last_seq = device, seq
        return self._result


class Desk:
    """A till on a flash; `boot` starts it anew."""

    def __init__(self, sectors=6):
        self.flash = PlainFlash(sectors)
        self.boot()

    def boot(self):
        """What take_up() returns."""
        self.journal = Journal(self.flash)
        self.journal.recover()
        clock = knowing(self.journal, NOON_S)
        self.recorder = Recorder(self.journal, DEVICE, DEVICE_KEY, clock)
        settings = {"device": DEVICE, "merchant_no": MERCHANT, "policy": POLICY}
        self.till = Till(self.recorder, clock, settings)
        return self.till.take_up(0)

    def sell(
        self,
        card,
        result=COMMITTED,
        is_done=None,
        amount_fen=1250,
        power="mains",
        network="online",
    ):
        self.purse = Purse(self, card, result, is_done)
        return self.till.spend(
            self.purse, lambda _view, _now_ms: (0, amount_fen, 0, 0), power, network, 1000
        )

    def records(self):
        found = []
        for seq in range(1, self.journal.head_seq + 1):
            sealed = self.journal.record(seq)
            if sealed is not None:
                found.append(messages.decode_record(seal.payload_of(sealed)))
        return found

    def kinds(self):
        """(kind, result) of every record; the reason instead for refusals."""
        return [(r["kind"], r.get("result", r.get("reason"))) for r in self.records()]

    def fill(self):
        """Write until the ring is full."""
        with pytest.raises(JournalFull):
            while True:
                self.recorder.write(messages.POWER, 0, source=0, battery_mv=4000)


class Failing:
    """A recorder whose writes fail from the given one on."""

    def __init__(self, recorder, good):
        self._recorder, self._good = recorder, good

    def __getattr__(self, name):
        return getattr(self._recorder, name)

    def write(self, kind, now_ms, **fields):
        if self._good == 0:
            raise JournalFull
        self._good -= 1
        return self._recorder.write(kind, now_ms, **fields)


# -- failures -------------------------------------------------------------------------------


def test_a_card_that_leaves_before_it_is_read_leaves_no_trace():
    desk = Desk()

    class Gone:
        def read(self):
            raise CardGone

    with pytest.raises(CardGone):
        desk.till.spend(Gone(), lambda *_: (0, 1250, 0, 0), "mains", "online", 0)
    assert desk.records() == [] and desk.till.pending is None


def test_refused_cards_are_never_asked_for_money():
    desk, card = Desk(), Card(balance_fen=1249)
    assert desk.sell(card) == (reasons.BALANCE_SHORT, 1250, 1249)
    assert desk.purse.asked is None
    assert desk.kinds() == [(REFUSAL, reasons.BALANCE_SHORT)]


def test_no_room_for_an_intent_no_debit():
    desk, card = Desk(), Card()
    desk.fill()
    records = desk.records()
    assert desk.sell(card) == (reasons.JOURNAL_FULL, 1250, 10_000)
    assert desk.purse.asked is None and desk.records() == records


def test_a_refusal_that_has_no_room_is_dropped():
    desk = Desk()
    desk.fill()
    records = desk.records()
    desk.till.refuse(reasons.TWO_CARDS, 0, 1250, 0)
    assert desk.records() == records


@pytest.mark.parametrize("result", [COMMITTED, NOT_COMMITTED, UNKNOWN])
def test_an_outcome_that_cannot_be_written_leaves_the_spend_pending(result):
    """The flash has died under it: nobody is told anything, and the card settles it later."""
    desk, card = Desk(), Card()
    desk.till._recorder = Failing(desk.recorder, good=1)
    with pytest.raises(JournalFull):
        desk.sell(card, result)
    assert desk.till.pending["seq"] == 1
    desk.till._recorder = desk.recorder
    reason, _, _ = desk.sell(card)
    assert reason == reasons.APPROVED and card.counter == 7
    assert desk.kinds()[-1] == (OUTCOME, COMMITTED)


@pytest.mark.parametrize("is_done", [True, False])
def test_what_bars_a_spend_does_not_bar_settling(is_done):
    desk, card = Desk(), Card()
    desk.sell(card, UNKNOWN, is_done)
    barred = reasons.BATTERY_EMPTY
    told = desk.sell(card, power="empty")
    assert told == ((reasons.APPROVED, 1250, 8750) if is_done else (barred, 1250, 10_000))
    assert desk.purse.asked is None and desk.till.pending is None
    ends = [(OUTCOME, COMMITTED)] if is_done else [(OUTCOME, NOT_COMMITTED), (REFUSAL, barred)]
    assert desk.kinds() == [(INTENT, None), (OUTCOME, UNKNOWN), *ends]


def test_a_boot_without_room_for_its_outcome_still_boots():
    desk, card = Desk(), Card()
    desk.till._recorder = Failing(desk.recorder, good=1)
    with pytest.raises(JournalFull):
        desk.sell(card, UNKNOWN, is_done=True)
    write, Recorder.write = Recorder.write, Failing(desk.recorder, good=0).write
    try:
        assert desk.boot() is None
    finally:
        Recorder.write = write
    assert desk.till.pending["card_no"] == CARD_NO
    assert desk.sell(card) == (reasons.APPROVED, 1250, 8750)
    assert desk.kinds() == [(INTENT, None), (OUTCOME, COMMITTED)]


# -- a spend --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [True, False])
def test_what_the_card_signed_goes_into_the_outcome(is_done):
    desk, card = Desk(), Card()
    desk.sell(card)
    desk.sell(card, UNKNOWN, is_done)
    desk.sell(card)
    proofs = [r.get("card_proof") for r in desk.records() if r["kind"] == OUTCOME]
    assert proofs == [PROOF, None, TOLD_LATER if is_done else None, *([] if is_done else [PROOF])]


def test_committed():
    desk, card = Desk(), Card()
    assert desk.sell(card, power="battery") == (reasons.APPROVED, 1250, 8750)
    intent, outcome = desk.records()
    assert (intent["card_no"], intent["counter"], intent["flags"]) == (CARD_NO, 6, 2)
    assert (intent["amount_fen"], intent["before_fen"], intent["after_fen"]) == (1250, 10000, 8750)
    assert (intent["last_device"], intent["last_seq"]) == (1003, 77)
    assert intent["merchant_no"] == MERCHANT
    assert (outcome["intent_device"], outcome["intent_seq"]) == (DEVICE, intent["seq"])
    assert outcome["result"] == COMMITTED and desk.till.pending is None
    amount_fen, time_s, state = desk.purse.asked
    assert amount_fen == 1250 and time_s == intent["earliest_s"]
    assert state == (DAY, 1250, 900 + 1250, 3, 0, 0)


def test_not_committed_may_be_tried_at_once():
    desk, card = Desk(), Card()
    assert desk.sell(card, NOT_COMMITTED) == (reasons.CARD_GONE, 1250, 10_000)
    assert desk.till.pending is None
    assert desk.sell(card) == (reasons.APPROVED, 1250, 8750)
    assert [result for _, result in desk.kinds()] == [None, NOT_COMMITTED, None, COMMITTED]


# What became of a debit that ended UNKNOWN, and the card that comes next: the card's number, how
# often it was debited elsewhere; the reason that is shown, and what the journal then ends with.
SETTLED = [
    (True, CARD_NO, 0, reasons.APPROVED, (OUTCOME, COMMITTED)),
    (True, CARD_NO, 1, reasons.ASK_LEDGER, (OUTCOME, UNKNOWN)),
    (True, 4712, 0, reasons.SAME_CARD_PLEASE, (OUTCOME, UNKNOWN)),
    (False, CARD_NO, 0, reasons.APPROVED, (OUTCOME, COMMITTED)),
    (False, CARD_NO, 1, reasons.ASK_LEDGER, (OUTCOME, UNKNOWN)),
    (False, CARD_NO, 2, reasons.ASK_LEDGER, (OUTCOME, UNKNOWN)),
    (False, 4712, 0, reasons.SAME_CARD_PLEASE, (OUTCOME, UNKNOWN)),
]


@pytest.mark.parametrize("is_booted", [False, True])
@pytest.mark.parametrize(("is_done", "card_no", "elsewhere", "reason", "last"), SETTLED)
def test_unknown_is_settled_by_the_card(is_done, card_no, elsewhere, reason, last, is_booted):
    desk, card = Desk(), Card()
    assert desk.sell(card, UNKNOWN, is_done) == (reasons.TAP_AGAIN, 1250, card.balance_fen)
    assert desk.till.pending["seq"] == 1
    for seq in range(elsewhere):
        card.counter += 1
        card.last_device, card.last_seq = 1009, 500 + seq
    if is_booted:
        assert desk.boot() is None
    before = desk.records()
    next_card = card if card_no == CARD_NO else Card(card_no)
    counter = next_card.counter
    told = desk.sell(next_card, amount_fen=300)
    assert told[0] == reason and desk.kinds()[-1] == last
    taken = 300 if reason == reasons.APPROVED and not is_done else 1250
    assert told[1] == taken
    assert next_card.counter == counter + (reason == reasons.APPROVED and not is_done)
    if reason == reasons.SAME_CARD_PLEASE:
        assert desk.till.pending["seq"] == 1
    else:
        assert desk.till.pending is None
    if reason != reasons.APPROVED:
        assert desk.records() == before and desk.purse.asked is None
    # A debit that was not done is said to be so before the amount is taken anew.
    elif not is_done:
        assert desk.kinds()[2:] == [(OUTCOME, NOT_COMMITTED), (INTENT, None), last]


# -- after a boot ---------------------------------------------------------------------------


def test_an_open_intent_is_closed_as_unknown():
    desk, card = Desk(), Card()
    desk.till._recorder = Failing(desk.recorder, good=1)
    with pytest.raises(JournalFull):
        desk.sell(card, UNKNOWN, is_done=True)
    assert desk.kinds() == [(INTENT, None)]
    for _ in range(3):  # and only once
        assert desk.boot() is None
        assert desk.kinds() == [(INTENT, None), (OUTCOME, UNKNOWN)]
        assert desk.till.pending["amount_fen"] == 1250
    assert desk.sell(card) == (reasons.APPROVED, 1250, 8750)


def test_a_spend_that_was_paid_is_reported_once_more():
    desk = Desk()
    desk.sell(Card())
    paid = desk.boot()
    assert (paid["amount_fen"], paid["card_no"]) == (1250, CARD_NO)
    assert desk.till.pending is None and len(desk.records()) == 2


@pytest.mark.parametrize("result", [None, NOT_COMMITTED])
def test_nothing_is_open_nothing_is_taken_up(result):
    desk = Desk()
    if result:
        desk.sell(Card(), result)
    assert desk.boot() is None and desk.till.pending is None
