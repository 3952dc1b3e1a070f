"""What the clerk has keyed and what it costs: charging.py by this board's menu and clock.

Where the settings say `ledger_menu`, the menu is the ledger's: the agent is asked at connections
and every ten minutes, tells of a new one by itself, and gives it page by page, with the ledger or
without it. Nothing counts that a warrant under our own key does not bear out (rules/menu.py). The
old one holds until the new one is whole, good and stored; an older one is refused, and one that is
not good is a FAULT and changes nothing.
"""

import struct

from protocols.rules import charging, meals, menu, money
from protocols.wire import messages
from protocols.wire.errors import WireError

ASK_MS = 600000
_ANSWER_MS = 5000  # for the next page; then that one is asked for again
_BUSY_MS = 1000  # until what could not be said is tried again
_REST_MS = 60000  # after pages that are not what the warrant says
_LONG_MS = 86400000


class Order:
    """One order after the other; the mode stays until the clerk chooses another.

    `entry` is that of charging.py; `amount_fen` what the order costs, 0 while that depends on the
    card, and `amount_text` the same to be shown; `most_fen`: of any card. `is_menu_good`: whether
    the menu is one; if not, plain amounts are taken all the same. `uplink` as of CardMap.
    """

    def __init__(self, board, clock, recorder, uplink):
        self._board = board
        self._recorder = recorder
        self._clock = clock
        self._policy = board.settings["policy"]
        self._menu, self.is_menu_good = (b"", ()), True
        self._epoch = int.from_bytes(board.stored("menu_epoch"), "big")
        try:
            self._menu = menu.decode(board.menu)
        except WireError:
            self.is_menu_good = False
            self._epoch = 0  # it comes anew
        board.menu = b""  # a copy would be two kilobytes
        self._wanted = None  # the warrant of the menu that is under way
        self._pages = b""
        self._session = self._due_ms = 0
        self._uplink = uplink
        self._others = uplink.on_cards
        if "ledger_menu" in board.settings:
            uplink.on_cards = self.hear
        self.entry = charging.home(charging.AMOUNT)
        self.amount_fen = self.most_fen = 0
        self.amount_text = ""

    def step(self, now_ms):
        """Put to use what has come, and ask for what is missing; when to call again.

        While nothing is armed only: prices do not change under a sale.
        """
        uplink, wanted = self._uplink, self._wanted
        if "ledger_menu" not in self._board.settings:
            return now_ms + _LONG_MS
        if wanted and len(self._pages) == wanted[menu.SIZE]:
            self._take(now_ms)
            wanted = None
        if not uplink.online:
            return now_ms + _LONG_MS
        if self._session != uplink.counters["sessions"]:
            self._session = uplink.counters["sessions"]
            self._due_ms = now_ms
        if now_ms >= self._due_ms:
            epoch, page, rest_ms = self._epoch, 0, ASK_MS
            if wanted:
                epoch, page = wanted[menu.EPOCH], len(self._pages) // menu.PAGE_BYTES + 1
                rest_ms = _ANSWER_MS
            asked = {"epoch": epoch, "page": menu.PAGE + page, "data": b""}
            is_said = uplink.say(messages.CARDS, asked)
            self._due_ms = now_ms + (rest_ms if is_said else _BUSY_MS)
            return now_ms  # what was said is not on its way yet
        return self._due_ms

    def hear(self, said, now_ms):
        """Take a CARDS of the agent; the uplink's counter that says why not, or ""."""
        page, data, wanted = said["page"] - menu.PAGE, said["data"], self._wanted
        if not 0 <= page <= menu.PAGES_MAX:
            return self._others(said, now_ms) if self._others else "foreign"
        if page:
            at = len(self._pages)
            if wanted is None or (said["epoch"], (page - 1) * menu.PAGE_BYTES) != (wanted[0], at):
                return "repeated"
            if len(data) != min(menu.PAGE_BYTES, wanted[menu.SIZE] - at):
                return "malformed"
            self._pages += data
            self._due_ms = now_ms
            return ""
        body = self._recorder.opened(data, menu.LABEL)
        if body is None:
            return "forged"
        if len(body) != menu.WARRANT_BYTES:
            return "malformed"
        told = struct.unpack(menu.WARRANT, body)
        if told[menu.SIZE] > menu.MENU_BYTES_MAX:
            return "malformed"
        if told[menu.EPOCH] <= self._epoch or told == wanted:
            return "repeated"
        self._wanted, self._pages = told, b""
        self._due_ms = now_ms
        return ""

    def _take(self, now_ms):
        """All pages are here: from now on this is the menu, if it is what the warrant says."""
        data, wanted, self._pages, self._wanted = self._pages, self._wanted, b"", None
        if menu.digest_of(data) != wanted[menu.DIGEST]:
            # Somebody's pages, or half of another menu: nothing that the ledger vouches for.
            self._uplink.counters["forged"] += 1
            self._due_ms = now_ms + _REST_MS
            return
        self._epoch = wanted[menu.EPOCH]
        try:
            told = menu.decode(data or b"\x00")  # none at all is no menu either
            self._board.store("menu", data)
            self._board.store("menu_epoch", self._epoch.to_bytes(4, "big"))
        except (WireError, OSError):
            self._recorder.note(messages.FAULT, now_ms, network=1, last_reason=charging.PRICE_FORM)
        else:
            self._menu, self.is_menu_good = told, True

    def key(self, key):
        """(effect, answer) of a key; see charging.on."""
        self.entry, effect, answer = charging.on(self.entry, key)
        return effect, answer

    def is_empty(self):
        """Whether nothing is keyed."""
        return self.entry == charging.home(self.entry[1])

    def take_up(self, amount_fen, is_meal):
        """Wait for a card with this amount, or with a counted meal, as before the boot."""
        if is_meal:
            self.entry = ("armed", charging.MEAL, 0, ())
        else:
            self.entry = ("armed", charging.AMOUNT, 0, (amount_fen,))
        self.most_fen = amount_fen
        self.expect(amount_fen)

    def complete(self, now_ms):
        """Whether any card could pay what is keyed; else the order is dropped."""
        prices, periods = self._menu
        when = meals.span(periods, self._clock.interval_ms(now_ms), self._policy["utc_offset_s"])
        numbers = meals.possible(periods, when)
        least_fen, most_fen = charging.offered(charging.order_of(self.entry), prices, numbers)
        if not most_fen:
            self.end()
            return False
        self.expect(least_fen, most_fen)
        self.most_fen = most_fen
        return True

    def cost(self, card, now_ms):
        """What the order means to a card (a purse view) now; see meals.sell."""
        order, interval_ms = charging.order_of(self.entry), self._clock.interval_ms(now_ms)
        return meals.sell(self._menu, order, card, interval_ms, self._policy["utc_offset_s"])

    def expect(self, least_fen, most_fen=0):
        """What the order costs, as far as that is known without a card."""
        is_known = most_fen in (0, least_fen)
        self.amount_fen = least_fen if is_known else 0
        self.amount_text = money.format_yuan(least_fen)
        if not is_known:
            self.amount_text += "-" + money.format_yuan(most_fen)

    def end(self):
        """The order is over, however it ended; what it cost may still be shown."""
        self.entry = charging.home(self.entry[1])
