"""Every command of every document is run, or stands in the table of docs/commands.md."""

import re
import shlex

import pytest
import typer
import typer.testing

from ledger.receipts import public_key
from simulator.run import run_scenario
from tests.project.test_docs import commands, documents, program
from tools.cli import app

USAGE_ERROR = typer.BadParameter.__base__
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| `([^`]+)` \|$", re.MULTILINE)
# Typed for whatever is asked: a PIN, a password, a person's number, an account.
TYPED = "123456\n" * 8
# What a page takes for granted: files of an office, a bank, a channel. None is of these books, so
# what reads them refuses them in words.
BY_HAND = (
    *("graduates.csv", "subsidies.csv", "answer.csv", "answers.csv", "refunds.csv"),
    *("statement.csv", "staff.xlsx", "pos-1.toml", "limits.toml", "canteen.toml"),
    "main-2.release",
)
SCENARIO = """
name = "pages"
title = "The books of the documents"
seed = 80
clock = "2026-09-01T11:30:00+08:00"
site = "canteen-1"
[[merchant]]
name = "noodles"
no = 71
[[reader]]
name = "pos-1"
device = 1001
merchant = "noodles"
[[reader]]
name = "door-1"
device = 2001
role = "door"
scope = "dorm"
card_map = 1
merchant = "noodles"
[[cards]]
name = "student"
count = 2
first_no = 20001
balance = "50.00"
[[step]]
at = "00:00:05"
do = "tap"
card = "student-1"
reader = "pos-1"
amount = "9.00"
[assert]
lost = 0
"""


def table(root):
    """(beginning, reason, test file) of each row of docs/commands.md."""
    return ROW.findall((root / "docs" / "commands.md").read_text(encoding="utf-8"))


def written(root):
    """(page, command) of every `onecard` and `make` command, each once, in order."""
    seen = {}
    for page in documents(root):
        for command in commands(page.read_text(encoding="utf-8")):
            bare = re.sub(r"^(?:\$ )?(?:\S*/)?(onecard|make)\b", r"\1", command)
            if bare.split()[0] in ("onecard", "make"):
                seen.setdefault(re.sub(r"\s+", " ", bare), str(page.relative_to(root)))
    return [(page, command) for command, page in seen.items()]


def is_listed(command, rows):
    return any(f"{command} ".startswith(f"{begins} ") for begins, _why, _test in rows)


def words_of(command):
    """The arguments, without what a shell does with input and output."""
    return shlex.split(re.sub(r"[<>]\s*\S+", "", command))[1:]


@pytest.fixture(scope="module")
def books(repo_root, tmp_path_factory):
    """A folder with the books of a site, and the files that docs/running.md shows."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pages.toml").write_text(SCENARIO)
    report = run_scenario(folder / "pages.toml", depth="card", keep=folder / "ledger")
    assert report.exit_code == 0
    (folder / "kept").symlink_to(folder / "ledger")
    (folder / "kept-meal").symlink_to(folder / "ledger")
    text = (repo_root / "docs" / "running.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    key = bytes(range(32))
    (folder / "signing.key").write_text(key.hex())
    (folder / "signing.key").chmod(0o600)
    (folder / "ledger.pub").write_text(public_key(key).hex())
    (folder / "ledger.toml").write_text(next(one for one in blocks if "signing_key" in one))
    for name in BY_HAND:
        (folder / name).write_text("x = 1\n")
    (folder / "drill-1").mkdir()
    (folder / "drill-1" / "power-kept").symlink_to(folder / "ledger")
    agent = [one for one in blocks if "[readers]" in one or "[view]" in one]
    (folder / "agent.toml").write_text("".join(agent))
    return folder


def test_the_table_is_about_commands_that_are_there(repo_root):
    """No row without a command, no reason left out, no test file that is not there."""
    rows = table(repo_root)
    assert len(rows) == len({begins for begins, _why, _test in rows}) > 20
    every = [command for _page, command in written(repo_root)]
    unused = [row[0] for row in rows if not any(is_listed(one, [row]) for one in every)]
    assert unused == []
    assert [test for _begins, _why, test in rows if not (repo_root / test).is_file()] == []


def test_every_command_parses(repo_root, books, monkeypatch):
    """Those that are not run, too: with their arguments, by the program's own parser."""
    monkeypatch.chdir(books)
    (books / "simulator").symlink_to(repo_root / "simulator")
    wrong = []
    for page, command in written(repo_root):
        if command.startswith("onecard"):
            words = re.sub(r"\bjournal show .*", "journal show agent.toml", command)
            said = parsed(words_of(words))
            if said:
                wrong.append(f"{page}: {command}: {said}")
    assert not wrong, "\n".join(wrong)


def parsed(words):
    """What the parser says against these words; "" for nothing. No command is carried out."""
    node = program()
    context = None
    while True:
        try:
            context = node.make_context(node.name or "onecard", list(words), parent=context)
        except USAGE_ERROR as error:
            said = error.format_message()
            # Files that a page makes by hand are not all here.
            return "" if "does not exist" in said else said
        except typer.Exit:
            return ""
        if not hasattr(node, "resolve_command"):
            return ""
        rest = [*context._protected_args, *context.args]
        _name, node, words = node.resolve_command(context, rest)


def test_a_wrong_argument_would_be_found():
    assert "--day" in parsed(["ledger", "inspections", __file__])
    assert parsed(["ledger", "card", "show", __file__, "--card", "seven"])
    assert parsed(["ledger", "card", "show", __file__, "--card", "7"]) == ""


def test_every_command_is_run(repo_root, books, monkeypatch, capsys):
    """In its order, page by page; it does it, or the program says in words why not."""
    monkeypatch.chdir(books)
    monkeypatch.setenv("ONECARD_SESSION", str(books / "session"))
    monkeypatch.setattr(typer.testing, "_get_command", lambda _app: program())
    rows, runner = table(repo_root), typer.testing.CliRunner()
    wrong, done, refused = [], 0, 0
    for page, command in written(repo_root):
        if is_listed(command, rows):
            continue
        result = runner.invoke(app, words_of(command), input=TYPED)
        crashed = result.exception is not None and not isinstance(result.exception, SystemExit)
        if crashed or result.exit_code not in (0, 1, 2) or "Usage:" in result.stderr:
            wrong.append(f"{page}: {command}: {result.exit_code} {result.exception!r}")
            wrong += result.stderr.splitlines()[-3:]
        done += result.exit_code != 2
        refused += result.exit_code == 2
    with capsys.disabled():
        print(f"\ncommands of the documents: {done} did it, {refused} were refused in words")
    assert not wrong, "\n".join(wrong)
    assert done >= 40
