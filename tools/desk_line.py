"""The desk's end of a library reader's line: numbers as they come, one for each card (R2.4).

`url` is whatever pyserial's serial_for_url takes: /dev/ttyUSB0, socket://host:port, a pty's name.
"""

from collections.abc import Iterator

import serial

_LINE_BYTES_MAX = 64
_DIGITS = (8, 10)
_PERSONAL = range(1, 17)
_CHARACTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WAIT_S = 0.5


class NoLine(Exception):
    """The line cannot be opened, or has gone; the text says which."""


def numbers(
    url: str, baud: int = 9600, count: int | None = None, is_personal: bool = False
) -> Iterator[str]:
    """Each number that comes, at most `count` of them. NoLine when the line cannot be used.

    What is no line of 8 or 10 digits (0-9, A-F), or `is_personal` of 1 to 16 of 0-9 and A-Z, was
    garbled on its way, and is left out.
    """
    lengths, known = (_PERSONAL, _CHARACTERS) if is_personal else (_DIGITS, _CHARACTERS[:16])
    try:
        with serial.serial_for_url(url, baudrate=baud, timeout=_WAIT_S) as port:
            rest = b""
            while count != 0:
                rest += port.read(max(1, port.in_waiting))
                *lines, rest = rest.split(b"\n")
                rest = rest[-_LINE_BYTES_MAX:]
                for line in lines:
                    digits = line.strip()
                    if len(digits) in lengths and all(char in known for char in digits):
                        yield digits.decode()
                        count = None if count is None else count - 1
                        if count == 0:
                            return
    except (serial.SerialException, ValueError, OSError) as error:
        raise NoLine(f"{url}: {error}") from error
