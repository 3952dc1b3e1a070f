"""Live heap of the POS firmware in a real MicroPython, beside what a POS may have.

A scenario with every fault is played with the firmware in a VM whose whole heap is that budget and
what our own shims take of it, which no board has. Before every hardware call the VM collects
garbage and says what is left: so the peak is that of live objects in the middle of card dialogues,
deliveries and receipts. The shims are taken off; what remains is still that of a 64-bit VM, where
every object is about twice the size it has on the board.
"""

import sys
import tempfile
from pathlib import Path

from simulator.host.hardware import Hardware
from simulator.reader import Home
from simulator.run import Run
from simulator.scenario import load
from simulator.vm import ops
from simulator.vm.bridge import VmMissing
from simulator.vm.home import HEAP_BYTES, POS_HEAP_BYTES, VmHome
from simulator.vm.image import build
from tools.rooms import ROOT

SCENARIO = ROOT / "simulator" / "scenarios" / "every_fault.toml"


class NotServed(Exception):
    """The firmware did not do its work in this heap."""


class ProbedRun(Run):
    """A run whose readers live in VMs that tell about their heap; `homes` has them all."""

    def __init__(self, scenario: Path, folder: Path) -> None:
        loaded = load(scenario)
        super().__init__(loaded, loaded.seed, "vm", "register", folder, None)
        self.homes: list[VmHome] = []
        self._rom = build(ROOT, folder / "rom")

    def _make_home(self, role: str, hardware: Hardware) -> Home:
        del role  # the VM boots whatever firmware/main.py says
        home = VmHome(hardware.name, hardware, image=self._rom, probe=ops.PROBE_CALLS)
        self.homes.append(home)
        return home


def measure(scenario: Path = SCENARIO) -> dict[str, int]:
    """Bytes the firmware has alive: `idle` (all delivered, nobody there), `peak`; and `shims`."""
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        run = ProbedRun(scenario, Path(folder))
        try:
            run.build("amqtt")
            report = run.play()
            memories = [home.memory() for home in run.homes]
        finally:
            run.close()
    if report.violations or not report.approved or report.booked < report.approved:
        raise NotServed(
            f"approved {report.approved}, booked {report.booked}, {report.violations}"
            + (", out of time" if report.timed_out else "")
        )
    return {
        "idle": max(memory["live"] - memory["shims"] for memory in memories),
        "peak": max(memory["live_peak"] - memory["shims"] for memory in memories),
        "shims": max(memory["shims"] for memory in memories),
    }


def rows(scenario: Path = SCENARIO) -> list[dict[str, object]]:
    """Idle and peak beside the budget of a POS."""
    try:
        found = measure(scenario)
    except VmMissing as missing:
        print(f"firmware_heap: {missing}", file=sys.stderr)
        return []
    budget = f"budget of a POS, without shims: it runs in {HEAP_BYTES // 1024} KiB with them"
    named = {"idle": "firmware, live heap at idle", "peak": "firmware, live heap at peak"}
    return [
        {
            "name": name,
            "ours": found[key],
            "other": POS_HEAP_BYTES,
            "against": budget,
            "unit": "bytes",
        }
        for key, name in named.items()
    ]
