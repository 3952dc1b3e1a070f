"""Deterministic CBOR (RFC 8949 section 4.2.1), the part of it that this system speaks.

Integers, byte strings, text, arrays, maps with unsigned integer keys, false, true and null;
definite lengths, shortest heads, keys in ascending order. No floats, no tags, nothing indefinite.
The decoder is bounded in depth and refuses every other encoding of the same value, so that equal
values have equal bytes and a seal over bytes is a seal over values.
"""

import struct

from protocols.wire.errors import (
    BAD_TEXT,
    NON_CANONICAL,
    TOO_DEEP,
    TRAILING,
    TRUNCATED,
    UNSUPPORTED,
    WireError,
)

DEPTH_MAX = 4
_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP = 0, 1, 2, 3, 4, 5
_BEYOND = 0xC0  # tags and, from 0xE0 on, floats and simple values
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}
# Additional information -> (bytes that follow, smallest number that needs them, their format).
_WIDTHS = {
    24: (1, 24, ">B"),
    25: (2, 1 << 8, ">H"),
    26: (4, 1 << 16, ">I"),
    27: (8, 1 << 32, ">Q"),
}


def encode(value):
    """The one encoding of `value` as bytes; ValueError for what this wire cannot carry."""
    out = bytearray()
    put(out, value, 1)
    return bytes(out)


def decode(data):
    """The value that `data` (bytes-like, whole) encodes; WireError for anything else."""
    value, end = _get(data, 0, 1)
    if end != len(data):
        raise WireError(TRAILING)
    return value


def head(major, number):
    """The shortest head of an item: major type 0..7 and its number, as bytes."""
    major <<= 5
    if number < 24:
        return bytes((major | number,))
    if number < 1 << 8:
        return bytes((major | 24, number))
    if number < 1 << 16:
        return struct.pack(">BH", major | 25, number)
    if number < 1 << 32:
        return struct.pack(">BI", major | 26, number)
    if number < 1 << 64:
        return struct.pack(">BQ", major | 27, number)
    raise ValueError("integer beyond 64 bits")


def put(out, value, depth):
    """Append the encoding of `value` to a bytearray; it stands `depth` deep, 1 for in nothing."""
    if depth > DEPTH_MAX:
        raise ValueError("nested too deeply")
    if value is None or value is True or value is False:
        out.append(0xF6 if value is None else 0xF5 if value else 0xF4)
    elif isinstance(value, int):
        if value >= 0:
            _put_head(out, _UINT, value)
        else:
            _put_head(out, _NINT, -1 - value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _put_head(out, _BYTES, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _put_head(out, _TEXT, len(text))
        out.extend(text)
    elif isinstance(value, (list, tuple)):
        _put_head(out, _ARRAY, len(value))
        for item in value:
            put(out, item, depth + 1)
    elif isinstance(value, dict):
        _put_head(out, _MAP, len(value))
        _put_items(out, value, depth + 1)
    else:
        raise ValueError("no CBOR for " + type(value).__name__)


def _put_head(out, major, number):
    # As head(), without an object for each: most of a record is integers of one and three bytes.
    if number < 24:
        out.append(major << 5 | number)
    elif number < 1 << 8:
        out.append(major << 5 | 24)
        out.append(number)
    else:
        out.extend(head(major, number))


def _put_items(out, values, depth):
    # MicroPython dicts have no order; ascending unsigned keys are bytewise order too.
    for key in sorted(values):
        if not isinstance(key, int) or key < 0:
            raise ValueError("a key that is no unsigned number")
        _put_head(out, _UINT, key)
        put(out, values[key], depth)


def _get_head(data, at):
    if at >= len(data):
        raise WireError(TRUNCATED)
    first = data[at]
    info = first & 31
    if first >= _BEYOND:
        raise WireError(UNSUPPORTED)
    if info < 24:
        return first >> 5, info, at + 1
    if info not in _WIDTHS:
        raise WireError(UNSUPPORTED)
    width, least, form = _WIDTHS[info]
    end = at + 1 + width
    if end > len(data):
        raise WireError(TRUNCATED)
    number = struct.unpack_from(form, data, at + 1)[0]
    if number < least:
        raise WireError(NON_CANONICAL)
    return first >> 5, number, end


def _get(data, at, depth):
    if depth > DEPTH_MAX:
        raise WireError(TOO_DEEP)
    if at < len(data):
        first = data[at]
        if first < 24:
            return first, at + 1
        if first in _SIMPLE:
            return _SIMPLE[first], at + 1
    major, number, at = _get_head(data, at)
    if major == _UINT:
        return number, at
    if major == _NINT:
        return -1 - number, at
    if major == _BYTES or major == _TEXT:
        return _get_string(data, at, number, major)
    if major == _ARRAY:
        return _get_array(data, at, number, depth)
    return _get_map(data, at, number, depth)


def _get_string(data, at, length, major):
    end = at + length
    if end > len(data):
        raise WireError(TRUNCATED)
    raw = bytes(data[at:end])
    return (raw if major == _BYTES else _text_of(raw)), end


def _text_of(raw):
    try:
        text = raw.decode("utf-8")
    except (UnicodeError, ValueError):
        raise WireError(BAD_TEXT)
    # CPython is done here. MicroPython lets overlong forms, surrogates and what lies beyond
    # Unicode pass (RFC 3629 section 3), and then two encodings would have one value.
    left = len(raw)
    for char in text:
        code = ord(char)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            raise WireError(BAD_TEXT)
        left -= 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
    if left:
        raise WireError(BAD_TEXT)
    return text


def _get_array(data, at, count, depth):
    # Each item takes a byte at least: refuse a length that cannot be true before allocating.
    if count > len(data) - at:
        raise WireError(TRUNCATED)
    items = []
    for _ in range(count):
        item, at = _get(data, at, depth + 1)
        items.append(item)
    return items, at


def _get_map(data, at, count, depth):
    if 2 * count > len(data) - at:
        raise WireError(TRUNCATED)
    result = {}
    before = -1
    for _ in range(count):
        if at < len(data) and data[at] < 24:
            key = data[at]
            at += 1
        else:
            major, key, at = _get_head(data, at)
            if major != _UINT:
                raise WireError(UNSUPPORTED)
        if key <= before:
            raise WireError(NON_CANONICAL)
        before = key
        result[key], at = _get(data, at, depth + 1)
    return result, at
