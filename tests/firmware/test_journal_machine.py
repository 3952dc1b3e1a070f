"""The journal against its twin, in whatever order Hypothesis thinks of: cuts, bad bits and all."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulator.chips.nor_flash import PowerCut
from simulator.torture.journal_twin import Twin, WatchedFlash
from simulator.torture.journal_work import content

SECTOR_BYTES, SECTORS = 1024, 5


class JournalMachine(RuleBasedStateMachine):
    """A reader that writes, keeps, hears receipts, boots, and loses its power anywhere."""

    def __init__(self):
        super().__init__()
        self.number = 0

    @initialize(seed=st.integers(0, 999), slow=st.sampled_from([0, 0, 1, 20]))
    def begin(self, seed, slow):
        flash = WatchedFlash(SECTORS * SECTOR_BYTES, random.Random(seed), SECTOR_BYTES)
        flash.slow_start_reads = slow
        self.twin = Twin(flash)
        self._do(("boot",))

    @rule(size=st.sampled_from([33, 90, 113, 256]), times=st.integers(1, 4))
    def append(self, size, times):
        for _ in range(times):
            self.number += 1
            self._do(("try", content(self.number, size)))

    @rule(key=st.integers(0, 3), size=st.integers(0, 12))
    def keep(self, key, size):
        self.number += 1
        self._do(("keep", key, content(self.number, size)))

    @rule(behind=st.integers(0, 12))
    def receipt(self, behind):
        self._do(("receipt", behind))

    @rule()
    def prepare(self):
        self._do(("prepare",))

    @rule()
    def power_cycle(self):
        self.twin.power_cycle()

    @rule(operations=st.integers(0, 4), how=st.sampled_from(["", "torn", "late", "pre-program"]))
    def power_will_go(self, operations, how):
        self.twin.flash.cut_after(operations, how=how)

    @rule(operations=st.integers(0, 2), at_byte=st.integers(0, 120))
    def power_will_go_at_a_byte(self, operations, at_byte):
        self.twin.flash.cut_after(operations, at_byte)

    @rule()
    def a_bit_will_not_fall(self):
        self.twin.is_bad = True
        self.twin.flash.loosen_call = len(self.twin.flash.calls)

    @invariant()
    def nothing_is_lost(self):
        if hasattr(self, "twin") and self.twin.flash.is_powered:
            self.twin.judge()

    def teardown(self):
        if hasattr(self, "twin"):
            self.twin.flash.cut_after(1 << 40)
            self.twin.power_cycle()
            self.twin.append_in_the_end(content(0, 113))
            self.twin.power_cycle()

    def _do(self, step):
        """Take a step; where the power goes, boot until it stays."""
        try:
            self.twin.do(step)
        except PowerCut:
            self.twin.power_cycle()


JournalMachine.TestCase.settings = settings(settings.default, stateful_step_count=40)
TestJournal = JournalMachine.TestCase
