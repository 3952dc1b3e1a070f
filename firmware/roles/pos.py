"""The consumption POS: an order is keyed in, one card is held to it, the money is taken once.

What the keys mean is rules/charging.py, what a sale goes through rules/sale.py, the money itself
services/till.py, and what people see and hear services/panel.py; this file ties them together.
"""

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services import built, cancel, card_faults, site
from firmware.services.books import open_books
from firmware.services.card_map import CardMap
from firmware.services.floor import Floor
from firmware.services.front_end_watch import FrontEndWatch
from firmware.services.inspection import Inspection
from firmware.services.journal import Journal
from firmware.services.load import Load
from firmware.services.order import Order
from firmware.services.panel import Panel
from firmware.services.purses import Purses
from firmware.services.supply import Supply
from firmware.services.till import Till
from firmware.services.totals import Totals
from firmware.services.update import Update
from protocols.card.pin import PIN_DIGITS
from protocols.rules import charging, reasons, sale, screens, spending
from protocols.wire import messages

_POLL_MS = 50
# A card is looked for.
_LOOKING = (sale.ARMED, sale.CANCEL)
# Nobody's card is waited for: money may go on that of the last sale.
_OVER = (sale.KEYED, sale.SHOWN)
# Debits in a row that a card which just lies there may fail: each costs two records.
_FAILED_MAX = 3
# A card that left is not worth a record, and a full journal has no room for one.
_UNRECORDED = (reasons.CARD_GONE, reasons.JOURNAL_FULL, reasons.ASK_LEDGER)
# What a spend says that has written an INTENT for nothing.
_DEBIT_FAILED = (reasons.CARD_GONE, reasons.TAP_AGAIN)


def build(board, front_end=None, codes=None):
    """The POS on a board (see docs/ARCHITECTURE.md): an object with step(now_ms) -> due_ms.

    `front_end` stands in for the card front end of the board: anything with a Pcd's methods.
    `codes` makes what takes payment codes, as services/codes.py, on a board with a scanner.
    """
    now_ms = board.ticks_ms()
    recorder, clock, uplink = open_books(board, now_ms, Journal(board.flash))
    card_map = CardMap(board, recorder, uplink)
    till = Till(recorder, clock, board.settings, card_map)
    paid = till.take_up(now_ms)
    # Only while there is room: whoever boots again and again must not fill the journal.
    recorder.note(messages.BOOT, now_ms, cause=board.boot_cause, firmware=built.VERSION)
    front_end = front_end or Pcd(Mfrc522(board))
    pos = Pos(board, front_end, recorder, till, uplink, clock, card_map, codes)
    pos.take_up(paid, now_ms)
    return pos


class Pos:
    """One window of a canteen."""

    def __init__(self, board, front_end, recorder, till, uplink, clock, card_map, codes=None):
        self._board = board
        self._front_end = front_end
        self._purses = Purses(board, front_end)
        self._recorder = recorder
        self._till = till
        self._uplink = uplink
        self._clock = clock
        self._card_map = card_map
        self._order = Order(board, clock, recorder, uplink)
        self._panel = Panel(board, self._notices)
        self._load = Load(board, front_end, self._purses, recorder, clock, uplink)
        self._load_text = ""
        till.floor = Floor(board, self._load)
        self._place = site.take_up(recorder, till, board.ticks_ms())
        # Behind the load: it passes on to that what it is not told itself.
        self._codes = codes and codes(board, recorder, till, uplink, self._sources)
        self._update = Update(board, recorder, clock, uplink)
        self._sale = None  # the INTENT of the sale that is going to be cancelled
        self._totals = Totals(board, recorder)
        self._supply = Supply(board, recorder, clock, front_end)
        self._watch = FrontEndWatch(front_end, recorder)
        parts = recorder, clock, self._supply, front_end, board.settings["policy"]
        self._inspection = Inspection(*parts, board.power.load_ma, card_map)
        self._state, self._until_ms = sale.KEYED, 0
        self._last_fault = reasons.APPROVED
        self._last_refusal = reasons.APPROVED
        self._failed = 0  # debits that failed since a card came
        self._recorded = []  # faults of the card field that this order has a record of
        self._may_repeat = False  # the clerk has said that the same card shall pay once more
        self._pin = bytearray()
        self._is_holder = False  # the merchant has said so
        self._balance_fen = 0
        self._page = screens.SHIFT_TOTALS

    def take_up(self, paid, now_ms):
        """Begin where the last boot ended: ask for the card again, or say who paid last.

        The card's number tells the clerk whether that was the customer still standing there.
        """
        pending = self._till.pending
        if pending is not None:
            self._order.take_up(pending["amount_fen"], pending["flags"] & messages.FLAG_MEAL)
            self._state = sale.ARMED
            self._event("look", now_ms, reasons.TAP_AGAIN)
        elif paid is not None and paid["kind"] == messages.AGGREGATE:
            self._panel.one_sale(screens.BY_SCAN, paid["amount_fen"], paid["seq"])
        elif paid is not None:
            # A payment by code names no card.
            self._panel.one_sale(screens.LAST_PAID, paid["amount_fen"], paid.get("card_no", 0))
        elif not self._order.is_menu_good:
            self._panel.ask(charging.PRICE_FORM, "")
        else:
            self._welcome(now_ms)

    def step(self, now_ms):
        """Drain inputs, act, and say when to be called again; a card dialogue is inside."""
        due_ms = self._supply.step(now_ms, self._panel.is_lit)
        if self._supply.has_news:
            self._supply.has_news = False
            self._inspection.inspect(self._uplink.online, now_ms)
        self._watch.step(now_ms)
        if self._state != sale.ASKED:  # the next record is that of the code
            self._step_site(now_ms)
        for key in self._board.keypad.read():
            self._key(key, now_ms)
        if self._codes:
            self._step_codes(now_ms)
        if self._state in _LOOKING:
            self._poll(now_ms)
        elif self._state in _OVER:
            self._step_load(now_ms)
        if self._state != sale.KEYED and now_ms >= self._until_ms:
            self._event("silence", now_ms)
        due_ms = self._panel.step(now_ms, due_ms, self._supply.on_mains)
        # Last, so that a record of this step is under way before it ends.
        due_ms = min(due_ms, self._uplink.step(now_ms))
        if self._codes:
            due_ms = min(due_ms, self._codes.due_ms)
        if self._state in _LOOKING:
            return min(due_ms, now_ms + _POLL_MS)
        if self._state in _OVER:
            due_ms = max(now_ms, min(due_ms, self._load.due_ms))
        if self._state == sale.KEYED:
            self._inspection.idle(self._uplink.online, now_ms)
            self._recorder.prepare()
            self._totals.step()
            due_ms = min(due_ms, self._order.step(now_ms), self._card_map.step(now_ms))
            is_free = self._order.is_empty() and not (self._till.pending or self._load.wants_card)
            return min(due_ms, self._update.idle(self._front_end, is_free, now_ms))
        return min(due_ms, self._until_ms)

    # -- events -------------------------------------------------------------------------------

    def _event(self, event, now_ms, value=0):
        """Let `event` happen; `value` is a key or a reason."""
        before = self._state
        self._state, action = sale.cell(before, event)
        if self._state != before and self._state != sale.KEYED:
            self._until_ms = now_ms + sale.PATIENCE_MS[self._state]
        if action:
            _ACTIONS[action](self, value, now_ms)

    def _key(self, key, now_ms):
        word = charging.key_of(key)
        if word == "other":
            return  # noise on the keypad's line: it must not wipe away that somebody has paid
        self._event(word if word in _OWN_KEYS else "key", now_ms, key)

    def _keyed(self, key, now_ms):
        """A key of an order: rules/charging.py says what it does."""
        effect, answer = self._order.key(key)
        if effect == "cancel":
            answer, self._sale = cancel.find(self._recorder, self._till, *self._sources(), now_ms)
        elif effect == "aggregate" and self._till.pending is not None:
            answer = charging.KEY_BUSY  # a card may have paid this order: it comes first
        elif effect == "aggregate" and self._state == sale.KEYED:
            answer = charging.NOTHING_KEYED
        if effect in ("arm", "last"):
            self._take_order(now_ms)
        elif effect in _PAGES:
            self._show_totals(effect)
        elif effect == "inspect":
            reason = self._inspection.inspect(self._uplink.online, now_ms)
            reason = self._till.barred or reason or screens.ALL_IN_ORDER
            self._panel.ask(reason, "", self._inspection.ages)
            self._inspection.ages = ()
        elif effect == "fault":
            self._inspection.report(self._last_refusal, self._uplink.online, now_ms)
            self._panel.ask(screens.FAULT_REPORTED, "")
        elif answer != charging.FINE:
            self._refuse_key(answer, now_ms)
        elif effect == "aggregate":
            reason = self._till.bars(*self._sources(), now_ms)
            if reason:
                self._till.refuse(reason, 0, self._order.amount_fen, now_ms)
            self._event("refused" if reason else "scan", now_ms, reason)
        elif effect == "cancel":
            self._event(effect, now_ms)
        elif self._state == sale.KEYED:
            if self._order.entry == charging.home(charging.AMOUNT):
                self._welcome(now_ms)
            else:
                self._panel.entry(self._order.entry)

    def _refuse_key(self, answer, now_ms):
        """Say why; while a card is asked for, that stays to be read."""
        if self._state == sale.ARMED:
            self._panel.sound_wrong_key(now_ms)
        else:
            self._panel.refuse_key(answer, self._order.entry, now_ms)

    def _take_order(self, now_ms):
        """An order is complete: ask for a card, if any card could pay it."""
        if not self._order.complete(now_ms):
            self._till.refuse(charging.NOT_PRICED, 0, 0, now_ms)
            self._refuse_key(charging.NOT_PRICED, now_ms)
            return
        self._may_repeat = False
        self._event("order", now_ms)

    # -- the card -----------------------------------------------------------------------------

    def _poll(self, now_ms):
        purse = None
        try:
            card = self._front_end.poll()
            if card is None:
                self._failed = 0
            if card is None or self._failed >= _FAILED_MAX:
                return  # a card that fails again and again has to be taken away first
            power, network = self._sources()
            reason, balance_fen = self._till.bars(power, network, now_ms), 0
            amount_fen = self._order.amount_fen
            if reason != reasons.APPROVED and self._till.pending is None:
                self._till.refuse(reason, 0, amount_fen, now_ms)
            else:
                purse = self._purses.of(card)
                if self._state == sale.CANCEL:
                    told = cancel.take(
                        self._recorder, self._till, self._sale, purse, power, network, now_ms
                    )
                else:
                    proof = self._may_repeat, self._pin, self._is_holder
                    told = self._till.spend(
                        purse, self._order.cost, power, network, now_ms, *proof
                    )
                reason, amount_fen, balance_fen = told
                self._failed += 1 if reason in _DEBIT_FAILED else 0
        except card_faults.FAULTS as fault:
            reason = card_faults.reason_of(fault, self._till.pending is not None)
            amount_fen, balance_fen = self._order.amount_fen, 0
            # What lies in the field makes the same faults poll after poll: one record of each.
            if reason not in _UNRECORDED and reason not in self._recorded:
                self._recorded.append(reason)
                self._till.refuse(reason, 0, amount_fen, now_ms)
        if amount_fen:
            self._order.expect(amount_fen)
        self._balance_fen = balance_fen
        # The dialogue has taken its time: what is shown and heard begins now.
        self._event(sale.EVENT_OF.get(reason, "refused"), self._board.ticks_ms(), reason)
        is_over = self._state == sale.SHOWN and self._till.pending is None
        if purse is not None and is_over and not self._till.barred:
            # What was given back waits there once that is booked.
            booked_seq = self._recorder.head_seq() if reason == screens.CANCELLED else 0
            self._load_text = ""  # the display has something else beneath
            is_short = reason == reasons.BALANCE_SHORT
            self._load.saw(purse, self._board.ticks_ms(), booked_seq, is_short)

    def _step_site(self, now_ms):
        """An opened case or another site bars everything, until that is approved."""
        barred = self._till.barred
        parts = self._board, self._recorder, self._uplink, self._till, self._load, self._place
        site.step(*parts, now_ms)
        if self._till.barred == barred:
            return
        self._load.stop(now_ms)
        if self._till.barred:
            self._panel.refuse(self._till.barred, "", now_ms)
        elif self._state == sale.KEYED:
            self._welcome(now_ms)

    def _step_codes(self, now_ms):
        """A code may pay what waits for a card, if that is one amount and nothing is unsettled."""
        may_pay = self._state == sale.ARMED and self._till.pending is None
        told = self._codes.step(self._order.amount_fen if may_pay else 0, now_ms)
        if told:
            event, reason, self._balance_fen = told
            self._event(event, now_ms, reason)

    def _sources(self):
        return self._supply.word(), "online" if self._uplink.online else "offline"

    def _step_load(self, now_ms):
        """Money onto the card of the last tap, shown beneath what that tap said."""
        self._show_load()  # first, so that nobody leaves in the middle
        self._load.step(now_ms)
        self._show_load()

    def _show_load(self):
        load = self._load
        is_new = load.text != self._load_text
        self._load_text = load.text
        if is_new and load.text and self._order.is_empty():
            self._event("load", self._board.ticks_ms())
        if self._state == sale.SHOWN and (is_new or load.wants_card):
            self._until_ms = self._board.ticks_ms() + sale.PATIENCE_MS[sale.SHOWN]

    def _load_says(self, _value, _now_ms):
        self._panel.beneath(self._load.text)

    # -- actions, by their names in rules/sale.py ---------------------------------------------

    def _ask(self, _reason, now_ms):
        self._load.stop(now_ms)
        self._last_fault = reasons.APPROVED
        takes_code = self._codes and self._order.amount_fen and self._codes.may_look()
        number = screens.CARD_OR_CODE if takes_code else screens.CARD_PLEASE
        self._panel.ask(number, self._order.amount_text)

    def _which(self, _value, now_ms):
        self._load.stop(now_ms)
        self._last_fault = reasons.APPROVED
        amount_fen = self._sale["amount_fen"]
        self._order.expect(amount_fen)
        self._panel.one_sale(screens.CANCEL_CARD, amount_fen, self._sale["card_no"])

    def _undone(self, _reason, now_ms):
        self._panel.cancelled(self._order.amount_fen, self._sale["card_no"], now_ms)
        self._end_order()

    def _code(self, _value, now_ms):
        """Who shows no card pays the highest price; the picture is read when it is needed."""
        self._forget_pin()
        self._order.expect(self._order.most_fen)
        picture = self._board.stored("aggregate")
        self._panel.scan(self._order.amount_text, picture, self._until_ms)

    def _scanned(self, _key, now_ms):
        """The merchant has seen a phone pay: all that anybody here knows (docs/adr/0022).

        On any battery, for the money may have moved; only a full journal refuses.
        """
        recorder, amount_fen = self._recorder, self._order.amount_fen
        seq, merchant_no = recorder.head_seq() + 1, self._board.settings["merchant_no"]
        recorder.note(messages.AGGREGATE, now_ms, amount_fen=amount_fen, merchant_no=merchant_no)
        if recorder.head_seq() < seq:
            self._refuse(reasons.JOURNAL_FULL, now_ms)
            return
        # Somebody may write the number down.
        self._until_ms = now_ms + sale.PATIENCE_MS[sale.AGAIN]
        self._end_order()
        # Heard by the clerk, and no light: nobody has verified anything.
        self._panel.sound_wrong_key(now_ms)
        self._panel.one_sale(screens.BY_SCAN, amount_fen, seq)

    def _ask_again(self, reason, now_ms):
        self._panel.look(reason, self._order.amount_text, now_ms)

    def _tap_once_more(self, key, now_ms):
        self._may_repeat = True
        self._ask(key, now_ms)

    def _ask_pin(self, reason, now_ms):
        self._forget_pin()
        self._panel.ask_pin(
            reason, self._order.amount_text, self._till.asked["tries_left"], now_ms
        )

    def _pin_digit(self, key, now_ms):
        if len(self._pin) < PIN_DIGITS:
            self._pin.append(key)
            self._panel.pin(len(self._pin), self._order.amount_text)
        else:
            self._wrong_key(key, now_ms)

    def _wrong_key(self, _key, now_ms):
        self._panel.sound_wrong_key(now_ms)

    def _who(self, _reason, now_ms):
        """The forced question of R19.3; after a while it is heard again."""
        self._until_ms = now_ms + sale.PATIENCE_MS[sale.IDENTITY]
        self._panel.who(self._till.asked, self._order.amount_text, now_ms)

    def _match(self, key, now_ms):
        self._is_holder = True
        self._ask(key, now_ms)

    def _mismatch(self, _key, now_ms):
        self._till.capture(now_ms)
        self._refuse(reasons.CARD_CAPTURED, now_ms)

    def _forget_pin(self):
        for place in range(len(self._pin)):
            self._pin[place] = 0
        self._pin = bytearray()

    def _look(self, reason, now_ms):
        if reason != self._last_fault:
            self._last_fault = reason
            self._until_ms = now_ms + sale.PATIENCE_MS[sale.ARMED]
            self._panel.look(reason, self._order.amount_text, now_ms)

    def _paid(self, _reason, now_ms):
        self._end_order()
        self._panel.paid(self._order.amount_fen, self._balance_fen, self._uplink.online, now_ms)

    def _refuse(self, reason, now_ms):
        self._last_refusal = reason
        self._end_order()
        self._panel.refuse(reason, self._order.amount_text, now_ms)

    def _wait(self, _reason, _now_ms):
        self._panel.ask(screens.ONE_MOMENT, self._order.amount_text)

    def _unheard(self, _value, now_ms):
        self._refuse(self._codes.give_up(now_ms), now_ms)

    def _drop(self, key, now_ms):
        """Nobody came back: what the card did not tell here, it tells the ledger elsewhere."""
        self._till.pending = None
        self._home(key, now_ms)

    def _home(self, _key, now_ms):
        self._end_order()
        self._welcome(now_ms)

    def _welcome(self, now_ms):
        """Nobody is there; or this reader serves nobody."""
        if self._till.barred:
            self._panel.ask(self._till.barred, "")
        else:
            self._panel.welcome(now_ms)

    def _key_anew(self, key, now_ms):
        self._home(key, now_ms)
        self._keyed(key, now_ms)

    def _end_order(self):
        self._forget_pin()
        self._is_holder = False
        self._till.asked = self._sale = None
        self._recorded = []
        self._failed = 0  # another card may lie there by the next one
        self._order.end()

    # -- what else is shown --------------------------------------------------------------------

    def _show_totals(self, effect):
        """The pages behind FN and totals: first the shift's, then by turns."""
        self._totals.read_on()
        is_shift = effect == "totals" or self._page == screens.SEVEN_DAYS
        self._page = screens.SHIFT_TOTALS if is_shift else screens.SEVEN_DAYS
        self._panel.totals(self._page, self._totals.sums(is_shift))

    def _notices(self):
        """What the clerk is warned of; see screens.notices."""
        return (
            None if self._uplink.online else self._recorder.waiting(),
            self._supply.left(),
            self._recorder.is_nearly_full(),
            spending.list_left(
                self._board.settings["policy"],
                self._card_map.made_s(),
                self._clock.interval_ms(self._board.ticks_ms()),
            ),
        )


_ACTIONS = {
    "key": Pos._keyed,
    "ask": Pos._ask,
    "which": Pos._which,
    "undone": Pos._undone,
    "code": Pos._code,
    "scanned": Pos._scanned,
    "ask-again": Pos._ask_again,
    "tap": Pos._tap_once_more,
    "ask-pin": Pos._ask_pin,
    "digit": Pos._pin_digit,
    "prove": Pos._ask,
    "wrong-key": Pos._wrong_key,
    "who": Pos._who,
    "match": Pos._match,
    "mismatch": Pos._mismatch,
    "look": Pos._look,
    "paid": Pos._paid,
    "load": Pos._load_says,
    "refuse": Pos._refuse,
    "home": Pos._home,
    "wait": Pos._wait,
    "unheard": Pos._unheard,
    "drop": Pos._drop,
    "anew": Pos._key_anew,
}
# Keys that rules/sale.py tells from any other.
_OWN_KEYS = ("digit", "confirm", "esc")
_PAGES = ("totals", "turn")
