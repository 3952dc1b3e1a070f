"""The MIFARE Classic model against MF1S50 and ISO/IEC 14443-3, frame by frame, without a chip."""

import random

import pytest

from simulator.cards.field import US, Frame, Session, with_crc
from simulator.cards.mifare_classic import (
    ACTIVE,
    HALT,
    IDLE,
    READY,
    MifareClassic,
    access_conditions,
    factory_blocks,
    value_block,
    value_of,
)

UID = bytes.fromhex("a1b2c3d4")
KEY_A, KEY_B = b"\xa0" * 6, b"\xb0" * 6
WRITE_US = 4500


class Talk:
    """A reader with perfect radio: the card, the session and the time."""

    def __init__(self, card):
        self.card = card
        self.session = None
        self.now = 0
        self.delay_us = 0
        card.power_up()

    def send(self, frame):
        self.now += 1000 * US
        answer = self.card.hear(frame, self.now)
        if answer is None:
            return None
        self.delay_us = answer.delay // US
        self.now += answer.delay
        return answer.frame

    def bytes(self, data, crc=True):
        frame = self.send(Frame.of(with_crc(data) if crc else data, self.session))
        return None if frame is None else frame.data

    def wake(self, command=0x26):
        frame = self.send(Frame(command, 7, self.session))
        return None if frame is None else frame.data

    def select(self, command=0x26):
        assert self.wake(command)
        for level in (0x93, 0x95)[: len(self.card._levels)]:
            part = self.bytes(bytes((level, 0x20)), crc=False)
            sak = self.bytes(bytes((level, 0x70)) + part)
        return sak[0]

    def auth(self, block, key, which=0x60, uid=None):
        nonce = self.send(Frame.of(with_crc(bytes((which, block))), self.session))
        if nonce is None:
            return False
        session = Session(key, uid or self.card.uid[-4:], nonce.data)
        proof = self.send(Frame((0x1234 ^ nonce.value) << 32 | 0x1234, 64, session))
        self.session = session if proof else None
        return proof is not None

    def read(self, block):
        data = self.bytes(bytes((0x30, block)))
        return data[:16] if data and len(data) == 18 else data

    def write(self, block, data):
        first = self.bytes(bytes((0xA0, block)))
        return self.bytes(data) if first == b"\x0a" else first

    def value(self, command, block, operand):
        first = self.bytes(bytes((command, block)))
        if first != b"\x0a":
            return first
        return self.bytes(operand.to_bytes(4, "little"))

    def transfer(self, block):
        return self.bytes(bytes((0xB0, block)))


def access_bytes(conditions):
    """The three access bytes for C1C2C3 of blocks 0..3, built here on their own."""
    c1, c2, c3 = (sum((c >> (2 - i) & 1) << n for n, c in enumerate(conditions)) for i in range(3))
    return bytes(((c2 ^ 15) << 4 | c1 ^ 15, c1 << 4 | c3 ^ 15, c3 << 4 | c2, 0x69))


def card(conditions=(0, 0, 0, 1), uid=UID, value=None, seed=3):
    blocks = factory_blocks(uid)
    blocks[7] = KEY_A + access_bytes(conditions) + KEY_B
    blocks[11] = KEY_A + access_bytes(conditions) + KEY_B
    if value is not None:
        blocks[4] = value_block(value, 4)
    return MifareClassic(uid, blocks, random.Random(seed))


def opened(which="A", **options):
    talk = Talk(card(**options))
    talk.select()
    assert talk.auth(4, KEY_A if which == "A" else KEY_B, 0x60 if which == "A" else 0x61)
    return talk


# ---------------------------------------------------------------- ISO 14443-3 states


def test_idle_ready_active_halt():
    talk = Talk(card())
    assert talk.card.state == IDLE
    assert talk.wake() == b"\x04\x00"
    assert talk.card.state == READY
    part = talk.bytes(b"\x93\x20", crc=False)
    assert part == UID + bytes((0xA1 ^ 0xB2 ^ 0xC3 ^ 0xD4,))
    assert talk.bytes(b"\x93\x70" + part) == with_crc(b"\x08")
    assert talk.card.state == ACTIVE
    assert talk.bytes(b"\x50\x00") is None
    assert talk.card.state == HALT
    assert talk.wake(0x26) is None
    assert talk.wake(0x52) == b"\x04\x00"


def test_a_request_to_a_waking_card_sends_it_back_where_it_came_from():
    talk = Talk(card())
    assert [talk.wake() for _ in range(4)] == [b"\x04\x00", None, b"\x04\x00", None]
    talk.select()
    talk.bytes(b"\x50\x00")
    talk.wake(0x52)
    assert talk.wake(0x52) is None
    assert talk.card.state == HALT


@pytest.mark.parametrize(
    "frame",
    [
        Frame.of(b"\x95\x20"),
        Frame.of(b"\x93\x70" + UID + b"\x04\x00\x00"),
        Frame.of(with_crc(b"\x93\x70\x01\x02\x03\x04\x04")),
        Frame.of(b"\x93\x21"),
        Frame.of(b"\x93"),
        Frame.of(with_crc(b"\x50\x00")),
    ],
    ids=["wrong level", "wrong CRC", "other UID", "NVB and bits differ", "too short", "HLTA"],
)
def test_an_unexpected_frame_in_ready_means_idle(frame):
    talk = Talk(card())
    talk.wake()
    assert talk.send(frame) is None
    assert talk.card.state == IDLE


def test_anticollision_answers_the_rest_of_a_matching_uid():
    talk = Talk(card())
    talk.wake()
    known = 0x93 | 0x34 << 8 | UID[0] << 16 | (UID[1] & 15) << 24
    frame = talk.send(Frame(known, 28))
    assert frame.nbits == 28
    whole = int.from_bytes(UID + bytes((0xA1 ^ 0xB2 ^ 0xC3 ^ 0xD4,)), "little")
    assert frame.value == whole >> 12


def test_a_seven_byte_uid_has_two_levels_and_its_own_atqa():
    uid = bytes.fromhex("04aabbccddeeff")
    talk = Talk(card(uid=uid))
    assert talk.wake() == b"\x44\x00"
    first = talk.bytes(b"\x93\x20", crc=False)
    assert first[:4] == b"\x88" + uid[:3]
    assert talk.bytes(b"\x93\x70" + first) == with_crc(b"\x04")
    assert talk.card.state == READY
    second = talk.bytes(b"\x95\x20", crc=False)
    assert second[:4] == uid[3:]
    assert talk.bytes(b"\x95\x70" + second) == with_crc(b"\x08")
    assert talk.auth(4, KEY_A)


def test_other_uid_lengths_and_images_are_refused():
    with pytest.raises(ValueError, match="5 bytes"):
        MifareClassic(b"12345")
    with pytest.raises(ValueError, match="64 blocks"):
        MifareClassic(UID, [bytes(16)] * 63)


# ---------------------------------------------------------------- authentication


def test_nothing_is_read_before_authentication_or_outside_the_sector():
    talk = Talk(card())
    talk.select()
    assert talk.read(4) == b"\x04"
    assert talk.card.state == IDLE
    talk = opened()
    assert talk.read(8) == b"\x04"


@pytest.mark.parametrize(
    ("key", "which", "uid"),
    [(KEY_B, 0x60, UID), (KEY_A, 0x61, UID), (KEY_A, 0x60, b"\x00" * 4)],
)
def test_a_wrong_key_or_uid_gets_no_answer_and_loses_the_card(key, which, uid):
    talk = Talk(card())
    talk.select()
    assert not talk.auth(4, key, which, uid)
    assert talk.card.state == IDLE


def test_a_proof_in_plain_is_none():
    talk = Talk(card())
    talk.select()
    nonce = talk.send(Frame.of(with_crc(b"\x60\x04")))
    assert talk.send(Frame(nonce.value << 32, 64)) is None
    assert talk.card.state == IDLE


def test_a_refusal_ends_the_session():
    talk = opened(conditions=(7, 0, 0, 1))
    assert talk.read(4) == b"\x04"
    assert talk.read(5) is None


def test_a_plain_or_foreign_frame_ends_the_session():
    talk = opened()
    talk.session = None
    assert talk.read(4) is None
    assert talk.card.state == IDLE


def test_a_broken_crc_is_its_own_refusal():
    talk = opened()
    assert talk.bytes(b"\x30\x04\x00\x00", crc=False) == b"\x05"


# ---------------------------------------------------------------- access conditions
# As in the data sheet's table: read, write, increment, decrement/transfer/restore.

DATA_TABLE = {
    "000": ("AB", "AB", "AB", "AB"),
    "010": ("AB", "", "", ""),
    "100": ("AB", "B", "", ""),
    "110": ("AB", "B", "B", "AB"),
    "001": ("AB", "", "", "AB"),
    "011": ("B", "B", "", ""),
    "101": ("B", "", "", ""),
    "111": ("", "", "", ""),
}
# Key A write; access read, write; key B read, write.
TRAILER_TABLE = {
    "000": ("A", "A", "", "A", "A"),
    "010": ("", "A", "", "A", ""),
    "100": ("B", "AB", "", "", "B"),
    "110": ("", "AB", "", "", ""),
    "001": ("A", "A", "A", "A", "A"),
    "011": ("B", "AB", "B", "", "B"),
    "101": ("", "AB", "B", "", ""),
    "111": ("", "AB", "", "", ""),
}


@pytest.mark.parametrize("which", ["A", "B"])
@pytest.mark.parametrize("bits", DATA_TABLE)
def test_data_block_conditions(bits, which):
    reads, writes, increments, decrements = (which in who for who in DATA_TABLE[bits])
    conditions = (int(bits, 2), 0, 0, 0b011)  # a trailer whose key B is a key
    fresh = lambda: opened(which, conditions=conditions, value=100)  # noqa: E731
    assert (fresh().read(4) == value_block(100, 4)) == reads
    assert (fresh().write(4, bytes(16)) == b"\x0a") == writes
    for command, allowed in ((0xC1, increments), (0xC0, decrements), (0xC2, decrements)):
        assert fresh().value(command, 4, 1) == (None if allowed else b"\x04")
    talk = opened(which, conditions=(0b000, int(bits, 2), 0, 0b011), value=100)
    assert talk.value(0xC0, 4, 1) is None
    assert talk.transfer(5) == (b"\x0a" if decrements else b"\x00")


@pytest.mark.parametrize("which", ["A", "B"])
@pytest.mark.parametrize("bits", TRAILER_TABLE)
def test_trailer_conditions(bits, which):
    write_a, read_access, write_access, read_b, write_b = TRAILER_TABLE[bits]
    conditions = (0, 0, 0, int(bits, 2))
    talk = opened(which, conditions=conditions)
    if which == "B" and read_b:
        assert talk.read(7) == b"\x04"
        return
    expected = bytes(6) + access_bytes(conditions) + (KEY_B if which in read_b else bytes(6))
    if which not in read_access:
        expected = b"\x04"
    assert talk.read(7) == expected
    new = b"\x01" * 6 + access_bytes((1, 1, 1, 1)) + b"\x02" * 6
    may = [which in who for who in (write_a, write_access, write_b)]
    talk = opened(which, conditions=conditions)
    assert (talk.write(7, new) == b"\x0a") == any(may)
    old = KEY_A + access_bytes(conditions) + KEY_B
    parts = (slice(0, 6), slice(6, 10), slice(10, 16))
    for part, changed in zip(parts, may, strict=True):
        assert talk.card.blocks[7][part] == (new if changed else old)[part]


@pytest.mark.parametrize("bits", ["000", "010", "001"])
def test_a_readable_key_b_opens_nothing(bits):
    talk = opened("B", conditions=(0, 0, 0, int(bits, 2)))
    assert talk.read(4) == b"\x04"


def test_access_bits_that_contradict_themselves_lock_the_sector():
    talk = Talk(card())
    talk.card.blocks[7] = KEY_A + b"\xff\x17\x80\x69" + KEY_B
    talk.select()
    assert talk.auth(4, KEY_A)
    assert talk.read(4) == b"\x04"
    assert access_conditions(talk.card.blocks[7]) is None


def test_transport_access_bits_decode():
    assert access_conditions(factory_blocks(UID)[3]) == (0, 0, 0, 1)
    assert access_conditions(bytes(6) + access_bytes((6, 0, 3, 3)) + bytes(6)) == (6, 0, 3, 3)


def test_the_manufacturer_block_is_read_only():
    talk = Talk(MifareClassic(UID))
    talk.select()
    assert talk.auth(0, b"\xff" * 6)
    assert talk.read(0)[:4] == UID
    assert talk.write(0, bytes(16)) == b"\x04"


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("damage", range(16))
def test_any_damaged_byte_unmakes_a_value_block(damage):
    block = bytearray(value_block(-5, 9))
    assert value_of(bytes(block)) == -5
    block[damage] ^= 0x10
    assert value_of(bytes(block)) is None
    talk = opened(value=1)
    talk.card.blocks[4] = bytes(block)
    assert talk.bytes(b"\xc0\x04") == b"\x04"


def test_decrement_changes_nothing_before_transfer():
    talk = opened(value=500)
    assert talk.value(0xC0, 4, 120) is None
    assert talk.card.blocks[4] == value_block(500, 4)
    assert talk.transfer(5) == b"\x0a"
    assert talk.card.blocks[5] == value_block(380, 4)
    assert talk.card.blocks[4] == value_block(500, 4)


def test_increment_restore_and_the_address_byte():
    talk = opened()
    talk.card.blocks[4] = value_block(500, 0x21)
    talk.value(0xC1, 4, 1)
    talk.transfer(4)
    assert value_of(talk.card.blocks[4]) == 501
    talk.value(0xC2, 4, 77)
    talk.transfer(6)
    assert talk.card.blocks[6] == value_block(501, 0x21)


def test_values_do_not_wrap():
    talk = opened(value=-(1 << 31))
    assert talk.value(0xC0, 4, 1) == b"\x04"
    assert talk.transfer(4) is None


def test_transfer_needs_a_transfer_buffer():
    assert opened(value=1).transfer(4) == b"\x04"


@pytest.mark.parametrize("keeps", [True, False])
def test_whether_the_transfer_buffer_survives_another_sector_is_a_switch(keeps):
    talk = opened(value=500)
    talk.card.keeps_transfer = keeps
    talk.value(0xC0, 4, 1)
    assert talk.auth(8, KEY_A)
    assert talk.transfer(8) == (b"\x0a" if keeps else b"\x04")
    assert (value_of(talk.card.blocks[8]) == 499) is keeps


# ---------------------------------------------------------------- EEPROM


def test_a_write_has_two_parts_and_takes_its_time():
    talk = opened()
    assert talk.bytes(b"\xa0\x04") == b"\x0a"
    assert talk.delay_us < 100
    assert talk.card.eeprom_writes == 0
    assert talk.bytes(bytes(range(16))) == b"\x0a"
    assert WRITE_US + 80 < talk.delay_us < WRITE_US + 100
    assert talk.card.image[64:80] == bytes(range(16))
    assert talk.card.eeprom_writes == 1


def test_the_second_part_must_be_sixteen_bytes():
    talk = opened()
    talk.bytes(b"\xa0\x04")
    assert talk.bytes(bytes(15)) == b"\x04"
    assert talk.card.blocks[4] == bytes(16)


def test_a_card_is_deaf_while_it_writes():
    talk = opened()
    talk.bytes(b"\xa0\x04")
    now = talk.now + 1000 * US
    frame = Frame.of(with_crc(bytes(range(16))), talk.session)
    assert talk.card.hear(frame, now) is not None
    read = Frame.of(with_crc(b"\x30\x04"), talk.session)
    assert talk.card.hear(read, now + 4499 * US) is None
    assert talk.card.hear(read, now + 4501 * US) is not None


def torn(mode, old, new, seed, after_us=2000):
    talk = opened(seed=seed)
    talk.card.torn = mode
    talk.card.blocks[4] = old
    talk.bytes(b"\xa0\x04")
    now = talk.now + 1000 * US
    talk.card.hear(Frame.of(with_crc(new), talk.session), now)
    talk.card.power_down(now + after_us * US)
    return talk.card


def test_a_torn_write_mixes_old_and_new_bits():
    old, new = bytes.fromhex("00ff" * 8), bytes.fromhex("0ff0" * 8)
    seen = set()
    for seed in range(20):
        victim = torn("mixed", old, new, seed)
        block = victim.blocks[4]
        assert all((b ^ a) & ~(a ^ n) == 0 for a, n, b in zip(old, new, block, strict=True))
        assert victim.torn_writes == 1
        seen.add(block)
    assert len(seen) == 20
    assert not seen & {old, new}


@pytest.mark.parametrize(("mode", "kept"), [("old", bytes(16)), ("new", b"\xff" * 16)])
def test_a_torn_write_may_have_done_nothing_or_all(mode, kept):
    assert torn(mode, bytes(16), b"\xff" * 16, 1).blocks[4] == kept


def test_a_torn_write_may_leave_the_block_half_erased():
    block = torn("erased", b"\xff" * 16, b"\xff" * 16, 1).blocks[4]
    assert block not in (bytes(16), b"\xff" * 16)


def test_a_write_that_had_its_time_is_whole():
    victim = torn("mixed", bytes(16), b"\xff" * 16, 1, after_us=WRITE_US)
    assert victim.blocks[4] == b"\xff" * 16
    assert victim.torn_writes == 0


def test_a_torn_transfer_tears_like_a_write():
    talk = opened(value=500, seed=9)
    talk.value(0xC0, 4, 1)
    now = talk.now + 1000 * US
    talk.card.hear(Frame.of(with_crc(b"\xb0\x05"), talk.session), now)
    talk.card.power_down(now + 1000 * US)
    assert value_of(talk.card.blocks[5]) is None
    assert value_of(talk.card.blocks[4]) == 500
