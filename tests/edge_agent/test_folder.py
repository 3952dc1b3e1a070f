"""The agent's own folder is on the disk before the first reader hears that a record is."""

import sqlite3
import subprocess
import sys

import pytest

from simulator.power_cut import Disk, NoStrace, traced, wait_for_end

CODE = """
import sys
from pathlib import Path
from edge_agent.disk import make_folder
from edge_agent.store import Store
data = Path(sys.argv[1])
make_folder(data)
Store(str(data / "agent.sqlite")).put_many([(1001, 1, b"stored")])
"""


@pytest.mark.parametrize("path", ["data", "a/b/data"])
def test_a_cut_right_after_the_first_commit_costs_neither_folder_nor_record(tmp_path, path):
    box, log = tmp_path / "box", tmp_path / "log"
    box.mkdir()
    disk = Disk(box)
    try:
        command = traced([sys.executable, "-c", CODE, str(box / path)], log)
    except NoStrace as error:
        pytest.skip(str(error))
    process = subprocess.Popen(command)
    assert process.wait(30) == 0
    wait_for_end(log, process.pid)
    assert len(list(disk.play(log))) > 10
    disk.bring_back()
    with sqlite3.connect(box / path / "agent.sqlite") as database:
        assert database.execute("SELECT seq, sealed FROM record").fetchall() == [(1, b"stored")]
    database.close()
