"""What the customer and the clerk see and hear: pole display, clerk's LCD, lights and sound.

Rules of this file. It decides nothing and keeps nothing but what is shown. The pole display is for
the customer, in ASCII; a board whose settings name a `language` has the clerk's LCD beside it.
Both say the same number in their own words (protocols/rules/screens.py).
"""

from firmware.drivers import annunciator, syn6288
from firmware.drivers.annunciator import Annunciator
from firmware.drivers.lcd import PICTURE_BYTES, Lcd
from firmware.drivers.pole_display import PoleDisplay
from protocols.rules import charging, money, reasons, screens

LIT_MS = 5000  # on battery, so long after what was shown last
_LOOK_MS = 1000  # between two looks at what is warned of
LOW_MIN = 20  # from here on the pole display warns too
# What the mode of an entry is called.
_NAMES = {
    charging.AMOUNT: screens.AMOUNT,
    charging.ITEM: screens.ITEM,
    charging.FIXED: screens.FIXED_AMOUNT,
    charging.MEAL: screens.MEAL,
}


class Panel:
    """`notices()` gives what screens.notices takes: (waiting, battery, is_nearly_full), of a
    POS list_min too.

    What is shown stays, what is warned of beneath it goes with the time. `is_lit`: whether the
    backlight of the clerk's display is on; without one it always is.
    """

    def __init__(self, board, notices):
        self._pole = PoleDisplay(board.display)
        self._annunciator = Annunciator(board)
        self._notices = notices
        language = board.settings.get("language")
        self._lcd = Lcd(board) if language else None
        self._table = screens.texts(language)
        self._backlight = board.power.backlight if language else None
        self._volume = board.settings.get("speech")  # None: nothing speaks here
        self.is_lit = self._on_mains = True
        self._lit_until_ms = 0  # None: something has just been shown
        self._drawn = None  # the screen and its arguments; None: it has no room for a warning
        self._warned = None  # of what, as notices() gave it
        self._note = ""
        self._look_ms = 0

    def step(self, now_ms, due_ms, on_mains):
        """Sound and refresh what is due; returns when to call again, `due_ms` at the latest.

        On battery the light goes out when nothing new is shown, and nothing is spoken.
        """
        self._on_mains = on_mains
        if now_ms >= self._look_ms:
            self._look_ms = now_ms + _LOOK_MS
            self._renew()
        if self._lit_until_ms is None:
            self._lit_until_ms = now_ms + LIT_MS
        is_lit = on_mains or now_ms < self._lit_until_ms
        if self._backlight and is_lit != self.is_lit:
            self.is_lit = is_lit
            self._backlight(is_lit)
        beep_ms = self._annunciator.step(now_ms)
        if beep_ms is not None:
            due_ms = min(due_ms, beep_ms)
        if self._lcd:
            due_ms = min(due_ms, self._lcd.step(now_ms))
        return due_ms

    def welcome(self, now_ms):
        """Nobody is there."""
        self._annunciator.play(annunciator.DARK, now_ms)
        self._note = _note(self._notices())
        self._pole.show("WELCOME", self._note)
        self._show(screens.welcome)

    def entry(self, entry):
        """What is keyed so far."""
        state, mode, value, parts = entry
        typed = _typed(state, value)
        number = screens.FUNCTION if state == "fn" else _NAMES[mode]
        before_fen = sum(parts) if mode == charging.AMOUNT else 0
        self._pole.show(self._words(number), typed)
        self._show(screens.keyed, number, typed, before_fen)

    def ask(self, number, amount_text, ages=()):
        """What is to be done, or why nothing was: CARD_PLEASE or a reason, and for how much.

        `ages`: of an inspection, how old card map and last receipt are.
        """
        lower = "MAP %s UP %s MIN" % tuple(ages) if ages else amount_text
        self._pole.show(self._words(number), lower)
        self._show(screens.message, number, amount_text, ages)

    def ask_pin(self, reason, amount_text, tries_left, now_ms):
        """The holder shall give the PIN: PIN_NEEDED, or PIN_WRONG and how many tries are left."""
        self._annunciator.play(annunciator.LOOK, now_ms)
        self._pole.show(self._words(reason), amount_text)
        self._show(screens.ask_pin, reason, tries_left, amount_text)

    def pin(self, digits, amount_text):
        """The PIN is keyed in; nobody sees more of it than how many digits there are."""
        self._pole.show("PIN " + "*" * digits, amount_text)
        self._show(screens.pin, digits, amount_text)

    def who(self, asked, amount_text, now_ms):
        """Whether who stands there is the holder (R19.3); `asked` as in Till. The customer's
        display has no name: who stands behind would read it too."""
        self._annunciator.play(annunciator.LOOK, now_ms)
        self._pole.show(self._words(reasons.IDENTITY_CHECK), amount_text)
        self._show(screens.who, asked["kind"], asked["card_no"], asked["name"])

    def paid(self, amount_fen, balance_fen, is_online, now_ms):
        """The money is taken, and that stands on flash; a balance of None is not known."""
        left = "" if balance_fen is None else "BALANCE " + money.format_yuan(balance_fen)
        self._pole.show("PAID " + money.format_yuan(amount_fen), left)
        signal = annunciator.TAKEN if is_online else annunciator.TAKEN_OFFLINE
        self._annunciator.play(signal, now_ms)
        self._show(screens.paid, amount_fen, balance_fen)
        self._speak(syn6288.TAKEN, money.format_yuan(amount_fen))

    def beneath(self, text):
        """Something that goes on after a sale, for the customer; the sale stays to be read."""
        self._pole.show(None, text)

    def scan(self, amount_text, picture, until_ms):
        """The merchant's aggregate code, for a phone to pay by; lit until then, on battery too.

        `picture` as the display takes it; without one, a code on paper has to do.
        """
        self._drawn = None
        self._pole.show(self._words(screens.SCAN_CODE), amount_text)
        if self._lcd:
            if len(picture) != PICTURE_BYTES or len(amount_text) > screens.HALF:
                picture = b""
            self._lcd.show(screens.scan(self._table, amount_text, picture), picture)
            self._lit_until_ms = until_ms

    def one_sale(self, number, amount_fen, which):
        """A sale, as in screens.one_sale: what it was, and what its card or its record is.

        `which` 0: it was paid by code, and no card is named.
        """
        amount = money.format_yuan(amount_fen)
        if not which:
            self.ask(number, amount)
            return
        self._pole.show(self._words(number), "%s #%d" % (amount, which))
        self._show(screens.one_sale, number, amount_fen, which)

    def cancelled(self, amount_fen, card_no, now_ms):
        """A sale is cancelled, and that stands on flash; the money is not on the card yet."""
        amount = money.format_yuan(amount_fen)
        number = screens.CANCELLED
        self._pole.show(self._words(number) + " " + amount, self._words(screens.COMES_BACK))
        self._annunciator.play(annunciator.LOOK, now_ms)
        self._show(screens.one_sale, number, amount_fen, card_no)
        self._speak(syn6288.UNDONE, amount)

    def at_time(self, number, time_text, card_no):
        """What an attendance machine says, at what time, and to whose card (None: to nobody's)."""
        card = "" if card_no is None else "#%d" % card_no
        self._pole.show("%s %s" % (self._words(number), time_text), card)
        self._show(screens.at_time, number, time_text, card_no)

    def card(self, view, reason):
        """What a card says at a self-service machine; `reason` as of rules/kiosk.py."""
        number = reason or screens.IN_ORDER
        self._pole.show("BALANCE " + money.format_yuan(view.balance_fen), self._words(number))
        self._show(screens.card, view.kind, view.balance_fen, view.last_amount_fen, reason)

    def sound(self, signal, now_ms):
        """A signal of drivers/annunciator.py; what is shown stays."""
        self._annunciator.play(signal, now_ms)

    def refuse(self, number, amount_text, now_ms):
        """A sale is over, and nothing was taken."""
        self.ask(number, amount_text)
        self._annunciator.play(annunciator.REFUSED + reasons.sound(number), now_ms)
        if amount_text:
            self._speak(syn6288.FAILED)

    def look(self, number, amount_text, now_ms):
        """Something is to be done; the sale goes on."""
        self.ask(number, amount_text)
        if number != screens.ONE_MOMENT:  # nobody has anything to do
            self._annunciator.play(annunciator.LOOK, now_ms)

    def refuse_key(self, answer, entry, now_ms):
        """Why a key did nothing; what is keyed stays to be seen."""
        self.ask(answer, _typed(entry[0], entry[2]))
        self.sound_wrong_key(now_ms)

    def sound_wrong_key(self, now_ms):
        """A key that does nothing here; what is shown stays."""
        self._annunciator.play(annunciator.WRONG_KEY, now_ms)

    def totals(self, number, sums):
        """SHIFT_TOTALS or SEVEN_DAYS; `sums` as in Totals."""
        lower = money.format_yuan(sums[1])
        for at, sign in ((2, " -"), (4, " +")):
            if sums[at]:
                lower += sign + money.format_yuan(sums[at + 1])
        self._pole.show("%s %d" % (self._words(screens.SALES), sums[0] + sums[4]), lower)
        self._show(screens.totals, number, sums)

    def _speak(self, result, amount=""):
        """Amount and result, and nothing else (docs/adr/0034-speech.md)."""
        if self._volume and self._on_mains:
            self._pole.pass_on(syn6288.frame(self._volume, result, amount))

    def _words(self, number):
        return screens.pole_text(number)

    def _show(self, screen, *arguments):
        self._drawn = screen, arguments
        self._warned = self._notices()
        if self._lcd:
            self._lit_until_ms = None
            self._draw(screen, arguments)

    def _draw(self, screen, arguments):
        notes = screens.notices(self._table, *self._warned)
        self._lcd.show(screen(self._table, *arguments, notes=notes))

    def _renew(self):
        """Nobody has done anything, but a line is back, or a battery has less: warn of that."""
        drawn = self._drawn
        if drawn is None:
            return
        notices = self._notices()
        if notices == self._warned:
            return
        self._warned = notices
        if drawn[0] is screens.welcome:
            note = _note(notices)
            if note != self._note:  # else something may be said there that goes on
                self._note = note
                self._pole.show(None, note)
        if self._lcd:
            self._draw(*drawn)


def _note(notices):
    """What the customer's display warns of, of `notices`; the worst counts."""
    battery, is_nearly_full = notices[1:3]
    if battery and battery[1] < LOW_MIN:
        return "BATTERY %d MIN" % battery[1]
    if len(notices) > 3 and notices[3] is not None:  # of a POS only
        return "OLD CARD LIST" if notices[3] < 0 else "OLD LIST %d MIN" % notices[3]
    return "NEARLY FULL" if is_nearly_full else ""


def _typed(state, value):
    """The digits of an entry as they were keyed."""
    if state == "point":
        return "%d." % (value // 100)
    if state == "jiao":
        return "%d.%d" % (value // 100, value // 10 % 10)
    if state == "fen":
        return money.format_yuan(value)
    if state == "yuan":
        return "%d" % (value // 100)
    return "%d" % value if state in ("item1", "item2") else ""
