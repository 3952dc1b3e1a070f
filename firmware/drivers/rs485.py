"""A UART on a line with two wires, as the uplink's stream; on USB the same without a driver pin.

Sending waits until the last stop bit has left: a driver that is still on when the agent goes on
would talk over it, and a loop that came back later, after a card, would hold the line for as long.
It takes 22 ms for the longest frame at 115,200 baud and 1.3 ms for an empty one.

What lies in the buffer when nobody has looked for FRESH_MS is thrown away unread. There may be a
poll in it whose answer the agent no longer waits for, and by now somebody else may be speaking;
the agent says again what was not answered.
"""

FRESH_MS = 80


class Rs485:
    """The stream of board.net: always connected, and nobody is there until polled.

    `uart` has read(size) -> bytes or None, write(data), flush(); `drive(level)` switches the
    transceiver between listening (0) and speaking (1).
    """

    def __init__(self, uart, drive, ticks_ms):
        self._uart = uart
        self._drive = drive
        self._ticks_ms = ticks_ms
        self._looked_ms = 0
        drive(0)

    def connected(self):
        return True

    def send(self, data):
        """Speak; returns how many bytes were taken, which is all of them."""
        self._drive(1)
        self._uart.write(data)
        self._uart.flush()
        self._drive(0)
        return len(data)

    def recv(self, size):
        """At most `size` bytes; None when there are none, or none that are news."""
        now_ms = self._ticks_ms()
        is_stale = now_ms - self._looked_ms > FRESH_MS
        data = self._uart.read(size)
        if is_stale:
            while data:
                data = self._uart.read(size)
            data = None
            now_ms = self._ticks_ms()
        self._looked_ms = now_ms
        return data

    def close(self):
        """Nothing on two wires hears of it."""
