"""The cards of a tortured campus: made once for each process, given out anew for each seed."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from itertools import chain

from simulator.cardbox import CardKeys, HeldCard, make_cards, twin
from simulator.scenario import CardBatch

_DAY = 20_697  # 2026-09-01
# Whose cards come: rich enough to eat through a whole run, one that is soon empty, and bad ones.
_BATCHES = (
    CardBatch("rich", 2, "ours", 6, 2001, (150_000, 200_000)),
    CardBatch("poor", 2, "ours", 1, 2101, (937, 937)),
    CardBatch("expired", 2, "expired", 1, 2102, (5_000, 5_000)),
    CardBatch("foreign", 2, "foreign", 1, 2103, (5_000, 5_000)),
)
# The same people with DESFire cards.
_DESFIRE = tuple(replace(batch, chip="desfire") for batch in _BATCHES[:2])


@functools.cache
def issued() -> tuple[CardKeys, tuple[HeldCard, ...], dict[int, HeldCard]]:
    """The campus's card keys and its cards as they are issued, once for each process.

    And the DESFire cards that some seeds issue in the place of others, by their numbers.
    """
    keys = CardKeys.drawn(random.Random(1))
    cards, instead = (
        tuple(chain.from_iterable(make_cards(batch, keys, draw, _DAY) for batch in batches))
        for batches, draw in ((_BATCHES, random.Random(2)), (_DESFIRE, random.Random(3)))
    )
    return keys, cards, {card.card_no: card for card in instead}


def new_cards(draw: random.Random, chips: random.Random | None = None) -> list[HeldCard]:
    """The same cards anew, each with its own luck; some are DESFire cards if `chips` draws."""
    _, cards, instead = issued()
    if chips is not None:
        cards = tuple(
            instead.get(card.card_no, card) if chips.randrange(2) else card for card in cards
        )
    return [
        HeldCard(
            card.name,
            card.card_no,
            twin(card.chip, random.Random(draw.randbytes(8))),
            card.issued_fen,
        )
        for card in cards
    ]
