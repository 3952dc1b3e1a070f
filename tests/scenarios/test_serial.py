"""A canteen without a network, on RS-485 (R24.1): end to end and in both homes."""

import pytest

from simulator.run import run_scenario
from simulator.scenario import ScenarioError, load


@pytest.mark.timeout(600)
def test_same_log_in_a_real_micropython(repo_root, micropython):
    """A cut stub, the centre away, the mains and a battery gone: nothing lost, nothing twice."""
    path = repo_root / "simulator" / "scenarios" / "serial.toml"
    reports = [run_scenario(path, home=home, broker="amqtt") for home in ("cpython", "vm")]
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256
    for report in reports:
        assert report.violations == [] and report.failures == []
        assert report.booked == report.approved >= 10
        assert report.loaded == 1, "a credit is relayed over the line"


def test_what_is_no_line_is_refused_with_its_place(repo_root, tmp_path):
    text = (repo_root / "simulator" / "scenarios" / "serial.toml").read_text()
    path = tmp_path / "line.toml"
    path.write_text(text.replace("serial = 1", 'serial = "usb"', 1))
    line = text.split("\n").index("serial = 1") + 1
    with pytest.raises(ScenarioError, match=rf"line\.toml:{line}: serial = 'usb'"):
        load(path)
