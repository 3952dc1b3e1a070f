"""The consumption POS: an amount is keyed in, one card is held to it, the money is taken once.

Keys: digits and point make the amount, confirm (CR) arms it, ESC clears. The money itself is
services/till.py; this file is keys, card field, display, light and sound.
"""

from firmware.drivers import annunciator
from firmware.drivers.annunciator import Annunciator
from firmware.drivers.iso14443 import CardCollision, CardGone, Pcd
from firmware.drivers.mfrc522 import BusFault, Mfrc522
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.drivers.pole_display import PoleDisplay
from firmware.services.clock import Clock
from firmware.services.journal import Journal, JournalFull
from firmware.services.purses import Purses
from firmware.services.records import Recorder
from firmware.services.till import Till
from firmware.services.uplink import Uplink
from protocols.card.identity import ForeignCard
from protocols.rules import money, posture, reasons
from protocols.wire import messages

FIRMWARE_VERSION = 1
IDLE, ARMED, SHOWING = 0, 1, 2

_POLL_MS = 50
_ARMED_MS = 30000
_SHOWING_MS = 2000
_POWER_MS = 500
_FRONT_END_MS = 600000  # between two records of the card front end
_COUNT_MAX = 0xFFFF
# Debits in a row that a card which just lies there may fail: each costs two records.
_FAILED_MAX = 3
_CONFIRM, _ESC = 13, 27
_AMOUNT_KEYS = b"0123456789."
_KEYS_MAX = 9
# What may go wrong with a card before its INTENT is written, and the reason it stands for.
_FAULTS = (
    (CardCollision, reasons.TWO_CARDS),
    (CardGone, reasons.CARD_GONE),
    (CardRefused, reasons.CARD_GONE),
    (AuthFailed, reasons.WRONG_KEY),
    (ForeignCard, reasons.FOREIGN_CARD),
    (BusFault, reasons.READER_FAULT),
    (JournalFull, reasons.JOURNAL_FULL),
)
# What the same means while a spend is open: only the card that was under way says more of it.
_WHILE_OPEN = {
    reasons.WRONG_KEY: reasons.SAME_CARD_PLEASE,
    reasons.FOREIGN_CARD: reasons.SAME_CARD_PLEASE,
    # Its end could not be written: "full" alone would sound like unpaid.
    reasons.JOURNAL_FULL: reasons.ASK_LEDGER,
}
_FAULT_CLASSES = tuple(fault for fault, _ in _FAULTS)
# A card that left is not worth a record, and a full journal has no room for one.
_UNRECORDED = (reasons.CARD_GONE, reasons.JOURNAL_FULL, reasons.ASK_LEDGER)
# What a spend says that has written an INTENT for nothing.
_DEBIT_FAILED = (reasons.CARD_GONE, reasons.TAP_AGAIN)
# After these the same amount waits for the next tap.
_TRY_AGAIN = (
    reasons.TWO_CARDS,
    reasons.CARD_GONE,
    reasons.READER_FAULT,
    reasons.TAP_AGAIN,
    reasons.SAME_CARD_PLEASE,
)


def build(board, front_end=None):
    """The POS on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    """
    now_ms = board.ticks_ms()
    settings = board.settings
    device, key = settings["device"], settings["device_key"]
    journal = Journal(board.flash)
    journal.recover()
    clock = Clock(board, journal, now_ms)
    recorder = Recorder(journal, device, key, clock)

    def on_receipt(upto, time_s, sent_ms, at_ms):
        recorder.receipt(upto)
        if sent_ms is not None:
            clock.observe(time_s, sent_ms, at_ms)

    # Before this boot's first record: so the uplink can tell which ones it never sent.
    uplink = Uplink(board, recorder, settings["site"], device, key, on_receipt)
    till = Till(recorder, clock, settings)
    paid = till.take_up(now_ms)
    # Only while there is room: whoever boots again and again must not fill the journal.
    recorder.note(messages.BOOT, now_ms, cause=board.boot_cause, firmware=FIRMWARE_VERSION)
    pos = Pos(board, front_end or Pcd(Mfrc522(board)), recorder, till, uplink)
    pos.take_up(paid, now_ms)
    return pos


class Pos:
    """One window of a canteen."""

    def __init__(self, board, front_end, recorder, till, uplink):
        self._board = board
        self._front_end = front_end
        self._purses = Purses(board, front_end)
        self._recorder = recorder
        self._till = till
        self._uplink = uplink
        self._display = PoleDisplay(board.display)
        self._annunciator = Annunciator(board)
        self._state = IDLE
        self._typed = ""
        self._amount_fen = 0
        self._until_ms = 0
        self._last_fault = reasons.APPROVED
        self._failed = 0  # debits that failed since a card came
        self._recorded = []  # faults of the card field that this amount has a record of
        self._power_ms = 0
        self._front_end_ms = 0
        self._faults_told = 0
        self._on_mains = True

    def take_up(self, paid, now_ms):
        """Begin where the last boot ended: ask for the card again, or say who paid last.

        The card's number tells the clerk whether that was the customer still standing there.
        """
        pending = self._till.pending
        if pending is not None:
            self._amount_fen = pending["amount_fen"]
            self._show(reasons.TAP_AGAIN, self._amount_fen, 0, now_ms)
        elif paid is not None:
            amount = money.format_yuan(paid["amount_fen"])
            self._display.show("LAST PAID", "%s #%d" % (amount, paid["card_no"]))
        else:
            self._idle(now_ms)

    def step(self, now_ms):
        """Drain inputs, act, and say when to be called again; a card dialogue is inside."""
        due_ms = self._watch_power(now_ms)
        self._watch_front_end(now_ms)
        for key in self._board.keypad.read():
            self._key(key, now_ms)
        if self._state == ARMED:
            self._poll(now_ms)
        if self._state != IDLE and now_ms >= self._until_ms:
            self._give_up(now_ms)
        beep_ms = self._annunciator.step(now_ms)
        if beep_ms is not None:
            due_ms = min(due_ms, beep_ms)
        # Last, so that a record of this step is under way before it ends.
        due_ms = min(due_ms, self._uplink.step(now_ms))
        if self._state == ARMED:
            return min(due_ms, now_ms + _POLL_MS)
        if self._state == SHOWING:
            return min(due_ms, self._until_ms)
        self._recorder.prepare()
        return due_ms

    def _key(self, key, now_ms):
        if key == _ESC:
            self._give_up(now_ms)
        elif key == _CONFIRM:
            self._confirm(now_ms)
        elif self._state != ARMED and len(self._typed) < _KEYS_MAX and key in _AMOUNT_KEYS:
            if self._state == SHOWING:
                self._idle(now_ms)
            self._typed += chr(key)
            self._display.show("AMOUNT", self._typed)

    def _confirm(self, now_ms):
        amount_fen = money.parse_yuan(self._typed)
        self._typed = ""
        if self._state == ARMED:
            return
        if not amount_fen:
            self._show(reasons.BAD_AMOUNT, 0, 0, now_ms)
            return
        self._amount_fen = amount_fen
        self._recorded = []
        self._failed = 0  # another card may lie there by now
        self._arm(now_ms, "CARD PLEASE")

    def _arm(self, now_ms, text):
        self._state = ARMED
        self._last_fault = reasons.APPROVED
        self._until_ms = now_ms + _ARMED_MS
        self._display.show(text, money.format_yuan(self._amount_fen))

    def _poll(self, now_ms):
        try:
            card = self._front_end.poll()
            if card is None:
                self._failed = 0
            if card is None or self._failed >= _FAILED_MAX:
                return  # a card that fails again and again has to be taken away first
            power, network = self._conditions()
            reason, balance_fen = self._till.bars(power, network, now_ms), 0
            amount_fen = self._amount_fen
            if reason != reasons.APPROVED and self._till.pending is None:
                self._till.refuse(reason, 0, amount_fen, now_ms)
            else:
                purse = self._purses.of(card)
                reason, amount_fen, balance_fen = self._till.spend(
                    purse, amount_fen, power, network, now_ms
                )
                self._failed += 1 if reason in _DEBIT_FAILED else 0
        except _FAULT_CLASSES as fault:
            reason, amount_fen, balance_fen = _reason_of(fault), self._amount_fen, 0
            if self._till.pending is not None:
                reason = _WHILE_OPEN.get(reason, reason)
            # What lies in the field makes the same faults poll after poll: one record of each.
            if reason not in _UNRECORDED and reason not in self._recorded:
                self._recorded.append(reason)
                self._till.refuse(reason, 0, amount_fen, now_ms)
        # The dialogue has taken its time: what is shown and heard begins now.
        self._show(reason, amount_fen, balance_fen, self._board.ticks_ms())

    def _show(self, reason, amount_fen, balance_fen, now_ms):
        if reason == reasons.APPROVED:
            offline = not self._uplink.online
            signal = annunciator.TAKEN_OFFLINE if offline else annunciator.TAKEN
            upper = "PAID " + money.format_yuan(amount_fen)
            self._display.show(upper, "BALANCE " + money.format_yuan(balance_fen))
        elif reason in _TRY_AGAIN:
            if reason == self._last_fault:
                return
            signal = annunciator.LOOK
            self._arm(now_ms, reasons.display(reason))
            self._last_fault = reason
        else:
            signal = annunciator.REFUSED
            self._display.show(reasons.display(reason), money.format_yuan(amount_fen))
        self._annunciator.play(signal, now_ms)
        if reason not in _TRY_AGAIN:
            self._state = SHOWING
            self._until_ms = now_ms + _SHOWING_MS

    def _give_up(self, now_ms):
        """Nobody came back: what the card did not tell here, it tells the ledger elsewhere."""
        if self._state == ARMED:
            self._till.pending = None
        self._idle(now_ms)

    def _idle(self, now_ms):
        self._state = IDLE
        self._typed = ""
        self._annunciator.play(annunciator.DARK, now_ms)
        warning = "NEARLY FULL" if self._recorder.is_nearly_full() else ""
        self._display.show("WELCOME", warning)

    def _conditions(self):
        """(power, network) as rules/posture.py has them."""
        power = "mains"
        if not self._on_mains:
            power = posture.battery(self._board.power.battery_mv())
        return power, "online" if self._uplink.online else "offline"

    def _watch_power(self, now_ms):
        """Look at the mains twice a second; every change is a record (R23.1)."""
        if now_ms >= self._power_ms:
            self._power_ms = now_ms + _POWER_MS
            on_mains = self._board.power.mains()
            if on_mains != self._on_mains:
                self._on_mains = on_mains
                self._recorder.note(
                    messages.POWER,
                    now_ms,
                    source=messages.MAINS if on_mains else messages.BATTERY,
                    battery_mv=self._board.power.battery_mv(),
                )
        return self._power_ms

    def _watch_front_end(self, now_ms):
        """A record of a chip that fails, or that nobody knows: now and then, not each time."""
        front_end = self._front_end
        chip = front_end.chip
        is_news = chip.faults != self._faults_told
        if not self._front_end_ms and chip.version and not chip.is_known_version:
            is_news = True
        if not is_news or now_ms < self._front_end_ms:
            return
        self._front_end_ms = now_ms + _FRONT_END_MS
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


def _reason_of(fault):
    for kind, reason in _FAULTS:
        if isinstance(fault, kind):
            return reason
    return reasons.READER_FAULT
