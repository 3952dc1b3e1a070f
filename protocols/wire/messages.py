"""Every record and message, as tables: what it is called, its keys, and the bounds of each field.

A record is what stands in a reader's journal and, in the end, in the ledger. A message carries
records and answers between two tiers. protocols/spec/*.cddl says the same in CDDL and the vectors
in protocols/vectors pin the two to each other. Numbers are never reused.
"""

from protocols.wire import cbor, topics
from protocols.wire.errors import (
    BAD_FIELD,
    MISSING_FIELD,
    NOT_A_MAP,
    TOO_LONG,
    UNEXPECTED_TYPE,
    UNKNOWN_FIELD,
    UNKNOWN_TYPE,
    WireError,
)

RECORD_BYTES_MAX = 256
BATCH_RECORDS_MAX = 8
BATCH_BYTES_MAX = 2048
FORWARD_RECORDS_MAX = 64
FORWARD_BYTES_MAX = 16384
RECEIPTS_BYTES_MAX = 32768
RELAY_BYTES_MAX = 448
RELAYED_BYTES_MAX = 384
RECEIPT_LABEL = b"receipt"
LOST_LABEL = b"lost"
RECEIPTS_LABEL = b"receipts"
# The key of everything relayed, and what its seals are bound to: a word cannot be said back.
RELAY_LABEL = b"relay"
RELAY_UP, RELAY_DOWN = b"relay-up", b"relay-down"

# Kinds of record. 10 is free.
BOOT, INTENT, OUTCOME, REFUSAL, POWER, LOST, FRONT_END, CREDIT = 1, 2, 3, 4, 5, 6, 7, 8
CANCEL = 9
CAPTURE = 11
INSPECTION, FAULT = 12, 13
# Results of an OUTCOME, and of a LOAD_END.
COMMITTED, NOT_COMMITTED, UNKNOWN = 1, 2, 3
# Flags of an INTENT. The holder gave the PIN; the merchant says that the holder is who the card
# names; nothing is taken, a PIN try is counted (docs/adr/0013-spending-pin.md).
FLAG_OFFLINE, FLAG_BATTERY, FLAG_PIN, FLAG_IDENTITY, FLAG_TRY = 1, 2, 4, 8, 16
# Sources of a POWER record.
MAINS, BATTERY = 0, 1

# Types of message.
HELLO, BATCH, STORED, RECEIPT, FORWARD, RECEIPTS, RELAY = 1, 2, 3, 4, 5, 6, 7
# Kinds of what a RELAY carries between a reader and the ledger.
LOAD_ASK, LOAD_ORDER, LOAD_OFFER, CARD_ANSWER, CARD_COMMAND, LOAD_END = 1, 2, 3, 4, 5, 6
# Chips in a LOAD_ASK.
CLASSIC, DESFIRE = 1, 2

_U8, _U16, _U32, _U48 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFF

# A field is (key, name, check, bound). Checks: "uint" (0 to bound), "number" (1 to bound), "site",
# "tag" (exactly bound bytes), "tag?" (that, or left out), "bytes" (longest), "sealed" (longest,
# not empty), "sealed*", "receipt*", "refused*" (most items).
_RECORD_HEAD = (
    (0, "kind", "uint", _U8),
    (1, "device", "number", _U32),
    (2, "seq", "number", _U32),
    (3, "earliest_s", "uint", _U32),
    (4, "latest_s", "uint", _U32),
    (5, "boot_id", "uint", _U32),
    (6, "mono_ms", "uint", _U48),
)
# What several kinds have, once in the heap: the card, and the intent that a record speaks of.
_CARD_NO = (8, "card_no", "uint", _U32)
_OF_INTENT = (
    (8, "intent_device", "number", _U32),
    (9, "intent_seq", "number", _U32),
)
_RECORDS = {
    BOOT: (
        (8, "cause", "uint", _U8),
        (9, "firmware", "uint", _U32),
    ),
    INTENT: (
        _CARD_NO,
        (9, "counter", "uint", _U32),
        (10, "amount_fen", "uint", _U32),
        (11, "before_fen", "uint", _U32),
        (12, "after_fen", "uint", _U32),
        (13, "merchant_no", "uint", _U32),
        (14, "last_device", "uint", _U32),
        (15, "last_seq", "uint", _U32),
        (16, "flags", "uint", _U8),
    ),
    OUTCOME: _OF_INTENT
    + (
        (10, "result", "number", UNKNOWN),
        (11, "card_proof", "tag?", 21),
    ),
    REFUSAL: (
        _CARD_NO,
        (9, "amount_fen", "uint", _U32),
        (10, "reason", "uint", _U16),
    ),
    POWER: (
        (8, "source", "uint", BATTERY),
        (9, "battery_mv", "uint", _U16),
    ),
    LOST: ((8, "next_sha256", "tag", 32),),
    FRONT_END: (
        (8, "version", "uint", _U8),
        (9, "faults", "uint", _U16),
        (10, "recoveries", "uint", _U16),
        (11, "pin_misses", "uint", _U16),
        (12, "garbled", "uint", _U16),
    ),
    CREDIT: (
        _CARD_NO,
        (9, "counter", "uint", _U32),
        (10, "number", "number", _U32),
        (11, "amount_fen", "uint", _U32),
        (12, "before_fen", "uint", _U32),
        (13, "last_device", "uint", _U32),
        (14, "last_seq", "uint", _U32),
    ),
    CANCEL: _OF_INTENT
    + (
        (10, "card_no", "uint", _U32),
        (11, "amount_fen", "number", _U32),
    ),
    CAPTURE: (
        _CARD_NO,
        (9, "reason", "uint", _U16),
    ),
    INSPECTION: (
        (8, "network", "uint", 1),
        (9, "waiting", "uint", _U32),
        (10, "battery_mv", "uint", _U16),
        (11, "clock_width_s", "uint", _U32),
        (12, "reader_faults", "uint", _U16),
        (13, "free_sectors", "uint", _U16),
    ),
    FAULT: (
        (8, "network", "uint", 1),
        (9, "last_reason", "uint", _U16),
    ),
}
_MESSAGES = {
    HELLO: (
        (1, "device", "number", _U32),
        (2, "boot_id", "uint", _U32),
        (3, "receipted", "uint", _U32),
        (4, "head", "uint", _U32),
    ),
    BATCH: (
        (1, "device", "number", _U32),
        (2, "records", "sealed*", BATCH_RECORDS_MAX),
    ),
    STORED: (
        (1, "device", "number", _U32),
        (2, "upto", "uint", _U32),
    ),
    RECEIPT: (
        (1, "device", "number", _U32),
        (2, "sealed", "sealed", RECORD_BYTES_MAX),
    ),
    FORWARD: (
        (1, "site", "site", topics.SITE_CHARS_MAX),
        (2, "number", "uint", _U32),
        (3, "records", "sealed*", FORWARD_RECORDS_MAX),
    ),
    RECEIPTS: (
        (1, "number", "uint", _U32),
        (2, "receipts", "receipt*", FORWARD_RECORDS_MAX),
        (3, "refused", "refused*", FORWARD_RECORDS_MAX),
    ),
    RELAY: (
        (1, "device", "number", _U32),
        (2, "sealed", "sealed", RELAYED_BYTES_MAX),
    ),
}
# What a RELAY carries, under its seal; behind the kind stands the nonce of the LOAD_ASK that began
# it, as _NONCE says.
_NONCE = (1, "nonce", "tag", 8)
_RELAYED = {
    LOAD_ASK: (
        (2, "card_no", "uint", _U32),
        (3, "counter", "uint", _U32),
        (4, "last_device", "uint", _U32),
        (5, "last_seq", "uint", _U32),
        (6, "chip", "number", DESFIRE),
    ),
    LOAD_ORDER: ((2, "order", "sealed", 160),),
    LOAD_OFFER: (
        (2, "number", "number", _U32),
        (3, "amount_fen", "number", _U32),
    ),
    CARD_ANSWER: (
        (2, "step", "uint", _U8),
        (3, "answer", "bytes", 256),
    ),
    CARD_COMMAND: (
        (2, "step", "number", _U8),
        (3, "command", "sealed", 128),
    ),
    LOAD_END: ((2, "result", "number", UNKNOWN),),
}
_BYTES_MAX = {
    HELLO: 64,
    BATCH: BATCH_BYTES_MAX,
    STORED: 64,
    RECEIPT: 512,
    FORWARD: FORWARD_BYTES_MAX,
    RECEIPTS: RECEIPTS_BYTES_MAX,
    RELAY: RELAY_BYTES_MAX,
}
_RECEIPT_BODY = (
    (1, "device", "number", _U32),
    (2, "upto", "uint", _U32),
    (3, "tag", "tag", 8),
    (4, "time_s", "uint", _U32),
)


def encode_record(fields):
    """The payload of a record as bytes; `fields` maps names to values, `kind` among them."""
    shape = _shape(_RECORDS, fields.get("kind"))
    return _bounded(cbor.encode(_to_keys(_RECORD_HEAD + shape, fields, {})), RECORD_BYTES_MAX)


def decode_record(payload):
    """The fields by name of a record's payload; WireError for anything not exactly a record."""
    values = _map_of(payload, RECORD_BYTES_MAX)
    return _to_names(_RECORD_HEAD + _shape(_RECORDS, values.get(0)), values, {})


def encode_message(message_type, fields):
    """A message as bytes; `fields` maps names to values (see the table of the type)."""
    values = _to_keys(_shape(_MESSAGES, message_type), fields, {0: message_type})
    data = cbor.encode(values)
    return _bounded(data, _BYTES_MAX[message_type])


def decode_message(data, expected):
    """The fields by name, and "type", of a message whose type is in `expected` (a tuple)."""
    longest = 0
    for message_type in expected:
        longest = max(longest, _BYTES_MAX[message_type])
    values = _map_of(data, longest)
    message_type = values.pop(0, None)
    shape = _shape(_MESSAGES, message_type)
    if message_type not in expected:
        raise WireError(UNEXPECTED_TYPE)
    _bounded(data, _BYTES_MAX[message_type])
    return _to_names(shape, values, {"type": message_type})


def encode_relayed(kind, fields):
    """What a RELAY shall carry, before it is sealed; `fields` maps names to values."""
    values = _to_keys((_NONCE,) + _shape(_RELAYED, kind), fields, {0: kind})
    return _bounded(cbor.encode(values), RELAYED_BYTES_MAX)


def decode_relayed(payload, expected):
    """The fields by name, and "kind", of what a RELAY carried; its kind is in `expected`."""
    values = _map_of(payload, RELAYED_BYTES_MAX)
    kind = values.pop(0, None)
    shape = _shape(_RELAYED, kind)
    if kind not in expected:
        raise WireError(UNEXPECTED_TYPE)
    return _to_names((_NONCE,) + shape, values, {"kind": kind})


def encode_receipt(device, upto, tag, time_s):
    """The body of a receipt: everything of `device` up to sequence `upto` is booked.

    `tag` is the first 8 bytes of the seal's tag of record `upto`; `time_s` is the ledger's clock.
    """
    fields = {"device": device, "upto": upto, "tag": tag, "time_s": time_s}
    return cbor.encode(_to_keys(_RECEIPT_BODY, fields, {}))


def decode_receipt(payload):
    """The fields by name of a receipt's body: device, upto, tag, time_s."""
    return _to_names(_RECEIPT_BODY, _map_of(payload, 64), {})


def _shape(shapes, number):
    """The fields of record or message `number`, which may be anything that bytes can say."""
    if not _is_uint(number, _U8) or number not in shapes:
        raise WireError(UNKNOWN_TYPE)
    return shapes[number]


def _is_uint(value, bound):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= bound


def _is_number(value, bound):
    return _is_uint(value, bound) and value > 0


def _is_sealed(value, bound):
    return isinstance(value, bytes) and 0 < len(value) <= bound


def _is_bytes(value, bound):
    return isinstance(value, bytes) and len(value) <= bound


def _is_list(value, most, is_item):
    if not isinstance(value, (list, tuple)) or len(value) > most:
        return False
    return all(is_item(item) for item in value)


def _is_receipt(item):
    return (
        isinstance(item, (list, tuple))
        and len(item) == 3
        and _is_number(item[0], _U32)
        and _is_uint(item[1], _U32)
        and _is_sealed(item[2], RECORD_BYTES_MAX)
    )


def _is_refused(item):
    return (
        isinstance(item, (list, tuple))
        and len(item) == 3
        and all(_is_uint(number, _U32) for number in item)
    )


def _is_tag(value, bound):
    return isinstance(value, bytes) and len(value) == bound


_OPTIONAL = "tag?"
_CHECKS = {
    "uint": _is_uint,
    "number": _is_number,
    "bytes": _is_bytes,
    "sealed": _is_sealed,
    "tag": _is_tag,
    _OPTIONAL: _is_tag,
    "site": lambda value, _: topics.is_site(value),
    "sealed*": lambda value, most: (
        _is_list(value, most, lambda item: _is_sealed(item, RECORD_BYTES_MAX)) and len(value) > 0
    ),
    "receipt*": lambda value, most: _is_list(value, most, _is_receipt),
    "refused*": lambda value, most: _is_list(value, most, _is_refused),
}


def _bounded(data, longest):
    if len(data) > longest:
        raise WireError(TOO_LONG)
    return data


def _map_of(data, longest):
    values = cbor.decode(_bounded(data, longest))
    if not isinstance(values, dict):
        raise WireError(NOT_A_MAP)
    return values


def _to_keys(shape, fields, values):
    for key, name, check, bound in shape:
        value = fields.get(name)
        if check == _OPTIONAL and not value:
            continue
        if not _CHECKS[check](value, bound):
            raise WireError(BAD_FIELD, name)
        values[key] = value
    return values


def _to_names(shape, values, fields):
    for key, name, check, bound in shape:
        if key not in values:
            if check == _OPTIONAL:
                continue
            raise WireError(MISSING_FIELD, name)
        value = values.pop(key)
        if not _CHECKS[check](value, bound):
            raise WireError(BAD_FIELD, name)
        fields[name] = value
    if values:
        raise WireError(UNKNOWN_FIELD)
    return fields
