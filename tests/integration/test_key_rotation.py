"""A reader's key is replaced while everything is under way: real firmware, agent and ledger."""

import pytest

from ledger.invariants import check
from protocols.wire import messages, seal, topics
from simulator.checkers import journal_of
from simulator.people import Customer
from simulator.torture.campus import SITE, Campus
from simulator.torture.healing import owed

SECOND_US = 1_000_000
NEW_KEY, NEWER_KEY = bytes(range(32)), bytes(range(1, 33))
HELLO_S = 70  # an idle reader says one every minute
DRAIN_S = 300  # a refused record is asked about again a minute later


class Canteen:
    """A campus of which one window matters, and what an operator does to it."""

    def __init__(self, folder):
        self.campus = Campus(5, folder)
        self.window = self.campus.windows[0]
        self._claimed = 0
        self._watch = self.campus.building.watch
        self.campus.building.watch = self._hear
        self.wait(20)

    def _hear(self, topic, payload):
        self._watch(topic, payload)
        if topic == topics.up(SITE, self.window.device):
            said = messages.decode_message(payload, (messages.HELLO, messages.BATCH))
            self._claimed = said.get("receipted", self._claimed)

    def wait(self, seconds):
        self.campus.run_until(self.campus.world.now_us + seconds * SECOND_US)

    def eat(self, count):
        """So many customers pay, one after the other."""
        for _ in range(count):
            held = next(card for card in self.campus.free_cards() if card.name.startswith("rich"))
            self.campus.arrive(self.window, Customer(held, 300, [900]))
            self.wait(12)

    def tell_ledger(self, key):
        self.campus.books.rotate_device_key(self.window.device, key)

    def tell_reader(self, key, *, is_previous_told=True):
        """New settings, and off and on again: that is how a reader takes them."""
        window = self.window
        previous = window.key if is_previous_told else None
        data = self.campus.settings(window.device, key, previous_device_key=previous)
        window.key = key
        window.hardware.nvs["settings"] = data
        window.reader.switch_off()
        self.campus.switch_on(window)

    def head(self):
        return journal_of(self.window.hardware.flash).head_seq

    def receipted(self):
        """Up to where the reader believes that it is booked: its next HELLO says so."""
        self.wait(HELLO_S)
        return self._claimed

    def booked(self):
        return self.campus.watch.head(self.window.device)

    def keys_booked(self):
        """The numbers of the keys under which records are booked, in order."""
        sql = "SELECT DISTINCT key_no FROM record WHERE device = ? ORDER BY seq"
        rows = self.campus.watch.rows(self.campus.ledger.path, sql, self.window.device)
        return [key_no for (key_no,) in rows]

    def assert_all_is_well(self, spends):
        self.wait(DRAIN_S)
        assert owed(self.campus) == []
        assert self.receipted() == self.head()
        assert len(list(self.campus.books.booked_ids())) == spends
        assert list(self.campus.books.cases()) == []
        assert check(self.campus.books) == []
        assert self.campus.watch.violations == []


@pytest.fixture
def canteen(tmp_path):
    canteen = Canteen(tmp_path)
    yield canteen
    canteen.campus.close()


@pytest.mark.parametrize("first", ["ledger", "reader"])
@pytest.mark.parametrize("where", ["online", "cable out", "upstream cut"])
def test_a_key_is_replaced_and_everything_is_booked_once(canteen, where, first):
    canteen.eat(2)
    if where == "cable out":
        canteen.window.cable.cut()
    elif where == "upstream cut":
        canteen.campus.ledger.kill()
    canteen.eat(2)  # these are in the journal, or in the agent, when the key changes
    tell = [canteen.tell_ledger, canteen.tell_reader]
    for who in tell if first == "ledger" else tell[::-1]:
        who(NEW_KEY)
        canteen.eat(1)
    canteen.window.cable.plug()
    if not canteen.campus.ledger.is_up:
        canteen.campus.ledger.start()
    canteen.eat(1)
    canteen.assert_all_is_well(spends=7)
    assert canteen.keys_booked() == [0, 1]


def forged_receipt(canteen, key):
    """What whoever knows `key` and reads the wire says: all your records are booked."""
    device, journal = canteen.window.device, journal_of(canteen.window.hardware.flash)
    tag = seal.tag_of(journal.record(journal.head_seq))[:8]
    body = messages.encode_receipt(device, journal.head_seq, tag, canteen.campus.world.utc_s())
    sealed = seal.seal(seal.derive(key, messages.RECEIPT_LABEL), body, messages.RECEIPT_LABEL)
    return messages.encode_message(messages.RECEIPT, {"device": device, "sealed": sealed})


@pytest.mark.parametrize("is_previous_told", [True, False])
def test_a_receipt_forged_with_the_key_of_before_frees_nothing(canteen, is_previous_told):
    canteen.eat(1)
    old = canteen.window.key
    canteen.tell_ledger(NEW_KEY)
    canteen.tell_reader(NEW_KEY, is_previous_told=is_previous_told)
    canteen.eat(1)
    canteen.campus.ledger.kill()  # so that no true receipt comes in between
    canteen.eat(1)
    receipted = canteen.receipted()
    assert receipted < canteen.head()
    down = topics.down(SITE, canteen.window.device)
    canteen.campus.building.publish(down, forged_receipt(canteen, old))
    canteen.wait(5)
    assert canteen.receipted() == receipted
    canteen.campus.building.publish(down, forged_receipt(canteen, NEW_KEY))
    canteen.wait(5)
    assert canteen.receipted() == canteen.head()  # the bench is no bluff: with the key it works
    canteen.campus.ledger.start()
    canteen.assert_all_is_well(spends=3)


def test_receipts_under_the_old_key_arrive_when_the_reader_has_the_new_one(canteen):
    canteen.campus.ledger.kill()
    canteen.eat(2)
    head = canteen.head()
    canteen.window.cable.cut()
    canteen.campus.ledger.start()
    canteen.wait(60)
    assert canteen.booked() == head  # the agent has the receipt, the reader has not heard it
    assert canteen.receipted() < head
    canteen.campus.ledger.kill()
    canteen.tell_ledger(NEW_KEY)
    canteen.tell_reader(NEW_KEY)
    canteen.eat(1)
    canteen.window.cable.plug()
    canteen.wait(60)
    assert canteen.receipted() == head  # and no further: the ledger is not there
    assert canteen.head() > head
    canteen.campus.ledger.start()
    canteen.assert_all_is_well(spends=3)


def test_two_keys_in_a_row_while_nobody_hears_the_reader(canteen):
    canteen.eat(1)
    canteen.window.cable.cut()
    for key in (NEW_KEY, NEWER_KEY):
        canteen.eat(1)
        canteen.tell_reader(key)
        canteen.tell_ledger(key)
    canteen.eat(1)
    canteen.window.cable.plug()
    canteen.assert_all_is_well(spends=4)
    assert canteen.keys_booked() == [0, 1, 2]


def test_two_keys_in_a_row_behind_a_full_journal(canteen):
    """Receipts for what is in it are under a key that the reader does not know any more."""
    canteen.window.cable.cut()
    head = -1
    while head < canteen.head():
        head = canteen.head()
        canteen.eat(1)
    for key in (NEW_KEY, NEWER_KEY):
        canteen.tell_ledger(key)
        canteen.tell_reader(key)
        canteen.wait(5)
    assert canteen.head() == head + 2
    canteen.window.cable.plug()
    canteen.wait(DRAIN_S)
    assert canteen.keys_booked() == [0, 1, 2]
    assert owed(canteen.campus) == [] and check(canteen.campus.books) == []
    canteen.eat(1)
    assert canteen.head() > head + 2
    assert canteen.receipted() == canteen.head()


def test_a_new_agent_in_the_middle_of_it(canteen):
    canteen.eat(2)
    canteen.campus.ledger.kill()
    canteen.eat(1)
    canteen.tell_reader(NEW_KEY)
    canteen.eat(1)
    canteen.campus.agent.kill()
    canteen.campus.agent.replace()
    canteen.campus.agent.start()
    canteen.campus.ledger.start()
    canteen.wait(30)
    canteen.tell_ledger(NEW_KEY)
    canteen.assert_all_is_well(spends=4)
    assert canteen.keys_booked() == [0, 1]
