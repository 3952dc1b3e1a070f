"""What an ST7920's glass shows, as an image, as text, and as a page to compare screens on.

No font is part of this repository. Without one a character is drawn as a pattern made of its code,
the same everywhere and different for every code: enough to tell that a screen has changed. GNU
Unifont's unifont.hex (Debian: apt-get install unifont) has glyphs of just this size for reading.
"""

from __future__ import annotations

import base64
import hashlib
import html
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from simulator.chips.st7920 import COLUMNS, LINES, ROWS, St7920, wrong_word

UNIFONT = Path("/usr/share/unifont/unifont.hex")
CELL_ROWS = 16
_ROW_BYTES = COLUMNS // 8
# Characters by the numbers that the file of a font has them by -> 16 or 32 bytes, row by row.
Font = Mapping[int, bytes]


class Image(NamedTuple):
    """128 by 64 dots, a bit each, the leftmost the highest; 1 is dark."""

    dots: bytes

    @property
    def digest(self) -> str:
        """Tells one image from any other."""
        return hashlib.sha256(self.dots).hexdigest()[:16]

    def png(self, scale: int = 3) -> bytes:
        """As a file: dark dots on light ground."""
        rows = []
        for at in range(0, len(self.dots), _ROW_BYTES):
            bits = int.from_bytes(self.dots[at : at + _ROW_BYTES], "big")
            wide = "".join(
                ("1", "0")[bits >> (COLUMNS - 1 - x) & 1] * scale for x in range(COLUMNS)
            )
            row = b"\0" + int(wide, 2).to_bytes(COLUMNS * scale // 8, "big")
            rows += [row] * scale
        header = struct.pack(">IIBBBBB", COLUMNS * scale, ROWS * scale, 1, 0, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


class Shot(NamedTuple):
    """A screen at one moment."""

    image: Image
    text: tuple[str, ...]


def shoot(chip: St7920, font: Font | None = None) -> Shot:
    """What the glass shows now."""
    return Shot(render(chip, font), read(chip))


def render(chip: St7920, font: Font | None = None) -> Image:
    """The dots; none while the display is off."""
    dots = bytearray(_ROW_BYTES * ROWS)
    if not chip.is_lit:
        return Image(bytes(dots))
    for index in range(LINES):
        inverted = 0xFF if chip.is_reversed(index) else 0
        for row, data in enumerate(_rows(chip.line(index), font)):
            at = (index * CELL_ROWS + row) * _ROW_BYTES
            dots[at : at + _ROW_BYTES] = bytes(byte ^ inverted for byte in data)
    if chip.has_graphics:
        drawn = b"".join(chip.graphics_row(row) for row in range(ROWS))
        dots = bytearray(dot ^ over for dot, over in zip(dots, drawn, strict=True))
    return Image(bytes(dots))


def read(chip: St7920) -> tuple[str, ...]:
    """The four lines as people read them; what has no glyph is a replacement character."""
    if not chip.is_lit:
        return ("",) * LINES
    return tuple(
        "".join(_letters(code) for code in _codes(chip.line(index))).rstrip()
        for index in range(LINES)
    )


def glyph(code: bytes, font: Font | None = None) -> bytes:
    """The 16 rows of a character: a byte each for one cell, two for two; a space has no dots."""
    size = CELL_ROWS * len(code)
    if code == b" ":
        return bytes(size)
    if font is not None:
        found = font.get(ord(_letters(code)))
        if found is not None and len(found) == size:
            return found
    return hashlib.shake_128(code).digest(size)


def load_font(path: Path = UNIFONT) -> dict[int, bytes]:
    """The glyphs of a .hex file: a line is a code point, a colon and 16 rows in hexadecimal."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        code, colon, rows = line.partition(":")
        try:
            if not colon or len(rows) not in (32, 64):
                raise ValueError("not a code point and 16 rows")
            found[int(code, 16)] = bytes.fromhex(rows)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
    return found


def review_page(shots: Mapping[str, Shot], expected: Mapping[str, str]) -> str:
    """Every screen in HTML, changed ones first; `expected`: name -> digest as it was recorded."""
    changed = [name for name in shots if expected.get(name) != shots[name].image.digest]
    same = [name for name in shots if name not in changed]
    gone = [name for name in expected if name not in shots]
    parts = ['<!doctype html><html lang="en"><meta charset="utf-8"><title>Screens</title>']
    parts.append(f"<h1>Screens: {len(changed)} changed or new, {len(gone)} gone</h1>")
    parts += [f"<p>gone: {html.escape(name)}</p>" for name in gone]
    parts += [_figure(name, shots[name], name in changed) for name in (*changed, *same)]
    return "\n".join(parts) + "\n</html>\n"


def _figure(name: str, shot: Shot, is_changed: bool) -> str:
    data = base64.b64encode(shot.image.png()).decode()
    text = html.escape("\n".join(shot.text))
    mark = " (changed or new)" if is_changed else ""
    return (
        f"<figure><figcaption>{html.escape(name)}{mark}: {shot.image.digest}</figcaption>"
        f'<img src="data:image/png;base64,{data}" alt=""><pre>{text}</pre></figure>'
    )


def _rows(cells: bytes, font: Font | None) -> Iterator[bytes]:
    glyphs = [(len(code), glyph(code, font)) for code in _codes(cells)]
    for row in range(CELL_ROWS):
        yield b"".join(dots[row * size : (row + 1) * size] for size, dots in glyphs)


def _codes(cells: bytes) -> Iterable[bytes]:
    """The characters of a line: a word of the text RAM is one wide one or two half ones."""
    for at in range(0, len(cells), 2):
        upper, lower = cells[at : at + 2]
        if upper >= 0x80:
            yield bytes((upper, lower))
        else:
            yield bytes((upper,))
            yield bytes((lower,))


def _letters(code: bytes) -> str:
    if len(code) == 2:
        return "\ufffd" if wrong_word(*code) else code.decode("gb2312")
    return chr(code[0]) if 0x20 <= code[0] < 0x7F else "\ufffd"


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
