"""A reader's firmware in a real MicroPython VM: same steps, same times as simulator.host.home.

The VM runs firmware/boot.py and firmware/main.py as they are. Each of its hardware calls is
answered here by the same Hardware object (parts.py says what it must have) that answers the
CPython home. When the firmware waits, the VM stands still until run() answers that wait: the world
owns time, and an idle VM costs nothing.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

from simulator.vm import ops
from simulator.vm.bridge import Bridge, VmCrashed
from simulator.vm.circuit import Circuit
from simulator.vm.image import FIRMWARE_ROM, LINE_MAP, SHIMS_ROM
from simulator.vm.parts import Hardware

ROOT = Path(__file__).parents[2]
# The budgets of DESIGN section 11, for the firmware alone.
POS_HEAP_BYTES = 131072
DOOR_HEAP_BYTES = 98304
# A board has no shims. What they take of the heap, by VmHome.memory(), comes on top.
_SHIMS_BYTES = 20608
HEAP_BYTES = (POS_HEAP_BYTES + _SHIMS_BYTES) // 1024 * 1024
DOOR_VM_HEAP_BYTES = (DOOR_HEAP_BYTES + _SHIMS_BYTES) // 1024 * 1024
NEVER_US = 1 << 62
IMAGES_AT = 1 << 29  # where the partition of images begins
_TICKS_MASK = (1 << 30) - 1
_EPOCH_2000_S = 946684800
_SECTOR_BYTES = 4096
_ANSWER_TIMEOUT_S = 20.0
_PIN_OPS = (ops.PIN_SETUP, ops.PIN_WRITE)

Answer = int | bytes | None
Handler = Callable[[int, int, bytes], Answer]


class TimePassed(Exception):
    """The hardware has moved its clock where parts.py says that it must not."""


class VmHome:
    """One reader in a VM; start() boots it, run() lets it step, kill() cuts its power.

    `image`: what simulator.vm.image.build has made; its bytecode is run where it lies. Without it
    `firmware` and `protocols` are compiled in the VM from source below `root`, which takes heap.
    `is_slotted`: that image is the loader's, and what it runs is in the hardware's partition of
    images, which the VM sees as it was at power-on, as memory.
    `firmware_dir` holds boot.py and main.py (default: those of image or root).
    `wiring`: the circuit board that the firmware is on.
    `probe` (ops.PROBE_*) collects garbage and reports the heap at every wait, or at every call.
    """

    def __init__(
        self,
        name: str,
        hardware: Hardware,
        *,
        heap_bytes: int = HEAP_BYTES,
        image: Path | None = None,
        is_slotted: bool = False,
        root: Path = ROOT,
        firmware_dir: Path | None = None,
        probe: int = ops.PROBE_OFF,
        answer_timeout_s: float = _ANSWER_TIMEOUT_S,
        wiring: type[Circuit] = Circuit,
    ) -> None:
        self.calls = 0  # requests served since the last start
        self._name = name
        self._hardware = hardware
        self._heap_bytes = heap_bytes
        self._imports: Path | list[Path] = root
        self._is_slotted = is_slotted
        self._line_map = ""
        if image is not None:
            self._imports = [image / SHIMS_ROM, image / FIRMWARE_ROM]
            self._line_map = (image / LINE_MAP).read_text()
            root = Path("/rom")
        self._firmware_dir = firmware_dir or root / "firmware"
        self._probe = probe
        self._answer_timeout_s = answer_timeout_s
        self._bridge: Bridge | None = None
        self._tail = ""
        self._memory: dict[str, int] = {}
        self._wiring = wiring
        self._circuit = wiring(hardware)
        self._handlers: dict[int, Handler] = {}
        self._due_us = NEVER_US
        self._fed_us = 0
        self._watchdog_us = 0
        self._told_ticks = -1
        self._is_asleep = self._restarts = False
        self._before: dict[str, int] = {}  # the heap of the life before a sleep

    def start(self, now_us: int | None = None) -> int:
        """Power on: boot, run up to the first wait; returns when to be run again (us).

        The result counts as ticks_us() does; with `now_us` (this instant by any other clock), as
        that clock does.
        """
        self.kill()
        self._is_asleep = self._restarts = False
        self.calls = 0
        self._memory = {}
        self._watchdog_us = 0
        self._told_ticks = -1
        self._circuit = self._wiring(self._hardware)
        self._handlers = self._table()
        offset_us = self._offset_us(now_us)
        with tempfile.TemporaryDirectory(prefix="onecard-slots-") as folder:
            self._bridge = Bridge(
                self._name,
                heap_bytes=self._heap_bytes,
                firmware_dir=self._firmware_dir,
                imports=self._imports if not self._is_slotted else self._with_slots(Path(folder)),
                probe=self._probe,
                answer_timeout_s=self._answer_timeout_s,
                line_map=self._line_map,
            )
            return self._serve() + offset_us

    def run(self, now_us: int | None = None, woken: bool | None = None) -> int:
        """Go on from the wait, or boot behind a sleep; returns when to be run again, as start().

        `woken`: whether input ended the wait; by default, whether it ends before its time.
        """
        if self._restarts:
            return self.start(now_us)
        if self._is_asleep:
            took_us, self._before = self._circuit.wake_up(), self._memory
            return self.start(None if now_us is None else now_us + took_us)
        if self._bridge is None:
            raise VmCrashed(f"{self._name}: the VM is not running")
        offset_us = self._offset_us(now_us)
        if woken is None:
            woken = self._hardware.ticks_us() < self._due_us
        self._told_ticks = self._ticks()
        self._bridge.answer(int(woken), self._told_ticks)
        return self._serve() + offset_us

    def kill(self) -> None:
        """The power is gone, at any moment: SIGKILL."""
        if self._bridge is not None:
            self._bridge.kill()
            self._tail = self._bridge.output_tail()
            self._bridge = None

    def stderr_tail(self) -> str:
        """The end of what the firmware has printed, in this life or the last."""
        return self._tail if self._bridge is None else self._bridge.output_tail()

    def memory(self) -> dict[str, int]:
        """The heap in bytes: `heap` (all of it), `shims` (what our own modules take), and with a
        probe `live`, `free` (at the last look), `live_peak` and `used_peak` (with garbage).

        With PROBE_CALLS `live_peak` is the most that was alive at any hardware call.
        """
        return dict(self._memory)

    def _with_slots(self, folder: Path) -> list[Path]:
        """What is mapped into the VM's memory: our images, and the partition as it reads now."""
        assert isinstance(self._imports, list)  # a loader is an image
        hardware, slots = self._hardware, folder / "slots"
        size = hardware.flash_size(IMAGES_AT)
        parts = [
            hardware.flash_read(IMAGES_AT + at, min(_SECTOR_BYTES, size - at))
            for at in range(0, size, _SECTOR_BYTES)
        ]
        slots.write_bytes(b"".join(parts))
        return [*self._imports, slots]

    def _offset_us(self, now_us: int | None) -> int:
        return 0 if now_us is None else now_us - self._hardware.ticks_us()

    def _serve(self) -> int:
        """Answer requests until the firmware waits; returns until when, by its own ticks."""
        bridge, circuit, handlers = self._bridge, self._circuit, self._handlers
        hardware = self._hardware
        assert bridge is not None
        try:
            while True:
                op, a, b, data = bridge.request()
                self.calls += 1
                if circuit.lamps_touched and op not in _PIN_OPS:
                    circuit.settle()
                if op == ops.WAIT:
                    return self._wait(a)
                if op == ops.DEEP_SLEEP:
                    return self._fall_asleep(a, b, data)
                if op == ops.RESTART:
                    self.kill()
                    self._restarts = True
                    return hardware.ticks_us()
                answer = handlers[op](a, b, data)
                ticks = hardware.ticks_us() & _TICKS_MASK
                if op >= ops.POSTED:
                    if ticks != self._told_ticks >= 0:
                        raise TimePassed(f"op {op} took time, and the VM was not told")
                    continue
                self._told_ticks = ticks
                if isinstance(answer, bytes):
                    bridge.answer(len(answer), ticks, answer)
                else:
                    bridge.answer(answer or 0, ticks)
        except BaseException:  # a power cut is not an Exception; the VM dies with any of them
            self.kill()
            raise

    def _wait(self, timeout_ms: int) -> int:
        ticks_us = self._hardware.ticks_us()
        self._check_watchdog(ticks_us)
        # The port's poll compares milliseconds: it ends on a whole one.
        self._due_us = NEVER_US if timeout_ms < 0 else (ticks_us // 1000 + timeout_ms) * 1000
        return self._due_us

    def _fall_asleep(self, timeout_ms: int, own: int, pins: bytes) -> int:
        """This life ends; whoever runs it next boots it. Until when it sleeps, by its ticks."""
        due_us = (self._hardware.ticks_us() // 1000 + timeout_ms) * 1000
        self._circuit.fall_asleep(own, pins)
        self.kill()
        self._is_asleep = True
        return due_us

    def _table(self) -> dict[int, Handler]:
        hardware, circuit = self._hardware, self._circuit
        return {
            ops.TICKS_US: lambda *_: self._ticks(),
            ops.SLEEP_US: self._sleep,
            ops.TIME_S: lambda *_: max((hardware.utc_s() or 0) - _EPOCH_2000_S, 0),
            ops.RESET_CAUSE: lambda *_: hardware.reset_cause(),
            ops.PIN_READ: circuit.pin_read,
            ops.ADC_READ_UV: circuit.adc_read_uv,
            ops.SPI_TRANSFER: circuit.spi_transfer,
            ops.UART_READ: circuit.uart_read,
            ops.FLASH_SECTORS: lambda a, *_: hardware.flash_size(a) // _SECTOR_BYTES,
            ops.FLASH_READ: lambda a, b, _: hardware.flash_read(a, b),
            ops.FLASH_PROGRAM: _errno_of(lambda a, _, data: hardware.flash_program(a, data) or 0),
            ops.FLASH_ERASE: _errno_of(lambda a, *_: hardware.flash_erase(a) or 0),
            ops.NVS_GET: self._nvs_get,
            ops.NVS_SET: self._nvs_set,
            ops.URANDOM: lambda a, *_: hardware.urandom(a),
            ops.LINK_UP: lambda *_: int(hardware.net_is_up()),
            ops.NET_OPEN: _errno_of(lambda a, _, data: hardware.net_open(data.decode(), a)),
            ops.NET_CONNECTED: _errno_of(lambda a, *_: int(hardware.net_connected(a))),
            ops.NET_SEND: _errno_of(lambda a, _, data: hardware.net_send(a, data)),
            ops.NET_RECV: _errno_of(lambda a, b, _: hardware.net_recv(a, b)),
            ops.PULSE_DONE: circuit.pulse_done,
            ops.UART_FLUSH: circuit.uart_flush,
            ops.USB_CONFIG: lambda a, _, data: circuit.usb().usb_config(data[:a], data[a:]),
            ops.USB_ACTIVE: lambda a, *_: circuit.usb().usb_active(bool(a)),
            ops.USB_SUBMIT: _errno_of(lambda a, _, data: int(circuit.usb().usb_submit(a, data))),
            ops.USB_EVENT: self._usb_event,
            ops.RTC_MEMORY: circuit.retained,
            ops.RETAIN: circuit.retain,
            ops.WAKE_REASON: circuit.wake_reason,
            ops.I2C_READ: _errno_of(circuit.i2c_read),
            ops.I2C_WRITE: _errno_of(circuit.i2c_write),
            ops.PIN_SETUP: circuit.pin_setup,
            ops.PIN_WRITE: circuit.pin_write,
            ops.SPI_SETUP: circuit.spi_setup,
            ops.UART_WRITE: circuit.uart_write,
            ops.PULSE: circuit.pulse,
            ops.NET_CLOSE: lambda a, *_: hardware.net_close(a),
            ops.RADIO: lambda a, *_: hardware.radio(a),
            ops.WDT_START: self._watchdog_start,
            ops.WDT_FEED: self._watchdog_feed,
            ops.MEMORY: self._heap_report,
            ops.BOOTED: self._booted,
        }

    def _ticks(self) -> int:
        return self._hardware.ticks_us() & _TICKS_MASK

    def _sleep(self, duration_us: int, pin: int, data: bytes) -> Answer:
        self._hardware.sleep_us(duration_us)
        return self._circuit.pin_read(pin, 0, data) if pin else 0

    def _usb_event(self, is_bytes: int, flag: int, data: bytes) -> Answer:
        event = self._circuit.usb().usb_event(data if is_bytes else bool(flag))
        return 0 if event is None else bytes((event[0],)) + event[1]

    def _nvs_get(self, _a: int, _b: int, data: bytes) -> Answer:
        try:
            return self._hardware.nvs_get(data.decode())
        except KeyError:
            return -errno.ENOENT

    def _nvs_set(self, key_bytes: int, _b: int, data: bytes) -> int:
        self._hardware.nvs_set(data[:key_bytes].decode(), data[key_bytes:])
        return 0

    def _watchdog_start(self, timeout_ms: int, _b: int, _data: bytes) -> None:
        self._watchdog_us = timeout_ms * 1000
        self._fed_us = self._hardware.ticks_us()

    def _watchdog_feed(self, _a: int, _b: int, _data: bytes) -> None:
        self._check_watchdog(self._hardware.ticks_us())
        self._fed_us = self._hardware.ticks_us()

    def _check_watchdog(self, ticks_us: int) -> None:
        hungry_us = ticks_us - self._fed_us
        if self._watchdog_us and hungry_us > self._watchdog_us:
            raise VmCrashed(f"{self._name}: the watchdog was not fed for {hungry_us} us")

    def _booted(self, heap_bytes: int, shims_bytes: int, _data: bytes) -> None:
        self._memory = {"heap": heap_bytes, "shims": shims_bytes}
        for peak in ("live_peak", "used_peak"):
            self._memory[peak] = self._before.get(peak, 0)
        self._before = {}

    def _heap_report(self, used_bytes: int, live_bytes: int, _data: bytes) -> None:
        memory = self._memory
        if not memory:
            return  # still loading our own modules
        memory["live"] = live_bytes
        memory["free"] = memory["heap"] - live_bytes
        memory["live_peak"] = max(memory["live_peak"], live_bytes)
        memory["used_peak"] = max(memory["used_peak"], used_bytes)


def _errno_of(handler: Handler) -> Handler:
    """Answers an OSError with its number and "nothing yet" with EAGAIN, as lwIP does."""

    def answer(a: int, b: int, data: bytes) -> Answer:
        try:
            result = handler(a, b, data)
        except OSError as error:
            return -(error.errno or errno.ECONNRESET)
        return -errno.EAGAIN if result is None else result

    return answer
