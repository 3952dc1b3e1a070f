"""What `onecard ledger splits` finds in books that are really booked, and what its walk costs.

Eight merchants with three POS each. At all of them eat the honest customers of tools/bench/split,
on cards that come back every day; at two of them a clerk splits what is above the limit. Every
tap is a sealed INTENT with its OUTCOME, written by chains of readers and booked by the ledger. A
false positive is an honest purchase that the report names; what a merchant is known by is how many
of its purchases are named. As a program: `python -m tools.bench.ledger_splits [PURCHASES]` with so
many honest purchases per merchant.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.splits import Report, report
from ledger.store import LedgerStore
from protocols.rules.split import WINDOW_S
from protocols.wire import messages, seal
from tools.bench import split

SEED = 1
HONEST_MERCHANTS, SPLITTING_MERCHANTS = 6, 2
HONEST, CHEATS = 2_000, 100  # purchases per merchant; the latter where they are split
_SITE, _OPENING_FEN = "bench", 10_000_000
_BATCH_RECORDS = 4_000
_RecordId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tap:
    """One charge to come: when, where, of which card, and of whose purchase it is a part."""

    time_s: int
    device: int
    card_no: int
    amount_fen: int
    merchant_no: int
    is_cheat: bool


@dataclass(slots=True)
class _Card:
    counter: int = 0
    balance_fen: int = _OPENING_FEN
    last: _RecordId = (0, 0)


class _Reader:
    """The chain of one POS."""

    def __init__(self, device: int) -> None:
        self.device, self.key = device, device.to_bytes(32, "big")
        self.seq, self._tag = 0, seal.CHAIN_START

    def spend(self, tap: Tap, card: _Card) -> list[bytes]:
        """INTENT and OUTCOME of a tap, sealed."""
        after_fen = card.balance_fen - tap.amount_fen
        intent = self._write(
            tap,
            messages.INTENT,
            card_no=tap.card_no,
            counter=card.counter,
            amount_fen=tap.amount_fen,
            before_fen=card.balance_fen,
            after_fen=after_fen,
            merchant_no=tap.merchant_no,
            last_device=card.last[0],
            last_seq=card.last[1],
            flags=0,
        )
        card.counter, card.balance_fen, card.last = (
            card.counter + 1,
            after_fen,
            (self.device, self.seq),
        )
        ended = {"intent_device": self.device, "intent_seq": self.seq}
        return [intent, self._write(tap, messages.OUTCOME, result=messages.COMMITTED, **ended)]

    def _write(self, tap: Tap, kind: int, **fields: int) -> bytes:
        self.seq += 1
        head = {
            "kind": kind,
            "device": self.device,
            "seq": self.seq,
            "earliest_s": tap.time_s - split.DOUBT_S,
            "latest_s": tap.time_s + split.DOUBT_S,
            "boot_id": 1,
            "mono_ms": (tap.time_s - split.DAY_S) * 1000,
        }
        sealed = seal.seal(self.key, messages.encode_record(head | fields), self._tag)
        self._tag = seal.tag_of(sealed)
        return sealed


@dataclass(slots=True)
class Market:
    """All taps in order of time, and which of them each record id is once they are booked."""

    taps: list[Tap]
    by_id: dict[_RecordId, Tap] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, honest: int, cheats: int) -> "Market":
        """The same for the same seed; `cheats` purchases at each merchant that splits."""
        taps = []
        for index in range(HONEST_MERCHANTS + SPLITTING_MERCHANTS):
            planted = cheats if index >= HONEST_MERCHANTS else 0
            for customer in split.workload(seed * 100 + index, honest, planted):
                card_no = _card_no(index, customer)
                for time_s, device, amount_fen in customer.charges:
                    where = device + 10 * index, card_no, amount_fen, split.MERCHANT_NO + index
                    taps.append(Tap(time_s, *where, customer.is_cheat))
        return cls(sorted(taps, key=lambda tap: (tap.time_s, tap.device, tap.card_no)))

    def book(self, store: LedgerStore, take: Callable[[list[list[bytes]]], object]) -> None:
        """Into the books by `take` (LedgerStore.book), as readers and an agent would bring it."""
        readers = {tap.device: _Reader(tap.device) for tap in self.taps}
        cards = {tap.card_no: _Card() for tap in self.taps}
        at = {tap.device: tap.merchant_no for tap in self.taps}
        for merchant_no in sorted(set(at.values())):
            store.register_merchant(merchant_no, f"merchant {merchant_no}")
        store.register_devices((d, readers[d].key, at[d], _SITE) for d in sorted(readers))
        store.issue_cards((card_no, _OPENING_FEN) for card_no in sorted(cards))
        waiting: list[bytes] = []
        for tap in self.taps:
            waiting += readers[tap.device].spend(tap, cards[tap.card_no])
            self.by_id[tap.device, readers[tap.device].seq - 1] = tap
            if len(waiting) >= _BATCH_RECORDS:
                take([waiting])
                waiting = []
        take([waiting])


def _card_no(index: int, customer: split.Customer) -> int:
    """Who comes today comes tomorrow: as many cards per merchant as eat there in a day."""
    if customer.is_cheat:
        place = split.PURCHASES_A_DAY + (customer.card_no - split.FIRST_CHEAT) % split.CHEATS_A_DAY
    else:
        place = (customer.card_no - split.FIRST_CARD) % split.PURCHASES_A_DAY
    return 20_000 + index * 2_000 + place


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one market: how many purchases there were, how many were named, and the CPU it took."""

    honest: int
    honest_named: int
    planted: int
    planted_named: int
    named_per_10000: dict[int, float]  # of each merchant's purchases
    spends: int
    cpu_s: float


def measure(seed: int, honest: int, cheats: int) -> Measured:
    """Book a market and look for split charges in it."""
    market = Market.drawn(seed, honest, cheats)
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        store = LedgerStore.open(str(Path(folder) / "ledger.sqlite"))
        try:
            market.book(store, store.book)
            start_s = time.process_time()
            found = report(store, split.LIMIT_FEN, WINDOW_S)
            cpu_s = time.process_time() - start_s
            if sum(found.spends.values()) != len(market.taps):
                raise ValueError(f"{len(market.taps)} spends, {found.spends} in the books")
        finally:
            store.close()
    return _judged(market, found, honest, cheats, cpu_s)


def _judged(market: Market, found: Report, honest: int, cheats: int, cpu_s: float) -> Measured:
    named: set[tuple[int, int, bool]] = set()  # one purchase of a card at a merchant in a day
    for one in found.splits:
        device, seq, *_ = one.charges[0].charge
        tap = market.by_id[device, seq]
        named.add((tap.card_no, (tap.time_s - split.DAY_S) // 86400, tap.is_cheat))
    merchants = range(HONEST_MERCHANTS + SPLITTING_MERCHANTS)
    of = Counter((card_no - 20_000) // 2_000 for card_no, *_ in named)
    per_10000 = {
        split.MERCHANT_NO + index: of[index]
        * 10_000
        / (honest + (cheats if index >= HONEST_MERCHANTS else 0))
        for index in merchants
    }
    return Measured(
        honest=honest * len(merchants),
        honest_named=sum(not is_cheat for *_, is_cheat in named),
        planted=cheats * SPLITTING_MERCHANTS,
        planted_named=sum(is_cheat for *_, is_cheat in named),
        named_per_10000=per_10000,
        spends=len(market.taps),
        cpu_s=cpu_s,
    )


def rows(
    seed: int = SEED, honest: int = HONEST, cheats: int = CHEATS
) -> Iterator[dict[str, object]]:
    """What is found beside the budget and beside all; the cost beside that of a quarter of it."""
    measured, quarter = measure(seed, honest, cheats), measure(seed, honest // 4, cheats // 4)
    name = f"split charges in {measured.spends} booked spends"
    yield {
        "name": f"{name}: false positives",
        "ours": measured.honest_named * 10_000 / measured.honest,
        "other": split.BUDGET_PER_10000,
        "against": "the declared budget",
        "unit": "per 10,000 honest purchases",
    }
    yield {
        "name": f"{name}: found where a clerk splits",
        "ours": measured.planted_named * 100 / measured.planted,
        "other": 100,
        "against": "all who split 60 yuan into 3 x 20",
        "unit": "per 100",
    }
    rates = sorted(measured.named_per_10000.items())
    yield {
        "name": f"{name}: the merchant that splits least",
        "ours": min(rate for _, rate in rates[HONEST_MERCHANTS:]),
        "other": max(rate for _, rate in rates[:HONEST_MERCHANTS]),
        "against": "the honest merchant with most findings",
        "unit": "purchases named per 10,000",
    }
    yield {
        "name": f"{name}: CPU",
        "ours": measured.cpu_s * 1e6 / measured.spends,
        "other": quarter.cpu_s * 1e6 / quarter.spends,
        "against": f"{quarter.spends} spends",
        "unit": "us per spend",
    }


if __name__ == "__main__":
    purchases = int(sys.argv[1]) if len(sys.argv) > 1 else HONEST
    for row in rows(SEED, purchases, purchases // 20):
        print(f"{row['name']}: {row['ours']:.1f}, {row['against']}: {row['other']:.1f}", end=" ")
        print(row["unit"])
