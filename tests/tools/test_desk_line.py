"""`onecard desk` at the other end of a line: what comes garbled is no number."""

import os
import threading
import tty
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from tools.cli import app
from tools.desk_line import NoLine, numbers


@pytest.fixture
def line():
    """(the reader's end, the desk's name of the other)."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


@contextmanager
def sending(ours, said):
    """Say it again and again: whoever opens a line drops what has come before."""
    done = threading.Event()

    def send():
        while not done.wait(0.2):
            os.write(ours, said)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()


def test_numbers_come_as_they_are_sent_and_garbled_ones_do_not(line):
    ours, name = line
    garbled = b"\r\n00\xff0020001\r\nhello\r\n123\r\n"
    said = b"0000020001\r\n" + garbled + b"00026F6C3A\r\n" + b"9" * 500 + b"\n07302202\r\n"
    with sending(ours, said):
        found = list(numbers(name, count=3))
    assert found == ["0000020001", "00026F6C3A", "07302202"]


def test_of_more_than_were_asked_for_no_more_are_given(line):
    ours, name = line
    with sending(ours, b"0000020001\r\n" * 3):
        assert list(numbers(name, count=2)) == ["0000020001"] * 2


def test_personal_numbers_come_when_they_are_waited_for(line):
    ours, name = line
    said = b"0000020001\r\nT0012\r\nt0012\r\n\r\n" + b"9" * 17 + b"\r\n2026010203\r\n"
    with sending(ours, said):
        found = list(numbers(name, count=3, is_personal=True))
    assert found == ["0000020001", "T0012", "2026010203"]


def test_the_command_prints_them(line):
    ours, name = line
    with sending(ours, b"0000020001\r\n0000020002\r\n"):
        done = CliRunner().invoke(app, ["desk", name, "--count", "2"])
    assert (done.exit_code, done.output) == (0, "0000020001\n0000020002\n")


def test_a_line_that_is_not_there_is_told(tmp_path):
    with pytest.raises(NoLine, match="ttyNOT"):
        list(numbers(str(tmp_path / "ttyNOT")))
    done = CliRunner().invoke(app, ["desk", str(tmp_path / "ttyNOT")])
    assert done.exit_code == 2 and "ttyNOT" in done.output
