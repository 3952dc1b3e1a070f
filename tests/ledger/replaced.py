"""A lost card and the one in its place, as the ledger sees them."""

from typing import Any

from ledger.invariants import check
from tests.ledger.readers import CARD, OPENING_FEN, open_ledger

NEW_CARD, NEWER_CARD = 107, 207
HOUR_S = 3600
LOST_S = 1_000_000
DUE_S = LOST_S + 72 * HOUR_S
# The loss, by a reader's clock.
BEFORE: dict[str, Any] = {"earliest_s": LOST_S - 60, "latest_s": LOST_S - 1}
ACROSS: dict[str, Any] = {"earliest_s": LOST_S - 60, "latest_s": LOST_S}
AFTER: dict[str, Any] = {"earliest_s": LOST_S + 60, "latest_s": LOST_S + 62}


def books(*readers, path=":memory:"):
    """A ledger with CARD and two cards nobody has used."""
    store = open_ledger(*readers, path=path)
    store.issue_cards([(NEW_CARD, 0), (NEWER_CARD, 0)])
    return store


def lose(store, card_no=CARD, time_s=LOST_S):
    store.cards.set("lose", card_no, time_s)


def replace(store, old_card=CARD, new_card=NEW_CARD, time_s=LOST_S + HOUR_S):
    store.reissues.reissue(old_card, new_card, time_s, "id-card")


def replaced(*readers, path=":memory:"):
    """A ledger in which NEW_CARD is in the place of CARD, an hour after its loss."""
    store = books(*readers, path=path)
    lose(store)
    replace(store)
    return store


def held(store):
    """(purse of the old card, waiting for it, for the new one, borne, laid out); they hold."""
    assert check(store) == []
    names = (
        ("holder", CARD),
        ("pending", CARD),
        ("pending", NEW_CARD),
        ("loss", 342),
        ("loss", 343),
    )
    balances = store.balances()
    return tuple(balances.get(name, 0) for name in names)


FROZEN = (OPENING_FEN, 0, 0, 0, 0)
CARRIED = (0, 0, OPENING_FEN, 0, 0)
