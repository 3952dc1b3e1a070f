"""firmware/boards/esp32_loader.py itself: which image and program a boot runs, worn or whole."""

import importlib
import sys
from hashlib import sha256
from types import SimpleNamespace

import pytest

from protocols.rules import slots

SLOT_BYTES = 4096
OLD, NEW = b"old" * 100, b"new" * 120


class Chip:
    """What the loader sees of one: `stored` in NVS, unless `is_worn`; `memory` of the slots."""

    def __init__(self):
        self.stored, self.is_worn, self.mounted = {}, False, b""
        self.memory = bytearray(b"\xff" * 2 * SLOT_BYTES)
        for slot, image in enumerate((OLD, NEW)):
            self.memory[slot * SLOT_BYTES : slot * SLOT_BYTES + len(image)] = image

    def get_blob(self, key, buffer):
        if key not in self.stored:
            raise OSError(key)
        buffer[: len(self.stored[key])] = self.stored[key]
        return len(self.stored[key])

    def set_blob(self, key, data):
        if self.is_worn:
            raise OSError("worn")
        self.stored[key] = bytes(data)

    def commit(self):
        """It stands at once."""


@pytest.fixture
def chip(monkeypatch):
    """The newer image is in use, proven; the older one is beside it."""
    chip = Chip()
    state = slots.first(1, len(OLD), sha256(OLD).digest())
    state = slots.switched(state, 2, len(NEW), sha256(NEW).digest())
    state[slots.IS_TRIAL] = 0
    chip.stored[slots.STORED_AS] = slots.encode(state)

    def mount(image, _path):
        chip.mounted = bytes(image)

    ports = {
        "esp32": SimpleNamespace(NVS=lambda _namespace: chip),
        "machine": SimpleNamespace(WDT=lambda timeout: None),
        "vfs": SimpleNamespace(rom_ioctl=lambda *_: chip.memory, VfsRom=bytes, mount=mount),
    }
    for name, port in ports.items():
        monkeypatch.setitem(sys.modules, name, port)
    name = "firmware.boards.esp32_loader"
    monkeypatch.delitem(sys.modules, name, raising=False)
    chip.choose = importlib.import_module(name).choose
    yield chip
    del sys.modules[name]


def test_the_updater_runs_once_for_each_word(chip):
    chip.stored["update"] = b"\x01rest"
    assert [chip.choose() for _ in range(2)] == ["/slot/update", "/slot"]
    assert chip.mounted == NEW and chip.stored["update"] == b"\x00rest"


@pytest.mark.parametrize("is_worn", [False, True])
def test_an_image_that_is_not_whole_is_come_back_from_and_the_role_runs(chip, is_worn):
    """A store that is worn keeps nobody from selling: the updater would run for ever."""
    chip.memory[SLOT_BYTES + 5] ^= 1
    chip.is_worn = is_worn
    folders = [chip.choose() for _ in range(3)]
    assert folders == ["/slot" if is_worn else "/slot/update", "/slot", "/slot"]
    assert chip.mounted == OLD


def test_a_worn_store_starts_no_updater(chip):
    chip.stored["update"] = b"\x01rest"
    chip.is_worn = True
    assert chip.choose() == "/slot" and chip.mounted == NEW


def test_without_a_whole_image_it_says_so(chip):
    for slot in (0, 1):
        chip.memory[slot * SLOT_BYTES] ^= 1
    with pytest.raises(Exception, match="no whole image"):
        chip.choose()
