"""What goes wrong between a ledger and its acquirer, request by request.

    lost      the request never arrives
    silent    it is carried out, and its answer never arrives
    late      it is carried out only behind the next `LATE_BY` requests, and has no answer
    twice     it is carried out twice
    unknown   the acquirer says that it does not know the order, which it may
    forged    another one answers, that it is confirmed

A plan has a list of these for each verb, used up in its order; "-" is none. Or they are drawn.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from simulator.acquirer.payments import CONFIRMED, UNKNOWN, Answer

FAULTS = ("lost", "silent", "late", "twice", "unknown", "forged")
NONE = "-"
LATE_BY = 2
_QUIET = ("lost", "silent", "late")


class Faults:
    """Which fault the next request of a verb has."""

    def __init__(self, plan: dict[str, list[str]] | None = None, seed: int | None = None) -> None:
        self._plan = {verb: deque(faults) for verb, faults in (plan or {}).items()}
        self._draw = None if seed is None else random.Random(seed)

    def next(self, verb: str) -> str:
        """One of FAULTS, or NONE."""
        planned = self._plan.get(verb)
        if planned:
            return planned.popleft()
        if self._draw is not None and self._draw.random() < 0.5:
            return self._draw.choice(FAULTS)
        return NONE

    def disturb(self, verb: str, faults: Iterable[str]) -> None:
        """What goes wrong with the next requests of a verb, behind what is planned already."""
        self._plan.setdefault(verb, deque()).extend(faults)

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self._plan, self._draw = {}, None


class Line:
    """The line between the two: every request goes through it. Of one thread at a time.

    carry_out(verb, order_no, said) is the acquirer's own.
    """

    def __init__(self, carry_out: Callable[[str, str, Answer], Answer], faults: Faults) -> None:
        self._carry_out = carry_out
        self.faults = faults
        self._late: list[tuple[int, str, str, Answer]] = []  # and how many requests are before it
        self.is_forged = False  # the last answer was another one's

    def request(self, verb: str, order_no: str, said: Answer) -> Answer | None:
        """What is answered; None: nothing is."""
        fault = self.faults.next(verb)
        self.is_forged = fault == "forged"
        answer = None
        if fault == "late":
            self._late.append((LATE_BY + 1, verb, order_no, said))
        elif fault not in ("lost", "forged"):
            answer = self._carry_out(verb, order_no, said)
            if fault == "twice":
                answer = self._carry_out(verb, order_no, said)
        self._pass(1)
        if self.is_forged:
            fen = said.get("amount_fen", 1)
            return {"order_no": order_no, "amount_fen": fen, "state": CONFIRMED, "why": ""}
        if fault == "unknown" and verb == "query":
            return {"order_no": order_no, "amount_fen": 0, "state": UNKNOWN, "why": ""}
        return None if fault in _QUIET else answer

    def deliver_late(self) -> None:
        """What is under way arrives now."""
        self._pass(LATE_BY + 1)

    def _pass(self, count: int) -> None:
        waiting = [(left - count, verb, no, said) for left, verb, no, said in self._late]
        self._late = [request for request in waiting if request[0] > 0]
        for left, verb, order_no, said in waiting:
            if left <= 0:
                self._carry_out(verb, order_no, said)
