"""A SQLite connection whose process dies, whose disk is full or broken, when it is told so.

The database behind it is a real one in a real file. A kill is a kill: the statement runs or does
not, nothing more is said on this connection, and what was not committed is rolled back by the next
process that opens the file. A full disk is SQLite's own (max_page_count); an I/O error is raised
in its words.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any

_NEVER = 1 << 60
_PAGES_MAX = 1 << 30


class Killed(BaseException):
    """SIGKILL. Not an Exception: no handler in the service may survive it."""


class FaultyConnection:
    """Stands where adapters.sqlite.open_database's connection stood; `fired` counts by kind."""

    def __init__(self, real: sqlite3.Connection, name: str, fired: Counter[str]) -> None:
        self._real = real
        self._name = name
        self._fired = fired
        self._statements = 0
        self._kill_at = _NEVER
        self._kill_after = False
        self._errors_from = _NEVER
        self.is_dead = False

    def kill_at(self, statements: int, *, after: bool) -> None:
        """Die that many statements from now, before or after the database has carried it out."""
        self._kill_at, self._kill_after = self._statements + statements, after

    def fail_from(self, statements: int) -> None:
        """Every writing statement from then on is an I/O error, until `mend`."""
        self._errors_from = self._statements + statements

    def fill(self) -> None:
        """The disk is full: the file may not grow by a single page."""
        (pages,) = self._real.execute("PRAGMA page_count").fetchone()
        self._real.execute(f"PRAGMA max_page_count = {pages}")

    def mend(self) -> None:
        """The disk is well again."""
        self._errors_from = _NEVER
        if not self.is_dead:
            self._real.execute(f"PRAGMA max_page_count = {_PAGES_MAX}")

    def bury(self) -> None:
        """What the kernel does for a dead process: its files are closed, nothing is committed."""
        self.is_dead = True
        if self._real.in_transaction:
            self._real.rollback()
        self._real.close()

    # -- sqlite3.Connection -----------------------------------------------------------------

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        return self._run(sql, lambda: self._real.execute(sql, parameters))

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        return self._run(sql, lambda: self._real.executemany(sql, rows))

    @property
    def in_transaction(self) -> bool:
        return not self.is_dead and self._real.in_transaction

    def close(self) -> None:
        self._real.close()

    def _run(self, sql: str, run: Any) -> sqlite3.Cursor:
        if self.is_dead:
            raise Killed
        self._statements += 1
        dies = self._statements >= self._kill_at
        if dies and not self._kill_after:
            self._die(sql)
        if self._statements >= self._errors_from and not sql.startswith(("SELECT", "ROLLBACK")):
            self._fired[f"{self._name} I/O error"] += 1
            raise sqlite3.OperationalError("disk I/O error")
        try:
            cursor = run()
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                self._fired[f"{self._name} disk full"] += 1
            raise
        if dies:
            self._die(sql)
        return cursor

    def _die(self, sql: str) -> None:
        where = "at COMMIT" if sql == "COMMIT" else "in a transaction"
        self._fired[f"{self._name} killed {where}"] += 1
        self.bury()
        raise Killed
