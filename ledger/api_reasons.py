"""Numbered reasons why the ledger's HTTP API refuses; beside those of ledger/reasons.py.

Each has the HTTP status that it is told with. A number is never given a second meaning.
"""

from ledger import people

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
LOSS_IMPOSSIBLE = 741

# About who asks, as ledger/people.py has them.
_OF_PEOPLE = {
    people.NO_SESSION: 401,
    people.WRONG_LOGIN: 401,
    people.NOT_FOR_ROLE: 403,
    people.INITIAL_PASSWORD: 403,
    people.NO_REASON_GIVEN: 422,
    people.NO_HOLDER: 404,
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
    **{reason: (status, people.TEXTS[reason]) for reason, status in _OF_PEOPLE.items()},
}
