"""Months of a campus, settled and held against its generator: `onecard sim months`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.period_rules import broken
from protocols.rules.money import format_yuan
from simulator.year.campus import START_S, Campus
from simulator.year.office import Office, Settled
from simulator.year.staff import Staff
from simulator.year.truth import Account
from tools.new_books import new_books

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Months:
    """What was lived, booked and settled.

    `wrong`: (account, in the books, in truth); `broken`: rules of settlement that do not hold.
    """

    cards: int
    seed: int
    records: int
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
        yield f"{self.cards:,} cards, seed {self.seed}: {self.records:,} records"
        for one in self.settled:
            yield from _said(one)
        for (kind, owner), booked_fen, true_fen in self.wrong:
            booked, true = format_yuan(booked_fen), format_yuan(true_fen)
            yield f"WRONG: {kind} {owner}: {booked} in the books, {true} in truth"
        yield from (f"NOT SO: {rule}" for rule in self.broken)
        if self.is_right:
            yield f"all {self.accounts:,} accounts are equal to the fen; settlement's rules hold"


def _said(one: Settled) -> Iterator[str]:
    """A period, in lines."""
    yield (
        f"{one.name}: {one.lines:,} lines, {format_yuan(one.turnover_fen)} yuan; closed in"
        f" {one.close_s:.2f} s, {one.close_cpu_s:.2f} s of CPU here, with {one.readers_open}"
        f" readers open; undecided {one.undecided}"
    )
    for name, count, fen in one.late:
        yield f"  late {count:,} of {name}: {format_yuan(fen)}, each traced to its record"
    if one.refused_by:
        yield f"  refused by {one.refused_by} in {one.approve_s:.2f} s: all of it goes on"
    else:
        yield (
            f"  approved in {one.approve_s:.2f} s; commission {format_yuan(one.commission_fen)};"
            f" paid {format_yuan(one.paid_fen)}, {one.failed} only at the second try"
        )
    if one.statements is not None:
        told = one.statements
        yield (
            f"  statements: {told.cleared:,} lines of the acquirer cleared, {told.verified:,}"
            f" payments by aggregate code verified; {len(told.unmatched)} unmatched:"
        )
        yield from (f"    {text}" for text in told.unmatched[:_SHOWN])
    yield from (f"  WRONG: {fault}" for fault in one.wrong[:_SHOWN])


def live(
    cards: int,
    months: int,
    seed: int,
    place: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Months:
    """A campus of `cards` lives `months` months, which are closed, approved and paid.

    In the books at `place`; None: a file that goes away again. Raises NotEmpty, and what
    LedgerStore.open and the ledger's verbs raise.
    """
    with new_books(place) as store:
        staff = Staff(store, START_S)
        campus = Campus(store, cards, seed, staff.clerk)
        office = Office(store, campus, staff)
        settled = []
        for day in campus.live(office.days(months)):
            closed = office.evening(day)
            settled += closed
            if progress and closed:
                progress(f"{closed[-1].name} is settled")
        balances, records = store.balances(), store.summary()["records"]
        wrong = campus.truth.differences(balances)
        found = broken(store.database)
        return Months(cards, seed, records, settled, len(balances), wrong, found)
