"""What a program has started ends when it does, killed or not: one that is left would be measured
by the next run, and holds its ports and memory until somebody looks for it.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from tools import child
from tools.postgres_server import programs
from tools.rooms import ROOT

# In the background of a shell it is passed over, and that is handed on.
_HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
# Two that were started so and one that was forked; each says its number.
_PARENT = """
import multiprocessing, os, signal, sys, time
from tools import child

SPEAKS = "import os, time; os.write(1, b'%d ' % os.getpid()); time.sleep(600)"

def worker():
    child.end_with(os.getppid())
    os.write(1, b"%d " % os.getpid())
    time.sleep(600)

for number in (signal.SIGKILL, signal.SIGTERM):
    child.start([sys.executable, "-c", SPEAKS], ended_by=number)
multiprocessing.get_context("fork").Process(target=worker, daemon=True).start()
time.sleep(600)
"""
_SERVER = """
import sys, time
from pathlib import Path
from tools.postgres_server import Server

server = Server(Path(sys.argv[1]), "/tmp", ["fsync=off"])
print(server.folder, *server.processes(), end=" ", flush=True)
time.sleep(600)
"""


def _killed(program, number, count, *arguments):
    """The first `count` words that a program has said, and handles of the processes among them.

    Of those that are there: a server has some that come and go.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C + program, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        said = b""
        while said.count(b" ") < count:
            said += os.read(process.stdout.fileno(), 1000)
        handles = []
        try:
            for number_said in filter(bytes.isdigit, said.split()):
                with contextlib.suppress(ProcessLookupError):
                    handles.append(os.pidfd_open(int(number_said)))
            process.send_signal(number)
            process.wait(20)
        finally:
            process.kill()
    return said.decode().split(), handles


def _all_end(handles):
    """Whether each of these processes ends: its handle becomes readable."""
    ended = [bool(select.select([handle], [], [], 20)[0]) for handle in handles]
    for handle in handles:
        os.close(handle)
    return ended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_was_started_ends_with_who_started_it(number):
    _said, handles = _killed(_PARENT, number, 3)
    assert _all_end(handles) == [True] * 3


def test_a_database_server_of_another_user_ends_with_who_started_it():
    found = programs()
    if found is None:
        pytest.skip("needs PostgreSQL")
    said, handles = _killed(_SERVER, signal.SIGKILL, 4, str(found))
    assert len(handles) >= 3 and _all_end(handles) == [True] * len(handles)
    subprocess.run(["rm", "-r", said[0]], check=True)


def test_who_comes_late_to_a_parent_that_has_ended_ends_at_once():
    code = "from tools import child; child.end_with(1 << 22); print('goes on')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_program_that_is_not_there_is_said_as_ever():
    with pytest.raises(FileNotFoundError):
        child.start(["/no/such/program"])


def test_benches_start_nothing_otherwise():
    for path in sorted((ROOT / "tools").rglob("*.py")):
        if path.name == "child.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert "subprocess.Popen(" not in text, f"{path}: tools/child.py starts it"
