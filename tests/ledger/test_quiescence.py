"""A proof that no spend of a lost card is missing: never given while one is, and who bars it."""

import json
import random
from dataclasses import replace

import pytest

from ledger import map_news
from ledger.certificates import CertificateError, certificate, release, verify
from ledger.doctor import WRONG
from ledger.doctor import examine as doctor
from ledger.invariants import check
from ledger.quiescence import Bar, Known, QuiescenceRefused, examine
from ledger.receipts import public_key
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CARD, OTHER_CARD, Reader, lost, open_ledger
from tests.ledger.replaced import (
    AFTER,
    BEFORE,
    DUE_S,
    LOST_S,
    NEW_CARD,
    lose,
    replaced,
)
from tests.ledger.tampering import in_its_words, tamper

KEY = bytes(range(32))
INSPECTED = {
    "network": 1,
    "waiting": 0,
    "battery_mv": 4150,
    "clock_width_s": 2,
    "reader_faults": 0,
    "free_sectors": 9,
}


def inspect(reader, earliest_s=LOST_S + 60, map_epoch=0, **fields):
    """A daily inspection, which says which card map the reader has."""
    shape = INSPECTED | {"earliest_s": earliest_s, "latest_s": earliest_s + 2}
    if map_epoch:
        shape["map_epoch"] = map_epoch
    reader.write(messages.INSPECTION, **(shape | fields))
    return reader.device, reader.seq


def barred(store, **how):
    """(bar, device, seq) of everything that keeps the proof for CARD from being given."""
    return [
        (one.bar, one.device, one.seq) for one in examine(store.database, CARD, **how).blocking
    ]


@pytest.fixture
def counter():
    """Two readers, and a card that one of them has debited before its loss."""
    readers = Reader(1001), Reader(1002)
    store = open_ledger(*readers)
    lose(store)
    readers[0].spend(**BEFORE)
    return store, *readers


def test_each_reader_must_have_spoken_since(counter):
    store, one, other = counter
    inspect(one)
    store.book([one.records])
    assert barred(store) == [(Bar.NEVER_HEARD, 1002, 0)]
    other.boot()  # which does not know the time
    store.book([other.records])
    assert barred(store) == [(Bar.SILENT, 1002, 0)]
    inspect(other, LOST_S - 1)  # and this may have been a second too early
    store.book([other.records])
    assert barred(store) == [(Bar.SILENT, 1002, 0)]
    inspect(other, LOST_S)
    store.book([other.records])
    assert barred(store) == []
    assert check(store) == []


def test_a_mark_below_a_record_of_before_is_none(counter):
    """Its clock was ahead, and was put right: what it took between may be under way."""
    store, one, other = counter
    for reader in one, other:
        inspect(reader)
    one.spend(card_no=OTHER_CARD, **BEFORE)
    one.boot()  # which does not know the time
    store.book([one.records, other.records])
    assert barred(store) == [(Bar.SILENT, 1001, 0)]
    inspect(one)
    store.book([one.records])
    assert barred(store) == []


def test_a_reader_s_own_mark_of_the_day_proves_as_much_as_an_inspection(counter):
    """Nobody has to press a key: quiescence does not hang on merchants."""
    store, one, other = counter
    epoch = store.cards.epoch()
    for reader in one, other:
        inspect(reader, LOST_S, map_epoch=epoch, by_clock=1)
    store.book([one.records, other.records])
    assert barred(store) == []
    assert examine(store.database, CARD).unaware == ()


def test_what_is_not_booked_is_no_mark(counter):
    """Its newest record is with the ledger, one before it is not: it may be the spend."""
    store, one, other = counter
    inspect(other)
    store.book([other.records])
    inspect(one)
    store.book([one.records[:1], one.records[2:]])
    assert store.summary()["parked"] == 1
    assert barred(store) == [(Bar.SILENT, 1001, 0), (Bar.UNFINISHED, 1001, 1)]
    store.book([one.records[1:2]])
    assert barred(store) == []


def test_a_clock_that_nobody_knows_hides_no_mark(counter):
    store, one, other = counter
    for reader in one, other:
        inspect(reader)
        for _ in range(200):
            reader.boot()
    store.book([one.records, other.records])
    assert barred(store) == []


@pytest.mark.parametrize("result", [None, UNKNOWN])
def test_an_open_intent_bars_it_until_it_is_known(counter, result):
    store, one, other = counter
    intent = other.intent(counter=2, last=(1001, 1), **BEFORE)
    if result is not None:
        other.outcome(intent, result)
    inspect(one)
    inspect(other)
    store.book([one.records, other.records])
    assert barred(store) == [(Bar.UNFINISHED, 1002, 1)]
    other.outcome(intent, NOT_COMMITTED)
    store.book([other.records])
    assert barred(store) == []


def test_a_lost_record_bars_it_unless_it_cannot_be_the_spend(counter):
    store, one, other = counter
    intent = other.intent(counter=2, last=(1001, 1), **BEFORE)
    other.outcome(intent)
    inspect(one)
    inspect(other)
    gone = lost(other.key, 1002, 1, other.records[1])
    store.book([one.records, [gone, *other.records[1:]]])
    assert barred(store) == [(Bar.UNREADABLE, 1002, 1)]
    # It turns up: the very spend, which is kept as a case and booked by nobody.
    store.book([other.records[:1]])
    assert barred(store) == [(Bar.NOT_BOOKED, 1002, 1)]
    release(store.database, 1002, 1, DUE_S, "wang", "booked-by-hand")
    assert barred(store) == []


def test_a_lost_record_behind_a_mark_is_of_later(counter):
    store, one, other = counter
    inspect(one)
    inspect(other)
    other.boot()
    other.boot()
    gone = lost(other.key, 1002, 2, other.records[2])
    store.book([one.records, [other.records[0], gone, other.records[2]]])
    assert barred(store) == []


def test_a_lost_record_that_another_card_names_is_that_ones_debit(counter):
    store, one, other = counter
    other.intent(OTHER_CARD, 1, 100, **BEFORE)
    other.boot()
    one.intent(OTHER_CARD, 2, 100, last=(1002, 1), before_fen=9_900, **BEFORE)
    inspect(one)
    inspect(other)
    gone = lost(other.key, 1002, 1, other.records[1])
    store.book([one.records, [gone, *other.records[1:]]])
    assert barred(store) == []


def test_all_taps_are_gone_through_once_for_many_cards(counter, monkeypatch):
    """Whose tap names a lost record is not looked for again for the next card."""
    store, one, other = counter
    other.intent(OTHER_CARD, 1, 100, **BEFORE)
    other.intent(OTHER_CARD, 2, 100, last=(1002, 1), before_fen=9_900, **BEFORE)
    other.boot()
    one.intent(OTHER_CARD, 3, 100, last=(1002, 2), before_fen=9_800, **BEFORE)
    inspect(one)
    inspect(other)
    gone = [lost(other.key, 1002, seq, other.records[seq]) for seq in (1, 2)]
    store.book([one.records, [*gone, *other.records[2:]]])
    alone = [examine(store.database, card_no, LOST_S) for card_no in (CARD, OTHER_CARD)]
    assert len({one.blocking for one in alone}) == 2
    walks, rows_of = [], store.database.rows_of

    def noted(sql, keys):
        if "last_device = place" in sql and keys:
            walks.append(set(keys))
        return rows_of(sql, keys)

    monkeypatch.setattr(store.database, "rows_of", noted)
    known = Known()
    for _ in range(2):
        again = [examine(store.database, card, LOST_S, known) for card in (CARD, OTHER_CARD)]
        assert again == alone
    assert walks == [{(1002, 1), (1002, 2)}]


def test_a_lost_record_of_long_ago_is_cleared_by_the_cards_own_chain():
    """Its later taps name every debit before them, back to the first."""
    one, other = Reader(1001), Reader(1002)
    store = open_ledger(one, other)
    lose(store)
    other.boot()
    other.write(messages.POWER, source=0, battery_mv=0, earliest_s=500, latest_s=502)
    first = one.spend(earliest_s=400, latest_s=402)
    one.spend(counter=2, last=first, earliest_s=600, latest_s=602)
    inspect(one)
    inspect(other)
    gone = lost(other.key, 1002, 1, other.records[1])
    store.book([one.records, [gone, *other.records[1:]]])
    assert barred(store) == []
    assert barred(store, before_s=300) == []


def test_the_chain_clears_nothing_where_it_has_a_hole():
    one, other = Reader(1001), Reader(1002)
    store = open_ledger(one, other)
    lose(store)
    other.boot()
    other.write(messages.POWER, source=0, battery_mv=0, earliest_s=500, latest_s=502)
    one.spend(earliest_s=400, latest_s=402)
    # The card names the lost record: that was its debit.
    one.spend(counter=3, last=(1002, 1), earliest_s=600, latest_s=602)
    inspect(one)
    inspect(other)
    gone = lost(other.key, 1002, 1, other.records[1])
    store.book([one.records, [gone, *other.records[1:]]])
    assert barred(store) == [(Bar.NAMED, 1002, 1), (Bar.UNREADABLE, 1002, 1)]


def test_the_tries_of_one_credit_are_not_one_step_of_the_chain():
    """One came off and one went on, and what the card debited between them is the lost record."""
    before, after = ({"earliest_s": at_s, "latest_s": at_s + 2} for at_s in (LOST_S - 60, DUE_S))
    first, between, second, later = (Reader(1001 + place) for place in range(4))
    store = open_ledger(first, between, second, later)
    number = store.top_ups.top_up(CARD, 500, "A")
    store.top_ups.note_try(number, 1, 1001)
    credit = {"card_no": CARD, "number": number, "amount_fen": 500}
    none, spend = {"last_device": 0, "last_seq": 0}, {"last_device": 1002, "last_seq": 1}
    torn = credit | none | before | {"counter": 1, "before_fen": 10_000}
    first.write(messages.CREDIT, **(torn | {"earliest_s": LOST_S - 90, "latest_s": LOST_S - 88}))
    between.intent(**before)
    between.write(messages.POWER, source=0, battery_mv=0, **before)
    gone = lost(between.key, 1002, 1, between.records[1])
    for reader in (first, between, second, later):
        inspect(reader)
    store.top_ups.note_try(number, 2, 1003)
    second.write(messages.CREDIT, **(credit | spend | after | {"counter": 2, "before_fen": 9_900}))
    later.spend(counter=3, before_fen=10_400, last=(CARD_CENTRE, number), **after)
    store.book([first.records, [gone, *between.records[1:]], second.records[:1], later.records])
    assert barred(store, before_s=LOST_S) == [(Bar.UNREADABLE, 1002, 1)]
    store.book([second.records])
    assert (Bar.UNREADABLE, 1002, 1) in barred(store, before_s=LOST_S)
    assert check(store) == []


def test_what_the_card_names_must_be_there(counter):
    store, one, other = counter
    one.intent(counter=3, last=(1002, 7), **BEFORE)
    one.outcome((1001, 3), NOT_COMMITTED)
    inspect(one)
    inspect(other)
    store.book([one.records, other.records])
    assert barred(store) == [(Bar.NAMED, 1002, 7)]


def test_a_twin_bars_it_until_somebody_has_found_it(counter):
    store, one, other = counter
    twin = other.fork()
    inspect(one)
    inspect(other)
    twin.intent(counter=2, last=(1001, 1), **BEFORE)
    store.book([one.records, other.records, twin.records])
    assert barred(store) == [(Bar.FORKED, 1002, 0), (Bar.NOT_BOOKED, 1002, 1)]
    release(store.database, 1002, 0, DUE_S, "wang", "twin-found")
    assert barred(store) == [(Bar.NOT_BOOKED, 1002, 1)]


def test_a_reader_that_is_gone_is_released_by_a_person_until_it_speaks_again(counter):
    store, one, other = counter
    inspect(one)
    store.book([one.records])
    release(store.database, 1002, 0, DUE_S, "wang", "never-used")
    found = examine(store.database, CARD)
    assert not found.blocking and [one.person for one in found.released] == ["wang"]
    other.boot()
    store.book([other.records])
    assert barred(store) == [(Bar.SILENT, 1002, 0)]
    for wrong in (
        {"device": 1009},
        {"seq": 2},
        {"person": ""},
        {"person": "Wang Fang"},
        {"because": "x" * 33},
    ):
        word = {"device": 1002, "seq": 0, "person": "wang", "because": "scrapped"} | wrong
        with pytest.raises(QuiescenceRefused):
            release(store.database, time_s=DUE_S, **word)


def test_doors_take_no_spends():
    one, door = Reader(1001), Reader(1002)
    store = open_ledger(one, door)
    store.access.add_door(1002, "dorm", 5000, 0)
    lose(store)
    inspect(one)
    store.book([one.records])
    assert barred(store) == []


def test_who_has_not_said_that_it_knows_the_loss(counter):
    store, one, other = counter
    epoch = store.cards.epoch()
    inspect(one, map_epoch=epoch)
    inspect(other, map_epoch=epoch - 1 or 0)
    store.book([one.records, other.records])
    found = examine(store.database, CARD)
    assert found.loss_epoch == epoch and found.unaware == (1002,)
    store.cards.set("lose", OTHER_CARD, DUE_S)
    inspect(other, map_epoch=epoch + 1)
    store.book([other.records])
    assert examine(store.database, CARD).unaware == ()
    inspect(one)  # its map has rotted
    store.book([one.records])
    assert examine(store.database, CARD).unaware == (1001,)


def test_a_map_of_books_that_were_lost_is_none_of_these(counter):
    """Behind a restore the numbers of changes are given again: who has more has other ones."""
    store, one, other = counter
    epoch = store.cards.epoch()
    inspect(one, map_epoch=epoch + 1)
    inspect(other, map_epoch=epoch)
    store.book([one.records, other.records])
    assert examine(store.database, CARD).unaware == (1001,)
    (behind,) = map_news.behind(store.database)
    assert (behind.device, behind.epoch, map_news.ahead(store.database)) == (1001, 0, [1001])
    wrong = [found for found in doctor(store, DUE_S) if found.level == WRONG]
    assert [found.text for found in wrong] == [
        "readers know more than the books: 1001",
        "files wait: readers know changes that these books do not, as behind a backup",
    ]


def test_a_lost_record_may_be_a_spend_of_before_its_reader_knew(counter):
    """Surely of after the report, so the proof is given; but not that nothing else is missing."""
    store, one, other = counter
    epoch = store.cards.epoch()
    inspect(one, map_epoch=epoch)
    inspect(other)
    other.boot()
    inspect(other, map_epoch=epoch)
    gone = lost(other.key, 1002, 2, other.records[2])
    store.book([one.records, [other.records[0], gone, other.records[2]]])
    found = examine(store.database, CARD)
    assert (found.blocking, found.unaware) == ((), (1002,))


def test_a_card_that_was_never_lost_needs_a_time(counter):
    store, one, other = counter
    with pytest.raises(QuiescenceRefused):
        examine(store.database, OTHER_CARD)
    inspect(one)
    inspect(other)
    store.book([one.records, other.records])
    assert examine(store.database, OTHER_CARD, LOST_S).blocking == ()


# --- certificates -----------------------------------------------------------------------------


@pytest.fixture
def proven(counter):
    """(books, a reader, the text of a signed certificate)."""
    store, one, other = counter
    inspect(one)
    inspect(other)
    store.book([one.records, other.records])
    text = certificate(examine(store.database, CARD), DUE_S, KEY)
    assert verify(store.database, text, public_key(KEY)) == []
    return store, other, text


def test_a_certificate_can_be_checked_for_ever(proven):
    store, other, text = proven
    other.spend(card_no=OTHER_CARD, **AFTER)  # another card's
    # A reader that does not know the time has proven nothing by it.
    other.spend(counter=2, last=(1001, 1))
    store.book([other.records])
    assert verify(store.database, text, public_key(KEY)) == []
    assert verify(store.database, certificate(examine(store.database, CARD), DUE_S)) == []


@pytest.mark.parametrize("place", ["card_no", "before_s", "made_s", "marks"])
def test_a_changed_certificate_is_none(proven, place):
    store, _other, text = proven
    whole = json.loads(text)
    inside = whole if place == "made_s" else whole["found"]
    inside[place] = inside[place][:1] if place == "marks" else inside[place] + 1
    faults = verify(store.database, json.dumps(whole), public_key(KEY))
    assert "its hash is not that of what it says" in faults
    assert "its signature does not hold" in faults


def test_a_certificate_of_somebody_else_or_of_nobody(proven):
    store, _other, _text = proven
    theirs = certificate(examine(store.database, CARD), DUE_S, bytes(32))
    unsigned = certificate(examine(store.database, CARD), DUE_S)
    faults = verify(store.database, theirs, public_key(KEY))
    assert faults == ["it is signed with another key than this ledger's"]
    assert verify(store.database, unsigned, public_key(KEY)) == ["it is not signed"]
    for noise in ("", "{}", "[]", "7", '{"made_s": 1, "found": {"card_no": "x"}}'):
        with pytest.raises(CertificateError):
            verify(store.database, noise)


def test_a_certificate_shows_a_spend_that_should_not_be(proven):
    """A reader whose clock went back, or whose key somebody else has."""
    store, other, text = proven
    late = other.spend(counter=2, last=(1001, 1), **BEFORE)
    store.book([other.records])
    faults = verify(store.database, text, public_key(KEY))
    assert faults == [f"record 1002/{late[1]} is a spend of before that came since"]


def test_a_certificate_shows_books_that_were_changed(proven):
    store, _other, text = proven
    tamper(
        store,
        [in_its_words(store, "UPDATE record SET sha256 = zeroblob(32) WHERE device = 1002")],
    )
    assert verify(store.database, text) == ["record 1002/1 is not the one that it names"]


def test_books_of_before_do_not_bear_out_a_certificate(proven):
    _store, _other, text = proven
    older = open_ledger(Reader(1001))
    faults = verify(older.database, text)
    assert "the books of reader 1001 end at 0, and ended at 3 then" in faults
    assert "the books of reader 1002 end at -1, and ended at 1 then" in faults


def test_a_release_in_a_certificate_stands_in_the_books(counter):
    store, one, _other = counter
    inspect(one)
    store.book([one.records])
    nobody = certificate(replace(examine(store.database, CARD), blocking=()), DUE_S)
    assert verify(store.database, nobody) == [
        "reader 1002 has no mark, and nobody has released it"
    ]
    release(store.database, 1002, 0, DUE_S, "wang", "scrapped")
    found = examine(store.database, CARD)
    assert verify(store.database, certificate(found, DUE_S)) == []
    theirs = replace(found, released=(replace(found.released[0], person="li"),))
    assert verify(store.database, certificate(theirs, DUE_S)) == [
        "the books do not say that li has released reader 1002"
    ]


def test_a_certificate_that_nothing_is_proven_is_none(counter):
    store, _one, _other = counter
    text = certificate(examine(store.database, CARD), DUE_S)
    assert "it says itself that nothing is proven" in verify(store.database, text)


# --- the carry-over ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_proven", [True, False])
def test_a_carry_over_says_whether_it_was_proven(is_proven):
    """It goes in either case: the hours are the holder's right."""
    reader = Reader(1001)
    store = replaced(reader)
    if is_proven:
        inspect(reader)
        store.book([reader.records])
    (load,) = store.carry_overs.claim(NEW_CARD, DUE_S)
    assert store.carry_overs.unproven(NEW_CARD) == ([] if is_proven else [load.number])
    assert store.carry_overs.claim(NEW_CARD, DUE_S) == []
    assert check(store) == []


# --- in any order -----------------------------------------------------------------------------


class Field:
    """Readers, a card, its loss, and the truth: what every reader has taken, told or not."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.readers = [Reader(1001 + number) for number in range(3)]
        self.store = open_ledger(*self.readers)
        self.now_s = LOST_S - 3_000
        self.maps = dict.fromkeys((reader.device for reader in self.readers), 0)
        self.counter, self.last = 1, (0, 0)
        self.spends = []  # (when, device, seq): what the card has paid
        self.told = dict.fromkeys(self.maps, 0)
        self.rotten = set()  # records that nobody can read any more
        self.is_lost = False

    def when(self):
        """What a reader's clock says of now: nothing, or an interval with now in it."""
        if self.draw.random() < 0.3:
            return {}
        width_s = self.draw.choice((0, 1, 400))
        back_s = self.draw.randint(0, width_s)
        return {"earliest_s": self.now_s - back_s, "latest_s": self.now_s - back_s + width_s}

    def tap(self, reader):
        knows = self.is_lost and self.maps[reader.device] >= self.store.cards.epoch()
        if knows:
            return
        intent = reader.intent(CARD, self.counter, 100, self.last, **self.when())
        has_paid = self.draw.random() < 0.7
        if has_paid:
            self.spends.append((self.now_s, *intent))
            self.counter, self.last = self.counter + 1, intent
        if self.draw.random() < 0.97:
            result = COMMITTED if has_paid else NOT_COMMITTED
            reader.outcome(intent, UNKNOWN if self.draw.random() < 0.03 else result)

    def idle(self, reader):
        if self.draw.random() < 0.5:
            reader.write(messages.BOOT, cause=1, firmware=1, **self.when())
        else:
            self.look(reader)

    def look(self, reader, **when):
        epoch = self.maps[reader.device]
        said = {"map_epoch": epoch} if epoch else {}
        reader.write(messages.INSPECTION, **(INSPECTED | said | (when or self.when())))

    def take_map(self, reader):
        self.maps[reader.device] = self.store.cards.epoch()

    def rot(self, reader):
        """A record behind the booked ones, with one behind it, cannot be read any more."""
        head = self.store.heads()[reader.device]
        if head + 1 < reader.seq:
            self.rotten.add((reader.device, self.draw.randint(head + 1, reader.seq - 1)))

    def sealed(self, reader, seq):
        if (reader.device, seq) not in self.rotten:
            return reader.records[seq - 1]
        behind = (reader.device, seq + 1) in self.rotten
        successor = None if behind else reader.records[seq]
        return lost(reader.key, reader.device, seq, successor)

    def tell(self, reader, count=None):
        """Some of what it has not told, perhaps with one missing in the middle."""
        told = self.told[reader.device]
        upto = min(reader.seq, told + (count or self.draw.randint(1, 9)))
        batch = [self.sealed(reader, seq) for seq in range(told + 1, upto + 1)]
        if count is None and self.draw.random() < 0.2:
            batch = batch[1:]
            upto = told
        self.told[reader.device] = upto
        self.store.book([batch])

    def lose(self):
        if not self.is_lost:
            self.is_lost = True
            lose(self.store, time_s=self.now_s)

    def act(self):
        self.now_s += self.draw.choice((0, 5, 300))
        reader = self.draw.choice(self.readers)
        acts = (self.tap, self.idle, self.tell, self.tell, self.take_map)
        if self.draw.random() < 0.015:
            self.rot(reader)
        elif self.draw.random() < 0.06:
            self.lose()
        else:
            self.draw.choice(acts)(reader)

    def missing(self, before_s):
        """The spends of before that the books do not have."""
        return [
            (device, seq)
            for when_s, device, seq in self.spends
            if when_s < before_s and self.store.state(device, seq) is None
        ]

    def judge(self):
        """How many proofs are given now; none while a spend is missing."""
        given = 0
        for before_s in {LOST_S - 1_500, self.now_s - 300, self.now_s}:
            found = examine(self.store.database, CARD, before_s)
            if not found.blocking:
                assert self.missing(before_s) == []
                given += 1
        if not self.is_lost:
            return given
        found = examine(self.store.database, CARD)
        if found.blocking:
            return given
        assert self.missing(found.before_s) == []
        assert verify(self.store.database, certificate(found, self.now_s)) == []
        if not found.unaware:
            assert self.missing(self.now_s + 1) == []
        return given + 1


@pytest.mark.parametrize("seed", [12, *range(100, 115)])
def test_no_proof_while_a_spend_is_missing(seed):
    print("seed", seed)
    field = Field(seed)
    for number in range(60):
        field.act()
        if number % 4 == 3:
            field.judge()
    field.lose()
    for reader in field.readers:
        field.take_map(reader)
        field.look(reader, earliest_s=field.now_s, latest_s=field.now_s + 1)
        field.tell(reader, 200)
    field.judge()
    if not field.rotten:
        # Everything is told: what still bars it is an end that nobody knows.
        bars = {bar for bar, _device, _seq in barred(field.store)}
        assert bars <= {Bar.UNFINISHED}
        assert examine(field.store.database, CARD).unaware == ()
    assert check(field.store) == []


def test_the_seeds_give_proofs_and_refusals():
    """Or the test above could not fail."""
    given, refused, rotten = 0, 0, 0
    for seed in range(8):
        field = Field(seed)
        for number in range(60):
            field.act()
            if number % 4 == 3:
                is_missing = bool(field.missing(field.now_s))
                count = field.judge()
                given, refused = given + count, refused + (is_missing and not count)
        rotten += bool(field.rotten)
    assert given > 9 and refused > 9 and rotten > 1, (given, refused, rotten)
