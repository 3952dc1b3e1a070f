"""How many of what a ledger has in its books: for the assertions of a scenario.

Counted from the sealed records themselves, not from what the ledger made of them; split charges
as `onecard ledger splits` reports them under the scenario's own policy.
"""

from __future__ import annotations

from collections import Counter

from ledger.aggregate_match import Status
from ledger.reservations import Settled
from ledger.splits import report
from ledger.store import LedgerStore
from ledger.transfers import CLEAR
from protocols.wire import messages, seal

_KINDS = {
    messages.REFUSAL: "refusal",
    messages.CAPTURE: "capture",
    messages.INSPECTION: "inspection",
    messages.FAULT: "fault",
    messages.PUNCH: "punch",
    messages.TAMPER: "tamper",
    messages.AGGREGATE: "aggregate",
}
# Of INTENT records, by their flags; a try takes nothing, the others are charges.
_FLAGS = {
    messages.FLAG_TRY: "pin_try",
    messages.FLAG_PIN: "with_pin",
    messages.FLAG_IDENTITY: "with_identity",
    messages.FLAG_OFFLINE: "offline",
    messages.FLAG_BATTERY: "on_battery",
    messages.FLAG_MEAL: "meal",
}
# Of AGGREGATE records, what the statements say; and of the statements' lines.
_STATUSES = tuple(status.value for status in Status)
NO_RECORD = "without_record"
# Payments by a platform's code, as their records have settled them; and what an acquirer states.
_ORDERS = {Settled.OPEN: "order_open", Settled.SOLD: "order_sold", Settled.VOID: "order_void"}
_STATED = ("statement", "cleared", "unmatched")
COUNTED = (
    *_KINDS.values(),
    "mark",
    *_FLAGS.values(),
    "split",
    "surely_split",
    *_STATUSES,
    NO_RECORD,
    *_ORDERS.values(),
    *_STATED,
)


def counts(store: LedgerStore, policy: dict[str, int], now_s: int) -> dict[str, int]:
    """How many of each that COUNTED names; `policy` as in rules/spending.py, `now_s` in UTC."""
    found = Counter(dict.fromkeys(COUNTED, 0))
    for kind, sealed in store.database.rows("SELECT kind, sealed FROM record"):
        if kind == messages.INSPECTION and "by_clock" in messages.decode_record(
            seal.payload_of(sealed)
        ):
            found["mark"] += 1
        elif kind in _KINDS:
            found[_KINDS[kind]] += 1
        elif kind == messages.INTENT:
            flags = messages.decode_record(seal.payload_of(sealed))["flags"]
            found.update(word for flag, word in _FLAGS.items() if flags & flag)
    matched = store.aggregate.matched()
    found.update(status.value for status in matched.sales.values())
    found[NO_RECORD] = list(matched.lines.values()).count(Status.UNVERIFIED)
    if policy["split_window_s"]:
        window_s = policy["split_window_s"]
        splits = report(store, policy["no_pin_max_fen"], window_s).splits
        found.update(split=len(splits), surely_split=sum(one.is_sure for one in splits))
    found.update(_acquired(store, policy["utc_offset_s"], now_s))
    return dict(found)


def _acquired(store: LedgerStore, utc_offset_s: int, now_s: int) -> Counter[str]:
    rows = store.database.rows("SELECT state, COUNT(*) FROM acquirer_order GROUP BY state")
    found = Counter({_ORDERS[Settled(state)]: count for state, count in rows})
    ((cleared,),) = store.database.rows("SELECT COUNT(*) FROM transfer WHERE kind = ?", (CLEAR,))
    statements = store.acquirer_statements
    unmatched = len(statements.unmatched(utc_offset_s, now_s))
    found.update(statement=len(statements.versions()), cleared=cleared, unmatched=unmatched)
    return found
