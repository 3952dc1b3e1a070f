"""The number of a card as a library's program expects it from its reader (R2.4).

Such readers are named after how many hexadecimal digits of the chip's number they take, and as how
many decimal ones they give them:

    10H      its last five bytes, ten hexadecimal digits
    8H-10D   its last four bytes, ten decimal digits
    6H-8D    its last three bytes, eight decimal digits
    card     the ledger's card number, ten decimal digits: the same when the chip is another
    person   the holder's personal number, which no card has: the ledger is asked for it

With "-R" behind it the bytes are taken in the other order, as some readers send them. A chip that
draws its number anew at each tap has none (ISO/IEC 14443-3: four bytes, the first is 08h).
"""

# name: (bytes from the end, digits, whether hexadecimal)
_OF_CHIP = {"10H": (5, 10, True), "8H-10D": (4, 10, False), "6H-8D": (3, 8, False)}
CARD, PERSON = "card", "person"
FORMATS = (CARD, PERSON, "10H", "8H-10D", "6H-8D", "10H-R", "8H-10D-R", "6H-8D-R")
_RANDOM_BYTES, _RANDOM = 4, 0x08


def number(form, uid, card_no):
    """The digits in one of FORMATS; "" where the chip has no number of its own, and for PERSON."""
    if form == CARD:
        return "%010d" % card_no
    if form == PERSON or (len(uid) == _RANDOM_BYTES and uid[0] == _RANDOM):
        return ""
    is_reversed = form.endswith("-R")
    count, digits, is_hex = _OF_CHIP[form[:-2] if is_reversed else form]
    ordered = bytes(reversed(uid)) if is_reversed else bytes(uid)
    value = int.from_bytes(ordered[-count:], "big")
    text = "%X" % value if is_hex else "%d" % value
    return "0" * (digits - len(text)) + text
