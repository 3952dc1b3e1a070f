"""A lock on batteries end to end (R23.3a, R23.3b, R24.3), and in both homes."""

import pytest

from ledger.locks import news
from protocols.rules import cells, lock, reasons
from protocols.wire import messages, seal
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load

LOCK = 3001
RESIDENT, OTHER, WARDEN = 20_001, 20_002, 10_001


def booked(store, *kinds):
    """Fields of the lock's records of some kinds that the ledger has."""
    rows = store.database.rows("SELECT sealed FROM record WHERE device = ? ORDER BY seq", (LOCK,))
    records = [messages.decode_record(seal.payload_of(sealed)) for (sealed,) in rows]
    return [each for each in records if each["kind"] in kinds]


@pytest.mark.timeout(600)
def test_what_happened_is_in_the_books_and_both_homes_say_the_same(
    repo_root, tmp_path, micropython
):
    path = repo_root / "simulator" / "scenarios" / "lock.toml"
    scenario = load(path)
    run = Run(scenario, scenario.seed, "cpython", "register", tmp_path, None)
    seen = {}
    try:
        run.build("amqtt")
        store = run.services.store
        # The handheld comes home with what it took along, before it is at the lock again.
        run.world.at(185_000_000, lambda: seen.update(home=len(booked(store, messages.ENTRY))))
        report = run.play()
        entries = [(each["card_no"], each["reason"]) for each in booked(store, messages.ENTRY)]
        doors, times = booked(store, messages.DOOR), booked(store, messages.ENTRY)
        (listed,) = news(store.database)
    finally:
        run.close()
    assert report.violations == [] and report.failures == []
    assert seen["home"] == 3
    assert [card_no for card_no, reason in entries if reason == reasons.APPROVED] == [
        *(RESIDENT, RESIDENT, OTHER, OTHER, OTHER, WARDEN)
    ]
    assert (WARDEN, reasons.BATTERY_EMPTY) in entries
    told = [each["event"] for each in doors]
    for event in ("visited", "weaker", "key", "swapped"):
        assert lock.number(event) in told, event
    assert [each["cause"] for each in doors if each["event"] == lock.number("weaker")] == [1, 2]
    # From the first visit on it knows the time, also behind the swap.
    widths = [each["latest_s"] - each["earliest_s"] for each in times]
    assert widths[0] > 10**9 and max(widths[1:]) < 20
    assert (listed.device, listed.grade, listed.is_jammed) == (LOCK, cells.GOOD, False)
    assert listed.map_made_s >= scenario.start_utc_s
    vm = run_scenario(path, home="vm", broker="amqtt")
    assert vm.transcript_sha256 == report.transcript_sha256
    assert vm.violations == [] and vm.failures == []


def test_what_a_door_has_not_is_refused_with_its_place(repo_root, tmp_path):
    text = (repo_root / "simulator" / "scenarios" / "lock.toml").read_text()
    path = tmp_path / "lock.toml"
    path.write_text(text.replace('do = "swap"', 'do = "swop"', 1))
    line = text.split("\n").index('do = "swap"') + 1
    with pytest.raises(ScenarioError, match=rf"lock\.toml:{line}: unknown verb 'swop'"):
        load(path)
