"""What the clerk has keyed and what it costs: charging.py by this board's menu and clock."""

from protocols.rules import charging, meals, menu, money
from protocols.wire.errors import WireError


class Order:
    """One order after the other; the mode stays until the clerk chooses another.

    `entry` is that of charging.py; `amount_fen` what the order costs, 0 while that depends on the
    card, and `amount_text` the same to be shown; `most_fen`: of any card. `is_menu_good`: whether
    the menu is one; if not, plain amounts are taken all the same.
    """

    def __init__(self, board, clock):
        self._clock = clock
        self._utc_offset_s = board.settings["policy"]["utc_offset_s"]
        self._menu, self.is_menu_good = (b"", ()), True
        try:
            self._menu = menu.decode(board.menu)
        except WireError:
            self.is_menu_good = False
        self.entry = charging.home(charging.AMOUNT)
        self.amount_fen = self.most_fen = 0
        self.amount_text = ""

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
        when = meals.span(periods, self._clock.interval_ms(now_ms), self._utc_offset_s)
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
        return meals.sell(self._menu, order, card, interval_ms, self._utc_offset_s)

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
