"""The mailbox on both models of a card, under a hand that pulls it away at every frame.

Whatever is torn: keys, rights, identity and purse are as before; a letter is whole, or its head
does not fit; and the next holding of the card makes it right.
"""

import random

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_A, KEY_B, AuthFailed, CardRefused, Classic
from firmware.services.card_faults import FAULTS
from firmware.services.card_mail import CardMail
from firmware.services.credential import Credentials
from protocols.card import mailbox
from protocols.card.diversify import Cmac
from protocols.card.purse_classic import MAIL_KEY, READ_KEY, sector_key
from tests.drivers.desk import PURSE_KEY, Desk, aes
from tests.drivers.mail_cards import (
    MAKES,
    MASTERS,
    contents,
    lay,
    letters,
    mail_card,
    rest,
)

LOCK, STAMP = 3001, 1_790_000_000
OLD, NEW = bytes(range(96)), bytes(range(255, 95, -1))


class Table:
    """A desk whose reader holds the read key, and a card on it."""

    def __init__(self, make, seed=0, **settings):
        settings = {"read_key": MASTERS.read, **settings}
        self.desk = Desk(seed, **settings)
        self.card = mail_card(make, seed)
        self.desk.place(self.card)
        self.credentials = Credentials(self.desk, self.desk.pcd)
        self.mail = CardMail(self.desk.pcd, self.credentials)

    def put(self, slot, letter, stamp=STAMP):
        card = self.desk.pcd.poll()
        if card is None:
            raise CardGone("before it began")
        for _ in self.mail.put(card, slot, mailbox.head_of(LOCK, stamp, letter), letter):
            pass

    def get(self, slot):
        card, letter = self.desk.pcd.poll(), bytearray()
        head = self.mail.heads(card)[slot]
        for _ in self.mail.get(card, slot, head, letter):
            pass
        return head, bytes(letter)

    def lay_anew(self):
        self.desk.field.remove(self.card)
        assert self.desk.pcd.poll() is None
        self.desk.place(self.card)


@pytest.mark.parametrize("make", MAKES)
def test_a_new_card_has_an_empty_mailbox(make):
    table = Table(make)
    assert contents(table.card) == bytes(mailbox.BLOCKS * 16)
    assert table.mail.heads(table.desk.pcd.poll()) == [None] * mailbox.SLOTS


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("length", [16, 32, 96, 160])
def test_what_is_put_there_is_there(make, length):
    table, said = Table(make), random.Random(length)
    before = rest(table.card)
    whole = {slot: said.randbytes(length) for slot in range(mailbox.SLOTS)}
    for slot, letter in whole.items():
        table.put(slot, letter, STAMP + slot)
    for slot, letter in whole.items():
        head, found = table.get(slot)
        assert (head.device, head.stamp, found) == (LOCK, STAMP + slot, letter)
        assert head.is_of(found)
    assert rest(table.card) == before and table.desk.model.violations == []


@pytest.mark.parametrize("make", MAKES)
def test_the_card_may_be_selected_anew_between_two_pieces(make):
    """A reader polls in between, as a door does at each of its steps."""
    table = Table(make)
    card = table.desk.pcd.poll()
    for _ in table.mail.put(card, 0, mailbox.head_of(LOCK, STAMP, NEW), NEW):
        assert table.desk.pcd.poll() is card
    letter = bytearray()
    for _ in table.mail.get(card, 0, table.mail.heads(card)[0], letter):
        assert table.desk.pcd.poll() is card
    assert letter == NEW


def check_torn(table, before):
    """What must hold on a card that was pulled away; whether it holds the new letter."""
    assert rest(table.card) == before
    found = letters(table.card).get(0, (None,) * 4)
    assert found[3] in (None, OLD, NEW)
    if found[3] is not None:
        assert found[1] == (STAMP if found[3] == OLD else STAMP + 1)
    heads = mailbox.decode_heads(contents(table.card))
    # The next door sees that there is something to do, or that it is done.
    slot = mailbox.slot_for(heads, LOCK, STAMP + 1, [LOCK])
    is_new = found[3] == NEW
    assert is_new == (slot is None) or slot is not None
    if slot is not None:
        table.lay_anew()
        table.put(slot, NEW, STAMP + 1)
    assert NEW in [each[3] for each in letters(table.card).values()]
    assert rest(table.card) == before
    return is_new


@pytest.mark.parametrize("make", MAKES)
def test_torn_at_every_frame_of_a_letter(make):
    whole = Table(make)
    whole.put(0, OLD)
    first = whole.desk.field.frames
    whole.put(0, NEW, STAMP + 1)
    frames, seen = whole.desk.field.frames - first, set()
    for frame in range(frames + 4):  # a table that is new has a few more
        for torn in ("mixed", "new"):
            table = Table(make, frame)
            table.card.torn = torn
            lay(table.card, mailbox.head_of(LOCK, STAMP, OLD), OLD, 0)
            before, start = rest(table.card), table.desk.field.frames

            def pull(_number, table=table, last=start + frame):
                if table.desk.field.frames > last:
                    table.desk.field.remove(table.card)

            table.desk.model.before_exchange = pull
            try:
                table.put(0, NEW, STAMP + 1)
            except FAULTS:
                pass
            table.desk.model.before_exchange = None
            seen.add(check_torn(table, before))
    print(f"{make}: {frames} frames")
    assert seen == {False, True}


@pytest.mark.parametrize("make", MAKES)
def test_torn_in_the_middle_of_every_write(make):
    """Each 1.3 ms, with what a write that was cut leaves drawn by chance."""
    whole = Table(make)
    whole.put(0, OLD)
    begin_us = whole.desk.clock.now_us
    whole.put(0, NEW, STAMP + 1)
    took_us = whole.desk.clock.now_us - begin_us
    for delay_us in range(0, took_us, 1_300):
        table = Table(make, delay_us)
        lay(table.card, mailbox.head_of(LOCK, STAMP, OLD), OLD, 0)
        before = rest(table.card)
        when = table.desk.clock.now_us + delay_us
        table.desk.clock.at(when, lambda table=table: table.desk.field.remove(table.card))
        try:
            table.put(0, NEW, STAMP + 1)
        except FAULTS:
            pass
        table.desk.clock.advance_us(200_000)
        check_torn(table, before)


# -- keys -----------------------------------------------------------------------------------


def test_a_card_of_before_has_none():
    for settings, card in (
        ({}, mail_card("classic", read_key=b"")),
        ({"read_key": bytes(16)}, mail_card("classic")),
        ({"read_key": bytes(16)}, mail_card("desfire")),
    ):
        table = Table("classic", **settings)
        table.desk.field.remove(table.card)
        assert table.desk.pcd.poll() is None
        table.desk.place(card)
        with pytest.raises((AuthFailed, CardRefused)):
            table.mail.heads(table.desk.pcd.poll())


def test_a_key_of_the_generation_before_counts_too():
    desk = Desk(read_key=bytes(16))
    for make in MAKES:
        card = mail_card(make)
        desk.place(card)
        mail = CardMail(desk.pcd, Credentials(desk, desk.pcd, MASTERS.read))
        assert mail.heads(desk.pcd.poll()) == [None] * mailbox.SLOTS
        desk.field.remove(card)
        assert desk.pcd.poll() is None


def test_who_has_the_keys_of_a_pos_reads_and_writes_nothing_of_it():
    desk, card = Desk(), mail_card("classic")
    desk.place(card)
    classic, purse = Classic(desk.pcd, desk.pcd.poll()), Cmac(aes(PURSE_KEY))
    for sector in range(5, 16):
        for key_type in (KEY_A, KEY_B):
            for purpose in (READ_KEY, b"W", b"B", MAIL_KEY):
                with pytest.raises(AuthFailed):
                    key = sector_key(purse, card.uid, purpose, sector)
                    classic.authenticate(4 * sector, key, key_type)


def test_who_has_the_mail_keys_changes_no_key_and_works_no_value():
    """A stolen lock can spoil letters. It makes no money, and locks nobody out."""
    desk, card = Desk(), mail_card("classic")
    desk.place(card)
    classic, read = Classic(desk.pcd, desk.pcd.poll()), Cmac(aes(MASTERS.read))
    for sector in range(5, 16):
        for key_type, purpose in ((KEY_A, READ_KEY), (KEY_B, MAIL_KEY)):
            key = sector_key(read, card.uid, purpose, sector)
            for act in (
                lambda s: classic.write(4 * s + 3, bytes(16)),
                lambda s: classic.restore(4 * s),
                lambda s: classic.decrement(4 * s, 1),
                lambda s: classic.increment(4 * s, 1),
            ):
                classic.reselect()
                classic.authenticate(4 * sector, key, key_type)
                with pytest.raises((CardGone, CardRefused)):
                    act(sector)
    assert rest(card) == rest(mail_card("classic"))


# -- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKES)
def test_how_long_a_piece_takes(make):
    """On the air, on the bus and in the card; what bytecode adds stands in docs/cards.md."""
    table, spans = Table(make), {"heads": 0, "read": 0, "write": 0, "letter": 0}
    desk, letter = table.desk, bytes(range(160))

    def timed(name, act):
        _, _, _, took_us = desk.counted(act)
        spans[name] = max(spans[name], took_us)

    card = desk.pcd.poll()
    timed("heads", lambda: table.mail.heads(card))
    writing = table.mail.put(card, 0, mailbox.head_of(LOCK, STAMP, letter), letter)
    begin_us = desk.clock.now_us
    while writing.gi_frame is not None:
        desk.pcd.poll()
        timed("write", lambda: next(writing, None))
    spans["letter"] = desk.clock.now_us - begin_us
    head, found = table.mail.heads(card)[0], bytearray()
    reading = table.mail.get(card, 0, head, found)
    for _ in range(5):
        desk.pcd.poll()
        timed("read", lambda: next(reading, None))
    assert bytes(found) == letter
    print(make, {name: f"{us / 1000:.1f} ms" for name, us in spans.items()})
    assert spans["write"] < 50_000  # the longest piece; a door's step has 150 ms
