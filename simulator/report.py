"""What came of a run: for a person as a table, for a machine as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from protocols.rules.money import format_yuan

PASS, FAILED, USAGE, TIME_OUT = 0, 1, 2, 42


@dataclass
class Report:
    """Counts and money (fen) of one run.

    `unseen`: spends booked that nobody saw to be paid. `cancelled`: spends whose money was given
    back. `scanned`: recorded as paid by aggregate code. `sold_by_code`: sales to phones.
    Of what was paid in or given back,
    `loaded` is on the cards. `takings_fen` are what merchants keep. `in_ledger` counts what
    simulator/in_ledger.py names. `violations` are broken invariants, `failures` assertions of the
    file that did not hold.
    """

    scenario: str
    seed: int
    home: str
    depth: str
    broker: str = ""
    taps: int = 0
    approved: int = 0
    refused: int = 0
    given_up: int = 0
    records: int = 0
    booked: int = 0
    lost: int = 0
    duplicated: int = 0
    unseen: int = 0
    conserved: bool = False
    issued_fen: int = 0
    on_cards_fen: int = 0
    booked_fen: int = 0
    in_flight_fen: int = 0
    topped_up: int = 0
    loaded: int = 0
    cancelled: int = 0
    scanned: int = 0
    paid_in_fen: int = 0
    loaded_fen: int = 0
    cancelled_fen: int = 0
    sold_by_code: int = 0
    sold_by_code_fen: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    takings_fen: dict[str, int] = field(default_factory=dict)
    in_ledger: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    transcript_sha256: str = ""
    virtual_s: int = 0
    real_s: int = 0
    timed_out: bool = False

    @property
    def exit_code(self) -> int:
        if self.timed_out:
            return TIME_OUT
        return FAILED if self.failures or self.violations else PASS

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    def check(self, asserts: dict[str, Any]) -> None:
        """Note in `failures` which of a scenario's assertions do not hold."""
        by_name = {
            "refusals": self.refusals,
            "takings": self.takings_fen,
            "ledger": self.in_ledger,
        }
        for table, got in by_name.items():
            for name, wanted in asserts.get(table, {}).items():
                if got.get(name, 0) != wanted:
                    self.failures.append(f"{table}: {name} is {got.get(name, 0)}, not {wanted}")
        for name, wanted in asserts.items():
            if name in by_name:
                continue
            is_least = name.endswith("_min")
            got = getattr(self, name.removesuffix("_min"))
            if got < wanted if is_least else got != wanted:
                least = "at least " if is_least else ""
                self.failures.append(f"{name.removesuffix('_min')} is {got}, not {least}{wanted}")

    def __rich__(self) -> Group:
        tables = Table.grid(padding=(0, 6))
        tables.add_row(self._counts(), self._money())
        lines = [
            Text(line, style="bold red")
            for line in (*self.violations, *self.failures, *self._time_out())
        ]
        if not lines:
            lines = [Text("Every record booked once; the books balance to the fen.", "bold green")]
        how = f"{self.virtual_s // 60} min of canteen in {self.real_s} s; firmware in {self.home}"
        where = f"broker {self.broker}, seed {self.seed}, transcript {self.transcript_sha256[:16]}"
        return Group(tables, Text(f"{how}, {where}", style="dim"), *lines)

    def _counts(self) -> Table:
        table = Table(title=self.scenario, title_justify="left", show_header=False)
        table.add_column(justify="left")
        table.add_column(justify="right")
        for name, count in self._rows():
            table.add_row(name, str(count))
        return table

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield "taps", self.taps
        yield "approved", self.approved
        yield "refused", self.refused
        for reason, count in self.refusals.items():
            yield f"  {reason}", count
        yield "left without paying", self.given_up
        yield "records in the ledger", self.records
        yield "spends booked", self.booked
        yield "lost", self.lost
        yield "duplicated", self.duplicated
        yield "charged without being told", self.unseen
        if self.sold_by_code:
            yield "sold to phones", self.sold_by_code
        if self.topped_up:
            yield "paid in for cards", self.topped_up
        if self.scanned:
            yield "by aggregate code", self.scanned
        if self.cancelled:
            yield "cancelled, given back", self.cancelled
        if self.topped_up or self.cancelled:
            yield "of that on the cards", self.loaded

    def _money(self) -> Table:
        table = Table(title="yuan", title_justify="left", show_header=False)
        table.add_column(justify="left")
        table.add_column(justify="right")
        for merchant, fen in self.takings_fen.items():
            table.add_row(f"takings of {merchant}", format_yuan(fen))
        table.add_section()
        table.add_row("on the cards", format_yuan(self.on_cards_fen))
        table.add_row("in flight", format_yuan(self.in_flight_fen))
        table.add_row("booked in the ledger", format_yuan(self.booked_fen))
        total_fen = self.on_cards_fen + self.in_flight_fen + self.booked_fen
        table.add_row("together", format_yuan(total_fen), style="bold")
        if self.sold_by_code:
            table.add_row("sold to phones", format_yuan(self.sold_by_code_fen))
        if self.loaded_fen:
            table.add_row("loaded onto cards", format_yuan(self.loaded_fen))
        table.add_row("issued", format_yuan(self.issued_fen), style="bold")
        return table

    def _time_out(self) -> tuple[str, ...]:
        return ("stopped: out of time",) if self.timed_out else ()
