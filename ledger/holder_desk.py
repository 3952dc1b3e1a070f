"""Answers readers of library desks and self-service machines (protocols/wire/desk_messages.py).

Rules of this file. What is answered stands in the books (ledger/person_numbers.py,
ledger/loss_reports.py); no number, no code and no card comes into a log. A report of a loss may be
said again until its answer has been heard, so the last refusal is kept as well: whoever was
refused is not believed by an echo of his question.
"""

import logging
from collections.abc import Callable
from typing import Any

from ledger.dialect import StoreUnavailable
from ledger.loss_reports import LossAnswer, LossAsk
from ledger.phones import Phones, SeedUnreadable
from ledger.store import LedgerStore
from protocols.rules import reasons
from protocols.wire import desk_messages

ASK_MS_MIN = 300  # between two asks of one reader

_log = logging.getLogger(__name__)

Fields = dict[str, Any]
Answer = tuple[int, Fields] | None


class _Paced:
    """What both desks have: counters that only grow, and a pace for each reader."""

    def __init__(self) -> None:
        names = ("asks", "too_often", "told", "refused", "unreadable", "store_unavailable")
        self.counters = dict.fromkeys(names, 0)
        self._asked_ms: dict[int, int] = {}  # by device

    def is_too_often(self, device: int, now_ms: int) -> bool:
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(device, now_ms - ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return True
        self._asked_ms[device] = now_ms
        return False

    def count(self, reason: int) -> None:
        self.counters["refused" if reason else "told"] += 1


class PersonDesk(_Paced):
    """Answers PERSON_ASKs."""

    hears = (desk_messages.PERSON_ASK,)

    def __init__(self, store: LedgerStore) -> None:
        super().__init__()
        self._store = store

    def answer(self, device: int, key: bytes, said: Fields, now_ms: int) -> Answer:
        """The PERSON_ANSWER to what `device` has said; None: it has to ask again."""
        del key
        if self.is_too_often(device, now_ms):
            return None
        try:
            reason, person_no = self._store.person_numbers.of(device, said["card_no"])
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no personal number now: %s", error)
            return None
        self.count(reason)
        told = {"reason": reason, "person_no": person_no.encode("ascii")}
        return desk_messages.PERSON_ANSWER, told


class LossDesk(_Paced):
    """Answers LOSS_ASKs by `interval_ms()`, (earliest, latest) in ms since 1970, and `utc_s()`."""

    hears = (desk_messages.LOSS_ASK,)

    def __init__(
        self,
        store: LedgerStore,
        phones: Phones,
        interval_ms: Callable[[], tuple[int, int]],
        utc_s: Callable[[], int],
    ) -> None:
        super().__init__()
        self._store = store
        self._phones = phones
        self._interval_ms = interval_ms
        self._utc_s = utc_s
        self._refused: dict[int, tuple[LossAsk, LossAnswer]] = {}  # by device

    def answer(self, device: int, key: bytes, said: Fields, now_ms: int) -> Answer:
        """The LOSS_ANSWER to what `device` has said; None: it has to ask again."""
        del key
        if self.is_too_often(device, now_ms):
            return None
        ask = LossAsk(device, said["nonce"], said["code"])
        try:
            answer = self._answered(ask)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no loss is reported now: %s", error)
            return None
        except SeedUnreadable:
            self.counters["unreadable"] += 1
            _log.error("a seed does not open under this ledger's key")
            return None
        return desk_messages.LOSS_ANSWER, {"reason": answer.reason, "lost_s": answer.lost_s}

    def _answered(self, ask: LossAsk) -> LossAnswer:
        before, answer = self._refused.get(ask.device, (None, None))
        if answer is not None and before == ask:
            return answer
        answer = self._store.loss_reports.report(
            ask, self._phones.seed_of, self._interval_ms(), self._utc_s()
        )
        self.count(answer.reason)
        if answer.reason != reasons.APPROVED:
            self._refused[ask.device] = ask, answer
        return answer
