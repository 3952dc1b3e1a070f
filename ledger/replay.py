"""Replay: what the readers' sealed records alone make of the books, against what the books say.

Rules of this file. New books get the same register (readers with all their keys, merchants, cards,
doors) and the same credits, and then every sealed record that the old ones have, readers mixed and
some told twice: other orders of the same records have to end in the same books (tests/ledger/
test_any_order.py). What records decide is compared row by row: the chains and their heads, each
intent and what became of it, spends and cancelled sales with their accounts, punches, tampers,
sales by aggregate code, and the cases that a record opens by itself.

Not compared is what hangs on when something was entered at a desk, for the books do not say in
which order desk and records came: top-ups, codes, carry-overs, who bears what, and whether a card
or merchant was known yet when its spend came (such a spend stands over suspense, and only its
amount is compared).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ledger import chart, reasons
from ledger.cancels import NUMBER_MIN
from ledger.dialect import Dialect, Row
from ledger.entries import post_authorized
from ledger.loads import Load, enter, paid_in
from ledger.store import LedgerStore
from ledger.transfers import CANCEL, SPEND

# Records that are told together, and how many in a hundred of those are told once more.
_BATCH, _AGAIN = 64, 5
_SUSPENSE = f"BETWEEN {chart.account(chart.SUSPENSE, 0)} AND {chart.account(chart.FEES, 0) - 1}"
# Cases that one record opens, or one record and what its card's others say.
_OWN_CASES = (
    reasons.LOST,
    reasons.UNREADABLE,
    reasons.BAD_ARITHMETIC,
    reasons.NO_AMOUNT,
    reasons.TRY_OF_MONEY,
    reasons.CARD_CAPTURED,
    reasons.CARD_FOUND,
    reasons.CASE_OPENED,
    reasons.MOVED,
)
_COMPARED = {
    "device": "SELECT device, head_seq, head_tag, head_key_no, is_forked FROM device"
    " ORDER BY device",
    "record": "SELECT device, seq, kind, sha256, sealed, key_no FROM record ORDER BY device, seq",
    "intent": "SELECT device, seq, card_no, counter, amount_fen, merchant_no, last_device,"
    " last_seq, earliest_s, latest_s, state, credit_no FROM intent ORDER BY device, seq",
    "cancel": "SELECT device, intent_seq, seq, number FROM cancel ORDER BY device, intent_seq",
    "transfer": "SELECT device, seq, line, kind, amount_fen FROM transfer"
    f" WHERE kind IN ({SPEND}, {CANCEL}) ORDER BY device, seq, line",
    "punch": "SELECT device, seq, card_no, earliest_s, latest_s FROM punch ORDER BY device, seq",
    "tamper": "SELECT device, seq, state, number FROM tamper ORDER BY device, seq",
    "aggregate_sale": "SELECT device, seq, merchant_no, amount_fen FROM aggregate_sale"
    " ORDER BY device, seq",
    "suspense_case": "SELECT device, seq, reason FROM suspense_case"
    f" WHERE reason IN ({', '.join(map(str, _OWN_CASES))}) ORDER BY device, seq, reason",
}
_ACCOUNTS = f"""
SELECT device, seq, line, debit_account, credit_account,
    CASE WHEN debit_account {_SUSPENSE} OR credit_account {_SUSPENSE} THEN 1 ELSE 0 END
FROM transfer WHERE kind IN ({SPEND}, {CANCEL}) ORDER BY device, seq, line"""
_COPIED = ("door", "lock", "access_person", "access_change")
_NEXT = "SELECT sealed FROM record WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"
_KEPT = f"""
SELECT sealed FROM suspense_case WHERE reason IN ({reasons.FORK}, {reasons.FOUND})
ORDER BY device, seq"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that only the books have, or only the replay (`is_replayed`)."""

    table: str
    row: Row
    is_replayed: bool


def replay(books: Dialect, empty: LedgerStore, seed: int) -> Iterator[Difference]:
    """What differs between `books` (one state of them) and their records booked in `empty`.

    `seed` says in which order. Raises RegistryError if `empty` is not.
    """
    _register(books, empty)
    _credits(books, empty)
    _book(books, empty, random.Random(seed))
    for table, sql in _COMPARED.items():
        pairs = _apart(books.rows(sql), empty.database.rows(sql))
        for row, is_replayed in pairs:
            yield Difference(table, row, is_replayed)
    over = {row[:3] for row in books.rows(_ACCOUNTS) if row[5]}
    ours, theirs = (
        (row[:5] for row in database.rows(_ACCOUNTS) if row[:3] not in over)
        for database in (books, empty.database)
    )
    for row, is_replayed in _apart(ours, theirs):
        yield Difference("transfer's accounts", row, is_replayed)


def _register(books: Dialect, empty: LedgerStore) -> None:
    for merchant_no, name in books.rows("SELECT merchant_no, name FROM merchant"):
        empty.register_merchant(merchant_no, name)
    keys: dict[int, list[bytes]] = {}
    sql = "SELECT device, device_key FROM device_key ORDER BY device, key_no"
    for device, key in books.rows(sql):
        keys.setdefault(device, []).append(bytes(key))
    places = list(books.rows("SELECT device, merchant_no, site FROM device ORDER BY device"))
    empty.register_devices((device, keys[device][0], *rest) for device, *rest in places)
    for device, own in keys.items():
        for key in own[1:]:
            empty.rotate_device_key(device, key)
    empty.issue_cards(books.rows("SELECT card_no, opening_fen FROM card ORDER BY card_no"))
    with empty.database.transaction():
        for table in _COPIED:
            rows = list(books.rows(f"SELECT * FROM {table}"))
            marks = ", ".join("?" * len(rows[0])) if rows else ""
            empty.database.many(f"INSERT INTO {table} VALUES ({marks})", sorted(rows))


def _credits(books: Dialect, empty: LedgerStore) -> None:
    """Each credit of the desk as if it had been paid in: where from is not compared."""
    sql = f"SELECT number, card_no, amount_fen, order_id FROM load WHERE number < {NUMBER_MIN}"
    loads = [
        (Load(number, card_no, fen), order) for number, card_no, fen, order in books.rows(sql)
    ]
    with empty.database.transaction():
        enter(empty.database, loads)
        post_authorized(empty.database, [paid_in(load) for load, _order in loads])


def _book(books: Dialect, empty: LedgerStore, draw: random.Random) -> None:
    heads = dict(books.rows("SELECT device, head_seq FROM device WHERE head_seq > 0"))
    told = dict.fromkeys(heads, 0)
    while told:
        device = draw.choice(list(told))
        rows = books.rows(_NEXT, (device, told[device], draw.randint(1, _BATCH)))
        records = [bytes(sealed) for (sealed,) in rows]
        told[device] += len(records)
        again = [records] if draw.randrange(100) < _AGAIN else []
        empty.book([records, *again])
        if told[device] >= heads[device] or not records:
            del told[device]
    # Twins, and what was called lost: they come behind what stands.
    for (sealed,) in books.rows(_KEPT):
        empty.book([[bytes(sealed)]])


def _apart(ours: Iterator[Row], theirs: Iterator[Row]) -> Iterator[tuple[Row, bool]]:
    """(row, whether it is theirs) of each row that only one side has; both are in order."""
    one, other = next(ours, None), next(theirs, None)
    while one is not None or other is not None:
        if one is not None and one == other:
            one, other = next(ours, None), next(theirs, None)
        elif other is None or (one is not None and one < other):
            yield one or (), False
            one = next(ours, None)
        else:
            yield other, True
            other = next(theirs, None)
