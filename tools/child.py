"""Processes that end when the one that has started them does, however that ends.

A bench or a tool that is killed closes nothing in good order: a broker, a database server or an
agent that it had started would go on, and be measured by the next run. On Linux the kernel sends
the signal (prctl(2), PR_SET_PDEATHSIG); elsewhere only an orderly end ends them. It counts the
thread that has started a process, so only a main thread may, which lives as long as its process.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
# Looked up here, for between fork and exec nothing may be loaded.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def start(
    command: Sequence[str], *, ended_by: int = signal.SIGKILL, **options: Any
) -> "subprocess.Popen[Any]":
    """A process as subprocess.Popen makes it; it gets `ended_by` when we are gone. OSError."""
    assert threading.current_thread() is threading.main_thread()
    parent = os.getpid()
    return subprocess.Popen(command, preexec_fn=lambda: end_with(parent, ended_by), **options)


def end_with(parent: int, ended_by: int = signal.SIGKILL) -> None:
    """Said by a process itself: it ends when `parent` does, at once if that is gone already."""
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, int(ended_by))
    if os.getppid() != parent:
        os.kill(os.getpid(), ended_by)
