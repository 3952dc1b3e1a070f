"""The reader's card code in the interpreter it is written for."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def run_in_vm(micropython, script):
    """What a script of this folder prints in MicroPython, within the heap of a small reader."""
    environment = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    command = [micropython, "-X", "heapsize=128k", str(HERE / script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_cards_read_the_same(micropython):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / "portable_card.py")]
    here = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    there = run_in_vm(micropython, "portable_card.py")
    assert len(here.stdout.splitlines()) > 150
    assert there.splitlines() == here.stdout.splitlines()


def test_polling_allocates_nothing(micropython):
    lines = run_in_vm(micropython, "portable_poll.py").splitlines()
    assert lines == [
        "empty True None",
        "exchanges 6",
        "resting True b'\\x01\\x02\\x03\\x04'",
    ]
