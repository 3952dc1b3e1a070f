"""Where the firmware of a run's readers runs: in this process, or in a real MicroPython each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from simulator import machine_doze
from simulator.building import BuildingLine
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.machine_doze import DozingMachine, MachineHome
from simulator.reader import Home, Reader
from simulator.residence.doze import DoorHome, DozingReader
from simulator.vm.circuit import Circuit
from simulator.vm.circuit_codes import CodeCircuit, CodeDoorCircuit
from simulator.vm.circuit_desk import DeskCircuit
from simulator.vm.circuit_desk_usb import UsbDeskCircuit
from simulator.vm.circuit_door import DoorCircuit
from simulator.vm.circuit_lock import LockCircuit
from simulator.vm.circuit_serial import SerialCircuit, SerialDoorCircuit
from simulator.vm.home import DOOR_VM_HEAP_BYTES, HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from simulator.vm.ops import PROBE_OFF

Settle = Callable[[int], None]


class Images:
    """The firmware as it would be flashed, bytecode in a ROM image: each program is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}
        self._lock = threading.Lock()

    def of(self, main: str) -> Path:
        """The image of a program of firmware/, from any thread; it takes seconds to make."""
        with self._lock:
            if main not in self._made:
                program = ROOT / "firmware" / f"{main}.py"
                self._made[main] = build(ROOT, self._folder / f"image-{main}", program)
            return self._made[main]


# By role, and whether it hangs on a serial line: program, heap and circuit board.
_BOARDS: dict[tuple[str, bool], tuple[str, int, type[Circuit]]] = {
    ("pos", False): ("main", HEAP_BYTES, Circuit),
    ("pos", True): ("main_serial", HEAP_BYTES, SerialCircuit),
    ("code_pos", False): ("main_codes", HEAP_BYTES, CodeCircuit),
    ("attendance", False): ("main_attendance", HEAP_BYTES, Circuit),
    ("attendance", True): ("main_attendance_serial", HEAP_BYTES, SerialCircuit),
    ("kiosk", False): ("main_kiosk", HEAP_BYTES, Circuit),
    ("code_kiosk", False): ("main_kiosk_codes", HEAP_BYTES, CodeCircuit),
    ("identity", False): ("main_desk", HEAP_BYTES, DeskCircuit),
    ("usb_desk", False): ("main_desk_usb", HEAP_BYTES, UsbDeskCircuit),
    ("kiosk", True): ("main_kiosk_serial", HEAP_BYTES, SerialCircuit),
    ("door", False): ("main_door", DOOR_VM_HEAP_BYTES, DoorCircuit),
    ("code_door", False): ("main_door_codes", DOOR_VM_HEAP_BYTES, CodeDoorCircuit),
    ("lock", True): ("main_lock", DOOR_VM_HEAP_BYTES, LockCircuit),
    ("door", True): ("main_door_serial", DOOR_VM_HEAP_BYTES, SerialDoorCircuit),
}


class Homes:
    """Of one run: `home` is "cpython" or "vm", `depth` "register" or "card".

    `dozes`: doors and machines in this process skip the steps in which nothing can happen.
    `images`: those of others too, or some of its own in `directory`.
    """

    def __init__(
        self, home: str, depth: str, directory: Path, *, dozes: bool, images: Images | None = None
    ) -> None:
        self._home, self._depth = home, depth
        self.boards: Mapping[str, BuildingLine] = {}  # by reader: real ones, at the end of a line
        self._dozes = dozes
        self._images = images or Images(directory)

    def reader(self, role: str, hardware: Hardware, settle: Settle) -> Reader:
        """One with this hardware; `role` as in _BOARDS."""
        what = hardware.name, hardware.world, hardware
        if self._dozes and self._home != "vm":
            own = role, hardware, front_end if self._depth == "card" else None
            if role in ("door", "code_door"):
                return DozingReader(*what, DoorHome(*own), settle)
            if role in machine_doze.ROLES and not hardware.has_line:
                return DozingMachine(*what, MachineHome(*own), settle)
        return Reader(*what, self.make(role, hardware), settle)

    def make(self, role: str, hardware: Hardware) -> Home:
        """Where the firmware of `role` runs; VmMissing."""
        if self._home == "vm":
            return self.make_vm(role, hardware)
        if self._depth == "card":
            return HostHome(role, hardware, front_end)
        return HostHome(role, hardware)

    def image_of(self, role: str, hardware: Hardware) -> Path:
        """What `make_vm` will run, made now; from any thread."""
        return self._images.of(_BOARDS[role, hardware.has_line][0])

    def make_vm(self, role: str, hardware: Hardware, probe: int = PROBE_OFF) -> VmHome:
        """A VM of its own. `probe`: when it tells of its heap (simulator/vm/ops.py); VmMissing."""
        main, heap_bytes, wiring = _BOARDS[role, hardware.has_line]
        return VmHome(
            hardware.name,
            hardware,
            image=self._images.of(main),
            heap_bytes=heap_bytes,
            wiring=wiring,
            probe=probe,
        )
