"""What the ESP32 port does at reset, up to its console: it mounts its file system, runs boot.py.

Arguments: the two pipe descriptors, and the folders of the shims.
"""

import sys


def _mount():
    """As the port's own _boot.py: a blank partition gets a file system, no other one is made."""
    import vfs

    found = sys.modules["esp32"].Partition.find(1, label="vfs")
    vfs.umount("/")
    if not found:
        print("no partition named vfs")
        return
    block = bytearray(512)
    found[0].readblocks(0, block)
    if block == b"\xff" * 512:
        vfs.VfsLfs2.mkfs(found[0])
    vfs.mount(vfs.VfsLfs2(found[0], mtime=False), "/")


def _boot():
    try:
        execfile("boot.py", {"__name__": "__main__"})  # noqa: F821 - MicroPython has it
    except OSError:
        pass


sys.path[:] = sys.argv[3:5]
import bridge  # noqa: E402

bridge.connect(int(sys.argv[1]), int(sys.argv[2]), 0)
for _name in ("esp32", "machine"):
    sys.modules[_name] = __import__(_name)
_mount()
sys.path[:] = ["", "/lib"]
_boot()
