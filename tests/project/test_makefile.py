"""make help lists every target, and set-up says what is missing on a bare machine."""

import re
import shutil
import subprocess

import pytest

WANTED = {"help", "setup", "demo", "test", "check", "bench", "vm", "docs", "clean"}


def make(repo_root, *arguments, **options):
    path = shutil.which("make")
    if path is None:
        pytest.skip("needs make")
    command = [path, "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=repo_root, capture_output=True, text=True, check=False, **options
    )


def phony(repo_root):
    text = (repo_root / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE).group(1).split())


def test_help_lists_every_target(repo_root):
    done = make(repo_root, "help")
    assert done.returncode == 0
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    assert listed == phony(repo_root)
    assert listed >= WANTED


def test_bare_make_prints_help(repo_root):
    assert make(repo_root).stdout == make(repo_root, "help").stdout


def _bare_machine(tmp_path, repo_root, python):
    """A copy of the Makefile on a machine whose python3 is the given shell script, if any."""
    shutil.copy(repo_root / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "lock.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    if python:
        (tmp_path / "fake-python").write_text(f"#!/bin/sh\n{python}\n")
        (tmp_path / "fake-python").chmod(0o755)
    done = make(tmp_path, "setup", f"PYTHON={tmp_path / 'fake-python'}")
    assert done.returncode != 0
    assert not (tmp_path / ".venv").exists()
    return done.stderr


def test_setup_without_python_names_the_packages(tmp_path, repo_root):
    assert "apt-get install python3 python3-venv" in _bare_machine(tmp_path, repo_root, "")


def test_setup_with_an_old_python_says_so(tmp_path, repo_root):
    python = 'case "$*" in *version_info*) exit 1;; *) echo Python 3.9.2;; esac'
    assert "Python 3.9.2 is too old" in _bare_machine(tmp_path, repo_root, python)


def test_setup_without_venv_names_the_package(tmp_path, repo_root):
    python = 'case "$*" in *ensurepip*) exit 1;; esac'
    assert "apt-get install python3-venv" in _bare_machine(tmp_path, repo_root, python)
