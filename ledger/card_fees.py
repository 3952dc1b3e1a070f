"""The fee of a temporary card (工本费, R12.3): 20 yuan, once for each card, in cash.

Its transfer is numbered as the card, so that the database keeps it from being booked twice.
"""

from ledger import chart
from ledger.card_status import CardRefused
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.lifecycle import ONE_PERSON
from ledger.transfers import FEE, FEE_LINE, Transfer

FEE_FEN = 2_000
_INSERT = "INSERT INTO card_fee VALUES (?, ?, ?, ?)"


def charge(database: Dialect, card_no: int, time_s: int, person: str) -> None:
    """`person` has taken the fee for a card, in a transaction of the caller that hands it out."""
    if not person:
        text = f"card {card_no}: who has taken the fee of a temporary card says so by name"
        raise CardRefused(f"{text} ({ONE_PERSON}, R12.3)", ONE_PERSON)
    database.many(_INSERT, [(card_no, FEE_FEN, str(person), time_s)])
    what = FEE_LINE, FEE, chart.BANK, chart.EARNED, FEE_FEN
    post_authorized(database, [Transfer(chart.LEDGER_DEVICE, card_no, *what)])
