"""Books of a campus with so many cards and records, made by the ledger's own verbs and booking.

Everything that the console shows is there: operators of each role, holders with names, spends,
door entries, punches, inspections, payments by aggregate code with their statement, cases, lost
cards, lists, applications, tickets, keys that were turned, a closed period. Where a campus is
uneven, so is this one: one gate has a third of all entries, one merchant a third of the sales.
As many cards as there are, so many records has a day; the last day is the one before `now_s`.
"""

import hashlib
import random
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger import key_openings, names, people
from ledger.aggregate_match import Line
from ledger.batches import IssueLine
from ledger.holders import Holder
from ledger.lifecycle import HOLDER, Act
from ledger.portions import DELIVERIES_MAX
from ledger.procedures import Act as Step
from ledger.store import LedgerStore
from ledger.temporary import Application
from protocols.rules import access, door, lock, reasons
from protocols.rules.spending import STUDENT
from protocols.wire import messages
from simulator.chains import Card, Reader
from simulator.operators import log_in, log_in_again

SEED = 1
DAY_S, OFFSET_S = 86_400, 28_800
RECORDS_A_CARD = 2  # a day
POS, MERCHANTS, MAGNETS, LOCKS, MACHINES = 300, 25, 40, 160, 4
BUILDINGS = 20
OPENING_FEN = 100_000_000
GATE, DORM = "gates", "dorm-01"
CANTEEN = 71
FIRST_CARD, FIRST_STRANGER = 100_001, 8_000_001
# Of all taps those below: spends, entries, punches, codes, refusals; the rest nobody's cards.
SHARES = (0.58, 0.96, 0.975, 0.988, 0.9995)
_FIRST_POS, _FIRST_MAGNET, _FIRST_LOCK, _FIRST_MACHINE = 1_001, 3_001, 5_001, 7_001
_PORTION = DELIVERIES_MAX * messages.FORWARD_RECORDS_MAX
_PASSES_S = 1_200  # less than a session may be idle
STAFF = {
    "engineer": (people.INFORMATION, people.ENGINEER),
    "clerk": (people.FINANCE, people.CLERK),
    "treasurer": (people.FINANCE, people.TREASURER),
    "steward": (people.GENERAL, people.STEWARD),
    "warden": (people.STUDENTS, people.WARDEN),
    "guard": (people.SECURITY, people.GUARD),
    "head": (people.GENERAL, people.HEAD),
    "head-students": (people.STUDENTS, people.HEAD),
    "head-security": (people.SECURITY, people.HEAD),
    "leader": (people.GENERAL, people.LEADER),
    "president": ("School", people.PRESIDENT),
}
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡"
    "余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯"
    "龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤单仇解区查"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红飞鹏辉健俊帆雪倩文博宇轩浩"
    "然子涵欣怡梓晨思远志国海波云龙建"
)
_INSPECTED = {
    "network": 1,
    "waiting": 0,
    "battery_mv": 4_150,
    "clock_width_s": 2,
    "reader_faults": 0,
    "free_sectors": 9,
    "map_epoch": 1,
}


@dataclass(slots=True)
class Campus:
    """A campus of `cards` cards that makes records until there are `records` of them."""

    store: LedgerStore
    cards: int
    records: int
    now_s: int
    say: Callable[[str], None]
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    made: int = 0
    _staff: dict[str, str] = field(default_factory=dict)
    _sealed: list[bytes] = field(default_factory=list)
    _sales: list[tuple[int, int, int]] = field(default_factory=list)
    _strangers: int = 0
    _purses: list[Card] = field(default_factory=list)
    _pos: list[Reader] = field(default_factory=list)
    _doors: list[Reader] = field(default_factory=list)
    _machines: list[Reader] = field(default_factory=list)

    @property
    def first_day(self) -> int:
        """The day of the first records, since 1970, where the school is."""
        return (self.now_s + OFFSET_S) // DAY_S - self.days

    @property
    def days(self) -> int:
        """How many days the records are of; a month and a bit at most of what attendance asks."""
        return max(self.records // (self.cards * RECORDS_A_CARD), 4)

    def fill(self) -> None:
        """All of it, from nothing."""
        self._register()
        self._let_in()
        self._sell()
        self._office()
        self._settle()

    # --- who and what there is -----------------------------------------------------------------

    def _register(self) -> None:
        store = self.store
        for at in range(MERCHANTS):
            store.register_merchant(CANTEEN + at, f"食堂 {at + 1}")
        self._pos = [Reader(_FIRST_POS + i, CANTEEN + i % MERCHANTS) for i in range(POS)]
        self._machines = [Reader(_FIRST_MACHINE + i, CANTEEN) for i in range(MACHINES)]
        numbers = [_FIRST_MAGNET + i for i in range(MAGNETS)]
        numbers += [_FIRST_LOCK + i for i in range(LOCKS)]
        self._doors = [Reader(number, CANTEEN) for number in numbers]
        readers = [(one, site_of(at)) for at, one in enumerate(self._pos)]
        readers += [(one, site_of(at)) for at, one in enumerate(self._machines)]
        readers += [(one, _site_of_door(at)) for at, one in enumerate(self._doors)]
        store.register_devices((r.device, r.key, r.merchant_no, site) for r, site in readers)
        store.tampers.answer_for((one.device, people.GENERAL) for one in self._pos)
        self._purses = [Card(FIRST_CARD + i, OPENING_FEN) for i in range(self.cards)]
        store.issue_cards((card.card_no, OPENING_FEN) for card in self._purses)

    def _let_in(self) -> None:
        """Operators, doors and who keeps them, holders with their names."""
        store, then_s = self.store, self._begins_s(self.first_day)
        rows = [
            {"name": login, "department": department, "roles": [role]}
            for login, (department, role) in STAFF.items()
        ]
        self._staff = staff = log_in(store, rows, then_s)
        sites = {(_site_of_door(at), _scope_of(at)) for at in range(len(self._doors))}
        heads = {"dorm": "head-students", "public": "head-security"}
        keepers = {"dorm": "warden", "public": "guard"}
        for at, one in enumerate(self._doors):
            what = _scope_of(at), 5_000, 0, at >= MAGNETS
            store.access.add_door(one.device, *what, staff["engineer"], then_s)
        for site, scope in sorted(sites):
            words = site, scope, keepers[scope], then_s, staff[heads[scope]]
            store.access.appoint("appoint", *words)
        for at, one in enumerate(self._doors):
            span = FIRST_CARD + at % self.cards, min(8, self.cards - at % self.cards)
            who = staff[keepers[_scope_of(at)]]
            store.access.grant(one.device, *span, 1, who, then_s)
        self.say("holders")
        by, days = Act(evidence="id-card", person=staff["clerk"]), self.first_day
        for at, card in enumerate(self._purses):
            holder = Holder(f"{2_021_000_000 + at}", STUDENT, f"College {at % 12}")
            store.holders.open(card.card_no, holder, (days - 9, days + 900), then_s, by)
            names.enter(store.database, card.card_no, self._name(), staff["clerk"], then_s)

    def _name(self) -> str:
        rng = self.rng
        given = "".join(rng.choice(_GIVEN) for _ in range(rng.randrange(1, 3)))
        return rng.choice(_SURNAMES) + given

    # --- what readers record ---------------------------------------------------------------------

    def _sell(self) -> None:
        """Days of records; each reader begins its day with an inspection."""
        a_day = self.records // self.days
        for day in range(self.first_day, self.first_day + self.days):
            begins_s, before = self._begins_s(day), self.made
            for one in self._pos:
                waits = {"map_made_s": begins_s, "receipt_s": begins_s}
                self._put(one.write(messages.INSPECTION, begins_s + 21_600, **_INSPECTED, **waits))
            for at, one in enumerate(self._doors):
                self._door_says(at, one, begins_s + 21_600, day == self.first_day)
            while self.made - before < a_day and self.made < self.records:
                share = (self.made - before) / a_day
                self._tap(begins_s + 23_000 + int(share * 57_000))
            self.say(f"day {day - self.first_day + 1} of {self.days}: {self.made:,} records")
        self._book()

    def _tap(self, time_s: int) -> None:
        """Somebody somewhere, of each kind as often as SHARES says."""
        rng = self.rng
        kind, card = bisect(SHARES, rng.random()), rng.choice(self._purses)
        # Squared: the first ones have most of it.
        pos = self._pos[int(rng.random() ** 2 * POS)]
        if kind == 0:
            for sealed in pos.spend(card, rng.randrange(100, 2_000), time_s):
                self._put(sealed)
        elif kind == 1:
            at = 0 if rng.random() < 0.33 else rng.randrange(len(self._doors))
            reason = access.NO_ACCESS if rng.random() < 0.03 else reasons.APPROVED
            said = {"card_no": card.card_no, "reason": reason}
            self._put(self._doors[at].write(messages.ENTRY, time_s, **said))
        elif kind == 2:
            machine = rng.choice(self._machines)
            self._put(machine.write(messages.PUNCH, time_s, card_no=card.card_no))
        elif kind == 3:
            amount_fen = rng.randrange(100, 2_000)
            said = {"amount_fen": amount_fen, "merchant_no": pos.merchant_no}
            self._put(pos.write(messages.AGGREGATE, time_s, **said))
            self._sales.append((pos.merchant_no, amount_fen, time_s))
        elif kind == 4:
            said = {"card_no": card.card_no, "amount_fen": 900, "reason": reasons.BALANCE_SHORT}
            self._put(pos.write(messages.REFUSAL, time_s, **said))
        else:  # the case of a card that nobody has issued
            stranger = Card(FIRST_STRANGER + self._strangers, 5_000)
            self._strangers += 1
            for sealed in pos.spend(stranger, 400, time_s):
                self._put(sealed)

    def _door_says(self, at: int, one: Reader, time_s: int, is_first: bool) -> None:
        if at < MAGNETS:
            state, event, levels = door.STATES.index(door.SECURED), door.number("ready"), 0
            cause = 0
        else:
            battery_mv = 6_000 - at % 40 * 50
            cause = 1 if battery_mv < 4_300 else 0
            self._put(one.write(messages.POWER, time_s, source=0, battery_mv=battery_mv))
            state, event, levels = lock.STATES_AT + lock.STATES.index(lock.LOCKED), 0, 0
            event = lock.number("weaker" if cause and is_first else "home")
        said = {"state": state, "event": event, "levels": levels, "cause": cause}
        self._put(one.write(messages.DOOR, time_s, **said))

    def _put(self, sealed: bytes) -> None:
        self._sealed.append(sealed)
        self.made += 1
        if len(self._sealed) >= _PORTION:
            self._book()

    def _book(self) -> None:
        if self._sealed:
            self.store.book([self._sealed])
            self._sealed = []

    # --- what offices do -------------------------------------------------------------------------

    def _office(self) -> None:
        """On the days of the records: losses, keys, applications, tickets, lists, a statement."""
        store, last_s = self.store, self._begins_s(self.first_day + self.days - 1) + 30_000
        for login in STAFF:
            self._staff[login] = log_in_again(store, login, last_s)
        staff, clerk = self._staff, self._staff["clerk"]
        self.say("office")
        for at in range(0, self.cards, 97):
            by = Act(HOLDER, person=clerk)
            store.cards.set("lose", FIRST_CARD + at, last_s, by=by)
        for at in range(max(self.cards // 20, 20)):
            one = self._doors[-1 - at % 3 if at % 2 else MAGNETS + at % LOCKS]
            because = f"key turned for a holder, {at}"
            key_openings.enter(store.database, one.device, because, staff["warden"], last_s)
        day = self.first_day
        for at in range(max(self.cards // 100, 3)):
            person, applicant = f"T{at:07}", f"S{at:07}"
            term = people.GENERAL, day, day + 300
            number = store.temporaries.apply(
                Application(person, applicant, "厨师", 1, *term), last_s, clerk
            )
            if at % 2:
                store.temporaries.approve(number, 1, staff["head"], last_s)
        self._hand_out(1, last_s)
        for at in range(POS):
            by = Step("department", staff["steward"], said="the display is dark")
            store.merchants.tickets.report(f"R-{at}", self._pos[at].device, by, last_s)
        self._lists(last_s)
        lines = [
            (at, Line("wechat", f"{day}-{at}", merchant_no, fen, time_s))
            for at, (merchant_no, fen, time_s) in enumerate(self._sales)
            if at % 500
        ]
        store.aggregate.enter(lines, (clerk, last_s))

    def _hand_out(self, number: int, time_s: int) -> None:
        """An application comes to its card, for the fee."""
        store, staff = self.store, self._staff
        card_no, clerk = FIRST_CARD - 1, staff["clerk"]
        store.holders.issue(card_no, time_s, Act(person=clerk))
        for step, login in ((1, "head"), (2, "treasurer")):
            store.temporaries.approve(number, step, staff[login], time_s)
        shown = Act(evidence="id-card+application", person=clerk)
        store.temporaries.hand_out(number, card_no, time_s, shown)

    def _lists(self, time_s: int) -> None:
        """Lists of new cards, of which half are done and half wait for the second signature."""
        staff, batches, next_no = self._staff, self.store.batches, FIRST_CARD + self.cards
        for number in range(max(self.cards // 2_500, 4)):
            days = self.first_day, self.first_day + 900
            lines = [
                IssueLine(at + 2, next_no + at, _freshman(next_no + at), days) for at in range(100)
            ]
            next_no += len(lines)
            file_sha256 = hashlib.sha256(b"list %d" % number).digest()
            what = "issue", lines, file_sha256
            sha256 = batches.dry_run(*what).sha256
            batches.sign(*what, sha256, staff["clerk"], time_s)
            if number % 2:
                batches.sign(*what, sha256, staff["treasurer"], time_s)
                batches.run(*what, sha256, staff["clerk"], time_s)

    def _settle(self) -> None:
        """The first half of the days is a closed period; what bars it, the treasurer decides."""
        store, middle = self.store, self.first_day + self.days // 2
        until_s, now_s = self._begins_s(middle), self._begins_s(self.first_day + self.days - 1)
        now_s += 30_000 + _PASSES_S
        self.say("period")
        for login in ("clerk", "treasurer"):
            self._staff[login] = log_in_again(store, login, now_s)
        _quiet, left = store.periods.quiet(until_s)
        places = [(one.device, one.seq) for one in left]
        if places:
            because = "these were never in use"
            store.periods.decide(until_s, places, self._staff["treasurer"], because, now_s)
        store.periods.close("first", until_s, self._staff["clerk"], now_s)

    def _begins_s(self, day: int) -> int:
        return day * DAY_S - OFFSET_S


def site_of(at: int) -> str:
    """Where the reader of that place in its row stands."""
    return f"building-{at % BUILDINGS + 1:02}"


def _site_of_door(at: int) -> str:
    if at < MAGNETS:
        return GATE if at % 4 == 0 else f"dorm-{at % BUILDINGS + 1:02}"
    return DORM if at % 2 else f"dorm-{at % BUILDINGS + 1:02}"


def _scope_of(at: int) -> str:
    return "public" if _site_of_door(at) == GATE else "dorm"


def _freshman(card_no: int) -> Holder:
    return Holder(f"{2_026_000_000 + card_no}", STUDENT, "College 1")
