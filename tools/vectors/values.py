"""cbor.json: the values that cross our wires, and encodings that never do."""

from protocols.wire.errors import (
    BAD_TEXT,
    NON_CANONICAL,
    TOO_DEEP,
    TRAILING,
    TRUNCATED,
    UNSUPPORTED,
)
from tools.vectors import Group, Notes

ABOUT = (
    "Deterministic CBOR (RFC 8949 section 4.2.1), the part of it that protocols.wire.cbor speaks."
)
NOTES: Notes = {
    "Rfc8949": ("from RFC 8949, Appendix A", False),
    "Boundary": ("the first or last number that a head of this length can say", False),
    "Truncated": ("the bytes end inside the value", False),
    "Trailing": ("bytes follow the value", False),
    "NonCanonical": ("well-formed, but not the one encoding of its value", False),
    "Unsupported": ("CBOR that never crosses these wires", False),
    "TooDeep": ("more than 4 levels", False),
    "BadText": ("not UTF-8 (RFC 3629)", False),
    "Bomb": ("claims more than there is; a decoder must not believe it first", False),
}

# Appendix A, as far as we speak it: (value, encoding).
_SPOKEN: tuple[tuple[object, str], ...] = (
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
)
# Appendix A, the rest.
_UNSPOKEN = (
    ("18446744073709551616", "c249010000000000000000"),
    ("-18446744073709551617", "c349010000000000000000"),
    ("0.0", "f90000"),
    ("-0.0", "f98000"),
    ("1.0", "f93c00"),
    ("1.1", "fb3ff199999999999a"),
    ("100000.0", "fa47c35000"),
    ("1.0e+300", "fb7e37e43c8800759c"),
    ("Infinity", "f97c00"),
    ("NaN", "f97e00"),
    ("undefined", "f7"),
    ("simple(16)", "f0"),
    ("simple(255)", "f8ff"),
    ("1(1363896240)", "c11a514b67b0"),
    ("23(h'01020304')", "d74401020304"),
    ("24(h'6449455446')", "d818456449455446"),
    ('{"a": 1, "b": [2, 3]}', "a26161016162820203"),
    ('["a", {"b": "c"}]', "826161a161626163"),
    ("(_ h'0102', h'030405')", "5f42010243030405ff"),
    ('(_ "strea", "ming")', "7f657374726561646d696e67ff"),
    ("[_ ]", "9fff"),
    ("[1, [2, 3], [_ 4, 5]]", "83018202039f0405ff"),
    ('{_ "a": 1, "b": [_ 2, 3]}', "bf61610161629f0203ffff"),
)
_BOUNDARIES: tuple[tuple[object, str], ...] = (
    (0xFF, "18ff"),
    (0x100, "190100"),
    (0xFFFF, "19ffff"),
    (0x10000, "1a00010000"),
    (0xFFFFFFFF, "1affffffff"),
    (0x100000000, "1b0000000100000000"),
    (-24, "37"),
    (-25, "3818"),
    (-256, "38ff"),
    (-257, "390100"),
    (bytes(23), "57" + "00" * 23),
    (bytes(24), "5818" + "00" * 24),
    (bytes(256), "590100" + "00" * 256),
    ({23: 0, 24: 1, 256: 2, 65536: 3}, "a417001818011901000" + "21a0001000003"),
    ([[[[]]]], "81818180"),
    ([[[0]]], "81818100"),
    ({1: {1: {1: {}}}}, "a101a101a101a0"),
    ("\u007f", "617f"),
    ("\u0080", "62c280"),
    ("\u07ff", "62dfbf"),
    ("\u0800", "63e0a080"),
    ("\ud7ff", "63ed9fbf"),
    ("\ue000", "63ee8080"),
    ("\uffff", "63efbfbf"),
    ("\U00010000", "64f0908080"),
    ("\U0010ffff", "64f48fbfbf"),
)
_INVALID = (
    ("no bytes at all", TRUNCATED, "", "Truncated"),
    ("the number of a head is missing", TRUNCATED, "18", "Truncated"),
    ("half a number", TRUNCATED, "1903", "Truncated"),
    ("half a long number", TRUNCATED, "1b000000e8d4a510", "Truncated"),
    ("half a byte string", TRUNCATED, "44010203", "Truncated"),
    ("half a text", TRUNCATED, "644945", "Truncated"),
    ("an array without its last item", TRUNCATED, "830102", "Truncated"),
    ("a map without its last value", TRUNCATED, "a2010203", "Truncated"),
    ("a map without its last pair", TRUNCATED, "a20102", "Truncated"),
    ("a byte string of 2^64-1 bytes", TRUNCATED, "5bffffffffffffffff00", "Bomb"),
    ("a text of 2^31 bytes", TRUNCATED, "7a8000000000", "Bomb"),
    ("an array of 2^32-1 items", TRUNCATED, "9affffffff00000000", "Bomb"),
    ("a map of 2^63 pairs", TRUNCATED, "bb80000000000000000000", "Bomb"),
    ("two values", TRAILING, "0000", "Trailing"),
    ("an array and a byte", TRAILING, "8001", "Trailing"),
    ("a byte string and its last byte again", TRAILING, "420102" + "02", "Trailing"),
    ("23 in two bytes", NON_CANONICAL, "1817", "NonCanonical"),
    ("0 in two bytes", NON_CANONICAL, "1800", "NonCanonical"),
    ("255 in three bytes", NON_CANONICAL, "1900ff", "NonCanonical"),
    ("65535 in five bytes", NON_CANONICAL, "1a0000ffff", "NonCanonical"),
    ("2^32-1 in nine bytes", NON_CANONICAL, "1b00000000ffffffff", "NonCanonical"),
    ("-24 in two bytes", NON_CANONICAL, "3817", "NonCanonical"),
    ("an empty byte string, length in two bytes", NON_CANONICAL, "5800", "NonCanonical"),
    ("a text, length in two bytes", NON_CANONICAL, "780161", "NonCanonical"),
    ("an array, length in three bytes", NON_CANONICAL, "99000100", "NonCanonical"),
    ("a map, length in two bytes", NON_CANONICAL, "b8010102", "NonCanonical"),
    ("a key in two bytes", NON_CANONICAL, "a1180102", "NonCanonical"),
    ("keys that descend", NON_CANONICAL, "a203040102", "NonCanonical"),
    ("one key twice", NON_CANONICAL, "a201020103", "NonCanonical"),
    ("reserved head 28", UNSUPPORTED, "1c", "Unsupported"),
    ("reserved head 30", UNSUPPORTED, "5e", "Unsupported"),
    ("a number of no definite length", UNSUPPORTED, "1f", "Unsupported"),
    ("false as a simple value in two bytes", UNSUPPORTED, "f814", "Unsupported"),
    ("a break and nothing to break", UNSUPPORTED, "ff", "Unsupported"),
    ("half a float", UNSUPPORTED, "f93c", "Unsupported"),
    ("a tag and nothing in it", UNSUPPORTED, "c1", "Unsupported"),
    ("a negative key", UNSUPPORTED, "a12002", "Unsupported"),
    ("a byte string as key", UNSUPPORTED, "a1410102", "Unsupported"),
    ("an array as key", UNSUPPORTED, "a18001", "Unsupported"),
    ("false as key", UNSUPPORTED, "a1f401", "Unsupported"),
    ("a fifth array", TOO_DEEP, "8181818180", "TooDeep"),
    ("a number at the fifth level", TOO_DEEP, "8181818100", "TooDeep"),
    ("a fifth map", TOO_DEEP, "a101a101a101a101a0", "TooDeep"),
    ("a thousand arrays", TOO_DEEP, "81" * 1000, "TooDeep"),
    ("a byte that UTF-8 never has", BAD_TEXT, "61ff", "BadText"),
    ("a byte that only continues", BAD_TEXT, "6180", "BadText"),
    ("a character that is cut off", BAD_TEXT, "62e6b0", "BadText"),
    ("a character interrupted by another", BAD_TEXT, "63e6b061", "BadText"),
    ("an overlong NUL", BAD_TEXT, "62c080", "BadText"),
    ("an overlong slash, three bytes", BAD_TEXT, "63e080af", "BadText"),
    ("an overlong euro sign, four bytes", BAD_TEXT, "64f08282ac", "BadText"),
    ("half of a surrogate pair", BAD_TEXT, "63eda080", "BadText"),
    ("both surrogates (CESU-8)", BAD_TEXT, "66eda080edb091", "BadText"),
    ("one beyond Unicode", BAD_TEXT, "64f4908080", "BadText"),
    ("far beyond Unicode", BAD_TEXT, "64f7bfbfbf", "BadText"),
)


def groups() -> list[Group]:
    """The groups of cbor.json."""
    published = Group("rfc8949", decode="cbor", source="RFC 8949 Appendix A")
    for value, data in _SPOKEN:
        published.valid(str(value)[:40], value, bytes.fromhex(data), "Rfc8949")
    for comment, data in _UNSPOKEN:
        published.invalid(comment, UNSUPPORTED, bytes.fromhex(data), "Rfc8949", "Unsupported")
    bounds = Group("boundary", decode="cbor")
    for value, data in _BOUNDARIES:
        bounds.valid(ascii(value)[:40], value, bytes.fromhex(data), "Boundary")
    refused = Group("refused", decode="cbor")
    for comment, error, data, flag in _INVALID:
        refused.invalid(comment, error, bytes.fromhex(data), flag)
    return [published, bounds, refused]
