"""What merchants got day by day, found by indexes: as all entries say."""

from ledger import merchant_entries
from ledger.transfers import ACQUIRE, CANCEL, CODE_SALE, SPEND
from tests.ledger.months import DAY_S, END_S, FROM_S, fill
from tests.ledger.test_constraints import filled


def test_days_by_indexes_are_those_of_all_entries():
    """On books with something of everything that moves a merchant's money."""
    store = filled()
    fill(store)
    every = f"""
SELECT (e.time_s + 28800) / 86400, e.merchant_no, COUNT(*), SUM(e.amount_fen)
FROM ({merchant_entries.ENTRIES}) e WHERE e.time_s >= ? AND e.time_s < ?
GROUP BY 1, 2 ORDER BY 1, 2"""
    kinds = {kind for (kind,) in store.database.rows("SELECT DISTINCT kind FROM transfer")}
    assert kinds >= {SPEND, CANCEL, CODE_SALE, ACQUIRE}, kinds
    for span in ((0, 1 << 32), (FROM_S, END_S), (FROM_S + DAY_S, FROM_S + 2 * DAY_S)):
        expected = [(*row[:3], int(row[3])) for row in store.database.rows(every, span)]
        found = merchant_entries.days(store.database, *span, 28_800)
        told = [(one.day, one.merchant_no, one.count, _fen(one)) for one in found]
        assert told == expected and (expected or span[0]), span


def _fen(one):
    return one.sales_fen - one.cancelled_fen + one.other_fen
