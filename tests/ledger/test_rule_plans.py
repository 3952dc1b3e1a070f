"""No rule of the books looks through what grows with taps once for each row of something else.

Where it does, books of a week of 30,000 cards take minutes, and those of a year never end.
"""

import re

import pytest

from ledger import invariants
from ledger.store import LedgerStore

# What has a row for a tap, a card, or a load of one.
GROWING = """
    account card card_change chip code_answer code_entry early_outcome holder holding intent load
    load_proof load_try operator_act parked punch record reservation transfer
"""


@pytest.fixture(scope="module")
def database():
    store = LedgerStore.open(":memory:")
    yield store.database
    store.close()


def scanned_for_each_row(database, sql):
    """The tables that SQLite would go through within a subquery that depends on a row."""
    plan = database.rows(f"EXPLAIN QUERY PLAN {sql}")
    steps = {step: (parent, text) for step, parent, _none, text in plan}
    found = set()
    for parent, text in steps.values():
        above = []
        while parent in steps:
            parent, said = steps[parent]
            above.append(said)
        if text.startswith("SCAN") and any("CORRELATED" in said for said in above):
            found |= tables_of(database, sql, text)
    return found & set(GROWING.split())


def tables_of(database, sql, text):
    """Which tables a step may mean: it says their index, or how the statement calls them."""
    by_index = re.search(r"USING (?:COVERING )?INDEX (\w+)", text)
    if by_index:
        named = "SELECT tbl_name FROM sqlite_master WHERE name = ?"
        return {table for (table,) in database.rows(named, (by_index[1],))}
    name = text.split()[1]
    return {name, *re.findall(rf"\b(?:FROM|JOIN)\s+(\w+)\s+{name}\b", sql)}


@pytest.mark.parametrize("rule", invariants._RULES)
def test_each_table_that_grows_is_gone_through_once(database, rule):
    assert scanned_for_each_row(database, invariants._RULES[rule]) == set()


def test_a_rule_that_does_is_found(database):
    """As one of them did."""
    sql = """SELECT a.id FROM account a WHERE a.balance_fen <> (
        SELECT COALESCE(SUM(t.amount_fen), 0) FROM transfer t
        WHERE t.kind IN (9, 12) AND t.debit_account = a.id OR t.kind = 10)"""
    assert scanned_for_each_row(database, sql) == {"transfer"}
