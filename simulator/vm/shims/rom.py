"""`vfs` of the ESP32 port, where a partition "romfs" is memory to whoever reads it."""

from uctypes import bytearray_at
from vfs import VfsRom, mount, umount

__all__ = ("VfsRom", "map_memory", "mount", "rom_ioctl", "umount")
_memory = [b""]
_GET_SEGMENT = 2


def rom_ioctl(request, segment):
    if request != _GET_SEGMENT or segment:
        raise RuntimeError("only rom_ioctl(2, 0)")
    return memoryview(_memory[0])


def map_memory(where):
    """What the launcher has mapped: address and size."""
    address, size = where.split(":")
    _memory[0] = bytearray_at(int(address), int(size))
