"""Fourteen days without the card centre, in the agent's own time: what that costs it.

tests/edge_agent/outage.py is the agent with its real store between ports without a network, in a
process of its own whose memory is measured; its test says what must hold. Two readers write
6,000 records a day each; when the line is back, all of it is forwarded and freed.
"""

import json
import subprocess
import sys
import tempfile

from tools.rooms import ROOT

DAYS = 14
_MB = 1 << 20


def rows(days: int = DAYS) -> list[dict[str, object]]:
    """Memory and disk at the end, beside those of one day."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        command = [sys.executable, "-m", "tests.edge_agent.outage", folder, str(days)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return rows_of(json.loads(done.stdout), days)


def rows_of(took: dict[str, int], days: int) -> list[dict[str, object]]:
    """The rows of what that program has printed."""
    name = f"{days} days without the centre, {took['records']:,} records"
    table = (
        (took["rss_at_the_end_bytes"] / _MB, took["rss_after_one_day_bytes"] / _MB, "MB resident"),
        (took["disk_bytes"] / _MB, took["disk_after_one_day_bytes"] / _MB, "MB on the disk"),
        (took["queued_max"], took["queued_after_one_day"], "entries in its longest queue"),
    )
    return [
        {
            "name": name,
            "ours": round(ours, 1),
            "other": round(other, 1),
            "against": "the same agent after one day",
            "unit": unit,
        }
        for ours, other, unit in table
    ]
