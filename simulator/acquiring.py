"""An acquirer in a scenario: the process of simulator/acquirer, in the world's time.

A call of the ledger is made when it has come over the line, and its answer counts as long again
behind it; one that brings none is given up after the ledger's own time-out. So nobody sleeps, and
what is heard when hangs on the world's clock alone. The process has its books and its day; before
each call it is told which day the world has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.signed_http import SignedHttp
from ledger.acquirer import Verb
from ledger.acquirer_client import HttpAcquirer
from ledger.acquirer_desk import AcquirerDesk
from ledger.reservations import Settled
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan
from simulator.acquirer.faults import FAULTS
from simulator.acquirer.payments import Payments
from simulator.acquirer.process import KEY, AcquirerProcess
from simulator.world.clock import World

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

_WAY_US = 60_000  # to the acquirer, and as long back
_TIMEOUT_US = 2_000_000  # [acquirer] timeout_ms of a ledger's file, where it names none
_STUCK_S = 20.0  # of the host, and only if the process hangs


class Acquiring:
    """A ledger's `desk` for an acquirer, and the acquirer. on_answer(): a call came to an end."""

    def __init__(
        self,
        directory: Path,
        world: World,
        store: LedgerStore,
        utc_offset_s: int,
        random: Callable[[int], bytes],
        on_answer: Callable[[], None],
    ) -> None:
        directory.mkdir()
        self._directory, self._world, self._utc_offset_s = directory, world, utc_offset_s
        self._process = AcquirerProcess(directory, hold_s=0.0)
        client = HttpAcquirer(SignedHttp(self._process.url, KEY, _STUCK_S, random))
        books = store.acquirer_orders, store.acquirer_statements
        line = _Line(world, self._begin_day, on_answer)
        self.desk = AcquirerDesk(*books, client, line, world.utc_s, utc_offset_s)

    def disturb(self, verb: str, faults: list[str]) -> None:
        """What goes wrong with its next requests of a verb (simulator/acquirer/faults.py)."""
        self._process.tell(" ".join(("disturb", verb, *faults)))

    def stray(self, order_no: str, amount_fen: int) -> None:
        """It takes a payment for us that no reader of ours has asked for."""
        self._begin_day()
        self._process.tell(f"stray {order_no} {amount_fen}")

    def charged(self) -> dict[str, int]:
        """What payers are without now by its own books: order number -> fen."""
        books = Payments(self._directory / "acquirer.sqlite")
        try:
            return books.charged()
        finally:
            books.close()

    def close(self) -> None:
        self._process.kill()

    def _begin_day(self) -> None:
        here = datetime.fromtimestamp(self._world.utc_s() + self._utc_offset_s, UTC)
        self._process.tell(f"today {here.date().isoformat()}")


class _Line(Executor):
    """Carries out calls as the world's clock comes to them, one after the other."""

    def __init__(
        self, world: World, before: Callable[[], None], on_answer: Callable[[], None]
    ) -> None:
        self._world, self._before, self._on_answer = world, before, on_answer

    def submit(  # type: ignore[override] - nobody here gives it keywords
        self, function: Callable[..., Any], /, *arguments: Any
    ) -> Future[Any]:
        future: Future[Any] = Future()
        arrives_us = self._world.now_us + _WAY_US
        self._world.at(arrives_us, partial(self._carry_out, future, function, arguments))
        return future

    def _carry_out(
        self, future: Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        self._before()
        try:
            end = partial(future.set_result, function(*arguments))
            heard_us = self._world.now_us + _WAY_US
        except Exception as error:  # noqa: BLE001 - as executors do
            end = partial(future.set_exception, error)
            heard_us = self._world.now_us - _WAY_US + _TIMEOUT_US
        self._world.at(heard_us, partial(self._end, end))

    def _end(self, end: Callable[[], None]) -> None:
        end()
        self._on_answer()


def step_fault(step: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a step about the acquirer in a scenario, after its key."""
    if step["do"] not in VERBS:
        return None
    if not data.get("acquirer"):
        return "do", f"who is to {step['do']}? acquirer = 1 gives the ledger one"
    if step.get("verb", Verb.QUERY) not in list(Verb):
        return "verb", f"'{step['verb']}' is none of {', '.join(Verb)}"
    faults = step.get("faults", [])
    if not isinstance(faults, list) or not set(faults) <= set(FAULTS):
        return "faults", f"faults = {faults!r}, where a list of {', '.join(FAULTS)} is needed"
    return None


def judge(store: LedgerStore, charged: dict[str, int]) -> list[str]:
    """What is wrong at the end, if all was told: payers are without what was sold, and no more.

    `charged` are the acquirer's own books; what is not of an order of ours is its statement's.
    """
    rows = store.database.rows("SELECT order_no, amount_fen, state FROM acquirer_order")
    wrong = []
    for order_no, amount_fen, state in rows:
        sold_fen = amount_fen if state == Settled.SOLD else 0
        if state != Settled.OPEN and charged.get(order_no, 0) != sold_fen:
            taken_fen = charged.get(order_no, 0)
            wrong.append(f"order {order_no}: sold for {sold_fen} fen, its payer paid {taken_fen}")
    return wrong


def _of(run: Run) -> Acquiring:
    assert run.services.acquiring is not None, "the file was checked"
    return run.services.acquiring


def _disturb(run: Run, step: Step) -> None:
    verb, faults = step.fields["verb"], step.fields["faults"]
    _of(run).disturb(verb, faults)
    run.tell(f"the acquirer: the next {verb} is {', '.join(faults)}")


def _stray(run: Run, step: Step) -> None:
    amount_fen = step.fields["amount"]
    _of(run).stray(f"stray-{step.line}", amount_fen)
    run.tell(f"the acquirer takes {format_yuan(amount_fen)} that nobody asked for")


VERBS: dict[str, Callable[[Run, Step], None]] = {"disturb": _disturb, "stray": _stray}
