"""Reissue (补卡, R14.4a) and swap (换卡, R6.4): another card in the place of a lost one, or of one
that was handed in.

Rules of this file. The old card is closed for good in the same transaction, in the status map too:
found again it opens nothing and pays nothing. A card has one successor, and is the successor of
one. The new card is one that was issued and never used, and starts empty: whoever mistypes its
number does not hand money to a stranger. A successor that is lost itself gets one in its turn.
"""

from dataclasses import replace

from ledger import late
from ledger.card_fees import charge
from ledger.card_status import (
    CardRefused,
    Cards,
    change_status,
    changes_of,
    check_evidence,
    losses_of,
    states_of,
)
from ledger.dialect import Dialect
from ledger.holders import pass_on
from ledger.lifecycle import ABSENT, CENTRE, Act
from protocols.rules.card_status import CARD_NO_MAX, LOST
from protocols.rules.spending import TEMPORARY

_SUCCESSOR = "SELECT new_card FROM reissue WHERE old_card = ?"
_BEFORE = """
WITH RECURSIVE before (card_no, lost_s) AS (
    SELECT old_card, lost_s FROM reissue WHERE new_card = ?
    UNION ALL SELECT r.old_card, r.lost_s FROM reissue r JOIN before b ON r.new_card = b.card_no)
SELECT card_no, lost_s FROM before ORDER BY lost_s, card_no"""
_HEIR = """
WITH RECURSIVE behind (card_no) AS (
    SELECT ? UNION ALL SELECT r.new_card FROM reissue r JOIN behind b ON r.old_card = b.card_no)
SELECT card_no FROM behind b
WHERE NOT EXISTS (SELECT 1 FROM reissue r WHERE r.old_card = b.card_no)"""
_OPENING = "SELECT opening_fen FROM card WHERE card_no = ?"
_IS_USED = """
SELECT EXISTS (SELECT 1 FROM reissue WHERE new_card = ?)
    OR EXISTS (SELECT 1 FROM intent WHERE card_no = ?)
    OR EXISTS (SELECT 1 FROM load WHERE card_no = ?)
    OR EXISTS (SELECT 1 FROM holding WHERE card_no = ?)"""
_INSERT = "INSERT INTO reissue VALUES (?, ?, ?)"


class Reissues:
    """Which card follows which. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def reissue(
        self, old_card: int, new_card: int, time_s: int, evidence: str, by: Act = CENTRE
    ) -> None:
        """`new_card` takes the place of `old_card`, which is lost, at `time_s`.

        `evidence`: one word for what was shown in person. Again, with the same cards: nothing.
        Raises CardRefused. A card that was issued and not opened is opened by it.
        """
        self._replace("reissue", old_card, new_card, time_s, replace(by, evidence=evidence))

    def swap(
        self, old_card: int, new_card: int, time_s: int, evidence: str, by: Act = CENTRE
    ) -> None:
        """The same for a card that was handed in: what is told late of it is its holder's.

        Its money goes on as a lost one's does, so long after `time_s`.
        """
        self._replace("swap", old_card, new_card, time_s, replace(by, evidence=evidence))

    def _replace(self, verb: str, old_card: int, new_card: int, time_s: int, act: Act) -> None:
        check_evidence(verb, act.evidence)
        with self._database.transaction():
            successor = self.successor(old_card)
            if successor == new_card:
                return
            if successor is not None:
                raise CardRefused(f"card {old_card} was replaced by card {successor}")
            since_s = self._lost_s(old_card) if verb == "reissue" else time_s
            self._check_new(new_card)
            states = states_of(self._database, old_card)
            change_status(self._database, verb, old_card, time_s, act)
            self._database.many(_INSERT, [(old_card, new_card, since_s)])
            if pass_on(self._database, old_card, new_card) == TEMPORARY:
                charge(self._database, new_card, time_s, act.person)
            if states_of(self._database, new_card)[-1] == "issued":
                change_status(self._database, "open", new_card, time_s, act)
            if states[-2:] == ["suspended", "lost"]:
                # A leave of absence does not end because its card was lost on the way.
                change_status(self._database, "suspend", new_card, time_s, act)
            late.bear(self._database, old_card, since_s)

    def successor(self, card_no: int) -> int | None:
        """The card in the place of this one; None if there is none."""
        for (new_card,) in self._database.rows(_SUCCESSOR, (card_no,)):
            return new_card
        return None

    def heir(self, card_no: int) -> int:
        """The last of the cards that followed a card; itself if none did."""
        ((last,),) = self._database.rows(_HEIR, (card_no,))
        return last

    def before(self, card_no: int) -> list[tuple[int, int]]:
        """(card, when its loss was reported) of every card this one is in the place of."""
        return list(self._database.rows(_BEFORE, (card_no,)))

    def _lost_s(self, card_no: int) -> int:
        """When the loss of a card that is lost was reported."""
        state = Cards(self._database).state(card_no)
        if state == ABSENT:
            raise CardRefused(f"card {card_no} was never issued")
        if Cards(self._database).status(card_no) != LOST:
            text = f"card {card_no} is {state}: only one that is reported lost is replaced"
            raise CardRefused(text)
        return losses_of(changes_of(self._database, [card_no]))[card_no][-1].from_s

    def _check_new(self, card_no: int) -> None:
        opening = list(self._database.rows(_OPENING, (card_no,)))
        if not opening:
            raise CardRefused(f"card {card_no} was never issued")
        if card_no > CARD_NO_MAX:
            raise CardRefused(f"card {card_no}: the map ends at {CARD_NO_MAX}")
        ((is_used,),) = self._database.rows(_IS_USED, (card_no,) * 4)
        states = states_of(self._database, card_no)
        if is_used or (states[-1] != "issued" and states != ["active"]):
            raise CardRefused(f"card {card_no} is in use already: it takes one that is new")
        if opening != [(0,)]:
            raise CardRefused(f"card {card_no} was issued with money on it: it takes an empty one")
