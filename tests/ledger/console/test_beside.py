"""The console beside the ledger: it begins with it, ends with it, and comes back when it dies."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ledger.beside import FIRST_WAIT_MS, LOOK_MS, WAIT_MS_MAX, Beside
from tests.ledger.console.campus import ENVIRONMENT, PATIENCE_S, configure

RUN = "import logging, sys; logging.basicConfig(level='INFO'); "
RUN += "from ledger.daemon import run; run(sys.argv[1])"


@pytest.fixture
def ledger(tmp_path):
    """(process, port) of `onecard ledger run`; no broker is there, which is nothing to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = configure(tmp_path)
    config.write_text(config.read_text().replace("port = 0", f"port = {port}"))
    process = subprocess.Popen([sys.executable, "-c", RUN, str(config)], env=ENVIRONMENT)
    yield process, port
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE_S)


def is_there(port):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        line.request("GET", "/login")
        return line.getresponse().status == 200
    except OSError:
        return False
    finally:
        line.close()


def wait(is_it, what):
    until = time.monotonic() + PATIENCE_S
    while not is_it():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def child_of(process):
    """The console that this ledger has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout
    for line in found.splitlines():
        if "ledger.console" in line:
            return int(line.split()[0])
    return 0


def test_it_begins_comes_back_and_ends_with_the_ledger(ledger):
    process, port = ledger
    wait(lambda: is_there(port), "the console does not begin")
    first = child_of(process)
    os.kill(first, signal.SIGKILL)
    wait(lambda: is_there(port) and child_of(process) not in (0, first), "it does not come back")
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert not is_there(port)


def test_a_ledger_that_is_killed_takes_it_along(ledger):
    process, port = ledger
    wait(lambda: is_there(port), "the console does not begin")
    process.kill()
    wait(lambda: not is_there(port), "the console goes on without its ledger")


def test_one_that_cannot_begin_is_tried_less_and_less_often(tmp_path):
    config = tmp_path / "ledger.toml"
    config.write_text("colour = 1\n")
    beside = Beside(config)
    now_ms, waits = 0, []
    for _ in range(3):
        due_ms = beside.step(now_ms)
        assert due_ms == now_ms + LOOK_MS
        assert beside._process.wait(PATIENCE_S) == 2
        now_ms += LOOK_MS
        due_ms = beside.step(now_ms)
        assert beside._process is None
        waits.append(due_ms - now_ms)
        now_ms = due_ms
    assert waits == [FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS]
    assert beside.starts == 3 and waits[-1] < WAIT_MS_MAX
    beside.close()
