"""Writing what was decided: one statement per kind of change, its rows in order of their keys.

`update` where each row is another one's: accounts, heads, intents and loads have one change each.

Plain INSERTs where a second row would be money made twice: a bug, or a second writer that extends
the same chain, must break the transaction and not be ignored. ON CONFLICT DO NOTHING only where
the same finding may be made again.
"""

from collections.abc import Sequence

from ledger import chart, entry_stretches
from ledger.acquirer_orders import keep_settled
from ledger.aggregate import book_sales
from ledger.attendance import keep_punches
from ledger.book import Book, Changes
from ledger.card_status import suspend_captured
from ledger.code_entries import keep_entries
from ledger.dialect import Dialect
from ledger.entries import post_recorded
from ledger.evidence import Intent
from ledger.loads import Load, carried, enter, open_pending
from ledger.promises import promise, release, undone
from ledger.reasons import LOADED_TOO_LATE
from ledger.reservations import OF_TRANSFER
from ledger.transfers import MADE_GOOD_LINE, Transfer

_SETTLE = "UPDATE intent SET state = ? WHERE device = ? AND seq = ?"
_EARLY = "INSERT INTO early_outcome VALUES (?, ?, ?, ?, ?)"
_NO_LONGER_EARLY = "DELETE FROM early_outcome WHERE device = ? AND seq = ?"
_PARK = "INSERT INTO parked (device, seq, sha256, sealed) VALUES (?, ?, ?, ?)"
_UNPARK = "DELETE FROM parked WHERE device = ? AND seq = ? AND sha256 = ?"
_REJECT = "INSERT INTO rejected VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ADVANCE = "UPDATE device SET head_seq = ?, head_tag = ?, head_key_no = ? WHERE device = ?"
_LOADED = "UPDATE load SET is_loaded = 1 WHERE number = ?"
_CANCEL = "INSERT INTO cancel VALUES (?, ?, ?, ?)"
_TAMPER = "INSERT INTO tamper VALUES (?, ?, ?, ?, ?, ?)"
# No channel's order number has a tab.
_OF_CANCEL = "cancelled\t{}"
_SETTLED = "UPDATE reservation SET state = ? WHERE device = ? AND seq = ?"
_FORKED = "UPDATE device SET is_forked = 1 WHERE device = ?"
_COUNT = "UPDATE tally SET total = total + ? WHERE name = 'duplicates'"


def write_runs(database: Dialect, book: Book) -> None:
    """Write the records of runs, which stand in the books whatever is decided about them.

    Beforehand, so that a server takes them meanwhile.
    """
    database.insert("record", [row for run in book.runs.values() for row in run.rows])


def write_changes(database: Dialect, changes: Changes, book: Book) -> None:
    """Write `changes`, which were decided in this same transaction, behind `write_runs`."""
    database.insert("record", changes.records)
    keep_punches(database, changes.others)
    book_sales(database, changes.others)
    keep_entries(database, changes.others)
    entry_stretches.keep(database, changes.others)
    database.insert("intent", [_intent_row(intent) for intent in changes.intents])
    settled = [intent for _key, intent in sorted(changes.settled.items())]
    database.update(_SETTLE, [(int(i.state), i.device, i.seq) for i in settled])
    database.many(
        _EARLY,
        [(o.device, o.seq, o.intent_device, o.intent_seq, o.result) for o in changes.early],
    )
    database.many(_NO_LONGER_EARLY, [(o.device, o.seq) for o in changes.no_longer_early])
    database.many(_PARK, [(*claim.place, claim.sealed) for claim in changes.parked])
    database.many(_UNPARK, [claim.place for claim in changes.unparked])
    database.many(_REJECT, [(c.sha256, code, c.device, c.seq) for c, code in changes.rejected])
    database.many(_CASE, [(c.reason, c.device, c.seq, c.sha256, c.sealed) for c in changes.cases])
    database.many(_CANCEL, [(c.device, c.intent_seq, c.seq, c.number) for c in changes.cancels])
    enter(database, [(load, _OF_CANCEL.format(load.number)) for load in changes.returned])
    through = [t.debit_account for t in changes.transfers if t.line == MADE_GOOD_LINE]
    cards = [chart.owner(one) for one in through if chart.kind(one) == chart.PENDING]
    open_pending(database, cards)  # what goes on at once is no load
    suspend_captured(database, changes.captures)
    database.many(
        _TAMPER,
        [(t.device, t.seq, t.state, t.number, t.earliest_s, t.latest_s) for t in changes.tampers],
    )
    told = [t for t in changes.transfers if t.kind in OF_TRANSFER]
    database.update(_SETTLED, [(OF_TRANSFER[t.kind], t.device, t.seq) for t in told])
    keep_settled(database, changes.orders)
    new_loads = {load.number for load in changes.returned}
    release(database, [load for load in changes.loaded if load.number not in new_loads])
    _post_with(database, changes.loaded, changes.transfers)
    promise(database, [load for load in changes.returned if not load.is_loaded])
    heads = [book.devices[number] for number in sorted(changes.advanced)]
    database.update(_ADVANCE, [(d.head_seq, *d.head, d.device) for d in heads])
    database.many(_FORKED, [(number,) for number in sorted(changes.forked)])
    if changes.duplicates:
        database.many(_COUNT, [(changes.duplicates,)])


def post_loaded(database: Dialect, loads: Sequence[Load]) -> None:
    """Their cards carry these loads, which were not known to be there."""
    release(database, loads)
    _post_with(database, loads, [])


def _post_with(database: Dialect, loaded: Sequence[Load], transfers: Sequence[Transfer]) -> None:
    """Loads that are on their cards, and what else has happened.

    Together, so that what a card got and spent in one delivery does not look overdrawn.
    """
    back = undone(database, loaded)
    post_recorded(database, [*map(carried, loaded), *back, *transfers])
    database.update(_LOADED, [(load.number,) for load in loaded])
    database.many(_CASE, [(LOADED_TOO_LATE, t.device, t.seq, b"", b"") for t in back])


def _intent_row(intent: Intent) -> tuple[int, ...]:
    return (
        intent.device,
        intent.seq,
        intent.card_no,
        intent.counter,
        intent.amount_fen,
        intent.merchant_no,
        intent.last_device,
        intent.last_seq,
        intent.earliest_s,
        intent.latest_s,
        int(intent.state),
        intent.credit_no,
    )
