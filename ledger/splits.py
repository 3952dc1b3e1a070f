"""Split charges in the books: what one card paid one merchant in parts below the limit (R19.1).

The rule is that of the POS, protocols/rules/split.py, and there is one copy of it. A POS applies
it to its own ring of recent charges; here it is applied to every booked spend, across all POS of a
merchant, which do not hear of each other. Reading only; what is found depends on which records are
booked and on nothing else, so a record that comes late adds a finding, or takes one away.

A cancelled sale (ledger/cancels.py) is no charge any more, as at the POS.

How it stays quick. Spends come along the index of cards and counters. What one card paid one
merchant is cut into runs: between two runs lies surely more than the window, by every clock, so
nothing in one can be part of a purchase in the other. Only a run whose sum is above the limit is
put to the rule, whose work grows with the square.

How wide a clock's doubt is taken. A reader that does not know the time says so: its interval ends
never, and whatever the card paid later might be one purchase with it. But the card counts: an
interval wider than the window is cut to what the spends before and after it leave, unless two of
the card's spends stand at one counter (ledger/forks.py names it) or the clocks contradict the
counter. The report shows intervals as the records have them.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ledger.dialect import Row
from ledger.evidence import State
from ledger.store import LedgerStore
from protocols.rules import split
from protocols.wire import messages, seal

# After every time that a record can name.
FOREVER_S = 1 << 32

_SPENDS = f"""
SELECT i.counter, r.sha256, r.sealed
FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
LEFT JOIN cancel c ON c.device = i.device AND c.intent_seq = i.seq
WHERE i.state = {int(State.COMMITTED)} AND i.amount_fen > 0 AND i.credit_no = 0
AND i.latest_s >= ? AND i.earliest_s < ?
AND c.seq IS NULL
ORDER BY i.card_no, i.counter, i.device, i.seq"""
_HEADS = "SELECT device, head_seq, head_tag, is_forked FROM device ORDER BY device"
_MERCHANTS = "SELECT merchant_no, name FROM merchant ORDER BY merchant_no"

Charge = tuple[int, ...]  # as in protocols/rules/split.py


@dataclass(frozen=True, slots=True)
class Books:
    """Which books a report was made from: they are these if every reader's chain ends like this.

    `records`: how many there are; only grows. `heads`: (device, sequence of its last record).
    `sha256`: over device, sequence, seal and doubt of each head; equal books have equal ones.
    """

    records: int
    heads: tuple[tuple[int, int], ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Spend:
    """A booked spend: its charge as the record has it, the card's counter, the record's hash.

    `placed` is the charge with the time that is left when the card's counter is asked too.
    """

    charge: Charge
    placed: Charge
    counter: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Split:
    """One purchase that was charged in parts, each within the limit and all together above it.

    `is_sure`: whatever the clocks' doubt. `seen_by`: readers that alone saw more than the limit
    and should have asked for the PIN; none of them could know if there are none. `proven`: spends
    of this card here, near it in time, for which the holder gave the PIN or was looked at.
    """

    merchant_no: int
    card_no: int
    is_sure: bool
    total_fen: int
    charges: tuple[Spend, ...]
    seen_by: tuple[int, ...]
    proven: tuple[Spend, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked, of which books, and what was found, by merchant and time.

    `spends`: how many each merchant had in the time asked for; `merchants`: their names.
    """

    books: Books
    limit_fen: int
    window_s: int
    since_s: int
    until_s: int
    merchants: dict[int, str]
    spends: dict[int, int]
    splits: tuple[Split, ...]


def report(
    store: LedgerStore,
    limit_fen: int,
    window_s: int = split.WINDOW_S,
    since_s: int = 0,
    until_s: int = FOREVER_S,
) -> Report:
    """Every split purchase among the spends that may lie in [since_s, until_s), UTC seconds.

    `limit_fen` and `window_s` are those of the policy that was in force then (R26): no_pin_max_fen
    and split_window_s. A purchase over the border of the time asked for is cut there: ask for
    whole nights. Call it in one transaction if somebody else may be booking.
    """
    spends: Counter[int] = Counter()
    found: list[Split] = []
    for spends_of_card in _by_card(store, since_s, until_s):
        at: dict[int, list[Spend]] = defaultdict(list)
        for spend in placed(spends_of_card, window_s):
            at[spend.charge[split.MERCHANT_NO]].append(spend)
        for merchant_no, own in at.items():
            spends[merchant_no] += len(own)
            found += splits_of(own, limit_fen, window_s)
    found.sort(key=_order)
    return Report(
        books_of(store),
        limit_fen,
        window_s,
        since_s,
        until_s,
        dict(store.database.rows(_MERCHANTS)),
        dict(sorted(spends.items())),
        tuple(found),
    )


def _by_card(store: LedgerStore, since_s: int, until_s: int) -> Iterator[list[Spend]]:
    rows = store.database.rows(_SPENDS, (since_s, until_s))
    for _, group in groupby(map(_spend, rows), key=lambda spend: spend.charge[split.CARD_NO]):
        yield list(group)


def books_of(store: LedgerStore) -> Books:
    """The books as they are now."""
    rows = list(store.database.rows(_HEADS))
    lines = [f"{device} {seq} {tag.hex()} {doubt}\n" for device, seq, tag, doubt in rows]
    heads = tuple((device, seq) for device, seq, _tag, _doubt in rows)
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Books(sum(seq for _, seq in heads), heads, sha256)


def splits_of(spends: Sequence[Spend], limit_fen: int, window_s: int) -> Iterator[Split]:
    """The split purchases among what one card paid one merchant."""
    by_id = {spend.charge[:2]: spend for spend in spends}
    proofs = [spend for spend in spends if is_proven(spend)]
    for run in runs([spend for spend in spends if not is_proven(spend)], window_s):
        if sum(spend.charge[split.AMOUNT_FEN] for spend in run) <= limit_fen:
            continue
        charges = [spend.placed for spend in (*run, *proofs)]
        for card_no, merchant_no, is_sure, total_fen, parts in split.evidence(
            charges, window_s, limit_fen
        ):
            own = [by_id[part[:2]] for part in parts]
            near = [proof for proof in proofs if _is_near(proof, own, window_s)]
            seen_by = tuple(_seen_by([*own, *near], limit_fen, window_s))
            yield Split(merchant_no, card_no, is_sure, total_fen, tuple(own), seen_by, tuple(near))


def is_proven(spend: Spend) -> bool:
    """Whether the holder gave the PIN for it, or the merchant looked who it is."""
    return bool(spend.charge[split.FLAGS] & split.HOLDER)


def runs(spends: Sequence[Spend], window_s: int) -> list[list[Spend]]:
    """`spends` of one card at one merchant, in runs that are surely more than `window_s` apart.

    As apart_s has it: within one boot of one reader its monotonic clock counts, else the
    intervals. Both link neighbours, and what is linked over others is one run too.
    """
    run_of = list(range(len(spends)))

    def first(at: int) -> int:
        while run_of[at] != at:
            at = run_of[at]
        return at

    for one, other in (*_near_by_interval(spends, window_s), *_near_by_boot(spends, window_s)):
        run_of[first(other)] = first(one)
    found: dict[int, list[Spend]] = defaultdict(list)
    for at, spend in enumerate(spends):
        found[first(at)].append(spend)
    return list(found.values())


def _near_by_interval(spends: Sequence[Spend], window_s: int) -> Iterator[tuple[int, int]]:
    order = sorted(range(len(spends)), key=lambda at: spends[at].placed[split.EARLIEST_S])
    reached_s = -1
    for one, other in pairwise(order):
        reached_s = max(reached_s, spends[one].placed[split.LATEST_S])
        if spends[other].placed[split.EARLIEST_S] - reached_s <= window_s:
            yield one, other


def _near_by_boot(spends: Sequence[Spend], window_s: int) -> Iterator[tuple[int, int]]:
    def since_boot(at: int) -> tuple[int, int, int]:
        charge = spends[at].placed
        return charge[split.DEVICE], charge[split.BOOT_ID], charge[split.MONO_S]

    for one, other in pairwise(sorted(range(len(spends)), key=since_boot)):
        before, after = since_boot(one), since_boot(other)
        # Seconds were cut off both: one less may lie between them.
        if before[:2] == after[:2] and after[2] - before[2] - 1 <= window_s:
            yield one, other


def placed(spends: list[Spend], window_s: int) -> list[Spend]:
    """All spends of one card, in order of its counter, with wide intervals cut to what fits."""
    if len({spend.counter for spend in spends}) < len(spends):
        return spends
    earliest_s = [spend.charge[split.EARLIEST_S] for spend in spends]
    latest_s = [spend.charge[split.LATEST_S] for spend in spends]
    for at in range(1, len(spends)):
        earliest_s[at] = max(earliest_s[at - 1], earliest_s[at])
    for at in range(len(spends) - 1, 0, -1):
        latest_s[at - 1] = min(latest_s[at - 1], latest_s[at])
    return [_cut(spend, earliest_s[at], latest_s[at], window_s) for at, spend in enumerate(spends)]


def _cut(spend: Spend, earliest_s: int, latest_s: int, window_s: int) -> Spend:
    charge = spend.charge
    if charge[split.LATEST_S] - charge[split.EARLIEST_S] <= window_s or earliest_s > latest_s:
        return spend
    when = (earliest_s, latest_s)
    there = (*charge[: split.EARLIEST_S], *when, *charge[split.BOOT_ID :])
    return Spend(charge, there, spend.counter, spend.sha256)


def _seen_by(spends: Iterable[Spend], limit_fen: int, window_s: int) -> Iterator[int]:
    """Readers whose own ring held a purchase above the limit, as they knew the time."""
    charges = sorted(spend.charge for spend in spends)
    for device, group in groupby(charges, key=lambda charge: charge[split.DEVICE]):
        own = list(group)
        asked = [charge for charge in own if not charge[split.FLAGS] & split.HOLDER]
        if any(split.purchase_fen(charge, own, window_s) > limit_fen for charge in asked):
            yield device


def _is_near(proof: Spend, parts: Sequence[Spend], window_s: int) -> bool:
    return any(split.apart_s(part.placed, proof.placed)[0] <= window_s for part in parts)


def _order(found: Split) -> tuple[int, ...]:
    first = found.charges[0].charge
    return found.merchant_no, first[split.EARLIEST_S], *first[:2], *found.charges[-1].charge[:2]


def _spend(row: Row) -> Spend:
    counter, sha256, sealed = row
    charge = split.charge_of(messages.decode_record(seal.payload_of(sealed)))
    return Spend(charge, charge, counter, sha256)
