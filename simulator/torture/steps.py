"""The steps of each card, as the readers' records tell them at the moment they are written.

Whatever debits or credits a card is preceded by a record that says what the card showed then: its
counter, and the last record that it took part in. So the record at counter c + 1, or the card
itself, says what has led away from counter c, whoever says what about it later.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from protocols.card.purse import CARD_CENTRE, PurseView
from protocols.wire import messages

Mark = tuple[int, int]  # device and sequence; of a credit CARD_CENTRE and its number


class CardSteps:
    """Fed with every INTENT and CREDIT, before its reader touches the card."""

    def __init__(self) -> None:
        self._shown: dict[tuple[int, int], Mark] = {}  # card and counter: what it named there
        # By card: counter and record of each spend that was begun, with its amount (fen).
        self._begun: dict[int, dict[tuple[int, Mark], int]] = defaultdict(dict)

    def note(self, fields: dict[str, Any]) -> str:
        """Take up an INTENT or CREDIT; what cannot be about the steps before it, or ""."""
        place = fields["card_no"], fields["counter"]
        mark = fields["last_device"], fields["last_seq"]
        if fields["kind"] == messages.INTENT:
            record = fields["device"], fields["seq"]
            self._begun[fields["card_no"]][fields["counter"], record] = fields["amount_fen"]
        known = self._shown.setdefault(place, mark)
        if known == mark:
            return ""
        return f"card {place[0]} named {known} at its counter {place[1]}, and now {mark}"

    def has_paid(self, card_no: int, amount_fen: int, since: int, now: PurseView) -> bool:
        """Whether a spend of this amount has debited the card after its counter was `since`."""
        here = {(card_no, now.counter): (now.last_device, now.last_seq)}
        return any(
            fen == amount_fen
            and counter >= since
            and (here.get((card_no, counter + 1)) or self._shown.get((card_no, counter + 1)))
            == record
            for (counter, record), fen in self._begun[card_no].items()
        )

    def twice(self) -> list[tuple[int, int]]:
        """(card_no, number) of credits that led away from more than one counter of their card."""
        # A credit may be named at one counter only: the step behind it has another name.
        at: dict[tuple[int, Mark], set[int]] = defaultdict(set)
        for (card_no, counter), mark in self._shown.items():
            if mark[0] == CARD_CENTRE:
                at[card_no, mark].add(counter)
        return [(card_no, mark[1]) for (card_no, mark), where in at.items() if len(where) > 1]
