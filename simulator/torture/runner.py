"""Spreads units of torture over the cores, adds their figures up, and keeps what failed.

A unit is anything with a module's `run_unit(unit) -> Result` behind it. A worker that raises is a
violation of its unit, not the end of the run. Whoever stops the run, or kills it, has stopped its
workers: they end in the middle of what they play, and take their scratch files away.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.torture.result import Result
from simulator.torture.system import SystemUnit

_TELL_S = 5.0
_AHEAD = 4  # units waiting for each worker
_DAY_S = 86_400
_STOPPED = 143  # as a shell says of SIGTERM

RunUnit = Callable[[Any], Result]
Progress = Callable[[str], None]


@dataclass
class Total:
    """Everything a run has to show; `units` were played, `failed` are those with violations."""

    units: int = 0
    jobs: int = 1
    real_s: float = 0.0
    result: Result = field(default_factory=Result)
    failed: list[Any] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.units / self.real_s if self.real_s else 0.0

    def to_dict(self) -> dict[str, Any]:
        """What --json prints."""
        return {
            "seeds": self.units,
            "events": self.result.events,
            "cut_points": self.result.cut_points,
            "virtual_days": self.result.virtual_s // _DAY_S,
            "faults_fired": dict(sorted(self.result.faults_fired.items())),
            "violations": self.result.violations,
            "unresolved": self.result.unresolved,
            "seeds_per_second": round(self.per_second, 2),
            "jobs": self.jobs,
            "real_s": round(self.real_s, 1),
        }


def run(
    units: Iterable[Any],
    run_unit: RunUnit,
    *,
    jobs: int = 0,
    seconds: float = 0.0,
    progress: Progress | None = None,
    on_result: Callable[[Any, Result], None] = lambda _unit, _result: None,
) -> Total:
    """Run units, in their order as far as the cores allow; at most for `seconds` if given.

    `on_result(unit, result)` is told of each as it ends.
    """
    total = Total(jobs=jobs or os.cpu_count() or 1)
    started_s = told_s = time.monotonic()
    with closing(_results(units, run_unit, total.jobs, started_s, seconds)) as ended:
        for unit, result in ended:
            total.units += 1
            total.result.add(result)
            on_result(unit, result)
            if result.violations or result.unresolved:
                total.failed.append(unit)
                if progress is not None:
                    progress(f"FAILED: {unit.replay}")
            now_s = time.monotonic()
            total.real_s = now_s - started_s
            if progress is not None and now_s - told_s > _TELL_S:
                told_s = now_s
                progress(
                    f"{total.units} done, {total.per_second:.1f}/s, "
                    f"{len(total.result.violations)} violations"
                )
    return total


def _results(
    units: Iterable[Any], run_unit: RunUnit, jobs: int, started_s: float, seconds: float
) -> Generator[tuple[Any, Result], None, None]:
    source = iter(units)
    if jobs == 1:
        with _ended_by_sigterm():
            for unit in source:
                yield unit, guarded(run_unit, unit)
                if seconds and time.monotonic() - started_s >= seconds:
                    return
        return
    # Fork, so that a test's planted bug is planted in the workers too.
    context = multiprocessing.get_context("fork")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_work) as pool:
        waiting: dict[Future[Result], Any] = {}
        try:
            while True:
                is_over = seconds and time.monotonic() - started_s >= seconds
                while not is_over and len(waiting) < jobs * _AHEAD:
                    unit = next(source, None)
                    if unit is None:
                        break
                    waiting[pool.submit(_worked, run_unit, unit)] = unit
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
        except BaseException:  # stopped: no worker goes on with what nobody waits for
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Who plays without workers tidies up as a worker does, where nobody else hears the signal."""
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def guarded(run_unit: RunUnit, unit: Any) -> Result:
    """The result of one unit; whatever it raises is its violation."""
    try:
        return run_unit(unit)
    except Exception:  # noqa: BLE001 - a bug of any kind is what a torture is for
        where = getattr(unit, "replay", unit)
        return Result(violations=[f"{where}: {traceback.format_exc(limit=-4)}"])


# -- in a worker ----------------------------------------------------------------------------------


class _Stopped(SystemExit):
    """Somebody has stopped the run."""


def _begin_work() -> None:
    """A worker is ended by Ctrl-C, by SIGTERM and by the death of whoever has started it."""
    logging.disable(logging.CRITICAL)  # about faults that were meant to happen
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    main = threading.main_thread().ident
    threading.Thread(target=_outlive_nobody, args=(main,), daemon=True).start()


def _stop(_number: int, _frame: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # nothing disturbs the tidying up
    raise _Stopped(_STOPPED)


def _outlive_nobody(main: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    signal.pthread_kill(main, signal.SIGTERM)


def _worked(run_unit: RunUnit, unit: Any) -> Result:
    try:
        return guarded(run_unit, unit)
    except _Stopped:
        os._exit(_STOPPED)  # raised, the pool would hand this worker the next unit


# -- seeds that once failed -----------------------------------------------------------------------


def remember(path: Path, failed: Iterable[SystemUnit]) -> int:
    """Append seeds to the file that CI plays for ever; how many were new."""
    known = {(unit.seed, unit.intensity, unit.events) for unit in remembered(path)}
    new = [one for one in failed if (one.seed, one.intensity, one.events) not in known]
    with path.open("a", encoding="utf-8") as file:
        for unit in new:
            file.write(f"{unit.seed} {unit.intensity} {unit.events}\n")
    return len(new)


def remembered(path: Path) -> list[SystemUnit]:
    """The units of such a file: seed, intensity in thousandths, events; # begins a comment."""
    units = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            seed, intensity, events = map(int, words)
            units.append(SystemUnit(seed, intensity, events))
    return units
