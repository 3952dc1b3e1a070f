"""Live heap of the firmware of readers in a real MicroPython, beside their budgets.

A scenario is played, for the POS one with every fault, for the door one with cards of both kinds
and both maps, with a scanner one with phones, for others their own. The firmware is in a VM
whose whole heap is the budget and what our own shims take of it, which no board has. Before every
hardware call the VM collects garbage and says what is left: so the peak is that of live objects in
the middle of card dialogues, deliveries and receipts. The shims are taken off; what remains is
still that of a 64-bit VM, where every object is about twice the size it has on the board.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simulator.homes import Homes
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
CODE_SCENARIO, CODE_DOOR_SCENARIO = _SCENARIOS / "codes.toml", _SCENARIOS / "door_codes.toml"
LOCK_SCENARIO = _SCENARIOS / "lock.toml"
# Who, what is played, whether on a serial line, its budget, and the heap of its VM.
Play = tuple[str, Path, bool, int, int]
PLAYS: tuple[Play, ...] = (
    ("POS", SCENARIO, False, POS_HEAP_BYTES, HEAP_BYTES),
    ("POS on a serial line", SCENARIO, True, POS_HEAP_BYTES, HEAP_BYTES),
    ("door", DOOR_SCENARIO, False, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
    ("lock on batteries", LOCK_SCENARIO, True, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
    ("POS with a scanner", CODE_SCENARIO, False, POS_HEAP_BYTES, HEAP_BYTES),
    ("door with a scanner", CODE_DOOR_SCENARIO, False, DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES),
    # These have no budget of their own.
    ("library desk", _SCENARIOS / "library.toml", False, POS_HEAP_BYTES, HEAP_BYTES),
    ("kiosk with a scanner", _SCENARIOS / "kiosk_loss.toml", False, POS_HEAP_BYTES, HEAP_BYTES),
)

_SLOWER = 4  # than the scenario allows for


class NotServed(Exception):
    """The firmware did not do its work in this heap."""


class ProbedHomes(Homes):
    """VMs that tell about their heap; `made` has them all."""

    def __init__(self, directory: Path) -> None:
        super().__init__("vm", "register", directory, dozes=False)
        self.made: list[VmHome] = []

    def make(self, role: str, hardware: Hardware) -> Home:
        home = self.make_vm(role, hardware, ops.PROBE_CALLS)
        self.made.append(home)
        return home


class ProbedRun(Run):
    """A run whose readers live in `homes`."""

    def __init__(self, scenario: Path, folder: Path, on_line: bool) -> None:
        loaded = load(scenario)
        loaded.timeout_s *= _SLOWER  # a probe before each call
        for reader in loaded.readers:
            reader["serial"] = int(on_line)
        self.homes = ProbedHomes(folder)
        super().__init__(loaded, loaded.seed, "vm", "register", folder, None, homes=self.homes)


def measure(scenario: Path = SCENARIO, *, on_line: bool = False) -> dict[str, int]:
    """Bytes the firmware has alive: `idle` (all delivered, nobody there), `peak`; and `shims`.

    `on_line`: the readers hang on a serial line in the place of the network.
    """
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        run = ProbedRun(scenario, Path(folder), on_line)
        try:
            run.build("amqtt")
            report = run.play()
            memories = [home.memory() for home in run.homes.made]
        finally:
            run.close()
    # Of roles that take no money nothing is booked.
    has_tills = any(reader.get("role", "pos") == "pos" for reader in run.scenario.readers)
    booked = report.booked + report.sold_by_code
    is_unbooked = booked < report.approved and has_tills
    if report.violations or report.failures or not report.approved or is_unbooked:
        raise NotServed(
            f"approved {report.approved}, booked {booked}, {report.violations}"
            + (", out of time" if report.timed_out else "")
        )
    return {
        "idle": max(memory["live"] - memory["shims"] for memory in memories),
        "peak": max(memory["live_peak"] - memory["shims"] for memory in memories),
        "shims": max(memory["shims"] for memory in memories),
    }


def rows(plays: Sequence[Play] = PLAYS) -> list[dict[str, object]]:
    """Idle and peak of each reader beside its budget."""
    table: list[dict[str, object]] = []
    for who, played, on_line, budget, whole in plays:
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
