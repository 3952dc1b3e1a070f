"""Many boards in one list: one is pulled, one is dead, the station is killed; and it goes on.

    ONECARD_BOARDS=200 pytest -s tests/device/test_batch.py

for as many as a campus gets in a delivery; it prints how long that took.
"""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256

from typer.testing import CliRunner

from protocols.rules import settings
from simulator.board.base_image import base_image
from simulator.board.served import FLASH
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
from tools.device import processes
from tools.keys import site_kit

MANY = max(4, int(os.environ.get("ONECARD_BOARDS", "4")))
FIRST = 1001
PULLED, DEAD = MANY // 2, MANY * 3 // 4
KILLED_AFTER = MANY // 3


def rows_of(log):
    """The lines of boards that are done, as far as the last whole one."""
    whole = log.read_bytes().rpartition(b"\n")[0]
    return [row for row in map(json.loads, whole.splitlines()) if not row.get("begun")]


def killed_in_the_middle(words):
    """Run it until KILLED_AFTER boards are done; then nothing of it is left."""
    station = subprocess.Popen(
        [sys.executable, "-m", "tools.cli", *words], stderr=subprocess.PIPE, start_new_session=True
    )
    done, said = 0, []
    while done < KILLED_AFTER:
        line = station.stderr.readline().decode()
        said.append(line)
        assert line, said
        done += line.endswith(": done\n")
    os.killpg(station.pid, signal.SIGKILL)
    station.wait()
    station.stderr.close()


def test_a_batch_with_failures_in_the_middle_and_a_resume(tmp_path, monkeypatch):
    kit = kit_file(tmp_path / "kit")
    folders = [tmp_path / f"board-{number}" for number in range(MANY)]
    urls = [board(folder, n, is_bare=n == 0) for n, folder in enumerate(folders)]
    trouble(folders[PULLED], cut_after=12)
    trouble(folders[DEAD], is_dead=True)
    lines = [f"{url},{FIRST + number}" for number, url in enumerate(urls)]
    (tmp_path / "boards.csv").write_text("\n".join(["port,device", *lines]))
    (tmp_path / "base.bin").write_bytes(base_image())
    log = tmp_path / "log.jsonl"
    words = ["device", "provision", "--batch", tmp_path / "boards.csv", "--role", "pos"]
    words += ["--kit", kit, "--settings", settings_file(tmp_path / "reader.toml"), "--log", log]
    words += ["--release", release_file(tmp_path / "a.release"), "--base", tmp_path / "base.bin"]
    words += ["--key", public_file(tmp_path / "a.pub"), "--jobs", "2"]
    words = [str(word) for word in words]

    started_s = time.monotonic()
    killed_in_the_middle(words)
    killed_s = time.monotonic() - started_s
    before = {row["device"]: flash_digest(folders[row["device"] - FIRST]) for row in rows_of(log)}
    assert KILLED_AFTER <= len(before) < MANY
    first = f"killed after {len(before)} of {MANY}; {killed_s:.1f} s"

    monkeypatch.setattr(processes, "PROBE_S", 0.5)
    again = CliRunner().invoke(app, words)
    left = sorted({PULLED, DEAD} - {device - FIRST for device in before})
    assert again.exit_code == 1, again.output
    counts = f"{MANY - len(before) - len(left)} done, {len(before)} before, {len(left)} failed"
    assert counts in again.output and f"{FIRST + DEAD} at {urls[DEAD]}" in again.stderr
    assert "[cause 4]" in again.stderr and "[cause 7]" in again.stderr

    monkeypatch.undo()
    for number in left:
        trouble(folders[number])
    last = CliRunner().invoke(app, words)
    assert last.exit_code == 0 and f"{len(left)} done, {MANY - len(left)} before" in last.output
    ends = [run.output.splitlines()[-1] for run in (again, last)]
    print("", first, *ends, f"all {time.monotonic() - started_s:.1f} s", sep="\n")

    # No board and no number twice, and what had been done was not touched again.
    rows = rows_of(log)
    assert sorted(row["device"] for row in rows) == list(range(FIRST, FIRST + MANY))
    assert len({row["mac"] for row in rows}) == MANY
    for device, digest in before.items():
        assert flash_digest(folders[device - FIRST]) == digest, device
    # Each has its own key, and all that it was to have.
    for number, folder in enumerate(folders):
        flash = chip(folder)
        own = settings.decode(flash.nvs()["settings"])
        flash.close()
        keys = site_kit.read(kit).device_keys(FIRST + number)
        assert (own["device"], own["device_key"]) == (FIRST + number, keys["device_key"])


def flash_digest(folder):
    return sha256((folder / FLASH).read_bytes()).digest()
