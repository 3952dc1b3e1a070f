"""Bad cards, as people bring them: copied, written back, foreign, torn, worn, and lying.

Each is a MIFARE Classic that is as good as any other but for one thing. `rng` draws what is left
to chance. Two cards at once need no model: put both into the field.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from simulator.cards.field import Answer, Frame
from simulator.cards.mifare_classic import BLOCK_BYTES, MifareClassic

WHOLE_BLOCK = (1 << 8 * BLOCK_BYTES) - 1
_CRC_BITS = 16


def clone(card: MifareClassic, rng: random.Random | None = None) -> MifareClassic:
    """A copy with the same UID and the same 64 blocks, which lives its own life from now on."""
    return MifareClassic(card.uid, card.blocks, rng)


def rolled_back(card: MifareClassic, image: Sequence[bytes]) -> MifareClassic:
    """`card` itself, on which somebody has written the 64 blocks it had before."""
    if card.in_field:
        raise ValueError("a card is in one place at a time")
    card.blocks[:] = MifareClassic(card.uid, image).blocks
    return card


def foreign(uid: bytes, rng: random.Random | None = None) -> MifareClassic:
    """A card from the shop: nobody's data, the factory's keys."""
    return MifareClassic(uid, None, rng)


def torn(card: MifareClassic, write: int, rng: random.Random | None = None) -> MifareClassic:
    """A copy of `card` that leaves during its `write`-th EEPROM write (1 is the next one)."""
    return _Torn(card, write, rng)


def worn(
    card: MifareClassic,
    keeps: Mapping[int, int] | None = None,
    flickers: Mapping[int, int] | None = None,
    rng: random.Random | None = None,
) -> MifareClassic:
    """A copy of `card` with worn blocks.

    Both map block numbers to bits, as masks of 128 bits, the first byte on top. Those that a block
    `keeps` stay as they are whatever is written; those that flicker read as chance has it.
    """
    return _Worn(card, keeps or {}, flickers or {}, rng)


def lying(
    card: MifareClassic, percent: int = 100, rng: random.Random | None = None
) -> MifareClassic:
    """A copy of `card` that sends so many in a hundred of its checked frames with a wrong CRC."""
    return _Lying(card, percent, rng)


class WrittenBack(MifareClassic):
    """A copy of `card` whose holder writes it back, every time it has changed in `visits` fields.

    `undone`: the blocks as they were, each time before they were written back to `first`.
    """

    def __init__(self, card: MifareClassic, visits: int, rng: random.Random | None = None) -> None:
        super().__init__(card.uid, card.blocks, rng)
        self.first = list(self.blocks)
        self.undone: list[list[bytes]] = []
        self._visits = visits
        self._changed = 0
        self._came_with = list(self.blocks)

    def power_up(self) -> None:
        super().power_up()
        self._came_with = list(self.blocks)

    def power_down(self, now: int) -> None:
        super().power_down(now)
        self._changed += self.blocks != self._came_with
        if self._changed == self._visits:
            self._changed = 0
            self.undone.append(list(self.blocks))
            self.blocks[:] = self.first


class _Torn(MifareClassic):
    def __init__(self, card: MifareClassic, write: int, rng: random.Random | None) -> None:
        super().__init__(card.uid, card.blocks, rng)
        self.torn = card.torn
        self._left = write
        self._is_gone = False

    def power_up(self) -> None:
        super().power_up()
        self._is_gone = False

    def hear(self, frame: Frame, now: int) -> Answer | None:
        answer = None if self._is_gone else super().hear(frame, now)
        return None if self._is_gone else answer

    def _program(self, number: int, new: bytes, now: int) -> Frame:
        reply = super()._program(number, new, now)
        self._left -= 1
        if self._left == 0:
            self.power_down(now)
            self._is_gone = True
        return reply


class _Worn(MifareClassic):
    def __init__(
        self,
        card: MifareClassic,
        keeps: Mapping[int, int],
        flickers: Mapping[int, int],
        rng: random.Random | None,
    ) -> None:
        super().__init__(card.uid, card.blocks, rng)
        self._keeps, self._flickers = dict(keeps), dict(flickers)

    def _program(self, number: int, new: bytes, now: int) -> Frame:
        kept = self._keeps.get(number, 0)
        old, wanted = int.from_bytes(self.blocks[number], "big"), int.from_bytes(new, "big")
        stays = old & kept | wanted & ~kept
        return super()._program(number, stays.to_bytes(BLOCK_BYTES, "big"), now)

    def _visible(self, number: int) -> bytes:
        seen = int.from_bytes(super()._visible(number), "big")
        noise = self._rng.getrandbits(8 * BLOCK_BYTES) & self._flickers.get(number, 0)
        return (seen ^ noise).to_bytes(BLOCK_BYTES, "big")


class _Lying(MifareClassic):
    def __init__(self, card: MifareClassic, percent: int, rng: random.Random | None) -> None:
        super().__init__(card.uid, card.blocks, rng)
        self._percent = percent

    def hear(self, frame: Frame, now: int) -> Answer | None:
        answer = super().hear(frame, now)
        if answer is None or not _has_crc(answer.frame):
            return answer
        if self._rng.randrange(100) >= self._percent:
            return answer
        spoiled = answer.frame.value ^ 1 << answer.frame.nbits - 1 - self._rng.randrange(_CRC_BITS)
        return answer._replace(frame=replace(answer.frame, value=spoiled))


def _has_crc(frame: Frame) -> bool:
    """SAK and blocks carry one; ATQA, UIDs, nonces and acknowledges do not."""
    return frame.nbits in (8 + _CRC_BITS, 8 * BLOCK_BYTES + _CRC_BITS)
