"""One spend, what strikes it, and the re-tap that must put everything right.

The people are a clerk and a customer who do what the display says, once. The first sale is at
home; then the card is held to the same reader again, or to another one that wants something else
from it, and then to the first. After each the books are opened.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from protocols.rules import money, reasons
from simulator.torture.tap_blows import FlashCut, RfBlow
from simulator.torture.tap_books import judge
from simulator.torture.tap_start import Course, course, image_of, is_hurried, records_before
from simulator.torture.tap_window import (
    AWAY,
    CARD,
    CLASSIC,
    HOLD_MS,
    HOME,
    NOON_S,
    Window,
    new_card,
)
from simulator.world.clock import World

SALE_FEN, OTHER_FEN = 1250, 300
_CHECK = reasons.display(reasons.ASK_LEDGER)
_ONCE_MORE = reasons.display(reasons.PAID_JUST_NOW)
# What asks for the card without asking for the amount.
_WAITING = ("CARD PLEASE", *map(reasons.display, (reasons.CARD_GONE, reasons.TAP_AGAIN)))
_SHOWING_MS = 6_000  # and until the same card may pay again without a question


@dataclass(frozen=True)
class Case:
    """What strikes: the first tap (`rf`, `cut`), the boot after it, the tap after that.

    `start` is one of tap_start.STARTS; `stays`: the card lies on the reader while the power is
    gone; `seed` draws what torn writes leave; `depth`: how deep the antenna is modelled;
    `chip`: the kind of card.
    """

    start: str
    rf: RfBlow | None = None
    cut: FlashCut | None = None
    boot: FlashCut | None = None
    rf_again: RfBlow | None = None
    cut_again: FlashCut | None = None
    is_again_away: bool = False
    stays: bool = False
    seed: int = 0
    depth: str = CARD
    chip: str = CLASSIC

    @property
    def blows(self) -> int:
        """How many there are to come."""
        return 5 - (self.rf, self.cut, self.boot, self.rf_again, self.cut_again).count(None)


@dataclass
class Sale:
    """An amount that the clerk of a window wants; told once anybody there has seen it paid."""

    window: Window
    fen: int
    shown_before: int
    shown_after: int | None = None  # once the clerk has gone on to another sale

    @property
    def keys(self) -> bytes:
        return money.format_yuan(self.fen).encode() + b"\r"

    @property
    def is_told(self) -> bool:
        shown = self.shown_after
        if shown is None:
            shown = len(self.window.witness.shown)
        return shown > self.shown_before


@dataclass
class Ending:
    """How a case ended: what was wrong, what nobody knows, and what happened on the way."""

    wrong: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    unresolved: int = 0
    events: int = 0
    virtual_s: int = 0

    def add(self, other: Ending) -> None:
        """Take in how the same case ended another way; the same has struck it there."""
        self.wrong += other.wrong
        self.met += other.met
        self.unresolved += other.unresolved
        self.events += other.events
        self.virtual_s += other.virtual_s


class Canteen:
    """Two windows, one card, and the first sale already struck as `case` says."""

    def __init__(self, case: Case) -> None:
        self.world = world = World(NOON_S)
        self.case = case
        self.card = new_card(case.seed, case.chip)
        self.home = Window(HOME, world, image_of(case.start), case.seed, case.depth)
        self.away = Window(AWAY, world, None, case.seed + 1, case.depth)
        self.sales: list[Sale] = []
        self.ending = Ending()
        self._excused: Collection[int] = ()  # devices whose open spends may wait
        self.away.boot()
        self._first_tap()
        if case.boot is not None:
            self.home.flash.strike(case.boot)
            self.home.boot()
            self.home.flash.strike(None)
        if case.rf_again is not None or case.cut_again is not None:
            self.second_tap()
            self.window_again.strike(self.card, None, None)

    def re_tap(self, window: Window, *, is_elsewhere: bool = False) -> None:
        """Do once, undisturbed, what the display of `window` says; the sale there must be told.

        `is_elsewhere`: the card comes from the other one, with nothing left to tell here, so it
        buys something else.
        """
        writes = self.card.writes
        sale = self._sale_at(window)
        if is_elsewhere and sale.is_told:
            sale = self._new_sale(window, OTHER_FEN)
        self._follow(sale)
        if window.shown == _CHECK:
            # Nobody can say here what became of the sale; the ledger learns it from the next one.
            self.ending.met.append("told to check the last sale")
            window.run_ms(_SHOWING_MS)
            sale = self._new_sale(window, OTHER_FEN)
            self._follow(sale)
        if not sale.is_told:
            self._wrong(f"{window.device} says {window.shown!r} after the re-tap")
        # Who is only told of the last sale makes no INTENT, and so tells the ledger nothing about
        # what another reader has left open as well: that takes a tap of its own.
        is_silent = writes == self.card.writes
        self._excused = {self.home.device, self.away.device} - {window.device} if is_silent else ()

    def open_books(self) -> None:
        """Every reader delivers, and everything is compared."""
        for window in (self.home, self.away):
            if not window.is_on:
                window.boot()
        books = judge((self.home, self.away), self.card)
        for what in books.wrong:
            self._wrong(what)
        self.ending.unresolved += sum(one not in self._excused for one in books.unresolved)
        self.ending.met += ["booked as the card has told elsewhere"] * books.told_elsewhere
        wanted = {(sale.window.device, sale.fen) for sale in self.sales}
        for device, fen in sorted(wanted | set(books.booked.values())):
            sales = [s for s in self.sales if (s.window.device, s.fen) == (device, fen)]
            booked = list(books.booked.values()).count((device, fen))
            if not sum(sale.is_told for sale in sales) <= booked <= len(sales):
                self._wrong(f"{len(sales)} sales of {fen} fen at {device}, {booked} booked")

    def close(self, way: str) -> Ending:
        """Everything that struck, and how it ended; `way` is where the card went."""
        ending = self.ending
        ending.wrong = [f"{way}: {what}" for what in ending.wrong]
        ending.struck += (*self.card.marks, *self.home.flash.marks, *self.away.flash.marks)
        fields = (self.home.hardware.field, self.away.hardware.field)
        flashes = (self.home.flash, self.away.flash)
        ending.virtual_s = self.world.now_us // 1_000_000
        ending.events = sum(f.frames for f in fields) + sum(f.operations for f in flashes)
        return ending

    # -- the taps that are struck -----------------------------------------------------------

    def _first_tap(self) -> None:
        case, home = self.case, self.home
        sale = self._new_sale(home, SALE_FEN)
        hurried = is_hurried(case.start)
        home.open(sale.keys, hurried, records_before(case.start, case.chip))
        home.strike(self.card, case.rf, case.cut)
        home.first_sale(self.card, sale.keys, hurried)
        home.strike(self.card, None, None)
        if case.stays and not home.is_on:
            home.boot()
            home.run_ms(HOLD_MS)
        home.hardware.take_card(self.card)

    def second_tap(self) -> None:
        """The same people once more, at the window of the case."""
        case, window = self.case, self.window_again
        sale = self._sale_at(window)
        if not window.is_on:
            window.boot()
        window.strike(self.card, case.rf_again, case.cut_again)
        self._follow(sale)

    @property
    def window_again(self) -> Window:
        """Where the second tap is."""
        return self.away if self.case.is_again_away else self.home

    # -- clerk and customer -----------------------------------------------------------------

    def _sale_at(self, window: Window) -> Sale:
        """The sale that is open at a window, or the one that is just over; else a new one."""
        for sale in self.sales:
            if sale.window is window:
                return sale
        return self._new_sale(window, OTHER_FEN)

    def _new_sale(self, window: Window, fen: int) -> Sale:
        shown = len(window.witness.shown)
        for sale in self.sales:
            if sale.window is window and sale.shown_after is None:
                sale.shown_after = shown
        self.sales.append(Sale(window, fen, shown))
        return self.sales[-1]

    def _follow(self, sale: Sale) -> None:
        """Once what the display says. Whoever has been told holds the card there all the same."""
        window = sale.window
        if not window.is_on:
            window.boot()
        window.run_ms(0)
        if not sale.is_told and window.shown not in (*_WAITING, _CHECK):
            window.type(sale.keys)
        window.tap(self.card)
        if window.shown == _ONCE_MORE:
            window.type(b"\r")
            window.tap(self.card)

    def _wrong(self, what: str) -> None:
        self.ending.wrong.append(what)


def play(case: Case) -> Ending:
    """Follow `case` to all its ends: a re-tap at the same reader, at another one, at both."""
    same = Canteen(case)
    was_on = same.home.is_on
    same.re_tap(same.window_again)
    same.open_books()
    ending = same.close("same reader")
    _go_elsewhere(case, ending, boots_first=True)
    if not was_on:
        _go_elsewhere(case, ending, boots_first=False)
    return ending


def _go_elsewhere(case: Case, ending: Ending, *, boots_first: bool) -> None:
    """To the reader where the card was not last, and then back; `boots_first`: the one at home
    that lost its power is on again before the card gets there."""
    canteen = Canteen(case)
    first, then = canteen.away, canteen.home
    if case.is_again_away:
        first, then = then, first
    if boots_first and not canteen.home.is_on:
        canteen.home.boot()
    canteen.re_tap(first, is_elsewhere=True)
    canteen.open_books()
    canteen.re_tap(then)
    canteen.open_books()
    ending.add(canteen.close("other reader" if boots_first else "other reader, then the boot"))


def boot_course(case: Case) -> Course:
    """What there is to strike in the boot after the first tap of `case`."""
    canteen = Canteen(case)
    home = canteen.home
    home.strike(canteen.card, None, None)
    home.boot()
    return course(home, canteen.card)


def again_course(case: Case) -> Course:
    """What there is to strike in the tap after the first one of `case`."""
    canteen = Canteen(case)
    canteen.second_tap()
    return course(canteen.window_again, canteen.card)
