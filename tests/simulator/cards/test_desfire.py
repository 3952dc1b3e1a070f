"""The DESFire model as one card: clothes of commands, time, torn commits, images, the radio."""

import json
import random

import pytest

from firmware.drivers.mfrc522 import SILENCE
from simulator.cards.desfire import COMMANDS, Desfire
from simulator.cards.field import US, Frame, with_crc
from tests.drivers.desk import Desk
from tests.simulator.cards.desfire_peer import (
    AID,
    FULL,
    KEYS,
    OK,
    UID,
    ZERO_KEY,
    Denied,
    Peer,
    blank,
    le,
    span,
    with_application,
    with_files,
)
from tests.simulator.cards.test_desfire_tmac import MAC_FILE, READER_A, with_mac

COMMIT_US = COMMANDS[0xC7].busy_us
GUARD_US = 605
FWT_US = 77_330


# ---------------------------------------------------------------- wrapped commands


def wrapped(code, data=b""):
    length = bytes((len(data),)) if data else b""
    return bytes((0x90, code, 0, 0)) + length + data + b"\x00"


def test_wrapped_commands_do_the_same():
    native, dressed = with_files(seed=3).open(3), with_files(seed=3).open(3)
    for code, header, data in (
        (0x8D, span(2, 0, 3), b"abc"),
        (0xDC, b"\x03", le(7, 4)),
        (0x6C, b"\x03", b""),
        (0xC7, b"", b""),
    ):
        command = native.build(code, header, data, FULL)
        answer, busy_us = native.card.apply(command, 0)
        other, other_us = dressed.card.apply(wrapped(code, command[1:]), 0)
        assert (other, other_us) == (answer[1:] + b"\x91" + answer[:1], busy_us)
        native.session[3] += 1
    assert dressed.card.snapshot() == native.card.snapshot()
    assert native.card.truth(AID, 3) == 493


def test_wrapped_frames():
    card = with_files().card
    card.begin()
    assert card.apply(wrapped(0x60), 0)[0][-2:] == b"\x91\xaf"
    assert card.apply(wrapped(0xAF), 0)[0][-2:] == b"\x91\xaf"
    assert card.apply(wrapped(0xAF), 0)[0][-2:] == b"\x91\x00"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("9064000001", "917e"),
        ("90640000010000ff", "917e"),
        ("9064000001000000", "917e"),
        ("90640000020000", "917e"),
        ("90640100010000", "919e"),
        ("9064", "917e"),
        ("90", "917e"),
        ("90ee000000", "911c"),
        ("906400000005", "917e"),
        ("90640000010500", "9140"),
        ("90640000010000", "009100"),
    ],
)
def test_wrapping_that_is_wrong(command, answer):
    assert blank().card.apply(bytes.fromhex(command), 0)[0].hex() == answer


def test_empty_block_is_answered_with_one():
    assert with_files().card.apply(b"", 0) == (b"", 0)


# ---------------------------------------------------------------- torn


def prepared(seed, torn):
    """A card with everything pending and the commit's bytes."""
    peer = with_mac(seed=seed).open(3)
    peer.card.torn = torn
    peer.write(2, b"new")
    peer.move(0xDC, 100)
    peer.write(4, b"linear", code=0x8B)
    peer.write(5, b"cyclic", code=0x8B)
    peer.ask(0xC8, b"", READER_A)
    return peer, peer.build(0xC7, b"", b"\x01")


def side(card):
    """Which side of the commit the card is on; nothing else may be seen."""
    seen = [card.truth(AID, n) for n in (2, 3, 4, 5)]
    tmc, tmv = card.truth(AID, MAC_FILE)
    if (seen[0][:3], *seen[1:], tmc) == (bytes(3), 500, [], [], 0):
        assert tmv == bytes(8)
        return "old"
    assert (seen[0][:3], *seen[1:], tmc) == (b"new", 400, [b"linear\0\0"], [b"cyclic\0\0"], 1)
    assert tmv != bytes(8)
    return "new"


class Frames:
    """Blocks straight to a card's ears, for a cut at any tick."""

    def __init__(self, card):
        self.card = card
        self.now = 0
        self.number = 0
        card.power_up()
        self.hear(Frame(0x26, 7))
        for level in (0x93, 0x95):
            part = self.hear(Frame.of(bytes((level, 0x20))))
            self.hear(Frame.of(with_crc(bytes((level, 0x70)) + part)))
        self.hear(Frame.of(with_crc(b"\xe0\x50")))

    def hear(self, frame):
        self.now += 2_000 * US + frame.duration
        answer = self.card.hear(frame, self.now)
        if answer is None:
            return None
        self.heard_at = self.now
        self.now += answer.delay + answer.frame.duration
        return answer.frame.data

    def send(self, native):
        block = bytes((0x02 | self.number,)) + native
        self.number ^= 1
        answer = self.hear(Frame.of(with_crc(block)))
        return answer[1:-2]


class BlockPeer(Peer):
    """A Peer that speaks in blocks."""

    def wake(self):
        self.frames = Frames(self.card)
        self.session = None

    def raw(self, native):
        answer = self.frames.send(native)
        return answer[0], answer[1:]


def torn_at(elapsed_us, torn, seed=1):
    _, command = prepared(seed, torn)
    peer, _ = prepared(seed, torn)
    image = peer.card.snapshot()
    card = Desfire(UID, random.Random(seed))
    card.restore(image)
    card.torn = torn
    talk = BlockPeer(card)
    talk.open(3)
    talk.write(2, b"new")
    talk.move(0xDC, 100)
    talk.write(4, b"linear", code=0x8B)
    talk.write(5, b"cyclic", code=0x8B)
    talk.ask(0xC8, b"", READER_A)
    assert command[0] == 0xC7
    talk.frames.send(talk.build(0xC7, b"", b"\x01"))
    card.power_down(talk.frames.heard_at + elapsed_us * US)
    return card


@pytest.mark.parametrize("elapsed_us", [0, 1, COMMIT_US // 2, COMMIT_US - 1])
@pytest.mark.parametrize("torn", ["old", "new"])
def test_torn_commit_is_whole(torn, elapsed_us):
    card = torn_at(elapsed_us, torn)
    assert side(card) == torn
    assert card.torn_writes == 1
    assert card.tears == [(elapsed_us, COMMIT_US)]


def test_torn_commit_that_is_drawn_is_whole_too():
    seen = [side(torn_at(COMMIT_US // 2, "mixed", seed)) for seed in range(24)]
    assert 4 <= seen.count("old") <= 20
    assert seen == [side(torn_at(COMMIT_US // 2, "mixed", seed)) for seed in range(24)]


def test_power_lost_after_the_commit_changes_nothing():
    for torn in ("old", "new", "mixed"):
        card = torn_at(COMMIT_US, torn)
        assert side(card) == "new"
        assert card.torn_writes == 0


def test_power_lost_before_the_commit():
    peer, _ = prepared(1, "new")
    peer.card.power_down(10**12)
    peer.wake()
    assert side(peer.card) == "old"
    assert peer.card.torn_writes == 0


def test_torn_card_goes_on():
    card = torn_at(1_000, "old")
    talk = BlockPeer(card).open(3)
    talk.denied(0x0C, 0xC7)
    talk.open(3)
    talk.move(0xDC, 1)
    talk.ask(0xC8, b"", READER_A)
    talk.ask(0xC7)
    assert card.truth(AID, 3) == 499
    assert card.truth(AID, MAC_FILE)[0] == 1


def test_torn_write_to_a_standard_file_is_really_mixed():
    seen = set()
    for seed in range(8):
        card = with_files(seed=seed).card
        talk = BlockPeer(card).open(3)
        talk.frames.send(talk.build(0x8D, span(1, 0, 16), b"\xaa" * 16, FULL))
        card.power_down(talk.frames.heard_at + 500 * US)
        data = card.truth(AID, 1)
        assert set(data[:16]) <= {0x00, 0xAA}
        assert data[16:] == bytes(48)
        seen.add(data)
    assert len(seen) > 4


@pytest.mark.parametrize(("torn", "keys_open"), [("old", ZERO_KEY), ("new", KEYS[0])])
def test_torn_change_of_a_key(torn, keys_open):
    card = Desfire(UID, random.Random(2))
    card.torn = torn
    talk = BlockPeer(card)
    talk.login(0, ZERO_KEY)
    talk.frames.send(talk.build(0xC4, b"\x00", KEYS[0] + b"\x01", FULL))
    card.power_down(talk.frames.heard_at + 100 * US)
    talk.wake()
    talk.login(0, keys_open)


def test_reading_cannot_be_torn():
    card = with_files().card
    before = card.snapshot()
    talk = BlockPeer(card).open(3)
    talk.frames.send(talk.build(0xAD, span(1, 0, 4)))
    card.power_down(talk.frames.heard_at + 1)
    assert card.torn_writes == 0
    assert len(card.tears) == 1
    assert card.snapshot() == before


# ---------------------------------------------------------------- images


def test_image_is_json_and_comes_back():
    peer, command = prepared(4, "old")
    pending = json.dumps(peer.card.snapshot())
    assert peer.raw(command)[0] == OK
    after = json.dumps(peer.card.snapshot())
    assert after != pending
    clone = Desfire(bytes(7), random.Random(9))
    clone.restore(json.loads(after))
    assert json.dumps(clone.snapshot()) == after
    talk = Peer(clone).open(3)
    assert clone.uid == UID
    assert talk.value() == 400
    assert talk.ask(0xAB, span(5, 0, 0), mode=FULL) == b"cyclic\0\0"


def test_rolled_back_card_repeats_its_counter():
    peer, command = prepared(4, "old")
    image = peer.card.snapshot()
    peer.raw(command)
    first = peer.card.truth(AID, MAC_FILE)
    peer.card.restore(image)
    assert side(peer.card) == "old"
    again, command = prepared(4, "old")
    again.raw(command)
    assert again.card.truth(AID, MAC_FILE) == first


def test_every_setting_is_in_the_image():
    peer = with_application(settings=0x0B)
    peer.select(b"\0\0\0")
    peer.login(0, ZERO_KEY)
    peer.ask(0x5C, b"\x00", b"\x03", FULL)
    peer.ask(0x5C, b"\x02", bytes.fromhex("067577710280"), FULL)
    clone = Desfire(bytes(7), random.Random(9))
    clone.restore(peer.card.snapshot())
    talk = Peer(clone)
    assert (len(clone.shown_uid), clone._terms.ats[3]) == (4, 0x71)
    talk.login(0, ZERO_KEY)
    talk.denied(0x9D, 0xFC)
    talk.open(2)
    assert talk.ask(0x45) == b"\x0b\x85"
    assert talk.ask(0x64, b"\x02") == b"\x02"


def test_truth_of_what_is_not_there():
    card = with_files().card
    with pytest.raises(KeyError):
        card.truth(AID, 9)
    with pytest.raises(KeyError):
        card.truth(b"abc", 1)


# ---------------------------------------------------------------- the radio


class OverTheAir(Peer):
    """A Peer through driver, chip and field: blocks, chains, waiting, asking again."""

    def __init__(self, card, seed=7):
        self.desk = Desk(seed)
        self.desk.chip.ensure()
        self.desk.place(card)
        self.waits = self.repeats = 0
        super().__init__(card)

    def wake(self):
        self.found = self.desk.pcd.poll()
        self.number = 0
        self.session = None
        assert self.block(b"\xe0\x50")[0] == 6

    def block(self, data, timeout_us=FWT_US):
        chip = self.desk.chip
        chip.set_crc(True, True)
        chip.tx[: len(data)] = data
        self.desk.sleep_us(GUARD_US)
        bits = chip.transceive(len(data), 16, timeout_us)
        if bits == SILENCE or chip.errors:
            return None
        return bytes(chip.rx[: bits // 8])

    def answer_to(self, data):
        """The card's block, after all that may come between."""
        answer = self.block(data)
        for _ in range(20):
            if answer is None:
                self.repeats += 1
                answer = self.block(bytes((0xB2 | self.number,)))
            elif answer[0] == 0xF2:
                self.waits += 1
                answer = self.block(answer, FWT_US * answer[1])
            elif answer[0] & 0xE6 == 0xA2 and answer[0] & 1 != self.number:
                answer = self.block(data)  # it had never come
            else:
                return answer
        raise AssertionError("no end")

    def raw(self, native):
        parts = [native[at : at + 61] for at in range(0, len(native), 61)]
        for part in parts[:-1]:
            answer = self.answer_to(bytes((0x12 | self.number,)) + part)
            assert answer == bytes((0xA2 | self.number,))
            self.number ^= 1
        answer = self.answer_to(bytes((0x02 | self.number,)) + parts[-1])
        whole = answer[1:]
        while answer[0] & 0x10:
            self.number ^= 1
            answer = self.answer_to(bytes((0xA2 | self.number,)))
            whole += answer[1:]
        self.number ^= 1
        return whole[0], whole[1:]


def spend(peer):
    peer.open(3)
    peer.write(2, b"n" * 64)
    peer.move(0xDC, 100)
    peer.write(5, b"record..", code=0x8B)
    peer.ask(0xC8, b"", READER_A)
    peer.ask(0xC7, b"", b"\x01")
    assert peer.read(2) == b"n" * 64


def test_a_spend_over_the_air():
    peer = OverTheAir(with_mac().card)
    assert (peer.found.uid, peer.found.sak) == (UID, 0x20)
    spend(peer)
    assert peer.card.truth(AID, 3) == 400
    assert (peer.waits, peer.repeats) == (0, 0)
    assert not peer.card.violations
    assert not peer.desk.model.violations


def test_a_spend_with_a_slow_card():
    peer = OverTheAir(with_mac().card)
    peer.card.slow = True
    spend(peer)
    assert peer.waits >= 8
    assert peer.card.truth(AID, 3) == 400
    assert not peer.card.violations


@pytest.mark.parametrize("seed", range(6))
def test_a_spend_in_noise_is_done_once(seed):
    peer = OverTheAir(with_mac().card)
    rng = random.Random(seed)
    for after in sorted(rng.sample(range(11), 4)):
        effect = rng.choice(["flip_command", "flip_answer", "lose_command", "lose_answer"])
        peer.desk.field.disturb(effect, rng.randrange(200), after=after)
    spend(peer)
    assert peer.repeats
    assert peer.card.truth(AID, 3) == 400
    assert peer.card.truth(AID, MAC_FILE)[0] == 1
    assert peer.card.truth(AID, 5) == [b"record.."]
    assert not peer.card.violations


def test_a_card_that_falls_mute():
    peer = OverTheAir(with_mac().card)
    peer.card.mute_after = 4
    with pytest.raises(AssertionError, match="no end"):
        spend(peer)
    assert peer.card.truth(AID, 3) == 500


def test_a_card_whose_crc_is_wrong():
    peer = OverTheAir(with_mac().card)
    peer.card.lies_crc = True
    assert peer.block(b"\x02\x60") is None


def test_busy_as_the_table_says():
    peer = with_files().open(3)
    for code, header, data in ((0xAD, span(1, 0, 4), b""), (0xDC, b"\x03", le(1, 4))):
        peer.ask(code, header, data, FULL)
        assert peer.busy_us == COMMANDS[code].busy_us
    peer.ask(0xC7)
    assert peer.busy_us == COMMIT_US
    assert peer.card.commands[0xDC] == 1
    with pytest.raises(Denied):
        peer.ask(0xC7)
    assert peer.busy_us < COMMIT_US
