"""What agents are told of cards: all of it, in order, under a seal each reader can check."""

import random
import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.card_news import ASK_MS_MIN, LOOK_MS, CardNews
from ledger.receipts import Signer, public_key
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.rules import card_status
from protocols.wire import card_news, cbor, messages, seal, topics
from protocols.wire.errors import WireError
from tests.ledger.desk import Desk
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

SIGNING_KEY = bytes(range(32))
SITE, NOW_S = "campus", 1_790_000_000


class Office:
    """The news of some books, and a clock in ms."""

    def __init__(self, store):
        self.store = store
        self.news = CardNews(store, Signer(SIGNING_KEY), lambda: NOW_S)
        self.now_ms = 0

    def ask(self, epoch, site=SITE):
        self.now_ms += ASK_MS_MIN
        return [opened(data) for data in self.news.hear(site, cbor.encode(epoch), self.now_ms)]


def opened(data):
    payload, signature = seal.sign1_split(data)
    key = Ed25519PublicKey.from_public_bytes(public_key(SIGNING_KEY))
    key.verify(signature, seal.sign1_tbs(payload, card_news.LABEL))
    return card_news.decode(payload)


def warrant(reader, sealed):
    key = seal.derive(reader.key, card_status.LABEL)
    return struct.unpack(card_status.WARRANT, seal.unseal(key, sealed, card_status.LABEL))


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"\x00\x00", cbor.encode(-1), cbor.encode(1 << 32), cbor.encode("0"), b"\xf5"]
)
def test_what_is_no_question(payload):
    with pytest.raises(WireError):
        Office(open_ledger()).news.hear(SITE, payload, 0)


BAD_NEWS = [
    [0, b"", []][:2],
    [0, b"", [], 0],
    [0, b"", [], bytes(15)],
    [0, b"", [], bytes(16), b""],
    [-1, b"", []],
    [True, b"", []],
    [1 << 32, b"", []],
    ["0", b"", []],
    [0, b"abc", []],
    [0, "abcd", []],
    [0, bytes(card_news.CHANGES_BYTES_MAX + 4), []],
    [0, b"", None],
    [0, b"", [[1, 0]]],
    [0, b"", [[0, 0, b"x"]]],
    [0, b"", [[1, -1, b"x"]]],
    [0, b"", [[1, 0, b""]]],
    [0, b"", [[1, 0, bytes(257)]]],
    [0, b"", [[1, 0, b"x"]] * 65],
    {0: 0},
    0,
]


@pytest.mark.parametrize("value", BAD_NEWS, ids=lambda value: repr(value)[:40])
def test_bad_news_are_refused(value):
    with pytest.raises(WireError):
        card_news.decode(cbor.encode(value))


def test_the_longest_news_fit_and_longer_ones_do_not():
    longest = (
        0xFFFFFFFF,
        bytes(card_news.CHANGES_BYTES_MAX),
        [(0xFFFFFFFF,) * 2 + (bytes(87),)] * 64,
        bytes(16),
    )
    data = card_news.encode(*longest)
    assert card_news.decode(data) == longest
    with pytest.raises(WireError):
        card_news.decode(bytes(card_news.BYTES_MAX + 1))
    with pytest.raises(InvalidSignature):
        opened(Signer(SIGNING_KEY).sign(data, messages.RECEIPTS_LABEL))


def test_books_that_were_put_back_say_nothing_to_who_knows_more():
    office = Office(open_ledger(Reader(1)))
    office.store.cards.set("lose", CARD, NOW_S)
    assert office.ask(2) == []
    assert office.news.counters["ahead"] == 1


def test_who_asks_too_often_is_not_answered():
    office = Office(open_ledger(Reader(1)))
    assert office.news.hear(SITE, cbor.encode(0), 1_000)
    assert office.news.hear(SITE, cbor.encode(0), 1_000 + ASK_MS_MIN - 1) == []
    assert office.news.hear("other", cbor.encode(0), 1_001)


# --- what is told -----------------------------------------------------------------------------


def test_nothing_has_ever_happened():
    reader = Reader(1)
    ((epoch, changes, warrants, said),) = Office(open_ledger(reader)).ask(0)
    assert said == card_status.CHAIN_START
    ((device, vouched, sealed),) = warrants
    assert (epoch, changes, device, vouched) == (0, b"", 1, 0)
    empty = card_status.digest_of(b"")
    assert warrant(reader, sealed) == (0, NOW_S, 0, card_status.CHAIN_START, empty)


def test_each_reader_of_the_site_gets_its_own_word():
    readers = [Reader(number) for number in (1, 2)]
    office = Office(open_ledger(*readers))
    office.store.register_device(9, bytes(32), readers[0].merchant_no, "elsewhere")
    office.store.cards.set("lose", CARD, NOW_S)
    office.store.cards.set("close", OTHER_CARD, NOW_S, "id-card")
    ((epoch, changes, warrants, said_chain),) = office.ask(1)
    assert (epoch, changes) == (1, card_status.change(OTHER_CARD, card_status.CLOSED))
    card_map = bytearray()
    everything = office.store.cards.changes_after(0, 9)
    card_status.fold(card_map, everything)
    chain = card_status.chained(card_status.CHAIN_START, everything)
    assert said_chain == chain
    said = (2, NOW_S, len(card_map), chain, card_status.digest_of(card_map))
    assert [device for device, _epoch, _sealed in warrants] == [1, 2]
    for reader, (_device, vouched, sealed) in zip(readers, warrants, strict=True):
        assert vouched == 2
        assert warrant(reader, sealed) == said
    with pytest.raises(WireError):
        warrant(readers[0], warrants[1][2])


def test_the_key_is_that_of_the_newest_record():
    """Who has not got to its next key yet can read it; who stole the one before cannot forge."""
    reader = Reader(1)
    office = Office(open_ledger(reader))
    office.store.book([[reader.boot()]])
    old = reader.key
    office.store.rotate_device_key(1, reader.rotate())
    ((*_, warrants, _chain),) = office.ask(0)
    seal.unseal(seal.derive(old, card_status.LABEL), warrants[0][2], card_status.LABEL)
    office.store.book([[reader.boot()]])
    ((*_, warrants, _chain),) = office.ask(0)
    warrant(reader, warrants[0][2])


def test_all_of_a_long_history_comes_in_pieces_and_vouched_for_at_its_end():
    seed = 5
    draw = random.Random(seed)
    store = open_ledger(Reader(1))
    many = card_news.CHANGES_BYTES_MAX // 4 + 10
    rows = [(n + 1, CARD, draw.randrange(4), NOW_S, "test", "") for n in range(many)]
    with store.database.transaction():
        store.database.many("INSERT INTO card_change VALUES (?, ?, ?, ?, ?, ?)", rows)
    office, known = Office(store), b""
    for _ in range(2):
        ((epoch, changes, warrants, chain),) = office.ask(len(known) // 4)
        assert epoch == len(known) // 4
        known += changes
        assert bool(warrants) == bool(chain) == (len(known) // 4 == many), seed
    assert chain == card_status.chained(card_status.CHAIN_START, known)
    assert known == store.cards.changes_after(0, many + 1)


def test_a_site_of_many_readers_is_told_in_several_messages():
    readers = [Reader(number) for number in range(1, 131)]
    told = Office(open_ledger(*readers)).ask(0)
    assert [len(warrants) for _, _, warrants, _ in told] == [64, 64, 2]
    devices = [device for _, _, warrants, _ in told for device, *_ in warrants]
    assert devices == list(range(1, 131))


def test_a_restart_says_the_same():
    readers = [Reader(1), Reader(2)]
    store = open_ledger(*readers)
    for verb in ("lose", "close"):
        store.cards.set(verb, CARD, NOW_S, "id-card")
        assert Office(store).ask(0) == Office(store).ask(0)
    office = Office(store)
    office.ask(0)
    store.cards.set("lose", OTHER_CARD, NOW_S)
    assert office.ask(1) == Office(store).ask(1)


# --- as a service -----------------------------------------------------------------------------


def test_a_change_of_another_process_is_hinted_at_and_told_when_asked(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    store, port = open_ledger(Reader(1), path=path), Desk()
    service = LedgerService(store, port, SIGNING_KEY, lambda: NOW_S, with_cards=True)
    service.step(0)

    def hints():
        return [payload for topic, payload, _ in port.sent if topic == topics.LEDGER_CARDS]

    assert hints() == [cbor.encode(0)]
    other = LedgerStore.open(path)
    other.cards.set("lose", CARD, NOW_S)
    other.close()
    assert service.step(1) == LOOK_MS
    service.step(LOOK_MS)
    assert hints()[1:] == [cbor.encode(1)]
    for retain, told in ((True, 0), (False, 1)):
        port.deliver(SITE, cbor.encode(0), topic=topics.cards_up(SITE), retain=retain)
        service.step(2 * LOOK_MS)
        said = [opened(data) for topic, data, _ in port.sent if topic == topics.cards_down(SITE)]
        assert len(said) == told
    assert said[0][:2] == (0, card_status.change(CARD, card_status.LOST))
    assert [what for what, _ in port.log].count("ack") == 2


def test_without_cards_nothing_is_said_of_them():
    port = Desk()
    service = LedgerService(open_ledger(), port, SIGNING_KEY, lambda: NOW_S)
    port.deliver(SITE, cbor.encode(0), topic=topics.cards_up(SITE))
    service.step(0)
    assert [topic for topic, _, _ in port.sent] == [topics.LEDGER_STATUS]
