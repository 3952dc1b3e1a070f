"""The supply, mains or battery (R23.1a): every change is a record, what is left is on display."""

from protocols.rules import battery, posture
from protocols.wire import messages

LOOK_MS = 500


class Supply:
    """Looks at mains sense and battery of the board twice a second."""

    def __init__(self, board, recorder):
        self._power = board.power
        self._recorder = recorder
        self._next_ms = 0
        self._on_mains = True

    def step(self, now_ms):
        """Note a change of the supply (R23.1); returns when to look again."""
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + LOOK_MS
            on_mains = self._power.mains()
            if on_mains != self._on_mains:
                self._on_mains = on_mains
                self._recorder.note(
                    messages.POWER,
                    now_ms,
                    source=messages.MAINS if on_mains else messages.BATTERY,
                    battery_mv=self._power.battery_mv(),
                )
        return self._next_ms

    def word(self):
        """ "mains", "battery" or "empty", as rules/posture.py has them."""
        return "mains" if self._on_mains else posture.battery(self._power.battery_mv())

    def battery_mv(self):
        """Millivolts of the battery."""
        return self._power.battery_mv()

    def minutes_left(self):
        """Minutes that the battery lasts at the usual load, or None on mains."""
        return None if self._on_mains else battery.minutes_left(self._power.battery_mv())
