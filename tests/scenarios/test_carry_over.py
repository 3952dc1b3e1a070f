"""A lost card's balance on the card in its place, end to end (R14.4a, R14.4b)."""

import io
from contextlib import closing

import pytest

from ledger import map_news, reasons
from ledger.certificates import certificate, verify
from ledger.quiescence import examine
from ledger.replay import replay
from ledger.store import LedgerStore
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load

OLD, NEW, OLD_DESFIRE, NEW_CLASSIC = 20101, 20201, 20102, 20202


@pytest.fixture
def path(repo_root):
    return repo_root / "simulator" / "scenarios" / "carry_over.toml"


@pytest.fixture(scope="module")
def played(repo_root, tmp_path_factory):
    """A run in CPython that is over, and its log."""
    scenario, log = load(repo_root / "simulator" / "scenarios" / "carry_over.toml"), io.StringIO()
    directory = tmp_path_factory.mktemp("carry-over")
    run = Run(scenario, scenario.seed, "cpython", "register", directory, log)
    run.build("amqtt")
    yield run, run.play(), log.getvalue()
    run.close()


def test_it_comes_once_and_what_is_told_late_is_somebodys(played):
    run, report, log = played
    assert report.violations == [] and report.failures == []
    store = run.services.store
    balances = store.balances()
    # 50.00, less 6.00; the 4.00 and the 9.00 were told when it had gone on.
    loads = dict(store.database.rows("SELECT card_no, SUM(amount_fen) FROM load GROUP BY 1"))
    assert loads == {OLD: 2_000, NEW: 2_000 + 4_400, NEW_CLASSIC: 3_000}
    assert [balances["loss", reason] for reason in (342, 343)] == [-900, -400]
    for old_card in (OLD, OLD_DESFIRE):
        assert balances["holder", old_card] == balances.get(("pending", old_card), 0) == 0
    assert balances["holder", NEW] == 2_000 + 4_400 - 800 - 1_500 - 500
    cases = [reason for reason, _device, _seq in store.cases()]
    assert cases == [reasons.SPENT_WHILE_LOST, reasons.LATE_SPEND]
    # Online before its time, and without network.
    assert log.count(b"LOAD LATER".hex()) == 2


def test_that_nothing_is_missing_is_proven_when_every_reader_has_told(played):
    """It was not when the money went: a reader without network had spends of before and after."""
    store = played[0].services.store
    numbers = [number for number, card_no in _loads(store) if card_no in (NEW, NEW_CLASSIC)]
    assert store.carry_overs.unproven(NEW) + store.carry_overs.unproven(NEW_CLASSIC) == numbers[1:]
    for old_card in OLD, OLD_DESFIRE:
        found = examine(store.database, old_card)
        assert (found.blocking, found.unaware) == ((), ())
        assert verify(store.database, certificate(found, 0)) == []
    assert map_news.behind(store.database) == []
    with closing(LedgerStore.open(":memory:")) as empty:
        assert list(replay(store.database, empty, 1)) == []


def _loads(store):
    return list(store.database.rows("SELECT number, card_no FROM load ORDER BY number"))


def test_same_log_in_a_real_micropython(played, path, micropython):
    report = run_scenario(path, home="vm", broker="amqtt")
    assert report.failures == [] and report.violations == []
    assert report.transcript_sha256 == played[1].transcript_sha256


def test_what_the_card_centre_refuses_is_a_mistake_of_the_file(path, tmp_path):
    text = path.read_text(encoding="utf-8").replace('do = "lose"', 'do = "suspend"')
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match="only one that is reported lost is replaced"):
        run_scenario(wrong, broker="amqtt")


@pytest.mark.parametrize(
    ("was", "is_now", "said"),
    [
        ('new = "new"', 'new = "nwe"', "nwe"),
        ('carry_over = "00:06:00"', 'carry_over = "soon"', "soon"),
    ],
)
def test_a_file_with_a_mistake_is_refused(path, tmp_path, was, is_now, said):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(path.read_text(encoding="utf-8").replace(was, is_now), encoding="utf-8")
    with pytest.raises(ScenarioError, match=said):
        load(wrong)
