"""The loader: which of two images this boot runs. It is put on by cable, and never updated.

Both lie in the partition "romfs", half of it each, and the port maps that into memory: bytecode is
run where it lies. What is mounted has just been hashed there; no copy lies in between.
"""

import hashlib

import esp32
import machine
import vfs

from protocols.rules import slots

_WDT_MS = 30000  # as the role's own; an image that hangs before it has a board ends in it too
_SEGMENT = 2  # of vfs.rom_ioctl: the memory of a partition
_BLOB_BYTES_MAX = 160
_GO = b"\x01"  # as in services/update.py, which stores it


class NothingToRun(Exception):
    """Neither image is whole, or nobody has told which ones there are."""


def choose():
    """Mount the image that this boot runs at /slot; the folder and the path of its program."""
    machine.WDT(timeout=_WDT_MS)
    nvs = esp32.NVS("onecard")
    memory = memoryview(vfs.rom_ioctl(_SEGMENT, 0))
    slot_bytes = len(memory) // 2
    before = slots.decode(_stored(nvs, slots.STORED_AS))
    if before is None:
        raise NothingToRun(slots.STORED_AS)

    def is_whole(slot):
        _, size_bytes, digest = slots.image(before, slot)
        start = slot * slot_bytes
        is_short = size_bytes <= slot_bytes
        return is_short and _sha256(memory[start : start + size_bytes]) == digest

    state = slots.booting(before, is_whole)
    if state is None:
        raise NothingToRun("no whole image")
    slot, update = state[slots.IN_USE], _stored(nvs, "update")
    folder = "/slot"
    is_same = slot == before[slots.IN_USE]
    # Once: whatever becomes of the updater, the next boot runs the role.
    if is_same and update[:1] == _GO and _store(nvs, "update", b"\x00" + update[1:]):
        folder += "/update"
    # It writes down what was come back from. Where that cannot be kept, each boot would come back.
    elif _store(nvs, slots.STORED_AS, slots.encode(state)) and not is_same:
        folder += "/update"
    start, size_bytes = slot * slot_bytes, slots.image(state, slot)[1]
    image = memory[start : start + size_bytes]
    vfs.mount(vfs.VfsRom(image), "/slot")  # pyright: ignore[reportAttributeAccessIssue]
    return folder


def _sha256(data):
    return hashlib.sha256(data).digest()


def _stored(nvs, key):
    buffer = bytearray(_BLOB_BYTES_MAX)
    try:
        size = nvs.get_blob(key, buffer)
    except OSError:
        return b""
    return bytes(buffer[:size])


def _store(nvs, key, data):
    """Whether it is stored: what is worn must not keep a reader from running a whole image."""
    try:
        nvs.set_blob(key, data)
        nvs.commit()
    except OSError:
        return False
    return True
