"""What the wire code makes of vectors; on CPython and on MicroPython.

As a program: a vector document (protocols/spec/SPEC.md) as JSON on standard input, its outcomes
as JSON on standard output.
"""

import binascii
import json
import sys

from protocols.wire import cbor, desk_messages, entry_code, messages, seal
from protocols.wire.errors import WireError

SHAPES = dict(messages.RELAYED)
SHAPES.update(desk_messages.SHAPES)


def plain(value):
    """`value` as a vector writes it: bytes as "hex:0a0b", keys of maps in decimal."""
    if isinstance(value, (bytes, bytearray)):
        return "hex:" + binascii.hexlify(value).decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in value}
    return value


def meant(value):
    """What `plain` was made of; keys that are numbers are numbers again."""
    if isinstance(value, str) and value.startswith("hex:"):
        return binascii.unhexlify(value[4:])
    if isinstance(value, list):
        return [meant(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): meant(value[key]) for key in value}
    return value


def _key(key):
    return int(key) if key[0] in "0123456789" else key


def _input(item, name):
    return binascii.unhexlify(item.get(name, ""))


def _decode(group, item, data):
    """The value that `data` says."""
    how = group["decode"]
    if how == "cbor":
        return cbor.decode(data)
    if how == "record":
        return messages.decode_record(data)
    if how == "message":
        return messages.decode_message(data, tuple(group["expected"]))
    if how == "relayed":
        return messages.decode_relayed(data, tuple(group["expected"]), SHAPES)
    if how == "receipt-body":
        return messages.decode_receipt(data)
    if how == "who-ask":
        return entry_code.decode_ask(data)
    if how == "who-answer":
        return entry_code.decode_answer(data)
    if how == "mac0":
        return seal.unseal(_input(item, "key"), data, _input(item, "aad"))
    if how == "sign1":
        return seal.sign1_split(data)[0]
    return meant(item["value"])  # hmac and derive: the other way only


def _encode(group, item, value, data):
    """The bytes that say `value`."""
    how = group["decode"]
    if how == "cbor":
        return cbor.encode(value)
    if how == "record":
        return messages.encode_record(value)
    if how == "message":
        return messages.encode_message(value["type"], value)
    if how == "relayed":
        return messages.encode_relayed(value["kind"], value, SHAPES)
    if how == "receipt-body":
        return messages.encode_receipt(
            value["device"], value["upto"], value["tag"], value["time_s"]
        )
    if how == "who-ask":
        return entry_code.encode_ask(*value)
    if how == "who-answer":
        return entry_code.encode_answer(*value)
    if how == "mac0":
        return seal.seal(_input(item, "key"), value, _input(item, "aad"))
    if how == "sign1":
        return seal.sign1_pack(value, seal.sign1_split(data)[1])
    key = _input(item, "key")
    # RFC 4231 gives one of its tags truncated.
    made = seal.hmac_sha256(key, value) if how == "hmac" else seal.derive(key, value)
    return made[: len(data)]


def outcome(group, item):
    """[id, error number or 0, value, encoded again] of one item."""
    data = _input(item, "hex")
    try:
        value = _decode(group, item, data)
    except WireError as error:
        return [item["id"], error.code, None, ""]
    # What decodes must encode to the same bytes, whether decoded or written down in the vector.
    given = meant(item["value"]) if "value" in item else value
    again = [_encode(group, item, one, data) for one in (value, given)]
    differ = "" if again[0] == again[1] else "; from the vector " + plain(again[1])
    return [item["id"], 0, plain(value), plain(again[0])[4:] + differ]


def outcomes(document):
    """The outcomes of all items of a vector document."""
    return [outcome(group, item) for group in document["groups"] for item in group["items"]]


def main():
    """One document in, its outcomes out."""
    print(json.dumps(outcomes(json.loads(sys.stdin.read()))))


if __name__ == "__main__":
    main()
