"""What the clerk's display takes of a reader's heap: code, and nothing for its texts."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from simulator.vm import image
from simulator.vm.bridge import LAUNCHER

# 64-bit figures; on the board a word has half that size.
CODE_MAX, SCREEN_MAX = 5_000, 600

PROGRAM = """
import gc, sys
import uctypes, vfs
where = sys.argv[1].split(":")
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(where[0]), int(where[1]))), "/rom")
sys.path[:] = ["/rom"]

class Part:
    def write(self, data):
        pass

class Board:
    lcd = Part()
    def sleep_us(self, duration_us):
        pass

def live():
    gc.collect()
    return gc.mem_alloc()

board = Board()
at = [live(), 0, 0, 0]
from firmware.drivers.lcd import Lcd
from protocols.rules import screens
lcd = Lcd(board)
table = screens.texts("zh")
at[1] = live()
shown = screens.message(table, 201, "12.50", notes=screens.notices(table, 12, (64, 87), True))
at[2] = live()
lcd.show(shown)
at[3] = live()
for number in range(3):
    print(at[number + 1] - at[number])
start = int(where[0])
for language in ("zh", "en"):
    print(int(start <= uctypes.addressof(screens.texts(language)) < start + int(where[1])))
"""


def measured(repo_root, tmp_path):
    """Bytes: driver and screens, one screen, what showing it leaves; where texts are."""
    program = tmp_path / "heap.py"
    program.write_text(PROGRAM)
    built = image.build(repo_root, tmp_path / "image", program)
    extension = Path(importlib.util.find_spec("micropython_run").origin).parent
    rom = str(built / image.FIRMWARE_ROM)
    linked = str(built / "rom" / "firmware" / "main.py")
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(extension), rom]
    command += ["-X", "heapsize=128k", linked, rom]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(line) for line in done.stdout.split()]


def test_texts_stay_in_flash(repo_root, tmp_path, capsys):
    code, screen, left, *in_flash = measured(repo_root, tmp_path)
    with capsys.disabled():
        print(f"\nheap of the LCD, 64-bit bytes: code and texts {code}, one screen {screen}")
    assert in_flash == [1, 1]
    assert 0 < code <= CODE_MAX
    assert 0 < screen <= SCREEN_MAX
    assert left == 0
