"""What must hold of payments by code: nobody is told "paid" for nothing, and no fen is lost.

As checkers.py it believes nobody: it reads the records themselves, booked or still on a flash, and
compares them with what people saw and with the ledger's accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from ledger.reservations import Settled
from ledger.store import LedgerStore
from protocols.wire import messages, seal
from simulator.checkers import RecordId, Verdict, journal_of
from simulator.chips.nor_flash import NorFlash

_RECORDS = "SELECT sealed FROM record WHERE kind = ?"
_RESERVED = "SELECT number, device, seq, card_no, amount_fen, state FROM reservation"
_ORDERED = "SELECT number, device, seq, 0, amount_fen, state FROM acquirer_order"
_WAITS = "SELECT COALESCE(SUM(amount_fen), 0) FROM load l WHERE is_loaded = 0"
_WAITS += " AND NOT EXISTS (SELECT 1 FROM load_end e WHERE e.number = l.number)"


def judge_codes(
    ledger: LedgerStore,
    flashes: dict[int, NorFlash],
    seen: Counter[tuple[int, int]],
    verdict: Verdict,
    rotten: Collection[RecordId] = (),
) -> None:
    """Add to `verdict`; `seen`: (card_no, amount_fen) that people saw paid by code, with 0 in the
    place of a card where it was a platform's code.

    `rotten`: as for judge; a sale whose record has rotted away is nobody's to tell.
    """
    heads = Counter(ledger.heads())
    asked = [*ledger.database.rows(_RESERVED), *ledger.database.rows(_ORDERED)]
    reserved = {row[0]: tuple(row[1:]) for row in asked}
    known: Counter[tuple[int, int]] = Counter()
    places: set[RecordId] = set()
    for sale in _sales(ledger, flashes, heads):
        place = sale["device"], sale["seq"]
        device, seq, card_no, amount_fen, state = reserved.get(sale["number"], (0, 0, 0, 0, 0))
        if (device, seq, amount_fen) != (*place, sale["amount_fen"]):
            verdict.violations.append(f"device {place}: sold by code what nobody has reserved")
            continue
        known[card_no, amount_fen] += 1
        places.add(place)
        booked = Settled.SOLD if sale["seq"] <= heads[device] else Settled.OPEN
        if state != booked:
            text = f"reservation {sale['number']} is {Settled(state).name}, not {booked.name}"
            verdict.violations.append(text)
    told = {(row[0], row[1]) for row in reserved.values() if row[4] == Settled.SOLD}
    for device, seq in told - places:
        verdict.violations.append(f"device {device}: {seq} is sold by code, no record says so")
    lost = seen - known
    for (card_no, fen), count in lost.items() if lost.total() > len(rotten) else ():
        text = f"card {card_no}: {count} x {fen} fen shown as paid by code, not recorded"
        verdict.violations.append(text)
    verdict.unseen += sum((known - seen).values())
    verdict.sold_by_code = known.total()
    verdict.sold_by_code_fen = sum(fen for _, fen in known.elements())
    sold = [row for row in reserved.values() if row[4] == Settled.SOLD and row[2]]
    _weigh(ledger, sum(row[3] for row in sold), verdict)  # a platform's customers waited for none


def _weigh(ledger: LedgerStore, sold_fen: int, verdict: Verdict) -> None:
    """All that waited for cards waits yet, is reserved, or is sold."""
    ((waits_fen,),) = ledger.database.rows(_WAITS)
    balances = ledger.balances()
    there_fen = sum(fen for (kind, _), fen in balances.items() if kind in ("pending", "reserved"))
    if there_fen + sold_fen != waits_fen:
        verdict.conserved = False
        verdict.violations.append(
            f"pending and reserved {there_fen} + sold by code {sold_fen} fen,"
            f" waiting for cards {waits_fen} fen"
        )


def _sales(
    ledger: LedgerStore, flashes: dict[int, NorFlash], heads: dict[int, int]
) -> Iterator[dict[str, Any]]:
    """The fields of every CODE_SALE that says sold: booked, or still on its way."""
    records = [sealed for (sealed,) in ledger.database.rows(_RECORDS, (messages.CODE_SALE,))]
    for device, flash in flashes.items():
        journal = journal_of(flash)
        after = range(heads[device] + 1, journal.head_seq + 1)
        records += [record for record in map(journal.record, after) if record]
    for record in records:
        fields = messages.decode_record(seal.payload_of(record))
        if fields["kind"] == messages.CODE_SALE and fields["result"] == messages.COMMITTED:
            yield fields
