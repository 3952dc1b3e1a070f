"""Answers doors that ask whose identity code was shown to them (R14b.5).

Rules of this file. What is told stands in the books (ledger/code_entries.py); nothing is kept here
that a restart may not forget. No code and no card comes into a log.
"""

import logging
from collections.abc import Callable
from typing import Any

from ledger.code_entries import Shown
from ledger.dialect import StoreUnavailable
from ledger.phones import Phones, SeedUnreadable
from ledger.store import LedgerStore
from protocols.rules import reasons
from protocols.wire import entry_code

ASK_MS_MIN = 300  # between two asks of one door

_log = logging.getLogger(__name__)

Fields = dict[str, Any]


class EntryDesk:
    """Answers WHO_ASKs; interval_ms() is (earliest, latest) in ms since 1970.

    `counters` (name -> int) only grow.
    """

    hears = (entry_code.WHO_ASK,)

    def __init__(
        self,
        store: LedgerStore,
        phones: Phones,
        interval_ms: Callable[[], tuple[int, int]],
        utc_offset_s: int,
    ) -> None:
        self._store = store
        self._phones = phones
        self._interval_ms = interval_ms
        self._utc_offset_s = utc_offset_s
        self._asked_ms: dict[int, int] = {}  # by device
        names = ("asks", "too_often", "told", "refused", "unreadable", "store_unavailable")
        self.counters = dict.fromkeys(names, 0)

    def answer(
        self, device: int, key: bytes, said: Fields, now_ms: int
    ) -> tuple[int, Fields] | None:
        """The numbers of a WHO_ANSWER, as "numbers"; None: it has to ask again."""
        del key
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(device, now_ms - ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return None
        self._asked_ms[device] = now_ms
        shown = Shown(device, said["nonce"], said["code"])
        try:
            holder = self._store.code_entries.ask(
                shown, self._phones.seed_of, self._interval_ms(), self._utc_offset_s
            )
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no door by code now: %s", error)
            return None
        except SeedUnreadable:
            self.counters["unreadable"] += 1
            _log.error("a seed does not open under this ledger's key")
            return None
        self.counters["refused" if holder.reason != reasons.APPROVED else "told"] += 1
        who = holder.card_no, holder.kind, holder.valid_from, holder.valid_to
        return entry_code.WHO_ANSWER, {"numbers": (holder.reason, holder.number, *who)}
