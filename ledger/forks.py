"""Cards that stand in two places, or in two times: clones and rollbacks, found in what is booked.

A debit takes a card from counter c to c + 1 and leaves its record's id on the card (a counted PIN
try, an INTENT of nothing, is one in all of this), so an INTENT says which debit its card came
from, and the intents of one card make one chain. A fork is where they do not. Reading only; the
findings depend on which records are booked and on nothing else.

A credit is a step of that chain like a debit: its CREDIT record says what the reader saw, and the
card names it by its number. What is said of debits below holds for it too.

What makes a fork. No clock is asked, for a reader's may be wrong:

| ground     | two records of one card, and                                                    |
|------------|---------------------------------------------------------------------------------|
| TWO_DEBITS | both debited it at the same counter                                             |
| OTHER_PAST | one debited it at c, and at c + 1 it named another debit than that one;         |
|            | or it named two different debits at the same counter                            |
| WENT_BACK  | one reader saw it at a counter that this reader had seen it beyond              |
| BALANCE    | it did not hold what the debit left that it named, or two different balances    |
|            | behind the same one; no reader has a twin, and the record is in no other fork   |

What makes none, because honest cards do it: an outcome that is UNKNOWN or missing, a tap that is
repeated, a credit that is tried again, records that are LOST or under way. The chain has a gap
there, and what stands behind the gap is a chain of its own; it only has to begin further on than
the one before has got.

Which kind it is, time tells: at one reader the sequence, between two the intervals, where they lie
apart. A line is a record of the pair with all that follows from it; what stands behind a gap
behind a fork may belong to either, and is counted to both where that is the safe side.

| what is known                                                                    | kind      |
|----------------------------------------------------------------------------------|-----------|
| a reader of the pair has a twin (is_forked), or BALANCE                          | UNDECIDED |
| WENT_BACK by one debit                                                           | UNDECIDED |
| of each line, a tap that was surely later than a tap of the other                | CLONE     |
| the pair was seen at two readers, surely within `close_s`                        | CLONE     |
| TWO_DEBITS or WENT_BACK: one line had at least two debits and was surely over    |           |
| before the first tap of the other, which found counter, last debit and balance   |           |
| as they had been                                                                 | ROLLBACK  |
| anything else                                                                    | UNDECIDED |

What cannot be told apart: one card that is written back and forth looks like two (CLONE). A clone
whose original was not used again looks like a card that was written back (ROLLBACK). A card has
two slots: where the newer one wears out it goes back by one debit all by itself, so going back by
one proves nothing against its holder. A card made anew under its old number looks like either, or
is UNDECIDED where its balance is another. A clock that is wrong by more than it says may turn one
kind into another. Later records may do so too; they never clear a card.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from ledger.dialect import Dialect, Row
from ledger.evidence import State
from ledger.store import LedgerStore
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal

# Nobody takes a card off one reader, writes it back and holds it to another in less.
CLOSE_S = 3
# Of the last so many debits a card still has the state before.
_SLOTS = 2
TAP_COLUMNS = """i.card_no, i.device, i.seq, i.counter, i.last_device, i.last_seq, i.amount_fen,
    i.earliest_s, i.latest_s, i.state, i.credit_no, r.sha256, r.sealed"""
TAP_ORDER = "i.card_no, i.counter, i.device, i.seq"
_TAPS = f"""
SELECT {TAP_COLUMNS}
FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
ORDER BY {TAP_ORDER}"""
_TWINS = "SELECT device FROM device WHERE is_forked = 1"

RecordId = tuple[int, int]
Shown = tuple[int, RecordId]  # what a card shows: its counter, and the record that debited it last


class Kind(StrEnum):
    """What it is, as far as the books can tell."""

    CLONE = "clone"
    ROLLBACK = "rollback"
    UNDECIDED = "undecided"


class Ground(StrEnum):
    """Why two records contradict each other."""

    TWO_DEBITS = "two debits at one counter"
    OTHER_PAST = "two different last debits"
    WENT_BACK = "back at an earlier counter"
    BALANCE = "a balance no debit left"
    # These two are not in `forks`: they ask for more than the taps (ledger/fraud.py).
    TRAVEL = "at two sites sooner than anybody walks"
    ABOVE_LOAD = "more money than was ever put on it"


@dataclass(frozen=True, slots=True)
class Tap:
    """An INTENT or CREDIT as evidence: what a reader saw on a card, when, and its record's hash.

    `after_fen` is what it left on the card, or would have left; `amount_fen` of a credit is
    negative. `credit_no` is 0 of an INTENT.
    """

    card_no: int
    device: int
    seq: int
    counter: int
    last: RecordId
    amount_fen: int
    before_fen: int
    after_fen: int
    earliest_s: int
    latest_s: int
    state: State
    credit_no: int
    sha256: bytes

    @property
    def record_id(self) -> RecordId:
        return self.device, self.seq

    @property
    def mark(self) -> RecordId:
        """What it leaves on the card as the last record."""
        return (CARD_CENTRE, self.credit_no) if self.credit_no else self.record_id

    @property
    def shown(self) -> Shown:
        return self.counter, self.last

    @property
    def left(self) -> Shown:
        """What the card shows after this debit."""
        return self.counter + 1, self.mark

    @property
    def is_debit(self) -> bool:
        return self.state is State.COMMITTED

    @property
    def reach(self) -> int:
        """How far its reader knows the card to have got."""
        return self.counter + self.is_debit

    def is_after(self, other: "Tap") -> bool:
        """Whether it was surely later."""
        if self.device == other.device:
            return self.seq > other.seq
        return self.earliest_s > other.latest_s


@dataclass(frozen=True, slots=True)
class Fork:
    """Two records that cannot both be of one honest card: the evidence, and what it proves.

    `first` is the one that was surely earlier; where nobody knows, the one that may have been.
    """

    card_no: int
    kind: Kind
    ground: Ground
    first: Tap
    second: Tap


@dataclass(frozen=True, slots=True)
class _Split:
    """The evidence of a fork and its two lines, each with its first tap in front."""

    ground: Ground
    pair: tuple[Tap, Tap]
    lines: tuple[list[Tap], list[Tap]]


def forks(store: LedgerStore, close_s: int = CLOSE_S) -> Iterator[Fork]:
    """Every fork in the books, by card. One walk along the index of cards and counters."""
    twins = twins_in(store.database)
    taps = map(tap_of, store.database.rows(_TAPS))
    for _card_no, group in groupby(taps, key=attrgetter("card_no")):
        yield from forks_of(list(group), twins, close_s)


def twins_in(database: Dialect) -> set[int]:
    """Readers of whose number there are two: is_forked."""
    return {device for (device,) in database.rows(_TWINS)}


def forks_of(taps: list[Tap], twins: set[int], close_s: int = CLOSE_S) -> list[Fork]:
    """The forks of one card, whose `taps` come in TAP_ORDER; in order of their evidence."""
    history = _History(_tried_once(taps))
    splits = [*_two_debits(history), *_other_pasts(history)]
    splits += _went_back(history, {tap.shown for split in splits for tap in split.pair})
    found = [
        fork_of(_kind(split, history, close_s, twins), split.ground, *split.pair)
        for split in splits
    ]
    accused = {tap.record_id for split in splits for tap in split.pair}
    for known, tap in _wrong_balances(history):
        if tap.record_id not in accused and not twins & {known.device, tap.device}:
            found.append(Fork(tap.card_no, Kind.UNDECIDED, Ground.BALANCE, known, tap))
    return sorted(found, key=order_of)


def order_of(fork: Fork) -> tuple[tuple[int, int, int], ...]:
    """Forks of one card come in this order."""
    return _claim(fork.first), _claim(fork.second)


def _tried_once(taps: list[Tap]) -> list[Tap]:
    """Of the tries that one credit at one counter may have been, one is it, the others saw it.

    None is it whose reader has seen the card there again.
    """
    tries: dict[Shown, list[Tap]] = defaultdict(list)
    latest: dict[tuple[int, int], int] = {}
    for tap in taps:
        where = tap.device, tap.counter
        latest[where] = max(tap.seq, latest.get(where, 0))
        if tap.credit_no and tap.is_debit:
            tries[tap.left].append(tap)
    others: set[RecordId] = set()
    for same in tries.values():
        may_be = [tap for tap in same if tap.seq == latest[tap.device, tap.counter]] or same[-1:]
        others |= {tap.record_id for tap in same} - {may_be[0].record_id}
    return [replace(tap, state=State.UNKNOWN) if tap.record_id in others else tap for tap in taps]


class _History:
    """The intents of one card, which come in order of their counters, as chains of debits.

    `at`: the taps that found it showing something. `orphans`: what a chain begins with that has
    no place behind the others, and the tap that says so. `loose`: what a chain begins with that
    may belong to one line or the other, because it stands behind a fork and a gap.
    """

    def __init__(self, taps: list[Tap]) -> None:
        self.taps = taps
        self.at: dict[Shown, list[Tap]] = defaultdict(list)
        for tap in taps:
            self.at[tap.shown].append(tap)
        self.orphans: list[tuple[Shown, Tap]] = []
        self.loose: list[Shown] = []
        self._by_mark = {tap.mark: tap for tap in sorted(taps, key=attrgetter("is_debit"))}
        self._behind: dict[Shown, list[Shown]] = defaultdict(list)  # over a gap
        self._before: dict[Shown, Shown] = {}  # and back
        self._link()

    def origin(self, shown: Shown) -> Tap | None:
        """The debit that the card names, if it is on record."""
        tap = self._by_mark.get(shown[1])
        return tap if tap is not None and tap.is_debit and tap.left == shown else None

    def beyond(self, shown: Shown) -> Iterator[Tap]:
        """All taps that found it showing this, or anything that follows from there."""
        waiting = [shown]
        while waiting:
            shown = waiting.pop()
            waiting += self._behind.get(shown, ())
            for tap in self.at.get(shown, ()):
                yield tap
                if tap.is_debit:
                    waiting.append(tap.left)

    def line(self, debit: Tap) -> list[Tap]:
        """A debit and all that follows from it."""
        return [debit, *self.beyond(debit.left)]

    def leads_to(self, shown: Shown, tap: Tap) -> bool:
        """Whether the card has shown this on its way to `tap`."""
        way: Shown | None = tap.shown
        while way is not None and way[0] > shown[0]:
            origin = self.origin(way)
            way = origin.shown if origin is not None else self._before.get(way)
        return way == shown

    def _link(self) -> None:
        """Put each chain behind the one that got furthest before it, if there is room."""
        chain_of: dict[Shown, int] = {}
        brought: dict[tuple[int, int], Tap] = {}  # what brought a chain to a counter
        furthest: tuple[int, int] | None = None  # a chain and its counter
        has_parted = False
        for number, (shown, taps) in enumerate(self.at.items()):
            counter, origin = shown[0], self.origin(shown)
            chain = number if origin is None else chain_of[origin.shown]
            if origin is None and furthest is not None:
                if counter <= furthest[1]:
                    self.orphans.append((shown, brought[furthest[0], counter]))
                    has_parted = True
                elif has_parted:
                    self.loose.append(shown)
                else:
                    end = brought[furthest]
                    place = end.left if end.counter < furthest[1] else end.shown
                    self._behind[place].append(shown)
                    self._before[shown] = place
            debits = [tap for tap in taps if tap.is_debit]
            has_parted = has_parted or len(debits) > 1
            chain_of[shown] = chain
            brought.setdefault((chain, counter), taps[0])
            for tap in debits:
                brought.setdefault((chain, counter + 1), tap)
            reach = max(tap.reach for tap in taps)
            if furthest is None or reach > furthest[1]:
                furthest = chain, reach


def _two_debits(history: _History) -> Iterator[_Split]:
    for taps in history.at.values():
        debits = sorted((tap for tap in taps if tap.is_debit), key=_claim)
        for other in debits[1:]:
            lines = history.line(debits[0]), history.line(other)
            yield _Split(Ground.TWO_DEBITS, (debits[0], other), lines)


def _other_pasts(history: _History) -> Iterator[_Split]:
    for shown, tap in history.orphans:
        is_before = tap.counter < shown[0]
        ours = history.line(tap) if is_before else list(history.beyond(tap.shown))
        theirs = list(history.beyond(shown))
        yield _Split(Ground.OTHER_PAST, (tap, theirs[0]), (ours, theirs))


def _went_back(history: _History, known: set[Shown]) -> Iterator[_Split]:
    """Returns to what the card showed once, if it is not `known` that its ways part there."""
    furthest: dict[int, Tap] = {}
    for tap in sorted(history.taps, key=attrgetter("record_id")):
        seen = furthest.setdefault(tap.device, tap)
        if tap.reach > seen.reach:
            furthest[tap.device] = tap
        is_back = tap.counter < seen.reach and not tap.is_debit
        if is_back and tap.shown not in known and history.leads_to(tap.shown, seen):
            known.add(tap.shown)
            here = history.at[tap.shown]
            again = [other for other in here if not other.is_debit and other.is_after(seen)]
            again.sort(key=lambda other: (other is not tap, _claim(other)))
            debits = [other for other in here if other.is_debit]
            on = [other for other in history.beyond(tap.shown) if other.shown != tap.shown]
            yield _Split(Ground.WENT_BACK, (seen, tap), (debits + on, again))


def _wrong_balances(history: _History) -> Iterator[tuple[Tap, Tap]]:
    """(what says how much there should be, a tap that found otherwise)."""
    for shown, taps in history.at.items():
        known = history.origin(shown)
        if known is None or known.before_fen - known.amount_fen != known.after_fen:
            known = min(taps, key=lambda tap: (tap.before_fen, _claim(tap)))
        due_fen = known.after_fen if known.left == shown else known.before_fen
        worst = max(taps, key=lambda tap: (abs(tap.before_fen - due_fen), _claim(tap)))
        if worst.before_fen != due_fen:
            yield known, worst


def _kind(split: _Split, history: _History, close_s: int, twins: set[int]) -> Kind:
    """The table above, row by row."""
    first, second = split.pair
    ours, theirs = split.lines
    if twins & {first.device, second.device}:
        return Kind.UNDECIDED
    if split.ground is Ground.WENT_BACK and first.reach < second.counter + _SLOTS:
        return Kind.UNDECIDED
    if _goes_on_after(ours, theirs) and _goes_on_after(theirs, ours):
        return Kind.CLONE
    latest_s = max(first.latest_s, second.latest_s)
    is_close = latest_s - min(first.earliest_s, second.earliest_s) <= close_s
    if first.device != second.device and is_close:
        return Kind.CLONE
    loose = [tap for shown in history.loose for tap in history.beyond(shown)]
    if _is_return(ours, theirs[0], loose) or _is_return(theirs, ours[0], loose):
        return Kind.ROLLBACK
    return Kind.UNDECIDED


def _is_return(line: list[Tap], back: Tap, loose: list[Tap]) -> bool:
    """Whether `back` found what `line` had begun with, when that was over and had got further."""
    was, reach = line[0], max(tap.reach for tap in line)
    is_as_it_was = (back.shown, back.before_fen) == (was.shown, was.before_fen)
    return is_as_it_was and reach >= back.counter + _SLOTS and _is_over(line + loose, back)


def _goes_on_after(line: list[Tap], other: list[Tap]) -> bool:
    """Whether a tap of `line` was surely later than a tap of `other`."""
    earliest: dict[int, tuple[int, int]] = {}  # of each reader: sequence and time
    for tap in other:
        seq, latest_s = earliest.get(tap.device, (tap.seq, tap.latest_s))
        earliest[tap.device] = min(seq, tap.seq), min(latest_s, tap.latest_s)
    return any(
        tap.seq > seq if tap.device == device else tap.earliest_s > latest_s
        for tap in line
        for device, (seq, latest_s) in earliest.items()
    )


def _is_over(line: list[Tap], tap: Tap) -> bool:
    """Whether all of `line` was surely before `tap`."""
    before = {one.mark for one in line if tap.is_after(one)}
    for one in sorted(line, key=attrgetter("counter"), reverse=True):
        if one.mark in before:
            before.add(one.last)  # what led to it was even earlier
    return all(one.mark in before for one in line)


def fork_of(kind: Kind, ground: Ground, one: Tap, other: Tap) -> Fork:
    """The fork with this evidence, the two in their order."""
    if one.is_after(other) or (not other.is_after(one) and _claim(other) < _claim(one)):
        one, other = other, one
    return Fork(one.card_no, kind, ground, one, other)


def _claim(tap: Tap) -> tuple[int, int, int]:
    return tap.earliest_s, tap.device, tap.seq


def tap_of(row: Row) -> Tap:
    """A row of TAP_COLUMNS."""
    card_no, device, seq, counter, last_device, last_seq, amount_fen, *rest = row
    earliest_s, latest_s, state, credit_no, sha256, sealed = rest
    fields = messages.decode_record(seal.payload_of(sealed))
    before_fen = fields["before_fen"]
    if credit_no:
        amount_fen = -amount_fen
    return Tap(
        card_no,
        device,
        seq,
        counter,
        (last_device, last_seq),
        amount_fen,
        before_fen,
        before_fen - amount_fen if credit_no else fields["after_fen"],
        earliest_s,
        latest_s,
        State(state),
        credit_no,
        sha256,
    )
