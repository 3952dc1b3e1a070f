"""The screens of a POS: four lines of GB2312 for a 16-cell display, from numbers and amounts.

`table` is what texts() gives for a language. A screen is a tuple of lines as drivers/lcd.py
takes them. What a person must be able to rely on is never cut: a value pushes its label aside.
"""

from protocols.rules import money, screen_bytes

CELLS = 16
HALF = 8  # beside a picture
COLUMNS = 20  # of the customer's pole display
# Texts have one numbering, that of reasons.py; what is no reason has numbers of its own.
WELCOME = 401
AMOUNT = 402
CARD_PLEASE = 403
PAID = 404
BALANCE = 405
OFFLINE = 406
BATTERY_LEFT = 407
NEARLY_FULL = 408
LAST_PAID = 409
CARD_NO = 410
SHIFT_TOTALS = 411
SEVEN_DAYS = 412
SALES = 413
SUM = 414
PIN = 415
ITEM = 417
FIXED_AMOUNT = 418
MEAL = 419
FUNCTION = 420
ALL_IN_ORDER = 421
FAULT_REPORTED = 422
TRIES_LEFT = 423
IS_HOLDER = 424
STAFF_CARD = 425  # and one further for each kind of card
STUDENT_CARD = 426
TEMPORARY_CARD = 427
CANCEL_CARD = 428
CANCELLED = 429
COMES_BACK = 430
VOID = 431
CARD_OR_CODE = 440
ONE_MOMENT = 441
PUNCH_HERE = 451
PUNCHED = 452
PUNCHED_ALREADY = 453
TIME = 454
TAP_CARD = 455
FOUND_CARD = 456
THANK_YOU = 457
LAST_SPEND = 458
IN_ORDER = 459
SCAN_CODE = 461
IS_PAID = 462
BY_SCAN = 463
REFERENCE = 464
SCANS = 465
REPORT_LOSS = 471
SHOW_IDENTITY = 472
LOSS_REPORTED = 473
MAP_AGE = 481  # and one further for the last receipt
RECEIPT_AGE = 482
OLD_LIST = 483
LABELS_END = 500  # above are the answers of charging.py and meals.py

_WIDE_FIRST = 0xA1
_WAITING_MAX = 99999
_MINUTES_MAX = 999
_LIST_MAX = 9999
_COUNT_MAX = 999


class UnknownText(Exception):
    """No text has this number."""


def texts(language):
    """The table of a language: "zh", or "en" for any other."""
    return screen_bytes.CHINESE if language == "zh" else screen_bytes.ENGLISH


def text(table, number):
    """The GB2312 of a text, without the spaces behind it."""
    return _entry(table, number, CELLS)


def pole_text(number):
    """What the customer's display says in its place: at most 20 ASCII characters."""
    return _entry(screen_bytes.POLE, number, COLUMNS).decode()


def known(number, instead):
    """`number`, or `instead` where this firmware has no text for it."""
    try:
        pole_text(number)
    except UnknownText:
        return instead
    return number


def _entry(table, number, cells):
    # Rising numbers of two bytes: no pair of bytes is found where none begins (a test tries all).
    at = screen_bytes.NUMBERS.find(number.to_bytes(2, "big"))
    if at < 0 or at & 1:
        raise UnknownText(number)
    return table[at // 2 * cells : (at // 2 + 1) * cells].rstrip()


def line(table, number, value):
    """A text at the left, ASCII `value` at the right, a space between; the text gives way."""
    value = value.encode()
    label = cut(text(table, number), CELLS - 1 - len(value))
    return label + b" " * (CELLS - len(label) - len(value)) + value


def cut(characters, cells):
    """As many whole characters as fit."""
    at = 0
    while at < len(characters):
        size = 2 if characters[at] >= _WIDE_FIRST else 1
        if at + size > cells:
            break
        at += size
    return characters[:at]


def holder(name, student_no):
    """A holder's name, which the ledger sends as GB2312; the number if a glyph is missing.

    `name` is empty when GB2312 has not all of its characters.
    """
    return name if 0 < len(name) <= CELLS and has_glyphs(name) else student_no.encode()


def has_glyphs(characters):
    """Whether these bytes are ASCII, GB2312's hanzi (rows 16 to 87) and middle dots, all whole."""
    at, size = 0, len(characters)
    while at < size:
        byte = characters[at]
        at += 1
        if byte >= 0x80:
            if at == size or not _is_wide(byte, characters[at]):
                return False
            at += 1
        elif not 0x20 <= byte < 0x7F:
            return False
    return True


def _is_wide(upper, lower):
    if upper == 0xA1:
        return lower == 0xA4  # the dot between the parts of a name
    # Level 1 ends five places before its last row does.
    last = 0xF9 if upper == 0xD7 else 0xFE
    return 0xB0 <= upper <= 0xF7 and 0xA1 <= lower <= last


def notices(table, waiting=None, battery=None, is_nearly_full=False, list_min=None):
    """What the last lines warn of, the worst first; pass on as `notes`.

    `waiting`: records not yet stored elsewhere, None while online; `battery`: percent and minutes
    that are left of it, None on mains; `list_min`: as of spending.list_left.
    """
    found = []
    if battery is not None:
        left = "%d%% %dmin" % (battery[0], min(battery[1], _MINUTES_MAX))
        found.append(line(table, BATTERY_LEFT, left))
    if is_nearly_full:
        found.append(text(table, NEARLY_FULL))
    if list_min is not None:
        left = "%dmin" % min(list_min, _LIST_MAX)
        found.append(line(table, OLD_LIST, left) if list_min >= 0 else text(table, OLD_LIST))
    if waiting is not None:
        found.append(line(table, OFFLINE, str(min(waiting, _WAITING_MAX))))
    return found


def welcome(table, notes=()):
    """Nobody is there."""
    return _screen(notes, text(table, WELCOME))


def keyed(table, number, value, sum_fen, notes=()):
    """An order is being keyed in: what its mode is called, what is keyed, the sum so far."""
    lines = [line(table, number, value)]
    if sum_fen:
        lines.append(line(table, SUM, money.format_yuan(sum_fen)))
    return _screen(notes, *lines)


def message(table, number, amount_text, ages=(), notes=()):
    """CARD_PLEASE, or a reason with its number, as in record, log and docs.

    `amount_text`: "12.50", or "8.00-12.00" while it depends on the card; "" if there is none.
    `ages`: of an inspection, how old card map and last receipt are.
    """
    lines = [text(table, number)]
    if amount_text:
        lines.append(line(table, AMOUNT, amount_text))
    for at in range(len(ages)):
        lines.append(line(table, MAP_AGE + at, ages[at] + " min"))
    if not WELCOME <= number < LABELS_END:
        lines.append(b"E%d" % number)
    return _screen(notes, *lines)


def ask_pin(table, number, tries_left, amount_text, notes=()):
    """PIN_NEEDED, or PIN_WRONG; and what the holder should know."""
    tries = line(table, TRIES_LEFT, str(tries_left))
    return _screen(notes, text(table, number), line(table, AMOUNT, amount_text), tries)


def pin(table, digits, amount_text, notes=()):
    """The PIN is keyed in; only how many digits there are is shown."""
    return _screen(notes, line(table, PIN, "*" * digits), line(table, AMOUNT, amount_text))


def who(table, kind, card_no, name=b"", notes=()):
    """Is this the holder? Kind (R11), number and name on the card; confirm is yes, ESC is no.

    Without a name, or of one that the display has not all glyphs for, kind and number alone.
    """
    if name and has_glyphs(name):
        card = name, line(table, STAFF_CARD - 1 + kind, str(card_no))
    else:
        card = text(table, STAFF_CARD - 1 + kind), line(table, CARD_NO, str(card_no))
    return _screen(notes, text(table, IS_HOLDER), *card, b"OK / ESC")


def paid(table, amount_fen, balance_fen, name=b"", notes=()):
    """The money is taken; `name` from holder(), a balance of None is not known."""
    taken = line(table, PAID, money.format_yuan(amount_fen))
    left = b"" if balance_fen is None else line(table, BALANCE, money.format_yuan(balance_fen))
    return _screen(notes, taken, left, *((name,) if name else ()))


def scan(table, amount_text, picture):
    """The merchant's aggregate code, and what to do: beside its picture, or alone if that is b"".

    An amount of more than HALF characters stands alone too.
    """
    lines = [text(table, SCAN_CODE), amount_text.encode(), text(table, IS_PAID), b"OK / ESC"]
    if picture:
        lines = [b" " * HALF + each for each in lines]
    return tuple(lines)


def one_sale(table, number, amount_fen, which, notes=()):
    """A sale: LAST_PAID after a boot, CANCEL_CARD while its card is asked for, CANCELLED, BY_SCAN.

    `which`: the number of its card, or of its record if it was paid by the aggregate code.
    """
    how_much = line(table, AMOUNT, money.format_yuan(amount_fen))
    who = line(table, REFERENCE if number == BY_SCAN else CARD_NO, str(which))
    lines = [text(table, number), how_much, who]
    if number == CANCELLED:
        lines.append(text(table, COMES_BACK))
    return _screen(notes, *lines)


def at_time(table, number, time_text, card_no, notes=()):
    """Something of an attendance machine: PUNCH_HERE (card_no None), PUNCHED, PUNCHED_ALREADY."""
    lines = [text(table, number), line(table, TIME, time_text)]
    if card_no is not None:
        lines.append(line(table, CARD_NO, str(card_no)))
    return _screen(notes, *lines)


def card(table, kind, balance_fen, last_fen, reason, notes=()):
    """What a card says at a self-service machine: its kind, what it holds, what it paid last
    (0: nothing), and why a window would refuse it, or IN_ORDER for 0."""
    lines = [
        text(table, STAFF_CARD - 1 + kind),
        line(table, BALANCE, money.format_yuan(balance_fen)),
    ]
    if last_fen:
        lines.append(line(table, LAST_SPEND, money.format_yuan(last_fen)))
    return _screen(notes, *lines, text(table, reason or IN_ORDER))


def totals(table, number, sums, notes=()):
    """SHIFT_TOTALS or SEVEN_DAYS; `sums`: sales and their fen, cancelled ones, those by scan."""
    lines = [line(table, SALES, str(sums[0])), line(table, SUM, money.format_yuan(sums[1]))]
    for at, label in ((2, VOID), (4, SCANS)):
        if sums[at]:
            value = "%d %s" % (min(sums[at], _COUNT_MAX), money.format_yuan(sums[at + 1]))
            lines.append(line(table, label, value))
    if len(lines) < 4:
        return _screen(notes, text(table, number), *lines)
    # Five lines' worth: the sales stand beside the title.
    lines[0] = line(table, number, str(sums[0]))
    return _screen(notes, *lines)


def _screen(notes, *lines):
    """Notes from the bottom up, where lines are left."""
    free = 4 - len(lines)
    notes = tuple(notes)[:free]
    return lines + (b"",) * (free - len(notes)) + notes
