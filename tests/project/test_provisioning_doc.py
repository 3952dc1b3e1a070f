"""docs/provisioning.md: its commands run in their order, from a bare board to a paid meal."""

import re
import shlex
import time

import pytest
from typer.testing import CliRunner

from tools.cli import app
from tools.keys.root import Cost
from tools.keys.vault import Vault

BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHEAP = Cost(1, 64, 1)
SAID = {"wang": "correct horse battery", "li": "staple of the other"}


def commands(block):
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def onecard(line):
    words, _, out = line.partition(">")
    program, *arguments = shlex.split(words)
    assert program == ".venv/bin/onecard"
    persons = [
        arguments[at + 1] for at, word in enumerate(arguments) if word in ("--by", "--person")
    ]
    said = "".join(SAID[name] + "\n" for name in persons)
    done = CliRunner().invoke(app, arguments, input=said)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    if out.strip():
        with open(out.strip(), "w") as file:
            file.write(done.stdout)
    return done.output


@pytest.mark.timeout(900)
def test_every_command_of_the_page_does_what_it_says(repo_root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # What a guess costs at a passphrase is in tests/keys; here each command would cost as much.
    create = Vault.create
    monkeypatch.setattr(Vault, "create", lambda folder, said: create(folder, said, CHEAP))
    text = (repo_root / "docs" / "provisioning.md").read_text(encoding="utf-8")
    said, bare_s = {}, 0.0
    for kind, block in BLOCK.findall(text):
        if kind == "toml":
            (tmp_path / "reader.toml").write_text(block)
            continue
        for line in commands(block):
            if "sim bare board-1" in line:
                bare_s = time.monotonic()
            said[line] = onecard(line)
            if "sim meal" in line:
                with capsys.disabled():
                    print(f"\nbare board to first paid meal: {time.monotonic() - bare_s:.1f} s")
    whole = "\n".join(said.values())
    assert "student at pos-1: PAID 8.50" in whole and "balance to the fen" in whole
    assert "it is reader 1001 of canteen-1" in whole and "2 done, 0 before" in whole
    assert not [phrase for phrase in SAID.values() if phrase in whole]
    secrets = re.findall(r'"([0-9a-f]{32,64})"', (tmp_path / "canteen-1.kit").read_text())
    assert len(secrets) == 3 and not [key for key in secrets if key in whole]
    assert "2 signatures; 2 of them by these keys" in whole and "PRIVATE KEY" not in whole
    assert (tmp_path / "door-2" / "package.json").exists()


def test_the_page_has_every_cause(repo_root):
    from tools.device.errors import CAUSES

    text = (repo_root / "docs" / "provisioning.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9, ]+) \|", text, re.MULTILINE)
    assert [int(number) for row in rows for number in row.split(",")] == list(CAUSES)
