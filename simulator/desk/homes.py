"""Where readers on the desk run: in this process, or in a real MicroPython of their own.

Both homes write the same event log, so a recording says nothing of it. Who is moved boots anew:
nothing that was only in memory comes along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from simulator.desk.boards import Board, RealReader
from simulator.homes import Homes, Images, Settle
from simulator.host.hardware import Hardware
from simulator.reader import Reader
from simulator.residence.doze import DozingReader
from simulator.vm.bridge import require_vm
from simulator.vm.home import VmHome
from simulator.vm.ops import PROBE_WAITS


class DeskHomes(Homes):
    """Homes whose readers can be moved. `in_vm`: who is in a MicroPython now.

    `boards`: who is none of them, but a real board.
    """

    def __init__(
        self,
        depth: str,
        directory: Path,
        *,
        dozes: bool,
        in_vm: Collection[str] = (),
        images: Images | None = None,
        boards: Mapping[str, Board] | None = None,
    ) -> None:
        super().__init__("cpython", depth, directory, dozes=dozes, images=images)
        self.in_vm = set(in_vm)
        self._real: dict[str, Board] = dict(boards or {})
        self.boards = self._real
        self._roles: dict[str, str] = {}

    def reader(self, role: str, hardware: Hardware, settle: Settle) -> Reader:
        """See Homes; VmMissing if it shall be in a MicroPython and there is none."""
        self._roles[hardware.name] = role
        if hardware.name in self._real:
            return RealReader(self._real[hardware.name], hardware.world, hardware, settle)
        reader = super().reader(role, hardware, settle)
        if hardware.name in self.in_vm:
            require_vm()
            self.move(reader, to_vm=True)
        return reader

    def prepare(self, reader: Reader) -> None:
        """Make what it would run in a MicroPython, ahead of `move`, in any thread; VmMissing."""
        require_vm()
        self.image_of(self._roles[reader.name], reader.hardware)

    def move(self, reader: Reader, *, to_vm: bool) -> None:
        """Its next boot is there. It has no power now; VmMissing where there is no MicroPython."""
        assert not reader.is_on, "what runs is not moved"
        name, hardware = reader.name, reader.hardware
        role = self._roles[name]
        if to_vm:
            reader.home = self.make_vm(role, hardware, PROBE_WAITS)
        else:
            # As it would have been built: a door dozes.
            reader.home = super().reader(role, hardware, lambda _: None).home
        if isinstance(reader, DozingReader):
            reader.is_stepped = to_vm
        (self.in_vm.add if to_vm else self.in_vm.discard)(name)

    def vm_of(self, reader: Reader) -> VmHome | None:
        """The MicroPython that a reader is in, or None."""
        home: Any = reader.home
        return home if isinstance(home, VmHome) else None
