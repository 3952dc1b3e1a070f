"""`onecard ledger audit export`, `verify`: the journals, day by day, in files that hang together.

The books are read only, in one state: this may run beside the ledger, from a timer, once a day.
"""

from contextlib import ExitStack
from datetime import date
from pathlib import Path

from ledger.audit import Export, export, verify
from ledger.receipts import public_key
from tools.ledger_forks import opened, signing_key_of


def write(path: Path, day: date, folder: Path) -> Export:
    """The file of a day, new. NotBooks, AuditError, OSError."""
    key = signing_key_of(path)
    with opened(path) as store:
        return export(store.database, folder, day, key)


def check(folder: Path, path: Path | None) -> tuple[list[str], str]:
    """What is wrong with an audit, and what it is; also against the books. NotBooks, OSError."""
    with ExitStack() as stack:
        store = None if path is None else stack.enter_context(opened(path))
        key = None if path is None else signing_key_of(path)
        faults, files, newer = verify(
            folder,
            None if store is None else store.database,
            None if key is None else public_key(key),
        )
    rows = sum(one.rows for one in files)
    about = f"{len(files)} files, {rows} rows"
    if files:
        about += f", until {files[-1].day}; its last hash is {files[-1].sha256}"
    if path is not None:
        about += f"; {newer} rows of the books are newer"
    return faults, about
