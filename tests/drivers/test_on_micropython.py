"""The reader's card code in the interpreter it is written for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def run_in_vm(micropython, script, heap="128k"):
    """What a script of this folder prints in MicroPython, within the heap of a small reader.

    More where it needs the journal: what is compiled here stands in flash there.
    """
    environment = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    command = [micropython, "-X", "heapsize=" + heap, str(HERE / script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_here(script):
    """What a script of this folder prints in CPython."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("script", "lines_min", "heap"),
    [
        ("portable_card.py", 150, "128k"),
        ("portable_iso_dep.py", 150, "128k"),
        ("portable_pin.py", 150, "512k"),
    ],
)
def test_cards_read_the_same(micropython, script, lines_min, heap):
    here = run_here(script)
    there = run_in_vm(micropython, script, heap)
    assert len(here.stdout.splitlines()) > lines_min
    assert there.splitlines() == here.stdout.splitlines()


# Conversation of portable_iso_dep.py -> every block the reader sends after RATS (ISO/IEC 14443-4,
# clause 7.5 and annex B), and what comes of it.
BLOCKS = {
    "plain": ("0260 03af", "answer 91ff"),
    "fast": ("d01105 0260", "answer 90"),
    "no pps": ("d01105 e050 0260", "answer 90"),
    "lying ats": ("e050", "gone no usable answer to select"),
    "parts lost": (
        "12000102030405060708090a0b0c 030d0e0f10111213 b3 a2 a2",
        "answer aabb",
    ),
    "parts out": (
        "12000102030405060708090a0b0c 030d0e0f10111213 a2 a3",
        "answer aabbcc",
    ),
    "answer lost": ("0260 b2", "answer 90"),
    "command lost": ("0260 b2 0260", "answer 90"),
    "never heard": ("0260 b2 0260 b2 0260", "gone no understandable block"),
    "not heard while taking": ("0260 a3 a3 a3", "answer aabb"),
    "ragged": ("0260 b2", "answer 90"),
    "time": ("0260 f202 f23b b2", "answer 90"),
    "endless time": ("0260" + " f201" * 16 + " b2 b2", "gone no understandable block"),
    "endless parts": ("0260" + " a3 a2" * 47 + " a3", "gone no end of the exchange"),
    "other number": ("0260 b2 b2", "gone no understandable block"),
    "damaged": ("0260 b2 0361 b3 b3", "gone no understandable block"),
}


def conversations():
    """Name -> (blocks sent, waiting times in us, how exchanges ended), as CPython has them."""
    found = {}
    for line in run_here("portable_iso_dep.py").stdout.splitlines():
        if not line.startswith(" "):
            sent, waits, ends = found.setdefault(line, ([], [], []))
        elif line.startswith("  > "):
            _, block, _, wait_us, *_ = line.split()
            sent.append(block)
            waits.append(int(wait_us))
        elif line.startswith(("  answer", "  gone")):
            ends.append(line.strip())
    return found


def test_iso_dep_sends_what_the_standard_says():
    found = conversations()
    assert list(found) == list(BLOCKS)
    for name, (sent, _, ends) in found.items():
        assert (" ".join(sent[1:]), ends[-1]) == BLOCKS[name], name


def test_iso_dep_waits_as_long_as_the_standard_says():
    """65536 / fc for RATS; then FWT, for one block as often as the card has asked for; no less."""
    _, waits, _ = conversations()["time"]
    fwt, delta = 4096 << 8, 49152
    for wait_us, cycles in zip(
        waits, (65536, fwt + delta, 2 * fwt + delta, 59 * fwt + delta, fwt + delta), strict=True
    ):
        assert cycles / 13.56 <= wait_us <= cycles / 13.56 * 1.04


def test_polling_allocates_nothing(micropython):
    lines = run_in_vm(micropython, "portable_poll.py").splitlines()
    assert lines == [
        "empty True None",
        "exchanges 6",
        "resting True b'\\x01\\x02\\x03\\x04'",
        "dark True None 24",
    ]
