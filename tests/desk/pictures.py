"""The pictures of the README: ONECARD_SHOTS=1 writes them into docs/img, small.

A browser presses its pictures in a hurry. Flat colours without a filter, pressed as hard as zlib
can, take about two thirds of that.
"""

import os
import struct
import zlib

IS_ON = os.environ.get("ONECARD_SHOTS") == "1"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}  # by colour type: RGB, RGBA


def shoot(page, repo_root, name):
    """Take a picture of what a page shows now, if pictures are wanted."""
    if not IS_ON:
        return
    folder = repo_root / "docs" / "img"
    folder.mkdir(exist_ok=True)
    data = pressed(page.screenshot(animations="disabled"))
    (folder / f"{name}.png").write_bytes(data)
    print(f"{name}.png: {len(data) / 1024:.0f} KiB")


def pressed(data):
    """The same picture, an 8-bit PNG without interlace, in fewer bytes; opaque it has no alpha."""
    chunks = list(_chunks(data))
    width, height, depth, colour, *_, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, interlace) == (8, 0), "not how browsers write them"
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    rows = _rows(raw, width * _CHANNELS[colour], _CHANNELS[colour])
    if colour == 6 and all(row[3::4] == b"\xff" * width for row in rows):
        rows = [_without_alpha(row, width) for row in rows]
        colour = 2
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\x00" + bytes(row) for row in rows), 9)
    found = _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return min(found, data, key=len)


def _chunks(data):
    at = len(_SIGNATURE)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind, body):
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def _rows(raw, size, step):
    """Unfiltered rows (PNG 1.2, section 6)."""
    above, found = bytearray(size), []
    for at in range(0, len(raw), size + 1):
        row = bytearray(raw[at + 1 : at + 1 + size])
        _UNFILTER[raw[at]](row, above, step)
        found.append(row)
        above = row
    return found


def _sub(row, _above, step):
    for at in range(step, len(row)):
        row[at] = (row[at] + row[at - step]) & 0xFF


def _up(row, above, _step):
    for at, value in enumerate(above):
        row[at] = (row[at] + value) & 0xFF


def _average(row, above, step):
    for at, value in enumerate(above):
        left = row[at - step] if at >= step else 0
        row[at] = (row[at] + (left + value) // 2) & 0xFF


def _paeth(row, above, step):
    for at, up in enumerate(above):
        left = row[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        guess = left + up - corner
        near = min((left, up, corner), key=lambda one: abs(guess - one))
        row[at] = (row[at] + near) & 0xFF


_UNFILTER = (lambda *_: None, _sub, _up, _average, _paeth)


def _without_alpha(row, width):
    found = bytearray(3 * width)
    for channel in range(3):
        found[channel::3] = row[channel::4]
    return found
