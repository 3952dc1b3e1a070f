"""The words that a scenario file may have, and what policy holds where it names none."""

from ledger import card_status
from protocols.rules import card_number

CHIPS = ("classic", "desfire")
# What a DESFire cannot be made to be: its keys do not come out of it.
CLASSIC_ONLY = ("forged", "cloned", "written-back")
MAKES = ("ours", "unissued", "expired", "not-yet-valid", "wrong-kind", "foreign", *CLASSIC_ONLY)
PERCENT = ("torn_percent", "cancel_percent", "phone_percent")
PERCENT += ("without_card_percent", "screenshot_percent")
# Verb: (fields it needs, fields it may have).
VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lunch": (("customers", "over"), ("amounts", *PERCENT)),
    "tap": (
        ("card", "reader", "amount"),
        ("hold_ms", "with", "pins", "identity", "items", "meal", "cancel"),
    ),
    "present": (("card", "reader"), ("hold_ms", "shows")),
    "phone": (("card", "reader", "amount"), ("shows",)),
    "press": (("reader", "keys"), ("shows",)),
    "statement": ((), ()),
    "topup": (("card", "amount"), ()),
    "reprice": (("reader", "items", "amount"), ()),
    "limit": (("reader", "amount"), ()),
    "topups": (("holders", "over"), ("amounts",)),
    "wait": ((), ()),
    "rest": (("over",), ()),
    **dict.fromkeys(("cut", "plug"), (("what",), ("reader", "site"))),
    "dark": (("reader",), ()),
    "kill": (("reader",), ()),
    "revive": (("reader",), ()),
    **dict.fromkeys(card_status.VERBS, (("card",), ())),
    "reissue": (("card", "new"), ()),
    **dict.fromkeys(("issue", "hand-out"), (("card",), ())),
    "graduate": (("card",), ("with",)),
    **dict.fromkeys(("expire", "settle"), ((), ())),
    "enter": (("card", "reader"), ()),
    "hold": (("card", "reader"), ()),
    "scan": (("card", "reader"), ("shows",)),
    "punch": (("card", "reader"), ()),
    "ask": (("card", "reader"), ("shows", "types")),
    "report": (("card", "reader"), ("shows", "code")),
    "leave": (("reader",), ()),
    "force": (("reader",), ()),
    "fire": (("reader",), ()),
    "key": (("reader",), ()),
    "swap": (("reader",), ()),
    "wear": (("reader", "percent"), ()),
    "rearm": (("reader",), ()),
    **dict.fromkeys(("appoint", "dismiss"), (("person", "scope"), ("site",))),
    "grant": (("card", "reader", "person"), ()),
    "revoke": (("card", "reader", "person"), ()),
    **dict.fromkeys(("open", "shut", "approve", "move", "bring-back"), (("reader",), ())),
}
ANSWERS = ("match", "mismatch")
CABLES = ("reader-network", "upstream", "mains", "desk")
# What may be asserted: "lost = 0" exactly, "approved_min = 80" at least.
ASSERTED = (
    "taps",
    "approved",
    "refused",
    "records",
    "booked",
    "lost",
    "duplicated",
    "unseen",
    "topped_up",
    "loaded",
    "cancelled",
    "scanned",
    "sold_by_code",
    "conserved",
    "in_flight_fen",
)
# What may be asserted name by name: "[assert.refusals]", and under it "CARD EXPIRED" = 2.
ASSERTED_BY_NAME = ("refusals", "takings", "ledger")
WHOLE = (
    "seed",
    "doze",
    "timeout_s",
    "no",
    "device",
    "first_no",
    "count",
    "customers",
    "holders",
    "load_cards",
    "ledger_menu",
    "wifi",
    "battery_percent",
    "celsius",
    "card_map",
    "serial",
    *PERCENT,
    "phone",
    "scanner",
    "usb",
    "speech",
    "cancel",
    "percent",
    "enters",
    "meal",
    "spends_max",
)
READER_MAY = (
    "role",
    "site",
    "load_cards",
    "ledger_menu",
    "card_map",
    "wifi",
    "serial",
    "battery_percent",
    "celsius",
    "language",
    "scope",
    "aggregate_code",
    "scanner",
    "speech",
    "desk_format",
    "usb",
)
READER_VALUES = {
    "language": ("en", "zh"),
    "scope": ("dorm", "public"),
    "battery_percent": range(1, 101),
    "scanner": (0, 1),
    "usb": (0, 1),
    "speech": range(17),
    "desk_format": card_number.FORMATS,
}
TABLES = ("reader", "merchant", "cards", "price", "period", "policy", "step", "assert")
SCALARS = (
    "name",
    "title",
    "seed",
    "clock",
    "timeout_s",
    "site",
    "sites",
    "elsewhere",
    "drain",
    "carry_over",
    "doze",
)

DEFAULT_POLICY = {
    "epoch": 1,
    "utc_offset_s": 8 * 3600,
    "amount_max_fen": 20000,
    "no_pin_max_fen": 5000,
    "since_pin_max_fen": 30000,
    "day_max_fen": 15000,
    "offline_max_fen": 3000,
    "clock_width_max_ms": 300000,
    "blind_max_fen": 2000,
    "pin_tries_max": 3,
    "split_window_s": 180,
    "cancel_window_s": 600,
    "map_stale_s": 0,
    "stale_max_fen": 0,
    "map_expired_s": 0,
    "offline_day_max_fen": 0,
    "offline_count_max": 0,
    "offline_sum_max_fen": 0,
    "offline_age_max_s": 0,
    "since_pin_count_max": 0,
    "staff_day_max_fen": 0,
    "student_day_max_fen": 0,
    "temporary_day_max_fen": 0,
}
