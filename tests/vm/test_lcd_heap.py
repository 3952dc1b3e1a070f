"""What the clerk's display takes of a reader's heap: code, and nothing for its texts."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from simulator.vm import image
from simulator.vm.bridge import LAUNCHER

# 64-bit figures; on the board a word has half that size.
DRIVER_MAX, SCREENS_MAX, SCREEN_MAX = 2_600, 2_400, 600

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

import firmware.drivers
from protocols.rules import money
board = Board()
at = [live(), 0, 0, 0, 0]
from firmware.drivers.lcd import Lcd
lcd = Lcd(board)
at[1] = live()
from protocols.rules import screens
table = screens.texts("zh")
at[2] = live()
shown = screens.message(table, 201, "12.50", screens.notices(table, 12, 87, True))
at[3] = live()
lcd.show(shown)
at[4] = live()
for number in range(4):
    print(at[number + 1] - at[number])
start = int(where[0])
for language in ("zh", "en"):
    print(int(start <= uctypes.addressof(screens.texts(language)) < start + int(where[1])))
"""


def measured(reader_image, tmp_path):
    """Bytes: driver, screens with texts, one screen, what showing it leaves; where texts are."""
    program = tmp_path / "heap.py"
    program.write_text(PROGRAM)
    extension = Path(importlib.util.find_spec("micropython_run").origin).parent
    rom = str(reader_image / image.FIRMWARE_ROM)
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(extension), rom]
    command += ["-X", "heapsize=128k", str(program), rom]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(line) for line in done.stdout.split()]


def test_texts_stay_in_flash(reader_image, tmp_path, capsys):
    driver, screens, screen, left, *in_flash = measured(reader_image, tmp_path)
    with capsys.disabled():
        print(f"\nheap of the LCD, 64-bit bytes: driver {driver}, screens {screens}, ", end="")
        print(f"one screen {screen}")
    assert in_flash == [1, 1]
    assert 0 < driver <= DRIVER_MAX
    assert 0 < screens <= SCREENS_MAX
    assert 0 < screen <= SCREEN_MAX
    assert left == 0
