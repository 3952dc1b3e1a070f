"""The pole display: what CD5220 commands put on its glass, as far as the firmware uses them."""

from __future__ import annotations

from typing import Protocol


class Glass(Protocol):
    """What a customer sees: two lines, and how bright (1 to 4)."""

    lines: list[str]
    brightness: int
    looks_away: bool  # what comes is for the other device on its line


def show(panel: Glass, data: bytes) -> None:
    """ESC Q A text CR and ESC Q B text CR set a line, FF clears, ESC * n is how bright it is.

    Between ESC = 1 and ESC = 2 it looks away. ValueError for anything else.
    """
    while data:
        if panel.looks_away:
            _, found, data = data.partition(b"\x1b=\x02")
            panel.looks_away = not found
        elif data[:2] == b"\x1b=":
            panel.looks_away, data = data[2] == 1, data[3:]
        elif data[:2] == b"\x1b*":
            panel.brightness, data = data[2], data[3:]
        elif data[:2] == b"\x1bQ":
            line, _, data = data.partition(b"\r")
            panel.lines[line[2] - 0x41] = line[3:].decode("ascii")
        elif data[:1] == b"\x0c":
            panel.lines, data = ["", ""], data[1:]
        else:
            raise ValueError(f"no command of a CD5220: {data!r}")
