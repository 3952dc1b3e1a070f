"""The door controller: a magnet holds a door, and cards, buttons, fire and power let it go.

What a door goes through is rules/door.py, who may enter rules/access.py; the lock itself is
released by hardware (docs/adr/0019-pulses-hold-the-door.md), and this file can only withhold the
pulses that hold it, or tell what has happened. So it may fail at any line: the door is open then.
"""

from firmware.drivers.annunciator import (
    ASK_PIN,
    DARK,
    KEY_HEARD,
    LOOK,
    OPEN,
    REFUSED,
    TAKEN,
    Annunciator,
)
from firmware.roles.entrance import UNRECORDED, WRONG, Entrance
from firmware.services import built
from firmware.services.card_faults import FAULTS, reason_of
from firmware.services.journal import Journal
from protocols.rules import access, door, reasons
from protocols.wire import messages

_STEP_MS = 50
_FREE_LOOK_MS = 1000  # between two looks at the schedule
_REFUSED_MS = 2000
_PIN_MS = 15000
_SIREN_MS = 1000  # between two calls for somebody
_WATCHDOG_RESET = 3  # of board.boot_cause
LATCH = "latch"  # in the board's key-value store: state and cause of what only a key ends


class DoorController(Entrance):
    """One door on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    """

    def __init__(self, board, front_end=None):
        now_ms = board.ticks_ms()
        super().__init__(board, front_end, Journal(board.flash), now_ms)
        cause = board.boot_cause
        self._recorder.note(messages.BOOT, now_ms, cause=cause, firmware=built.VERSION)
        self._signals = Annunciator(board)
        self._idle = 0  # whose turn it is
        self._pin, self._digits, self._pin_until_ms = None, b"", 0  # (card_no, group, verifier)
        self._device_keys = [board.settings["device_key"]]
        if "previous_device_key" in board.settings:
            self._device_keys.append(board.settings["previous_device_key"])
        self._read_rights(now_ms)
        latch, cause, data = "", 0, board.stored(LATCH)
        if len(data) == 2 and data[0] < len(door.STATES):
            latch, cause = door.STATES[data[0]], data[1]
        elif board.boot_cause == _WATCHDOG_RESET:
            latch, cause = door.FAULT, door.HUNG
            self._keep_latch(bytes((door.STATES.index(door.FAULT), door.HUNG)))
        self._door = door.Door(latch, cause, self._access.grant_ms, now_ms)
        self._is_free, self._free_look_ms = False, now_ms
        self._carrier = None
        self._is_alarm, self._until_ms = False, None
        self._show(now_ms)

    def carry_with(self, carrier):
        """Also carry letters for locks: `carrier` is services/carrier.py's, or one like it."""
        self._carrier = carrier(
            self._board, self._front_end, self._credentials, self._recorder, self._uplink
        )

    def step(self, now_ms):
        """Look, act, and only then hold the door for another moment; when to be called again."""
        self._look(now_ms)
        if self._door.holds():
            self._board.lock.train()
        self._watch.step(now_ms)
        is_busy = not self._tries.is_locked_out(now_ms) and self._poll(now_ms)
        self._take_keys(now_ms)
        sound_ms = self._board.ticks_ms()
        self._signals.step(sound_ms)
        if self._until_ms is not None and sound_ms >= self._until_ms:
            self._show(sound_ms)
        self._uplink.step(now_ms)
        if not is_busy:
            # Nobody waits, a card left lying there included. One of three: each may erase twice.
            self._idle = (self._idle + 1) % 3
            if self._idle == 0:
                self._recorder.prepare()
            elif self._idle == 1:
                self._card_map.step(now_ms)
            else:
                self._access_map.step(now_ms)
                if self._access_map.is_new():
                    self._read_rights(now_ms)
                    self._door.let_last(self._access.grant_ms)
        return now_ms + _STEP_MS

    # -- the door -----------------------------------------------------------------------------

    def _look(self, now_ms):
        levels = self._board.lock.levels()
        if now_ms >= self._free_look_ms:
            self._free_look_ms = now_ms + _FREE_LOOK_MS
            interval_ms = self._clock.interval_ms(now_ms)
            self._is_free = self._access.is_free(interval_ms, self._policy)
        while True:
            event = self._door.event(levels, self._is_free, now_ms)
            if not event:
                return
            self._happen(event, now_ms)

    def _keep_latch(self, data):
        try:
            self._board.store(LATCH, data)
        except OSError:
            pass  # worn: it holds in this life, and no restart after restart lets the door go

    def _happen(self, event, now_ms):
        """Let an event happen; what it did to the door is on flash afterwards."""
        before = self._door.state
        action = self._door.happen(event, now_ms)
        after = self._door.state
        # Before anything else can fail: what a key has not ended stands when the power comes back.
        if after != before and (before in door.LATCHED or after in door.LATCHED):
            cause = self._door.cause
            data = bytes((door.STATES.index(after), cause)) if after in door.LATCHED else b""
            self._keep_latch(data)
        if action == "alarm":
            self._is_alarm = True
        elif action in ("open", "close", "lock", "quiet"):
            self._is_alarm = False
        if action:
            self._show(now_ms)
        has_changed = after != before
        if (has_changed or action) and self._is_news(event, now_ms, has_changed):
            self._record(
                messages.DOOR,
                now_ms,
                state=door.STATES.index(after),
                event=door.number(event),
                levels=self._door.levels,
                cause=self._door.cause,
            )

    # -- the card -----------------------------------------------------------------------------

    def _poll(self, now_ms):
        """Answer a card; whether there was one to answer."""
        try:
            card = self._front_end.poll()
            if card is None:
                self._is_resting = False
                return False
            if self._is_resting:  # one answer for each time that it is held there
                return self._carrier is not None and self._carrier.step(card)
            if self._carrier:
                self._carrier.end()
            identity = self._credentials.read(card)
        except FAULTS as fault:
            reason = reason_of(fault, False)
            if reason in UNRECORDED or (reason == reasons.READER_FAULT and self._is_resting):
                return False
            now_ms = self._board.ticks_ms()
            self._drop_pin(now_ms)
            self._answer(0, reason, now_ms)
        else:
            self._judge(identity, now_ms)
        self._is_resting = True
        return True

    def _judge(self, identity, now_ms):
        """Whoever this is may enter, or not, or has to give a PIN."""
        card_no = identity.card_no
        reason = self._decide(identity, now_ms)
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        self._drop_pin(now_ms)
        pin = self._access.pin(card_no) if reason == reasons.APPROVED else (0, b"")
        if pin[1]:
            self._pin, self._digits = (card_no, pin[0], pin[1]), b""
            self._signals.play(ASK_PIN, now_ms)
            self._until_ms = self._pin_until_ms = now_ms + _PIN_MS
        else:
            self._answer(card_no, reason, now_ms)

    def _take_keys(self, now_ms):
        """Digits of a PIN that was asked for; whatever else is pressed begins it anew."""
        keys, pin = self._board.keypad.read(), self._pin
        if pin is None:
            return
        if now_ms >= self._pin_until_ms:
            self._drop_pin(now_ms)
            return
        for key in keys:
            self._digits = self._digits + bytes((key,)) if 48 <= key <= 57 else b""
            self._signals.play(KEY_HEARD, now_ms)
            if len(self._digits) == access.PIN_DIGITS:
                card_no, group, expected = pin
                digits, self._pin, self._digits = self._digits, None, b""
                reason = access.judge(self._device_keys, group, expected, digits)
                self._answer(card_no, reason, now_ms)
                return

    def _drop_pin(self, now_ms):
        """Nobody waits for a PIN any more; whose card it was is told."""
        if self._pin is not None:
            card_no, self._pin, self._digits = self._pin[0], None, b""
            self._record(messages.ENTRY, now_ms, card_no=card_no, reason=access.NO_PIN_GIVEN)

    def _answer(self, card_no, reason, now_ms):
        """What came of a card: the same to see and to hear whoever is forced to open."""
        if reason in (reasons.APPROVED, access.DURESS):
            self._tries.right()
            self._access.passed(card_no, now_ms)
            if self._carrier:
                self._carrier.begin(card_no)
            self._happen("grant", now_ms)
            self._signals.play(TAKEN, now_ms)
        else:
            self._signals.play(REFUSED, now_ms)
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
            self._signals.play(LOOK, now_ms)
            self._until_ms = now_ms + _SIREN_MS
        else:
            self._signals.play(DARK if self._door.holds() else OPEN, now_ms)


build = DoorController
