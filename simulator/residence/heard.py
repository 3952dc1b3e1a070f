"""What can have reached a lock without a network, as the world sees it: letters on cards, visits.

What stands on a card is read past all rights, and opened with the lock's key. What has rested on
a lock in order for long enough has surely been taken, the rest may have been; nothing older
counts. Nobody asks a lock what it has heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.aes import CIPHERS
from protocols.card import mailbox
from protocols.card import purse_desfire as layout
from protocols.card.purse_classic import BLOCKS_PER_SECTOR, MAIL_SECTOR
from protocols.wire.errors import WireError
from simulator.cardbox import Chip
from simulator.cards.desfire import Desfire

_DATA_BLOCKS = BLOCKS_PER_SECTOR - 1
_FIRST_BLOCK = MAIL_SECTOR * BLOCKS_PER_SECTOR


@dataclass(frozen=True)
class Known:
    """A map of `epoch` that was called the newest at some second from `from_s` to `to_s`.

    In a letter (`is_letter`) cards are left out that were lost or suspended then.
    """

    epoch: int
    from_s: int
    to_s: int
    is_letter: bool


@dataclass
class Heard:
    """What can have reached one lock. `cards_us`: when what it knows of lost cards was true, from
    and to, by the handheld's visits; empty before the first."""

    maps: list[Known] = field(default_factory=lambda: [Known(0, 0, 0, False)])
    surely_s: int = 0
    cards_us: tuple[int, int] | None = None

    def may(self, known: Known) -> None:
        """That may have reached it."""
        if known.to_s >= self.surely_s and known not in self.maps:
            self.maps.append(known)

    def surely(self, made_s: int) -> None:
        """Something made then has reached it: nothing older counts."""
        self.surely_s = max(self.surely_s, made_s)
        self.maps = [each for each in self.maps if each.to_s >= self.surely_s]


# -- what stands on a card --------------------------------------------------------------------


def contents(chip: Chip) -> bytearray:
    """The bytes of a card's mailbox, past all rights."""
    if isinstance(chip, Desfire):
        return bytearray(chip.truth(layout.APPLICATION, layout.MAIL_FILE))
    return bytearray(b"".join(bytes(chip.blocks[block]) for block in _blocks()))


def lay(chip: Chip, data: bytes | bytearray) -> None:
    """Somebody writes a mailbox who may do everything."""
    if isinstance(chip, Desfire):
        files = chip._talk.memory.applications[layout.APPLICATION].files
        files[layout.MAIL_FILE].data = bytes(data)  # type: ignore[union-attr]
        return
    for number, block in enumerate(_blocks()):
        at = number * mailbox.BLOCK_BYTES
        chip.blocks[block] = bytes(data[at : at + mailbox.BLOCK_BYTES])


def _blocks() -> Iterator[int]:
    for number in range(mailbox.BLOCKS):
        yield _FIRST_BLOCK + number // _DATA_BLOCKS * BLOCKS_PER_SECTOR + number % _DATA_BLOCKS


def letters_to(device: int, key: bytes, chip: Chip) -> list[Known]:
    """The letters to a lock that stand on a card whole, and have a map."""
    data, found = contents(chip), []
    for slot, head in enumerate(mailbox.decode_heads(data)[: mailbox.TO_LOCKS]):
        if head is None or head.device != device:
            continue
        at = (mailbox.SLOTS + slot * mailbox.BODY_BLOCKS) * mailbox.BLOCK_BYTES
        letter = data[at : at + head.length]
        try:
            content = mailbox.open_letter(CIPHERS, key, mailbox.TO_LABEL, letter)
            epoch, made_s, _upto, _tag, access_map = mailbox.decode_update(content)
        except WireError:
            continue
        if access_map:
            found.append(Known(epoch, made_s, made_s, True))
    return found
