"""`onecard device` on simulated boards: real esptool, mpremote and MicroPython, and power cuts."""

import os
import subprocess
import threading
import time

import pytest
from typer.testing import CliRunner

from simulator.board.base_image import base_image
from simulator.board.served import FLASH, served
from tests.device.bench import (
    board,
    chip,
    kit_file,
    public_file,
    release_file,
    settings_file,
    trouble,
)
from tools.cli import app
from tools.device import boards, flash, ports, processes, provision, work
from tools.device.errors import DeviceError
from tools.keys import site_kit

_TEAR = "f = open('reader_0.mpy', 'w'); f.write('torn'); f.close()"


@pytest.fixture
def kit(tmp_path):
    return kit_file(tmp_path / "kit")


@pytest.fixture
def reader(tmp_path):
    return settings_file(tmp_path / "reader.toml")


@pytest.fixture(autouse=True)
def program(tmp_path):
    """The release is of a small program; that of a POS is put by test_provisioning_doc.py."""
    public_file(tmp_path / "signer.pub")
    return release_file(tmp_path / "program.release")


def onecard(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def order(tmp_path, kit, reader):
    """What is the same for every board."""
    words = ["--role", "pos", "--kit", kit, "--settings", reader, "--log", tmp_path / "log.jsonl"]
    return [*words, "--release", tmp_path / "program.release", "--key", tmp_path / "signer.pub"]


# What is said to whoever gives a number to a second board: its sales would wait in suspense.
USED = "retire the number"


def put(tmp_path, url, kit, reader, device=1001, *more):
    words = ["--port", url, "--device", device, *order(tmp_path, kit, reader)]
    return onecard("device", "provision", *words, *more)


def inspected(url):
    with ports.opened(url) as port:
        return provision.inspect(port)


def test_a_board_becomes_a_reader_and_shows_no_key(tmp_path, kit, reader, monkeypatch):
    url = board(tmp_path / "board")
    started = []
    run = subprocess.run

    def watched(words, **options):
        started.append(" ".join(map(str, words)))
        return run(words, **options)

    monkeypatch.setattr(processes.subprocess, "run", watched)
    done = put(tmp_path, url, kit, reader)
    assert done.exit_code == 0 and "1 done, 0 before" in done.output, done.output
    keys = [b"k" * 32, b"p" * 16, b"m" * 16]
    keys.append(site_kit.read(kit).device_keys(1001)["device_key"])
    stored = chip(tmp_path / "board").nvs()["settings"]
    assert all(key in stored for key in keys[1:]) and keys[0] not in stored
    shown = onecard("device", "show", "--port", url, "--kit", kit)
    assert (
        "key_of_this_kit          this one" in shown.output and "set, check value" in shown.output
    )
    log = (tmp_path / "log.jsonl").read_text()
    for text in (*started, done.output, shown.output, log):
        assert not [key for key in keys if key.hex() in text]
    assert onecard("device", "doctor", "--port", url, "--kit", kit).exit_code == 0
    # The same once more is nothing; other settings are put on, and only them.
    assert "0 done, 1 before" in put(tmp_path, url, kit, reader).output
    settings_file(reader, epoch=2)
    words = ["--port", url, "--role", "pos", "--kit", kit, "--settings", reader]
    applied = onecard("device", "apply", *words, "--log", tmp_path / "log.jsonl")
    assert applied.exit_code == 0, applied.output
    assert "'epoch': 2" in onecard("device", "show", "--port", url).output
    # It is written down: a batch with these settings has nothing to do.
    assert "0 done, 1 before" in put(tmp_path, url, kit, reader).output


def test_its_next_key_leaves_its_journal_and_another_reader_is_refused(tmp_path, kit, reader):
    url = board(tmp_path / "board")
    assert put(tmp_path, url, kit, reader).exit_code == 0
    flash_file = chip(tmp_path / "board")
    start = flash_file.partition("journal").start
    flash_file.program(start, b"a record that nobody else has")
    flash_file.close()
    kit_file(kit, key=b"n" * 32, previous=b"k" * 32)
    assert put(tmp_path, url, kit, reader).exit_code == 0
    # Neither becomes it a reader of another site by its settings alone.
    other_site = kit_file(tmp_path / "other.kit", site="gate-9")
    words = ["--port", url, "--role", "pos", "--kit", other_site, "--settings", reader]
    applied = onecard("device", "apply", *words, "--log", tmp_path / "other.jsonl")
    assert applied.exit_code == 2 and "[cause 10]" in applied.stderr, applied.output
    refused = put(tmp_path, url, kit, reader, 1002, "--replace")
    assert refused.exit_code == 1 and "[cause 10]" in refused.stderr
    flash_file = chip(tmp_path / "board")
    assert flash_file.read(start, 8) == b"a record"
    flash_file.close()
    assert inspected(url)["settings"]["device"] == 1001
    done = put(tmp_path, url, kit, reader, 1002, "--replace", "--lose-journal")
    assert done.exit_code == 0, done.output
    facts = inspected(url)
    assert (facts["settings"]["device"], facts["journal_sectors"]) == (1002, 0)
    assert USED not in done.output, "nobody had the number"
    other = put(tmp_path, board(tmp_path / "other", 2), kit, reader, 1002, "--replace")
    assert other.exit_code == 0 and USED in other.stderr and facts["mac"] in other.stderr


def test_cut_off_anywhere_it_runs_nothing_or_all_of_it_and_is_provisioned_again(
    tmp_path, kit, reader, program
):
    folder = tmp_path / "board"
    url = board(folder)
    assert put(tmp_path, url, kit, reader).exit_code == 0
    release_file(program, 2)
    cut_off = 0
    for cut in range(0, 40, 2):
        trouble(folder, cut_after=cut)
        failed = put(tmp_path, url, kit, reader)
        if not failed.exit_code:
            break
        cut_off += 1
        assert failed.exit_code == 1 and "[cause " in failed.stderr, (cut, failed.output)
        trouble(folder)
        facts = inspected(url)
        found = facts["files"].get("main.py")
        # Before the first write it is the reader that it was; then nothing runs.
        is_old = found is not None and facts["manifest"]["version"] == 2
        assert found is None or is_old, cut
    assert cut_off > 1 and failed.exit_code == 0
    trouble(folder)
    assert inspected(url)["manifest"]["version"] == 3
    assert onecard("device", "doctor", "--port", url).exit_code == 0


def test_why_a_board_does_not_answer(tmp_path, kit, reader, monkeypatch):
    dead = board(tmp_path / "dead", is_dead=True)
    bare = board(tmp_path / "bare", is_bare=True)
    fresh = board(tmp_path / "fresh")
    for url, cause in ((bare, 5), (dead, 4), (f"sim://{tmp_path}/none", 1), ("/dev/none", 1)):
        # Only where nothing comes is all of it waited for.
        monkeypatch.setattr(processes, "PROBE_S", 0.5 if url == dead else 5.0)
        found = onecard("device", "doctor", "--port", url)
        assert found.exit_code == 1 and f"[cause {cause}]" in found.output
        refused = onecard("device", "show", "--port", url)
        assert refused.exit_code == 2 and f"[cause {cause}]" in refused.stderr
    found = onecard("device", "doctor", "--port", fresh)
    assert found.exit_code == 1 and "[cause 13]" in found.output


def test_a_torn_program_is_found(tmp_path, kit, reader):
    url = board(tmp_path / "board")
    assert put(tmp_path, url, kit, reader).exit_code == 0
    with ports.opened(url) as port:
        words = ["connect", port, "resume", "exec", _TEAR]
        processes._run("mpremote", words, 60)
    found = onecard("device", "doctor", "--port", url)
    assert found.exit_code == 1 and "reader_0.mpy: its program is not whole" in found.output


def test_behind_a_reset_a_board_is_spoken_to_in_its_next_life(tmp_path):
    """A bug that was found: said to the life that ended, a word was waited for without end."""
    with ports.opened(board(tmp_path / "board")) as port:
        words = ["connect", port, "resume", "exec"]
        processes._run("mpremote", [*words, "is_old = True"], 60)
        processes.reset(port)
        assert processes._run("mpremote", [*words, "print('is_old' in globals())"], 60).split()[
            -1:
        ] == ["False"]


def test_esptool_flashes_a_bare_board_and_leaves_a_journal(tmp_path):
    folder = tmp_path / "board"
    url = board(folder, is_bare=True)
    (tmp_path / "base.bin").write_bytes(base_image())
    done = onecard("device", "flash", "--port", url, "--base", tmp_path / "base.bin")
    assert done.exit_code == 0, done.output
    flash_file = chip(folder)
    assert flash_file.can_boot() and flash_file.partition("journal") is not None
    start = flash_file.partition("journal").start
    flash_file.program(start, b"records")
    again = onecard("device", "flash", "--port", url, "--base", tmp_path / "base.bin")
    assert again.exit_code == 0 and flash_file.read(start, 7) == b"records"
    flash_file.close()
    words = ["--board", "esp32-4mb", "--base", tmp_path / "base.bin"]
    other = onecard("device", "flash", "--port", url, *words)
    assert other.exit_code == 2 and "[cause 10]" in other.stderr


def test_power_lost_while_it_is_flashed_and_flashed_again(tmp_path):
    folder, base = tmp_path / "board", tmp_path / "base.bin"
    url = board(folder, is_bare=True, cut_after=20)
    base.write_bytes(base_image())
    failed = onecard("device", "flash", "--port", url, "--base", base)
    assert failed.exit_code == 2 and "[cause " in failed.stderr
    trouble(folder)
    assert not chip(folder).can_boot()
    assert onecard("device", "flash", "--port", url, "--base", base).exit_code == 0
    assert chip(folder).can_boot()


def test_power_lost_while_it_is_flashed_and_another_board_comes_to_its_port(tmp_path):
    """A bug that was found: esptool went on at the board that came, and said that all was well."""
    base, port = tmp_path / "base.bin", tmp_path / "ttyUSB0"
    base.write_bytes(base_image())
    cut = board(tmp_path / "cut", 1, is_bare=True, cut_after=20)
    board(tmp_path / "other", 2)
    flash_file = chip(tmp_path / "other")
    flash_file.program(0xC000, b"of somebody else")  # where the base image has nothing
    flash_file.close()
    is_over = threading.Event()

    def comes(gone):
        while gone.exists():
            time.sleep(0.001)
        with served(tmp_path / "other") as there:
            port.unlink()
            port.symlink_to(there)
            is_over.wait(60)

    with ports.opened(cut) as gone:
        port.symlink_to(gone)
        other = threading.Thread(target=comes, args=[port.readlink()])
        other.start()
        with pytest.raises(DeviceError):
            flash.flash(str(port), boards.BOARDS["esp32-8mb"], base, lose_journal=False)
        other_came = str(port.readlink()) != gone
        is_over.set()
        other.join()
        # Its name is nobody else's while it is there, also behind who had it open.
        handles = os.openpty()
        name = os.ttyname(handles[1])
        for handle in handles:
            os.close(handle)
    assert name != gone
    flash_file = chip(tmp_path / "other")
    assert other_came and flash_file.read(0xC000, 16) == b"of somebody else"
    flash_file.close()


def test_nothing_is_flashed_on_another_board_than_was_looked_at(tmp_path, monkeypatch):
    """The table is read and the image written by two openings of the port; cables are swapped."""
    base, port = tmp_path / "base.bin", tmp_path / "ttyUSB0"
    base.write_bytes(base_image())
    board(tmp_path / "bare", 1, is_bare=True)
    inspected(board(tmp_path / "other", 2))  # it has made its file system
    before = (tmp_path / "other" / FLASH).read_bytes()
    esptool = processes.esptool
    with served(tmp_path / "bare") as mine, served(tmp_path / "other") as theirs:
        port.symlink_to(mine)

        def swapped(*words, **options):
            said = esptool(*words, **options)
            port.unlink()
            port.symlink_to(theirs)
            return said

        monkeypatch.setattr(processes, "esptool", swapped)
        with pytest.raises(DeviceError) as refused:
            flash.flash(str(port), boards.BOARDS["esp32-8mb"], base, lose_journal=True)
    assert refused.value.cause == 19
    assert (tmp_path / "other" / FLASH).read_bytes() == before


def test_what_was_flashed_is_what_is_provisioned(tmp_path, kit, reader, monkeypatch):
    """A bare board says who it is to esptool only; another one answers behind that."""
    base = tmp_path / "base.bin"
    base.write_bytes(base_image())
    board(tmp_path / "other", 2)
    bare = board(tmp_path / "bare", 1, is_bare=True)
    facts = inspected(f"sim://{tmp_path / 'other'}")
    before = (tmp_path / "other" / FLASH).read_bytes()
    looks = iter([DeviceError(5, "bare"), facts])

    def inspect(_port):
        look = next(looks)
        if isinstance(look, DeviceError):
            raise look
        return look

    monkeypatch.setattr(work.provisioning, "inspect", inspect)
    refused = put(tmp_path, bare, kit, reader, 1001, "--base", base)
    assert refused.exit_code and "[cause 19]" in refused.stderr, refused.output
    assert (tmp_path / "log.jsonl").read_bytes() == b"", "no number was given to it"
    assert (tmp_path / "other" / FLASH).read_bytes() == before


def test_nothing_is_put_on_another_board_than_was_looked_at(tmp_path, kit, reader, monkeypatch):
    """Two boards that start anew at once may come back at each other's port."""
    url, other = board(tmp_path / "board", 1), board(tmp_path / "other", 2)
    assert put(tmp_path, url, kit, reader).exit_code == 0
    inspected(other)  # it has made its file system
    before = (tmp_path / "other" / FLASH).read_bytes()
    facts = inspected(url)
    settings_file(reader, epoch=2)
    words = ["--port", other, "--role", "pos", "--kit", kit, "--settings", reader]
    # The look was at the one, and all that follows goes to the other.
    for files, again in (
        (facts["files"], lambda: put(tmp_path, other, kit, reader)),
        ({}, lambda: put(tmp_path, other, kit, reader)),
        ({}, lambda: onecard("device", "apply", *words, "--log", tmp_path / "log.jsonl")),
    ):
        looked = {**facts, "files": files}
        monkeypatch.setattr(work.provisioning, "inspect", lambda port, looked=looked: looked)
        refused = again()
        assert refused.exit_code and "[cause 19]" in refused.stderr, refused.output
        assert (tmp_path / "other" / FLASH).read_bytes() == before
