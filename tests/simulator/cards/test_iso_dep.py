"""The card's side of ISO/IEC 14443-3 and -4: block by block, and through the real driver."""

import random
from dataclasses import replace

import pytest

from firmware.drivers.mfrc522 import ERROR_CRC, SILENCE
from simulator.cards.ats import ATS_DESFIRE, Terms
from simulator.cards.field import FDT_BIT_1, US, Frame, with_crc
from simulator.cards.iso_dep import ACTIVE, HALT, IDLE, PROTOCOL, READY, IsoDepCard
from tests.drivers.desk import Desk

UID4, UID7 = bytes.fromhex("a1b2c3d4"), bytes.fromhex("04a1b2c3d4e5f6")
UID10 = bytes.fromhex("04a1b2c3d4e5f6172839")
ATS = bytes.fromhex("067577810280")
FWT_US = 77_330  # FWI 8, rounded up
GUARD_US = 605  # SFGI 1, rounded up
WTX = 0xF2


class Echo(IsoDepCard):
    """Answers each command with itself behind a length; `cost_us` is how long that takes."""

    def __init__(self, uid=UID7, seed=1, **options):
        super().__init__(uid, random.Random(seed), **options)
        self.cost_us = 500
        self.applied = []

    def apply(self, command, now):
        self.applied.append(command)
        return bytes((len(command) & 0xFF,)) + command, self.cost_us


class Talk:
    """A reader with perfect radio."""

    def __init__(self, card):
        self.card = card
        self.now = 0
        self.delay = 0
        self.rates = 0, 0
        card.power_up()

    def frame(self, frame, pause_us=2000):
        self.now += pause_us * US + frame.duration
        answer = self.card.hear(frame, self.now)
        if answer is None:
            return None
        self.delay = answer.delay
        self.now += answer.delay + answer.frame.duration
        return answer.frame

    def raw(self, data, **options):
        frame = self.frame(replace(Frame.of(data), rate=self.rates[0]), **options)
        assert frame is None or frame.rate == self.rates[1]
        return None if frame is None else frame.data

    def send(self, data, **options):
        """The answer without its CRC, which must be right; None for silence."""
        answer = self.raw(with_crc(bytes(data)), **options)
        assert answer is None or answer == with_crc(answer[:-2])
        return None if answer is None else answer[:-2]

    def hex(self, text, **options):
        answer = self.send(bytes.fromhex(text), **options)
        return None if answer is None else answer.hex()

    def wake(self, command=0x26):
        frame = self.frame(Frame(command, 7))
        return None if frame is None else frame.data

    def select(self, command=0x26):
        """Activate; (what was shown of the UID, every SAK)."""
        assert self.wake(command)
        shown, saks = b"", b""
        for level in (0x93, 0x95, 0x97):
            part = self.raw(bytes((level, 0x20)))
            saks += self.send(bytes((level, 0x70)) + part)
            if not saks[-1] & 0x04:
                return shown + part[:4], saks
            assert part[0] == 0x88
            shown += part[1:4]
        raise AssertionError("a fourth level")

    def open(self, parameter=0x50, **options):
        self.select(**options)
        assert self.send((0xE0, parameter)) is not None
        return self


def opened(parameter=0x50, **options):
    return Talk(Echo(**options)).open(parameter)


# ---------------------------------------------------------------- activation


@pytest.mark.parametrize(
    ("uid", "atqa", "saks"),
    [(UID4, "0403", "20"), (UID7, "4403", "0420"), (UID10, "8403", "040420")],
)
def test_every_size_of_uid(uid, atqa, saks):
    talk = Talk(Echo(uid))
    assert talk.card.state == IDLE
    assert talk.wake().hex() == atqa
    assert talk.card.state == READY
    talk.card.power_up()
    assert talk.select() == (uid, bytes.fromhex(saks))
    assert talk.card.state == ACTIVE
    assert not talk.card.violations


@pytest.mark.parametrize("size", [0, 3, 5, 8, 11])
def test_impossible_uid(size):
    with pytest.raises(ValueError, match="uid of"):
        Echo(bytes(size))


def test_random_uid_changes_with_power_only():
    talk = Talk(Echo(has_random_uid=True))
    first, saks = talk.select()
    assert (first[0], len(first), saks) == (0x08, 4, b"\x20")
    assert talk.card.uid == UID7
    assert talk.send(b"\x50\x00") is None
    assert talk.select(0x52)[0] == first
    talk.card.power_down(talk.now)
    talk.card.power_up()
    second, _ = talk.select()
    assert second != first
    again = Talk(Echo(has_random_uid=True))
    assert again.select()[0] == first  # the seed decides


def test_wrong_bits_in_anticollision_send_back():
    talk = Talk(Echo())
    talk.wake()
    assert talk.raw(bytes.fromhex("9320")) == bytes.fromhex("8804a1b2") + bytes(
        (0x88 ^ 0x04 ^ 0xA1 ^ 0xB2,)
    )
    partial = talk.frame(Frame.of(bytes.fromhex("93408804")))
    assert partial.data == bytes((0xA1, 0xB2, 0x88 ^ 0x04 ^ 0xA1 ^ 0xB2))
    assert talk.raw(bytes.fromhex("933089")) is None
    assert talk.card.state == IDLE


def test_select_with_wrong_crc_or_level():
    for wrong in ("crc", "level"):
        talk = Talk(Echo())
        talk.wake()
        part = talk.raw(bytes.fromhex("9320"))
        if wrong == "crc":
            assert talk.raw(b"\x93\x70" + part + bytes(2)) is None
        else:
            assert talk.send(b"\x95\x70" + part) is None
        assert talk.card.state == IDLE


def test_reqa_leaves_halt_alone_and_call_in_active_falls():
    talk = Talk(Echo())
    talk.select()
    assert talk.send(b"\x50\x00") is None
    assert talk.card.state == HALT
    assert talk.wake(0x26) is None
    assert talk.wake(0x52)
    talk.card.power_up()
    talk.select()
    assert talk.wake(0x52) is None
    assert talk.card.state == IDLE


# ---------------------------------------------------------------- RATS and PPS


def test_ats_and_guard_time():
    talk = Talk(Echo())
    talk.select()
    assert talk.hex("e050") == ATS.hex()
    assert talk.card.state == PROTOCOL
    assert talk.hex("0a00", pause_us=GUARD_US - 5) is None
    assert talk.card.violations == ["a frame within the start-up frame guard time"]
    talk = Talk(Echo())
    talk.select()
    talk.hex("e050")
    assert talk.hex("02aa", pause_us=GUARD_US) == "0201aa"
    assert not talk.card.violations


def test_damaged_rats_can_be_repeated():
    talk = Talk(Echo())
    talk.select()
    assert talk.raw(bytes.fromhex("e0500000")) is None
    assert talk.card.state == ACTIVE
    assert talk.hex("e050") == ATS.hex()
    assert talk.hex("e050") is None  # the second one is no block
    assert talk.card.state == PROTOCOL


def test_rats_with_cid_15_is_refused():
    talk = Talk(Echo())
    talk.select()
    assert talk.hex("e05f") is None
    assert talk.card.violations


@pytest.mark.parametrize(
    ("ats", "size", "waiting_us", "guard_us", "cid"),
    [
        ("067577810280", 64, 77_328, 604, True),
        ("067577710280", 64, 38_664, 604, True),
        ("01", 32, 4_833, 0, True),
        ("0208", 256, 4_833, 0, True),
        ("034000", 16, 4_833, 0, False),
    ],
)
def test_terms_of_an_ats(ats, size, waiting_us, guard_us, cid):
    terms = Terms(bytes.fromhex(ats))
    assert (terms.frame_bytes, terms.waiting_time // US) == (size, waiting_us)
    assert (terms.start_up_guard // US, terms.knows_cid) == (guard_us, cid)


@pytest.mark.parametrize("ats", ["", "05757781", "0675778102", "15" + "00" * 20])
def test_broken_ats(ats):
    with pytest.raises(ValueError, match="ATS"):
        Echo(ats=bytes.fromhex(ats))


@pytest.mark.parametrize("pps1", range(16))
def test_every_rate(pps1):
    talk = opened()
    assert talk.send((0xD0, 0x11, pps1)) == b"\xd0"  # still at 106 kbit/s
    talk.rates = pps1 & 3, pps1 >> 2
    assert talk.hex("02aa") == "0201aa"
    talk.rates = 3 - (pps1 & 3), pps1 >> 2
    assert talk.hex("03bb") is None  # the card hears only its own rate
    assert talk.card.applied == [b"\xaa"]
    assert not talk.card.violations


@pytest.mark.parametrize(
    ("ats", "block"),
    [
        ("067577810280", "d01110"),  # RFU bit of PPS1
        ("067577810280", "d11101"),  # another CID
        ("067577810280", "d011"),  # PPS1 announced and not sent
        ("067577810280", "d00101"),  # sent and not announced
        ("067533810280", "d0110b"),  # 848 from a card that has not got it
        ("0675b3810280", "d01101"),  # only the same rate both ways
    ],
)
def test_pps_the_card_cannot_follow(ats, block):
    talk = opened(ats=bytes.fromhex(ats))
    assert talk.hex(block) is None
    assert talk.card.violations
    assert talk.hex("02aa") == "0201aa"  # 106 kbit/s is still in force


def test_pps_only_right_after_rats():
    talk = opened()
    assert talk.hex("02aa")
    assert talk.hex("d01105") is None
    assert talk.card.violations
    talk = opened()
    assert talk.raw(b"\xd0\x11\x05\x00\x00") is None  # a damaged block ends the chance as well
    assert talk.hex("d01105") is None


# ---------------------------------------------------------------- blocks


def test_block_numbers_follow_the_reader():
    talk = opened()
    assert [talk.hex(block) for block in ("02aa", "03bb", "02cc")] == [
        "0201aa",
        "0301bb",
        "0201cc",
    ]
    assert not talk.card.violations
    assert talk.hex("02dd") == "0301dd"  # rule D: toggled whatever the number
    assert talk.card.violations == ["I-block with the number of the last one"]
    assert talk.card.applied[-1] == b"\xdd"


def test_chaining_from_the_reader():
    talk = opened()
    assert talk.hex("12aabb") == "a2"
    assert talk.hex("13cc") == "a3"
    assert talk.card.applied == []
    assert talk.hex("02dd") == "0204aabbccdd"
    assert talk.card.applied == [bytes.fromhex("aabbccdd")]
    assert not talk.card.violations


def test_chaining_to_the_reader_keeps_to_its_frame_size():
    talk = opened(parameter=0x00)  # FSD 16: 13 bytes in a block
    talk.hex("12" + "55" * 12)
    first = talk.send(bytes((0x03,)) + bytes(range(20)))
    assert (first[0], len(first)) == (0x13, 14)
    second = talk.hex("a2")
    assert (second[:2], len(second)) == ("12", 28)
    third = talk.hex("a3")
    assert third[:2] == "03"
    whole = first[1:] + bytes.fromhex(second)[1:] + bytes.fromhex(third)[1:]
    assert whole == bytes((32,)) + b"\x55" * 12 + bytes(range(20))
    assert talk.hex("02ee") == "0201ee"
    assert not talk.card.violations


def test_a_lost_part_is_repeated_not_skipped():
    talk = opened(parameter=0x00)
    first = talk.send(bytes((0x02,)) + bytes(range(30)))
    assert talk.hex("b2") == first.hex()  # R(NAK) with the card's number: the same again
    assert talk.hex("a2") == first.hex()  # R(ACK) with it too
    second = talk.hex("a3")
    assert second[:2] == "13"
    assert talk.hex("b3") == second
    assert len(talk.card.applied) == 1


def test_nak_repeats_a_lost_answer_without_doing_it_twice():
    talk = opened()
    assert talk.hex("02aa") == "0201aa"
    assert talk.hex("b2") == "0201aa"
    assert talk.hex("b2") == "0201aa"
    assert talk.card.applied == [b"\xaa"]


def test_nak_for_a_lost_command_says_so():
    talk = opened()
    assert talk.hex("b2") == "a3"  # nothing heard yet: the number is still 1
    assert talk.hex("02aa") == "0201aa"
    assert talk.hex("b3") == "a2"  # I(1) never came
    assert talk.hex("03bb") == "0301bb"
    assert talk.card.applied == [b"\xaa", b"\xbb"]


def test_nak_repeats_the_acknowledge_of_a_chain():
    talk = opened()
    assert talk.hex("12aa") == "a2"
    assert talk.hex("b2") == "a2"
    assert talk.hex("03bb") == "0302aabb"


def test_first_nak_with_the_cards_number_is_silence():
    assert opened().hex("b3") is None


@pytest.mark.parametrize("block", ["0000", "e2", "d2", "06aa00", "22aa", "a6", "c3", "fa"])
def test_what_is_no_block_is_ignored(block):
    talk = opened()
    assert talk.hex("02aa")
    assert talk.hex(block) is None
    assert talk.card.state == PROTOCOL
    assert talk.hex("03bb") == "0301bb"


def test_acknowledge_without_a_chain():
    talk = opened()
    talk.hex("02aa")
    assert talk.hex("a3") is None
    assert talk.card.violations == ["R(ACK) without a chain"]


def test_new_command_before_the_chain_was_taken():
    talk = opened(parameter=0x00)
    talk.send(bytes((0x02,)) + bytes(30))
    assert talk.hex("03bb") is None
    assert talk.card.violations == ["I-block before the last response was taken"]
    assert len(talk.card.applied) == 1


def test_wrong_crc_parity_or_half_a_byte_is_silence():
    talk = opened()
    assert talk.raw(bytes.fromhex("02aa0000")) is None
    whole = Frame.of(with_crc(b"\x02\xaa"))
    assert talk.frame(replace(whole, bad_parity=True)) is None
    assert talk.frame(replace(whole, nbits=whole.nbits - 1)) is None
    assert talk.wake(0x52) is None
    assert talk.send(b"\x50\x00") is None  # HLTA is no block
    assert talk.card.applied == []
    assert talk.hex("02aa") == "0201aa"


def test_frame_size_of_the_card():
    talk = opened()
    assert talk.send(bytes((0x02,)) + bytes(61)) is not None
    assert talk.send(bytes((0x03,)) + bytes(62)) is None
    assert talk.card.violations == ["a frame of 65 bytes"]
    assert len(talk.card.applied) == 1


def test_cid():
    talk = opened(parameter=0x53)
    assert talk.hex("0a03aa") == "0a0301aa"
    assert talk.hex("0b04bb") is None  # another card's
    assert talk.hex("03bb") is None  # none means CID 0
    assert talk.hex("0b03bb") == "0b0301bb"
    assert talk.hex("ca03") == "ca03"
    assert talk.card.state == HALT


def test_cid_zero_may_be_left_out_unless_the_card_has_none():
    talk = opened()
    assert talk.hex("0a00aa") == "0a0001aa"
    assert talk.hex("03bb") == "0301bb"
    talk = opened(ats=bytes.fromhex("067577810080"))
    assert talk.hex("0a00aa") is None
    assert talk.hex("02aa") == "0201aa"


def test_deselect_leads_to_halt_and_everything_starts_anew():
    talk = opened()
    assert talk.send((0xD0, 0x11, 0x05)) == b"\xd0"
    talk.rates = 1, 1
    assert talk.hex("02aa")
    assert talk.hex("c2") == "c2"
    talk.rates = 0, 0
    assert talk.card.state == HALT
    assert talk.wake(0x26) is None
    talk.open(command=0x52)
    assert talk.hex("02cc") == "0201cc"
    assert talk.card.conversations == 2
    assert not talk.card.violations


# ---------------------------------------------------------------- time


def test_the_answer_comes_when_the_command_is_done():
    talk = opened()
    talk.card.cost_us = 1234
    talk.hex("02aa")
    assert talk.delay // US in (1234 + 86, 1234 + 91)
    assert talk.delay <= 1234 * US + FDT_BIT_1


def test_deaf_while_busy():
    card = Echo()
    talk = Talk(card).open()
    card.cost_us = 50_000
    command = Frame.of(with_crc(b"\x02\xaa"))
    assert card.hear(command, talk.now + 1000 * US)
    assert card.hear(Frame.of(with_crc(b"\xb2")), talk.now + 30_000 * US) is None
    assert (
        card.hear(Frame.of(with_crc(b"\xb2")), talk.now + 52_000 * US).frame.data[:2]
        == b"\x02\x01"
    )


def test_asks_for_time_until_it_is_done():
    talk = opened()
    talk.card.cost_us = 20 * FWT_US
    asked = talk.hex("02aa")
    assert asked[:2] == "f2"
    assert talk.delay < FWT_US * US
    multiplier = int(asked[2:], 16)
    assert multiplier == 20
    assert talk.hex(asked, pause_us=100) == "0201aa"
    assert FWT_US * US < talk.delay < multiplier * FWT_US * US
    assert talk.card.applied == [b"\xaa"]
    assert not talk.card.violations


def test_asks_again_when_the_most_is_not_enough():
    talk = opened()
    talk.card.cost_us = 200 * FWT_US
    asked, granted = talk.hex("02aa"), []
    while asked.startswith("f2"):
        granted.append(int(asked[2:], 16))
        asked = talk.hex(asked)
    assert granted[0] == 59
    assert len(granted) >= 3
    assert asked == "0201aa"
    assert sum(granted) * FWT_US >= talk.card.cost_us // 2


def test_forced_and_slow():
    talk = opened()
    talk.card.asks_for_time = 7
    assert talk.hex("02aa") == "f207"
    assert talk.hex("f207") == "0201aa"
    talk.card.asks_for_time = 0
    talk.card.slow = True
    assert talk.hex("03bb") == "f202"
    assert talk.hex("f202") == "0301bb"


def test_lost_request_for_time_is_repeated():
    talk = opened()
    talk.card.asks_for_time = 3
    assert talk.hex("02aa") == "f203"
    assert talk.hex("b2") == "f203"
    assert talk.hex("f203") == "0201aa"
    assert talk.hex("b2") == "0201aa"
    assert talk.card.applied == [b"\xaa"]


def test_wrong_grants():
    talk = opened()
    assert talk.hex("f201") is None  # nobody asked
    talk.card.asks_for_time = 3
    talk.hex("02aa")
    assert talk.hex("f204") is None
    assert talk.hex("03bb") is None
    assert talk.hex("f203") == "0201aa"
    assert len(talk.card.violations) == 3


@pytest.mark.parametrize("elapsed_us", [0, 1, 4_999, 5_000, 9_000])
def test_power_lost_in_a_command_tears_it(elapsed_us):
    card = Echo()
    talk = Talk(card).open()
    card.cost_us = 5_000
    start = talk.now + 1_000 * US
    assert card.hear(Frame.of(with_crc(b"\x02\xaa")), start)
    card.power_down(start + elapsed_us * US)
    torn = [(elapsed_us, 5_000)] if elapsed_us < 5_000 else []
    assert card.tears == torn
    assert card.state == IDLE
    card.power_down(start + 20_000 * US)
    assert card.tears == torn


# ---------------------------------------------------------------- faults


def test_wrong_crc_from_the_card():
    talk = opened()
    talk.card.lies_crc = True
    answer = talk.raw(with_crc(b"\x02\xaa"))
    assert answer[:-2] == b"\x02\x01\xaa"
    assert answer != with_crc(answer[:-2])
    talk.card.lies_crc = False
    assert talk.hex("b2") == "0201aa"


def test_falls_mute():
    talk = opened()
    talk.card.mute_after = 2
    assert [talk.hex(block) for block in ("02aa", "03bb", "02cc")] == ["0201aa", "0301bb", None]
    assert talk.card.applied == [b"\xaa", b"\xbb"]


# ---------------------------------------------------------------- through chip and driver


class Through:
    """One card before the real driver on the chip model; frames by `chip.transceive`."""

    def __init__(self, card, seed=5):
        self.desk = Desk(seed)
        self.desk.chip.ensure()
        self.desk.place(card)
        self.card = card
        self.found = self.desk.pcd.poll()

    def __call__(self, block, timeout_us=5_000):
        chip = self.desk.chip
        data = bytes.fromhex(block)
        chip.set_crc(True, True)
        chip.tx[: len(data)] = data
        self.desk.sleep_us(GUARD_US)
        bits = chip.transceive(len(data), 16, timeout_us)
        return None if bits == SILENCE else bytes(chip.rx[: bits // 8]).hex()


@pytest.mark.parametrize("uid", [UID4, UID7, UID10])
def test_the_driver_selects_it(uid):
    through = Through(Echo(uid))
    assert (through.found.uid, through.found.sak) == (uid, 0x20)
    assert through("e050") == ATS_DESFIRE.hex()
    assert through("02aa") == "0201aa"
    assert not through.card.violations
    assert not through.desk.model.violations


def test_two_of_them_collide_as_others_do():
    desk = Desk(3)
    desk.place(Echo(UID4), Echo(UID7))
    with pytest.raises(Exception, match="one card please") as caught:
        desk.pcd.poll()
    assert set(caught.value.uids) == {UID4, UID7}


def test_flipped_bit_then_nak_through_the_chip():
    through = Through(Echo())
    through("e050")
    through.desk.field.disturb("flip_answer", 9)
    through("02aa")
    assert through.desk.chip.errors & ERROR_CRC
    assert through("b2") == "0201aa"
    through.desk.field.disturb("flip_command", 9)
    assert through("03bb") is None
    assert through("b3") == "a2"
    assert through("03bb") == "0301bb"
    assert through.card.applied == [b"\xaa", b"\xbb"]


def test_waiting_time_through_the_chip():
    through = Through(Echo())
    through("e050")
    through.card.slow = True
    asked = through("02aa", timeout_us=FWT_US)
    assert asked == "f202"
    assert through(asked, timeout_us=2 * FWT_US) == "0201aa"
    assert not through.desk.model.violations


def test_removed_in_the_middle_of_a_command():
    through = Through(Echo())
    through("e050")
    through.card.cost_us = 4_000
    clock = through.desk.clock
    gone_at = clock.now_us + 3_500

    def sleep_us(duration_us):
        clock.advance_us(duration_us)
        if clock.now_us >= gone_at:
            through.desk.field.remove(through.card)

    through.desk.chip.sleep_us = sleep_us
    assert through("02aa") is None
    assert len(through.card.tears) == 1
