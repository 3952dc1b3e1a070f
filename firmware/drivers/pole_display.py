"""The customer's display: two lines of 20 characters on a UART, CD5220 commands."""

COLUMNS = 20
DIM, BRIGHT = b"\x1b*\x02", b"\x1b*\x04"  # two of its four steps of brightness, or all
# What comes between the two is for the other device on its line (ESC =).
_AWAY, _BACK = b"\x1b=\x01", b"\x1b=\x02"


class PoleDisplay:
    """`uart` has write(bytes). Sends a line only when it differs from what is shown."""

    def __init__(self, uart):
        self._uart = uart
        self._shown = [None, None]

    def show(self, upper, lower):
        """Both lines as ASCII text, cut at 20 characters; None: the upper one stays."""
        if upper is not None:
            self._set(0, "A", upper)
        self._set(1, "B", lower)

    def pass_on(self, data):
        """Give bytes to the other device on this line, then show again what is shown.

        There are displays that obey no such command while they show lines: they are put right.
        """
        self._uart.write(_AWAY + data + _BACK)
        (upper, lower), self._shown = self._shown, [None, None]
        self.show(upper, lower)

    def _set(self, index, letter, text):
        text = text[:COLUMNS]
        if text != self._shown[index]:
            self._shown[index] = text
            self._uart.write(("\x1bQ%s%s\r" % (letter, text)).encode())
