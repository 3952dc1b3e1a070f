"""The board of a lock as the firmware sees it: the twin of firmware/boards/esp32_lock.py."""

from __future__ import annotations

import struct
from binascii import crc32

from firmware.drivers.ds3231 import Ds3231
from protocols.rules import lock
from simulator.host.board import HostBoard
from simulator.host.lock_hardware import EXT0_WAKE, LockHardware

SLEEP_MS_MIN = 1000
# Of several that are not at rest the first one is waited for.
WAKERS = (lock.TOUCHED, lock.KEY, lock.INSIDE, lock.LINE, lock.INTACT)
_RETAINED = "<IIB"


class HostI2c:
    """machine.I2C, as far as firmware/drivers/ds3231.py uses it."""

    def __init__(self, hardware: LockHardware) -> None:
        self._hardware = hardware

    def readfrom_mem(self, address: int, register: int, count: int) -> bytes:
        return self._hardware.i2c_read(address, register, count)

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._hardware.i2c_write(address, register, data)


class HostBolt:
    """The inputs of the lock, and its motor."""

    def __init__(self, hardware: LockHardware) -> None:
        self._hardware = hardware
        self.levels = hardware.bolt_levels

    def drive(self, direction: int) -> None:
        """One side of the bridge is let go before the other one is driven."""
        self._hardware.bolt_drive(lock.REST)
        self._hardware.bolt_drive(direction)


class HostLockBoard(HostBoard):
    """See the board seam in docs/ARCHITECTURE.md."""

    def __init__(self, hardware: LockHardware) -> None:
        super().__init__(hardware)
        self._lock_hardware = hardware
        self.lock = HostBolt(hardware)  # pyright: ignore[reportAttributeAccessIssue]
        self._chip = Ds3231(HostI2c(hardware))
        self._wakers = (lock.KEY, 1, 0)
        is_key = hardware.wake_reason() == EXT0_WAKE and hardware.rtc_memory[8:9] == b"\x01"
        self.woken = lock.KEY * is_key
        self.utc_s = self._utc_s
        self._timer_s = hardware.utc_s  # the chip's own, which sleep does not stop

    def _utc_s(self) -> int | None:
        try:
            return self._chip.utc_s()
        except OSError:
            return None

    def set_utc(self, utc_s: int) -> None:
        try:
            self._chip.set(utc_s)
        except OSError:
            pass

    def celsius(self) -> int | None:
        try:
            return self._chip.celsius()
        except OSError:
            return None

    def retain(self, data: bytes) -> None:
        """Keep `data` until the next boot that ends a sleep; what will end it is chosen here."""
        active = self.lock.levels() ^ lock.INTACT
        held = [bit for bit in WAKERS if active & bit]
        own = held[0] if held else lock.KEY
        others = sum(bit for bit in WAKERS if bit != own and bit not in held)
        self._wakers = (own, int(not held), others)
        body = struct.pack("<IB", self._timer_s() or 0, not held) + data
        self._lock_hardware.rtc_memory = struct.pack("<I", crc32(body)) + body

    def retained(self) -> tuple[bytes, int]:
        """(what was retained, for how many ms), (b"", 0) where nothing was."""
        memory = self._lock_hardware.rtc_memory
        if len(memory) < struct.calcsize(_RETAINED):
            return b"", 0
        sum_, since_s, _ = struct.unpack_from(_RETAINED, memory)
        if crc32(memory[4:]) != sum_:
            return b"", 0
        slept_s = max((self._timer_s() or 0) - since_s, 0)
        return memory[struct.calcsize(_RETAINED) :], slept_s * 1000

    def sleeps_until(self, due_ms: int) -> bool:
        """Sleep if that is worth it; whether it does: then this life is over."""
        if due_ms - self.ticks_ms() < SLEEP_MS_MIN:
            return False
        self._lock_hardware.fall_asleep(*self._wakers)
        return True
