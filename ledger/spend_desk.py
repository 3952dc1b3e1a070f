"""Answers readers that ask about a spend by card above their floor limit (R19.2, ADR 65).

Rules of this file. What decides stands in the books, as they are now: the status of the card,
what was found of it as fraud and nobody has settled, and whether the card shows an older state
than one the books have seen it leave. Nothing is reserved and nothing is kept: asked twice it says
the same, until the books know more. The limits are the reader's own; it has looked at them.
"""

import logging
from typing import Any

from ledger.card_status import standing
from ledger.dialect import Dialect, StoreUnavailable
from ledger.evidence import COMMITTED
from ledger.made_good import IS_DONE
from protocols.rules import reasons
from protocols.rules.card_status import LOST
from protocols.wire import messages

_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
# A debit or credit that began at a later state, or was completed at this one.
_IS_BEHIND = f"""
SELECT 1 FROM intent WHERE card_no = ?
AND (counter > ? OR (counter = ? AND state = {int(COMMITTED)})) LIMIT 1"""
_IS_SUSPECT = f"SELECT 1 FROM finding c WHERE c.card_no = ? AND NOT {IS_DONE} LIMIT 1"

_log = logging.getLogger(__name__)


def judged(database: Dialect, card_no: int, counter: int) -> int:
    """reasons.APPROVED, or why a card that shows this counter may not pay much now.

    CARD_LOST, CARD_SUSPENDED or CARD_CLOSED; CARD_BEHIND where the books have to be asked by a
    person: they do not know it, have a case about it, or have seen it leave that state.
    """
    status = standing(database, card_no)[0]
    if status:
        return reasons.CARD_LOST - LOST + status
    if not list(database.rows(_IS_ISSUED, (card_no,))):
        return reasons.CARD_BEHIND
    if list(database.rows(_IS_BEHIND, (card_no, counter, counter))):
        return reasons.CARD_BEHIND
    suspect = list(database.rows(_IS_SUSPECT, (card_no,)))
    return reasons.CARD_BEHIND if suspect else reasons.APPROVED


class SpendDesk:
    """Answers SPEND_ASKs. `counters` (name -> int) only grow."""

    hears = (messages.SPEND_ASK,)

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self.counters = dict.fromkeys(("asks", "approved", "refused", "store_unavailable"), 0)

    def answer(
        self, device: int, key: bytes, said: dict[str, Any], now_ms: int
    ) -> tuple[int, dict[str, Any]] | None:
        """As Desk.answer."""
        del key, now_ms
        self.counters["asks"] += 1
        try:
            with self._database.reading():
                reason = judged(self._database, said["card_no"], said["counter"])
        except StoreUnavailable as error:
            self.counters["store_unavailable"] += 1
            _log.error("reader %d is told nothing of a spend now: %s", device, error)
            return None
        self.counters["refused" if reason else "approved"] += 1
        return messages.SPEND_ANSWER, {"reason": reason}
