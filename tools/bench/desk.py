"""What a desk costs that nobody touches: CPU time of this process for readers that wait.

Brokers are processes of their own and are not counted. Machines that look for a card are played
both ways, as they doze and with each of their looks run; what comes of it is the same
(tests/simulator/test_machine_doze.py). A jump is a `rest` of the campus that the desk opens with.
"""

import shutil
import tempfile
import time
from pathlib import Path

from simulator.desk.many import CAMPUS, campus_of
from simulator.desk.session import Session
from simulator.machine_doze import DozingMachine

DEVICES, IDLE_S, JUMP_H = 200, 20, 72
_SECOND_US = 1_000_000
_BEGUN_S = 20  # by then all have greeted, and the file's own steps are over


class Played:
    """A session of a campus file, which dozes or does not; `close` ends it."""

    def __init__(self, text: str, *, dozes: bool = True) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="onecard-bench-"))
        self.session = Session(text, CAMPUS, self._folder, broker="auto")
        for reader in self.session.run.readers.values():
            if isinstance(reader, DozingMachine):
                reader.is_stepped = not dozes

    def cpu_s(self, virtual_s: int) -> float:
        """Go on for so long; what it took."""
        begun_s = time.process_time()
        self.session.advance(self.session.now_us + virtual_s * _SECOND_US)
        return time.process_time() - begun_s

    def begin(self) -> float:
        """Until everybody is switched on; what it took."""
        return self.cpu_s(self.session.run.scenario.start_over_us // _SECOND_US + _BEGUN_S)

    def close(self) -> None:
        self.session.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _row(name: str, ours: float, other: float, against: str, unit: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": unit}


def rows(
    devices: int = DEVICES, idle_s: int = IDLE_S, jump_h: int = JUMP_H
) -> list[dict[str, object]]:
    """Starting so many, a second in which nobody comes, and a jump of hours."""
    found: dict[bool, tuple[float, float]] = {}
    for dozes in (True, False):
        played = Played(campus_of(devices), dozes=dozes)
        try:
            found[dozes] = played.begin(), played.cpu_s(idle_s) / idle_s
        finally:
            played.close()
    (start_s, second_s), (stepped_start_s, stepped_s) = found[True], found[False]
    played = Played(CAMPUS.read_text(encoding="utf-8"))
    try:
        played.begin()
        played.session.act({"do": "rest", "over": f"{jump_h:02}:00:00"})
        jump_s = played.cpu_s(jump_h * 3600)
    finally:
        played.close()
    each = "each look run"
    start = round(start_s, 1), round(stepped_start_s, 1)
    idle = round(second_s * 1000, 1), round(stepped_s * 1000, 1)
    return [
        _row(f"desk, {devices} start", *start, each, "CPU s"),
        _row(f"desk, {devices} wait", *idle, each, "CPU ms a virtual s"),
        _row(f"desk, jump of {jump_h} h", round(jump_s, 1), jump_h * 3600, "virtual time", "s"),
    ]
