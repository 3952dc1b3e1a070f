"""Whose identity code a door was shown (R14b.2, R14b.5): told once, and what doors made of it."""

import random

import pytest

from ledger import reasons as cases
from ledger.card_validity import UnknownCard, Validity, know, of
from ledger.entry_desk import ASK_MS_MIN, EntryDesk
from ledger.invariants import check
from ledger.phones import Phones
from ledger.relay_desk import RelayDesk
from protocols.card import virtual_code
from protocols.card.virtual_code import LIFE_S
from protocols.rules import access, reasons
from protocols.rules.scan_codes import CAMPUS_IDENTITY, CAMPUS_PAYMENT
from protocols.wire import entry_code, messages, seal
from protocols.wire.errors import WireError
from tests.ledger.checkout import PROOF
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

SITE, DOOR, LAB, POS = "campus", 2001, 2002, 1001
MIDNIGHT_S = 1_788_192_000  # 2026-09-01T00:00+08:00
NOW_S, OFFSET_S = MIDNIGHT_S + 43_200, 28_800
TODAY = (NOW_S + OFFSET_S) // 86_400
DAYS = Validity(CARD, 2, TODAY - 1, TODAY)


class Entry:
    """Two doors, a POS, and a ledger that knows one card with a phone."""

    def __init__(self, path=":memory:"):
        self.readers = {number: Reader(number) for number in (DOOR, LAB, POS)}
        self.store = open_ledger(*self.readers.values(), path=path)
        for number in (DOOR, LAB):
            self.store.access.add_door(number, "dorm", 5000, 0)
        know(self.store.database, [DAYS])
        self.now_ms = NOW_S * 1000
        self.error_ms = 0
        self._draw = random.Random(7)
        self.boot()
        self.seed = self.phones.bind(CARD, PROOF, 1)[1]

    def boot(self):
        self.phones = Phones(self.store.database, bytes(32), self._draw.randbytes)
        interval_ms = lambda: (self.now_ms - self.error_ms, self.now_ms + self.error_ms)  # noqa: E731
        self.desk = EntryDesk(self.store, self.phones, interval_ms, OFFSET_S)
        self.relays = RelayDesk(self.store, self.desk)

    def code(self, card_no=CARD, kind=CAMPUS_IDENTITY, seed=None, made_s=None):
        nonce = self._draw.randbytes(virtual_code.NONCE_BYTES)
        made_s = self.now_ms // 1000 if made_s is None else made_s
        return virtual_code.make(seed or self.seed, kind, card_no, made_s, nonce)

    def ask(self, device, code=None, nonce=None, site=SITE, key=None):
        """The numbers of the WHO_ANSWER that a reader hears; None: nothing."""
        nonce = nonce or self._draw.randbytes(8)
        relay_key = seal.derive(key or self.readers[device].key, messages.RELAY_LABEL)
        payload = entry_code.encode_ask(nonce, code or self.code())
        self.now_ms += ASK_MS_MIN
        said = seal.seal(relay_key, payload, messages.RELAY_UP)
        answer = self.relays.hear(site, device, said, self.now_ms)
        if answer is None:
            return None
        heard = entry_code.decode_answer(seal.unseal(relay_key, answer, messages.RELAY_DOWN))
        assert heard.pop(0) == nonce
        return heard

    def enter(self, device, number, card_no=CARD, reason=0):
        """The door's ENTRY is booked; the cases there are."""
        reader = self.readers[device]
        reader.write(messages.ENTRY, card_no=card_no, reason=reason, number=number)
        self.store.book([reader.records])
        assert check(self.store) == []
        return [(reason, device, seq) for reason, device, seq in self.store.cases()]

    def unused(self):
        return [one.number for one in self.store.code_entries.unused(1 << 40)]


@pytest.fixture
def entry():
    return Entry()


def told(number):
    return [0, number, CARD, DAYS.kind, DAYS.valid_from, DAYS.valid_to]


def refused(reason):
    return [reason, 0, 0, 0, 0, 0]


# --- who is told ---------------------------------------------------------------------------------


def test_a_door_is_told_whose_code_it_was_shown_once(entry):
    code, nonce = entry.code(), bytes(range(8))
    assert entry.ask(DOOR, code, nonce) == told(1)
    assert entry.ask(DOOR, code, nonce) == told(1)  # its answer was lost
    entry.boot()
    assert entry.ask(DOOR, code, nonce) == told(1)
    # A picture of it, here or at another door.
    assert entry.ask(DOOR, code) == refused(reasons.CODE_USED)
    assert entry.ask(LAB, code) == refused(reasons.CODE_USED)
    assert entry.ask(LAB, code, nonce) == refused(reasons.CODE_USED)
    assert entry.unused() == [1]


def test_a_question_is_about_one_code(entry):
    """A door that lies, or draws a nonce twice, learns nothing by it."""
    nonce = bytes(range(8))
    assert entry.ask(DOOR, entry.code(), nonce) == told(1)
    assert entry.ask(DOOR, entry.code(), nonce) == refused(reasons.CODE_USED)
    assert check(entry.store) == []


def test_a_question_that_is_repeated_does_not_live_longer_than_its_code(entry):
    code, nonce = entry.code(), bytes(range(8))
    assert entry.ask(DOOR, code, nonce) == told(1)
    entry.now_ms += LIFE_S * 1000
    assert entry.ask(DOOR, code, nonce) == refused(reasons.CODE_EXPIRED)


def test_a_card_that_is_lost_between_two_repetitions_is_lost(entry):
    code, nonce = entry.code(), bytes(range(8))
    assert entry.ask(DOOR, code, nonce) == told(1)
    entry.store.cards.set("lose", CARD, NOW_S)
    assert entry.ask(DOOR, code, nonce) == refused(reasons.CARD_LOST)


def test_nobody_but_a_registered_door_is_told(entry):
    """A POS that was stolen learns nothing of who shows it something."""
    code = entry.code()
    assert entry.ask(POS, code) == refused(access.CODE_NOT_HERE)
    assert entry.ask(DOOR, code) == told(1)
    for wrong in ({"site": "north"}, {"key": bytes(32)}):
        with pytest.raises(WireError):
            entry.ask(DOOR, **wrong)


def test_a_door_may_ask_three_times_a_second(entry):
    assert entry.ask(DOOR) == told(1)
    entry.now_ms -= ASK_MS_MIN
    assert entry.ask(DOOR) is None
    assert entry.desk.counters["too_often"] == 1


def test_a_ledger_without_codes_says_nothing(entry):
    entry.relays = RelayDesk(entry.store)
    assert entry.ask(DOOR) is None


# --- what is no good code ------------------------------------------------------------------------

CODES = {
    "a payment code": (lambda it: it.code(kind=CAMPUS_PAYMENT), reasons.CODE_IS_PAYMENT),
    "of another seed": (lambda it: it.code(seed=bytes(32)), reasons.CODE_FORGED),
    "of a card without a phone": (lambda it: it.code(OTHER_CARD), reasons.CODE_FORGED),
    "of no card": (lambda it: it.code(99), reasons.CODE_FORGED),
    "38 digits": (lambda _: b"1" * 38, reasons.CODE_UNKNOWN),
    "38 bytes of anything": (lambda _: bytes(range(38)), reasons.CODE_UNKNOWN),
    "too old": (lambda it: it.code(made_s=NOW_S - LIFE_S - 1), reasons.CODE_EXPIRED),
    "of tomorrow": (lambda it: it.code(made_s=NOW_S + 86_400), reasons.CODE_NOT_YET),
}


@pytest.mark.parametrize("what", CODES)
def test_a_code_that_is_not_good_tells_nothing(entry, what):
    make, reason = CODES[what]
    assert entry.ask(DOOR, make(entry)) == refused(reason)
    assert entry.unused() == []


def test_a_clock_that_leaves_it_open_says_no(entry):
    entry.error_ms = 65_000
    assert entry.ask(DOOR) == refused(reasons.CLOCK_UNKNOWN)


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("lose", reasons.CARD_LOST),
        ("suspend", reasons.CARD_SUSPENDED),
        ("close", reasons.CODE_FORGED),  # it has no phone any more
    ],
)
def test_a_phone_dies_and_freezes_with_its_card(entry, verb, reason):
    entry.store.cards.set(verb, CARD, NOW_S, "id-card")
    assert entry.ask(DOOR) == refused(reason)


def test_the_phone_that_was_bound_before_is_a_forger(entry):
    old = entry.seed
    entry.seed = entry.phones.bind(CARD, PROOF, 1)[1]
    assert entry.ask(DOOR, entry.code(seed=old)) == refused(reasons.CODE_FORGED)
    assert entry.ask(DOOR) == told(1)
    entry.phones.unbind(CARD, "wang", 1)
    assert entry.ask(DOOR) == refused(reasons.CODE_FORGED)


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [(-1, 0, 0), (0, 0, 0), (-9, -1, reasons.EXPIRED), (1, 9, reasons.NOT_YET_VALID)],
)
def test_a_code_is_good_on_the_days_of_its_card(entry, first, last, reason):
    know(entry.store.database, [Validity(CARD, 2, TODAY + first, TODAY + last)])
    assert entry.ask(DOOR)[0] == reason


def test_at_midnight_a_doubt_counts_against_the_code(entry):
    entry.now_ms, entry.error_ms = (MIDNIGHT_S - 2) * 1000, 3_000
    know(entry.store.database, [Validity(CARD, 2, TODAY - 9, TODAY - 1)])
    assert entry.ask(DOOR) == refused(reasons.EXPIRED)
    know(entry.store.database, [Validity(CARD, 2, TODAY, TODAY + 9)])
    assert entry.ask(DOOR) == refused(reasons.NOT_YET_VALID)
    entry.error_ms = 0
    assert entry.ask(DOOR) == refused(reasons.NOT_YET_VALID)  # some milliseconds too early


def test_a_card_whose_days_nobody_has_told_is_refused(entry):
    seed = entry.phones.bind(OTHER_CARD, PROOF, 1)[1]
    assert entry.ask(DOOR, entry.code(OTHER_CARD, seed=seed)) == refused(access.CODE_NO_VALIDITY)


def test_only_issued_cards_have_days(entry):
    with pytest.raises(UnknownCard, match="99"):
        know(entry.store.database, [Validity(OTHER_CARD, 1, 0, 1), Validity(99, 1, 0, 1)])
    assert of(entry.store.database, OTHER_CARD) is None
    know(entry.store.database, [Validity(CARD, 1, 3, 4)])
    assert of(entry.store.database, CARD) == Validity(CARD, 1, 3, 4)


# --- what doors make of it -----------------------------------------------------------------------


def test_an_answer_has_the_entry_that_names_it(entry):
    for number in (1, 2):
        assert entry.ask(DOOR) == told(number)
    assert entry.unused() == [1, 2]
    assert entry.enter(DOOR, 2) == []
    assert entry.enter(DOOR, 1, reason=access.NO_ACCESS) == []
    assert entry.unused() == []


@pytest.mark.parametrize(
    ("device", "number", "card_no"),
    [(DOOR, 9, CARD), (LAB, 1, CARD), (DOOR, 1, OTHER_CARD)],
)
def test_an_entry_that_nobody_has_answered_is_a_case(entry, device, number, card_no):
    entry.ask(DOOR)
    assert entry.enter(device, number, card_no) == [(cases.ENTRY_UNANSWERED, device, 1)]
    assert entry.unused() == [1]


def test_two_entries_for_one_answer_are_a_case_of_the_second(entry):
    entry.ask(DOOR)
    assert entry.enter(DOOR, 1) == []
    assert entry.enter(DOOR, 1) == [(cases.ENTERED_TWICE, DOOR, 2)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 2, 1, 0, 0)])
def test_the_order_of_delivery_changes_nothing(order):
    entry = Entry()
    entry.ask(DOOR)
    reader = entry.readers[DOOR]
    for number in (1, 1, 7):
        reader.write(messages.ENTRY, card_no=CARD, reason=0, number=number)
    for at in order:
        entry.store.book([[reader.records[at]]])
    assert [(reason, seq) for reason, _, seq in entry.store.cases()] == [
        (cases.ENTRY_UNANSWERED, 3),
        (cases.ENTERED_TWICE, 2),
    ]
    assert check(entry.store) == []


def test_the_checker_sees_an_entry_of_another_door(entry):
    entry.ask(DOOR)
    entry.readers[LAB].boot()
    entry.store.book([entry.readers[LAB].records])
    with entry.store.database.transaction():
        entry.store.database.many("INSERT INTO code_entry VALUES (?, ?, ?)", [(1, LAB, 1)])
    (broken,) = check(entry.store)
    assert "entry by identity code" in broken.rule
