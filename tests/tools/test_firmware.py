"""`onecard firmware` and `onecard ledger firmware`: signed offline, set by share, listed."""

import stat

import pytest
from typer.testing import CliRunner

from ledger.release_file import BadRelease, Release
from protocols.rules import release as rules
from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger
from tools import ledger_firmware
from tools.cli import app
from tools.firmware import build, release

IMAGE = bytes(range(256)) * 40


def onecard(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


@pytest.fixture
def file(tmp_path):
    """A release that nobody has signed."""
    path = tmp_path / "main-2.release"
    release.write(path, Release("main", 2, 1, IMAGE))
    return path


@pytest.fixture
def keys(tmp_path):
    """Two keys of releases."""
    paths = [tmp_path / "a.pem", tmp_path / "b.pem"]
    for path in paths:
        assert onecard("firmware", "key", path).exit_code == 0
    return paths


def test_a_key_is_its_owners_alone_and_never_written_over(keys):
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    before = keys[0].read_bytes()
    assert onecard("firmware", "key", keys[0]).exit_code == 2
    assert keys[0].read_bytes() == before


@pytest.mark.parametrize("there", ["a.pem", "a.pub"])
def test_where_one_half_of_a_key_is_there_the_other_is_not_made(tmp_path, there):
    """A public key beside another's private one would be trusted, and nobody could sign."""
    (tmp_path / there).write_text("another's")
    done = onecard("firmware", "key", tmp_path / "a.pem")
    assert done.exit_code == 2 and there in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == [there]
    assert onecard("firmware", "key", tmp_path / "b.pub").exit_code == 2


def test_a_signature_is_written_through_nobodys_link(file, keys):
    target = file.with_name("precious")
    target.write_text("as it was")
    file.with_name(file.name + ".new").symlink_to(target)
    assert onecard("firmware", "sign", file, "--key", keys[0]).exit_code == 0
    assert target.read_text() == "as it was"
    assert len(release.read(file).signatures) == 1 and not file.is_symlink()


def test_a_key_that_others_can_read_signs_nothing(file, keys):
    before = file.read_bytes()
    keys[0].chmod(0o640)
    done = onecard("firmware", "sign", file, "--key", keys[0])
    assert done.exit_code == 2 and "others may read it" in done.stderr, done.output
    assert file.read_bytes() == before


def test_two_sign_and_it_verifies(file, keys):
    public = [part for key in keys for part in ("--key", key.with_suffix(".pub"))]
    assert onecard("firmware", "verify", file, *public).exit_code == 1
    for count, key in enumerate(keys, 1):
        done = onecard("firmware", "sign", file, "--key", key)
        assert done.exit_code == 0 and f"{count} signatures" in done.output
    assert onecard("firmware", "verify", file, *public, "--needed", 2).exit_code == 0
    assert onecard("firmware", "verify", file, *public[:2], "--needed", 2).exit_code == 1
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    done = onecard("firmware", "verify", file, *public)
    assert done.exit_code == 2 and "slot.rom is not the one of the manifest" in done.stderr


def test_what_is_no_key_or_no_release_is_named(file, keys, tmp_path):
    public = keys[0].with_suffix(".pub")
    done = onecard("firmware", "sign", file, "--key", public)
    assert done.exit_code == 2 and "is no key of a release" in done.stderr
    done = onecard("firmware", "verify", file, "--key", keys[0])
    assert done.exit_code == 2 and "is no public key" in done.stderr
    done = onecard("firmware", "verify", public, "--key", public)
    assert done.exit_code == 2 and "is no release" in done.stderr
    done = onecard("firmware", "build", tmp_path / "x", "--version", 2, "--program", "main_pos")
    assert done.exit_code == 2 and "they are main, main_attendance" in done.stderr
    with pytest.raises(BadRelease, match="below its own"):
        build.build("main", 2, 2)


def test_it_is_set_by_share_and_listed(file, keys, tmp_path):
    path = tmp_path / "ledger.sqlite"
    readers = [Reader(device) for device in range(1001, 1021)]
    store = open_ledger(*readers, path=str(path))
    assert onecard("ledger", "firmware", "list", path).output == "no firmware was ever set\n"
    own = (path, file, "--key", keys[0].with_suffix(".pub"), "--person", "Wang Fang")
    done = onecard("ledger", "firmware", "set", *own, "--percent", 5)
    assert done.exit_code == 2 and "0 of the release keys; 1 have to" in done.stderr
    onecard("firmware", "sign", file, "--key", keys[0])
    done = onecard("ledger", "firmware", "set", *own, "--percent", 5, "--between", "02:00-02:60")
    assert done.exit_code == 2 and "is no window" in done.stderr
    done = onecard("ledger", "firmware", "set", *own, "--percent", 5, "--between", "18:00-20:30")
    line = "1: main 2, all sites, 18:00-20:30 UTC: 5 %, 1 readers; Wang Fang"
    assert (done.exit_code, done.output) == (0, line + "\n")
    # One reader runs something older and has come back from this one.
    (stage,) = store.firmware.current()
    ((device, _, _),) = store.firmware.chosen(stage)
    reader = readers[device - 1001]
    reader.boot()
    reader.write(messages.UPDATE, version=2, reason=rules.NOT_PROVEN)
    store.book([reader.records])
    lines = onecard("ledger", "firmware", "list", path).output.splitlines()
    assert lines[0] == line + "; 1 of them run something older"
    assert lines[1] == f"reader {device}: not 2: 603 " + ledger_firmware.REASONS[603]
    assert lines[2] == "version 1: 1 readers"
    done = onecard("ledger", "firmware", "set", *own, "--percent", 0, "--force")
    assert "at any hour: halted" in done.output and store.firmware.current() == []
    store.close()


@pytest.mark.parametrize("text", ["", "1-2", "18:00", "24:00-01:00", "18:00-18:00", "a:b-c:d"])
def test_no_window(text):
    with pytest.raises(BadRelease):
        ledger_firmware.window(text)
