"""Who may open which door, in the books: by whom, for good, and never a map no door can hold."""

import struct
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_agent.card_history import CardHistory
from edge_agent.doors import DoorSide
from ledger import reasons as ledger_reasons
from ledger.access import ALWAYS, AccessRefused, spans_of
from ledger.access_news import ASK_MS_MIN, AccessNews
from ledger.receipts import Signer, public_key
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.rules import access, card_status, reasons
from protocols.wire import access_news, cbor, messages, seal, topics
from protocols.wire.errors import WireError
from tests.ledger.desk import Desk
from tests.ledger.readers import CARD, Reader, open_ledger

SIGNING_KEY, KEY, NEW_KEY = bytes(range(32)), bytes(32), bytes(range(32, 64))
SITE, NOW_S, DOOR, OTHER = "dormitory-3", 1_790_000_000, 2001, 2002
PIN = b"918276"
WANG, LI = "Wang Fang", "Li Lei"
OFFICE = ((31, 480, 1080),)


@pytest.fixture
def books():
    return two_doors()


def two_doors():
    store = LedgerStore.open(":memory:")
    store.register_merchant(1, "nobody")
    for device in (DOOR, OTHER):
        store.register_device(device, KEY, 1, SITE)
    store.issue_cards((card_no, 0) for card_no in range(20_000, 20_100))
    store.access.add_door(DOOR, "dorm", 5000, 0)
    store.access.add_door(OTHER, "public", 5000, 60)
    store.access.appoint("appoint", SITE, "dorm", WANG, NOW_S)
    return store


def group(store, card_no, device=DOOR):
    return access.whole(store.access.access_map(device)).group(card_no)


# --- grants ------------------------------------------------------------------------------------


def test_a_grant_has_a_number_a_time_and_the_name_of_who_gave_it(books):
    assert books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S) == 1
    assert books.access.grant(DOOR, 20_050, 10, 1, WANG, NOW_S + 1) == 2
    assert books.access.grant(DOOR, 20_055, 1, 0, WANG, NOW_S + 2) == 3
    assert [group(books, number) for number in (20_001, 20_002, 20_054, 20_055)] == [1, 0, 1, 0]
    told = [(c.number, c.person, c.time_s - NOW_S) for c in books.access.changes(DOOR)]
    assert told == [(1, WANG, 0), (2, WANG, 1), (3, WANG, 2)]


@pytest.mark.parametrize(
    ("device", "person"), [(DOOR, LI), (OTHER, WANG), (DOOR, "wang fang"), (DOOR, "")]
)
def test_nobody_grants_who_was_not_appointed_for_that_scope(books, device, person):
    before = books.dump()
    with pytest.raises(AccessRefused):
        books.access.grant(device, 20_001, 1, 1, person, NOW_S)
    with pytest.raises(AccessRefused):
        books.access.set_hours(device, 1, OFFICE, person, NOW_S)
    assert books.dump() == before


def test_an_appointment_ends_and_what_was_granted_stays(books):
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    for _ in range(2):
        books.access.appoint("dismiss", SITE, "dorm", WANG, NOW_S + 9)
    with pytest.raises(AccessRefused, match="R8"):
        books.access.grant(DOOR, 20_002, 1, 1, WANG, NOW_S + 10)
    assert group(books, 20_001) == 1
    assert books.access.appointments(SITE) == [
        ("dorm", WANG, 1, NOW_S),
        ("dorm", WANG, 0, NOW_S + 9),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((DOOR, 20_001, 1, 2), "group 2 of door 2001 has no hours"),
        ((DOOR, 20_001, 1, 16), "groups are"),
        ((DOOR, 20_099, 2, 1), "1 were never issued"),
        ((DOOR, 20_001, 0, 1), "1 to 8192"),
        ((DOOR, 20_001, 8_193, 1), "1 to 8192"),
        ((2009, 20_001, 1, 1), "no door"),
    ],
)
def test_what_cannot_be_is_refused(books, words, said):
    before = books.dump()
    with pytest.raises(AccessRefused, match=said):
        books.access.grant(*words, WANG, NOW_S)
    assert books.dump() == before


@pytest.mark.parametrize("periods", [((128, 0, 1),), ((1, 5, 5),), ALWAYS * 9, ((0, 0, 1440),)])
def test_hours_that_are_none(books, periods):
    with pytest.raises(AccessRefused, match="periods"):
        books.access.set_hours(DOOR, 1, periods, WANG, NOW_S)


def test_a_group_keeps_its_hours(books):
    books.access.set_hours(DOOR, 3, OFFICE, WANG, NOW_S)
    books.access.grant(DOOR, 20_001, 1, 3, WANG, NOW_S)
    books.access.set_hours(DOOR, 0, OFFICE, WANG, NOW_S)
    made = access.whole(books.access.access_map(DOOR))
    assert made.group(20_001) == 3
    assert made._schedules == [access.packed(ALWAYS), b"", access.packed(OFFICE)]
    assert made._free == access.packed(OFFICE)


def test_a_group_has_a_pin_of_which_the_books_have_a_verifier(books):
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    for digits in (PIN, b"", PIN):
        books.access.set_pin(DOOR, 1, digits, WANG, NOW_S)
        made = access.whole(books.access.access_map(DOOR))
        expected = access.verifier(KEY, 1, digits) if digits else b""
        assert made.pin(20_001) == (1, expected)
    assert PIN not in b"".join(books.database._connection.serialize().split())
    assert access.judge((KEY,), 1, expected, PIN[:-1] + b"7") == access.DURESS


@pytest.mark.parametrize(("group", "digits"), [(1, b"12345"), (1, b"12345x"), (0, PIN), (16, PIN)])
def test_a_pin_that_cannot_be(books, group, digits):
    before = books.dump()
    with pytest.raises(AccessRefused):
        books.access.set_pin(DOOR, group, digits, WANG, NOW_S)
    with pytest.raises(AccessRefused):
        books.access.set_pin(DOOR, 1, PIN, LI, NOW_S)
    assert books.dump() == before


def test_what_a_door_calls_for_is_a_case():
    """R8.1: duress, and somebody who tries and tries; not every card that was refused."""
    reader = Reader(DOOR)
    for reason in (0, access.NO_ACCESS, access.DURESS, access.LOCKED_OUT, reasons.CARD_LOST):
        reader.write(messages.ENTRY, card_no=CARD, reason=reason)
    store = open_ledger(reader)
    for _ in range(2):  # told twice, one case each
        store.book([reader.records])
    assert store.cases() == [
        (ledger_reasons.OPENED_UNDER_DURESS, DOOR, 3),
        (ledger_reasons.WRONG_AT_A_DOOR, DOOR, 4),
    ]


def test_a_door_is_set_up_once(books):
    books.access.add_door(DOOR, "dorm", 5000, 0)
    for values in (("public", 5000, 0), ("dorm", 4000, 0)):
        with pytest.raises(AccessRefused, match="other values"):
            books.access.add_door(DOOR, *values)
    for device, scope in ((2009, "dorm"), (OTHER, "canteen")):
        with pytest.raises(AccessRefused):
            books.access.add_door(device, scope, 5000, 0)


def test_a_lock_is_not_promised_what_it_cannot_do(books):
    """It would say yes to anti-passback and open all the same, or lock out a group with a PIN."""
    with pytest.raises(AccessRefused, match="forgets who has just opened"):
        books.access.add_door(OTHER, "public", 5000, 60, is_lock=True)
    books.access.add_door(DOOR, "dorm", 5000, 0, is_lock=True)
    for told in (
        lambda: books.access.set_pin(DOOR, 1, PIN, WANG, NOW_S),
        lambda: books.access.set_hours(DOOR, 0, OFFICE, WANG, NOW_S),
    ):
        with pytest.raises(AccessRefused, match="a lock has no keys"):
            told()
    assert books.access.set_hours(DOOR, 2, OFFICE, WANG, NOW_S) == 1
    assert books.access.set_pin(DOOR, 2, b"", WANG, NOW_S) == 2


@pytest.mark.parametrize(
    "cards",
    [
        [],
        [5],
        [5, 6, 7, 20, 21],
        list(range(100, 8_292)),
        list(range(0, 30_000, 2_000)),
        list(range(0, 4_000, 100)),
        [0, 0xFFFFFFFF],
    ],
)
def test_any_cards_are_at_most_sixteen_spans(cards):
    groups = {card_no: 1 + card_no % 15 for card_no in cards}
    spans = spans_of({**groups, 77_777: 0})
    made = access.whole(access.encode(spans, [ALWAYS] * 15, (), 5000, 0))
    assert len(spans) <= access.SPANS_MAX
    assert all(made.group(card_no) == number for card_no, number in groups.items())
    assert [made.group(card_no) for card_no in (8, 77_777)] == [groups.get(8, 0), 0]


@pytest.mark.parametrize("cards", [range(8_193), range(0, 170_000, 10_000)])
def test_a_door_that_is_full(cards):
    with pytest.raises(AccessRefused, match="room"):
        spans_of(dict.fromkeys(cards, 1))


# --- what agents are told ------------------------------------------------------------------------


class Office:
    def __init__(self, books):
        self.news = AccessNews(books.access, Signer(SIGNING_KEY), lambda: NOW_S)
        self.now_ms = 0

    def ask(self, *held, site=SITE):
        self.now_ms += ASK_MS_MIN
        payload = access_news.encode_ask(held)
        return [opened(data) for data in self.news.hear(site, payload, self.now_ms)]


def opened(data):
    payload, signature = seal.sign1_split(data)
    key = Ed25519PublicKey.from_public_bytes(public_key(SIGNING_KEY))
    key.verify(signature, seal.sign1_tbs(payload, access_news.LABEL))
    return access_news.decode(payload)


def vouched(sealed, device_key=KEY):
    key = seal.derive(seal.derive(device_key, access.LABEL), card_status.LABEL)
    return struct.unpack(card_status.WARRANT, seal.unseal(key, sealed, card_status.LABEL))


def test_an_agent_gets_what_it_lacks_and_the_word_for_what_it_has(books):
    office = Office(books)
    assert office.ask() == []  # nobody has said anything of these doors
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    ((device, epoch, warrant, data, digest),) = office.ask()
    assert (device, epoch, data) == (DOOR, 1, books.access.access_map(DOOR))
    assert digest == sha256(data).digest()[:16]
    assert vouched(warrant) == (1, NOW_S, len(data), digest, digest)
    assert office.ask((DOOR, 1)) == [(DOOR, 1, warrant, b"", digest)]
    books.access.grant(DOOR, 20_002, 1, 1, WANG, NOW_S)
    ((_, epoch, _, data, _),) = office.ask((DOOR, 1))
    assert (epoch, access.whole(data).group(20_002)) == (2, 1)
    # Whoever has more than the books, or another door's, gets what the books say.
    assert office.ask((DOOR, 9), (2009, 1))[0][1] == 2
    assert office.news.counters["ahead"] == 1
    assert office.ask(site="canteen-1") == []


def test_an_agent_of_books_that_are_lost_takes_the_map_of_those_that_came_back(books):
    """Both have a first change of the door, and not the same."""
    history = CardHistory(":memory:")
    doors = DoorSide(history, lambda *_: None, lambda _name: None)
    back = two_doors()
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    back.access.grant(DOOR, 20_002, 1, 1, WANG, NOW_S)
    for store, takes in ((books, [True]), (books, [True]), (back, [False]), (back, [True])):
        told = Office(store).news.hear(SITE, doors.ask(), ASK_MS_MIN)
        assert [doors.keep(seal.sign1_split(data)[0]) for data in told] == takes
    assert history.access(DOOR)[2] == back.access.access_map(DOOR)
    history.close()


def test_it_is_hinted_at_once(books):
    office = Office(books)
    assert office.news.hint() is None
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    assert access_news.decode_hint(office.news.hint()) == 1
    assert office.news.hint() is None


def test_who_asks_too_often_is_not_answered(books):
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    news = Office(books).news
    assert len(news.hear(SITE, b"\x80", 1000)) == 1
    assert news.hear(SITE, b"\x80", 1000 + ASK_MS_MIN - 1) == []
    assert news.counters["too_often"] == 1


BAD_ASKS = [
    1,
    [1],
    [[1]],
    [[1, 2, 3]],
    [[0, 1]],
    [[True, 1]],
    [[1, -1]],
    [[1, 1 << 32]],
    [["1", 1]],
]


@pytest.mark.parametrize("value", [*BAD_ASKS, [[n + 1, 1] for n in range(257)]])
def test_what_is_no_question(books, value):
    with pytest.raises(WireError):
        Office(books).news.hear(SITE, cbor.encode(value), 0)


@pytest.mark.parametrize(
    "value",
    [
        [1, 1, b"", b""][:3],
        [1, 1, b"", b"", bytes(15)],
        [1, 1, b"", b"", 5],
        [1, 1, b"", b"", bytes(16), 0],
        [0, 1, b"", b""],
        [1, True, b"", b""],
        [1, 1, bytes(257), b""],
        [1, 1, b"", bytes(6145)],
        [1, 1, "", b""],
        {0: 0},
        [],
    ],
)
def test_what_is_no_news(value):
    with pytest.raises(WireError):
        access_news.decode(cbor.encode(value))
    with pytest.raises(WireError):
        access_news.decode_hint(cbor.encode(value))


def test_the_service_answers_on_the_topics_of_cards(books):
    books.access.grant(DOOR, 20_001, 1, 1, WANG, NOW_S)
    desk = Desk()
    service = LedgerService(books, desk, SIGNING_KEY, lambda: NOW_S, with_cards=True)
    service.step(1000)
    hints = [payload for topic, payload, _ in desk.sent if topic == topics.LEDGER_CARDS]
    assert [access_news.is_about_doors(hint) for hint in hints] == [False, True]
    desk.deliver(SITE, access_news.encode_ask([]), topic=topics.cards_up(SITE))
    desk.deliver(SITE, cbor.encode(0), topic=topics.cards_up(SITE))
    service.step(2000)
    said = [payload for topic, payload, _ in desk.sent if topic == topics.cards_down(SITE)]
    assert len(said) == 2 and opened(said[0])[0] == DOOR
