"""A door without network, mains and controller, or opened by force, or held open (R8.1, R23.2,
R24.2), end to end and in both homes.
"""

import pytest

from ledger import reasons as cases
from ledger.store import LedgerStore
from protocols.rules import access, door, reasons
from protocols.wire import messages, seal
from simulator.checkers import journal_of
from simulator.run import Run, run_scenario
from simulator.scenario import load

STRANGER = 20901
# Grants to two residents and the warden; strangers that a door at work has looked at.
GRANTS, REFUSALS = 3, 7
# Broken open, and held open: one case each, about the record that says so.
CASES = {
    cases.DOOR_FORCED: (door.FORCED, "opened"),
    cases.DOOR_HELD_OPEN: (door.HELD, "left-open"),
}


@pytest.fixture
def door_power(repo_root):
    return repo_root / "simulator" / "scenarios" / "door_power.toml"


def records_of(flash):
    """Every record on a flash; nothing has been freed in so short a time."""
    journal = journal_of(flash)
    sealed = [journal.record(seq) for seq in range(1, journal.head_seq + 1)]
    return [messages.decode_record(seal.payload_of(each)) for each in sealed]


def test_people_get_in_and_out_and_it_is_told(door_power, tmp_path):
    scenario = load(door_power)
    run = Run(scenario, scenario.seed, "cpython", "register", tmp_path, None)
    try:
        run.build("amqtt")
        report = run.play()
        records = records_of(run.readers["door-1"].hardware.flash)
        filed = run.services.store.cases()
    finally:
        run.close()
    assert report.violations == [] and report.failures == []
    assert report.booked == 0 and report.records == len(records)
    entries = [(each["card_no"], each["reason"]) for each in records if each["kind"] == 14]
    assert [reason for _, reason in entries].count(reasons.APPROVED) == GRANTS
    assert entries.count((STRANGER, access.NO_ACCESS)) == REFUSALS
    told = [door.STATES[each["state"]] for each in records if each["kind"] == messages.DOOR]
    for state in (door.DARK, door.EXIT, door.FIRE, door.GRANTED):
        assert state in told
    assert told[-1] in (door.GRANTED, door.SETTLING, door.SECURED)
    assert [each["cause"] for each in records if each["kind"] == messages.BOOT] == [1, 1]
    assert [reason for reason, *_ in filed] == list(CASES)
    for reason, _, seq in filed:
        said = records[seq - 1]
        assert (door.STATES[said["state"]], said["event"]) == (
            CASES[reason][0],
            door.number(CASES[reason][1]),
        )


@pytest.mark.timeout(600)
def test_same_log_in_a_real_micropython(door_power, micropython, tmp_path):
    reports = [
        run_scenario(door_power, home=home, broker="amqtt", keep=tmp_path / home)
        for home in ("cpython", "vm")
    ]
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256
    for report in reports:
        assert report.violations == [] and report.failures == []
    for home in ("cpython", "vm"):
        store = LedgerStore.open(str(tmp_path / home / "ledger.sqlite"))
        assert [reason for reason, *_ in store.cases()] == list(CASES)
        store.close()
