"""Payments by aggregate code, end to end: people with telephones, POS, agent, books, statement."""

import json
from collections import Counter
from copy import deepcopy

import pytest
from typer.testing import CliRunner

from simulator.checkers_scan import judge_scans
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load
from tools.cli import app

SCANNED = 10


@pytest.fixture(scope="module")
def path(repo_root):
    return repo_root / "simulator" / "scenarios" / "aggregate.toml"


@pytest.fixture(scope="module")
def run(path, tmp_path_factory):
    """(the run, its report, its folder), played once in CPython."""
    folder = tmp_path_factory.mktemp("aggregate")
    scenario = load(path)
    with (folder / "events.log").open("w") as log:
        played = Run(scenario, scenario.seed, "cpython", "register", folder, log)
        played.build("amqtt")
        yield played, played.play(), folder
        played.close()


def test_it_holds(run):
    _, report, _ = run
    assert (report.failures, report.violations, report.timed_out) == ([], [], False)


def upper_lines(events):
    """What the customer's display said in its upper line, of the words of a reader's log."""
    shown = [bytes.fromhex(event[3]) for event in events if event[2] == "display"]
    return [data[3:-1] for data in shown if data.startswith(b"\x1bQA")]


def test_both_cuts_fall_where_they_should(run):
    """In the first nothing stands yet, so the reader tells of the card before; in the second the
    record does, and nobody has seen that."""
    played, _, folder = run
    played.transcript._file.flush()
    log = (folder / "events.log").read_text(encoding="utf-8").splitlines()
    for reader, wanted in (("pos-1", b"LAST PAID"), ("pos-2", b"BY SCAN, UNCHKD")):
        own = [line.split() for line in log if line.split()[1] == reader]
        first = next(at for at, event in enumerate(own) if event[2] == "power-cut")
        assert upper_lines(own[:first])[-1] == b"SCAN ME"
        assert upper_lines(own[first:])[0] == wanted


def test_the_accountant_finds_who_has_only_shown_a_picture(run):
    played, _, folder = run
    books = str(folder / "ledger.sqlite")
    done = CliRunner().invoke(app, ["ledger", "aggregate", "list", books, "--json"])
    assert done.exit_code == 1, done.output
    found = json.loads(done.output)
    assert Counter(sale["status"] for sale in found["records"]) == {
        "verified": 7,
        "unverified": 3,
    }
    lines = [sale["line"] for sale in found["records"] if sale["line"]]
    assert len(set(lines)) == len(lines) == len(played.channel.rows)
    text = CliRunner().invoke(app, ["ledger", "aggregate", "list", books]).output
    assert "records unverified: 3, in all: " in text and "alipay" not in text


def test_no_card_money_moves_by_it(run):
    played, report, _ = run
    assert sum(report.takings_fen.values()) == report.booked_fen
    assert report.on_cards_fen + report.booked_fen == report.issued_fen
    assert played.scans.recorded.total() == SCANNED


def test_same_log_in_a_real_micropython(path, run, micropython):
    _, here, _ = run
    there = run_scenario(path, home="vm", broker="amqtt")
    assert (there.failures, there.violations, there.timed_out) == ([], [], False)
    assert there.transcript_sha256 == here.transcript_sha256


# --- the judge is judged ----------------------------------------------------------------------


def judged(played, change):
    scans = deepcopy(played.scans)
    change(scans)
    devices = {one["name"]: one["device"] for one in played.scenario.readers}
    merchants = {"pos-1": 71, "pos-2": 72}
    flashes = {devices[name]: reader.hardware.flash for name, reader in played.readers.items()}
    readers = {name: (devices[name], merchants[name]) for name in devices}
    return judge_scans(played.services.store, flashes, scans, readers)


def seen(scans):
    scans.recorded["pos-1", 1250] += 9
    scans.confirmed["pos-1", 1250] += 9


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (seen, "shown as recorded, lost"),
        (lambda scans: scans.confirmed.clear(), "never confirmed"),
    ],
)
def test_what_does_not_fit_is_named(run, change, word):
    played, _, _ = run
    assert judged(played, lambda scans: None) == []
    found = judged(played, change)
    assert found and all(word in text for text in found)


# --- files that cannot be ---------------------------------------------------------------------


def test_a_code_that_is_too_long_for_the_glass(path, tmp_path):
    text = path.read_text(encoding="utf-8").replace("fkx18756nqmm5rmfgqpty88", "x" * 40)
    bad = tmp_path / "bad.toml"
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match="62 characters do not fit the display"):
        run_scenario(bad, broker="amqtt")
