"""A campus lives: meals, top-ups, subsidies, losses, reissues, late readers, torn taps, goodbyes.

Everything comes from one seed. Readers write genuine records (simulator/chains.py); what a person
decides goes through the ledger's own verbs. A day ends with the delivery of what the readers that
are online have; one in twenty portions comes twice. The rates below are estimates of a campus of
30,000 cards, not measured at one.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from ledger.lifecycle import APP, CENTRE, HOLDER, Act
from ledger.portions import DELIVERIES_MAX
from ledger.store import LedgerStore
from protocols.wire import messages
from simulator.chains import Card
from simulator.year.posts import Post
from simulator.year.truth import Held, Step, Truth
from simulator.year.visitors import CARDS_PER_VISITOR, Visitors

DAY_S, HOUR_S = 86_400, 3_600
START_S = 1_788_192_000  # 2026-09-01 00:00 in China
UTC_OFFSET_S = 28_800
SITE, CENTRE_NO, FIRST_MERCHANT = "campus", 1, 71
_FIRST_DEVICE, _FIRST_CARD = 1001, 20_001
CARDS_PER_POS, POS_PER_MERCHANT, KIOSKS = 250, 5, 4
# Days since 1 September on which there are no lessons; few eat here then.
HOLIDAYS = (*range(30, 37), *range(137, 172), *range(309, 365))
STAY = 0.08
GOODBYE_DAY = 308  # a quarter of them leave for good
# When, what share of those present, and what it costs in fen.
MEALS = ((7, 0.55, 200, 700), (12, 0.90, 800, 1_800), (18, 0.70, 700, 1_600))
VISITORS_AFTER_HOUR = 12
TOP_UPS_FEN = (5_000, 10_000, 20_000)
SUBSIDY_DAYS, SUBSIDISED, SUBSIDY_FEN = 30, 0.15, 15_000
OPENING_FEN = 2_000
TORN = 0.002  # of taps; half of them have taken the money
LOSS_A_DAY = 0.05 / 365
OFFLINE_A_DAY, OFFLINE_DAYS_MAX = 0.01, 5
THIEF = 0.5
REPEATED = 0.05  # of portions
# So many portions of its reader may overtake one: what is further ahead of a gap than booking's
# PARKED_AHEAD_MAX is dropped, and would have to be sent again.
OVERTAKEN_MAX = 8
_IN_THE_APP = Act(HOLDER, APP)
LOST_HOUR, THIEF_HOUR, CARRY_DAYS = 20, 21, 4


def _day_s(day: int) -> int:
    return START_S + day * DAY_S


class WrongCarry(Exception):
    """What the ledger carried over is not what was left."""


@dataclass(slots=True)
class Holder:
    """`card`: what they have in hand, None while it is lost; `olds`: those before it."""

    card: Held | None
    olds: list[Held] = field(default_factory=list)
    loads: list[tuple[int, int]] = field(default_factory=list)  # (number, fen) that wait
    has_left: bool = False


class Campus:
    """`cards` holders, whose life is booked in `store`; `truth` is what that must come to.

    `counts` (what -> how many) only grow. The same seed, cards and days make the same records.
    `clerk`: who speaks for the card centre at a time, where the books have operators; with one,
    there are `visitors` too.
    """

    def __init__(
        self,
        store: LedgerStore,
        cards: int,
        seed: int,
        clerk: Callable[[int], str] | None = None,
    ) -> None:
        self.truth = Truth()
        self.visitors: Visitors | None = None
        self._clerk = clerk
        self.counts: dict[str, int] = {}
        self._store = store
        self._rng = random.Random(seed)
        pos = max(cards // CARDS_PER_POS, 2)
        merchants = -(-pos // POS_PER_MERCHANT)
        self._posts = [Post(_FIRST_DEVICE + i, FIRST_MERCHANT + i % merchants) for i in range(pos)]
        self._kiosks = [Post(_FIRST_DEVICE + pos + i, CENTRE_NO) for i in range(KIOSKS)]
        self._next_card = _FIRST_CARD
        for merchant_no in (CENTRE_NO, *range(FIRST_MERCHANT, FIRST_MERCHANT + merchants)):
            store.register_merchant(merchant_no, f"merchant {merchant_no}")
        readers = [post.reader for post in self._posts + self._kiosks]
        store.register_devices((r.device, r.key, r.merchant_no, SITE) for r in readers)
        self._holders = [Holder(held) for held in self._issue(cards, OPENING_FEN)]
        self._lost: list[tuple[int, Holder]] = []  # (day, whose)
        if clerk is not None:
            self.visitors = Visitors(store, self.truth, seed, _day_s, UTC_OFFSET_S)

    def live(self, days: int) -> Iterator[int]:
        """Day by day; each is booked when it is told. The last one brings every reader home."""
        for day in range(days):
            self.truth.today = day
            self._morning(day)
            self._meals(day)
            self._evening(day)
            self._deliver(day, everything=day == days - 1)
            if self.visitors is not None:
                self.visitors.evening(day)
            yield day

    # --- what persons decide -------------------------------------------------------------------

    def _issue(self, count: int, opening_fen: int) -> list[Held]:
        numbers = range(self._next_card, self._next_card + count)
        self._next_card += count
        self._store.issue_cards((number, opening_fen) for number in numbers)
        held = [Held(Card(number, opening_fen)) for number in numbers]
        for one in held:
            self.truth.move(("clearing", 0), one.purse, opening_fen)
        return held

    def _morning(self, day: int) -> None:
        now_s = START_S + day * DAY_S + 6 * HOUR_S
        for lost_day, holder in self._lost:
            if day == lost_day + 1 and holder.card is None:
                self._reissue(holder, now_s)
            if day == lost_day + CARRY_DAYS and holder.card and not holder.has_left:
                self._carry(holder, holder.card, now_s)
        self._lost = [(since, holder) for since, holder in self._lost if since + CARRY_DAYS > day]
        if day % SUBSIDY_DAYS == 0:
            for number, holder in enumerate(self._holders):
                if holder.card and not holder.has_left and self._rng.random() < SUBSIDISED:
                    self._pay_in(holder, holder.card, SUBSIDY_FEN, f"subsidy/{day}/{number}")
        if day == GOODBYE_DAY:
            for holder in self._holders[::4]:
                if holder.card is not None:
                    number = holder.card.card.card_no
                    by = self._by(now_s)
                    self._store.cards.set("close", number, now_s, "college-list", by)
                    self._count("goodbyes")
                holder.has_left = True

    def _pay_in(self, holder: Holder, held: Held, amount_fen: int, order_id: str) -> None:
        number = self._store.top_ups.top_up(held.card.card_no, amount_fen, order_id)
        holder.loads.append((number, amount_fen))
        self.truth.paid_in(held, amount_fen)
        self._count("paid in")

    def _reissue(self, holder: Holder, now_s: int) -> None:
        old = holder.olds[-1]
        (new,) = self._issue(1, 0)
        numbers, by = (old.card.card_no, new.card.card_no), self._by(now_s)
        self._store.reissues.reissue(*numbers, now_s, "id-card", by)
        self.truth.replaced(old)
        holder.card = new
        self._count("reissues")

    def _carry(self, holder: Holder, held: Held, now_s: int) -> None:
        loads = self._store.carry_overs.claim(held.card.card_no, now_s)
        left_fen = self.truth.carried(holder.olds, held, now_s)
        if sum(load.amount_fen for load in loads) != left_fen:
            text = f"card {held.card.card_no}: {left_fen} fen were left, and went on: {loads}"
            raise WrongCarry(text)
        holder.loads += [(load.number, load.amount_fen) for load in loads]

    def _evening(self, day: int) -> None:
        at_s = START_S + day * DAY_S
        for holder in self._holders:
            held = holder.card
            if held is None or holder.has_left or self._rng.random() >= LOSS_A_DAY:
                continue
            held.lost_s = at_s + LOST_HOUR * HOUR_S
            self._store.cards.set("lose", held.card.card_no, held.lost_s, by=_IN_THE_APP)
            self._count("losses")
            holder.card, holder.loads = None, []
            holder.olds.append(held)
            self._lost.append((day, holder))
            # Only a reader that is offline has not heard of it.
            offline = [post for post in self._posts if post.online_day > day]
            if offline and self._rng.random() < THIEF and held.card.balance_fen > 0:
                amount_fen = min(held.card.balance_fen, self._rng.randrange(500, 3_000))
                post = self._rng.choice(offline)
                self._spend(post, held, amount_fen, at_s + THIEF_HOUR * HOUR_S, is_of_after=True)
                self._count("thefts")

    # --- what happens at readers ---------------------------------------------------------------

    def _meals(self, day: int) -> None:
        for post in self._posts:
            if post.online_day <= day and self._rng.random() < OFFLINE_A_DAY:
                post.online_day = day + self._rng.randrange(1, OFFLINE_DAYS_MAX + 1)
        share = STAY if day % 365 in HOLIDAYS else 1.0
        for hour, eats, least_fen, most_fen in MEALS:
            taps = []
            for holder in self._holders:
                if holder.card and not holder.has_left and self._rng.random() < eats * share:
                    taps.append((self._rng.randrange(HOUR_S), holder, holder.card))
            taps.sort(key=lambda tap: tap[0])
            for second, holder, held in taps:
                time_s = START_S + day * DAY_S + hour * HOUR_S + second
                amount_fen = self._rng.randrange(least_fen, most_fen, 50)
                self._eat(holder, held, amount_fen, time_s)
            if hour == VISITORS_AFTER_HOUR and self.visitors is not None:
                count = max(1, len(self._holders) // CARDS_PER_VISITOR)
                self.visitors.pay(self._posts, count, day, _day_s(day) + (hour + 1) * HOUR_S)

    def _eat(self, holder: Holder, held: Held, amount_fen: int, time_s: int) -> None:
        card = held.card
        if holder.loads or card.balance_fen < amount_fen:
            self._visit_kiosk(holder, held, amount_fen, time_s)
        post = self._rng.choice(self._posts)
        if self._rng.random() < TORN:
            self._count("torn taps")
            if self._rng.random() < 0.5:
                self._spend(post, held, amount_fen, time_s, has_outcome=False)
                return
            nothing = Step(held, has_outcome=False, tells_of=held.torn)
            self._keep(post, [post.reader.intent(card, amount_fen, time_s)], nothing)
        self._spend(post, held, amount_fen, time_s)

    def _visit_kiosk(self, holder: Holder, held: Held, amount_fen: int, time_s: int) -> None:
        kiosk, card = self._rng.choice(self._kiosks), held.card
        if card.balance_fen + sum(fen for _, fen in holder.loads) < amount_fen:
            order_id = f"app/{card.card_no}/{card.counter}"
            self._pay_in(holder, held, self._rng.choice(TOP_UPS_FEN), order_id)
        for number, fen in holder.loads:
            self._store.top_ups.note_try(number, card.counter, kiosk.reader.device)
            step = Step(held, credit_fen=fen, tells_of=held.torn)
            self._keep(kiosk, kiosk.reader.load(card, number, fen, time_s), step)
            held.torn = None
            self._count("loads")
        holder.loads = []

    def _spend(
        self,
        post: Post,
        held: Held,
        amount_fen: int,
        time_s: int,
        *,
        has_outcome: bool = True,
        is_of_after: bool = False,
    ) -> None:
        """The card is debited; without an outcome only its next step tells so."""
        reader, day = post.reader, (time_s - START_S) // DAY_S
        what = reader.merchant_no, amount_fen, 0, has_outcome, is_of_after, day
        step = Step(held, *what, held.torn, record=(reader.device, reader.seq + 1))
        if has_outcome:
            self._keep(post, reader.spend(held.card, amount_fen, time_s), step)
        else:
            self._keep(post, [reader.intent(held.card, amount_fen, time_s)], step)
            held.card.step(-amount_fen, (reader.device, reader.seq))
        held.torn = None if has_outcome else step
        self._count("spends")

    def _keep(self, post: Post, records: list[bytes], step: Step) -> None:
        post.keep(records, partial(self.truth.told, step))

    # --- what comes home -----------------------------------------------------------------------

    def _deliver(self, day: int, *, everything: bool) -> None:
        queue: list[tuple[float, list[bytes]]] = []
        told: list[Callable[[], None]] = []
        for post in self._kiosks + self._posts:
            if post.online_day > day and not everything:
                continue
            records = [sealed for sealeds, _told in post.outbox for sealed in sealeds]
            told += [on_told for _sealeds, on_told in post.outbox if on_told is not None]
            post.outbox = []
            self._count("records", len(records))
            for number, at in enumerate(range(0, len(records), messages.FORWARD_RECORDS_MAX)):
                portion = records[at : at + messages.FORWARD_RECORDS_MAX]
                for _ in range(2 if self._rng.random() < REPEATED else 1):
                    queue.append((number + self._rng.random() * OVERTAKEN_MAX, portion))
        queue.sort(key=lambda entry: entry[0])
        deliveries = [portion for _place, portion in queue]
        for at in range(0, len(deliveries), DELIVERIES_MAX):
            next_at = at + DELIVERIES_MAX
            portion, ahead = deliveries[at:next_at], deliveries[next_at : next_at + DELIVERIES_MAX]
            self._store.book(portion, ahead)
        for on_told in told:
            on_told()

    def _by(self, now_s: int) -> Act:
        """A clerk of the card centre in person."""
        return CENTRE if self._clerk is None else replace(CENTRE, person=self._clerk(now_s))

    def _count(self, what: str, more: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + more
