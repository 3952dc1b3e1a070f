"""A door between two happenings: steps in which nothing can happen are skipped, and made good.

A door steps every 50 ms, because its magnet wants pulses: 24 million times in a fortnight. What a
step looks at is listed here, and until the first of it can have changed no step is run:

- inputs: whatever touches them, or the card field, the keys, the cable, wakes the reader first
  (`rouse`). One input moves by itself, the relay behind the last pulse: until it agrees with the
  order nothing is skipped.
- time: rules/door.py compares it with moments that stand in a Door (`_moments`). The uplink and
  both maps say when they want to be called again; they are believed from the first call on behind
  whatever has happened. A schedule can turn at a minute of either end of the clock's interval.
- codes: a door with a scanner sets that up and asks after it every few seconds, and waits for the
  ledger's answer. While nobody comes (`rest_left_us`) it does not ask, as no reader steps then.
- people: what lights, sounds or waits for a PIN has its own due time. A card in the field is
  stepped through.
- the tick counter, which wraps, is read often enough.
- idle work (`Recorder.prepare`) has nothing to do until something is written to flash.

A step that is skipped would have begun a train of pulses, looked at an empty field, and said whose
turn the idle work is: `DoorLock.went_on`, nothing at all, and `DoorHome.skip` make up for that.
Whoever rouses a reader finds it as the last step before left it, because that one is run.
Of what happens in the very microsecond of a step, which was first may be told otherwise than by
who runs each step: bytes may then be read 50 ms earlier.
`tests/residence/test_doze.py` compares the records of both ways byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from firmware.roles.code_door import CodeDoor
from firmware.roles.door import DoorController
from protocols.rules import door
from simulator.chips.door_lock import TRAIN_GAP_US, TRAIN_US
from simulator.host.home import HostHome
from simulator.reader import Reader

STEP_MS = 50
_STEP_US = STEP_MS * 1000
_LOOK_MS = 1000  # between two looks at the schedule
_TURNS = 3  # of idle work
_MINUTE_MS = 60_000
# The chip's tick counter wraps (firmware/drivers/ticks.py): it has to be read before it does.
_LONGEST_MS = 300_000
_NEVER_US = 1 << 62


class _Step(Protocol):
    def __call__(self, now_ms: int) -> int: ...


class Remembered:
    """A part's `step`, and when it last said it wants to be called again (None: forgotten)."""

    def __init__(self, step: _Step) -> None:
        self._step = step
        self.due_ms: int | None = None

    def __call__(self, now_ms: int) -> int:
        self.due_ms = self._step(now_ms)
        return self.due_ms


class DoorHome(HostHome):
    """The firmware of one door, and what it waits for."""

    _device: DoorController | None

    _parts: list[Remembered]  # uplink, card map, access map
    _awake_ms = 0
    # How long nobody comes yet (simulator/rest.py); 0: people are about.
    rest_left_us: Callable[[], int] = staticmethod(lambda: 0)

    def start(self, now_us: int) -> int:
        """Boot; see HostHome."""
        due_us = super().start(now_us)
        device: Any = self._device
        self._awake_ms, self._parts = self._ticks_ms(), []
        for part in (device._uplink, device._card_map, device._access_map):
            part.step = Remembered(part.step)
            self._parts.append(part.step)
        return due_us

    @property
    def device(self) -> Any:
        """The DoorController, to look at; None without power."""
        return self._device

    def wake(self) -> None:
        """Something has happened: what its parts have said before holds no more."""
        self._awake_ms = self._ticks_ms()
        for part in self._parts:
            part.due_ms = None

    def due_ms(self) -> int:
        """When a step can be of use again, on the board's own clock; 0: at once."""
        if any(part.due_ms is None for part in self._parts):
            return 0
        device: Any = self._device
        now_ms = self._ticks_ms()
        levels = self._hardware.lock.levels()
        is_steady = levels == device._door.levels
        is_steady = is_steady and device._door.holds() == bool(levels & door.RELAY)
        if not is_steady or self._hardware.field.cards:
            return 0
        due_ms = now_ms + _LONGEST_MS
        for moment_ms in (*_moments(device._door), *self._waits(device, now_ms)):
            if moment_ms > now_ms:
                due_ms = min(due_ms, moment_ms)
        return due_ms

    def _waits(self, device: Any, now_ms: int) -> Iterator[int]:
        uplink, card_map, access_map = (part.due_ms or 0 for part in self._parts)
        # A link that is down is looked at each second; here whoever plugs it in wakes the reader.
        if self._hardware.net_is_up() or device._uplink.stream is not None:
            yield max(uplink, now_ms + 1)
        yield max(card_map, now_ms + 1)
        yield max(access_map, now_ms + 1)
        yield device._tries._until_ms or 0
        yield from self._codes(device, now_ms)
        for moment_ms in self._shown(device):
            if moment_ms > now_ms:
                # It is looked at behind the card field: in the step before it may have come.
                yield max(moment_ms - STEP_MS, now_ms + 1)
        if device._pin is not None:
            yield device._pin_until_ms
        if device._is_free or device._access._free:
            yield self._turn_ms(device)

    def _shown(self, device: Any) -> Iterator[int]:
        yield device._until_ms or 0
        if device._signals._left:
            yield device._signals._next_ms

    def _codes(self, device: Any, now_ms: int) -> Iterator[int]:
        if not isinstance(device, CodeDoor):
            return
        if device._late_ms:
            yield max(device._late_ms, now_ms + 1)
            yield max(device._say_ms, now_ms + 1)
        left_ms = self.rest_left_us() // 1000
        yield now_ms + left_ms if left_ms else max(device._scanner.due_ms, now_ms + 1)

    def _turn_ms(self, device: Any) -> int:
        """When the schedule has to be looked at again."""
        next_ms, clock = device._free_look_ms, device._clock
        looked_ms = next_ms - _LOOK_MS
        if looked_ms < max(self._awake_ms, clock._base_ms):
            return next_ms
        lefts_ms = [_MINUTE_MS - end_ms % _MINUTE_MS for end_ms in clock.interval_ms(looked_ms)]
        # It widens by less than a thousandth of what passes, and is rounded to whole seconds.
        return max(next_ms, looked_ms + min(lefts_ms) * 999 // 1000 - 1000)

    def skip(self, steps: int, first_ms: int) -> None:
        """So many steps, the first of them at `first_ms`, were not run."""
        device: Any = self._device
        device._idle = (device._idle + steps) % _TURNS
        last_ms = first_ms + (steps - 1) * STEP_MS
        late_ms = max(device._free_look_ms - first_ms, 0)
        look_ms = first_ms - -late_ms // STEP_MS * STEP_MS
        if look_ms <= last_ms:
            looks = (last_ms - look_ms) // _LOOK_MS + 1
            device._free_look_ms = look_ms + looks * _LOOK_MS


def _moments(each: Any) -> Iterator[int]:
    """Whatever rules/door.py compares the time with: until then a Door answers as before."""
    waits_ms = (
        door.OPENED_MS,
        each._shut_ms,
        door.RELAY_MS,
        door.SETTLE_MS,
        door.EXIT_MS,
        each._grant_ms + door.HELD_MS + 1,
    )
    for since_ms in (*each._since_ms, each._turned_ms):
        for wait_ms in waits_ms:
            yield since_ms + wait_ms
    yield each._until_ms
    for lost_ms in each._losses_ms:
        yield lost_ms + door.CHATTER_MS + 1


class DozingReader(Reader):
    """A door that is not stepped while nothing can happen. `home` is a DoorHome.

    Call `rouse` before anything is done to its hardware that does not go through `at` or `wake`.
    `is_stepped`: every step is run, as on a board; then its home may be any other. `steps` and
    `skipped` count.
    """

    home: DoorHome
    is_stepped = False
    on_death: Callable[[], None] = staticmethod(lambda: None)
    steps = skipped = 0
    _first_us: int | None = None  # the first step that may be skipped
    _first_ms = 0
    _train_us: int | None = None
    _flash_operations = 0

    @property
    def is_dozing(self) -> bool:
        """Whether steps are being skipped: its lock stands as it did when the first was."""
        return self._first_us is not None

    def rouse(self) -> None:
        """Come to the last step that was due by now; from there on step by step."""
        if self._first_us is not None:
            self.home.wake()
            self._land()

    def _land(self) -> None:
        """Make up for what was skipped, and run the step that was due last."""
        first_us, self._first_us = self._first_us, None
        assert first_us is not None
        skipped = (self._world.now_us - first_us) // _STEP_US
        if skipped > 0:
            self.home.skip(skipped, self._first_ms)
            self.skipped += skipped
        at_us = first_us + max(skipped, 0) * _STEP_US
        if self._world.now_us < at_us:
            self._schedule(at_us)
            return
        # Not to it: whatever happens at that very moment finds the trains that have gone on.
        self.hardware.clock.advance_to(at_us - 1)
        if self._train_us is not None:
            ends_us = self._train_us + TRAIN_US - TRAIN_GAP_US
            wait_us = max(ends_us - first_us, 0)
            next_us = first_us - -wait_us // _STEP_US * _STEP_US
            self.hardware.lock.went_on(self._train_us, next_us)
        self._step(self.home.run, at_us)

    def wake(self, at_us: int) -> None:
        """See Reader."""
        self._stir()
        super().wake(at_us)
        if at_us > self._world.now_us:  # a step before that may begin a doze
            self._world.at(at_us, self.rouse)

    def at(self, time_us: int, event: Callable[[], None]) -> None:
        """See Reader."""
        if time_us <= self._world.now_us:
            self.rouse()  # else this happens in the middle of a step that is over by now
        self._world.at(time_us, self._stir)
        super().at(time_us, event)

    def switch_off(self) -> None:
        """See Reader."""
        self.rouse()
        super().switch_off()

    def hang(self) -> None:
        """Its firmware stands still from now on, and what its pulse unit has begun goes on."""
        self.rouse()
        self.is_on = False
        self._due_us = _NEVER_US

    def _stir(self) -> None:
        self.rouse()
        if self.is_on and not self.is_stepped:
            self.home.wake()

    def _run(self, due_us: int) -> None:
        if self._first_us is not None and due_us == self._due_us:
            self._land()
        else:
            super()._run(due_us)

    def _step(self, step: Callable[[int], int], now_us: int) -> None:
        self.steps += 1
        self._flash_operations = self.hardware.flash_operations
        super()._step(step, now_us)

    def _rest(self, due_us: int) -> int:
        if self.is_stepped:
            return due_us
        if self.hardware.flash_operations != self._flash_operations:
            self.home.wake()  # there may be something to erase ahead
        due_ms = self.home.due_ms()
        if not due_ms:
            return due_us
        lead_us = due_us - self.hardware.clock.now_us
        self._first_ms = (self.hardware.ticks_us() + lead_us) // 1000
        steps = -((self._first_ms - due_ms) // STEP_MS)
        train_us = self.hardware.lock.train_us() if self.home.device._door.holds() else None
        if steps < 2 or (train_us is None and self.home.device._door.holds()):
            return due_us
        self._first_us, self._train_us = due_us, train_us
        return due_us + steps * _STEP_US

    def _die(self) -> None:
        self._first_us = None
        super()._die()
        self.on_death()
