"""What must hold of payments by aggregate code: what clerks saw against what readers recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ledger.store import LedgerStore
from protocols.wire import messages, seal
from simulator.checkers import journal_of
from simulator.chips.nor_flash import NorFlash
from simulator.payers import Scans


def judge_scans(
    ledger: LedgerStore,
    flashes: Mapping[int, NorFlash],
    scans: Scans,
    readers: Mapping[str, tuple[int, int]],
) -> list[str]:
    """Sentences, one for each thing that must not be.

    `readers`: name -> (device, merchant_no). Whatever was shown as recorded is a record of this
    reader and merchant, and nothing is recorded that its clerk has not confirmed.
    """
    known = Counter(_recorded(ledger, flashes))
    wrong = []
    for name, (device, merchant_no) in readers.items():
        amounts = {fen for reader, fen in scans.confirmed if reader == name}
        amounts |= {fen for own, _, fen in known if own == device}
        for fen in sorted(amounts):
            count = known.pop((device, merchant_no, fen), 0)
            seen, said = scans.recorded[name, fen], scans.confirmed[name, fen]
            if count < seen:
                wrong.append(f"{name}: {seen - count} x {fen} fen shown as recorded, lost")
            if count > said:
                wrong.append(f"{name}: {count - said} x {fen} fen recorded, never confirmed")
    wrong += [f"device {key[0]}: {key[2]} fen for merchant {key[1]}" for key in sorted(known)]
    return wrong


def _recorded(
    ledger: LedgerStore, flashes: Mapping[int, NorFlash]
) -> Iterator[tuple[int, int, int]]:
    """(device, merchant_no, fen) of each record, in the ledger's bytes or still in a journal."""
    heads = Counter(ledger.heads())
    sql = "SELECT sealed FROM record WHERE kind = ?"
    records = [sealed for (sealed,) in ledger.database.rows(sql, (messages.AGGREGATE,))]
    for device, flash in flashes.items():
        journal = journal_of(flash)
        after = range(heads[device] + 1, journal.head_seq + 1)
        records += [record for record in map(journal.record, after) if record]
    for sealed in records:
        fields = messages.decode_record(seal.payload_of(sealed))
        if fields["kind"] == messages.AGGREGATE:
            yield fields["device"], fields["merchant_no"], fields["amount_fen"]
