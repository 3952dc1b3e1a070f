"""A record of a card front end that fails, or that nobody knows: now and then, not each time."""

from protocols.wire import messages

EVERY_MS = 600000  # between two records
_COUNT_MAX = 0xFFFF


class FrontEndWatch:
    """Looks at the counters of `front_end` (a Pcd) and of its chip."""

    def __init__(self, front_end, recorder):
        self._front_end = front_end
        self._recorder = recorder
        self._next_ms = 0
        self._faults_told = 0

    def step(self, now_ms):
        """Write a FRONT_END record if there is news and the last one is long enough ago."""
        front_end = self._front_end
        chip = front_end.chip
        is_news = chip.faults != self._faults_told
        if not self._next_ms and chip.version and not chip.is_known_version:
            is_news = True
        if not is_news or now_ms < self._next_ms:
            return
        self._next_ms = now_ms + EVERY_MS
        self._faults_told = chip.faults
        self._recorder.note(
            messages.FRONT_END,
            now_ms,
            version=chip.version,
            faults=min(chip.faults, _COUNT_MAX),
            recoveries=min(chip.recoveries, _COUNT_MAX),
            pin_misses=min(chip.pin_misses, _COUNT_MAX),
            garbled=min(front_end.garbled, _COUNT_MAX),
        )
