"""`machine.USBDevice` of the port for readers that live in this CPython process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulator.chips import usb_host
from simulator.host.hardware import Hardware


class Builtin:
    """The port's drivers of its own, switched off; its device descriptor is Espressif's."""

    itf_max, ep_max, str_max = 0, 0, 1
    desc_cfg = b""
    desc_dev = bytes.fromhex("1201000200000040 3a300140 0001 01020301".replace(" ", ""))


class HostUsb:
    """One device; `woken` runs what the port's scheduler would while the firmware waits."""

    BUILTIN_NONE = Builtin

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self.builtin_driver = Builtin
        self._is_active = False
        self._callbacks: tuple[Callable[..., Any], ...] = ()
        self._buffer: bytearray | bytes | bool = True  # that the last SETUP has answered with

    def config(
        self, desc_dev: bytes, desc_cfg: bytes, _strings: Sequence[str] | None, *callbacks: Any
    ) -> None:
        self._hardware.usb_config(bytes(desc_dev), bytes(desc_cfg))
        self._callbacks = callbacks

    def active(self, *value: bool) -> bool:
        before = self._is_active
        if value and value[0] != before:
            self._is_active = value[0]
            self._hardware.usb_active(value[0])
        return before

    def submit_xfer(self, endpoint: int, data: bytes | bytearray) -> bool:
        return self._hardware.usb_submit(endpoint, bytes(data))

    def woken(self) -> None:
        reply: bool | bytes = True
        while (event := self._hardware.usb_event(reply)) is not None:
            reply = self._call_back(*event)

    def _call_back(self, kind: int, data: bytes) -> bool | bytes:
        on_open, on_reset, on_control, on_sent = self._callbacks
        if kind == usb_host.OPEN:
            on_open(data)
        elif kind == usb_host.RESET:
            on_reset()
        elif kind == usb_host.SENT:
            on_sent(*data)
        else:
            stage, request = data[0], data[1:9]
            if stage == usb_host.DATA and isinstance(self._buffer, bytearray):
                self._buffer[: len(data) - 9] = data[9:]
            answer = on_control(stage, request)
            if stage == usb_host.SETUP:
                self._buffer = answer
            return answer if isinstance(answer, bool) else bytes(answer)
        return True
