"""A real MicroPython at the end of a serial port, and nothing else of it: the desk's own agent polls
it, and what it does not answer, garbles or has pulled away is said and loses nothing."""

import select
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.checkers import journal_of
from simulator.desk.lone_board import LoneBoard, PtyTap
from simulator.desk.verbs import Refused
from simulator.homes import Images
from tests.desk.conftest import SMALL

pytest.importorskip("micropython_run", reason="needs MicroPython")
LIMIT_S = 60
POS = 1001
TAP = {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "12.50"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def board(images, tmp_path):
    """A window of SMALL, switched on; it lives by itself until the test is over."""
    lone = LoneBoard(SMALL, Path("campus.toml"), "pos-1", images, link=tmp_path / "ttyUSB0")
    with alive(lone):
        yield lone


@contextmanager
def alive(lone):
    is_over = threading.Event()
    lone.switch(True)
    thread = threading.Thread(target=lone.live, args=(is_over.is_set,))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        lone.close()


class Table:
    """A session whose time goes as this machine's does."""

    def __init__(self, session):
        self.session = session
        self.board = session.boards["pos-1"]
        self._begun_s = time.monotonic() - session.now_us / 1e6

    def until(self, is_so, limit_s=LIMIT_S):
        end_s = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < end_s, (self.board.state, self.board.last_error)
            now_us = int((time.monotonic() - self._begun_s) * 1e6)
            self.session.advance(max(now_us, self.session.now_us))
            time.sleep(0.02)

    @property
    def booked(self):
        return self.session.run.services.store.heads()[POS]

    def is_booked(self, lone):
        return journal_of(lone.flash).head_seq <= self.booked > 0


@pytest.fixture
def lay(open_session, tmp_path):
    """Opens a campus whose window is a board at that port."""
    return lambda url=None, **options: Table(
        open_session(boards={"pos-1": url or str(tmp_path / "ttyUSB0")}, **options)
    )


def pay(lone, amount, card="zhang-san"):
    """At the real keys and the real chip; returns when the display says something of it."""
    lone.press(amount.encode() + b"\r")
    wait(lambda: lone.lines[1].strip() == amount)
    lone.hold(card, 1500)
    wait(lambda: lone.lines[1].strip() != amount)
    return lone.lines[0].strip()


def wait(is_so):
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "not in time"
        time.sleep(0.02)


def test_what_a_board_tells_is_booked_and_its_card_is_nobody_s_here(board, lay):
    table = lay()
    table.until(lambda: table.board.state == "up")
    assert pay(board, "12.50") == "PAID 12.50"
    table.until(lambda: table.is_booked(board) and table.booked >= 3)
    run = table.session.run
    assert [fen for *_, fen, _ in run.services.store.booked_ids()] == [1250]
    assert run.cards_away() == {20001}
    with pytest.raises(Refused, match="zhang-san is a real card now"):
        table.session.act({"do": "enter", "card": "zhang-san", "reader": "gate"})
    report = table.session.finish()
    assert report.violations + report.failures == []
    assert (report.lost, report.duplicated) == (0, 0)


def test_pulled_in_the_middle_and_put_back_nothing_is_lost(board, lay):
    table = lay()
    table.until(lambda: table.board.state == "up")
    board.press(b"8.00\r")
    wait(lambda: board.lines[1].strip() == "8.00")
    board.hold("zhang-san", 1500)
    board.tap.pull()
    table.until(lambda: table.board.state == "no-port")
    assert table.board.last_error
    assert pay(board, "3.00", "new") == "BALANCE TOO LOW"
    before = table.booked
    assert journal_of(board.flash).head_seq > before
    board.tap.plug()
    table.until(lambda: table.is_booked(board))
    assert table.board.state == "up"
    told = "\n".join(text for _, text in table.session.told.lines)
    assert "pos-1, the board on" in told and ": no-port" in told
    summary = table.session.run.services.store.summary()
    assert (summary["duplicates"], summary["parked"], summary["suspense"]) == (0, 0, 0)
    assert [fen for *_, fen, _ in table.session.run.services.store.booked_ids()] == [800]
    report = table.session.finish()
    assert report.violations + report.failures == []


def test_power_gone_in_the_middle_of_a_spend(board, lay):
    table = lay()
    table.until(lambda: table.board.state == "up")
    board.press(b"8.00\r")
    wait(lambda: board.lines[1].strip() == "8.00")
    board.hold("zhang-san", 1500)
    board.switch(False)
    table.until(lambda: table.board.state == "silent")
    board.switch(True)
    table.until(lambda: table.board.state == "up" and table.is_booked(board))
    assert board.reader.boots == 2
    assert table.session.finish().violations == []


def test_the_building_in_the_dark_asks_nobody(board, lay):
    table = lay()
    table.until(lambda: table.board.state == "up")
    for do, state in (("cut", "no-agent"), ("plug", "up")):
        table.session.act({"do": do, "what": "mains", "site": "canteen-1"})
        table.until(lambda state=state: table.board.state == state)
    for do, state in (("cut", "cut"), ("plug", "up")):
        table.session.act({"do": do, "what": "reader-network", "reader": "pos-1"})
        table.until(lambda state=state: table.board.state == state)
    table.until(lambda: table.is_booked(board))


def test_a_line_that_spoils_bytes_only_takes_longer(board, lay):
    lost = iter(range(10_000))
    # Every seventh piece is gone, every eleventh has a wrong byte.
    board.tap.spoil = lambda data: (
        b"" if (number := next(lost)) % 7 == 6 else data[:-1] + b"?" if number % 11 == 10 else data
    )
    table = lay()
    table.until(lambda: table.is_booked(board))
    assert pay(board, "6.00") == "PAID 6.00"
    table.until(lambda: table.is_booked(board) and table.booked >= 3)
    assert table.board.counters["unanswered"] > 0
    assert table.session.finish().violations == []


# -- who is no board of ours -----------------------------------------------------------------


def test_no_port_and_nobody_behind_it(lay, tmp_path):
    table = lay()
    table.until(lambda: table.board.state == "no-port")
    assert "ttyUSB0" in table.board.last_error
    quiet = PtyTap(tmp_path / "ttyUSB0")
    table.until(lambda: table.board.state == "silent")
    quiet.pull()
    table.until(lambda: table.board.state == "no-port")


def test_somebody_who_answers_garbage(lay):
    """Each of its answers ends like a frame, and is none; then it does not wait to be asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        table = lay(f"socket://127.0.0.1:{server.getsockname()[1]}")
        there, _ = server.accept()
        is_over, babbles = threading.Event(), threading.Event()

        def answer():
            while not is_over.is_set():
                if select.select([there], [], [], 0.05)[0]:
                    there.recv(4096)
                    there.sendall(b"\x00\x05garbled\x00")
                elif babbles.is_set():
                    there.sendall(b"\x00\x05garbled\x00" * 8)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            table.until(lambda: table.board.state == "garbled")
            babbles.set()
            table.until(lambda: table.board.state in ("noisy", "garbled"))
            assert table.booked == 0 if POS in table.session.run.services.store.heads() else True
        finally:
            is_over.set()
            thread.join()
            there.close()
    assert table.session.run.services.store.summary()["records"] == 3  # the gate's
