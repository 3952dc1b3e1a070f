"""Numbered reasons why the ledger's HTTP API refuses; beside those of ledger/reasons.py.

Each has the HTTP status that it is told with. A number is never given a second meaning.
"""

from ledger import people, period_reasons
from ledger.payments import reasons as payment_reasons

# About the request itself.
NO_TOKEN = 701
NOT_ALLOWED = 702
NOTHING_HERE = 703
WRONG_METHOD = 704
TOO_LARGE = 705
NOT_JSON = 706
BAD_FIELDS = 707
TOO_OFTEN = 708
BOOKS_UNAVAILABLE = 709
TOO_SLOW = 710
OUR_FAULT = 711

# About what it wants.
NO_ACCOUNT = 721
ACCOUNT_CLOSED = 722
ABOVE_LIMIT = 723
CARD_NOT_IN_USE = 724
NOT_THE_HOLDER = 725
PHONE_HAS_CARD = 726
TOO_MANY_TRIES = 727
REQUEST_DIFFERS = 728
TOLD_BEFORE = 729
NO_PHONES = 730
ORDER_DIFFERS = 731
REFERENCE_USED = 732
NO_ORDER = 733
ON_CARD = 734
MAY_BE_ON_CARD = 735
SPENT = 736
WENT_ON = 737
VOID = 738
FILES_WAIT = 740
LOSS_IMPOSSIBLE = 741
NOT_QUIET = 742
WRONG_SPAN = 743
NOT_ENDED = 744
WRONG_STEP = 745
SAME_SIGNER = 746
OTHER_REPORT = 747
REPORT_ENDED = 748
NOT_WITH_BANK = 749
NO_PERIOD = NOTHING_HERE
# What ledger/period_reasons.py refuses, here.
OF_PERIODS = {
    period_reasons.NOT_QUIET: NOT_QUIET,
    period_reasons.WRONG_SPAN: WRONG_SPAN,
    period_reasons.NOT_ENDED: NOT_ENDED,
    period_reasons.WRONG_STEP: WRONG_STEP,
    period_reasons.SAME_PERSON: SAME_SIGNER,
    period_reasons.OTHER_REPORT: OTHER_REPORT,
    period_reasons.ENDED: REPORT_ENDED,
    period_reasons.NOT_WITH_BANK: NOT_WITH_BANK,
    period_reasons.NO_ACCOUNT: NO_ACCOUNT,
    payment_reasons.WAITS: FILES_WAIT,
    payment_reasons.NOT_NOTED: FILES_WAIT,  # a result of a payment that a restore has lost
}

# About who asks, as ledger/people.py has them.
_OF_PEOPLE = {
    people.NO_SESSION: 401,
    people.WRONG_LOGIN: 401,
    people.NOT_FOR_ROLE: 403,
    people.INITIAL_PASSWORD: 403,
    people.NO_REASON_GIVEN: 422,
    people.NO_HOLDER: 404,
    people.OTHER_DEPARTMENT: 403,
    people.TYPED_NAME: 409,
}

# number -> (HTTP status, meaning)
TEXTS = {
    NO_TOKEN: (401, "no token of a client that is known here"),
    NOT_ALLOWED: (403, "this client may not do that"),
    NOTHING_HERE: (404, "there is nothing at this path"),
    WRONG_METHOD: (405, "this path has no such method"),
    TOO_LARGE: (413, "the body is longer than this path takes"),
    NOT_JSON: (400, "the body is not one JSON object in UTF-8"),
    BAD_FIELDS: (422, "a field is missing, unknown, or out of its bounds"),
    TOO_OFTEN: (429, "more requests than this client may make: wait"),
    BOOKS_UNAVAILABLE: (503, "the books cannot be reached now: ask again"),
    TOO_SLOW: (504, "no answer in time; it may have been done: ask again, the same"),
    OUR_FAULT: (500, "a fault of the ledger's own; nothing was changed"),
    NO_ACCOUNT: (404, "no such account"),
    ACCOUNT_CLOSED: (409, "this account is closed"),
    ABOVE_LIMIT: (409, "above what one top-up may be"),
    CARD_NOT_IN_USE: (409, "this card is lost, suspended, frozen or ended: no phone is bound"),
    NOT_THE_HOLDER: (403, "not the person whose card the books know it to be"),
    PHONE_HAS_CARD: (409, "this phone is bound to another card: that has to end first"),
    TOO_MANY_TRIES: (429, "wrong persons or new phones too often in a day: tomorrow, or a clerk"),
    REQUEST_DIFFERS: (409, "this request number stands for another phone, card or proof"),
    TOLD_BEFORE: (409, "done before, and the seed is not told any more: bind with a new number"),
    NO_PHONES: (409, "these books have no key for phones"),
    ORDER_DIFFERS: (409, "this order number is booked already, with other facts"),
    REFERENCE_USED: (409, "this bank reference has paid for another order"),
    NO_ORDER: (404, "this channel has no order of this number"),
    ON_CARD: (409, "the money is on the card"),
    MAY_BE_ON_CARD: (409, "the money may be on the card: it was offered to it"),
    SPENT: (409, "the money was spent by payment code"),
    WENT_ON: (409, "the money went on to the card in the place of a lost one"),
    VOID: (409, "this order was cancelled before it came: it is not taken any more"),
    LOSS_IMPOSSIBLE: (409, "no list of lost cards has room for this card"),
    **{
        ours: (409, period_reasons.TEXTS[reason])
        for reason, ours in OF_PERIODS.items()
        if ours not in (NO_ACCOUNT, FILES_WAIT)
    },
    FILES_WAIT: (409, payment_reasons.TEXTS[payment_reasons.WAITS]),
    **{reason: (status, people.TEXTS[reason]) for reason, status in _OF_PEOPLE.items()},
}
