"""What holders and the card centre do while lunch is sold: see business.py for what a seed has.

Each function is one act of one kind of business, drawn from that kind's own stream.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ledger import chart
from simulator.cardbox import HeldCard
from simulator.torture.campus import Campus

_PAID_IN_IN, _LOST_IN = 18, 30  # at one event in so many
_AMOUNTS_FEN = (1, 500, 2_000, 5_000, 10_000)
# A credit comes on its card when codes have left enough of what waits for it (ADR 20).
_WAITING = """
SELECT l.card_no, MIN(l.number) FROM load l
JOIN account a ON a.kind = ? AND a.owner = l.card_no
WHERE l.is_loaded = 0 AND NOT EXISTS (SELECT 1 FROM load_end e WHERE e.number = l.number)
AND (l.amount_fen <= a.balance_fen - a.floor_fen
    OR EXISTS (SELECT 1 FROM load_try t WHERE t.number = l.number))
GROUP BY l.card_no"""

Act = Callable[[Campus, random.Random], None]


def of(campus: Campus) -> list[tuple[random.Random, Act]]:
    """What may happen beside in a seed: called once for each of its events."""
    return [
        (campus.seeds.stream("office", kind), act)
        for kind, act in _ACTS.items()
        if getattr(campus.business, kind)
    ]


def top_up(campus: Campus, draw: random.Random) -> None:
    """Somebody pays in with a telephone, whether or not the card is on a reader just now."""
    if draw.randrange(_PAID_IN_IN):
        return
    held = draw.choice(people(campus))
    order_id = f"order-{campus.fired['money paid in']}"
    campus.top_up(held, draw.choice(_AMOUNTS_FEN), order_id, is_told_twice=draw.randrange(4) == 0)


def waiting(campus: Campus) -> dict[int, int]:
    """The first credit of each card that may come and is not on it, as far as the ledger knows."""
    return dict(campus.watch.rows(campus.watch.ledger, _WAITING, chart.PENDING))


def count(campus: Campus) -> None:
    """What of it has come about."""
    for name, sql in _COUNTED.items():
        ((number,),) = campus.watch.rows(campus.watch.ledger, sql)
        campus.fired[name] += number


def report_loss(campus: Campus, draw: random.Random) -> None:
    """A card is reported lost, or found again; whoever has it goes on trying to pay with it."""
    if draw.randrange(_LOST_IN):
        return
    for window in campus.windows:
        campus.lost_cards.look(campus, window)
    campus.lost_cards.report(campus, draw.choice(people(campus)).card_no)


def people(campus: Campus) -> list[HeldCard]:
    """The cards that are ours and valid."""
    return [card for card in campus.cards if card.name.startswith(("rich", "poor"))]


_ACTS: dict[str, Act] = {"loads": top_up, "losses": report_loss, "codes": top_up}
_COUNTED = {
    "credit on a card": "SELECT COUNT(*) FROM load WHERE is_loaded = 1",
    "sale by code": "SELECT COUNT(*) FROM reservation WHERE state = 1",
    "sale by code called off": "SELECT COUNT(*) FROM reservation WHERE state = 2",
    "sale cancelled": "SELECT COUNT(*) FROM cancel",
    "credit tried again": "SELECT COUNT(*) - COUNT(DISTINCT number) FROM load_try",
}
