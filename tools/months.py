"""Months of a campus, settled and held against its generator: `onecard sim months`."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.period_rules import broken
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan
from simulator.year.campus import Campus
from simulator.year.office import Office, Settled
from simulator.year.truth import Account


@dataclass(frozen=True, slots=True)
class Months:
    """What was lived, booked and settled.

    `wrong`: (account, in the books, in truth); `broken`: rules of settlement that do not hold.
    """

    cards: int
    seed: int
    settled: list[Settled]
    accounts: int
    wrong: list[tuple[Account, int, int]]
    broken: list[str]

    @property
    def is_right(self) -> bool:
        return not (self.wrong or self.broken or any(one.wrong for one in self.settled))

    def text(self) -> str:
        """For people, several lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.cards:,} cards, seed {self.seed}"
        for one in self.settled:
            yield (
                f"{one.name}: {one.lines:,} lines, {format_yuan(one.turnover_fen)} yuan; closed"
                f" in {one.close_s:.2f} s with {one.readers_open} readers open"
            )
            yield (
                f"  late {one.late_lines:,}: {format_yuan(one.late_fen)}; undecided"
                f" {one.undecided}; commission {format_yuan(one.commission_fen)}; paid"
                f" {format_yuan(one.paid_fen)}, {one.failed} only at the second try"
            )
            yield from (f"  WRONG: {fault}" for fault in one.wrong)
        for (kind, owner), booked_fen, true_fen in self.wrong:
            booked, true = format_yuan(booked_fen), format_yuan(true_fen)
            yield f"WRONG: {kind} {owner}: {booked} in the books, {true} in truth"
        yield from (f"NOT SO: {rule}" for rule in self.broken)
        if self.is_right:
            yield f"all {self.accounts:,} accounts are equal to the fen; settlement's rules hold"


def live(
    cards: int, months: int, seed: int, progress: Callable[[str], None] | None = None
) -> Months:
    """A campus of `cards` lives `months` months, which are closed, approved and paid."""
    with tempfile.TemporaryDirectory(prefix="onecard-months-") as folder:
        store = LedgerStore.open(str(Path(folder) / "ledger.sqlite"))
        try:
            return _live(store, cards, months, seed, progress)
        finally:
            store.close()


def _live(
    store: LedgerStore,
    cards: int,
    months: int,
    seed: int,
    progress: Callable[[str], None] | None,
) -> Months:
    campus = Campus(store, cards, seed)
    office = Office(store, campus.truth)
    settled = []
    for day in campus.live(office.days(months)):
        month = office.evening(day)
        if month is not None:
            settled.append(month)
            if progress:
                progress(f"{month.name} is settled")
    balances = store.balances()
    wrong = campus.truth.differences(balances)
    return Months(cards, seed, settled, len(balances), wrong, broken(store.database))
