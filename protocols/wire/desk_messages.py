"""What the readers of library desks and self-service machines ask the ledger inside a RELAY.

As RELAYED of messages.py; beside it, because every other reader would hold it in its heap too.
"""

PERSON_ASK, PERSON_ANSWER, LOSS_ASK, LOSS_ANSWER = 23, 24, 25, 26
PERSON_NO_BYTES_MAX = 16  # of 0-9 and A-Z

SHAPES = {
    PERSON_ASK: (b"tw", "nonce", "card_no"),
    PERSON_ANSWER: (b"thd", "nonce", "reason", "person_no"),
    LOSS_ASK: (b"tk", "nonce", "code"),
    LOSS_ANSWER: (b"thw", "nonce", "reason", "lost_s"),
}


def is_person_no(text):
    """Whether `text` (bytes) can be somebody's number: what any desk can be told."""
    return 0 < len(text) <= PERSON_NO_BYTES_MAX and all(
        48 <= byte <= 57 or 65 <= byte <= 90 for byte in text
    )
