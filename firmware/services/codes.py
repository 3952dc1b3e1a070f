"""A sale by payment code (R14b.2): the ledger is asked, and the very next record tells what came.

Rules of this file:
- a code is classified and passed on unread; what it says is never shown, logged or recorded;
- PAY_ASK names the number of the next record, which is reserved from then on: nothing else can be
  written there. It is said again until it is answered, in the same words;
- one record decides (docs/adr/0020-code-sales.md). CODE_SALE "committed" stands on flash before
  anybody is told; a refusal or silence is CODE_SALE "not committed", and a power cut leaves a BOOT
  there. What comes behind that, or carries another nonce, does nothing.
"""

from firmware.drivers.qr_scanner import QrScanner
from firmware.services.journal import JournalFull
from protocols.rules import reasons, scan_codes
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

# The ledger knows whether it has an acquirer for those of platforms, and says which it refuses.
_TAKEN = (
    scan_codes.CAMPUS_PAYMENT,
    scan_codes.WECHAT,
    scan_codes.ALIPAY,
    scan_codes.UNIONPAY,
)
_NOT_TOLD = 0xFFFFFFFF  # what a platform's payer has left is not ours to show
_NONCE_BYTES = 8
_AGAIN_MS = 1000  # until what was said and not answered is said again; the ledger takes 300
_BUSY_MS = 100  # until what could not be said is tried again


class Codes:
    """The scanner of a POS, and one ask at a time.

    `sources()` gives power and network in the words of rules/posture.py; `due_ms` is when to call
    step() again, if nothing comes before.
    """

    def __init__(self, board, recorder, till, uplink, sources):
        self._scanner = QrScanner(board.scanner)
        self._urandom = board.urandom
        self._key = seal.derive(board.settings["device_key"], messages.RELAY_LABEL)
        self._recorder = recorder
        self._till = till
        self._uplink = uplink
        self._sources = sources
        self._told = []  # reasons that this order has a record of
        self._nonce = b""  # of the ask that has no answer yet
        self._said = b""  # the ask, sealed; none is open if empty
        self._amount_fen = 0
        self._answer = None
        self._say_ms = self.due_ms = 0
        self._others = uplink.on_relay
        uplink.on_relay = self.hear

    def step(self, amount_fen, now_ms):
        """(event of rules/sale.py, reason, balance_fen), or None while nothing has happened.

        The balance is None where it is not ours to tell: of a payment platform's code.

        `amount_fen` is what a code may pay now; 0: no code is wanted.
        """
        scanner = self._scanner
        if not self.may_look():
            amount_fen = 0
        scanner.is_wanted = amount_fen > 0
        code = scanner.read(now_ms)
        self.due_ms = scanner.due_ms
        if self._said:
            return self._wait(now_ms)
        if not amount_fen:
            self._told = []
        elif code is not None:
            return self._take(code, amount_fen, now_ms)
        return None

    def may_look(self):
        """Whether the scanner is worth its light: on battery without network no code could pay."""
        power, network = self._sources()
        return power == "mains" or network == "online"

    def give_up(self, now_ms):
        """The ledger has not answered in time: nothing is sold. The reason to show."""
        return self._end(reasons.CODE_NEEDS_NETWORK, 0, now_ms)

    def hear(self, sealed, now_ms):
        """Take what a RELAY brought; the uplink's counter that says why not, or ""."""
        if len(sealed) <= messages.UNHEARD_BYTES:
            if not self._nonce or sealed != self._said[-messages.UNHEARD_BYTES :]:
                return self._others(sealed, now_ms)
            self._nonce, self._answer = b"", {}  # the ledger is away: as good as silence
            self.due_ms = now_ms
            return ""
        try:
            payload = seal.unseal(self._key, sealed, messages.RELAY_DOWN)
        except WireError:
            return "forged"
        try:
            said = messages.decode_relayed(payload, (messages.PAY_ANSWER,))
        except WireError:
            return self._others(sealed, now_ms)
        if said["nonce"] != self._nonce:
            return "repeated"
        self._nonce = b""
        self._answer = said
        self.due_ms = now_ms
        return ""

    def _take(self, code, amount_fen, now_ms):
        """A code was shown: ask the ledger, or say why not."""
        power, network = self._sources()
        event, reason = "refused", self._till.bars(power, network, now_ms)
        if reason == reasons.APPROVED:
            event = "look"
            _, reason = scan_codes.decide(code, _TAKEN, network == "online")
        if reason == reasons.APPROVED:
            try:
                self._ask(code, amount_fen, now_ms)
                return "code", reason, 0
            except JournalFull:  # worn flash, before anybody was asked
                event, reason = "refused", reasons.JOURNAL_FULL
        # Who holds it there again and again makes one record of each reason.
        if reason not in self._told:
            self._told.append(reason)
            self._till.refuse(reason, 0, amount_fen, now_ms)
        return event, reason, 0

    def _ask(self, code, amount_fen, now_ms):
        nonce = self._urandom(_NONCE_BYTES)
        padded = code + bytes(scan_codes.CAMPUS_BYTES - len(code))
        fields = {"nonce": nonce, "code": padded, "amount_fen": amount_fen}
        fields["seq"] = self._recorder.reserve()
        payload = messages.encode_relayed(messages.PAY_ASK, fields)
        self._said = seal.seal(self._key, payload, messages.RELAY_UP)
        self._nonce, self._amount_fen = nonce, amount_fen
        self._answer = None
        self.due_ms = now_ms  # it is said in the next step

    def _wait(self, now_ms):
        """Say the ask until it is answered; then what `step` returns."""
        answer = self._answer
        if answer is None:
            if now_ms >= self._say_ms:
                is_said = self._uplink.say(messages.RELAY, {"sealed": self._said})
                self._say_ms = now_ms + (_AGAIN_MS if is_said else _BUSY_MS)
            self.due_ms = min(self.due_ms, self._say_ms)
            return None
        reason, number = answer.get("reason", reasons.CODE_NEEDS_NETWORK), answer.get("number", 0)
        # No yes without a number, and no word that this firmware does not know.
        if (reason or not number) and reason not in reasons.DISPLAY:
            reason = reasons.ASK_LEDGER
        reason = self._end(reason, number, now_ms)
        left_fen = answer.get("balance_fen", 0)
        left_fen = None if left_fen == _NOT_TOLD else left_fen
        return "refused" if reason else "paid", reason, left_fen

    def _end(self, reason, number, now_ms):
        """Write the record that decides: sold as `number`, or not for `reason`. What to show."""
        self._nonce = self._said = b""
        self._say_ms = 0
        is_sold = reason == reasons.APPROVED
        is_written = self._recorder.settle(
            now_ms,
            number=number if is_sold else 0,
            amount_fen=self._amount_fen,
            result=messages.COMMITTED if is_sold else messages.NOT_COMMITTED,
        )
        if not is_sold:
            self._till.refuse(reason, 0, self._amount_fen, now_ms)  # why, the record above has not
        # What is not on flash is not sold: whatever is written there gives the money back.
        return reason if is_written or not is_sold else reasons.JOURNAL_FULL
