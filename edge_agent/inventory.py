"""Which readers this agent has seen: small documents for people, in TinyDB.

Rules of this file. Nothing here is needed for money: if it is lost or damaged, the readers fill
it again. It is written at most every few seconds, whole and at once: TinyDB's own storage leaves
half a file when the process is killed (12 of 60 times, measured), ours never does. One process
writes; a lock file says so.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.middlewares import CachingMiddleware
from tinydb.storages import Storage
from tinydb.table import Document

from edge_agent.disk import flush_folder

SCHEMA = 1
WRITE_EVERY_MS = 5_000
_WAITING = "waiting"


class InventoryLocked(Exception):
    """Another process is writing this inventory."""


class AtomicJsonStorage(Storage):
    """A TinyDB storage whose file is always either the old or the new one, also after a crash."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.was_damaged = False

    def read(self) -> dict[str, Any] | None:
        """The documents, or None at first. A damaged file is put aside as `<name>.damaged`."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            data = None
        if _is_sound(data):
            return data
        self.was_damaged = True
        os.replace(self._path, self._path.with_suffix(".damaged"))
        return None

    def write(self, data: dict[str, Any]) -> None:
        """Replace the file: the new one is on the disk in full before it takes the old name."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        fresh = self._path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        flush_folder(self._path.parent)


class Inventory:
    """The readers' inventory in the file `path`; `utc_s` says what time it is for people.

    A document: device, first_seen_s, last_seen_s, boot_id, head, receipted, how and on which link
    it came in (admission.py), what its records have said of it (diagnosis.py), and ended_s, when
    the ledger has first said that it has ended. Beside them
    stands who waits to be admitted. Raises InventoryLocked when another process has it open. A
    full disk is counted in `write_errors` and tried again.
    """

    def __init__(self, path: str, utc_s: Callable[[], int]) -> None:
        self.utc_s = utc_s
        self._lock = open(path + ".lock", "w", encoding="ascii")  # noqa: SIM115 (held while open)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InventoryLocked(path) from None
        self._storage = AtomicJsonStorage(path)
        self._cache = CachingMiddleware(lambda _path: self._storage)
        # Only we say when to write.
        self._cache.WRITE_CACHE_SIZE = 1 << 30  # pyright: ignore[reportAttributeAccessIssue]
        self._db = TinyDB(path, storage=self._cache)
        self._readers = self._db.table("reader", cache_size=0)
        self._known = {document.doc_id for document in self._readers.all()}
        self._news: dict[int, dict[str, Any]] = {}
        self._ended: set[int] = set()
        self._waiting: list[dict[str, Any]] | None = None
        self._write_ms: int | None = None
        self.write_errors = 0
        meta = self._db.table("meta")
        if not meta.all():
            meta.insert({"schema": SCHEMA})

    @property
    def was_damaged(self) -> bool:
        """Whether the file could not be read and was put aside."""
        return self._storage.was_damaged

    def note(self, device: int, boot_id: int, head: int, receipted: int, now_ms: int) -> None:
        """A reader said who it is and how far it is. Memory only; see `step`."""
        self.note_health(
            device, {"boot_id": boot_id, "head": head, "receipted": receipted}, now_ms
        )

    def note_waiting(self, waiting: list[dict[str, Any]], now_ms: int) -> None:
        """All who wait to be admitted, from now on. Memory only; see `step`."""
        self._waiting = waiting
        if self._write_ms is None:
            self._write_ms = now_ms + WRITE_EVERY_MS

    def note_health(self, device: int, health: Mapping[str, Any], now_ms: int) -> None:
        """A reader has said something of itself (diagnosis.py). Memory only; see `step`."""
        news = self._news.setdefault(device, {"device": device})
        news |= {"last_seen_s": self.utc_s(), **health}
        if self._write_ms is None:
            self._write_ms = now_ms + WRITE_EVERY_MS

    def retire(self, devices: list[int]) -> None:
        """The ledger says that these have ended. Memory only: it says so every few minutes."""
        now_s = self.utc_s()
        self._ended = set(devices) | self._ended  # of those too that never spoke to this file
        for document in self.readers():
            device = document["device"]
            if device in self._ended and "ended_s" not in document:
                self._news.setdefault(device, {"device": device, **_seen(document)})
                self._news[device]["ended_s"] = now_s

    def has_ended(self, device: int) -> bool:
        """Whether it has, and was not heard since."""
        news = self._news.get(device, {})
        document = {**(self._readers.get(doc_id=device) or {}), **news}
        if not document:
            return device in self._ended
        return document.get("last_seen_s", 0) <= document.get("ended_s", -1)

    def step(self, now_ms: int) -> int | None:
        """Write the news once they are due; when to call again (ms), or None if there are none."""
        if self._write_ms is not None and now_ms >= self._write_ms:
            self._write_ms = None
            if not self.flush():
                self._write_ms = now_ms + WRITE_EVERY_MS
        return self._write_ms

    def flush(self) -> bool:
        """Write the news now; False when the disk did not take them (they are kept)."""
        fresh = [news for device, news in self._news.items() if device not in self._known]
        self._readers.insert_multiple(
            Document({"first_seen_s": news["last_seen_s"], **news}, doc_id=news["device"])
            for news in fresh
        )
        seen = [device for device in self._news if device in self._known]
        self._readers.update(self._merge, doc_ids=seen)
        self._known.update(self._news)
        self._news.clear()
        if self._waiting is not None:
            table = self._db.table(_WAITING, cache_size=0)
            table.truncate()
            table.insert_multiple(self._waiting)
            self._waiting = None
        try:
            self._cache.flush()
        except OSError:
            self.write_errors += 1
            return False
        return True

    def readers(self) -> list[dict[str, Any]]:
        """Every reader ever seen, by device number; what `note` said last included.

        Those that have ended too.
        """
        documents = {document.doc_id: dict(document) for document in self._readers.all()}
        for device, news in self._news.items():
            first = {"first_seen_s": news["last_seen_s"]}
            documents[device] = first | documents.get(device, {}) | news
        return [documents[device] for device in sorted(documents)]

    def close(self) -> None:
        """Write what is new and let the next process in."""
        self.flush()
        self._lock.close()

    def _merge(self, document: Any) -> None:
        document.update(self._news[document["device"]])


def waiting_in(path: Path) -> list[dict[str, Any]]:
    """Who waits, as the agent of the file `path` wrote it last. Raises OSError and ValueError."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if not _is_sound(data):
        raise ValueError(f"{path} is no inventory")
    return list(data.get(_WAITING, {}).values())


def _seen(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("last_seen_s",) if name in document}


def _is_sound(data: Any) -> bool:
    """Whether this is TinyDB's shape: tables of documents, by name and number."""
    return isinstance(data, dict) and all(
        isinstance(table, dict)
        and all(key.isdecimal() and isinstance(table[key], dict) for key in table)
        for table in data.values()
    )
