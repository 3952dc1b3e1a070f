"""Lives of cards through real readers, and a card in two buildings: what the books say then."""

import io

import pytest

from ledger import reasons
from ledger.invariants import check
from ledger.period_report import late_lines
from ledger.watch import Watch
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load
from tests.ledger.lives import make_file

COOK, ANN, BOB = 40001, 20101, 20102
FILES = ("temporary", "graduation", "travel", "settlement")
NOODLES, BREAD, NEW_POS, LATE_POS, DORM_DOOR = 71, 72, 1003, 1002, 2001


@pytest.fixture(scope="module")
def played(repo_root, tmp_path_factory):
    """name -> a run in CPython that is over, its report and its log; each is played once."""
    runs = {}

    def of(name):
        if name not in runs:
            scenario = load(repo_root / "simulator" / "scenarios" / f"{name}.toml")
            directory, log = tmp_path_factory.mktemp(name), io.StringIO()
            run = Run(scenario, scenario.seed, "cpython", "register", directory, log)
            run.build("amqtt")
            runs[name] = run, run.play(), log.getvalue()
        return runs[name]

    yield of
    for run, *_rest in runs.values():
        run.close()


def told(played, name):
    """The books of a run that did what its file asserts."""
    run, report, _log = played(name)
    assert (report.failures, report.violations) == ([], [])
    assert check(run.services.store) == []
    return run, run.services.store


@pytest.mark.parametrize("name", FILES)
def test_same_log_in_a_real_micropython(played, repo_root, micropython, name):
    path = repo_root / "simulator" / "scenarios" / f"{name}.toml"
    report = run_scenario(path, home="vm", broker="amqtt")
    assert report.failures == [] and report.violations == []
    assert report.transcript_sha256 == played(name)[1].transcript_sha256


def test_a_temporary_card_from_its_making_to_its_last_fen(played):
    _run, store = told(played, "temporary")
    causes = [cause for _epoch, _status, _time_s, cause, _shown in store.cards.history(COOK)]
    assert causes == ["issue", "open", "expire", "close"]
    balances = store.balances()
    assert balances["fees", 0] == 2_000
    assert balances["holder", COOK] == 0 and balances["payout", COOK] == 5_000 - 1_200
    ((person, _rest),) = store.database.rows("SELECT person, because FROM settlement_basis")
    assert person == ""  # by proof
    assert store.holders.card_of(f"T{COOK}") is None


def test_refunds_wait_for_the_reader_that_was_away(played):
    """To the fen what is on the cards, although one reader told it behind the hours."""
    run, store = told(played, "graduation")
    balances, now_s = store.balances(), run.world.utc_s()
    left = {card_no: balances["payout", card_no] for card_no in (ANN, BOB)}
    assert left == {ANN: 5_000 - 600, BOB: 4_000 - 400 - 300}
    assert store.cases() == []  # nobody owes anything
    payments = make_file(store, "2027-06-30", "zhou", now_s)
    assert [(one.owner, one.amount_fen) for one in payments] == sorted(left.items())
    store.payouts.note_results([(one.number, "paid", "") for one in payments], "zhou", now_s)
    assert all(store.balances()["payout", card_no] == 0 for card_no in left)
    assert check(store) == []


def test_a_card_that_is_in_two_buildings_within_seconds_is_a_case(played):
    run, store = told(played, "travel")
    assert store.cases() == []
    watch = Watch(store, run.world.utc_s, {frozenset(("north", "south")): 60})
    while watch.look():
        pass
    ((reason, device, seq),) = store.cases()
    assert (reason, device) == (reasons.TOO_FAST, 1001)
    sql = "SELECT card_no, amount_fen FROM intent WHERE device = ? AND seq = ?"
    assert list(store.database.rows(sql, (device, seq))) == [(ANN, 300)]
    assert store.cards.epoch() == 0  # nothing is barred
    assert check(store) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("travel", 'site = "south"', 'site = "sout"', "did you mean 'south'?"),
        ("temporary", 'do = "issue"', 'do = "hand-out"', "was never issued"),
        ("graduation", 'with = ["bob"]', 'with = ["bab"]', "did you mean 'bob'?"),
    ],
)
def test_what_cannot_be_is_a_mistake_of_the_file(repo_root, tmp_path, name, old, new, said):
    text = (repo_root / "simulator" / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ScenarioError, match=said.replace("?", r"\?")):
        run_scenario(wrong, broker="amqtt")


def test_a_merchant_from_annex_2_to_the_bank_and_a_sale_that_comes_late(played):
    _run, store = told(played, "settlement")
    first, second = store.periods.every()
    assert [person for _step, person, _time_s in first.approvals] == ["wang", "li", "zhao", "sun"]
    due = {one.merchant_no: one.due_fen for one in store.periods.due(1)}
    assert due == {NOODLES: 2_000, BREAD: 900}
    ((device, *_place, merchant_no, _kind, fen, _time_s),) = late_lines(
        store.database, 2, second.from_s, second.until_s
    )
    assert (device, merchant_no, fen, second.approvals) == (LATE_POS, NOODLES, 700, ())
    assert '"person":"zhou"' in first.report, "who has decided to close over it"
    balances = store.balances()
    assert balances["remittance", NOODLES] == balances["remittance", BREAD] == 0, "paid"
    assert balances["merchant", NOODLES] == 700 and balances["merchant", BREAD] == 0
    registry = {one.device: one.application for one in store.merchants.onboarding.registry()}
    assert registry == {1001: 0, LATE_POS: 0, NEW_POS: 1, DORM_DOOR: 0}
    sold = "SELECT SUM(amount_fen) FROM intent WHERE device = ? AND state = 3"
    assert list(store.database.rows(sold, (NEW_POS,))) == [(900,)], "what it sold before as well"
    assert list(store.database.rows("SELECT COUNT(*) FROM access_term")) == [(1,)]
