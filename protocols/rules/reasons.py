"""Numbered reasons why a tap was refused: the same on screen, in the journal and in the ledger.

A number is never given a second meaning. DISPLAY fits a customer display of 20 columns; the longer
texts stand in reason_texts.py, which no reader imports: they would cost heap and nobody reads them
there.
"""

APPROVED = 0
BALANCE_SHORT = 201
OVER_SPEND_LIMIT = 202
PIN_NEEDED = 203
OVER_DAY_LIMIT = 204
NOT_YET_VALID = 205
EXPIRED = 206
OVER_OFFLINE_LIMIT = 207
COUNTER_WORN = 208
KIND_NOT_SERVED = 209
FOREIGN_CARD = 211
WRONG_KEY = 212
TWO_CARDS = 213
CARD_GONE = 214
TAP_AGAIN = 215
SAME_CARD_PLEASE = 216
ASK_LEDGER = 217
JOURNAL_FULL = 221
BATTERY_EMPTY = 222
CLOCK_UNKNOWN = 223
READER_FAULT = 224
BAD_AMOUNT = 231

DISPLAY = {
    BALANCE_SHORT: "BALANCE TOO LOW",
    OVER_SPEND_LIMIT: "AMOUNT TOO HIGH",
    PIN_NEEDED: "PIN NEEDED",
    OVER_DAY_LIMIT: "DAY LIMIT REACHED",
    NOT_YET_VALID: "CARD NOT YET VALID",
    EXPIRED: "CARD EXPIRED",
    OVER_OFFLINE_LIMIT: "OFFLINE LIMIT",
    COUNTER_WORN: "CARD WORN OUT",
    KIND_NOT_SERVED: "CARD NOT SERVED",
    FOREIGN_CARD: "NOT OUR CARD",
    WRONG_KEY: "NOT OUR CARD",
    TWO_CARDS: "ONE CARD PLEASE",
    CARD_GONE: "TAP AGAIN",
    TAP_AGAIN: "SAME CARD AGAIN",
    SAME_CARD_PLEASE: "SAME CARD PLEASE",
    ASK_LEDGER: "CHECK LAST SALE",
    JOURNAL_FULL: "READER FULL",
    BATTERY_EMPTY: "BATTERY EMPTY",
    CLOCK_UNKNOWN: "NO CLOCK",
    READER_FAULT: "READER FAULT",
    BAD_AMOUNT: "WRONG AMOUNT",
}


def display(reason):
    """The customer display's line for a reason, at most 20 ASCII characters."""
    return DISPLAY[reason]
