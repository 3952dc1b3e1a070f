"""A file of settings as tables whose values are taken out by name and kind, and none is left over.

What is wrong is said with the file and the place in it. For ledger/config.py and what it reads.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """A file of the configuration cannot be used; the text names the file and the place in it."""


def load(path: Path) -> dict[str, Any]:
    """What stands in a file, TOML or JSON by its name. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not a table")
    return content


class Table:
    """A table of a file: values are taken out by name and kind, and none may be left over."""

    def __init__(self, path: Path, name: str, values: Mapping[str, Any]) -> None:
        self._path = path
        self._name = name
        self._values = dict(values)

    def where(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def text(self, name: str, default: str | None = None) -> str:
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "not text")
        return value

    def number(self, name: str, default: int | None = None, most: int = 0xFFFFFFFF) -> int:
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name, f"not a whole number from 0 to {most}")
        return value

    def flag(self, name: str) -> bool:
        value = self._take(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, "neither true nor false")
        return value

    def texts(self, name: str) -> list[str]:
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(name, "not a list of texts")
        return value

    def table(self, name: str) -> "Table":
        return self._sub(name, self.where(name), self._take(name, {}))

    def tables(self, name: str) -> list["Table"]:
        values = self._take(name, [])
        if not isinstance(values, list):
            raise self._wrong(name, "not a list of tables")
        return [
            self._sub(name, f"{self.where(name)}[{i}]", value) for i, value in enumerate(values)
        ]

    def end(self) -> None:
        for name in self._values:
            raise self._wrong(name, "nothing of this name belongs here")

    def _sub(self, name: str, where: str, values: Any) -> "Table":
        if not isinstance(values, dict):
            raise self._wrong(name, "not a table")
        return Table(self._path, where, values)

    def _take(self, name: str, default: Any) -> Any:
        value = self._values.pop(name, default)
        if value is None:
            raise self._wrong(name, "missing")
        return value

    def _wrong(self, name: str, why: str) -> ConfigError:
        return ConfigError(f"{self._path}: {self.where(name)}: {why}")
