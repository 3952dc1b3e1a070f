"""A door with a magnetic lock, pin by pin: the coil's circuit, its pulse watchdog, the leaf.

The coil's current runs through supply, fire loop, exit button and relay contact, one behind the
other; each of them alone ends it, and none of them asks the firmware. The relay is not on a pin:
a charge pump feeds it, which edges fill and time empties, so a pin that stands still, high or low,
is a relay that falls. An edge fills an eighth: a reader that resets itself for ever makes a few
edges a second, which hold nothing.

The figures are the worst of a design, not measured on a board: what the magnet keeps after its
current (a varistor across the coil, not a diode), how long a supply feeds it behind the mains, how
far apart two pumps are. docs/adr/0019-pulses-hold-the-door.md has them in words.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from protocols.rules import door

# From a full pump to a relay that falls: 360 ms, give or take a ninth.
HOLD_US_MIN, HOLD_US, HOLD_US_MAX = 320_000, 360_000, 400_000
EDGES_TO_FILL = 8
# A relay that has fallen pulls again when its pump is half full.
PULL_EDGES = 4
REMANENCE_US = 200_000  # what the magnet keeps, at most
SUPPLY_US = 150_000  # what the supply's capacitors feed without mains
# What a reader may send at once (firmware/boards): edges so far apart, and then none.
TRAIN_EDGES, TRAIN_GAP_US = 8, 12_500
TRAIN_US = TRAIN_EDGES * TRAIN_GAP_US
_EXIT_POLES = 2


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int


class PulseWatchdog:
    """The charge pump: how long it still feeds the relay, and whether that has pulled."""

    def __init__(self, hold_us: int = HOLD_US) -> None:
        self.hold_us = hold_us
        self.is_pulled = False
        self._charge_us = 0  # what it held at `_seen_us`, as time until it is empty
        self._seen_us = 0

    def edge(self, time_us: int) -> None:
        """An edge on the pin, in either direction."""
        self.look(time_us)
        self._charge_us = min(self._charge_us + self.hold_us // EDGES_TO_FILL, self.hold_us)
        if self._charge_us >= self.hold_us * PULL_EDGES // EDGES_TO_FILL:
            self.is_pulled = True

    def look(self, time_us: int) -> None:
        """Go on to a time."""
        self._charge_us = max(self._charge_us - (time_us - self._seen_us), 0)
        self._seen_us = time_us
        if not self._charge_us:
            self.is_pulled = False

    def fill(self, time_us: int) -> None:
        """One edge has followed another until then, close enough to keep it full."""
        self._charge_us, self._seen_us = self.hold_us, time_us

    def falls_at_us(self) -> int:
        """When the relay falls unless an edge comes."""
        return self._seen_us + self._charge_us


class DoorLock:
    """The lock of one door, its inputs, and the leaf that people push.

    Set what the world does (`mains`, `fire`, `press`, `push`, ...) and what is broken (`relay_is`,
    `loop_is_welded`, `welded_poles`, `stuck`); `levels` is what the reader's inputs say, as bits
    of rules/door.py. `unlocked` are the times, [from, to), without current in the coil.
    """

    def __init__(self, clock: Clock, hold_us: int = HOLD_US) -> None:
        self._clock = clock
        self._pump = PulseWatchdog(hold_us)
        self._edges: deque[int] = deque()
        self._pin = 0
        self._mains_on = True
        self._supply_until_us: int | None = None
        self._loop_closed = True
        self._pressed = False
        self.relay_is = ""  # "welded", or "open": its contact never closes
        self.loop_is_welded = False  # the fire panel's contact
        self.welded_poles = 0  # of the exit button's two
        self.stuck: dict[int, int] = {}  # bit of an input -> the level it always has
        self.is_open = False
        self.case_is_open = False
        self.key_is_turned = False
        self._is_powered = False
        self._off_us = -REMANENCE_US
        self.unlocked: list[list[int]] = [[clock.now_us]]

    # -- what the reader does --------------------------------------------------------------------

    def pin(self, level: int) -> None:
        """Set the pin; an edge if it was not there before."""
        self._look()
        if level != self._pin:
            self._pin = level
            self._edges.append(self._clock.now_us)
            self._look()

    def train(self) -> None:
        """The finite train of edges that the reader's pulse unit sends by itself."""
        self._look()
        now_us = self._clock.now_us
        first_us = max(self._edges[-1] + TRAIN_GAP_US if self._edges else now_us, now_us)
        for number in range(TRAIN_EDGES):
            self._edges.append(first_us + number * TRAIN_GAP_US)
        self._look()

    def train_us(self) -> int | None:
        """When the train under way has begun; None if there is none."""
        return self._edges[-1] + TRAIN_GAP_US - TRAIN_US if self._edges else None

    def went_on(self, train_us: int, next_us: int) -> None:
        """Since it was looked at last trains have followed one another.

        One was under way that had begun at `train_us`, another began at `next_us`, and from there
        on one each TRAIN_US.
        """
        now_us = self._clock.now_us
        begun_us = train_us
        if now_us > next_us:
            begun_us = next_us + (now_us - next_us - 1) // TRAIN_US * TRAIN_US
        edges = [begun_us + number * TRAIN_GAP_US for number in range(TRAIN_EDGES)]
        self._pump.fill(max(edge for edge in edges if edge <= now_us))
        self._edges = deque(edge for edge in edges if edge > now_us)
        self._look()

    def reset(self) -> None:
        """The reader's chip has no power, or is reset: a train under way is cut off."""
        self._look()
        self._edges.clear()
        self.pin(0)

    def is_sending(self) -> bool:
        """Whether a train is under way."""
        self._look()
        return bool(self._edges)

    # -- what the world does ---------------------------------------------------------------------

    def mains(self, is_on: bool) -> None:
        """The mains of the lock's supply."""
        self._look()
        if is_on:
            self._supply_until_us = None
        elif self._mains_on:
            self._supply_until_us = self._clock.now_us + SUPPLY_US
        self._mains_on = is_on
        self._look()

    def fire(self, is_alarm: bool) -> None:
        """The fire panel opens its loop, or it was reset."""
        self._look()
        self._loop_closed = not is_alarm
        self._look()

    def press(self, is_pressed: bool) -> None:
        """Somebody inside presses the exit button, or lets it go."""
        self._look()
        self._pressed = is_pressed
        self._look()

    def push(self) -> bool:
        """Somebody pushes the leaf; whether it opens."""
        if not self.is_bonded():
            self.is_open = True
        return self.is_open

    def force(self) -> None:
        """Somebody breaks it open."""
        self.is_open = True

    def shut(self) -> None:
        """The closer has shut the leaf."""
        self.is_open = False

    # -- what is to be seen ----------------------------------------------------------------------

    def is_powered(self) -> bool:
        """Whether the coil has current."""
        self._look()
        return self._is_powered

    def is_bonded(self) -> bool:
        """Whether the leaf is held: by current, or by what the magnet keeps of it."""
        if self.is_open:
            return False
        return self.is_powered() or self._clock.now_us < self._off_us + REMANENCE_US

    def levels(self) -> int:
        """The reader's inputs."""
        self._look()
        truth = (
            (door.CLOSED, not self.is_open),
            (door.MAINS, self._mains_on),
            (door.FIRE_QUIET, self._loop_closed),
            (door.EXIT_IDLE, not self._pressed),
            (door.INTACT, not self.case_is_open),
            (door.RELAY, self._contact()),
            (door.KEY, self.key_is_turned),
        )
        return sum(bit for bit, level in truth if self.stuck.get(bit, level))

    # -- the circuit -----------------------------------------------------------------------------

    def _contact(self) -> bool:
        if self.relay_is:
            return self.relay_is == "welded"
        return self._pump.is_pulled

    def _has_supply(self, time_us: int) -> bool:
        return self._supply_until_us is None or time_us < self._supply_until_us

    def _flows(self, time_us: int) -> bool:
        loop = self._loop_closed or self.loop_is_welded
        button = not self._pressed or self.welded_poles >= _EXIT_POLES
        return self._has_supply(time_us) and loop and button and self._contact()

    def _look(self) -> None:
        """Go on to now, through every moment at which the circuit changes by itself."""
        now_us = self._clock.now_us
        while True:
            moments = [self._pump.falls_at_us()] if self._pump.is_pulled else []
            moments += [self._edges[0]] if self._edges else []
            if self._supply_until_us is not None and self._is_powered:
                moments.append(self._supply_until_us)
            due_us = min(moments, default=now_us + 1)
            if due_us > now_us:
                break
            if self._edges and self._edges[0] == due_us:
                self._edges.popleft()
                if self._has_supply(due_us):
                    self._pump.edge(due_us)
            self._pump.look(due_us)
            self._turn(due_us)
        self._pump.look(now_us)
        self._turn(now_us)

    def _turn(self, time_us: int) -> None:
        flows = self._flows(time_us)
        if flows == self._is_powered:
            return
        self._is_powered = flows
        if flows:
            self.unlocked[-1].append(time_us)
        else:
            self._off_us = time_us
            self.unlocked.append([time_us])
