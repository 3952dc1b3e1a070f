"""What the ledger has told of cards, on the agent's disk: every change in order, and warrants.

Rules of this file. The caller has verified the ledger's signature. A change follows the one before
it, or is not kept; a warrant replaces one of a lower epoch or an earlier word for the same reader.
Books that came back from a backup and went on otherwise have other changes under the same numbers,
and no reader would believe the map of ours: then all of them are forgotten and come anew. Nothing
is decided from a status here. See protocols/rules/card_status.py.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from adapters.sqlite import open_database, transaction
from edge_agent.disk import unavailable
from protocols.rules.card_status import CHAIN_START, CHANGE_BYTES, PAGE_BYTES, chained, fold

MIGRATIONS = (
    """
    CREATE TABLE card_change (epoch INTEGER PRIMARY KEY, change BLOB NOT NULL) STRICT;
    CREATE TABLE warrant (
        device INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        sealed BLOB NOT NULL  -- for the reader: only it can read it
    ) STRICT;
    """,
    """
    CREATE TABLE access_map (
        device INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        sealed BLOB NOT NULL,  -- the warrant, for the door
        data BLOB NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE letter (
        device INTEGER PRIMARY KEY,
        stamp INTEGER NOT NULL,
        letter BLOB NOT NULL  -- to the lock: only it can read it
    ) STRICT;
    """,
    """
    CREATE TABLE firmware_page (
        digest BLOB NOT NULL,  -- of the whole image
        page INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (digest, page)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE policy (
        device INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        sealed BLOB NOT NULL  -- for the reader: only the ledger can make one
    ) STRICT;
    """,
    """
    CREATE TABLE menu_warrant (
        device INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        digest BLOB NOT NULL,  -- of its menu
        sealed BLOB NOT NULL   -- for the POS: only the ledger can make one
    ) STRICT;
    CREATE TABLE menu (digest BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;
    """,
)


class CardHistory:
    """The changes and warrants in one SQLite file (`path`, or ":memory:").

    Raises StoreUnavailable (nothing was changed), StoreDamaged, and what open_database raises.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with _available(path):
            self._db = open_database(path, MIGRATIONS)
        self.epoch: int = self._read("SELECT COALESCE(MAX(epoch), 0) FROM card_change")[0][0]
        self._chain = chained(CHAIN_START, self.changes(0, self.epoch))
        self._map_epoch, self._map = 0, bytearray()

    def close(self) -> None:
        self._db.close()

    def add(
        self,
        epoch: int,
        changes: bytes,
        warrants: Sequence[tuple[int, int, bytes]],
        chain: bytes = b"",
    ) -> bool:
        """Keep `changes` behind `epoch`, and warrants (device, epoch, sealed); False: a gap.

        Whatever of it is known already is passed over. `chain`: over all changes of the ledger up
        to the last of these, if it has said so; where ours is another one, nothing is left.
        """
        if epoch > self.epoch:
            return False
        rows = [
            (epoch + n + 1, changes[n * CHANGE_BYTES : (n + 1) * CHANGE_BYTES])
            for n in range(len(changes) // CHANGE_BYTES)
        ]
        rows = [row for row in rows if row[0] > self.epoch]
        upto = rows[-1][0] if rows else self.epoch
        ours = chained(self._chain, b"".join(change for _epoch, change in rows))
        if chain and epoch + len(changes) // CHANGE_BYTES == upto and chain != ours:
            self._forget_changes()
            return False
        with _available(self._path), transaction(self._db):
            self._db.executemany("INSERT INTO card_change VALUES (?, ?)", rows)
            self._db.executemany(
                "INSERT INTO warrant VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
                " epoch = excluded.epoch, sealed = excluded.sealed"
                " WHERE excluded.epoch >= warrant.epoch",
                [warrant for warrant in warrants if warrant[1] <= upto],
            )
        self.epoch, self._chain = upto, ours
        return True

    def _forget_changes(self) -> None:
        with _available(self._path), transaction(self._db):
            self._db.execute("DELETE FROM card_change")
            self._db.execute("DELETE FROM warrant")
        self.epoch, self._chain = 0, CHAIN_START
        self._map_epoch, self._map = 0, bytearray()

    def warrant(self, device: int) -> tuple[int, bytes] | None:
        """(epoch, sealed) of the newest warrant for a reader; None if there is none."""
        rows = self._read("SELECT epoch, sealed FROM warrant WHERE device = ?", device)
        return rows[0] if rows else None

    def changes(self, after: int, upto: int) -> bytes:
        """The changes behind epoch `after`, up to and with `upto`."""
        sql = "SELECT change FROM card_change WHERE epoch > ? AND epoch <= ? ORDER BY epoch"
        return b"".join(change for (change,) in self._read(sql, after, upto))

    def add_access(
        self, device: int, epoch: int, sealed: bytes, data: bytes, digest: bytes = b""
    ) -> bool:
        """Keep the access map of a door and its warrant; no data: the warrant alone. False: a gap.

        Nothing older than what is kept replaces it. `digest`: of the ledger's map, if it has said
        so; where ours of that epoch is another one, it is forgotten.
        """
        known = self.access(device)
        if known is not None and epoch < known[0]:
            return True
        if not data:
            if known is None or epoch != known[0]:
                return False
            data = known[2]
            if digest and sha256(data).digest()[: len(digest)] != digest:
                self._forget_access(device)
                return False
        with _available(self._path), transaction(self._db):
            row = (device, epoch, sealed, data)
            self._db.execute("INSERT OR REPLACE INTO access_map VALUES (?, ?, ?, ?)", row)
        return True

    def _forget_access(self, device: int) -> None:
        with _available(self._path), transaction(self._db):
            self._db.execute("DELETE FROM access_map WHERE device = ?", (device,))

    def add_image_page(self, digest: bytes, page: int, data: bytes) -> None:
        """Keep a page of a firmware image, from 0 on."""
        with _available(self._path), transaction(self._db):
            sql = "INSERT OR REPLACE INTO firmware_page VALUES (?, ?, ?)"
            self._db.execute(sql, (digest, page, data))

    def image_pages(self, digest: bytes) -> int:
        """How many pages of a firmware image are kept."""
        sql = "SELECT COUNT(*) FROM firmware_page WHERE digest = ?"
        count: int = self._read(sql, digest)[0][0]
        return count

    def image(self, digest: bytes) -> bytes:
        """A firmware image, as far as it is kept."""
        sql = "SELECT data FROM firmware_page WHERE digest = ? ORDER BY page"
        return b"".join(data for (data,) in self._read(sql, digest))

    def keep_images(self, digests: Sequence[bytes]) -> None:
        """Forget the pages of all firmware images but these."""
        marks = ", ".join("?" * len(digests))
        with _available(self._path), transaction(self._db):
            self._db.execute(f"DELETE FROM firmware_page WHERE digest NOT IN ({marks})", digests)

    def access(self, device: int) -> tuple[int, bytes, bytes] | None:
        """(epoch, warrant, data) of the newest access map of a door; None if there is none."""
        rows = self._read("SELECT epoch, sealed, data FROM access_map WHERE device = ?", device)
        return rows[0] if rows else None

    def access_epochs(self) -> list[tuple[int, int]]:
        """(device, epoch) of each access map that is kept."""
        return self._read("SELECT device, epoch FROM access_map ORDER BY device")

    def add_letters(self, letters: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep (device, stamp, letter) of locks; nothing older replaces what is kept."""
        with _available("letters"), transaction(self._db):
            self._db.executemany(
                "INSERT INTO letter VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
                " stamp = excluded.stamp, letter = excluded.letter"
                " WHERE excluded.stamp > letter.stamp",
                list(letters),
            )

    def add_policies(self, policies: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep (device, epoch, sealed) of readers; nothing older replaces what is kept."""
        with _available("policies"), transaction(self._db):
            self._db.executemany(
                "INSERT INTO policy VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
                " epoch = excluded.epoch, sealed = excluded.sealed"
                " WHERE excluded.epoch >= policy.epoch",
                list(policies),
            )

    def policies(self) -> list[tuple[int, int, bytes]]:
        """(device, epoch, sealed) of the newest policy of each reader."""
        return self._read("SELECT device, epoch, sealed FROM policy ORDER BY device")

    def add_menu_warrants(self, warrants: Sequence[tuple[int, int, bytes, bytes]]) -> None:
        """Keep (device, epoch, digest, sealed) of POS, and no menu that none of them names.

        Nothing older replaces what is kept.
        """
        with _available("menus"), transaction(self._db):
            self._db.executemany(
                "INSERT INTO menu_warrant VALUES (?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
                " epoch = excluded.epoch, digest = excluded.digest, sealed = excluded.sealed"
                " WHERE excluded.epoch >= menu_warrant.epoch",
                list(warrants),
            )
            sql = "DELETE FROM menu WHERE digest NOT IN (SELECT digest FROM menu_warrant)"
            self._db.execute(sql)

    def menu_warrants(self) -> list[tuple[int, int, bytes, bytes]]:
        """(device, epoch, digest, sealed) of the newest menu of each POS."""
        return self._read("SELECT device, epoch, digest, sealed FROM menu_warrant ORDER BY device")

    def menu_warrant(self, device: int) -> tuple[int, bytes, bytes] | None:
        """(epoch, digest, sealed) of the newest menu of a POS; None if there is none."""
        sql = "SELECT epoch, digest, sealed FROM menu_warrant WHERE device = ?"
        rows = self._read(sql, device)
        return rows[0] if rows else None

    def add_menu(self, digest: bytes, data: bytes) -> None:
        """Keep a menu under its digest."""
        with _available("menus"), transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO menu VALUES (?, ?)", (digest, data))

    def drop_menu(self, digest: bytes) -> None:
        """Forget a menu: it is not what was kept there."""
        with _available("menus"), transaction(self._db):
            self._db.execute("DELETE FROM menu WHERE digest = ?", (digest,))

    def menu(self, digest: bytes) -> bytes:
        """What is kept under a digest; empty if nothing is."""
        rows = self._read("SELECT data FROM menu WHERE digest = ?", digest)
        return rows[0][0] if rows else b""

    def letter(self, device: int) -> tuple[int, bytes]:
        """(stamp, letter) of the newest letter to a lock that there is one to."""
        return self._read("SELECT stamp, letter FROM letter WHERE device = ?", device)[0]

    def locks(self) -> list[tuple[int, int]]:
        """(device, epoch of its access map) of each lock there is a letter to, and a map of."""
        sql = "SELECT device, epoch FROM letter JOIN access_map USING (device) ORDER BY device"
        return self._read(sql)

    def page(self, epoch: int, page: int) -> bytes:
        """The `page`-th (from 1 on) part of the map of an epoch; empty beyond its end."""
        if epoch > self.epoch:
            return b""
        if epoch < self._map_epoch:
            self._map_epoch, self._map = 0, bytearray()
        fold(self._map, self.changes(self._map_epoch, epoch))
        self._map_epoch = epoch
        return bytes(self._map[(page - 1) * PAGE_BYTES : page * PAGE_BYTES])

    def _read(self, sql: str, *values: int | bytes) -> list[Any]:
        with _available(self._path):
            return self._db.execute(sql, values).fetchall()


@contextmanager
def _available(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
