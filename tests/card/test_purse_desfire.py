"""What stands in the files of a DESFire purse, and the MAC that the card puts on a debit."""

import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from protocols.card import purse_desfire as layout
from protocols.card import transaction_mac
from protocols.card.diversify import Cmac
from protocols.card.identity import ForeignCard
from protocols.card.purse import PurseState, state_after
from tests.card.desfire_vectors import vectors
from tests.drivers.desk import CIPHERS, PURSE_KEY, UID7

IDENTITY = bytes.fromhex("00001267014e2055f001")


def a_state():
    state = PurseState(0x0102, 0x03040506)
    state.day, state.day_total_fen, state.since_pin_fen = 0x4E21, 0x030405, 0x060708
    state.since_pin_count, state.pin_tries = 9, 3
    state.last_device, state.last_seq = 0x0A0B0C0D, 0x0E0F1011
    state.last_time_s, state.last_amount_fen = 0x12131415, 0x161718
    state.period_use = 0x19
    return state


def view_of(state, value=None):
    value = state.balance_fen.to_bytes(4, "little") if value is None else value
    return layout.decode_card(UID7, IDENTITY, layout.encode_state(state), value)


def test_bytes_of_a_state():
    expected = "0102 4e21 030405 060708 93 0a0b0c0d 0e0f1011 12131415 16171819"
    assert layout.encode_state(a_state()) == bytes.fromhex(expected.replace(" ", ""))
    assert len(layout.encode_state(a_state())) == layout.STATE_BYTES


def test_a_card_says_what_was_written():
    view = view_of(a_state())
    assert {k: v for k, v in vars(view).items() if k in vars(a_state())} == vars(a_state())
    assert (view.card_no, view.kind, view.valid_from, view.valid_to) == (4711, 1, 20_000, 22_000)
    assert (view.uid, view.key_version) == (UID7, 1)


def test_a_new_card_needs_no_state_written():
    assert layout.encode_state(PurseState(0, 5)) == bytes(layout.STATE_BYTES)


@pytest.mark.parametrize(
    ("identity", "state", "value"),
    [
        (IDENTITY[1:], bytes(27), bytes(4)),
        (IDENTITY, bytes(26), bytes(4)),
        (IDENTITY, bytes(28), bytes(4)),
        (IDENTITY, bytes(27), bytes(3)),
        (IDENTITY, bytes(27), b"\xff" * 4),
        (b"", b"", b""),
    ],
)
def test_nonsense_is_foreign(identity, state, value):
    with pytest.raises(ForeignCard):
        layout.decode_card(UID7, identity, state, value)


@pytest.mark.parametrize("size", range(7))
def test_a_uid_that_is_too_short_is_foreign(size):
    with pytest.raises(ForeignCard):
        layout.decode_uid(bytes(size))


def test_a_plan_takes_the_amount_and_names_its_record():
    view = view_of(a_state())
    plan = layout.plan_debit(view, 350, 1001, 7, 1_700_000_000, (20_001, 1350, 900, 2))
    assert plan.balance_fen == view.balance_fen - 350 and plan.amount_fen == 350
    after = layout.decode_card(UID7, IDENTITY, plan.state, bytes(4))
    assert (after.counter, after.day, after.day_total_fen) == (view.counter + 1, 20_001, 1350)
    assert (after.last_device, after.last_seq, after.last_amount_fen) == (1001, 7, 350)
    assert (after.pin_tries, after.period_use) == (view.pin_tries, view.period_use)
    assert plan.reader_id == bytes.fromhex("000003e9 00000007") + bytes(8)


@pytest.mark.parametrize(
    ("amount_fen", "counter", "usage"),
    [
        (0, 1, (0, 0, 0, 0)),
        (-1, 1, (0, 0, 0, 0)),
        (1 << 24, 1, (0, 0, 0, 0)),
        (1001, 1, (0, 0, 0, 0)),
        (1, 0xFFFF, (0, 0, 0, 0)),
        (1, 1, (0x10000, 0, 0, 0)),
        (1, 1, (0, 1 << 24, 0, 0)),
        (1, 1, (0, 0, 0, 16)),
    ],
)
def test_a_plan_that_must_not_be_made(amount_fen, counter, usage):
    view = view_of(PurseState(counter, 1000))
    with pytest.raises(ValueError, match=r"amount_fen|counter|day|since"):
        layout.plan_debit(view, amount_fen, 1001, 7, 0, usage)


def test_keys_differ_by_card_and_number_but_the_uid_key():
    master = Cmac(CIPHERS.aes(PURSE_KEY))
    uids = UID7, UID7[:-1] + b"\0", bytes(10)
    numbers = range(layout.UID_KEY)
    keys = {layout.application_key(master, uid, n) for uid in uids for n in numbers}
    assert len(keys) == len(uids) * len(numbers)
    assert len({layout.application_key(master, uid, layout.UID_KEY) for uid in uids}) == 1


def test_published_session_keys_of_a_transaction(repo_root):
    for item in vectors(repo_root, "tmac_session_keys"):
        keys = transaction_mac.session_keys(CIPHERS, item["key"], item["tmc_used"], item["uid"])
        assert keys == (item["SesTMMACKey"], item["SesTMENCKey"]), item["id"]
        assert item["tmc_used"] == item["trCntr"] + 1


def their_cmac(key, message):
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def test_the_mac_of_a_debit_by_hand():
    """From the rules as they are published, with another CMAC and every byte written out."""
    draw = random.Random(3)
    key, tmc = draw.randbytes(16), 0x01020304
    before = view_of(PurseState(6, 1000))
    state = state_after(before, 350, 1001, 7, 1_700_000_000, (20_001, 1350, 900, 2))
    tail = bytes.fromhex("00010080 04030201") + UID7
    mac_key, enc_key = their_cmac(key, b"\x5a" + tail), their_cmac(key, b"\xa5" + tail)
    previous = bytes.fromhex("000003eb 0000004d") + bytes(8)
    hidden = Cipher(algorithms.AES(enc_key), modes.CBC(bytes(16))).encryptor().update(previous)
    data = layout.encode_state(state)
    message = (
        bytes.fromhex("8b04 000000 1b0000") + bytes(8) + data + bytes(5)
        + bytes.fromhex("dc03 5e010000") + bytes(10)
        + b"\xc8" + bytes.fromhex("000003e9 00000007") + bytes(8) + hidden + bytes(15)
    )  # fmt: skip
    expected = their_cmac(mac_key, message)[1::2]
    found = transaction_mac.debit_mac(CIPHERS, key, UID7, tmc, state, 350, (1003, 77))
    assert found == expected


def test_a_proof_says_what_the_record_does_not():
    """Its counter has three bytes: a card is worn long before the fourth."""
    state = layout.encode_state(a_state())
    proof = layout.card_proof(bytes.fromhex("04030200 a1a2a3a4a5a6a7a8"), state)
    assert len(proof) == layout.CARD_PROOF_BYTES
    parts = transaction_mac.parts_of(proof)
    assert parts == (0x020304, 0x19, bytes.fromhex("a1a2a3a4a5a6a7a8"), state[2:11])


def test_the_mac_changes_with_everything_that_it_covers():
    key, state = bytes(16), a_state()
    usual = (CIPHERS, key, UID7, 9, state, 350, (1003, 77))
    found = {transaction_mac.debit_mac(*usual)}
    others = [
        (1, bytes(15) + b"\1"),
        (2, UID7[:-1] + b"\0"),
        (3, 10),
        (5, 351),
        (6, (1003, 78)),
        (6, (1004, 77)),
    ]
    for place, value in others:
        found.add(transaction_mac.debit_mac(*usual[:place], value, *usual[place + 1 :]))
    for name in vars(state):
        if name != "balance_fen":  # that it covers through the amount
            changed = a_state()
            setattr(changed, name, getattr(changed, name) ^ 1)
            found.add(transaction_mac.debit_mac(*usual[:4], changed, *usual[5:]))
    assert len(found) == 1 + len(others) + len(vars(state)) - 1
