"""`machine.USBDevice` of the port on a chip with native USB, such as an ESP32-S3.

The host's side of it is a model in the parent. What it calls back with is fetched when the
firmware has waited: on the board too callbacks run between two bytecodes, never inside one.
"""

import bridge
from micropython import const

_USB_CONFIG = const(23)
_USB_ACTIVE = const(24)
_USB_SUBMIT = const(25)
_USB_EVENT = const(26)
_OPEN = const(1)
_RESET = const(2)
_SENT = const(4)
_SETUP = const(1)
_DATA = const(2)
_EBUSY = const(16)
_EINVAL = const(22)
_REQUEST_END = const(9)


class _Builtin:
    itf_max = 0
    ep_max = 0
    str_max = 1
    desc_cfg = b""
    desc_dev = b"\x12\x01\x00\x02\x00\x00\x00\x40\x3a\x30\x01\x40\x00\x01\x01\x02\x03\x01"


class USBDevice:
    BUILTIN_NONE = _Builtin

    def __init__(self):
        self.builtin_driver = _Builtin
        self._is_active = False
        self._buffer = True
        bridge.woken = self._woken

    def config(
        self,
        desc_dev,
        desc_cfg,
        desc_strs=None,
        open_itf_cb=None,
        reset_cb=None,
        control_xfer_cb=None,
        xfer_cb=None,
    ):
        bridge.call(_USB_CONFIG, len(desc_dev), 0, bytes(desc_dev) + bytes(desc_cfg))
        self._callbacks = open_itf_cb, reset_cb, control_xfer_cb, xfer_cb

    def active(self, *value):
        before = self._is_active
        if value and value[0] != before:
            if value[0] and not hasattr(self, "_callbacks"):
                raise OSError(_EINVAL)
            self._is_active = value[0]
            bridge.call(_USB_ACTIVE, 1 if value[0] else 0)
        return before

    def submit_xfer(self, ep, buffer):
        if not self._is_active:
            raise OSError(_EINVAL)
        taken = bridge.call(_USB_SUBMIT, ep, 0, buffer)
        if taken < 0:
            raise OSError(-taken)
        return bool(taken)

    def _woken(self):
        reply = True
        while True:
            if isinstance(reply, bool):
                size = bridge.call(_USB_EVENT, 0, int(reply))
            else:
                size = bridge.call(_USB_EVENT, 1, 0, reply)
            if not size:
                return
            reply = self._call_back(bridge.take(size))

    def _call_back(self, event):
        on_open, on_reset, on_control, on_sent = self._callbacks
        kind, data = event[0], event[1:]
        if kind == _OPEN:
            on_open(data)
        elif kind == _RESET:
            on_reset()
        elif kind == _SENT:
            on_sent(data[0], data[1], data[2])
        else:
            stage = data[0]
            if stage == _DATA and isinstance(self._buffer, bytearray):
                self._buffer[: len(data) - _REQUEST_END] = data[_REQUEST_END:]
            answer = on_control(stage, data[1:_REQUEST_END])
            if stage == _SETUP:
                self._buffer = answer
            return answer
        return True
