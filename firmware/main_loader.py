"""What a reader with two images runs after boot.py: it chooses one, and is gone."""

import gc
import sys

from firmware.boards import esp32_loader

_PARTS_MAX = 4  # that an image has, see simulator/vm/bundle.py
_DEPTH = 20


def run():
    """Give everything that was loaded back, and run the image's own main program."""
    folder = esp32_loader.choose()
    sys.path.insert(0, folder)
    for name in list(sys.modules):
        if name.startswith("reader_"):
            del sys.modules[name]
    for number in range(_PARTS_MAX):
        if not load("reader_%d" % number, _DEPTH):
            break
    collect, names = gc.collect, run.__globals__
    names.clear()
    collect()
    execfile(folder + "/main.py", {"__name__": "__main__"})  # noqa: F821 - MicroPython has it


def load(part, depth):
    """Load a part of the image if it has one of that name, from so far down the C stack.

    The collector takes whatever lies on the stack for a reference. Loaded further up, 17 kB of
    what only loading needs were sometimes held for as long as the program ran.
    """
    if depth:
        return load(part, depth - 1)
    try:
        return __import__(part)
    except ImportError:
        return None


if __name__ == "__main__":
    run()
