"""A gatehouse: the attendance machine as it is built on its modelled hardware."""

from firmware.roles import attendance
from simulator.host.board import HostBoard
from tests.firmware.counter import Counter, new_card
from tests.firmware.entrance import MASTERS, new_desfire


class Gate(Counter):
    """A Counter whose reader is an attendance machine; `pos` is that machine."""

    def __init__(self, **own):
        super().__init__(own={"read_key": MASTERS.read}, **own)

    def boot(self, tell_time=True):
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = attendance.build(board)
        if tell_time and not self._is_told:
            self.tell_time()
        self.run_ms(0)

    def tell_time(self):
        self._is_told = True
        now_ms = self.ticks_us() // 1000
        time_s = self.hardware.world.utc_s(self.clock.now_us)
        self.pos._clock.observe(time_s, now_ms, now_ms)

    def punch(self, card, hold_ms=700):
        """Hold a card to it; the upper line of the display, as whoever holds it reads it."""
        self.put(card)
        self.run_ms(hold_ms)
        shown = self.shown
        self.take(card)
        self.run_ms(100)
        return shown.strip()


__all__ = ["Gate", "new_card", "new_desfire"]
