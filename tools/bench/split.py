"""What the rule against split charges costs honest customers, and how many cheats it catches.

Lunches at one merchant with three windows are drawn from a seed, with the things that honest
people do: a forgotten dish, a second helping, a drink later, a friend who is treated. Into them
come cheats who split 60 yuan into three times 20. The shares below are assumptions, not counts of
a real canteen; `SHARES` is the place to put counts when there are some. Every POS judges by its
own ring as it would offline, the ledger by all charges. A false positive is an honest purchase
that is asked for the PIN though none of its charges alone is above the limit.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from protocols.rules import split

SEED = 1
LIMIT_FEN = 5000  # the no-PIN limit that a real campus has by default
BUDGET_PER_10000 = 30  # declared: honest purchases that may be asked for the PIN by this rule
CAUGHT_PER_100_MIN = 95  # of the cheats who do not wait, by the POS alone
WINDOWS_S = (30, 60, 120, 180, 300, 600, 1800)
HONEST, CHEATS = 40_000, 2_000
MERCHANT_NO, DEVICES = 71, (1001, 1002, 1003)
DAY_S, _LUNCH_S, PURCHASES_A_DAY, CHEATS_A_DAY = 1_790_000_000, 5400, 1_500, 75
FIRST_CARD, FIRST_CHEAT = 20_000, 1_000_000
DOUBT_S = 2  # a reader that hears from its ledger knows the time this well

# What an honest customer does besides the first charge: per 10,000 customers, how many charges
# follow, the range of seconds until each (short ones as likely as long ones, by order of
# magnitude) and of fen. Whoever is treated eats a whole lunch.
SHARES = (
    ("a dish forgotten by the clerk", 500, 1, (6, 60), (200, 800)),
    ("a drink at once", 400, 1, (5, 90), (300, 600)),
    ("a second helping", 800, 1, (120, 1500), (200, 900)),
    ("a drink later", 600, 1, (600, 3600), (300, 600)),
    ("a friend treated", 60, 1, (8, 90), (1000, 2600)),
    ("two friends treated", 12, 2, (8, 90), (1000, 2600)),
    ("a room fetching one by one", 20, 3, (30, 900), (1000, 2600)),
)
_DEAR_PER_10000, _DEAR_FEN = 400, (2500, 4800)  # dishes fried to order
# How cheats go about it: per 100 cheats, seconds between the parts, whether at several windows.
WAYS = (
    ("at once", 50, (4, 20), False),
    ("others served between", 25, (15, 120), False),
    ("at another window", 15, (15, 120), True),
    ("with patience", 10, (120, 1800), False),
)
PARTS, PART_FEN = 3, 2000


@dataclass(frozen=True, slots=True)
class Customer:
    """One purchase: what its holder is doing, and when, where and how much he paid."""

    card_no: int
    way: str
    is_cheat: bool
    charges: tuple[tuple[int, int, int], ...]  # (time_s, device, amount_fen)


@dataclass(slots=True)
class Count:
    """Customers of one kind, and those that POS and ledger have stopped or found."""

    all: int = 0
    at_pos: int = 0
    in_ledger: int = 0


@dataclass(slots=True)
class Measured:
    """What a window does to each kind of customer."""

    window_s: int
    ways: dict[tuple[bool, str], Count] = field(default_factory=dict)

    def total(self, is_cheat: bool) -> Count:
        """All honest customers, or all cheats."""
        counts = [count for (cheat, _), count in self.ways.items() if cheat == is_cheat]
        return Count(
            sum(count.all for count in counts),
            sum(count.at_pos for count in counts),
            sum(count.in_ledger for count in counts),
        )


def workload(seed: int, honest: int, cheats: int) -> list[Customer]:
    """Honest lunches and cheats among them, in days; the same for the same seed."""
    draw = random.Random(seed)
    customers = []
    for number in range(honest):
        day_s = DAY_S + number // PURCHASES_A_DAY * 86400
        customers.append(_honest(draw, FIRST_CARD + number, day_s))
    for number in range(cheats):
        day_s = DAY_S + number // CHEATS_A_DAY * 86400
        customers.append(_cheat(draw, FIRST_CHEAT + number, day_s))
    return customers


def _honest(draw: random.Random, card_no: int, day_s: int) -> Customer:
    device, time_s = draw.choice(DEVICES), day_s + draw.randrange(_LUNCH_S)
    charges = [(time_s, device, _lunch_fen(draw))]
    way, at = "one lunch", draw.randrange(10_000)
    for name, share, times, after_s, fen in SHARES:
        at -= share
        if at < 0:
            way = name
            for _ in range(times):
                time_s += _pause_s(draw, after_s)
                charges.append((time_s, device, draw.randint(*fen)))
            break
    return Customer(card_no, way, False, tuple(charges))


def _lunch_fen(draw: random.Random) -> int:
    """Most pay 12 to 22 yuan, some for dearer dishes; nobody at once more than the limit."""
    if draw.randrange(10_000) < _DEAR_PER_10000:
        return draw.randint(*_DEAR_FEN)
    return min(int(draw.lognormvariate(7.38, 0.3)), LIMIT_FEN)


def _pause_s(draw: random.Random, range_s: tuple[int, int]) -> int:
    least_s, most_s = range_s
    return round(least_s * (most_s / least_s) ** draw.random())


def _cheat(draw: random.Random, card_no: int, day_s: int) -> Customer:
    way, _, between_s, moves = draw.choices(WAYS, [share for _, share, _, _ in WAYS])[0]
    device, time_s = draw.choice(DEVICES), day_s + draw.randrange(_LUNCH_S)
    charges = []
    for _ in range(PARTS):
        charges.append((time_s, device, PART_FEN))
        time_s += _pause_s(draw, between_s)
        if moves:
            device = draw.choice([other for other in DEVICES if other != device])
    return Customer(card_no, way, True, tuple(charges))


def measure(customers: Sequence[Customer], window_s: int, doubt_s: int = DOUBT_S) -> Measured:
    """How many of each kind are stopped at the POS, and found by the ledger."""
    measured = Measured(window_s)
    stopped = _stopped(customers, window_s, doubt_s)
    found = {card for card, *_ in split.evidence(_booked(customers, doubt_s), window_s, LIMIT_FEN)}
    for customer in customers:
        count = measured.ways.setdefault((customer.is_cheat, customer.way), Count())
        count.all += 1
        count.at_pos += customer.card_no in stopped
        count.in_ledger += customer.card_no in found
    return measured


def _booked(customers: Sequence[Customer], doubt_s: int) -> Iterator[tuple[int, ...]]:
    """All charges as if no POS had stopped any, in order of time, as tuples of rules/split.py."""
    taps = sorted(
        (time_s, device, customer.card_no, amount_fen)
        for customer in customers
        for time_s, device, amount_fen in customer.charges
    )
    for seq, (time_s, device, card_no, amount_fen) in enumerate(taps, 1):
        moment = (time_s - doubt_s, time_s + doubt_s, 1, time_s - DAY_S)
        yield (device, seq, card_no, MERCHANT_NO, amount_fen, *moment, 0)


def _stopped(customers: Sequence[Customer], window_s: int, doubt_s: int) -> set[int]:
    """Cards that a POS asked for the PIN; what it asked for it is not a charge without it."""
    rings = {device: split.Recent(device, MERCHANT_NO) for device in DEVICES}
    stopped = set()
    for charge in _booked(customers, doubt_s):
        ring = rings[charge[split.DEVICE]]
        if ring.purchase_fen(charge, window_s) > LIMIT_FEN:
            stopped.add(charge[split.CARD_NO])
        else:
            ring.note(charge)
    return stopped


def impatient(measured: Measured) -> Count:
    """The cheats whom one POS can see and who do not wait."""
    counts = [measured.ways[True, way] for way in ("at once", "others served between")]
    return Count(
        sum(count.all for count in counts),
        sum(count.at_pos for count in counts),
        sum(count.in_ledger for count in counts),
    )


def rows(
    seed: int = SEED, honest: int = HONEST, cheats: int = CHEATS
) -> Iterator[dict[str, object]]:
    """Of each window: honest purchases stopped beside the budget, cheats caught beside all."""
    customers = workload(seed, honest, cheats)
    for window_s in WINDOWS_S:
        measured = measure(customers, window_s)
        fair, foul = measured.total(False), measured.total(True)
        for where, stopped, caught in (
            ("POS", fair.at_pos, foul.at_pos),
            ("ledger", fair.in_ledger, foul.in_ledger),
        ):
            name = f"split charges, window {window_s} s, {where}"
            yield {
                "name": f"{name}: false positives",
                "ours": stopped * 10_000 / fair.all,
                "other": BUDGET_PER_10000,
                "against": "the declared budget",
                "unit": "per 10,000 honest purchases",
            }
            yield {
                "name": f"{name}: cheats caught",
                "ours": caught * 100 / foul.all,
                "other": 100,
                "against": "all who split 60 yuan into 3 x 20",
                "unit": "per 100",
            }


def table(seed: int = SEED, honest: int = HONEST, cheats: int = CHEATS) -> Iterator[str]:
    """The same as lines for people, and for the chosen window each kind of customer."""
    customers = workload(seed, honest, cheats)
    yield f"seed {seed}: {honest} honest purchases, {cheats} cheats, limit {LIMIT_FEN} fen"
    yield "window_s  false/10,000 POS  ledger  caught/100 POS  ledger"
    for window_s in WINDOWS_S:
        measured = measure(customers, window_s)
        fair, foul = measured.total(False), measured.total(True)
        yield (
            f"{window_s:8}  {fair.at_pos * 10_000 / fair.all:16.1f}"
            f"  {fair.in_ledger * 10_000 / fair.all:6.1f}"
            f"  {foul.at_pos * 100 / foul.all:14.1f}  {foul.in_ledger * 100 / foul.all:6.1f}"
        )
    yield f"\nwindow {split.WINDOW_S} s, by what they do: all, stopped at the POS, in the ledger"
    for (is_cheat, way), count in sorted(measure(customers, split.WINDOW_S).ways.items()):
        kind = "cheat" if is_cheat else "honest"
        yield f"{kind:6}  {way:30}  {count.all:6}  {count.at_pos:5}  {count.in_ledger:5}"


if __name__ == "__main__":
    for line in table():
        print(line)
