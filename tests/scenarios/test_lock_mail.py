"""A lock that hears and speaks by cards, end to end (R8.2, R23.3a, R24.3), and in both homes."""

import pytest

from protocols.rules import access, reasons
from protocols.wire import messages, seal
from simulator.run import Run, run_scenario
from simulator.scenario import load

DOOR, LOCK = 2001, 3001
FIRST, SECOND = 20_001, 20_002
BEFORE_HANDHELD_US = 195_000_000


def entries(store):
    """(card_no, reason) of every ENTRY of the lock that is booked."""
    rows = store.database.rows("SELECT sealed FROM record WHERE device = ? ORDER BY seq", (LOCK,))
    records = [messages.decode_record(seal.payload_of(sealed)) for (sealed,) in rows]
    return [(r["card_no"], r["reason"]) for r in records if r["kind"] == messages.ENTRY]


@pytest.mark.timeout(600)
def test_what_cards_have_carried_is_in_the_books_and_both_homes_say_the_same(
    repo_root, tmp_path, micropython
):
    path = repo_root / "simulator" / "scenarios" / "lock_mail.toml"
    scenario = load(path)
    run = Run(scenario, scenario.seed, "cpython", "register", tmp_path, None)
    seen = {}

    def look():
        (seen["state"],) = store.lock_mail.states("dormitory-3")
        seen["entries"] = entries(store)

    try:
        run.build("amqtt")
        store = run.services.store
        run.world.at(BEFORE_HANDHELD_US, look)
        report = run.play()
        booked, cases = entries(store), store.cases()
        mail = [kind for (kind,) in store.database.rows("SELECT kind FROM record")]
    finally:
        run.close()
    assert report.violations == [] and report.failures == []
    # By cards alone: who moved in opens it, who moved out does not, and who came.
    assert seen["state"].is_confirmed and seen["state"].battery_mv > 5_000
    told = seen["entries"]
    assert told[:4] == [
        (FIRST, access.NO_ACCESS),
        (FIRST, reasons.APPROVED),
        (SECOND, access.NO_ACCESS),
        (FIRST, reasons.APPROVED),
    ]
    assert (SECOND, reasons.APPROVED) in told
    # And by the wire nothing of it again.
    assert booked[: len(told)] == told and len(booked) == 7
    assert booked[5] == (FIRST, access.NO_ACCESS)
    assert mail.count(messages.MAIL) >= 2 and cases == []
    vm = run_scenario(path, home="vm", broker="amqtt")
    assert vm.transcript_sha256 == report.transcript_sha256
    assert vm.violations == [] and vm.failures == []
