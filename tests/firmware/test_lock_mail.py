"""Cards as messengers: rights to a lock without a network, and its events back (R23.3, R24.3)."""

import random

import pytest

from adapters.aes import CIPHERS
from firmware.services.mailbox import Mailbox
from protocols.card import mailbox
from protocols.rules import access, lock, reasons
from protocols.wire import messages
from tests.drivers.mail_cards import MAKES, contents, lay, letters, mail_card, rest
from tests.firmware.counter import CARD_NO, DEVICE_KEY
from tests.firmware.post import LOCK, Post

LI, ZHAO = CARD_NO + 5, CARD_NO + 6  # whom the lock does not know by what it was set up with


def housed(make, *card_nos, seed=0, **own):
    """A post whose lock knows by a letter that these live there, and their cards."""
    post = Post(seed, **own)
    cards = [mail_card(make, seed, card_no) for card_no in card_nos]
    for card_no in card_nos:
        post.grant(card_no)
    post.inform()
    post.enter(cards[0])
    assert post.open(cards[0])
    return post, cards


@pytest.fixture(params=MAKES)
def make(request):
    return request.param


# -- there and back -------------------------------------------------------------------------


def test_a_grant_in_the_books_opens_a_lock_that_has_no_network(make):
    post, card = Post(), mail_card(make, card_no=LI)
    before = rest(card)
    assert not post.open(card), "it was granted nothing yet"
    epoch = post.grant(LI)
    post.inform()
    assert not post.open(card), "nobody has brought it"
    post.enter(card)
    assert post.open(card), "the first time, by the letter on the very card"
    assert post.open(card)
    assert post.lodge.entries()[-2:] == [(LI, reasons.APPROVED)] * 2
    # And back: the door takes what the lock has written, and the ledger books it.
    post.enter(card)
    post.book()
    booked = post.booked()
    assert booked and booked == list(range(1, booked[-1] + 1)) and post.store.cases() == []
    (state,) = post.store.lock_mail.states()
    assert (state.held_epoch, state.is_confirmed) == (epoch, True)
    assert state.battery_mv > 5_000 and state.battery_mv % 100 == 0
    # The receipt goes the same way, and frees the lock's journal that far.
    post.inform()
    post.enter(card)
    post.open(card)
    assert post.receipted() == booked[-1]
    assert rest(card) == before


def test_everything_is_booked_once_in_the_end(make):
    """Some days of one resident, with a door that is cut off now and then."""
    post, (card,) = housed(make, LI)
    for day in range(4):
        assert post.open(card) and post.open(card)
        post.unplug() if day % 3 == 1 else post.plug()
        post.enter(card)
        post.settle()
    post.plug()
    for _ in range(4):
        post.enter(card)
        post.open(card)
        post.enter(card)
        post.settle()
    entries = post.lodge.records(messages.ENTRY)
    booked = post.booked()
    told = [each for each in entries if each["seq"] <= booked[-1]]
    assert booked == list(range(1, booked[-1] + 1)) and len(told) >= 8
    assert post.store.cases() == []
    print(f"{make}: {len(entries)} openings, {booked[-1]} records booked")


def test_a_revocation_comes_on_the_card_of_whoever_still_lives_there(make):
    post, (li, zhao) = housed(make, LI, ZHAO)
    assert post.open(zhao)
    epoch = post.grant(LI, group=0)
    post.inform()
    (state,) = post.store.lock_mail.states()
    assert not state.is_confirmed, "the warden sees that the lock does not know yet"
    assert post.open(li), "and it does not"
    post.enter(zhao)
    post.open(zhao)
    assert not post.open(li)
    assert post.lodge.entries()[-1] == (LI, access.NO_ACCESS)
    post.enter(zhao)
    post.settle()
    post.enter(zhao)
    post.open(zhao)
    post.enter(zhao)
    post.settle()
    (state,) = post.store.lock_mail.states()
    assert (state.held_epoch, state.is_confirmed) == (epoch, True)
    # Who has moved out carries no more for it.
    before = letters(li)
    post.enter(li)
    assert {slot: each[:2] for slot, each in letters(li).items()} == {
        slot: each[:2] for slot, each in before.items()
    }


def test_a_lost_card_is_shut_out_by_the_next_letter(make):
    """A lock is told of lost cards by its map: the map of all cards fits on none."""
    post, (li, zhao) = housed(make, LI, ZHAO)
    post.store.cards.set("lose", LI, post.now_s)
    post.inform()
    post.enter(zhao)
    assert post.open(zhao)
    assert not post.open(li)


# -- what must not be believed --------------------------------------------------------------


def test_an_old_card_brings_back_no_old_rights(make):
    """A letter of months ago, as it was, and with a head that calls it new."""
    post, (li, zhao) = housed(make, LI, ZHAO)
    ((slot, (_, old_stamp, _, old)),) = [
        each for each in letters(li).items() if each[0] < mailbox.TO_LOCKS
    ]
    post.grant(LI, group=0)
    post.inform()
    post.enter(zhao)
    post.open(zhao)
    held = post.held()
    for stamp in (old_stamp, held[1] + 1, 0xFFFFFFFF):
        lay(li, mailbox.head_of(LOCK, stamp, old), old, slot)
        assert not post.open(li)
        assert post.held() == held
    assert post.lodge.entries()[-3:] == [(LI, access.NO_ACCESS)] * 3


def test_a_letter_that_is_edited_or_anothers_changes_nothing(make):
    post, (li,) = housed(make, LI)
    held, draw = post.held(), random.Random(1)
    content = mailbox.encode_update(99, held[1] + 99, 0, bytes(8), b"")
    mine = mailbox.seal_letter(CIPHERS, DEVICE_KEY, mailbox.TO_LABEL, content)
    spoilt = bytes((mine[0] ^ 1,)) + mine[1:]
    others = mailbox.seal_letter(CIPHERS, bytes(32), mailbox.TO_LABEL, content)
    back = mailbox.seal_letter(CIPHERS, DEVICE_KEY, mailbox.FROM_LABEL, content)
    nonsense = mailbox.encode_update(99, held[1] + 99, 0, bytes(8), b"\xff" * 40)
    blind = mailbox.seal_letter(CIPHERS, DEVICE_KEY, mailbox.TO_LABEL, nonsense)
    for letter in (spoilt, others, back, blind, draw.randbytes(96), draw.randbytes(33)):
        lay(li, mailbox.head_of(LOCK, held[1] + 99, letter), letter, 0)
        assert post.open(li)
        assert post.held() == held


def test_a_receipt_for_what_is_not_ours_frees_nothing(make):
    post, (li,) = housed(make, LI)
    made_s = post.held()[1]
    for upto, tag in ((1, bytes(8)), (9_999, bytes(8)), (0xFFFFFFFF, bytes(8))):
        made_s += 1
        content = mailbox.encode_update(1, made_s, upto, tag, b"")
        letter = mailbox.seal_letter(CIPHERS, DEVICE_KEY, mailbox.TO_LABEL, content)
        lay(li, mailbox.head_of(LOCK, made_s, letter), letter, 0)
        assert post.open(li)
        assert post.receipted() == 0


def test_a_time_on_a_card_is_a_lower_bound_and_no_more(make):
    """It is at least so late; how late, a card that lay in a drawer does not know."""
    post, (li,) = housed(make, LI)
    made_s = post.held()[1]
    post.open(li)
    newest = post.lodge.records(messages.ENTRY)[-1]
    assert newest["earliest_s"] >= made_s and newest["latest_s"] == 0xFFFFFFFF


# -- who carries ----------------------------------------------------------------------------


def test_the_same_event_on_five_cards_is_booked_once():
    names = [CARD_NO + n for n in range(5, 10)]
    post, cards = housed("classic", *names)
    for card in cards:
        assert post.open(card)
    first = {letters(card)[mailbox.FROM_LOCK][1] for card in cards}
    assert len(first) == 5, "each has what the one before it has, and more"
    for card in random.Random(3).sample(cards, 5):
        post.enter(card)
        post.book()
    assert post.booked() == list(range(1, max(post.booked()) + 1)) and post.store.cases() == []
    assert len(post.carried()) == 5


def test_what_is_lost_with_a_card_comes_on_the_next(make):
    post, (li, zhao) = housed(make, LI, ZHAO)
    assert post.open(li)  # and that card is never seen again
    assert post.open(zhao)
    post.enter(zhao)
    post.book()
    booked = post.booked()
    entries = [each for each in post.lodge.records(messages.ENTRY) if each["seq"] in booked]
    assert LI in [each["card_no"] for each in entries]


def test_a_door_without_network_takes_letters_and_has_none_to_give(make):
    post, (li,) = housed(make, LI)
    post.unplug()
    post.enter(li)
    (taken,) = post.carried()
    assert taken["lock"] == LOCK and letters(li)[mailbox.FROM_LOCK][2] == mailbox.TAKEN
    post.enter(li)
    assert len(post.carried()) == 1, "what is taken is not taken again"
    post.book()
    assert post.booked()


def test_who_may_not_enter_the_building_carries_nothing(make):
    post, (li,) = housed(make, LI)
    post.door.device._access = access.whole(b"")
    before = contents(li)
    post.enter(li)
    assert post.carried() == [] and contents(li) == before
    assert post.door.entries()[-1] == (LI, access.NO_ACCESS)


def test_a_card_without_a_mailbox_opens_both_and_carries_nothing():
    post = Post()
    post.grant(CARD_NO)
    post.inform()
    card = mail_card("classic", read_key=b"")
    before = list(card.blocks)
    for _ in range(2):
        post.enter(card)
        assert post.open(card)
    assert post.door.entries() == [(CARD_NO, reasons.APPROVED)] * 2
    assert post.lodge.entries() == [(CARD_NO, reasons.APPROVED)] * 2
    assert list(card.blocks) == before


# -- hands and power ------------------------------------------------------------------------


def test_pulled_away_at_any_moment_at_the_door(make):
    """Each 61 ms: the door has opened, and the next time makes up for what was torn."""
    spans = range(40, 1_000, 61)
    post, (li,) = housed(make, LI)
    before, seen = rest(li), set()
    for hold_ms in spans:
        post.open(li)
        post.inform()
        taken = len(post.carried())
        post.enter(li, hold_ms)
        assert rest(li) == before
        seen.add(len(post.carried()) - taken)
        post.settle()
    assert seen == {0, 1}
    post.open(li)
    post.enter(li)
    post.settle()
    assert post.booked()[-1] > 0 and post.store.cases() == []
    assert post.door.unexplained() == []


def test_pulled_away_at_any_moment_at_the_lock(make):
    post, (li, _) = housed(make, LI, ZHAO)
    before = rest(li)
    for hold_ms in range(20, 900, 47):
        post.grant(ZHAO, hold_ms % 2)
        post.inform()
        post.enter(li)
        was = post.held()
        post.open(li, hold_ms)
        assert rest(li) == before
        assert post.held() >= was
    post.open(li)
    assert post.held()[0] == post.store.lock_mail.states()[0].epoch
    post.enter(li)
    post.settle()
    assert post.store.cases() == [] and post.booked()


@pytest.mark.parametrize("which", ["flash", "card_flash"])
def test_cells_that_fail_in_any_write_of_a_visit(which):
    """The map is the old one or the new one; a receipt that is lost is told again."""
    for operation in range(12):
        post, (li, zhao) = housed("classic", LI, ZHAO)
        post.enter(li)
        post.settle()
        was = post.held()
        epoch = post.grant(ZHAO, 0)
        post.inform()
        post.enter(li)
        flash = getattr(post.lodge.hardware, which)
        flash.cut_after(operation)
        post.lodge.tap(li, 1200)
        flash._cut_at = None
        is_cut = not post.lodge.is_on
        if is_cut:
            post.lodge.run_ms(1000)
            post.lodge.boot()
        post.lodge.until_asleep()
        assert post.held()[0] in (was[0], epoch)
        assert post.open(li)
        assert post.held()[0] == epoch and not post.open(zhao)
        post.enter(li)
        post.settle()
        assert post.store.cases() == []
        if not is_cut:
            break
    print(operation, "cuts in", which)
    assert operation


def test_a_door_that_loses_power_between_its_record_and_the_card_takes_it_twice():
    post, (li,) = housed("classic", LI)
    before = contents(li)
    post.enter(li)
    (taken,) = post.carried()
    # As if the mark had not come to the card.
    head = mailbox.decode_heads(before)[mailbox.FROM_LOCK]
    letter = letters(li)[mailbox.FROM_LOCK][3]
    lay(li, head, letter, mailbox.FROM_LOCK)
    post.enter(li)
    assert [each["sealed"] for each in post.carried()] == [taken["sealed"]] * 2
    post.book()
    booked = post.booked()
    assert booked == list(range(1, booked[-1] + 1)) and post.store.cases() == []


def test_how_long_a_visit_takes(make):
    """With a new letter to take and one to leave, while the motor draws the bolt by itself."""
    post, (li, _) = housed(make, LI, ZHAO, front_end=None)
    post.grant(ZHAO, 0)
    post.inform()
    post.enter(li)
    visit, spans = Mailbox.visit, []

    def timed(mailbox_, *args):
        begin_us = post.lodge.clock.now_us
        visit(mailbox_, *args)
        spans.append((post.lodge.clock.now_us - begin_us) // 1000)

    try:
        Mailbox.visit = timed
        assert post.open(li)
    finally:
        Mailbox.visit = visit
    assert post.held()[0] == post.store.lock_mail.states()[0].epoch
    print(f"{make}: {spans[0]} ms of cards, bus and flash")
    assert spans[0] < lock.MOTOR_MS // 2


def test_no_step_of_the_door_takes_long_while_it_carries(make):
    """On the air, on the bus and in the card, at the depth of registers; bytecode comes on top."""
    post, (li,) = housed(make, LI, front_end=None)
    post.inform()
    device, spans = post.door.device, []
    step = device.step

    def timed(now_ms):
        begin_us = post.door.clock.now_us
        due_ms = step(now_ms)
        spans.append((post.door.clock.now_us - begin_us) // 1000)
        return due_ms

    device.step = timed
    post.enter(li)
    print(f"{make}: the longest step of the door while it carries: {max(spans)} ms")
    assert len(post.carried()) == 1 and max(spans) <= 150
