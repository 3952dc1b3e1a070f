"""messages.json: every type of message, what a RELAY carries, the body of a receipt."""

from collections.abc import Iterator, Mapping
from typing import Any

from protocols.wire.errors import BAD_FIELD, MISSING_FIELD, TOO_LONG, UNEXPECTED_TYPE
from tools.vectors import Group, Notes, encode, records, seals
from tools.vectors.records import U8, U16, U32, Bounds, Fields, add_bad_numbers, add_bad_shapes

ABOUT = "Messages between reader, agent and ledger, what a RELAY carries, the body of a receipt."
NOTES: Notes = {
    **records.NOTES,
    "TakenName": ("a site may not have the name of a room; no grammar says that", False),
    "UnexpectedType": ("good bytes where they have no place", True),
    "OtherList": ("a list that is not this one", True),
}

_SEALED = seals.RECORD_1
_RECEIPT = seals.RECEIPT
_LONGEST = b"\xd1" + bytes(255)
# What is expected where: on the topics up, down, agent/records, agent/receipts, agent/relay-*.
_UP, _DOWN, _RECORDS, _RECEIPTS, _RELAY = [1, 2], [3, 4], [5], [6], [7]
_CARDS = [8]
_DEVICE = {"device": (1, 1, U32)}
_UPTO = {**_DEVICE, "upto": (2, 0, U32)}
# name: (type, expected, keys, numbers with their bounds, ordinary, smallest, largest)
_Row = tuple[int, list[int], Mapping[str, int], Bounds, Fields, Fields, Fields]
_MESSAGES: Mapping[str, _Row] = {
    "hello": (
        1,
        _UP,
        {"device": 1, "boot_id": 2, "receipted": 3, "head": 4},
        {**_DEVICE, "boot_id": (2, 0, U32), "receipted": (3, 0, U32), "head": (4, 0, U32)},
        {1: 1001, 2: 5, 3: 288, 4: 312},
        {1: 1, 2: 0, 3: 0, 4: 0},
        {1: U32, 2: U32, 3: U32, 4: U32},
    ),
    "batch": (
        2,
        _UP,
        {"device": 1, "records": 2},
        _DEVICE,
        {1: 1001, 2: [_SEALED, seals.RECORD_2]},
        {1: 1, 2: [b"\x00"]},
        {1: U32, 2: [*[_LONGEST] * 7, bytes(209)]},
    ),
    "stored": (
        3,
        _DOWN,
        {"device": 1, "upto": 2},
        _UPTO,
        {1: 1001, 2: 312},
        {1: 1, 2: 0},
        {1: U32, 2: U32},
    ),
    "receipt": (
        4,
        _DOWN,
        {"device": 1, "sealed": 2},
        _DEVICE,
        {1: 1001, 2: _RECEIPT},
        {1: 1, 2: b"\x00"},
        {1: U32, 2: _LONGEST},
    ),
    "forward": (
        5,
        _RECORDS,
        {"site": 1, "number": 2, "records": 3},
        {"number": (2, 0, U32)},
        {1: "canteen-1", 2: 17, 3: [_SEALED]},
        {1: "a", 2: 0, 3: [b"\x00"]},
        {1: "abcdefghij-12345", 2: U32, 3: [b"\x00"] * 64},
    ),
    "receipts": (
        6,
        _RECEIPTS,
        {"number": 1, "receipts": 2, "refused": 3},
        {"number": (1, 0, U32)},
        {1: 17, 2: [[1001, 312, _RECEIPT]], 3: [[1002, 9, 112], [0, 0, 111]]},
        {1: 0, 2: [], 3: []},
        {1: U32, 2: [[U32, U32, b"\x00"]] * 64, 3: [[U32, U32, U32]] * 64},
    ),
    "relay": (
        7,
        _RELAY,
        {"device": 1, "sealed": 2},
        _DEVICE,
        {1: 1001, 2: _SEALED},
        {1: 1, 2: b"\x00"},
        {1: U32, 2: bytes(384)},
    ),
    "cards": (
        8,
        _CARDS,
        {"device": 1, "epoch": 2, "page": 3, "data": 4},
        {**_DEVICE, "epoch": (2, 0, U32), "page": (3, 0, U16)},
        {1: 1001, 2: 41, 3: 0, 4: seals.WARRANT + bytes.fromhex("00126701")},
        {1: 1, 2: 0, 3: 0, 4: b""},
        {1: U32, 2: U32, 3: U16, 4: bytes(448)},
    ),
}
_NONCE = bytes.fromhex("5a3c1e0f89abcdef")
_FROM_READER, _FROM_LEDGER, _EITHER = [1, 4, 7, 35], [2, 3, 5, 6, 8, 36], [17]
_DESK_UP, _DESK_DOWN = [23, 25], [24, 26]
# As _MESSAGES, of what a RELAY carries; key 1, the nonce, stands in all of them.
_RELAYED: Mapping[str, _Row] = {
    "load-ask": (
        1,
        _FROM_READER,
        {"card_no": 2, "counter": 3, "last_device": 4, "last_seq": 5, "chip": 6},
        {
            "card_no": (2, 0, U32),
            "counter": (3, 0, U32),
            "last_device": (4, 0, U32),
            "last_seq": (5, 0, U32),
            "chip": (6, 1, 2),
        },
        {2: 20017, 3: 42, 4: 1001, 5: 311, 6: 1},
        {2: 0, 3: 0, 4: 0, 5: 0, 6: 1},
        {2: U32, 3: U32, 4: U32, 5: U32, 6: 2},
    ),
    "load-order": (
        2,
        _FROM_LEDGER,
        {"order": 2},
        {},
        {2: seals.RECORD_1},
        {2: b"\x00"},
        {2: bytes(160)},
    ),
    "load-offer": (
        3,
        _FROM_LEDGER,
        {"number": 2, "amount_fen": 3},
        {"number": (2, 1, U32), "amount_fen": (3, 1, U32)},
        {2: 99, 3: 5000},
        {2: 1, 3: 1},
        {2: U32, 3: U32},
    ),
    "card-answer": (
        4,
        _FROM_READER,
        {"step": 2, "answer": 3},
        {"step": (2, 0, U8)},
        {2: 3, 3: bytes.fromhex("af00112233445566778899aabbccddeeff")},
        {2: 0, 3: b""},
        {2: U8, 3: bytes(256)},
    ),
    "card-command": (
        5,
        _FROM_LEDGER,
        {"step": 2, "command": 3},
        {"step": (2, 1, U8)},
        {2: 1, 3: bytes.fromhex("5a01caf0")},
        {2: 1, 3: b"\x00"},
        {2: U8, 3: bytes(128)},
    ),
    "load-end": (
        6,
        _FROM_LEDGER,
        {"result": 2},
        {"result": (2, 1, 3)},
        {2: 2},
        {2: 1},
        {2: 3},
    ),
    "pay-ask": (
        7,
        _FROM_READER,
        {"code": 2, "amount_fen": 3, "seq": 4},
        {"amount_fen": (3, 0, U32), "seq": (4, 1, U32)},
        {2: b"OCPAYA" + b"AAAE4MKPKX3ZYAB2" * 2, 3: 1250, 4: 312},
        {2: bytes(38), 3: 0, 4: 1},
        {2: b"\xff" * 38, 3: U32, 4: U32},
    ),
    "pay-answer": (
        8,
        _FROM_LEDGER,
        {"reason": 2, "number": 3, "balance_fen": 4},
        {"reason": (2, 0, U16), "number": (3, 0, U32), "balance_fen": (4, 0, U32)},
        {2: 0, 3: 4711, 4: 3750},
        {2: 0, 3: 0, 4: 0},
        {2: U16, 3: U32, 4: U32},
    ),
    "site-question": (
        17,
        _EITHER,
        {"state": 2, "number": 3, "head": 4},
        {"state": (2, 0, U8), "number": (3, 0, U32), "head": (4, 0, U32)},
        {2: 1, 3: 311, 4: 314},
        {2: 0, 3: 0, 4: 0},
        {2: U8, 3: U32, 4: U32},
    ),
    "person-ask": (
        23,
        _DESK_UP,
        {"card_no": 2},
        {"card_no": (2, 0, U32)},
        {2: 20001},
        {2: 0},
        {2: U32},
    ),
    "person-answer": (
        24,
        _DESK_DOWN,
        {"reason": 2, "person_no": 3},
        {"reason": (2, 0, U16)},
        {2: 0, 3: b"2026010203"},
        {2: 0, 3: b""},
        {2: U16, 3: bytes(256)},
    ),
    "loss-ask": (
        25,
        _DESK_UP,
        {"code": 2},
        {},
        {2: b"OCIDYA" + b"A2" * 16},
        {2: bytes(38)},
        {2: b"\xff" * 38},
    ),
    "loss-answer": (
        26,
        _DESK_DOWN,
        {"reason": 2, "lost_s": 3},
        {"reason": (2, 0, U16), "lost_s": (3, 0, U32)},
        {2: 0, 3: 1788233432},
        {2: 0, 3: 0},
        {2: U16, 3: U32},
    ),
    "spend-ask": (
        35,
        _FROM_READER,
        {"card_no": 2, "counter": 3, "amount_fen": 4},
        {"card_no": (2, 0, U32), "counter": (3, 0, U32), "amount_fen": (4, 1, U32)},
        {2: 4711, 3: 12, 4: 15000},
        {2: 0, 3: 0, 4: 1},
        {2: U32, 3: U32, 4: U32},
    ),
    "spend-answer": (
        36,
        _FROM_LEDGER,
        {"reason": 2},
        {"reason": (2, 0, U16)},
        {2: 0},
        {2: 271},
        {2: U16},
    ),
}
_SEALED_ONE: Mapping[str, Any] = {
    "empty": b"",
    "257 bytes": bytes(257),
    "text": "sealed",
    "a number": 1,
    "null": None,
}
# Bad values of the fields that are not numbers: name of message, key, what -> value.
_BAD: Mapping[tuple[str, int], Mapping[str, Any]] = {
    ("batch", 2): {
        "no record": [],
        "9 records": [b"\x00"] * 9,
        "a record instead of a list": b"\x00",
        **{f"a record that is {what}": [b"\x00", one] for what, one in _SEALED_ONE.items()},
    },
    ("receipt", 2): {f"a receipt that is {what}": one for what, one in _SEALED_ONE.items()},
    ("forward", 1): {
        "an empty site": "",
        "a site of 17 characters": "abcdefghij-123456",
        "a site in capitals": "Canteen-1",
        "a site that is a wildcard": "+",
        "a site of two levels": "canteen/1",
        "a site in Chinese": "\u98df\u5802",
        "a site with a line's end": "canteen\n",
        "a site in bytes": b"canteen-1",
    },
    ("forward", 3): {
        "no record": [],
        "65 records": [b"\x00"] * 65,
        "an empty record": [b"\x00", b""],
    },
    ("receipts", 2): {
        "a receipt that is not a list": [b"\x00"],
        "a receipt without its seal": [[1001, 312]],
        "a receipt with something more": [[1001, 312, b"\x00", 0]],
        "a receipt of device 0": [[0, 312, b"\x00"]],
        "a receipt up to -1": [[1001, -1, b"\x00"]],
        "an empty receipt": [[1001, 312, b""]],
        "a receipt of 257 bytes": [[1001, 312, bytes(257)]],
        "65 receipts": [[1001, 312, b"\x00"]] * 65,
        "null": None,
    },
    ("receipts", 3): {
        "a refusal without its code": [[1001, 312]],
        "a refusal with something more": [[1001, 312, 112, 0]],
        "a negative code": [[1001, 312, -1]],
        "a code beyond 32 bits": [[1001, 312, U32 + 1]],
        "a code in words": [[1001, 312, "forged"]],
        "65 refusals": [[1001, 312, 112]] * 65,
        "null": None,
    },
    ("relay", 2): {
        "nothing sealed": b"",
        "385 bytes sealed": bytes(385),
        "sealed in text": "sealed",
    },
    ("cards", 4): {"data of 449 bytes": bytes(449), "data in text": "af"},
    ("load-ask", 1): {
        "a nonce of 7 bytes": bytes(7),
        "a nonce of 9 bytes": bytes(9),
        "a nonce that is a number": 1,
    },
    ("load-order", 2): {"no order in it": b"", "an order of 161 bytes": bytes(161)},
    ("card-answer", 3): {"an answer of 257 bytes": bytes(257), "an answer in text": "af"},
    ("card-command", 3): {"no command in it": b"", "a command of 129 bytes": bytes(129)},
    ("pay-ask", 2): {
        "a code of 37 bytes": bytes(37),
        "a code of 39 bytes": bytes(39),
        "a code in text": "OCPAYA" + "A" * 32,
    },
    ("person-answer", 3): {"a number of 257 bytes": bytes(257), "a number in text": "20260102"},
    ("loss-ask", 2): {
        "a code of 37 bytes": bytes(37),
        "a code of 39 bytes": bytes(39),
        "a code in text": "OCIDYA" + "A" * 32,
    },
    ("receipt-body", 3): {
        "a tag of 7 bytes": bytes(7),
        "a tag of 9 bytes": bytes(9),
        "a tag in text": "12345678",
    },
}


def groups() -> list[Group]:
    """The groups of messages.json."""
    found = [
        _message_group(name, *row, word="message", others=_MESSAGES)
        for name, row in _MESSAGES.items()
    ]
    for name, (number, expected, keys, bounds, *examples) in _RELAYED.items():
        nonced = [{1: _NONCE, **fields} for fields in examples]
        whole = {"nonce": 1, **keys}
        found.append(
            _message_group(
                name, number, expected, whole, bounds, *nonced, word="relayed", others=_RELAYED
            )
        )
    return [*found, *_about_codes(), _receipt_body()]


def _about_codes() -> Iterator[Group]:
    """What a door asks about an identity code and hears: lists, where all else is a map."""
    code = b"OCIDYA" + b"AAAE4MKPKX3ZYAB2" * 2
    told = [_NONCE, 0, 4711, 20017, 2, 20697, 22157]
    nothing, most = [_NONCE, U16, 0, 0, 0, 0, 0], [b"\xff" * 8, 0, U32, U32, U8, U16, U16]
    for name, number, examples in (
        ("who-ask", 18, ([_NONCE, code], [bytes(8), bytes(38)])),
        ("who-answer", 19, (told, nothing, most)),
    ):
        group = Group(name, decode=name, rule=name)
        for value in examples:
            flag = "Ordinary" if value is examples[0] else "Boundary"
            group.valid(flag.lower(), value, encode([number, *value]), flag)
        good = [number, *examples[0]]
        for comment, at, value in (
            ("a nonce of 7 bytes", 1, bytes(7)),
            ("a nonce of 9 bytes", 1, bytes(9)),
            ("a code or a reason below its bounds", 2, b"" if number == 18 else -1),
            ("a code or a reason above its bounds", 2, bytes(39) if number == 18 else U16 + 1),
        ):
            data = encode([*good[:at], value, *good[at + 1 :]])
            group.invalid(comment, BAD_FIELD, data, "BadField")
        for comment, values in (
            ("nothing in it", []),
            ("without its last field", good[:-1]),
            ("with another field", [*good, 0]),
            ("of another kind", [number + 2, *good[1:]]),
        ):
            group.invalid(comment, UNEXPECTED_TYPE, encode(values), "OtherList")
        yield group


def _message_group(
    name: str,
    number: int,
    expected: list[int],
    keys: Mapping[str, int],
    bounds: Bounds,
    *examples: Fields,
    word: str,
    others: Mapping[str, _Row],
) -> Group:
    group = Group(name, decode=word, rule=name, expected=expected)
    comments = ("every day", "all at their smallest", "all at their largest")
    said = "type" if word == "message" else "kind"
    for comment, fields in zip(comments, examples, strict=True):
        value = {said: number, **{field: fields[key] for field, key in keys.items()}}
        flag = "Ordinary" if comment == "every day" else "Boundary"
        group.valid(comment, value, encode({0: number, **fields}), flag)
    small = {0: number, **examples[1]}
    if bounds:
        add_bad_numbers(group, small, bounds)
    _add_bad_fields(group, small, {key: field for field, key in keys.items()})
    for other, row in others.items():
        if row[0] not in expected:
            data = encode({0: row[0], **row[5]})
            group.invalid(f"a {other.upper()}", UNEXPECTED_TYPE, data, "UnexpectedType")
    add_bad_shapes(group, small)
    _add_too_long(group, small)
    return group


def _add_bad_fields(group: Group, fields: Fields, names: Mapping[int, str]) -> None:
    for (name, key), bad in _BAD.items():
        if name != group.name:
            continue
        without = {k: v for k, v in fields.items() if k != key}
        group.invalid(f"no {names[key]}", MISSING_FIELD, encode(without), "MissingField")
        for comment, value in bad.items():
            group.invalid(comment, BAD_FIELD, encode({**fields, key: value}), "BadField")


def _add_too_long(group: Group, fields: Fields) -> None:
    if group.name == "hello":
        data = encode({**fields, 5: bytes(2100)})
        group.invalid("longer than anything on up", TOO_LONG, data, "TooLong", "UnknownField")
        data = encode({**fields, 5: bytes(64)})
        comment = "longer than a HELLO, shorter than a BATCH"
        group.invalid(comment, TOO_LONG, data, "TooLong", "UnknownField")
    elif group.name == "batch":
        data = encode({**fields, 2: [_LONGEST] * 8})
        group.invalid("8 records of 256 bytes", TOO_LONG, data, "TooLong")
    elif group.name in ("relay", "load-order"):
        data = encode({**fields, 5: bytes(449)})
        group.invalid("longer than it may be", TOO_LONG, data, "TooLong", "UnknownField")
    elif group.name == "forward":
        data = encode({**fields, 1: "ledger"})
        group.invalid("the site ledger", BAD_FIELD, data, "TakenName")


def _receipt_body() -> Group:
    group = Group("receipt-body", decode="receipt-body", rule="receipt-body")
    keys = {"device": 1, "upto": 2, "tag": 3, "time_s": 4}
    bounds = {**_UPTO, "time_s": (4, 0, U32)}
    tag = bytes.fromhex("8f0a3b5c7d9e1f20")
    ordinary: Fields = {1: 1001, 2: 312, 3: tag, 4: 1788233432}
    for comment, fields, flag in (
        ("everything up to 312 is booked", ordinary, "Ordinary"),
        ("all at their smallest", {1: 1, 2: 0, 3: bytes(8), 4: 0}, "Boundary"),
        ("all at their largest", {1: U32, 2: U32, 3: b"\xff" * 8, 4: U32}, "Boundary"),
    ):
        value = {name: fields[key] for name, key in keys.items()}
        group.valid(comment, value, encode(fields), flag)
    add_bad_numbers(group, ordinary, bounds)
    _add_bad_fields(group, ordinary, {3: "tag"})
    add_bad_shapes(group, ordinary, typed=False)
    data = encode({**ordinary, 5: bytes(64)})
    group.invalid("more than 64 bytes", TOO_LONG, data, "TooLong", "UnknownField")
    return group
