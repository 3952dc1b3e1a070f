"""What the ESP32 port does after reset: boot.py, then main.py, which never returns.

Arguments: the two pipe descriptors, how to probe the heap, the folder of boot.py and main.py, and
if there are any, the addresses of the ROM images of the shims and of the firmware, and of the
partition of images.
"""

import gc
import sys

from micropython import const

_BOOTED = const(41)


def _mount(where, path):
    import uctypes
    import vfs

    address, size = where.split(":")
    vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(address), int(size))), path)


def _hide_the_host():
    """Load every shim, under its old u-name too, so that no module of the host is left to find."""
    for name in ("esp32", "machine", "network", "os", "random", "select", "socket", "time"):
        module = __import__(name)
        sys.modules[name] = module
        sys.modules["u" + name] = module


def _run(reader, writer, probe, path):
    import bridge

    bridge.connect(int(reader), int(writer), int(probe))
    _hide_the_host()
    gc.collect()
    bridge.post(_BOOTED, gc.mem_alloc() + gc.mem_free(), gc.mem_alloc())
    for name in ("boot.py", "main.py"):
        execfile(path + "/" + name, {"__name__": "__main__"})  # noqa: F821 - MicroPython has it
    raise RuntimeError("main.py returned; on the board that is a reader that does nothing")


if len(sys.argv) > 5:
    _mount(sys.argv[5], "/shims")
    _mount(sys.argv[6], "/rom")
    sys.path[:] = ["/shims", "/rom"]
if len(sys.argv) > 7:
    sys.modules["vfs"] = __import__("rom")
    sys.modules["vfs"].map_memory(sys.argv[7])
_run(*sys.argv[1:5])
