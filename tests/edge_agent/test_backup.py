"""A box from a backup, also an old one: readers go on, and nothing is booked twice or lost."""

import io
import random
import shutil
import stat
import subprocess
import sys
import tarfile

import pytest
from typer.testing import CliRunner

from edge_agent import decisions
from edge_agent.backup import BackupError, back_up, restore
from edge_agent.config import load_from, read
from simulator.power_cut import Disk, NoStrace, traced, wait_for_end
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger
from tools.cli import app

A = 1001


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "data").mkdir()
    (folder / "ledger.pub").write_text(Ledger().public_key.hex())
    broker = 'host = "127.0.0.1"\nport = 1\n'
    (folder / "agent.toml").write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{broker}[upstream]\n{broker}"
    )
    return folder


def _back_up(box, out):
    source = read(str(box / "agent.toml"), {"PATH": ""})
    config = load_from(source, str(box / "agent.toml"))
    return back_up(box / "agent.toml", config, source.table, out)


def test_a_new_box_from_an_old_backup_of_a_running_one(box, tmp_path):
    building = Building(box / "data", Ledger([A]), [A])
    reader = building.readers[A]
    reader.write(40)
    building.play()
    building.upstream.down()
    reader.write(16)
    building.say(A, reader.batch())
    building.step()
    names = _back_up(box, tmp_path / "backup.tar.gz")  # while the agent has all of it open
    assert names == ["agent.toml", "ledger.pub", "data/agent.sqlite", "data/inventory.json"] or (
        names == ["agent.toml", "ledger.pub", "data/agent.sqlite"]
    )
    assert stat.S_IMODE((tmp_path / "backup.tar.gz").stat().st_mode) == 0o600
    building.upstream.up()
    reader.write(24)
    building.play()
    building.crash()
    shutil.rmtree(box)  # stolen, days later
    restored = restore(tmp_path / "backup.tar.gz", box)
    assert sorted(restored) == sorted(names)
    assert stat.S_IMODE((box / "data" / "agent.sqlite").stat().st_mode) == 0o600
    building.start()
    reader.write(8)
    building.play()
    building.settle()
    assert building.ledger.booked[A] == reader.journal
    assert reader.receipted == 88


def test_who_is_admitted_is_in_a_backup(box, tmp_path):
    path = box / "data" / decisions.NAME
    decisions.Decisions(path).create()
    decisions.Decisions(path).append({"act": decisions.DENIED, "device": A, "link": "network"})
    _back_up(box, tmp_path / "backup.tar.gz")
    shutil.rmtree(box)
    restore(tmp_path / "backup.tar.gz", box)
    assert decisions.standing(path).denied == {(A, "network")}
    decisions.Decisions(path).create()  # its mode is what an agent asks for


def test_who_was_denied_since_is_admitted_by_an_old_backup_which_says_so(box, tmp_path):
    (box / "agent.toml").open("a").write("[enrolment]\nrequired = true\n")
    path = box / "data" / decisions.NAME
    file = decisions.Decisions(path)
    file.create()
    for device in (A, A + 1):
        file.append({"act": decisions.APPROVED, "device": device, "link": "network"})
    _back_up(box, tmp_path / "backup.tar.gz")
    file.append({"act": decisions.DENIED, "device": A, "link": "network"})
    shutil.rmtree(box)
    done = CliRunner().invoke(app, ["agent", "restore", str(tmp_path / "backup.tar.gz"), str(box)])
    assert done.exit_code == 0 and set(decisions.standing(path).links) == {A, A + 1}
    assert "It admits 2 readers, as of the backup" in done.output
    # It can be said before the agent runs.
    words = ["deny", str(box / "agent.toml"), "--device", str(A), "--by", "wang"]
    assert CliRunner().invoke(app, ["agent", "enrol", *words]).exit_code == 0
    assert set(decisions.standing(path).links) == {A + 1}


def test_without_a_list_of_readers_nothing_is_said_of_one(box, tmp_path):
    _back_up(box, tmp_path / "backup.tar.gz")
    new = str(tmp_path / "new")
    done = CliRunner().invoke(app, ["agent", "restore", str(tmp_path / "backup.tar.gz"), new])
    assert done.exit_code == 0 and "admits" not in done.output


def test_a_password_is_in_a_backup_and_a_handed_over_one_is_not(box, tmp_path, monkeypatch):
    (box / "ha.password").write_text("x")
    (box / "ha.password").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(box))
    text = (box / "agent.toml").read_text()
    for number, name in enumerate(("ha.password", "$CREDENTIALS_DIRECTORY/ha.password")):
        (box / "agent.toml").write_text(
            f'{text}[home_assistant]\nhost = "10.0.0.7"\nport = 1883\nuser = "onecard"\n'
            f'password_file = "{name}"\n'
        )
        names = _back_up(box, tmp_path / f"{number}.tar.gz")
        assert ("ha.password" in names) is (number == 0)


def test_nothing_is_ever_written_over(box, tmp_path):
    _back_up(box, tmp_path / "backup.tar.gz")
    with pytest.raises(BackupError, match="is there already"):
        _back_up(box, tmp_path / "backup.tar.gz")
    with pytest.raises(BackupError, match="is not empty"):
        restore(tmp_path / "backup.tar.gz", box)


def test_a_file_that_lies_elsewhere_is_not_left_out_in_silence(box, tmp_path):
    (box / "ledger.pub").rename(tmp_path / "ledger.pub")
    text = (box / "agent.toml").read_text().replace('"ledger.pub"', '"../ledger.pub"')
    (box / "agent.toml").write_text(text)
    with pytest.raises(BackupError, match="lies elsewhere"):
        _back_up(box, tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "data/../../evil"])
def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        for each in ("agent.toml", name):
            entry = tarfile.TarInfo(each)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(BackupError, match="no backup of ours"):
        restore(tmp_path / "evil.tar.gz", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_no_backup_is_said_to_be_none(tmp_path):
    (tmp_path / "text").write_bytes(b"no archive")
    with pytest.raises(BackupError, match="text: "):
        restore(tmp_path / "text", tmp_path / "new")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("something"), io.BytesIO())
    with pytest.raises(BackupError, match="is no backup of an agent"):
        restore(tmp_path / "other.tar.gz", tmp_path / "new")


def test_every_byte_of_a_backup_cut_off_is_refused(box, tmp_path):
    _back_up(box, tmp_path / "backup.tar.gz")
    whole = (tmp_path / "backup.tar.gz").read_bytes()
    for length in range(0, len(whole) - 8, 7):  # gzip ends with eight bytes of checksum and size
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(BackupError):
            restore(tmp_path / "cut", tmp_path / "new")


# -- a power cut --------------------------------------------------------------------------------


def _watched(folder, log, *words):
    """The disk under `folder` as it was before `onecard agent` ran; `log` is what that wrote."""
    disk = Disk(folder)
    command = [sys.executable, "-m", "tools.cli", "agent", *map(str, words)]
    try:
        command = traced(command, log)
    except NoStrace as error:
        pytest.skip(str(error))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    wait_for_end(log, process.pid)
    return disk


def test_after_a_cut_a_backup_is_there_whole_or_not_at_all(box, tmp_path):
    building = Building(box / "data", Ledger([A]), [A])
    building.readers[A].write(40)
    building.play()
    building.crash()
    kept = tmp_path / "kept"
    kept.mkdir()
    out = kept / "backup.tar.gz"
    disk = _watched(kept, tmp_path / "log", "backup", box / "agent.toml", out)
    whole = out.read_bytes()
    luck, calls, seen = random.Random(7), 0, set()
    for _call in disk.play(tmp_path / "log"):
        calls += 1
        for left in (disk.left(), disk.left(luck)):
            seen.add(left.get(str(out)))
    assert seen == {None, whole} and calls > 10
    # It has said that it is done: from then on it is there, whatever was not flushed.
    assert disk.left()[str(out)] == whole


def test_after_a_cut_a_half_restored_box_has_no_configuration(box, tmp_path):
    building = Building(box / "data", Ledger([A]), [A])
    building.readers[A].write(40)
    building.play()
    building.crash()
    _back_up(box, tmp_path / "backup.tar.gz")
    kept = tmp_path / "kept"
    kept.mkdir()
    new = kept / "new"
    disk = _watched(kept, tmp_path / "log", "restore", tmp_path / "backup.tar.gz", new)
    wanted = {str(path): path.read_bytes() for path in new.rglob("*") if path.is_file()}
    luck, partial = random.Random(7), 0
    for _call in disk.play(tmp_path / "log"):
        for left in (disk.left(), disk.left(luck)):
            if str(new / "agent.toml") in left:
                assert {name: left.get(name) for name in wanted} == wanted
            else:
                partial += bool(left)
    assert partial > 5
    assert disk.left() == wanted


def test_a_backup_that_fails_leaves_nothing_behind(box, tmp_path):
    (box / "data" / "agent.sqlite").write_bytes(b"no database" * 999)
    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(BackupError, match=r"agent\.sqlite"):
        _back_up(box, kept / "backup.tar.gz")
    assert list(kept.iterdir()) == []
