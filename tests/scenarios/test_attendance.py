"""An attendance machine without network, mains and power (R7.4), end to end and in both homes."""

from datetime import date

import pytest

from ledger.store import LedgerStore
from simulator.run import run_scenario

OFFSET_S = 28_800


def test_every_punch_that_was_shown_is_in_the_month(repo_root, micropython, tmp_path):
    path = repo_root / "simulator" / "scenarios" / "attendance.toml"
    vm = run_scenario(path, home="vm", broker="amqtt")
    host = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    for report in (host, vm):
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert host.transcript_sha256 == vm.transcript_sha256
    store = LedgerStore.open(str(tmp_path / "kept" / "ledger.sqlite"))
    found = store.attendance.month(date(2026, 9, 1), OFFSET_S)
    store.close()
    assert found.undated == []
    assert [(day.card_no, day.punches, day.folded) for day in found.days] == [
        (30001, 3, 1),
        (30002, 1, 0),
        (30101, 2, 1),
    ]
    assert all(day.left is None for day in found.days if day.card_no == 30002)
    assert pytest.approx(120, abs=2) == (
        found.days[0].left.earliest_s - found.days[0].came.earliest_s
    )
