"""A copy of the books in one file, taken beside the running ledger, and books made from it.

Rules of this file. A copy that nobody has looked at is none: it is checked, page by page and rule
by rule (ledger/invariants.py), before it gets its name, and again before it becomes books. Its
hash stands beside it, in a file written last: without that it is not whole. Both hold readers'
keys, and have mode 0600. Restoring never writes over anything.

Books that come back from a backup have lost what was booked since. Records come again by
themselves (docs/adr/0037-booked-records-stay-a-while.md); an audit says how many rows of which
journal there were. What it has of credits is entered again (ledger/reentry.py); a person enters
what else no reader tells.

Where the books are in PostgreSQL, pg_dump takes the copy; what it can do is that server's.
"""

import hashlib
import json
import os
import secrets
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import audit
from ledger.dialect import SqliteDialect, StoreUnavailable
from ledger.invariants import check
from ledger.payments.after_restore import note_restore
from ledger.reentry import Left, end_phones, enter_again
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore

_CHUNK_BYTES = 1 << 20


class BackupError(Exception):
    """It cannot be taken or restored; the text says why, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Restored:
    """`lacks`: how many rows of each journal, by the audit; without one {}. How many of its
    credits were entered again, and those that a person has to see to (`left`). `phones`: cards
    whose phone was bound or ended since, and which have none now. `disabled`: operators who were
    let in no more since, and are not; `still_in`: those of them whom these books cannot do
    without, since fewer than two would let people in."""

    lacks: Counter[str]
    entered: int
    left: list[Left]
    phones: int = 0
    disabled: list[str] = field(default_factory=list)
    still_in: list[str] = field(default_factory=list)


def manifest_of(backup: Path) -> Path:
    """The file beside a backup that says what it has to be."""
    return backup.with_name(backup.name + ".json")


def back_up(books: Path, out: Path, made_s: int) -> dict[str, Any]:
    """Copy the SQLite file `books` to the new file `out`, checked; what its manifest says.

    Raises BackupError, OSError.
    """
    if out.exists() or manifest_of(out).exists():
        raise BackupError(f"{out} is there already")
    partial = _new(out)
    try:
        with (
            closing(sqlite3.connect(f"{books.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(partial)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, no log beside it
    except sqlite3.Error as error:
        raise BackupError(f"{books}: {error}") from None
    told: dict[str, Any] = {"made_s": made_s, "schema": len(MIGRATIONS)} | _examined(partial)
    told["sha256"] = _sha256(partial)
    _named(partial, out)
    manifest = _new(manifest_of(out))
    manifest.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="ascii")
    _named(manifest, manifest_of(out))
    return told


def restore(backup: Path, into: Path, now_s: int, audit_folder: Path | None = None) -> Restored:
    """Make the new books `into` of a backup at `now_s`, with the credits that the audit has.

    Files to banks wait in them (ledger/payments/after_restore.py).

    Raises BackupError, AuditError of ledger.audit, OSError.
    """
    _check_free(into)
    try:
        told = json.loads(manifest_of(backup).read_text(encoding="ascii"))
        wanted = told["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{backup}: its manifest cannot be read: {error}") from None
    partial = into.with_name(f"{into.name}.{secrets.token_hex(8)}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        restored = _restored(backup, wanted, partial, now_s, audit_folder)
        _check_free(into)
        _named(partial, into, os.link)  # a rename would write over what was made meanwhile
    except FileExistsError:
        raise BackupError(f"{into} is there already") from None
    except StoreUnavailable as error:  # a disk that is full
        raise BackupError(f"{into}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return restored


def _restored(
    backup: Path, wanted: str, partial: Path, now_s: int, audit_folder: Path | None
) -> Restored:
    with backup.open("rb") as source, partial.open("wb") as target:
        while data := source.read(_CHUNK_BYTES):
            target.write(data)
    if _sha256(partial) != wanted:
        raise BackupError(f"{backup} is not what it was: its SHA-256 is another")
    _examined(partial)
    with closing(_opened(partial)) as store:
        # It is on the disk before it gets its name, and nobody needs a part of it.
        list(store.database.rows("PRAGMA synchronous = OFF"))
        store.operators.end_all()  # who has logged out or was let go since is not in it
        with store.database.transaction():
            note_restore(store.database, now_s)
        lacks = Counter[str]()
        rows: list[list[Any]] = []
        if audit_folder is not None:
            rows = list(audit.rows_lacking(audit_folder, store.database))
        changes = [tuple(columns) for table, *columns in rows if table == "operator_change"]
        disabled, still_in = store.operators.disable_again(changes, now_s)
        phones = end_phones(store.database, rows)
        entered, left = enter_again(store, rows)
        if audit_folder is not None:
            lacks = audit.lacking(audit_folder, store.database)
    _examined(partial)
    return Restored(lacks, entered, left, phones, disabled, still_in)


def _check_free(books: Path) -> None:
    """A log of SQLite's without its file would be taken for that of the new one."""
    for path in (books, Path(f"{books}-wal")):
        if path.exists():
            raise BackupError(f"{path} is there already")


def dump_server(url: str, password: str | None, out: Path) -> None:
    """Copy the PostgreSQL database `url` to the new file `out` by pg_dump, and read its contents.

    Raises BackupError, OSError. pg_restore makes a database of it.
    """
    if out.exists():
        raise BackupError(f"{out} is there already")
    partial = _new(out)
    secret = {} if password is None else {"PGPASSWORD": password}
    for command in (
        ["pg_dump", "--format=custom", "--no-password", f"--file={partial}", f"--dbname={url}"],
        ["pg_restore", "--list", str(partial)],
    ):
        try:
            done = subprocess.run(
                command, env=os.environ | secret, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            partial.unlink()
            raise BackupError(f"{command[0]} is not installed (postgresql-client)") from None
        if done.returncode:
            partial.unlink()
            raise BackupError(f"{command[0]}: {done.stderr.strip()}")
    _named(partial, out)


def _examined(path: Path) -> dict[str, int]:
    """How much is in a copy of the books; BackupError, and it is gone, if it is not right."""
    try:
        with closing(_opened(path)) as store:
            (said,) = next(iter(store.database.rows("PRAGMA integrity_check(1)")))
            (version,) = next(iter(store.database.rows("PRAGMA user_version")))
            wrong = [said] if said != "ok" else []
            if version != len(MIGRATIONS):
                wrong = [f"has schema {version}, this program reads {len(MIGRATIONS)}"]
            wrong = wrong or [str(violation) for violation in check(store)]
            counts = {} if wrong else store.summary()
    except sqlite3.Error as error:
        wrong, counts = [str(error)], {}
    if wrong:
        path.unlink()
        raise BackupError(f"these are no books as they have to be: {wrong[0]}")
    return {name: counts[name] for name in ("records", "booked", "suspense")}


def _opened(path: Path) -> LedgerStore:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return LedgerStore(SqliteDialect(connection))


def _new(path: Path) -> Path:
    """An empty file beside `path`, for its owner alone, in the place of one that a cut left."""
    partial = path.with_name(path.name + ".partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    return partial


def _named(partial: Path, path: Path, give: Callable[[Path, Path], None] | None = None) -> None:
    """Give a file its name, by a rename if not said how, once all of it is on the disk."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    (give or os.rename)(partial, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
