"""The lock on batteries: it sleeps, a hand at its handle wakes it, a card draws its bolt.

What a lock goes through is rules/lock.py, who may enter rules/access.py, what its cells mean
rules/cells.py. Sleep is the board's: a step that is due late is one that may be slept through, and
then a life ends. What the next one has to know is retained; what must outlast the cells is on
flash. docs/adr/0030-a-lock-sleeps.md.
"""

import struct

from firmware.drivers.annunciator import (
    CELLS_LOW,
    DARK,
    LOOK,
    OPEN,
    REFUSED,
    TAKEN,
    Annunciator,
)
from firmware.roles.entrance import UNRECORDED, WRONG, Entrance
from firmware.services import built
from firmware.services.card_faults import FAULTS, reason_of
from firmware.services.cells import Cells
from firmware.services.journal import Journal
from firmware.services.mailbox import Mailbox
from firmware.services.rested_journal import RestedJournal
from protocols.rules import access, cells, lock, reasons
from protocols.rules import clock as clock_rules
from protocols.wire import messages

_STEP_MS, _MOTOR_STEP_MS = 50, 10
AWAKE_MS = 4000  # behind the last that somebody did
_DONE_MS = 1000  # behind a bolt that was thrown again
DAY_MS = 86400000  # between two looks at itself, slept through
_DARK_US = 150000  # without field, between two looks for a card: most of what waiting draws
_REFUSED_MS = 2000
_WARNING_MS = 600  # behind a card that was taken, while the cells are low
_LINE_MS = 60000  # a line on which nobody asks for so long keeps nobody awake
_DEEPSLEEP = 4  # of board.boot_cause
# What is retained: ms to the next look at itself, inputs as told, whether something has happened
# that could not be written, and wrong tries.
_RETAINED = "<IBB"


class SmartLock(Entrance):
    """One lock on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    `mailbox` has visit(card, identity, now_ms), called with an activated card that was read as
    `identity`, whatever came of it, while it still lies there.
    """

    def __init__(self, board, front_end=None):
        now_ms = board.ticks_ms()
        is_rested = board.boot_cause == _DEEPSLEEP
        journal = RestedJournal(board.flash) if is_rested else Journal(board.flash)
        super().__init__(board, front_end, journal, now_ms)
        self._clock.believe_crystal()
        self._is_clock_set = board.utc_s() is not None
        told, self._look_ms = lock.INTACT, now_ms
        # Behind any other reset it is of a sleep that was over long ago.
        retained, slept_ms = board.retained() if is_rested else (b"", 0)
        if retained:
            left_ms, told, self._has_gap = struct.unpack_from(_RETAINED, retained)
            self._look_ms += max(left_ms - slept_ms, 0)
            self._tries.resume(retained[struct.calcsize(_RETAINED) :], slept_ms, now_ms)
        if not is_rested:
            cause = board.boot_cause
            self._recorder.note(messages.BOOT, now_ms, cause=cause, firmware=built.VERSION)
        chip = self._front_end.chip
        chip.pause_us = chip.pause_us or _DARK_US
        self._signals = Annunciator(board)
        self._cells = Cells(board, self._recorder)
        self.mailbox = Mailbox(
            board,
            self._front_end,
            self._credentials,
            (self._recorder, self._clock, self._uplink),
            self._access_map,
            lambda: self._cells.battery_mv,
        )
        self._read_rights(now_ms)
        is_thrown = board.lock.levels() & (lock.THROWN | lock.DRAWN) == lock.THROWN
        may_move = self._cells.may_move(is_thrown)
        self._lock = lock.Lock(told, may_move, self._access.grant_ms, now_ms)
        self._idle = 0  # whose turn it is
        self._is_alarm, self._until_ms = False, None
        self._awake_ms = now_ms + AWAKE_MS  # until then
        self._heard_ms = now_ms  # when somebody has spoken on the line, or it was plugged in
        self._motor = lock.REST
        self._woken = board.woken  # an input that may be back at rest by now

    def step(self, now_ms):
        """Look, act, and say when to be called again; a card dialogue is inside."""
        self._look(now_ms)
        if self._lock.motor():
            self._cells.feel()
            self._sound(now_ms)
            return now_ms + _MOTOR_STEP_MS
        self._watch.step(now_ms)
        chip = self._front_end.chip
        if self._lock.state == lock.OPEN:
            chip.set_field(False)
        elif not self._tries.is_locked_out(now_ms):
            self._poll(now_ms)
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        self._sound(now_ms)
        if self._is_on_line(now_ms):
            self._uplink.step(now_ms)
            if not self._is_clock_set:
                self._set_clock(now_ms)
        if self._lock.motor():
            return now_ms + _MOTOR_STEP_MS
        self._use_quiet(now_ms)
        if not self._may_sleep(now_ms):
            return now_ms + _STEP_MS
        return self._rest(now_ms)

    # -- sleep --------------------------------------------------------------------------------

    def _is_on_line(self, now_ms):
        """Whether a handheld is plugged in that asks."""
        if not self._lock.levels & lock.LINE:
            self._heard_ms = now_ms
            return False
        if self._uplink.online:
            self._heard_ms = now_ms
        return now_ms - self._heard_ms < _LINE_MS

    def _may_sleep(self, now_ms):
        is_still = self._lock.state == lock.LOCKED or self._lock.state == lock.JAMMED
        is_busy = self._until_ms is not None or self._is_on_line(now_ms)
        return is_still and not is_busy and now_ms >= self._awake_ms

    def _rest(self, now_ms):
        """Retain what the next life needs; until when it may sleep."""
        left_ms = max(self._look_ms - now_ms, 0)
        head = struct.pack(_RETAINED, left_ms, self._lock.told(), self._has_gap)
        self._board.retain(head + self._tries.ages(now_ms))
        return now_ms + max(left_ms, _STEP_MS)

    def _use_quiet(self, now_ms):
        """Nobody waits. One of four: each may erase twice."""
        self._idle = (self._idle + 1) % 4
        if self._idle == 0:
            self._recorder.prepare()
        elif self._idle == 1:
            self._card_map.step(now_ms)
        elif self._idle == 2:
            self._take_rights(now_ms)
        elif now_ms >= self._look_ms:
            self._look_ms = now_ms + DAY_MS
            self._inspect(now_ms)

    def _take_rights(self, now_ms):
        """The newest map, if there is a newer one; whether there was."""
        self._access_map.step(now_ms)
        if not self._access_map.is_new():
            return False
        self._read_rights(now_ms)
        self._lock.let_last(self._access.grant_ms)
        return True

    def _inspect(self, now_ms):
        """Once a day, and behind a boot: what the warden's list says of this lock."""
        earliest_s, latest_s = clock_rules.seconds(self._clock.interval_ms(now_ms))
        held = self._card_map.map_in_use()
        self._recorder.note(
            messages.INSPECTION,
            now_ms,
            network=int(self._uplink.online),
            waiting=self._recorder.waiting(),
            battery_mv=self._cells.battery_mv,
            clock_width_s=latest_s - earliest_s,
            reader_faults=min(self._front_end.chip.faults, 0xFFFF),
            free_sectors=self._recorder.free_sectors(),
            map_made_s=self._card_map.made_s(),
            receipt_s=self._recorder.receipt_s,
            map_epoch=held[2] if held else 0,
        )

    def _set_clock(self, now_ms):
        """The clock chip has lost the time: as soon as that is known again, it is told."""
        interval_ms = self._clock.interval_ms(now_ms)
        if clock_rules.is_known(interval_ms, self._policy["clock_width_max_ms"]):
            self._is_clock_set = True
            self._board.set_utc(sum(clock_rules.seconds(interval_ms)) // 2)
            self._clock.note_set()

    # -- the bolt -----------------------------------------------------------------------------

    def _look(self, now_ms):
        levels, self._woken = self._board.lock.levels() | self._woken, 0
        if levels & ~self._lock.levels & lock.WAKING:
            self._awake_ms = now_ms + AWAKE_MS
        while True:
            event = self._lock.event(levels, now_ms)
            if not event:
                break
            self._happen(event, now_ms)
        if not self._lock.motor():
            for event in self._cells.events(now_ms):
                self._happen(event, now_ms)

    def _happen(self, event, now_ms):
        """Let an event happen, move the bolt as the state wants it, and write it down."""
        before = self._lock.state
        action = self._lock.happen(event, now_ms)
        after, motor = self._lock.state, self._lock.motor()
        if motor != self._motor:
            self._motor = motor
            self._board.lock.drive(motor)
        if after == lock.LOCKED:
            self._cells.stood()
        if action == "alarm":
            self._is_alarm = True
        elif action in ("lock", "open", "quiet"):
            self._is_alarm = False
        if action not in ("", "note", "draw"):  # of a card that draws it more is to be said
            self._show(now_ms)
        if after != before:
            self._awake_ms = now_ms + (_DONE_MS if after == lock.LOCKED else AWAKE_MS)
        # A card's own way, in and back, is what its ENTRY says.
        is_usual = event in ("home", "grant", "drawn", "over")
        is_usual = is_usual or (event == "thrown" and before == lock.THROWING)
        has_changed = after != before
        is_told = not is_usual and (has_changed or action)
        if is_told and self._is_news(event, now_ms, has_changed):
            self._record(
                messages.DOOR,
                now_ms,
                state=lock.STATES_AT + lock.STATES.index(after),
                event=lock.number(event),
                levels=self._lock.levels,
                cause=self._cells.grade,
            )

    # -- the card -----------------------------------------------------------------------------

    def _poll(self, now_ms):
        card_no, card, identity = 0, None, None
        try:
            card = self._front_end.poll()
            if card is None:
                self._is_resting = False
                return
            if self._is_resting:
                return  # one answer for each time that it is held there
            identity = self._credentials.read(card)
            card_no = identity.card_no
            reason = self._judge(identity, now_ms)
        except FAULTS as fault:
            reason = reason_of(fault, False)
        if reason in UNRECORDED or (reason == reasons.READER_FAULT and self._is_resting):
            return
        self._is_resting = True
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        self._awake_ms = now_ms + AWAKE_MS
        if reason == reasons.APPROVED:
            # Written before anything else may fail; nobody waits for what is on the card beside.
            self._answer(card_no, reason, now_ms)
        if identity:
            self.mailbox.visit(card, identity, now_ms)
            now_ms = self._board.ticks_ms()
        if reason != reasons.APPROVED:
            if identity and self._take_rights(now_ms):
                reason = self._judge(identity, now_ms)
            self._answer(card_no, reason, now_ms)

    def _judge(self, identity, now_ms):
        """reasons.APPROVED, or why this lock stays shut; it has no keys for a PIN."""
        reason = self._decide(identity, now_ms)
        if reason == reasons.APPROVED and self._access.pin(identity.card_no)[1]:
            return access.NO_PIN_GIVEN
        if reason == reasons.APPROVED and self._cells.grade == cells.EMPTY:
            return reasons.BATTERY_EMPTY
        return reason

    def _answer(self, card_no, reason, now_ms):
        """Open or do not, say what came of a card, and write it down."""
        if reason == reasons.APPROVED:
            self._happen("grant", now_ms)
            self._tries.right()
            self._access.passed(card_no, now_ms)
            self._signals.play(TAKEN, now_ms)
        else:
            self._signals.play(REFUSED + reasons.sound(reason), now_ms)
            self._until_ms = now_ms + _REFUSED_MS
        self._record(messages.ENTRY, now_ms, card_no=card_no, reason=reason)
        if reason in WRONG and self._tries.wrong(now_ms):
            self._is_alarm = True
            self._record(messages.ENTRY, now_ms, card_no=0, reason=access.LOCKED_OUT)

    # -- people -------------------------------------------------------------------------------

    def _show(self, now_ms):
        """The light of the state, and what it sounds like."""
        self._until_ms = None
        if self._is_alarm:
            self._is_alarm = False  # called once: a siren would empty the cells
            self._signals.play(LOOK, now_ms)
            self._until_ms = now_ms + _REFUSED_MS
        elif self._lock.state != lock.OPEN:
            self._signals.play(DARK, now_ms)
        else:
            self._signals.play(OPEN, now_ms)
            if self._cells.grade != cells.GOOD:
                self._until_ms = now_ms + _WARNING_MS

    def _sound(self, now_ms):
        self._signals.step(now_ms)
        if self._until_ms is None or now_ms < self._until_ms:
            return
        if self._lock.state == lock.OPEN:
            self._until_ms = None
            self._signals.play(CELLS_LOW, now_ms)
        else:
            self._show(now_ms)


build = SmartLock
