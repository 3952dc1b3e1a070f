"""The benchmarks of the agent on small parameters: what they say is true of what they did."""

import json
import shutil
import sqlite3

import pytest

from protocols.link import delivery
from protocols.link.delivery import STORED_MS
from simulator.power_cut import NoStrace, traced
from tests.tools.test_bench import check_shape
from tools.bench import agent_faults, agent_flood, agent_readers
from tools.bench.agent_ledger import NotBooked
from tools.bench.prepared import Campus
from tools.identity.broker import _CONF


@pytest.fixture
def broker(mosquitto, tmp_path):
    broker = agent_readers.Limited(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def test_agent_readers_rows(mosquitto, tmp_path):
    readers, spends_each = 40, 4
    rows = check_shape("agent_readers", agent_readers.rows_in(tmp_path, readers, 10, spends_each))
    limits = {row["against"]: row["other"] for row in rows}
    assert limits["bar"] == agent_readers.BAR_CPU_S
    path = tmp_path / "many" / "data" / "agent.sqlite"
    devices = Campus.busy(readers, spends_each).devices
    agent_readers.must_hold(path, devices)
    # Nobody's record may be missing or another one.
    for spoil in ("DELETE FROM record", "UPDATE record SET sealed = x'00'"):
        copy = tmp_path / "spoilt.sqlite"
        shutil.copy(path, copy)
        with sqlite3.connect(copy) as database:
            database.execute(f"{spoil} WHERE device = 1007 AND seq = 8")
        database.close()
        with pytest.raises(NotBooked, match="of 1007"):
            agent_readers.must_hold(copy, devices)


def test_agent_flood_rows(mosquitto):
    rows = check_shape("agent_flood", agent_flood.rows(10, 4, per_s=30, lunch_s=1.0))
    by = {(row["name"], row["unit"]): row for row in rows}
    limits = [row["other"] for row in rows if row["against"] == "bar"]
    assert limits == [agent_flood.BAR] * 3
    for flood in ("a reader's line", "a fast machine"):
        said = by[f"lunch, flood of {flood}", "messages"]
        assert said["ours"] > 20 * said["other"] > 0


def test_beside_a_flood_nobody_waits_for_a_second_try(broker, tmp_path):
    """Before the flooder lost its listener the broker dropped what others said: 5 s, and again."""
    campus = Campus.busy(21, 10)
    load = agent_flood.Lunch(per_s=30, duration_s=3.0)
    took = agent_flood.beside(tmp_path / "site", broker, campus, load, 0)
    (line,) = [
        json.loads(line)
        for line in (tmp_path / "site" / "agent.toml.log").read_text().splitlines()
        if "floods" in line
    ]
    assert (line["event"], line["device"]) == ("reader_floods", campus.devices[-1].device)
    assert took.flood.messages > 10_000 and len(took.each_s) > 50
    assert took.each_s[-1] < STORED_MS / 1_000


def test_the_limits_are_those_that_we_ship(broker):
    shipped = {line.split()[0] for line in _CONF.splitlines() if line.startswith("max_")}
    taken = {line.split()[0] for line in broker._conf.read_text().splitlines()}
    assert shipped <= taken and not taken & {"cafile", "acl_file", "require_certificate"}


# ---------------------------------------------------------------- faults

SMALL = agent_faults.Size(devices=4, spends_each=20, kills=1, away_s=1.0, dark_s=1.0)
FAULTS = {fault.name: fault for fault in agent_faults.FAULTS}


@pytest.fixture
def hasty(monkeypatch):
    """Readers that ask again after half a second.

    A bug that was found: their whole clock ran ten times too fast, so a broker that had no core
    for two seconds counted as dead, and the run ended there.
    """
    monkeypatch.setattr(delivery, "STORED_MS", 500)
    monkeypatch.setattr(delivery, "QUIET_MS", 6_000)


@pytest.fixture
def strace(tmp_path):
    try:
        traced([], tmp_path)
    except NoStrace as error:
        pytest.skip(str(error))


# Being killed, and dark without that, is tried in tests/integration/test_agent_kill.py.
@pytest.mark.parametrize("name", ["centre away", "killed in the dark"])
def test_nothing_is_lost_by(name, broker, tmp_path, hasty):
    assert agent_faults.lost_by(FAULTS[name], tmp_path / "site", broker, SMALL) == 0


def test_agent_faults_rows(mosquitto, hasty, strace, monkeypatch):
    monkeypatch.setattr(agent_faults, "FAULTS", [FAULTS["power cut"]])
    (row,) = agent_faults.rows(SMALL)
    assert (row["ours"], row["unit"]) == (0, "records lost, ours of 160")
    assert row["other"] > 0 and "measured before" in row["against"]


def test_an_agent_that_flushes_nothing_is_found_out(broker, tmp_path, hasty, strace, monkeypatch):
    """The planted bug: or the nought above would say nothing."""
    careless = "import adapters.sqlite as s; s._SETTINGS = ('PRAGMA synchronous = OFF',); "
    monkeypatch.setattr(agent_faults, "AGENT", careless + agent_faults.AGENT)
    assert agent_faults.lost_by(FAULTS["power cut"], tmp_path / "site", broker, SMALL) > 0
