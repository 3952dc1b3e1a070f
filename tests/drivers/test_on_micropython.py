"""The reader's card code in the interpreter it is written for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def run_in_vm(micropython, script):
    """What a script of this folder prints in MicroPython, within the heap of a small reader."""
    environment = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    command = [micropython, "-X", "heapsize=128k", str(HERE / script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_here(script):
    """What a script of this folder prints in CPython."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("script", "lines_min"), [("portable_card.py", 150), ("portable_iso_dep.py", 150)]
)
def test_cards_read_the_same(micropython, script, lines_min):
    here = run_here(script)
    there = run_in_vm(micropython, script)
    assert len(here.stdout.splitlines()) > lines_min
    assert there.splitlines() == here.stdout.splitlines()


def test_polling_allocates_nothing(micropython):
    lines = run_in_vm(micropython, "portable_poll.py").splitlines()
    assert lines == [
        "empty True None",
        "exchanges 6",
        "resting True b'\\x01\\x02\\x03\\x04'",
        "dark True None 24",
    ]
