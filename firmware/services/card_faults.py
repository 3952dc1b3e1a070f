"""What may go wrong with a card before a record of it is written, and the reason it stands for."""

from firmware.drivers.iso14443 import CardCollision, CardGone
from firmware.drivers.mfrc522 import BusFault
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from firmware.services.journal import JournalFull
from protocols.card.identity import ForeignCard
from protocols.rules import reasons

_REASONS = (
    (CardCollision, reasons.TWO_CARDS),
    (CardGone, reasons.CARD_GONE),
    (CardRefused, reasons.CARD_GONE),
    (AuthFailed, reasons.WRONG_KEY),
    (ForeignCard, reasons.FOREIGN_CARD),
    (BusFault, reasons.READER_FAULT),
    (JournalFull, reasons.JOURNAL_FULL),
)
# What the same means while a spend is open: only the card that was under way says more of it.
_WHILE_OPEN = {
    reasons.WRONG_KEY: reasons.SAME_CARD_PLEASE,
    reasons.FOREIGN_CARD: reasons.SAME_CARD_PLEASE,
    # Its end could not be written: "full" alone would sound like unpaid.
    reasons.JOURNAL_FULL: reasons.ASK_LEDGER,
}
FAULTS = tuple(fault for fault, _ in _REASONS)


def reason_of(fault, is_open):
    """The reason for one of FAULTS; `is_open`: while a spend is pending."""
    for kind, reason in _REASONS:
        if isinstance(fault, kind):
            return _WHILE_OPEN.get(reason, reason) if is_open else reason
    return reasons.READER_FAULT
