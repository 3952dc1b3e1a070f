"""A click is a step of a scenario: a table as TOML has it, checked by the reader of such files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.scenario import ScenarioError, Step, parse
from simulator.scenario_words import VERBS

Table = Mapping[str, Any]
Value = str | int | list[str] | list[int]


class Refused(Exception):
    """What was asked for is no step, or the card centre says no: in words for whoever asked."""


def step_of(campus: str, table: Table, at_us: int, line: int) -> Step:
    """The step of a table without `at`, as it would be read from a file at this line; or Refused.

    `campus` is the file with sites, readers and cards that the step is about.
    """
    verb = table.get("do")
    if not isinstance(verb, str) or verb not in VERBS or "at" in table:
        raise Refused(f"no verb: {table.get('do')!r}")
    try:
        text = campus + to_toml(table, at_us)
        here = len(campus.splitlines()) + 1
        (step,) = (one for one in parse(text, Path("desk")).steps if one.line >= here)
    except ScenarioError as error:
        raise Refused(said(error)) from error
    except (TypeError, ValueError, KeyError) as error:
        raise Refused(f"not a step: {error}") from error
    step.line = line
    return step


def to_toml(table: Table, at_us: int) -> str:
    """A [[step]] with its time; ValueError for what a step cannot hold."""
    rows = {"at": clock_text(at_us), "do": table["do"], **table}
    lines = [field_text(key, value) for key, value in rows.items()]
    return "\n".join(["[[step]]", *lines, ""])


def field_text(key: Any, value: Any) -> str:
    """One line of a step; ValueError for what it cannot hold."""
    return f"{_key(key)} = {_value(value)}"


def clock_text(at_us: int) -> str:
    """A time since the start as steps have it, to the microsecond where there are some."""
    seconds, fraction_us = divmod(at_us, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction_us:06}" if fraction_us else text


def said(error: ScenarioError) -> str:
    """A mistake without the place: whoever clicks sees no file."""
    return str(error).split(": ", 1)[-1]


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key.isascii() or not key.replace("_", "").isalpha():
        raise ValueError(f"{key!r} is no field")
    return key


def _value(value: Any) -> str:
    if isinstance(value, str) and "\x7f" not in value:
        return json.dumps(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and not any(isinstance(one, list) for one in value):
        return f"[{', '.join(map(_value, value))}]"
    raise ValueError(f"{value!r} is no value")
