"""A card that lies about everything: the reader ends every exchange, in time, and keeps its wits.

Each round is a card with habits of its own, drawn from a seed. What it says instead of the truth
mostly has a right CRC: no radio would make that, but an attacker does.
"""

import random
from dataclasses import replace

import pytest

from firmware.drivers.iso14443 import CardCollision, CardGone
from firmware.drivers.iso_dep import IsoDep
from simulator.cards.field import US, Answer, Frame, with_crc
from simulator.cards.iso_dep import ACTIVE, PROTOCOL
from simulator.chips.nor_flash import NorFlash
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.drivers.desk import UID4, Desk
from tests.simulator.cards.test_iso_dep import Echo

ROUNDS = {"card": 1500, "register": 150}
FRAMES_MIN = {"card": 20_000, "register": 2_000}
# What a liar may cost: the exchange's own limit and one frame, or two of the longest start-up
# guards that are granted and what activation takes beside them.
EXCHANGE_US_MAX = 5_100_000
ACTIVATION_US_MAX = 2 * 156_000 + 200_000
POLL_US_MAX = 200_000


def _sealed(body):
    return Frame.of(with_crc(body))


def _bits(rng, count):
    return Frame(rng.getrandbits(count), count)


def _number(sent):
    return sent[0] & 1 if sent else 0


# Each lie: (stream, what the reader sent without CRC) -> Frame, or None for silence.
LIES = {
    "silence": lambda rng, _: None,
    "noise": lambda rng, _: Frame.of(rng.randbytes(rng.randint(1, 70))),
    "any bytes": lambda rng, _: _sealed(rng.randbytes(rng.randint(0, 70))),
    "any header": lambda rng, sent: _sealed(bytes((rng.randrange(256),)) + sent[1:]),
    "too long": lambda rng, sent: _sealed(bytes((2 | _number(sent),)) + rng.randbytes(80)),
    "bits": lambda rng, _: _bits(rng, rng.randint(1, 40)),
    "wrong crc": lambda rng, sent: Frame.of(with_crc(sent)[:-1] + rng.randbytes(1)),
    "bad parity": lambda rng, sent: replace(_sealed(sent + b"\x00"), bad_parity=True),
    "echo": lambda rng, sent: _sealed(sent),
    "more time": lambda rng, _: _sealed(bytes((0xF2, rng.choice((1, 2, 59))))),
    "odd time": lambda rng, _: _sealed(bytes((0xF2, rng.choice((0, 60, 63, 64, 0xC1, 255))))),
    "parts": lambda rng, sent: _sealed(bytes((0x12 | _number(sent),)) + rng.randbytes(3)),
    "empty parts": lambda rng, sent: _sealed(bytes((0x12 | _number(sent),))),
    "wrong number": lambda rng, sent: _sealed(bytes((0x03 ^ _number(sent), 0x90))),
    "go on": lambda rng, sent: _sealed(bytes((0xA2 | _number(sent),))),
    "not heard": lambda rng, sent: _sealed(bytes((0xA3 ^ _number(sent),))),
    "nak": lambda rng, _: _sealed(bytes((0xB2 | rng.getrandbits(1),))),
    "deselected": lambda rng, _: _sealed(b"\xc2"),
    "with cid": lambda rng, sent: _sealed(bytes((0x0A | _number(sent), 0)) + sent[1:]),
}
# An ATS that is one, or says a wrong length, or ends too early.
ATS_LIES = {
    "any": lambda rng: _ats(rng.randbytes(rng.randint(0, 12))),
    "slow": lambda rng: _ats(bytes((0x70 | rng.randrange(16), 0x77, 0xEE, 0x02))),
    "cut": lambda rng: bytes((2, 0x70 | rng.randrange(16))),
    "long": lambda rng: bytes((rng.randrange(256),)) + rng.randbytes(rng.randint(0, 66)),
}


def _ats(body):
    return bytes((len(body) + 1,)) + body


class Liar(Echo):
    """Tells one of `lies` instead of the truth in `share` of all blocks, and a rare ATS."""

    def __init__(self, seed):
        super().__init__(seed=seed)
        self.stream = random.Random(seed)
        self.lies = self.stream.sample(sorted(LIES), self.stream.randint(1, 3))
        self.share = self.stream.choice((0.2, 0.5, 0.9, 1.0))
        self.lies_ats = self.stream.random() < 0.4
        self.lies_early = self.stream.random() < 0.05
        self.slow = self.stream.random() < 0.1
        self.frames = 0

    def hear(self, frame, now):
        state = self.state
        answer = super().hear(frame, now)
        self.frames += 1
        if state == ACTIVE and self.state == PROTOCOL and self.lies_ats:
            lie = ATS_LIES[self.stream.choice(sorted(ATS_LIES))](self.stream)
            return Answer(answer.delay if answer else 100_000, _sealed(lie))
        if (state != PROTOCOL and not self.lies_early) or self.stream.random() > self.share:
            return answer
        lie = LIES[self.stream.choice(self.lies)](self.stream, frame.data[:-2] or b"\x00")
        if lie is None:
            return None
        if self.stream.random() < 0.97:  # the others speak at another rate than was agreed on
            lie = replace(lie, rate=frame.rate)
        delay_us = self.stream.choice((100, 100, 100, 3_000, 90_000, 6_000_000))
        return Answer(delay_us * US, lie)


class Port:
    """An antenna at card depth, without a chip that could fail."""

    def __init__(self, seed):
        flash = NorFlash(4096, random.Random(seed))
        hardware = Hardware("pos", World(0), Transcript(), flash, {}, random.Random(seed))
        hardware.power_on()
        self.clock, self.field = hardware.clock, hardware.field
        self.pcd = front_end(hardware)
        self.pcd.chip.rate_max = 1


def within(opened, limit_us, act):
    """What `act` returns, or None when card or cards made it impossible; never out of time."""
    start_us = opened.clock.now_us
    try:
        return act()
    except (CardGone, CardCollision):
        return None
    finally:
        assert opened.clock.now_us - start_us <= limit_us


def one_round(opened, seed):
    """A liar comes, is talked to and goes; whether one exchange came to an answer."""
    rng = random.Random(seed)
    liar = Liar(seed)
    answered = 0
    opened.field.place(liar)
    opened.clock.advance_us(10_000)
    card = within(opened, POLL_US_MAX, opened.pcd.poll)
    if card is not None:
        link = IsoDep(opened.pcd, card)
        within(opened, ACTIVATION_US_MAX, link.activate)
        for _ in range(4):
            command = rng.randbytes(rng.choice((1, 5, 60, 61, 200)))
            answer = within(opened, EXCHANGE_US_MAX, lambda c=command: link.exchange(c, 9))
            answered += isinstance(answer, bytes)
            if answer is None:
                within(opened, ACTIVATION_US_MAX, link.activate)
        within(opened, POLL_US_MAX, link.deselect)
    within(opened, POLL_US_MAX, opened.pcd.poll)
    opened.field.remove(liar)
    return liar.frames, answered


def honest_again(opened):
    """The reader serves an honest card as if nothing had been."""
    opened.pcd.poll()
    opened.clock.advance_us(10_000)
    card = Echo(UID4)
    opened.field.place(card)
    opened.clock.advance_us(10_000)
    link = IsoDep(opened.pcd, opened.pcd.poll())
    link.activate()
    assert link.rate == 1
    assert link.exchange(b"\x60\x61") == b"\x02\x60\x61"
    assert card.violations == []
    opened.field.remove(card)
    assert opened.pcd.poll() is None


@pytest.mark.parametrize("depth", ["card", "register"])
def test_lies_end_in_time_and_leave_nothing_behind(depth):
    frames = answered = gone = 0
    opened = Port(0) if depth == "card" else Desk(0, rfid_rate=212)
    opened.pcd.poll()
    for seed in range(ROUNDS[depth]):
        print("seed", seed)
        told, answers = one_round(opened, seed)
        frames += told
        answered += answers
        gone += 4 - answers
        if seed % 10 == 0:
            honest_again(opened)
    honest_again(opened)
    print(depth, "frames", frames, "answers", answered, "broken off", gone)
    assert frames >= FRAMES_MIN[depth]
    assert answered > ROUNDS[depth] // 4  # not all was so foul that nothing was tried
    assert gone > ROUNDS[depth]
    if depth == "register":
        # No card can make the reader believe that its chip is dead.
        assert (opened.chip.faults, opened.chip.recoveries) == (0, 0)
        assert opened.model.violations == []


@pytest.mark.parametrize("name", sorted(LIES))
def test_each_lie_alone_ends_in_time(name):
    """Told for ever, whatever is asked."""
    opened = Port(1)
    opened.pcd.poll()
    for seed in range(5):
        print("seed", seed)
        liar = Liar(seed)
        liar.lies, liar.share, liar.lies_ats, liar.lies_early = [name], 0.0, False, False
        opened.field.place(liar)
        opened.clock.advance_us(10_000)
        link = IsoDep(opened.pcd, opened.pcd.poll())
        link.activate()
        liar.share = 1.0
        liar.frames = 0
        within(opened, EXCHANGE_US_MAX, lambda link=link: link.exchange(bytes(70)))
        assert liar.frames <= 96
        opened.field.remove(liar)
        assert within(opened, POLL_US_MAX, opened.pcd.poll) is None
    honest_again(opened)
