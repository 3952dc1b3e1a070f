"""Entries: transfers are written down and their accounts moved, in a transaction of the caller.

Rules of this file. It knows transfers and accounts and nothing else, so whatever decides may post.
A transfer is there once: a second one of the same key breaks the transaction.
"""

from collections import defaultdict
from collections.abc import Sequence

from ledger.dialect import Dialect
from ledger.transfers import Transfer

_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM {}"
# What was decided at this desk must keep an account above its floor: the CHECK refuses it.
_AUTHORIZE = "UPDATE account SET balance_fen = balance_fen + ? WHERE id = ?"
# What has happened in the field is recorded even so, and the account is flagged while it is below
# its floor: a credit that its card tells of after the spend it paid for leaves no flag behind.
_RECORD_SPEND = """
UPDATE account SET
  balance_fen = balance_fen + ?,
  overdrawn = CASE WHEN balance_fen + ? < floor_fen THEN 1 ELSE 0 END
WHERE id = ?"""


def post_authorized(database: Dialect, transfers: Sequence[Transfer]) -> None:
    """Post transfers decided here; ConstraintBroken if one would break a floor."""
    database.insert("transfer", transfers)
    database.update(_AUTHORIZE, [(delta, number) for number, delta in _deltas(transfers)])


def post_recorded(database: Dialect, transfers: Sequence[Transfer]) -> None:
    """Post transfers that have happened already; an account below its floor is flagged."""
    database.insert("transfer", transfers)
    database.update(
        _RECORD_SPEND, [(delta, delta, number) for number, delta in _deltas(transfers)]
    )


def next_number(database: Dialect, table: str) -> int:
    """The next number in a table that counts its rows; in a transaction of the caller."""
    ((number,),) = database.rows(_NEXT.format(table))
    return number


def _deltas(transfers: Sequence[Transfer]) -> list[tuple[int, int]]:
    """What each account gains, by account: many spends at one merchant are one update."""
    gained: dict[int, int] = defaultdict(int)
    for transfer in transfers:
        gained[transfer.debit_account] -= transfer.amount_fen
        gained[transfer.credit_account] += transfer.amount_fen
    return sorted(gained.items())
