"""An order for a credit: who can read it, and what of it nobody can change."""

import random

import pytest

from protocols.card.credit_order import open_order, seal_order
from protocols.wire import cbor, seal
from protocols.wire.errors import BAD_FIELD, BAD_SEAL, WireError
from tests.drivers.desk import CIPHERS

DEVICE_KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
CREDIT_KEY = b"credit"
ORDER = {
    "device": 1001,
    "card_no": 4711,
    "counter": 6,
    "number": 99,
    "amount_fen": 5000,
    "expires_s": 1_788_000_000,
}


def test_the_reader_gets_what_the_ledger_gave():
    sealed = seal_order(CIPHERS, DEVICE_KEY, ORDER, CREDIT_KEY)
    assert open_order(CIPHERS, DEVICE_KEY, sealed) == (ORDER, CREDIT_KEY)


def test_nobody_else_reads_the_key():
    sealed = seal_order(CIPHERS, DEVICE_KEY, ORDER, CREDIT_KEY)
    assert CREDIT_KEY not in sealed
    with pytest.raises(WireError) as refused:
        open_order(CIPHERS, OTHER_KEY, sealed)
    assert refused.value.code == BAD_SEAL


def test_the_same_key_looks_different_in_every_order():
    hidden = {
        seal_order(CIPHERS, DEVICE_KEY, {**ORDER, "number": n}, CREDIT_KEY)[-50:-34]
        for n in range(20)
    }
    assert len(hidden) == 20


def test_no_bit_may_turn():
    sealed = seal_order(CIPHERS, DEVICE_KEY, ORDER, CREDIT_KEY)
    for bit in range(8 * len(sealed)):
        turned = bytearray(sealed)
        turned[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(WireError):
            open_order(CIPHERS, DEVICE_KEY, bytes(turned))
    for size in range(len(sealed)):
        with pytest.raises(WireError):
            open_order(CIPHERS, DEVICE_KEY, sealed[:size])


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("value", [-1, 1 << 32, True, "1", None])
def test_only_numbers_that_fit_are_sealed(name, value):
    with pytest.raises(WireError) as refused:
        seal_order(CIPHERS, DEVICE_KEY, {**ORDER, name: value}, CREDIT_KEY)
    assert refused.value.code == BAD_FIELD


@pytest.mark.parametrize("key", [b"", b"short", b"too long"])
def test_only_keys_that_fit_are_sealed(key):
    with pytest.raises(WireError):
        seal_order(CIPHERS, DEVICE_KEY, ORDER, key)


@pytest.mark.parametrize(
    "body",
    [
        {1: 1},
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6, b"short"],
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, "6", bytes(16)],
        [1, 2, 3, 4, 5, -6, bytes(16)],
        [1, 2, 3, 4, 5, 6, bytes(16), 8],
        "text",
    ],
)
def test_a_ledger_that_speaks_nonsense_is_not_obeyed(body):
    sealed = seal.seal(DEVICE_KEY, cbor.encode(body), b"credit-order")
    with pytest.raises(WireError):
        open_order(CIPHERS, DEVICE_KEY, sealed)


def test_a_receipt_is_no_order():
    draw = random.Random(1)
    sealed = seal_order(CIPHERS, DEVICE_KEY, ORDER, draw.randbytes(6))
    payload = seal.payload_of(sealed)
    with pytest.raises(WireError):
        open_order(CIPHERS, DEVICE_KEY, seal.seal(DEVICE_KEY, payload, b"receipt"))
