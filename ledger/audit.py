"""The daily audit: every row of the journals, in files that follow each other by their hashes.

Rules of this file. A day's file has the rows that no file before it has: a first line that names
the hash of the file before, a line for each row, and a last line with the hash over all above it.
So whoever keeps the last hash somewhere else has all of it, and with the ledger's key at hand each
hash is signed (Ed25519, bound to LABEL). A row is a JSON array: its table, then its columns; bytes
in hexadecimal. Keys of readers and verifiers of PINs stand there as their SHA-256 only.

A day has one file. The order is that of the numbers and hashes and not of the days: one export by
a wrong clock, years ahead, must not end the audit.

What a later look at the books must find: each line, unchanged; and in tables that count their rows
nothing below what the files have that is not in them. Files are written whole (temporary file,
fsync, rename): a cut leaves the day without one, and the next run writes it.
"""

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger.cancels import NUMBER_MIN
from ledger.dialect import Dialect, Row
from ledger.schema import APPEND_ONLY
from ledger.transfers import LOAD
from protocols.card.purse import CARD_CENTRE
from protocols.wire import seal

LABEL = b"audit"
START = "0" * 64  # what the first file follows
_NAME, _PATTERN = "audit-{:06}-{}.jsonl", "audit-*.jsonl"
_PARTIAL = "audit.partial"
DESK_TRANSFER = "transfer of the card centre"
_DIGEST_BYTES = 16
# Table -> the column that is never in a file as it stands; and of which rows (None: all).
_HASHED = {"device_key": (2, None), "access_change": (6, "pin")}
_VERB = 2  # of access_change
# It is no journal, but these columns stay. A restore needs them (ledger/reentry.py).
_LOADS = f"SELECT number, card_no, amount_fen, order_id FROM load WHERE number < {NUMBER_MIN}"
# Table -> the column that counts its rows up, and the one that says whose count it is.
_COUNTED = {
    "record": (1, 0),
    "device_key": (1, 0),
    "card_change": (0, None),
    "access_change": (0, None),
    "menu_change": (0, None),
    "manual_punch": (0, None),
    "access_person": (0, None),
    "code_answer": (0, None),
    "reader_release": (0, None),
    "dossier": (0, None),
    "dossier_step": (1, 0),
    "merchant_payment": (0, None),
    "debt_proposal": (0, None),
    "write_off": (0, None),
    "phone_refusal": (0, None),
    "closing_statement": (0, None),
    "commission_rate": (0, None),
    "settlement_period": (0, None),
    "period_merchant": (0, None),
    "merchant_account": (0, None),
    "remittance_try": (0, None),
    "books_restore": (0, None),
    "bank_payment": (0, None),
    "shift_change": (0, None),
    "roster_change": (0, None),
    "access_question": (0, None),
    "operator_change": (0, None),
    "operator_act": (0, None),
}
# Payments that the bank has come back under the numbers that they had.
_NOTED = "SELECT kind || '_try', payment FROM bank_payment WHERE kind = 'remittance'"
_LINES = """
CREATE TABLE line (
    digest BLOB PRIMARY KEY,
    file INTEGER NOT NULL,
    place INTEGER NOT NULL,
    is_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID"""
_ADD = "INSERT OR IGNORE INTO line VALUES (?, ?, ?, 0)"
_SEE = "UPDATE line SET is_seen = 1 WHERE digest = ?"


class AuditError(Exception):
    """An export that cannot be made; nothing was written, and the text says why."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file of the audit: what it follows, how many rows it has, its own hash."""

    path: Path
    number: int
    day: str
    rows: int
    sha256: str


def export(database: Dialect, folder: Path, day: date, signing_key: bytes | None = None) -> Export:
    """Write the file of `day` with every row of the journals that no file has; the file.

    `database` has to be one state of the books, read only. Raises AuditError and OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _index() as index:
        faults, files = _read_files(folder, index)
        if faults:
            raise AuditError(f"{faults[0]}: nothing can follow it")
        for one in files:
            if one.day == day.isoformat():
                raise AuditError(f"{one.path.name} is there already")
        last = files[-1] if files else None
        number = last.number + 1 if last else 1
        head = {
            "audit": number,
            "day": day.isoformat(),
            "previous": last.sha256 if last else START,
        }
        partial = folder / _PARTIAL
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        whole, count = hashlib.sha256(), 0
        with os.fdopen(handle, "wb") as file:
            for line in _with_head(_said(head), _rows(database)):
                if count and not _add(index, line, number, 0):
                    continue
                whole.update(line)
                file.write(line)
                count += 1
            file.write(_end(count - 1, whole.hexdigest(), signing_key))
            file.flush()
            os.fsync(file.fileno())
    path = folder / _NAME.format(number, day.isoformat())
    os.rename(partial, path)
    _sync(folder)
    return Export(path, number, day.isoformat(), count - 1, whole.hexdigest())


def verify(
    folder: Path, database: Dialect | None = None, public_key: bytes | None = None
) -> tuple[list[str], list[Export], int]:
    """(what is wrong, in sentences; the files; how many rows are newer than all of them).

    `public_key`: who must have signed each file; None takes files that nobody has. Raises OSError.
    """
    with _index() as index:
        faults, files = _read_files(folder, index, public_key)
        if not files and not faults:
            faults = [f"{folder} has no audit in it"]
        newer = 0
        if database is not None:
            missing, newer = _compare(database, index, folder, files)
            faults += missing
    return faults, files, newer


def lacking(folder: Path, database: Dialect) -> Counter[str]:
    """How many rows of each journal the files have and the books, older ones, do not.

    Transfers that no reader tells of are counted as DESK_TRANSFER.

    Raises AuditError for an audit that is not whole, and OSError.
    """
    return Counter(_whose(row) for row in rows_lacking(folder, database))


def rows_lacking(folder: Path, database: Dialect) -> Iterator[list[Any]]:
    """These rows, as they stand in the files. Raises as `lacking`."""
    with _index() as index:
        faults, files = _read_files(folder, index)
        if faults:
            raise AuditError(faults[0])
        _compare(database, index, folder, files)
        for _path, line in _unseen(index, folder):
            yield json.loads(line)


def newest(folder: Path) -> Export | None:
    """The last file of an audit, by its name; its hash is what it says. None: there is none."""
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        with path.open("rb") as file:
            head = json.loads(file.readline())
            last = head
            for line in file:
                last = line
            end = json.loads(last)
        return Export(path, head["audit"], head["day"], end["rows"], end["sha256"])
    return None


# --- rows and lines ---------------------------------------------------------------------------


def _rows(database: Dialect) -> Iterator[bytes]:
    for table in sorted(APPEND_ONLY):
        for row in database.rows(f"SELECT * FROM {table}"):
            yield _said([table, *_shown(table, row)])
    for row in database.rows(_LOADS):
        yield _said(["load", *row])


def _shown(table: str, row: Row) -> Iterator[Any]:
    at, verb = _HASHED.get(table, (-1, None))
    for column, value in enumerate(row):
        raw = bytes(value) if isinstance(value, (bytes, memoryview)) else None
        if column == at and raw and (verb is None or row[_VERB] == verb):
            yield "sha256:" + hashlib.sha256(raw).hexdigest()
        else:
            yield value if raw is None else raw.hex()


def _said(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _with_head(head: bytes, rows: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rows


def _end(rows: int, sha256: str, signing_key: bytes | None) -> bytes:
    end = {"rows": rows, "sha256": sha256}
    if signing_key is not None:
        key = Ed25519PrivateKey.from_private_bytes(signing_key)
        tbs = seal.sign1_tbs(bytes.fromhex(sha256), LABEL)
        end |= {
            "public_key": key.public_key().public_bytes_raw().hex(),
            "signature": key.sign(tbs).hex(),
        }
    return _said(end)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- what the files have ------------------------------------------------------------------------


@contextmanager
def _index() -> Iterator[sqlite3.Connection]:
    """Which lines are in which file: in a file of SQLite's own, for they may be many."""
    with closing(sqlite3.connect("", isolation_level=None)) as index:
        index.execute(_LINES)
        index.execute("BEGIN")
        yield index


def _add(index: sqlite3.Connection, line: bytes, file: int, place: int) -> bool:
    """Whether the line is a new one."""
    digest = hashlib.sha256(line).digest()[:_DIGEST_BYTES]
    return index.execute(_ADD, (digest, file, place)).rowcount == 1


def _read_files(
    folder: Path, index: sqlite3.Connection, public_key: bytes | None = None
) -> tuple[list[str], list[Export]]:
    """(what is wrong with the files by themselves, those that can be read), in their order."""
    faults: list[str] = []
    files: list[Export] = []
    previous, days = START, set[str]()
    for number, path in enumerate(sorted(folder.glob(_PATTERN)), 1):
        try:
            one, follows, told = _read_file(path, number, index, public_key)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            faults.append(f"{path.name} cannot be read: {error}")
            previous = ""
            continue
        faults += told
        if follows != previous:
            faults.append(f"{path.name} does not follow the file before it")
        if path.name != _NAME.format(number, one.day) or one.number != number or one.day in days:
            faults.append(f"{path.name} is not file {number} of the audit")
        previous = one.sha256
        days.add(one.day)
        files.append(one)
    return faults, files


def _read_file(
    path: Path, number: int, index: sqlite3.Connection, public_key: bytes | None
) -> tuple[Export, str, list[str]]:
    """(the file, the hash that it says it follows, what is wrong with it)."""
    faults, whole, rows, place = [], hashlib.sha256(), -1, 0
    with path.open("rb") as file:
        head = line = file.readline()
        for following in file:
            whole.update(line)
            if rows >= 0 and not _add(index, line, number, place):
                faults.append(f"{path.name}: a row stands in it again: {_short(line)}")
            rows, place, line = rows + 1, place + len(line), following
    first, end = json.loads(head), json.loads(line)
    one = Export(path, int(first["audit"]), str(first["day"]), int(end["rows"]), end["sha256"])
    if one.sha256 != whole.hexdigest():
        faults.append(f"{path.name} is not what its last line says that it was")
    if one.rows != rows:
        faults.append(f"{path.name} has {rows} rows, and had {one.rows}")
    faults += _wrong_signature(path.name, end, public_key)
    return one, str(first["previous"]), faults


def _wrong_signature(name: str, end: dict[str, Any], public_key: bytes | None) -> Iterator[str]:
    if "signature" not in end:
        if public_key is not None:
            yield f"{name} is not signed"
        return
    key = bytes.fromhex(end["public_key"])
    if public_key is not None and key != public_key:
        yield f"{name} is signed with another key than this ledger's"
    try:
        tbs = seal.sign1_tbs(bytes.fromhex(end["sha256"]), LABEL)
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(end["signature"]), tbs)
    except InvalidSignature:
        yield f"{name}: its signature does not hold"


def _whose(row: list[Any]) -> str:
    """The journal of a row; of transfers, those that no reader tells of by themselves."""
    is_desk = row[0] == "transfer" and row[1] in (0, CARD_CENTRE) and row[4] != LOAD
    return DESK_TRANSFER if is_desk else row[0]


def _short(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\n")
    return text if len(text) <= 80 else text[:77] + "..."


# --- files and books ----------------------------------------------------------------------------


def _compare(
    database: Dialect, index: sqlite3.Connection, folder: Path, files: list[Export]
) -> tuple[list[str], int]:
    """(rows that are gone, changed or put in between; how many are newer than all files)."""
    counted = _counts(files)
    noted = set(database.rows(_NOTED))
    faults, newer = [], 0
    for line in _rows(database):
        digest = hashlib.sha256(line).digest()[:_DIGEST_BYTES]
        if index.execute(_SEE, (digest,)).rowcount:
            continue
        newer += 1
        row = json.loads(line)
        count = None if (row[0], row[1]) in noted else _count_of(row)
        if count is not None and count[1] <= counted.get(count[0], -1):
            faults.append(f"the books have a row that no file has: {_short(line)}")
    for path, line in _unseen(index, folder):
        faults.append(f"{path.name}: the books do not have this row: {_short(line)}")
    return faults, newer


def _unseen(index: sqlite3.Connection, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """(file, line) of each line that the books do not have."""
    unseen = "SELECT file, place FROM line WHERE is_seen = 0 ORDER BY file, place"
    by_number = dict(enumerate(sorted(folder.glob(_PATTERN)), 1))
    for number, place in index.execute(unseen).fetchall():
        with by_number[number].open("rb") as file:
            file.seek(place)
            yield by_number[number], file.readline()


def _counts(files: list[Export]) -> dict[tuple[str, Any], int]:
    """How far the files have each table that counts its rows."""
    found: dict[tuple[str, Any], int] = {}
    for one in files:
        with one.path.open("rb") as file:
            file.readline()
            for line in file:
                row = json.loads(line)
                count = _count_of(row) if isinstance(row, list) else None
                if count is not None:
                    found[count[0]] = max(count[1], found.get(count[0], -1))
    return found


def _count_of(row: list[Any]) -> tuple[tuple[str, Any], int] | None:
    if row[0] not in _COUNTED:
        return None
    at, of = _COUNTED[row[0]]
    return (row[0], None if of is None else row[1 + of]), row[1 + at]
