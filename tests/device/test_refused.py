"""What is not put on a board, and the reason that is given; the board stays as it was.

    pytest -s tests/device/test_refused.py

prints the table. What a reader refuses over the air: tests/firmware/test_update.py.
"""

import json
from hashlib import sha256

import pytest
from typer.testing import CliRunner

from protocols.rules import slots
from simulator.board.base_image import base_image
from simulator.board.served import FACTS, FLASH
from tests.device.bench import (
    STRANGER,
    board,
    chip,
    kit_file,
    public_file,
    release_file,
    settings_file,
)
from tests.ledger.readers import Reader, open_ledger
from tools.cli import app
from tools.device import processes
from tools.keys import site_kit

RUNS = 3


def onecard(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


class Bench:
    """A board that runs version RUNS of a POS's program, and a release to be put on it."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "next.release"
        self.key = public_file(folder / "signer.pub")
        self.url = board(folder / "board")
        self.words = ["--port", self.url, "--device", 1001, "--role", "pos"]
        self.words += ["--kit", kit_file(folder / "kit"), "--log", folder / "log.jsonl"]
        self.words += ["--settings", settings_file(folder / "reader.toml"), "--key", self.key]
        release_file(self.file, RUNS - 1)
        assert self.put().exit_code == 0
        self.rows = []

    def put(self, *words):
        return onecard("device", "provision", *self.words, "--release", self.file, *words)

    @property
    def mac(self):
        """That of the board, as its log has it."""
        return json.loads((self.folder / "board" / FACTS).read_text())["mac"]

    def flash(self):
        return sha256((self.folder / "board" / FLASH).read_bytes()).digest()

    def refuse(self, what, why, done):
        """Note that it was refused as it had to be."""
        assert done.exit_code in (1, 2) and why in done.output, done.output
        said = next(line for line in done.output.splitlines() if why in line)
        said = said.replace(f"{self.folder}/", "")
        self.rows.append((what, said.removeprefix("canteen-1/1001 at sim://board: ")))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("refused"))
    yield bench
    print("", *(f"{what:44} {said}" for what, said in bench.rows), sep="\n")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def changed(path):
    """One bit of its bytecode."""
    data = bytearray(path.read_bytes())
    data[data.index(b"M" * 700)] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("what", "about", "spoil", "why"),
    [
        ("another signer", {"signer": STRANGER}, None, "signed by 0 of these keys; 1 have to"),
        ("another role", {"roles": ("door",)}, None, "for door and not pos"),
        ("another chip", {"hardware": ("esp32s3",)}, None, "[cause 16]"),
        ("older than what the board runs", {"version": RUNS - 2}, None, "[cause 17]"),
        ("a base image that is too old", {"micropython": (9, 0, 0)}, None, "[cause 8]"),
        ("truncated", {}, truncated, "no release of firmware, or not all of one"),
        ("one bit changed", {}, changed, "reader_0.mpy is not the one of the manifest"),
    ],
)
def test_a_release_that_is_not_for_this_board(bench, what, about, spoil, why):
    release_file(bench.file, **{"version": RUNS, **about})
    if spoil:
        spoil(bench.file)
    before = bench.flash()
    bench.refuse(what, why, bench.put())
    assert bench.flash() == before


def test_a_board_that_has_updated_itself_does_not_go_back(bench, tmp_path):
    """What it runs is what its slots say, and not what came by cable once."""
    other = Bench(tmp_path)
    release_file(other.file, RUNS, image=b"I" * 5000)
    assert other.put().exit_code == 0
    flash = chip(tmp_path / "board")
    kept = flash.nvs()
    state = slots.decode(kept[slots.STORED_AS])
    assert slots.image(state, 0)[:2] == (RUNS + 1, 5000)
    flash.set_nvs({**kept, slots.STORED_AS: slots.encode(slots.switched(state, 9, 9, bytes(32)))})
    flash.close()
    release_file(other.file, RUNS + 1, image=b"J" * 5000)
    before = other.flash()
    other.refuse("older than what came over the air", f"main {RUNS + 2} on a board", other.put())
    assert other.flash() == before
    bench.rows += other.rows


def test_files_that_were_swapped_after_the_release_was_verified(bench, monkeypatch):
    """The board reads back what it got: the program gets no name, and nothing runs."""
    call = processes.call

    def swapping(port, function, *arguments, files=None, **more):
        for path in files or ():
            if path.suffix == ".mpy":
                path.write_bytes(b"S" * len(path.read_bytes()))
        return call(port, function, *arguments, files=files, **more)

    release_file(bench.file, RUNS)
    monkeypatch.setattr(processes, "call", swapping)
    bench.refuse("swapped after it was verified", "reader_0.mpy", bench.put())
    assert "[cause 12]" in bench.rows[-1][1]
    monkeypatch.undo()
    doctor = onecard("device", "doctor", "--port", bench.url)
    assert doctor.exit_code == 1 and "its program is not whole" in doctor.output
    assert bench.put().exit_code == 0
    assert onecard("device", "doctor", "--port", bench.url).exit_code == 0


def test_a_number_that_another_board_was_begun_with(bench, tmp_path):
    """The station died before that board was done, and the cables were put in other ports."""
    other = Bench(tmp_path)
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    line = json.loads(whole.splitlines()[0])
    log.write_text(json.dumps({**line, "mac": "02beef000000", "begun": True}) + "\n")
    before = other.flash()
    release_file(other.file, RUNS)
    other.refuse("a number that was begun elsewhere", "[cause 11]", other.put())
    assert other.flash() == before
    log.write_bytes(whole[:40] + b"\n")
    other.refuse("a damaged line in the log", "log.jsonl:1: this line is damaged", other.put())
    assert log.read_bytes() == whole[:40] + b"\n" and other.flash() == before
    bench.rows += other.rows


def test_a_number_that_another_station_has_given(bench, tmp_path):
    """Two stations with one kit: both would give 1001 the same key, and no board would know."""
    release_file(bench.file, RUNS)
    other = tmp_path / "canteen.jsonl"
    line = {"site": "canteen-1", "device": 1001, "mac": "02beef000000"}
    other.write_text(json.dumps(line) + "\n" + '{"site": "canteen-1", "dev')
    log = bench.folder / "log.jsonl"
    whole, before = log.read_bytes(), bench.flash()
    log.unlink()  # this station has given nothing yet
    words = "--elsewhere", other
    bench.refuse("a number that another station gave", f"02beef000000, by {other}",
                 bench.put(*words))  # fmt: skip
    assert "[cause 11]" in bench.rows[-1][1] and bench.flash() == before
    line |= {"device": 1002, "mac": bench.mac}
    other.write_text(json.dumps(line) + "\n")
    bench.refuse("a board that another station did", "is canteen-1/1002, by", bench.put(*words))
    other.write_text("{}\n")
    bench.refuse("a damaged copy of its log", "jsonl:1: this line is damaged", bench.put(*words))
    missing = bench.put("--elsewhere", tmp_path / "none")
    assert missing.exit_code == 2 and "No such file" in missing.output
    assert log.read_bytes() == b"" and bench.flash() == before
    log.write_bytes(whole)


def test_a_number_that_the_ledger_knows_as_another_reader(bench, tmp_path):
    release_file(bench.file, RUNS)
    kit, file = bench.folder / "kit", tmp_path / "readers.toml"
    own = site_kit.register(site_kit.read(kit), [1001], {"merchant_no": 71})
    before = bench.flash()
    later = kit_file(tmp_path / "later.kit", b"l" * 32, previous=b"k" * 32)
    newer = site_kit.register(site_kit.read(later), [1001], {"merchant_no": 71})
    alien = site_kit.register(site_kit.read(kit_file(tmp_path / "x.kit", b"x" * 32)), [1001], {})
    for what, text, why in (
        ("a number of another site", own.replace(b"canteen-1", b"gate-9"), "is gate-9/1001"),
        ("a number with another key", alien, "has another key in the register"),
        ("a kit of before a rotation", newer, "has a newer key than this kit"),
        ("no register", b'[[device]]\ndevice = 1001\nkey = "secret"\n', "no register of readers"),
    ):
        file.write_bytes(text)
        file.chmod(0o600)
        done = bench.put("--register", file)
        bench.refuse(what, why, done)
        assert ("[cause 18]" in done.output) == (what != "no register")
        assert done.exit_code == 2 and "secret" not in done.output
    file.chmod(0o644)
    bench.refuse("a register that others may read", "chmod 600", bench.put("--register", file))
    file.write_bytes(own)
    file.chmod(0o600)
    words = ["--port", bench.url, "--role", "pos", "--settings", bench.folder / "reader.toml"]
    words += ["--kit", later, "--log", bench.folder / "log.jsonl", "--register", file]
    applied = onecard("device", "apply", *words)
    bench.refuse("a key that the ledger has not got", "only the key before this kit's", applied)
    both = bench.put("--register", file, "--register", _private(tmp_path / "two.toml", alien))
    bench.refuse("two registers that differ", "another one in another place", both)
    assert bench.flash() == before
    release_file(bench.file, RUNS)
    assert bench.put("--register", file).exit_code == 0
    strange = own.replace(b"device = 1001", b"device = 1009")
    done = bench.put("--register", _private(tmp_path / "other.toml", strange))
    assert done.exit_code == 0 and "canteen-1/1001 is not in the register" in done.output


def _private(path, text):
    path.write_bytes(text)
    path.chmod(0o600)
    return path


def test_a_base_image_for_another_chip(bench):
    image = bytearray(base_image())
    image[12] = 9
    (bench.folder / "base.bin").write_bytes(image)
    before = bench.flash()
    words = ["--port", bench.url, "--base", bench.folder / "base.bin"]
    done = onecard("device", "flash", *words)
    bench.refuse("a base image for another chip", "is for esp32s3, and this board is", done)
    assert bench.flash() == before


def test_what_the_books_do_not_take(bench):
    """The agent gets it from the ledger only, and each reader a word sealed for it."""
    path = bench.folder / "ledger.sqlite"
    open_ledger(Reader(1001), path=str(path)).close()
    words = ["--key", bench.key, "--person", "Wang Fang", "--percent", 1]
    release_file(bench.file, signer=STRANGER)
    done = onecard("ledger", "firmware", "set", path, bench.file, *words)
    bench.refuse("the ledger: another signer", "signed by 0 of the release keys", done)
    release_file(bench.file)
    done = onecard("ledger", "firmware", "set", path, bench.file, *words)
    bench.refuse("the ledger: no image for over the air", "main is put by cable only", done)


def test_without_a_word_for_it_nothing_is_put(bench):
    for words in ([], ["--release", bench.file], ["--release", bench.file, "--unsigned"]):
        own = [word for word in bench.words if word not in ("--key", bench.key)]
        done = onecard("device", "provision", *own, *words)
        assert done.exit_code == 2 and "--release FILE --key PUBLIC, or --unsigned" in done.stderr
