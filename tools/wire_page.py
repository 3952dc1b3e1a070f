"""docs/SPEC.md: records, messages, what a RELAY carries, and topics, as the code's tables say."""

from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType

from protocols.wire import desk_messages, entry_code, messages, topics

# What each letter of a shape allows (protocols/wire/messages.py).
LETTERS = {
    "b": "0 to 255",
    "h": "0 to 65,535",
    "w": "0 to 2^32 - 1",
    "q": "0 to 2^48 - 1",
    "B": "1 to 255",
    "W": "1 to 2^32 - 1",
    "x": "1 to 2^32 - 1, or left out",
    "0": "0 or 1",
    "2": "1 or 2",
    "3": "1 to 3",
    "t": "8 bytes",
    "k": "38 bytes",
    "T": "32 bytes",
    "?": "21 bytes, or left out",
    "!": "6 bytes, or left out",
    "d": "up to 256 bytes",
    "m": f"up to {messages.CARDS_DATA_BYTES_MAX} bytes",
    "s": "a site's name",
    "o": "sealed, up to 160 bytes",
    "c": "sealed, up to 128 bytes",
    "r": f"sealed, up to {messages.RECORD_BYTES_MAX} bytes",
    "v": f"sealed, up to {messages.RELAYED_BYTES_MAX} bytes",
    "R": f"1 to {messages.BATCH_RECORDS_MAX} sealed records",
    "F": f"1 to {messages.FORWARD_RECORDS_MAX} sealed records",
    "P": "list of (device, upto, sealed receipt)",
    "N": "list of three numbers: device, seq, reason",
}
# Constants of a table's own: other numbers of the module have the same values.
_RECORDS = "BOOT INTENT OUTCOME REFUSAL POWER LOST FRONT_END CREDIT CANCEL CODE_SALE CAPTURE"
_RECORDS += " INSPECTION FAULT ENTRY DOOR AGGREGATE TAMPER PUNCH CARD_FOUND MAIL UPDATE"
_RELAYED = "LOAD_ASK LOAD_ORDER LOAD_OFFER CARD_ANSWER CARD_COMMAND LOAD_END PAY_ASK PAY_ANSWER"
_RELAYED += " SITE SPEND_ASK SPEND_ANSWER"
_DESK = "PERSON_ASK PERSON_ANSWER LOSS_ASK LOSS_ANSWER"
_MESSAGES = "HELLO BATCH STORED RECEIPT FORWARD RECEIPTS RELAY CARDS"
_WHO = f"""\
Two are lists where the others are maps (`protocols/wire/entry_code.py`). A door's question whose
identity code this is: [{entry_code.WHO_ASK}, nonce, code]. The answer:
[{entry_code.WHO_ANSWER}, nonce, reason, number, card_no, kind, valid_from, valid_to].
"""
# Of protocols/wire/topics.py: these take topics apart.
_NO_TOPIC = {
    name for name in vars(topics) if name.startswith(("_", "parse_", "is_")) or name == "matches"
}
_HEAD = """\
# The wire in tables

Made by `python -m tools.make_docs` from `protocols/wire`; a test fails when this page is not what
the code says. Why it is so, what a seal is, and what a decoder refuses stand in
[protocols/spec](../protocols/spec/SPEC.md), the grammar in
[onecard.cddl](../protocols/spec/onecard.cddl), topics with QoS in
[asyncapi.yaml](../protocols/spec/asyncapi.yaml), examples in
[protocols/vectors](../protocols/vectors). Numbers of errors and reasons:
[reason-codes.md](reason-codes.md).

Everything is a map in deterministic CBOR. A key is the number in front of a field. Times are UTC
seconds, money is fen. At most {record} bytes are a record, {batch} a BATCH, {forward} a FORWARD.
"""


def page() -> str:
    """docs/SPEC.md."""
    head = _HEAD.format(
        record=messages.RECORD_BYTES_MAX,
        batch=messages.BATCH_BYTES_MAX,
        forward=messages.FORWARD_BYTES_MAX,
    )
    record_head = _fields(messages._RECORD_HEAD, messages._HEAD_KEY)
    relayed = names_of(messages, messages.RELAYED, _RELAYED.split())
    desk = names_of(desk_messages, desk_messages.SHAPES, _DESK.split())
    parts = [
        head,
        "## Head of every record\n",
        _list(record_head),
        "## Records\n",
        *_table(names_of(messages, messages._RECORDS, _RECORDS.split()), messages._RECORD_KEY),
        "## Messages\n",
        "Key 0 is the type.\n",
        *_table(names_of(messages, messages._MESSAGES, _MESSAGES.split()), messages._MESSAGE_KEY),
        "## What a RELAY carries\n",
        "Under a seal of its own. Key 0 is the kind.\n",
        *_table([*relayed, *desk], messages._MESSAGE_KEY),
        _WHO,
        "## Topics\n",
        "Of site `canteen-1`, reader 1001.\n",
        _list(_topics()),
    ]
    return "\n".join(parts)


def names_of(
    module: ModuleType, shapes: Mapping[int, tuple[object, ...]], names: Sequence[str]
) -> list[tuple[int, str, tuple[object, ...]]]:
    """(number, name, shape) of a table; ValueError where one has no name, or a name no shape."""
    by_number = {getattr(module, name): name for name in names}
    if set(by_number) != set(shapes):
        raise ValueError(f"names and shapes differ: {set(by_number) ^ set(shapes)}")
    return [(number, by_number[number], shapes[number]) for number in sorted(shapes)]


def _table(rows: list[tuple[int, str, tuple[object, ...]]], first: int) -> Iterator[str]:
    for number, name, shape in rows:
        yield f"### {number} {name}\n"
        yield _list(_fields(shape, first))


def _fields(shape: tuple[object, ...], first: int) -> list[tuple[str, str]]:
    letters, *names = shape
    assert isinstance(letters, bytes)
    pairs = zip(names, letters.decode(), strict=True)
    return [(f"{first + at} `{name}`", LETTERS[letter]) for at, (name, letter) in enumerate(pairs)]


def _topics() -> list[tuple[str, str]]:
    """Every topic and filter that the module builds, with the first line of what it says of it."""
    values = {"site": "canteen-1", "device": 1001}
    found = []
    for make in vars(topics).values():
        if not isinstance(make, FunctionType) or make.__name__ in _NO_TOPIC:
            continue
        words = make.__code__.co_varnames[: make.__code__.co_argcount]
        topic = make(*(values[word] for word in words))
        found.append((f"`{topic}`", (make.__doc__ or "").splitlines()[0]))
    return found


def _list(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in rows) + "\n"
