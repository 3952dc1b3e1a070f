"""The mailbox of a card: letters for locks without a network, and letters from them (R24.3).

    blocks  0, 1, 2  heads of the slots   3..12, 13..22  letters to two locks   23..32  from one

    head      device u32, stamp u32, state u8, length u8, crc u32, check u16; big endian
    letter    tag (16 bytes), then AES-CBC under the tag as IV: a length byte, content, zeros
    to a lock    content [epoch, made_s, upto, tag, access map]; stamp: made_s
    from a lock  content [epoch, made_s, battery_mv, first, records]; stamp: the last sequence

`device` is the lock's. Only the lock and the ledger have the key of a letter, which is derived
from the lock's: the tag is an HMAC-SHA-256 over what is hidden, cut to 16 bytes, so it needs no
randomness, and equal letters are equal bytes (the construction of RFC 5297, with other parts).
Who carries it learns which lock it is for, and can spoil it; the crc only tells him that it is
whole, and the check that the head is. A head is written behind its letter: torn before that, the
old head does not fit.

In a letter to a lock: `epoch` and the map are those of rules/access.py, `made_s` is when the
ledger wrote it, and everything up to record `upto`, whose seal's tag begins with `tag`, is booked.

In a letter from one: the epoch it holds, and when that was called the newest; its records from
`first` on. A record is the sealed bytes as they are, or what differs from the one before it, key
by key, numbers as differences: the ledger, which has the key and the tag before, makes the seal
anew. See docs/adr/0031-cards-as-messengers.md.
"""

import struct
from binascii import crc32

from protocols.wire import cbor, seal
from protocols.wire.errors import BAD_FIELD, BAD_SEAL, TOO_LONG, WireError

BLOCK_BYTES = 16
SLOTS, BODY_BLOCKS = 3, 10
BLOCKS = SLOTS + SLOTS * BODY_BLOCKS
TO_LOCKS, FROM_LOCK = 2, 2  # slots 0 and 1 go to locks, slot 2 comes from one
LETTER_BYTES_MAX = BODY_BLOCKS * BLOCK_BYTES
CONTENT_BYTES_MAX = LETTER_BYTES_MAX - BLOCK_BYTES - 1
MAP_BYTES_MAX = 116  # of an access map in a letter
# Labels of the keys: a letter cannot be sent back as an answer to itself.
TO_LABEL, FROM_LABEL = b"mail-to-lock", b"mail-from-lock"
WAITING, TAKEN = 0, 1  # states of a letter from a lock
# In a CARDS: "what does the card `epoch` carry?", and the answer.
PAGE = 0xFFFF
# A stamp so far ahead of the ledger's is nobody's whom one has to respect.
AHEAD_S_MAX = 7 * 86400

_HEAD, _SEALED_HEAD = ">IIBBI", ">IIB"
_HEAD_BYTES = 14
_CARRIED, _CARRIED_BYTES = ">IIB", 9
_TAG_BYTES = 16
_RECORDS_MAX = 16
_KIND, _DEVICE, _SEQ, _EARLIEST_S, _LATEST_S = 0, 1, 2, 3, 4
_OF_KIND = 8  # keys from here on mean something else in another kind of record
_U32 = 0xFFFFFFFF


class Head:
    """What a slot holds: for or from which lock (`device`), `stamp`, `state`, and `length`."""

    def __init__(self, device, stamp, state, length, crc):
        self.device = device
        self.stamp = stamp
        self.state = state
        self.length = length
        self.crc = crc

    def is_of(self, letter):
        """Whether this is the whole letter that the head was written for."""
        return crc32(letter, crc32(_sealed_head(self))) == self.crc


def head_of(device, stamp, letter):
    """The Head of a letter that waits."""
    head = Head(device, stamp, WAITING, len(letter), 0)
    head.crc = crc32(letter, crc32(_sealed_head(head)))
    return head


def encode_head(head):
    """A head as a block."""
    block = struct.pack(_HEAD, head.device, head.stamp, head.state, head.length, head.crc)
    return block + _check_of(block)


def decode_heads(blocks):
    """A Head for each slot, None where there is none, from the first blocks of a mailbox."""
    heads = []
    for at in range(0, SLOTS * BLOCK_BYTES, BLOCK_BYTES):
        block = bytes(blocks[at : at + _HEAD_BYTES])
        head = Head(*struct.unpack(_HEAD, block))
        is_one = head.device and 0 < head.length <= LETTER_BYTES_MAX
        is_whole = _check_of(block) == blocks[at + _HEAD_BYTES : at + BLOCK_BYTES]
        heads.append(head if is_one and is_whole else None)
    return heads


def _check_of(block):
    return (crc32(block) & 0xFFFF).to_bytes(2, "big")


def _sealed_head(head):
    return struct.pack(_SEALED_HEAD, head.device, head.stamp, head.length)


# -- what is carried to locks ---------------------------------------------------------------


def encode_carried(letters):
    """What an agent answers: (device, stamp, letter) of at most TO_LOCKS letters."""
    parts = []
    for device, stamp, letter in letters[:TO_LOCKS]:
        parts.append(struct.pack(_CARRIED, device, stamp, len(letter)) + letter)
    return b"".join(parts)


def decode_carried(data):
    """The letters in such an answer; WireError for anything else."""
    letters, at = [], 0
    while at < len(data):
        if at + _CARRIED_BYTES > len(data) or len(letters) == TO_LOCKS:
            raise WireError(BAD_FIELD)
        device, stamp, length = struct.unpack_from(_CARRIED, data, at)
        at += _CARRIED_BYTES + length
        if not 0 < length <= LETTER_BYTES_MAX or at > len(data) or not device:
            raise WireError(BAD_FIELD)
        letters.append((device, stamp, bytes(data[at - length : at])))
    return letters


def slot_for(heads, device, stamp, carried):
    """Where the letter of `stamp` to a lock belongs, or None where the card has that one or a
    newer one. `carried`: the locks that this card carries for; another's letter makes room.
    """
    free = None
    for slot in range(TO_LOCKS):
        head = heads[slot]
        if head is not None and head.device == device:
            is_newer = stamp > head.stamp or head.stamp - stamp > AHEAD_S_MAX
            return slot if is_newer else None
        if head is None or head.device not in carried:
            free = slot
    return free


# -- letters --------------------------------------------------------------------------------


def seal_letter(ciphers, device_key, label, content):
    """`content` (bytes) as a letter under a lock's key; WireError if it is too long.

    `ciphers` has aes_cbc(key, iv, data, decrypting), as every board has.
    """
    if len(content) > CONTENT_BYTES_MAX:
        raise WireError(TOO_LONG)
    key = seal.derive(device_key, label)
    data = bytes((len(content),)) + content
    data += bytes(-len(data) % BLOCK_BYTES)
    tag = seal.hmac_sha256(key, data)[:_TAG_BYTES]
    return tag + ciphers.aes_cbc(_hiding_key(key), tag, data, False)


def open_letter(ciphers, device_key, label, letter):
    """The content of a letter; WireError BAD_SEAL unless it is whole and under this key."""
    tag, hidden = bytes(letter[:_TAG_BYTES]), bytes(letter[_TAG_BYTES:])
    if not hidden or len(hidden) % BLOCK_BYTES or len(letter) > LETTER_BYTES_MAX:
        raise WireError(BAD_SEAL)
    key = seal.derive(device_key, label)
    data = bytes(ciphers.aes_cbc(_hiding_key(key), tag, hidden, True))
    if not seal.is_same(tag, seal.hmac_sha256(key, data)[:_TAG_BYTES]):
        raise WireError(BAD_SEAL)
    return data[1 : 1 + data[0]]


def _hiding_key(key):
    return seal.derive(key, b"aes")[:16]


def encode_update(epoch, made_s, upto, tag, access_map):
    """The content of a letter to a lock; no map (b""): it does not fit into one."""
    return cbor.encode([epoch, made_s, upto, tag, access_map])


def decode_update(content):
    """(epoch, made_s, upto, tag, access_map) of such a content; WireError."""
    values = cbor.decode(content)
    if not isinstance(values, list) or len(values) != 5 or not _are_numbers(values[:3]):
        raise WireError(BAD_FIELD)
    if not isinstance(values[3], bytes) or not isinstance(values[4], bytes):
        raise WireError(BAD_FIELD)
    return tuple(values)


# -- records from a lock --------------------------------------------------------------------


def encode_events(device_key, held, battery_mv, device, first, tag, records):
    """(content, how many records are in it) of a letter from a lock: as many as fit.

    `held`: (epoch, made_s) of its access map; `records`: sealed ones, from sequence `first` on, of
    which no more are taken than it needs; `tag`: of the seal before them, None where the lock does
    not have it any more.
    """
    head = cbor.encode([held[0], held[1], battery_mv, first])[1:]
    entries, size, base = [], 2 + len(head), _base(device, first, held[1])
    for sealed in records:
        payload = seal.payload_of(sealed)
        entry = b""
        # What the ledger would not find by itself goes as it is: after another key, or a LOST.
        if tag is not None and seal.seal(device_key, payload, tag) == sealed:
            entry = cbor.encode(_difference(base, payload))
            if _payload(base, cbor.decode(entry)) != payload:
                entry = b""
        entry = entry or cbor.encode(sealed)
        size += len(entry)
        if size > CONTENT_BYTES_MAX:
            break
        entries.append(entry)
        if len(entries) == _RECORDS_MAX:
            break
        base, tag = cbor.decode(payload), seal.tag_of(sealed)
    count = len(entries)
    return b"\x85" + head + bytes((0x80 | count,)) + b"".join(entries), count


def decode_events(content):
    """(epoch, made_s, battery_mv, first, entries) of a letter from a lock; WireError."""
    values = cbor.decode(content)
    if not isinstance(values, list) or len(values) != 5 or not _are_numbers(values[:4]):
        raise WireError(BAD_FIELD)
    if not isinstance(values[4], list):
        raise WireError(BAD_FIELD)
    for entry in values[4]:
        if not isinstance(entry, (bytes, dict)):
            raise WireError(BAD_FIELD)
    return tuple(values)


def records_of(device_key, device, first, made_s, tag, entries):
    """The sealed records that the entries of a letter stand for; `tag` of the seal before them.

    Where that is not known (None), nothing from the first difference on. WireError.
    """
    records, base = [], _base(device, first, made_s)
    for entry in entries:
        if isinstance(entry, bytes):
            sealed, payload = entry, seal.payload_of(entry)
        elif tag is None:
            break
        else:
            payload = _payload(base, entry)
            sealed = seal.seal(device_key, payload, tag)
        records.append(sealed)
        base, tag = cbor.decode(payload), seal.tag_of(sealed)
        if not isinstance(base, dict):
            raise WireError(BAD_FIELD)
    return records


def _base(device, first, made_s):
    """What the first record of a letter is compared with."""
    return {_DEVICE: device, _SEQ: first - 1, _EARLIEST_S: made_s, _LATEST_S: made_s}


def _expected(base, kind):
    """The record that would be no surprise behind `base`: the next one, of `kind`."""
    is_same = base.get(_KIND) == kind
    expected = {key: base[key] for key in base if key < _OF_KIND or is_same}
    expected[_SEQ] = expected.get(_SEQ, 0) + 1
    return expected


def _difference(base, payload):
    values = cbor.decode(payload)
    if not isinstance(values, dict):
        raise WireError(BAD_FIELD)
    expected = _expected(base, values.get(_KIND))
    found = {}
    for key in values:
        before, value = expected.get(key), values[key]
        if key == _KIND and base.get(_KIND) != value:
            found[key] = value
        elif value != before:
            is_difference = _is_number(before) and _is_number(value)
            found[key] = value - before if is_difference else value
    return found


def _payload(base, entry):
    """The payload that differs from `base` as `entry` says; WireError for what cannot be one."""
    values = _expected(base, entry.get(_KIND, base.get(_KIND)))
    for key in entry:
        before, value = values.get(key), entry[key]
        is_sum = key != _KIND and _is_number(before) and _is_number(value)
        values[key] = before + value if is_sum else value
    try:
        return cbor.encode(values)
    except ValueError:
        raise WireError(BAD_FIELD)


def _is_number(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool)


def _are_numbers(values):
    return all(_is_number(value) and 0 <= value <= _U32 for value in values)
