"""The supply, mains or battery (R23.1a): every change is a record, what is left is on display.

Rules of this file. On battery a link that is down is looked for now and then only: a radio that
searches takes more than everything else on the board. What is shown of the battery never rises
while it is in use, and once it was empty the reader begins nothing before the mains are back: a
cell recovers when nobody sells, and would let one more sale begin.

The battery is measured whenever the reader runs on it for long (docs/adr/0017): what was drawn
against how far its voltage went down. The reader cannot feel what it draws; it reckons with the
board's figures, so while the field may be dark it does not measure.
"""

from firmware.drivers import pole_display
from protocols.rules import battery, clock, posture
from protocols.wire import messages

LOOK_MS = 500
STORED_AS = "battery"
REST_MS = 60000  # until a battery that was on the charger says how full it is
RADIO_TRY_MS, RADIO_REST_MS = 20000, 100000
_RADIO_OFF, _RADIO_SAVING, _RADIO_ON = 0, 1, 2


class Supply:
    """Looks at mains sense and battery of the board twice a second.

    `on_mains`: the adapter gives power. `test` is what the last measurement found, as an
    INSPECTION carries it (see rules/battery.py); b"" before the first. `has_news`: it is new, and
    whoever has told it says False.
    """

    def __init__(self, board, recorder, time, front_end):
        self._board = board
        self._recorder = recorder
        self._clock = time
        self._front_end = front_end
        self._next_ms = self._radio_ms = self._since_ms = 0
        self.on_mains = True
        self._is_empty = self.has_news = False
        self._level = _RADIO_ON
        self._left = None  # permille and minutes
        self._from = 0  # permille when the measurement began, at `_since_ms`; 0: it has not
        self._dark_ms = 0  # so long of it without backlight
        self.test = board.stored(STORED_AS)

    def step(self, now_ms, is_lit):
        """Note a change of the supply (R23.1), save and measure; returns when to look again.

        `is_lit`: whether the backlight has been on since the last step.
        """
        if now_ms < self._next_ms:
            return self._next_ms
        if not is_lit:
            self._dark_ms += now_ms - self._next_ms + LOOK_MS
        self._next_ms = now_ms + LOOK_MS
        power, net = self._board.power, self._board.net
        on_mains, level = power.mains(), self._level
        if on_mains != self.on_mains:
            self.on_mains = on_mains
            if on_mains:
                self._end_test(now_ms)
            self._is_empty = False
            self._left, self._from, self._since_ms = None, 0, now_ms
            self._radio_ms = now_ms
            level = _RADIO_ON if on_mains else _RADIO_OFF
            self._board.display.write(pole_display.BRIGHT if on_mains else pole_display.DIM)
            self._recorder.note(
                messages.POWER,
                now_ms,
                source=messages.MAINS if on_mains else messages.BATTERY,
                battery_mv=power.battery_mv(),
            )
        if not on_mains:
            battery_mv = power.battery_mv()
            left = battery.left(battery_mv, power.load_ma, self.test)
            if self._left is None or left < self._left:
                self._left = left
            if not self._is_empty and posture.battery(battery_mv) == "empty":
                self._is_empty = True
                self._end_test(now_ms)
            is_rested = not self._from and now_ms - self._since_ms >= REST_MS
            # The field is dark before the first card is asked for, and may be between two looks.
            if is_rested and self._front_end.session and not self._front_end.chip.pause_us:
                self._from, self._since_ms, self._dark_ms = self._left[0], now_ms, 0
            if now_ms >= self._radio_ms:
                is_due = level == _RADIO_OFF or net.is_up()
                level = _RADIO_SAVING if is_due else _RADIO_OFF
                self._radio_ms = now_ms + (RADIO_TRY_MS if is_due else RADIO_REST_MS)
        if level != self._level:
            self._level = level
            net.radio(level)
        return self._next_ms

    def battery_mv(self):
        """Millivolts of the battery."""
        return self._board.power.battery_mv()

    def word(self):
        """ "mains", "battery" or "empty", as rules/posture.py has them."""
        if self.on_mains:
            return "mains"
        return "empty" if self._is_empty else posture.battery(self.battery_mv())

    def left(self):
        """(percent, minutes) that the battery lasts at the usual load, or None on mains."""
        if self.on_mains:
            return None
        return (0, 0) if self._is_empty else ((self._left[0] + 9) // 10, self._left[1])

    def _end_test(self, now_ms):
        """Keep what the battery held, if so much was used that it can be told."""
        power, fall, self._from = self._board.power, self._from - self._left[0], 0
        used_mas = power.load_ma * ((now_ms - self._since_ms) // 1000)
        if power.backlight:
            used_mas -= battery.BACKLIGHT_MA * (self._dark_ms // 1000)
        capacity_mah = battery.measured_mah(used_mas, fall)
        if capacity_mah:
            earliest_s, _ = clock.seconds(self._clock.interval_ms(now_ms))
            self.test = capacity_mah.to_bytes(2, "big") + earliest_s.to_bytes(4, "big")
            self.has_news = True
            try:
                self._board.store(STORED_AS, self.test)
            except OSError:
                pass  # worn: it is told in this life only
