"""What each merchant took in some time, a day mostly: one stretch of one index, however old."""

from ledger.dialect import Dialect
from ledger.evidence import State

# As the index has it (ledger/growth_schema.py): with other words the whole table is read.
_TAKEN = f"""
SELECT merchant_no, COUNT(*), SUM(amount_fen) FROM intent
WHERE state = {int(State.COMMITTED)} AND credit_no = 0 AND earliest_s >= ? AND earliest_s < ?
GROUP BY merchant_no ORDER BY merchant_no"""


def taken(database: Dialect, from_s: int, to_s: int) -> dict[int, tuple[int, int]]:
    """merchant -> (spends, fen) of the spends that began in [from_s, to_s), cancelled ones too.

    A spend begins at the earliest second at which it can have been. Counted PIN tries, spends of
    nothing, are among them.
    """
    rows = database.rows(_TAKEN, (from_s, to_s))
    return {merchant_no: (count, fen) for merchant_no, count, fen in rows}
