"""The radio field of one antenna: frames, cards, collisions (ISO/IEC 14443-2 and -3, type A).

Times are integer ticks of 1/100 carrier cycle (13.56 MHz), so that both microseconds and
carrier cycles are whole numbers. A frame is an integer whose bit 0 goes over the air first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

FC = 100  # one carrier cycle
US = 1356  # one microsecond
ETU = 128 * FC  # one bit at 106 kbit/s
FIELD_ON_GUARD = 5_000 * US  # ISO/IEC 14443-3: a card answers at latest 5 ms after field-on
FDT_BIT_1 = 1236 * FC  # command end to answer when the command's last bit was 1
FDT_BIT_0 = 1172 * FC

CRC_A_PRESET = 0x6363


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x8408 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc_a(data: bytes, preset: int = CRC_A_PRESET) -> int:
    """Return the 16-bit CRC_A of `data`; it goes over the air low byte first."""
    crc = preset
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def with_crc(data: bytes) -> bytes:
    """Return `data` followed by its CRC_A."""
    return data + crc_a(data).to_bytes(2, "little")


class Session(NamedTuple):
    """What both ends of a Crypto1 conversation agree on; stands for the key stream."""

    key: bytes
    uid: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """Bits on the air: `nbits` of `value`, bit 0 first, parity implied unless `bad_parity`."""

    value: int
    nbits: int
    cipher: Session | None = None
    rate: int = 0
    collided: int = 0
    bad_parity: bool = False

    @classmethod
    def of(cls, data: bytes, cipher: Session | None = None) -> "Frame":
        """Return a frame of whole bytes."""
        return cls(int.from_bytes(data, "little"), 8 * len(data), cipher)

    @property
    def data(self) -> bytes:
        """All bits, the last byte filled up with zeros."""
        return self.value.to_bytes((self.nbits + 7) // 8, "little")

    @property
    def duration(self) -> int:
        """Ticks from start of communication to end: start, data, one parity per byte, end."""
        return (self.nbits + self.nbits // 8 + 2) * ETU >> self.rate


class Answer(NamedTuple):
    """A card's frame and how long after the command's end it starts, in ticks."""

    delay: int
    frame: Frame


class Card(Protocol):
    """What the field needs of a card."""

    in_field: bool

    def power_up(self) -> None:
        """Start from reset: the card gets energy."""

    def power_down(self, now: int) -> None:
        """Lose the energy at tick `now`."""

    def hear(self, frame: Frame, now: int) -> Answer | None:
        """Take a command that ended at tick `now`."""


class Clock(Protocol):
    """Integer microseconds that only go forward."""

    @property
    def now_us(self) -> int: ...

    def advance_us(self, duration_us: int) -> None: ...


@dataclass(slots=True)
class Talk:
    """One card's answer under way; dead as soon as the card loses power."""

    card: Card | None  # None is noise
    powered_at: int
    start: int
    frame: Frame


def _flip(frame: Frame, bit: int) -> Frame:
    return replace(frame, value=frame.value ^ 1 << bit % frame.nbits)


def _break_parity(frame: Frame, _: int) -> Frame:
    return replace(frame, bad_parity=True)


def _lose(_frame: Frame, _: int) -> None:
    return None


Effects = Sequence[tuple[str, int]]
Bend = Callable[[Frame, int], Frame | None]
ON_COMMAND: dict[str, Bend] = {"flip_command": _flip, "lose_command": _lose}
ON_ANSWER: dict[str, Bend] = {
    "flip_answer": _flip,
    "parity": _break_parity,
    "lose_answer": _lose,
}
NOISE = "noise"
NOISE_AFTER = ETU  # a noise burst follows the command, before any card answers
EFFECTS = {*ON_COMMAND, *ON_ANSWER, NOISE}


class Field:
    """The cards in front of one antenna, and what disturbs their frames.

    `place` and `remove` act at `clock.now_us`. The chip that owns the antenna registers itself in
    `before_change`, so that everything due earlier has happened before a card comes or goes.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cards: list[Card] = []
        self.before_change: list[Callable[[], None]] = []
        self.on_carrier: Callable[[bool], None] = lambda _on: None
        self.frames = 0
        self.disturbed = 0  # frames that were spoiled with a card there
        self._carrier = False
        self._powered: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._effects: dict[int, list[tuple[str, int]]] = {}

    def place(self, card: Card) -> None:
        """Bring `card` before the antenna; nothing happens if it is there already."""
        if card in self.cards:
            return
        now = self._settle()
        self.cards.append(card)
        card.in_field = True
        if self._carrier:
            self._power(card, True, now)

    def remove(self, card: Card) -> None:
        """Take `card` away; nothing happens if it is not there."""
        if card not in self.cards:
            return
        now = self._settle()
        if self._carrier:
            self._power(card, False, now)
        self.cards.remove(card)
        card.in_field = False

    def disturb(self, effect: str, value: int = 0, *, after: int = 0) -> None:
        """Spoil the exchange of a coming command frame, the next one when `after` is 0.

        Effects: flip_command, flip_answer (value: bit number, parity stays right), parity,
        lose_command, lose_answer, noise (value: bits of the burst before the answer).
        """
        if effect not in EFFECTS:
            raise ValueError(effect)
        self._effects.setdefault(self.frames + after, []).append((effect, value))

    def carrier(self, on: bool, now: int) -> None:
        """Switch the antenna's carrier; without it every card falls back to power-off."""
        if on == self._carrier:
            return
        self._carrier = on
        self.on_carrier(on)
        for card in self.cards:
            self._power(card, on, now)

    def send(self, frame: Frame, now: int) -> list[Talk]:
        """Deliver a command that ended at tick `now`; return the answers it provokes."""
        effects = self._effects.pop(self.frames, ())
        self.frames += 1
        self.disturbed += bool(effects and self.cards)
        heard = self._bend(frame, effects, ON_COMMAND)
        talks = []
        if heard is not None and self._carrier:
            talks = self._ask_cards(heard, effects, now)
        for effect, nbits in effects:
            if effect == NOISE:
                talks.append(Talk(None, 0, now + NOISE_AFTER, Frame(1, max(1, nbits))))
        talks.sort(key=lambda talk: talk.start)
        return talks

    def is_speaking(self, talk: Talk) -> bool:
        """True while the card behind `talk` has had power without a break."""
        return talk.card is None or self._powered.get(id(talk.card)) == talk.powered_at

    def merge(self, talks: list[Talk]) -> Frame | None:
        """Superpose the answers that overlap the first one; None when that one fell silent."""
        first = talks[0]
        if not self.is_speaking(first):
            return None
        merged = first.frame
        for talk in filter(self.is_speaking, talks[1:]):
            shift = (talk.start - first.start) // ETU
            if shift < first.frame.nbits:
                merged = _superpose(merged, talk.frame, shift)
        return merged

    def cut(self, frame: Frame, talks: list[Talk], start: int) -> Frame | None:
        """Return what of `frame`, begun at `start`, was really sent before its cards left."""
        if any(self.is_speaking(talk) for talk in talks):
            return frame
        ends = [self._lost.get(id(talk.card), start) for talk in talks]
        nbits = min(frame.nbits, max(0, max(ends) - start) // ETU * 8 // 9)
        if nbits == 0:
            return None
        return replace(frame, value=frame.value & (1 << nbits) - 1, nbits=nbits)

    def _settle(self) -> int:
        for listener in self.before_change:
            listener()
        return self.clock.now_us * US

    def _power(self, card: Card, on: bool, now: int) -> None:
        if on:
            self._powered[id(card)] = now
            self._lost.pop(id(card), None)
            card.power_up()
        else:
            self._powered.pop(id(card), None)
            self._lost[id(card)] = now
            card.power_down(now)

    def _ask_cards(self, frame: Frame, effects: Effects, now: int) -> list[Talk]:
        talks = []
        for card in self.cards:
            powered_at = self._powered[id(card)]
            if now - powered_at < FIELD_ON_GUARD:
                continue
            answer = card.hear(frame, now)
            if answer is None:
                continue
            bent = self._bend(answer.frame, effects, ON_ANSWER)
            if bent is not None:
                talks.append(Talk(card, powered_at, now + answer.delay, bent))
        return talks

    @staticmethod
    def _bend(frame: Frame, effects: Effects, table: Mapping[str, Bend]) -> Frame | None:
        bent: Frame | None = frame
        for effect, value in effects:
            if bent is not None and effect in table:
                bent = table[effect](bent, value)
        return bent


def _superpose(one: Frame, other: Frame, shift: int) -> Frame:
    """Manchester code with subcarrier: where the two differ, the bit collides."""
    span = max(one.nbits, shift + other.nbits)
    both = (1 << min(one.nbits, shift + other.nbits)) - (1 << shift)
    shifted = other.value << shift
    collided = one.collided | (other.collided << shift) | ((one.value ^ shifted) & both)
    cipher = one.cipher if one.cipher == other.cipher else None
    return replace(one, value=one.value | shifted, nbits=span, collided=collided, cipher=cipher)
