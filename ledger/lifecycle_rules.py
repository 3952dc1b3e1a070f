"""What must always hold for the lives of cards: a part of ledger/invariants.py, as independent."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from ledger.dialect import Dialect, Row
from ledger.lifecycle import MAP_STATUS, states_after

FOLLOWS = "a card's changes follow the table of its life"
_CHANGES = "SELECT card_no, cause, status FROM card_change ORDER BY card_no, epoch"


def astray(database: Dialect) -> Iterator[Row]:
    """(card_no, what is wrong) of each card whose changes the table does not give."""
    for card_no, changes in groupby(database.rows(_CHANGES), key=itemgetter(0)):
        verbs, told = [], []
        for _card_no, verb, status in changes:
            verbs.append(verb)
            told.append(status)
        try:
            states = states_after(verbs)
        except ValueError as error:
            yield card_no, str(error)
            continue
        if [MAP_STATUS[state] for state in states[1:]] != told:
            yield card_no, f"is {states[-1]} and its map says {told[-1]}"
