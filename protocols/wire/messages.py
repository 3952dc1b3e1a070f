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
# A RELAY so short is the agent's own: the end of a question that the ledger will not hear, for it
# is away. Nothing vouches for that, and nothing is believed for it but that nobody answers.
UNHEARD_BYTES = 8
CARDS_BYTES_MAX = 480
CARDS_DATA_BYTES_MAX = 448
RECEIPT_LABEL = b"receipt"
LOST_LABEL = b"lost"
RECEIPTS_LABEL = b"receipts"
# The key of everything relayed, and what its seals are bound to: a word cannot be said back.
RELAY_LABEL = b"relay"
RELAY_UP, RELAY_DOWN = b"relay-up", b"relay-down"

# Kinds of record.
BOOT, INTENT, OUTCOME, REFUSAL, POWER, LOST, FRONT_END, CREDIT = 1, 2, 3, 4, 5, 6, 7, 8
CANCEL, CODE_SALE, CAPTURE = 9, 10, 11
INSPECTION, FAULT = 12, 13
ENTRY, DOOR = 14, 15
TAMPER = 17
PUNCH, CARD_FOUND = 18, 19
AGGREGATE = 16
MAIL = 21
UPDATE = 24
# Cause of a BOOT that is none: another policy is in force. Boards have lower ones.
NO_BOOT = 255
# Results of an OUTCOME and of a LOAD_END; a CODE_SALE has one of the first two.
COMMITTED, NOT_COMMITTED, UNKNOWN = 1, 2, 3
# Flags of an INTENT. The holder gave the PIN; the merchant says that the holder is who the card
# names; nothing is taken, a PIN try is counted (docs/adr/0013-spending-pin.md); a counted meal.
FLAG_OFFLINE, FLAG_BATTERY, FLAG_PIN, FLAG_IDENTITY, FLAG_TRY, FLAG_MEAL = 1, 2, 4, 8, 16, 32
# Sources of a POWER record.
MAINS, BATTERY = 0, 1
# States of a TAMPER; of a SITE too, and there 0: nothing bars the reader, or it is at its place.
CASE_OPENED, MOVED, APPROVED = 1, 2, 3

# Types of message.
HELLO, BATCH, STORED, RECEIPT, FORWARD, RECEIPTS, RELAY, CARDS = 1, 2, 3, 4, 5, 6, 7, 8
# Kinds of what a RELAY carries between a reader and the ledger.
LOAD_ASK, LOAD_ORDER, LOAD_OFFER, CARD_ANSWER, CARD_COMMAND, LOAD_END = 1, 2, 3, 4, 5, 6
PAY_ASK, PAY_ANSWER = 7, 8
SITE = 17  # the question and its answer: the seals tell them apart
SPEND_ASK, SPEND_ANSWER = 35, 36  # of a spend by card above the floor limit; 34 was a menu's
# Chips in a LOAD_ASK.
CLASSIC, DESFIRE = 1, 2

# A shape is the fields of a record or message, whose keys follow each other: one letter each of
# what it has to be, then the names. One bytes and one tuple: a tuple per field would cost a reader
# four kilobytes of heap.
#
#     b h w q  up to 8, 16, 32, 48 bits        B W      the same, and not 0; x: that, or left out
#     0        0 or 1                          2 3      from 1 to that
#     t k T    8, 38 or 32 bytes               ? !      21 or 6 bytes, or left out
#     d m      up to 256, CARDS_DATA_BYTES_MAX bytes    s        a site
#     o c r v  a sealed text of up to 160, 128, RECORD_BYTES_MAX, RELAYED_BYTES_MAX bytes
#     R F      up to BATCH_RECORDS_MAX, FORWARD_RECORDS_MAX sealed records, one at least
#     P N      lists of (device, upto, sealed receipt), of three numbers
# The key of the first field.
_HEAD_KEY, _RECORD_KEY, _MESSAGE_KEY = 0, 8, 1
# fmt: off
_RECORD_HEAD = (
    b"bWWwwwq", "kind", "device", "seq", "earliest_s", "latest_s", "boot_id", "mono_ms",
)
_RECORDS = {
    BOOT: (b"bwx", "cause", "firmware", "policy_epoch"),
    INTENT: (
        b"wwwwwwwwb",
        "card_no", "counter", "amount_fen", "before_fen", "after_fen", "merchant_no",
        "last_device", "last_seq", "flags",
    ),
    OUTCOME: (b"WW3?", "intent_device", "intent_seq", "result", "card_proof"),
    REFUSAL: (b"wwh", "card_no", "amount_fen", "reason"),
    POWER: (b"0h", "source", "battery_mv"),
    LOST: (b"T", "next_sha256"),
    FRONT_END: (b"bhhhh", "version", "faults", "recoveries", "pin_misses", "garbled"),
    CREDIT: (
        b"wwWwwww",
        "card_no", "counter", "number", "amount_fen", "before_fen", "last_device", "last_seq",
    ),
    CANCEL: (b"WWwW", "intent_device", "intent_seq", "card_no", "amount_fen"),
    CODE_SALE: (b"wW2", "number", "amount_fen", "result"),
    CAPTURE: (b"wh", "card_no", "reason"),
    INSPECTION: (
        b"0whwhh!xxxx",
        "network", "waiting", "battery_mv", "clock_width_s", "reader_faults", "free_sectors",
        "battery_test", "map_made_s", "receipt_s", "map_epoch", "by_clock",
    ),
    FAULT: (b"0h", "network", "last_reason"),
    ENTRY: (b"whx", "card_no", "reason", "number"),
    DOOR: (b"bbbb", "state", "event", "levels", "cause"),
    PUNCH: (b"w", "card_no"),
    CARD_FOUND: (b"w", "card_no"),
    TAMPER: (b"3w", "state", "number"),
    AGGREGATE: (b"WW", "amount_fen", "merchant_no"),
    MAIL: (b"Wo", "lock", "sealed"),
    UPDATE: (b"Wh", "version", "reason"),
}
_MESSAGES = {
    HELLO: (b"Wwww", "device", "boot_id", "receipted", "head"),
    BATCH: (b"WR", "device", "records"),
    STORED: (b"Ww", "device", "upto"),
    RECEIPT: (b"Wr", "device", "sealed"),
    FORWARD: (b"swF", "site", "number", "records"),
    RECEIPTS: (b"wPN", "number", "receipts", "refused"),
    RELAY: (b"Wv", "device", "sealed"),
    CARDS: (b"Wwhm", "device", "epoch", "page", "data"),
}
# What a RELAY carries, under its seal; the nonce is that of the ask that began it.
RELAYED = {
    LOAD_ASK: (b"twwww2", "nonce", "card_no", "counter", "last_device", "last_seq", "chip"),
    LOAD_ORDER: (b"to", "nonce", "order"),
    LOAD_OFFER: (b"tWW", "nonce", "number", "amount_fen"),
    CARD_ANSWER: (b"tbd", "nonce", "step", "answer"),
    CARD_COMMAND: (b"tBc", "nonce", "step", "command"),
    LOAD_END: (b"t3", "nonce", "result"),
    PAY_ASK: (b"tkwW", "nonce", "code", "amount_fen", "seq"),
    PAY_ANSWER: (b"thww", "nonce", "reason", "number", "balance_fen"),
    SITE: (b"tbww", "nonce", "state", "number", "head"),
    SPEND_ASK: (b"twwW", "nonce", "card_no", "counter", "amount_fen"),
    SPEND_ANSWER: (b"th", "nonce", "reason"),
}
# fmt: on
_RECEIPT_BODY = (b"Wwtw", "device", "upto", "tag", "time_s")
# By type, from 0 on: a dict would take more heap.
_BYTES_MAX = (
    0,
    64,
    BATCH_BYTES_MAX,
    64,
    512,
    FORWARD_BYTES_MAX,
    RECEIPTS_BYTES_MAX,
    RELAY_BYTES_MAX,
    CARDS_BYTES_MAX,
)


def encode_record(fields):
    """The payload of a record as bytes; `fields` maps names to values, `kind` among them."""
    shape = _shape(_RECORDS, fields.get("kind"))
    out = bytearray(1)
    count = _put_fields(out, _HEAD_KEY, _RECORD_HEAD, fields)
    return _map_bytes(out, count + _put_fields(out, _RECORD_KEY, shape, fields), RECORD_BYTES_MAX)


def decode_record(payload):
    """The fields by name of a record's payload; WireError for anything not exactly a record."""
    values = _map_of(payload, RECORD_BYTES_MAX)
    shape = _shape(_RECORDS, values.get(0))
    fields = {}
    _take_fields(_HEAD_KEY, _RECORD_HEAD, values, fields)
    return _all_taken(_RECORD_KEY, shape, values, fields)


def encode_message(message_type, fields):
    """A message as bytes; `fields` maps names to values (see the table of the type)."""
    shape = _shape(_MESSAGES, message_type)
    return _typed_bytes(message_type, shape, fields, _BYTES_MAX[message_type])


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
    return _all_taken(_MESSAGE_KEY, shape, values, {"type": message_type})


def encode_relayed(kind, fields, shapes=RELAYED):
    """What a RELAY shall carry, before it is sealed; `fields` maps names to values.

    `shapes` has its kind: this table, or that of desk_messages.py.
    """
    return _typed_bytes(kind, _shape(shapes, kind), fields, RELAYED_BYTES_MAX)


def decode_relayed(payload, expected, shapes=RELAYED):
    """The fields by name, and "kind", of what a RELAY carried; its kind is in `expected`."""
    values = _map_of(payload, RELAYED_BYTES_MAX)
    kind = values.pop(0, None)
    shape = _shape(shapes, kind)
    if kind not in expected:
        raise WireError(UNEXPECTED_TYPE)
    return _all_taken(_MESSAGE_KEY, shape, values, {"kind": kind})


def encode_receipt(device, upto, tag, time_s):
    """The body of a receipt: everything of `device` up to sequence `upto` is booked.

    `tag` is the first 8 bytes of the seal's tag of record `upto`; `time_s` is the ledger's clock.
    """
    fields = {"device": device, "upto": upto, "tag": tag, "time_s": time_s}
    out = bytearray(1)
    return _map_bytes(out, _put_fields(out, _MESSAGE_KEY, _RECEIPT_BODY, fields), 64)


def decode_receipt(payload):
    """The fields by name of a receipt's body: device, upto, tag, time_s."""
    return _all_taken(_MESSAGE_KEY, _RECEIPT_BODY, _map_of(payload, 64), {})


def _shape(shapes, number):
    """The fields of record or message `number`, which may be anything that bytes can say."""
    if not _is_uint(number, _U8) or number not in shapes:
        raise WireError(UNKNOWN_TYPE)
    return shapes[number]


def _is_uint(value, bound):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= bound


def _is_sealed(value, bound):
    return isinstance(value, bytes) and 0 < len(value) <= bound


def _is_bytes(value, bound):
    return isinstance(value, bytes) and len(value) <= bound


def _is_list(value, most, is_item):
    if not isinstance(value, (list, tuple)) or len(value) > most:
        return False
    # No generator: each costs a reader an object for its code.
    for item in value:
        if not is_item(item):
            return False
    return True


def _are_sealed(value, most):
    return _is_list(value, most, lambda item: _is_sealed(item, RECORD_BYTES_MAX)) and value


def _is_receipt(item):
    return (
        isinstance(item, (list, tuple))
        and len(item) == 3
        and _is_uint(item[0], _U32)
        and item[0] > 0
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


_U8, _U32 = 0xFF, 0xFFFFFFFF
_OPTIONAL = b"?!x"
# What is said most: numbers, by their bounds. Then everything else.
_NUMBERS = {
    ord("0"): 1,
    ord("2"): DESFIRE,
    ord("3"): UNKNOWN,
    ord("b"): _U8,
    ord("B"): _U8,
    ord("h"): 0xFFFF,
    ord("w"): _U32,
    ord("W"): _U32,
    ord("x"): _U32,
    ord("q"): 0xFFFFFFFFFFFF,
}
_NOT_ZERO = b"23BWx"
_CHECKS = {
    ord("t"): (_is_tag, 8),
    ord("k"): (_is_tag, 38),
    ord("T"): (_is_tag, 32),
    ord("?"): (_is_tag, 21),
    ord("!"): (_is_tag, 6),
    ord("d"): (_is_bytes, 256),
    ord("m"): (_is_bytes, CARDS_DATA_BYTES_MAX),
    ord("o"): (_is_sealed, 160),
    ord("c"): (_is_sealed, 128),
    ord("r"): (_is_sealed, RECORD_BYTES_MAX),
    ord("v"): (_is_sealed, RELAYED_BYTES_MAX),
    ord("R"): (_are_sealed, BATCH_RECORDS_MAX),
    ord("F"): (_are_sealed, FORWARD_RECORDS_MAX),
    ord("P"): (_is_list, FORWARD_RECORDS_MAX, _is_receipt),
    ord("N"): (_is_list, FORWARD_RECORDS_MAX, _is_refused),
    ord("s"): (topics.is_site,),
}


def _fits(letter, value):
    bound = _NUMBERS.get(letter)
    if bound is not None:
        return _is_uint(value, bound) and (value > 0 or letter not in _NOT_ZERO)
    check = _CHECKS[letter]
    return check[0](value, *check[1:])


def _bounded(data, longest):
    if len(data) > longest:
        raise WireError(TOO_LONG)
    return data


def _typed_bytes(number, shape, fields, longest):
    """A map that says under key 0 what it is."""
    out = bytearray(2)
    out.extend(cbor.head(0, number))
    return _map_bytes(out, 1 + _put_fields(out, _MESSAGE_KEY, shape, fields), longest)


def _map_bytes(out, count, longest):
    """`out` as bytes, with the head of a map of `count` (below 24) in its first byte."""
    out[0] = 0xA0 | count
    return _bounded(bytes(out), longest)


def _put_fields(out, key, shape, fields):
    """Append every field of a shape as CBOR, the first under `key`; how many there were.

    Straight away, without a dict in between: keys rise in a shape, so this is the canonical order.
    """
    letters, count = shape[0], 0
    for at in range(1, len(shape)):
        value, letter = fields.get(shape[at]), letters[at - 1]
        if value or letter not in _OPTIONAL:
            bound = _NUMBERS.get(letter)
            # bool is not `int` here, and must not pass for one.
            if bound is None or type(value) is not int:
                if not _fits(letter, value):
                    raise WireError(BAD_FIELD, shape[at])
                out.append(key)
                cbor.put(out, value, 1)
            elif not 0 <= value <= bound or (not value and letter in _NOT_ZERO):
                raise WireError(BAD_FIELD, shape[at])
            else:
                out.append(key)
                if value < 24:
                    out.append(value)
                else:
                    out.extend(cbor.head(0, value))
            count += 1
        key += 1
    return count


def _map_of(data, longest):
    values = cbor.decode(_bounded(data, longest))
    if not isinstance(values, dict):
        raise WireError(NOT_A_MAP)
    return values


def _take_fields(key, shape, values, fields):
    """Move every field of a shape from `values`, by key, to `fields`, by name."""
    letters = shape[0]
    for at in range(1, len(shape)):
        name, letter = shape[at], letters[at - 1]
        if key in values:
            value = values.pop(key)
            if not _fits(letter, value):
                raise WireError(BAD_FIELD, name)
            fields[name] = value
        elif letter not in _OPTIONAL:
            raise WireError(MISSING_FIELD, name)
        key += 1


def _all_taken(key, shape, values, fields):
    _take_fields(key, shape, values, fields)
    if values:
        raise WireError(UNKNOWN_FIELD)
    return fields
