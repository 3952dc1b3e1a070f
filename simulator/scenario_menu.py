"""The price list and the meal periods of a scenario: what a file says, as a menu has it.

A reader gets both as protocols/rules/menu.py packs them. ValueError says what a table lacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from protocols.rules import charging, charging_texts, meals, money, spending

KINDS = {"staff": spending.STAFF, "student": spending.STUDENT, "temporary": spending.TEMPORARY}
# What a price may be of beside the items 1 to 99.
MEALS = {"meal": charging.MEAL_ITEM, "plain-meal": charging.PLAIN_MEAL_ITEM}
BEYOND = {"refuse": 0, "pin": meals.PIN, "plain": meals.PLAIN}
PERIOD_NEEDS = ("from", "to")
PERIOD_MAY = ("spend_max", "spends_max", "meals", "beyond")


def period_of(table: Mapping[str, Any]) -> tuple[int, ...]:
    """A period of protocols/rules/meals.py of what [[period]] says."""
    spend_max_fen = money.parse_yuan(str(table.get("spend_max", "0")))
    if spend_max_fen is None:
        raise ValueError(f"'{table['spend_max']}' is not an amount such as \"30.00\"")
    counted = _by_kind(table.get("meals", {}), {n: n for n in range(meals.COUNT_MAX + 1)}, 0)
    beyond = _by_kind(table.get("beyond", {}), BEYOND, BEYOND["refuse"])
    begin, end = _minute(table["from"]), _minute(table["to"])
    return begin, end, spend_max_fen, table.get("spends_max", 0), *counted, *beyond


def check(periods: list[tuple[int, ...]]) -> None:
    """ValueError unless these are the periods of a day."""
    answer = meals.fault_of(periods)
    if answer != meals.FINE:
        raise ValueError(charging_texts.TEXTS[answer][1])


def _by_kind(table: Any, known: Mapping[Any, int], default: int) -> list[int]:
    """One number for each kind of card, in their order."""
    if not isinstance(table, dict) or not set(table) <= set(KINDS):
        raise ValueError(f"{table!r}, where something for {', '.join(KINDS)} is needed")
    for value in table.values():
        if value not in known:
            raise ValueError(f"'{value}', where one of {', '.join(map(str, known))} is needed")
    return [known[table[kind]] if kind in table else default for kind in KINDS]


def _minute(text: Any) -> int:
    match = re.fullmatch(r"(\d\d):(\d\d)", str(text))
    if not match or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > meals.DAY_MIN:
        raise ValueError(f"'{text}' is not a time of the day such as \"10:30\"")
    return int(match[1]) * 60 + int(match[2])
