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
        ("hold_ms", "with", "pins", "identity", "items", "meal", "cancel", "sees"),
    ),
    "present": (("card", "reader"), ("hold_ms", "with", "shows")),
    "code": (("card",), ("shows",)),
    "phone": (("card", "reader", "amount"), ("shows", "sees")),
    "press": (("reader", "keys"), ("shows",)),
    "statement": ((), ()),
    "topup": (("card", "amount"), ()),
    "reprice": (("reader", "items", "amount"), ()),
    "limit": (("reader", "amount"), ()),
    "topups": (("holders", "over"), ("amounts",)),
    "wait": ((), ()),
    "rest": (("over",), ()),
    **dict.fromkeys(("cut", "plug"), (("what",), ("reader", "site", "card"))),
    "dark": ((), ("what", "reader", "site")),
    "slow": ((), ("what", "reader", "site", "delay_ms", "loss_percent")),
    "kill": (("reader",), ()),
    "revive": (("reader",), ()),
    "provision": (("reader",), ()),
    **dict.fromkeys(card_status.VERBS, (("card",), ())),
    "reissue": (("card", "new"), ()),
    "disturb": (("verb", "faults"), ()),
    "stray": (("amount",), ()),
    **dict.fromkeys(("issue", "hand-out"), (("card",), ())),
    "graduate": (("card",), ("with",)),
    **dict.fromkeys(("expire", "settle"), ((), ())),
    **dict.fromkeys(("enter", "punch"), (("card", "reader"), ("hold_ms", "with", "sees"))),
    "hold": (("card", "reader"), ("sees",)),
    "scan": (("card", "reader"), ("shows", "sees")),
    "ask": (("card", "reader"), ("hold_ms", "with", "shows", "types")),
    "report": (("card", "reader"), ("shows", "code")),
    "leave": (("reader",), ()),
    "force": (("reader",), ()),
    "fire": (("reader",), ()),
    "key": (("reader",), ()),
    "swap": (("reader",), ()),
    "wear": (("reader", "percent"), ()),
    "rearm": (("reader",), ()),
    **dict.fromkeys(("appoint", "dismiss"), (("person", "scope"), ("site", "by", "refused"))),
    "grant": (("card", "reader", "person"), ("until", "refused")),
    "end-grants": ((), ()),
    "apply": (("reader",), ("refused",)),
    "sign": (("reader", "person"), ("refused",)),
    "decide-period": (("reader", "until", "person"), ("refused",)),
    "close-period": (("until", "person"), ("due", "late", "refused")),
    "approve-period": (("person",), ("refused",)),
    "pay-merchants": (("amount",), ("refused",)),
    "begin": (("kind", "ref", "reader", "role", "person"), ("said", "shown", "site", "refused")),
    "say": (
        ("ref", "verb", "role", "person"),
        ("said", "shown", "given_by", "amounts", "bearer", "refused"),
    ),
    "bind": (("card", "person", "shown", "whose"), ("refused",)),
    "unbind": (("card", "person"), ("refused",)),
    "duty": (("department", "person", "days", "by"), ("refused",)),
    "round": (("department", "person", "finds"), ("said", "refused")),
    "look": ((), ("overdue", "delayed", "open", "uninspected", "taken")),
    "revoke": (("card", "reader", "person"), ("refused",)),
    **dict.fromkeys(("open", "shut", "approve", "move", "bring-back"), (("reader",), ())),
}
# The field in which a step says what its person has to read, or to see, in the end.
EXPECTS = {
    **dict.fromkeys(("press", "present", "ask", "report"), "shows"),
    **dict.fromkeys(("tap", "phone", "enter", "hold", "scan", "punch"), "sees"),
}
ANSWERS = ("match", "mismatch")
# What is cut and plugged, and what a step may say of which one; of all if it says nothing.
CABLES = {
    "reader-network": ("reader", "site"),
    "upstream": ("site",),
    "mains": ("site",),
    "broker": ("site",),
    "centre": (),
    "ledger": (),
    "desk": ("reader", "site"),
    "phone": ("card",),
}
# The same of what may be dark or slow; the readers' network if a step does not say what.
FAULTY = {"reader-network": ("reader", "site"), "upstream": ("site",)}
# What a number in a step may be; of more loss than that a connection is no use: `dark`.
STEP_VALUES = {"delay_ms": range(30_001), "loss_percent": range(81)}
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
    "acquirer",
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
    *STEP_VALUES,
    "enters",
    "meal",
    "spends_max",
    "unregistered",
    "days",
    "refused",
)
READER_MAY = (
    "role",
    "unregistered",
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
TABLES = ("reader", "merchant", "operator", "cards", "price", "period", "policy", "step", "assert")
SCALARS = (
    "name",
    "title",
    "seed",
    "clock",
    "timeout_s",
    "site",
    "sites",
    "elsewhere",
    "acquirer",
    "drain",
    "carry_over",
    "start_over",
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
    "floor_max_fen": 0,
}
