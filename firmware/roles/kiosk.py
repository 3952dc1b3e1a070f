"""The self-service machine: what a card holds, why it is refused, and money that waits for it.

A tap shows the balance, the last spend and how the card stands; what waits for it comes onto it
(services/load.py). FN, and then a tap, is for somebody who has found a card (R10.2): the card
centre is told, and the finder learns nothing. It takes no money, so it asks for no PIN; without
network it shows what the card says, and that money comes later.
"""

from firmware.drivers import annunciator
from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services import built
from firmware.services.books import open_books
from firmware.services.card_faults import FAULTS, reason_of
from firmware.services.card_map import CardMap
from firmware.services.front_end_watch import FrontEndWatch
from firmware.services.journal import Journal
from firmware.services.load import Load
from firmware.services.panel import Panel
from firmware.services.purses import Purses
from firmware.services.supply import Supply
from protocols.rules import charging, kiosk, reasons, screens
from protocols.wire import messages

_POLL_MS = 50
_SHOWN_MS = 8000
_FOUND_MS = 20000  # for the card that was found to be held there
# It is looked at again: nobody was refused.
_AGAIN = (reasons.CARD_GONE,)
_MAY_LOAD = (reasons.APPROVED, reasons.BALANCE_SHORT)


def build(board, front_end=None, machine=None):
    """The machine on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    `machine`: a Kiosk that does more.
    """
    now_ms = board.ticks_ms()
    recorder, clock, uplink = open_books(board, now_ms, Journal(board.flash))
    recorder.note(messages.BOOT, now_ms, cause=board.boot_cause, firmware=built.VERSION)
    return (machine or Kiosk)(board, front_end or Pcd(Mfrc522(board)), recorder, uplink, clock)


class Kiosk:
    """One machine."""

    def __init__(self, board, front_end, recorder, uplink, clock):
        self._board = board
        self._front_end = front_end
        self._recorder = recorder
        self._uplink = uplink
        self._clock = clock
        self._policy = board.settings["policy"]
        self._card_map = CardMap(board, recorder, uplink)
        self._purses = Purses(board, front_end)
        self._load = Load(board, front_end, self._purses, recorder, clock, uplink)
        self._watch = FrontEndWatch(front_end, recorder)
        self._supply = Supply(board, recorder, clock, front_end)
        self._panel = Panel(board, self._notices)
        self._is_resting = False  # the card in the field has been answered
        self._is_found = False  # the next card is one that somebody has found
        self._load_text = ""
        self._until_ms = None  # None: nobody is there
        self._home(board.ticks_ms())

    def step(self, now_ms):
        """Look for a card, act, and say when to be called again; a card dialogue is inside."""
        due_ms = self._supply.step(now_ms, self._panel.is_lit)
        self._watch.step(now_ms)
        for key in self._board.keypad.read():
            self._key(key, now_ms)
        # While money goes on a card, the dialogue with it is the load's alone.
        self._step_load(now_ms)
        if not self._load.wants_card:
            self._poll(now_ms)
        now_ms = self._board.ticks_ms()  # the dialogue has taken its time
        if self._until_ms is not None and now_ms >= self._until_ms:
            self._home(now_ms)
        due_ms = min(due_ms, now_ms + _POLL_MS, max(now_ms, self._load.due_ms))
        due_ms = self._panel.step(now_ms, due_ms, self._supply.on_mains)
        due_ms = min(due_ms, self._uplink.step(now_ms))
        if self._until_ms is None:
            self._recorder.prepare()
            due_ms = min(due_ms, self._card_map.step(now_ms))
        return due_ms

    def _key(self, key, now_ms):
        word = charging.key_of(key)
        if word == "fn":
            self._load.stop(now_ms)
            self._is_found, self._is_resting = True, False
            self._until_ms = now_ms + _FOUND_MS
            self._panel.ask(screens.FOUND_CARD, "")
        elif word == "esc":
            self._home(now_ms)
        elif word != "other":
            self._panel.sound(annunciator.WRONG_KEY, now_ms)

    # -- the card -----------------------------------------------------------------------------

    def _poll(self, now_ms):
        purse = view = None
        try:
            card = self._front_end.poll()
            if card is None:
                self._is_resting = False
                return
            if self._is_resting:
                return  # one answer for each time that it is held there
            purse = self._purses.of(card)
            view = purse.read()
            if self._is_found:
                self._recorder.write(messages.CARD_FOUND, now_ms, card_no=view.card_no)
        except FAULTS as fault:
            reason = reason_of(fault, False)
            if reason in _AGAIN or (reason == reasons.READER_FAULT and self._is_resting):
                return
            self._is_resting = True
            self._panel.refuse(reason, "", self._board.ticks_ms())
            self._until_ms = self._board.ticks_ms() + _SHOWN_MS
            return
        self._is_resting = True
        if self._is_found:
            self._thank(self._board.ticks_ms())
        else:
            self._show(purse, view, self._board.ticks_ms())

    def _thank(self, now_ms):
        """What a finder is told: where to hand it in, and nothing of whose it is."""
        self._is_found = False
        self._panel.ask(screens.THANK_YOU, "")
        self._panel.sound(annunciator.TAKEN, now_ms)
        self._until_ms = now_ms + _SHOWN_MS

    def _show(self, purse, view, now_ms):
        offline = not self._uplink.online
        known = self._card_map.known(view.card_no)
        interval_ms = self._clock.interval_ms(now_ms)
        reason = kiosk.standing(view, known, interval_ms, self._policy, offline)
        self._panel.card(view, reason)
        self._panel.sound(annunciator.LOOK if reason else annunciator.TAKEN, now_ms)
        self._until_ms = now_ms + _SHOWN_MS
        self._load_text = ""
        # Who could be served is told that money comes later; who is refused reads why.
        self._load.saw(purse, now_ms, is_short=reason in _MAY_LOAD)

    def _step_load(self, now_ms):
        """Money onto the card that was shown last, told beneath what that tap said."""
        load = self._load
        load.step(now_ms)
        if load.text != self._load_text:
            self._load_text = load.text
            if load.text:
                self._panel.beneath(load.text)
                self._until_ms = self._board.ticks_ms() + _SHOWN_MS
        if load.wants_card and self._until_ms is not None:
            self._until_ms = self._board.ticks_ms() + _SHOWN_MS

    # -- nobody -------------------------------------------------------------------------------

    def _home(self, now_ms):
        self._load.stop(now_ms)
        self._load_text = ""
        self._is_found = False
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
