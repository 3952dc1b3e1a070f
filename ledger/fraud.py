"""What no honest card leaves in the books: forks (ledger/forks.py), and two grounds that ask more.

| ground     | asks                      | a card, and                                         |
|------------|---------------------------|-----------------------------------------------------|
| TRAVEL     | the sites of its readers, | two taps next to each other on its way, at two      |
|            | and how long people walk  | sites, surely closer in time than anybody walks; no |
|            |                           | reader has a twin                                   |
| ABOVE_LOAD | its opening and its loads | behind a gap it held more than opening and all      |
|            |                           | loads less the spends before; no other fork         |

TRAVEL trusts clocks to be as good as they say, so it is UNDECIDED: a copy, or a clock. Next to
each other are taps at one counter, or at one and the next that is on record. ABOVE_LOAD asks only
behind a gap: elsewhere the debit before says what there should be (BALANCE). What is lost or under
way only makes the card's money less, so neither accuses an honest card.

How a look stays cheap. Of a card without findings, only what stands at the counters from the last
one before its change can be in a new finding: the records before that are as they were, one state
of the card at each counter, and every ground compares neighbours or counts what is at least there.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from operator import attrgetter

from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.forks import (
    TAP_COLUMNS,
    TAP_ORDER,
    Fork,
    Ground,
    Kind,
    Tap,
    fork_of,
    forks_of,
    order_of,
    tap_of,
    twins_in,
)

# The taps of cards from the last counter before `low` on.
_FROM = f"""
WITH k (wanted, low) AS (VALUES {{keys}})
SELECT {TAP_COLUMNS}
FROM k CROSS JOIN intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
WHERE i.card_no = wanted AND i.counter >= COALESCE(
    (SELECT MAX(p.counter) FROM intent p WHERE p.card_no = wanted AND p.counter < low), 0)
ORDER BY {TAP_ORDER}"""
_CARDS = "SELECT DISTINCT card_no FROM intent ORDER BY card_no"
_SITES = "SELECT device, site FROM device"
_PUT_ON = """
SELECT c.opening_fen + (SELECT COALESCE(SUM(l.amount_fen), 0) FROM load l
    WHERE l.card_no = c.card_no)
FROM card c WHERE c.card_no = ?"""
_SPENT = f"""
SELECT COALESCE(SUM(amount_fen), 0) FROM intent
WHERE card_no = ? AND counter < ? AND state = {int(State.COMMITTED)} AND credit_no = 0"""

Walks = Mapping[frozenset[str], int]  # the least seconds between two sites


class Examiner:
    """Looks at cards with what it knows of readers at that moment. Reading only.

    `walks`: the least seconds between two sites; of others TRAVEL says nothing.
    """

    def __init__(self, database: Dialect, walks: Walks) -> None:
        self._database = database
        self._walks = walks
        self._twins = twins_in(database)
        self._sites: dict[int, str] = dict(database.rows(_SITES)) if walks else {}

    def examine(self, cards: Iterable[tuple[int, int]]) -> Iterator[Fork]:
        """The findings of cards (card_no, low), each once; they are new at `low` and above.

        `low` 0: everything about the card.
        """
        lows = dict(cards)
        taps = map(tap_of, self._database.rows_of(_FROM, sorted(lows.items())))
        for card_no, group in groupby(taps, key=attrgetter("card_no")):
            yield from self._findings(list(group), lows[card_no])

    def everything(self) -> Iterator[Fork]:
        """The findings of every card."""
        cards = [(card_no, 0) for (card_no,) in self._database.rows(_CARDS)]
        return self.examine(cards)

    def _findings(self, taps: list[Tap], low: int) -> list[Fork]:
        found = forks_of(taps, self._twins)
        if not found:
            found += self._above_load(taps, low)
        found += self._too_fast(taps)
        return sorted(found, key=order_of)

    def _above_load(self, taps: list[Tap], low: int) -> Iterator[Fork]:
        left = {tap.left for tap in taps if tap.is_debit}
        before: Tap | None = None
        for _counter, group in groupby(taps, key=attrgetter("counter")):
            here = list(group)
            tap = max(here, key=attrgetter("before_fen", "record_id"))
            if tap.counter >= low and tap.shown not in left:
                for (put_on_fen,) in list(self._database.rows(_PUT_ON, (tap.card_no,))):
                    if tap.before_fen > put_on_fen - self._spent_fen(tap):
                        first = before or tap
                        yield Fork(tap.card_no, Kind.UNDECIDED, Ground.ABOVE_LOAD, first, tap)
            before = max(here, key=attrgetter("is_debit", "record_id"))

    def _spent_fen(self, tap: Tap) -> int:
        ((fen,),) = self._database.rows(_SPENT, (tap.card_no, tap.counter))
        return int(fen)

    def _too_fast(self, taps: list[Tap]) -> Iterator[Fork]:
        if not self._walks:
            return
        said: set[frozenset[tuple[int, int]]] = set()
        groups = [list(group) for _, group in groupby(taps, key=attrgetter("counter"))]
        for before, here in pairwise([[], *groups]):
            for tap in here:
                near = [other for other in (*before, *here) if self._is_too_fast(tap, other)]
                if not near:
                    continue
                other = min(near, key=lambda one: (_span_s(tap, one), one.record_id))
                pair = frozenset((tap.record_id, other.record_id))
                if pair not in said:
                    said.add(pair)
                    yield fork_of(Kind.UNDECIDED, Ground.TRAVEL, tap, other)

    def _is_too_fast(self, one: Tap, other: Tap) -> bool:
        if self._twins & {one.device, other.device}:
            return False
        sites = frozenset((self._sites[one.device], self._sites[other.device]))
        return _span_s(one, other) < self._walks.get(sites, 0)


def _span_s(one: Tap, other: Tap) -> int:
    """How far apart the two are at most."""
    return max(one.latest_s, other.latest_s) - min(one.earliest_s, other.earliest_s)
