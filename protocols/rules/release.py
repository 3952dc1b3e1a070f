"""Which firmware a reader takes over the air, and when (docs/adr/0040-firmware-updates.md).

Rules of this file. A warrant is the ledger's word to one reader: this image, of this size and
digest, is yours from now until then, under a key that only the two have. So pages of an image may
come from anybody. A reader takes nothing older than what it runs, nothing made for another
program, nothing that has failed here before, and begins only while its clock is surely inside the
window.
"""

LABEL = b"firmware"  # of the warrants' key, and what their seals are bound to
# In a CARDS: this page is a warrant, those behind it are the image's.
PAGE = 0x4000
PAGE_BYTES = 256
NAME_BYTES = 8  # of the digest, by which a reader asks for pages
# version, program, after (the lowest version that may take it), bytes of the image, its SHA-256,
# from and until (minutes of a UTC day), expires_s, flags
WARRANT = ">IIII32sHHIB"
VERSION, PROGRAM, AFTER, SIZE, DIGEST, FROM_MIN, UNTIL_MIN, EXPIRES_S, FLAGS = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)
WARRANT_BYTES = 100  # sealed; always the same
FORCED = 1  # at any hour

# Why an update did not come about, in an UPDATE record; a block of its own (docs/reason-codes.md).
IMAGE_WRONG = 601
IMAGE_TOO_LONG = 602
NOT_PROVEN = 603
KEEPS_FAILING = 604
FLASH_FAILED = 605
NOT_WHOLE = 606
NOT_ANSWERED = 607

_DAY_MS = 86400000
_MINUTE_MS = 60000
_DAY_MIN = 1440


def is_for(warrant, version, program, failed):
    """Whether a reader that runs `version` of `program` may take it.

    `failed` is the version that it has come back from last; 0: none.
    """
    return (
        warrant[PROGRAM] == program
        and warrant[AFTER] <= version < warrant[VERSION]
        and warrant[VERSION] != failed
    )


def is_time(warrant, interval_ms):
    """Whether now (earliest, latest) surely lies in the window, and before the warrant's end."""
    earliest_ms, latest_ms = interval_ms
    if latest_ms >= warrant[EXPIRES_S] * 1000:
        return False
    if warrant[FLAGS] & FORCED:
        return True
    window_ms = (warrant[UNTIL_MIN] - warrant[FROM_MIN]) % _DAY_MIN * _MINUTE_MS
    into_ms = (earliest_ms - warrant[FROM_MIN] * _MINUTE_MS) % _DAY_MS
    return into_ms + latest_ms - earliest_ms < window_ms
