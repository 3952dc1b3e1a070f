"""A reader's firmware as an object in this process: the fast home, thousands fit in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware.roles import (
    attendance,
    code_door,
    code_kiosk,
    code_pos,
    identity,
    kiosk,
    lock,
    mail_door,
    pos,
)
from simulator.host.board import HostBoard
from simulator.host.hardware import Hardware
from simulator.host.lock_board import HostLockBoard
from simulator.host.lock_hardware import LockHardware

BUILDERS = {
    "pos": pos.build,
    "code_pos": code_pos.build,
    "door": mail_door.build,
    "code_door": code_door.build,
    "attendance": attendance.build,
    "kiosk": kiosk.build,
    "code_kiosk": code_kiosk.build,
    "identity": identity.build,
    "usb_desk": identity.build,
    "lock": lock.build,
}


class HostHome:
    """Runs the firmware of one reader step by step.

    `front_end(hardware)` stands in for the card front end; it is called anew at every boot.
    """

    def __init__(
        self, role: str, hardware: Hardware, front_end: Callable[[Hardware], Any] | None = None
    ) -> None:
        self._build = BUILDERS[role]
        self._hardware = hardware
        self._front_end = front_end
        self._device: Any = None
        self._board: Any = None
        self._ticks_ms: Callable[[], int] = lambda: 0
        self._after_wait: Callable[[], None] = lambda: None

    def start(self, now_us: int) -> int:
        """Boot, and run the first step; returns when to be run again (us), on `now_us`'s clock."""
        on_us = now_us - self._hardware.ticks_us()
        front_end = self._front_end(self._hardware) if self._front_end else None
        hardware = self._hardware
        is_lock = isinstance(hardware, LockHardware)
        board = self._board = HostLockBoard(hardware) if is_lock else HostBoard(hardware)
        self._device, self._ticks_ms = self._build(board, front_end), board.ticks_ms
        self._after_wait = board.after_wait
        return self._step(on_us)

    def run(self, now_us: int) -> int:
        """One step, or a boot that ends sleep; returns when to be run again (us), as above."""
        if isinstance(self._hardware, LockHardware) and self._hardware.wakes_by is not None:
            return self.start(now_us + self._hardware.wake_up())
        self._after_wait()
        return self._step(now_us - self._hardware.ticks_us())

    def _step(self, on_us: int) -> int:
        due_ms = self._device.step(self._ticks_ms())
        if isinstance(self._board, HostLockBoard) and self._board.sleeps_until(due_ms):
            self._device = None
        return due_ms * 1000 + on_us

    def kill(self) -> None:
        """The power is gone: whatever was in memory is too."""
        self._device = None
