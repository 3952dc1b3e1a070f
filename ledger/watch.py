"""The standing detector: it looks at what was booked since its last look and opens cases.

Rules of this file. Whatever was booked is looked at once, records of a reader in their order; how
far it got is kept with what it found, in one transaction. So neither a kill nor another order of
arrival loses a finding, and none is a case twice. A look reads a bounded number of records and the
few taps beside each (ledger/fraud.py), for booking waits meanwhile.

A case is about the reader of the second record of the pair, and opens nothing else: no card is
barred and no money moves. A card's later records may show more pairs, which are cases of their
own; what its findings are today is asked of `found`.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ledger import reasons
from ledger.dialect import Row, StoreUnavailable
from ledger.effects import REACH
from ledger.forks import Fork, Ground
from ledger.fraud import Examiner, Walks
from ledger.store import LedgerStore
from protocols.wire import messages, seal

LOOK_MS = 10_000
RECORDS_MAX = 512  # in one look
# When it is so far behind (old books, a long outage) it goes by cards and not by records: each
# card once, all of it, where going by records would see what follows again and again.
SWEEP_RECORDS = 64 * RECORDS_MAX
SWEEP_CARDS = 32  # in one look
REASONS = {
    Ground.TWO_DEBITS: reasons.CARD_FORKED,
    Ground.OTHER_PAST: reasons.CARD_FORKED,
    Ground.WENT_BACK: reasons.CARD_FORKED,
    Ground.BALANCE: reasons.IMBALANCE,
    Ground.TRAVEL: reasons.TOO_FAST,
    Ground.ABOVE_LOAD: reasons.ABOVE_LOAD,
}
_BEHIND = """
SELECT d.device, COALESCE(w.seq, 0), d.head_seq
FROM device d LEFT JOIN watched w ON w.device = d.device
WHERE d.head_seq > COALESCE(w.seq, 0) ORDER BY d.device"""
_CARDS = "SELECT DISTINCT card_no FROM intent WHERE card_no > ? ORDER BY card_no LIMIT ?"
_HEADS = "SELECT device, head_seq FROM device"
_NEXT = "SELECT seq, kind, sealed FROM record WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"
_SETTLED = """
WITH k (wanted, place) AS (VALUES {keys})
SELECT card_no, counter FROM k CROSS JOIN intent WHERE device = wanted AND seq = place"""
_KNOWN = """
WITH k (wanted) AS (VALUES {keys})
SELECT DISTINCT card_no FROM k CROSS JOIN finding WHERE card_no = wanted"""
_ADVANCE = """
INSERT INTO watched VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET seq = excluded.seq"""
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FINDING = "INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FOUND = "SELECT DISTINCT card_no FROM finding ORDER BY card_no"

_COUNTERS = ("looks", "records", "swept_cards", "findings", "store_unavailable")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Where the readers were when it began, and the card it has got to."""

    heads: dict[int, int]
    card_no: int = -1


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look has seen and found, and the sweep that goes on behind it."""

    count: int
    findings: int
    sweep: _Sweep | None = None


class Watch:
    """Looks into the books of `store` every LOOK_MS, and at once while it is behind.

    `utc_s` gives the time that stands with a finding. Behind by more than `sweep_records` it goes
    by cards. `counters` (name -> int) only ever grow.
    """

    def __init__(
        self,
        store: LedgerStore,
        utc_s: Callable[[], int],
        walks: Walks,
        sweep_records: int = SWEEP_RECORDS,
    ) -> None:
        self._database = store.database
        self._utc_s = utc_s
        self._walks = walks
        self._sweep_records = sweep_records
        self._sweep: _Sweep | None = None
        self._is_behind = False
        self._due_ms = 0
        self.counters = dict.fromkeys(_COUNTERS, 0)

    def step(self, now_ms: int) -> int:
        """Look, if it is time; the time (ms) by which to call again."""
        if now_ms < self._due_ms:
            return self._due_ms
        self._due_ms = now_ms + LOOK_MS
        try:
            self.look()
            if self._is_behind:
                self._due_ms = now_ms
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no look for copied cards now: %s", error)
        return self._due_ms

    def look(self) -> int:
        """Look at no more than RECORDS_MAX records that are new; how many it were.

        In a sweep: at SWEEP_CARDS cards. Raises StoreUnavailable: nothing was noted, and the next
        look sees the same.
        """
        behind = list(self._database.rows(_BEHIND))
        if self._sweep is None and sum(b[2] - b[1] for b in behind) > self._sweep_records:
            self._sweep = _Sweep(dict(self._database.rows(_HEADS)))
        looked = _Looked(0, 0)
        if behind:
            before = self._sweep
            with self._database.transaction():
                looked = self._look_on() if before is None else self._sweep_on(before)
            # Only now: a COMMIT that fails has noted nothing, and the same has to be seen again.
            self._sweep = looked.sweep
            self.counters["looks"] += 1
            self.counters["records" if before is None else "swept_cards"] += looked.count
            self.counters["findings"] += looked.findings
        self._is_behind = self._sweep is not None or looked.count == RECORDS_MAX
        return looked.count

    def _look_on(self) -> _Looked:
        heads, records = self._new()
        lows = self._changed(records)
        known = self._database.rows_of(_KNOWN, [(card_no,) for card_no in sorted(lows)])
        lows.update(dict.fromkeys([card_no for (card_no,) in list(known)], 0))
        findings = self._open(list(Examiner(self._database, self._walks).examine(lows.items())))
        self._database.many(_ADVANCE, sorted(heads.items()))
        return _Looked(len(records), findings)

    def _sweep_on(self, sweep: _Sweep) -> _Looked:
        """Some more cards; behind the last of them the sweep is over. A kill starts it anew."""
        rows = list(self._database.rows(_CARDS, (sweep.card_no, SWEEP_CARDS)))
        cards = [(card_no, 0) for (card_no,) in rows]
        findings = self._open(list(Examiner(self._database, self._walks).examine(cards)))
        if cards:
            return _Looked(len(cards), findings, replace(sweep, card_no=cards[-1][0]))
        watched = dict(self._database.rows("SELECT device, seq FROM watched"))
        heads = [(d, seq) for d, seq in sweep.heads.items() if seq > watched.get(d, 0)]
        self._database.many(_ADVANCE, sorted(heads))
        return _Looked(0, findings)

    def _new(self) -> tuple[dict[int, int], list[Row]]:
        """How far it has got with each reader, and the records (kind, sealed) on the way there."""
        heads: dict[int, int] = {}
        records: list[Row] = []
        for device, seq, _head_seq in list(self._database.rows(_BEHIND)):
            left = RECORDS_MAX - len(records)
            if not left:
                break
            for at, *record in self._database.rows(_NEXT, (device, seq, left)):
                heads[device] = at
                records.append(tuple(record))
        return heads, records

    def _changed(self, records: list[Row]) -> dict[int, int]:
        """Cards that records tell of -> the lowest counter at which something may have changed."""
        seen: list[tuple[int, int]] = []
        settled: list[tuple[int, int]] = []
        for kind, sealed in records:
            if kind not in (messages.INTENT, messages.CREDIT, messages.OUTCOME):
                continue
            fields = messages.decode_record(seal.payload_of(sealed))
            if kind == messages.OUTCOME:
                settled.append((fields["intent_device"], fields["intent_seq"]))
            else:
                seen.append((fields["card_no"], fields["counter"]))
        seen += self._database.rows_of(_SETTLED, sorted(set(settled)))
        lows: dict[int, int] = {}
        for card_no, counter in seen:
            # What stands so far before an intent may have been settled by it.
            lows[card_no] = min(counter - REACH, lows.get(card_no, counter))
        return lows

    def _open(self, found: list[Fork]) -> int:
        """Cases for what was found; how many were not known before."""
        if not found:
            return 0
        ((before,),) = self._database.rows("SELECT COUNT(*) FROM finding")
        keys = [(REASONS[f.ground], *f.second.record_id, pair_sha256(f)) for f in found]
        self._database.many(_CASE, [(*key, b"") for key in keys])
        now_s = self._utc_s()
        self._database.many(
            _FINDING,
            [
                (*key, fork.card_no, *fork.first.record_id, fork.ground.value, now_s)
                for key, fork in zip(keys, found, strict=True)
            ],
        )
        ((after,),) = self._database.rows("SELECT COUNT(*) FROM finding")
        return int(after - before)


def found(store: LedgerStore, walks: Walks) -> Iterator[Fork]:
    """What the books say today of the cards that were found, by card."""
    cards = [(card_no, 0) for (card_no,) in list(store.database.rows(_FOUND))]
    return Examiner(store.database, walks).examine(cards)


def pair_sha256(fork: Fork) -> bytes:
    """Names the pair of records that a case is about: it is the case's own number."""
    return hashlib.sha256(fork.first.sha256 + fork.second.sha256).digest()
