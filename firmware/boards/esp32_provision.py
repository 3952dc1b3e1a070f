"""What is run at a board's console by whoever provisions it: it looks, puts, and reads back.

`onecard device` sends this file to the raw REPL and calls one function behind it; nothing of it
stays. Each function prints one line of JSON. No key is ever printed: of one a check value is, the
first four bytes of a hash, as tools/keys/derive.py makes it. Nothing here formats anything.
"""

import hashlib
import json
import os
import sys
from binascii import hexlify, unhexlify

import esp32
import machine

_SECTOR_BYTES = 4096
_BLOB_BYTES_MAX = 1984  # what NVS takes in one page
_CHECK = b"onecard check value\x00"
_MANIFEST = "onecard.json"
_OURS = ("boot.py", "main.py", "main.new", "slot.rom", _MANIFEST)
_STOPPED = ("main.py", "main.new")


def inspect(names):
    """Who this board is, what is on it, and which of the blobs `names` it has."""
    facts = {
        "mac": _hex(machine.unique_id()),
        "version": sys.implementation.version[:3],
        "platform": sys.platform,
        "chip": _chip(),
        "partitions": _partitions(),
        "files": {name: _file_digest(name) for name in _files()},
        "manifest": _manifest(),
        "blobs": {},
        "journal_sectors": _sectors_in_use("journal"),
    }
    for name in names:
        data = _blob(name)
        if data is not None:
            facts["blobs"][name] = _hex(_sha256(data))
    data = _blob("settings")
    if data is not None:
        facts["settings"] = _without_keys(data)
    data = _blob("slots")
    if data is not None:
        facts["slots"] = _hex(data)
    print(json.dumps(facts))


def files():
    """The names of our files."""
    print(json.dumps(_files()))


def stop():
    """Take the program away; the next life of the board runs none."""
    for name in _STOPPED:
        if name in os.listdir():
            os.remove(name)
    print("true")


def put(blobs, gone, digests, slot, erase_journal):
    """Store `blobs` (name -> hex digits), erase those of `gone`, install `slot`, and look at all.

    `digests`: of each file and blob. Only when all of it reads back so does the program get its
    name: a board that was cut off before runs nothing. `slot`: [size, digest], or None.
    """
    wrong = []
    if erase_journal:
        _erase("journal")
    if slot:
        wrong += _install(slot[0], slot[1])
    nvs = esp32.NVS("onecard")
    for name in gone:
        try:
            nvs.erase_key(name)
            nvs.commit()
        except OSError:
            pass  # it was not there
    for name in blobs:
        nvs.set_blob(name, unhexlify(blobs[name]))
        nvs.commit()
        if _hex(_sha256(_blob(name) or b"")) != digests["blobs"][name]:
            wrong.append(name)
    files = _files()
    for name in digests["files"]:
        if name not in files or _file_digest(name) != digests["files"][name]:
            wrong.append(name)
    for name in files:
        if name not in digests["files"]:
            os.remove(name)
    if not wrong and "main.new" in digests["files"]:
        os.rename("main.new", "main.py")
    print(json.dumps({"wrong": wrong}))


def apply(blobs, digests):
    """Store `blobs` of a board that is provisioned, and read them back."""
    wrong = []
    nvs = esp32.NVS("onecard")
    for name in blobs:
        nvs.set_blob(name, unhexlify(blobs[name]))
        nvs.commit()
        if _hex(_sha256(_blob(name) or b"")) != digests[name]:
            wrong.append(name)
    print(json.dumps({"wrong": wrong}))


def _partitions():
    rows = {}
    for kind in (esp32.Partition.TYPE_APP, esp32.Partition.TYPE_DATA):
        for partition in esp32.Partition.find(kind):
            row = partition.info()
            rows[row[4]] = row[2], row[3]
    return rows


def _chip():
    """The chip that the base image says it is for, as a number; None without one."""
    found, head = esp32.Partition.find(esp32.Partition.TYPE_APP), bytearray(16)
    if not found:
        return None
    found[0].readblocks(0, head, 0)
    return head[12] | head[13] << 8


def _partition(label):
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=label)
    return found[0] if found else None


def _sectors_in_use(label):
    """How many sectors of a partition do not begin as erased ones do; None without it."""
    partition = _partition(label)
    if partition is None:
        return None
    head, count = bytearray(16), 0
    for sector in range(partition.ioctl(4, 0)):
        partition.readblocks(sector, head, 0)
        count += head != b"\xff" * 16
    return count


def _erase(label):
    partition = _partition(label)
    for sector in range(partition.ioctl(4, 0)):
        partition.ioctl(6, sector)


def _install(size, digest):
    """The file slot.rom into the first half of "romfs"; what is wrong with it then."""
    partition, block = _partition("romfs"), bytearray(_SECTOR_BYTES)
    if partition is None or partition.ioctl(4, 0) * _SECTOR_BYTES < 2 * size:
        return ["romfs"]
    with open("slot.rom", "rb") as file:
        for sector in range(-(-size // _SECTOR_BYTES)):
            count = file.readinto(block)
            block[count:] = b"\xff" * (_SECTOR_BYTES - count)
            partition.writeblocks(sector, block)
    found, left = hashlib.sha256(), size
    for sector in range(-(-size // _SECTOR_BYTES)):
        partition.readblocks(sector, block)
        found.update(memoryview(block)[: min(left, _SECTOR_BYTES)])
        left -= _SECTOR_BYTES
    os.remove("slot.rom")
    return [] if _hex(found.digest()) == digest else ["slot"]


def _files():
    """The files here that are ours."""
    return [name for name in os.listdir() if name in _OURS or name.startswith("reader_")]


def _file_digest(name):
    found, block = hashlib.sha256(), bytearray(512)
    with open(name, "rb") as file:
        while True:
            count = file.readinto(block)
            if not count:
                return _hex(found.digest())
            found.update(memoryview(block)[:count])


def _manifest():
    try:
        with open(_MANIFEST) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _blob(name):
    buffer = bytearray(_BLOB_BYTES_MAX)
    try:
        return bytes(buffer[: esp32.NVS("onecard").get_blob(name, buffer)])
    except OSError:
        return None


def _without_keys(data):
    """A map of CBOR as [[key, value]], byte strings as their check value; None: it is torn."""
    try:
        count, at = _head(data, 0)
        rows = []
        for _ in range(count):
            key, at = _item(data, at)
            value, at = _item(data, at)
            rows.append([key, value])
        return rows
    except (IndexError, ValueError):
        return None


def _item(data, at):
    kind = data[at] >> 5
    number, at = _head(data, at)
    if kind == 0:
        return number, at
    if kind in (2, 3):
        if at + number > len(data):
            raise ValueError
        found = bytes(data[at : at + number])
        shown = {"check": _hex(_sha256(_CHECK + found)[:4])} if kind == 2 else found.decode()
        return shown, at + number
    if kind != 4:
        raise ValueError
    items = []
    for _ in range(number):
        item, at = _item(data, at)
        items.append(item)
    return items, at


def _head(data, at):
    low = data[at] & 31
    if low < 24:
        return low, at + 1
    if low > 27:
        raise ValueError
    size = 1 << low - 24
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def _sha256(data):
    return hashlib.sha256(data).digest()


def _hex(data):
    return hexlify(data).decode()
