"""What the clerk has keyed and what it costs: charging.py by this board's menu and clock.

Where the settings say `ledger_menu`, the menu is the ledger's: asked for every ten minutes and
fetched page by page, each under the seal of a RELAY. The old one holds until the new one is whole,
good and stored; an older one is refused, and one that is not good is a FAULT and changes nothing.
"""

from protocols.rules import charging, meals, menu, money
from protocols.wire import messages
from protocols.wire.errors import WireError

ASK_MS = 600000
_ANSWER_MS = 5000  # for the next page; then that one is asked for again
_OFFLINE_MS = 60000
_LONG_MS = 86400000
_NONCE_BYTES = 8


class Order:
    """One order after the other; the mode stays until the clerk chooses another.

    `entry` is that of charging.py; `amount_fen` what the order costs, 0 while that depends on the
    card, and `amount_text` the same to be shown; `most_fen`: of any card. `is_menu_good`: whether
    the menu is one; if not, plain amounts are taken all the same.
    """

    def __init__(self, board, clock, recorder):
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
        self._due_ms, self._coming = 0, 0
        self._nonce = self._pages = b""
        self.entry = charging.home(charging.AMOUNT)
        self.amount_fen = self.most_fen = 0
        self.amount_text = ""

    def step(self, load, now_ms):
        """Ask for the ledger's menu, and take what it has said; when to call again.

        While nothing is armed only: prices do not change under a sale.
        """
        if "ledger_menu" not in self._board.settings:
            return now_ms + _LONG_MS
        said = load.told.pop(messages.MENU, None)
        if said and said["nonce"] == self._nonce:
            self._nonce = b""
            self._take(said, now_ms)
        if now_ms >= self._due_ms:
            self._nonce = self._board.urandom(_NONCE_BYTES)
            page = len(self._pages) // menu.PAGE_BYTES + 1
            epoch = self._coming if page > 1 else self._epoch
            fields = {"epoch": epoch, "page": page, "data": b""}
            is_said = load.relay(messages.MENU, fields, self._nonce)
            rest_ms = _ANSWER_MS if page > 1 else ASK_MS
            self._due_ms = now_ms + (rest_ms if is_said else _OFFLINE_MS)
        return self._due_ms

    def _take(self, said, now_ms):
        epoch, page, data = said["epoch"], said["page"], said["data"]
        if page == 1:
            self._coming, self._pages = epoch, b""
        expected = self._coming, len(self._pages) // menu.PAGE_BYTES + 1
        if epoch <= self._epoch or (epoch, page) != expected:
            self._pages = b""  # nothing newer; or another one: that is begun with next time
            return
        self._pages += data
        self._due_ms = now_ms
        if len(data) == menu.PAGE_BYTES and len(self._pages) <= menu.MENU_BYTES_MAX:
            return
        data, self._pages, self._epoch = self._pages, b"", epoch
        try:
            told = menu.decode(data)
            self._board.store("menu", data)
            self._board.store("menu_epoch", epoch.to_bytes(4, "big"))
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
