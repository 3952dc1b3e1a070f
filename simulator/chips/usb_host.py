"""A PC at the other end of a USB cable, as far as a keyboard can tell: enumeration, reports, keys.

What USB 2.0 (chapter 9) and HID 1.11 say, not what the firmware has: the host reads the device's
own descriptors, takes its reports as the report descriptor lays them out, and makes characters of
usages by the layout that its person has chosen. Assumed, no PC was measured: how long a host takes
to enumerate, and when within an interval it polls. A device that does not sense the bus voltage
hears nothing when it is unplugged or the PC falls asleep: only nobody polls any more.

`next_event` gives what the port's stack would call back with, one at a time.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

# What an event is of. OPEN: the interface with all that belongs to it; CONTROL: the stage and the
# request, and at DATA what the host has sent; SENT: endpoint, error (0: none) and size.
OPEN, RESET, CONTROL, SENT = 1, 2, 3, 4
SETUP, DATA, ACK = 1, 2, 3
ATTACH_US = 150_000
NUM_LOCK, CAPS_LOCK = 1, 2
DEVICE_BYTES = 18
_DEVICE, _CONFIGURATION, _INTERFACE, _ENDPOINT, _HID, _REPORT = 1, 2, 4, 5, 0x21, 0x22
_CLASS_HID, _BOOT, _KEYBOARD = 3, 1, 1
_KEY_PAGE, _LED_PAGE = 7, 8
_NUM_LOCK_KEY, _CAPS_KEY, _BACKSPACE, _ENTERS = 0x53, 0x39, 0x2A, (0x28, 0x58)
_SHIFTS = (0xE1, 0xE5)
_ROW, _KEYPAD, _A = range(0x1E, 0x28), range(0x59, 0x63), 0x04
# What stands on the ten keys of the row, without and with shift, and which letters change places.
LAYOUTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "us": ("1234567890", "!@#$%^&*()", {}),
    "de": ("1234567890", '!"§$%&/()=', {"y": "z", "z": "y"}),
    "fr": ("&é\"'(-è_çà", "1234567890", {"a": "q", "q": "a", "z": "w", "w": "z"}),
}

Event = tuple[int, bytes]
Reply = bool | bytes
_Talk = Generator[Event, Reply, object]


class Clock(Protocol):
    """What the host goes by."""

    @property
    def now_us(self) -> int: ...


class NotAKeyboard(Exception):
    """What a device says of itself is not that of a keyboard; the text says why."""


@dataclass(frozen=True)
class Layout:
    """Where the keys stand in a report: bits of modifiers, and bytes of usages."""

    modifiers_at: int
    first_modifier: int
    keys_at: int
    key_count: int
    bytes: int


class UsbHost:
    """One PC with a field to type into; `lines` is what its program was given, Enter by Enter.

    `complaint` says what is wrong with the device that is plugged in. `has_leds`: whether the host
    tells a keyboard of its locks, as a Mac does not of NumLock, which it has not.
    """

    def __init__(self, clock: Clock, layout: str = "us", num_lock: bool = True) -> None:
        self._clock = clock
        self.layout = layout
        self.num_lock, self.caps_lock, self.has_leds = num_lock, False, True
        self.field = ""
        self.lines: list[str] = []
        self.complaint = ""
        self._is_plugged, self._is_awake, self._is_active = True, True, False
        self._device, self._configuration = b"", b""
        self._attach_us = 0
        self._keys: Layout | None = None  # once it is configured
        self._endpoint, self._interval_us = 0, 0
        self._pending: tuple[int, bytes] | None = None  # when it was submitted
        self._down: set[int] = set()
        self._talks: deque[_Talk] = deque()
        self._is_asked = False  # the first of the talks waits for a reply

    # -- the PC, and who sits there --------------------------------------------------------------

    @property
    def is_plugged(self) -> bool:
        """Whether the cable is in."""
        return self._is_plugged

    def plug(self, is_plugged: bool) -> None:
        """The cable; what was under way when it is pulled goes nowhere."""
        self._advance()
        if is_plugged and not self._is_plugged:
            self._attach_us = self._clock.now_us + ATTACH_US
        self._is_plugged = is_plugged
        if not is_plugged:
            self._detach()

    def sleep(self, is_asleep: bool) -> None:
        """A PC asleep polls nobody; what waits for it waits on."""
        self._advance()
        self._is_awake = not is_asleep

    def press(self, usage: int) -> None:
        """Its person presses a key of another keyboard."""
        self._advance()
        self._hit(usage, False)

    # -- what the device does (machine.USBDevice) ------------------------------------------------

    def config(self, device: bytes, configuration: bytes) -> None:
        """The descriptors that it will have."""
        self._device, self._configuration = device, configuration

    def active(self, is_active: bool) -> None:
        """It comes to the bus, or leaves it: nothing of what it had queued is left."""
        self._advance()
        if is_active and not self._is_active:
            self._attach_us = self._clock.now_us + ATTACH_US
        self._is_active = is_active
        if not is_active:
            self._detach()
            self._talks.clear()
            self._is_asked = False

    def submit(self, endpoint: int, data: bytes) -> bool:
        """Queue a report. Whether there is such an endpoint; OSError as the port raises it."""
        if not self._is_active:
            raise OSError(errno.EINVAL, "not active")
        self._advance()
        if self._pending is not None:
            raise OSError(errno.EBUSY, "the endpoint is claimed")
        if self._keys is None or endpoint != self._endpoint:
            return False
        self._pending = self._clock.now_us, bytes(data)
        return True

    def next_event(self, reply: Reply) -> Event | None:
        """What the stack calls back with next; `reply` is that to the event before, if any."""
        self._advance()
        while self._talks:
            talk = self._talks[0]
            try:
                event = talk.send(reply) if self._is_asked else next(talk)
            except StopIteration:
                self._talks.popleft()
                self._is_asked = False
                continue
            except NotAKeyboard as error:
                self.complaint = str(error)
                self._talks.popleft()
                self._is_asked = False
                continue
            self._is_asked = True
            return event
        return None

    # -- time ------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """What has happened until now."""
        now_us = self._clock.now_us
        if not (self._is_active and self._is_plugged and self._is_awake):
            return
        if self._attach_us and now_us >= self._attach_us:
            self._attach_us = 0
            self._keys, self._pending, self._down = None, None, set()
            self._talks.append(self._enumerate())
        if self._pending is not None and self._keys is not None:
            submitted_us, report = self._pending
            if now_us >= (submitted_us // self._interval_us + 1) * self._interval_us:
                self._pending = None
                self._take(report)

    def _detach(self) -> None:
        self._down.clear()  # a keyboard that is gone holds no key
        self._attach_us = 0
        if not self._is_active:
            self._keys, self._pending = None, None

    # -- enumeration -----------------------------------------------------------------------------

    def _enumerate(self) -> _Talk:
        yield RESET, b""
        interface, length = _described(self._device, self._configuration)
        endpoint = _parts(interface)[-1]
        self._endpoint, self._interval_us = endpoint[2], endpoint[6] * 1000
        yield OPEN, interface
        yield from self._control(b"\x21\x0a\x00\x00\x00\x00\x00\x00")  # SET_IDLE
        request = b"\x81\x06\x00\x22\x00\x00" + length.to_bytes(2, "little")
        report = yield from self._control(request)
        if not isinstance(report, bytes) or len(report) != length:
            raise NotAKeyboard("no report descriptor of the length that its HID descriptor says")
        self._keys = _layout(report)
        self.complaint = ""
        yield from self._tell_leds()

    def _control(self, request: bytes, data: bytes = b"") -> Generator[Event, Reply, Reply]:
        """One control transfer; what the device has given at its first stage."""
        answer = yield CONTROL, bytes((SETUP,)) + request
        if answer is False:
            return False  # stalled
        if isinstance(answer, bytes):
            if data and len(answer) < len(data):
                raise NotAKeyboard("its buffer is too short for what it is sent")
            yield CONTROL, bytes((DATA,)) + request + data
        yield CONTROL, bytes((ACK,)) + request
        return answer

    def _tell_leds(self) -> _Talk:
        if self.has_leds:
            leds = self.num_lock * NUM_LOCK | self.caps_lock * CAPS_LOCK
            yield from self._control(b"\x21\x09\x00\x02\x00\x00\x01\x00", bytes((leds,)))

    # -- keys ------------------------------------------------------------------------------------

    def _take(self, report: bytes) -> None:
        assert self._keys is not None
        self._talks.append(_sent(self._endpoint, len(report)))
        down = _usages(self._keys, report)
        is_shifted = not down.isdisjoint(_SHIFTS)
        for usage in sorted(down - self._down):
            self._hit(usage, is_shifted)
        self._down = down

    def _hit(self, usage: int, is_shifted: bool) -> None:
        if usage == _NUM_LOCK_KEY and self.has_leds:
            self.num_lock = not self.num_lock
            self._talks.append(self._tell_leds())
        elif usage == _CAPS_KEY:
            self.caps_lock = not self.caps_lock
            self._talks.append(self._tell_leds())
        elif usage in _ENTERS:
            self.lines.append(self.field)
            self.field = ""
        elif usage == _BACKSPACE:
            self.field = self.field[:-1]
        else:
            self.field += self._character(usage, is_shifted)

    def _character(self, usage: int, is_shifted: bool) -> str:
        plain, shifted, swapped = LAYOUTS[self.layout]
        if usage in _KEYPAD:
            # Without NumLock they move the cursor; without locks at all they are digits.
            is_digit = self.num_lock or not self.has_leds
            return "1234567890"[usage - _KEYPAD.start] if is_digit else ""
        if usage in _ROW:
            return (shifted if is_shifted else plain)[usage - _ROW.start]
        if not _A <= usage < _A + 26:
            return ""
        letter = chr(ord("a") + usage - _A)
        letter = swapped.get(letter, letter)
        return letter.upper() if is_shifted != self.caps_lock else letter


def _sent(endpoint: int, size: int) -> _Talk:
    yield SENT, bytes((endpoint, 0, size))


def _described(device: bytes, configuration: bytes) -> tuple[bytes, int]:
    """The keyboard's interface, and how long its report descriptor is. NotAKeyboard."""
    if len(device) != DEVICE_BYTES or device[0] != DEVICE_BYTES or device[1] != _DEVICE:
        raise NotAKeyboard("no device descriptor")
    if device[4] != 0 or device[17] != 1:
        raise NotAKeyboard("its interfaces are to say the class, in one configuration")
    head = configuration[:9]
    is_whole = len(head) == 9 and int.from_bytes(head[2:4], "little") == len(configuration)
    if not is_whole or head[0] != 9 or head[1] != _CONFIGURATION or not head[7] & 0x80:
        raise NotAKeyboard("no configuration descriptor")
    interface = configuration[9:]
    kinds = [part[1] for part in _parts(interface)]
    if head[4] != 1 or kinds != [_INTERFACE, _HID, _ENDPOINT]:
        raise NotAKeyboard(f"not one interface, HID descriptor and endpoint: {kinds}")
    own, hid, endpoint = _parts(interface)
    if tuple(own[4:8]) != (1, _CLASS_HID, _BOOT, _KEYBOARD):
        raise NotAKeyboard("not the interface of a boot keyboard")
    if len(hid) != 9 or hid[6] != _REPORT:
        raise NotAKeyboard("its HID descriptor names no report descriptor")
    if not endpoint[2] & 0x80 or endpoint[3] != 3 or endpoint[6] == 0:
        raise NotAKeyboard("not an IN endpoint for interrupts")
    return interface, int.from_bytes(hid[7:9], "little")


def _parts(descriptors: bytes) -> list[bytes]:
    """Descriptors one after the other."""
    found = []
    while descriptors:
        size = descriptors[0]
        if size < 2 or size > len(descriptors):
            raise NotAKeyboard("a descriptor is longer than what is there")
        found.append(descriptors[:size])
        descriptors = descriptors[size:]
    return found


def _layout(report: bytes) -> Layout:
    """Where a report descriptor puts modifiers and keys (HID 1.11, 6.2.2)."""
    state: dict[int, int] = {}
    at_bit, modifiers, keys = 0, None, None
    while report:
        size = (0, 1, 2, 4)[report[0] & 3]
        item, value = report[0] & 0xFC, int.from_bytes(report[1 : 1 + size], "little")
        report = report[1 + size :]
        state[item] = value
        if item not in (0x80, 0x90, 0xA0, 0xC0):
            continue
        width, count = state.get(0x74, 0), state.get(0x94, 0)
        if item == 0x80:  # an input
            is_key = state.get(0x04) == _KEY_PAGE and not value & 1
            if is_key and value & 2 and width == 1:
                modifiers = at_bit, state.get(0x18, 0)
            elif is_key and width == 8 and at_bit % 8 == 0:
                keys = at_bit // 8, count
            at_bit += width * count
        state = {name: state[name] for name in (0x04, 0x74, 0x94) if name in state}
    if modifiers is None or keys is None or at_bit % 8:
        raise NotAKeyboard("its report has no modifiers, or no keys")
    return Layout(*modifiers, *keys, bytes=at_bit // 8)


def _usages(keys: Layout, report: bytes) -> set[int]:
    """The keys that a report says are down."""
    if len(report) != keys.bytes:
        return set()
    bits = int.from_bytes(report, "little") >> keys.modifiers_at
    down = {keys.first_modifier + bit for bit in range(8) if bits >> bit & 1}
    down.update(report[keys.keys_at : keys.keys_at + keys.key_count])
    return down - {0}
