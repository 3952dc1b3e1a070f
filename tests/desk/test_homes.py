"""A reader on the desk that runs in a real MicroPython, from the start or behind a reboot."""

import sqlite3

import pytest

from simulator.desk import homes
from simulator.desk.verbs import Refused
from simulator.homes import Images
from simulator.run import run_scenario
from simulator.scenario import ScenarioError
from simulator.vm.bridge import VmMissing
from tests.desk.conftest import SECOND_US, SMALL

pytest.importorskip("micropython_run", reason="needs MicroPython")
TAP = {"do": "tap", "card": "zhang-san", "reader": "pos-1"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return Images(tmp_path_factory.mktemp("images"))


OFFLINE = (
    (1, {"do": "cut", "what": "reader-network", "site": "canteen-1"}),
    (3, TAP | {"amount": "8.00"}),
    (8, {"do": "plug", "what": "reader-network", "site": "canteen-1"}),
)


def play(session, *story):
    for after_s, table in story:
        session.advance(session.now_us + int(after_s * SECOND_US))
        session.act(table)


def books(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        return list(connection.iterdump())


def assert_recording_plays_headless(session, folder, tmp_path):
    there = session.finish()
    recorded = tmp_path / "recorded.toml"
    recorded.write_text(session.recorder.text(), encoding="utf-8")
    here = run_scenario(recorded, keep=tmp_path / "kept")
    assert (there.violations, there.failures) == ([], []) == (here.violations, here.failures)
    assert here.transcript_sha256 == there.transcript_sha256
    session.run.services.store.close()
    assert books(tmp_path / "kept") == books(folder)
    return here


def test_a_recording_says_nothing_of_where_the_firmware_ran(open_session, images, tmp_path):
    session = open_session(SMALL, seed=11, in_vm=["pos-1"], images=images)
    play(session, (6, TAP | {"amount": "12.50"}), *OFFLINE)
    pos = session.run.readers["pos-1"]
    vm = session.homes.vm_of(pos)
    assert vm is not None and vm.calls > 1000
    memory = vm.memory()
    assert 0 < memory["live"] < memory["heap"] and memory["live_peak"] >= memory["live"]
    session.advance(session.now_us + 8 * SECOND_US)
    here = assert_recording_plays_headless(session, tmp_path / "session-0", tmp_path)
    assert here.approved == 2


def test_who_is_moved_boots_with_what_is_on_flash_and_so_does_the_recording(
    open_session, images, tmp_path
):
    session = open_session(SMALL, seed=12, images=images)
    pos = session.run.readers["pos-1"]
    play(session, (6, TAP | {"amount": "12.50"}))
    session.advance(session.now_us + 5 * SECOND_US)
    assert session.homes.vm_of(pos) is None
    session.move("pos-1", to_vm=True)
    session.advance(session.now_us + 6 * SECOND_US)
    assert session.homes.vm_of(pos) is not None and pos.is_on and pos.boots == 2
    play(session, *OFFLINE, (5, {"do": "wait"}))
    session.move("pos-1", to_vm=False)
    assert session.homes.vm_of(pos) is None and pos.is_on and pos.boots == 3
    play(session, (6, TAP | {"amount": "3.00"}))
    session.advance(session.now_us + 8 * SECOND_US)
    text = session.recorder.text()
    assert (text.count('do = "kill"'), text.count('do = "revive"')) == (2, 2)
    here = assert_recording_plays_headless(session, tmp_path / "session-0", tmp_path)
    assert here.approved == 3, here.refusals


def test_who_has_no_power_is_only_switched_on(open_session, images):
    session = open_session(SMALL, images=images)
    session.advance(6 * SECOND_US)
    session.advance(session.act({"do": "kill", "reader": "pos-1"}).at_us)
    session.move("pos-1", to_vm=True)
    session.move("pos-1", to_vm=True)  # it is there already
    assert session.recorder.text().count('do = "kill"') == 1
    assert session.recorder.text().count('do = "revive"') == 1
    assert session.run.readers["pos-1"].boots == 2


def test_a_gate_in_a_vm_holds_its_magnet_and_dozes_again_behind_it(open_session, images):
    session = open_session(SMALL, images=images)
    gate = session.run.readers["gate"]
    session.advance(6 * SECOND_US)
    session.move("gate", to_vm=True)
    session.advance(session.now_us + 6 * SECOND_US)
    assert gate.hardware.lock.is_bonded() and not gate.is_dozing
    skipped = gate.skipped
    play(session, (1, {"do": "enter", "card": "zhang-san", "reader": "gate"}))
    session.advance(session.now_us + 8 * SECOND_US)
    assert session.run.tally.taps == 1 and gate.skipped == skipped
    session.move("gate", to_vm=False)
    session.advance(session.now_us + 6 * SECOND_US)
    assert gate.skipped > skipped
    report = session.finish()
    assert (report.violations, report.failures) == ([], [])


def test_no_such_reader_and_no_such_vm_are_refused_and_nothing_is_recorded(
    open_session, monkeypatch
):
    session = open_session(SMALL)
    session.advance(SECOND_US)
    with pytest.raises(Refused, match="pos-9"):
        session.move("pos-9", to_vm=True)

    def missing():
        raise VmMissing("not installed")

    monkeypatch.setattr("simulator.desk.session.require_vm", missing)
    monkeypatch.setattr(homes, "require_vm", missing)
    with pytest.raises(Refused, match="not installed"):
        session.move("pos-1", to_vm=True)
    assert session.recorder.text() == SMALL and session.run.readers["pos-1"].boots == 1
    with pytest.raises(VmMissing):
        open_session(SMALL, in_vm=["pos-1"])


def test_a_reader_that_is_not_there_cannot_be_in_a_vm(open_session):
    with pytest.raises(ScenarioError, match="no reader 'pos-9'"):
        open_session(SMALL, in_vm=["pos-9"])
