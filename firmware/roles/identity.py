"""The reader of a library desk: a card is held to it, and its number goes to the desk's program.

As digits and an end of line on a serial line (boards/esp32_desk.py), or as if typed on a keyboard
(drivers/usb_keyboard.py), in the format that the program expects (rules/card_number.py): no
driver, nothing to install. It says that a card is in order when the desk has all of its number. A
card that is lost, suspended, closed or out of its validity gives none, and the display says why.
Loans stay in the library's system: of a card that is in order nothing is recorded here.

A personal number is asked of the ledger, which tells it to this desk alone: not without network,
and it is kept nowhere.
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
from firmware.services.journal import Journal
from firmware.services.panel import Panel
from firmware.services.question import Question
from firmware.services.supply import Supply
from protocols.rules import card_number, reasons, screens, validity
from protocols.wire import desk_messages, messages

_POLL_MS = 50
_SHOWN_MS = 2000
_ANSWER_MS = 3000  # for the ledger to tell a personal number


def build(board, front_end=None):
    """The reader on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    """
    now_ms = board.ticks_ms()
    recorder, clock, uplink = open_books(board, now_ms, Journal(board.flash))
    recorder.note(messages.BOOT, now_ms, cause=board.boot_cause, firmware=built.VERSION)
    return IdentityDesk(board, front_end or Pcd(Mfrc522(board)), recorder, uplink, clock)


class IdentityDesk:
    """One reader."""

    def __init__(self, board, front_end, recorder, uplink, clock):
        self._board = board
        self._front_end = front_end
        self._recorder = recorder
        self._uplink = uplink
        self._clock = clock
        self._card_map = CardMap(board, recorder, uplink)
        self._credentials = Credentials(board, front_end)
        self._watch = FrontEndWatch(front_end, recorder)
        self._supply = Supply(board, recorder, clock, front_end)
        self._panel = Panel(board, self._notices)
        self._question = None
        if board.desk_format == card_number.PERSON:
            self._question = Question(board, uplink, desk_messages.PERSON_ANSWER)
        self._is_resting = False  # the card in the field has been answered
        self._card_no = None  # whose number is being told, or asked; None: nobody's
        self._is_asked = False  # the ledger is
        self._until_ms = None  # None: nobody is there
        self._home(board.ticks_ms())

    def step(self, now_ms):
        """Look for a card, act, and say when to be called again; a card dialogue is inside."""
        due_ms = self._supply.step(now_ms, self._panel.is_lit)
        self._watch.step(now_ms)
        if self._card_no is None:
            self._poll(now_ms)
        if self._question:
            due_ms = min(due_ms, self._question.step(now_ms))
            if self._is_asked and self._question.answer is not None:
                self._answered(self._question.answer, now_ms)
        due_ms = min(due_ms, self._tell(now_ms))
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        if self._until_ms is not None and now_ms >= self._until_ms:
            self._home(now_ms)
        due_ms = self._panel.step(now_ms, min(due_ms, now_ms + _POLL_MS), self._supply.on_mains)
        due_ms = min(due_ms, self._uplink.step(now_ms))
        if self._until_ms is None:
            self._recorder.prepare()
            due_ms = min(due_ms, self._card_map.step(now_ms))
        return due_ms

    def _poll(self, now_ms):
        card_no, digits = 0, ""
        try:
            card = self._front_end.poll()
            if card is None:
                self._is_resting = False
                return
            if self._is_resting:
                return  # one number for each time that it is held there
            identity = self._credentials.read(card)
            card_no = identity.card_no
            status = self._card_map.known(card_no)[0]
            policy, interval_ms = self._board.settings["policy"], self._clock.interval_ms(now_ms)
            reason = validity.decide(identity, status, interval_ms, policy)
            if reason == reasons.APPROVED and self._question:
                reason = reasons.APPROVED if self._uplink.online else reasons.OFFLINE
            elif reason == reasons.APPROVED:
                digits = card_number.number(self._board.desk_format, card.uid, card_no)
                reason = reasons.APPROVED if digits else reasons.NO_NUMBER
        except FAULTS as fault:
            reason = reason_of(fault, False)
        if reason == reasons.CARD_GONE or (reason == reasons.READER_FAULT and self._is_resting):
            return  # it is looked at again
        self._is_resting = True
        now_ms = self._board.ticks_ms()
        if reason != reasons.APPROVED:
            self._refuse(reason, card_no, now_ms)
            return
        self._card_no, self._until_ms = card_no, None
        if self._question:
            self._is_asked = True
            self._panel.ask(screens.ONE_MOMENT, "")
            fields, until_ms = {"card_no": card_no}, now_ms + _ANSWER_MS
            self._question.ask(desk_messages.PERSON_ASK, fields, now_ms, until_ms)
        else:
            self._board.desk.tell(digits, now_ms)

    def _answered(self, answer, now_ms):
        """What the ledger says of a card's holder; {}: nothing, in time."""
        self._is_asked = False
        reason, number = answer.get("reason", reasons.OFFLINE), answer.get("person_no", b"")
        if reason == reasons.APPROVED and desk_messages.is_person_no(number):
            self._board.desk.tell(number.decode(), now_ms)
            return
        card_no, self._card_no = self._card_no, None
        reason = screens.known(reason or reasons.NO_PERSON_NO, reasons.NO_PERSON_NO)
        self._refuse(reason, card_no, now_ms)

    def _tell(self, now_ms):
        """Go on with a number; when to be called again (ms)."""
        desk = self._board.desk
        due_ms = desk.step(now_ms)
        if self._card_no is not None and not self._is_asked and desk.told is not None:
            card_no, self._card_no = self._card_no, None
            if desk.told:
                self._panel.ask(screens.IN_ORDER, "")
                self._panel.sound(annunciator.TAKEN, now_ms)
                self._until_ms = now_ms + _SHOWN_MS
            else:
                self._refuse(reasons.NOT_TYPED, card_no, now_ms)
        return due_ms

    def _refuse(self, reason, card_no, now_ms):
        self._recorder.note(messages.REFUSAL, now_ms, card_no=card_no, amount_fen=0, reason=reason)
        self._panel.refuse(reason, "", now_ms)
        self._until_ms = now_ms + _SHOWN_MS

    def _home(self, now_ms):
        self._until_ms = None
        self._panel.sound(annunciator.DARK, now_ms)
        self._panel.ask(screens.TAP_CARD, "")

    def _notices(self):
        """What is warned of; see screens.notices."""
        return (
            None if self._uplink.online else self._recorder.waiting(),
            self._supply.left(),
            self._recorder.is_nearly_full(),
        )
