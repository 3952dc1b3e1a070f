"""`onecard ledger backup` and `restore`: a copy of the books that somebody has looked at."""

import time
from pathlib import Path

from ledger.backup import back_up, dump_server, restore
from ledger.config import Config, ConfigError, load_config, load_password
from tools.ledger_forks import NotBooks

IS_WHOLE, IS_OLDER = 0, 1
_TOLD_BY_READERS = ("record", "rejected", "transfer", "suspense_case", "cancel", "punch")
# Readers keep the numbers: a new loss under a number of before is one that they know already.
_CARD_CHANGES = (
    "First of all: enter the missing card changes again, in their order (card_change in the audit"
    " has it), before the ledger runs and before any new loss: readers take no change under a"
    " number of before. onecard ledger doctor says if readers know more than the books."
)


def take(path: Path, out: Path) -> str:
    """Copy the books to `out`, and say what is in them. NotBooks, BackupError, OSError."""
    try:
        config = load_config(path) if path.suffix == ".toml" else None
        if config is not None and config.database_url:
            dump_server(config.database_url, load_password(config), out)
            look = f"createdb, pg_restore --dbname=URL {out}, then onecard ledger doctor"
            return f"{out}: by pg_dump. To look at it: {look}"
    except ConfigError as error:
        raise NotBooks(str(error)) from error
    told = back_up(_file(path, config), out, int(time.time()))
    return (
        f"{out}: {told['records']} records, {told['booked']} spends, checked."
        " It holds secrets: keep it as you keep keys."
    )


def make(backup: Path, into: Path, audit_folder: Path | None) -> tuple[int, str]:
    """Make books of a backup; whether the audit has more than they do, and what to do then."""
    lacks = restore(backup, into, audit_folder)
    if not lacks:
        known = "" if audit_folder is None else "; nothing that the audit has is missing"
        return IS_WHOLE, f"{into}: checked{known}"
    lines = [f"{into}: checked, and older than the audit. Rows that are missing:"]
    for table, count in sorted(lacks.items()):
        way = "come again from readers and agents" if table in _TOLD_BY_READERS else "enter again"
        lines.append(f"  {table}: {count} ({way})")
    if lacks["card_change"]:
        lines.append(_CARD_CHANGES)
    return IS_OLDER, "\n".join(lines)


def _file(path: Path, config: Config | None) -> Path:
    return path if config is None else config.database
