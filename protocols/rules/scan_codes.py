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

_DIGITS = b"0123456789"
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_ANY = None
_LENGTH_AT = 1  # of a transit code, two bytes
_LENGTH_END = 3
_TRANSIT_BYTES_MIN = 100  # two signatures and a public key do not fit into less

# Kind; what its bytes are made of; how many there are; the first and the last prefix (of equal
# length; the ones between them count).
_TABLE = (
    (CAMPUS_PAYMENT, _BASE32, CAMPUS_BYTES, CAMPUS_BYTES, PREFIX_PAYMENT, PREFIX_PAYMENT),
    (CAMPUS_IDENTITY, _BASE32, CAMPUS_BYTES, CAMPUS_BYTES, PREFIX_IDENTITY, PREFIX_IDENTITY),
    (WECHAT, _DIGITS, 18, 18, b"10", b"15"),
    (ALIPAY, _DIGITS, 16, 24, b"25", b"30"),
    (UNIONPAY, _DIGITS, 19, 19, b"62", b"62"),
    (E_CNY, _DIGITS, 19, 19, b"01", b"01"),
    (EMV, _BASE64, 16, CODE_BYTES_MAX, b"hQVDUFY", b"hQVDUFY"),
    (TRANSIT, _ANY, _TRANSIT_BYTES_MIN, CODE_BYTES_MAX, b"\x80", b"\x81"),
)

# Kind -> why not, where it is not taken.
_REFUSALS = {
    UNKNOWN: reasons.CODE_UNKNOWN,
    CAMPUS_PAYMENT: reasons.CODE_IS_PAYMENT,
    CAMPUS_IDENTITY: reasons.CODE_IS_IDENTITY,
    WECHAT: reasons.CODE_OF_WECHAT,
    ALIPAY: reasons.CODE_OF_ALIPAY,
    UNIONPAY: reasons.CODE_OF_UNIONPAY,
    E_CNY: reasons.CODE_OF_WALLET,
    EMV: reasons.CODE_OF_WALLET,
    TRANSIT: reasons.CODE_OF_TRANSIT,
}


def kind_of(code):
    """The kind of `code` (bytes, of any content and length)."""
    for row in _TABLE:
        if _fits(row, code):
            return row[0]
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
    _, alphabet, bytes_min, bytes_max, first, last = row
    if not bytes_min <= len(code) <= bytes_max:
        return False
    start = len(first)
    if not first <= bytes(code[:start]) <= last:
        return False
    if alphabet is _ANY:
        announced = code[_LENGTH_AT] << 8 | code[_LENGTH_AT + 1]
        return announced == len(code) - _LENGTH_END
    for byte in code:
        if byte not in alphabet:
            return False
    return True
