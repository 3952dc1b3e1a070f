"""docs/forensics.md: its commands run in their order, from a day's journal to the day again."""

import re
import shlex
import stat

from typer.testing import CliRunner

from tools.cli import app
from tools.journal.findings import WHY

BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def onecard(line):
    program, *arguments = shlex.split(line)
    assert program == ".venv/bin/onecard"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done.output


def test_every_command_of_the_page_does_what_it_says(repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulator").symlink_to(repo_root / "simulator")
    said = {}
    text = (repo_root / "docs" / "forensics.md").read_text(encoding="utf-8")
    for kind, block in BLOCK.findall(text):
        if kind == "toml":
            (tmp_path / "reader.toml").write_text(block)
            continue
        for line in block.replace("\\\n", " ").splitlines():
            said[line] = onecard(line)
    found = {line.split("onecard ")[1].split(" --")[0]: text for line, text in said.items()}
    assert "sha256 of the file" in found["journal pull pos-1.journal"]
    assert "every link holds" in found["journal verify pos-1.journal"]
    assert "outcome" in found["journal show pos-1.journal"]
    assert (
        "它有这条记录" in found["journal trace 1001/2"]
        or "已释放" in found["journal trace 1001/2"]
    )
    assert "settlement period: missing" in found["journal trace 1001/2"]
    assert "8 visits; 8 decided as in the field" in "".join(said.values())
    assert stat.S_IMODE((tmp_path / "pos-1.journal").stat().st_mode) == 0o600
    whole = "".join(said.values())
    assert (tmp_path / "day" / "pos-1.key").read_text().strip() not in whole
    shown = [text for line, text in said.items() if " sim run " not in line]
    assert not re.search(r"\b2000[1-5]\b", "".join(shown))


def test_the_page_has_every_finding(repo_root):
    text = (repo_root / "docs" / "forensics.md").read_text(encoding="utf-8")
    rows = [int(number) for number in re.findall(r"^\| ([0-9]+) \|", text, re.MULTILINE)]
    notes = [
        int(number) for number in re.findall(r"\b(5[0-9])\b(?= )", text.split("A note is")[1])
    ]
    assert rows + notes == sorted(WHY)
