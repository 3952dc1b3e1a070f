"""The people of a district: who eats when and where, pays in, loses a card, and finds one.

What they do follows from a seed, the hour, what displays say and what they read off their own
card. Rates are estimates, those of simulator/year/campus.py where it has them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from ledger.lifecycle import APP, HOLDER, Act
from simulator.cardbox import HeldCard, truth
from simulator.city.district import DAY_US, HOUR_US, SECOND_US, Building, District, Window
from simulator.people import Customer

BALANCE_FEN = (2_000, 30_000)  # of a card on the first day
TOP_UPS_FEN = (5_000, 10_000, 20_000)
TOLD_TWICE_IN = 10  # the channel tells of one payment in so many twice
STAYS_HOME_IN = 5  # the others eat in a building that is not theirs
TORN_IN = 200  # a tap in so many is too short
LOST_IN = 2_000  # of holders, a day
THIEF_IN = 2  # of lost cards
_MINUTE_US = 60 * SECOND_US
# When it begins, how long it goes on and when most come, in minutes; which share of a hundred
# eats, and what it costs in fen.
MEALS = {
    "breakfast": ((420, 90, 45), 55, (200, 700)),
    "lunch": ((690, 90, 30), 90, (800, 1_800)),
    "dinner": ((1_050, 120, 50), 70, (700, 1_600)),
}
_LOSES_US = (9 * HOUR_US, 20 * HOUR_US)
_THEFT_US = (5 * _MINUTE_US, 180 * _MINUTE_US)
_REISSUES_US, _CLAIMS_US, CLAIM_DAYS = 7 * HOUR_US, 8 * HOUR_US, 4  # the fourth day behind a loss
_HOLD_MS, _TORN_MS = 900, (15, 220)
_LOOKS = 4  # windows that somebody tries before going without
_EVIDENCE = "id-card"
_IN_THE_APP = Act(HOLDER, APP)


@dataclass(eq=False, slots=True)
class Holder:
    """Somebody with a card, or without (None) since it was lost."""

    home: Building
    held: HeldCard | None
    purse_fen: int
    waits: bool = False  # money that was paid in for it is not on the card yet
    served_us: int = 0  # when a reader had it last


@dataclass(eq=False)
class Guest(Customer):
    """A customer; `holder` is None for whoever has found the card."""

    holder: Holder | None = None


@dataclass
class Seen:
    """What all of them would say: (card_no, fen) -> how often.

    `unsure`: who left and could not tell; `stolen`: by cards reported lost, of `paid`.
    """

    paid: Counter[tuple[int, int]] = field(default_factory=Counter)
    unsure: Counter[tuple[int, int]] = field(default_factory=Counter)
    stolen: Counter[tuple[int, int]] = field(default_factory=Counter)
    paid_in: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(eq=False)
class Loss:
    """A card that was reported, and what is its holder's by then: on it, and waiting for it.

    The least is that of an account in which those who left not knowing have all paid. `heir` is
    the card that has got it, once 72 hours were over.
    """

    least_fen: int
    most_fen: int
    heir: int = 0


class People:
    """Those of one district; `lost`: cards that were reported, whether or not replaced."""

    def __init__(self, district: District, cards: int) -> None:
        self.district = district
        self.seen = Seen()
        self.lost: dict[int, Loss] = {}
        self._unsure = 0
        self._draw = district.seeds.stream("people")
        buildings = district.buildings
        self.holders = [
            Holder(buildings[index % len(buildings)], held, held.issued_fen or 0)
            for index, held in enumerate(district.issue(cards, *BALANCE_FEN))
        ]
        district.on_served = self._served

    # -- a day ----------------------------------------------------------------------------------

    def plan_day(self, day: int) -> None:
        """Who eats when, and who loses a card."""
        draw, at = self.district.seeds.stream("day", day), self.district.world.at
        for (start, minutes, peak), share, prices_fen in MEALS.values():
            low, high, mode = (
                when * _MINUTE_US for when in (start, start + minutes, start + peak)
            )
            for holder in self.holders:
                if draw.randrange(100) < share:
                    when_us = day * DAY_US + int(draw.triangular(low, high, mode))
                    amount_fen = draw.randrange(*prices_fen, 50)
                    at(when_us, partial(self._eat, holder, amount_fen))
        for holder in self.holders:
            if draw.randrange(LOST_IN) == 0:
                at(day * DAY_US + draw.randrange(*_LOSES_US), partial(self._lose, holder))

    def last_visits(self) -> None:
        """Whoever has an open spend on the card holds it to a reader once more."""
        sql = "SELECT DISTINCT card_no FROM intent WHERE state < 2 AND credit_no = 0"
        opened = {card_no for (card_no,) in self.district.books.database.rows(sql)}
        for holder in self.holders:
            if holder.held is not None and holder.held.card_no in opened:
                self._go(holder.home.windows[0], holder, holder.held, 1, [_HOLD_MS])

    # -- meals ----------------------------------------------------------------------------------

    def _eat(self, holder: Holder, amount_fen: int) -> None:
        held = holder.held
        if held is None or held.is_busy:
            self.district.done["meals without a card"] += 1
            return
        if holder.purse_fen < amount_fen and not holder.waits:
            self._pay_in(holder, held)
        window = self._window_for(holder.home)
        if window is None:
            self.district.done["meals without a reader"] += 1
            return
        is_torn = self._draw.randrange(TORN_IN) == 0
        hold_ms = [self._draw.randrange(*_TORN_MS), _HOLD_MS] if is_torn else [_HOLD_MS]
        self.district.fired["tap too short"] += is_torn
        self._go(window, holder, held, amount_fen, hold_ms)

    def _go(
        self, window: Window, holder: Holder | None, held: HeldCard, fen: int, hold_ms: list[int]
    ) -> None:
        held.is_busy = True
        self.district.done["visits"] += 1
        window.clerk.join(Guest(held, fen, hold_ms, holder=holder))

    def _window_for(self, home: Building) -> Window | None:
        """The shorter of two queues, mostly at home; elsewhere, where that has no power."""
        draw, buildings = self._draw, self.district.buildings
        for look in range(_LOOKS):
            is_home = look == 0 and draw.randrange(STAYS_HOME_IN)
            windows = (home if is_home else draw.choice(buildings)).windows
            lit = [one for one in (draw.choice(windows), draw.choice(windows)) if one.reader.is_on]
            if lit:
                return min(lit, key=lambda one: len(one.clerk.queue))
        return None

    def _served(self, window: Window, customer: Customer, was_paid: bool) -> None:
        assert isinstance(customer, Guest)
        held, holder, seen = customer.held, customer.holder, self.seen
        held.is_busy = False
        what = held.card_no, customer.amount_fen
        has_given_up = self.district.tally.given_up > self._unsure
        self._unsure = self.district.tally.given_up
        if was_paid:
            seen.paid[what] += 1
            window.takings_fen += customer.amount_fen
        elif has_given_up:
            seen.unsure[what] += 1
            window.unsure_fen += customer.amount_fen
        if holder is None:
            seen.stolen[what] += was_paid
            self.district.fired["paid by a lost card"] += was_paid
            return
        before_fen, holder.purse_fen = holder.purse_fen, self._balance_fen(held)
        holder.waits = holder.waits and holder.purse_fen <= before_fen
        holder.served_us = self.district.world.now_us

    def _balance_fen(self, held: HeldCard) -> int:
        return truth(held.chip, self.district.keys).balance_fen

    # -- money and cards ------------------------------------------------------------------------

    def _pay_in(self, holder: Holder, held: HeldCard) -> None:
        """By telephone; the next reader with a network brings it on the card."""
        fen, done = self._draw.choice(TOP_UPS_FEN), self.district.done
        done["money paid in"] += 1
        order_id = f"order-{done['money paid in']}"
        for _ in range(1 + (self._draw.randrange(TOLD_TWICE_IN) == 0)):
            self.district.books.top_ups.top_up(held.card_no, fen, order_id)
        self.seen.paid_in[held.card_no, fen] += 1
        holder.waits = True

    def _lose(self, holder: Holder) -> None:
        """It is reported at once; somebody may find it, and try it."""
        district, held = self.district, holder.held
        world = district.world
        if held is None or held.is_busy or world.now_us < holder.served_us + 10 * _MINUTE_US:
            return
        district.books.cards.set("lose", held.card_no, world.utc_s(), by=_IN_THE_APP)
        district.fired["card reported lost"] += 1
        self.lost[held.card_no] = self._loss_of(held)
        holder.held = None
        if self._draw.randrange(THIEF_IN) == 0:
            district.later(self._draw.randrange(*_THEFT_US), partial(self._steal, held))
        next_us = (world.now_us // DAY_US + 1) * DAY_US
        world.at(next_us + _REISSUES_US, partial(self._reissue, holder, held))

    def _steal(self, held: HeldCard) -> None:
        """Where the network is gone a reader has not heard of it."""
        draw = self._draw
        lit = [one for one in self.district.windows if one.reader.is_on]
        dark = [one for one in lit if not one.cable.plugged or not one.hardware.mains_on]
        fen = min(draw.randrange(500, 2_500), self._balance_fen(held))
        if lit and fen > 0:
            self.district.fired["lost card tried"] += 1
            self._go(draw.choice(dark or lit), None, held, fen, [_HOLD_MS])

    def _reissue(self, holder: Holder, old: HeldCard) -> None:
        district = self.district
        (new,) = district.issue(1, 0, 0)
        now_s = district.world.utc_s()
        district.books.reissues.reissue(old.card_no, new.card_no, now_s, _EVIDENCE)
        district.done["cards reissued"] += 1
        holder.held, holder.purse_fen, holder.waits = new, 0, False
        at_us = (district.world.now_us // DAY_US + CLAIM_DAYS - 1) * DAY_US + _CLAIMS_US
        district.world.at(at_us, partial(self._claim, holder, old, new))

    def _claim(self, holder: Holder, old: HeldCard, new: HeldCard) -> None:
        """72 hours are over: what the old card had goes on to the new one (R14.4).

        Unless a reader has asked for that before.
        """
        if holder.held is new:
            books, now_s = self.district.books, self.district.world.utc_s()
            holder.waits |= bool(books.carry_overs.claim(new.card_no, now_s))
            self.lost[old.card_no].heir = new.card_no
            self.district.done["money carried over"] += 1

    def _loss_of(self, held: HeldCard) -> Loss:
        number = held.card_no
        had_fen = (held.issued_fen or 0) + loaded_fen(self.district, number)
        paid_fen, unsure_fen = (
            sum(fen * count for (card_no, fen), count in what.items() if card_no == number)
            for what in (self.seen.paid, self.seen.unsure)
        )
        return Loss(had_fen - paid_fen - unsure_fen, had_fen - paid_fen)


def loaded_fen(district: District, card_no: int) -> int:
    """All that has been paid in or carried over for a card, by the books."""
    sql = "SELECT COALESCE(SUM(amount_fen), 0) FROM load WHERE card_no = ?"
    ((fen,),) = district.books.database.rows(sql, (card_no,))
    return fen
