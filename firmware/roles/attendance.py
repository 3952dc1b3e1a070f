"""The attendance machine: a card is held to it, the punch is on flash, and only then it says so.

It stores and forwards (R7.4): no punch waits for a network, the mains or the time. Who may punch
and what is said is rules/attendance.py.
"""

from firmware.drivers import annunciator
from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services import built
from firmware.services.books import open_books
from firmware.services.card_faults import FAULTS, reason_of
from firmware.services.card_map import CardMap
from firmware.services.credential import Credentials
from firmware.services.front_end_watch import FrontEndWatch
from firmware.services.journal import Journal, JournalFull
from firmware.services.panel import Panel
from firmware.services.supply import Supply
from protocols.rules import attendance, reasons, screens, validity
from protocols.wire import messages

_POLL_MS = 50
_SHOWN_MS = 2000
_CLOCK_LOOK_MS = 1000  # between two looks at the time that is shown
# Nobody was refused, or nothing can be written.
_UNRECORDED = (reasons.CARD_GONE, reasons.JOURNAL_FULL)


def build(board, front_end=None):
    """The machine on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    """
    now_ms = board.ticks_ms()
    recorder, clock, uplink = open_books(board, now_ms, Journal(board.flash))
    recorder.note(messages.BOOT, now_ms, cause=board.boot_cause, firmware=built.VERSION)
    return Attendance(board, front_end or Pcd(Mfrc522(board)), recorder, uplink, clock)


class Attendance:
    """One machine."""

    def __init__(self, board, front_end, recorder, uplink, clock):
        self._board = board
        self._front_end = front_end
        self._recorder = recorder
        self._uplink = uplink
        self._clock = clock
        self._policy = board.settings["policy"]
        self._card_map = CardMap(board, recorder, uplink)
        self._credentials = Credentials(board, front_end)
        self._recent = attendance.Recent()
        self._watch = FrontEndWatch(front_end, recorder)
        self._supply = Supply(board, recorder, clock, front_end)
        self._panel = Panel(board, self._notices)
        self._is_resting = False  # the card in the field has been answered
        self._shown = ""  # the time on the display, "" while that says something else
        self._until_ms = 0

    def step(self, now_ms):
        """Look for a card, act, and say when to be called again; a card dialogue is inside."""
        due_ms = self._supply.step(now_ms, self._panel.is_lit)
        self._watch.step(now_ms)
        self._poll(now_ms)
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        if now_ms >= self._until_ms:
            self._show_clock(now_ms)
        due_ms = min(due_ms, self._until_ms, now_ms + _POLL_MS)
        due_ms = self._panel.step(now_ms, due_ms, self._supply.on_mains)
        due_ms = min(due_ms, self._uplink.step(now_ms))
        if not self._is_resting:
            self._recorder.prepare()
            due_ms = min(due_ms, self._card_map.step(now_ms))
        return due_ms

    def _poll(self, now_ms):
        card_no = 0
        try:
            card = self._front_end.poll()
            if card is None:
                self._is_resting = False
                return
            if self._is_resting:
                return  # one punch for each time that it is held there
            identity = self._credentials.read(card)
            card_no = identity.card_no
            reason = validity.decide(
                identity,
                self._card_map.known(card_no)[0],
                self._clock.interval_ms(now_ms),
                self._policy,
            )
            if reason == reasons.APPROVED:
                self._recorder.write(messages.PUNCH, now_ms, card_no=card_no)
        except FAULTS as fault:
            reason = reason_of(fault, False)
        if reason == reasons.CARD_GONE or (reason == reasons.READER_FAULT and self._is_resting):
            return  # it is looked at again
        self._is_resting = True
        if reason == reasons.APPROVED:
            self._punched(card_no, now_ms)
        else:
            self._refuse(reason, card_no, now_ms)

    def _punched(self, card_no, punched_ms):
        """The punch stands on flash: say so, with the time that it has there."""
        now_ms = self._board.ticks_ms()
        is_repeated = self._recent.punched(card_no, punched_ms)
        number = screens.PUNCHED_ALREADY if is_repeated else screens.PUNCHED
        time_text = attendance.time_text(self._clock.interval_ms(punched_ms), self._policy)
        self._panel.at_time(number, time_text, card_no)
        if is_repeated:
            signal = annunciator.LOOK
        else:
            signal = annunciator.TAKEN if self._uplink.online else annunciator.TAKEN_OFFLINE
        self._panel.sound(signal, now_ms)
        self._keep_shown(now_ms)

    def _refuse(self, reason, card_no, now_ms):
        if reason not in _UNRECORDED:
            try:
                self._recorder.write(
                    messages.REFUSAL, now_ms, card_no=card_no, amount_fen=0, reason=reason
                )
            except JournalFull:
                pass  # the card was refused all the same
        now_ms = self._board.ticks_ms()
        self._panel.refuse(reason, "", now_ms)
        self._keep_shown(now_ms)

    def _keep_shown(self, now_ms):
        self._shown = ""
        self._until_ms = now_ms + _SHOWN_MS

    def _show_clock(self, now_ms):
        """Nobody is there: the time, as far as this machine knows it."""
        self._until_ms = now_ms + _CLOCK_LOOK_MS
        time_text = attendance.time_text(self._clock.interval_ms(now_ms), self._policy)
        if time_text != self._shown:
            if not self._shown:
                self._panel.sound(annunciator.DARK, now_ms)
            self._shown = time_text
            self._panel.at_time(screens.PUNCH_HERE, time_text, None)

    def _notices(self):
        """What is warned of; see screens.notices."""
        return (
            None if self._uplink.online else self._recorder.waiting(),
            self._supply.left(),
            self._recorder.is_nearly_full(),
        )
