"""Questions to merchants that the books themselves raise: split charges and velocity (R19.1).

Rules of this file. A finding is a matter to ask about, no proof; so each becomes a question with
its records as evidence, which the merchant answers and the department judges
(ledger/procedures.py). Each finding is asked about once, whoever looks again: its reference names
the finding. What is only possible by the clocks is not asked. Nothing is barred and nothing moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import reasons
from ledger.splits import FOREVER_S, report
from ledger.store import LedgerStore
from protocols.rules import split
from protocols.rules.money import format_yuan
from protocols.wire import messages, seal

_VELOCITY = f"""
SELECT f.device, f.seq, i.merchant_no, f.first_device, f.first_seq, o.merchant_no
FROM finding f JOIN intent i ON i.device = f.device AND i.seq = f.seq
JOIN intent o ON o.device = f.first_device AND o.seq = f.first_seq
WHERE f.reason = {reasons.TOO_FAST} ORDER BY f.device, f.seq, f.first_device, f.first_seq"""
_IS_ASKED = "SELECT number FROM dossier WHERE kind = 'question' AND reference = ?"
_RECORD = "SELECT sealed FROM record WHERE device = ? AND seq = ?"


@dataclass(frozen=True, slots=True)
class Question:
    """What a merchant would be asked. `records` are spends that are booked for him."""

    reference: str
    merchant_no: int
    records: tuple[tuple[int, int], ...]
    said: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A record as evidence that its merchant can read: when, how much, offline, with the PIN."""

    device: int
    seq: int
    earliest_s: int
    latest_s: int
    amount_fen: int
    is_offline: bool
    has_pin: bool


def found(
    store: LedgerStore,
    limit_fen: int,
    window_s: int = split.WINDOW_S,
    since_s: int = 0,
    until_s: int = FOREVER_S,
) -> Iterator[Question]:
    """Every split purchase that is sure by all clocks, and every velocity finding, in order."""
    for one in report(store, limit_fen, window_s, since_s, until_s).splits:
        if one.is_sure:
            places = sorted((spend.charge[0], spend.charge[1]) for spend in one.charges)
            records = tuple(places)
            said = (
                f"{len(records)} charges of one card within {window_s} s, together "
                f"{format_yuan(one.total_fen)}: above {format_yuan(limit_fen)}, without the PIN"
            )
            yield Question("split-{}-{}".format(*records[0]), one.merchant_no, records, said)
    for device, seq, merchant_no, *first, other in list(store.database.rows(_VELOCITY)):
        records = ((device, seq), *([tuple(first)] if other == merchant_no else []))
        said = "one card at two sites sooner than anybody walks; before: record {}/{}"
        reference = f"velocity-{device}-{seq}"
        yield Question(reference, merchant_no, tuple(sorted(records)), said.format(*first))


def ask(store: LedgerStore, question: Question, person: str, time_s: int) -> tuple[int, bool]:
    """Ask it; the dossier, and whether it is a new one. DossierRefused."""
    for (number,) in list(store.database.rows(_IS_ASKED, (question.reference,))):
        return number, False
    q = question
    tickets = store.merchants.tickets
    return tickets.ask(q.reference, q.merchant_no, q.records, person, q.said, time_s), True


def exhibits(store: LedgerStore, records: tuple[tuple[int, int], ...]) -> Iterator[Exhibit]:
    """The spends among these booked records, in their order."""
    for record in records:
        for (sealed,) in list(store.database.rows(_RECORD, record)):
            fields = messages.decode_record(seal.payload_of(bytes(sealed)))
            if fields["kind"] == messages.INTENT:
                flags = fields["flags"]
                yield Exhibit(
                    *record,
                    fields["earliest_s"],
                    fields["latest_s"],
                    fields["amount_fen"],
                    bool(flags & messages.FLAG_OFFLINE),
                    bool(flags & (messages.FLAG_PIN | messages.FLAG_IDENTITY)),
                )
