"""Answers readers that ask where they stand, and whether they may go on (R18.1, R18.2).

Rules of this file. Through whose agent a question came says where its reader is; the seal says
that it is that reader's, and the answer carries its nonce under its key. Nothing is decided here:
whether a record is approved stands in the books (ledger/tampers.py).
"""

import logging
from collections.abc import Callable
from typing import Any

from ledger.dialect import StoreUnavailable
from ledger.store import LedgerStore
from protocols.wire import messages

_log = logging.getLogger(__name__)
_AT_HOME = 0


class SiteDesk:
    """Answers SITEs; `utc_s` gives the time of what was seen. `counters` only grow."""

    hears = (messages.SITE,)

    def __init__(self, store: LedgerStore, utc_s: Callable[[], int]) -> None:
        self._store = store
        self._utc_s = utc_s
        self.counters = dict.fromkeys(("asks", "elsewhere", "approved", "store_unavailable"), 0)

    def answer(
        self, device: int, key: bytes, said: dict[str, Any], now_ms: int
    ) -> tuple[int, dict[str, Any]] | None:
        """As Desk.answer; `said` has also "heard_at", a site, and "sealed", as it came."""
        del key, now_ms
        self.counters["asks"] += 1
        try:
            state = self._state(device, said)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("nobody is told where it is now: %s", error)
            return None
        told = {"state": state, "number": said["number"], "head": said["head"]}
        return messages.SITE, told

    def _state(self, device: int, said: dict[str, Any]) -> int:
        tampers, site = self._store.tampers, said["heard_at"]
        if tampers.where(device)[1] != site:
            self.counters["elsewhere"] += 1
            # One that is barred for it already has told before.
            is_known = said["state"] == messages.MOVED
            if not is_known and tampers.sight(
                device, said["head"], site, self._utc_s(), said["sealed"]
            ):
                _log.warning("reader %d is at %s, which is not its site", device, site)
            return messages.MOVED
        if said["number"] and tampers.is_approved(device, said["number"]):
            self.counters["approved"] += 1
            return messages.APPROVED
        return _AT_HOME
