"""The image: what is flashed compiles for the target, runs, and is what the VM runs."""

import shutil

import pytest

from simulator.vm import image, ops
from simulator.vm.fold import fold
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
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    with pytest.raises(image.CompileFailed, match=r"bad\.py: "):
        image.compile_file(bad, "bad.mpy", tmp_path / "bad.mpy")


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


FOLDED = [
    ("_A = 1", "_A = const(1)"),
    ("_A = 1  # why", "_A = const(1)  # why"),
    ("_A, _B = 0x10, -2", "_A = const(16); _B = const(-2)"),
    ("_A = 1 << 3 | 2\n_B = _A * 2", "_A = const(1 << 3 | 2)\n_B = const(_A * 2)"),
    ("def _f():\n    return _f", "def _0():\n    return _0"),
    (
        "a = 'é', lambda: _g(_f)\ndef _f(x): _g(x)\ndef _g(x): pass",
        "a = 'é', lambda: _1(_0)\ndef _0(x): _1(x)\ndef _1(x): pass",
    ),
    (
        "class _C:\n    def _f(self): self._f(); _C()",
        "class _0:\n    def _f(self): self._f(); _0()",
    ),
]
KEPT = [
    "A = 1",
    "_A = True",
    "_A = 'x'",
    "_A = 1.5",
    "_A = (1, 2)",
    "_A = len('x')",
    "_A = _B = 1",
    "_A = 1\n_A = 2",
    "_A, B = 1, 2",
    "_A = 1\ndef f():\n    global _A\n    _A = 2",
    "_A = 1\ndef f():\n    _A = 2\n    return _A",
    "_A = 1\ndef f(_A):\n    return _A",
    "for _i in range(3):\n    pass\n_A = _i",
    "_A = (\n    1\n)",
    "def f():\n    _A = 1\n    return _A",
    "def f(): pass",
    "def __getattr__(name): pass",
    "def _f(): pass\n_f = wrapped(_f)",
    "def _f(): pass\ndef g(_f): return _f",
    "def _f(): pass\nclass C:\n    def _f(self): return self._f()",
    "from a import b as _f\ndef _f(): pass",
]


@pytest.mark.parametrize(("source", "expected"), FOLDED)
def test_private_names_are_compiled_away(source, expected):
    assert fold(source) == expected


@pytest.mark.parametrize("source", KEPT)
def test_everything_else_is_left_alone(source):
    assert fold(source) == source


def test_folding_moves_no_line(repo_root):
    for room in image.ROOMS:
        for path in (repo_root / room).rglob("*.py"):
            source = path.read_text()
            assert fold(source).count("\n") == source.count("\n"), path
