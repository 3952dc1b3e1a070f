"""What is written to a board and about it, without one: tables, images, settings, lists, log."""

import json

import pytest

from ledger.release_file import BadRelease
from protocols.rules import settings
from simulator.board.base_image import base_image
from simulator.vm.image import UPDATERS
from tests.device.bench import READER, SITE, kit_file, public_file, release_file, settings_file
from tools.device import batch, flash, processes, provision, work
from tools.device.boards import BOARDS, CHIPS, LINKS, PROGRAMS, ROLES, hardware_of
from tools.device.errors import CAUSES, DeviceError
from tools.device.log import BadLog, Log
from tools.device.partition_table import APP, DATA, BadTable, Row, decode, encode
from tools.keys import site_kit
from tools.keys.vault import KeysError
from tools.reader_settings import BadSettings
from tools.rooms import ROOT

SLOT_BYTES_MAX = 0x40000
# The header of an image says at its bytes 12 and 13 what chip it is for.
S3_BOOTLOADER = (b"\xe9".ljust(12, b"\0") + b"\x09\0").ljust(0x1000, b"\xff")


@pytest.mark.parametrize("name", BOARDS)
def test_the_flash_of_each_board_is_divided_without_gaps_or_overlaps(name):
    kind = BOARDS[name]
    image = base_image() if kind.base_at else S3_BOOTLOADER + base_image()
    table = flash.merged(image, kind)[0x8000 - kind.base_at :]
    rows = decode(table)
    assert [row.label for row in rows] == [
        *("nvs", "phy_init", "factory", "vfs", "romfs", "cards", "journal"),
    ]
    sizes = {row.label: row.size for row in rows}
    # Half of it is an image, the port maps it in pages of 64 kB, and all of the chip is used.
    assert sizes["romfs"] == 2 * SLOT_BYTES_MAX
    assert next(row.start for row in rows if row.label == "romfs") % 0x10000 == 0
    assert rows[-1].start + rows[-1].size == kind.flash_bytes
    assert encode(rows, kind.flash_bytes) == table[: len(encode(rows, kind.flash_bytes))]


@pytest.mark.parametrize(
    "rows",
    [
        [Row("a", DATA, 6, 0x9000, 0x2000), Row("b", DATA, 6, 0xA000, 0x1000)],
        [Row("app", APP, 0, 0x11000, 0x1000)],
        [Row("a", DATA, 6, 0x9000, 0x800000)],
        [Row("a", DATA, 6, 0x8000, 0x1000)],
        [Row("a", DATA, 6, 0x9000, 0)],
        [Row("a" * 17, DATA, 6, 0x9000, 0x1000)],
        [Row(f"p{n}", DATA, 6, 0x9000 + n * 0x1000, 0x1000) for n in range(96)],
    ],
)
def test_a_table_that_would_break_a_board_is_refused(rows):
    with pytest.raises(BadTable):
        encode(rows, 8 << 20)


def test_a_table_with_one_bit_changed_is_none():
    table = bytearray(encode(BOARDS["esp32-8mb"].rows, 8 << 20))
    for at in range(0, 160, 7):
        table[at] ^= 4
        with pytest.raises(BadTable):
            decode(bytes(table))
        table[at] ^= 4


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"", "bootloader"),
        (b"\x7fELF", "bootloader"),
        (base_image()[:100], "no partition table"),
        (S3_BOOTLOADER + base_image(), "is for esp32s3, and this board is an esp32"),
        (b"\xe9" * 100, "is for another chip"),
        (base_image()[:-1000], r"no program|no partition"),
        (base_image() + bytes(0x1F0000), "ends behind"),
    ],
)
def test_what_is_no_base_image_is_refused_with_the_reason(image, why):
    with pytest.raises(flash.BadImage, match=why):
        flash.merged(image, BOARDS["esp32-8mb"])


def test_each_role_has_a_program_and_each_program_is_there():
    assert {role for role, _, _ in PROGRAMS} == set(ROLES)
    assert {link for _, link, _ in PROGRAMS} == set(LINKS)
    for program in PROGRAMS.values():
        text = (ROOT / "firmware" / f"{program}.py").read_text()
        assert hardware_of(program) == (("esp32s3",) if "esp32s3" in text else ("esp32",))
    assert {kind.chip for kind in BOARDS.values()} == set(CHIPS.values())
    assert set(UPDATERS) <= set(PROGRAMS.values())
    with pytest.raises(work.BadOrder, match="lock on tls: no program; lock hangs on serial"):
        work.program_of("lock", "tls", codes=False)


def test_who_a_reader_is_comes_from_its_kit_and_the_rest_from_the_file(tmp_path):
    kit = site_kit.read(kit_file(tmp_path / "kit"))
    file = settings_file(tmp_path / "reader.toml")
    who = provision.identity(kit, 1001, "pos", file, {"menu": b"m"})
    own = settings.decode(who.blobs["settings"])
    assert (own["device"], own["site"], own["merchant_no"]) == (1001, SITE, 71)
    assert own["device_key"] == kit.device_keys(1001)["device_key"] and "read_key" not in own
    assert own["policy"]["no_pin_max_fen"] == 5000
    assert "pppp" not in repr(who) and "kkkk" not in repr(kit)
    with pytest.raises(provision.NoReadKey):
        provision.identity(kit, 1001, "door", file, {})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('device_key = "00"', "device_key: comes from the site's kit"),
        ("device = 5", "device: comes from the site's kit"),
        ('read_key = { env = "X" }', "comes from the site's kit"),
        ("nonsense = 1", "unknown setting"),
    ],
)
def test_a_file_of_common_settings_has_no_keys_and_no_number(tmp_path, line, why):
    kit = site_kit.read(kit_file(tmp_path / "kit"))
    (tmp_path / "reader.toml").write_text(line + READER.format(epoch=1))
    with pytest.raises(BadSettings, match=why):
        provision.identity(kit, 1001, "pos", tmp_path / "reader.toml", {})


def test_a_kit_that_others_can_read_is_refused(tmp_path):
    kit_file(tmp_path / "kit").chmod(0o640)
    with pytest.raises(KeysError, match="others may read it"):
        site_kit.read(tmp_path / "kit")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing in it"),
        ("port,device\n", "nothing in it"),
        ("port,device\n/dev/a,x\n", ":2: port and device"),
        ("port,device\n/dev/a,1\n/dev/a,2\n", ":3: port or device stands there twice"),
        ("port,device\n/dev/a,1\n/dev/b,1\n", ":3: port or device stands there twice"),
        ("port,device\n/dev/a,0\n", "no number of a reader"),
        ("port;device\n/dev/a;1\n", ":2: port and device"),
    ],
)
def test_a_list_with_a_mistake_is_refused_before_the_first_board(tmp_path, text, why):
    (tmp_path / "boards.csv").write_text(text)
    with pytest.raises(batch.BadBatch, match=why):
        batch.read(tmp_path / "boards.csv")


def row(device, mac, **more):
    return {"site": SITE, "device": device, "mac": mac, **more}


def test_a_log_with_a_torn_end_keeps_what_was_said_and_goes_on(tmp_path):
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.add(row(1, "aa"))
        log.add(row(2, "bb"))
    whole = path.read_bytes()
    for cut in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:cut])
        with Log(path) as torn:
            assert torn.done(SITE, 1) and not torn.done(SITE, 2)
            torn.add(row(3, "cc"))
        assert [json.loads(line)["device"] for line in path.read_text().splitlines()] == [1, 3]


def test_a_number_has_one_board_and_a_board_one_number(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.add(row(1, "aa"))
    for device, mac in ((1, "bb"), (2, "aa")):
        with pytest.raises(DeviceError) as caught:
            log.begin(SITE, device, mac)
        assert caught.value.cause == 11
    log.add(row(1, "bb"))  # said with --replace
    log.begin(SITE, 1, "bb")
    log.begin(SITE, 2, "aa")
    log.add(row(2, "bb"))
    assert log.done(SITE, 1) is None  # its board is another reader now


def test_a_log_that_cannot_be_used_is_told_before_the_first_board(tmp_path):
    with pytest.raises(OSError):
        Log(tmp_path / "none" / "log.jsonl")
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.add(row(1, "aa"))
        with pytest.raises(BadLog, match="another provisioning writes to it"):
            Log(path)
    whole = path.read_bytes()
    for damaged in (b"{\n", b"\n", b"[]\n", b'{"site": "x", "device": 1}\n', whole[5:]):
        path.write_bytes(whole + damaged + whole)
        with pytest.raises(BadLog, match=r"log\.jsonl:2: this line is damaged.*take the line out"):
            Log(path)
        assert path.read_bytes() == whole + damaged + whole


def test_a_number_is_its_boards_from_before_it_is_touched(tmp_path):
    """The station dies between the board and the line that says it is done."""
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.begin(SITE, 1, "aa")
    with Log(path) as log:
        assert log.done(SITE, 1) is None
        for device, mac in ((1, "bb"), (2, "aa")):
            with pytest.raises(DeviceError) as caught:
                log.begin(SITE, device, mac)
            assert caught.value.cause == 11
        log.begin(SITE, 1, "aa")
        log.add(row(1, "aa", program_digest="1"))
    with Log(path) as log:
        assert log.done(SITE, 1)
        log.begin(SITE, 1, "aa")  # with other settings, and cut off
    with Log(path) as log:
        assert log.done(SITE, 1) is None  # so the old ones are not on it any more either
        log.begin(SITE, 1, "bb", replace=True)
        log.begin(SITE, 2, "aa")


@pytest.mark.parametrize(
    "manifest", [[], "x", 7, {}, {"program": "main", "version": "2"}, {"program": [], "slot": 1}]
)
def test_a_manifest_on_a_board_that_is_none_stops_nothing(monkeypatch, manifest):
    told = {"version": [1, 28, 0], "manifest": manifest, "slots": "00"}
    monkeypatch.setattr(processes, "probe", lambda port: None)
    monkeypatch.setattr(processes, "call", lambda *words: dict(told))
    facts = provision.inspect("port")
    assert facts["manifest"] is None
    assert provision.version_of(facts, "main") == 0


def test_a_release_without_a_program_is_refused_before_any_board(tmp_path):
    file = release_file(tmp_path / "a.release", files={"boot.py": b"import gc\n"})
    with pytest.raises(BadRelease, match=r"no main\.py"):
        work.signed(file, [public_file(tmp_path / "a.pub")], 1, "pos")


def test_a_board_keeps_its_number_until_it_has_its_next_one(tmp_path):
    """Cut off at the first byte, the board that was to be reader 2 goes on as reader 1."""
    path = tmp_path / "log.jsonl"
    with Log(path) as log:
        log.add(row(1, "aa"))
        log.begin(SITE, 2, "aa", replace=True)
    with Log(path) as log:
        for device in (1, 2):
            with pytest.raises(DeviceError, match="is board aa"):
                log.begin(SITE, device, "cc")
        log.add(row(2, "aa"))
        log.begin(SITE, 1, "cc")


def test_who_had_a_number_that_goes_to_another_board_is_told(tmp_path):
    """The ledger would take what the second one tells for a copy of the first (311)."""
    with Log(tmp_path / "log.jsonl") as log:
        assert log.begin(SITE, 1, "aa") == ""
        assert log.begin(SITE, 1, "bb", replace=True) == "", "begun, and never a reader"
        log.add(row(1, "bb"))
        assert log.begin(SITE, 1, "bb", replace=True) == "", "it is its own"
        log.add(row(1, "bb"))
        assert log.begin(SITE, 1, "cc", replace=True) == "bb"


def test_another_board_takes_a_number_over_though_all_else_is_the_same(tmp_path):
    """--replace looks at the board; the one that has the number already is left as it is."""
    jobs, same, did = [batch.Job("a", 1), batch.Job("b", 2)], {"program_digest": "1"}, []
    at = {"a": "cc", "b": "bb"}

    def act(job):
        if log.done(SITE, job.device)["mac"] == at[job.port]:
            return None
        did.append(job.port)
        log.begin(SITE, job.device, at[job.port], replace=True)
        return row(job.device, at[job.port])

    with Log(tmp_path / "log.jsonl") as log:
        for device, mac in ((1, "aa"), (2, "bb")):
            log.add({**row(device, mac), **same})
        words = jobs, log, SITE, lambda _: same, act, lambda _: None
        assert batch.run(*words, looks_at_all=True) == batch.Result(1, 1, [])
        assert did == ["a"] and log.done(SITE, 1)["mac"] == "cc"


@pytest.mark.parametrize("jobs_at_once", [1, 4])
def test_200_boards_with_failures_in_the_middle_and_a_resume(tmp_path, jobs_at_once):
    jobs = [batch.Job(f"/dev/{number}", number) for number in range(1, 201)]
    bad, did = {57, 58, 130}, []

    def act(job):
        if job.device in bad:
            raise DeviceError(4, job.port)
        did.append(job.device)
        return row(job.device, f"{job.device:04x}")

    def once(what="1"):
        with Log(tmp_path / "log.jsonl") as log:
            same = {"program_digest": what}
            return batch.run(jobs, log, SITE, lambda _: same, act, said.append, jobs_at_once)

    said = []
    first = once()
    assert (first.done, first.before) == (197, 0)
    assert sorted(job.device for job, _ in first.failed) == [57, 58, 130]
    assert sum("[cause 4]" in line for line in said) == 3
    bad.clear()
    again = once()
    assert (again.done, again.before, again.failed) == (3, 197, [])
    assert sorted(did) == list(range(1, 201))  # each of them once
    assert once("2").done == 200  # other settings, so all of them


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("mpremote: failed to access /dev/ttyUSB0 (it may be in use by another program)", 3),
        ("[Errno 13] Permission denied: '/dev/ttyUSB0'", 2),
        ("could not open port /dev/x: [Errno 2] No such file or directory: '/dev/x'", 1),
        ("Failed to connect to ESP32: No serial data received.", 4),
        ("mpremote.transport.TransportError: could not enter raw repl", 4),
        ("rst:0x10\ninvalid header: 0xffffffff\ncould not enter raw repl", 5),
        ("something that nobody has seen", 7),
    ],
)
def test_what_the_tools_say_has_a_cause(said, cause):
    assert processes._cause(said) == cause and cause in CAUSES


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_is_put_on_no_board(tmp_path, mode):
    names = ("tls_key", "tls_cert", "tls_ca1", "wifi_key")
    for name in names:
        (tmp_path / name).write_bytes(b"secret\n")
        (tmp_path / name).chmod(0o600)
    word = f"wifi_key={tmp_path / 'wifi_key'}"
    found = work.stored(tmp_path, [word])
    assert found == dict.fromkeys(names[:3], b"secret\n") | {"wifi_key": b"secret"}
    (tmp_path / "tls_cert").chmod(mode)
    assert work.stored(tmp_path, [word]) == found
    for name, tls in (("tls_key", tmp_path), ("wifi_key", None)):
        (tmp_path / name).chmod(mode)
        with pytest.raises(work.BadOrder, match=rf"{name}: others may read it \(mode 0{mode:o}\)"):
            work.stored(tls, [word])
