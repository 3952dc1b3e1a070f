"""What persons do about readers, cards and merchants while readers go on (R4 to R22)."""

import io
import re

import pytest

from ledger import people
from ledger.invariants import check
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load

FILES = ("duty", "damage", "procedures", "sessions", "phones")
# Readers of the others do nothing that those of another file do not.
IN_BOTH_HOMES = ("duty", "damage")
# Every rule of R4 to R9, R14-bis and R16 to R22, and of both annexes; R16 has two sentences.
RULES = (
    *("R4", "R5", "R5.1", "R5.2", "R5.3", "R6", "R6.2", "R6.3", "R6.4", "R6.5"),
    *("R7", "R7.1", "R7.2", "R7.3", "R7.4", "R7.5", "R8", "R8.1", "R8.2", "R9", "R9.1", "R9.2"),
    *("R14b.1", "R14b.2", "R14b.3", "R14b.4", "R14b.5"),
    *("R16", "R16.2", "R17.1", "R17.2", "R18.1", "R18.2", "R19.1", "R19.2", "R19.3", "R19.4"),
    *("R20", "R21", "R22", "R-A1", "R-B2"),
)
_RULE = re.compile(r"\bR-?[\dAB]+b?(?:\.\d+)?")
NOODLES, BREAD = 71, 72


@pytest.fixture(scope="module")
def played(repo_root, tmp_path_factory):
    """name -> a run in CPython that is over and its report; each is played once."""
    runs = {}

    def of(name):
        if name not in runs:
            scenario = load(repo_root / "simulator" / "scenarios" / f"{name}.toml")
            where = tmp_path_factory.mktemp(name)
            run = Run(scenario, scenario.seed, "cpython", "register", where, io.StringIO())
            run.build("amqtt")
            runs[name] = run, run.play()
        return runs[name]

    yield of
    for run, _report in runs.values():
        run.close()


def told(played, name):
    """The books of a run that did what its file asserts."""
    run, report = played(name)
    assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert check(run.services.store) == []
    return run.services.store


def test_every_rule_of_offices_and_merchants_has_a_scenario_that_names_it(repo_root):
    named = set()
    for path in (repo_root / "simulator" / "scenarios").glob("*.toml"):
        head = path.read_text(encoding="utf-8").split("\nname", 1)[0]
        named |= set(_RULE.findall(head))
    assert [rule for rule in RULES if rule not in named] == []


@pytest.mark.parametrize("name", IN_BOTH_HOMES)
def test_same_log_in_a_real_micropython(played, repo_root, micropython, name):
    path = repo_root / "simulator" / "scenarios" / f"{name}.toml"
    report = run_scenario(path, home="vm", broker="amqtt")
    assert (report.failures, report.violations) == ([], [])
    assert report.transcript_sha256 == played(name)[1].transcript_sha256


@pytest.mark.parametrize("name", FILES)
def test_other_seeds_hold_too(repo_root, name):
    path = repo_root / "simulator" / "scenarios" / f"{name}.toml"
    report = run_scenario(path, seed=1234, depth="card", broker="amqtt")
    print(f"replay: onecard sim run {name}.toml --seed 1234 --depth card")
    assert (report.failures, report.violations) == ([], [])


def test_whose_phone_it_is_stands_in_the_books_for_good(played):
    store = told(played, "phones")
    sql = "SELECT binding, way, person FROM phone_proof ORDER BY binding"
    assert list(store.database.rows(sql)) == [
        (1, "id-card", "wang"),
        (2, "passport", "wang"),
        (3, "ended", "wang"),
    ]


def test_a_round_and_its_ticket_are_one(played):
    store = told(played, "duty")
    merchants = store.merchants
    ticket = merchants.dossiers.dossier(1)
    department, site, _day, item = merchants.duties.origin(1)
    assert (department, site, item) == ("General Affairs", "canteen-1", "network")
    assert [(step.verb, step.by.role, step.by.person) for step in ticket.steps] == [
        ("report", "department", "wang"),
        ("accept", "centre", "sun"),
        ("fix", "centre", "sun"),
        ("confirm", "department", "wang"),
    ]
    ((rounds,),) = store.database.rows("SELECT COUNT(*) FROM duty_round")
    assert rounds == 2, "what was refused is no round"


def test_a_damage_rests_on_what_its_reader_has_told(played):
    store = told(played, "damage")
    sql = "SELECT device, seq FROM tamper WHERE device = 1001"
    (tamper,) = store.database.rows(sql)
    first, second = [one for one in store.merchants.dossiers.every() if one.kind == "damage"]
    assert tamper in first.records
    assert {device for device, _seq in second.records} == {1002}
    persons = [step.by.person for step in first.steps if step.act == "sign"]
    assert len(set(persons)) == len(persons) == 2
    assert store.merchants.dossiers.costs(first.number) == [("compensation", "person", 80_000)]
    balances = store.balances()
    assert balances["merchant", BREAD] == 1_200 - 500, "out of what it is owed"
    assert balances["merchant", NOODLES] == 900, "what the broken reader had sold stays sold"
    assert balances["fees", 0] == 80_000 + 500


def test_moves_are_paid_and_merchants_end_with_nothing_open(played):
    store = told(played, "procedures")
    balances = store.balances()
    assert balances["fees", 0] == 2_000 + 750
    assert balances["merchant", BREAD] == balances["remittance", BREAD] == 0
    ((site,),) = store.database.rows("SELECT site FROM device WHERE device = 1002")
    assert site == "canteen-2"
    ended = list(store.database.rows("SELECT device, mark_seq > 0 FROM retirement"))
    assert ended == [(1003, 1)], "by its mark"
    hands = [
        step.by.person
        for one in store.merchants.dossiers.every()
        if one.kind == "capture"
        for step in one.steps
    ]
    assert hands == ["chen", "hu", "qian", "qian"]


def test_what_was_refused_is_in_the_journal_of_acts_and_nothing_else_is(played):
    """Each with its reason; of a name that is typed nobody knows whose it was."""
    store = told(played, "sessions")
    acts = list(store.database.rows("SELECT login, verb, reason FROM operator_act"))
    refused = sorted((login, verb, reason) for login, verb, reason in acts if reason)
    assert refused == sorted(
        [
            ("wu", "annex-2.department", people.NOT_FOR_ROLE),
            ("hes", "annex-2.department", people.OTHER_DEPARTMENT),
            ("lip", "annex-2.president", people.NOT_FOR_ROLE),
            ("hua", "access.appoint", people.OTHER_DEPARTMENT),
            ("gu", "access.appoint", people.NOT_FOR_ROLE),
            ("gu", "access.dorm", people.NOT_FOR_ROLE),
            ("sun", "period.close", people.NOT_FOR_ROLE),
            ("qian", "period.audit", people.NOT_FOR_ROLE),
            ("hes", "period.head", people.OTHER_DEPARTMENT),
            ("pei", "period.leader", people.NOT_FOR_ROLE),
        ]
    )
    done = {(login, verb) for login, verb, reason in acts if not reason}
    assert {("mei", "period.audit"), ("hua", "period.head"), ("sun", "period.centre")} <= done
    assert "zhao" not in {login for login, _verb, _reason in acts}


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("damage", 'kind = "damage"', 'kind = "damag"', "'damag' is none of relocation"),
        ("damage", 'role = "centre"', 'role = "center"', "'center' is none of merchant"),
        ("damage", "refused = 473", "refused = 474", "is surely of that time or later (473"),
        ("damage", 'shown = "4"', 'shown = "5"', "its newest booked record is 4"),
        ("damage", 'ref = "D-2"\nverb', 'ref = "D-3"\nverb', "nothing is called 'D-3'"),
        ("duty", '["ok", "ok", "ok"]', '["ok", "ok"]', "devices, network, power"),
        ("duty", "days = 1\n", 'days = "x"\n', "a whole number"),
        ("phones", 'whose = "ann"', 'whose = "eve"', "nobody holds a card 'eve'"),
        ("phones", "refused = 725", "refused = 650", "is not that of the person who was shown"),
        ("sessions", '["engineer"]', '["enginer"]', "some of administrator"),
        ("sessions", '["engineer"]', '["engineer", "head"]', "nobody who is engineer and head"),
    ],
)
def test_a_mistake_is_named_with_its_line(repo_root, tmp_path, name, old, new, said):
    text = (repo_root / "simulator" / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScenarioError, match=rf"wrong\.toml:\d+: .*{re.escape(said)}"):
        run_scenario(wrong, broker="amqtt", depth="card")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("duty", 'overdue = ["wang"]', "overdue = []", "overdue is ['wang'], not []"),
        ("duty", 'uninspected = ["pos-2"]', "uninspected = []", "uninspected is ['pos-2']"),
    ],
)
def test_what_the_books_do_not_say_fails_the_run(repo_root, tmp_path, name, old, new, said):
    text = (repo_root / "simulator" / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new, 1), encoding="utf-8")
    report = run_scenario(wrong, broker="amqtt", depth="card")
    assert [said in failure for failure in report.failures] == [True]
