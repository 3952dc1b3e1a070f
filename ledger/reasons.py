"""Numbered reasons of the ledger: why a record was rejected, and why a case was opened.

1xx are the wire's (protocols/wire/errors.py), 2xx why a tap was refused (protocols/rules/
reasons.py), 3xx, 4xx and 5xx are these but for 305 to 307, which are a door's (protocols/rules/
access.py). 7xx are those of the HTTP API (ledger/api_reasons.py) and of the console
(ledger/console/refusals.py). A number is never given a second meaning.
"""

from protocols.rules import access

# Rejected: nothing is kept but a hash, nothing advances.
UNKNOWN_DEVICE = 301
NOT_APPROVED = 440
REJECTED = (UNKNOWN_DEVICE, NOT_APPROVED)

# Cases: the record is genuine and receipted, and somebody has to look at it.
FORK = 311
UNREADABLE = 312
OUTCOME_OF_NO_INTENT = 313
LOST = 314
FOUND = 315
CONTRADICTION = 321
UNKNOWN_CARD = 331
UNKNOWN_MERCHANT = 332
OTHER_MERCHANT = 333
BAD_ARITHMETIC = 334
NO_AMOUNT = 335
TRY_OF_MONEY = 336
UNKNOWN_CREDIT = 337
CREDITED_TWICE = 338
CANCELLED_WHEN_MADE_GOOD = 339
CARD_CAPTURED = 341
SPENT_WHILE_LOST = 342
LATE_SPEND = 343
LOADED_TOO_LATE = 344
CARD_FOUND = 347
CANCEL_OF_NO_SALE = 351
CANCEL_DIFFERS = 352
CANCELLED_TWICE = 353
UNRESERVED_SALE = 361
SETTLED_OTHERWISE = 362
CASE_OPENED = 381
MOVED = 382
APPROVED_BY_NOBODY = 383
SEEN_ELSEWHERE = 384
OPENED_UNDER_DURESS = 391
WRONG_AT_A_DOOR = 392
ENTRY_UNANSWERED = 400
ENTERED_TWICE = 401
DOOR_FORCED = 402
DOOR_HELD_OPEN = 403
LOCK_CELLS_LOW = 393
LOCK_CELLS_EMPTY = 394
LOCK_JAMMED = 395
LOCK_CASE_OPENED = 396
UNREAD_LETTER = 397
SPENT_BEFORE_ITS_END = 419
CARD_FORKED = 430
TOO_FAST = 431
ABOVE_LOAD = 432
IMBALANCE = 433
TOLD_BEHIND_ITS_MARK = 459
SOLD_NOT_CHARGED = 460
CHARGED_NOT_SOLD = 461
CHARGED_OTHERWISE = 462
UNHEARD_SALE = 463
OF_A_TIME_TO_COME = 464
STATED_TWICE = 465
STATED_NO_MORE = 466
TOLD_AFTER_ITS_END = 470
ENDED_UNPROVEN = 471
PAID_AFTER_ITS_END = 472

TEXTS = {
    UNKNOWN_DEVICE: "no device of this number is registered",
    FORK: "two genuine records with one number: a twin, or one state used twice",
    UNREADABLE: "genuine, but this ledger cannot read it",
    OUTCOME_OF_NO_INTENT: "an outcome of something that is not an intent",
    LOST: "its reader could not read it any more; nothing is booked for it",
    FOUND: "genuine, and came when its reader had called it lost; kept, not booked",
    CONTRADICTION: "both that it was debited and that it was not is on record; booked as debited",
    UNKNOWN_CARD: "no card of this number was issued; debited to suspense",
    UNKNOWN_MERCHANT: "no merchant of this number is registered; credited to suspense",
    OTHER_MERCHANT: "not the merchant this device is registered for; booked as recorded",
    BAD_ARITHMETIC: "balance before, amount and balance after do not fit; the amount is booked",
    NO_AMOUNT: "a spend of nothing; nothing to book",
    TRY_OF_MONEY: "a PIN try that takes money; booked as recorded",
    UNKNOWN_CREDIT: "a credit that was not given to this card like this; nothing is booked for it",
    CREDITED_TWICE: "one credit went on the card at two of its counters; booked once",
    CANCELLED_WHEN_MADE_GOOD: "cancelled when two persons had made it good: who had borne it has"
    " that back, and its holder the rest",
    CARD_CAPTURED: "a merchant has withheld this card, which has to reach the card centre (R19.4)",
    CARD_FOUND: "somebody has found this card: its holder has to be told (R10.2)",
    SPENT_WHILE_LOST: "it may have been spent after the card was reported lost (R14.2); booked",
    LATE_SPEND: "spent before the loss, told after the carry-over: its holder owes it (R14.2)",
    LOADED_TOO_LATE: "this credit had come on its card when its money had gone on or back; undone",
    CANCEL_OF_NO_SALE: "cancels something that is no sale of this reader; nothing is given back",
    CANCEL_DIFFERS: "not the card, amount or merchant of the sale; nothing is given back",
    CANCELLED_TWICE: "the sale was cancelled before; given back once",
    UNRESERVED_SALE: "paid by code, says a reader, and nothing is reserved: its merchant bears it",
    SETTLED_OTHERWISE: "a person had settled this payment by code otherwise than its record says",
    OPENED_UNDER_DURESS: "who opened this door says that he is being forced: send somebody",
    WRONG_AT_A_DOOR: "five wrong tries in a row at this door, which took none for 90 s",
    ENTRY_UNANSWERED: "entered by code, says a door, and nobody told it so of this card (R14b.5)",
    ENTERED_TWICE: "a door has entered two records for one answer about a code",
    DOOR_FORCED: "this door was locked, and was opened by force: send somebody (R8.1)",
    DOOR_HELD_OPEN: "this door has been held open for too long: somebody has to look (R8.1)",
    LOCK_CELLS_LOW: "the cells of a lock are low: other ones within weeks (R23.3b)",
    LOCK_CELLS_EMPTY: "no card opens this lock any more: a key does, then other cells (R23.3b)",
    LOCK_JAMMED: "this lock could not throw its bolt: somebody has to look",
    LOCK_CASE_OPENED: "the case of this lock was opened: somebody has to look",
    UNREAD_LETTER: "a letter from a lock, under none of its keys in use: forged, or spoilt",
    SPENT_BEFORE_ITS_END: "its card was closed and settled: its holder owes it (R15)",
    CASE_OPENED: "its case was opened; the reader takes nothing until that is approved (R18.1)",
    MOVED: "this reader stands at another site; it takes nothing until that is approved (R18.1)",
    APPROVED_BY_NOBODY: "a reader goes on as if two persons had approved that here (R18.2)",
    CARD_FORKED: "two records that one honest card cannot both have made: a copy, or written back",
    TOO_FAST: "one card at two sites sooner than anybody walks: a copy, or a clock that is wrong",
    ABOVE_LOAD: "a card held more than was ever put on it and not spent; look at the reader",
    IMBALANCE: "a card did not hold what its record before had left; look at the reader",
    NOT_APPROVED: "this reader has not the five signatures of annex 2; booked when it has",
    TOLD_BEHIND_ITS_MARK: "a sale of before a closed period's end, of a reader that had been past"
    " it: look at its clock",
    SOLD_NOT_CHARGED: "sold, and the acquirer has given it back to its payer: claim it there",
    CHARGED_NOT_SOLD: "the acquirer took a payment that was not sold: its payer gets it back",
    CHARGED_OTHERWISE: "the acquirer took another amount than was sold",
    STATED_TWICE: "the acquirer states one payment twice, and it was sold once: ask it there",
    STATED_NO_MORE: "the acquirer had stated this payment, and its corrected statement has it no"
    " more: claim it there",
    UNHEARD_SALE: "paid, says a reader, and the acquirer has not said so: a person asks it",
    OF_A_TIME_TO_COME: "dated more than a day after its period was closed: look at its reader's"
    " clock, of a payment by code at the ledger's",
    TOLD_AFTER_ITS_END: "genuine, and came when its reader had ended; kept, not booked",
    ENDED_UNPROVEN: "this reader has ended, and may have taken more than was heard after that",
    PAID_AFTER_ITS_END: "a merchant that is closed got or gave this; it is in the next period",
    SEEN_ELSEWHERE: "a reader was heard at another site than its own, and has sealed that (R18.1)",
}
# Which of them have a suspense account, because money needs a place while nobody knows better.
SUSPENSE_ACCOUNTS = (UNKNOWN_CARD, UNKNOWN_MERCHANT)
# What a door says that somebody has to look at (R8.1).
ALARMS = {access.DURESS: OPENED_UNDER_DURESS, access.LOCKED_OUT: WRONG_AT_A_DOOR}
# A merchant's debt that is never paid: of whom it is a loss, with an account of each number.
DEBT_OF_CENTRE, DEBT_OF_DEPARTMENT = 630, 631
WRITE_OFFS = {
    DEBT_OF_CENTRE: "a merchant's debt that nobody pays: the card centre bears it",
    DEBT_OF_DEPARTMENT: "a merchant's debt that nobody pays: the department that let it in does",
}
# What a lost card's holder does not bear, and what the card centre has laid out for one who does.
LOSS_ACCOUNTS = (SPENT_WHILE_LOST, LATE_SPEND)
