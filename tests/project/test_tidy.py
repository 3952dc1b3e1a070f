"""The house-style check: this repository passes it, and each planted fault is found."""

import warnings

import pytest

from tools.tidy import FILE_LINES_GOAL, FILE_LINES_MAX, findings

MARK = "TO" + "DO"


def _function(lines):
    return "def f():\n" + "    x = 1\n" * (lines - 1)


PLANTED = [
    ("edge_agent/x.py", _function(71), "f has 71 lines"),
    ("edge_agent/x.py", "x = 1\n" * (FILE_LINES_MAX + 1), "file has 501 lines"),
    ("edge_agent/x.py", "try:\n    pass\nexcept:\n    raise\n", "bare except"),
    ("edge_agent/x.py", "try:\n    f()\nexcept Exception:\n    pass\n", "swallows"),
    ("edge_agent/x.py", f"x = 1  # {MARK}: later\n", MARK),
    ("tests/x.py", f"# {MARK}\n", MARK),
    ("edge_agent/utils.py", "", "name the module"),
    ("protocols/rules/x.py", "LIMIT_FEN = 1.5\n", "float 1.5"),
    ("protocols/rules/x.py", "def f(a):\n    return a / 2\n", "/ makes a float"),
    ("ledger/booking/x.py", "def f(a):\n    a /= 2\n", "/ makes a float"),
    ("firmware/x.py", "def f(a: int):\n    pass\n", "annotation"),
    ("protocols/wire/x.py", "def f() -> int:\n    pass\n", "annotation"),
    ("protocols/wire/x.py", "x: int = 1\n", "annotation"),
]

ALLOWED = [
    ("edge_agent/x.py", _function(60)),
    ("edge_agent/x.py", "x = 1\n" * FILE_LINES_GOAL),
    ("edge_agent/x.py", "try:\n    f()\nexcept OSError:\n    pass\n"),
    ("edge_agent/x.py", "RATE = 1.5 / 2\n\n\ndef f(a: int) -> int:\n    return a\n"),
    ("protocols/rules/x.py", "def f(a):\n    return a // 2\n"),
]

WARNED = [
    ("edge_agent/x.py", _function(70), "f has 70 lines"),
    ("edge_agent/x.py", "x = 1\n" * FILE_LINES_MAX, "file has 500 lines"),
]


def _plant(root, path, source):
    """Write the file into a tree whose folders are all packages."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source)
    for folder in (target.parent, *target.parent.parents):
        if folder == root:
            break
        (folder / "__init__.py").touch()


@pytest.mark.parametrize(("path", "source", "text"), PLANTED)
def test_planted_fault_is_found(tmp_path, path, source, text):
    _plant(tmp_path, path, source)
    (found,) = findings(tmp_path)
    assert text in found.text
    assert not found.is_warning


@pytest.mark.parametrize(("path", "source"), ALLOWED)
def test_tidy_source_passes(tmp_path, path, source):
    _plant(tmp_path, path, source)
    assert findings(tmp_path) == []


@pytest.mark.parametrize(("path", "source", "text"), WARNED)
def test_between_goal_and_limit_warns(tmp_path, path, source, text):
    _plant(tmp_path, path, source)
    (found,) = findings(tmp_path)
    assert text in found.text
    assert found.is_warning


def test_folder_without_init_is_found(tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "x.py").touch()
    (found,) = findings(tmp_path)
    assert "__init__.py" in found.text


def test_this_repository(repo_root):
    found = findings(repo_root)
    for finding in found:
        if finding.is_warning:
            warnings.warn(str(finding), stacklevel=1)
    assert [str(finding) for finding in found if not finding.is_warning] == []
