"""Which of the payments by aggregate code have come in: records beside lines of a statement.

Rules of this file. A pure function of the two sets, so it is the same in whatever order they came,
and nobody has to remember what was matched before. A line may be a record's if merchant and amount
are the same and its time lies in the record's interval, widened by `slack`. Of all ways to pair
them one to one those count that pair the most; a sale is verified only if every one of them pairs
it. So there are never more sales verified than lines, and of two sales with one line between them
neither is: somebody has to look which phone did not pay. A record whose reader did not know the
time could be any line's, and would put all others in doubt: a person has to find its line.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple

WIDTH_MAX_S = 3_600  # a record's interval that is wider is no time


class Sale(NamedTuple):
    """An AGGREGATE record: what a merchant says was paid, in UTC seconds when."""

    device: int
    seq: int
    merchant_no: int
    amount_fen: int
    earliest_s: int
    latest_s: int


class Line(NamedTuple):
    """A line of a channel's statement; (channel, order_no) is its only one for all time."""

    channel: str
    order_no: str
    merchant_no: int
    amount_fen: int
    time_s: int


class Slack(NamedTuple):
    """A payment may be so long before the record's interval or behind it.

    A code is shown for two minutes at most before the merchant confirms; the rest is for the
    clocks of the channels.
    """

    before_s: int = 300
    after_s: int = 120


class Status(StrEnum):
    """What is known of a sale, or of a line."""

    VERIFIED = "verified"  # of a line: it verifies a sale
    UNVERIFIED = "unverified"  # of a line: no record could be its sale
    AMBIGUOUS = "ambiguous"  # there are more sales than lines, or more lines than sales


@dataclass(frozen=True, slots=True)
class Matched:
    """The status of every sale and line, both in order, and the line of each verified sale."""

    sales: dict[Sale, Status]
    lines: dict[Line, Status]
    pairs: dict[Sale, Line]


def match(sales: Iterable[Sale], lines: Iterable[Line], slack: Slack) -> Matched:
    """The one verdict on these sets; see the rules of this file."""
    groups: dict[tuple[int, int], tuple[list[Sale], list[Line]]] = defaultdict(lambda: ([], []))
    of_sale: dict[Sale, Status] = {}
    for sale in set(sales):
        if sale.latest_s - sale.earliest_s <= WIDTH_MAX_S:
            groups[sale.merchant_no, sale.amount_fen][0].append(sale)
        else:
            of_sale[sale] = Status.UNVERIFIED
    for line in set(lines):
        groups[line.merchant_no, line.amount_fen][1].append(line)
    of_line: dict[Line, Status] = {}
    pairs: dict[Sale, Line] = {}
    for own_sales, own_lines in groups.values():
        group = _Group(own_sales, own_lines, slack)
        of_sale |= group.statuses_of_sales()
        of_line |= group.statuses_of_lines()
        pairs |= group.line_of
    verified = {sale: pairs[sale] for sale in sorted(of_sale) if of_sale[sale] is Status.VERIFIED}
    return Matched(
        {sale: of_sale[sale] for sale in sorted(of_sale)},
        {line: of_line[line] for line in sorted(of_line)},
        verified,
    )


class _Group:
    """Sales and lines of one merchant and one amount, paired as often as it goes."""

    def __init__(self, sales: list[Sale], lines: list[Line], slack: Slack) -> None:
        self._lines = sorted(lines, key=lambda line: (line.time_s, line))
        self._times = [line.time_s for line in self._lines]
        self._windows = {
            sale: (sale.earliest_s - slack.before_s, sale.latest_s + slack.after_s)
            for sale in sales
        }
        self.line_of: dict[Sale, Line] = {}
        self._pair()
        self._sale_of = {line: sale for sale, line in self.line_of.items()}

    def _pair(self) -> None:
        """Each line, in order of time, to the sale whose window ends first: as many as can be."""
        coming = sorted(self._windows, key=lambda sale: (self._windows[sale], sale), reverse=True)
        open_sales: list[tuple[int, Sale]] = []
        for line in self._lines:
            while coming and self._windows[coming[-1]][0] <= line.time_s:
                sale = coming.pop()
                heappush(open_sales, (self._windows[sale][1], sale))
            while open_sales and open_sales[0][0] < line.time_s:
                heappop(open_sales)
            if open_sales:
                self.line_of[heappop(open_sales)[1]] = line

    def _lines_near(self, sale: Sale) -> Sequence[Line]:
        first_s, last_s = self._windows[sale]
        return self._lines[bisect_left(self._times, first_s) : bisect_right(self._times, last_s)]

    def _sales_near(self) -> dict[Line, list[Sale]]:
        near: dict[Line, list[Sale]] = {line: [] for line in self._lines}
        for sale in self._windows:
            for line in self._lines_near(sale):
                near[line].append(sale)
        return near

    def statuses_of_sales(self) -> dict[Sale, Status]:
        """Ambiguous: a sale without a line could have its line instead, and so on from there."""
        found = dict.fromkeys(self._windows, Status.VERIFIED)
        looked_at: set[Line] = set()
        waiting = [sale for sale in self._windows if sale not in self.line_of]
        for sale in waiting:
            found[sale] = Status.AMBIGUOUS if self._lines_near(sale) else Status.UNVERIFIED
        while waiting:
            for line in self._lines_near(waiting.pop()):
                if line not in looked_at:
                    looked_at.add(line)
                    rival = self._sale_of[line]  # it has one, or more could be paired
                    found[rival] = Status.AMBIGUOUS
                    waiting.append(rival)
        return found

    def statuses_of_lines(self) -> dict[Line, Status]:
        """The same from the other side."""
        found = dict.fromkeys(self._lines, Status.VERIFIED)
        waiting = [line for line in self._lines if line not in self._sale_of]
        near = self._sales_near() if waiting else {}
        looked_at: set[Sale] = set()
        for line in waiting:
            found[line] = Status.AMBIGUOUS if near[line] else Status.UNVERIFIED
        while waiting:
            for sale in near[waiting.pop()]:
                if sale not in looked_at:
                    looked_at.add(sale)
                    rival = self.line_of[sale]
                    found[rival] = Status.AMBIGUOUS
                    waiting.append(rival)
        return found
