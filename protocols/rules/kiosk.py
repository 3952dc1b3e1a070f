"""What a self-service machine tells a card that is held to it (R6.3, R10.2, R14.4b).

It answers the question that people come with, "why was I refused?", by the rule that refuses at a
window: spending.decide for the smallest amount there is. It takes no money.
"""

from protocols.rules import spending

SMALLEST_FEN = 1


def standing(view, known, interval_ms, policy, offline):
    """Why a window would refuse this card now whatever it buys: a reason, or reasons.APPROVED.

    `view` is a purse view, `known` (status, when the ledger called the map the newest) as of
    card_map.py. An empty purse is BALANCE_SHORT: so it is at the window.
    """
    reason, _ = spending.decide(
        policy, view, SMALLEST_FEN, interval_ms, offline, 0, SMALLEST_FEN, *known
    )
    return reason
