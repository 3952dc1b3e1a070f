"""The cells of a lock: what they read, at rest and under the motor, and what that comes to.

Rules of this file. The grade only gets worse: cells recover while nobody comes, and would go to
and fro between "empty" and "good". Other cells end it, which are told by their voltage behind a
boot without power, and warmth, if it was found in the cold. What is known is on flash and is
written there when it changes: it outlasts the cells.
"""

import struct

from protocols.rules import cells
from protocols.wire import messages

STORED_AS = "cells"
_STORED = ">BHBb"  # grade, voltage, breakdowns, degrees at which the grade was found
_FALL_MV = 100  # that is worth writing down
_NEVER_WARMER = 100
_POWER_ON = 1  # of board.boot_cause; a brown-out says the same


class Cells:
    """`grade`: of rules/cells.py; `battery_mv`: as read last, awake, the motor at rest."""

    def __init__(self, board, recorder):
        self._board = board
        self._recorder = recorder
        self.battery_mv = self._read()
        self._loaded_mv = self._felt_mv = 0  # under the motor: the least, and the last; 0: none
        kept = board.stored(STORED_AS)
        self.grade, self._kept_mv, self._breakdowns, self._celsius = (
            struct.unpack(_STORED, kept) if kept else (cells.GOOD, 0, 0, 0)
        )
        self._news = ()
        if board.boot_cause != _POWER_ON or not cells.are_new(self.battery_mv, self._kept_mv):
            return
        if kept:
            self._news = ("swapped",)
        self._breakdowns = 0
        self._take_grade(0)
        self._keep()

    def may_move(self, is_thrown):
        """Behind a boot: whether a bolt that is not thrown may be; each time that it is not, and
        power was lost, counts against the cells."""
        if is_thrown:
            self.stood()
        elif self._board.boot_cause == _POWER_ON:
            self._breakdowns = min(self._breakdowns + 1, 0xFF)
            was_low = cells.grade(self.battery_mv, 0, self._board.celsius()) != cells.GOOD
            if was_low or self._breakdowns >= cells.BREAKDOWNS_MAX:
                self.grade, self._celsius = cells.EMPTY, _NEVER_WARMER
            self._keep()
        return self._breakdowns < cells.BREAKDOWNS_MAX

    def stood(self):
        """The bolt is thrown: the motor has not broken them down."""
        if self._breakdowns:
            self._breakdowns = 0
            self._keep()

    def feel(self):
        """The motor runs: how far down does it take them? Two readings in a row count."""
        felt_mv = self._board.power.battery_mv()
        sure_mv = max(felt_mv, self._felt_mv)
        if self._felt_mv and (not self._loaded_mv or sure_mv < self._loaded_mv):
            self._loaded_mv = sure_mv
        self._felt_mv = felt_mv

    def events(self, now_ms):
        """What is to be told of them while the motor rests, as events of rules/lock.py."""
        self.battery_mv = self._read()
        found, self._news = self._news, ()
        if self._judge():
            found += ("weaker",)
        if found or self.battery_mv + _FALL_MV < self._kept_mv:
            self._keep()
        if found:
            self._recorder.note(
                messages.POWER, now_ms, source=messages.BATTERY, battery_mv=self.battery_mv
            )
        return found

    def _read(self):
        """One reading of a converter says little: the highest of some."""
        return max([self._board.power.battery_mv() for _ in range(cells.READINGS)])

    def _judge(self):
        """Take a look at what they read; whether the grade has got worse."""
        celsius, loaded_mv = self._board.celsius(), self._loaded_mv
        self._loaded_mv = self._felt_mv = 0
        grade = cells.grade(self.battery_mv, loaded_mv, celsius)
        if grade == self.grade:
            return False
        if grade < self.grade:
            if celsius is not None and celsius >= self._celsius + cells.WARMER_K:
                self._take_grade(loaded_mv)
                self._keep()
            return False
        self._take_grade(loaded_mv)
        return True

    def _take_grade(self, loaded_mv):
        celsius = self._board.celsius()
        self.grade = cells.grade(self.battery_mv, loaded_mv, celsius)
        self._celsius = _NEVER_WARMER if celsius is None else celsius

    def _keep(self):
        self._kept_mv = self.battery_mv
        kept = struct.pack(_STORED, self.grade, self.battery_mv, self._breakdowns, self._celsius)
        try:
            self._board.store(STORED_AS, kept)
        except OSError:
            pass  # worn: the next life begins with what was kept last, and nobody is locked out
