"""A gatehouse: the attendance machine as it is built on its modelled hardware."""

from firmware.roles import attendance
from tests.firmware.counter import Counter, new_card
from tests.firmware.entrance import MASTERS, new_desfire


class Gate(Counter):
    """A Counter whose reader is an attendance machine; `pos` is that machine."""

    build = staticmethod(attendance.build)

    def __init__(self, **own):
        super().__init__(own={"read_key": MASTERS.read}, **own)

    def punch(self, card, hold_ms=700):
        """Hold a card to it; the upper line of the display, as whoever holds it reads it."""
        self.put(card)
        self.run_ms(hold_ms)
        shown = self.shown
        self.take(card)
        self.run_ms(100)
        return shown.strip()


__all__ = ["Gate", "new_card", "new_desfire"]
