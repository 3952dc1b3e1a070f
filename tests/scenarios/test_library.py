"""The reader of a library desk (R2.4), end to end and in both homes."""

import pytest

from simulator.run import run_scenario
from simulator.scenario import ScenarioError


@pytest.fixture
def path(repo_root):
    return repo_root / "simulator" / "scenarios" / "library.toml"


def test_numbers_of_cards_in_order_and_of_no_others(path, micropython):
    vm = run_scenario(path, home="vm", broker="amqtt")
    host = run_scenario(path, broker="amqtt")
    for report in (host, vm):
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert host.transcript_sha256 == vm.transcript_sha256


def test_what_should_not_have_been_typed_is_a_failure(path, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(path.read_text().replace('types = "0000020001"', 'types = "0000020002"', 1))
    assert "typed ['0000020001']" in run_scenario(bad, broker="amqtt").failures[0]


def test_a_reader_without_wifi_has_no_usb(path, tmp_path):
    bad = tmp_path / "bad.toml"
    text = path.read_text()
    at = text.index("usb = 1")
    bad.write_text(text[:at].replace("wifi = 1", "wifi = 0") + text[at:])
    with pytest.raises(ScenarioError, match="'counter' cannot have usb"):
        run_scenario(bad, broker="amqtt")


def test_a_format_that_nobody_knows_is_refused(path, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(path.read_text().replace('desk_format = "card"', 'desk_format = "9H"'))
    with pytest.raises(ScenarioError, match=r"bad.toml:\d+: unknown desk_format '9H'"):
        run_scenario(bad, broker="amqtt")
