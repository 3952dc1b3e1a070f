"""The documents tell the truth: each command, file and decision that they name exists."""

import functools
import re

import pytest
import typer.main

from tests.project.test_makefile import phony
from tools.cli import app

READMES = ("README.md", "README.zh-CN.md")
AT_ROOT = (*READMES, "SECURITY.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:make|onecard) [^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
HEADING = re.compile(r"\]\(([^)#\s]*)#([^)]+)\)")


def documents(root):
    """README in both languages, what stands beside it, and all of docs/."""
    return [root / name for name in AT_ROOT] + sorted((root / "docs").rglob("*.md"))


def commands(text):
    """The single commands in the shell blocks of a document."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            bare = re.sub(r"(^|\s)#.*", "", line.strip().removeprefix("$ "))
            yield from (part.strip() for part in re.split(r"&&|\|\||[;|]", bare) if part.strip())


def complaint(command, targets):
    """What is wrong with a `make` or `onecard` command; empty for a good one and for others."""
    program, *words = command.split()
    program = program.rpartition("/")[2]
    if program == "make":
        unknown = [w for w in words if re.fullmatch(r"[a-z][a-z-]*", w) and w not in targets]
        return f"make has no target {', '.join(unknown)}" if unknown else ""
    return _complaint_onecard(words) if program == "onecard" else ""


@functools.cache
def program():
    """The `onecard` command; to build it takes longer than to ask it."""
    return typer.main.get_command(app)


def _complaint_onecard(words):
    node = program()
    options = set()
    for word in words:
        options |= {name for parameter in node.params for name in parameter.opts}
        if word.startswith("--"):
            if word.partition("=")[0] not in options | {"--help"}:
                return f"onecard has no {word} there"
        elif children := getattr(node, "commands", None):
            if word not in children:
                return f"onecard has no command {word}"
            node = children[word]
    return (
        "" if not getattr(node, "commands", None) or "--" in " ".join(words) else "half a command"
    )


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("make nonsense", "no target nonsense"),
        ("make test docks", "no target docks"),
        ("onecard simulate", "no command simulate"),
        ("onecard sim walk x.toml", "no command walk"),
        ("onecard sim", "half a command"),
        (".venv/bin/onecard sim run x.toml --sead 7", "no --sead"),
        ("make test PYTEST_ARGS=-x", ""),
        ("make -j2 check", ""),
        ("onecard --help", ""),
        ("onecard sim run x.toml --seed 7 --home=vm --json", ""),
        ("apt-get install make", ""),
    ],
)
def test_a_wrong_command_is_found(repo_root, command, wrong):
    found = complaint(command, phony(repo_root))
    assert wrong in found if wrong else found == ""


def test_commands_of_a_block_are_found():
    shell = "```sh\n$ cd a && make demo  # first\nonecard \\\n  demo\n```\n"
    text = f"make nothing\n\n{shell}\n```py\nmake no\n```\n"
    assert list(commands(text)) == ["cd a", "make demo", "onecard    demo"]


@pytest.mark.parametrize("name", READMES)
def test_readme_names_the_two_commands(repo_root, name):
    found = list(commands((repo_root / name).read_text(encoding="utf-8")))
    assert "make demo" in found
    assert "make test" in found


def test_both_readmes_lead_to_the_same_places_and_name_the_same_commands(repo_root):
    english, chinese = ((repo_root / name).read_text(encoding="utf-8") for name in READMES)
    leads_to = [set(LINK.findall(text)) for text in (english, chinese)]
    assert leads_to[0] - {READMES[1]} == leads_to[1] - {READMES[0]}
    assert READMES[1] in leads_to[0] and READMES[0] in leads_to[1]
    assert set(commands(english)) == set(commands(chinese))


def test_every_command_exists(repo_root):
    targets = phony(repo_root)
    wrong = []
    for document in documents(repo_root):
        text = document.read_text(encoding="utf-8")
        named = list(commands(text)) + (INLINE.findall(text) if document.name in READMES else [])
        for command in named:
            said = complaint(re.sub(r"[\[\]]", " ", command), targets)
            if said:
                wrong.append(f"{document.relative_to(repo_root)}: {command}: {said}")
    assert wrong == []


def test_every_relative_link_leads_somewhere(repo_root):
    broken = [
        f"{document.relative_to(repo_root)}: {target}"
        for document in documents(repo_root)
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []


def anchors(text):
    """What the headings of a page are linked by."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_to_a_heading_finds_it(repo_root):
    lost = []
    for document in documents(repo_root):
        for target, anchor in HEADING.findall(document.read_text(encoding="utf-8")):
            page = document.parent / target if target else document
            if "://" not in target and anchor not in anchors(page.read_text(encoding="utf-8")):
                lost.append(f"{document.relative_to(repo_root)}: {target}#{anchor}")
    assert lost == []


def test_the_index_of_the_documents_has_each_page(repo_root):
    folder = repo_root / "docs"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in folder.glob("*.*")} - {"README.md"} <= set(LINK.findall(index))


def test_decision_records_are_listed(repo_root):
    folder = repo_root / "docs" / "adr"
    files = {path.name for path in folder.glob("[0-9][0-9][0-9][0-9]-*.md")}
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert {target for target in LINK.findall(index) if target[0].isdigit()} == files
