"""Where each value of a configuration comes from: a line of the file, or the environment.

What the environment says stands above the file: ONECARD_AGENT_READERS_PORT is `port` of [readers],
ONECARD_AGENT_SITE is `site`; values are written as in TOML, texts also without quotes. A variable
that names nothing is refused, as an unknown key is. Secrets have no variable: they are in files.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

PREFIX = "ONECARD_AGENT_"
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|([A-Za-z0-9_-]+))\s*=")
_SECTION = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\]\]?")


class BadVariable(ValueError):
    """A variable of the environment that the agent does not know; the text names it."""


class Source:
    """The merged table, and the origin of each of its values by its name ("readers.port").

    `keys`: section -> the keys it may have; "" for those above all sections. Raises BadVariable,
    and what tomllib raises.
    """

    def __init__(
        self,
        path: str,
        text: str,
        environment: Mapping[str, str],
        keys: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._path = path
        self.table: dict[str, Any] = tomllib.loads(text)
        self._origins = {name: f"{path}:{line}" for name, line in _lines_of(text)}
        variables = {
            _variable(section, key): (section, key) for section in keys for key in keys[section]
        }
        for name in sorted(environment):
            if not name.startswith(PREFIX):
                continue
            if name not in variables:
                raise BadVariable(f"{name}: no such setting; known are {', '.join(variables)}")
            self._set(*variables[name], environment[name], f"environment {name}")

    def origin(self, name: str) -> str:
        """Who said the value of `name` ("readers.port"); "default" if nobody did."""
        return self._origins.get(name, "default")

    def where(self, name: str) -> str:
        """Where whoever wants to mend `name` has to look: its origin, its section's, the file."""
        section = name.partition(".")[0].strip("[]")
        for known in (name, re.sub(r"\[\d+\]", "", name), section):
            if known in self._origins:
                return self._origins[known]
        return self._path

    def _set(self, section: str, key: str, text: str, origin: str) -> None:
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text
        table = self.table.setdefault(section, {}) if section else self.table
        if isinstance(table, dict):
            table[key] = value
            self._origins[f"{section}.{key}" if section else key] = origin


def _variable(section: str, key: str) -> str:
    return PREFIX + (f"{section}_{key}" if section else key).upper()


def _lines_of(text: str) -> list[tuple[str, int]]:
    """(name, line) of every key and section, as far as they stand at the beginning of a line."""
    found, section = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SECTION.match(line):
            section = match[1]
            found.append((section, number))
        elif match := _KEY.match(line):
            key = match[1] or match[2]
            found.append((f"{section}.{key}" if section else key, number))
    return found
