"""A real MicroPython at the end of a serial port, and nothing else of it.

The desk's own agent polls it. What is not answered, garbled or pulled away is said, and loses
nothing.
"""

import os
import queue
import re
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ledger.config import import_register
from ledger.store import LedgerStore
from protocols.rules import settings
from simulator.checkers import journal_of
from simulator.desk import board_files, board_words
from simulator.desk.boards import STATES
from simulator.desk.lone_board import LoneBoard, PtyTap
from simulator.desk.verbs import Refused
from simulator.homes import Images
from simulator.provisioning import Secrets
from simulator.scenario import ScenarioError, parse
from simulator.world.randomness import Seeds
from tests.desk.conftest import SMALL
from tests.desk.served import served
from tools.card.keyfile import load_keys

pytest.importorskip("micropython_run", reason="needs MicroPython")
LIMIT_S = 60
POS = 1001
TAP = {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "12.50"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return Images(tmp_path_factory.mktemp("images"))


class Alive:
    """A board that lives in a thread of its own, and the hands that do things to it there."""

    def __init__(self, lone):
        self.lone = lone
        self._wanted = queue.Queue()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lone.live, args=(self._look,))
        self.do(lone.switch, True)
        self._thread.start()

    def do(self, hand, *what):
        self._wanted.put((hand, what))

    def _look(self):
        while not self._wanted.empty():
            hand, what = self._wanted.get()
            hand(*what)
        return self._is_over.is_set()

    def end(self):
        self._is_over.set()
        self._thread.join()
        self.lone.close()

    @property
    def said(self):
        return [line.strip() for line in self.lone.lines]

    @property
    def head(self):
        return journal_of(self.lone.flash).head_seq

    def key(self, amount):
        wait(lambda: self.said[0] == "WELCOME")
        self.do(self.lone.press, amount.encode() + b"\r")
        wait(lambda: self.said[1] == amount)

    def pay(self, amount, card="zhang-san"):
        """At the real keys and the real chip; what the display says of it."""
        self.key(amount)
        self.do(self.lone.hold, card, 1500)
        wait(lambda: self.said[0] not in ("CARD PLEASE", "WELCOME"))
        return self.said[0]


@pytest.fixture
def board(images, tmp_path):
    """A window of SMALL, switched on; it lives by itself until the test is over."""
    link = tmp_path / "ttyUSB0"
    alive = Alive(LoneBoard(SMALL, Path("campus.toml"), "pos-1", images, link=link))
    yield alive
    alive.end()


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

    def is_booked(self, board):
        return board.head <= self.booked > 0


@pytest.fixture
def lay(open_session, tmp_path):
    """Opens a campus whose window is a board at that port."""
    return lambda url=None, **options: Table(
        open_session(boards={"pos-1": url or str(tmp_path / "ttyUSB0")}, **options)
    )


def wait(is_so):
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "not in time"
        time.sleep(0.02)


def test_what_a_board_tells_is_booked_and_its_card_is_nobody_s_here(board, lay):
    table = lay()
    table.until(lambda: table.board.state == "up")
    assert board.pay("12.50") == "PAID 12.50"
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
    board.key("8.00")
    board.do(board.lone.hold, "zhang-san", 1500)
    board.do(board.lone.tap.pull)
    table.until(lambda: table.board.state == "no-port")
    assert table.board.last_error
    assert board.pay("3.00", "new") == "BALANCE TOO LOW"
    assert board.head > table.booked
    board.do(board.lone.tap.plug)
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
    board.key("8.00")
    board.do(board.lone.hold, "zhang-san", 1500)
    wait(lambda: board.head > table.booked)  # in the middle of the spend
    board.do(board.lone.switch, False)
    table.until(lambda: table.board.state == "silent")
    board.do(board.lone.switch, True)
    table.until(lambda: table.board.state == "up" and table.is_booked(board))
    assert board.lone.reader.boots == 2
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
    board.lone.tap.spoil = lambda data: (
        b"" if (number := next(lost)) % 7 == 6 else data[:-1] + b"?" if number % 11 == 10 else data
    )
    table = lay()
    table.until(lambda: table.is_booked(board))
    assert board.pay("6.00") == "PAID 6.00"
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
        finally:
            is_over.set()
            thread.join()
            there.close()
    store = table.session.run.services.store
    assert store.heads()[POS] == 0 and table.session.finish().violations == []


# -- what the desk says of it ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TAP, "pos-1 is a real board: hold a real card"),
        ({"do": "kill", "reader": "pos-1"}, "pos-1 is a real board"),
        ({"do": "rest", "over": "72:00:00"}, "real time"),
    ],
)
def test_nobody_here_has_hands_at_it(lay, table, said):
    session = lay().session
    with pytest.raises(Refused, match=said):
        session.act(table)
    with pytest.raises(Refused, match="pos-1 is a real board"):
        session.move("pos-1", to_vm=True)
    assert "[[step]]" not in session.recorder.text().split("[[cards]]")[-1].replace(
        '[[step]]\nat = "00:00:05"\ndo = "wait"', ""
    )


def test_a_step_of_the_file_at_a_board_is_left_out(lay):
    tap = "".join(f'{key} = "{value}"\n' for key, value in TAP.items())
    table = lay(text=SMALL + f'[[step]]\nat = "00:00:01"\n{tap}')
    told = table.session.told
    table.until(
        lambda: any("left out: tap; pos-1 is a real board" in text for _, text in told.lines)
    )
    assert table.session.run.tally.taps == 0


@pytest.mark.parametrize(
    ("name", "said"), [("pos-9", "there is no reader 'pos-9'"), ("desk", "identity speaks")]
)
def test_what_cannot_be_a_board(open_session, name, said):
    desk = '[[reader]]\nname = "desk"\ndevice = 9\nrole = "identity"\nmerchant = "noodles"\n'
    text = SMALL.replace("[[cards]]", desk + "[[cards]]", 1)
    with pytest.raises(ScenarioError, match=said):
        open_session(text, boards={name: "/dev/ttyUSB0"})


def test_every_state_has_its_words():
    assert set(board_words.STATES) == set(STATES)


def test_the_page_shows_what_it_tells(board, open_page, tmp_path):
    expect = pytest.importorskip("playwright.sync_api").expect
    with served(SMALL, boards={"pos-1": str(tmp_path / "ttyUSB0")}) as (stage, url):
        page = open_page(f"{url}/?lang=en")
        window = page.locator('[data-reader="pos-1"]')
        state = window.locator('[data-of="board-state"]')
        expect(state).to_contain_text("It answers", timeout=30_000)
        assert window.locator("[data-tap], [data-keys], .lcd").count() == 0
        assert page.locator("[data-speed='60'], [data-jump]").count() == 0
        assert stage.set_time({"speed": 60}).result() == "a real board lives in real time: only ×1"
        assert board.pay("12.50") == "PAID 12.50"
        lines = window.locator('[data-of="board-lines"]')
        expect(lines).to_contain_text("outcome", timeout=30_000)
        expect(page.locator('[data-card="zhang-san"] [data-of="state"]')).to_have_text("Real card")
        expect(page.locator('[data-holds="constant"]')).to_have_class("good")
        board.do(board.lone.tap.pull)
        expect(state).to_contain_text("cannot be opened, or is gone", timeout=30_000)
        expect(lines).to_contain_text("outcome")
        board.do(board.lone.tap.plug)
        expect(state).to_contain_text("It answers", timeout=60_000)
        window.locator("[data-port]").click()
        expect(state).to_contain_text("let go of the port")
        page.goto(f"{url}/device?reader=pos-1&lang=en")
        page.wait_for_selector("body[data-ready]")
        expect(page.locator('[data-of="chain"]')).to_have_text("The chain holds")
        page.locator("[data-port]").click()
        expect(page.locator('[data-of="board-state"]')).to_contain_text(
            "It answers", timeout=60_000
        )
        page.goto(f"{url}/wall?lang=en")
        page.wait_for_selector("body[data-ready]")
        expect(page.locator('[data-name="pos-1"]')).to_have_class(re.compile("fine"))
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
        for path in ("", "device?reader=pos-1"):
            page.goto(f"{url}/{path}")
            page.wait_for_selector("body[data-ready]")
            violations = axe.Axe().run(page).response["violations"]
            assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in violations] == []


# -- setting up --------------------------------------------------------------------------------


def test_what_a_board_and_cards_are_set_up_with(tmp_path, open_session):
    campus, folder = tmp_path / "campus.toml", tmp_path / "setup"
    campus.write_text(SMALL)
    said = board_files.leave(campus, 7, ["pos-1"], folder)
    assert "main_serial.py" in said
    assert (folder / "pos-1" / "serial_baud").read_bytes() == b"115200"
    session = open_session(seed=7, boards={"pos-1": str(tmp_path / "none")})
    found = settings.decode((folder / "pos-1" / "settings").read_bytes())
    assert (found["device"], found["device_key"]) == (POS, session.run.device_keys[POS])
    masters = load_keys(folder / board_files.CARD_KEYS)
    assert (masters.purse_key, masters.mac_key) == (session.run.keys.purse, session.run.keys.mac)
    assert masters.desfire_masters() is not None
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_hands_on_the_command_line(repo_root, tmp_path):
    """The board that `onecard sim board` is, with nobody at the other end of its line."""
    campus, link = tmp_path / "campus.toml", tmp_path / "ttyACM0"
    register = tmp_path / "register.toml"
    campus.write_text(SMALL)
    command = [sys.executable, "-m", "tools.cli", "sim", "board", "pos-1", str(campus)]
    done = subprocess.run(
        [*command, "--link", str(link), "--register", str(register)],
        input="help\ncard nobody\ncard new x\ncard new 50\nkeys 12.50\noff\non\nquit\n",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd=repo_root,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"--board pos-1={link}" in done.stderr
    for text in ("keys 12.50", "no such card; there are zhang-san, new", "no milliseconds"):
        assert text in done.stderr
    assert not link.is_symlink()
    assert register.stat().st_mode & 0o077 == 0
    books = LedgerStore.open(":memory:")
    import_register(books, register)
    assert (books.holder_balance(20001), books.holder_balance(20101)) == (6820, 0)
    scenario = parse(SMALL, campus)
    key = Secrets.drawn(scenario, Seeds(scenario.seed)).devices[POS]
    assert books.keys_at("canteen-1") == [(POS, key)]
    books.close()


def test_a_board_that_no_scenario_has(images):
    with pytest.raises(ScenarioError, match="no reader 'pos-2' that has a serial line"):
        LoneBoard(SMALL, Path("campus.toml"), "pos-2", images)
