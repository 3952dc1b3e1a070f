"""Who may open which door, end to end (R8.2, R9.2, R10, R24.2), and in both homes."""

import pytest

from protocols.rules import access, reasons
from protocols.wire import messages, seal
from simulator.run import Run, run_scenario
from simulator.scenario import load

DORM, LIBRARY = 2001, 2002
RESIDENT, OTHER, GUARD, GUEST = 20_001, 20_002, 10_001, 30_001


def entries(store, device):
    """(card_no, reason) of each ENTRY of a door that the ledger has booked, in order."""
    sql = "SELECT sealed FROM record WHERE device = ? AND kind = ? ORDER BY seq"
    records = [
        messages.decode_record(seal.payload_of(sealed))
        for (sealed,) in store.database.rows(sql, (device, messages.ENTRY))
    ]
    return [(each["card_no"], each["reason"]) for each in records]


@pytest.mark.timeout(600)
def test_each_door_knows_its_own_and_both_homes_say_the_same(repo_root, tmp_path, micropython):
    path = repo_root / "simulator" / "scenarios" / "door_access.toml"
    scenario = load(path)
    run = Run(scenario, scenario.seed, "cpython", "register", tmp_path, None)
    try:
        run.build("amqtt")
        report = run.play()
        store = run.services.store
        dorm, library = entries(store, DORM), entries(store, LIBRARY)
        epochs = {door.device: door.epoch for door in store.access.doors_at(scenario.site)}
        for name, device in (("dorm-door", DORM), ("library-door", LIBRARY)):
            kept = run.readers[name].home._device._access_map._map.map_in_use()
            assert kept is not None and kept[2] == epochs[device]
        who = {change.person for change in store.access.changes(DORM)}
    finally:
        run.close()
    assert report.violations == [] and report.failures == []
    assert dorm == [
        (RESIDENT, access.NO_ACCESS),
        (RESIDENT, reasons.APPROVED),
        (GUEST, access.NO_ACCESS),
        (RESIDENT, reasons.APPROVED),  # revoked, and the door cannot know
        (GUARD, reasons.APPROVED),  # lost, and the door cannot know
        (RESIDENT, access.NO_ACCESS),
        (GUARD, reasons.CARD_LOST),
        (GUEST, reasons.APPROVED),
        (GUARD, reasons.APPROVED),
    ]
    assert library == [
        (OTHER, access.NO_ACCESS),
        (GUARD, reasons.APPROVED),
        (GUARD, reasons.CARD_LOST),
        (RESIDENT, access.NO_ACCESS),
    ]
    assert who == {"Wang Fang"}
    again = run_scenario(path, home="vm", broker="amqtt")
    assert again.violations == [] and again.failures == []
    assert again.transcript_sha256 == report.transcript_sha256
