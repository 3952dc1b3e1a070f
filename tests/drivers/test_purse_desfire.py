"""The purse on a DESFire under a hand that pulls the card away, on the register model.

A debit is torn before every bus transaction and at every 0.9 ms of it. Whatever it returned must
be what any later reading of the card says.
"""

import random

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from protocols.card import ev2, personalise_desfire, transaction_mac
from protocols.card import purse_desfire as layout
from protocols.card.identity import ForeignCard
from protocols.card.personalise_desfire import RECORDS, decode_ring
from protocols.card.purse import COUNTER_MAX
from simulator.cards.desfire import Desfire
from tests.drivers.desfire_desk import IDENTITY, balance, card_keys, drive, new_desfire
from tests.drivers.desk import BALANCE_FEN, CIPHERS, UID7, Desk
from tests.drivers.test_purse import AMOUNT_FEN, DEVICE, spend

OLD_KEY = bytes(range(80, 96))
CLEAR_RECORD_FILE = 0xEB


class Tap:
    """A card lies on the reader and has been read."""

    def __init__(self, torn="mixed", spent=0, seed=0, **options):
        self.desk, self.card = Desk(seed), new_desfire(seed, **options)
        self.card.torn = torn
        self.desk.place(self.card)
        self.purse = self.desk.purse(self.desk.pcd.poll())
        for seq in range(spent):
            assert spend(self.purse, self.purse.read(), seq=seq + 1) == COMMITTED
        self.view = self.purse.read()

    def tear_before(self, exchange):
        """Pull the card before the transaction of that number, counted from now."""
        last = self.desk.model.transactions + exchange

        def pull(number):
            if number == last:
                self.desk.field.remove(self.card)

        self.desk.model.before_exchange = pull

    def tear_in(self, delay_us):
        """Pull the card that much later."""
        when = self.desk.clock.now_us + delay_us
        self.desk.clock.at(when, lambda: self.desk.field.remove(self.card))

    def read_again(self):
        """Lay the card down anew and read it, as any reader would."""
        self.desk.model.before_exchange = None
        self.desk.field.remove(self.card)
        assert self.desk.pcd.poll() is None
        self.desk.place(self.card)
        self.purse = self.desk.purse(self.desk.pcd.poll())
        return self.purse.read()


def check_torn(tap, result):
    """What must hold after a debit that may have been torn; True when the money has moved."""
    view = tap.read_again()
    moved = view.counter - tap.view.counter
    assert moved in {COMMITTED: (1,), NOT_COMMITTED: (0,), UNKNOWN: (0, 1)}[result]
    assert view.balance_fen == tap.view.balance_fen - moved * AMOUNT_FEN
    old = tap.view
    told = (view.last_device, view.last_seq, view.last_amount_fen)
    untold = (old.last_device, old.last_seq, old.last_amount_fen)
    assert told == ((DEVICE, 7, AMOUNT_FEN) if moved else untold)
    assert tap.card.violations == [] and tap.desk.model.violations == []
    # The card is as good as before: the next debit goes through.
    assert spend(tap.purse, view, seq=8) == COMMITTED
    assert balance(tap.card) == view.balance_fen - AMOUNT_FEN
    return bool(moved)


def test_a_debit_is_on_the_card_and_says_whose():
    tap = Tap()
    assert spend(tap.purse, tap.view) == COMMITTED
    view = tap.read_again()
    assert view.balance_fen == BALANCE_FEN - AMOUNT_FEN == balance(tap.card)
    assert (view.counter, view.last_device, view.last_seq) == (1, DEVICE, 7)
    assert (view.day, view.day_total_fen, view.since_pin_fen) == (19_700, 900, 700)
    assert (view.card_no, view.kind, view.uid) == (4711, 1, UID7)
    assert tap.card.truth(layout.APPLICATION, layout.CREDITS_FILE) == []


def test_the_card_remembers_its_last_spends():
    """The newest of the ring is its state; a PIN try stands there as a record of nothing."""
    tap = Tap()
    for seq in range(1, RECORDS + 3):
        assert spend(tap.purse, tap.purse.read(), seq=seq) == COMMITTED
    view = tap.purse.read()
    assert tap.purse.count_try(view, DEVICE, 99, 0) == COMMITTED
    states = decode_ring(b"".join(tap.card.truth(layout.APPLICATION, layout.STATE_FILE)))
    told = [(state.last_seq, state.last_amount_fen, state.pin_tries) for state in states]
    assert told == [*((seq, AMOUNT_FEN, 0) for seq in range(4, RECORDS + 3)), (99, 0, 1)]
    assert states[-1].counter == tap.purse.read().counter == RECORDS + 3


@pytest.mark.parametrize("length", [-1, 1])
def test_half_a_record_is_no_ring(length):
    with pytest.raises(ForeignCard, match="size"):
        decode_ring(bytes(layout.STATE_BYTES * 2 + length))


def test_a_reader_may_not_clear_the_ring():
    """A card without a newest state is a card that nobody can use any more."""
    tap = Tap(spent=1)
    with pytest.raises(CardRefused) as refusal:
        tap.purse._ask(CLEAR_RECORD_FILE, bytes((layout.STATE_FILE,)))
    assert refusal.value.nak == ev2.AUTHENTICATION_ERROR
    assert tap.read_again().counter == 1


def test_the_card_signs_what_the_ledger_can_check():
    tap = Tap(spent=1)
    previous = tap.view.last_device, tap.view.last_seq
    assert spend(tap.purse, tap.view) == COMMITTED
    proof, view = tap.purse.card_proof, tap.purse.read()
    assert len(proof) == layout.CARD_PROOF_BYTES
    tmc, _, signed, _ = transaction_mac.parts_of(proof)
    assert tmc == view.counter == 2
    key = card_keys().transaction
    made = transaction_mac.debit_mac(CIPHERS, key, UID7, tmc, view, AMOUNT_FEN, previous)
    assert signed == made
    assert tap.purse.proof_of(view) == proof


def test_budget_of_a_whole_spend():
    """Issue 4: at most 101 SPI transactions, and 43 to select a UID of 7 bytes."""
    desk, card = Desk(), new_desfire()
    desk.pcd.poll()
    desk.place(card)
    found, select, _, _ = desk.counted(desk.pcd.poll)
    purse = desk.purse(found)
    view, read, _, _ = desk.counted(purse.read)
    result, debit, _, _ = desk.counted(lambda: spend(purse, view))
    print(f"select {select}, read {read}, debit {debit}")
    assert result == COMMITTED
    assert select <= 43 and select + read + debit <= 101


@pytest.mark.parametrize("torn", ["old", "new", "mixed"])
def test_torn_before_every_exchange(torn):
    whole = Tap(torn)
    _, exchanges, _, _ = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    seen = set()
    for exchange in range(exchanges + 1):
        tap = Tap(torn)
        tap.tear_before(exchange)
        result = spend(tap.purse, tap.view)
        seen.add((result, check_torn(tap, result)))
    assert {(NOT_COMMITTED, False), (COMMITTED, True)} <= seen
    assert seen & {(UNKNOWN, False), (UNKNOWN, True)}


@pytest.mark.parametrize("torn", ["old", "new", "mixed"])
def test_torn_at_every_moment(torn):
    whole = Tap(torn)
    _, _, _, duration_us = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    seen = set()
    for delay_us in range(0, duration_us + 900, 900):
        tap = Tap(torn, spent=1, seed=delay_us)
        tap.tear_in(delay_us)
        result = spend(tap.purse, tap.view)
        seen.add((result, check_torn(tap, result)))
    expected = {"old": {(UNKNOWN, False)}, "new": {(UNKNOWN, True)}, "mixed": set()}[torn]
    assert expected | {(NOT_COMMITTED, False), (COMMITTED, True)} <= seen


# What happens to one frame of a debit, and the card stays.
BLOWS = ("flip_command", "flip_answer", "parity", "lose_command", "lose_answer", "noise")


@pytest.mark.parametrize("blow", BLOWS)
def test_a_blow_to_every_frame_of_a_debit_is_got_over(blow):
    """The card is still there: noise delays the debit and never makes it unknown."""
    whole = Tap()
    first = whole.desk.field.frames
    spend(whole.purse, whole.view)
    for frame in range(whole.desk.field.frames - first):
        tap = Tap(spent=1, seed=frame)
        tap.desk.field.disturb(blow, 7, after=frame)
        assert spend(tap.purse, tap.view) == COMMITTED
        assert balance(tap.card) == tap.view.balance_fen - AMOUNT_FEN
        assert tap.card.truth(layout.APPLICATION, layout.TRANSACTION_MAC_FILE)[0] == 2


def test_an_answer_to_the_commit_that_never_comes_is_asked_for():
    """All its repetitions are lost; the card is looked at anew and says that it is done."""
    tap = Tap()
    whole = Tap()
    first = whole.desk.field.frames
    spend(whole.purse, whole.view)
    last = whole.desk.field.frames - first - 1
    for more in range(4):
        tap.desk.field.disturb("lose_answer", after=last + more)
    assert spend(tap.purse, tap.view) == COMMITTED
    assert isinstance(tap.purse.fault, CardGone)
    assert balance(tap.card) == BALANCE_FEN - AMOUNT_FEN
    assert tap.purse.card_proof == tap.purse.proof_of(tap.purse.read())
    assert check_proof(tap)


def check_proof(tap):
    view = tap.purse.read()
    tmc, _, signed, _ = transaction_mac.parts_of(tap.purse.card_proof)
    key = card_keys().transaction
    made = transaction_mac.debit_mac(CIPHERS, key, UID7, tmc, view, AMOUNT_FEN, (0, 0))
    return signed == made


def test_a_commit_that_was_never_heard_is_done_again_once():
    tap, whole = Tap(), Tap()
    first = whole.desk.field.frames
    spend(whole.purse, whole.view)
    last = whole.desk.field.frames - first - 1
    for more in range(3):
        tap.desk.field.disturb("lose_command", after=last + more)
    assert spend(tap.purse, tap.view) == COMMITTED
    assert balance(tap.card) == BALANCE_FEN - AMOUNT_FEN
    assert tap.card.truth(layout.APPLICATION, layout.TRANSACTION_MAC_FILE)[0] == 1


class ReadsAreNoTransaction(Desfire):
    """As some chips may be: nothing to abort after reading, and that ends the session."""

    aborts = 0

    def apply(self, command, now):
        if command[:1] == bytes((layout.ABORT_TRANSACTION,)):
            self.aborts += 1
            super().apply(command, now)
            self._forget()
            return b"\x0c", 300
        return super().apply(command, now)


def test_a_chip_that_finds_nothing_to_abort():
    card = ReadsAreNoTransaction(UID7, random.Random(0))
    card.restore(new_desfire().snapshot())
    desk = Desk()
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    assert spend(purse, purse.read()) == COMMITTED
    assert (balance(card), card.aborts) == (BALANCE_FEN - AMOUNT_FEN, 1)
    proof, view = purse.card_proof, purse.read()
    key = card_keys().transaction
    made = transaction_mac.debit_mac(CIPHERS, key, UID7, 1, view, AMOUNT_FEN, (0, 0))
    assert proof[4:12] == made


def test_an_old_view_is_not_debited():
    tap = Tap()
    old = tap.view
    assert spend(tap.purse, old) == COMMITTED
    assert spend(tap.purse, old, seq=8) == NOT_COMMITTED
    assert balance(tap.card) == BALANCE_FEN - AMOUNT_FEN


def test_a_slow_card_is_given_its_time():
    tap = Tap()
    tap.card.slow = True
    view = tap.read_again()
    assert spend(tap.purse, view) == COMMITTED
    assert balance(tap.card) == BALANCE_FEN - AMOUNT_FEN


@pytest.mark.parametrize("frames", range(0, 30, 3))
def test_a_card_that_falls_silent_costs_nothing(frames):
    tap = Tap()
    tap.card.mute_after = frames
    result = spend(tap.purse, tap.view)
    tap.card.mute_after = None
    check_torn(tap, result)


def test_a_card_with_a_random_uid_says_who_it_is():
    tap = Tap(has_random_uid=True)
    assert len(tap.desk.pcd.card.uid) == 4
    assert tap.view.uid == UID7
    assert spend(tap.purse, tap.view) == COMMITTED
    assert tap.read_again().balance_fen == BALANCE_FEN - AMOUNT_FEN


@pytest.mark.parametrize("is_old", [False, True])
def test_while_keys_change_both_generations_are_served(is_old):
    desk = Desk(previous_purse_key=OLD_KEY)
    desk.place(new_desfire(purse_key=OLD_KEY) if is_old else new_desfire())
    purse = desk.purse(desk.pcd.poll())
    assert spend(purse, purse.read()) == COMMITTED


def test_keys_are_changed_while_the_card_keeps_its_money():
    card, draw = new_desfire(purse_key=OLD_KEY), random.Random(4).randbytes
    old, new = card_keys(purse_key=OLD_KEY), card_keys(version=2)
    drive(personalise_desfire.rotate(CIPHERS, old, new, draw), card)
    desk = Desk()
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    assert spend(purse, purse.read()) == COMMITTED
    assert balance(card) == BALANCE_FEN - AMOUNT_FEN


def test_a_change_of_keys_that_was_cut_off_is_finished():
    old, new = card_keys(purse_key=OLD_KEY), card_keys(version=2)
    for cut in range(20):
        card, draw = new_desfire(purse_key=OLD_KEY), random.Random(cut).randbytes
        dialogue = personalise_desfire.rotate(CIPHERS, old, new, draw)
        command, steps = next(dialogue), 0
        try:
            while steps < cut:
                command = dialogue.send(card.apply(command, 0)[0])
                steps += 1
        except StopIteration:
            break
        card.begin()
        drive(personalise_desfire.rotate(CIPHERS, old, new, draw), card)
        desk = Desk()
        desk.place(card)
        assert desk.purse(desk.pcd.poll()).read().balance_fen == BALANCE_FEN
    assert cut > 5


def test_a_card_that_is_half_made_is_taken_by_no_reader_and_can_be_finished():
    keys, cut, taken = card_keys(), 0, 0
    while True:
        card, draw = Desfire(UID7, random.Random(0)), random.Random(cut).randbytes
        steps = personalise_desfire.personalise(CIPHERS, IDENTITY, BALANCE_FEN, keys, draw)
        try:
            command = next(steps)
            for _ in range(cut):
                command = steps.send(card.apply(command, 0)[0])
        except StopIteration:
            break
        card.begin()
        is_taken = _is_taken(card)
        taken += is_taken
        for key_no in range(personalise_desfire.KEYS):
            assert not (is_taken and _opens(card, personalise_desfire.FACTORY_KEY, key_no))
        again = personalise_desfire.personalise(CIPHERS, IDENTITY, BALANCE_FEN, keys, draw)
        if is_taken:
            with pytest.raises(personalise_desfire.AlreadyPersonal):
                drive(again, card)
        else:
            drive(again, card)
        card.begin()
        assert _is_taken(card) and balance(card) == BALANCE_FEN
        cut += 1
    assert cut > 25 and taken == 0


def _is_taken(card):
    desk = Desk()
    desk.place(card)
    try:
        return desk.purse(desk.pcd.poll()).read().balance_fen == BALANCE_FEN
    except (ForeignCard, AuthFailed):
        return False


def _opens(card, key, key_no):
    def dialogue():
        yield from personalise_desfire.select(layout.APPLICATION)
        yield from personalise_desfire.login(CIPHERS, key, key_no, bytes)

    try:
        drive(dialogue(), card)
    except ev2.CardStatus:
        return False
    return True


def test_wrong_keys():
    desk = Desk()
    desk.place(new_desfire(purse_key=OLD_KEY))
    with pytest.raises(AuthFailed):
        desk.purse(desk.pcd.poll()).read()


def test_a_card_without_our_application_is_foreign():
    desk = Desk()
    desk.place(Desfire(UID7, random.Random(0)))
    with pytest.raises(ForeignCard):
        desk.purse(desk.pcd.poll()).read()


@pytest.mark.parametrize("amount_fen", [0, -1, BALANCE_FEN + 1, 1 << 24])
def test_an_impossible_debit_does_not_touch_the_card(amount_fen):
    tap = Tap()
    transactions = tap.desk.model.transactions
    with pytest.raises(ValueError, match="amount_fen"):
        spend(tap.purse, tap.view, amount_fen=amount_fen)
    assert tap.desk.model.transactions == transactions


def test_a_worn_counter_is_refused():
    tap = Tap()
    tap.view.counter = COUNTER_MAX
    with pytest.raises(ValueError, match="counter"):
        spend(tap.purse, tap.view)


def test_a_bus_that_dies_under_the_commit_is_unknown():
    tap, whole = Tap(), Tap()
    _, exchanges, _, _ = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    seen = set()
    for at in range(exchanges - 6, exchanges):
        tap = Tap()
        last = tap.desk.model.transactions + at

        def die(number, tap=tap, last=last):
            if number == last:
                tap.desk.model.miso = 0xFF

        tap.desk.model.before_exchange = die
        result = spend(tap.purse, tap.view)
        tap.desk.model.miso = None
        tap.desk.model.before_exchange = None
        seen.add((result, check_torn(tap, result)))
    assert (UNKNOWN, True) in seen


# -- a reader's own keys --------------------------------------------------------------------


CHANGES = {
    "credit": (layout.CREDIT, bytes((layout.VALUE_FILE,)), b"\1\0\0\0"),
    "limited credit": (0x1C, bytes((layout.VALUE_FILE,)), b"\1\0\0\0"),
    "identity": (layout.WRITE_DATA, layout.place(layout.IDENTITY_FILE, 10), bytes(10)),
    "door identity": (layout.WRITE_DATA, layout.place(layout.DOOR_IDENTITY_FILE, 10), bytes(10)),
    "file settings": (0x5F, b"\3", b"\3\xee\xee"),
    "delete file": (0xDF, b"\3", b""),
    "clear records": (0xEB, b"\5", b""),
    "another key": (0xC4, b"\3", bytes(21)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_stolen_spend_key_makes_no_money_and_no_names(change):
    card, draw = new_desfire(), random.Random(2).randbytes
    desk = Desk()
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    assert spend(purse, purse.read()) == COMMITTED
    before = card.snapshot()

    def steal():
        yield from personalise_desfire.select(layout.APPLICATION)
        key = card_keys().application[layout.SPEND_KEY]
        session = yield from personalise_desfire.login(CIPHERS, key, layout.SPEND_KEY, draw)
        yield from personalise_desfire.ask(session, *CHANGES[change])
        yield from personalise_desfire.ask(session, layout.COMMIT_READER_ID, bytes(16))
        yield from personalise_desfire.ask(session, layout.COMMIT_TRANSACTION)

    with pytest.raises(ev2.CardStatus) as refusal:
        drive(steal(), card)
    assert refusal.value.status in (ev2.PERMISSION_DENIED, ev2.AUTHENTICATION_ERROR)
    card.begin()
    assert card.snapshot() == before
