"""The customer's display: two lines of 20 characters on a UART, CD5220 commands."""

COLUMNS = 20
DIM, BRIGHT = b"\x1b*\x02", b"\x1b*\x04"  # two of its four steps of brightness, or all


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

    def _set(self, index, letter, text):
        text = text[:COLUMNS]
        if text != self._shown[index]:
            self._shown[index] = text
            self._uart.write(("\x1bQ%s%s\r" % (letter, text)).encode())
