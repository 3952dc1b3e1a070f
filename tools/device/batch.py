"""Many boards: one that fails does not stop the others, and what is done is not done again."""

import csv
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.device.errors import DeviceError
from tools.device.log import Log


class BadBatch(Exception):
    """The list cannot be used; the text has file, line and reason."""


@dataclass(frozen=True)
class Job:
    """A line of the list: the reader with this number is made of the board at this port."""

    port: str
    device: int


@dataclass(frozen=True)
class Result:
    """How many were done now, how many had been before, and what failed."""

    done: int
    before: int
    failed: list[tuple[Job, DeviceError]]


def read(path: Path) -> list[Job]:
    """The list: CSV with the columns port and device. BadBatch for doubles too. OSError."""
    jobs: list[Job] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            port, number = (row.get("port") or "").strip(), (row.get("device") or "").strip()
            if not port or not number.isascii() or not number.isdecimal():
                raise BadBatch(f"{path}:{line}: port and device, a number")
            job = Job(port, int(number))
            if not 0 < job.device <= 0xFFFFFFFF:
                raise BadBatch(f"{path}:{line}: no number of a reader")
            for other in jobs:
                if job.port == other.port or job.device == other.device:
                    raise BadBatch(f"{path}:{line}: port or device stands there twice")
            jobs.append(job)
    if not jobs:
        raise BadBatch(f"{path}:1: nothing in it; its first line is: port,device")
    return jobs


def run(
    jobs: list[Job],
    log: Log,
    site: str,
    sameness: Callable[[Job], Mapping[str, str]],
    act: Callable[[Job], Mapping[str, Any] | None],
    say: Callable[[str], None],
    at_once: int = 1,
    *,
    looks_at_all: bool = False,
) -> Result:
    """Do what `log` does not have yet; act(job) begins it in the log, and gives what is to be
    written down of it when it is done, or None: this very board was done before.

    `sameness`: what a reader that was done has to have in its line to be left as it is.
    `looks_at_all`: act on those too, for it may be another board that takes the number over.
    """
    lock = threading.Lock()
    failed: list[tuple[Job, DeviceError]] = []
    open_jobs = [
        job for job in jobs if looks_at_all or not is_done(log, site, job.device, sameness(job))
    ]

    def one(job: Job) -> int:
        try:
            row = act(job)
        except DeviceError as error:
            with lock:
                failed.append((job, error))
                say(f"{site}/{job.device} at {job.port}: {error}")
            return 0
        if row is None:
            return 0
        with lock:
            log.add({**row, **sameness(job)})
            say(f"{site}/{job.device} at {job.port}: done")
        return 1

    with ThreadPoolExecutor(at_once) as pool:
        done = sum(pool.map(one, open_jobs))
    return Result(done, len(jobs) - done - len(failed), failed)


def is_done(log: Log, site: str, device: int, same: Mapping[str, str]) -> bool:
    """Whether a reader was done with what is in `same`."""
    return same.items() <= (log.done(site, device) or {}).items()
