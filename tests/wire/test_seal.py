"""Seals: an independent COSE agrees, and nothing in a chain can be touched unseen."""

import hashlib
import hmac
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import cbor, seal
from protocols.wire.errors import BAD_SEAL, MALFORMED_SEAL, WireError
from tests.wire.cose import mac0, sign1

KEY = bytes(range(32))
AAD = bytes(range(100, 132))


def chain(count=20, key=KEY):
    """So many sealed records."""
    records, tag = [], seal.CHAIN_START
    for seq in range(1, count + 1):
        records.append(seal.seal(key, cbor.encode({0: 5, 1: 1001, 2: seq}), tag))
        tag = seal.tag_of(records[-1])
    return records


def seqs(records):
    """The sequences of a chain, each verified; WireError where it breaks."""
    tag, found = seal.CHAIN_START, []
    for sealed in records:
        found.append(cbor.decode(seal.unseal(KEY, sealed, tag))[2])
        tag = seal.tag_of(sealed)
    return found


def breaks(records):
    try:
        seqs(records)
    except WireError:
        return True
    return False


# --- what must be refused ---------------------------------------------------------------------


def test_removing_any_record_is_seen():
    records = chain()
    for place in range(len(records) - 1):
        assert breaks(records[:place] + records[place + 1 :]), place


def test_cutting_off_the_end_is_not_seen_by_the_chain():
    """Said in SPEC.md: the reader's HELLO and its next number are what tells of that."""
    assert seqs(chain()[:-1]) == list(range(1, 20))


def test_reordering_any_two_records_is_seen():
    records = chain()
    for one in range(len(records)):
        for other in range(one):
            changed = list(records)
            changed[one], changed[other] = changed[other], changed[one]
            assert breaks(changed), (one, other)


def test_repeating_any_record_anywhere_is_seen():
    records = chain()
    for one in range(len(records)):
        for place in range(len(records) + 1):
            assert breaks([*records[:place], records[one], *records[place:]]), (one, place)


def test_altering_any_byte_of_any_record_is_seen():
    records = chain()
    for place, sealed in enumerate(records):
        for at in range(len(sealed)):
            changed = bytearray(sealed)
            changed[at] ^= 1 << (at + place) % 8
            assert breaks([*records[:place], bytes(changed), *records[place + 1 :]]), (place, at)


def test_a_record_of_another_device_or_another_life_has_no_place():
    records, others = chain(), chain(key=bytes(32))
    for place in range(len(records)):
        assert breaks([*records[:place], others[place], *records[place + 1 :]]), place


def test_sealing_anew_without_the_key_is_seen():
    """Whoever changes a record cannot make the next one fit either."""
    records = chain(3)
    forged = seal.seal(bytes(32), seal.payload_of(records[1]), seal.tag_of(records[0]))
    assert breaks([records[0], forged, records[2]])
    assert breaks([records[0], forged])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_number(data):
    for read in (
        lambda: seal.unseal(KEY, data, AAD),
        lambda: seal.payload_of(data),
        lambda: seal.tag_of(data),
        lambda: seal.sign1_split(data),
    ):
        with pytest.raises(WireError) as caught:
            read()
        assert caught.value.code == MALFORMED_SEAL


@given(st.binary(max_size=100), st.data())
def test_damage_is_refused_or_harmless(payload, data):
    sealed = bytearray(seal.seal(KEY, payload, AAD))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != sealed[place]))
    with pytest.raises(WireError) as caught:
        seal.unseal(KEY, bytes(sealed), AAD)
    assert caught.value.code in (BAD_SEAL, MALFORMED_SEAL)


def test_a_seal_without_its_place_is_refused():
    sealed = seal.seal(KEY, b"payload", AAD)
    for key, aad in ((bytes(32), AAD), (KEY, seal.CHAIN_START), (KEY, b""), (KEY, AAD + b"\x00")):
        with pytest.raises(WireError) as caught:
            seal.unseal(key, sealed, aad)
        assert caught.value.code == BAD_SEAL


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_size_is_not_packed(size):
    with pytest.raises(ValueError, match="64 bytes"):
        seal.sign1_pack(b"payload", bytes(size))


# --- others agree -----------------------------------------------------------------------------


def test_hmac_agrees_with_the_library():
    rng = random.Random(2104)
    for size in [*range(140), 256, 1000]:
        key, data = rng.randbytes(size), rng.randbytes(rng.randrange(300))
        expected = hmac.new(key, data, hashlib.sha256).digest()
        assert seal.hmac_sha256(key, data) == expected
        assert seal._hmac_sha256(key, data) == expected


def test_a_home_without_the_librarys_hmac_makes_and_takes_the_same_seals(monkeypatch):
    quick = chain()
    monkeypatch.setattr(seal, "digest", None)
    monkeypatch.setattr(seal, "compare_digest", None)
    slow = chain()
    assert slow == quick
    assert seal.unseal(KEY, slow[1], seal.tag_of(slow[0]))
    with pytest.raises(WireError) as caught:
        seal.unseal(KEY, slow[1][:-1] + b"\0", seal.tag_of(slow[0]))
    assert caught.value.code == BAD_SEAL


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256])
def test_what_is_sealed_is_the_structure_of_rfc_9052(size):
    structure = ["MAC0", b"\xa1\x01\x05", bytes(size), bytes(size + 1)]
    assert seal._mac_structure(bytes(size), bytes(size)) != cbor.encode(structure)
    assert seal._mac_structure(bytes(size + 1), bytes(size)) == cbor.encode(structure)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=64))
def test_pycose_verifies_what_we_seal(key, payload, aad):
    sealed = seal.seal(key, payload, aad)
    message = mac0(sealed, key, aad)
    assert message.verify_tag()
    assert message.payload == payload == seal.unseal(key, sealed, aad) == seal.payload_of(sealed)
    assert message.auth_tag == seal.tag_of(sealed)
    assert not mac0(sealed, key, aad + b"\x00").verify_tag()


def test_pycose_walks_a_chain():
    tag = seal.CHAIN_START
    for sealed in chain():
        message = mac0(sealed, KEY, tag)
        assert message.verify_tag()
        tag = message.auth_tag


@given(st.binary(max_size=300), st.binary(max_size=32))
def test_pycose_verifies_what_we_sign(payload, aad):
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signed = seal.sign1_pack(payload, key.sign(seal.sign1_tbs(payload, aad)))
    message = sign1(signed, key.public_key().public_bytes_raw(), aad)
    assert message.verify_signature()
    assert message.payload == payload == seal.sign1_split(signed)[0]
    assert not sign1(signed, bytes(32), aad).verify_signature()


def test_keys_for_different_purposes_differ():
    keys = {seal.derive(key, label) for key in (KEY, bytes(32)) for label in (b"", b"a", b"b")}
    assert len(keys) == 6
    assert KEY not in keys


def test_views_of_bytes_are_read_alike():
    sealed = seal.seal(KEY, b"payload", AAD)
    assert seal.unseal(KEY, memoryview(sealed), AAD) == b"payload"
    assert seal.tag_of(memoryview(bytearray(sealed))) == sealed[-32:]
