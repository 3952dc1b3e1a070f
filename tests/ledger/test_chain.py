"""What stands in for a lost record: what it follows, what follows it, and who can make it."""

import hashlib

from ledger import chain
from protocols.wire import cbor, messages, seal
from protocols.wire.errors import WireError
from tests.ledger.readers import lost

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
NEXT = b"the next record"
HASH = hashlib.sha256(NEXT).digest()
LINK = hashlib.sha256(b"any").digest()


def power(seq, link):
    fields = {"kind": messages.POWER, "device": 1001, "seq": seq, "source": 0, "battery_mv": 4000}
    fields.update(earliest_s=0, latest_s=0, boot_id=0, mono_ms=0)
    return seal.seal(KEY, messages.encode_record(fields), link)


def test_without_the_key_there_is_no_lost_record():
    sealed = lost(KEY, 1001, 7, NEXT)
    assert not chain.follows(OTHER_KEY, sealed, LINK)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        try:
            assert not chain.follows(KEY, bytes(changed), LINK), at
        except WireError:
            pass  # not even a seal


def test_a_record_sealed_like_any_other_is_not_lost_because_it_says_so():
    payload = seal.payload_of(lost(KEY, 1001, 7, NEXT))
    assert not chain.follows(KEY, seal.seal(KEY, payload, LINK), LINK)


def test_no_other_record_can_be_sealed_without_the_chain():
    assert not chain.follows(KEY, power(7, messages.LOST_LABEL), LINK)


def test_of_a_later_firmware_it_is_in_the_chain_like_any_record():
    payload = cbor.encode({0: messages.LOST, 1: 1001, 2: 7, 3: 0, 4: 0, 5: 0, 6: 0, 9: HASH})
    sealed = seal.seal(KEY, payload, LINK)
    assert chain.follows(KEY, sealed, LINK) and chain.link_of(sealed) == seal.tag_of(sealed)


def test_it_follows_anything_and_says_what_follows_it():
    sealed = lost(KEY, 1001, 7, NEXT)
    assert chain.follows(KEY, sealed, LINK) and chain.follows(KEY, sealed, bytes(32))
    assert chain.link_of(sealed) == HASH


def test_every_other_record_follows_the_tag_before_it():
    sealed = power(7, LINK)
    assert chain.follows(KEY, sealed, LINK) and not chain.follows(KEY, sealed, HASH)
    assert chain.link_of(sealed) == seal.tag_of(sealed)


def test_a_key_that_checks_many_seals_says_what_one_check_says():
    """Each byte of the record changed in turn, another key, and another tag before it."""
    key = chain.SealKey(KEY)
    for size in (1, 23, 24, 150, 255, 256, 700):
        payload = bytes(size)
        sealed = seal.seal(KEY, payload, LINK)
        assert key.holds(sealed, LINK) and chain.is_sealed(KEY, payload, sealed, LINK)
        assert not chain.SealKey(OTHER_KEY).holds(sealed, LINK)
        assert not key.holds(sealed, HASH)
        assert not key.holds(seal.seal(KEY, payload, b"short"), b"short")
        for at in range(len(sealed)):
            changed = bytearray(sealed)
            changed[at] ^= 1
            try:
                other = seal.payload_of(bytes(changed))
            except WireError:
                continue  # nobody asks of what has no payload
            assert not key.holds(bytes(changed), LINK), (size, at)
            assert not chain.is_sealed(KEY, other, bytes(changed), LINK), (size, at)
