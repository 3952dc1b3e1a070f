"""Fourteen days without the ledger: the disk takes it, memory does not notice, it all drains."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.edge_agent.outage import READERS, RECORDS_A_DAY
from tests.tools.test_bench import check_shape
from tools.bench import agent_outage

DAYS = 14
MIB = 1 << 20


def test_an_outage_of_fourteen_days_costs_disk_and_no_memory(tmp_path, repo_root):
    shm = Path("/dev/shm")  # the disk's speed is not what is measured
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.edge_agent.outage", folder, str(DAYS)],
            cwd=repo_root,
            capture_output=True,
            check=True,
            text=True,
        )
    took = json.loads(done.stdout)
    print(took)
    assert took["records"] > 0.99 * DAYS * RECORDS_A_DAY * len(READERS)  # whole steps only
    assert took["disk_bytes"] > 100 * took["records"]  # it is really there, not in a cache
    # One day's records are 1.2 MB and fourteen days' are 17 MB: neither is in memory.
    assert took["rss_at_the_end_bytes"] - took["rss_after_one_day_bytes"] < 6 * MIB
    assert took["traced_peak_bytes"] < 1 * MIB
    # Messages of one step, a window of forwards, a lane for each reader.
    assert took["queued_max"] <= 80
    memory, disk, _queue = check_shape("agent_outage", agent_outage.rows_of(took, DAYS))
    assert memory["ratio"] < 1.1 and disk["ratio"] > DAYS / 2
