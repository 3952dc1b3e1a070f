"""SQLite as we open it: durable, migrated step by step, never by an older program."""

import sqlite3

import pytest

from adapters.sqlite import SchemaTooNew, open_database, transaction

ONE = "CREATE TABLE a (x INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)"
TWO = """
CREATE TABLE b (y TEXT) STRICT;  -- a comment; with a semicolon
CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES ('a;b'); END;
"""
BROKEN = "CREATE TABLE c (z INTEGER); INSERT INTO nowhere VALUES (1);"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "test.sqlite")


def _version(database):
    return database.execute("PRAGMA user_version").fetchone()[0]


def test_a_newer_file_is_refused_and_left_alone(path):
    open_database(path, [ONE, TWO]).close()
    with pytest.raises(SchemaTooNew, match=r"has schema 2, this program knows 1"):
        open_database(path, [ONE])
    assert _version(sqlite3.connect(path)) == 2


def test_a_broken_migration_leaves_the_schema_before_it(path):
    open_database(path, [ONE]).close()
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_database(path, [ONE, BROKEN])
    database = sqlite3.connect(path)
    assert _version(database) == 1
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    assert tables == [("a",)]
    database.close()
    assert _version(open_database(path, [ONE, TWO])) == 2


def test_a_new_file_has_all_migrations_or_none(path):
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_database(path, [ONE, BROKEN])
    database = sqlite3.connect(path)
    assert _version(database) == 0
    assert database.execute("SELECT name FROM sqlite_schema").fetchall() == []
    database.close()
    database = open_database(path, [ONE, TWO])
    assert _version(database) == 2
    assert database.execute("SELECT x FROM a").fetchall() == [(1,)]


OF_ANOTHER = "CREATE TABLE d (x INTEGER REFERENCES c (x)); INSERT INTO d VALUES (5)"
ANEW = """
CREATE TABLE c2 (x INTEGER PRIMARY KEY, y TEXT) STRICT;
INSERT INTO c2 (x) SELECT x FROM c{which};
DROP TABLE c;
ALTER TABLE c2 RENAME TO c
"""


def test_a_table_that_others_speak_of_is_made_anew(path):
    first = ["CREATE TABLE c (x INTEGER PRIMARY KEY); INSERT INTO c VALUES (5)", OF_ANOTHER]
    open_database(path, first).close()
    database = open_database(path, [*first, ANEW.format(which="")])
    assert database.execute("SELECT x, y FROM c").fetchall() == [(5, None)]
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        database.execute("DELETE FROM c")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        database.execute("INSERT INTO d VALUES (6)")


def test_a_migration_that_leaves_a_row_without_its_other_is_none(path):
    first = ["CREATE TABLE c (x INTEGER PRIMARY KEY); INSERT INTO c VALUES (5)", OF_ANOTHER]
    open_database(path, first).close()
    with pytest.raises(sqlite3.IntegrityError, match="leaves a row of d without its c"):
        open_database(path, [*first, ANEW.format(which=" WHERE x > 5")])
    database = open_database(path, first)
    assert database.execute("SELECT * FROM c").fetchall() == [(5,)]


def test_an_unfinished_statement_is_an_error(path):
    with pytest.raises(sqlite3.Error):
        open_database(path, ["CREATE TABLE a (x"])


def test_an_exception_rolls_back(path):
    database = open_database(path, [ONE])
    with pytest.raises(ZeroDivisionError), transaction(database):
        database.execute("INSERT INTO a VALUES (2)")
        raise ZeroDivisionError
    assert database.execute("SELECT x FROM a").fetchall() == [(1,)]
    assert not database.in_transaction


def test_a_full_disk_rolls_back_and_the_connection_lives(path):
    database = open_database(path, ["CREATE TABLE a (x BLOB) STRICT"])
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"), transaction(database):
        for _ in range(100):
            database.execute("INSERT INTO a VALUES (zeroblob(4000))")
    assert not database.in_transaction
    database.execute("PRAGMA max_page_count = 1000")
    with transaction(database):
        database.execute("INSERT INTO a VALUES (x'00')")
    assert database.execute("SELECT count(*) FROM a").fetchone() == (1,)


def test_a_second_writer_waits_and_then_fails_clearly(path):
    first, second = open_database(path, [ONE]), open_database(path, [ONE])
    second.execute("PRAGMA busy_timeout = 10")
    with transaction(first):
        with pytest.raises(sqlite3.OperationalError, match="locked"), transaction(second):
            pass
        assert second.execute("SELECT x FROM a").fetchall() == [(1,)]  # readers do not wait


def test_strict_tables_and_foreign_keys_hold(path):
    schema = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE child (parent INTEGER REFERENCES parent (id)) STRICT;
    """
    database = open_database(path, [schema])
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        database.execute("INSERT INTO child VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        database.execute("INSERT INTO child VALUES ('one')")


def test_the_settings_that_make_a_commit_durable(path):
    database = open_database(path, [])
    settings = {
        name: database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5_000,
    }


def test_migrations_run_once_and_in_order(path):
    open_database(path, [ONE]).close()
    database = open_database(path, [ONE, TWO])
    database.execute("INSERT INTO a VALUES (2)")
    assert database.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]
    assert database.execute("SELECT y FROM b").fetchall() == [("a;b",)]
    database.close()
    assert _version(open_database(path, [ONE, TWO])) == 2


def test_databases_in_memory_have_the_schema_the_settings_and_nothing_of_each_other():
    first, second = (open_database(":memory:", [ONE, TWO]) for _ in range(2))
    first.execute("INSERT INTO a VALUES (2)")
    assert first.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]
    assert first.execute("SELECT y FROM b").fetchall() == [("a;b",)]
    third = open_database(":memory:", [ONE, TWO])
    for database in (second, third):
        assert _version(database) == 2
        assert database.execute("SELECT x FROM a").fetchall() == [(1,)]
        assert database.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert _version(open_database(":memory:", [ONE])) == 1


def test_a_database_in_memory_is_one_of_a_file(path):
    opened = [open_database(where, [ONE, TWO]) for where in (path, ":memory:")]
    of_file, in_memory = ("\n".join(database.iterdump()) for database in opened)
    assert of_file == in_memory
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_database(":memory:", [ONE, BROKEN])
    with transaction(opened[1]):
        opened[1].executemany("INSERT INTO a VALUES (?)", [(n,) for n in range(100_000)])
    assert opened[1].execute("SELECT COUNT(*) FROM a").fetchone() == (100_001,)
