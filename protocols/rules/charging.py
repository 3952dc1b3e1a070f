"""What a clerk's keys mean, and what a keyed order costs: the charging modes of a POS.

Rules of this file. TABLE answers every pair of state and key, on purpose; a key that is refused
changes nothing and has a numbered answer. It is words in a text, because a text costs a reader no
heap. An entry is (state, mode, value, parts): what is being keyed, and what `+` has set aside. In
the mode AMOUNT value and parts are fen, in ITEM they are numbers of the price list; a FIXED amount
and a counted MEAL need no digits. Nothing in an entry can overflow: a digit that does not fit is
refused, so that no amount is ever taken that the clerk has not seen.

ESC leads home from anywhere and drops the whole order: a sum that was keyed wrong is keyed anew,
and nobody has to know what is left of it. While a card is waited for, no key changes the amount;
FN 8 alone says that it is paid in another way.

What an order costs is known when the card is: prices depend on its kind and on the meal period.
Prices are packed, six bytes a row: item, kind, period, fen in three bytes; 0 is any kind or any
period. Of the rows that fit the first one counts, so the special ones stand before the general.
"""

from protocols.rules import money

AMOUNT, FIXED, ITEM, MEAL = 1, 2, 3, 4
ITEM_MAX = 99
# What the price list calls the fixed amount, the counted meal, and one beyond those (meals.py).
FIXED_ITEM, MEAL_ITEM, PLAIN_MEAL_ITEM = 0, 100, 101
PLAIN_MEAL = ITEM, (PLAIN_MEAL_ITEM,)
PARTS_MAX = 12
PRICE_BYTES = 6
PRICES_MAX = 306  # 99 items, the fixed amount and two meals, each for three kinds of card
_KINDS, _PERIODS = 3, 8
_AMOUNT_FEN_MAX = 0xFFFFFF  # what a card can count

# A keypad's bytes. F and T are what its keys FN and totals send.
PLUS, POINT, CONFIRM, ESC, FN, TOTALS = 43, 46, 13, 27, 70, 84
KEYS = ("digit", "point", "plus", "confirm", "esc", "fn", "totals", "other")
_KEY_WORDS = {
    POINT: "point",
    PLUS: "plus",
    CONFIRM: "confirm",
    ESC: "esc",
    FN: "fn",
    TOTALS: "totals",
}

# Next state and effect; "=" stays, "home" is where the mode begins. An effect that is a name of
# ANSWERS refuses the key.
TABLE = """
state  digit       point        plus        confirm     esc        fn         totals       other
amount yuan/yuan   point/point  =/nothing   =/nothing   home/clear fn/choose  =/fn-first   =/no-key
yuan   =/yuan      point/point  more/add    armed/last  home/clear =/busy     =/subtotal   =/no-key
point  jiao/jiao   =/two-points =/no-end    =/no-end    home/clear =/busy     =/no-end     =/no-key
jiao   fen/fen     =/two-points more/add    armed/last  home/clear =/busy     =/subtotal   =/no-key
fen    =/too-fine  =/two-points more/add    armed/last  home/clear =/busy     =/subtotal   =/no-key
more   yuan/yuan   point/point  =/nothing   armed/arm   home/clear =/busy     =/subtotal   =/no-key
item   item1/item  =/no-point   =/nothing   =/nothing   home/clear fn/choose  =/fn-first   =/no-key
item1  item2/item  =/no-point   items/add   armed/last  home/clear =/busy     =/subtotal   =/no-key
item2  =/too-long  =/no-point   items/add   armed/last  home/clear =/busy     =/subtotal   =/no-key
items  item1/item  =/no-point   =/nothing   armed/arm   home/clear =/busy     =/subtotal   =/no-key
fixed  =/no-digits =/no-digits  =/no-digits armed/arm   home/clear fn/choose  =/fn-first   =/no-key
meal   =/no-digits =/no-digits  =/no-digits armed/arm   home/clear fn/choose  =/fn-first   =/no-key
armed  =/busy      =/busy       =/busy      =/busy      home/clear other/choose =/subtotal =/no-key
other  armed/fn    =/no-fn      =/no-fn     =/no-fn     home/clear armed/back =/no-fn      =/no-key
fn     home/fn     =/no-fn      =/no-fn     =/no-fn     home/clear home/clear pages/totals =/no-key
pages  =/esc-first =/esc-first  =/esc-first =/esc-first home/clear home/clear =/turn       =/no-key
"""
HOMES = {AMOUNT: "amount", FIXED: "fixed", ITEM: "item", MEAL: "meal"}
# The digit behind FN -> what it does; the first four choose the mode.
FUNCTIONS = {
    AMOUNT: "mode",
    FIXED: "mode",
    ITEM: "mode",
    MEAL: "mode",
    5: "inspect",  # R17.1
    6: "fault",  # R17.2
    7: "cancel",
    8: "aggregate",  # R23.1b
}

# Answers, numbered behind those of reasons.py; a number never gets a second meaning.
FINE = 0
NOTHING_KEYED = 501
UNFINISHED = 502
TWO_POINTS = 503
TOO_FINE = 504
TOO_LONG = 505
TOO_MUCH = 506
TOO_MANY_PARTS = 507
ZERO_AMOUNT = 508
NO_SUCH_ITEM = 509
NO_POINT_HERE = 510
NO_DIGITS_HERE = 511
KEY_BUSY = 512
FN_FIRST = 513
NO_SUCH_FN = 514
ESC_FIRST = 515
NO_SUCH_KEY = 516
NOT_PRICED = 517
PRICE_FORM = 518
PRICE_HIDDEN = 519
# A word of TABLE -> its answer.
ANSWERS = {
    "nothing": NOTHING_KEYED,
    "no-end": UNFINISHED,
    "two-points": TWO_POINTS,
    "too-fine": TOO_FINE,
    "too-long": TOO_LONG,
    "no-point": NO_POINT_HERE,
    "no-digits": NO_DIGITS_HERE,
    "busy": KEY_BUSY,
    "fn-first": FN_FIRST,
    "no-fn": NO_SUCH_FN,
    "esc-first": ESC_FIRST,
    "no-key": NO_SUCH_KEY,
}


def home(mode):
    """The entry of a mode in which nothing is keyed."""
    return (HOMES[mode], mode, 0, ())


def key_of(byte):
    """The column of TABLE for a byte of the keypad."""
    return "digit" if 48 <= byte <= 57 else _KEY_WORDS.get(byte, "other")


def cell(state, key):
    """(next state, effect) that TABLE has for a state and a key, by name."""
    start = TABLE.index("\n" + state + " ") + 1
    row = TABLE[start : TABLE.index("\n", start)].split()
    after, effect = row[1 + KEYS.index(key)].split("/")
    return after, effect


def on(entry, byte):
    """(entry, effect, answer) after a key. FINE, or why the key was refused: entry as it was.

    Effects that the POS performs: "arm" and "last" (ask for a card for order_of(entry)), "clear",
    "subtotal", "totals" and "turn" (the first and the next page), "choose", "mode" (entry has the
    new one), "inspect", "fault", "cancel", "aggregate" (an armed order is paid by the merchant's
    aggregate code; of any other entry nothing is keyed). Others only change what is shown.
    """
    state, mode, value, parts = entry
    after, effect = cell(state, key_of(byte))
    answer = ANSWERS.get(effect, FINE)
    if answer == FINE and effect == "fn":
        return _function(entry, byte - 48)
    if answer == FINE and effect in _CHANGES:
        answer, value, parts = _CHANGES[effect](mode, value, parts, byte - 48)
    if answer != FINE:
        return entry, "refuse", answer
    if after == "home" or effect == "clear":
        return home(mode), effect, FINE
    return (state if after == "=" else after, mode, value, parts), effect, FINE


def order_of(entry):
    """(mode, parts) of an armed entry."""
    return entry[1], entry[3]


def subtotal(entry):
    """What has been keyed so far, as fen; 0 where it takes a card to know."""
    _, mode, value, parts = entry
    return sum(parts) + value if mode == AMOUNT else 0


def _function(entry, digit):
    effect = FUNCTIONS.get(digit)
    is_armed = entry[0] == "other"
    if effect is None or (is_armed and effect != "aggregate"):
        return entry, "refuse", NO_SUCH_FN
    if is_armed:
        return ("armed",) + entry[1:], effect, FINE
    return home(digit if effect == "mode" else entry[1]), effect, FINE


def _yuan(mode, value, parts, digit):
    return _bounded(value * 10 + digit * 100, parts)


def _jiao(mode, value, parts, digit):
    return _bounded(value + digit * 10, parts)


def _fen_digit(mode, value, parts, digit):
    return _bounded(value + digit, parts)


def _item(mode, value, parts, digit):
    return FINE, value * 10 + digit, parts


def _add(mode, value, parts, _):
    """Set aside what is keyed."""
    if value == 0:
        return (NO_SUCH_ITEM if mode == ITEM else ZERO_AMOUNT), value, parts
    if len(parts) == PARTS_MAX:
        return TOO_MANY_PARTS, value, parts
    return FINE, 0, parts + (value,)


def _bounded(value_fen, parts):
    return (TOO_MUCH if value_fen + sum(parts) > money.FEN_MAX else FINE), value_fen, parts


# Effect -> what it does to value and parts.
_CHANGES = {
    "yuan": _yuan,
    "jiao": _jiao,
    "fen": _fen_digit,
    "item": _item,
    "add": _add,
    "last": _add,
}


def fault_of(prices):
    """FINE, or why these bytes are no price list; the work grows with the square of its rows."""
    if not isinstance(prices, bytes) or len(prices) % PRICE_BYTES:
        return PRICE_FORM
    if len(prices) > PRICES_MAX * PRICE_BYTES:
        return PRICE_FORM
    for at in range(0, len(prices), PRICE_BYTES):
        item, kind, period = prices[at], prices[at + 1], prices[at + 2]
        if item > PLAIN_MEAL_ITEM or kind > _KINDS or period > _PERIODS or not _fen(prices, at):
            return PRICE_FORM
        for before in range(0, at, PRICE_BYTES):
            if prices[before] == item and _covers(prices, before, kind, period):
                return PRICE_HIDDEN
    return FINE


def packed(rows):
    """Rows of (item, kind, period, fen) as the bytes of a price list; see fault_of."""
    data = b""
    for item, kind, period, fen in rows:
        data += bytes((item, kind, period)) + fen.to_bytes(3, "big")
    return data


def cost(order, prices, kind, periods):
    """(FINE, fen) that an order costs a card of this kind, or (why it cannot be told, 0).

    `periods` are the numbers of the meal periods that it may be (meals.possible). A thing must
    have a price in each of them, and of its prices the lowest counts (meals.py says why).
    """
    mode, parts = order
    if mode == AMOUNT:
        total_fen = sum(parts)
    else:
        total_fen = 0
        items = parts if mode == ITEM else (FIXED_ITEM if mode == FIXED else MEAL_ITEM,)
        for item in items:
            fen = min([_price(prices, item, kind, period) for period in periods])
            if not fen:
                return NOT_PRICED, 0
            total_fen += fen
    if total_fen == 0:
        return ZERO_AMOUNT, 0
    return (FINE, total_fen) if total_fen <= _AMOUNT_FEN_MAX else (TOO_MUCH, 0)


def offered(order, prices, periods):
    """(least, most) fen that an order costs any card now; (0, 0): not sold, do not ask for one."""
    orders = (order, PLAIN_MEAL) if order[0] == MEAL else (order,)
    kinds = range(1, _KINDS + 1)
    costs = [cost(each, prices, kind, periods)[1] for each in orders for kind in kinds]
    costs = [fen for fen in costs if fen]
    return (min(costs), max(costs)) if costs else (0, 0)


def _price(prices, item, kind, period):
    """Fen of an item, 0 if it has no price; between meals only rows for any period fit."""
    for at in range(0, len(prices), PRICE_BYTES):
        if prices[at] == item and _covers(prices, at, kind, period):
            return _fen(prices, at)
    return 0


def _covers(prices, at, kind, period):
    return prices[at + 1] in (0, kind) and prices[at + 2] in (0, period)


def _fen(prices, at):
    return prices[at + 3] << 16 | prices[at + 4] << 8 | prices[at + 5]
