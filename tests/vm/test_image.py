"""The image: what is flashed compiles for the target, runs, and is what the VM runs."""

import ast
import shutil

import pytest

from simulator.vm import image, ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.home import HEAP_BYTES, POS_HEAP_BYTES, VmHome
from tests.vm.bench import Hardware, make_home, write_program

PROGRAM = """
import sys
print("reader_0" in sys.modules, "firmware.boards.esp32" in sys.modules)
into = bytearray(3)
while True:
    board.wait(board.ticks_ms() + 50)
    board.rfid.exchange(b"\\x01\\x02\\x03", into)
    board.beep(100)
"""


def source_of(folder, **files):
    """A folder of firmware and protocols: path with __ for / -> text."""
    for name, text in {"firmware__boot": "", **files}.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "bad",
    [
        "def f():\n    return (1,\n",
        # What CPython takes and MicroPython does not.
        "def f(a=1, /):\n    return a\n",
        "def f():\n    match 1:\n        case 2:\n            pass\n",
        # What MicroPython takes and the linker does not.
        "from . import other\ndef f():\n    return other\n",
    ],
)
def test_a_file_that_does_not_compile_is_named(bad, tmp_path):
    main = "from protocols.good import g\nfrom protocols.bad import f\ng(f())\n"
    good = "def g(a):\n    return a\n"
    source = source_of(
        tmp_path / "source", firmware__main=main, protocols__good=good, protocols__bad=bad
    )
    with pytest.raises(image.CompileFailed, match=r"protocols[./]bad"):
        image.build(source, tmp_path / "image")


def imported(repo_root, path):
    """The files that a file leads to, itself among them."""
    found, todo = set(), [path]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                file = repo_root.joinpath(*name.split(".")).with_suffix(".py")
                todo += [file] if file.exists() else []
    return found


def test_what_main_leads_to_is_in_the_image(reader_image, repo_root):
    rows = (reader_image / image.LINE_MAP).read_text().splitlines()
    paths = list(dict.fromkeys(row.split()[3] for row in rows))
    found = [path.removesuffix(".py").replace("/", ".") for path in paths]
    main = repo_root / "firmware" / "main.py"
    expected = {
        ".".join(path.relative_to(repo_root).with_suffix("").parts)
        for path in imported(repo_root, main) - {main}
    }
    packages = {"firmware", "protocols"} | {name.rpartition(".")[0] for name in expected}
    assert len(found) > 40
    # A file of constants alone has nothing left when they stand where they are read. What a reason
    # says comes from screen_bytes there.
    spent = (expected | packages) - set(found)
    assert set(found) == (expected | packages) - spent
    for name in spent:
        tree = ast.parse(repo_root.joinpath(*name.split(".")).with_suffix(".py").read_text())
        left = [part for part in tree.body if not isinstance(part, ast.Assign | ast.Expr)]
        assert [part.name for part in left] == ["display"] * name.endswith(".reasons"), name
    assert "protocols.rules.reason_texts" not in found
    packed = {path.relative_to(reader_image / "rom").as_posix() for path in walk(reader_image)}
    parts = {row.split()[0] for row in rows}
    assert packed == {f"{part}.mpy" for part in parts} | {"firmware/boot.py", "firmware/main.py"}
    for part in parts:
        # Byte 2 of an .mpy names the architecture of native code: there must be none.
        assert (reader_image / "rom" / f"{part}.mpy").read_bytes()[2] >> 2 == 0


def walk(reader_image):
    return [path for path in (reader_image / "rom").rglob("*") if path.is_file()]


def test_a_traceback_tells_lines_of_the_source(repo_root, tmp_path):
    text = "from firmware.boards import esp32\nesp32.Board(esp32.Net).beep(-1)\n"
    (tmp_path / "main.py").write_text(text)
    built = image.build(repo_root, tmp_path / "image", tmp_path / "main.py")
    source = (repo_root / "firmware" / "boards" / "esp32.py").read_text().split("\n")
    line = 1 + next(i for i, text in enumerate(source) if "write_pulses" in text)
    home = VmHome("bench", Hardware(), image=built)
    where = f'File "firmware/boards/esp32.py", line {line}, in beep\n'
    with pytest.raises(VmCrashed, match=where):
        home.start()


def test_the_same_source_gives_the_same_image(repo_root, tmp_path):
    for room in image.ROOMS:
        shutil.copytree(repo_root / room, tmp_path / "source" / room)
    first = image.build(tmp_path / "source", tmp_path / "1")
    for made in (image._reader_files, image._shim_files):
        made.cache_clear()  # what is kept of the first would be the same
    again = image.build(tmp_path / "source", tmp_path / "2")
    for name in (image.FIRMWARE_ROM, image.SHIMS_ROM):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_what_is_kept_of_an_image_is_of_these_texts_alone(tmp_path):
    made = []
    for number in (1, 2, 1):
        good = f"def g():\n    return {number}\n"
        main = "from protocols.good import g\nprint(g())\n"
        source = source_of(tmp_path / "source", firmware__main=main, protocols__good=good)
        built = image.build(source, tmp_path / "image")
        made.append((built / image.FIRMWARE_ROM).read_bytes())
    assert made[0] == made[2] != made[1]


@pytest.fixture(scope="module")
def program_image(repo_root, tmp_path_factory):
    """The image of PROGRAM and what it needs."""
    folder = tmp_path_factory.mktemp("program")
    main = write_program(folder / "source", PROGRAM) / "main.py"
    return image.build(repo_root, folder / "image", main)


def homes(program_image, folder, hardware, **options):
    """PROGRAM as source, and as an image."""
    yield make_home(folder / "program", PROGRAM, hardware(), **options)
    yield VmHome("bench", hardware(), image=program_image, **options)


def test_bytecode_does_what_source_does(program_image, tmp_path):
    logs, told, made = [], [], []

    def hardware():
        made.append(Hardware())
        return made[-1]

    for home in homes(program_image, tmp_path, hardware):
        try:
            due_us = home.start()
            for _ in range(5):
                made[-1].now_us = due_us
                due_us = home.run()
            logs.append((made[-1].log, due_us))
            told.append(home.stderr_tail().strip())
        finally:
            home.kill()
    assert logs[0] == logs[1]
    assert len(logs[0][0]) == 10
    assert told == ["False True", "True False"]


def test_bytecode_takes_less_heap(program_image, tmp_path, capsys):
    live = []
    for home in homes(program_image, tmp_path, Hardware, probe=ops.PROBE_WAITS):
        try:
            home.start()
            live.append(home.memory())
        finally:
            home.kill()
    with capsys.disabled():
        print("\nheap of the shims, bytes:", [memory["shims"] for memory in live])
    source, built = live
    assert built["live"] < source["live"]
    assert built["shims"] < source["shims"]
    # The VM of a POS has no more beyond the budget than what no board has to carry.
    assert built["shims"] >= HEAP_BYTES - POS_HEAP_BYTES
