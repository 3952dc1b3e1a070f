"""`onecard journal replay`: a field journal decides the same again, or what it decides first."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.rules import reasons
from protocols.rules.spending import POLICY_FIELDS
from protocols.wire import messages
from simulator.run import run_scenario
from simulator.scenario import load as load_scenario
from simulator.scenario import parse
from tools.cli import app
from tools.journal import replay as replaying
from tools.journal.capture import load
from tools.journal.left_out import LEFT_OUT
from tools.journal.staged import Kind, NotStaged, kind_of, staged
from tools.journal.visits import visits_of
from tools.journal.words import lines_of_replay

FIELD = Path(__file__).with_name("field.toml")
CARD = 20001


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    """The journal that a reader has written in the field."""
    kept = tmp_path_factory.mktemp("field") / "kept"
    run_scenario(FIELD, depth="card", keep=kept)
    return kept / "pos-1.flash"


@pytest.fixture(scope="module")
def records(flash):
    return replaying.records_of(load(flash))


@pytest.fixture(scope="module")
def kind():
    return Kind(1001, "canteen-1", 71, load_scenario(FIELD).policy)


def quiet(text):
    del text


def test_the_same_firmware_and_settings_decide_the_same(records, kind):
    found = replaying.replay(records, kind, say=quiet)
    assert found.differences == [] and found.same == len(found.staged.visits) == 10
    # What decided these is not in the journal: a foreign card has no number.
    assert [why for _visit, why, _facts in found.staged.left_out] == ["no-card"]
    assert found.staged.assumed == 3  # 3.00 on the poor card, the old one's days, 7.00 elsewhere
    assert found.firmware == (1, 1) and found.epochs == (1, 1)
    shown = "\n".join(lines_of_replay(found, masks=True))
    assert "10 visits; 10 decided as in the field, 0 otherwise" in shown


def test_the_first_decision_that_another_setting_changes_is_named(
    records, kind, tmp_path, flash, monkeypatch
):
    other = dataclasses.replace(kind, policy={**kind.policy, "no_pin_max_fen": 1_000})
    found = replaying.replay(records, other, say=quiet)
    first = found.differences[0]
    assert (first.visit.card_no, first.seq) == (CARD, 2)
    assert first.field == (messages.INTENT, 1250, 0)
    assert first.replayed == (messages.REFUSAL, 1250, reasons.PIN_NEEDED)
    shown = "\n".join(lines_of_replay(found, masks=True))
    assert "record 2, card 2***1" in shown and "takes 12.50" in shown
    assert "203, above the limit without PIN" in shown and "超限额需消费密码" in shown
    settings = tmp_path / "reader.toml"
    lines = [f"{name} = {other.policy[name]}" for name in POLICY_FIELDS]
    settings.write_text("\n".join(["merchant_no = 71", "[policy]", *lines]))
    words = ["journal", "replay", str(flash), "--settings", str(settings), "--last", "6"]
    with monkeypatch.context() as patched:
        patched.setattr(replaying, "replay", lambda *given: found)
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "DIFFERENT" in done.output, done.output
    out = tmp_path / "field.toml"
    done = CliRunner().invoke(app, [*words, "--scenario", str(out)])
    assert done.exit_code == 0 and parse(out.read_text(), out).readers[0]["device"] == 1001
    assert CliRunner().invoke(app, [*words, "--scenario", str(out)]).exit_code == 2


def test_a_card_comes_as_the_field_saw_it(records, kind):
    made = staged(records, kind)
    scenario = parse(made.text, Path("field.toml"))
    away = [step for step in scenario.steps if step.fields.get("reader") == "elsewhere"]
    assert [(step.fields["card"], step.fields["amount"]) for step in away] == [("card-1", 700)]
    assert [step.do for step in scenario.steps if step.do != "tap"] == [
        "cut",
        "kill",
        "revive",
        "plug",
    ]
    balances = {batch.name: batch.balance_fen[0] for batch in scenario.cards}
    assert balances["card-1"] == 8000 and balances["card-2"] == 1249
    # Nobody is known by what the file calls the cards.
    assert made.numbers[20010] == 20002 and "20010" not in made.text


def test_a_card_that_comes_back_with_more_was_loaded_elsewhere(records, kind):
    richer = [
        one | {"before_fen": one["before_fen"] + 5_000, "after_fen": one["after_fen"] + 5_000}
        if one["kind"] == messages.INTENT and (one["card_no"], one["counter"]) == (CARD, 2)
        else one
        for one in records
    ]
    found = replaying.replay(richer, kind, say=quiet)
    assert found.differences == []
    assert 'do = "topup"' in found.staged.text and 'amount = "43.01"' in found.staged.text


def changed(records, seq, **fields):
    return [one | fields if one["seq"] == seq else one for one in records]


@pytest.mark.parametrize(
    ("seq", "fields", "why"),
    [
        (3, {"result": messages.UNKNOWN}, "torn"),
        (2, {"flags": messages.FLAG_MEAL}, "meal"),
        (2, {"latest_s": 0xFFFFFFFF}, "clock"),
        (4, {"reason": reasons.CARD_LOST}, "reason"),
        (4, {"reason": reasons.OVER_DAY_LIMIT}, "day"),
    ],
)
def test_what_no_journal_says_is_left_out_with_the_reason(records, kind, seq, fields, why):
    made = staged(changed(records, seq, **fields), kind)
    assert why in [one for _visit, one, _facts in made.left_out]
    for _visit, one, facts in made.left_out:
        assert all(text.format(**facts) for text in LEFT_OUT[one])
    parse(made.text, Path("field.toml"))


def test_a_journal_is_judged_by_the_policy_that_was_in_force(records, kind):
    """It came over the air; the settings that the board was given have the one before."""
    _first, boot = (one["seq"] for one in records if one["kind"] == messages.BOOT)
    later = changed(records, boot, policy_epoch=2)
    made = staged(later, kind)
    assert [facts for _visit, why, facts in made.left_out if why == "policy"] == [
        {"theirs": 2, "ours": 1}
    ] * 2
    newer = dataclasses.replace(kind, policy={**kind.policy, "epoch": 2})
    assert len(staged(later, newer).visits) == 2


def test_what_cannot_be_played_at_all_is_refused(records, kind, flash):
    with pytest.raises(NotStaged, match="no customer"):
        staged([one for one in records if one["kind"] == messages.BOOT], kind)
    with pytest.raises(NotStaged, match="no card was read"):
        staged([one for one in records if one.get("card_no") == 0], kind)
    own = {"device": 1, "merchant_no": 71, "policy": [1] * 9}
    assert kind_of(own, "main").policy["pin_tries_max"] == 3  # older settings lack some
    with pytest.raises(NotStaged, match="only a POS"):
        kind_of(own, "main_door")
    with pytest.raises(NotStaged, match="policy lacks"):
        kind_of(own | {"policy": {}}, None)
    done = CliRunner().invoke(app, ["journal", "replay", str(flash)])
    assert done.exit_code == 2 and "--settings reader.toml" in done.stderr


def test_a_scenario_that_cannot_be_made_leaves_no_file(flash, tmp_path):
    settings, out = tmp_path / "reader.toml", tmp_path / "field.toml"
    settings.write_text("merchant_no = 71\n[policy]\n")
    words = ["journal", "replay", str(flash), "--settings", str(settings)]
    done = CliRunner().invoke(app, [*words, "--scenario", str(out)])
    assert done.exit_code == 2 and not out.exists()
    lines = [f"{name} = {load_scenario(FIELD).policy[name]}" for name in POLICY_FIELDS]
    settings.write_text("\n".join(["merchant_no = 71", "[policy]", *lines]))
    words += ["--first", "4000000"]
    done = CliRunner().invoke(app, [*words, "--scenario", str(out)])
    assert done.exit_code == 2 and "no customer" in done.stderr and not out.exists()


def test_what_a_board_says_of_itself_is_a_text_of_the_scenario(records, kind):
    said = 'x"\n[[step]]\ndo = "evil'
    text = staged(records, dataclasses.replace(kind, site=said)).text
    assert tomllib.loads(text)["site"] == said


def test_customers_are_told_apart_and_a_pin_does_not_make_another_one(records):
    began = {one["boot_id"]: 0.0 for one in records}
    found = visits_of(records, began)
    assert [visit.card_no for visit in found][:7] == [
        20001,
        20010,
        20011,
        0,
        20002,
        20003,
        20004,
    ]
    assert found[5].refusals == [reasons.PIN_NEEDED, reasons.PIN_WRONG]
    assert found[5].spend["amount_fen"] == 6_000
    assert len(visits_of(records, {})) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"policy": 5},
        {"policy": ["1"] * 30},
        {"policy": [None] * 30},
        {"policy": [1] * 30, "merchant_no": {"a": 1}},
    ],
)
def test_settings_that_are_none_are_refused(said):
    with pytest.raises(NotStaged):
        kind_of({"device": 1, "merchant_no": 71, **said}, "main")


def test_a_name_that_no_policy_has_is_no_part_of_the_scenario(records, kind):
    policy = {**kind.policy, "x = 1\n[[step]]\ndo": 1}
    own = kind_of({"device": 1001, "merchant_no": 71, "policy": policy}, "main")
    assert staged(records, own).text == staged(records, kind).text
