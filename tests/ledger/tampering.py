"""Somebody who has the database itself, and so is stopped by nothing that it refuses."""

import re

from ledger.dialect import SqliteDialect

_CHECKS = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE contype = 'c' AND connamespace = 'public'::regnamespace"""


def in_its_words(store, sql):
    """`sql`, written for SQLite, as the database of `store` says it; bytes differ."""
    if isinstance(store.database, SqliteDialect):
        return sql
    sql = re.sub(r"x'(\w*)'", r"'\\x\1'::bytea", sql)
    return re.sub(r"zeroblob\((\d+)\)", lambda size: f"'\\x{'00' * int(size[1])}'::bytea", sql)


def tamper(store, statements):
    """Run `statements` with the triggers, foreign keys and checks out of the way."""
    if isinstance(store.database, SqliteDialect):
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        bare = [f"DROP TRIGGER {name}" for (name,) in list(store.database.rows(sql))]
        bare += ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"]
    else:
        checks = list(store.database.rows(_CHECKS))
        bare = [f'ALTER TABLE {table} DROP CONSTRAINT "{name}"' for table, name in checks]
        bare.append("SET session_replication_role = replica")
    for statement in [*bare, *statements]:
        store.database.rows(statement)
