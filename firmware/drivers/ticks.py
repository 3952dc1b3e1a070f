"""Time that never wraps, from a counter that does."""

WRAP_US = 1 << 30  # of the port's ticks_us(): 17.9 minutes
_MASK = WRAP_US - 1


class Ticks:
    """Microseconds since reset. Every time in firmware/ is a count of these, never raw ticks.

    `read` gives the counter, modulo WRAP_US; us() must be called once in that time.
    """

    def __init__(self, read):
        self._read = read
        self._total_us = read()

    def us(self):
        self._total_us += (self._read() - self._total_us) & _MASK
        return self._total_us
