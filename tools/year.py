"""Books a year of a campus and holds it against what its generator says: `onecard sim year`."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from protocols.rules.money import format_yuan
from simulator.year.campus import Campus
from simulator.year.truth import Account
from tools.new_books import new_books

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Year:
    """What was lived and booked. `wrong`: (account, in the books, in truth) of what differs."""

    cards: int
    days: int
    seed: int
    counts: dict[str, int]
    accounts: int
    missing: int  # records that are not in the books
    wrong: list[tuple[Account, int, int]]
    took_s: float
    cpu_s: float

    @property
    def is_right(self) -> bool:
        return not self.wrong and not self.missing

    def text(self) -> str:
        """For people, several lines."""
        counted = ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))
        records = self.counts["records"]
        lines = [
            f"{self.cards:,} cards, {self.days} days, seed {self.seed}: {counted}",
            f"{self.took_s:,.0f} s, {self.cpu_s:,.0f} s of CPU here, generator and verbs included:"
            f" {records / self.took_s:,.0f} records a second",
        ]
        if self.missing:
            lines.append(f"WRONG: {self.missing:,} records are not in the books")
        for (kind, owner), booked_fen, true_fen in self.wrong[:_SHOWN]:
            booked, true = format_yuan(booked_fen), format_yuan(true_fen)
            lines.append(f"WRONG: {kind} {owner}: {booked} in the books, {true} in truth")
        if self.is_right:
            lines.append(f"all {self.accounts:,} accounts are equal to the fen")
        else:
            lines.append(f"{len(self.wrong):,} of {self.accounts:,} accounts are wrong")
        return "\n".join(lines)


def live(
    cards: int, days: int, seed: int, place: str | None, progress: Callable[[str], None] | None
) -> Year:
    """A campus of `cards` lives `days` days from 1 September on, in the books at `place`.

    None: a file that goes away again. Raises NotEmpty, and what LedgerStore.open and the ledger's
    verbs raise.
    """
    start_s, start_cpu_s = time.monotonic(), _cpu_s()
    with new_books(place) as store:
        campus = Campus(store, cards, seed)
        for day in campus.live(days):
            if progress and (day + 1) % 30 == 0:
                records, took_s = campus.counts["records"], time.monotonic() - start_s
                progress(f"day {day + 1}: {records:,} records in {took_s:,.0f} s")
        balances = store.balances()
        missing = campus.counts["records"] - store.summary()["records"]
    wrong = campus.truth.differences(balances)
    took_s, cpu_s = time.monotonic() - start_s, _cpu_s() - start_cpu_s
    counts = campus.counts
    return Year(cards, days, seed, counts, len(balances), missing, wrong, took_s, cpu_s)


def _cpu_s() -> float:
    """Of this process and of those of its own that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
