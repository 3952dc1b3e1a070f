"""Images of the LCD: they change when their content does; every screen is as recorded."""

import random
import re
import struct
import zlib

import pytest

from simulator import screen
from simulator.chips.st7920 import wrong_word
from tests.simulator import screen_fixtures
from tests.simulator.chips.test_st7920 import Host

CODES = [
    *(bytes((code,)) for code in range(0x02, 0x80)),
    *(
        bytes((upper, lower))
        for upper in range(0xA1, 0xF8)
        for lower in range(0xA1, 0xFF)
        if not wrong_word(upper, lower)
    ),
]


def lit(text, address=0x80):
    """A module that shows a text."""
    host = Host().begin()
    host.do(address)
    host.put(text.encode("gb2312"))
    return host


# ---------------------------------------------------------------- screens as they were found right


def test_every_screen_is_as_recorded(tmp_path):
    found, violations = screen_fixtures.shots()
    page = tmp_path / "screens.html"
    page.write_text(screen.review_page(found, screen_fixtures.recorded()), encoding="utf-8")
    assert violations == []
    assert screen_fixtures.digests(found) == screen_fixtures.recorded(), (
        f"look at {page}; if they are right: python -m tests.simulator.screen_fixtures"
    )


def test_no_two_screens_look_alike():
    found, _ = screen_fixtures.shots()
    assert len(found) > 70
    assert len({shot.image.digest for shot in found.values()}) == len(found)
    assert len({shot.text for shot in found.values()}) == len(found)


# ---------------------------------------------------------------- images


def test_every_character_has_a_pattern_of_its_own():
    assert len(CODES) == 126 + 7445
    glyphs = [screen.glyph(code) for code in CODES]
    assert len(set(glyphs)) == len(CODES)
    assert all(len(dots) == 16 * len(code) for dots, code in zip(glyphs, CODES, strict=True))
    assert [code for code, dots in zip(CODES, glyphs, strict=True) if not any(dots)] == [b" "]


@pytest.mark.parametrize("seed", range(10))
def test_an_image_changes_exactly_when_its_content_does(seed):
    """Any cell, to any other character; and back."""
    rng = random.Random(seed)
    host = Host().begin()
    before = screen.render(host.chip)
    for _ in range(10):
        address = 0x80 + rng.choice((0x00, 0x10, 0x08, 0x18)) + rng.randrange(8)
        code = rng.choice(CODES)
        host.do(address)
        host.put(code if len(code) == 2 else code + b" ")
        after = screen.render(host.chip)
        assert (after == before) == (code == b" ")
        host.do(address)
        host.put(b"  ")
        assert screen.render(host.chip) == before


@pytest.mark.parametrize(("line", "address"), [(0, 0x80), (1, 0x90), (2, 0x88), (3, 0x98)])
def test_lines_stand_where_they_belong(line, address):
    dots = screen.render(lit("AB", address).chip).dots
    at = line * 16 * 16
    assert dots[at : at + 256 : 16] == screen.glyph(b"A")
    assert dots[at + 1 : at + 256 : 16] == screen.glyph(b"B")
    assert not any(dots[:at]) and not any(dots[at + 256 :])


def test_a_wide_character_is_drawn_across_two_cells():
    dots = screen.render(lit("  中").chip).dots
    rows = [dots[16 * row + 2 : 16 * row + 4] for row in range(16)]
    assert b"".join(rows) == screen.glyph("中".encode("gb2312"))


def test_dark_is_dark():
    host = lit("AB")
    host.do(0x08)
    assert not any(screen.render(host.chip).dots)
    assert screen.read(host.chip) == ("", "", "", "")


def test_reverse_and_graphics():
    host = lit("AB")
    plain = screen.render(host.chip).dots
    host.do(0x34, 0x04)
    turned = screen.render(host.chip).dots
    assert turned[:256] == bytes(byte ^ 0xFF for byte in plain[:256])
    assert turned[256:512] == plain[256:512]
    host.do(0x04, 0x36)
    for row in range(32):
        host.do(0x80 | row, 0x80)
        host.put(bytes(30) + (b"\x80\x01" if row == 31 else b"\0\0"))
    drawn = screen.render(host.chip).dots
    assert drawn == plain[:-2] + b"\x80\x01"


def test_text_is_read_back():
    assert screen.read(lit("余额  12").chip)[0] == "余额  12"
    host = Host().begin()
    host.do(0x80)
    host.put(b"\xd6A\x02B")
    assert screen.read(host.chip)[0] == "\ufffd\ufffdB"


def test_the_png_has_the_dots():
    """Decoded by hand: every row unfiltered, a dot as big as the scale."""
    image = screen.render(lit("A中").chip)
    data = image.png(scale=2)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert check == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + size
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", 256, 128, 1, 0, 0, 0, 0)
    rows = zlib.decompress(chunks[b"IDAT"])
    for y in range(64):
        for x in range(128):
            dark = image.dots[16 * y + x // 8] >> (7 - x % 8) & 1
            for dy, dx in ((0, 0), (1, 1)):
                row = rows[(2 * y + dy) * 33 + 1 :]
                light = row[(2 * x + dx) // 8] >> (7 - (2 * x + dx) % 8) & 1
                assert light == 1 - dark


# ---------------------------------------------------------------- fonts and pages


def test_a_font_is_used_where_it_has_the_glyph(tmp_path):
    path = tmp_path / "small.hex"
    path.write_text("0041:" + "18" * 16 + "\n4E2D:" + "0FF0" * 16 + "\n0042:" + "0FF0" * 16 + "\n")
    font = screen.load_font(path)
    assert screen.glyph(b"A", font) == b"\x18" * 16
    assert screen.glyph("中".encode("gb2312"), font) == b"\x0f\xf0" * 16
    # Of the wrong width, and missing: the pattern.
    assert screen.glyph(b"B", font) == screen.glyph(b"B")
    assert screen.glyph(b"C", font) == screen.glyph(b"C")


@pytest.mark.parametrize("line", ["0041", "0041:18", "xyz:" + "18" * 16, "0041:" + "1g" * 16])
def test_a_file_that_is_no_font_is_named_with_its_line(tmp_path, line):
    path = tmp_path / "bad.hex"
    path.write_text("0041:" + "18" * 16 + "\n" + line + "\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}:2: ")):
        screen.load_font(path)


def test_a_page_tells_what_has_changed_and_what_is_gone():
    shots = {name: screen.shoot(lit(name).chip) for name in ("AB", "CD", "E<")}
    expected = {"AB": shots["AB"].image.digest, "CD": "0" * 16, "XY": "1" * 16}
    page = screen.review_page(shots, expected)
    assert "2 changed or new, 1 gone" in page and "gone: XY" in page
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert [caption.partition(":")[0] for caption in captions] == [
        *("CD (changed or new)", "E&lt; (changed or new)", "AB")
    ]
    assert page.count("data:image/png;base64,") == 3 and "<pre>E&lt;\n\n\n</pre>" in page
