"""A self-service machine (R6.3, R10.2, R14.1), end to end and in both homes."""

from ledger import reasons
from ledger.store import LedgerStore
from simulator.run import run_scenario

KIOSK = 4001


def test_it_tells_loads_and_reports(repo_root, micropython, tmp_path):
    path = repo_root / "simulator" / "scenarios" / "kiosk.toml"
    vm = run_scenario(path, home="vm", broker="amqtt")
    host = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    for report in (host, vm):
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert host.transcript_sha256 == vm.transcript_sha256
    store = LedgerStore.open(str(tmp_path / "kept" / "ledger.sqlite"))
    cases = store.cases()
    store.close()
    assert [(reason, device) for reason, device, _seq in cases] == [(reasons.CARD_FOUND, KIOSK)]
