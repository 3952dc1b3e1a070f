"""Live heap of the firmware of a POS and of a door in a real MicroPython, beside their budgets.

A scenario is played, for the POS one with every fault, for the door one with cards of both kinds
and both maps, with the firmware in a VM whose whole heap is the budget and what our own shims take
of it, which no board has. Before every hardware call the VM collects garbage and says what is
left: so the peak is that of live objects in the middle of card dialogues, deliveries and receipts.
The shims are taken off; what remains is still that of a 64-bit VM, where every object is about
twice the size it has on the board.
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
from simulator.vm.circuit import Circuit
from simulator.vm.circuit_door import DoorCircuit
from simulator.vm.home import (
    DOOR_HEAP_BYTES,
    DOOR_VM_HEAP_BYTES,
    HEAP_BYTES,
    POS_HEAP_BYTES,
    VmHome,
)
from tools.rooms import ROOT

_SCENARIOS = ROOT / "simulator" / "scenarios"
SCENARIO, DOOR_SCENARIO = _SCENARIOS / "every_fault.toml", _SCENARIOS / "door_access.toml"


class NotServed(Exception):
    """The firmware did not do its work in this heap."""


class ProbedRun(Run):
    """A run whose readers live in VMs that tell about their heap; `homes` has them all."""

    def __init__(self, scenario: Path, folder: Path) -> None:
        loaded = load(scenario)
        super().__init__(loaded, loaded.seed, "vm", "register", folder, None)
        self.homes: list[VmHome] = []

    def _make_home(self, role: str, hardware: Hardware) -> Home:
        is_door = role == "door"
        home = VmHome(
            hardware.name,
            hardware,
            image=self._image("main_door" if is_door else "main"),
            heap_bytes=DOOR_VM_HEAP_BYTES if is_door else HEAP_BYTES,
            probe=ops.PROBE_CALLS,
            wiring=DoorCircuit if is_door else Circuit,
        )
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
    has_doors = any(reader.get("role") == "door" for reader in run.scenario.readers)
    is_unbooked = report.booked < report.approved and not has_doors
    if report.violations or report.failures or not report.approved or is_unbooked:
        raise NotServed(
            f"approved {report.approved}, booked {report.booked}, {report.violations}"
            + (", out of time" if report.timed_out else "")
        )
    return {
        "idle": max(memory["live"] - memory["shims"] for memory in memories),
        "peak": max(memory["live_peak"] - memory["shims"] for memory in memories),
        "shims": max(memory["shims"] for memory in memories),
    }


def rows(scenario: Path = SCENARIO, doors: Path = DOOR_SCENARIO) -> list[dict[str, object]]:
    """Idle and peak beside the budget of a POS, and of a door."""
    table: list[dict[str, object]] = []
    for who, played, budget, whole in (
        ("POS", scenario, POS_HEAP_BYTES, HEAP_BYTES),
        ("door", doors, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
    ):
        try:
            found = measure(played)
        except VmMissing as missing:
            print(f"firmware_heap: {missing}", file=sys.stderr)
            return []
        against = f"budget of a {who}, without shims: it runs in {whole // 1024} KiB with them"
        table += [
            {
                "name": f"firmware of a {who}, live heap at {key}",
                "ours": found[key],
                "other": budget,
                "against": against,
                "unit": "bytes",
            }
            for key in ("idle", "peak")
        ]
    return table
