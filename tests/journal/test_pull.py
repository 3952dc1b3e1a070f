"""`onecard journal pull`: from a board at its console or its ROM, and from dumps of dead chips.

Real mpremote and esptool speak to a simulated board, whose flash ends with the power at the first
byte that is programmed or erased: whoever takes a journal writes nothing.
"""

import hashlib
import io
import json
import random
import stat
import struct
import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest
from typer.testing import CliRunner

from simulator.board.flash_file import FlashFile
from simulator.board.served import FLASH
from tests.device.bench import board, chip, trouble
from tests.journal.writer import DEVICE, KEY, SECTOR_BYTES, Device
from tools.cli import app
from tools.device import ports, processes, provision
from tools.device.boards import BOARDS
from tools.device.errors import DeviceError
from tools.device.partition_table import TABLE_AT, TABLE_BYTES, decode, encode
from tools.journal import capture, pull
from tools.journal.capture import BadCapture, load
from tools.journal.image import NotAJournal
from tools.journal.locate import located
from tools.journal.part import OtherReader, Part
from tools.journal.verify import verify

# The journal of a small board: where that of a large one begins.
OURS = next(row for row in BOARDS["esp32-8mb"].rows if row.label == "journal")
ROW = replace(OURS, size=16 * SECTOR_BYTES)
RECORDS = 100


def onecard(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def device():
    made = Device(7)
    made.outcomes(RECORDS)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, device):
    """A board in use, whose flash nobody may write to."""
    path = tmp_path_factory.mktemp("boards") / "board"
    with ports.opened(board(path)) as port:
        processes.probe(port)  # its first start makes a file system
    flash = chip(path)
    rows = decode(flash.read(TABLE_AT, TABLE_BYTES))
    flash.erase(TABLE_AT, TABLE_BYTES)
    rows = [ROW if row.label == ROW.label else row for row in rows]
    flash.program(TABLE_AT, encode(rows, flash.size_bytes))
    flash.program(ROW.start, device.flash.image())
    flash.set_nvs({"settings": settings_of(DEVICE)})
    flash.close()
    trouble(path, cut_after=0)
    return path


def settings_of(device):
    from protocols.rules import settings
    from tests.firmware.counter import POLICY

    own = {"device": device, "site": "canteen-1", "merchant_no": 71, "device_key": KEY}
    cards = {"purse_key": bytes(16), "mac_key": bytes(16)}
    broker = {"broker_host": "192.0.2.1", "broker_port": 1883}
    return settings.encode({**own, **cards, **broker, "policy": POLICY})


def test_a_live_reader_is_read_and_never_written_to(folder, tmp_path, device):
    out = tmp_path / "pos.journal"
    before = (folder / FLASH).read_bytes()
    done = onecard("journal", "pull", out, "--port", f"sim://{folder}", "--by", "wang")
    assert done.exit_code == 0, done.output
    assert (folder / FLASH).read_bytes() == before
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))
    taken = load(out)
    assert taken.data == before[ROW.start : ROW.start + ROW.size]
    assert (taken.place.start, taken.place.how) == (ROW.start, "partition table")
    assert taken.source["by"] == "wang" and taken.source["how"] == "console"
    assert taken.source["from"] == f"sim://{folder}" and taken.source["read_again"] == 0
    assert taken.reader["settings"]["device"] == DEVICE
    found = verify(taken, [KEY])
    assert (found.records, found.sealed, found.breaks) == (RECORDS, RECORDS, [])
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["manifest.json", "journal.bin"]
        assert KEY.hex() not in archive.read("manifest.json").decode()
    again = onecard("journal", "pull", out, "--port", f"sim://{folder}")
    assert again.exit_code == 2 and "is there already" in again.stderr
    shown = onecard("journal", "show", out)
    assert shown.exit_code == 0 and "outcome" in shown.output


def test_another_board_that_has_come_to_the_port_is_not_taken_for_the_one_that_was_asked(
    folder, tmp_path, monkeypatch
):
    """Its journal had stood in a file that names the first board: evidence of the wrong reader."""
    inspect = provision.inspect
    monkeypatch.setattr(provision, "inspect", lambda port: inspect(port) | {"mac": "0a0b0c0d0e0f"})
    out = tmp_path / "pos.journal"
    done = onecard("journal", "pull", out, "--port", f"sim://{folder}")
    assert done.exit_code == 2 and "[cause 19]" in done.stderr, done.output
    assert not out.exists()


def test_a_cable_that_is_pulled_out_leaves_what_was_read_and_it_goes_on(
    folder, tmp_path, monkeypatch, device
):
    monkeypatch.setattr(pull, "AT_ONCE", 1)
    call, asked = processes.call, []

    def breaking(port, function, *arguments, **more):
        if function == "sectors":
            asked.append(arguments[0])
            if len(asked) == 2:
                raise DeviceError(7, port)
        return call(port, function, *arguments, **more)

    monkeypatch.setattr(processes, "call", breaking)
    out = tmp_path / "pos.journal"
    failed = onecard("journal", "pull", out, "--port", f"sim://{folder}")
    assert failed.exit_code == 2 and "[cause 7]" in failed.stderr and not out.exists()
    part = tmp_path / "pos.journal.part"
    with part.open("ab") as file:
        file.write(b'{"sector": 2, "da')  # the machine died in the middle of a line
    asked += ["gone on"]
    done = onecard("journal", "pull", out, "--port", f"sim://{folder}")
    assert done.exit_code == 0, done.output
    assert asked == [[0], [1], "gone on", [1], [2]]
    assert load(out).data[: 8 * SECTOR_BYTES] == device.flash.image()
    assert not part.exists()


def test_a_reader_that_writes_meanwhile_is_read_again(folder, tmp_path, monkeypatch, device):
    """Between two calls the board has started anew, and its program has gone on."""
    later = Device(7)
    later.outcomes(RECORDS + 3)
    path = tmp_path / "board"
    path.mkdir()
    for file in folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    call, looks = processes.call, []

    def writing(port, function, *arguments, **more):
        found = call(port, function, *arguments, **more)
        looks.append(function)
        if looks.count("sectors") == 1 and function == "sectors":
            flash = FlashFile(path / FLASH, 8 << 20)
            flash.program(ROW.start, later.flash.image())
            flash.close()
        return found

    monkeypatch.setattr(processes, "call", writing)
    out = tmp_path / "pos.journal"
    done = onecard("journal", "pull", out, "--port", f"sim://{path}")
    assert done.exit_code == 0 and "1 sectors read again" in done.output, done.output
    assert looks[-5:] == ["digests", "sectors", "digests", "sectors", "digests"]
    assert load(out).data[: 8 * SECTOR_BYTES] == later.flash.image()
    assert verify(load(out), [KEY]).records == RECORDS + 3


def test_one_that_is_never_still_is_said_to_be(monkeypatch, tmp_path):
    number = iter(range(100))
    block = bytes(SECTOR_BYTES)
    told = {"digests": lambda: [f"{next(number):064x}"], "sectors": lambda _: [block.hex()]}
    monkeypatch.setattr(pull, "_call", lambda port, mac, function, *asked: told[function](*asked))
    kept = Part(tmp_path / "part", {"mac": "1"})
    with pytest.raises(pull.NeverStill, match="6 looks"):
        pull._read("", "1", kept, 1, lambda text: None)
    with pytest.raises(OtherReader, match="not of this board"):
        Part(tmp_path / "part", {"mac": "2"})


def test_a_watchdog_brings_a_board_back_whose_cable_was_pulled_out(folder):
    with ports.opened(f"sim://{folder}") as port:
        processes.probe(port)
        words = ["connect", port, "resume", "exec"]
        # Half a second to hear that this was done, and what follows ends behind that.
        started = "import machine; x = 1; machine.WDT(timeout=500)"
        processes._run("mpremote", [*words, started], 60)
        looks = "import time; time.sleep_ms(3000); print(x)"
        with pytest.raises(DeviceError):
            processes._run("mpremote", [*words, looks], 1.5)
        processes.probe(port)
        said = processes._run("mpremote", [*words, "print('x' in globals())"], 60)
        assert said.strip() == "False"


def test_by_its_rom_where_no_program_answers(folder, tmp_path, device):
    out = tmp_path / "pos.journal"
    done = onecard("journal", "pull", out, "--port", f"sim://{folder}", "--rom")
    assert done.exit_code == 0, done.output
    taken = load(out)
    assert taken.data[: 8 * SECTOR_BYTES] == device.flash.image()
    assert taken.source["how"] == "rom" and taken.reader["mac"] == "020000000001"


@pytest.mark.parametrize("how", [(), ("--rom",)])
def test_of_two_boards_at_one_port_no_journal_is_made(folder, tmp_path, monkeypatch, how):
    """The one has said who it is, and the other's cable is in that port when it is read."""
    out, port = tmp_path / "pos.journal", tmp_path / "ttyUSB0"
    other = board(tmp_path / "other", 2)
    with ports.opened(f"sim://{folder}") as mine, ports.opened(other) as theirs:
        port.symlink_to(mine)
        steps = {name: getattr(processes, name) for name in ("call", "esptool")}

        def swapping(step):
            def stepped(*words, **more):
                said = step(*words, **more)
                port.unlink()
                port.symlink_to(theirs)
                return said

            return stepped

        for name, step in steps.items():
            monkeypatch.setattr(processes, name, swapping(step))
        done = onecard("journal", "pull", out, "--port", port, *how)
    assert done.exit_code == 2 and "[cause 19]" in done.stderr, done.output
    assert not out.exists()


def test_what_was_read_at_the_console_outlives_another_way_of_taking_it(tmp_path, device):
    """The board has drowned in the middle: a dump that is cut short does not cost its sectors."""
    image, out = device.flash.image(), tmp_path / "out"
    part = tmp_path / "out.part"
    Part(part, {"mac": "1"}).add(7, image[7 * SECTOR_BYTES : 8 * SECTOR_BYTES])
    kept = part.read_bytes()
    (tmp_path / "chip.bin").write_bytes(image)
    assert onecard("journal", "pull", out, "--dump", tmp_path / "chip.bin").exit_code == 0
    assert part.read_bytes() == kept
    # Nor the dump, which may have that very name.
    dump = tmp_path / "chip.part"
    dump.write_bytes(image)
    assert onecard("journal", "pull", tmp_path / "chip", "--dump", dump).exit_code == 0
    assert dump.read_bytes() == image


@pytest.mark.parametrize(
    "theirs", [b"no line", b"not ours\n", b"[1]\n", b'{"mac": "1"}\n{"sector": 1}\n', b"\xff\n"]
)
def test_a_file_of_that_name_that_is_not_ours_is_not_touched(tmp_path, theirs):
    path = tmp_path / "out.part"
    path.write_bytes(theirs)
    with pytest.raises(OtherReader, match="remove it"):
        Part(path, {"mac": "1"})
    assert path.read_bytes() == theirs


def test_a_first_line_that_was_cut_off_is_written_anew(tmp_path):
    path = tmp_path / "out.part"
    path.write_bytes(b'{"mac": ')
    Part(path, {"mac": "1"})
    assert path.read_bytes() == b'{"mac": "1"}\n'


@pytest.fixture(scope="module")
def dump(folder):
    return (folder / FLASH).read_bytes()


def test_in_a_dump_of_a_whole_chip_it_is_found_by_the_partition_table(dump, tmp_path, device):
    path, out = tmp_path / "chip.bin", tmp_path / "out"
    path.write_bytes(dump + b"\xff" * len(dump))  # the board has a chip of 16 MB
    done = onecard("journal", "pull", out, "--dump", path, "--note", "case 12")
    assert done.exit_code == 0 and f"0x{ROW.start:x} (partition table)" in done.output
    taken = load(out)
    assert taken.data[: 8 * SECTOR_BYTES] == device.flash.image()
    assert len(taken.source["dump_sha256"]) == 64 and taken.source["note"] == "case 12"
    assert load(path).data == taken.data  # every command takes the dump itself, too


def test_of_a_dead_chip_without_a_table_by_how_our_boards_are_divided(dump, device):
    found = located(b"\x00" * 0x9000 + dump[0x9000:])
    assert found.place.start == ROW.start and "as esp32" in found.place.how
    assert found.data[: 8 * SECTOR_BYTES] == device.flash.image()
    by_hand = located(b"\x00" * 0x9000 + dump[0x9000:], ROW.start, 8 * SECTOR_BYTES)
    assert by_hand.data == device.flash.image()
    alone = located(device.flash.image())
    assert alone.place.start is None and alone.data == device.flash.image()
    for start, size in ((1, 4096), (0, 4095), (0, 0), (len(dump), 4096)):
        with pytest.raises(NotAJournal):
            located(dump, start, size)
    with pytest.raises(NotAJournal, match="no partition table"):
        located(b"\xff" * (4 << 20))


def test_a_dump_that_ends_in_the_journal_is_kept_and_said_to_be_short(dump, tmp_path):
    path, out = tmp_path / "chip.bin", tmp_path / "out"
    path.write_bytes(dump[: ROW.start + 2 * SECTOR_BYTES + 100])
    done = onecard("journal", "pull", out, "--dump", path)
    missing = ROW.size // SECTOR_BYTES - 2
    assert done.exit_code == 1 and f"{missing} of its sectors are missing" in done.output
    assert len(load(out).missing) == missing
    judged = onecard("journal", "verify", out)
    assert judged.exit_code == 1 and "日志缺" in judged.output
    path.write_bytes(dump[: ROW.start - 5])
    done = onecard("journal", "pull", tmp_path / "none", "--dump", path)
    assert done.exit_code == 2 and "cut short" in done.stderr
    assert not (tmp_path / "none").exists()


def test_what_was_changed_since_it_was_taken_is_no_evidence(device, tmp_path):
    taken = capture.Capture(device.flash.image(), located(device.flash.image()).place)
    data = capture.encode(taken)
    assert capture.encode(capture.decode(data)) == data
    draw = random.Random(2)
    for _ in range(60):
        spoilt = bytearray(data)
        spoilt[draw.randrange(4, len(data))] ^= 1 << draw.randrange(8)
        try:
            assert capture.decode(bytes(spoilt)).data == taken.data
        except BadCapture:
            continue
    for size in (4, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(BadCapture):
            capture.decode(data[:size])
    path = tmp_path / "other.journal"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("journal.bin", bytes(8192))
        manifest = {"format": "onecard-journal", "version": 1, "sha256": "0" * 64}
        archive.writestr("manifest.json", json.dumps(manifest))
    with pytest.raises(BadCapture, match="not what was taken"):
        load(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "0"},
        {"start": -1},
        {"missing_sectors": ["0"]},
        {"missing_sectors": [2]},
        {"source": []},
        {"reader": None},
        {"found_by": 1},
        {"missing_sectors": [1.0]},
        {"missing_sectors": [True]},
        {"start": 1 << 80},
        {"source": {"how": "dump"}},
        {"source": {"how": "dump", "from": "", "begun_s": "0", "ended_s": 0}},
        {"source": {"how": "dump", "from": "", "begun_s": 0, "ended_s": 1 << 40}},
        {"source": {"how": "dump", "from": [], "begun_s": 0, "ended_s": 0}},
        {"reader": {"settings": [1]}},
        {"reader": {"settings": {"device": "1001"}}},
        {"reader": {"settings": {"device": -1}}},
    ],
)
def test_a_manifest_that_we_would_not_write_is_refused(tmp_path, fields):
    image = bytes(2 * SECTOR_BYTES)
    path = tmp_path / "other.journal"
    manifest = {"format": "onecard-journal", "version": 1, "sha256": sha256(image).hexdigest()}
    manifest |= {"start": 0, "found_by": "", "missing_sectors": [], "source": {}, "reader": {}}
    for told in ({}, fields):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("journal.bin", image)
            archive.writestr("manifest.json", json.dumps(manifest | told))
        if not told:
            assert load(path).data == image
    with pytest.raises(BadCapture):
        load(path)


def test_the_program_on_the_board_only_reads(repo_root):
    text = (repo_root / "firmware" / "boards" / "esp32_journal.py").read_text()
    for word in ("writeblocks", "set_blob", "erase", "open(", "ioctl(6", "remove", "rename"):
        assert word not in text.replace("erased", "")


@pytest.mark.parametrize("words", [(), ("--port", "sim://x", "--dump", "/dev/null")])
def test_one_place_to_take_it_from(tmp_path, words):
    done = onecard("journal", "pull", tmp_path / "out", *words)
    assert done.exit_code == 2


@pytest.mark.parametrize("packed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED])
def test_a_file_that_was_packed_anew_is_refused_whole_or_spoilt(device, packed):
    taken = capture.Capture(device.flash.image(), located(device.flash.image()).place)
    with zipfile.ZipFile(io.BytesIO(capture.encode(taken))) as ours:
        members = [(name, ours.read(name)) for name in ours.namelist()]
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w", packed) as archive:
        for name, data in members:
            archive.writestr(name, data)
    draw, whole = random.Random(3), again.getvalue()
    for _ in range(40):
        spoilt = bytearray(whole)
        spoilt[draw.randrange(4, len(whole))] ^= 1 << draw.randrange(8)
        for data in (whole, bytes(spoilt)):
            with pytest.raises(BadCapture):
                capture.decode(data)


@pytest.mark.parametrize(
    ("start", "size"),
    [(-4096, 4096), (0, 1 << 30), (0, (16 << 20) + 4096), (1 << 40, 4096), (100, 4096), (0, 0)],
)
def test_a_place_that_no_chip_has_is_refused_and_nothing_is_written(device, tmp_path, start, size):
    dump, out = tmp_path / "dump.bin", tmp_path / "out.journal"
    dump.write_bytes(device.flash.image())
    done = onecard("journal", "pull", out, "--dump", dump, "--at", start, "--size", size)
    assert (done.exit_code == 2 and "multiples" in done.stderr) or "any chip" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("start", "size"), [(0, 0x7FFFF000), (0, 0x2000000), (0x1000, 0x1800), (0x1000, 0)]
)
def test_a_table_of_partitions_that_asks_for_too_much_gets_no_memory(tmp_path, start, size):
    row = struct.pack("<HBBII16sI", 0x50AA, 1, 2, start, size, b"journal", 0)
    table = row + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(row).digest()
    path = tmp_path / "dump.bin"
    path.write_bytes((b"\xff" * TABLE_AT + table).ljust(64 << 10, b"\xff"))
    with pytest.raises(NotAJournal):
        load(path)


def test_a_file_that_no_chip_could_hold_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # without a byte on the disk
    for words in (["verify", path], ["pull", tmp_path / "out", "--dump", path]):
        done = onecard("journal", *words)
        assert done.exit_code == 2 and "larger than any chip" in done.stderr


def test_what_its_finder_has_written_hides_no_verdict(device, tmp_path):
    """Lines, colours and directions of the text of another are not those of our output."""
    data = bytearray(device.flash.image())
    data[200] ^= 0x5A
    note = "x\nok         every link holds\x1b[8m\u202e"
    source = {"how": "dump", "from": "a\rb", "begun_s": 0, "ended_s": 0, "note": note}
    taken = capture.Capture(bytes(data), located(bytes(data)).place, (), source)
    capture.write(tmp_path / "out.journal", taken)
    done = onecard("journal", "verify", tmp_path / "out.journal")
    assert done.exit_code == 1 and "\nBROKEN" in done.stdout
    assert "\nok" not in done.stdout and not set("\r\x1b\u202e") & set(done.stdout)
