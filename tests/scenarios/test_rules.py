"""The scenario of each rule: what it says holds, in both homes, with the same log byte for byte.

Beside the assertions of the file itself, each run is looked at from outside once more.
"""

import json
import re

import pytest
from typer.testing import CliRunner

from ledger.reasons import CARD_CAPTURED
from ledger.store import LedgerStore
from protocols.rules import meals, reasons, screen_texts
from protocols.wire import messages, seal
from simulator.run import run_scenario
from tools import make_docs
from tools.cli import app

FILES = (
    "split_charges",
    "pin",
    "captured",
    "validity",
    "card_kinds",
    "inspection",
    "tamper",
    "meals",
    "offline_caps",
    "status",
    "menu",
    "menu_away",
    "floor",
    "limits",
    "acquirer",
)
# Played by tests of their own.
OTHERS = ("load", "lunch_outage", "serial", "aggregate")
# The rules of the regulation that a POS follows; what else it asks is asked of others.
POS_RULES = (
    *("R10.2", "R11", "R13", "R14.1", "R14.2", "R14.3", "R14.4b", "R14b.1", "R14b.2"),
    *("R15.1", "R15.2", "R15.3", "R15.4"),
    *("R17.1", "R17.2", "R18.1", "R18.2", "R19.1", "R19.2", "R19.3", "R19.4"),
    *("R23.1a", "R23.1b", "R24.1"),
)


@pytest.fixture(scope="module")
def scenarios(repo_root):
    return repo_root / "simulator" / "scenarios"


@pytest.fixture(scope="module")
def played(scenarios, tmp_path_factory):
    """name -> (report, folder) of a run in CPython; each is played once."""
    runs = {}

    def of(name):
        if name not in runs:
            kept = tmp_path_factory.mktemp(name) / "kept"
            report = run_scenario(scenarios / f"{name}.toml", broker="amqtt", keep=kept)
            print(f"replay: onecard sim run {name}.toml")
            runs[name] = report, kept
        return runs[name]

    return of


def records(kept, *kinds):
    """The fields of the booked records of these kinds, by reader and sequence."""
    store = LedgerStore.open(str(kept / "ledger.sqlite"))
    rows = list(store.database.rows("SELECT sealed FROM record ORDER BY device, seq"))
    cases = store.cases()
    store.close()
    found = [messages.decode_record(seal.payload_of(sealed)) for (sealed,) in rows]
    return [record for record in found if record["kind"] in kinds], cases


@pytest.mark.parametrize("name", FILES)
def test_it_holds(played, name):
    report, _ = played(name)
    assert (report.failures, report.violations, report.timed_out) == ([], [], False)


@pytest.mark.parametrize("name", FILES)
def test_same_log_in_a_real_micropython(scenarios, played, micropython, tmp_path, name):
    report, kept = played(name)
    there = run_scenario(
        scenarios / f"{name}.toml", home="vm", broker="amqtt", keep=tmp_path / "kept"
    )
    logs = [folder / "events.log" for folder in (kept, tmp_path / "kept")]
    ours, theirs = [log.read_text(encoding="utf-8").splitlines() for log in logs]
    differing = [pair for pair in zip(ours, theirs, strict=False) if len(set(pair)) > 1]
    assert differing[:1] == []
    assert len(ours) == len(theirs) > 500
    assert there.transcript_sha256 == report.transcript_sha256
    assert (there.failures, there.violations) == ([], [])


@pytest.mark.parametrize("name", FILES)
def test_other_seeds_hold_too(scenarios, name):
    """Nothing in these files hangs on what a seed draws: keys, cards, moments within a second."""
    report = run_scenario(scenarios / f"{name}.toml", seed=1234, depth="card", broker="amqtt")
    print(f"replay: onecard sim run {name}.toml --seed 1234 --depth card")
    assert (report.failures, report.violations) == ([], [])


def test_every_rule_that_a_scenario_names_is_in_the_table_of_rules(repo_root, scenarios):
    """docs/regulation.md says which file shows a rule; the first lines of the file name it."""
    rows = (repo_root / "docs" / "regulation.md").read_text(encoding="utf-8").splitlines()
    shown = {
        (rule, name)
        for row in rows
        for name in re.findall(r"`simulator/scenarios/(\w+)\.toml`", row)
        for rule in re.findall(r"\bR\d+(?:\.\d+)?", row.split("|")[1])
    }
    named = set()
    for name in FILES + OTHERS:
        head = (scenarios / f"{name}.toml").read_text(encoding="utf-8").split("\nname", 1)[0]
        named |= {(rule, name) for rule in re.findall(r"\bR\d+(?:\.\d+)?", head)}
    assert named and named <= shown
    assert {pair for pair in shown if pair[1] in FILES + OTHERS} == named


def test_every_rule_of_a_pos_has_a_scenario_that_names_it(repo_root, scenarios):
    """And whose tests play it, or a short one of the same verbs, in both homes."""
    tests = [
        path.read_text(encoding="utf-8")
        for folder in ("scenarios", "vm")
        for path in sorted((repo_root / "tests" / folder).glob("test_*.py"))
    ]
    in_vm = "".join(text for text in tests if '"vm"' in text)
    named = {}
    for path in sorted(scenarios.glob("*.toml")):
        if re.search(rf'\b{path.stem}(\.toml|")', in_vm):
            head = path.read_text(encoding="utf-8").split("\nname", 1)[0]
            for rule in re.findall(r"\bR\d+b?(?:\.\d+[ab]?)?", head):
                named.setdefault(rule, []).append(path.stem)
    assert [rule for rule in POS_RULES if rule not in named] == []


# --- each from outside --------------------------------------------------------------------------


def test_only_the_purchase_at_two_windows_is_reported(played):
    """R19.1: what a POS could see it has asked for; the rest the ledger reports, and only that."""
    _, kept = played("split_charges")
    books = str(kept / "ledger.sqlite")
    done = CliRunner().invoke(app, ["ledger", "splits", books, "--limit-fen", "5000", "--json"])
    assert done.exit_code == 1
    (found,) = json.loads(done.stdout)["splits"]
    assert (found["card_no"], found["merchant_no"], found["is_sure"]) == (20004, 71, True)
    assert (found["total_fen"], found["seen_by"], found["proven"]) == (5600, [], [])
    parts = [(part["device"], part["amount_fen"], part["is_offline"]) for part in found["charges"]]
    assert parts == [(1001, 2800, True), (1002, 2800, True)]


def test_every_spend_above_the_limit_has_the_pin_behind_a_counted_try(played):
    """R19.2; ADR 13: no reader takes more without a try that stands before it on the card."""
    _, kept = played("pin")
    intents, _ = records(kept, messages.INTENT)
    above = [one for one in intents if one["amount_fen"] > 5000]
    assert len(above) == 7
    for spend in above:
        assert spend["flags"] & messages.FLAG_PIN
        tries = [one for one in intents if one["flags"] & messages.FLAG_TRY]
        before = [one for one in tries if one["counter"] == spend["counter"] - 1]
        assert [one["card_no"] for one in before].count(spend["card_no"]) == 1


def test_a_power_cut_between_try_and_spend_gives_no_try_back(played):
    """The cut of pin.toml falls where it should: a try is counted, and the spend is not there."""
    _, kept = played("pin")
    log = (kept / "events.log").read_text(encoding="utf-8")
    assert log.count(" pos-1 power-cut") == 2  # the second is the end of the run
    intents, _ = records(kept, messages.INTENT)
    mine = [one for one in intents if one["card_no"] == 20002 and one["device"] == 1001]
    last = [one for one in mine if one["boot_id"] == max(one["boot_id"] for one in mine)]
    flags = [one["flags"] & (messages.FLAG_TRY | messages.FLAG_PIN) for one in mine[-3:]]
    assert flags == [messages.FLAG_TRY, messages.FLAG_TRY, messages.FLAG_PIN]
    assert len(last) == 2  # the first of the three was before the cut
    assert mine[-2]["counter"] == mine[-3]["counter"] + 1


def test_who_is_not_the_holder_is_recorded_with_time_and_reader(played):
    """R19.4: a record, and a case for the card centre, each of which names card and reader."""
    _, kept = played("captured")
    captures, cases = records(kept, messages.CAPTURE)
    where = {(one["device"], one["card_no"]) for one in captures}
    assert where == {(1001, 20001), (1002, 20002)}
    for one in captures:
        assert one["latest_s"] - one["earliest_s"] < 60
    assert [case[0] for case in cases] == [CARD_CAPTURED] * 2
    # Nobody in whose hands a card was captured has paid anything with it.
    intents, _ = records(kept, messages.INTENT)
    assert {one["card_no"] for one in intents if one["amount_fen"]} == {20003}


def test_no_card_pays_outside_its_days(played):
    """R13, from the records: each spend of a card lies within the days that stand on it."""
    _, kept = played("validity")
    intents, _ = records(kept, messages.INTENT)
    midnight_s = 1_788_192_000  # 2026-09-01T00:00+08:00
    by_card = {}
    for one in intents:
        by_card.setdefault(one["card_no"], []).append(one)
    assert set(by_card) == {30001, 30002, 30003, 30004, 30007}
    for card_no in (30001, 30002, 30007):
        assert all(one["latest_s"] < midnight_s for one in by_card[card_no])
    for card_no in (30003, 30004):
        assert all(one["earliest_s"] >= midnight_s for one in by_card[card_no])


def test_what_a_card_is_refused_for_is_read_heard_and_recorded(played):
    """R11, R13, R14.2, R15: six words, six sounds, six records, in their order."""
    _, kept = played("status")
    refusals, _ = records(kept, messages.REFUSAL)
    expected = [
        (60002, reasons.CARD_LOST),
        (60003, reasons.CARD_SUSPENDED),
        (60004, reasons.CARD_CLOSED),
        (60005, reasons.EXPIRED),
        (60006, reasons.NOT_YET_VALID),
        (60007, reasons.KIND_NOT_SERVED),
    ]
    assert [(one["card_no"], one["reason"]) for one in refusals] == expected
    heard = {}
    for line in (kept / "events.log").read_text(encoding="utf-8").splitlines():
        time_us, _, what, *data = line.split(" ")
        if what == "beep":
            word = "long" if int(data[0]) > 100 else "short"
            heard.setdefault(int(time_us) // 15_000_000, []).append(word)
    sounds = dict(make_docs.sounds())
    told = [sounds[screen_texts.TEXTS[reason][2]] for _, reason in expected]
    # Taps are 15 s apart; who has paid is told by one short beep.
    assert [" ".join(beeps) for beeps in heard.values()] == [
        *("short", *told[:3], "short", *told[3:], "short")
    ]
    assert len(set(told)) == 6


def test_the_books_know_by_which_policy_each_window_has_judged(played):
    _, kept = played("limits")
    told, _ = records(kept, messages.BOOT, messages.INTENT)
    epochs, spent = {}, {}
    for record in told:
        device = record["device"]
        if record["kind"] == messages.BOOT:
            epochs[device] = record["policy_epoch"]
        else:
            spent.setdefault((device, epochs[device]), []).append(record["amount_fen"])
    assert spent == {(1001, 1): [1250], (1001, 2): [1000], (1002, 1): [1250], (1002, 2): [1000]}
    boots = [(one["device"], one["cause"]) for one in told if one["kind"] == messages.BOOT]
    told = messages.NO_BOOT
    assert boots == [(1001, 1), (1001, told), (1002, 1), (1002, told), (1002, 1)]


def test_each_kind_pays_its_own_price(played):
    """R11: nine yuan, eight, twelve for the same dish, on both chips."""
    _, kept = played("card_kinds")
    intents, _ = records(kept, messages.INTENT)
    paid = {}
    for one in intents:
        paid.setdefault(one["card_no"], []).append(one["amount_fen"])
    assert paid == {
        40001: [900, 1400],
        40002: [800, 1300],
        40003: [1200, 1700],
        40004: [1550],
        40005: [1350],
    }


def test_a_power_cut_gives_no_second_meal(played):
    """The cut of meals.toml falls between INTENT and debit: what is asked for then is a meal."""
    _, kept = played("meals")
    intents, _ = records(kept, messages.INTENT)
    mine = [one for one in intents if one["card_no"] == 41005]
    assert [(one["device"], one["amount_fen"]) for one in mine] == [
        (1001, 800),
        (1001, 800),
        (1002, 1500),
    ]
    assert [one["flags"] & messages.FLAG_MEAL > 0 for one in mine] == [True, True, False]
    assert [one["counter"] for one in mine] == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "planted", "said"),
    [
        ("_period_use", lambda *_: 0, "2 counted meals in a period that has 1"),
        ("_granted", lambda *_: (4, 0), "a counted meal when there may be none"),
    ],
)
def test_who_gives_more_meals_than_there_are_is_named(scenarios, monkeypatch, name, planted, said):
    """Readers that forget what a card has had, or count where nothing is served."""
    monkeypatch.setattr(meals, name, planted)
    report = run_scenario(scenarios / "meals.toml", depth="card", broker="amqtt")
    assert any(said in violation for violation in report.violations), report.violations


def test_an_inspection_says_what_was_found(played):
    """R17: with and without network, the records that wait, what the last sale was refused for."""
    _, kept = played("inspection")
    found, _ = records(kept, messages.INSPECTION, messages.FAULT)
    inspected = [
        (one["device"], one["network"]) for one in found if one["kind"] == messages.INSPECTION
    ]
    assert inspected == [(1001, 1), (1001, 1), (1002, 1), (1002, 0), (1002, 1)]
    faults = [one for one in found if one["kind"] == messages.FAULT]
    assert [(one["device"], one["network"], one["last_reason"]) for one in faults] == [
        (1001, 1, 201),
        (1002, 0, 0),
    ]
