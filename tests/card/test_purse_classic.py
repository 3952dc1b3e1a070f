"""Identity and purse blocks as bytes: bounds, layout, MACs, which slot rules, what comes next."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.card import purse_classic as purse
from protocols.card.diversify import Cmac
from protocols.card.identity import ForeignCard, Identity, decode_identity
from protocols.card.personalise import encode_identity, encode_value, personalise
from protocols.card.purse import (
    COUNTER_MAX,
    PurseState,
    encode_record,
    state_after,
    state_credited,
    state_with_tries,
)
from tests.drivers.desk import CREDIT_KEY, MAC_KEY, PURSE_KEY, UID4, UID7, aes

IDENTITY = Identity(0x01020304, 5, 0x0607, 0x0809, 10)
USAGE = (20_000, 900, 700, 2)


def card_mac(uid=UID4):
    """The card's own Cmac."""
    return purse.card_mac(Cmac(aes(MAC_KEY)), uid, aes)


def blank(balance_fen=10_000, uid=UID4):
    """The blocks of a new card."""
    return personalise(uid, IDENTITY, balance_fen, PURSE_KEY, CREDIT_KEY, MAC_KEY, aes)


def perform(blocks, plan):
    """What the writes of a plan leave on a card."""
    after = list(blocks)
    left = purse.decode_value(after[plan.source_block]) - plan.amount_fen
    # A transfer carries the address of its source along.
    after[plan.target_block] = encode_value(left, plan.source_block)
    after[plan.record_block] = plan.record
    after[plan.state_block] = plan.state
    return after


# ---------------------------------------------------------------- identity


def test_identity_block_is_as_documented():
    block = encode_identity(IDENTITY, UID4, card_mac())
    assert block[:10].hex() == "0102030405060708090a"
    assert block[10:] == card_mac().digest(UID4 + block[:10])[:6]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card_no", -1),
        ("card_no", 1 << 32),
        ("kind", 256),
        ("valid_from", 1 << 16),
        ("valid_to", -1),
        ("key_version", 256),
        ("kind", None),
        ("kind", "1"),
    ],
)
def test_identity_out_of_range(field, value):
    identity = Identity(1, 1, 1, 1, 1)
    setattr(identity, field, value)
    with pytest.raises(ValueError, match=field):
        encode_identity(identity, UID4, card_mac())


def test_validity_ends_after_it_begins():
    with pytest.raises(ValueError, match="valid_to before"):
        encode_identity(Identity(1, 1, 10, 9, 1), UID4, card_mac())


@pytest.mark.parametrize("bit", range(128))
def test_each_bit_of_the_identity_is_sealed(bit):
    block = bytearray(encode_identity(IDENTITY, UID4, card_mac()))
    block[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ForeignCard):
        decode_identity(block, UID4, card_mac())


def test_identity_belongs_to_one_uid():
    block = encode_identity(IDENTITY, UID4, card_mac())
    with pytest.raises(ForeignCard):
        decode_identity(block, bytes.fromhex("de3ac416"), card_mac())


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "00000000ffffffff0000000008f708f7"),
        (10_000, "10270000efd8ffff1027000008f708f7"),
        (-1, "ffffffff00000000ffffffff08f708f7"),
        (0x7FFFFFFF, "ffffff7f00000080ffffff7f08f708f7"),
        (-0x80000000, "00000080ffffff7f0000008008f708f7"),
    ],
)
def test_value_block(value, text):
    assert encode_value(value, 8).hex() == text.replace(" ", "")
    assert purse.decode_value(bytes.fromhex(text)) == value


@pytest.mark.parametrize("value", [0x80000000, -0x80000001])
def test_value_out_of_range(value):
    with pytest.raises(ValueError, match="32 bits"):
        encode_value(value, 8)


@pytest.mark.parametrize("bit", range(128))
def test_damaged_value_block(bit):
    block = bytearray(encode_value(10_000, 8))
    block[bit // 8] ^= 1 << bit % 8
    assert purse.decode_value(block) is None


# ---------------------------------------------------------------- slots


def test_new_card_reads_as_personalised():
    view = purse.decode_card(UID4, blank(), card_mac())
    assert (view.card_no, view.kind, view.valid_from) == (0x01020304, 5, 0x0607)
    assert (view.valid_to, view.key_version) == (0x0809, 10)
    assert (view.counter, view.balance_fen) == (0, 10_000)
    assert (view.day, view.day_total_fen, view.since_pin_fen) == (0, 0, 0)
    assert (view.since_pin_count, view.pin_tries) == (0, 0)
    assert (view.last_device, view.last_seq) == (0, 0)
    assert (view.last_time_s, view.last_amount_fen) == (0, 0)


def test_state_and_record_are_as_documented():
    state = PurseState(0x0102, 0x03040506)
    state.day = 0x0708
    state.day_total_fen = 0x090A0B
    state.since_pin_fen = 0x0C0D0E
    state.since_pin_count = 15
    state.pin_tries = 1
    state.last_device = 0x10111213
    state.last_seq = 0x14151617
    state.last_time_s = 0x18191A1B
    state.last_amount_fen = 0x1C1D1E
    state.period_use = 0x1F
    block = purse.encode_state(state, UID4, bytes(10), card_mac())
    record = encode_record(state)
    assert block[:11].hex() == "01020708090a0b0c0d0ef1"
    assert record.hex() == "101112131415161718191a1b1c1d1e1f"
    sealed = UID4 + bytes(10) + block[:11] + bytes.fromhex("03040506") + record
    assert block[11:] == card_mac().digest(sealed)[:5]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("uid", [UID4, UID7])
def test_debits_take_turns(uid, seed):
    rng = random.Random(seed)
    blocks, balance_fen = blank(1_000_000, uid), 1_000_000
    for counter in range(1, 12):
        view = purse.decode_card(uid, blocks, card_mac(uid))
        amount_fen = rng.randint(1, 90_000)
        usage = (rng.randrange(1 << 16), rng.randrange(1 << 24), rng.randrange(1 << 24), counter)
        view.pin_tries = counter % 4
        plan = purse.plan_debit(
            view, card_mac(uid), amount_fen, 1000 + counter, counter, 1 << 31, usage
        )
        assert plan.state_block == purse.STATE_BLOCKS[counter & 1]
        assert plan.source_block != plan.target_block
        blocks = perform(blocks, plan)
        balance_fen -= amount_fen
        after = purse.decode_card(uid, blocks, card_mac(uid))
        assert (after.counter, after.balance_fen) == (counter, balance_fen)
        assert plan.balance_fen == balance_fen
        assert (
            after.day,
            after.day_total_fen,
            after.since_pin_fen,
            after.since_pin_count,
        ) == usage
        assert after.pin_tries == counter % 4
        assert (after.last_device, after.last_seq) == (1000 + counter, counter)
        assert (after.last_time_s, after.last_amount_fen) == (1 << 31, amount_fen)


@pytest.mark.parametrize("done", range(4))
def test_old_slot_rules_until_the_last_write(done):
    """Each prefix of the writes, and garbage in the block that was being written."""
    blocks = blank()
    view = purse.decode_card(UID4, blocks, card_mac())
    plan = purse.plan_debit(view, card_mac(), 350, 1, 1, 1, USAGE)
    whole = perform(blocks, plan)
    order = [plan.target_block, plan.record_block, plan.state_block]
    for number in order[:done]:
        blocks[number] = whole[number]
    expected = 1 if done == 3 else 0
    assert purse.decode_card(UID4, blocks, card_mac()).counter == expected
    rng = random.Random(done)
    for number in order[done : done + 1]:
        for _ in range(50):
            blocks[number] = rng.randbytes(16)
            assert purse.decode_card(UID4, blocks, card_mac()).counter == 0


def test_state_of_the_wrong_parity_does_not_rule():
    """A slot sealed for the other place: copying blocks from slot to slot gains nothing."""
    blocks = blank()
    view = purse.decode_card(UID4, blocks, card_mac())
    blocks = perform(blocks, purse.plan_debit(view, card_mac(), 350, 1, 1, 1, USAGE))
    for pair in (purse.VALUE_BLOCKS, purse.RECORD_BLOCKS, purse.STATE_BLOCKS):
        blocks[pair[0]] = blocks[pair[1]]
    view = purse.decode_card(UID4, blocks, card_mac())
    assert view.counter == 1
    for pair in (purse.VALUE_BLOCKS, purse.RECORD_BLOCKS, purse.STATE_BLOCKS):
        blocks[pair[1]] = bytes(16)
    with pytest.raises(ForeignCard):
        purse.decode_card(UID4, blocks, card_mac())


@pytest.mark.parametrize(
    ("field", "maximum"),
    [
        ("counter", 0xFFFF),
        ("balance_fen", 0x7FFFFFFF),
        ("day", 0xFFFF),
        ("day_total_fen", 0xFFFFFF),
        ("since_pin_fen", 0xFFFFFF),
        ("since_pin_count", 15),
        ("pin_tries", 15),
        ("last_device", 0xFFFFFFFF),
        ("last_seq", 0xFFFFFFFF),
        ("last_time_s", 0xFFFFFFFF),
        ("last_amount_fen", 0xFFFFFF),
        ("period_use", 0xFF),
    ],
)
def test_state_bounds(field, maximum):
    state = PurseState(0, 0)
    setattr(state, field, maximum)
    purse.encode_state(state, UID4, bytes(10), card_mac())
    for value in (maximum + 1, -1):
        setattr(state, field, value)
        with pytest.raises(ValueError, match=field):
            purse.encode_state(state, UID4, bytes(10), card_mac())


def test_what_is_used_of_a_meal_period_stays_where_nothing_is_bought():
    blocks, mac = blank(), card_mac()
    view = purse.decode_card(UID4, blocks, mac)
    plan = purse.plan_debit(view, mac, 350, 1, 1, 1, (*USAGE, 0, 55))
    view = purse.decode_card(UID4, perform(blocks, plan), mac)
    assert view.period_use == 55
    for after in (
        state_with_tries(view, 1, 1, 2, 1),
        state_credited(view, 500, 7, 1),
        state_after(view, 1, 1, 2, 1, USAGE),
    ):
        assert (after.period_use, after.day) == (55, USAGE[0])
    assert state_after(view, 1, 1, 2, 1, (*USAGE, 0, 60)).period_use == 60


def test_last_debit_of_a_counter():
    view = purse.decode_card(UID4, blank(), card_mac())
    view.counter = COUNTER_MAX - 1
    assert purse.plan_debit(view, card_mac(), 1, 1, 1, 1, USAGE).state[:2] == b"\xff\xff"
    view.counter = COUNTER_MAX
    with pytest.raises(ValueError, match="counter"):
        purse.plan_debit(view, card_mac(), 1, 1, 1, 1, USAGE)


@given(st.binary(min_size=112, max_size=112))
def test_any_bytes_decode_or_are_foreign(data):
    blocks = {n: data[16 * i : 16 * i + 16] for i, n in enumerate(purse.READ_ORDER)}
    with pytest.raises(ForeignCard):
        purse.decode_card(UID4, blocks, card_mac())
