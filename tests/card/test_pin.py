"""The verifier of a PIN: against an independent CMAC, and against who has keys and card."""

import struct
import time

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from adapters.aes import aes
from protocols.card import pin
from protocols.card.diversify import Cmac
from protocols.card.personalise import pin_block
from tests.drivers.desk import MAC_KEY, UID4, UID7

DIGITS, CARD_NO = b"802613", 4711


def told(uid=UID7, card_no=CARD_NO, digits=DIGITS, key=MAC_KEY):
    return pin.verifier(Cmac(aes(key)), uid, card_no, digits, aes)


def mac_of(key, message):
    """By a library that shares no code with ours."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


@pytest.mark.parametrize("uid", [UID4, UID7])
def test_it_is_what_the_layout_says(uid):
    # AN10922 itself is checked against NXP's examples in test_diversify.py.
    key = Cmac(aes(MAC_KEY)).diversify(uid + b"V\x00onecard")
    message = b"onecard PIN" + struct.pack(">I", CARD_NO) + DIGITS
    assert told(uid) == mac_of(key, message)[:8]


def test_everything_in_it_counts():
    other = {
        told(),
        told(uid=UID4),
        told(card_no=CARD_NO + 1),
        told(digits=b"802614"),
        told(key=bytes(16)),
    }
    assert len(other) == 5
    assert told(digits=bytearray(DIGITS)) == told()


@pytest.mark.parametrize(
    ("digits", "is_one"),
    [
        (b"802613", True),
        (bytearray(b"000000"), True),
        (b"999999", True),
        (b"", False),
        (b"80261", False),
        (b"8026130", False),
        (b"80261/", False),
        (b"80261:", False),
        (b"80261\xb2", False),
    ],
)
def test_the_form_of_a_pin(digits, is_one):
    assert pin.is_pin(digits) == is_one


def test_a_block_without_a_pin_is_zeros():
    assert pin_block(UID7, CARD_NO, b"", MAC_KEY, aes) == bytes(16)
    assert pin_block(UID7, CARD_NO, DIGITS, MAC_KEY, aes) == told() + bytes(8)


def test_who_has_the_mac_key_and_the_card_finds_the_pin():
    """What docs/threat-model.md admits: six digits are few. No limit counts what nobody asks."""
    card, tried = told(digits=b"004999"), 5_000
    own = Cmac(aes(Cmac(aes(MAC_KEY)).diversify(UID7 + b"V\x00onecard")))
    label = b"onecard PIN" + struct.pack(">I", CARD_NO)
    start = time.perf_counter()
    found = [n for n in range(tried) if own.digest(label + b"%06d" % n)[:8] == card]
    took_s = time.perf_counter() - start
    print(f"{tried} PINs in {took_s:.2f} s: all million in {took_s * 1e6 / tried:.0f} s")
    assert found == [4999]
