"""Money onto a DESFire: the ledger speaks, the reader carries, and a hand pulls the card away."""

import contextlib
import random

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mifare_classic import CardRefused
from firmware.services.purse import COMMITTED
from ledger.card_credit import CreditRefused, Sold, credit
from protocols.card import ev2
from protocols.card import purse_desfire as layout
from protocols.card.personalise_desfire import RECORDS
from protocols.card.purse import BALANCE_FEN_MAX, CARD_CENTRE, RECORD_BYTES
from tests.drivers.desfire_desk import balance, card_keys, new_desfire
from tests.drivers.desk import BALANCE_FEN, CIPHERS, UID7, Desk
from tests.drivers.test_purse import DEVICE, spend

CREDIT_FEN, NUMBER, TIME_S = 5_000, 99, 1_700_000_000
KEY = card_keys().application[layout.CREDIT_KEY]


class Reader:
    """A card on a reader that hands on what the ledger says, and the card's answers."""

    def __init__(self, card=None, torn="mixed", seed=0):
        self.desk, self.card = Desk(seed), card or new_desfire(seed)
        self.card.torn = torn
        self.desk.place(self.card)
        self.heard = []
        self.attempts = {}  # what the ledger keeps: number -> the card's counter

    def carry(self, number=NUMBER, amount_fen=CREDIT_FEN, key=KEY, sold=None):
        """Lead one dialogue to its end, as far as the card is there."""
        found = self.desk.pcd.poll()
        if found is None:
            raise CardGone("nobody there")
        dep = IsoDep(self.desk.pcd, found)
        dep.activate()
        dialogue = credit(
            CIPHERS,
            key,
            amount_fen,
            number,
            TIME_S,
            random.Random(number).randbytes,
            lambda counter: self.attempts.update({number: counter}),
            self.attempts.get(number),
            sold,
        )
        try:
            command = next(dialogue)
            while True:
                answer = dep.exchange(command)
                self.heard += [command, answer]
                command = dialogue.send(answer)
        except StopIteration as end:
            return end.value

    def lay_down_anew(self):
        self.desk.model.before_exchange = None
        self.desk.field.remove(self.card)
        assert self.desk.pcd.poll() is None
        self.desk.place(self.card)

    def view(self):
        self.lay_down_anew()
        return self.desk.purse(self.desk.pcd.poll()).read()


def test_a_credit_is_on_the_card_and_says_whose():
    reader = Reader()
    told = reader.carry()
    view = reader.view()
    assert view.balance_fen == told.balance_fen == BALANCE_FEN + CREDIT_FEN
    assert view.counter == told.counter == 1
    assert (view.last_device, view.last_seq) == (CARD_CENTRE, NUMBER)
    assert len(told.transaction_mac) == 12 and told.transaction_mac[0] == 1
    assert reader.card.violations == [] and reader.desk.model.violations == []


def test_the_reader_never_sees_a_key():
    reader = Reader()
    reader.carry()
    said = b"".join(reader.heard)
    assert len(said) > 300
    keys = card_keys()
    for key in (*keys.application, keys.transaction, keys.picc):
        assert all(key[at : at + 6] not in said for at in range(10))


@pytest.mark.parametrize("steps", [0, 1, 3, 6, 7])
@pytest.mark.parametrize("is_true", [True, False])
def test_the_money_of_a_sale_that_never_was_does_not_come(steps, is_true):
    """A reader may make up a sale and cancel it: the card tells, as far back as is asked."""
    reader = Reader()
    spend_on(reader, steps)
    sold = Sold(0, (DEVICE, 1 if is_true else 99))
    is_told = steps <= 6 and not is_true
    if steps and not is_told:
        assert reader.carry(sold=sold).transaction_mac
        assert balance(reader.card) == BALANCE_FEN - steps * 350 + CREDIT_FEN
        return
    with pytest.raises(CreditRefused, match="another step" if steps else "never sold"):
        reader.carry(sold=sold)
    assert balance(reader.card) == BALANCE_FEN - steps * 350 and reader.attempts == {}


def test_the_same_credit_comes_once():
    reader = Reader()
    assert reader.carry().transaction_mac
    for _ in range(3):
        reader.lay_down_anew()
        assert reader.carry().transaction_mac == b""
    assert balance(reader.card) == BALANCE_FEN + CREDIT_FEN


def test_the_same_credit_comes_once_whatever_was_bought_in_between():
    reader = Reader()
    reader.carry()
    for seq in range(1, 10):
        reader.lay_down_anew()
        purse = reader.desk.purse(reader.desk.pcd.poll())
        assert spend(purse, purse.read(), seq=seq) == COMMITTED
        reader.lay_down_anew()
        assert reader.carry().transaction_mac == b""
    assert balance(reader.card) == BALANCE_FEN + CREDIT_FEN - 9 * 350


def spend_on(reader, spends):
    """The card goes on, elsewhere or here, and the ledger hears nothing of it."""
    for seq in range(1, spends + 1):
        reader.lay_down_anew()
        purse = reader.desk.purse(reader.desk.pcd.poll())
        assert spend(purse, purse.read(), seq=seq) == COMMITTED
    reader.lay_down_anew()


@pytest.mark.parametrize("is_done", [False, True])
def test_a_ring_that_has_forgotten_the_attempt_is_no_proof(is_done):
    """The answer was lost, and ten more credits came: nobody guesses."""
    reader = Reader()
    if is_done:
        reader.carry()
    else:
        reader.attempts[NUMBER] = 0  # noted, and the commit was never heard
    for number in range(1, RECORDS + 1):
        reader.lay_down_anew()
        assert reader.carry(number).transaction_mac
    spend_on(reader, 1)
    before = balance(reader.card)
    with pytest.raises(CreditRefused, match="forgotten"):
        reader.carry()
    assert balance(reader.card) == before


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("others", [0, 1, RECORDS - 1])
@pytest.mark.parametrize("spends", [0, 1, RECORDS + 1])
def test_spends_do_not_make_the_ring_forget(is_done, others, spends):
    """The answer was lost: the credit is found there, or made good, and there once."""
    reader = Reader()
    reader.attempts[NUMBER] = 0
    if is_done:
        reader.carry()
    for number in range(1, others + 1):
        reader.lay_down_anew()
        reader.carry(number)
    spend_on(reader, spends)
    assert (reader.carry().transaction_mac == b"") == is_done
    assert balance(reader.card) == BALANCE_FEN + (others + 1) * CREDIT_FEN - spends * 350


@pytest.mark.parametrize("spends", [RECORDS, RECORDS + 1])
def test_a_ring_that_is_full_tells_as_far_back_as_the_counter_says(spends):
    """As on a card whose spends stand in its ring: ten records ago, or nobody knows."""
    reader = Reader()
    for number in range(1, RECORDS + 1):
        reader.carry(number)
        reader.lay_down_anew()
    reader.attempts[NUMBER] = RECORDS
    spend_on(reader, spends)
    if spends > RECORDS:
        with pytest.raises(CreditRefused, match="forgotten"):
            reader.carry()
    else:
        assert reader.carry().transaction_mac


@pytest.mark.parametrize("code", [layout.WRITE_RECORD, layout.READ_RECORDS])
def test_a_reader_may_not_touch_the_ring(code):
    """With its key it could push a credit out, or read what a card has had."""
    reader = Reader()
    reader.carry()
    reader.lay_down_anew()
    purse = reader.desk.purse(reader.desk.pcd.poll())
    purse.read()
    if code == layout.WRITE_RECORD:
        command = layout.place(layout.CREDITS_FILE, RECORD_BYTES), bytes(RECORD_BYTES)
    else:
        command = layout.place(layout.CREDITS_FILE, 0), b""
    with pytest.raises(CardRefused) as refusal:
        purse._ask(code, *command)
    assert refusal.value.nak == ev2.AUTHENTICATION_ERROR


def test_the_attempt_is_noted_before_the_card_can_change():
    whole = Reader()
    _, exchanges, _, _ = whole.desk.counted(whole.carry)
    changed = 0
    for exchange in range(exchanges):
        reader = Reader(torn="new", seed=exchange)
        last = reader.desk.model.transactions + exchange

        def pull(number, reader=reader, last=last):
            if number == last:
                reader.desk.field.remove(reader.card)

        reader.desk.model.before_exchange = pull
        with contextlib.suppress(CardGone, ev2.CardStatus, ev2.NotGenuine):
            reader.carry()
        if balance(reader.card) != BALANCE_FEN:
            changed += 1
            assert reader.attempts == {NUMBER: 0}
    assert changed


def test_the_next_credit_is_another_one():
    reader = Reader()
    reader.carry()
    reader.lay_down_anew()
    assert reader.carry(NUMBER + 1).transaction_mac
    assert balance(reader.card) == BALANCE_FEN + 2 * CREDIT_FEN


@pytest.mark.parametrize("torn", ["old", "new", "mixed"])
def test_torn_before_every_exchange_it_comes_exactly_once(torn):
    whole = Reader()
    _, exchanges, _, _ = whole.desk.counted(whole.carry)
    was_there = set()
    for exchange in range(exchanges):
        reader = Reader(torn=torn, seed=exchange)
        last = reader.desk.model.transactions + exchange

        def pull(number, reader=reader, last=last):
            if number == last:
                reader.desk.field.remove(reader.card)

        reader.desk.model.before_exchange = pull
        try:
            reader.carry()
        except (CardGone, ev2.CardStatus, ev2.NotGenuine):
            assert balance(reader.card) in (BALANCE_FEN, BALANCE_FEN + CREDIT_FEN)
        reader.lay_down_anew()
        told = reader.carry()
        was_there.add(told.transaction_mac == b"")
        assert told.balance_fen == balance(reader.card) == BALANCE_FEN + CREDIT_FEN
        assert told.counter == 1
    assert was_there >= {False, True} if torn != "old" else was_there >= {False}


def test_a_reader_that_changes_the_amount_is_found_out():
    """It turns a bit of what it carries: the card refuses, and nothing is credited."""
    for step in range(3, 12):  # behind the login, which proves itself
        reader = Reader()
        dep_exchange = IsoDep.exchange
        seen = []

        def lying(self, command, expected=2, seen=seen, step=step, exchange=dep_exchange):
            seen.append(command)
            if len(seen) == step + 1:
                command = command[:-9] + bytes((command[-9] ^ 1,)) + command[-8:]
            return exchange(self, command, expected)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IsoDep, "exchange", lying)
            with pytest.raises(ev2.CardStatus):
                reader.carry()
        assert balance(reader.card) == BALANCE_FEN


@pytest.mark.parametrize("amount_fen", [0, -1, 1 << 24])
def test_an_amount_that_cannot_be_is_refused(amount_fen):
    reader = Reader()
    with pytest.raises(CreditRefused, match="amount_fen"):
        reader.carry(amount_fen=amount_fen)
    assert balance(reader.card) == BALANCE_FEN


def test_a_balance_that_would_not_fit_is_refused():
    reader = Reader(new_desfire(balance_fen=BALANCE_FEN_MAX - CREDIT_FEN + 1))
    with pytest.raises(CreditRefused):
        reader.carry()


@pytest.mark.parametrize("key_no", [layout.SPEND_KEY, layout.READ_KEY, layout.UID_KEY])
def test_no_other_key_of_the_card_credits(key_no):
    reader = Reader()
    with pytest.raises(ev2.CardStatus) as refused:
        reader.carry(key=card_keys().application[key_no])
    assert refused.value.status == ev2.AUTHENTICATION_ERROR
    assert balance(reader.card) == BALANCE_FEN


def test_another_cards_key_does_not_credit():
    reader = Reader()
    other = card_keys(UID7[:-1] + b"\0").application[layout.CREDIT_KEY]
    with pytest.raises(ev2.CardStatus):
        reader.carry(key=other)
