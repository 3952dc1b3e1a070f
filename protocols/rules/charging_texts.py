"""The key table of the charging modes in words, for docs and tests; no reader imports it."""

from protocols.rules import charging, meals

STATES = {
    "amount": "nothing keyed, plain amounts",
    "yuan": "digits before the point",
    "point": "the point, no digit behind it yet",
    "jiao": "one decimal",
    "fen": "two decimals",
    "more": "`+`: the next amount may come",
    "item": "nothing keyed, item numbers",
    "item1": "one digit of an item",
    "item2": "two digits of an item",
    "items": "`+`: the next item may come",
    "fixed": "the fixed amount",
    "meal": "a counted meal",
    "armed": "a card is asked for",
    "other": "a card is asked for, and FN: another way to pay is chosen",
    "fn": "FN: a function is chosen",
    "pages": "the totals are shown",
}
EFFECTS = {
    "yuan": "append to the yuan",
    "point": "show the point",
    "jiao": "set the first decimal",
    "fen": "set the second decimal",
    "item": "append to the item",
    "add": "set it aside, sum",
    "last": "set it aside, ask for a card",
    "arm": "ask for a card",
    "clear": "drop everything",
    "choose": "wait for a function",
    "back": "ask for a card as before",
    "fn": "do the function",
    "subtotal": "show what is keyed",
    "totals": "show the shift's totals",
    "turn": "turn to the seven days",
}
FUNCTIONS = {
    1: "plain amounts",
    2: "fixed amount",
    3: "item numbers",
    4: "counted meals",
    5: "daily inspection (R17.1)",
    6: "report a fault (R17.2)",
    7: "cancel the last sale, card present",
    8: "once an order is keyed: paid by the merchant's aggregate code (R23.1b)",
}
# Number -> (display, English, Chinese), of charging.py and meals.py.
TEXTS = {
    charging.NOTHING_KEYED: (
        "KEY AN AMOUNT",
        "nothing is keyed yet",
        "请输入金额",
    ),
    charging.UNFINISHED: ("UNFINISHED", "a point with no digit behind it", "金额未输完"),
    charging.TWO_POINTS: ("ONLY ONE POINT", "an amount has one point", "小数点重复"),
    charging.TOO_FINE: ("TWO DECIMALS MAX", "an amount has two decimals", "最多两位小数"),
    charging.TOO_LONG: ("ITEM: TWO DIGITS", "an item number has two digits", "菜号为两位"),
    charging.TOO_MUCH: ("AMOUNT TOO LONG", "more than an amount can be", "金额过大"),
    charging.TOO_MANY_PARTS: ("TOO MANY PARTS", "a sum has twelve parts at most", "累加项过多"),
    charging.ZERO_AMOUNT: ("AMOUNT IS ZERO", "the amount is zero", "金额为零"),
    charging.NO_SUCH_ITEM: ("NO SUCH ITEM", "items are numbered from 1", "无此菜号"),
    charging.NO_POINT_HERE: ("NO POINT HERE", "an item number has no point", "菜号无小数点"),
    charging.NO_DIGITS_HERE: (
        "JUST CONFIRM",
        "the mode has its price",
        "请直接确认",
    ),
    charging.KEY_BUSY: ("ESC FIRST", "finish or drop what is under way first", "请先按退出键"),
    charging.FN_FIRST: ("FN FIRST", "totals stand behind the key FN", "请先按功能键"),
    charging.NO_SUCH_FN: ("NO SUCH FUNCTION", "no function on this key", "无此功能"),
    charging.ESC_FIRST: ("ESC LEAVES THIS", "the totals are left by ESC", "请按退出键"),
    charging.NO_SUCH_KEY: ("NO SUCH KEY", "the keypad sent something unknown", "无此按键"),
    charging.NOT_PRICED: (
        "NOT SOLD NOW",
        "no price for this card at this time",
        "此时无此价",
    ),
    charging.PRICE_FORM: ("BAD PRICE LIST", "the price list is of a wrong form", "价目表格式错"),
    charging.PRICE_HIDDEN: (
        "PRICE NEVER USED",
        "a more general price hides one",
        "价目被遮盖",
    ),
    meals.PERIOD_FORM: ("BAD MEAL PERIOD", "a meal period of a wrong form", "餐次格式错"),
    meals.PERIOD_ORDER: (
        "PERIODS OVERLAP",
        "meal periods overlap or are mixed up",
        "餐次重叠",
    ),
}


def table():
    """The key table as lines of Markdown: each state, and what each key does there."""
    lines = [
        "| state | " + " | ".join(charging.KEYS) + " |",
        "|---" * (len(charging.KEYS) + 1) + "|",
    ]
    for state, meaning in STATES.items():
        cells = [_told(state, *charging.cell(state, key)) for key in charging.KEYS]
        lines.append("| %s: %s | %s |" % (state, meaning, " | ".join(cells)))
    return lines


def _told(state, after, effect):
    if effect in charging.ANSWERS:
        return "%d" % charging.ANSWERS[effect]
    return EFFECTS[effect] + ("" if after in ("=", state) else " → %s" % after)
