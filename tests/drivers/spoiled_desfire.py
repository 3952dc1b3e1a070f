"""A DESFire of whose answers some are spoiled: on the air, in its blocks, or in what it says.

    ON_AIR    what a radio does: every damage can be seen, and the reader may ask again
    BLOCKS    a block with a right CRC that says something else (ISO/IEC 14443-4)
    ANSWERS   a sound conversation in which the application's answer is another one
    MOVES     the card goes out of the field, and it or another one is there then

Whatever is made up, the card behind it is the honest model. Sometimes it has not even heard the
command: then it is `deaf`.
"""

from collections import Counter as Tally
from collections import deque
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from protocols.card import purse_desfire as layout
from simulator.cards.desfire import Desfire
from simulator.cards.field import FDT_BIT_1, US, Answer, Frame, with_crc
from simulator.cards.iso_dep import CHAINING, I_BLOCK, PROTOCOL, S_DESELECT, S_WTX

DEAF_PERCENT = 25
SPARED, LOGIN_SPARED = 60, 40  # activation and login are spoiled so many times less often
PAST = 30  # answers that may be heard again
MAC_BYTES = 8
BODY_BYTES_MAX = 61
STORM_MAX = 24  # more than a reader grants
STORM_US = (100, 4_000, 70_000)
LATE_US = (50, 3_000, 30_000, 75_000, 90_000, 300_000)
AWAY_US = 300
SILENT = Answer(FDT_BIT_1, Frame(0, 1))  # what an answer is made up from when there was none
PURSE_FILES = (
    layout.VALUE_FILE,
    layout.STATE_FILE,
    layout.CREDITS_FILE,
    layout.TRANSACTION_MAC_FILE,
)


class Holding(NamedTuple):
    """What is committed on a card, past all rights: a value, states, credits, (TMC, TMV)."""

    value: int
    states: list
    credits: list
    mac: tuple


def holding(card):
    return Holding(*(card.truth(layout.APPLICATION, number) for number in PURSE_FILES))


# -- on the air: (draw, answer) -> answer or None -------------------------------------------------


def flip(draw, answer):
    value = answer.frame.value
    for _ in range(draw.randint(1, 3)):
        value ^= 1 << draw.randrange(answer.frame.nbits)
    return answer._replace(frame=replace(answer.frame, value=value))


def noise(draw, answer):
    length = draw.randint(1, 200)
    return answer._replace(frame=Frame(draw.getrandbits(length), length))


def late(draw, answer):
    return answer._replace(delay=answer.delay + draw.choice(LATE_US) * US)


def bad_parity(_draw, answer):
    return answer._replace(frame=replace(answer.frame, bad_parity=True))


def silence(_draw, _answer):
    return None


ON_AIR = {
    "bits flipped": flip,
    "noise": noise,
    "late": late,
    "parity": bad_parity,
    "silence": silence,
}

# -- blocks: (card, block that would be right or b"", its number) -> block ------------------------


def any_block(card, _block, _number):
    return card.draw.randbytes(card.draw.randint(1, BODY_BYTES_MAX))


def any_body(card, _block, number):
    return bytes((I_BLOCK | number,)) + card.draw.randbytes(card.draw.randrange(BODY_BYTES_MAX))


def wrong_number(_card, block, number):
    return bytes((block[0] ^ 1,)) + block[1:] if block else bytes((I_BLOCK | number ^ 1, 0))


def chained(_card, block, number):
    return bytes((I_BLOCK | CHAINING | number,)) + block[1:]


def r_block(card, _block, number):
    """R(ACK) and R(NAK) of either number."""
    return bytes((card.draw.choice((0xA2, 0xB2)) | card.draw.choice((number, number ^ 1)),))


def s_block(card, _block, _number):
    more_time = bytes((S_WTX, card.draw.randrange(256)))
    return card.draw.choice((bytes((S_DESELECT,)), bytes((S_WTX,)), more_time))


def in_a_block(bend, card, block, number):
    """What `bend` makes of an application's answer, in a block of the right number."""
    return bytes((I_BLOCK | number,)) + bend(card, block[1:])[:BODY_BYTES_MAX]


def twice(card, _block, _number):
    """The block before once more."""
    return card.last_sent


# -- what the application answers: (card, answer) -> answer ---------------------------------------


def any_status(card, answer):
    return bytes((card.draw.randrange(256),)) + answer[1:]


def bare_status(card, _answer):
    return bytes((card.draw.randrange(256),))


def status_with_noise(card, _answer):
    return bytes((card.draw.randrange(256),)) + card.draw.randbytes(MAC_BYTES)


def signed_status(card, answer):
    """A status under the right MAC of the session, as no DESFire sends it but for success."""
    status, session = card.draw.randrange(256), card.session
    return bytes((status,)) + (session.seal(status, b"", 1) if session else answer[1:])


def replayed(card, answer):
    return card.draw.choice(card.past) if card.past else answer


def cut(card, answer):
    return answer[: card.draw.randrange(max(1, len(answer)))]


def prolonged(card, answer):
    return answer + card.draw.randbytes(card.draw.randint(1, 40))


def last_byte(card, answer):
    return answer[:-1] + bytes((answer[-1] ^ card.draw.randint(1, 255),)) if answer else b"\x90"


def one_bit(card, answer):
    at = card.draw.randrange(max(1, 8 * len(answer)))
    flipped = int.from_bytes(answer, "big") ^ 1 << at
    return flipped.to_bytes(max(1, len(answer)), "big")


def nothing(_card, _answer):
    return b""


def other_body(card, answer):
    return answer[:1] + card.draw.randbytes(max(0, len(answer) - 1))


ANSWERS = {
    "any status": any_status,
    "bare status": bare_status,
    "status with noise": status_with_noise,
    "signed status": signed_status,
    "replayed": replayed,
    "cut": cut,
    "prolonged": prolonged,
    "last byte": last_byte,
    "one bit": one_bit,
    "nothing": nothing,
    "other body": other_body,
}
BLOCKS = {
    "any block": any_block,
    "any body": any_body,
    "wrong number": wrong_number,
    "chained": chained,
    "R block": r_block,
    "S block": s_block,
    "twice": twice,
    **{f"{name} in a block": partial(in_a_block, bend) for name, bend in ANSWERS.items()},
}
STORM = "storm of S(WTX)"
MOVES = ("pulled", "swapped")
EVERYTHING = (*ON_AIR, *BLOCKS, *ANSWERS, STORM, *MOVES)


class Spoiled(Desfire):
    """The card of `image` (see Desfire.snapshot): `percent` of its answers are spoiled in `ways`.

    Not those of the next `skip` frames. `on_change(card, before, after)` hears of every commit,
    `on_tear(card, is_before)` of one that power took back, whole or not; `move(way, delay_us)`
    takes the card away. `heard`: the frames that reached it; `spoiled`: those that were answered
    otherwise, by way.
    """

    eeprom_writes = 0  # what a counter's witness counts; `on_change` sees more

    def __init__(self, image, draw, ways=EVERYTHING):
        super().__init__(bytes.fromhex(image["uid"]), draw)
        self.restore(image)
        self.draw = draw
        self.percent = self.skip = self.heard = 0
        self.spoiled = Tally()
        self.past = deque(maxlen=PAST)
        self.last_sent = b""
        self.on_change = self.on_tear = self.move = None
        self._ways, self._on_air = ways, [name for name in ways if name in ON_AIR]
        self._holds = self._held = holding(self)
        self._bend = self._is_deaf = None
        self._storm, self._kept = 0, None

    @property
    def session(self):
        """The card's own side of the session, or None."""
        return self._talk.session

    # -- what it does -----------------------------------------------------------------------

    def hear(self, frame, now):
        self.heard += 1
        self.skip -= 1
        if self._storm and self.state == PROTOCOL:
            return self._ask_for_time()
        way = self._drawn_way()
        self._bend = None
        if way in ANSWERS:
            self._bend = way
        self._is_deaf = way is not None and self.draw.randrange(100) < DEAF_PERCENT
        if way is None or way in ANSWERS:
            answer = super().hear(frame, now)
        else:
            answer = None if self._is_deaf else super().hear(frame, now)
            answer = self._spoil(way, frame, answer)
        if answer is not None:
            self.last_sent = answer.frame.data[:-2]
        return answer

    def apply(self, command, now):
        way, self._bend = self._bend, None
        if way is not None and self._is_deaf:
            answer, busy_us = b"", 0
        else:
            answer, busy_us = super().apply(command, now)
            self._look()
        if way is None:
            self.past.append(answer)
            return answer, busy_us
        bent = ANSWERS[way](self, answer)
        self.spoiled[way] += bent != answer
        return bent, busy_us

    def tear(self, elapsed_us, busy_us):
        super().tear(elapsed_us, busy_us)
        found = holding(self)
        if found != self._holds:
            self._holds = found
            self.on_tear(self, found == self._held)

    def power_down(self, now):
        super().power_down(now)
        self._storm = 0

    # -- how it is spoiled ------------------------------------------------------------------

    def _drawn_way(self):
        """How to spoil what comes now, or None.

        Where a session begins, one wrong word of the card is enough for "not our card".
        """
        draw = self.draw
        if self.skip >= 0 or draw.randrange(100) >= self.percent:
            return None
        if self.state != PROTOCOL:
            return None if draw.randrange(SPARED) else draw.choice(self._on_air)
        if self.session is None and draw.randrange(LOGIN_SPARED):
            return None
        return draw.choice(self._ways)

    def _spoil(self, way, frame, answer):
        if way in ON_AIR:
            bent = ON_AIR[way](self.draw, answer or SILENT)
        elif way in BLOCKS:
            block = answer.frame.data[:-2] if answer else b""
            bent = _sent(answer, frame, BLOCKS[way](self, block, frame.data[0] & 1))
        elif way == STORM:
            self._storm, self._kept = self.draw.randint(1, STORM_MAX), answer
            bent = self._ask_for_time()
            self.spoiled[way] -= 1  # counted below
        else:
            self.move(way, self.draw.randrange(2 * AWAY_US))
            bent = None if self.draw.getrandbits(1) else answer
            self.spoiled[way] += bent == answer
        self.spoiled[way] += bent != answer
        return bent

    def _ask_for_time(self):
        """S(WTX) over and over, and at the end of it the answer that it was for."""
        self._storm -= 1
        if not self._storm:
            return self._kept
        self.spoiled[STORM] += 1
        block = bytes((S_WTX, self.draw.choice((1, 2, 59))))
        return Answer(self.draw.choice(STORM_US) * US, Frame.of(with_crc(block)))

    def _look(self):
        found = holding(self)
        if found != self._holds:
            self._held, self._holds = self._holds, found
            self.on_change(self, self._held, found)


def _sent(answer, frame, block):
    """`block` with a right CRC, as soon as the answer would have come."""
    delay = answer.delay if answer else FDT_BIT_1
    return Answer(delay, replace(Frame.of(with_crc(block)), rate=frame.rate))
