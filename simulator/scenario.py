"""Scenarios: a TOML file that says who is there, what happens when, and what must hold at the end.

Every mistake in a file is answered with the file, the line, and what was probably meant.
docs/scenarios.md lists the verbs.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from protocols.card import pin
from protocols.rules import charging, charging_texts, meals, money, reasons, spending
from protocols.wire import topics
from simulator import acquiring, dossier_words, operators, phones, scenario_menu
from simulator.in_ledger import COUNTED
from simulator.scenario_menu import KINDS
from simulator.scenario_words import (
    ANSWERS,
    ASSERTED,
    ASSERTED_BY_NAME,
    CABLES,
    CHIPS,
    CLASSIC_ONLY,
    DEFAULT_POLICY,
    FAULTY,
    MAKES,
    READER_MAY,
    READER_VALUES,
    SCALARS,
    STEP_VALUES,
    TABLES,
    VERBS,
    WHOLE,
)

DEFAULT_SEED = 1


class ScenarioError(Exception):
    """A scenario file cannot be used: where, and what was probably meant."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


@dataclass
class CardBatch:
    name: str
    kind: int
    make: str
    count: int
    first_no: int
    balance_fen: tuple[int, int]
    chip: str = "classic"
    pin: bytes = b""  # ASCII digits; none if empty
    valid_days: tuple[int, int] | None = None  # first and last, from the day it starts
    enters: bool = False
    has_phone: bool = False


@dataclass
class Step:
    at_us: int
    do: str
    fields: dict[str, Any]
    line: int


@dataclass
class Scenario:
    path: Path
    name: str
    title: str
    seed: int
    start_utc_s: int
    timeout_s: int
    sites: tuple[str, ...]  # the building of each; the first is where what names none is
    elsewhere: str  # the site of another building; "": there is none
    has_acquirer: bool  # platforms' codes pay
    dozes: bool  # doors are not stepped while nothing can happen
    drain_us: int
    carry_over_us: int  # from the report of a loss on
    merchants: dict[str, int]
    readers: list[dict[str, Any]]
    operators: list[dict[str, Any]]
    cards: list[CardBatch]
    prices: list[tuple[int, int, int, int]]  # (item, kind, period, fen) of rules/charging.py
    periods: list[tuple[int, ...]]  # of rules/meals.py
    policy: dict[str, int]
    steps: list[Step]
    asserts: dict[str, Any] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """Where what names no site is."""
        return self.sites[0]


def load(path: Path) -> Scenario:
    """Read and check a scenario file; ScenarioError names the line of the first mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(path, 0, f"cannot be read: {error.strerror}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Scenario:
    """The same of a text; `path` is what mistakes are told of."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ScenarioError(path, int(line[1]) if line else 1, f"not TOML: {error}") from error
    return _Reading(path, text, data).scenario()


class _Reading:
    """One file being read: knows where things stand, for the messages."""

    def __init__(self, path: Path, text: str, data: dict[str, Any]) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.data = data

    def scenario(self) -> Scenario:
        self._known(self.data, SCALARS + TABLES, "setting", r"^\s*\[*\s*{}\b")
        data = self.data
        self._whole(data, lambda key: self._find(rf"^\s*{key}\s*="))
        merchants = {m["name"]: m["no"] for m in self._tables("merchant", ("name", "no"), ())}
        readers = self._tables("reader", ("name", "device", "merchant"), READER_MAY)
        for index, reader in enumerate(readers):
            if reader["merchant"] not in merchants:
                self._fail("reader", index, "merchant", reader["merchant"], merchants)
            for key, known in READER_VALUES.items():
                if reader.get(key, known[-1]) not in known:
                    self._fail("reader", index, key, reader[key], known)
            if fault := phones.scanner_fault(reader):
                raise ScenarioError(self.path, self._line_of("reader", index, "scanner"), fault)
            if reader.get("usb") and (reader.get("role") != "identity" or not reader.get("wifi")):
                fault = f"'{reader['name']}' cannot have usb: only an identity with wifi = 1 has"
                raise ScenarioError(self.path, self._line_of("reader", index, "usb"), fault)
        steps = [self._step(i, step) for i, step in enumerate(data.get("step", []))]
        if not readers or not steps:
            raise ScenarioError(self.path, 1, "a scenario needs a [[reader]] and a [[step]]")
        sites = self._sites()
        elsewhere = self._elsewhere(sites, steps)
        for index, reader in enumerate(readers):
            if reader.get("site", sites[0]) not in (*sites, elsewhere):
                self._fail("reader", index, "site", reader["site"], (*sites, elsewhere))
        for index, step in enumerate(data["step"]):
            if step.get("site", sites[0]) not in sites:
                self._fail("step", index, "site", step["site"], sites)
        return Scenario(
            path=self.path,
            name=data.get("name", self.path.stem),
            title=data.get("title", ""),
            seed=data.get("seed", DEFAULT_SEED),
            start_utc_s=self._clock(data.get("clock", "2026-09-01T11:30:00+08:00")),
            timeout_s=data.get("timeout_s", 300),
            sites=sites,
            elsewhere=elsewhere,
            has_acquirer=bool(data.get("acquirer", 0)),
            dozes=bool(data.get("doze", 0)),
            drain_us=self._duration(data.get("drain", "00:10:00"), "drain"),
            carry_over_us=self._duration(data.get("carry_over", "72:00:00"), "carry_over"),
            merchants=merchants,
            readers=readers,
            operators=self._operators(),
            cards=[self._cards(i, cards) for i, cards in enumerate(data.get("cards", []))],
            prices=[self._price(i, price) for i, price in enumerate(data.get("price", []))],
            periods=self._periods(),
            policy=self._policy(data.get("policy", {})),
            steps=sorted(steps, key=lambda step: step.at_us),
            asserts=self._asserts(data.get("assert", {})),
        )

    def _sites(self) -> tuple[str, ...]:
        more = self.data.get("sites", [])
        if not isinstance(more, list):
            raise self._error("sites", "sites = names more sites: a list")
        sites = self.data.get("site", "canteen-1"), *more
        for site in sites:
            if not topics.is_site(site):
                key = "sites" if site in more else "site"
                fault = f"'{site}' is not a site name: a-z, 0-9 and -, at most 16"
                raise self._error(key, fault)
        if len(set(sites)) < len(sites):
            raise self._error("sites", "a site is named twice")
        return sites

    def _elsewhere(self, sites: tuple[str, ...], steps: list[Step]) -> str:
        elsewhere = self.data.get("elsewhere", "")
        if "elsewhere" in self.data and (not topics.is_site(elsewhere) or elsewhere in sites):
            raise self._error("elsewhere", f"'{elsewhere}' is not the name of another site")
        for step in steps:
            if step.do == "move" and not elsewhere:
                raise ScenarioError(self.path, step.line, "where to? elsewhere = names the site")
        return elsewhere

    # -- tables -----------------------------------------------------------------------------

    def _tables(
        self, name: str, needed: tuple[str, ...], optional: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        tables = self.data.get(name, [])
        for index, table in enumerate(tables):
            self._fields(name, index, table, needed, optional)
        return tables

    def _step(self, index: int, step: dict[str, Any]) -> Step:
        line = self._line_of("step", index)
        verb = step.get("do")
        if verb not in VERBS:
            raise self._error_at(self._line_of("step", index, "do"), "verb", verb, VERBS)
        needed, optional = VERBS[verb]
        self._fields("step", index, step, ("at", "do", *needed), optional)
        cables = {name: (*FAULTY[name], *STEP_VALUES) for name in FAULTY}
        cables = CABLES if verb in ("cut", "plug") else cables
        if "what" in step and step["what"] not in cables:
            self._fail("step", index, "what", step["what"], cables)
        if "what" in step:
            self._fields("step", index, step, ("at", "do", "what"), cables[step["what"]])
        if (fault := _hold_fault(step)) is not None:
            raise ScenarioError(self.path, self._line_of("step", index, "hold_ms"), fault)
        for key, known in STEP_VALUES.items():
            if step.get(key, 0) not in known:
                self._fail("step", index, key, step[key], known)
        if "reader" in step:
            names = [reader["name"] for reader in self.data.get("reader", [])]
            if step["reader"] not in names:
                self._fail("step", index, "reader", step["reader"], names)
        names = list(self._card_names())
        for name in [step[key] for key in ("card", "new") if key in step] + step.get("with", []):
            if name not in names:
                self._fail("step", index, "card", name, names)
        if step.get("identity", ANSWERS[0]) not in ANSWERS:
            self._fail("step", index, "identity", step["identity"], ANSWERS)
        if step.get("shows", phones.PAYMENT) not in phones.SHOWS and verb in phones.VERBS:
            self._fail("step", index, "shows", step["shows"], phones.SHOWS)
        is_of_phones = verb in (*phones.VERBS, "report")
        if is_of_phones and (fault := phones.step_fault(step, self.data)):
            raise ScenarioError(self.path, self._line_of("step", index, fault[0]), fault[1])
        if fault := acquiring.step_fault(step, self.data) or dossier_words.step_fault(step):
            raise ScenarioError(self.path, self._line_of("step", index, fault[0]), fault[1])
        fields = {key: value for key, value in step.items() if key not in ("at", "do")}
        at = partial(self._line_of, "step", index)
        for key, read in (
            ("over", lambda text: self._duration(text, "over")),
            ("until", lambda text: self._duration(text, "until")),
            *((name, lambda text: self._fen(text, line)) for name in ("due", "late")),
            ("amount", lambda text: self._fen(text, line)),
            ("amounts", lambda texts: [self._fen(text, line) for text in texts]),
            ("pins", lambda texts: [self._pin(text, at("pins")) for text in texts]),
            ("keys", lambda text: self._keys(text, at("keys"))),
            ("items", lambda items: [self._item(item, at("items")) for item in items]),
        ):
            if key in fields:
                fields[key] = read(fields[key])
        return Step(self._duration(step["at"], "at"), verb, fields, line)

    def _operators(self) -> list[dict[str, Any]]:
        found = self._tables("operator", ("name", "department", "roles"), ())
        fault = operators.fault_of(found)
        if fault is not None:
            at, key, why = fault
            raise ScenarioError(self.path, self._line_of("operator", at, key), why)
        return found

    def _cards(self, index: int, cards: dict[str, Any]) -> CardBatch:
        self._fields(
            "cards",
            index,
            cards,
            ("name", "first_no", "balance"),
            ("kind", "make", "count", "chip", "pin", "valid_days", "enters", "phone"),
        )
        kind, make = cards.get("kind", "student"), cards.get("make", "ours")
        if kind not in KINDS:
            self._fail("cards", index, "kind", kind, KINDS)
        if make not in MAKES:
            self._fail("cards", index, "make", make, MAKES)
        chip = cards.get("chip", "classic")
        if chip not in CHIPS or (chip == "desfire" and make in CLASSIC_ONLY):
            self._fail("cards", index, "chip", chip, CHIPS)
        days = cards.get("valid_days")
        if days is not None and not _is_span(days):
            message = f"valid_days = {days!r}, where [first, last] is needed"
            raise ScenarioError(self.path, self._line_of("cards", index, "valid_days"), message)
        pin_line = self._line_of("cards", index, "pin")
        line = self._line_of("cards", index, "balance")
        low, _, high = str(cards["balance"]).partition("..")
        low_fen = self._fen(low, line)
        return CardBatch(
            name=cards["name"],
            kind=KINDS[kind],
            make=make,
            count=cards.get("count", 1),
            first_no=cards["first_no"],
            balance_fen=(low_fen, self._fen(high, line) if high else low_fen),
            chip=chip,
            pin=self._pin(cards["pin"], pin_line) if "pin" in cards else b"",
            valid_days=tuple(days) if days else None,
            enters=bool(cards.get("enters", 0)),
            has_phone=bool(cards.get("phone", 0)),
        )

    def _price(self, index: int, price: dict[str, Any]) -> tuple[int, int, int, int]:
        self._fields("price", index, price, ("item", "amount"), ("kind", "period"))
        kind, line = price.get("kind"), self._line_of("price", index, "item")
        if kind is not None and kind not in KINDS:
            self._fail("price", index, "kind", kind, KINDS)
        item, period = scenario_menu.MEALS.get(price["item"]), price.get("period", 0)
        item = item or self._item(price["item"], line)
        if "period" in price and period not in range(1, meals.PERIODS_MAX + 1):
            self._fail("price", index, "period", period, range(1, meals.PERIODS_MAX + 1))
        return item, KINDS[kind] if kind else 0, period, self._fen(price["amount"], line)

    def _periods(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        needed, optional = scenario_menu.PERIOD_NEEDS, scenario_menu.PERIOD_MAY
        for index, table in enumerate(self._tables("period", needed, optional)):
            try:
                found.append(scenario_menu.period_of(table))
                scenario_menu.check(found)
            except ValueError as error:
                raise ScenarioError(
                    self.path, self._line_of("period", index), str(error)
                ) from error
        return found

    def _card_names(self) -> Iterator[str]:
        for cards in self.data.get("cards", []):
            count = cards.get("count", 1)
            name = cards.get("name")
            yield from [name] if count == 1 else (f"{name}-{n + 1}" for n in range(count))

    def _policy(self, policy: dict[str, Any]) -> dict[str, int]:
        self._known(policy, spending.POLICY_FIELDS, "policy field", r"^\s*{}\s*=")
        return {**DEFAULT_POLICY, **policy}

    def _asserts(self, asserts: dict[str, Any]) -> dict[str, Any]:
        allowed = ASSERTED + tuple(f"{name}_min" for name in ASSERTED) + ASSERTED_BY_NAME
        self._known(asserts, allowed, "assertion", r"^\s*{}\s*=")
        merchants = [merchant["name"] for merchant in self.data.get("merchant", [])]
        shown = {*reasons.DISPLAY.values(), *(text for text, *_ in charging_texts.TEXTS.values())}
        names = (sorted(shown), merchants, COUNTED)
        for table, known in zip(ASSERTED_BY_NAME, names, strict=True):
            if not isinstance(asserts.get(table, {}), dict):
                raise self._error(table, f"[assert.{table}] has names with a number each")
            self._known(asserts.get(table, {}), known, table, r"^\s*\"?{}\"?\s*=")
        takings = asserts.get("takings", {})
        lines = {name: self._find(rf"^\s*\"?{re.escape(name)}\"?\s*=") for name in takings}
        fen = {name: self._fen(text, lines[name]) for name, text in takings.items()}
        return {**asserts, "takings": fen} if fen else asserts

    # -- values -----------------------------------------------------------------------------

    def _fen(self, text: Any, line: int) -> int:
        amount_fen = money.parse_yuan(str(text))
        if amount_fen is None:
            raise ScenarioError(self.path, line, f"'{text}' is not an amount such as \"12.50\"")
        return amount_fen

    def _item(self, item: Any, line: int) -> int:
        if not isinstance(item, int) or not 1 <= item <= charging.ITEM_MAX:
            raise ScenarioError(self.path, line, f"items are 1 to {charging.ITEM_MAX}")
        return item

    def _pin(self, text: Any, line: int) -> bytes:
        digits = str(text).encode("ascii", "replace")
        if not pin.is_pin(digits):
            message = f"'{text}' is not a PIN of {pin.PIN_DIGITS} digits in quotes"
            raise ScenarioError(self.path, line, message)
        return digits

    def _keys(self, text: Any, line: int) -> bytes:
        keys = str(text).encode("ascii", "replace")
        if not keys or any(charging.key_of(key) == "other" for key in keys):
            raise ScenarioError(self.path, line, f"'{text}' is no keys: 0-9 . + F T")
        return keys

    def _duration(self, text: Any, key: str) -> int:
        match = re.fullmatch(r"(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?", str(text))
        if not match:
            raise self._error(key, f"'{text}' is not a time such as \"00:12:30\"")
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3])
        fraction_us = int((match[4] or "0").ljust(6, "0"))
        return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction_us

    def _clock(self, text: Any) -> int:
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise self._error("clock", f"'{text}' is not a time with its zone, as in ISO 8601")
        return int(moment.timestamp())

    # -- mistakes ---------------------------------------------------------------------------

    def _fields(
        self,
        name: str,
        index: int,
        table: dict[str, Any],
        needed: tuple[str, ...],
        optional: tuple[str, ...],
    ) -> None:
        for key in table:
            if key not in needed + optional:
                line = self._line_of(name, index, key)
                raise self._error_at(line, f"field of [[{name}]]", key, needed + optional)
        self._whole(table, lambda key: self._line_of(name, index, key))
        for key in needed:
            if key not in table:
                line = self._line_of(name, index)
                raise ScenarioError(self.path, line, f"[[{name}]] needs '{key}'")

    def _whole(self, table: dict[str, Any], line_of: Callable[[str], int]) -> None:
        for key in WHOLE:
            value = table.get(key, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                message = f"{key} = {value!r}, where a whole number is needed"
                raise ScenarioError(self.path, line_of(key), message)

    def _known(self, table: dict[str, Any], known: Any, what: str, pattern: str) -> None:
        for key in table:
            if key not in known:
                line = self._find(pattern.format(re.escape(key)))
                raise self._error_at(line, what, key, known)

    def _fail(self, name: str, index: int, key: str, value: Any, known: Any) -> None:
        if isinstance(known, range):
            known = (f"{known[0]} to {known[-1]}",)
        raise self._error_at(self._line_of(name, index, key), key, value, known)

    def _error(self, key: str, message: str) -> ScenarioError:
        return ScenarioError(self.path, self._find(rf"^\s*{key}\s*="), message)

    def _error_at(self, line: int, what: str, value: Any, known: Any) -> ScenarioError:
        close = difflib.get_close_matches(str(value), [str(name) for name in known], n=1)
        names = ", ".join(str(name) for name in known)
        hint = f"did you mean '{close[0]}'?" if close else f"one of: {names}"
        return ScenarioError(self.path, line, f"unknown {what} '{value}'; {hint}")

    def _line_of(self, name: str, index: int, key: str | None = None) -> int:
        """The line of the index-th [[name]], or of `key` in it."""
        count = -1
        for number, text in enumerate(self.lines, 1):
            if re.match(r"^\s*\[", text):
                if count == index:
                    break
                count += bool(re.match(rf"^\s*\[\[\s*{name}\s*\]\]", text))
            if count == index and key is None:
                return number
            if count == index and key and re.search(rf"(^|[\s,{{]){key}\s*=", text):
                return number
        return self._line_of(name, index) if key else 1

    def _find(self, pattern: str) -> int:
        for number, text in enumerate(self.lines, 1):
            if re.search(pattern, text):
                return number
        return 1


def _hold_fault(step: dict[str, Any]) -> str | None:
    """What is wrong with how long a card is held; a list, one for each attempt, at `tap` alone."""
    hold_ms = step.get("hold_ms", 1)
    each = hold_ms if isinstance(hold_ms, list) and step["do"] == "tap" else [hold_ms]
    if each and all(type(one) is int and one > 0 for one in each):
        return None
    return f"hold_ms = {hold_ms!r}, where milliseconds are needed"


def _is_span(days: Any) -> bool:
    """Whether it is [first, last] in whole days."""
    return (
        isinstance(days, list)
        and len(days) == 2
        and all(isinstance(day, int) and not isinstance(day, bool) for day in days)
        and days[0] <= days[1]
    )
