"""What a card says of a spend whose INTENT was lost: for whoever resolves the case, not booked.

A card names the last record that debited it. Where that is a LOST one, its owner has paid, and how
much stands between two balances that the card showed: after its last debit before, and now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from ledger.evidence import State
from ledger.store import LedgerStore
from protocols.wire import messages, seal

_NAMED = f"""
SELECT i.last_device, i.last_seq, i.card_no, i.counter, n.sealed
FROM intent i
JOIN record l ON l.device = i.last_device AND l.seq = i.last_seq AND l.kind = {messages.LOST}
JOIN record n ON n.device = i.device AND n.seq = i.seq
ORDER BY i.last_device, i.last_seq, i.card_no, i.counter, n.sealed"""
_BEFORE = f"""
SELECT r.sealed FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
WHERE i.card_no = ? AND i.counter = ? AND i.state = {int(State.COMMITTED)}"""
_OPENING = "SELECT opening_fen FROM card WHERE card_no = ?"


@dataclass(frozen=True, slots=True)
class LostSpend:
    """Record (device, seq) is LOST and has debited a card; None: the books cannot say how much."""

    device: int
    seq: int
    card_no: int
    amount_fen: int | None


def lost_spends(store: LedgerStore) -> Iterator[LostSpend]:
    """The spends that a card names and no INTENT tells of."""
    named = groupby(list(store.database.rows(_NAMED)), itemgetter(slice(4)))
    for (device, seq, card_no, counter), rows in named:
        sealed = next(rows)[-1]
        had_fen = _balance_before(store, card_no, counter - 1)
        has_fen = messages.decode_record(seal.payload_of(sealed))["before_fen"]
        yield LostSpend(device, seq, card_no, None if had_fen is None else had_fen - has_fen)


def _balance_before(store: LedgerStore, card_no: int, counter: int) -> int | None:
    """What the card held when its counter stood at `counter`."""
    if counter == 0:
        for (opening_fen,) in store.database.rows(_OPENING, (card_no,)):
            return opening_fen
    for (sealed,) in store.database.rows(_BEFORE, (card_no, counter - 1)):
        fields = messages.decode_record(seal.payload_of(sealed))
        if fields["kind"] == messages.CREDIT:
            return fields["before_fen"] + fields["amount_fen"]
        return fields["after_fen"]
    return None
