"""Phones at doors, end to end (R14b.2, R14b.5, R24), and in both homes."""

import pytest

from protocols.rules import access, reasons
from protocols.wire import messages, seal
from simulator.run import Run, run_scenario
from simulator.scenario import load

DORM, LAB = 2001, 2002
RESIDENT, OTHER, THIRD, GUARD = 20_001, 20_002, 20_003, 10_001


def entries(store, device):
    """(card_no, reason, whether by code) of each ENTRY that the ledger has booked, in order."""
    sql = "SELECT sealed FROM record WHERE device = ? AND kind = ? ORDER BY seq"
    records = [
        messages.decode_record(seal.payload_of(sealed))
        for (sealed,) in store.database.rows(sql, (device, messages.ENTRY))
    ]
    return [(each["card_no"], each["reason"], "number" in each) for each in records]


@pytest.mark.timeout(600)
def test_a_phone_is_as_good_as_its_card_while_the_centre_answers(repo_root, tmp_path, micropython):
    path = repo_root / "simulator" / "scenarios" / "door_codes.toml"
    scenario = load(path)
    run = Run(scenario, scenario.seed, "cpython", "register", tmp_path, None)
    try:
        run.build("amqtt")
        report = run.play()
        store = run.services.store
        dorm, lab = entries(store, DORM), entries(store, LAB)
        unused, cases = store.code_entries.unused(1 << 40), store.cases()
    finally:
        run.close()
    assert report.violations == [] and report.failures == []
    assert dorm == [
        (RESIDENT, reasons.APPROVED, True),
        (OTHER, access.NO_ACCESS, True),
        (0, reasons.CODE_USED, False),
        (0, reasons.CODE_IS_PAYMENT, False),
        (0, reasons.EXPIRED, False),
        (0, access.CODE_UNANSWERED, False),  # the line to the centre is cut
        (THIRD, reasons.APPROVED, False),  # so the card
        (THIRD, reasons.APPROVED, True),
        (0, reasons.CODE_NEEDS_NETWORK, False),
        (GUARD, reasons.APPROVED, False),
        (0, reasons.CARD_LOST, False),
    ]
    # Between the last two power went, with the answer there: it opened nothing, and is not lost.
    assert lab == [
        (GUARD, reasons.APPROVED, True),
        (RESIDENT, access.NO_ACCESS, True),
        (0, reasons.CODE_OF_WECHAT, False),
        (GUARD, reasons.APPROVED, True),
    ]
    assert [(one.device, one.card_no) for one in unused] == [(LAB, GUARD)]
    assert cases == []
    sleepy = tmp_path / "dozing.toml"
    sleepy.write_text("doze = 1\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    dozing = Run(load(sleepy), scenario.seed, "cpython", "register", tmp_path / "doze", None)
    (tmp_path / "doze").mkdir()
    try:
        dozing.build("amqtt")
        slept = dozing.play()
        assert (slept.violations, slept.failures) == ([], [])
        assert entries(dozing.services.store, DORM) == dorm
        assert entries(dozing.services.store, LAB) == lab
        door = dozing.readers["dorm-door"]  # people are at it for much of this play
        assert door.skipped > door.steps // 2
    finally:
        dozing.close()
    again = run_scenario(path, home="vm", broker="amqtt")
    assert again.violations == [] and again.failures == []
    assert again.transcript_sha256 == report.transcript_sha256
