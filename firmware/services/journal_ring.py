"""Which sectors of the journal's ring are in use, and which sequences each of them holds."""

from array import array

NONE = 0xFFFFFFFF


class Ring:
    """`first_seqs`: by sector, the sequence of its first record; NONE if it is not in use.

    `oldest`: the sector that was opened first of those in use; `active`: the one opened last.
    -1 while there is none.
    """

    def __init__(self, sectors):
        self.sectors = sectors
        self.first_seqs = array("I", b"\xff" * (4 * sectors))
        self.oldest = self.active = -1

    def sector_of(self, seq):
        """The sector in use that holds a sequence; -1 if it is booked and given up."""
        best = -1
        sector = self.oldest
        while sector >= 0 and self.first_seqs[sector] <= seq:
            best = sector
            sector = self.next_used(sector)
        return best

    def next_used(self, sector):
        """The sector that was opened after `sector`; -1 behind the active one."""
        if sector != self.active:
            for step in range(1, self.sectors):
                after = (sector + step) % self.sectors
                if self.first_seqs[after] != NONE:
                    return after
        return -1

    def find_oldest(self, generations):
        """Go round behind the active sector; a generation that does not rise is a skipped one.

        Returns the skipped ones.
        """
        last = 0
        skipped = []
        for step in range(1, self.sectors + 1):
            sector = (self.active + step) % self.sectors
            if generations[sector] > last:
                last = generations[sector]
                if self.oldest < 0:
                    self.oldest = sector
            else:
                self.first_seqs[sector] = NONE
                if generations[sector]:
                    skipped.append(sector)
        return skipped

    def use(self, sector, first_seq):
        """A sector has been opened."""
        self.active = sector
        self.first_seqs[sector] = first_seq
        if self.oldest < 0:
            self.oldest = sector

    def give_up(self, sector):
        """A sector is not in use any more; what was opened after the oldest is the oldest then."""
        if sector == self.oldest:
            self.oldest = self.next_used(sector)
        self.first_seqs[sector] = NONE

    def free(self, but):
        """How many more sectors can be opened, without those in `but`."""
        free = (self.oldest - self.active - 1) % self.sectors
        return free - sum([(bad - self.active - 1) % self.sectors < free for bad in but])

    def lacks(self, seq):
        """Whether no sector in use can hold `seq`, nor anything before it."""
        return self.first_seqs[self.oldest] > seq
