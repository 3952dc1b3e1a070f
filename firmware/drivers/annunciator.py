"""Light and sound. One short beep: taken. Two: taken without network. Three: look at the display;
without light, the clerk alone is meant. One long: refused. What follows it says whose matter that
is: another long one the card centre's, one short the phone's, two short this reader's.
"""

_UNIT_MS = 10
_GAP_MS = 120
# signal: its lights (2 green, 1 red), then its beeps, in units. Bytes: a tuple takes more heap.
TAKEN = b"\x02\x08"
TAKEN_OFFLINE = b"\x02\x08\x08"
REFUSED = b"\x01\x28"
LOOK = b"\x01\x08\x08\x08"
WRONG_KEY = b"\x00\x08\x08\x08"
DARK = b"\x00"
# By the group of its reason (protocols/rules/reasons.py).
REFUSALS = (REFUSED, b"\x01\x28\x28", b"\x01\x28\x08\x08", b"\x01\x28\x08")


class Annunciator:
    """Plays a signal; `board` has led(green, red) and beep(ms), which does not block."""

    def __init__(self, board):
        self._board = board
        self._left = b""
        self._next_ms = 0
        self._lights = -1

    def play(self, signal, now_ms):
        """Start a signal; what was still to sound of the one before is dropped."""
        self._left = signal[1:]
        if self._lights != signal[0]:
            self._lights = signal[0]
            self._board.led(signal[0] >> 1, signal[0] & 1)
        self._next_ms = now_ms
        self.step(now_ms)

    def step(self, now_ms):
        """Sound what is due; returns when the next beep is due, or None."""
        if self._left and now_ms >= self._next_ms:
            duration_ms = self._left[0] * _UNIT_MS
            self._left = self._left[1:]
            self._board.beep(duration_ms)
            self._next_ms = now_ms + duration_ms + _GAP_MS
        return self._next_ms if self._left else None
