"""A self-service machine (R6.3, R10.2, R14.1), end to end and in both homes."""

from ledger import reasons
from ledger.store import LedgerStore
from protocols.rules.card_status import LOST
from simulator.run import run_scenario

KIOSK = 4001
WALKER = 20301
NOON_S = 1_788_235_200  # 2026-09-01, in China


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


def test_a_loss_is_reported_by_phone_once_and_refused_from_then_on(
    repo_root, micropython, tmp_path
):
    path = repo_root / "simulator" / "scenarios" / "kiosk_loss.toml"
    vm = run_scenario(path, home="vm", broker="amqtt")
    host = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    for report in (host, vm):
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert host.transcript_sha256 == vm.transcript_sha256
    store = LedgerStore.open(str(tmp_path / "kept" / "ledger.sqlite"))
    ((_epoch, status, time_s, cause, evidence),) = store.cards.history(WALKER)
    store.close()
    assert (status, cause, evidence) == (LOST, "lose", "identity-code")
    assert 17 <= time_s - NOON_S <= 20
