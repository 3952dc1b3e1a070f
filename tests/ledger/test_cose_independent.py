"""An independent COSE implementation accepts our seals, and refuses what we refuse."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pycose.headers import Algorithm
from pycose.keys import OKPKey, SymmetricKey
from pycose.keys.curves import Ed25519
from pycose.messages import Mac0Message, Sign1Message

from ledger.receipts import Signer, public_key
from ledger.store import Head
from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from tests.ledger.readers import Reader

SIGNING_KEY = bytes(range(100, 132))


def decoded(kind, data):
    """`data` as pycose reads it; cbor2 6 gives immutable values in tags, which it refuses."""
    tagged = cbor2.loads(data)
    assert tagged.tag == kind.cbor_tag
    protected, unprotected, payload, tag = tagged.value
    return kind.from_cose_obj([protected, dict(unprotected), payload, tag], True)


def mac0(data, key, aad):
    message = decoded(Mac0Message, data)
    message.key = SymmetricKey(k=key)
    message.external_aad = aad
    return message


def sign1(data, key, aad):
    message = decoded(Sign1Message, data)
    message.key = OKPKey(crv=Ed25519, x=key)
    message.external_aad = aad
    return message


def chain():
    reader = Reader(1001)
    reader.boot()
    reader.spend()
    reader.write(messages.POWER, source=1, battery_mv=3700)
    return reader


def receipts():
    reader = chain()
    head = Head(reader.device, reader.key, reader.seq, reader.tag)
    return Signer(SIGNING_KEY).receipts(5, [head], [(1002, 3, 112)], 1_750_000_000)


def test_a_whole_chain_of_records_verifies():
    reader = chain()
    tag = seal.CHAIN_START
    for sealed in reader.records:
        message = mac0(sealed, reader.key, tag)
        assert message.verify_tag()
        assert message.get_attr(Algorithm).identifier == 5  # HMAC 256/256
        assert message.payload == seal.unseal(reader.key, sealed, tag)
        tag = message.auth_tag
    assert tag == reader.tag


def test_wrong_key_chain_or_content_verifies_nowhere():
    reader = chain()
    first, second = reader.records[:2]
    after_first = seal.tag_of(first)
    changed = bytearray(second)
    changed[-40] ^= 1  # the last byte of the payload
    for sealed, key, aad in (
        (second, bytes(32), after_first),
        (second, reader.key, seal.CHAIN_START),
        (second, reader.key, b""),
        (bytes(changed), reader.key, after_first),
    ):
        assert not mac0(sealed, key, aad).verify_tag()
        with pytest.raises(WireError):
            seal.unseal(key, sealed, aad)


def test_records_sealed_by_the_other_implementation_are_ours_bit_for_bit():
    reader = chain()
    payload = seal.payload_of(reader.records[0])
    message = Mac0Message(phdr={Algorithm: 5}, payload=payload, external_aad=seal.CHAIN_START)
    message.key = SymmetricKey(k=reader.key)
    assert message.encode() == reader.records[0]


def test_device_receipt_verifies_under_the_derived_key():
    reader = chain()
    head = Head(reader.device, reader.key, reader.seq, reader.tag)
    sealed = Signer(SIGNING_KEY).device_receipt(head, 1_750_000_000)
    key = seal.derive(reader.key, b"receipt")
    assert mac0(sealed, key, b"receipt").verify_tag()
    assert not mac0(sealed, reader.key, b"receipt").verify_tag()


def test_signed_receipts_verify():
    message = sign1(receipts(), public_key(SIGNING_KEY), b"receipts")
    assert message.verify_signature()
    fields = messages.decode_message(message.payload, (messages.RECEIPTS,))
    assert fields["refused"] == [[1002, 3, 112]]


def test_receipts_of_another_ledger_or_changed_do_not_verify():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    changed = bytearray(receipts())
    changed[-70] ^= 1  # inside the payload
    assert not sign1(receipts(), other, b"receipts").verify_signature()
    assert not sign1(receipts(), public_key(SIGNING_KEY), b"").verify_signature()
    assert not sign1(bytes(changed), public_key(SIGNING_KEY), b"receipts").verify_signature()
