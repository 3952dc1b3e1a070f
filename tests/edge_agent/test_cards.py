"""What an agent knows of cards: the ledger's word, in order, on disk, for its readers."""

import sqlite3
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.card_history import CardHistory
from edge_agent.cards import ASK_MS, CHANGES_MAX, HURRY_MS
from edge_agent.disk import StoreDamaged, StoreUnavailable
from edge_agent.readers import CARD_ASKS_PER_STEP_MAX
from protocols.rules import card_status
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, change
from protocols.wire import access_news, card_news, cbor, firmware_news, messages, seal, topics
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, key_of

A, B = 1001, 1002
UP, DOWN = topics.cards_up(SITE), topics.cards_down(SITE)


class Centre(Ledger):
    """A ledger as its neighbours see it, which knows of cards too."""

    def __init__(self, devices):
        super().__init__(devices)
        self.devices_told = devices
        self.changes = b""

    @property
    def epoch(self):
        return len(self.changes) // 4

    def set(self, card_no, status):
        self.changes += change(card_no, status)

    def news(self, since, upto=None, vouched=True, made_s=1_790_000_000):
        upto = self.epoch if upto is None else upto
        card_map = bytearray()
        card_status.fold(card_map, self.changes[: 4 * upto])
        body = struct.pack(
            card_status.WARRANT,
            upto,
            made_s,
            len(card_map),
            card_status.chained(card_status.CHAIN_START, self.changes[: 4 * upto]),
            card_status.digest_of(card_map),
        )
        warrants = [
            (device, upto, seal.seal(seal.derive(key_of(device), b"cards"), body, b"cards"))
            for device in self.devices_told
        ]
        changes = self.changes[4 * since : 4 * upto]
        if not vouched:
            return self.signed(card_news.encode(since, changes, []))
        chain = card_status.chained(card_status.CHAIN_START, self.changes[: 4 * upto])
        return self.signed(card_news.encode(since, changes, warrants, chain))

    def signed(self, payload, label=card_news.LABEL):
        return seal.sign1_pack(payload, self._key.sign(seal.sign1_tbs(payload, label)))


class Site(Building):
    """A building whose agent keeps cards; `asks` and `told` are what it has said since."""

    def asks(self):
        said = self.upstream.sent()
        self.upstream.published = [item for item in said if item[0] != UP]
        asks = [payload for topic, payload in said if topic == UP]
        self.door_asks = [each for each in asks if access_news.is_about_doors(each)]
        self.firmware_asks = [each for each in asks if firmware_news.is_question(each)]
        others = self.door_asks + self.firmware_asks
        return [card_news.decode_epoch(each) for each in asks if each not in others]

    def told(self, device):
        """(epoch, page, data) of each CARDS said to a reader."""
        said = []
        for topic, payload in self.port.sent():
            if topic == topics.down(SITE, device) and payload[:3] == b"\xa5\x00\x08":
                fields = messages.decode_message(payload, (messages.CARDS,))
                said.append((fields["epoch"], fields["page"], fields["data"]))
        return said

    def ask(self, device, epoch, page=0):
        fields = {"device": device, "epoch": epoch, "page": page, "data": b""}
        self.say(device, messages.encode_message(messages.CARDS, fields))
        self.step()
        return self.told(device)

    def give(self, data, **how):
        self.upstream.deliver(DOWN, data, **how)
        self.step()


@pytest.fixture
def site(tmp_path):
    centre = Centre([A, B])
    for card_no in (7, 9, 7):
        centre.set(card_no, LOST)
    site = Site(tmp_path, centre, [A, B], with_cards=True)
    site.step()
    return site


def opened(device, data):
    key = seal.derive(key_of(device), b"cards")
    warrant = seal.unseal(key, data[: card_status.WARRANT_BYTES], b"cards")
    return struct.unpack(card_status.WARRANT, warrant), data[card_status.WARRANT_BYTES :]


def test_who_has_not_said_that_it_has_the_newest(site):
    """A reader that was told of something has it when it says so, and not before."""

    def lacking():
        return {one["device"]: one.get("cards_lacking") for one in site.agent.readers()}

    for device in (A, B):
        site.say(device, site.readers[device].hello())
    site.give(site.ledger.news(0))
    assert lacking() == {A: None, B: None}
    site.ask(A, 1)
    site.ask(B, 3)
    assert lacking() == {A: 2, B: 0}
    site.ledger.set(8, LOST)
    site.give(site.ledger.news(3))
    assert lacking() == {A: 3, B: 1}
    site.ask(A, 4)
    site.ask(B, 9)  # more than there is: it has all of ours
    assert lacking() == {A: 0, B: 0}
    site.ask(1009, 2)  # nobody we have a warrant for
    assert 1009 not in site.agent._cards._said


# --- what it does not believe -----------------------------------------------------------------


def test_nothing_without_the_ledgers_seal(site):
    good = site.ledger.news(0)
    middle = len(good) // 2
    forged = good[:middle] + bytes((good[middle] ^ 1,)) + good[middle + 1 :]
    other = Centre([A, B])
    other._key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other.changes = site.ledger.changes
    payload, _ = seal.sign1_split(good)
    for data in (forged, other.news(0), site.ledger.signed(payload, b"receipts"), payload, b""):
        site.give(data)
        assert site.history.epoch == 0
        assert site.ask(A, 0) == []
    site.give(good, retain=True)
    assert site.history.epoch == 0
    assert sum(n for name, n in site.agent.counters.items() if name.startswith("bad_")) == 6


def test_changes_that_do_not_follow_are_not_kept_and_asked_for(site):
    site.asks()
    site.give(site.ledger.news(1))
    assert site.history.epoch == 0
    assert site.agent.counters["card_gaps"] == 1
    site.step(HURRY_MS)
    assert site.asks() == [0]


def test_what_comes_twice_or_late_changes_nothing(site):
    first, whole = site.ledger.news(0, 1, vouched=False), site.ledger.news(0)
    for data in (whole, first, whole, site.ledger.news(1)):
        site.give(data)
        assert site.history.epoch == 3
    assert site.history.changes(0, 9) == site.ledger.changes
    (epoch, page, data), *_ = site.ask(A, 0)
    assert (epoch, page) == (0, 0)
    warrant, changes = opened(A, data)
    assert (warrant[0], changes) == (3, site.ledger.changes)


def test_an_older_warrant_does_not_replace_a_newer_one(site):
    site.give(site.ledger.news(0))
    site.give(site.ledger.news(0, 2))
    ((_, _, data),) = site.ask(A, 3)[-1:]
    assert opened(A, data)[0][0] == 3


def test_a_hint_only_makes_it_ask(site):
    site.asks()
    site.give(site.ledger.news(0))
    site.step(HURRY_MS)
    site.asks()
    for payload, asked in ((cbor.encode(3), []), (cbor.encode(4), [3]), (b"\xff", [])):
        site.upstream.deliver(topics.LEDGER_CARDS, payload)
        site.step(HURRY_MS)
        site.step(HURRY_MS)
        assert site.asks() == asked
    for _ in range(20):  # whoever can publish there cannot make it ask more often
        site.upstream.deliver(topics.LEDGER_CARDS, cbor.encode(99))
        site.step(HURRY_MS // 10)
    assert len(site.asks()) <= 3


def test_a_reader_it_knows_no_word_for_hears_nothing(site):
    site.give(site.ledger.news(0))
    assert site.ask(4711, 0) == []
    assert site.agent.counters["cards_without_warrant"] == 1


def test_many_questions_at_once_are_bounded(site):
    fields = {"device": A, "epoch": 0, "page": 0, "data": b""}
    for _ in range(CARD_ASKS_PER_STEP_MAX + 5):
        site.say(A, messages.encode_message(messages.CARDS, fields))
    site.step()
    assert site.agent.counters["card_asks_dropped"] == 5


def test_a_disk_that_refuses_costs_an_answer(site, monkeypatch):
    def broken(*_):
        raise StoreUnavailable("full")

    monkeypatch.setattr(site.history, "add", broken)
    site.give(site.ledger.news(0))
    assert site.agent.counters["store_unavailable"] == 1
    monkeypatch.undo()
    site.give(site.ledger.news(0))
    site.port.sent()
    monkeypatch.setattr(site.history, "warrant", broken)
    assert site.ask(A, 0) == []
    monkeypatch.undo()
    assert len(site.ask(A, 0)) == 1


# --- what it does -----------------------------------------------------------------------------


def test_a_ledger_that_comes_back_is_asked_what_it_may_not_have_heard(site):
    """It died with our question in its hands, and nothing is new: no hint will tell of that."""
    assert site.asks() == [0]
    site.upstream.deliver(topics.LEDGER_STATUS, STATUS_OFFLINE)
    site.step(HURRY_MS)
    assert site.asks() == []
    site.upstream.deliver(topics.LEDGER_STATUS, STATUS_ONLINE, retain=True)
    site.step(HURRY_MS)
    assert site.asks() == [], "what it said before we came is no news"
    site.upstream.deliver(topics.LEDGER_STATUS, STATUS_ONLINE)
    site.step(HURRY_MS)
    assert site.asks() == [0]


def test_it_asks_at_every_connection_and_every_few_minutes(site):
    assert site.asks() == [0]
    site.step(ASK_MS - 1)
    assert site.asks() == []
    site.step(1)
    assert site.asks() == [0]
    site.upstream.down()
    site.step(ASK_MS)
    site.upstream.up()
    site.step()
    assert site.asks() == [0]


def test_what_is_new_goes_to_every_reader_at_once(site):
    site.give(site.ledger.news(0))
    site.give(site.ledger.news(3, made_s=1_790_000_060))
    site.port.sent()
    site.ledger.set(60_000, CLOSED)
    site.give(site.ledger.news(3))
    said = {device: [] for device in (A, B)}
    for topic, payload in site.port.sent():
        said[int(topic.split("/")[3])].append(payload)
    for device, payloads in said.items():
        (payload,) = payloads
        fields = messages.decode_message(payload, (messages.CARDS,))
        warrant, changes = opened(device, fields["data"])
        assert (fields["epoch"], fields["page"], warrant[0]) == (3, 0, 4)
        assert changes == change(60_000, CLOSED)
        assert len(payload) < 200


def test_who_missed_it_is_told_once_more(site):
    site.give(site.ledger.news(0))
    site.port.sent()
    site.give(site.ledger.news(3, made_s=1_790_000_300))
    ((epoch, _, data),) = site.told(A)
    assert (epoch, opened(A, data)[1]) == (0, site.ledger.changes)
    site.give(site.ledger.news(3, made_s=1_790_000_600))
    ((epoch, _, data),) = site.told(A)
    warrant, changes = opened(A, data)
    assert (epoch, changes, warrant[1]) == (3, b"", 1_790_000_600)


@pytest.mark.parametrize(("missed", "fits"), [(CHANGES_MAX, True), (CHANGES_MAX + 1, False)])
def test_a_reader_that_was_away_gets_what_it_lacks_or_is_sent_for_the_map(site, missed, fits):
    for card_no in range(missed):
        site.ledger.set(card_no, LOST)
    site.give(site.ledger.news(0))
    site.port.sent()
    ((epoch, _, data),) = site.ask(A, 3)
    warrant, changes = opened(A, data)
    assert warrant[0] == 3 + missed
    assert (epoch, len(changes)) == ((3, 4 * missed) if fits else (0, 0))


def test_pages_of_any_epoch_even_while_it_goes_on(site):
    for card_no in range(0, 3_000, 7):
        site.ledger.set(card_no, LOST)
    site.give(site.ledger.news(0))
    wanted = site.ledger.epoch
    card_map = bytearray()
    card_status.fold(card_map, site.ledger.changes)
    whole = b""
    for page in range(1, 99):
        site.ledger.set(page, ACTIVE)
        site.give(site.ledger.news(site.ledger.epoch - 1))
        site.port.sent()
        said = site.ask(A, wanted, page)
        if not said:
            break
        ((epoch, number, data),) = said
        assert (epoch, number) == (wanted, page)
        whole += data
    assert whole == card_map
    assert site.ask(A, site.ledger.epoch + 1, 1) == []


@pytest.mark.parametrize("is_new", [False, True])
def test_books_that_went_on_otherwise_behind_a_backup_take_the_place_of_ours(site, is_new):
    """Readers believe only what the books' hash fits, and ours would fit none for ever."""
    centre = site.ledger
    site.give(centre.news(0))
    lost, centre.changes = centre.changes, centre.changes[:4]  # yesterday's: two of three are gone
    for card_no in (50, 51, 52):
        centre.set(card_no, LOST)  # and the numbers of them are used again
    if is_new:
        site.crash()
        site.start()
    site.asks()
    site.give(centre.news(3))
    site.step(HURRY_MS)
    assert site.asks()[-1] == 0
    site.give(centre.news(0))
    assert site.history.changes(0, 9) == centre.changes != lost
    ((epoch, _, data),) = site.ask(A, 0)[-1:]
    warrant, changes = opened(A, data)
    assert (epoch, warrant[0], changes) == (0, 4, centre.changes)
    ((_, _, page),) = site.ask(A, 4, 1)
    assert card_status.digest_of(page) == warrant[4]


def test_the_same_changes_are_never_forgotten(site):
    site.give(site.ledger.news(0, 2))
    site.give(site.ledger.news(2))
    for since, upto in ((0, 3), (3, 3), (0, 2), (1, 2), (0, 3)):
        site.give(site.ledger.news(since, upto))
        assert site.history.epoch == 3
    assert "card_gaps" not in site.agent.counters


def test_a_restart_forgets_nothing_and_asks_on(site):
    site.give(site.ledger.news(0))
    site.crash()
    site.start()
    site.step()
    assert site.asks() == [3]
    ((epoch, _, data),) = site.ask(A, 1)
    assert (epoch, opened(A, data)[1]) == (1, site.ledger.changes[4:])


def test_a_long_history_is_fetched_in_pieces(site):
    for card_no in range(50):
        site.ledger.set(card_no, LOST)
    site.asks()
    for upto in range(10, 51, 20):
        site.give(site.ledger.news(site.history.epoch, upto, vouched=False))
        assert site.history.epoch == upto
        site.step(HURRY_MS)
        assert site.asks() == [upto]
    assert site.told(A) == []
    site.give(site.ledger.news(50))
    assert site.history.epoch == 53
    assert len(site.told(A)) == 1


def test_without_a_history_cards_are_nobodys_business(tmp_path):
    site = Site(tmp_path, Centre([A]), [A])
    site.step()
    assert site.asks() == []
    assert site.ask(A, 0) == []


def test_a_crash_in_the_middle_keeps_all_of_it_or_nothing(tmp_path):
    path = str(tmp_path / "cards.sqlite")
    history = CardHistory(path)
    history.add(0, change(1, LOST), [])
    with pytest.raises(StoreUnavailable):
        history.add(1, change(2, LOST), [(A, 2, None)])  # type: ignore[list-item]
    history.close()
    again = CardHistory(path)
    assert (again.epoch, again.changes(0, 9)) == (1, change(1, LOST))
    again.close()


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "cards.sqlite"
    path.write_bytes(b"no database" * 200)
    with pytest.raises(StoreDamaged):
        CardHistory(str(path))
    assert sqlite3.sqlite_version
