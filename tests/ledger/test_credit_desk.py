"""Whom the credit desk hears, and what it never says: with real cards it is in tests/load."""

import itertools
import random
from types import SimpleNamespace

import pytest

from adapters.aes import CIPHERS
from ledger import daemon
from ledger.carry_over import AFTER_S
from ledger.credit_desk import ASK_MS_MIN, ORDER_S, SESSION_MS, STEPS_MAX, CreditDesk
from ledger.relay_desk import RelayDesk
from ledger.service import LedgerService
from ledger.steady_clock import ClockKeeper, SteadyClock
from protocols.card.credit_order import open_order
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal, topics
from protocols.wire.errors import WireError
from tests.ledger.desk import Desk as Port
from tests.ledger.readers import (
    CARD,
    OPENING_FEN,
    OTHER_CARD,
    Reader,
    forward,
    open_ledger,
)
from tests.ledger.replaced import NEW_CARD

SITE, NOW_S, LOAD_FEN = "campus", 1_750_000_000, 5_000
MASTER = bytes(range(16))
UIDS = {CARD: bytes.fromhex("de3ac417"), OTHER_CARD: bytes.fromhex("04a1b2c3d4e5f6")}


class Hall:
    """A desk, its books, and readers that talk to it: CARD is a Classic, OTHER_CARD a DESFire."""

    def __init__(self, *readers, loads=1):
        self.store = open_ledger(*readers)
        self.store.know_chips([(CARD, UIDS[CARD])], messages.CLASSIC)
        self.store.know_chips([(OTHER_CARD, UIDS[OTHER_CARD])], messages.DESFIRE)
        for card_no, number in itertools.product(UIDS, range(loads)):
            self.store.top_ups.top_up(card_no, LOAD_FEN, f"{card_no}-{number}")
        draw = random.Random(1).randbytes
        self.desk = CreditDesk(self.store, CIPHERS, MASTER, draw, lambda: NOW_S)
        self.relays = RelayDesk(self.store, self.desk)
        self.now_ms = 0

    def say(self, reader, kind, key=None, site=SITE, **fields):
        """What the reader says; what it hears, opened, or None."""
        fields.setdefault("nonce", b"nonce  1")
        payload = messages.encode_relayed(kind, fields)
        relay_key = seal.derive(key or reader.key, messages.RELAY_LABEL)
        said = seal.seal(relay_key, payload, messages.RELAY_UP)
        answer = self.relays.hear(site, reader.device, said, self.now_ms)
        if answer is None:
            return None
        opened = seal.unseal(relay_key, answer, messages.RELAY_DOWN)
        heard = messages.decode_relayed(opened, (2, 3, 5, 6))
        assert heard["nonce"] == fields["nonce"]
        return heard

    def ask(self, reader, card_no=CARD, counter=4, last=(1001, 9), chip=None, **more):
        self.now_ms += ASK_MS_MIN
        chip = chip or {CARD: messages.CLASSIC}.get(card_no, messages.DESFIRE)
        shown = {"card_no": card_no, "counter": counter}
        named = {"last_device": last[0], "last_seq": last[1]}
        return self.say(reader, messages.LOAD_ASK, chip=chip, **shown, **named, **more)


@pytest.fixture
def reader():
    return Reader(1001)


# --- who is heard -----------------------------------------------------------------------------


def test_a_reader_of_the_site_gets_an_order_for_this_card_and_moment(reader):
    hall = Hall(reader)
    heard = hall.ask(reader)
    order, credit_key = open_order(CIPHERS, reader.key, heard["order"])
    assert order == {
        "device": 1001,
        "card_no": CARD,
        "counter": 4,
        "number": 1,
        "amount_fen": LOAD_FEN,
        "expires_s": NOW_S + ORDER_S,
    }
    assert len(credit_key) == 6
    assert hall.store.top_ups.next_of(CARD, 9).tries == (4,), "noted before it left"


@pytest.mark.parametrize(
    "wrong",
    [{"key": bytes(32)}, {"site": "north"}],
)
def test_nobody_else_is_heard(reader, wrong):
    hall = Hall(reader)
    with pytest.raises(WireError):
        hall.ask(reader, **wrong)
    with pytest.raises(WireError):
        hall.ask(Reader(1002))
    assert hall.desk.counters["asks"] == 0


def test_what_was_said_to_a_reader_cannot_be_said_back(reader):
    hall = Hall(reader)
    relay_key = seal.derive(reader.key, messages.RELAY_LABEL)
    fields = {"nonce": bytes(8), "number": 1, "amount_fen": 1}
    said = messages.encode_relayed(messages.LOAD_OFFER, fields)
    for label in (messages.RELAY_DOWN, messages.RELAY_UP):
        with pytest.raises(WireError):
            hall.relays.hear(SITE, 1001, seal.seal(relay_key, said, label), 0)


def test_a_reader_with_a_twin_is_not_heard(reader):
    reader.boot()
    twin = reader.fork()
    reader.boot()
    twin.spend()
    hall = Hall(reader)
    hall.store.book([reader.records, twin.records])
    with pytest.raises(WireError):
        hall.ask(reader)


def test_the_key_of_before_is_heard_until_a_record_has_ended_it(reader):
    reader.boot()
    old = reader.key
    hall = Hall(reader)
    hall.store.book([reader.records])
    hall.store.rotate_device_key(1001, reader.rotate())
    assert hall.ask(reader, key=old)
    assert hall.ask(reader)
    reader.boot()
    hall.store.book([reader.records])
    assert hall.ask(reader)
    with pytest.raises(WireError):
        hall.ask(reader, key=old)


# --- what is left of a lost card ---------------------------------------------------------------


class AfterALoss(Hall):
    """CARD was lost at NOW_S and NEW_CARD is in its place; `begin(desk)` lets a desk answer."""

    def __init__(self, reader):
        super().__init__(reader)
        self.store.issue_cards([(NEW_CARD, 0)])
        self.store.know_chips([(NEW_CARD, bytes.fromhex("0badcafe"))], messages.CLASSIC)
        self.store.cards.set("lose", CARD, NOW_S)
        self.store.reissues.reissue(CARD, NEW_CARD, NOW_S + 60, "id-card")

    def begin(self, desk):
        self.desk = desk
        self.relays = RelayDesk(self.store, desk)

    def frozen_fen(self, reader):
        """What is on the old purse still, when NEW_CARD has asked."""
        self.ask(reader, NEW_CARD, chip=messages.CLASSIC)
        return self.store.balances()["holder", CARD]


def test_a_clock_that_is_set_ahead_carries_nothing_over(reader):
    """A reader without network may still tell of spends of before: 72 hours are 72 hours."""
    clocks = {"wall": NOW_S, "monotonic": 0}
    steady = SteadyClock(lambda: clocks["wall"], lambda: clocks["monotonic"], AFTER_S)
    hall, draw, wall_s = AfterALoss(reader), random.Random(1).randbytes, lambda: clocks["wall"]
    hall.begin(CreditDesk(hall.store, CIPHERS, MASTER, draw, wall_s, steady_s=steady.now_s))
    clocks["wall"] += 2 * AFTER_S
    for passed_s in (60, AFTER_S - 61):
        clocks["wall"] += passed_s
        clocks["monotonic"] += passed_s
        assert hall.frozen_fen(reader) == OPENING_FEN
    clocks["monotonic"] += 1
    assert hall.frozen_fen(reader) == 0


@pytest.mark.parametrize("begins", ["before", "behind", "again"])
def test_the_ledger_that_runs_holds_off_a_wall_that_is_set_ahead(reader, monkeypatch, begins):
    """One that begins behind it believes the wall, unless the one before has seen it set."""
    wall = [NOW_S]
    monkeypatch.setattr(daemon.time, "time", lambda: wall[0])
    hall, config = AfterALoss(reader), SimpleNamespace(carry_over_after_s=AFTER_S, codes=None)
    if begins == "again":
        before = daemon._steady(config, hall.store)
        wall[0] += AFTER_S
        ClockKeeper(hall.store.database, before).step(0)
    if begins == "behind":
        wall[0] += AFTER_S
    steady = daemon._steady(config, hall.store)
    desks = daemon._desks(config, hall.store, MASTER, b"", steady, None)
    hall.begin(next(desk for desk in desks if isinstance(desk, CreditDesk)))
    wall[0] = NOW_S + AFTER_S
    assert hall.frozen_fen(reader) == OPENING_FEN * (begins != "behind")


# --- what is not offered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"card_no": 99},
        {"chip": messages.DESFIRE},
        {"last": (CARD_CENTRE, 1)},
        {"counter": 0xFFFF},
        {"counter": 0xFFFFFFFF},
    ],
)
def test_nothing_for_a_card_that_does_not_wait_for_it(reader, fields):
    assert Hall(reader).ask(reader, **fields) is None


def test_a_reader_may_not_ask_on_and_on(reader):
    hall = Hall(reader)
    assert hall.ask(reader)
    hall.now_ms += ASK_MS_MIN - 1
    shown = {"card_no": CARD, "counter": 4, "last_device": 1, "last_seq": 1, "chip": 1}
    assert hall.say(reader, messages.LOAD_ASK, **shown) is None
    assert hall.desk.counters["too_often"] == 1


def test_an_order_is_repeated_where_it_fits_the_same_state_only(reader):
    """At the same counter at most one is carried out; further on the books have to tell first."""
    other = Reader(1002)
    hall = Hall(reader, other)
    assert hall.ask(reader, counter=4)
    assert hall.ask(other, counter=4)
    assert hall.ask(other, counter=6, last=(1003, 8)) is None
    assert hall.ask(other, counter=3, last=(1003, 8)) is None
    assert hall.ask(other, counter=5, last=(1003, 8)), "it names another, so that was not it"
    assert hall.store.top_ups.next_of(CARD, 9).tries == (4, 5)
    reader.spend(counter=5, last=(1003, 8))
    hall.store.book([reader.records])
    assert hall.ask(other, counter=6, last=(1001, 1))


# --- sessions ---------------------------------------------------------------------------------


def begun(hall, reader, **more):
    assert hall.ask(reader, OTHER_CARD, **more)["kind"] == messages.LOAD_OFFER
    nonce = {key: more[key] for key in ("nonce",) if key in more}
    return hall.say(reader, messages.CARD_ANSWER, step=0, answer=b"", **nonce)


def test_one_session_at_a_time_for_a_card(reader):
    other = Reader(1002)
    hall = Hall(reader, other)
    assert begun(hall, reader)["step"] == 1
    assert hall.ask(other, OTHER_CARD) is None
    assert hall.desk.counters["busy"] == 1
    hall.now_ms += SESSION_MS
    assert hall.ask(other, OTHER_CARD)


def test_two_offers_and_the_faster_one_begins(reader):
    other = Reader(1002)
    hall = Hall(reader, other)
    assert hall.ask(reader, OTHER_CARD) and hall.ask(other, OTHER_CARD)
    first = hall.say(other, messages.CARD_ANSWER, step=0, answer=b"")
    second = hall.say(reader, messages.CARD_ANSWER, step=0, answer=b"")
    assert first["kind"] == messages.CARD_COMMAND
    assert (second["kind"], second["result"]) == (messages.LOAD_END, messages.NOT_COMMITTED)


def test_an_old_ask_does_not_end_a_session(reader):
    hall = Hall(reader)
    assert begun(hall, reader)["step"] == 1
    assert hall.ask(reader, OTHER_CARD) is None
    assert hall.say(reader, messages.CARD_ANSWER, step=1, answer=b"\x00")["step"] == 2


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ({"step": 1, "answer": b"\x00", "nonce": b"nonce  2"}, "late"),
        ({"step": 0, "answer": b""}, None),
        ({"step": 2, "answer": b"\x00"}, None),
    ],
)
def test_what_does_not_follow_does_nothing(reader, said, counted):
    hall = Hall(reader)
    begun(hall, reader)
    assert hall.say(reader, messages.CARD_ANSWER, **said) is None
    assert hall.desk.counters["late"] == (counted == "late")
    assert hall.say(reader, messages.CARD_ANSWER, step=1, answer=b"\x00")["step"] == 2


def test_a_session_ends_by_the_clock(reader):
    hall = Hall(reader)
    begun(hall, reader)
    hall.now_ms += SESSION_MS
    assert hall.say(reader, messages.CARD_ANSWER, step=1, answer=b"\x00") is None
    assert hall.desk.counters["late"] == 1


@pytest.mark.parametrize("answer", [b"", b"\xae", b"\xaf", b"\xaf" + bytes(16), bytes(256)])
def test_an_answer_that_no_card_gives_ends_it(reader, answer):
    hall = Hall(reader)
    begun(hall, reader)
    hall.say(reader, messages.CARD_ANSWER, step=1, answer=b"\x00")
    heard = hall.say(reader, messages.CARD_ANSWER, step=2, answer=answer)
    for step in range(3, STEPS_MAX):
        if heard["kind"] == messages.LOAD_END:
            break
        heard = hall.say(reader, messages.CARD_ANSWER, step=step, answer=answer)
    assert heard["kind"] == messages.LOAD_END
    assert heard["result"] != messages.COMMITTED
    assert hall.store.top_ups.next_of(OTHER_CARD, 9).tries == (), (
        "nothing was sent that could do it"
    )


# --- as a service -----------------------------------------------------------------------------


def relay(reader, sealed):
    return messages.encode_message(messages.RELAY, {"device": reader.device, "sealed": sealed})


def asked(reader):
    fields = {"nonce": bytes(8), "card_no": CARD, "counter": 4, "chip": messages.CLASSIC}
    payload = messages.encode_relayed(
        messages.LOAD_ASK, {**fields, "last_device": 1, "last_seq": 1}
    )
    relay_key = seal.derive(reader.key, messages.RELAY_LABEL)
    return relay(reader, seal.seal(relay_key, payload, messages.RELAY_UP))


def test_the_service_answers_beside_its_bookings(reader):
    hall, port = Hall(reader), Port()
    service = LedgerService(hall.store, port, bytes(32), lambda: NOW_S, hall.relays)
    reader.spend()
    port.deliver(SITE, forward(SITE, 1, reader.records))
    port.deliver(SITE, asked(reader), topic=topics.relay_up(SITE))
    service.step(0)
    (answer,) = [data for topic, data, _ in port.sent if topic == topics.relay_down(SITE)]
    assert messages.decode_message(answer, (messages.RELAY,))["device"] == 1001
    assert len(port.receipts(SITE)) == 1
    assert len([what for what, _ in port.log if what == "ack"]) == 2


@pytest.mark.parametrize("wrong", ["no desk", "retained", "another site", "noise", "other topic"])
def test_the_service_takes_what_is_wrong_and_says_nothing(reader, wrong):
    hall, port = Hall(reader), Port()
    desk = None if wrong == "no desk" else hall.relays
    service = LedgerService(hall.store, port, bytes(32), lambda: NOW_S, desk)
    data = b"\x00" * 40 if wrong == "noise" else asked(reader)
    site = "north" if wrong == "another site" else SITE
    topic = topics.relay_down(site) if wrong == "other topic" else topics.relay_up(site)
    port.deliver(site, data, topic=topic, retain=wrong == "retained")
    service.step(0)
    assert [topic for topic, _, _ in port.sent] == [topics.LEDGER_STATUS]
    assert [what for what, _ in port.log].count("ack") == 1
    assert hall.store.top_ups.next_of(CARD, 9).tries == ()
