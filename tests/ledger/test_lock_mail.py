"""Locks that speak on cards: booked once, whatever comes late, twice, spoilt or forged."""

import itertools
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.aes import CIPHERS
from ledger import reasons
from ledger.letters import AGE_S_MAX, Letters, fits
from ledger.receipts import Signer, public_key
from ledger.store import LedgerStore
from protocols.card import mailbox
from protocols.rules import access
from protocols.wire import letter_news, messages, seal
from tests.ledger.readers import Reader

SIGNING_KEY, SITE, NOW_S = bytes(range(32)), "dormitory-3", 1_790_000_000
DOOR, LOCK, WANG, LI = 2001, 3001, 20_001, 20_002
WARDEN = "Wang Fang"


class Room:
    """The books, a door that takes letters, a lock that writes them, and the post to it."""

    def __init__(self):
        self.store = store = LedgerStore.open(":memory:")
        store.register_merchant(1, "nobody")
        self.door, self.lock = Reader(DOOR), Reader(LOCK)
        for reader in (self.door, self.lock):
            store.register_device(reader.device, reader.key, 1, SITE)
        store.issue_cards((card_no, 0) for card_no in range(20_000, 20_200))
        store.access.add_door(LOCK, "dorm", 3000, 0, is_lock=True)
        store.access.appoint("appoint", SITE, "dorm", WARDEN, NOW_S)
        self.now_s = NOW_S
        signer = Signer(SIGNING_KEY)
        self.letters = Letters(
            store.lock_mail, store.access, store.cards, signer, lambda: self.now_s
        )

    def grant(self, card_no, group=1):
        return self.store.access.grant(LOCK, card_no, 1, group, WARDEN, self.now_s)

    def update(self):
        """(epoch, made_s, upto, tag, map) of the letter to the lock, as the lock reads it."""
        (data,) = self.letters.news(SITE)
        payload, signature = seal.sign1_split(data)
        key = Ed25519PublicKey.from_public_bytes(public_key(SIGNING_KEY))
        key.verify(signature, seal.sign1_tbs(payload, letter_news.LABEL))
        ((device, stamp, letter),) = letter_news.decode(payload)
        content = mailbox.open_letter(CIPHERS, self.lock.key, mailbox.TO_LABEL, letter)
        update = mailbox.decode_update(content)
        assert (device, update[1]) == (LOCK, stamp)
        return update

    def opens(self, count):
        """So many openings, in the journal of the lock."""
        for _ in range(count):
            self.lock.write(messages.ENTRY, card_no=WANG, reason=0)
        return self

    def letter(self, receipted=0, held=(0, 0), battery_mv=5900, key=None):
        """What the lock writes on a card; `receipted`: as far as it knows."""
        tag = seal.tag_of(self.lock.records[receipted - 1]) if receipted else seal.CHAIN_START
        key = key or self.lock.key
        told = mailbox.encode_events(
            key, held, battery_mv, LOCK, receipted + 1, tag, self.lock.records[receipted:]
        )
        return mailbox.seal_letter(CIPHERS, key, mailbox.FROM_LABEL, told[0])

    def carried(self, *letters, lock=LOCK):
        """The door has taken these off cards."""
        for letter in letters:
            self.door.write(messages.MAIL, lock=lock, sealed=letter)
        return self.door.records[-len(letters) :]

    def booked(self):
        sql = "SELECT seq FROM record WHERE device = ? ORDER BY seq"
        return [seq for (seq,) in self.store.database.rows(sql, (LOCK,))]

    def cases(self):
        return [(reason, device) for reason, device, _seq in self.store.cases()]


@pytest.fixture
def room():
    return Room()


# --- from locks ----------------------------------------------------------------------------


def test_what_a_card_brings_is_booked_as_the_lock_has_sealed_it(room):
    room.opens(4)
    (answer,) = room.store.book([room.carried(room.letter(held=(7, NOW_S)))])
    assert room.booked() == [1, 2, 3, 4]
    assert [head.device for head in answer.heads] == [DOOR] and answer.refused == []
    sql = "SELECT sealed FROM record WHERE device = ? ORDER BY seq"
    assert [row[0] for row in room.store.database.rows(sql, (LOCK,))] == room.lock.records
    assert room.store.cases() == []


def test_the_same_on_five_cards_is_booked_once(room):
    room.opens(4)
    letter = room.letter()
    room.store.book([room.carried(letter, letter)])
    room.store.book([room.carried(letter), room.carried(letter, letter)])
    assert room.booked() == [1, 2, 3, 4] and room.store.cases() == []


def test_in_any_order_with_every_letter_lost_once(room):
    """The lock tells again what it has no receipt for, so it comes to the same books."""
    room.opens(3)
    letters = [room.letter()]
    room.opens(3)
    letters.append(room.letter())  # begins where that one does, and has more
    records = room.carried(*letters)
    seen = set()
    for order in itertools.permutations(range(len(letters))):
        for missing in (None, *order):
            books = Room()
            kept = [records[at] for at in order if at != missing]
            books.store.book([[record] for record in kept])
            books.store.book([records, room.lock.records])
            seen.add(books.store.dump())
    assert len(seen) == 1


def test_what_follows_nothing_that_is_booked_is_told_again(room):
    room.opens(9)
    room.store.book([room.carried(room.letter(4))])
    assert room.booked() == [] and room.store.cases() == []
    room.store.book([room.carried(room.letter())])
    first = room.booked()
    assert first and first[0] == 1
    room.store.book([room.carried(room.letter(first[-1]))])
    assert room.booked() == list(range(1, 10))


def test_by_wire_and_by_card_is_booked_once(room):
    room.opens(5)
    room.store.book([room.lock.records[:2], room.carried(room.letter()), room.lock.records])
    assert room.booked() == [1, 2, 3, 4, 5] and room.store.cases() == []


@pytest.mark.parametrize("seed", range(3))
def test_what_nobody_has_sealed_is_a_case_and_moves_nothing(room, seed):
    print("seed", seed)
    room.opens(2)
    letter, draw = bytearray(room.letter()), random.Random(seed)
    letter[draw.randrange(len(letter))] ^= 1 << draw.randrange(8)
    forged = room.letter(key=bytes(32))
    room.store.book([room.carried(bytes(letter), forged, draw.randbytes(96))])
    assert room.booked() == []
    assert room.cases() == [(reasons.UNREAD_LETTER, DOOR)] * 3
    # The same once more is no news.
    room.store.book([room.door.records])
    assert len(room.cases()) == 3


def test_a_letter_under_the_next_key_counts_and_one_under_the_last_does_not(room):
    """Behind a change of its key (ADR 9) what lies on a card since before opens nothing."""
    room.opens(2)
    old, old_key = room.letter(), room.lock.key
    room.store.book([room.carried(old)])
    room.store.rotate_device_key(LOCK, room.lock.rotate())
    room.opens(2)
    assert room.booked() == [1, 2]
    room.store.book([room.carried(room.letter(2))])
    assert room.booked() == [1, 2, 3, 4] and room.store.cases() == []
    room.opens(1)
    room.store.book([room.carried(room.letter(4, key=old_key))])
    assert room.booked() == [1, 2, 3, 4]
    assert room.cases() == [(reasons.UNREAD_LETTER, DOOR)]


def test_what_was_sealed_under_the_key_before_goes_as_it_is(room):
    """Nobody has carried anything until the key was replaced: nothing of it is lost."""
    room.opens(2)
    room.store.rotate_device_key(LOCK, room.lock.rotate())
    room.opens(2)
    while (booked := len(room.booked())) < 4:
        room.store.book([room.carried(room.letter(booked))])
        assert len(room.booked()) > booked
    assert room.store.cases() == []


def test_the_letter_of_one_lock_is_not_anothers(room):
    room.opens(2)
    room.store.book([room.carried(room.letter(), lock=DOOR)])
    room.store.book([room.carried(room.letter(), lock=77)])
    assert room.booked() == []
    assert room.cases() == [(reasons.UNREAD_LETTER, DOOR)] * 2


def test_a_letter_to_a_lock_is_none_from_it(room):
    room.grant(WANG)
    (device_stamp_letter,) = letter_news.decode(seal.sign1_split(room.letters.news(SITE)[0])[0])
    room.store.book([room.carried(device_stamp_letter[2])])
    assert room.cases() == [(reasons.UNREAD_LETTER, DOOR)]


def test_a_forged_record_of_the_door_carries_a_true_letter_no_less(room):
    """Whoever carries is not trusted with it: the letter counts, the record around it does not."""
    room.opens(2)
    (record,) = room.carried(room.letter())
    forged = record[:-1] + bytes((record[-1] ^ 1,))
    (answer,) = room.store.book([[forged]])
    assert [code for _, _, code in answer.refused] and room.booked() == [1, 2]


# --- how it stands -------------------------------------------------------------------------


def test_a_grant_is_confirmed_when_the_lock_says_so(room):
    room.grant(WANG)
    epoch = room.grant(LI)
    (state,) = room.store.lock_mail.states(SITE)
    assert (state.device, state.epoch, state.held_epoch) == (LOCK, epoch, None)
    assert not state.is_confirmed
    room.opens(1)
    room.store.book([room.carried(room.letter(held=(1, NOW_S), battery_mv=5700))])
    (state,) = room.store.lock_mail.states()
    assert (state.held_epoch, state.battery_mv, state.is_confirmed) == (1, 5700, False)
    assert state.heard_s == messages_time(room.lock)
    room.opens(1)
    room.store.book([room.carried(room.letter(held=(epoch, NOW_S + 9), battery_mv=5600))])
    (state,) = room.store.lock_mail.states(SITE)
    assert state.is_confirmed and (state.made_s, state.battery_mv) == (NOW_S + 9, 5600)
    assert room.store.lock_mail.states("canteen-1") == []


def messages_time(reader):
    return messages.decode_record(seal.payload_of(reader.records[-1]))["earliest_s"]


def test_an_old_letter_that_comes_late_says_nothing_of_now(room):
    room.opens(1)
    old = room.letter(held=(1, NOW_S), battery_mv=5900)
    room.opens(1)
    room.store.book([room.carried(room.letter(held=(2, NOW_S + 9), battery_mv=5100))])
    room.store.book([room.carried(old)])
    (state,) = room.store.lock_mail.states()
    assert (state.held_epoch, state.battery_mv) == (2, 5100)


# --- to locks ------------------------------------------------------------------------------


def test_a_letter_says_who_may_enter_what_is_booked_and_when(room):
    epoch = room.grant(WANG)
    assert room.update()[:4] == (epoch, NOW_S, 0, bytes(8))
    room.opens(3)
    room.store.book([room.carried(room.letter())])
    upto, tag, data = room.update()[2:]
    assert (upto, tag) == (3, seal.tag_of(room.lock.records[2])[:8])
    assert [access.whole(data).group(card_no) for card_no in (WANG, LI)] == [1, 0]


def test_it_is_written_anew_only_for_a_reason(room):
    room.grant(WANG)
    first = room.letters.news(SITE)
    room.now_s += AGE_S_MAX - 1
    assert room.letters.news(SITE) == first
    room.now_s += 1
    assert room.update()[1] == room.now_s
    room.grant(LI)
    # Within one second: later all the same, or no card would be given it.
    assert room.update()[1] == room.now_s + 1


@pytest.mark.parametrize("verb", ["lose", "suspend", "close"])
def test_a_card_that_is_lost_is_left_out_at_once(room, verb):
    room.grant(WANG)
    epoch, made_s, *_ = room.update()
    room.now_s += 60
    room.store.cards.set(verb, WANG, room.now_s, "id-card")
    again = room.update()
    # Of the same epoch, and newer: a map that a lock takes in place of the one that it has.
    assert again[0] == epoch and again[1] > made_s
    assert access.whole(again[4]).group(WANG) == 0


def test_a_map_that_is_too_large_stays_out_and_is_told_of(room):
    for card_no in range(20_000, 20_060, 4):
        room.grant(card_no)
    assert fits(room.store.access, LOCK) is (room.update()[4] != b"") is True
    for card_no in range(20_060, 20_200, 2):
        room.grant(card_no)
    assert fits(room.store.access, LOCK) is False and room.update()[4] == b""


def test_how_many_cards_a_letter_holds():
    """Numbers that lie far apart, which is the worst for a map."""
    sizes = []
    for count in range(access.SPANS_MAX + 1):
        cards = [(100_000 + 3_000 * n, (1,)) for n in range(count)]
        sizes.append(len(access.encode(cards, [[(127, 0, 1440)]], (), 3000, 0)))
    count = sum(size <= mailbox.MAP_BYTES_MAX for size in sizes) - 1
    print(f"a letter holds a map of {count} cards whose numbers lie apart")
    assert count >= 10


def test_no_letter_before_anybody_has_been_granted_anything(room):
    assert room.letters.news(SITE) == []
