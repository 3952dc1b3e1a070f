"""The self-service machine with a scanner: kiosk.py, and a loss reported by one's phone (R14.2a).

FN, and FN again, is for somebody whose card is gone: OK, and then the identity code of the phone
that is bound to it. The ledger judges and answers with the time from which it counts; nothing is
said to be reported before that. A payment code proves nothing here, and without network nobody is
asked to show one. What nobody has answered is not sure: another code asks again, and whatever was
reported keeps its first time.
"""

from firmware.drivers import annunciator
from firmware.drivers.qr_scanner import QrScanner
from firmware.roles import kiosk
from firmware.services.question import Question
from protocols.rules import attendance, charging, reasons, scan_codes, screens
from protocols.wire import desk_messages

_SHOW_MS = 30000  # for the phone to be held there
_ANSWER_MS = 20000
_SHOWN_MS = 15000  # a time to be written down
_TAKEN = (scan_codes.CAMPUS_IDENTITY,)
# What a report goes through.
_NONE, _SURE, _SHOW, _ASKED = 0, 1, 2, 3


def build(board, front_end=None):
    """As kiosk.build; the board has a `scanner`, see docs/ARCHITECTURE.md."""
    return kiosk.build(board, front_end, CodeKiosk)


class CodeKiosk(kiosk.Kiosk):
    """One machine."""

    def __init__(self, board, front_end, recorder, uplink, clock):
        super().__init__(board, front_end, recorder, uplink, clock)
        self._scanner = QrScanner(board.scanner)
        # Behind the load: it passes on to that what it is not told itself.
        self._question = Question(board, uplink, desk_messages.LOSS_ANSWER)

    def step(self, now_ms):
        """As of kiosk.py, with the scanner and what is asked."""
        self._scanner.is_wanted = self._report == _SHOW
        code = self._scanner.read(now_ms)
        if code is not None and self._report == _SHOW:
            self._take(code, now_ms)
        due_ms = self._question.step(now_ms)
        if self._report == _ASKED and self._question.answer is not None:
            self._tell(self._question.answer, now_ms)
        return min(due_ms, self._scanner.due_ms, super().step(now_ms))

    def _key(self, key, now_ms):
        word = charging.key_of(key)
        if self._report == _ASKED:
            self._panel.sound(annunciator.WRONG_KEY, now_ms)  # what was asked cannot be unsaid
        elif word == "fn" and self._is_found:
            self._load.stop(now_ms)
            self._is_found = False
            if self._uplink.online:
                self._ask_for(_SURE, screens.REPORT_LOSS, now_ms)
            else:
                self._end(reasons.CODE_NEEDS_NETWORK, now_ms)
        elif word == "confirm" and self._report == _SURE:
            self._ask_for(_SHOW, screens.SHOW_IDENTITY, now_ms)
        elif self._report and word not in ("esc", "fn"):
            self._panel.sound(annunciator.WRONG_KEY, now_ms)
        else:
            self._report = _NONE
            super()._key(key, now_ms)

    def _poll(self, now_ms):
        """Nobody's card is looked at while somebody reports another one."""
        if not self._report:
            super()._poll(now_ms)

    def _ask_for(self, report, number, now_ms):
        self._report = report
        self._until_ms = now_ms + _SHOW_MS
        self._panel.look(number, "", now_ms)

    def _take(self, code, now_ms):
        """A code was shown: ask the ledger, or say why not."""
        _, reason = scan_codes.decide(code, _TAKEN, self._uplink.online)
        if reason == reasons.CODE_IS_PAYMENT:
            self._panel.look(reason, "", now_ms)  # the phone has the other one too
        elif reason != reasons.APPROVED:
            self._end(reason, now_ms)
        else:
            self._report = _ASKED
            self._until_ms = None  # the question ends by itself
            self._panel.ask(screens.ONE_MOMENT, "")
            until_ms = now_ms + _ANSWER_MS
            self._question.ask(desk_messages.LOSS_ASK, {"code": code}, now_ms, until_ms)

    def _tell(self, answer, now_ms):
        reason = answer.get("reason", reasons.LOSS_UNSURE)
        if reason != reasons.APPROVED:
            self._end(screens.known(reason, reasons.LOSS_UNSURE), now_ms)
            return
        lost_ms = answer["lost_s"] * 1000
        time_text = attendance.time_text((lost_ms, lost_ms), self._policy)
        self._report = _NONE
        self._panel.at_time(screens.LOSS_REPORTED, time_text, None)
        self._panel.sound(annunciator.TAKEN, now_ms)
        self._until_ms = now_ms + _SHOWN_MS

    def _end(self, reason, now_ms):
        self._report = _NONE
        self._panel.refuse(reason, "", now_ms)
        self._until_ms = now_ms + _SHOWN_MS

    def _home(self, now_ms):
        self._report = _NONE
        super()._home(now_ms)
