"""Numbered reasons why bytes from a wire or a flash page are refused.

The numbers are part of the protocol (docs/reason-codes.md): they are counted, logged and sent, so
a number is never given a second meaning. What they mean in words stands in error_texts.py, which
no reader imports: it would cost heap and nobody reads it there.
"""

TRUNCATED = 101
TRAILING = 102
NON_CANONICAL = 103
UNSUPPORTED = 104
TOO_DEEP = 105
TOO_LONG = 106
BAD_TEXT = 107
MALFORMED_SEAL = 111
BAD_SEAL = 112
BAD_SIGNATURE = 113
NOT_A_MAP = 121
UNKNOWN_TYPE = 122
UNEXPECTED_TYPE = 123
MISSING_FIELD = 124
UNKNOWN_FIELD = 125
BAD_FIELD = 126
BAD_TOPIC = 131
MALFORMED_FRAME = 152
FRAME_CHECKSUM = 153


class WireError(Exception):
    """Bytes were refused: `code` is a number of this module, `detail` never holds a secret."""

    def __init__(self, code, detail=""):
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self):
        return "%d: %s" % (self.code, self.detail) if self.detail else str(self.code)
