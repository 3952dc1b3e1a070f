"""What of the regulation is proven: the table, what came of it, and what departments are shown."""

import dataclasses
import json
import re
import subprocess

import openpyxl
import pytest
from typer.testing import CliRunner

from tools import commit
from tools.cli import app
from tools.compliance import results, rules, running, sheets
from tools.compliance.results import CHANGED, FAILED, NOT_RUN, OLD, PASSED, SKIPPED
from tools.compliance.rules import SCENARIO, TEST, Proof, Rule

RULE = re.compile(r"\bR(?:\d+b?(?:\.\d+[ab]?)?|-(?:A1|B2))(?![\w.]\w)")
GOOD = 'name = "x"\n[assert]\nlost = 0\n'


def heads(scenarios):
    """What the first lines of each scenario name: name -> rule ids."""
    return {
        path.stem: set(RULE.findall(path.read_text(encoding="utf-8").split("\nname", 1)[0]))
        for path in scenarios.glob("*.toml")
    }


def is_part(rule_id, of):
    """R14.2a is of R14.2 and of R14, and not of R1."""
    return rule_id == of or bool(re.match(rf"{re.escape(of)}(\.|[a-z]$|n\d$)", rule_id))


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Folders of our own in the place of those with scenarios and tests."""
    for name in ("scenarios", "tests"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(rules, "SCENARIOS", tmp_path / "scenarios")
    monkeypatch.setattr(rules, "TESTS", tmp_path / "tests")
    return tmp_path


# --- the table -----------------------------------------------------------------------------------


def test_every_article_of_the_regulation_is_there():
    ids = [rule.id for rule in rules.load()]
    assert len(ids) == len(set(ids)) == 74
    assert {int(found[1]) for each in ids if (found := re.match(r"R(\d+)", each))} == set(
        range(1, 27)
    )


def test_what_documents_and_scenarios_name_is_in_the_table(repo_root):
    text = (repo_root / "docs" / "regulation.md").read_text(encoding="utf-8")
    named = {
        each for row in text.splitlines() if row.startswith("| R") for each in RULE.findall(row)
    }
    named = named.union(*heads(rules.SCENARIOS).values())
    ids = [rule.id for rule in rules.load()]
    assert [each for each in named if not any(is_part(one, each) for one in ids)] == []


def test_table_and_scenarios_say_the_same():
    """A scenario that names a rule is a proof of it, or of a part of it."""
    every, named = rules.load(), heads(rules.SCENARIOS)
    missing = [
        (name, each)
        for name, ids in named.items()
        for each in ids
        if not any(
            is_part(rule.id, each) and Proof(SCENARIO, name) in rule.proofs for rule in every
        )
    ]
    assert missing == []


def test_every_proof_is_a_file_that_is_there():
    every = rules.proofs_of(rules.load())
    assert len(every) > 90
    assert [proof for proof in every if not proof.path.is_file()] == []
    unused = {path.stem for path in rules.SCENARIOS.glob("*.toml")} - {p.name for p in every}
    # What these show is no duty of the regulation.
    assert unused == {"bad_cards", "speech"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[R1", "declaration"),
        ('[R1]\narticle = "1"\n', "missing or unknown"),
        ('[R1]\narticle="1"\nwords="w"\ndepartment="Finance"\nscenarios=[]\ntests=[]\n', "why"),
        ('[R1]\narticle="1"\nwords="w"\ndepartment="X"\nscenarios=["a"]\ntests=[]\n', "no dep"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path, text, said):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(rules.BadRules, match=said):
        rules.load(tmp_path / "rules.toml")


# --- what came of it -----------------------------------------------------------------------------


def test_without_a_run_nothing_has_passed(tmp_path):
    done = CliRunner().invoke(app, ["report", "compliance", "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "74 rules: 74 not run" in done.stdout
    page = (tmp_path / "out" / "compliance.html").read_text(encoding="utf-8")
    assert "未运行" in page and "：通过" not in page
    assert not (tmp_path / "out" / results.FILE_NAME).exists()


def test_an_unknown_rule_and_a_broken_file_are_named(tmp_path):
    words = ["report", "compliance", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--rule", "R99"])
    assert (done.exit_code, "no rule R99" in done.stderr) == (2, True)
    row = {"kind": "test", "name": "x", "expected": "", "happened": "", "commit": ""}
    row |= {"verdict": "passed", "seed": None, "at_s": 1, "digest": ""}
    others = {"verdict": "great", "at_s": "1", "seed": [1], "happened": {}, "commit": None}
    rows = [row | {name: value} for name, value in others.items()]
    rows += [row | {"at_s": 1 << 60}, 1, {}]
    texts = [json.dumps({"format": 1, "outcomes": [one]}) for one in rows]
    for text in ('{"format": 1, "outcomes": [{"kind"', "[" * 100_000, *texts):
        (tmp_path / results.FILE_NAME).write_text(text)
        done = CliRunner().invoke(app, words)
        assert (done.exit_code, "is no file of results" in done.stderr) == (2, True), text[:99]
    assert not (tmp_path / "compliance.html").exists()
    (tmp_path / results.FILE_NAME).write_text(json.dumps({"format": 1, "outcomes": [row]}))
    assert len(results.read(tmp_path)) == 1


def test_what_a_proof_has_said_last_fits_into_a_cell():
    told = running._last("x" * 100_000 + "\nAssertionError: the cause")
    assert told.endswith("the cause") and len(told) < 32_767


def test_a_real_scenario_passes_and_one_that_asks_for_more_fails(repo_root, planted, monkeypatch):
    text = (repo_root / "simulator" / "scenarios" / "first_meal.toml").read_text(encoding="utf-8")
    assert "\nlost = 0\n" in text
    (planted / "scenarios" / "good.toml").write_text(text)
    (planted / "scenarios" / "bad.toml").write_text(text.replace("\nlost = 0\n", "\nlost = 3\n"))
    (planted / "scenarios" / "broken.toml").write_text("name = 7\n")
    monkeypatch.setattr(running, "commit_now", lambda: "abc")
    proofs = [Proof(SCENARIO, name) for name in ("good", "bad", "broken", "absent")]
    told = []
    running.run(planted, proofs, 2, told.append)
    known = results.read(planted)
    states = {proof.name: results.state_of(proof, known, "abc") for proof in proofs}
    assert states == {"good": PASSED, "bad": FAILED, "broken": FAILED, "absent": NOT_RUN}
    bad = known[proofs[1]]
    assert "lost = 3" in bad.expected and "lost is 0, not 3" in bad.happened
    assert isinstance(bad.seed, int) and bad.at_s > 1_700_000_000
    assert "broken.toml" in known[proofs[2]].happened
    assert len(told) == 4

    one = Rule("R1", "一", "w", "Finance", tuple(proofs), "")
    assert results.state_of_rule(one, known, "abc") == FAILED
    sheet = sheets.sheet_of([one], known, "abc", 1_790_000_000, 28_800)
    page = sheets.page(sheet).decode()
    assert page.count("预期：") == 2 and "实际：lost is 0, not 3" in page
    (planted / "book.xlsx").write_bytes(sheets.workbook(sheet))
    own = openpyxl.load_workbook(planted / "book.xlsx")["财务处 (一卡通中心)"]
    by_word = {row[5].value: row[5].font.color for row in own.iter_rows(min_row=2)}
    assert by_word["未通过"].rgb == "FFC00000" and {"通过", "未运行"} < set(by_word)
    assert sheets.workbook(sheet) == sheets.workbook(sheet)


def test_tests_that_fail_skip_or_are_not_there(planted, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k test_a")  # the caller's: it would leave test_b out
    files = {
        "test_bad.py": "def test_a():\n    pass\ndef test_b():\n    assert 1 == 2, 'eaten'\n",
        "test_away.py": "import pytest\ndef test_a():\n    pytest.skip('needs x')\n",
        "test_dies.py": "import os\ndef test_a():\n    os._exit(9)\n",
    }
    for name, text in files.items():
        (planted / "tests" / name).write_text(text)
    found = {name: running.outcome_of(Proof(TEST, name)) for name in files}
    verdicts = [found[name].verdict for name in files]
    assert verdicts == [FAILED, SKIPPED, FAILED]
    assert "test_b: AssertionError: eaten" in found["test_bad.py"].happened


def test_a_result_is_of_its_file_and_of_its_program(planted):
    path, proof = planted / "scenarios" / "a.toml", Proof(SCENARIO, "a")
    path.write_text(GOOD)
    outcome = results.Outcome(PASSED, "", "", 7, "abc", 1, results.digest_of(proof))
    results.write(planted, {proof: outcome})
    known = results.read(planted)
    assert known == {proof: outcome}
    states = [results.state_of(proof, known, commit) for commit in ("abc", "abc+", "def", "")]
    assert states == [PASSED, OLD, OLD, OLD]
    # A program that is not known may be any: two that are not known need not be the same.
    unknown = {proof: dataclasses.replace(outcome, commit="")}
    assert results.state_of(proof, unknown, "") == OLD
    path.write_text(GOOD + "\n")
    assert results.state_of(proof, known, "abc") == CHANGED
    path.unlink()
    assert results.state_of(proof, known, "abc") == CHANGED


def test_a_program_that_changes_while_its_proof_runs_is_not_the_one_that_passed(
    planted, monkeypatch
):
    """Somebody checks another commit out, or edits a file, behind the start of the run."""
    (planted / "scenarios" / "a.toml").write_text(GOOD)
    monkeypatch.setattr(running, "_scenario", lambda path: (PASSED, "", "", 7))
    for commits in (["abc", "def"], ["abc", "abc+"]):
        told = iter(commits)
        monkeypatch.setattr(running, "commit_now", lambda told=told: next(told))
        found = running.outcome_of(Proof(SCENARIO, "a"))
        assert found.commit == "abc+"
    monkeypatch.setattr(running, "commit_now", lambda: "abc")
    assert running.outcome_of(Proof(SCENARIO, "a")).commit == "abc"


def test_a_repository_around_the_program_does_not_say_its_version(tmp_path, monkeypatch):
    for words in (
        ["init", "-q"],
        [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "theirs",
        ],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", commit.commit_now())
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text("")
    assert commit.commit_now().endswith("+")  # nobody has committed it, and it is run
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(commit, "ROOT", tmp_path / "site-packages")
    assert commit.commit_now() == ""


def test_a_page_says_how_much_of_what_passed_was_not_run(planted):
    (planted / "tests" / "test_half.py").write_text(
        "import pytest\ndef test_a():\n    pass\ndef test_b():\n    pytest.skip('needs x')\n"
    )
    proof = Proof(TEST, "test_half.py")
    outcome = results.Outcome(PASSED, "2", "1 项在此环境中无法运行", None, "abc", 1, "")
    outcome = dataclasses.replace(outcome, digest=results.digest_of(proof))
    one = Rule("R1", "一", "w", "Finance", (proof,), "")
    page = sheets.page(sheets.sheet_of([one], {proof: outcome}, "abc", 0, 0)).decode()
    assert "通过" in page and "1 项在此环境中无法运行" in page


def test_whoever_stops_in_the_middle_has_what_was_done(planted, monkeypatch):
    """The second proof ends the program; the first is in the file."""
    for name in "ab":
        (planted / "scenarios" / f"{name}.toml").write_text(GOOD)
    proofs = [Proof(SCENARIO, name) for name in "ab"]
    outcome = results.Outcome(PASSED, "", "", 7, "abc", 1, results.digest_of(proofs[0]))

    def dies(proof):
        if proof.name == "b":
            raise KeyboardInterrupt
        return outcome

    monkeypatch.setattr(running, "outcome_of", dies)
    with pytest.raises(KeyboardInterrupt):
        running.run(planted, proofs, 1, lambda _: None)
    assert list(results.read(planted)) == proofs[:1]


def test_a_proof_that_hangs_has_failed(planted, monkeypatch):
    def hangs(command, **_):
        raise subprocess.TimeoutExpired(command, 1)

    (planted / "scenarios" / "a.toml").write_text(GOOD)
    monkeypatch.setattr(subprocess, "run", hangs)
    outcome = running.outcome_of(Proof(SCENARIO, "a"))
    assert (outcome.verdict, outcome.expected) == (FAILED, "lost = 0")
    assert "stopped after" in outcome.happened


def test_what_a_proof_says_is_a_text(planted):
    """No formula in the workbook, no markup in the page."""
    path, proof = planted / "scenarios" / "a.toml", Proof(SCENARIO, "a")
    path.write_text(GOOD)
    said = "=1+1<script>"
    known = {proof: results.Outcome(FAILED, said, said, 7, "a", 1, results.digest_of(proof))}
    sheet = sheets.sheet_of([Rule("R1", "一", "w", "Finance", (proof,), "")], known, "a", 0, 0)
    assert b"<script>" not in sheets.page(sheet)
    (planted / "book.xlsx").write_bytes(sheets.workbook(sheet))
    cell = openpyxl.load_workbook(planted / "book.xlsx").worksheets[1]["K2"]
    assert (cell.value, cell.data_type) == (said, "s")
