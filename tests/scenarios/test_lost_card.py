"""A lost card, end to end (R10.2, R14.2): books, two brokers, an agent, POS with flash, cards."""

import pytest

from ledger import reasons as ledger_reasons
from protocols.rules import reasons
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load

LOST, SUSPENDED, CLOSED = (
    reasons.display(number)
    for number in (reasons.CARD_LOST, reasons.CARD_SUSPENDED, reasons.CARD_CLOSED)
)
SHORT = """
name = "short"
seed = 5
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
card_map = 1
[[cards]]
name = "one"
first_no = 100
balance = "50.00"
[[cards]]
name = "two"
chip = "desfire"
first_no = 200
balance = "50.00"
[[step]]
at = "00:00:20"
do = "tap"
card = "one"
reader = "pos-1"
amount = "7.00"
[[step]]
at = "00:00:40"
do = "{verb}"
card = "one"
[[step]]
at = "00:00:50"
do = "tap"
card = "one"
reader = "pos-1"
amount = "7.00"
[[step]]
at = "00:01:00"
do = "tap"
card = "two"
reader = "pos-1"
amount = "3.00"
"""


def played(path, folder, seed=None):
    """A run that is over, and its report."""
    scenario = load(path)
    run = Run(
        scenario, scenario.seed if seed is None else seed, "cpython", "register", folder, None
    )
    run.build("amqtt")
    return run, run.play()


def written(folder, verb="lose"):
    path = folder / "short.toml"
    path.write_text(SHORT.format(verb=verb), encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", [21, 22])
def test_a_finder_is_refused_where_it_can_be_known(repo_root, tmp_path, seed):
    path = repo_root / "simulator" / "scenarios" / "lost_card.toml"
    print(f"replay: onecard sim run {path.name} --seed {seed}")
    run, report = played(path, tmp_path, seed)
    try:
        assert report.violations == [] and report.failures == []
        assert (report.lost, report.duplicated, report.unseen) == (0, 0, 0)
        assert report.refusals[LOST] >= 3
        assert report.refusals[SUSPENDED] >= 1 and report.refusals[CLOSED] >= 3
        # What the reader without network could not know was paid, booked, and is a case.
        lost_no = next(card.card_no for card in run.cards if card.name == "lost")
        cases = [
            (device, seq)
            for reason, device, seq in run.services.store.cases()
            if reason == ledger_reasons.SPENT_WHILE_LOST
        ]
        booked = {
            (device, seq): card_no for device, seq, _, card_no in run.services.store.booked_ids()
        }
        assert [booked[record] for record in cases] == [lost_no]
        assert cases[0][0] == 1002
        # Both readers know the same as the books, behind a power cut too.
        for reader in run.readers.values():
            card_map = reader.home._device._card_map
            for card in run.cards:
                status = run.services.store.cards.status(card.card_no)
                assert card_map.known(card.card_no)[0] == status, (reader.name, card.name)
    finally:
        run.close()


@pytest.mark.parametrize(
    ("verb", "said"), [("lose", LOST), ("suspend", SUSPENDED), ("close", CLOSED)]
)
def test_each_is_refused_with_its_own_reason_within_seconds(tmp_path, verb, said):
    report = run_scenario(written(tmp_path, verb), broker="amqtt")
    assert report.violations == []
    assert report.refusals == {said: 1}
    assert report.booked == 2


def test_same_log_in_a_real_micropython(tmp_path, micropython):
    path = written(tmp_path)
    reports = [run_scenario(path, home=home, broker="amqtt") for home in ("cpython", "vm")]
    assert [report.refusals for report in reports] == [{LOST: 1}] * 2
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


def test_what_the_card_centre_refuses_is_a_mistake_of_the_file(tmp_path):
    with pytest.raises(ScenarioError, match="cannot unlose it"):
        run_scenario(written(tmp_path, "unlose"), broker="amqtt")
