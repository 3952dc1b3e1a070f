"""A day that balances is from its midnight to the next one, and of no sale twice."""

from ledger.console import balance
from tests.ledger.months import FROM_S, Pos
from tests.ledger.readers import open_ledger

DAY_S = 86_400


def test_a_sale_at_midnight_is_of_the_day_that_begins():
    pos = Pos(1001)
    for at_s, fen in ((0, 100), (DAY_S - 1, 200), (DAY_S, 400)):
        pos.sell(fen, FROM_S + at_s)
    store = open_ledger(pos)
    store.book([pos.records])
    days = [FROM_S + DAY_S * day for day in range(-1, 3)]
    found = [balance.of_day(store.database, day, day + DAY_S) for day in days]
    assert [(one.count, one.taken_fen) for one in found] == [(0, 0), (2, 300), (1, 400), (0, 0)]
    store.close()
