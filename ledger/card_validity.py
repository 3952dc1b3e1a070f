"""From when to when each card is valid, as the register says it: what stands on the card too.

A phone shows no card: whoever has its code checked needs to be told (ledger/code_entries.py). A
card whose days are written anew gets them here too, in the register: what it says last counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.dialect import Dialect

_KNOW = """
INSERT INTO card_validity VALUES (?, ?, ?, ?) ON CONFLICT (card_no) DO UPDATE
SET kind = excluded.kind, valid_from = excluded.valid_from, valid_to = excluded.valid_to"""
_FIND = "SELECT card_no, kind, valid_from, valid_to FROM card_validity WHERE card_no = ?"
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"


@dataclass(frozen=True, slots=True)
class Validity:
    """What stands on a card: its kind, its first and its last day (since 1970, both inside)."""

    card_no: int
    kind: int
    valid_from: int
    valid_to: int


class UnknownCard(Exception):
    """A card that was never issued; nothing was changed."""


def know(database: Dialect, cards: Iterable[Validity]) -> None:
    """Note the validity of issued cards, all of them or none. Raises UnknownCard."""
    with database.transaction():
        for card in cards:
            if not list(database.rows(_IS_ISSUED, (card.card_no,))):
                raise UnknownCard(f"card {card.card_no}: is valid and was never issued")
            write(database, card)


def write(database: Dialect, card: Validity) -> None:
    """That of a card that is in the books, in a transaction of the caller."""
    row = card.card_no, card.kind, card.valid_from, card.valid_to
    database.many(_KNOW, [row])


def of(database: Dialect, card_no: int) -> Validity | None:
    """That of a card; None if nobody has told it."""
    for row in database.rows(_FIND, (card_no,)):
        return Validity(*row)
    return None
