"""records.json: every kind of record, right, and wrong in every way we know."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protocols.wire.errors import (
    BAD_FIELD,
    MISSING_FIELD,
    NON_CANONICAL,
    NOT_A_MAP,
    TOO_DEEP,
    TOO_LONG,
    TRAILING,
    TRUNCATED,
    UNKNOWN_FIELD,
    UNKNOWN_TYPE,
    UNSUPPORTED,
)
from tools.vectors import Group, Notes, encode

ABOUT = "Payloads of records: what a reader's journal holds under its seals."
NOTES: Notes = {
    "Ordinary": ("as it is seen every day", False),
    "Boundary": ("every field at its smallest or largest", False),
    "MissingField": ("a field is missing", True),
    "UnknownField": ("a field that this kind does not have", True),
    "BadField": ("a field of another type, or out of its bounds", True),
    "UnknownType": ("no kind or type of this number", True),
    "NotAMap": ("CBOR, but not a map", True),
    "TooLong": ("more bytes than the whole may have", False),
    "Encoding": ("says the right thing, but not in the one encoding", False),
}

U8, U16, U32, U48 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFF
Fields = dict[int, Any]
# name: (key, smallest, largest): numbers, or byte strings of one length
Bounds = Mapping[str, tuple[int, Any, Any]]
# A number in a field is none of these.
_NOT_NUMBERS = {"text": "1", "bytes": b"\x01", "true": True, "null": None, "an array": [1]}

HEAD: Bounds = {
    "device": (1, 1, U32),
    "seq": (2, 1, U32),
    "earliest_s": (3, 0, U32),
    "latest_s": (4, 0, U32),
    "boot_id": (5, 0, U32),
    "mono_ms": (6, 0, U48),
}
RECORDS: Mapping[str, tuple[int, Bounds]] = {
    "boot": (1, {"cause": (8, 0, U8), "firmware": (9, 0, U32)}),
    "intent": (
        2,
        {
            "card_no": (8, 0, U32),
            "counter": (9, 0, U32),
            "amount_fen": (10, 0, U32),
            "before_fen": (11, 0, U32),
            "after_fen": (12, 0, U32),
            "merchant_no": (13, 0, U32),
            "last_device": (14, 0, U32),
            "last_seq": (15, 0, U32),
            "flags": (16, 0, U8),
        },
    ),
    "outcome": (
        3,
        {"intent_device": (8, 1, U32), "intent_seq": (9, 1, U32), "result": (10, 1, 3)},
    ),
    "refusal": (
        4,
        {"card_no": (8, 0, U32), "amount_fen": (9, 0, U32), "reason": (10, 0, U16)},
    ),
    "power": (5, {"source": (8, 0, 1), "battery_mv": (9, 0, U16)}),
    "lost": (6, {"next_sha256": (8, bytes(32), b"\xff" * 32)}),
    "front-end": (
        7,
        {
            "version": (8, 0, U8),
            "faults": (9, 0, U16),
            "recoveries": (10, 0, U16),
            "pin_misses": (11, 0, U16),
            "garbled": (12, 0, U16),
        },
    ),
    "inspection": (
        12,
        {
            "network": (8, 0, 1),
            "waiting": (9, 0, U32),
            "battery_mv": (10, 0, U16),
            "clock_width_s": (11, 0, U32),
            "reader_faults": (12, 0, U16),
            "free_sectors": (13, 0, U16),
        },
    ),
    "fault": (13, {"network": (8, 0, 1), "last_reason": (9, 0, U16)}),
    "tamper": (17, {"state": (8, 1, 3), "number": (9, 0, U32)}),
    "entry": (14, {"card_no": (8, 0, U32), "reason": (9, 0, U16)}),
    "door": (
        15,
        {
            "state": (8, 0, U8),
            "event": (9, 0, U8),
            "levels": (10, 0, U8),
            "cause": (11, 0, U8),
        },
    ),
    "card-found": (19, {"card_no": (8, 0, U32)}),
    "punch": (18, {"card_no": (8, 0, U32)}),
    "mail": (21, {"lock": (8, 1, U32), "sealed": (9, b"\x00", bytes(160))}),
    "update": (24, {"version": (8, 1, U32), "reason": (9, 0, U16)}),
    "aggregate": (
        16,
        {"amount_fen": (8, 1, U32), "merchant_no": (9, 1, U32)},
    ),
    "code-sale": (
        10,
        {"number": (8, 0, U32), "amount_fen": (9, 1, U32), "result": (10, 1, 2)},
    ),
    "capture": (11, {"card_no": (8, 0, U32), "reason": (9, 0, U16)}),
    "cancel": (
        9,
        {
            "intent_device": (8, 1, U32),
            "intent_seq": (9, 1, U32),
            "card_no": (10, 0, U32),
            "amount_fen": (11, 1, U32),
        },
    ),
    "credit": (
        8,
        {
            "card_no": (8, 0, U32),
            "counter": (9, 0, U32),
            "number": (10, 1, U32),
            "amount_fen": (11, 0, U32),
            "before_fen": (12, 0, U32),
            "last_device": (13, 0, U32),
            "last_seq": (14, 0, U32),
        },
    ),
}
# What may be left out: key, and a value.
OPTIONAL: Mapping[str, Mapping[str, tuple[int, Any]]] = {
    "boot": {"policy_epoch": (10, 1)},
    "outcome": {"card_proof": (11, bytes(21))},
    "inspection": {
        "battery_test": (14, bytes(6)),
        "map_made_s": (15, 1),
        "receipt_s": (16, 1),
        "map_epoch": (17, 1),
        "by_clock": (18, 1),
    },
    "entry": {"number": (10, 1)},
}
ORDINARY: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]] = {
    "boot": [
        ("power on", {"cause": 1, "firmware": 10203}),
        ("another policy", {"cause": 255, "firmware": 10203, "policy_epoch": 4}),
    ],
    "intent": [
        (
            "12.50 of 87.00, on battery without network",
            {
                "card_no": 20017,
                "counter": 41,
                "amount_fen": 1250,
                "before_fen": 8700,
                "after_fen": 7450,
                "merchant_no": 71,
                "last_device": 1003,
                "last_seq": 977,
                "flags": 3,
            },
        ),
        (
            "a PIN try, which takes nothing",
            {
                "card_no": 20017,
                "counter": 42,
                "amount_fen": 0,
                "before_fen": 7450,
                "after_fen": 7450,
                "merchant_no": 71,
                "last_device": 1001,
                "last_seq": 309,
                "flags": 16,
            },
        ),
        (
            "and what was paid behind it",
            {
                "card_no": 20017,
                "counter": 43,
                "amount_fen": 6000,
                "before_fen": 7450,
                "after_fen": 1450,
                "merchant_no": 71,
                "last_device": 1001,
                "last_seq": 311,
                "flags": 4,
            },
        ),
    ],
    "outcome": [
        ("the card was debited", {"intent_device": 1001, "intent_seq": 311, "result": 1}),
        (
            "and says so under its own MAC",
            {
                "intent_device": 1001,
                "intent_seq": 311,
                "result": 1,
                "card_proof": bytes(range(21)),
            },
        ),
        ("it was not", {"intent_device": 1001, "intent_seq": 311, "result": 2}),
        ("nobody knows", {"intent_device": 1001, "intent_seq": 311, "result": 3}),
    ],
    "refusal": [("a card nobody could read", {"card_no": 0, "amount_fen": 900, "reason": 212})],
    "power": [("the mains are gone", {"source": 1, "battery_mv": 3912})],
    "front-end": [
        (
            "the chip was reset behind our back",
            {"version": 146, "faults": 1, "recoveries": 1, "pin_misses": 0, "garbled": 12},
        )
    ],
    "inspection": [
        (
            "all is well, twelve records wait",
            {
                "network": 1,
                "waiting": 12,
                "battery_mv": 4150,
                "clock_width_s": 3,
                "reader_faults": 0,
                "free_sectors": 1010,
            },
        ),
        (
            "the battery was measured, and holds 1204 mAh",
            {
                "network": 0,
                "waiting": 0,
                "battery_mv": 4150,
                "clock_width_s": 3,
                "reader_faults": 0,
                "free_sectors": 1010,
                "battery_test": bytes.fromhex("04b46a9646b8"),
            },
        ),
        (
            "and how old what it knows of cards is",
            {
                "network": 1,
                "waiting": 0,
                "battery_mv": 4150,
                "clock_width_s": 3,
                "reader_faults": 0,
                "free_sectors": 1010,
                "map_made_s": 1788233170,
                "receipt_s": 1788233395,
                "map_epoch": 4012,
            },
        ),
    ],
    "tamper": [
        ("somebody was inside", {"state": 1, "number": 0}),
        ("it stands elsewhere", {"state": 2, "number": 0}),
        ("two persons have approved record 311", {"state": 3, "number": 311}),
    ],
    "fault": [("the reader finds no card", {"network": 1, "last_reason": 224})],
    "code-sale": [
        ("paid by code", {"number": 4711, "amount_fen": 1250, "result": 1}),
        ("no answer came", {"number": 0, "amount_fen": 1250, "result": 2}),
    ],
    "capture": [("not its holder", {"card_no": 20017, "reason": 226})],
    "cancel": [
        (
            "12.50 that were keyed wrong",
            {"intent_device": 1001, "intent_seq": 310, "card_no": 20017, "amount_fen": 1250},
        )
    ],
    "entry": [
        ("may enter", {"card_no": 20017, "reason": 0}),
        ("not at this time", {"card_no": 20017, "reason": 282}),
        ("not our card", {"card_no": 0, "reason": 211}),
        ("by an identity code", {"card_no": 20017, "reason": 0, "number": 4711}),
    ],
    "card-found": [("on a bench", {"card_no": 20017})],
    "punch": [("came to work", {"card_no": 20017})],
    "door": [
        ("locked", {"state": 1, "event": 12, "levels": 31, "cause": 0}),
        ("no mains", {"state": 8, "event": 2, "levels": 29, "cause": 0}),
        ("the relay is welded", {"state": 9, "event": 1, "levels": 63, "cause": 2}),
    ],
    "update": [("came back from version 7, never proven", {"version": 7, "reason": 323})],
    "mail": [("a letter from a lock", {"lock": 3001, "sealed": bytes(range(48))})],
    "aggregate": [("12.50 by the payer's phone", {"amount_fen": 1250, "merchant_no": 71})],
    "credit": [
        (
            "50.00 onto a card that holds 3.20",
            {
                "card_no": 20017,
                "counter": 42,
                "number": 99,
                "amount_fen": 5000,
                "before_fen": 320,
                "last_device": 1001,
                "last_seq": 311,
            },
        )
    ],
    "lost": [
        ("record 313 can be read", {"next_sha256": bytes(range(32))}),
        ("and that is lost as well", {"next_sha256": bytes(32)}),
    ],
}
_SOME_HEAD = {
    "device": 1001,
    "seq": 312,
    "earliest_s": 1788233400,
    "latest_s": 1788233431,
    "boot_id": 5,
    "mono_ms": 8640123,
}


def groups() -> list[Group]:
    """The groups of records.json."""
    found = []
    for name, (kind, own) in RECORDS.items():
        group = Group(name, decode="record", rule=name)
        bounds = {**HEAD, **own}
        for comment, values in ORDINARY[name]:
            options = {key: (*option, b"") for key, option in OPTIONAL.get(name, {}).items()}
            fields = _keyed({**bounds, **options}, {**_SOME_HEAD, **values}, kind)
            named = {"kind": kind, **_SOME_HEAD, **values}
            group.valid(comment, named, encode(fields), "Ordinary")
        for comment, end in (("all at their smallest", 1), ("all at their largest", 2)):
            values = {field: bound[end] for field, bound in bounds.items()}
            data = encode(_keyed(bounds, values, kind))
            group.valid(comment, {"kind": kind, **values}, data, "Boundary")
        fields = _keyed(bounds, {**_SOME_HEAD, **ORDINARY[name][0][1]}, kind)
        # What all kinds have in common is said once.
        if name == "lost":
            _add_bad_bytes(group, fields, 8, "next_sha256", (bytes(31), bytes(33)))
        elif name == "mail":
            _add_bad_bytes(group, fields, 9, "sealed", (bytes(161),))
            add_bad_numbers(group, fields, {"lock": own["lock"]})
        else:
            if name in OPTIONAL:
                _add_bad_options(group, fields, OPTIONAL[name])
            add_bad_numbers(group, fields, bounds if kind == 1 else own)
        add_bad_shapes(group, fields)
        long = encode({**fields, 23: bytes(256 - len(encode(fields)))})
        group.invalid("257 bytes or more", TOO_LONG, long, "TooLong", "UnknownField")
        found.append(group)
    return found


def _add_bad_bytes(
    group: Group, fields: Fields, bad_key: int, name: str, lengths: tuple[bytes, ...]
) -> None:
    without = {key: value for key, value in fields.items() if key != bad_key}
    group.invalid(f"no {name}", MISSING_FIELD, encode(without), "MissingField")
    for value in (*lengths, b"", "1", 1, None):
        data = encode({**fields, bad_key: value})
        group.invalid(f"{name} is {value!r}", BAD_FIELD, data, "BadField")


def _add_bad_options(group: Group, fields: Fields, options: Mapping[str, tuple[int, Any]]) -> None:
    for name, (key, good) in options.items():
        bad: tuple[Any, ...] = (0, U32 + 1, -1, b"", "1", None)
        if isinstance(good, bytes):
            bad = (good[:-1], good + b"\x00", b"", "1", 1, None)
        for value in bad:
            data = encode({**fields, key: value})
            group.invalid(f"{name} is {value!r}", BAD_FIELD, data, "BadField")


def _keyed(bounds: Bounds, values: Mapping[str, Any], kind: int) -> Fields:
    return {0: kind, **{bounds[name][0]: value for name, value in values.items()}}


def add_bad_numbers(group: Group, fields: Fields, bounds: Bounds) -> None:
    """Every number missing, below and above its bounds; the first also not a number at all."""
    for name, (key, least, most) in bounds.items():
        without = {k: v for k, v in fields.items() if k != key}
        group.invalid(f"no {name}", MISSING_FIELD, encode(without), "MissingField")
        for value in (least - 1, most + 1):
            data = encode({**fields, key: value})
            group.invalid(f"{name} is {value}", BAD_FIELD, data, "BadField")
    name, (key, _, _) = next(iter(bounds.items()))
    for what, value in _NOT_NUMBERS.items():
        data = encode({**fields, key: value})
        group.invalid(f"{name} is {what}", BAD_FIELD, data, "BadField")


def add_bad_shapes(group: Group, fields: Fields, typed: bool = True) -> None:
    """What can be wrong with any map; `typed` if its key 0 is a kind or type."""
    for key in (7, 23, 24):
        data = encode({**fields, key: 0})
        group.invalid(f"a field with key {key}", UNKNOWN_FIELD, data, "UnknownField")
    if typed:
        for number in (0, 99, U8, U8 + 1, -1, None, True, "1", b"\x01", [], [1], {}, {1: 1}):
            data = encode({**fields, 0: number})
            group.invalid(f"key 0 is {number}", UNKNOWN_TYPE, data, "UnknownType")
        without = {key: value for key, value in fields.items() if key}
        group.invalid("no key 0", UNKNOWN_TYPE, encode(without), "UnknownType")
        group.invalid("an empty map", UNKNOWN_TYPE, b"\xa0", "UnknownType")
    else:
        group.invalid("an empty map", MISSING_FIELD, b"\xa0", "MissingField")
    for value in ([], [fields], 1, None, True, "a", b"\xa0"):
        group.invalid("not a map", NOT_A_MAP, encode(value), "NotAMap")
    for comment, error, data in _encodings(fields):
        group.invalid(comment, error, data, "Encoding")


def _encodings(fields: Fields) -> Iterator[tuple[str, int, bytes]]:
    data = encode(fields)
    pairs = [encode(key) + encode(value) for key, value in fields.items()]
    head = bytes((0xA0 | len(pairs),))
    first_key = next(iter(fields))
    yield "no bytes at all", TRUNCATED, b""
    yield "without its last byte", TRUNCATED, data[:-1]
    yield "cut in the middle", TRUNCATED, data[: len(data) // 2]
    yield "a byte behind it", TRAILING, data + b"\x00"
    yield "twice", TRAILING, data + data
    yield "its length in two bytes", NON_CANONICAL, bytes((0xB8, len(pairs))) + data[1:]
    yield "a key in two bytes", NON_CANONICAL, head + b"\x18" + data[1:]
    yield "keys out of order", NON_CANONICAL, head + b"".join((*pairs[1:], pairs[0]))
    twice = bytes((head[0] + 1,)) + pairs[0] + b"".join(pairs)
    yield "a key twice", NON_CANONICAL, twice
    yield "of indefinite length", UNSUPPORTED, b"\xbf" + b"".join(pairs) + b"\xff"
    first = head + encode(first_key)
    rest = b"".join(pairs[1:])
    yield "a float", UNSUPPORTED, first + b"\xf9\x3c\x00" + rest
    yield "a tagged number", UNSUPPORTED, first + b"\xc1\x01" + rest
    yield "a text key", UNSUPPORTED, head + b"\x61\x30" + pairs[0][1:] + rest
    yield "nested too deeply", TOO_DEEP, first + b"\x81\x81\x81\x81\x00" + rest
