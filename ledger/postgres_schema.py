"""The tables on PostgreSQL: the migrations of ledger/schema.py, said in its words.

There is one list of migrations. What differs is few words and one form of trigger, so they are
translated and not written twice: STRICT tables of INTEGER, TEXT and BLOB become BIGINT, TEXT in
the order of its bytes (as SQLite sorts it) and BYTEA; a trigger that refuses becomes a function in
plpgsql and its trigger. A journal refuses TRUNCATE as well.

Alembic keeps the version (ledger/migrations: revision "0003" is the third of the list).
"""

import re

from ledger.schema import APPEND_ONLY, MIGRATIONS

# Statements beside the list that only PostgreSQL needs, by the number of their revision.
_WRITER = """
CREATE TABLE writer (one BIGINT PRIMARY KEY CHECK (one = 1));
INSERT INTO writer VALUES (1);
"""
_BESIDE = {1: _WRITER}
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
_CHANGED += " holder holding payee watched held_back operator operator_session"


def migration(number: int) -> str:
    """The SQL of revision `number`, from 1 on: any number of statements, without parameters."""
    script = _TRIGGER.sub(_refusal, MIGRATIONS[number - 1])
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
