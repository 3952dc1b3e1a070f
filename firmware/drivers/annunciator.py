"""Light and sound. One short beep: taken. Two: taken without network. One long: refused.
Three: look at the display; without light, the clerk alone is meant.
"""

_SHORT_MS = 80
_GAP_MS = 120
# signal: (green, red, durations of its beeps)
TAKEN = (1, 0, (_SHORT_MS,))
TAKEN_OFFLINE = (1, 0, (_SHORT_MS, _SHORT_MS))
REFUSED = (0, 1, (400,))
LOOK = (0, 1, (_SHORT_MS, _SHORT_MS, _SHORT_MS))
WRONG_KEY = (0, 0, (_SHORT_MS, _SHORT_MS, _SHORT_MS))
DARK = (0, 0, ())


class Annunciator:
    """Plays a signal; `board` has led(green, red) and beep(ms), which does not block."""

    def __init__(self, board):
        self._board = board
        self._left = ()
        self._next_ms = 0
        self._lights = None

    def play(self, signal, now_ms):
        """Start a signal; what was still to sound of the one before is dropped."""
        green, red, self._left = signal
        if self._lights != (green, red):
            self._lights = (green, red)
            self._board.led(green, red)
        self._next_ms = now_ms
        self.step(now_ms)

    def step(self, now_ms):
        """Sound what is due; returns when the next beep is due, or None."""
        if self._left and now_ms >= self._next_ms:
            duration_ms = self._left[0]
            self._left = self._left[1:]
            self._board.beep(duration_ms)
            self._next_ms = now_ms + duration_ms + _GAP_MS
        return self._next_ms if self._left else None
