"""The tables on PostgreSQL: the migrations of ledger/schema.py, said in its words.

There is one list of migrations. What differs is few words and one form of trigger, so they are
translated and not written twice: STRICT tables of INTEGER, TEXT and BLOB become BIGINT, TEXT in
the order of its bytes (as SQLite sorts it) and BYTEA; a trigger that refuses becomes a function in
plpgsql and its trigger. A journal refuses TRUNCATE as well.

Alembic keeps the version (ledger/migrations: revision "0003" is the third of the list).
"""

import re

from ledger.growth_schema import GROWTH, PORTIONS, ROWS_AT_THE_END
from ledger.schema import APPEND_ONLY, MIGRATIONS

# Statements beside the list that only PostgreSQL needs, by the number of their revision.
_WRITER = """
CREATE TABLE writer (one BIGINT PRIMARY KEY CHECK (one = 1));
INSERT INTO writer VALUES (1);
"""
# A foreign key is asked for each row, which took four tenths of the server's time for a booking.
# Of the three tables that grow with every tap a statement's rows are looked at together, by index
# whatever was planned when the books were small. What is spoken of stays: none of it can be
# deleted or get another number.
_IS_KNOWN = """
ALTER TABLE {table} DROP CONSTRAINT {table}_{columns}_fkey;
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM new_rows n WHERE NOT EXISTS (SELECT FROM {of} o WHERE {which})) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = '{text}';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER {name} AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""
_KNOWN = (
    ("record", "device", "device", "o.device = n.device"),
    ("intent", "device_seq", "record", "o.device = n.device AND o.seq = n.seq"),
    ("transfer", "debit_account", "account", "o.id = n.debit_account"),
    ("transfer", "credit_account", "account", "o.id = n.credit_account"),
)
# The same questions, each number asked for once in a statement: a portion has a few readers and
# merchants. A refusal is not called where there is nothing to refuse. Spends come nearly in the
# order of their time, so an index of stretches of the table finds a day too (ledger/takings.py)
# and costs an insert next to nothing.
_ASKED_ONCE = """
DROP FUNCTION transfer_debit_account_is_known() CASCADE;
DROP FUNCTION transfer_credit_account_is_known() CASCADE;
CREATE FUNCTION transfer_accounts_are_known() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT debit_account AS id FROM new_rows
        UNION SELECT credit_account FROM new_rows) n
        WHERE NOT EXISTS (SELECT FROM account o WHERE o.id = n.id)) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = 'a row of transfer speaks of no account';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_accounts_are_known AFTER INSERT ON transfer
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION transfer_accounts_are_known();
CREATE OR REPLACE FUNCTION record_device_is_known() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT device FROM new_rows) n
        WHERE NOT EXISTS (SELECT FROM device o WHERE o.device = n.device)) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = 'a row of record speaks of no device';
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER reserved_is_there ON account;
CREATE TRIGGER reserved_is_there BEFORE UPDATE ON account FOR EACH ROW
WHEN (NEW.kind = 7 AND NEW.balance_fen < 0) EXECUTE FUNCTION reserved_is_there();
DROP INDEX intent_taken;
CREATE INDEX intent_taken ON intent USING brin (earliest_s)
WITH (pages_per_range = 16, autosummarize = on);
"""
_BESIDE = {
    1: _WRITER,
    1 + MIGRATIONS.index(PORTIONS): _ASKED_ONCE,
    1 + MIGRATIONS.index(GROWTH): "".join(
        _IS_KNOWN.format(
            table=table,
            columns=columns,
            name=f"{table}_{columns}_is_known",
            of=of,
            which=which,
            text=f"a row of {table} speaks of no {of}",
        )
        for table, columns, of, which in _KNOWN
    ),
}
# What only SQLite's tables need, which keep their rows in the tree of a key.
_NOT_HERE = (ROWS_AT_THE_END,)
LOCK_WRITER = "SELECT one FROM writer FOR UPDATE"
_WORDS = (
    (re.compile(r"\) STRICT(?:, WITHOUT ROWID)?;"), ");"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\bDROP TRIGGER (\w+);"), r"DROP FUNCTION \1() CASCADE;"),
)
_TRIGGER = re.compile(
    r"CREATE TRIGGER (?P<name>\w+)\s+BEFORE (?P<verb>UPDATE|DELETE|INSERT)"
    r"(?P<columns>\s+OF\s[\w,\s]+?)?\s+ON (?P<table>\w+)"
    r"(?:\s+WHEN (?P<condition>.*?))?"
    r"\s+BEGIN SELECT RAISE\(ABORT, '(?P<text>[^']*)'\); END;",
    re.DOTALL,
)
_REFUSAL = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation', MESSAGE = '{text}';
    END IF;
    RETURN {row};
END $$;
CREATE TRIGGER {name} BEFORE {verb}{columns} ON {table}
FOR EACH ROW EXECUTE FUNCTION {name}();
"""
_REFUSE_TRUNCATE = """
CREATE TRIGGER {name}_of_all BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""
_CHANGED = "account device intent load phone reservation parked early_outcome tally writer"
_CHANGED += " card_validity person_no person_desk responsible lock_word"
_CHANGED += " holder holding payee watched held_back operator operator_session acquirer_order"
_CHANGED += " console_form holder_name name_key entry_stretch entry_unread steady_clock"


def migration(number: int) -> str:
    """The SQL of revision `number`, from 1 on: any number of statements, without parameters."""
    script = MIGRATIONS[number - 1]
    script = "-- nothing\n" if script in _NOT_HERE else _TRIGGER.sub(_refusal, script)
    for pattern, word in _WORDS:
        script = pattern.sub(word, script)
    return script + _BESIDE.get(number, "")


def grants(role: str) -> str:
    """SQL that lets the service's role, which owns nothing, do what the ledger does and no more.

    Journals it can only add to: not even our own bug can change them.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
        raise ValueError(f"{role!r}: not a plain name of a role")
    lines = [f"GRANT SELECT ON alembic_version TO {role}"]
    lines += [f"GRANT SELECT, INSERT ON {table} TO {role}" for table in APPEND_ONLY]
    lines += [f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}" for table in APPEND_ONLY]
    lines += [f"GRANT SELECT, INSERT, UPDATE ON {table} TO {role}" for table in _CHANGED.split()]
    deleted = ("parked", "early_outcome", "operator_session")
    deleted += ("console_form", "holder_name", "name_key", "steady_clock")
    lines += [f"GRANT DELETE ON {table} TO {role}" for table in deleted]
    return ";\n".join(lines)


def _refusal(found: re.Match[str]) -> str:
    part = {name: value or "" for name, value in found.groupdict().items()}
    has_condition = bool(part["condition"])
    part["condition"] = part["condition"] or "TRUE"
    part["row"] = "OLD" if part["verb"] == "DELETE" else "NEW"
    text = _REFUSAL.format(**part)
    if part["verb"] == "DELETE" and not has_condition:
        text += _REFUSE_TRUNCATE.format(**part)
    return text
