"""Books of schema 41 on SQLite, whose records lay in the tree of their key, are led on."""

import sqlite3
from contextlib import closing

import pytest

from adapters.sqlite import open_database
from ledger.growth_schema import ROWS_AT_THE_END
from ledger.invariants import check
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from tests.ledger.readers import Reader, open_ledger

TABLES = "record", "intent", "transfer", "account", "device", "cancel"


def rows(database):
    return {
        table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table in TABLES
    }


@pytest.fixture
def old(tmp_path):
    """Books of schema 41 with what a reader has sold, and what stood in them."""
    reader = Reader(1001)
    reader.boot()
    sale, _last = reader.spend(), reader.spend(counter=1)
    path = str(tmp_path / "old.sqlite")
    before = MIGRATIONS[: MIGRATIONS.index(ROWS_AT_THE_END)]
    with closing(open_ledger(reader)) as store, closing(open_database(path, before)) as database:
        store.book([reader.records])
        database.execute("PRAGMA foreign_keys = OFF")
        for table in ("merchant", "card", "device_key", *TABLES):
            for row in store.database.rows(f"SELECT * FROM {table}"):
                marks = ", ".join("?" * len(row))
                database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
        assert sale[0] == 1001
        database.execute("UPDATE account SET balance_fen = 0")
        for number, fen in store.database.rows("SELECT id, balance_fen FROM account"):
            database.execute("UPDATE account SET balance_fen = ? WHERE id = ?", (fen, number))
        stood = rows(database)
    assert len(stood["record"]) == len(reader.records) and len(stood["intent"]) == 2
    return path, stood


def test_nothing_is_lost_on_the_way_and_all_holds(old):
    path, stood = old
    with closing(LedgerStore.open(path)) as store:
        assert check(store) == []
    with closing(sqlite3.connect(path)) as database:
        assert rows(database) == stood
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_what_could_not_be_done_to_them_cannot_be_done_now(old):
    path, _stood = old
    with closing(open_database(path, MIGRATIONS)) as database:
        for sql, says in (
            ("DELETE FROM record", "append-only"),
            ("UPDATE record SET kind = 2", "append-only"),
            ("DELETE FROM intent", "intents stay"),
            ("UPDATE intent SET state = 0", "only grows"),
            ("UPDATE intent SET amount_fen = 1", "as it was sealed"),
            (
                "INSERT INTO intent SELECT device, 99, 7, 1, 1, 1, 1, 1, 1, 1, 0, 0 FROM device",
                "KEY",
            ),
            ("INSERT INTO record SELECT device, seq, 1, sha256, x'01', 0 FROM record", "UNIQUE"),
            ("INSERT INTO record SELECT 77, 1, 1, sha256, x'01', 0 FROM record LIMIT 1", "KEY"),
        ):
            with pytest.raises(sqlite3.IntegrityError, match=says):
                database.execute(sql)
