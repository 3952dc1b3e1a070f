"""Starts the unix port with ROM images mapped into its memory, as flash is mapped on the board.

Runs in the child, without site and in isolated mode:
launcher.py DIRECTORY_OF_THE_EXTENSION ROM,ROM.. ARGUMENT..
Bytecode and constant strings in a ROM are used where they lie and take no heap.
Each ROM's file name in the arguments becomes address:size.
"""

import ctypes
import mmap
import sys


def main(extension_dir: str, roms: list[str], arguments: list[str]) -> int:
    """Run MicroPython with `arguments`; returns its exit status."""
    sys.path.append(extension_dir)
    from micropython_run import run_main

    mapped = []  # the mappings live as long as this list
    for rom in roms:
        with open(rom, "rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        mapped.append(memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        where = f"{address}:{len(memory)}"
        arguments = [where if argument == rom else argument for argument in arguments]
    return run_main(["micropython", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [rom for rom in sys.argv[2].split(",") if rom], sys.argv[3:]))
