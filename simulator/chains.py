"""Readers and cards as the ledger sees them: chains of genuine sealed records, made ahead.

No firmware runs and no time passes here: who needs a million records for the books makes them with
these. What a reader really does with a card is in firmware/, and the other parts of this room.
"""

import hashlib
from dataclasses import dataclass

from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal

DOUBT_S = 2  # of a reader's clock, to either side


@dataclass(slots=True)
class Card:
    """What a card says of itself before its next step; `last`: the record it took part in."""

    card_no: int
    balance_fen: int = 0
    counter: int = 0
    last: tuple[int, int] = (0, 0)

    def step(self, change_fen: int, last: tuple[int, int]) -> None:
        """The card has carried out a debit or a credit."""
        self.balance_fen += change_fen
        self.counter += 1
        self.last = last


class Reader:
    """One device's chain. Each method returns the sealed record; `seq` is then its number."""

    def __init__(self, device: int, merchant_no: int) -> None:
        self.device = device
        self.merchant_no = merchant_no
        self.key = hashlib.sha256(b"key of device %d" % device).digest()
        self.seq = 0
        self._tag = seal.CHAIN_START

    def intent(self, card: Card, amount_fen: int, time_s: int) -> bytes:
        """An INTENT to take `amount_fen`; the card is not changed."""
        last_device, last_seq = card.last
        return self.write(
            messages.INTENT,
            time_s,
            card_no=card.card_no,
            counter=card.counter,
            amount_fen=amount_fen,
            before_fen=card.balance_fen,
            after_fen=card.balance_fen - amount_fen,
            merchant_no=self.merchant_no,
            last_device=last_device,
            last_seq=last_seq,
            flags=0,
        )

    def outcome(self, result: int, time_s: int) -> bytes:
        """The OUTCOME of the record just written."""
        of = {"intent_device": self.device, "intent_seq": self.seq}
        return self.write(messages.OUTCOME, time_s, result=result, **of)

    def spend(self, card: Card, amount_fen: int, time_s: int) -> list[bytes]:
        """A debit that went well: INTENT and OUTCOME."""
        intent = self.intent(card, amount_fen, time_s)
        card.step(-amount_fen, (self.device, self.seq))
        return [intent, self.outcome(messages.COMMITTED, time_s)]

    def load(self, card: Card, number: int, amount_fen: int, time_s: int) -> list[bytes]:
        """Credit `number` comes on the card: CREDIT and OUTCOME."""
        last_device, last_seq = card.last
        credit = self.write(
            messages.CREDIT,
            time_s,
            card_no=card.card_no,
            counter=card.counter,
            number=number,
            amount_fen=amount_fen,
            before_fen=card.balance_fen,
            last_device=last_device,
            last_seq=last_seq,
        )
        card.step(amount_fen, (CARD_CENTRE, number))
        return [credit, self.outcome(messages.COMMITTED, time_s)]

    def write(self, kind: int, time_s: int, **fields: int) -> bytes:
        """Any record whose fields are numbers."""
        self.seq += 1
        head = {
            "kind": kind,
            "device": self.device,
            "seq": self.seq,
            "earliest_s": time_s - DOUBT_S,
            "latest_s": time_s + DOUBT_S,
            "boot_id": 1,
            "mono_ms": 1000 * self.seq,
        }
        sealed = seal.seal(self.key, messages.encode_record(head | fields), self._tag)
        self._tag = seal.tag_of(sealed)
        return sealed
