"""The card's side of ISO/IEC 14443-3 activation and of the ISO/IEC 14443-4 block protocol.

Rules of this file:

- A card never starts error recovery. What is damaged, or not allowed where it stands, is met with
  silence; it is the reader's turn to ask again.
- Power is the only thing that resets everything. S(DESELECT) leads to HALT, where only WUPA helps.
- A command is carried out when its last block has come; its answer is ready `busy_us` later. In
  between the card is deaf, but for the requests for more time that it sends itself.
- What a reader does against the standard is written down in `violations`, which a test asserts to
  be empty. A damaged block is no violation; the radio does that.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from simulator.cards.ats import ATS_DESFIRE, FRAME_BYTES, FWT_MAX, Terms
from simulator.cards.field import FDT_BIT_0, FDT_BIT_1, US, Answer, Frame, crc_a, with_crc
from simulator.cards.uid import (
    REQA,
    SAK_UID_INCOMPLETE,
    SHORT_FRAME_BITS,
    WUPA,
    anticollide,
    atqa,
    cascade_levels,
    is_select,
)

IDLE, READY, ACTIVE, PROTOCOL, HALT = "idle", "ready", "active", "protocol", "halt"

ATQA_PROPRIETARY = 0x03
SAK_ISO_DEP = 0x20
RANDOM_UID_TAG = 0x08

RATS, HLTA = 0xE0, b"\x50\x00"
PPSS, PPS1_FOLLOWS = 0xD0, 0x11
# Block headers: the bits that tell the kinds apart, without CID, chaining and block number.
I_BLOCK, R_ACK, R_NAK, S_DESELECT, S_WTX = 0x02, 0xA2, 0xB2, 0xC2, 0xF2
CHAINING, HAS_CID, HAS_NAD = 0x10, 0x08, 0x04
CRC_BYTES = 2
WTX_MULTIPLIER_MAX = 59


class IsoDepCard(ABC):
    """One card that speaks ISO-DEP: `uid` of 4, 7 or 10 bytes, chance from `rng`, its `ats`.

    With `has_random_uid` it shows 08 xx xx xx instead, drawn anew at each power-up. A subclass
    says what commands do in `apply`, what a cut while busy does in `tear`, and what a new
    conversation begins with in `begin`; `conversations` and `tears` keep count.

    What the card does with a block in PROTOCOL (clause 7.5.5); its block number starts at 1:

        I(n), no chaining      toggle number; carry the command out; I(number), chaining if longer
        I(n), chaining         toggle number; keep the part; R(ACK, number)
        R(ACK, number)         the last block again                                      (rule 11)
        R(NAK, number)         the last block again                                      (rule 11)
        R(NAK, other)          R(ACK, number)                                            (rule 12)
        R(ACK, other)          while chaining: toggle number; the next part, else silence (rule 13)
        S(WTX) response        only after a request, and with its multiplier: go on working
        S(DESELECT) request    S(DESELECT) response, then HALT
        anything else          silence; so are a wrong CRC, another card's CID, an oversize frame

    A command is carried out whatever its number is, also when a reader repeats one that had been
    heard: that a repetition is told by its number is the reader's duty, and a violation here.

    Faults: `slow` (every command takes two frame waiting times more), `asks_for_time` (each
    command first asks with this multiplier, 0 is off), `lies_crc` (answers of PROTOCOL have a
    wrong CRC), `mute_after` (so many frames are still answered; None is for ever).
    """

    def __init__(
        self,
        uid: bytes,
        rng: random.Random,
        *,
        ats: bytes = ATS_DESFIRE,
        has_random_uid: bool = False,
    ) -> None:
        cascade_levels(uid)  # refuses impossible sizes
        self.uid = bytes(uid)
        self.has_random_uid = has_random_uid
        self.in_field = False
        self.violations: list[str] = []
        self.conversations = 0
        self.tears: list[tuple[int, int]] = []
        self.slow = False
        self.asks_for_time = 0
        self.lies_crc = False
        self.mute_after: int | None = None
        self._rng = rng
        self.set_ats(ats)
        self._reset()

    # ---------------------------------------------------------------- what a subclass fills in

    @abstractmethod
    def apply(self, command: bytes, now: int) -> tuple[bytes, int]:
        """Carry out `command`, heard whole at tick `now`: (response, how long it takes in us)."""

    def begin(self) -> None:
        """A conversation begins (RATS): forget what the last one had opened."""
        self.conversations += 1

    def tear(self, elapsed_us: int, busy_us: int) -> None:
        """Power went `elapsed_us` into the last `apply`, which wanted `busy_us`."""
        self.tears.append((elapsed_us, busy_us))

    # ---------------------------------------------------------------- what the field needs

    @property
    def state(self) -> str:
        """IDLE, READY, ACTIVE, PROTOCOL or HALT."""
        return self._state

    @property
    def shown_uid(self) -> bytes:
        """The UID that anticollision tells since the last power-up."""
        return self._shown_uid

    def set_ats(self, ats: bytes) -> None:
        """Answer RATS with `ats` from now on; ValueError when its length byte is wrong."""
        self._terms = Terms(ats)

    def power_up(self) -> None:
        """Start from reset."""
        self._reset()
        if self.has_random_uid:
            self._show(bytes((RANDOM_UID_TAG,)) + self._rng.randbytes(3))

    def power_down(self, now: int) -> None:
        """Lose the field at tick `now`; a command that is not finished by then is torn."""
        if now < self._due:
            self.tear((now - self._began) // US, (self._due - self._began) // US)
        self._reset()

    def hear(self, frame: Frame, now: int) -> Answer | None:
        """Take one command frame that ended at tick `now`; None is silence."""
        if now < self._busy_until or self.mute_after == 0:
            return None
        if now - frame.duration < self._guarded_until:
            self.violations.append("a frame within the start-up frame guard time")
            return None
        reply = REACTIONS[self._state](self, frame, now)
        if reply is None:
            return None
        if self.mute_after is not None:
            self.mute_after -= 1
        last_bit = frame.value >> frame.nbits - 1 & 1
        delay = (FDT_BIT_1 if last_bit else FDT_BIT_0) + max(0, self._busy_until - now)
        if self._is_fresh:
            self._guarded_until = now + delay + reply.duration + self._terms.start_up_guard
        return Answer(delay, reply)

    def _reset(self) -> None:
        self._state = IDLE
        self._from_halt = False
        self._level = 0
        self._show(self.uid)
        self._end_protocol()

    def _show(self, uid: bytes) -> None:
        self._shown_uid = uid
        self._levels = cascade_levels(uid)

    def _end_protocol(self) -> None:
        self._began = self._due = self._busy_until = self._guarded_until = 0
        self._is_fresh = False  # ATS sent and nothing heard since
        self._may_pps = False
        self._rates = 0, 0  # reader to card, card to reader
        self._cid = 0
        self._answers_cid = b""  # of the block that is being answered, when it had one
        self._frame_bytes = FRAME_BYTES[0]  # of the reader
        self._number = 1
        self._command = b""
        self._rest: bytes | None = None  # of a response that is sent in parts
        self._response = b""
        self._multiplier = 0  # asked for and not yet granted
        self._last = b""

    # ---------------------------------------------------------------- ISO/IEC 14443-3

    def _fall(self) -> None:
        """An unexpected frame sends a card that is not in PROTOCOL where it was woken from."""
        self._state = HALT if self._from_halt else IDLE

    def _rest_state(self, frame: Frame, _now: int) -> Frame | None:
        """IDLE or HALT: only a call wakes it up."""
        is_call = frame.value == WUPA or (frame.value == REQA and self._state == IDLE)
        if frame.nbits != SHORT_FRAME_BITS or frame.rate or not is_call:
            return None
        self._from_halt = self._state == HALT
        self._state, self._level = READY, 0
        return Frame.of(atqa(self._shown_uid, ATQA_PROPRIETARY))

    def _ready(self, frame: Frame, _now: int) -> Frame | None:
        part = self._levels[self._level]
        if not is_select(frame, self._level, part) or frame.rate:
            return anticollide(frame, self._level, part) or self._fall()
        self._level += 1
        if self._level < len(self._levels):
            return Frame.of(with_crc(bytes((SAK_UID_INCOMPLETE,))))
        self._state = ACTIVE
        return Frame.of(with_crc(bytes((SAK_ISO_DEP,))))

    def _active(self, frame: Frame, _now: int) -> Frame | None:
        """Clause 5.6.1: what is damaged or unknown is ignored, so that RATS can be repeated."""
        if frame.nbits == SHORT_FRAME_BITS:
            return self._fall()
        body = _undamaged(frame)
        if body == HLTA and not frame.rate:
            self._state = HALT
        elif body is not None and len(body) == 2 and body[0] == RATS and not frame.rate:
            return self._answer_to_select(body[1])
        return None

    # ---------------------------------------------------------------- ISO/IEC 14443-4

    def _answer_to_select(self, parameter: int) -> Frame | None:
        size_index, cid = parameter >> 4, parameter & 15
        if cid == 15:
            self.violations.append("RATS with CID 15")
            return None
        self._end_protocol()
        self._frame_bytes = FRAME_BYTES[min(size_index, len(FRAME_BYTES) - 1)]
        self._cid = cid
        self._state = PROTOCOL
        self._is_fresh = self._may_pps = True
        self.begin()
        return Frame.of(with_crc(self._terms.ats))

    def _protocol(self, frame: Frame, now: int) -> Frame | None:
        self._is_fresh = False
        may_pps, self._may_pps = self._may_pps, False
        to_card, to_reader = self._rates
        body = _undamaged(frame)
        if frame.rate != to_card or body is None:
            return None
        if len(body) + CRC_BYTES > self._terms.frame_bytes:
            self.violations.append(f"a frame of {len(body) + CRC_BYTES} bytes")
            return None
        if body[0] & 0xF0 == PPSS:
            block = self._negotiate(body, may_pps)
        else:
            block = self._block(body, now)
        if block is None:
            return None
        sent = with_crc(block)
        if self.lies_crc:
            sent = sent[:-1] + bytes((sent[-1] ^ 0xFF,))
        return replace(Frame.of(sent), rate=to_reader)

    def _negotiate(self, body: bytes, may_pps: bool) -> bytes | None:
        """PPS: the response still goes out at the old rate."""
        rates = self._terms.rates(body[2] if len(body) == 3 else 0)
        is_well_formed = len(body) in (2, 3) and body[1] == (PPS1_FOLLOWS if body[2:] else 0x01)
        if not may_pps or not is_well_formed or rates is None or body[0] & 15 != self._cid:
            self.violations.append(f"PPS {body.hex()}")
            return None
        self._rates = rates
        return body[:1]

    def _block(self, body: bytes, now: int) -> bytes | None:
        kind, handle = next(
            ((k, h) for k, (mask, h) in BLOCKS.items() if body[0] & mask == k), (0, None)
        )
        if handle is None or (kind == I_BLOCK and body[0] & HAS_NAD):
            self.violations.append(f"block {body.hex()}")
            return None
        has_cid = bool(body[0] & HAS_CID)
        if has_cid and (not self._terms.knows_cid or len(body) < 2):
            return None
        if (body[1] & 15 if has_cid else 0) != self._cid:
            return None  # another card is meant
        self._answers_cid = bytes((self._cid,)) if has_cid else b""
        return handle(self, body[0], body[1 + has_cid :], now)

    def _information(self, pcb: int, part: bytes, now: int) -> bytes | None:
        if self._rest is not None or self._multiplier:
            self.violations.append("I-block before the last response was taken")
            return None
        if pcb & 1 == self._number:
            self.violations.append("I-block with the number of the last one")
        self._number ^= 1
        self._command += part
        if pcb & CHAINING:
            return self._send(R_ACK | self._number)
        command, self._command = self._command, b""
        self._response, busy_us = self.apply(command, now)
        extra = 2 * self._terms.waiting_time if self.slow else 0
        self._began, self._due = now, now + busy_us * US + extra
        return self._work(now, self._terms.waiting_time, self.asks_for_time)

    def _work(self, now: int, allowed: int, forced: int = 0) -> bytes:
        """The response if it can start within `allowed` ticks, else a request for more time."""
        left = max(0, self._due - now) + FDT_BIT_1
        if left <= allowed and not forced:
            self._busy_until = self._due
            self._rest = self._response
            return self._next_part()
        asked_after = min(allowed, left) // 2
        needed = -(-(left - asked_after) // self._terms.waiting_time)
        most = min(WTX_MULTIPLIER_MAX, FWT_MAX // self._terms.waiting_time)
        self._multiplier = forced or min(needed, most)
        self._busy_until = now + asked_after
        return self._send(S_WTX, bytes((self._multiplier,)))

    def _next_part(self) -> bytes:
        rest = self._rest or b""
        room = self._frame_bytes - CRC_BYTES - 1 - len(self._answers_cid)
        self._rest = rest[room:] or None
        more = CHAINING if self._rest else 0
        return self._send(I_BLOCK | more | self._number, rest[:room])

    def _acknowledged(self, pcb: int, _part: bytes, _now: int) -> bytes | None:
        if pcb & 1 == self._number:
            return self._last or None
        if self._rest is None or self._multiplier:
            self.violations.append("R(ACK) without a chain")
            return None
        self._number ^= 1
        return self._next_part()

    def _not_acknowledged(self, pcb: int, _part: bytes, _now: int) -> bytes | None:
        if pcb & 1 == self._number:
            return self._last or None
        return self._send(R_ACK | self._number)

    def _granted(self, _pcb: int, part: bytes, now: int) -> bytes | None:
        if not self._multiplier or part != bytes((self._multiplier,)):
            self.violations.append(f"S(WTX) response {part.hex()}")
            return None
        allowed = min(FWT_MAX, self._terms.waiting_time * self._multiplier)
        self._multiplier = 0
        return self._work(now, allowed)

    def _deselected(self, _pcb: int, part: bytes, _now: int) -> bytes | None:
        if part:
            self.violations.append("S(DESELECT) with data")
            return None
        block = self._send(S_DESELECT)
        self._end_protocol()
        self._state = HALT
        return block

    def _send(self, pcb: int, part: bytes = b"") -> bytes:
        """A block with this header, with a CID if the reader's had one; kept for repetition."""
        with_cid = HAS_CID if self._answers_cid else 0
        self._last = bytes((pcb | with_cid,)) + self._answers_cid + part
        return self._last


def _undamaged(frame: Frame) -> bytes | None:
    """The bytes of a whole frame without their CRC, None if anything about it is wrong."""
    raw = frame.data
    if frame.nbits % 8 or frame.bad_parity or frame.collided or len(raw) <= CRC_BYTES:
        return None
    body, crc = raw[:-CRC_BYTES], raw[-CRC_BYTES:]
    return body if crc_a(body) == int.from_bytes(crc, "little") else None


Reaction = Callable[[IsoDepCard, Frame, int], Frame | None]
REACTIONS: dict[str, Reaction] = {
    IDLE: IsoDepCard._rest_state,
    READY: IsoDepCard._ready,
    ACTIVE: IsoDepCard._active,
    PROTOCOL: IsoDepCard._protocol,
    HALT: IsoDepCard._rest_state,
}
# Header -> (the bits that must be so, who takes it). CID, chaining and number are left open.
Handler = Callable[[IsoDepCard, int, bytes, int], bytes | None]
BLOCKS: dict[int, tuple[int, Handler]] = {
    I_BLOCK: (0xE2, IsoDepCard._information),
    R_ACK: (0xF6, IsoDepCard._acknowledged),
    R_NAK: (0xF6, IsoDepCard._not_acknowledged),
    S_DESELECT: (0xF7, IsoDepCard._deselected),
    S_WTX: (0xF7, IsoDepCard._granted),
}
