"""The purse under a hand that pulls the card away, on the register model.

A debit is torn before every bus transaction and every 0.9 ms of it, for several
random EEPROM outcomes. Whatever it returned must be what any later reading of the card says.
"""

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mfrc522 import BusFault
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from protocols.card.identity import ForeignCard
from protocols.card.personalise import encode_value
from protocols.card.purse import COUNTER_MAX
from protocols.card.purse_classic import RECORD_BLOCKS, STATE_BLOCKS, VALUE_BLOCKS
from simulator.cards.mifare_classic import factory_blocks
from tests.drivers.desk import BALANCE_FEN, UID4, UID7, Desk, new_card

AMOUNT_FEN = 350
TIME_S = 1_700_000_000
DEVICE = 1001
# What an interrupted write leaves behind -> seeds to try it with; two of them need no dice.
TORN = {"mixed": range(3), "erased": range(2), "old": range(1), "new": range(1)}


def spend(purse, view, seq=7, amount_fen=AMOUNT_FEN):
    """One debit with plausible spend state."""
    return purse.debit(view, amount_fen, DEVICE, seq, TIME_S + seq, 19_700, 900, 700, 2)


class Tap:
    """A card before a reader, `spent` times debited already, so that both slots come in turn."""

    def __init__(self, seed=0, torn="mixed", spent=0, uid=UID4):
        self.desk = Desk(seed)
        self.card = new_card(uid, seed)
        self.card.torn = torn
        self.desk.place(self.card)
        self.purse = self.desk.purse(self.desk.pcd.poll())
        for seq in range(1, spent + 1):
            assert spend(self.purse, self.purse.read(), seq) == COMMITTED
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
        self.desk.clock.at(
            self.desk.clock.now_us + delay_us, lambda: self.desk.field.remove(self.card)
        )

    def read_again(self):
        """Lay the card down anew and read it, as any reader would."""
        self.desk.model.before_exchange = None
        self.desk.field.remove(self.card)
        assert self.desk.pcd.poll() is None
        self.desk.place(self.card)
        return self.desk.purse(self.desk.pcd.poll()).read()


def check_torn(tap, result):
    """What must hold after a debit that may have been torn; True when the money has moved."""
    before, after = tap.view.balance_fen, tap.view.balance_fen - AMOUNT_FEN
    view = tap.read_again()
    assert view.balance_fen in (before, after)
    moved = view.balance_fen == after
    if result == COMMITTED:
        assert moved
    if result == NOT_COMMITTED:
        assert not moved
    assert view.counter == tap.view.counter + moved
    told = (view.last_device, view.last_seq, view.last_amount_fen)
    if moved:
        assert told == (DEVICE, 7, AMOUNT_FEN)
    else:
        old = tap.view
        assert told == (old.last_device, old.last_seq, old.last_amount_fen)
    assert tap.desk.model.violations == []
    # The card is as good as before: the next debit goes through from whichever slot rules.
    purse = tap.desk.purse(tap.desk.pcd.card)
    assert spend(purse, purse.read(), seq=8) == COMMITTED
    assert purse.read().balance_fen == view.balance_fen - AMOUNT_FEN
    return moved


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spent", [0, 1])
def test_torn_before_every_exchange(seed, spent):
    whole = Tap(seed, spent=spent)
    _, exchanges, _, _ = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    seen = set()
    for exchange in range(exchanges + 1):
        tap = Tap(seed, spent=spent)
        tap.tear_before(exchange)
        result = spend(tap.purse, tap.view)
        seen.add((result, check_torn(tap, result)))
    assert (NOT_COMMITTED, False) in seen
    assert (COMMITTED, True) in seen  # torn only after the last acknowledge


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("spent", [0, 1])
def test_torn_at_every_moment(torn, spent):
    whole = Tap(torn=torn, spent=spent)
    _, _, _, duration_us = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    seen = set()
    for seed in TORN[torn]:
        for delay_us in range(0, duration_us, 900):
            tap = Tap(seed, torn, spent)
            tap.tear_in(delay_us)
            result = spend(tap.purse, tap.view)
            seen.add((result, check_torn(tap, result)))
    # Only a card pulled while it writes the commit leaves the question open.
    assert (UNKNOWN, torn == "new") in seen
    assert (NOT_COMMITTED, False) in seen


@pytest.mark.parametrize("spent", [0, 1])
@pytest.mark.parametrize(("uid", "rejoin"), [(UID4, 0), (UID4, 39), (UID7, 44)])
def test_budget_of_a_spend(uid, spent, rejoin):
    """Bus transactions of a reading and a debit; `rejoin` is what a poll in between costs more."""
    tap = Tap(uid=uid, spent=spent)
    view, transactions, _, _ = tap.desk.counted(tap.purse.read)
    assert transactions <= 52
    if rejoin:
        assert tap.desk.pcd.poll() is not None
    result, transactions, _, _ = tap.desk.counted(lambda: spend(tap.purse, view))
    assert result == COMMITTED
    # R1 stands in a sector of its own, so the first debit opens one sector more than the second.
    assert transactions <= (67 if spent else 71) + rejoin


def test_torn_twice_then_once_more():
    """A card that is torn again and again never leaves its two last states."""
    for seed in range(4):
        tap = Tap(seed)
        left = BALANCE_FEN
        for seq in range(1, 40):
            view = tap.purse.read()
            assert view.balance_fen == left
            tap.tear_in(1_000 + 700 * seq + 17 * seed)
            result = spend(tap.purse, view, seq)
            again = tap.read_again()
            moved = again.last_seq == seq
            assert again.balance_fen == left - AMOUNT_FEN * moved
            assert result == UNKNOWN or moved == (result == COMMITTED)
            left = again.balance_fen
            tap.purse = tap.desk.purse(tap.desk.pcd.card)


@pytest.mark.parametrize("uid", [UID4, UID7])
def test_spends_add_up(uid):
    tap = Tap(uid=uid)
    for seq in range(1, 21):
        view = tap.purse.read()
        assert (view.counter, view.balance_fen) == (seq - 1, BALANCE_FEN - AMOUNT_FEN * (seq - 1))
        assert spend(tap.purse, view, seq) == COMMITTED
    view = tap.read_again()
    assert (view.card_no, view.kind, view.valid_from, view.valid_to) == (4711, 1, 20_000, 22_000)
    assert (view.day, view.day_total_fen, view.since_pin_fen) == (19_700, 900, 700)
    assert (view.since_pin_count, view.pin_tries) == (2, 0)
    assert (view.last_device, view.last_seq) == (DEVICE, 20)
    assert (view.last_time_s, view.last_amount_fen) == (TIME_S + 20, AMOUNT_FEN)
    assert tap.desk.model.violations == []


def test_pin_tries_are_carried_over():
    tap = Tap()
    tap.view.pin_tries = 3
    assert spend(tap.purse, tap.view) == COMMITTED
    assert tap.purse.read().pin_tries == 3


@pytest.mark.parametrize(
    ("amount_fen", "seq"), [(0, 7), (-1, 7), (BALANCE_FEN + 1, 7), (1 << 24, 7), (1, 1 << 32)]
)
def test_impossible_debit_does_not_touch_the_card(amount_fen, seq):
    tap = Tap()
    before = tap.card.image, tap.desk.model.transactions
    with pytest.raises(ValueError, match=r"amount_fen|last_seq"):
        spend(tap.purse, tap.view, seq, amount_fen)
    assert (tap.card.image, tap.desk.model.transactions) == before


def test_worn_out_counter_is_refused():
    tap = Tap()
    tap.view.counter = COUNTER_MAX
    with pytest.raises(ValueError, match="counter"):
        spend(tap.purse, tap.view)


def test_wrong_key():
    desk = Desk()
    desk.place(new_card(purse_key=bytes(16)))
    purse = desk.purse(desk.pcd.poll())
    with pytest.raises(AuthFailed):
        purse.read()
    assert desk.pcd.poll() is not None  # and the card is still there


def test_factory_card_is_not_ours():
    desk = Desk()
    card = new_card()
    card.blocks = factory_blocks(UID4)
    desk.place(card)
    with pytest.raises(AuthFailed):
        desk.purse(desk.pcd.poll()).read()


def test_foreign_mac_key():
    desk = Desk()
    desk.place(new_card(mac_key=bytes(16)))
    with pytest.raises(ForeignCard):
        desk.purse(desk.pcd.poll()).read()


def test_what_speaks_neither_language_is_foreign():
    desk = Desk()
    desk.place(new_card())
    card = desk.pcd.poll()
    card.sak = 0x00
    with pytest.raises(ForeignCard):
        desk.purse(card)


@pytest.mark.parametrize("block", [4, VALUE_BLOCKS[0], STATE_BLOCKS[0], RECORD_BLOCKS[0]])
def test_every_flipped_byte_on_the_card_is_seen(block):
    for position in range(16 if block != VALUE_BLOCKS[0] else 12):
        desk = Desk()
        card = new_card()
        content = bytearray(card.blocks[block])
        content[position] ^= 1
        card.blocks[block] = bytes(content)
        desk.place(card)
        with pytest.raises(ForeignCard):
            desk.purse(desk.pcd.poll()).read()


def test_forged_balance_is_foreign():
    desk = Desk()
    card = new_card()
    card.blocks[VALUE_BLOCKS[0]] = encode_value(BALANCE_FEN * 2, 8)
    desk.place(card)
    with pytest.raises(ForeignCard):
        desk.purse(desk.pcd.poll()).read()


def test_image_of_another_card_is_foreign():
    """A clone of the blocks on a card with another UID, keys diversified for that one."""
    desk = Desk()
    card, other = new_card(), new_card(uid=bytes.fromhex("0badcafe"))
    for block in (4, *VALUE_BLOCKS, *STATE_BLOCKS, *RECORD_BLOCKS):
        card.blocks[block] = other.blocks[block]
    desk.place(card)
    with pytest.raises(ForeignCard):
        desk.purse(desk.pcd.poll()).read()


def test_stale_view_moves_nothing():
    """The card was used elsewhere between reading and debit."""
    tap = Tap(spent=1)
    stale = tap.view
    desk = tap.desk
    desk.field.remove(tap.card)
    desk.pcd.poll()
    desk.place(tap.card)
    elsewhere = desk.purse(desk.pcd.poll())
    assert spend(elsewhere, elsewhere.read(), seq=5) == COMMITTED
    image = tap.card.image
    assert spend(tap.purse, stale, seq=6) == NOT_COMMITTED
    assert tap.card.image == image


@pytest.mark.parametrize("read_between", [False, True])
def test_the_same_view_pays_once(read_between):
    """A button pressed twice: the second debit would overwrite the slot that rules now."""
    tap = Tap()
    assert spend(tap.purse, tap.view, seq=5) == COMMITTED
    image = tap.card.image
    if read_between:
        tap.purse.read()
    assert spend(tap.purse, tap.view, seq=6) == NOT_COMMITTED
    assert tap.card.image == image


def test_view_survives_a_poll():
    """While the customer types a PIN the card is polled; the debit joins it again."""
    tap = Tap()
    for _ in range(5):
        assert tap.desk.pcd.poll() is not None
    assert spend(tap.purse, tap.view) == COMMITTED
    assert tap.purse.read().balance_fen == BALANCE_FEN - AMOUNT_FEN


def ignoring(card, *worn):
    """Make the card acknowledge writes to some blocks and keep what stood there."""
    program = card._program

    def lie(number, new, now):
        return card._nibble(0xA) if number in worn else program(number, new, now)

    card._program = lie


@pytest.mark.parametrize(
    ("block", "result"),
    [
        (RECORD_BLOCKS[1], NOT_COMMITTED),
        (VALUE_BLOCKS[1], NOT_COMMITTED),
        (STATE_BLOCKS[1], UNKNOWN),
    ],
)
def test_worn_block_is_never_a_commit(block, result):
    tap = Tap()
    ignoring(tap.card, block)
    assert spend(tap.purse, tap.view) == result
    assert str(block) in str(tap.purse.fault)
    del tap.card._program
    assert not check_torn(tap, result)


@pytest.mark.parametrize("refusal", [AuthFailed("sector 3"), CardRefused(0x5)])
def test_what_a_card_acknowledges_and_then_hides_is_no_commit(refusal):
    """Four bits of noise looked like its acknowledge, and more noise keeps it from being read."""
    tap = Tap()
    classic, commits = tap.purse._classic, []
    begin_write, finish_write, read = classic.begin_write, classic.finish_write, classic.read

    def begin(block):
        commits.extend([block] * (block in STATE_BLOCKS))
        begin_write(block)

    def finish(data):
        if len(commits) != 1:  # of the first commit the card gets nothing whole
            finish_write(data)

    def read_back(block):
        if len(commits) == 1 and block == commits[0]:
            commits.append(0)
            raise refusal
        return read(block)

    classic.begin_write, classic.finish_write, classic.read = begin, finish, read_back
    result = spend(tap.purse, tap.view)
    assert 0 in commits
    assert check_torn(tap, result) == (result == COMMITTED)


def test_commit_is_not_finished_on_a_card_that_has_moved_on():
    tap = Tap()
    program = tap.card._program

    def move_on(number, new, now):
        answer = program(number, new, now)
        if number != STATE_BLOCKS[1]:
            return answer
        tap.card.blocks[STATE_BLOCKS[0]] = bytes(16)
        return None

    tap.card._program = move_on
    writes = tap.card.eeprom_writes
    assert spend(tap.purse, tap.view) == UNKNOWN
    assert tap.card.eeprom_writes == writes + 3


EFFECTS = ["flip_command", "flip_answer", "parity", "lose_command", "lose_answer", "noise"]


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("spent", [0, 1])
def test_one_disturbed_frame_is_survived(effect, spent):
    """Wherever one frame is damaged, the debit ends right, and is finished if it was begun."""
    whole = Tap(spent=spent)
    start = whole.desk.field.frames
    assert spend(whole.purse, whole.view) == COMMITTED
    for frame in range(whole.desk.field.frames - start):
        tap = Tap(spent=spent)
        tap.desk.field.disturb(effect, 3 + frame, after=frame)
        assert spend(tap.purse, tap.view) == COMMITTED, frame
        assert check_torn(tap, COMMITTED)


@pytest.mark.parametrize("effect", EFFECTS)
def test_reading_survives_one_disturbed_frame(effect):
    whole = Tap()
    start = whole.desk.field.frames
    whole.purse.read()
    for frame in range(whole.desk.field.frames - start):
        tap = Tap()
        tap.desk.field.disturb(effect, 3 + frame, after=frame)
        assert tap.purse.read().balance_fen == BALANCE_FEN, frame


@pytest.mark.parametrize("seed", range(8))
def test_a_storm_never_lies(seed):
    """Every third frame or so is damaged: results may be poor, but they are true."""
    tap = Tap(seed)
    for frame in range(seed, 400, 3):
        tap.desk.field.disturb(EFFECTS[frame % len(EFFECTS)], frame, after=frame)
    result = spend(tap.purse, tap.view)
    tap.desk.field._effects.clear()
    check_torn(tap, result)


@pytest.mark.parametrize("fault", ["brown_out", "miso"])
def test_chip_fault_at_every_exchange(fault):
    whole = Tap()
    _, exchanges, _, _ = whole.desk.counted(lambda: spend(whole.purse, whole.view))
    for exchange in range(exchanges):
        tap = Tap()
        last = tap.desk.model.transactions + exchange

        def strike(number, tap=tap, last=last):
            if number == last:
                if fault == "brown_out":
                    tap.desk.model.brown_out()
                else:
                    tap.desk.model.miso = 0xFF

        tap.desk.model.before_exchange = strike
        result = spend(tap.purse, tap.view)
        tap.desk.model.miso = None
        tap.desk.model.violations.clear()  # talking to a chip that has not woken up yet
        check_torn(tap, result)


def test_torn_while_reading():
    whole = Tap()
    _, exchanges, _, _ = whole.desk.counted(whole.purse.read)
    for exchange in range(exchanges - 1):
        tap = Tap()
        tap.tear_before(exchange)
        with pytest.raises(CardGone):
            tap.purse.read()
        assert tap.read_again().balance_fen == BALANCE_FEN


def test_dead_chip_while_reading():
    tap = Tap()
    tap.desk.model.miso = 0x00
    with pytest.raises(BusFault):
        tap.purse.read()
    tap.desk.model.miso = None
    assert tap.read_again().balance_fen == BALANCE_FEN


# -- generations of keys --------------------------------------------------------------------


OLD_PURSE_KEY, OLD_MAC_KEY = bytes(range(80, 96)), bytes(range(96, 112))
OLD = {"previous_purse_key": OLD_PURSE_KEY, "previous_mac_key": OLD_MAC_KEY}


@pytest.mark.parametrize("is_old", [False, True])
def test_while_keys_change_both_generations_are_served(is_old):
    keys = {"purse_key": OLD_PURSE_KEY, "mac_key": OLD_MAC_KEY} if is_old else {}
    desk, card = Desk(**OLD), new_card(**keys)
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    view = purse.read()
    assert view.balance_fen == BALANCE_FEN
    assert spend(purse, view) == COMMITTED
    assert purse.read().balance_fen == BALANCE_FEN - AMOUNT_FEN
    assert desk.model.violations == []


def test_a_generation_that_is_over_is_refused():
    desk = Desk()
    desk.place(new_card(purse_key=OLD_PURSE_KEY, mac_key=OLD_MAC_KEY))
    with pytest.raises(AuthFailed):
        desk.purse(desk.pcd.poll()).read()


def test_a_card_of_neither_generation_is_refused():
    desk = Desk(**OLD)
    desk.place(new_card(purse_key=bytes(16)))
    with pytest.raises(AuthFailed):
        desk.purse(desk.pcd.poll()).read()
