"""The books, asked from an event loop: a few threads, each with a connection of its own.

Rules of this file. No work waits without end: what does not get a thread, or no answer in time, is
told so. What has begun is finished all the same, and whoever asks again hears what became of it.
Work that may take longer than that has a name: of one name one is under way, and what it came to
is kept for whoever asks again. It never has all of the threads.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ledger.dialect import StoreUnavailable
from ledger.store import LedgerStore

THREADS = 4
LONG_MAX = 2  # at once, of the threads
WAITING_MAX = 32
ANSWER_S = 10.0
KEPT_S = 60.0  # what nobody has waited for

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class BooksBusy(Exception):
    """Too much waits already; this was not begun."""


class BooksSlow(Exception):
    """No answer in time. It may have been done, or be done yet."""


class Books:
    """`opened()` opens the books; each thread does it once, when it is first needed."""

    def __init__(self, opened: Callable[[], LedgerStore], answer_s: float = ANSWER_S) -> None:
        self._opened = opened
        self._answer_s = answer_s
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(THREADS, "books")
        self._waiting = 0
        self._long: dict[str, asyncio.Future[Any]] = {}

    async def do(self, work: Callable[[LedgerStore], Answer], name: str = "") -> Answer:
        """What `work` gives, or raises. BooksBusy, BooksSlow, StoreUnavailable.

        `name`: of work that may take long; it says all that the answer hangs on.
        """
        future = self._long.get(name) or self._begin(work, name)
        try:
            answer = await asyncio.wait_for(asyncio.shield(future), self._answer_s)
        except TimeoutError:
            raise BooksSlow from None
        finally:
            if future.done():
                self._forget(name, future)
        return answer

    def _begin(self, work: Callable[[LedgerStore], Answer], name: str) -> "asyncio.Future[Answer]":
        under_way = sum(not future.done() for future in self._long.values())
        if self._waiting >= THREADS + WAITING_MAX or (name and under_way >= LONG_MAX):
            raise BooksBusy
        self._waiting += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, self._do, work)
        future.add_done_callback(self._done)
        if name:
            self._long[name] = future
            future.add_done_callback(lambda _: loop.call_later(KEPT_S, self._forget, name, future))
        return future

    def _forget(self, name: str, future: "asyncio.Future[Any]") -> None:
        if self._long.get(name) is future:
            del self._long[name]

    def close(self) -> None:
        """Waits for what has begun. Nothing may be asked any more."""
        barrier = threading.Barrier(THREADS)
        for _ in range(THREADS):
            self._threads.submit(self._leave, barrier)
        self._threads.shutdown()

    def _do(self, work: Callable[[LedgerStore], Answer]) -> Answer:
        store = getattr(self._own, "store", None)
        if store is None:
            store = self._own.store = self._opened()
        return work(store)

    def _done(self, future: "asyncio.Future[Answer]") -> None:
        self._waiting -= 1
        # Of what nobody waits for any more, the error is taken here.
        error = None if future.cancelled() else future.exception()
        if isinstance(error, StoreUnavailable):
            _log.error("no books now: %s", error)

    def _leave(self, barrier: threading.Barrier) -> None:
        barrier.wait()  # each thread does this once: a connection is closed where it was opened
        store = getattr(self._own, "store", None)
        if store is not None:
            store.close()
