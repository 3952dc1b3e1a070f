"""The door of door.py with a scanner: an identity code opens it too, while the ledger answers.

Rules of this file:
- a code is classified and passed on unread; nothing of it is shown, kept or recorded;
- the ledger says whose it is, to this door and this question; whether they may enter is decided as
  for a card, by the door's own maps, schedules, anti-passback and PIN, in the one place for it;
- one question at a time, said again in the same words. Nothing waits: steps go on as ever. What
  comes later than ANSWER_MS, by this reader's own count, or under another nonce or seal, or once
  more, does nothing; a boot forgets the question. The same code behind silence is the same one;
- no network, no codes: refused at once (R24), and cards go on;
- it carries no letters for locks (mail_door.py): there is no room for both.
"""

from firmware.drivers.annunciator import KEY_HEARD, REFUSED
from firmware.drivers.qr_scanner import QrScanner
from firmware.roles.door import DoorController
from protocols.card.identity import Identity
from protocols.rules import access, code_entry, reasons, scan_codes
from protocols.wire import entry_code, messages, seal
from protocols.wire.errors import WireError

_REFUSED_MS = 2000
# Whose matter a refusal is, in its sound (annunciator.py): the building's, or the phone's.
_BUILDING, _PHONE = 2, 3


class CodeDoor(DoorController):
    """As DoorController; the board has a `scanner`, see docs/ARCHITECTURE.md."""

    def __init__(self, board, front_end=None):
        super().__init__(board, front_end)
        self._scanner = QrScanner(board.scanner)
        self._relay_key = seal.derive(board.settings["device_key"], messages.RELAY_LABEL)
        self._code = self._nonce = self._said = b""  # of the last question
        self._late_ms = 0  # when an answer to it comes too late; 0: nobody waits for one
        self._say_ms = 0
        self._heard = None
        self._came = 0, 0  # card_no of who came by code, and the ledger's number, until its ENTRY
        self._uplink.on_relay = self.hear  # pyright: ignore[reportAttributeAccessIssue]

    def step(self, now_ms):
        """As a door's; a code is looked for behind it."""
        due_ms = super().step(now_ms)
        now_ms = self._board.ticks_ms()
        self._scanner.is_wanted = self._pin is None and not self._tries.is_locked_out(now_ms)
        code = self._scanner.read(now_ms)
        if self._late_ms:
            self._wait(now_ms)
        elif code is not None:
            _, reason = scan_codes.decide(code, (scan_codes.CAMPUS_IDENTITY,), self._uplink.online)
            if reason == reasons.APPROVED:
                self._ask(code, now_ms)
            else:
                self._refuse(reason, now_ms)
        return due_ms

    def hear(self, sealed, now_ms):
        """Take what a RELAY brought; the uplink's counter that says why not, or ""."""
        if len(sealed) <= messages.UNHEARD_BYTES:
            is_ours = sealed == self._said[-messages.UNHEARD_BYTES :]
            if is_ours and self._late_ms and self._heard is None:
                self._late_ms = now_ms  # the ledger is away
            return ""
        try:
            payload = seal.unseal(self._relay_key, sealed, messages.RELAY_DOWN)
        except WireError:
            return "forged"
        heard = entry_code.decode_answer(payload)
        if heard[0] != self._nonce or self._heard is not None or now_ms >= self._late_ms:
            return "repeated"
        self._heard = heard
        return ""

    def _ask(self, code, now_ms):
        """Whose is this code? Said in the next step."""
        if code != self._code:
            self._code, self._nonce = code, self._board.urandom(entry_code.NONCE_BYTES)
            payload = entry_code.encode_ask(self._nonce, code)
            self._said = seal.seal(self._relay_key, payload, messages.RELAY_UP)
        self._say_ms, self._late_ms = now_ms, now_ms + code_entry.ANSWER_MS
        self._signals.play(KEY_HEARD, now_ms)
        self._until_ms = self._late_ms

    def _wait(self, now_ms):
        """Say the question until it is answered, and follow the answer, or go on without."""
        heard = self._heard
        if now_ms >= self._late_ms:
            self._late_ms, self._heard = 0, None
            self._refuse(access.CODE_UNANSWERED, now_ms)
        elif heard is not None:
            self._late_ms, self._heard = 0, None
            self._code = self._nonce = b""
            if heard[1] != reasons.APPROVED:
                self._refuse(heard[1], now_ms)
            elif self._tries.is_locked_out(now_ms):
                self._refuse(access.CODE_UNANSWERED, now_ms)
            else:
                self._drop_pin(now_ms)
                self._came = heard[3], heard[2]
                self._judge(Identity(heard[3], heard[4], heard[5], heard[6], 0), now_ms)
        elif now_ms >= self._say_ms:
            if self._uplink.say(messages.RELAY, {"sealed": self._said}):
                self._say_ms = now_ms + code_entry.AGAIN_MS

    def _refuse(self, reason, now_ms):
        """What came of a code that is nobody's here."""
        nobody_answers = reason in (reasons.CODE_NEEDS_NETWORK, access.CODE_UNANSWERED)
        whose = _BUILDING if nobody_answers else _PHONE
        self._signals.play(REFUSED + whose, now_ms)
        self._until_ms = now_ms + _REFUSED_MS
        if self._is_news(reason, now_ms, False, 1):  # the next one may be somebody else
            self._record(messages.ENTRY, now_ms, card_no=0, reason=reason)
        if code_entry.is_wrong(reason) and self._tries.wrong(now_ms):
            self._is_alarm = True
            self._record(messages.ENTRY, now_ms, card_no=0, reason=access.LOCKED_OUT)

    def _record(self, kind, now_ms, **fields):
        """As ever; the ENTRY of who came by code has the number of the ledger's answer."""
        card_no, number = self._came
        if number and kind == messages.ENTRY and fields["card_no"] == card_no:
            self._came = 0, 0
            fields["number"] = number
        super()._record(kind, now_ms, **fields)


build = CodeDoor
