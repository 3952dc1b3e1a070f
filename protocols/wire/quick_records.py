"""Records read in one pass, for a ledger that reads millions: messages.decode_record, but quicker.

What nearly all records are is read here: every field a number in its shortest form, or bytes of
one length, and of the optional fields either none or all. Whatever is anything else, or wrong, is
left to decode_record, which alone says what is wrong. Not for readers: it buys time with memory.
"""

from protocols.wire import cbor, messages

_LENGTHS = {"T": 32, "?": 21, "!": 6}  # of what is bytes
_NOT_PLAIN = ((-1, "", 0, 0, b"", 0),)  # begins like no record


def decode_record(payload):
    """The fields by name of a record's payload (bytes); WireError for anything not exactly one."""
    fields = _read(payload)
    return messages.decode_record(payload) if fields is None else fields


def _read(payload):
    # b"\xa8\x00\x06...": how many fields, key 0, the kind (above 23 in a byte of its own).
    if len(payload) < 4 or len(payload) > messages.RECORD_BYTES_MAX:
        return None
    kind = payload[2] if payload[2] < 24 else payload[3]
    fields, at = {}, 1
    try:
        for key, name, least, most, head, length in _STEPS.get((payload[0], kind), _NOT_PLAIN):
            if payload[at] != key:
                return None
            number = payload[at + 1]
            # The widths in order of how often they come; each refuses what a shorter one holds.
            if number < 24:
                at += 2
            elif number == 26:
                at += 6
                number = int.from_bytes(payload[at - 4 : at], "big")
                if number < 1 << 16:
                    return None
            elif number == 25:
                at += 4
                number = payload[at - 2] << 8 | payload[at - 1]
                if number < 1 << 8:
                    return None
            elif number == 24:
                at += 3
                number = payload[at - 1]
                if number < 24:
                    return None
            elif number == 27:
                at += 10
                number = int.from_bytes(payload[at - 8 : at], "big")
                if number < 1 << 32:
                    return None
            elif head and payload[at + 1 : at + 1 + len(head)] == head:
                start = at + 1 + len(head)
                at = start + length
                fields[name] = payload[start:at]
                continue
            else:
                return None
            if not least <= number <= most:
                return None
            fields[name] = number
    except IndexError:
        return None  # too short
    return fields if at == len(payload) else None


def _table():
    """(first byte, kind) -> the fields: key, name, least, most; of bytes their head and length."""
    found = {}
    head = list(_fields(messages._HEAD_KEY, messages._RECORD_HEAD))
    for kind, shape in messages._RECORDS.items():
        every = head + list(_fields(messages._RECORD_KEY, shape))
        steps = [_step(*field) for field in every]
        steps[0] = (0, "kind", kind, kind, b"", 0)
        needed = [s for s, field in zip(steps, every) if field[1] not in messages._OPTIONAL]
        for one in (steps, needed):
            if None not in one and len(one) < 24:
                found[0xA0 | len(one), kind] = one
    return found


def _fields(key, shape):
    letters, *names = shape
    return zip(range(key, key + len(names)), letters, names)


def _step(key, letter, name):
    if letter in messages._NUMBERS:
        return key, name, int(letter in messages._NOT_ZERO), messages._NUMBERS[letter], b"", 0
    length = _LENGTHS.get(chr(letter))
    # No number is from 1 to 0.
    return None if length is None else (key, name, 1, 0, cbor.head(2, length), length)


_STEPS = _table()
