"""The cells of a lock: what they read, at rest and under the motor, and what that comes to.

Rules of this file. The grade only gets worse: cells recover while nobody comes, and would go to
and fro between "empty" and "good". Other cells end it, and other cells are told by their voltage
behind a boot without power. Grade and voltage are on flash, and written there when they change.
"""

import struct

from protocols.rules import cells
from protocols.wire import messages

STORED_AS = "cells"
_STORED = ">BH"
_STEP_MV = 100  # a fall that is worth writing down
_POWER_ON = 1  # of board.boot_cause; a brown-out says the same


class Cells:
    """`grade`: of rules/cells.py; `battery_mv`: as read last, awake, the motor at rest."""

    def __init__(self, board, recorder):
        self._board = board
        self._recorder = recorder
        self.battery_mv = board.power.battery_mv()
        self._loaded_mv = 0  # the least under the motor, since it was looked at; 0: it has not run
        kept = board.stored(STORED_AS)
        self.grade, self._kept_mv = struct.unpack(_STORED, kept) if kept else (cells.GOOD, 0)
        self._is_swapped = False
        if board.boot_cause == _POWER_ON and cells.are_new(self.battery_mv, self._kept_mv):
            self._is_swapped = self._kept_mv > 0
            self.grade = cells.grade(self.battery_mv, 0)
            self._keep()

    def feel(self):
        """The motor runs: how far down does it take them?"""
        battery_mv = self._board.power.battery_mv()
        if not self._loaded_mv or battery_mv < self._loaded_mv:
            self._loaded_mv = battery_mv

    def events(self, motor, now_ms):
        """What is to be told of them now, as events of rules/lock.py."""
        if motor:
            return ()
        found = ("swapped",) if self._is_swapped else ()
        self._is_swapped = False
        self.battery_mv = self._board.power.battery_mv()
        grade = cells.grade(self.battery_mv, self._loaded_mv)
        self._loaded_mv = 0
        if grade > self.grade:
            self.grade = grade
            found += ("weaker",)
        if found or self.battery_mv + _STEP_MV < self._kept_mv:
            self._keep()
        if found:
            self._recorder.note(
                messages.POWER, now_ms, source=messages.BATTERY, battery_mv=self.battery_mv
            )
        return found

    def _keep(self):
        self._kept_mv = self.battery_mv
        self._board.store(STORED_AS, struct.pack(_STORED, self.grade, self.battery_mv))
