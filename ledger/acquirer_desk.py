"""Says to the acquirer what orders need, beside everything else, and answers who asks for them.

Rules of this file. Nothing waits here: a call runs in a thread of its own, its answer is written
to the books by `step`, in the thread that owns them, and a reader that asks again hears it from
there. Of one order one call is under way. What is kept in memory may be forgotten: whose code that
was, and when an order is said again. What has to be said stands in the books.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from ledger.acquirer import HELD, NEXT, Acquirer, NoAnswer, Said, StatementLine, Verb, Word
from ledger.acquirer_orders import AcquirerOrders, Order
from ledger.acquirer_statements import AcquirerStatements
from ledger.code_sales import Answer, Ask
from ledger.dialect import StoreUnavailable
from ledger.reservations import Settled
from protocols.rules import clock, reasons

LOOK_MS = 1_000  # until the books are asked again what is open
WAKE_MS = 50  # while a call is under way
AGAIN_MS, AGAIN_MS_MAX = 1_000, 300_000  # twice as long after each call that changed nothing
STATEMENT_AFTER_S = 3_600  # behind midnight: by then its day is closed
TOLD_ANEW_DAYS, TOLD_ANEW_MS = 7, 86_400_000  # for so long, so often: was a day corrected?
BALANCE_NOT_TOLD = 0xFFFFFFFF  # in an answer: what the payer has left is the platform's to say
_CODE_MS = 60_000  # how long a code is good, and kept

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Code:
    """What a phone has shown for an order; it is never written down. `verb`: what to say next."""

    code: bytes
    until_ms: int
    verb: Verb = Verb.RESERVE


@dataclass(slots=True)
class _Call:
    """`word`: what was known of the order when it was made."""

    verb: Verb
    word: Word
    future: "Future[Said]"


@dataclass(slots=True)
class _Pace:
    """When an order is told the same again."""

    due_ms: int
    wait_ms: int = AGAIN_MS


class AcquirerDesk:
    """`acquirer` is called by `pool`; utc_s() gives seconds since 1970. `counters` only grow."""

    def __init__(
        self,
        orders: AcquirerOrders,
        statements: AcquirerStatements,
        acquirer: Acquirer,
        pool: Executor,
        utc_s: Callable[[], int],
        utc_offset_s: int = 28_800,
    ) -> None:
        self._orders = orders
        self._statements = statements
        self._acquirer = acquirer
        self._pool = pool
        self._utc_s = utc_s
        self._utc_offset_s = utc_offset_s
        self._codes: dict[int, _Code] = {}  # by number of the order, as the calls
        self._calls: dict[int, _Call] = {}
        self._paces: dict[tuple[int, Verb], _Pace] = {}
        self._day: int | None = None  # whose statement is asked for
        self._statement: Future[Sequence[StatementLine]] | None = None
        self._due_ms: dict[int, int] = {}  # by day: when it is asked for again
        self._look_ms = self._statement_ms = 0
        names = ("calls", "unanswered", "words", "statements", "corrected_statements")
        self.counters = dict.fromkeys((*names, "store_unavailable"), 0)

    def ask(self, ask: Ask, code: bytes, channel: int, now_ms: int) -> Answer | None:
        """Answer a reader that asks for a payment by `code`; None: it is not known yet.

        Raises StoreUnavailable.
        """
        order = self._orders.ask(ask, code, channel, self._utc_s())
        if order is None or order.state is Settled.VOID or order.word is Word.VOIDED:
            return Answer(reasons.ASK_LEDGER)
        if order.word in HELD:
            return Answer(reasons.APPROVED, order.number, BALANCE_NOT_TOLD)
        if order.word is Word.REFUSED:
            return Answer(order.reason)
        if order.number not in self._codes:
            self._codes[order.number] = _Code(code, now_ms + _CODE_MS)
            self._say(order, now_ms)
        return None

    def step(self, now_ms: int) -> int:
        """Write down what was answered and say what is due; when to call again (ms)."""
        try:
            self._hear(now_ms)
            self._hear_statement(now_ms)
            if now_ms >= self._look_ms:
                self._look_ms = now_ms + LOOK_MS
                self._look(now_ms)
                self._ask_statement(now_ms)
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("nothing of the acquirer's is written now: %s", error)
            return now_ms + LOOK_MS
        is_busy = self._calls or self._statement is not None
        return min(self._look_ms, now_ms + WAKE_MS) if is_busy else self._look_ms

    # --- orders ----------------------------------------------------------------------------------

    def _look(self, now_ms: int) -> None:
        for number in [n for n, code in self._codes.items() if now_ms >= code.until_ms]:
            del self._codes[number]
        found = self._orders.open()
        needs = {(order.number, NEXT[order.state, order.word]): order for order in found}
        self._paces = {need: self._paces.get(need) or _Pace(now_ms) for need in needs}
        for need, order in needs.items():
            if now_ms >= self._paces[need].due_ms:
                self._say(order, now_ms)

    def _say(self, order: Order, now_ms: int) -> None:
        if order.number in self._calls:
            return
        need = NEXT[order.state, order.word]
        verb, code, known = need, b"", self._codes.get(order.number)
        if verb is Verb.QUERY and known is not None and now_ms < known.until_ms:
            verb, code = known.verb, known.code
        pace = self._paces.setdefault((order.number, need), _Pace(now_ms))
        pace.due_ms = now_ms + pace.wait_ms
        if known is None:  # with a code its reader waits
            pace.wait_ms = min(2 * pace.wait_ms, AGAIN_MS_MAX)
        self.counters["calls"] += 1
        what = verb, order.order_no, code, order.amount_fen
        future = self._pool.submit(self._acquirer.say, *what)
        self._calls[order.number] = _Call(verb, order.word, future)

    def _hear(self, now_ms: int) -> None:
        for number, call in list(self._calls.items()):
            if call.future.done():
                self._hear_call(number, call, now_ms)
                del self._calls[number]  # behind it: what could not be written is written again

    def _hear_call(self, number: int, call: _Call, now_ms: int) -> None:
        code = self._codes.get(number)
        error = call.future.exception()
        if error is not None:
            self.counters["unanswered"] += 1
            _log.warning("order %d, %s: no answer (%s)", number, call.verb, _why(error))
            if code is not None:
                code.verb = Verb.QUERY
            return
        said = call.future.result()
        word = self._orders.hear(number, said, self._utc_s()).word
        if word is not call.word:
            self.counters["words"] += 1
            self._codes.pop(number, None)
            self._look_ms = now_ms  # what it needs next
        elif code is not None:
            code.verb = Verb.QUERY if said.is_known else Verb.RESERVE

    # --- statements ------------------------------------------------------------------------------

    def _ask_statement(self, now_ms: int) -> None:
        if self._statement is not None or now_ms < self._statement_ms:
            return
        self._statement_ms = now_ms + AGAIN_MS_MAX
        due_ms = {day: self._due_ms.get(day, 0) for day in self._days()}
        self._due_ms = due_ms
        # What was not told lately first, so that a day which nobody tells holds up no other one.
        day = min(due_ms, key=lambda one: (due_ms[one], one), default=None)
        if day is not None and due_ms[day] <= now_ms:
            self._day = day
            self._statement = self._pool.submit(self._acquirer.statement, day)

    def _days(self) -> list[int]:
        """Whose statements are wanted: those that are missing, and the last ones once more."""
        now_s = self._utc_s()
        over = clock.day(max(0, now_s - STATEMENT_AFTER_S), self._utc_offset_s)
        missing = self._statements.missing(over, self._utc_offset_s, now_s)
        told = self._statements.versions()
        again = [day for day in range(over - TOLD_ANEW_DAYS, over) if day in told]
        return [*missing, *again]

    def _hear_statement(self, now_ms: int) -> None:
        future, day = self._statement, self._day
        if future is None or day is None or not future.done():
            return
        if error := future.exception():
            self.counters["unanswered"] += 1
            _log.warning("no statement of day %d yet (%s)", day, _why(error))
        else:
            version = self._statements.enter(day, future.result(), self._utc_s()).version
            self.counters["statements"] += version == 1
            self.counters["corrected_statements"] += version > 1
            if version > 1:
                _log.warning("the statement of day %d was told anew (version %d)", day, version)
        self._due_ms[day] = now_ms + (AGAIN_MS_MAX if error else TOLD_ANEW_MS)
        self._statement_ms = now_ms  # the next day's, if one is due
        self._statement = None


def _why(error: BaseException) -> str:
    # Whatever else ends a call, it is no answer, and no reason for the ledger to end. Its text is
    # left out: a code may stand in it.
    return str(error) if isinstance(error, NoAnswer) else type(error).__name__
