"""Real readers on the desk: boards at the end of a serial port, which nobody here simulates.

The agent of its building polls a board as it polls any reader on a line, in real time
(edge_agent/serial_line.py); what the board tells is heard between two slices of virtual time. All
that is known of it here is what it has told, so a port that closes, or a board that is silent,
loses nothing: the records are in its journal.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.serial_line import SerialLine
from simulator.host.hardware import Hardware
from simulator.provisioning import LINE_BAUD
from simulator.reader import Reader
from simulator.world.clock import World

# By role: the program of firmware/ that a board on a line runs.
PROGRAMS = {
    "pos": "main_serial",
    "door": "main_door_serial",
    "attendance": "main_attendance_serial",
    "kiosk": "main_kiosk_serial",
}
# What a reader can have that a board on a line has not.
_NOT_ON_A_LINE = ("wifi", "scanner", "usb")
# Verbs of hands at a reader, and of its power: nobody here has them at a real one.
HANDS = frozenset(
    {"tap", "present", "phone", "press", "enter", "punch", "hold", "scan", "ask", "report"}
    | {"leave", "force", "fire", "key", "swap", "wear", "rearm", "open", "shut", "slow"}
    | {"kill", "revive", "provision", "move", "bring-back"}
)
_NEVER_US = 1 << 62
_HEARD_MAX = 16
# What Polling tells of a reader, and of a line, as a state of the board.
_STATES = {
    "reader_up": "up",
    "reader_silent": "silent",
    "reader_garbled": "garbled",
    "reader_twice": "twice",
}
NOISY = {"line_babbles": True, "line_quiet": False}


class Board:
    """A port and the board behind it; a line of its building, which starts and stops it.

    `url` is whatever serial_for_url takes. `is_cut`: the desk has let go of the port.
    """

    def __init__(self, name: str, device: int, url: str) -> None:
        self.name, self.url, self.devices = name, url, [device]
        self.has_agent = False
        self._is_cut = False
        self._line: SerialLine | None = None
        self._told = ""
        self._is_noisy = False
        self._heard: deque[tuple[int, bytes]] = deque()

    # -- edge_agent.reader_ports.Line, and simulator.building.BuildingLine ----------------------

    def start(self) -> None:
        """An agent is there: it opens the port, now and whenever that has failed."""
        self.has_agent = True
        if self._line is None and not self._is_cut:
            self._told, self._is_noisy = "", False
            self._line = SerialLine(self.url, LINE_BAUD, self.devices)
            self._line.start()

    def stop(self) -> None:
        """The agent is gone, and the port with it."""
        self.has_agent = False
        self._let_go()

    def take(self) -> tuple[int, bytes] | None:
        return self._heard.popleft() if self._heard else None

    def publish(self, device: int, payload: bytes) -> bool:
        return self._line is not None and self._line.publish(device, payload)

    @property
    def connected(self) -> bool:
        return self._line is not None and self._line.connected

    @property
    def last_error(self) -> str:
        return self._line.last_error if self._line else ""

    @property
    def counters(self) -> dict[str, int]:
        return self._line.counters if self._line else {}

    # -- the desk's side ------------------------------------------------------------------------

    @property
    def is_cut(self) -> bool:
        return self._is_cut

    @is_cut.setter
    def is_cut(self, is_cut: bool) -> None:
        self._is_cut = is_cut
        if is_cut:
            self._let_go()
        elif self.has_agent:
            self.start()

    def hear(self) -> bool:
        """Hear what has arrived since the last time; whether there is something to `take`."""
        line = self._line
        if line is not None:
            line.hush()
            for what, _device in line.take_events():
                self._is_noisy = NOISY.get(what, self._is_noisy)
                self._told = _STATES.get(what, self._told)
            # What an agent does not take is left there, until the line stops polling for it.
            while len(self._heard) < _HEARD_MAX and (message := line.take()) is not None:
                self._heard.append(message)
        return bool(self._heard)

    @property
    def state(self) -> str:
        """One of STATES: what is known of the board now."""
        if self._is_cut:
            return "cut"
        if not self.has_agent:
            return "no-agent"
        if not self.connected:
            return "no-port" if self.last_error else "looking"
        return "noisy" if self._is_noisy else self._told or "looking"

    def _let_go(self) -> None:
        line, self._line = self._line, None
        self._heard.clear()
        if line is not None:
            # It waits for an attempt to open that is under way, which may take seconds.
            threading.Thread(target=line.close, name=f"close {self.url}", daemon=True).start()


STATES = ("up", "looking", "silent", "garbled", "twice", "noisy", "no-port", "no-agent", "cut")


class RealReader(Reader):
    """What stands for a board among the readers of a run: nothing of it is stepped or modelled."""

    is_real = True

    def __init__(
        self,
        board: Board,
        world: World,
        hardware: Hardware,
        after_step: Callable[[int], None],
    ) -> None:
        super().__init__(board.name, world, hardware, _Elsewhere(), after_step)
        self.board = board

    def switch_on(self) -> None:
        """It has a switch of its own."""
        self.is_on = True

    def switch_off(self) -> None:
        """The same."""

    def set_cable(self, *, plugged: bool, dark: bool) -> None:
        self.board.is_cut = dark or not plugged


class _Elsewhere:
    """No home at all."""

    def start(self, now_us: int) -> int:
        return max(_NEVER_US, now_us)

    def run(self, now_us: int) -> int:
        return max(_NEVER_US, now_us)

    def kill(self) -> None:
        """Nothing of ours runs."""


def on_a_line(description: Mapping[str, Any]) -> dict[str, Any]:
    """A reader of a scenario as a board on a serial line can be it."""
    kept = {key: value for key, value in description.items() if key not in _NOT_ON_A_LINE}
    return kept | {"serial": 1}
