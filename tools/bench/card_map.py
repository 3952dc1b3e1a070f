"""Bytes of the card status map for 60,000 cards, beside a list of those that are not active.

The list is sorted and says, of each card, how far it is from the one before (7 bits a byte) and
what it is (2 bits): as small as a list that can be read without unpacking will be. Which cards are
not active is drawn. The last rows are what goes over a wire.
"""

import random
import struct

from protocols.rules import card_status
from protocols.wire import messages, seal

CARDS = 60_000
PERCENT = (1, 5, 30)
_SEED = 20_261_126


def sizes(percent: int, cards: int = CARDS) -> tuple[int, int]:
    """Bytes of (the map, the list) when so many in a hundred are not active."""
    draw = random.Random(_SEED)
    chosen = sorted(draw.sample(range(cards), cards * percent // 100))
    card_map = bytearray((cards + 3) // 4)
    listed, before = 0, -1
    for card_no in chosen:
        card_status.fold(card_map, card_status.change(card_no, draw.randrange(1, 4)))
        listed += _varint_bytes((card_no - before) << 2)
        before = card_no
    return len(card_map), listed


def change_bytes(count: int) -> int:
    """Bytes of a CARDS that brings a reader `count` changes, all numbers at their largest."""
    body = struct.pack(card_status.WARRANT, *(0xFFFFFFFF,) * 3, bytes(16), bytes(16))
    sealed = seal.seal(bytes(32), body, card_status.LABEL)
    changes = card_status.change(CARDS - 1, card_status.LOST) * count
    fields = {"device": 0xFFFFFFFF, "epoch": 0xFFFFFFFF, "page": 0, "data": sealed + changes}
    return len(messages.encode_message(messages.CARDS, fields))


def rows() -> list[dict[str, object]]:
    """Map and list for each share; ten changes on the wire beside what they may have."""
    table: list[dict[str, object]] = []
    for percent in PERCENT:
        ours, listed = sizes(percent)
        name = f"card map, 60,000 cards, {percent} % not active"
        table.append(_row(name, ours, listed, "a sorted list of gaps, 7 bits a byte"))
    table.append(_row("card map, ten changes in a message", change_bytes(10), 200, "budget"))
    return table


def _varint_bytes(number: int) -> int:
    return max((number.bit_length() + 6) // 7, 1)


def _row(name: str, ours: int, other: int, against: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": "bytes"}
