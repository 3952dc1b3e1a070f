"""The image: what is flashed compiles for the target, runs, and is what the VM runs."""

import shutil

import pytest

from simulator.vm import image, ops
from simulator.vm.home import HEAP_BYTES, POS_HEAP_BYTES
from tests.vm.bench import Hardware, make_home

PROGRAM = """
import sys
print(sys.modules["firmware.boards.esp32"].__file__)
into = bytearray(3)
while True:
    board.wait(board.ticks_ms() + 50)
    board.rfid.exchange(b"\\x01\\x02\\x03", into)
    board.beep(100)
"""


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return (1,\n",
        # What CPython takes and MicroPython does not.
        "def f(a, /):\n    return a\n",
        "match 1:\n    case 2:\n        pass\n",
    ],
)
def test_a_file_that_does_not_compile_is_named(source, tmp_path):
    bad = tmp_path / "source" / "protocols" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(source)
    with pytest.raises(image.CompileFailed, match=r"protocols[./]bad"):
        image.build(tmp_path / "source", tmp_path / "image")


def test_every_file_is_in_the_image(reader_image, repo_root):
    sources = {
        path.relative_to(repo_root).as_posix().removesuffix(".py")
        for room in image.ROOMS
        for path in (repo_root / room).rglob("*.py")
    }
    packed = {
        path.relative_to(reader_image / "rom").as_posix().rsplit(".", 1)[0]
        for path in (reader_image / "rom").rglob("*.*")
    }
    assert packed == sources
    for path in (reader_image / "rom").rglob("*.mpy"):
        # Byte 2 of an .mpy names the architecture of native code: there must be none.
        assert path.read_bytes()[2] >> 2 == 0, path


def test_the_same_source_gives_the_same_image(repo_root, tmp_path):
    for room in image.ROOMS:
        shutil.copytree(repo_root / room, tmp_path / "source" / room)
    first, again = (image.build(tmp_path / "source", tmp_path / name) for name in ("1", "2"))
    for name in (image.FIRMWARE_ROM, image.SHIMS_ROM):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_bytecode_does_what_source_does(reader_image, tmp_path):
    logs = []
    for options in ({}, {"image": reader_image}):
        hardware = Hardware()
        home = make_home(tmp_path / "program", PROGRAM, hardware, **options)
        try:
            due_us = home.start()
            for _ in range(5):
                hardware.now_us = due_us
                due_us = home.run()
            logs.append((hardware.log, due_us))
            where = home.stderr_tail().strip()
        finally:
            home.kill()
    assert logs[0] == logs[1]
    assert len(logs[0][0]) == 10
    assert where == "/rom/firmware/boards/esp32.mpy"


def test_bytecode_takes_less_heap(reader_image, tmp_path, capsys):
    live = {}
    for name, options in (("source", {}), ("image", {"image": reader_image})):
        options = {"probe": ops.PROBE_WAITS, **options}
        home = make_home(tmp_path / "program", PROGRAM, Hardware(), **options)
        try:
            home.start()
            live[name] = home.memory()
        finally:
            home.kill()
    with capsys.disabled():
        print("\nheap of the shims, bytes:", {name: live[name]["shims"] for name in live})
    assert live["image"]["live"] < live["source"]["live"]
    assert live["image"]["shims"] < live["source"]["shims"]
    # The VM of a POS has no more beyond the budget than what no board has to carry.
    assert live["image"]["shims"] >= HEAP_BYTES - POS_HEAP_BYTES
