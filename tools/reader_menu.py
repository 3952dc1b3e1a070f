"""A POS's price list and meal periods from a file that people write: what is wrong, where, why.

    [[price]]
    item = 1                       # 1 to 99, "fixed", "meal", or "plain-meal" behind the counted
    amount = "8.00"
    kind = "student"               # staff, student, temporary; without: any
    period = 1                     # the first [[period]]; without: any time

    [[period]]                     # the same at every POS of a campus, in order of their times
    from = "10:30"
    to = "13:30"
    spend_max = "30.00"            # of one spend; spends_max: spends of a card in it, 1 to 4
    meals = { student = 1 }        # counted meals, 0 to 4
    beyond = { student = "plain" } # behind them: refuse, pin or plain

Of prices that fit the first one counts, so what is special stands above. What a POS makes of it
is protocols/rules/menu.py, charging.py and meals.py; nothing that is unknown is taken.
"""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from protocols.rules import charging, charging_texts, meals, menu, money
from protocols.wire.errors import WireError
from simulator.scenario_menu import KINDS, MEALS, PERIOD_MAY, PERIOD_NEEDS, check, period_of

_ITEMS = {"fixed": charging.FIXED_ITEM, **MEALS}
_FIELDS = {
    "price": (("item", "amount"), ("kind", "period")),
    "period": (PERIOD_NEEDS, PERIOD_MAY),
}


class BadMenu(Exception):
    """The file cannot be used; the text has file, line and reason."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}")


def read(path: Path) -> bytes:
    """The menu in `path` as a reader takes it (NVS "menu"). BadMenu."""
    return _File(path).blob()


class _File:
    """One file, and where in it everything stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            text = path.read_text(encoding="utf-8")
            self._data: dict[str, Any] = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            raise BadMenu(path, 0, f"cannot be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            raise BadMenu(path, int(found[1]) if found else 1, f"not TOML: {error}") from None
        self._lines = text.splitlines()

    def blob(self) -> bytes:
        for name, tables in self._data.items():
            if name not in _FIELDS:
                self._fail(self._line_of(name), _unknown("table", name, tuple(_FIELDS)))
            if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
                self._fail(self._line_of(name), f"{name}: tables, each begun with [[{name}]]")
        periods = self._periods()
        prices = self._prices(len(periods))
        try:
            return menu.encode(prices, periods)
        except WireError as error:
            self._fail(len(self._lines), f"a reader would not take it: {error}")

    def _periods(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for index, table in enumerate(self._data.get("period", [])):
            self._check_fields("period", index, table)
            try:
                found.append(period_of(table))
                check(found)
            except (ValueError, TypeError) as error:
                self._fail(self._line_of("period", index), str(error))
        return found

    def _prices(self, periods: int) -> bytes:
        rows: list[tuple[int, int, int, int]] = []
        for index, table in enumerate(self._data.get("price", [])):
            self._check_fields("price", index, table)
            rows.append(self._price(index, table, periods))
            answer = charging.fault_of(charging.packed(rows))
            if answer == charging.PRICE_HIDDEN:
                text = "this price is never used: one above it is for the same and more"
                self._fail(self._line_of("price", index), text)
            if answer != charging.FINE:
                text = charging_texts.TEXTS[answer][1]
                self._fail(self._line_of("price", index), text)
        return charging.packed(rows)

    def _price(self, index: int, table: dict[str, Any], periods: int) -> tuple[int, int, int, int]:
        item, kind, period = table["item"], table.get("kind"), table.get("period", 0)
        number = item if _is_in(item, 1, charging.ITEM_MAX) else _ITEMS.get(str(item))
        if number is None:
            text = f"item {item!r}: 1 to {charging.ITEM_MAX}, {', '.join(_ITEMS)}"
            self._fail(self._line_of("price", index, "item"), text)
        if kind is not None and str(kind) not in KINDS:
            text = _unknown("kind", str(kind), tuple(KINDS))
            self._fail(self._line_of("price", index, "kind"), text)
        if "period" in table and not _is_in(period, 1, periods):
            text = f"period {period!r}: this file has {periods} of them"
            self._fail(self._line_of("price", index, "period"), text)
        amount = table["amount"]
        amount_fen = money.parse_yuan(amount) if isinstance(amount, str) else None
        if amount_fen is None or not 0 < amount_fen <= meals.FEN_MAX:
            text = f'{amount!r} is not an amount such as "8.00"'
            self._fail(self._line_of("price", index, "amount"), text)
        return number, KINDS[str(kind)] if kind is not None else 0, period, amount_fen

    def _check_fields(self, table: str, index: int, fields: dict[str, Any]) -> None:
        needed, may = _FIELDS[table]
        for name in fields:
            if name not in (*needed, *may):
                text = _unknown("field", name, (*needed, *may))
                self._fail(self._line_of(table, index, name), text)
        for name in needed:
            if name not in fields:
                self._fail(self._line_of(table, index), f"[[{table}]] needs '{name}'")

    def _line_of(self, table: str, index: int = 0, field: str = "") -> int:
        """The line of the table's head, or of a field in it."""
        heads = [
            at for at, text in enumerate(self._lines) if text.strip().startswith(f"[[{table}]]")
        ]
        if index >= len(heads):
            named = (at for at, text in enumerate(self._lines) if table in text)
            return next(named, 0) + 1
        ends = (
            at for at in range(heads[index] + 1, len(self._lines)) if self._lines[at][:1] == "["
        )
        for at in range(heads[index], next(ends, len(self._lines))):
            if field and re.match(rf"\s*{re.escape(field)}\s*=", self._lines[at]):
                return at + 1
        return heads[index] + 1

    def _fail(self, line: int, text: str) -> NoReturn:
        raise BadMenu(self._path, line, text)


def _is_in(number: object, least: int, most: int) -> bool:
    # True is an int in Python, not in a menu.
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"unknown {what} '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


def told(blob: bytes) -> str:
    """What a menu holds, in a line."""
    prices, periods = menu.decode(blob)
    return f"{len(prices) // charging.PRICE_BYTES} prices, {len(periods)} meal periods"
