"""Decisions as tables: the same on CPython and on MicroPython.

As a program it prints, as JSON, what every line of every table gives.
"""

import json

from protocols.rules import clock, money, spending
from protocols.rules import reasons as r
from protocols.wire import messages

POLICY = {
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
DAY = 20000  # 4 October 2024, local time
CARD = {
    "kind": 2,
    "valid_from": DAY - 100,
    "valid_to": DAY + 100,
    "counter": 41,
    "balance_fen": 8700,
    "day": DAY,
    "day_total_fen": 1000,
    "since_pin_fen": 500,
    "since_pin_count": 2,
    "pin_tries": 1,
}
U24 = 0xFFFFFF
WIDE = {
    "amount_max_fen": U24,
    "no_pin_max_fen": U24,
    "since_pin_max_fen": U24,
    "day_max_fen": U24,
    "offline_max_fen": U24,
    "blind_max_fen": U24,
}
RICH = {"balance_fen": 0x7FFFFFFF, "day_total_fen": 0, "since_pin_fen": 0}
AMPLE = dict(WIDE, **RICH)


def ms(day, after_ms=0):
    """UTC milliseconds of the midnight, local time, at which `day` begins, and so much later."""
    return (day * 86400 - POLICY["utc_offset_s"]) * 1000 + after_ms


MIDNIGHT, MORROW = ms(DAY), ms(DAY + 1)
NOON = (ms(DAY, 43200000), ms(DAY, 43202000))
FIRST_MS = (MIDNIGHT, MIDNIGHT)
STRADDLING = (MIDNIGHT - 1, MIDNIGHT + 1000)  # yesterday or today
YESTERDAY = {"day": DAY - 1, "day_total_fen": 14000}
END = 0xFFFFFFFF * 1000
SINCE = (MIDNIGHT, END)  # all that a floor tells
MORNING = (MIDNIGHT, MIDNIGHT + 300001)

# name, changes to policy and card, amount_fen, interval_ms, offline, next state or why not
SPENDING = (
    # --- nothing wrong
    ("ordinary", {}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("ordinary, offline", {}, 1250, NOON, 1, (DAY, 2250, 1750, 3)),
    ("one fen", {}, 1, NOON, 0, (DAY, 1001, 501, 3)),
    ("staff", {"kind": 1}, 1, NOON, 0, (DAY, 1001, 501, 3)),
    ("temporary", {"kind": 3}, 1, NOON, 0, (DAY, 1001, 501, 3)),
    ("a new card", {"day": 0, "counter": 0}, 5, NOON, 0, (DAY, 5, 505, 3)),
    ("count is full", {"since_pin_count": 14}, 1, NOON, 0, (DAY, 1001, 501, 15)),
    ("stays full", {"since_pin_count": 15}, 1, NOON, 0, (DAY, 1001, 501, 15)),
    # --- the amount
    ("nothing", {}, 0, NOON, 0, r.BAD_AMOUNT),
    ("less than nothing", {}, -1, NOON, 0, r.BAD_AMOUNT),
    ("far less", {}, -(1 << 63), NOON, 0, r.BAD_AMOUNT),
    ("all without PIN", {}, 5000, NOON, 0, (DAY, 6000, 5500, 3)),
    ("a fen more", {}, 5001, NOON, 0, r.PIN_NEEDED),
    (
        "all that is taken",
        dict(AMPLE, no_pin_max_fen=5000, amount_max_fen=20000),
        20000,
        NOON,
        0,
        r.PIN_NEEDED,
    ),
    ("a fen above it", {}, 20001, NOON, 0, r.OVER_SPEND_LIMIT),
    ("beyond 24 bits", RICH, U24 + 1, NOON, 0, r.OVER_SPEND_LIMIT),
    ("beyond 31 bits", RICH, 1 << 31, NOON, 0, r.OVER_SPEND_LIMIT),
    ("beyond 64 bits", RICH, 1 << 70, NOON, 0, r.OVER_SPEND_LIMIT),
    ("a policy of nothing", {"amount_max_fen": 0}, 1, NOON, 0, r.OVER_SPEND_LIMIT),
    # --- sums
    ("since PIN: all", {"since_pin_fen": 28750}, 1250, NOON, 0, (DAY, 2250, 30000, 3)),
    ("since PIN: more", {"since_pin_fen": 28751}, 1250, NOON, 0, r.PIN_NEEDED),
    ("day: all", {"day_total_fen": 13750}, 1250, NOON, 0, (DAY, 15000, 1750, 3)),
    ("count: all", {"since_pin_count_max": 3}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("count: more", {"since_pin_count_max": 2}, 1250, NOON, 0, r.PIN_NEEDED),
    ("count: full", {"since_pin_count_max": 14, "since_pin_count": 15}, 1, NOON, 0, r.PIN_NEEDED),
    ("its kind: all", {"student_day_max_fen": 2250}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("its kind: more", {"student_day_max_fen": 2249}, 1250, NOON, 0, r.OVER_DAY_LIMIT),
    ("other kinds", {"staff_day_max_fen": 1}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("offline day: all", {"offline_day_max_fen": 2250}, 1250, NOON, 1, (DAY, 2250, 1750, 3)),
    ("offline day: more", {"offline_day_max_fen": 2249}, 1250, NOON, 1, r.OVER_OFFLINE_LIMIT),
    ("online day", {"offline_day_max_fen": 1}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("day: more", {"day_total_fen": 13751}, 1250, NOON, 0, r.OVER_DAY_LIMIT),
    ("widest policy, all", AMPLE, U24, NOON, 0, (DAY, U24, U24, 3)),
    ("widest policy, day", dict(AMPLE, day_total_fen=1), U24, NOON, 0, r.OVER_DAY_LIMIT),
    ("widest policy, PIN", dict(AMPLE, since_pin_fen=1), U24, NOON, 0, r.PIN_NEEDED),
    ("tries used up, none needed", {"pin_tries": 15}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("widest policy, spend", AMPLE, U24 + 1, NOON, 0, r.OVER_SPEND_LIMIT),
    ("a full sum", dict(AMPLE, day_total_fen=U24), 1, NOON, 0, r.OVER_DAY_LIMIT),
    # --- the purse
    ("to the last fen", {"balance_fen": 1250}, 1250, NOON, 0, (DAY, 2250, 1750, 3)),
    ("a fen short", {"balance_fen": 1249}, 1250, NOON, 0, r.BALANCE_SHORT),
    ("empty", {"balance_fen": 0}, 1, NOON, 0, r.BALANCE_SHORT),
    ("last counter but one", {"counter": 0xFFFE}, 1, NOON, 0, (DAY, 1001, 501, 3)),
    ("last counter", {"counter": 0xFFFF}, 1, NOON, 0, r.COUNTER_WORN),
    # --- kinds (R11)
    ("no kind", {"kind": 0}, 1, NOON, 0, r.KIND_NOT_SERVED),
    ("an unknown kind", {"kind": 4}, 1, NOON, 0, r.KIND_NOT_SERVED),
    ("the last kind", {"kind": 255}, 1, NOON, 0, r.KIND_NOT_SERVED),
    # --- offline (R24.1)
    ("offline: all", {}, 3000, NOON, 1, (DAY, 4000, 3500, 3)),
    ("offline: more", {}, 3001, NOON, 1, r.OVER_OFFLINE_LIMIT),
    ("online: the same", {}, 3001, NOON, 0, (DAY, 4001, 3501, 3)),
    ("offline: nothing", {"offline_max_fen": 0}, 1, NOON, 1, r.OVER_OFFLINE_LIMIT),
    # --- the clock
    ("as wide as may be", {}, 5000, (NOON[0], NOON[0] + 300000), 0, (DAY, 6000, 5500, 3)),
    ("a millisecond wider", {}, 2001, (NOON[0], NOON[0] + 300001), 0, r.CLOCK_UNKNOWN),
    ("must be exact", {"clock_width_max_ms": 0}, 2001, NOON, 0, r.CLOCK_UNKNOWN),
    ("and is", {"clock_width_max_ms": 0}, 2001, (NOON[0],) * 2, 0, (DAY, 3001, 2501, 3)),
    ("the end of 32 bits", {"valid_to": 0xFFFF}, 1, (END - 1000, END), 0, (49710, 1, 501, 3)),
    # --- an unknown clock: what is sure decides, and the amount is small
    ("never set", {}, 1, clock.NEVER_SET, 0, (DAY, 1001, 501, 3)),
    ("blind: all", {}, 2000, SINCE, 0, (DAY, 3000, 2500, 3)),
    ("blind: more", {}, 2001, SINCE, 0, r.CLOCK_UNKNOWN),
    ("blind: nothing", {"blind_max_fen": 0}, 1, SINCE, 0, r.CLOCK_UNKNOWN),
    ("blind, and nothing keyed", {}, 0, SINCE, 0, r.BAD_AMOUNT),
    ("blind and offline", {"offline_max_fen": 1999}, 2000, SINCE, 1, r.OVER_OFFLINE_LIMIT),
    ("blind, a day that is surely new", YESTERDAY, 1250, SINCE, 0, (DAY, 1250, 1750, 3)),
    ("blind, perhaps a new day", {"day": DAY + 1}, 1250, SINCE, 0, (DAY + 1, 2250, 1750, 3)),
    ("its limit holds", {"day_total_fen": 13751}, 1250, SINCE, 0, r.OVER_DAY_LIMIT),
    ("blind, perhaps expired", {"valid_to": DAY}, 5, SINCE, 0, (DAY, 1005, 505, 3)),
    ("blind, surely expired", {"valid_to": DAY - 1}, 5, SINCE, 0, r.EXPIRED),
    ("as the card knows", {"day": DAY + 9, "valid_to": DAY + 8}, 5, SINCE, 0, r.EXPIRED),
    ("blind, perhaps not yet", {"valid_from": DAY + 1}, 5, SINCE, 0, (DAY, 1005, 505, 3)),
    ("blind, surely not yet", {"valid_from": DAY + 1}, 5, MORNING, 0, r.NOT_YET_VALID),
    # --- the border of a day
    ("a new day", YESTERDAY, 1250, NOON, 0, (DAY, 1250, 1750, 3)),
    ("from its first millisecond", YESTERDAY, 1250, FIRST_MS, 0, (DAY, 1250, 1750, 3)),
    ("perhaps still yesterday", YESTERDAY, 1000, STRADDLING, 0, (DAY - 1, 15000, 1500, 3)),
    ("then its limit holds", YESTERDAY, 1001, STRADDLING, 0, r.OVER_DAY_LIMIT),
    ("perhaps already tomorrow", {}, 5, (MORROW - 2, MORROW), 0, (DAY, 1005, 505, 3)),
    ("the card knows today", {"day_total_fen": 14000}, 1000, STRADDLING, 0, (DAY, 15000, 1500, 3)),
    ("its limit holds too", {"day_total_fen": 14000}, 1001, STRADDLING, 0, r.OVER_DAY_LIMIT),
    ("the card has seen next week", {"day": DAY + 7}, 5, NOON, 0, (DAY + 7, 1005, 505, 3)),
    ("and its limit", {"day": DAY + 7, "day_total_fen": 14996}, 5, NOON, 0, r.OVER_DAY_LIMIT),
    ("another day in Greenwich", {"utc_offset_s": 0}, 5, FIRST_MS, 0, (DAY, 1005, 505, 3)),
    # --- validity (R13); both days are inside
    ("its first day", {"valid_from": DAY}, 5, (MIDNIGHT, MIDNIGHT + 9), 0, (DAY, 1005, 505, 3)),
    ("perhaps the day before", {"valid_from": DAY}, 5, STRADDLING, 0, r.NOT_YET_VALID),
    ("the day before", {"valid_from": DAY + 1}, 5, NOON, 0, r.NOT_YET_VALID),
    ("its last day", {"valid_to": DAY}, 5, (MORROW - 9000, MORROW - 1000), 0, (DAY, 1005, 505, 3)),
    ("rounded outward", {"valid_to": DAY}, 5, (MORROW - 9000, MORROW - 999), 0, r.EXPIRED),
    ("perhaps the day after", {"valid_to": DAY}, 5, (MORROW - 9000, MORROW), 0, r.EXPIRED),
    ("the day after", {"valid_to": DAY - 1}, 5, NOON, 0, r.EXPIRED),
    ("one day only", {"valid_from": DAY, "valid_to": DAY}, 5, NOON, 0, (DAY, 1005, 505, 3)),
    ("unsure which", {"valid_from": DAY, "valid_to": DAY}, 5, STRADDLING, 0, r.NOT_YET_VALID),
    # --- several at once: what can be helped least is said first
    ("an unknown kind, expired", {"kind": 9, "valid_to": 1}, 5, NOON, 0, r.KIND_NOT_SERVED),
    ("expired and empty", {"valid_to": 1, "balance_fen": 0}, 5, NOON, 0, r.EXPIRED),
    ("too much, offline and empty", {"balance_fen": 0}, 20001, NOON, 1, r.OVER_SPEND_LIMIT),
    ("offline and a PIN", {}, 5001, NOON, 1, r.OVER_OFFLINE_LIMIT),
    ("a PIN and empty", {"balance_fen": 0}, 5001, NOON, 0, r.BALANCE_SHORT),
    ("a PIN and the day", {"day_total_fen": 9999}, 5002, NOON, 0, r.OVER_DAY_LIMIT),
)
HOUR_S, NOW_S = 3600, NOON[1] // 1000
RULES = {"map_stale_s": HOUR_S, "stale_max_fen": 500, "map_expired_s": 24 * HOUR_S}
STALE_S, EXPIRED_S = NOW_S - HOUR_S, NOW_S - 24 * HOUR_S
# name, changes to policy and card, amount_fen, interval_ms, status, map_s, next state or why not
# (R10.2, R14.2, R15): what the map says of the card, and how old it is
KNOWN = (
    ("active", RULES, 1250, NOON, 0, NOW_S, (DAY, 2250, 1750, 3)),
    ("lost", {}, 1250, NOON, 1, NOW_S, r.CARD_LOST),
    ("suspended", {}, 1250, NOON, 2, NOW_S, r.CARD_SUSPENDED),
    ("closed", {}, 1250, NOON, 3, NOW_S, r.CARD_CLOSED),
    ("lost, for one fen", {}, 1, NOON, 1, NOW_S, r.CARD_LOST),
    ("lost, by an old map", RULES, 1, NOON, 1, 1, r.CARD_LOST),
    ("lost, and all else is wrong", {"valid_to": 1, "kind": 9}, 9999, NOON, 1, 0, r.CARD_LOST),
    ("lost, and nothing keyed", {}, 0, NOON, 1, NOW_S, r.BAD_AMOUNT),
    ("no map, no rule", {}, 1250, NOON, 0, 0, (DAY, 2250, 1750, 3)),
    (
        "no map, and it would be stale",
        dict(RULES, map_expired_s=0),
        501,
        NOON,
        0,
        0,
        r.OVER_STALE_LIMIT,
    ),
    ("no map, little", dict(RULES, map_expired_s=0), 500, NOON, 0, 0, (DAY, 1500, 1000, 3)),
    ("no map, and it would be expired", RULES, 1, NOON, 0, 0, r.MAP_EXPIRED),
    ("as old as may be", RULES, 1250, NOON, 0, STALE_S, (DAY, 2250, 1750, 3)),
    ("a second older", RULES, 501, NOON, 0, STALE_S - 1, r.OVER_STALE_LIMIT),
    ("a second older, little", RULES, 500, NOON, 0, STALE_S - 1, (DAY, 1500, 1000, 3)),
    ("perhaps a second older", RULES, 501, (NOON[0], NOON[1] + 1), 0, STALE_S, r.OVER_STALE_LIMIT),
    (
        "stale, nothing is taken",
        dict(RULES, stale_max_fen=0),
        1,
        NOON,
        0,
        STALE_S - 1,
        r.OVER_STALE_LIMIT,
    ),
    ("not yet expired", RULES, 500, NOON, 0, EXPIRED_S, (DAY, 1500, 1000, 3)),
    ("expired", RULES, 1, NOON, 0, EXPIRED_S - 1, r.MAP_EXPIRED),
    ("perhaps expired", RULES, 1, (NOON[0], NOON[1] + 1), 0, EXPIRED_S, r.MAP_EXPIRED),
    ("made after our clock", RULES, 1250, NOON, 0, NOW_S + 99, (DAY, 2250, 1750, 3)),
    ("blind: it may be stale", RULES, 501, SINCE, 0, NOW_S, r.OVER_STALE_LIMIT),
    ("blind: perhaps expired", RULES, 500, SINCE, 0, NOW_S, (DAY, 1500, 1000, 3)),
    (
        "blind: surely expired",
        RULES,
        1,
        SINCE,
        0,
        MIDNIGHT // 1000 - 24 * HOUR_S - 1,
        r.MAP_EXPIRED,
    ),
    ("blind, without a map", RULES, 1, SINCE, 0, 0, r.MAP_EXPIRED),
    (
        "stale and a PIN",
        dict(RULES, stale_max_fen=6000),
        5001,
        NOON,
        0,
        1 + EXPIRED_S,
        r.PIN_NEEDED,
    ),
)
PIN, IDENTITY = messages.FLAG_PIN, messages.FLAG_IDENTITY
FULL = {"since_pin_fen": U24, "since_pin_count": 15, "pin_tries": 3}
# name, changes to policy and card, amount_fen, proof, next state or why not (R19.2, R19.3)
PROVEN = (
    ("nothing was", {}, 5001, 0, r.PIN_NEEDED),
    ("the PIN", {}, 5001, PIN, (DAY, 6001, 0, 0, 0)),
    ("the PIN after many", {"since_pin_fen": 30000}, 1250, PIN, (DAY, 2250, 0, 0, 0)),
    ("a PIN for little", {}, 1250, PIN, (DAY, 2250, 0, 0, 0)),
    ("looked at", {"pin_tries": 3}, 5001, IDENTITY, (DAY, 6001, 5501, 3, 3)),
    ("looked at, and counts are full", FULL, 1250, IDENTITY, (DAY, 2250, U24, 15, 3)),
    ("no PIN makes a balance", {"balance_fen": 5000}, 5001, PIN, r.BALANCE_SHORT),
    ("nor a day", {"day_total_fen": 9999}, 5002, PIN, r.OVER_DAY_LIMIT),
    ("nor validity", {"valid_to": DAY - 1}, 5001, PIN, r.EXPIRED),
    ("nor a larger amount", {}, 20001, PIN, r.OVER_SPEND_LIMIT),
    ("a face no balance", {"balance_fen": 5000, "pin_tries": 3}, 5001, IDENTITY, r.BALANCE_SHORT),
)

# text, fen
PARSED = (
    ("0", 0),
    ("00", 0),
    ("12", 1200),
    ("12.5", 1250),
    ("12.50", 1250),
    ("12.05", 1205),
    ("0.01", 1),
    ("000012", 1200),
    ("999999.99", money.FEN_MAX),
    ("", None),
    (".", None),
    (".5", None),
    ("12.", None),
    ("12.345", None),
    ("12.5.0", None),
    ("1..", None),
    ("12,50", None),
    ("1 250", None),
    (" 12", None),
    ("12 ", None),
    ("12\n", None),
    ("-12", None),
    ("+12", None),
    ("12.-5", None),
    ("12.+5", None),
    ("1e3", None),
    ("0x10", None),
    ("1_000", None),
    ("\u00a512", None),
    ("\uff11\uff12", None),  # full width
    ("\u0661\u0662", None),  # Arabic
    ("1\u00b2", None),  # squared
    ("twelve", None),
    ("1000000", None),
    ("0000001", None),
    ("99999999999999999999", None),
)
# fen, text
FORMATTED = (
    (0, "0.00"),
    (1, "0.01"),
    (10, "0.10"),
    (99, "0.99"),
    (100, "1.00"),
    (1250, "12.50"),
    (money.FEN_MAX, "999999.99"),
    (-1, "-0.01"),
    (-100, "-1.00"),
    (-1250, "-12.50"),
    (1 << 64, "184467440737095516.16"),
)
# what, arguments, result
CLOCK = (
    # 200 ppm, and 2 ms for rounding
    ("after", ((0, 10), 0), (0, 12)),
    ("after", ((5000, 6000), 1000), (5998, 7002)),
    ("after", ((5000, 6000), 5000), (9997, 11003)),
    ("after", ((0, 0), 86400000), (86382718, 86417282)),
    ("after", ((0, 0), 1000000, 0), (999998, 1000002)),
    ("after", (clock.NEVER_SET, 1 << 40), (1099291725449, 5394698825103)),
    ("observed", (100, 0), (100000, 101001)),
    ("observed", (100, 2500), (100000, 103501)),
    ("observed", (100, 14 * 86400000), (100000, 1209942921)),
    # The battery clock: what it read and what was proven, and what it reads now.
    ("claimed", (None, None, 900, 86400, 60000), (900000, clock.NEVER_MS)),
    ("claimed", (1000, None, 900, 86400, 60000), (900000, clock.NEVER_MS)),
    ("claimed", (None, (5000, 1000, 1002), 900, 86400, 60000), (900000, clock.NEVER_MS)),
    ("claimed", (5000, (5000, 1000, 1002), 900, 86400, 60000), (998900, 1003102)),
    ("claimed", (5100, (5000, 1000, 1002), 900, 86400, 60000), (1092898, 1109102)),
    ("claimed", (5100, (5000, 1000, 1002), 1093, 86400, 60000), (1093000, 1109102)),
    ("claimed", (5100, (5000, 1000, 1002), 1109, 86400, 60000), (1109000, 1109102)),
    ("claimed", (5100, (5000, 1000, 1002), 1110, 86400, 60000), (1110000, clock.NEVER_MS)),
    ("claimed", (4999, (5000, 1000, 1002), 900, 86400, 60000), (900000, clock.NEVER_MS)),
    ("claimed", (91400, (5000, 1000, 1002), 900, 86400, 60000), (82214898, 92587102)),
    ("claimed", (91401, (5000, 1000, 1002), 900, 86400, 60000), (900000, clock.NEVER_MS)),
    ("narrowed", ((10, 90), (20, 80)), (20, 80)),
    ("narrowed", ((10, 90), (0, 100)), (10, 90)),
    ("narrowed", ((10, 90), (50, 120)), (50, 90)),
    ("narrowed", ((10, 90), (0, 50)), (10, 50)),
    ("narrowed", ((10, 90), (90, 99)), (90, 90)),
    # contradictions: the proof is signed
    ("narrowed", ((10, 90), (91, 99)), (91, 99)),
    ("narrowed", ((10, 90), (0, 9)), (0, 9)),
    ("narrowed", (clock.NEVER_SET, (20, 80)), (20, 80)),
    ("is_known", ((0, 100), 100), True),
    ("is_known", ((0, 101), 100), False),
    ("is_known", ((7, 7), 0), True),
    ("is_known", (clock.NEVER_SET, 86400000), False),
    ("seconds", ((1000, 2000),), (1, 2)),
    ("seconds", ((1999, 2001),), (1, 3)),
    ("seconds", ((-5, -1),), (0, 0)),
    ("seconds", (clock.NEVER_SET,), (0, 0xFFFFFFFF)),
    ("seconds", ((1 << 50, 1 << 60),), (0xFFFFFFFF, 0xFFFFFFFF)),
    ("day", (0, 0), 0),
    ("day", (86399, 0), 0),
    ("day", (86400, 0), 1),
    ("day", (57599, 28800), 0),
    ("day", (57600, 28800), 1),
    ("day", (0xFFFFFFFF, 28800), 49710),
)


class Card:
    """What `decide` wants to know of a card."""

    def __init__(self, fields):
        for name in fields:
            setattr(self, name, fields[name])


def changed(base, changes):
    """`base` with those of `changes` that it knows; policy and card have no name in common."""
    return {name: changes.get(name, base[name]) for name in base}


def decided(line):
    """(reason, state) that a line of SPENDING gives."""
    _, changes, amount_fen, interval_ms, offline, _ = line
    card = Card(changed(CARD, changes))
    return spending.decide(changed(POLICY, changes), card, amount_fen, interval_ms, offline)


def decided_with(line):
    """(reason, state) that a line of PROVEN gives."""
    _, changes, amount_fen, proof, _ = line
    card = Card(changed(CARD, changes))
    return spending.decide(changed(POLICY, changes), card, amount_fen, NOON, False, proof)


def decided_by_map(line):
    """(reason, state) that a line of KNOWN gives."""
    _, changes, amount_fen, interval_ms, status, map_s, _ = line
    policy, card = changed(POLICY, changes), Card(changed(CARD, changes))
    return spending.decide(policy, card, amount_fen, interval_ms, False, 0, 0, status, map_s)


def outcomes():
    """What every line of every table gives, as JSON can carry it."""
    return [
        [list(decided(line)) for line in SPENDING],
        [list(decided_with(line)) for line in PROVEN],
        [list(decided_by_map(line)) for line in KNOWN],
        [money.parse_yuan(text) for text, _ in PARSED],
        [money.format_yuan(fen) for fen, _ in FORMATTED],
        [getattr(clock, what)(*arguments) for what, arguments, _ in CLOCK],
    ]


if __name__ == "__main__":
    print(json.dumps(outcomes()))
