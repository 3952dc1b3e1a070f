"""No page reads all of a table that grows with cards or records, on either database.

Every page is shown to every role that sees it, and the console's questions are asked; of each
statement that this takes, the database says how it would find its rows. So a page to come is held
to it by being a row of the table of pages.
"""

import json
import re
import time
from dataclasses import replace

import pytest

from ledger import people, postgres
from ledger.console import pages
from ledger.console.asked import EN, Asked, Refused, Settings
from ledger.signatures import session_of
from ledger.store import LedgerStore
from tests.ledger.console import business, dorm
from tests.ledger.console.campus import EXAMPLES, IN_USE, fill
from tests.ledger.staff import CHEAP, OF_ROLE, log_in

# What grows with cards, or with what is done with them.
LARGE = """
    access_change account acquirer_order aggregate_sale batch_done batch_line cancel card
    card_act card_change card_validity channel_topup chip code_answer code_entry correction
    entry_stretch finding holder holder_name holding intent load load_end load_proof load_try
    name_key operator_act operator_session payee period_line person_no phone punch record
    reissue reservation statement_line suspense_case temporary_application temporary_approval
    temporary_card transfer
"""
# What of it may be gone through, and why that is little: what has to stand in the statement.
FEW = {
    "account": ("SUM(balance_fen)", "a few for each card, and only cards open new ones"),
    "card_change": ("cause IN ('close', 'terminate')", "an index of the cards that have ended"),
    "correction": ("FROM correction p JOIN", "what persons have proposed about some of the cases"),
    "suspense_case": ("COUNT(*) FROM suspense_case", "a case is one record in thousands"),
    "aggregate_sale": ("latest_s - earliest_s > 3600", "an index of those of no known time"),
    "punch": ("latest_s - earliest_s > 86400", "an index of those of no known time"),
}


class _Noted:
    """A connection to PostgreSQL that writes down what it is asked."""

    def __init__(self, connection, said):
        self._connection, self._said = connection, said

    def execute(self, sql, parameters=()):
        self._said.setdefault(sql.decode() if isinstance(sql, bytes) else sql, parameters)
        return self._connection.execute(sql, parameters)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.fixture(scope="module")
def said(books_on):
    """(database, what the console asks of it: statement -> (parameters, by which page))."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ledger.passwords._HASHER", CHEAP)
        store = LedgerStore.open(":memory:")
        now_s = int(time.time())
        fill(store, now_s)
        found = {}
        for page, asked in _looks(store, now_s):
            for sql, parameters in _asked_by(store, page, asked).items():
                found.setdefault(sql, (parameters, page.path))
    return store.database, found


def _looks(store, now_s):
    settings = Settings(259_200, 28_800)
    for role in people.ROLES:
        person = log_in(store, OF_ROLE[role], now_s)
        _login, department, roles = session_of(store.database, person.token_hash, now_s)
        for page in pages.PAGES:
            if not page.is_for(roles) or page.is_open:
                continue
            one = Asked(store, settings, person, department, roles, now_s, EN, EXAMPLES, {})
            yield page, one
            for query in QUERIES.get(page.path, ()):
                yield page, replace(one, query=query)
            for fields in POSTED.get(page.path, ()):
                yield replace(page, show=page.do), replace(one, fields=fields)


def _asked_by(store, page, asked):
    """The statements of one look."""
    database, asks = store.database, {}
    is_server = isinstance(database, postgres.PostgresDialect)
    if is_server:
        live = database._live
        database._live = lambda: _Noted(live(), asks)
    else:
        database._connection.set_trace_callback(lambda sql: asks.setdefault(sql, ()))
    try:
        page.show(asked)
    except (Refused, *pages.REFUSES):
        pass
    finally:
        if is_server:
            database._live = live
        else:
            database._connection.set_trace_callback(None)
    return asks


def test_no_page_reads_all_of_what_grows(said):
    database, asks = said
    assert len(asks) > 150, "whatever notes statements notes none"
    is_server = isinstance(database, postgres.PostgresDialect)
    reads = _reads_on_server if is_server else _reads
    wrong = {}
    for sql, (parameters, path) in asks.items():
        if sql.lstrip().upper().startswith(("SELECT", "WITH")):
            for table, how in reads(database, sql, parameters):
                if table in FEW and FEW[table][0] in sql:
                    continue
                wrong.setdefault((path, how), " ".join(sql.split())[:900])
    assert not wrong, "\n".join(f"{path}: {how}\n    {sql}" for (path, how), sql in wrong.items())


def _reads(database, sql, _parameters):
    """Scans of LARGE tables, and searches of a reader's whole journal, as SQLite plans them."""
    named = re.findall(r"\b(?:FROM|JOIN|,)\s+(\w+)\s+(?:AS )?(\w+)\b", sql)
    of = {alias: table for table, alias in named}
    for row in list(database._connection.execute(f"EXPLAIN QUERY PLAN {sql}")):
        found = re.match(r"(SCAN|SEARCH) (\w+)(.*)", row[-1])
        table = of.get(found[2], found[2]) if found else ""
        if table not in LARGE.split():
            continue
        is_whole = found[1] == "SCAN" or (table == "record" and found[3].endswith("(device=?)"))
        if is_whole:
            yield table, f"{found[1]} {table}{found[3]}"


def _reads_on_server(database, sql, parameters):
    """The same as PostgreSQL plans them, when it may not read a table from one end."""
    connection = database._connection
    with connection.transaction(force_rollback=True):
        for way in ("seqscan", "mergejoin", "hashjoin"):  # as of large tables, of which few rows
            connection.execute(f"SET LOCAL enable_{way} = off")
        ((plan,),) = connection.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters).fetchall()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    yield from _whole(plan[0]["Plan"])


def _whole(node):
    table, kind = node.get("Relation Name", ""), node["Node Type"]
    has_bounds = "Index Cond" in node or "Recheck Cond" in node
    if table in LARGE.split() and kind.endswith("Scan") and not has_bounds:
        yield table, f"{kind} of {table} {node.get('Index Name', '')}"
    for inner in node.get("Plans", ()):
        yield from _whole(inner)


QUERIES = {
    "/doors": ({"site": dorm.SITE}, {"door": str(dorm.HALL)}),
    "/doors/{door}": ({"card": str(dorm.GRANTED)},),
    "/cases": ({"all": "1"}, {"all": "1", "reason": str(business.EXAMPLES["case_reason"])}),
    "/audit": ({"reader": str(business.TILL)}, {"device": str(business.TILL), "seq": "1"}),
    "/periods/close": ({"until": "2026-11-01"},),
    "/block": ({"card": str(IN_USE)},),
    "/takings": ({"merchant": EXAMPLES["merchant"]},),
    "/dossiers": ({"kind": "repair"},),
    "/batteries": ({"site": dorm.SITE},),
}
POSTED = {
    "/search": tuple({"q": q} for q in ("8", "2021010042", "0A0B0C0D", "zs", "1234567890")),
    "/audit": ({"login": "clara"},),
    "/doors/{door}/who": (
        {"from": "2026-11-01T00:00", "to": "2026-11-02T00:00", "purpose": "to look"},
    ),
}
