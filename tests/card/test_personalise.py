"""A new card as a whole: its keys, its access conditions, what stands in its blocks."""

import pytest

from protocols.card import purse_classic as purse
from protocols.card.diversify import Cmac
from protocols.card.personalise import CREDIT_KEY as CREDIT
from protocols.card.personalise import access_bits, trailer
from simulator.cards.mifare_classic import DATA_ACCESS, TRAILER_ACCESS, access_conditions
from tests.card.test_purse_classic import blank
from tests.drivers.desk import CREDIT_KEY, PURSE_KEY, UID4, UID7, aes

NO_VALUES, SPENDS = 0b100, 0b110
ADMINISTERED, FROZEN = 0b011, 0b110
# Sector -> conditions of its four blocks, where it is not the same as everywhere.
CONDITIONS = {
    2: (SPENDS, SPENDS, NO_VALUES, ADMINISTERED),
    3: (NO_VALUES, NO_VALUES, NO_VALUES, FROZEN),
    4: (NO_VALUES, NO_VALUES, NO_VALUES, FROZEN),
}
USED_SECTORS = {1, 2, 3, 4}


def sector_key(master, purpose, sector, uid=UID4):
    """A key by master key (16 bytes) and purpose."""
    return purse.sector_key(Cmac(aes(master)), uid, purpose, sector)


def test_keys_differ_by_sector_purpose_and_card():
    keys = {
        sector_key(PURSE_KEY, purpose, sector, uid)
        for uid in (UID4, UID7)
        for purpose in (purse.READ_KEY, purse.WRITE_KEY, CREDIT)
        for sector in range(16)
    }
    assert len(keys) == 2 * 3 * 16
    assert {len(key) for key in keys} == {6}


def test_access_bits_of_transport_configuration():
    assert access_bits((0, 0, 0, 0b001)).hex() == "ff0780"


def test_access_conditions_of_every_block():
    """Decoded by the card model, which was written from the data sheet by somebody else."""
    blocks = blank()
    usual = (NO_VALUES, NO_VALUES, NO_VALUES, ADMINISTERED)
    for sector in range(16):
        conditions = access_conditions(blocks[sector * 4 + 3])
        assert conditions == CONDITIONS.get(sector, usual), sector


def test_what_the_conditions_mean():
    """In the words of the data sheet: nothing but a value block moves, and key A only takes."""
    everyone = {"read": "AB", "write": "B", "increment": "", "decrement": ""}
    assert DATA_ACCESS[NO_VALUES] == everyone
    assert DATA_ACCESS[SPENDS] == everyone | {"increment": "B", "decrement": "AB"}
    # Writes key A, reads access, writes access, reads key B, writes key B.
    assert TRAILER_ACCESS[FROZEN] == ("", "AB", "", "", "")
    assert TRAILER_ACCESS[ADMINISTERED] == ("B", "AB", "B", "", "B")


@pytest.mark.parametrize("sector", range(16))
def test_who_holds_which_key(sector):
    """Key B is the card centre's, except where readers write; there it can change no key."""
    block = blank()[sector * 4 + 3]
    conditions = access_conditions(block) or ()
    assert block[:6] == sector_key(PURSE_KEY, purse.READ_KEY, sector)
    if purse.READER_KEYS.get(sector) == purse.WRITE_KEY:
        assert block[10:] == sector_key(PURSE_KEY, purse.WRITE_KEY, sector)
        assert conditions[3:] == (FROZEN,)
    else:
        assert block[10:] == sector_key(CREDIT_KEY, CREDIT, sector)
        assert conditions[3:] == (ADMINISTERED,)


def test_readers_open_what_they_need():
    assert set(purse.READER_KEYS) == {number // 4 for number in purse.READ_ORDER} == USED_SECTORS
    written = {number // 4 for number in purse.STATE_BLOCKS + purse.RECORD_BLOCKS}
    assert written == {s for s, key in purse.READER_KEYS.items() if key == purse.WRITE_KEY}
    # A key B that readers hold could write a value block, whatever the conditions say.
    assert not written & {number // 4 for number in purse.VALUE_BLOCKS}


def test_trailer_belongs_to_one_card():
    masters = Cmac(aes(PURSE_KEY)), Cmac(aes(CREDIT_KEY))
    for sector in range(16):
        assert trailer(sector, *masters, UID4) == blank()[sector * 4 + 3]
        assert trailer(sector, *masters, UID4)[:6] != trailer(sector, *masters, UID7)[:6]


def test_personalised_image():
    blocks = blank()
    assert len(blocks) == 64
    assert {len(block) for block in blocks} == {16}
    assert blocks[0][:5] == UID4 + bytes((0xDE ^ 0x3A ^ 0xC4 ^ 0x17,))
    used = {0, 4, *purse.VALUE_BLOCKS, purse.STATE_BLOCKS[0], *range(3, 64, 4)}
    assert all(blocks[n] == bytes(16) for n in range(64) if n not in used)


@pytest.mark.parametrize("uid", [b"", b"123", b"12345", bytes(11)])
def test_impossible_uid(uid):
    with pytest.raises(ValueError, match="uid"):
        blank(uid=uid)


@pytest.mark.parametrize("balance_fen", [-1, 1 << 31])
def test_impossible_balance(balance_fen):
    with pytest.raises(ValueError, match=r"balance_fen|32 bits"):
        blank(balance_fen)
