"""The picture of a merchant's aggregate code, for the clerk's display of a POS.

The code is drawn by segno. It is kept in a reader's key-value store (NVS namespace "onecard", key
"aggregate") as the display takes it: firmware/drivers/lcd.py, PICTURE_BYTES. The display has 64
rows of dots; two dots to a square leave 32 squares, and a code of 29 (version 3) with some light
around it is the largest that fits.
"""

from dataclasses import dataclass

import segno
from segno.encoder import DataOverflowError

SQUARES = 32
VERSION_MAX = 3
BYTES_MAX = 53  # of a version 3 with the least error correction; capitals and digits: 77


class NoPicture(Exception):
    """There can be no picture of this code; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What goes into the key-value store, and how it was drawn: version 1 to 3, level L to H."""

    data: bytes
    version: int
    level: str


def draw(text: str) -> Picture:
    """The picture of an aggregate code that says `text`; raises NoPicture.

    The smallest version that holds it, then the best error correction that this version allows.
    """
    if not text.isascii() or not text.isprintable() or not text or " " in text:
        raise NoPicture("a code's text is printable ASCII without spaces, such as an address")
    try:
        code = segno.make(text, micro=False, error="l", boost_error=True)
    except DataOverflowError:
        raise NoPicture(_too_long(text)) from None
    if not isinstance(code.version, int) or code.version > VERSION_MAX:
        raise NoPicture(_too_long(text))
    rows = [bytes(row) for row in code.matrix]
    margin = (SQUARES - len(rows)) // 2
    data = b""
    for at in range(SQUARES):
        row = rows[at - margin] if 0 <= at - margin < len(rows) else b""
        squares = bytes(margin) + row + bytes(SQUARES - margin - len(row))
        data += int("".join(map(str, squares)), 2).to_bytes(SQUARES // 8, "big")
    return Picture(data, code.version, code.error or "")


def _too_long(text: str) -> str:
    return (
        f"{len(text)} characters do not fit the display: {BYTES_MAX} do, or 77 if all are "
        "capitals, digits and $%*+-./:. Ask the channel for a short address, or leave the code "
        "on paper"
    )
