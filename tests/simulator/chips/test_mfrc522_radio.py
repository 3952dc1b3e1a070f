"""The radio half of the MFRC522 model: frames, CRC, collisions, Crypto1, time and faults."""

import random

import pytest

from simulator.cards.mifare_classic import HALT, MifareClassic
from simulator.chips import mfrc522_registers as reg
from tests.simulator.wired import Wired

UID = bytes.fromhex("01020304")
UID7 = bytes.fromhex("04112233445566")
ETU_US = 128 / 13.56


def card(uid=UID, seed=5):
    return MifareClassic(uid, None, random.Random(seed))


@pytest.fixture
def bench():
    wired = Wired(card())
    yield wired
    assert wired.chip.violations == []


def selected(*cards):
    wired = Wired(*cards)
    wired.select()
    return wired


# ---------------------------------------------------------------- field and framing


def test_reqa_is_answered_by_atqa_and_transceive_stays_active(bench):
    bench.begin(b"\x26", 7)
    flags = bench.wait()
    assert flags & (reg.RX_IRQ | reg.TX_IRQ) == reg.RX_IRQ | reg.TX_IRQ
    assert not flags & (reg.IDLE_IRQ | reg.TIMER_IRQ | reg.ERR_IRQ)
    assert bench.fifo() == b"\x04\x00"
    assert bench.read(reg.COMMAND) & 15 == reg.TRANSCEIVE


def test_a_second_start_send_needs_no_new_command(bench):
    assert bench.talk(b"\x26", 7) == b"\x04\x00"
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.FIFO_DATA, 0x93, 0x20)
    bench.write(reg.BIT_FRAMING, 0x80)
    assert bench.wait() & reg.RX_IRQ
    assert bench.fifo() == UID + b"\x04"


def test_nothing_is_sent_without_start_send(bench):
    bench.write(reg.FIFO_DATA, 0x26)
    bench.write(reg.BIT_FRAMING, 7)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, reg.TRANSCEIVE)
    bench.clock.advance_us(50_000)
    assert bench.read(reg.COM_IRQ) & (reg.TX_IRQ | reg.RX_IRQ | reg.TIMER_IRQ) == 0


def test_eight_bits_of_26_are_no_reqa(bench):
    assert bench.talk(b"\x26") is None


@pytest.mark.parametrize(
    ("register", "value"),
    [(reg.TX_ASK, 0x00), (reg.TX_CONTROL, 0x80), (reg.MOD_WIDTH, 0x15), (reg.COMMAND, None)],
    ids=["less than 100 % ASK", "antenna off", "pauses of 212 kbit/s", "receiver off"],
)
def test_a_wrong_setting_gets_no_answer(bench, register, value):
    if value is not None:
        bench.write(register, value)
        assert bench.talk(b"\x26", 7) is None
        return
    bench.write(reg.FIFO_DATA, 0x26)
    bench.write(reg.BIT_FRAMING, 7)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, 0x20 | reg.TRANSCEIVE)
    bench.write(reg.BIT_FRAMING, 0x87)
    assert bench.wait() & reg.TIMER_IRQ


def test_a_card_needs_five_milliseconds_of_field():
    bench = Wired(card())
    bench.write(reg.TX_CONTROL, 0x80)
    bench.write(reg.TX_CONTROL, 0x83)
    bench.clock.advance_us(4_000)
    assert bench.wake() is None
    assert bench.wake() == b"\x04\x00"


def test_antenna_off_makes_a_card_forget(bench):
    victim = bench.field.cards[0]
    bench.select()
    bench.crc(True)
    assert bench.talk(b"\x50\x00") is None
    assert victim.state == HALT
    assert bench.wake() is None
    bench.write(reg.TX_CONTROL, 0x80)
    bench.write(reg.TX_CONTROL, 0x83)
    bench.clock.advance_us(5_000)
    assert bench.wake() == b"\x04\x00"


def test_soft_reset_takes_the_carrier_away(bench):
    bench.select()
    bench.write(reg.COMMAND, reg.SOFT_RESET)
    assert bench.field.cards[0].state == "idle"
    bench.clock.advance_us(100)


def test_a_frame_takes_its_bits_and_the_frame_delay():
    bench = Wired(card(), call_us=1, spi_hz=10_000_000)
    bench.begin(b"\x26", 7)
    start_us = bench.clock.now_us
    bench.wait(reg.TX_IRQ)
    sent_us = bench.clock.now_us
    bench.wait(reg.RX_IRQ)
    answered_us = bench.clock.now_us
    assert abs(sent_us - start_us - 9 * ETU_US) < 5
    assert abs(answered_us - sent_us - (1172 / 13.56 + 20 * ETU_US)) < 5


def test_transmit_and_receive_are_two_halves_of_a_transceive(bench):
    bench.write(reg.FIFO_DATA, 0x26)
    bench.write(reg.BIT_FRAMING, 7)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, reg.TRANSMIT)
    assert bench.wait(reg.IDLE_IRQ) & reg.TX_IRQ
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, reg.RECEIVE)
    assert bench.wait(reg.RX_IRQ) & reg.IDLE_IRQ
    assert bench.fifo() == b"\x04\x00"


def test_start_send_twice_and_an_empty_fifo_are_written_down():
    bench = Wired(card())
    bench.begin(b"")
    bench.write(reg.BIT_FRAMING, 0x80)
    assert bench.chip.violations[0] == "transmission of an empty FIFO"
    assert bench.chip.violations[1] == "StartSend while a frame or its answer is under way"


@pytest.mark.parametrize(
    ("register", "value", "words"),
    [
        (reg.MF_RX, 0x10, "ParityDisable is not modelled"),
        (reg.TX_MODE, 0x80, "TxCRCEn with TxLastBits"),
        (reg.RX_MODE, 0x04, "RxMultiple is not modelled"),
        (reg.TX_MODE, 0x10, "no TxCRCEn above 106 kbit/s"),
    ],
)
def test_settings_outside_the_model_are_written_down(register, value, words):
    bench = Wired(card())
    bench.write(register, value)
    bench.talk(b"\x26", 7)
    assert bench.chip.violations == [words]


def test_writing_the_fifo_while_a_frame_is_out_is_an_error(bench):
    bench.begin(b"\x26", 7)
    bench.write(reg.FIFO_DATA, 0x55)
    assert bench.error() & reg.WR_ERR


# ---------------------------------------------------------------- CRC and parity


def test_transmit_crc_is_needed_from_select_on(bench):
    assert bench.wake() == b"\x04\x00"
    part = bench.talk(b"\x93\x20")
    assert part == UID + b"\x04"
    assert bench.talk(b"\x93\x70" + part) is None


def test_a_wrong_preset_is_a_wrong_crc(bench):
    bench.wake()
    part = bench.talk(b"\x93\x20")
    bench.crc(True)
    bench.write(reg.MODE, 0x3F)
    assert bench.talk(b"\x93\x70" + part) is None


def test_receive_crc_is_checked_and_not_in_the_fifo(bench):
    bench.select()
    assert bench.fifo() == b""
    assert bench.authenticate(4, UID)
    block = bench.talk(b"\x30\x04")
    assert (block, bench.error()) == (bytes(16), 0)
    bench.write(reg.RX_MODE, 0)
    assert len(bench.talk(b"\x30\x04")) == 18


def test_a_flipped_bit_with_good_parity_is_caught_by_the_crc_only(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    bench.field.disturb("flip_answer", 37)
    damaged = bench.talk(b"\x30\x04")
    assert damaged == bytes(4) + b"\x20" + bytes(11)
    assert bench.error() == reg.CRC_ERR
    bench.write(reg.RX_MODE, 0)
    bench.field.disturb("flip_answer", 37)
    assert bench.talk(b"\x30\x04")[:16] == damaged
    assert bench.error() == 0


def test_a_wrong_parity_bit_is_its_own_error(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    bench.field.disturb("parity")
    assert bench.talk(b"\x30\x04") == bytes(16)
    assert bench.error() == reg.PARITY_ERR


def test_error_flags_go_when_a_command_or_a_receive_begins(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    bench.field.disturb("parity")
    bench.talk(b"\x30\x04")
    bench.write(reg.FIFO_DATA, 0x30, 4)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.BIT_FRAMING, 0x80)
    assert bench.error() == reg.PARITY_ERR
    bench.wait()
    assert bench.error() == 0
    bench.field.disturb("parity")
    bench.talk(b"\x30\x04")
    bench.write(reg.COMMAND, reg.IDLE)
    assert bench.error() == reg.PARITY_ERR
    bench.write(reg.BIT_FRAMING, 0)  # or the command would send at once
    bench.write(reg.COMMAND, reg.TRANSCEIVE)
    assert bench.error() == 0


def test_a_four_bit_answer_counts_as_a_crc_error(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    assert bench.talk(b"\xa0\x04") == b"\x0a"
    assert bench.read(reg.CONTROL) & 7 == 4
    assert bench.error() == reg.CRC_ERR
    bench.write(reg.RX_MODE, 0)
    assert bench.talk(bytes(16)) == b"\x0a"
    assert bench.error() == 0


# ---------------------------------------------------------------- collisions


def two_cards(one, other):
    wired = Wired(card(one), card(other))
    assert wired.wake() == b"\x04\x00"
    return wired


def test_two_cards_collide_at_the_first_differing_bit():
    bench = two_cards(bytes.fromhex("01020304"), bytes.fromhex("01020b04"))
    bench.write(reg.COLL, 0)
    answer = bench.talk(b"\x93\x20")
    assert bench.error() == reg.COLL_ERR
    position = bench.read(reg.COLL)
    assert position & 0x20 == 0
    assert position & 0x1F == 20  # 03 and 0b differ in bit 3 of byte 2
    assert answer == bytes.fromhex("0102030000")


def test_values_after_collision_may_be_kept():
    bench = two_cards(bytes.fromhex("01020304"), bytes.fromhex("01020b04"))
    bench.write(reg.COLL, 0x80)
    answer = bench.talk(b"\x93\x20")
    assert answer == bytes.fromhex("01020b040c")
    assert bench.read(reg.COLL) & 0x80


def test_a_collision_in_bit_32_shows_as_zero_and_none_as_not_valid():
    bench = two_cards(bytes.fromhex("01020304"), bytes.fromhex("01020384"))
    bench.talk(b"\x93\x20")
    assert bench.read(reg.COLL) & 0x3F == 0
    alone = Wired(card())
    alone.wake()
    alone.talk(b"\x93\x20")
    assert alone.read(reg.COLL) & 0x20


@pytest.mark.parametrize("counts_align", [True, False])
def test_the_branch_is_chosen_bit_by_bit_with_rx_align(counts_align):
    near, far = bytes.fromhex("01020304"), bytes.fromhex("01020b1c")
    bench = two_cards(near, far)
    bench.chip.collision_counts_align = counts_align
    bench.talk(b"\x93\x20")
    known = bytes.fromhex("01020b")  # take the 1 at bit 20: 16 + 4 bits are known
    rest = bench.talk(b"\x93\x44" + known, last_bits=4, align=4)
    assert bench.error() == 0
    assert (bytes((known[2] & 0x0F | rest[0],)), rest[1:]) == (b"\x0b", b"\x1c\x14")


@pytest.mark.parametrize(("counts_align", "position"), [(True, 7), (False, 3)])
def test_whether_coll_pos_counts_rx_align_is_a_switch(counts_align, position):
    cards = [card(bytes.fromhex(uid)) for uid in ("01020304", "01020b04", "01024b04")]
    bench = Wired(*cards)
    bench.wake()
    bench.chip.collision_counts_align = counts_align
    bench.talk(b"\x93\x20")
    bench.talk(b"\x93\x44\x01\x02\x0b", last_bits=4, align=4)
    assert bench.error() == reg.COLL_ERR
    assert bench.read(reg.COLL) & 0x3F == position


def test_cards_with_different_atqa_collide_on_request():
    bench = Wired(card(UID), card(UID7))
    bench.wake()
    assert bench.error() == reg.COLL_ERR


def test_seven_byte_uids_need_two_levels():
    assert Wired(card(UID7)).select() == UID7


# ---------------------------------------------------------------- MFAuthent


def test_authentication_ends_itself_and_turns_the_cipher_on(bench):
    bench.select()
    bench.write(reg.COM_IRQ, 0x7F)
    assert bench.authenticate(4, UID)
    assert bench.read(reg.STATUS2) & 8
    assert bench.read(reg.COMMAND) & 15 == reg.IDLE
    assert bench.read(reg.COM_IRQ) & (reg.TX_IRQ | reg.RX_IRQ) == 0


@pytest.mark.parametrize(
    ("key", "uid", "which"),
    [(b"\xfe" * 6, UID, 0x60), (b"\xff" * 6, b"\x01\x02\x03\x05", 0x60), (b"\xfe" * 6, UID, 0x61)],
)
def test_a_wrong_key_or_uid_ends_by_the_timer_only(bench, key, uid, which):
    bench.select()
    assert not bench.authenticate(4, uid, key, which)
    assert bench.read(reg.COM_IRQ) & (reg.TIMER_IRQ | reg.IDLE_IRQ) == reg.TIMER_IRQ
    assert bench.read(reg.COMMAND) & 15 == reg.AUTHENT
    assert not bench.read(reg.STATUS2) & 8
    assert bench.error() == 0


def test_seven_byte_cards_authenticate_with_the_last_four_bytes():
    bench = selected(card(UID7))
    assert not bench.authenticate(4, UID7[:4])
    bench = selected(card(UID7))
    assert bench.authenticate(4, UID7)


def test_the_fifo_is_closed_during_authentication(bench):
    bench.select()
    bench.write(reg.FIFO_DATA, 0x60, 4, *b"\xff" * 6, *UID)
    bench.write(reg.COMMAND, reg.AUTHENT)
    bench.write(reg.FIFO_DATA, 0x55)
    assert bench.error() & reg.WR_ERR
    assert bench.read(reg.FIFO_LEVEL) == 0


def test_the_cipher_bit_can_be_cleared_but_not_set(bench):
    bench.write(reg.STATUS2, 0x08)
    assert not bench.read(reg.STATUS2) & 8
    bench.select()
    bench.authenticate(4, UID)
    bench.write(reg.STATUS2, 0x08)
    assert bench.read(reg.STATUS2) & 8
    bench.write(reg.STATUS2, 0x00)
    assert not bench.read(reg.STATUS2) & 8


def test_plain_commands_after_authentication_are_noise_to_the_card(bench):
    bench.select()
    bench.authenticate(4, UID)
    bench.write(reg.STATUS2, 0)
    assert bench.talk(b"\x30\x04") is None


def test_with_the_cipher_left_on_no_card_can_be_woken(bench):
    bench.select()
    bench.authenticate(4, UID)
    bench.crc(True)
    bench.talk(b"\x50\x00")
    assert bench.wake(0x52) is None
    bench.write(reg.STATUS2, 0)
    assert bench.wake(0x52) == b"\x04\x00"


def test_another_sector_is_authenticated_inside_the_session(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    assert bench.authenticate(8, UID)
    assert bench.talk(b"\x30\x08") == bytes(16)
    assert bench.talk(b"\x30\x04") == b"\x04"


def test_an_answer_under_another_key_stream_is_noise(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    bench.begin(b"\x30\x04")
    bench.wait(reg.TX_IRQ)
    bench.write(reg.STATUS2, 0)
    bench.wait()
    assert bench.fifo() != bytes(16)
    assert bench.error() == reg.CRC_ERR | reg.PARITY_ERR


def test_a_failed_authentication_turns_the_cipher_off(bench):
    bench.select()
    assert bench.authenticate(4, UID)
    assert not bench.authenticate(8, UID, b"\xfe" * 6)
    assert not bench.read(reg.STATUS2) & 8


@pytest.mark.parametrize("effect", ["flip_answer", "parity", "lose_answer", "flip_command"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_disturbed_authentication_never_succeeds(bench, effect, step):
    bench.select()
    bench.field.disturb(effect, 3, after=step)
    assert not bench.authenticate(4, UID)
    assert not bench.read(reg.STATUS2) & 8


# ---------------------------------------------------------------- timer and receiver


def test_the_timer_starts_at_the_end_of_transmission(bench):
    bench.timer(0x0A9, 39)  # 1.0 ms
    bench.field.cards.clear()
    bench.chip.call_us = 1
    bench.begin(b"\x93\x20")
    start_us = bench.clock.now_us
    bench.wait(reg.TIMER_IRQ)
    assert abs(bench.clock.now_us - start_us - (20 * ETU_US + 1000)) < 12


def test_without_t_auto_a_transmission_starts_no_timer(bench):
    bench.timer(0x0A9, 39, mode=0)
    bench.field.cards.clear()
    bench.begin(b"\x26", 7)
    bench.clock.advance_us(50_000)
    assert not bench.read(reg.COM_IRQ) & reg.TIMER_IRQ


def test_the_fifth_bit_stops_the_timer(bench):
    bench.timer(0x0A9, 7)  # 200 us: after the start of the answer, before its end
    assert bench.talk(b"\x26", 7) == b"\x04\x00"
    bench.clock.advance_us(1000)
    assert not bench.read(reg.COM_IRQ) & reg.TIMER_IRQ


def test_an_answer_after_the_timer_still_arrives(bench):
    bench.timer(0x0A9, 1)  # 50 us, less than the frame delay
    bench.begin(b"\x26", 7)
    assert not bench.wait() & reg.RX_IRQ
    bench.clock.advance_us(1000)
    assert bench.read(reg.COM_IRQ) & reg.RX_IRQ
    assert bench.fifo() == b"\x04\x00"


def test_idle_cancels_a_late_answer(bench):
    bench.timer(0x0A9, 1)
    bench.begin(b"\x26", 7)
    bench.wait()
    bench.write(reg.COMMAND, reg.IDLE)
    bench.clock.advance_us(1000)
    assert bench.fifo() == b""


def test_noise_ends_the_receive_unless_rx_no_err(bench):
    bench.field.disturb("noise", 2)
    bench.begin(b"\x26", 7)
    assert bench.wait() & reg.ERR_IRQ
    assert bench.error() == reg.PROTOCOL_ERR
    bench.clock.advance_us(10_000)
    assert bench.wake() is None  # the card has answered already and went back to idle
    bench.write(reg.RX_MODE, 0x08)
    bench.field.disturb("noise", 2)
    assert bench.talk(b"\x26", 7) == b"\x04\x00"


def test_noise_without_a_card_is_not_a_card(bench):
    bench.field.cards.clear()
    bench.write(reg.RX_MODE, 0x08)
    bench.field.disturb("noise", 3)
    assert bench.talk(b"\x26", 7) is None


@pytest.mark.parametrize("effect", ["lose_command", "lose_answer"])
def test_a_lost_frame_ends_by_the_timer(bench, effect):
    bench.field.disturb(effect)
    assert bench.wake() is None
    assert bench.field.cards[0].state == ("idle" if effect == "lose_command" else "ready")


def test_unknown_effects_are_refused(bench):
    with pytest.raises(ValueError, match="smoke"):
        bench.field.disturb("smoke")


# ---------------------------------------------------------------- cards that leave


def write_block(bench, data):
    bench.select()
    bench.authenticate(4, UID)
    return all(bench.talk(frame) is not None for frame in (b"\xa0\x04", data))


def test_a_card_pulled_before_any_transaction_leaves_old_new_or_torn():
    old, new = bytes(16), bytes(range(0x11, 0x21))
    plain = Wired(card())
    assert write_block(plain, new)
    seen = set()
    for k in range(plain.chip.transactions):
        victim = card(seed=k)
        bench = Wired(victim)
        bench.chip.before_exchange = lambda n, k=k, b=bench, v=victim: n == k and b.field.remove(v)
        try:
            done = write_block(bench, new)
        except AssertionError:
            done = False
        block = victim.blocks[4]
        assert not done or block == new
        bits = [a ^ b for a, b in zip(old, new, strict=True)]
        assert all((a ^ b) & ~m == 0 for a, b, m in zip(old, block, bits, strict=True))
        state = "old" if block == old else "new" if block == new else "torn"
        seen.add((state, done))
        assert bench.chip.violations == []
    assert seen == {("old", False), ("torn", False), ("new", False), ("new", True)}


def test_an_answer_cut_short_is_a_broken_frame():
    bench = selected(card())
    bench.authenticate(4, UID)
    bench.chip.call_us = 1
    bench.begin(b"\x30\x04")
    bench.wait(reg.TX_IRQ)
    bench.clock.advance_us(900)
    bench.field.remove(bench.field.cards[0])
    assert bench.wait() & reg.RX_IRQ
    assert bench.error() == reg.CRC_ERR
    assert 0 < len(bench.fifo()) < 16


def test_a_card_that_comes_back_has_forgotten_its_session(bench):
    victim = bench.field.cards[0]
    bench.select()
    bench.authenticate(4, UID)
    bench.field.remove(victim)
    assert not victim.in_field
    bench.field.place(victim)
    assert victim.in_field
    assert bench.talk(b"\x30\x04") is None
