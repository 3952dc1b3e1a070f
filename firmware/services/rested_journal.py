"""The journal of a reader that wakes from sleep: nothing was under way when its last life ended.

A boot leaves a gap of an entry behind what it finds, because one that a cut has ended may stand
there and look blank today (ADR 8). A lock boots at every touch, and would lose most of its journal
to gaps. Behind a sleep the life before has written all that it began, and has read it back: it is
gone on where that has ended, unless something stands there.
"""

from firmware.services.journal import Journal


class RestedJournal(Journal):
    """Journal behind a boot that has ended an orderly sleep, and behind no other one."""

    def _leave_gap(self, offset):
        """Go on at `offset`; where that is not blank, as any boot."""
        if self._bytes.is_blank(self._ring.active, offset):
            self._offset = offset
        else:
            super()._leave_gap(offset)
