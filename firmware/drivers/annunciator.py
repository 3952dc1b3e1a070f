"""Light and sound. One short beep: taken. Two: taken without network. Three: look at the display;
without light, the clerk alone is meant. One long: refused. What follows it says whose matter that
is: another long one the card centre's, one short the phone's, two short this reader's. What a card
is refused for has one more or a rhythm of its own (see docs/reason-codes.md).
"""

_UNIT_MS = 10
_GAP_MS = 120
DARK, OPEN, TAKEN, TAKEN_OFFLINE, LOOK, WRONG_KEY = 0, 1, 2, 3, 4, 5
ASK_PIN, KEY_HEARD = 6, 7  # at a door
REFUSED = 8  # and so many more, by the sound of the reason (protocols/rules/reasons.py)
CELLS_LOW = 18  # at a lock, behind a card that was taken: three short beeps
# Five bytes a signal: its lights (2 green, 1 red), then its beeps, in units; 0: none. One text of
# bytes: tuples take more heap.
SIGNAL_BYTES = 5
SIGNALS = (
    b"\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x02\x08\x00\x00\x00\x02\x08\x08\x00\x00"
    b"\x01\x08\x08\x08\x00\x00\x08\x08\x08\x00\x03\x08\x08\x00\x00\x03\x04\x00\x00\x00"
    b"\x01\x28\x00\x00\x00\x01\x28\x28\x00\x00\x01\x28\x08\x08\x00\x01\x28\x08\x00\x00"
    b"\x01\x28\x28\x08\x00\x01\x28\x28\x08\x08\x01\x28\x28\x28\x00"  # lost, suspended, closed
    b"\x01\x28\x08\x28\x00\x01\x28\x08\x08\x28\x01\x28\x08\x08\x08"  # not yet, expired, kind
    b"\x02\x08\x08\x08\x00"
)


class Annunciator:
    """Plays a signal; `board` has led(green, red) and beep(ms), which does not block."""

    def __init__(self, board):
        self._board = board
        self._left = b""
        self._next_ms = 0
        self._lights = -1

    def play(self, signal, now_ms):
        """Start a signal; what was still to sound of the one before is dropped."""
        signal *= SIGNAL_BYTES
        lights = SIGNALS[signal]
        self._left = SIGNALS[signal + 1 : signal + SIGNAL_BYTES].rstrip(b"\x00")
        if self._lights != lights:
            self._lights = lights
            self._board.led(lights >> 1, lights & 1)
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
