"""Has any card had more counted meals than a period gives it? Asked of the books, from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ledger.evidence import State
from ledger.store import LedgerStore
from protocols.rules import meals
from protocols.wire import messages, seal
from simulator.cardbox import CardKeys, HeldCard, truth

_PAID = f"""
SELECT r.sealed FROM intent i JOIN record r ON r.device = i.device AND r.seq = i.seq
WHERE i.state = {int(State.COMMITTED)} AND i.credit_no = 0"""
_PROVEN = messages.FLAG_PIN | messages.FLAG_IDENTITY
_ENDS = ("earliest_s", "latest_s")


def too_many(
    cards: Sequence[HeldCard],
    keys: CardKeys,
    ledger: LedgerStore,
    periods: Sequence[Sequence[int]],
    utc_offset_s: int,
) -> Iterator[str]:
    """A sentence for each card and period with more of them than the kind of card has there.

    Those for which the holder gave the PIN are beside the count. Of copied cards each has its own,
    so only cards that are the only one of their number are looked at.
    """
    kinds = {card.card_no: truth(card.chip, keys).kind for card in cards if card.issued_fen}
    alone = {card_no for card_no, n in Counter(card.card_no for card in cards).items() if n == 1}
    counted: Counter[tuple[int, int]] = Counter()
    for (sealed,) in ledger.database.rows(_PAID):
        fields = messages.decode_record(seal.payload_of(sealed))
        if fields["flags"] & messages.FLAG_MEAL and not fields["flags"] & _PROVEN:
            at = [meals.stamp(periods, fields[end], utc_offset_s) for end in _ENDS]
            counted[fields["card_no"], at[0]] += 1
            if not at[0] % 2 or not at[1] % 2:
                yield f"card {fields['card_no']}: a counted meal when there may be none"
    for (card_no, stamp), count in counted.items():
        if card_no in alone & kinds.keys() and stamp % 2:
            period = periods[stamp % meals.SLOTS // 2]
            most = period[meals.MEALS_MAX - 1 + kinds[card_no]]
            if count > most:
                yield f"card {card_no}: {count} counted meals in a period that has {most}"
