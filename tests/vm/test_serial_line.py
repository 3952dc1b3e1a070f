"""A real MicroPython on a real serial port: a pty and a TCP socket, the agent's daemon behind it.

Real time, and bytes that a kernel carries. What a line does to itself happens in `Cable`, between
the reader's UART and the port.
"""

import json
import os
import random
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import tty

import pytest

from edge_agent.store import Store
from protocols.rules import settings
from simulator.checkers import journal_of
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware as ModelledHardware
from simulator.vm import image
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit import Circuit, WiringError
from simulator.vm.circuit_serial import SerialCircuit
from simulator.vm.home import VmHome
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.edge_agent.peers import Ledger
from tests.vm import bench
from tests.vm.bench import SETTINGS, Hardware

SEED = 27
LIMIT_S = 60
BAUD = b"115200"


# -- the board -------------------------------------------------------------------------------


class WiredHardware(Hardware):
    """The bench with a transceiver, which takes 87 us for a byte."""

    def __init__(self, baud=BAUD):
        super().__init__()
        self.heard = b""
        if baud is not None:
            self.nvs["serial_baud"] = baud
        self._sent_us = 0

    def line_drive(self, level):
        self.log.append(("drive", level, self.now_us))

    def line_read(self, size):
        data, self.heard = self.heard[:size], self.heard[size:]
        return data

    def line_write(self, data):
        self._sent_us = self.now_us + 87 * len(data)
        self.log.append(("line", data, self.now_us))

    def line_flush(self):
        self.now_us = max(self.now_us, self._sent_us)


@pytest.fixture
def on_line(run_program, monkeypatch):
    """What a program prints on a board that hangs on a line."""
    prologue = (
        "from firmware.boards.esp32 import Board\n"
        "from firmware.boards.esp32_serial import Net\n"
        "board = Board(Net)\nstream = board.net.open('', 0)\n"
    )
    monkeypatch.setattr(bench, "PROLOGUE", prologue)

    def run(text, hardware, wiring=SerialCircuit):
        home = run_program(text + "\nboard.wait(1000)\n", hardware, wiring=wiring)
        home.start()
        return home.stderr_tail().split("\n")[:-1]

    return run


def test_the_driver_is_on_until_the_last_stop_bit(on_line):
    hardware = WiredHardware()
    assert on_line("print(stream.send(bytes(100)), stream.connected())", hardware) == ["100 True"]
    line = [entry for entry in hardware.log if entry[0] in ("drive", "line")]
    start_us = line[-2][2]
    assert line[-3:] == [
        ("drive", 1, start_us),
        ("line", bytes(100), start_us),
        ("drive", 0, start_us + 8700),
    ]
    assert all(entry[1] == 0 for entry in line[:-3]), "it listens from the beginning"


def test_what_has_lain_too_long_is_thrown_away(on_line):
    hardware = WiredHardware()
    hardware.heard = bytes(range(100))
    program = """
print(stream.recv(64))
board.sleep_us(80000)
print(stream.recv(64))
"""
    assert on_line(program, hardware) == [repr(bytes(range(64))), repr(bytes(range(64, 100)))]
    hardware = WiredHardware()
    hardware.heard = bytes(range(100))
    program = "board.sleep_us(90000)\nprint(stream.recv(64), stream.recv(64))"
    assert on_line(program, hardware) == ["None None"]


def test_a_line_that_nobody_reads_wakes_nobody(on_line):
    """Others are polled while an uplink rests: a poll that is always ready would let it spin."""
    program = """
waiting = board.waiting._streams
print(len(waiting))
stream.close()
print(len(waiting))
print(board.net.open("", 0) is stream, len(waiting))
"""
    assert on_line(program, WiredHardware()) == ["2", "1", "True 2"]


@pytest.mark.parametrize("baud", [None, b"9600", b"fast", b"115200000"])
def test_a_line_without_a_speed_is_not_provisioned(on_line, baud):
    with pytest.raises(VmCrashed, match="NotProvisioned: serial_baud in NVS: none of 19200"):
        on_line("", WiredHardware(baud))


def test_a_board_without_the_transceiver_is_not_wired(on_line):
    with pytest.raises(WiringError, match="pin 19 is not wired"):
        on_line("", WiredHardware(), wiring=Circuit)


# -- a port ----------------------------------------------------------------------------------


class Cable:
    """LineTap of the simulator over a file descriptor; `spoil` is what the line does to bytes."""

    def __init__(self, hardware):
        self._hardware = hardware
        self._heard = b""
        self.fd = None
        self.spoil = None
        self.sent_us = 0

    def drive(self, _level, _now_us):
        pass

    def power_off(self, _now_us):
        self._heard = b""

    def write(self, data, now_us):
        self.sent_us = now_us + len(data) * 10_000_000 // int(BAUD)
        if self.fd is not None:
            try:
                os.write(self.fd, self.spoil(data) if self.spoil else data)
            except OSError:
                self.fd = None

    def pump(self):
        """Whether something has arrived."""
        if self.fd is None or not select.select([self.fd], [], [], 0)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            self.fd = None
            return False
        self._heard = (self._heard + (self.spoil(data) if self.spoil else data))[-1024:]
        return True

    def read(self, size, _now_us):
        data, self._heard = self._heard[:size], self._heard[size:]
        return data


class Pty:
    """A pty behind a name that stays, as udev gives one; `plug` and `pull` the adapter."""

    def __init__(self, folder):
        self.path = folder / "ttyUSB0"
        self.url = str(self.path)
        self._fds = ()

    def plug(self):
        self._fds = os.openpty()
        tty.setraw(self._fds[1])
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._fds[1]))
        return self._fds[0]

    def pull(self):
        self.path.unlink(missing_ok=True)
        for fd in self._fds:
            os.close(fd)
        self._fds = ()


class Server:
    """A serial server: whoever connects has the line."""

    def __init__(self, _folder):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connected = None

    def plug(self):
        self._listener.settimeout(LIMIT_S)
        self._connected = self._listener.accept()[0]
        return self._connected.fileno()

    def pull(self):
        if self._connected is not None:
            self._connected.close()
        self._connected = None


class Bench:
    """A POS in a VM, stepped by the host's clock; its journal is on `flash`."""

    def __init__(self, rom):
        world = World(int(time.time()))
        self.flash = NorFlash(64 * 4096, random.Random(SEED))
        nvs = {"settings": settings.encode(SETTINGS), "serial_baud": BAUD}
        draw = random.Random(SEED)
        self.hardware = ModelledHardware("pos1", world, Transcript(), self.flash, nvs, draw)
        self.hardware.line = self.cable = Cable(self.hardware)
        self.home = VmHome("pos1", self.hardware, image=rom, wiring=SerialCircuit)
        self._start_ns = time.monotonic_ns()
        self._due_us = 0

    @property
    def head(self):
        return journal_of(self.flash).head_seq

    def _now_us(self):
        return (time.monotonic_ns() - self._start_ns) // 1000

    def boot(self):
        self.home.kill()
        self.hardware.power_off()
        self.hardware.world.now_us = self._now_us()
        self.hardware.power_on()
        self._due_us = self.home.start(self.hardware.clock.now_us)

    def run(self, is_done, limit_s=LIMIT_S):
        """Step in real time until `is_done()`."""
        end_s = time.monotonic() + limit_s
        while not is_done():
            assert time.monotonic() < end_s, "not in time"
            has_arrived = self.cable.pump()
            now_us = self._now_us()
            if now_us >= self._due_us or has_arrived:
                self.hardware.clock.advance_to(now_us)
                self._due_us = self.home.run(self.hardware.clock.now_us)
            wait_s = min(max(self._due_us - self._now_us(), 0) / 1e6, 0.02)
            if self.cable.fd is None:
                time.sleep(wait_s)
            else:
                select.select([self.cable.fd], [], [], wait_s)


class Agent:
    """The daemon on a configuration with one line; `lines` are its log so far."""

    def __init__(self, folder, url, repo_root):
        ledger = Ledger()
        (folder / "ledger.pub").write_text(ledger.public_key.hex())
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        broker = f'host = "127.0.0.1"\nport = {port}\n'
        (folder / "agent.toml").write_text(
            'site = "north"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
            f"[readers]\n{broker}[upstream]\n{broker}"
            f'[[lines]]\nurl = "{url}"\nreaders = [1001, 1009]\n'
        )
        self.folder = folder
        self.lines = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent.daemon", str(folder / "agent.toml")],
            stderr=subprocess.PIPE,
            text=True,
            cwd=repo_root,
            env={**os.environ, "PYTHONPATH": str(repo_root)},
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for text in self._process.stderr:
            self.lines.append(json.loads(text))

    def said(self, event, **fields):
        """How often it has said this."""
        wanted = {"event": event, **fields}
        return sum(1 for line in self.lines if wanted.items() <= line.items())

    def stored(self):
        """Records of the reader that are on the agent's disk."""
        path = self.folder / "data" / "agent.sqlite"
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return database.execute("SELECT count(*) FROM record WHERE device = 1001").fetchone()[
                0
            ]
        finally:
            database.close()

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def serial_image(tmp_path_factory, repo_root):
    main = repo_root / "firmware" / "main_serial.py"
    return image.build(repo_root, tmp_path_factory.mktemp("serial") / "image", main)


def spoiling(draw):
    """One in ten pieces has a wrong bit, loses its end, or never arrives."""

    def spoil(data):
        if not data or draw.random() > 0.1:
            return data
        what = draw.randrange(3)
        if what == 0:
            return b""
        if what == 1:
            return data[: draw.randrange(len(data))]
        spoiled = bytearray(data)
        spoiled[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(spoiled)

    return spoil


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [Pty, Server])
def test_the_daemon_and_a_real_micropython(kind, serial_image, tmp_path, repo_root):
    """A clean line, a bad one, a boot, an adapter pulled and put back: all arrives."""
    print("seed", SEED)
    port = kind(tmp_path)
    pos = Bench(serial_image)
    fd = port.plug() if kind is Pty else None
    agent = Agent(tmp_path, port.url, repo_root)
    try:
        pos.cable.fd = fd if fd is not None else port.plug()
        pos.boot()
        pos.run(lambda: agent.said("reader_up", device=1001))
        assert agent.said("connected", link="line1") == 1
        # The other reader of the configuration is not there, and that is said once.
        pos.run(lambda: agent.said("reader_silent", device=1009))
        pos.cable.spoil = spoiling(random.Random(SEED))
        pos.boot()
        pos.run(lambda: pos.head >= 2 and agent.stored() == pos.head)
        port.pull()
        pos.cable.fd = None
        pos.run(lambda: agent.said("disconnected", link="line1"))
        pos.boot()
        pos.cable.fd = port.plug()
        pos.run(lambda: agent.said("connected", link="line1") == 2)
        pos.run(lambda: pos.head >= 3 and agent.stored() == pos.head)
        assert agent.said("reader_silent", device=1009) == 1
        assert agent.stop() == 0
        assert Store(str(tmp_path / "data" / "agent.sqlite")).stored_upto(1001, 0) == pos.head
    finally:
        agent.kill()
        pos.home.kill()
        port.pull()
