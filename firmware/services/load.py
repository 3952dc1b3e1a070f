"""Money onto the card that lies here: the ledger decides and computes, this reader relays.

Rules of this file:
- where the settings say `load_cards`, a card is asked for after its tap, never before; nothing
  waits for the answer;
- CREDIT stands on flash before the card is touched, its OUTCOME as soon as the end is known;
- what does not carry the nonce of the latest question, or comes late, does nothing;
- one card exchange in a step, so that keys, alarms and the next sale go on.

A MIFARE Classic gets a whole order, which fits one state of this one card and is carried out like
a debit. A DESFire is talked to by the ledger itself, command by command.
"""

from firmware.drivers.iso14443 import CardCollision, CardGone
from firmware.drivers.mfrc522 import BusFault
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.services.journal import JournalFull
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from protocols.card.credit_order import open_order
from protocols.card.identity import ForeignCard
from protocols.card.purse_desfire import COMMIT_TRANSACTION
from protocols.rules import clock as clock_rules
from protocols.rules import money
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_ANSWER_MS = 3000  # for the ledger's next word
_CARD_MS = 5000  # for the card to be held to the reader again
_POLL_MS = 50
_RESTING_MS = 60000
_NONCE_BYTES = 8
_IDLE, _BOOKING, _ASKED, _READY, _TALKING = 0, 1, 2, 3, 4
_FROM_LEDGER = (
    messages.SITE,
    messages.SPEND_ANSWER,
    messages.LOAD_ORDER,
    messages.LOAD_OFFER,
    messages.CARD_COMMAND,
    messages.LOAD_END,
)
_UNREADABLE = (CardCollision, CardGone, CardRefused, AuthFailed, ForeignCard, BusFault)
_ENDS = ("", "LOADED ", "LOAD LATER", "LOAD: TAP AGAIN")  # by result


class Load:
    """Loads one card at a time.

    `text` is what to show, "" for nothing; `wants_card` whether the card has to lie there, or to
    come back; `due_ms` when to call `step` again. `uplink` has online and say(type, fields), which
    says whether, and calls `hear`; `front_end` polls, `purses` opens what lies there.
    """

    def __init__(self, board, front_end, purses, recorder, clock, uplink):
        self._board = board
        self._front_end = front_end
        self._purses = purses
        self._recorder = recorder
        self._clock = clock
        self._uplink = uplink
        self._device_key = board.settings["device_key"]
        self._key = b""  # none: nobody is asked for money; for a SITE now and then it is derived
        if "load_cards" in board.settings:
            self._key = seal.derive(self._device_key, messages.RELAY_LABEL)
        self._state = _IDLE
        self._nonce = b""
        self._said = b""  # the end of the last question
        self._shown = None  # what the card showed that was asked for
        self._offer = {}  # number and amount_fen; of a Classic the whole order
        self._credit_key = b""
        self._purse = None  # that was read, until the ledger is asked; that is talked to
        self._seq = 0  # of our record that has to be booked before that; of the CREDIT
        self._step = 0
        self._command = b""
        self._may_be_done = False
        self._later = ""  # what to show if it is not for now
        self._until_ms = 0
        self.text = ""
        self.wants_card = False
        self.due_ms = 0
        self.told = {}  # the last SITE and SPEND_ANSWER of the ledger, for site.py and floor.py
        self.unheard = b""  # the end of the last question that it will not hear
        uplink.on_relay = self.hear

    def saw(self, purse, now_ms, booked_seq=0, is_short=False):
        """A card was read at a tap, and `purse` knows what it shows now: ask what waits for it.

        As soon as the ledger has booked our record `booked_seq`, if it does so in time. Whoever
        has too little (`is_short`) is told that it comes later, if it may; who has paid is shown
        the balance.
        """
        self.stop(now_ms)
        self._later = _ENDS[NOT_COMMITTED] if is_short else ""
        if purse.shown is None or not self._key:
            return
        if not self._uplink.online:
            self.text = self._later
            return
        self._state = _BOOKING
        self._purse = purse
        self._seq = booked_seq
        self._until_ms = now_ms + _CARD_MS
        self.due_ms = now_ms + _POLL_MS
        self._ask(now_ms)

    def stop(self, now_ms):
        """Somebody else wants the card field: whatever is under way ends here, unsaid."""
        self._break_off(now_ms)
        self.text = ""

    def step(self, now_ms):
        """One exchange with the card, if it is its turn."""
        if self._state == _BOOKING:
            self._ask(now_ms)
        elif self._state == _TALKING and self._command:
            self._pass_on(now_ms)
        elif self._state == _READY:
            self._look(now_ms)
        if self._state != _IDLE and now_ms >= self._until_ms:
            self._break_off(now_ms)
        self.wants_card = self._state not in (_IDLE, _ASKED)
        if self._state in (_BOOKING, _READY):
            self.due_ms = now_ms + _POLL_MS
        elif self._state != _IDLE:
            self.due_ms = self._until_ms
        else:
            self.due_ms = now_ms + _RESTING_MS

    def _ask(self, now_ms):
        if self._recorder.receipted_seq() < self._seq:
            return
        self._nonce = self._board.urandom(_NONCE_BYTES)
        self._shown = self._purse.shown
        card_no, counter, last_device, last_seq = self._shown
        fields = {
            "card_no": card_no,
            "counter": counter,
            "last_device": last_device,
            "last_seq": last_seq,
            "chip": self._purse.chip,
        }
        self._purse = None
        self._state = _ASKED
        self._say(messages.LOAD_ASK, fields, now_ms)

    # -- the ledger's words -----------------------------------------------------------------

    def hear(self, sealed, now_ms):
        """Take what a RELAY brought; the uplink's counter that says why not, or ""."""
        if len(sealed) <= messages.UNHEARD_BYTES:
            self.unheard = sealed
            if sealed == self._said and self._state in (_ASKED, _TALKING):
                self._until_ms = self.due_ms = now_ms  # the ledger is away
            return ""
        try:
            key = self._key or seal.derive(self._device_key, messages.RELAY_LABEL)
            payload = seal.unseal(key, sealed, messages.RELAY_DOWN)
        except WireError:
            return "forged"
        said = messages.decode_relayed(payload, _FROM_LEDGER)
        if said["kind"] >= messages.SITE:
            self.told[said["kind"]] = said
            return ""
        if said["nonce"] != self._nonce:
            return "repeated"
        kind = said["kind"]
        self.due_ms = now_ms
        if self._state == _ASKED and kind <= messages.LOAD_OFFER:
            return self._take_offer(said, now_ms)
        if self._state == _ASKED and kind == messages.LOAD_END:
            self._forget()
            self.text = self._later  # frozen, and its time has not come
            return ""
        if self._state != _TALKING:
            return "repeated"
        if kind == messages.LOAD_END:
            done = said["result"] == COMMITTED
            self._finish(COMMITTED if done else NOT_COMMITTED, now_ms)
        elif kind == messages.CARD_COMMAND and said["step"] == self._step + 1:
            self._step += 1
            self._command = said["command"]
        else:
            return "repeated"
        return ""

    def _take_offer(self, said, now_ms):
        if said["kind"] == messages.LOAD_ORDER:
            device_key = self._board.settings["device_key"]
            order, self._credit_key = open_order(self._board, device_key, said["order"])
            is_ours = order["device"] == self._board.settings["device"]
            if not is_ours or (order["card_no"], order["counter"]) != self._shown[:2]:
                self._forget()
                return "foreign"
            self._offer = order
        else:
            self._offer = said
        self._state = _READY
        self._until_ms = now_ms + _CARD_MS
        self.text = "+%s HOLD CARD" % money.format_yuan(self._offer["amount_fen"])
        return ""

    # -- the card ---------------------------------------------------------------------------

    def _look(self, now_ms):
        """Begin, if the card that was asked for lies here and shows what it did then."""
        try:
            card = self._front_end.poll()
            if card is None:
                return
            purse = self._purses.of(card)
            view = purse.read()
        except _UNREADABLE:
            return
        if purse.shown != self._shown or not self._recorder.has_room():
            self.stop(now_ms)  # another card, or it has been elsewhere
            return
        try:
            self._begin(purse, view, now_ms)
        except JournalFull:
            self.stop(now_ms)  # before the card was touched

    def _begin(self, purse, view, now_ms):
        offer = self._offer
        interval_ms = self._clock.interval_ms(now_ms)
        earliest_s, latest_s = clock_rules.seconds(interval_ms)
        if "expires_s" in offer:
            width_ms = self._board.settings["policy"]["clock_width_max_ms"]
            is_known = clock_rules.is_known(interval_ms, width_ms)
            if not is_known or latest_s >= offer["expires_s"]:
                self._finish(0, now_ms)
                return
        self._seq = self._recorder.write(
            messages.CREDIT,
            now_ms,
            card_no=view.card_no,
            counter=view.counter,
            number=offer["number"],
            amount_fen=offer["amount_fen"],
            before_fen=view.balance_fen,
            last_device=view.last_device,
            last_seq=view.last_seq,
        )
        if "expires_s" in offer:
            try:
                result = purse.credit(view, offer, earliest_s, self._credit_key)
            except ValueError:
                result = NOT_COMMITTED  # more than fits: refused before the card was touched
            self._finish(result, now_ms)
            return
        self._purse = purse
        self._state = _TALKING
        self._step = 0
        self._say(messages.CARD_ANSWER, {"step": 0, "answer": b""}, now_ms)

    def _pass_on(self, now_ms):
        command, self._command = self._command, b""
        if command[0] == COMMIT_TRANSACTION:
            self._may_be_done = True
        try:
            answer = self._purse.relay(command)
        except (CardGone, BusFault):
            answer = b""
        self._say(messages.CARD_ANSWER, {"step": self._step, "answer": answer}, now_ms)
        if not answer:
            self._break_off(now_ms)

    def relay(self, kind, fields, nonce):
        """Whether it is on its way to the ledger: its end then; for site.py and floor.py too."""
        fields["nonce"] = nonce
        payload = messages.encode_relayed(kind, fields)
        key = self._key or seal.derive(self._device_key, messages.RELAY_LABEL)
        sealed = seal.seal(key, payload, messages.RELAY_UP)
        is_said = self._uplink.say(messages.RELAY, {"sealed": sealed})
        return is_said and sealed[-messages.UNHEARD_BYTES :]

    def _say(self, kind, fields, now_ms):
        """Say it to the ledger and wait for the next word; not at all if it cannot be said."""
        self._said = self.relay(kind, fields, self._nonce)
        self._until_ms = self.due_ms = now_ms + (_ANSWER_MS if self._said else 0)

    # -- the end ----------------------------------------------------------------------------

    def _break_off(self, now_ms):
        self.text = ""
        if self._state == _TALKING:
            self._finish(NOT_COMMITTED, now_ms)
        self._forget()

    def _finish(self, result, now_ms):
        """Write the OUTCOME of the CREDIT, if there is one (`result` 0), and say it.

        Whoever says that nothing came of it cannot know once a commit has been passed on.
        """
        if result == NOT_COMMITTED and self._may_be_done:
            result = UNKNOWN
        amount_fen = self._offer["amount_fen"]
        seq = self._seq
        self._forget()
        if result:
            try:
                self._recorder.write(
                    messages.OUTCOME,
                    now_ms,
                    intent_device=self._board.settings["device"],
                    intent_seq=seq,
                    result=result,
                )
            except JournalFull:
                pass  # left unknown: the card tells
        self.text = _ENDS[result or NOT_COMMITTED]
        if result == COMMITTED:
            self.text += money.format_yuan(amount_fen)

    def _forget(self):
        self._state = _IDLE
        self._nonce = b""
        self._shown = self._purse = None
        self._may_be_done = False
        self._offer = {}
        self._credit_key = self._command = b""
