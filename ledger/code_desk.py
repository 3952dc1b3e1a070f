"""Answers readers that ask whether a campus code may pay.

Rules of this file. What decides stands in the books (ledger/code_sales.py); nothing is kept here
that a restart may not forget. An ask may be said again until its answer has been heard, so the
last refusal is kept as well: whoever was refused is not approved by an echo of his question.
"""

import logging
from collections.abc import Callable
from typing import Any

from ledger.acquirer_desk import AcquirerDesk
from ledger.code_sales import Answer, Ask, CodePolicy
from ledger.dialect import StoreUnavailable
from ledger.phones import Phones, SeedUnreadable
from ledger.store import LedgerStore
from protocols.rules import reasons, scan_codes
from protocols.wire import messages

ASK_MS_MIN = 300  # between two asks of one reader
# What an acquirer takes, and the reason where there is none.
_OF_PLATFORMS = {
    scan_codes.WECHAT: reasons.CODE_OF_WECHAT,
    scan_codes.ALIPAY: reasons.CODE_OF_ALIPAY,
    scan_codes.UNIONPAY: reasons.CODE_OF_UNIONPAY,
}

_log = logging.getLogger(__name__)

Fields = dict[str, Any]


class CodeDesk:
    """Judges PAY_ASKs by `policy`; interval_ms() is (earliest, latest) in ms since 1970.

    `acquirer` takes the codes of payment platforms: without one they are refused. `counters`
    (name -> int) only grow.
    """

    hears = (messages.PAY_ASK,)

    def __init__(
        self,
        store: LedgerStore,
        phones: Phones,
        policy: CodePolicy,
        interval_ms: Callable[[], tuple[int, int]],
        acquirer: AcquirerDesk | None = None,
    ) -> None:
        self._store = store
        self._phones = phones
        self._policy = policy
        self._interval_ms = interval_ms
        self._acquirer = acquirer
        self._asked_ms: dict[int, int] = {}  # by device
        self._refused: dict[int, tuple[Ask, Answer]] = {}  # by device
        names = ("asks", "too_often", "approved", "refused", "unreadable", "store_unavailable")
        self.counters = dict.fromkeys(names, 0)

    def answer(
        self, device: int, key: bytes, said: Fields, now_ms: int
    ) -> tuple[int, Fields] | None:
        """The PAY_ANSWER to what `device` has said; None: it has to ask again."""
        del key
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(device, now_ms - ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return None
        self._asked_ms[device] = now_ms
        ask = Ask(device, said["nonce"], said["code"], said["amount_fen"], said["seq"])
        try:
            answer = self._answered(ask, now_ms)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("no payment by code now: %s", error)
            return None
        except SeedUnreadable as error:
            self.counters["unreadable"] += 1
            _log.error("a seed does not open under this ledger's key: %s", error)
            return None
        if answer is None:
            return None
        fields = {"reason": answer.reason, "number": answer.number}
        return messages.PAY_ANSWER, {**fields, "balance_fen": answer.balance_fen}

    def _answered(self, ask: Ask, now_ms: int) -> Answer | None:
        before, answer = self._refused.get(ask.device, (None, None))
        if answer is not None and before == ask:
            return answer
        code = ask.code.rstrip(b"\0")  # shorter ones are padded
        kind = scan_codes.kind_of(code)
        if kind in _OF_PLATFORMS:
            answer = Answer(_OF_PLATFORMS[kind])
            if self._acquirer is not None:
                answer = self._acquirer.ask(ask, code, kind, now_ms)
        else:
            answer = self._store.code_sales.ask(
                ask, self._phones.seed_of, self._interval_ms(), self._policy
            )
        if answer is None:
            return None
        if answer.reason == reasons.APPROVED:
            self.counters["approved"] += 1
        else:
            self.counters["refused"] += 1
            self._refused[ask.device] = ask, answer
        return answer
