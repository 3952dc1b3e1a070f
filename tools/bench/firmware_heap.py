"""Live heap of the firmware of POS, door and lock in a real MicroPython, beside their budgets.

A scenario is played, for the POS one with every fault, for the door one with cards of both kinds
and both maps, for the lock all of its lives, with the firmware in a VM whose whole heap is the
budget and what our own shims take of it, which no board has. Before every hardware call the VM
collects garbage and says what is left: so the peak is that of live objects in the middle of card
dialogues, deliveries and receipts. The shims are taken off; what remains is still that of a 64-bit
VM, where every object is about twice the size it has on the board.
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
LOCK_SCENARIO = _SCENARIOS / "lock.toml"


class NotServed(Exception):
    """The firmware did not do its work in this heap."""


class ProbedRun(Run):
    """A run whose readers live in VMs that tell about their heap; `homes` has them all."""

    def __init__(self, scenario: Path, folder: Path, on_line: bool) -> None:
        loaded = load(scenario)
        for reader in loaded.readers:
            reader["serial"] = int(on_line)
        super().__init__(loaded, loaded.seed, "vm", "register", folder, None)
        self.homes: list[VmHome] = []

    def _make_home(self, role: str, hardware: Hardware) -> Home:
        home = self._make_vm(role, hardware, ops.PROBE_CALLS)
        self.homes.append(home)
        return home


def measure(scenario: Path = SCENARIO, *, on_line: bool = False) -> dict[str, int]:
    """Bytes the firmware has alive: `idle` (all delivered, nobody there), `peak`; and `shims`.

    `on_line`: the readers hang on a serial line in the place of the network.
    """
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        run = ProbedRun(scenario, Path(folder), on_line)
        try:
            run.build("amqtt")
            report = run.play()
            memories = [home.memory() for home in run.homes]
        finally:
            run.close()
    has_doors = any(reader.get("role") in ("door", "lock") for reader in run.scenario.readers)
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


def rows(
    scenario: Path = SCENARIO, doors: Path = DOOR_SCENARIO, locks: Path = LOCK_SCENARIO
) -> list[dict[str, object]]:
    """Idle and peak beside the budget of a POS, one on a serial line, a door, and a lock."""
    table: list[dict[str, object]] = []
    for who, played, on_line, budget, whole in (
        ("POS", scenario, False, POS_HEAP_BYTES, HEAP_BYTES),
        ("POS on a serial line", scenario, True, POS_HEAP_BYTES, HEAP_BYTES),
        ("door", doors, False, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
        ("lock on batteries", locks, True, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
    ):
        try:
            found = measure(played, on_line=on_line)
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
