"""Which code is this? From the bytes a scanner read to a kind, and why this POS cannot take it.

Rules of this file. One table: a code is of the kind of the one row that fits it, and UNKNOWN when
none does; no two rows fit the same bytes (a test tries them all against each other). Classifying
routes a code and proves nothing: whoever issued it decides whether it is good. Any bytes may come
in, for anybody may hold anything before a scanner; nothing here raises.

Where the rules come from, and where they cannot tell:

- WeChat: 18 digits from 10 to 15; Alipay: 16 to 24 digits from 25 to 30 (the payment platforms'
  merchant documents). UnionPay: 19 digits from 62. e-CNY: 19 digits from 01 (one implementation,
  no document seen). Ours: protocols/card/virtual_code.py.
- A citizen's identity number is 18 digits from 11 to 15 in five provinces and counts as WeChat
  here; a bank card number of 19 digits from 62 counts as UnionPay. So what is refused must not be
  logged as read: it may be somebody's number.
- A digit that got lost makes an Alipay code a shorter Alipay code; the others become UNKNOWN.
- Wallets that share the EMVCo form for codes shown by a customer are one kind: Base64 of the
  payload format "CPV", tag 85. Some transit systems and UnionPay use it too.
- Transit codes of the transport ministry are binary: a version of 80 or 81 (hexadecimal), then how
  many bytes follow, in two. With 81 there is a certificate in it and it has 360 bytes, more than
  a scanner here takes in: what the driver drops as too long is most likely one of these. City
  systems with forms of their own are UNKNOWN.
- Other payment services issue digits as well (19 from 5678, from 81 or 82): UNKNOWN, for they are
  known from single implementations and nobody on this campus has asked for them.
"""

from protocols.rules import reasons

CODE_BYTES_MAX = 256

UNKNOWN = 0
CAMPUS_PAYMENT = 1
CAMPUS_IDENTITY = 2
WECHAT = 3
ALIPAY = 4
UNIONPAY = 5
E_CNY = 6
EMV = 7
TRANSIT = 8

# Ours: six capitals say whose, of what kind and of which version; 32 characters follow.
PREFIX_PAYMENT = b"OCPAYA"
PREFIX_IDENTITY = b"OCIDYA"
CAMPUS_BYTES = 38

_LENGTH_AT = 1  # of a transit code, two bytes
_LENGTH_END = 3

# A line for each kind, in the order of their numbers: the first and the last prefix (of equal
# length; the ones between them count), how many bytes at least and at most, and what they are made
# of; * is any byte, and that the length stands in the code. Two signatures and a public key do not
# fit into less than 100. One text, because rows of tuples would cost a reader a kilobyte of heap.
_TABLE = b"""
OCPAYA OCPAYA 38 38 ABCDEFGHIJKLMNOPQRSTUVWXYZ234567
OCIDYA OCIDYA 38 38 ABCDEFGHIJKLMNOPQRSTUVWXYZ234567
10 15 18 18 0123456789
25 30 16 24 0123456789
62 62 19 19 0123456789
01 01 19 19 0123456789
hQVDUFY hQVDUFY 16 256 ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=
\x80 \x81 100 256 *
"""

# By kind: why not, where it is not taken. Reasons of codes are below 256.
_REFUSALS = bytes(
    (
        reasons.CODE_UNKNOWN,
        reasons.CODE_IS_PAYMENT,
        reasons.CODE_IS_IDENTITY,
        reasons.CODE_OF_WECHAT,
        reasons.CODE_OF_ALIPAY,
        reasons.CODE_OF_UNIONPAY,
        reasons.CODE_OF_WALLET,
        reasons.CODE_OF_WALLET,
        reasons.CODE_OF_TRANSIT,
    )
)


def kind_of(code):
    """The kind of `code` (bytes, of any content and length)."""
    kind = UNKNOWN
    for line in _TABLE.strip().split(b"\n"):
        kind += 1
        if _fits(line.split(), code):
            return kind
    return UNKNOWN


def decide(code, taken, is_online):
    """(kind, reason): reasons.APPROVED, or the number that says why this device cannot take it.

    `taken` are the kinds that this device takes: a POS without a payment platform behind it takes
    (CAMPUS_PAYMENT,), a door (CAMPUS_IDENTITY,). Every kind needs somebody who is not here to
    judge it, so nothing is approved while `is_online` is false (R24.1).
    """
    kind = kind_of(code)
    if kind == UNKNOWN or kind not in taken:
        return kind, _REFUSALS[kind]
    return kind, reasons.APPROVED if is_online else reasons.CODE_NEEDS_NETWORK


def _fits(row, code):
    first, last, least, most, alphabet = row
    if not int(least) <= len(code) <= int(most) or not first <= bytes(code[: len(first)]) <= last:
        return False
    if alphabet == b"*":
        announced = code[_LENGTH_AT] << 8 | code[_LENGTH_AT + 1]
        return announced == len(code) - _LENGTH_END
    for byte in code:
        if byte not in alphabet:
            return False
    return True
