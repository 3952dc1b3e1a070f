"""Rot takes a record that nobody has booked yet: real firmware, agent and ledger do without it."""

import pytest

from ledger import reasons
from ledger.evidence import State
from ledger.invariants import check
from ledger.lost import lost_spends
from protocols.wire import messages, seal
from simulator.checkers import journal_of, judge
from simulator.torture.healing import owed
from tests.integration.test_key_rotation import DRAIN_S, NEW_KEY, Canteen

FEN = 300  # what everybody eats for
TWO_BITS = ((40, 1), (71, 6))  # byte of the record and bit


class Window:
    """The one window of a canteen, and rot on its flash."""

    def __init__(self, canteen):
        self.canteen, self.campus = canteen, canteen.campus
        self.device = canteen.window.device
        self.hardware = canteen.window.hardware
        self.lost = set()

    def kinds(self):
        """Sequence -> kind of every record in the journal that can be read."""
        journal = journal_of(self.hardware.flash)
        records = {seq: journal.record(seq) for seq in range(1, journal.head_seq + 1)}
        return {
            seq: messages.decode_record(seal.payload_of(sealed))["kind"]
            for seq, sealed in records.items()
            if sealed is not None
        }

    def all_of(self, kind):
        return [seq for seq, found in self.kinds().items() if found == kind]

    def rot(self, *seqs, bits=TWO_BITS):
        for seq in seqs:
            flash = self.hardware.flash
            record = journal_of(flash).record(seq)
            at = flash.image().index(record)
            for byte, bit in bits:
                flash.flip(at + byte % len(record), bit)
            self.lost.add((self.device, seq))

    def reboot(self):
        self.canteen.window.reader.switch_off()
        self.campus.switch_on(self.canteen.window)
        self.canteen.wait(20)

    def eat_unheard(self, count):
        """So many pay while nobody hears the reader."""
        self.canteen.window.cable.cut()
        self.canteen.eat(count)

    def be_heard(self):
        self.canteen.window.cable.plug()
        self.canteen.wait(DRAIN_S)

    def is_wedged(self):
        return self.canteen.booked() < self.canteen.head()

    def assert_all_else_is_booked(self, spends):
        campus, books = self.campus, self.campus.books
        assert owed(campus) == []
        assert self.canteen.receipted() == self.canteen.head()
        assert books.cases() == [(reasons.LOST, *found) for found in sorted(self.lost)]
        assert check(books) == []
        assert len(list(books.booked_ids())) == spends
        assert campus.watch.violations == []
        verdict = self.verdict()
        assert verdict.violations == []
        return verdict

    def verdict(self):
        campus = self.campus
        flashes = {window.device: window.hardware.flash for window in campus.windows}
        return judge(campus.cards, campus.keys, campus.books, flashes, campus.paid, self.lost)


@pytest.fixture
def window(tmp_path):
    canteen = Canteen(tmp_path)
    yield Window(canteen)
    canteen.campus.close()


# -- one record -----------------------------------------------------------------------------------


def test_the_newest_record_is_waited_for_until_another_tells_it_from_a_cut(window):
    window.eat_unheard(2)
    head = window.canteen.head()
    window.rot(head)  # an OUTCOME
    window.canteen.window.cable.plug()
    window.canteen.wait(DRAIN_S)
    assert window.canteen.booked() == head - 1 and window.campus.books.cases() == []
    window.canteen.eat(1)
    window.canteen.wait(DRAIN_S)
    window.assert_all_else_is_booked(spends=3)


def test_the_newest_record_is_torn_for_a_boot_and_its_number_is_given_again(window):
    window.eat_unheard(2)
    window.rot(window.canteen.head())
    window.reboot()
    window.lost.clear()
    window.be_heard()
    window.canteen.eat(1)
    window.canteen.wait(DRAIN_S)
    window.assert_all_else_is_booked(spends=3)


@pytest.mark.parametrize("bits", [TWO_BITS, ((-3, 2), (-20, 7)), ((-1, 0), (2, 0), (50, 3))])
def test_a_lost_intent_is_a_case_with_what_the_card_has_paid(window, bits):
    window.canteen.eat(1)
    window.eat_unheard(3)
    intent = window.all_of(messages.INTENT)[2]
    window.rot(intent, bits=bits)
    window.be_heard()
    verdict = window.assert_all_else_is_booked(spends=3)
    assert (verdict.rotten, verdict.rotten_fen) == (1, FEN)
    (spend,) = lost_spends(window.campus.books)
    assert (spend.device, spend.seq, spend.amount_fen) == (window.device, intent, FEN)


def test_a_lost_outcome_is_made_good_by_the_next_tap_of_the_card(window):
    window.canteen.eat(1)
    window.eat_unheard(3)
    outcome = window.all_of(messages.OUTCOME)[2]
    window.rot(outcome)
    window.be_heard()
    assert window.assert_all_else_is_booked(spends=4).rotten == 0
    assert window.campus.books.state(window.device, outcome - 1) is State.COMMITTED
    assert list(lost_spends(window.campus.books)) == []


def test_a_record_that_tells_of_no_spend_is_a_case_and_no_more(window):
    window.eat_unheard(1)
    window.reboot()
    window.canteen.eat(1)
    window.rot(window.all_of(messages.BOOT)[-1])
    window.be_heard()
    assert window.assert_all_else_is_booked(spends=2).rotten == 0


def test_the_judge_believes_no_loss_without_rot(window):
    window.eat_unheard(3)
    intent = window.all_of(messages.INTENT)[1]
    window.rot(intent)
    assert window.verdict().violations == []
    told, window.lost = window.lost, set()
    with pytest.raises(AssertionError, match=f"record {intent} is neither booked nor kept"):
        window.verdict()
    window.be_heard()
    (found,) = window.verdict().violations
    assert f"record {intent} is called lost and never rotted" in found
    window.lost = told
    assert window.assert_all_else_is_booked(spends=2).rotten == 1


# -- several --------------------------------------------------------------------------------------


def test_a_whole_spend_is_lost(window):
    window.eat_unheard(3)
    intent = window.all_of(messages.INTENT)[1]
    window.rot(intent, intent + 1)
    window.be_heard()
    verdict = window.assert_all_else_is_booked(spends=2)
    assert (verdict.rotten, verdict.rotten_fen) == (1, FEN)


def test_a_whole_stretch_is_lost(window):
    window.eat_unheard(6)
    first = window.all_of(messages.INTENT)[1]
    window.rot(*range(first, first + 7))
    window.be_heard()
    window.canteen.eat(1)
    window.canteen.wait(DRAIN_S)
    assert window.assert_all_else_is_booked(spends=3).rotten == 4


def test_apart_from_each_other_and_found_one_after_the_other(window):
    window.eat_unheard(4)
    intents = window.all_of(messages.INTENT)
    window.rot(intents[1], intents[3])
    window.be_heard()
    assert window.is_wedged() is False
    window.eat_unheard(2)
    window.rot(window.all_of(messages.OUTCOME)[-2])
    window.be_heard()
    window.assert_all_else_is_booked(spends=4)


# -- while other things go wrong ------------------------------------------------------------------


def test_across_reboots(window):
    window.eat_unheard(3)
    window.rot(window.all_of(messages.INTENT)[1])
    window.reboot()
    window.canteen.eat(1)
    window.be_heard()
    window.reboot()
    window.canteen.wait(DRAIN_S)
    window.assert_all_else_is_booked(spends=3)


def test_the_ledger_has_it_already(window):
    """Booked, and the reader has not heard so: what the ledger has is the record, and no case."""
    window.canteen.window.cable.cut()
    window.canteen.eat(2)
    window.canteen.window.cable.plug()
    window.canteen.wait(2)
    window.canteen.window.cable.cut()
    window.canteen.wait(DRAIN_S)
    head = window.canteen.booked()
    assert head > 3
    window.rot(head - 1)
    window.lost.clear()
    window.campus.agent.kill()
    window.campus.agent.replace()
    window.campus.agent.start()
    window.canteen.eat(1)
    window.be_heard()
    window.assert_all_else_is_booked(spends=3)


def test_sent_again_and_again(window):
    """The agent is replaced with all that it has not handed on: one case all the same."""
    window.eat_unheard(3)
    window.rot(window.all_of(messages.INTENT)[1])
    window.campus.ledger.kill()
    window.be_heard()
    for _ in range(2):
        window.campus.agent.kill()
        window.campus.agent.replace()
        window.campus.agent.start()
        window.canteen.wait(DRAIN_S)
    window.reboot()
    window.campus.ledger.start()
    window.canteen.wait(DRAIN_S)
    window.assert_all_else_is_booked(spends=2)


@pytest.mark.parametrize("first", ["ledger", "reader"])
@pytest.mark.parametrize("which", [0, -1])
def test_while_the_key_is_replaced(window, first, which):
    """Records under the old key stand behind the lost one, or it was the last of them."""
    canteen = window.canteen
    window.eat_unheard(3)
    lost = window.all_of(messages.INTENT)[1] if which == 0 else window.canteen.head()
    tell = [canteen.tell_ledger, canteen.tell_reader]
    for who in tell if first == "ledger" else tell[::-1]:
        who(NEW_KEY)
        canteen.eat(1)
    window.rot(lost)
    window.be_heard()
    canteen.eat(1)
    canteen.wait(DRAIN_S)
    window.assert_all_else_is_booked(spends=5 if which == 0 else 6)
