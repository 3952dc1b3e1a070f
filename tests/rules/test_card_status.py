"""The card status map: exact for every card, and nothing counts that no warrant bears out."""

import random
import struct

import pytest

from protocols.rules import card_status
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

KEY = bytes(range(32))
STATUSES = (
    card_status.ACTIVE,
    card_status.LOST,
    card_status.SUSPENDED,
    card_status.CLOSED,
)


def sealed_warrant(changes=b"", epoch=None, made_s=1_800_000_000):
    card_map = bytearray()
    card_status.fold(card_map, changes)
    body = struct.pack(
        card_status.WARRANT,
        len(changes) // 4 if epoch is None else epoch,
        made_s,
        len(card_map),
        card_status.chained(card_status.CHAIN_START, changes),
        card_status.digest_of(card_map),
    )
    return seal.seal(KEY, body, card_status.LABEL)


# --- bad input first --------------------------------------------------------------------------


def test_every_changed_bit_of_a_warrant_is_seen():
    sealed = sealed_warrant()
    assert len(sealed) == card_status.WARRANT_BYTES
    for at in range(len(sealed)):
        for bit in range(8):
            forged = bytearray(sealed)
            forged[at] ^= 1 << bit
            with pytest.raises(WireError):
                seal.unseal(KEY, bytes(forged), card_status.LABEL)


def test_what_the_same_reader_seals_is_no_warrant():
    """The key is of one purpose, and the seal bound to it."""
    body = seal.payload_of(sealed_warrant())
    for key, aad in ((KEY, b"receipt"), (bytes(32), card_status.LABEL), (KEY, seal.CHAIN_START)):
        with pytest.raises(WireError):
            seal.unseal(KEY, seal.seal(key, body, aad), card_status.LABEL)


def test_any_other_history_has_another_chain():
    changes = b"".join(card_status.change(n, card_status.LOST) for n in range(5))
    chains = {card_status.chained(card_status.CHAIN_START, changes)}
    others = [
        changes[4:],
        changes[:-4],
        changes[4:8] + changes[:4] + changes[8:],
        changes + changes,
    ]
    for at in range(len(changes)):
        others.append(changes[:at] + bytes((changes[at] ^ 1,)) + changes[at + 1 :])
    for other in others:
        chains.add(card_status.chained(card_status.CHAIN_START, other))
    assert len(chains) == len(others) + 1


def test_a_number_beyond_the_map_is_nobodys():
    """A card that was numbered otherwise is answered, and is not taken for another one."""
    changes = card_status.change(7, card_status.LOST)
    for card_no in (0x1000007, 20_260_007, 0xFFFFFFFF):
        assert card_status.newest(changes, card_no) is None


@pytest.mark.parametrize("card_no", [0, 1, 0x0101, 0x010101, 0x010203, card_status.CARD_NO_MAX])
def test_a_number_is_not_found_across_two_changes(card_no):
    """Bytes of two neighbours may read like a card that neither of them is about."""
    draw = random.Random(card_no)
    for _ in range(300):
        changes = b"".join(
            card_status.change(draw.choice((0, 1, 0x010101, 0x0102, 0x020301)), draw.randrange(4))
            for _ in range(8)
        )
        wanted = None
        for at in range(0, 32, 4):
            if int.from_bytes(changes[at : at + 3], "big") == card_no:
                wanted = changes[at + 3]
        assert card_status.newest(changes, card_no) == wanted


# --- what must hold ---------------------------------------------------------------------------


def test_map_and_changes_say_the_same_of_every_card():
    seed = 20_261_126
    draw = random.Random(seed)
    status, changes = {}, b""
    for _ in range(2_000):
        card_no = draw.randrange(500)
        status[card_no] = draw.choice(STATUSES)
        changes += card_status.change(card_no, status[card_no])
    card_map = bytearray()
    card_status.fold(card_map, changes)
    assert len(card_map) == max(status) // 4 + 1, seed
    for card_no in range(4 * len(card_map)):
        byte = card_map[card_no // 4]
        assert card_status.status_in(byte, card_no) == status.get(card_no, 0), (seed, card_no)
        found = card_status.newest(changes, card_no)
        assert (found or 0) == status.get(card_no, 0), (seed, card_no)


def test_in_pieces_it_is_the_same():
    changes = b"".join(card_status.change(n * 7 % 50, n % 4) for n in range(90))
    whole = card_status.chained(card_status.CHAIN_START, changes)
    card_map, at_once, chain = bytearray(), bytearray(), card_status.CHAIN_START
    card_status.fold(at_once, changes)
    for at in range(0, len(changes), 12):
        card_status.fold(card_map, changes[at : at + 12])
        chain = card_status.chained(chain, changes[at : at + 12])
    assert (card_map, chain) == (at_once, whole)


def test_ten_changes_are_less_than_200_bytes_on_the_wire():
    changes = b"".join(card_status.change(60_000 - n, card_status.LOST) for n in range(10))
    sealed = sealed_warrant(changes, epoch=0xFFFFFFFF)
    fields = {"device": 0xFFFFFFFF, "epoch": 0xFFFFFFF5, "page": 0, "data": sealed + changes}
    data = messages.encode_message(messages.CARDS, fields)
    assert len(data) < 200
    assert len(sealed) == card_status.WARRANT_BYTES


def test_a_card_has_two_bits():
    card_map = bytearray()
    card_status.fold(card_map, card_status.change(59_999, card_status.CLOSED))
    assert len(card_map) == 15_000
