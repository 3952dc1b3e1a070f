"""Names the cards that were copied or written back: `onecard ledger forks DATABASE [--json]`.

The books are opened for reading only, so it may run beside the ledger, and on a backup. Two
records are the evidence of each fork; `sha256` is that of the sealed bytes in table `record`.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.sqlite import NotDurable
from ledger.config import (
    Config,
    ConfigError,
    load_config,
    load_password,
    load_signing_key,
    open_books,
)
from ledger.dialect import SqliteDialect, StoreUnavailable
from ledger.forks import Fork, Kind, Tap, forks
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan

NONE_FOUND, FOUND = 0, 1
_TIME_UNKNOWN_S = 0xFFFFFFFF
_MEANS = {
    Kind.CLONE: "two cards, or two images in turn, go by this number",
    Kind.ROLLBACK: "the card came back as it was before, with money that was spent",
    Kind.UNDECIDED: "a contradiction; the books do not tell how it came about",
}
_COLUMNS = ("record", "counter", "last debit", "held", "amount", "left", "time (UTC)", "outcome")
_ROW = "  {:>15}  {:>7}  {:>15}  {:>9}  {:>9}  {:>9}  {:<26}  {}"


class NotBooks(Exception):
    """The file is not a ledger's database that this program can read."""


def find(path: Path) -> list[Fork]:
    """Every fork in the database `path`; NotBooks if it is none."""
    with opened(path) as store:
        return list(forks(store))


@contextmanager
def opened(path: Path) -> Iterator[LedgerStore]:
    """The ledger in the database `path`, or the one of a ledger.toml, for reading only.

    NotBooks if it is none. One state of the books, whatever is booked meanwhile.
    """
    config = _config(path)
    if config is not None and config.database_url:
        with _on_server(config) as store:
            yield store
        return
    path = path if config is None else config.database
    database = None
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        database.execute("BEGIN")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        _check_version(path, version)
        yield LedgerStore(SqliteDialect(database))
    except sqlite3.Error as error:
        raise NotBooks(f"{path}: {error}") from error
    finally:
        if database is not None:
            database.close()


def books_in(path: Path) -> LedgerStore:
    """The same books, to write in them; `opened` has to have found them good."""
    config = _config(path)
    return LedgerStore.open(str(path)) if config is None else open_books(config)


def signing_key_of(path: Path) -> bytes | None:
    """The ledger's, where its configuration is given; a bare file of the books has none."""
    if path.suffix != ".toml":
        return None
    try:
        return load_signing_key(load_config(path).signing_key_file)
    except ConfigError as error:
        raise NotBooks(str(error)) from error


@contextmanager
def _on_server(config: Config) -> Iterator[LedgerStore]:
    from ledger.postgres import PostgresDialect

    try:
        with closing(PostgresDialect(config.database_url, load_password(config))) as database:
            _check_version(config.database_url, database.version())
            with database.reading():
                yield LedgerStore(database)
    except (ConfigError, NotDurable, StoreUnavailable) as error:
        raise NotBooks(str(error)) from error


def _config(path: Path) -> Config | None:
    try:
        return load_config(path) if path.suffix == ".toml" else None
    except ConfigError as error:
        raise NotBooks(str(error)) from error


def _check_version(place: object, version: int) -> None:
    if version != len(MIGRATIONS):
        raise NotBooks(f"{place}: has schema {version}, this program reads {len(MIGRATIONS)}")


def to_json(found: list[Fork]) -> str:
    """The forks as one JSON array of objects; money in fen, times in seconds since 1970."""
    return json.dumps([_fork_fields(fork) for fork in found], indent=2)


def to_text(found: list[Fork]) -> str:
    """The forks for people, and what each kind means."""
    if not found:
        return "No card contradicts itself."
    lines = [line for fork in found for line in _fork_lines(fork)]
    cards = len({fork.card_no for fork in found})
    lines.append(f"forks: {len(found)}, cards: {cards}")
    for kind in Kind:
        count = sum(fork.kind is kind for fork in found)
        if count:
            lines.append(f"  {count:>4} {kind}: {_MEANS[kind]}")
    return "\n".join(lines)


def _fork_fields(fork: Fork) -> dict[str, Any]:
    return {
        "card_no": fork.card_no,
        "kind": fork.kind.value,
        "ground": fork.ground.value,
        "evidence": [_tap_fields(tap) for tap in (fork.first, fork.second)],
    }


def _tap_fields(tap: Tap) -> dict[str, Any]:
    return {
        "device": tap.device,
        "seq": tap.seq,
        "counter": tap.counter,
        "last_device": tap.last[0],
        "last_seq": tap.last[1],
        "before_fen": tap.before_fen,
        "amount_fen": tap.amount_fen,
        "credit_no": tap.credit_no,
        "after_fen": tap.after_fen,
        "earliest_s": tap.earliest_s,
        "latest_s": tap.latest_s,
        "outcome": _outcome(tap),
        "sha256": tap.sha256.hex(),
    }


def _fork_lines(fork: Fork) -> Iterator[str]:
    yield f"card {fork.card_no}: {fork.kind.upper()} ({fork.ground})"
    yield _ROW.format(*_COLUMNS)
    for tap in (fork.first, fork.second):
        yield _ROW.format(
            f"{tap.device}/{tap.seq}",
            tap.counter,
            f"{tap.last[0]}/{tap.last[1]}" if any(tap.last) else "none",
            format_yuan(tap.before_fen),
            f"+{format_yuan(-tap.amount_fen)}" if tap.credit_no else format_yuan(tap.amount_fen),
            format_yuan(tap.after_fen),
            _time(tap),
            _outcome(tap),
        )
        yield f"  {'sha256':>15}  {tap.sha256.hex()}"
    yield ""


def _outcome(tap: Tap) -> str:
    return tap.state.name.lower().replace("_", " ")


def _time(tap: Tap) -> str:
    if tap.latest_s == _TIME_UNKNOWN_S:
        return "unknown"
    text = datetime.fromtimestamp(tap.earliest_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text} +{tap.latest_s - tap.earliest_s} s"
