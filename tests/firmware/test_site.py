"""A POS whose case is opened, or that stands elsewhere (R18.1, R18.2): it takes nothing then.

Every flash operation of an opening and of an approval is cut once; every word of the ledger is
also said too late, twice, about another record, under another key and with the case open.
"""

import pytest

from firmware.services.site import ASK_MS
from protocols.rules import reasons
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import BALANCE_FEN, CARD_NO, DEVICE_KEY, Counter, new_card, truth
from tests.firmware.test_pos_cancel import unknown

OPENED, MOVED = reasons.display(reasons.CASE_OPENED), reasons.display(reasons.MOVED)
WELCOME = "WELCOME"
RELAY_KEY = seal.derive(DEVICE_KEY, messages.RELAY_LABEL)


class Line:
    """What carries a reader's words to the ledger; whether its own agent answers is `online`."""

    stream = object()
    counters = {"sessions": 1}  # noqa: RUF012 - as an uplink's, and nobody changes it

    def __init__(self, counter, online=True):
        self.online = online
        self.questions = []
        self._load = counter.pos._load
        counter.pos._uplink = self._load._uplink = self

    def step(self, now_ms):
        return now_ms + 1000

    def say(self, message_type, fields):
        assert message_type == messages.RELAY
        payload = seal.unseal(RELAY_KEY, fields["sealed"], messages.RELAY_UP)
        self.questions.append(messages.decode_relayed(payload, (messages.SITE,)))
        return True

    def answer(self, question, state, key=RELAY_KEY, label=messages.RELAY_DOWN, **other):
        """The ledger's word about a question, as it arrives; what the reader counts it as."""
        fields = {**question, "state": state, **other}
        del fields["kind"]
        payload = messages.encode_relayed(messages.SITE, fields)
        return self._load.hear(seal.seal(key, payload, label), 0)


def opened(counter, for_ms=1000):
    """Somebody has the case open for so long."""
    counter.hardware.case_is_open = True
    counter.run_ms(for_ms)
    counter.hardware.case_is_open = False
    counter.run_ms(600)


def tampers(counter):
    return [(r["state"], r["number"]) for r in counter.records(messages.TAMPER)]


def bar(counter):
    return counter.pos._till.barred


def waits(counter):
    """A line on which a barred reader has asked."""
    line = Line(counter)
    counter.run_ms(ASK_MS + 1000)
    assert len(line.questions) == 1
    return line, line.questions[0]


def test_an_opened_case_is_told_recorded_and_refused():
    counter, card = Counter(), new_card()
    opened(counter)
    assert counter.shown == OPENED and tampers(counter) == [(messages.CASE_OPENED, 0)]
    # As of everything that is this reader's matter: one long beep, two short.
    assert [ms for _, ms in counter.witness.beeps[-3:]] == [400, 80, 80]
    assert counter.sell("5", card) == OPENED
    assert truth(card).balance_fen == BALANCE_FEN
    refusal = counter.records(messages.REFUSAL)[-1]
    assert (refusal["reason"], refusal["amount_fen"]) == (reasons.CASE_OPENED, 500)
    counter.run_ms(5000)
    assert counter.shown == OPENED  # and no welcome
    counter.key(b"F5")
    assert counter.shown == OPENED
    counter.key(b"F7")
    assert counter.shown == OPENED


@pytest.mark.parametrize("for_ms", [1, 400])
def test_what_passes_through_the_level_of_an_open_case_is_none(for_ms):
    """The mains come and go: for a moment the pin has the voltage of an open case on battery."""
    counter = Counter()
    opened(counter, for_ms)
    assert tampers(counter) == [] and counter.sell("5", new_card()) == "PAID 5.00"


def test_it_survives_boots_and_is_not_told_twice():
    counter, card = Counter(), new_card()
    opened(counter)
    for _ in range(3):
        counter.die()
        counter.boot()
        counter.run_ms(2000)
        assert counter.shown == OPENED and counter.sell("5", card) == OPENED
    assert tampers(counter) == [(messages.CASE_OPENED, 0)]


def test_opened_while_the_power_was_gone_it_is_seen_if_it_is_still_open():
    counter = Counter()
    counter.die()
    counter.hardware.case_is_open = True
    counter.boot()
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED
    # Opened and shut again in that time leaves nothing: that is what remains (threat-model.md).
    other = Counter()
    other.die()
    other.boot()
    other.run_ms(1000)
    assert bar(other) == reasons.APPROVED


def operations(counter, act):
    """How many flash operations it takes."""
    before = counter.hardware.flash_operations
    act()
    return counter.hardware.flash_operations - before


def cut_at(counter, operation, act):
    """Do it, and lose the power before its flash operation of that number; whether it was lost."""
    last = counter.hardware.flash_operations + operation

    def fail(number):
        if number == last:
            raise PowerCut

    counter.hardware.before_flash = fail
    survived = counter.survives(act)
    counter.hardware.before_flash = None
    counter.hardware.case_is_open = False  # shut again, before the power comes back
    return not survived


def test_a_cut_at_every_flash_operation_of_an_opening():
    """Once anything of it stands on flash it counts, and has its record, exactly once."""
    whole = Counter()
    total = operations(whole, lambda: opened(whole))
    assert total == 2  # what is kept, and the record
    for operation in range(1, total + 1):
        counter = Counter()
        assert cut_at(counter, operation, lambda counter=counter: opened(counter))
        counter.boot()
        counter.run_ms(2000)
        known = operation > 1  # before the first nothing stood on flash
        assert tampers(counter) == [(messages.CASE_OPENED, 0)] * known, operation
        assert bar(counter) == (reasons.CASE_OPENED if known else 0), operation


def test_boots_in_a_row_before_the_record_do_not_lose_it():
    """The number that the record was to have is that of a BOOT then."""
    counter = Counter()
    assert cut_at(counter, 2, lambda: opened(counter))  # kept, not written
    for operation in (2, 3):
        assert cut_at(counter, operation, lambda: (counter.boot(), counter.run_ms(1)))
    counter.boot()
    counter.run_ms(2000)
    assert tampers(counter) == [(messages.CASE_OPENED, 0)]
    assert bar(counter) == reasons.CASE_OPENED


def test_a_full_journal_bars_at_once_and_tells_later():
    counter = Counter()
    recorder = counter.pos._recorder
    while recorder.has_room():
        recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)
    opened(counter)
    assert bar(counter) == reasons.CASE_OPENED and tampers(counter) == []
    counter.die()
    counter.boot()
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED and tampers(counter) == []
    recorder = counter.pos._recorder
    recorder.receipt(recorder.head_seq())
    counter.run_ms(1000)
    assert tampers(counter) == [(messages.CASE_OPENED, 0)]


def test_what_was_begun_is_settled_all_the_same():
    """The card was debited, the power went: its money is not lost because somebody was inside."""
    counter, card = Counter(), new_card()
    probe, other = Counter(), new_card()
    total = operations(probe, lambda: probe.sell("12.50", other))
    assert cut_at(counter, total, lambda: counter.sell("12.50", card))
    counter.take(card)
    counter.boot()
    opened(counter)
    assert bar(counter) == reasons.CASE_OPENED
    counter.tap(card)
    assert counter.shown == "PAID 12.50" and truth(card).balance_fen == BALANCE_FEN - 1250
    counter.run_ms(3000)
    assert counter.sell("5", card) == OPENED


# -- the approval -----------------------------------------------------------------------------


def test_an_approval_ends_it_and_is_a_record():
    counter, card = Counter(), new_card()
    opened(counter)
    (record,) = counter.records(messages.TAMPER)
    line, question = waits(counter)
    assert (question["state"], question["number"]) == (messages.CASE_OPENED, record["seq"])
    assert line.answer(question, messages.APPROVED) == ""
    counter.run_ms(1000)
    assert tampers(counter)[-1] == (messages.APPROVED, record["seq"])
    assert counter.shown == WELCOME and counter.sell("5", card) == "PAID 5.00"
    counter.die()
    counter.boot()
    counter.run_ms(6000)
    assert counter.sell("5", card) == "PAID 5.00" and len(tampers(counter)) == 2


def test_after_a_boot_it_asks_again_for_the_same_record():
    counter = Counter()
    opened(counter)
    _, before = waits(counter)
    counter.die()
    counter.boot()
    line, question = waits(counter)
    assert question["number"] == before["number"] and question["nonce"] != before["nonce"]
    line.answer(before, messages.APPROVED)  # of a question before the boot
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED
    line.answer(question, messages.APPROVED)
    counter.run_ms(1000)
    assert bar(counter) == reasons.APPROVED


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": bytes(32)},
        {"label": messages.RELAY_UP},  # its own question, said back
        {"nonce": bytes(8)},
        {"number": 1},
        {"state": 0},
        {"state": messages.MOVED},
    ],
)
def test_no_other_word_ends_it(wrong):
    counter = Counter()
    opened(counter)
    line, question = waits(counter)
    line.answer(question, **{"state": messages.APPROVED, **wrong})
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED
    assert tampers(counter) == [(messages.CASE_OPENED, 0)]


def test_an_approval_is_worth_nothing_for_the_next_opening():
    """Nor is it taken while the case is open, nor a second time."""
    counter = Counter()
    opened(counter)
    line, question = waits(counter)
    opened(counter)
    line.answer(question, messages.APPROVED)
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED and len(tampers(counter)) == 2
    counter.run_ms(ASK_MS)
    question = line.questions[-1]
    counter.hardware.case_is_open = True
    counter.run_ms(100)
    line.answer(question, messages.APPROVED)
    counter.run_ms(100)
    assert bar(counter) == reasons.CASE_OPENED
    counter.hardware.case_is_open = False
    counter.run_ms(2 * ASK_MS)
    question = line.questions[-1]
    line.answer(question, messages.APPROVED)
    counter.run_ms(1000)
    assert bar(counter) == reasons.APPROVED
    opened(counter)
    line.answer(question, messages.APPROVED)
    counter.run_ms(1000)
    assert bar(counter) == reasons.CASE_OPENED


def test_a_cut_at_every_flash_operation_of_an_approval():
    """It stays barred or it is free, as the records say, and the ledger's next word frees it."""
    for operation in range(1, 5):
        counter = Counter()
        opened(counter)
        line, question = waits(counter)
        line.answer(question, messages.APPROVED)
        is_cut = cut_at(counter, operation, lambda counter=counter: counter.run_ms(1000))
        if not is_cut:
            assert operation > 2 and bar(counter) == reasons.APPROVED
            break
        counter.boot()
        counter.run_ms(1000)
        if bar(counter):
            line, question = waits(counter)
            line.answer(question, messages.APPROVED)
            counter.run_ms(1000)
        assert bar(counter) == reasons.APPROVED, operation
        assert tampers(counter)[-1] == (messages.APPROVED, question["number"])
    else:
        pytest.fail("the approval had more operations than were cut")


def test_a_sale_that_is_open_is_taken_up_though_the_case_was_opened_since():
    """Found when a key for a kept value was looked for: site and codes shared one, so behind a
    boot an opened reader forgot what it had begun."""
    counter, card = unknown()
    opened(counter)
    counter.die()
    counter.boot()
    assert bar(counter) == reasons.CASE_OPENED
    assert counter.pos._till.pending["card_no"] == CARD_NO
    counter.tap(card)
    assert counter.shown == "PAID 12.50" and counter.pos._till.pending is None


# -- another site -----------------------------------------------------------------------------


def test_elsewhere_is_what_the_ledger_says_while_nobody_answers():
    counter, card = Counter(), new_card()
    line = Line(counter, online=False)
    counter.run_ms(ASK_MS - 5000)
    assert line.questions == []
    counter.run_ms(10_000)
    (question,) = line.questions
    assert (question["state"], question["number"]) == (0, 0)
    assert counter.sell("5", card) == "PAID 5.00"  # silence is an outage
    counter.run_ms(3000)
    line.answer(question, messages.MOVED)
    counter.run_ms(1000)
    assert counter.shown == MOVED and tampers(counter) == [(messages.MOVED, 0)]
    assert counter.sell("5", card) == MOVED
    counter.run_ms(2 * ASK_MS)
    line.answer(line.questions[-1], messages.MOVED)
    counter.run_ms(1000)
    assert tampers(counter) == [(messages.MOVED, 0)]  # said again it is no news
    line.online = True  # at home again
    counter.run_ms(ASK_MS + 1000)
    line.answer(line.questions[-1], messages.APPROVED)
    counter.run_ms(1000)
    assert counter.sell("6", card) == "PAID 6.00"


@pytest.mark.parametrize(
    "wrong", [{"key": bytes(32)}, {"label": messages.RELAY_UP}, {"nonce": bytes(8)}, {"state": 0}]
)
def test_nobody_stops_a_reader_by_saying_that_it_is_elsewhere(wrong):
    counter = Counter()
    line = Line(counter, online=False)
    counter.run_ms(ASK_MS + 1000)
    line.answer(line.questions[0], **{"state": messages.MOVED, **wrong})
    counter.run_ms(1000)
    assert bar(counter) == reasons.APPROVED and tampers(counter) == []


def test_a_word_that_comes_when_its_own_agent_answers_again_is_not_believed():
    """Whoever carries a question to another building has to silence this one too."""
    counter = Counter()
    line = Line(counter, online=False)
    counter.run_ms(ASK_MS + 1000)
    line.online = True
    line.answer(line.questions[0], messages.MOVED)
    counter.run_ms(1000)
    assert bar(counter) == reasons.APPROVED
    line.online = False
    counter.run_ms(1000)
    assert bar(counter) == reasons.APPROVED  # nor later
