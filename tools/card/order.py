"""What the card centre wants a card to say, and how a run over it can end."""

from dataclasses import dataclass, field

from protocols.card.identity import Identity

# Results of a personalisation.
WRITTEN, ALREADY = "written", "already so"


@dataclass(frozen=True)
class Order:
    """What a card shall say: days count from 1970-01-01, the balance is in fen.

    `digits` are its PIN and `name` is its holder's, which no `repr` shows; empty for a card
    without one.
    """

    card_no: int
    kind: int
    valid_from: int
    valid_to: int
    balance_fen: int
    digits: bytes = field(default=b"", repr=False)
    name: str = field(default="", repr=False)

    def identity(self, key_version: int) -> Identity:
        """The Identity of this order for keys of that generation."""
        return Identity(self.card_no, self.kind, self.valid_from, self.valid_to, key_version)
