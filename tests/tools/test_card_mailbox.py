"""The mailbox at the desk: cards that are made with one, and cards of before that get one."""

import random
from dataclasses import replace

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed
from firmware.services.card_mail import CardMail
from firmware.services.credential import Credentials
from protocols.card import mailbox
from protocols.card import personalise_desfire as desk_of
from protocols.card import purse_desfire as layout
from simulator.cardbox_desfire import CIPHERS, drive
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desfire_desk import card_keys, new_desfire
from tests.drivers.desk import Desk
from tests.tools.cards import (
    KEYS,
    ORDER,
    ORDER_WORDS,
    OTHER_KEYS,
    assert_no_key,
    blank,
    desk_with,
    deviations,
    onecard,
    reader_view,
    spend,
    write,
    write_keys,
    written,
)
from tools.card import classic
from tools.card.order import ALREADY, WRITTEN

MAIL_KEYS = replace(KEYS, read_key=b"r" * 16)


def heads(card):
    """What a door finds in the mailbox of a card."""
    desk = Desk(read_key=MAIL_KEYS.read_key)
    desk.place(card)
    return CardMail(desk.pcd, Credentials(desk, desk.pcd)).heads(desk.pcd.poll())


def add(card, keys=MAIL_KEYS):
    return classic.add_mailbox(desk_with(card).card(), keys)


def test_a_card_made_with_the_read_key_has_an_empty_one():
    card = blank()
    assert write(card, keys=MAIL_KEYS) == WRITTEN and write(card, keys=MAIL_KEYS) == ALREADY
    assert heads(card) == [None] * mailbox.SLOTS and deviations(card, MAIL_KEYS) == []
    assert reader_view(card).balance_fen == ORDER.balance_fen


def test_letters_are_no_deviation_and_survive_a_look():
    card = blank()
    write(card, keys=MAIL_KEYS)
    for block in (20, 21, 24, 62):
        card.blocks[block] = bytes(range(16))
    assert deviations(card, MAIL_KEYS) == [] and card.blocks[24] == bytes(range(16))


def test_a_card_of_before_gets_one_and_keeps_its_money():
    card = written()
    spend(card)
    before = reader_view(card)
    with pytest.raises(AuthFailed):
        heads(card)
    assert deviations(card, MAIL_KEYS) == [], "it is as it was made"
    assert add(card) and not add(card)
    assert heads(card) == [None] * mailbox.SLOTS and deviations(card, MAIL_KEYS) == []
    after = reader_view(card)
    assert (after.balance_fen, after.counter) == (before.balance_fen, before.counter)


def test_a_card_that_is_not_ours_gets_none():
    card = written(keys=OTHER_KEYS)
    before = list(card.blocks)
    with pytest.raises(AuthFailed):
        add(card)
    assert list(card.blocks) == before


@pytest.mark.parametrize("torn", ["old", "new"])
def test_torn_at_any_frame_it_is_run_again(torn):
    """A trailer torn inside is a matter of luck, as with a new card: test_card_classic.py."""
    whole = written(seed=1)
    desk = desk_with(whole)
    classic.add_mailbox(desk.card(), MAIL_KEYS)
    frames = desk.board.field.frames
    for frame in range(5, frames, 41):
        card = MifareClassic(written().uid, written().blocks, random.Random(frame))
        card.torn = torn
        desk = desk_with(card)
        send = desk.board.field.send

        def sending(sent, now, desk=desk, card=card, send=send, last=frame):
            if desk.board.field.frames == last:
                desk.board.field.remove(card)
            return send(sent, now)

        desk.board.field.send = sending
        with pytest.raises((AuthFailed, CardGone)):
            classic.add_mailbox(desk.card(), MAIL_KEYS)
        assert reader_view(card).balance_fen == ORDER.balance_fen
        add(card)
        assert heads(card) == [None] * mailbox.SLOTS and deviations(card, MAIL_KEYS) == []
    print(frames, "frames")


def test_the_command(tmp_path):
    tray, keys = tmp_path / "card.json", write_keys(tmp_path / "keys.toml")
    place = ("--tray", tray, "--keys", keys)
    made = ("--blank", "--uid", "04a1b2c3d4e5f6", *ORDER_WORDS)
    assert onecard("personalise", *place, *made).exit_code == 0
    refused = onecard("mailbox", *place)
    assert refused.exit_code and "read_key" in refused.output
    keys.write_text(keys.read_text() + f'read_key = "{MAIL_KEYS.read_key.hex()}"\n')
    first, again = onecard("mailbox", *place), onecard("mailbox", *place)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "has a mailbox now" in first.output and "has one" in again.output
    assert onecard("verify", *place).exit_code == 0
    assert_no_key(first.output, bytes.fromhex("04a1b2c3d4e5f6"), MAIL_KEYS)


def test_a_desfire_of_before_gets_one_too():
    card, keys = new_desfire(), card_keys()

    def remove():
        yield from desk_of.select(layout.APPLICATION)
        key = keys.application[0]
        draw = random.Random(1).randbytes
        session = yield from desk_of.login(CIPHERS, key, layout.MASTER_KEY, draw)
        yield from desk_of.ask(session, 0xDF, bytes((layout.MAIL_FILE,)))

    drive(remove(), card)
    with pytest.raises(KeyError):
        card.truth(layout.APPLICATION, layout.MAIL_FILE)
    for is_new in (True, False):
        draw = random.Random(2).randbytes
        assert drive(desk_of.add_mailbox(CIPHERS, keys, draw), card) is is_new
    size = mailbox.BLOCKS * mailbox.BLOCK_BYTES
    assert card.truth(layout.APPLICATION, layout.MAIL_FILE) == bytes(size)
