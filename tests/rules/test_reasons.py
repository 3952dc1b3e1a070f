"""Reasons: one number, one meaning, and words for everyone who meets it."""

import ast
import inspect
import re
from collections import Counter

import pytest

from ledger import reasons as ledger_reasons
from protocols.link import delivery, delivery_texts
from protocols.rules import access_texts, reason_texts, reasons
from protocols.wire import error_texts, errors, mqtt, mqtt_texts
from tools.rooms import sources

NUMBERS = {name: value for name, value in vars(reasons).items() if name.isupper()}
REFUSALS = {
    name: number
    for name, number in NUMBERS.items()
    if isinstance(number, int) and name != "APPROVED"
}


def test_every_number_has_three_texts():
    assert len(REFUSALS) > 20
    assert set(REFUSALS.values()) == set(reasons.DISPLAY) == set(reason_texts.TEXTS)


@pytest.mark.parametrize("name", REFUSALS)
def test_texts_fit_their_places(name):
    shown = reasons.display(REFUSALS[name])
    # A CD5220 pole display: 20 columns, ASCII.
    assert 0 < len(shown) <= 20
    assert shown.isascii()
    assert shown.isprintable()
    assert shown == shown.strip().upper()
    english, chinese = reason_texts.TEXTS[REFUSALS[name]]
    assert english.isascii()
    assert len(english) > 10
    assert all("\u4e00" <= char <= "\u9fff" for char in chinese)
    assert 2 <= len(chinese) <= 10  # of 20 columns


def test_numbers_are_unique_everywhere():
    tables = [
        error_texts.TEXTS,
        mqtt_texts.TEXTS,
        delivery_texts.TEXTS,
        reason_texts.TEXTS,
        ledger_reasons.TEXTS,
        access_texts.TEXTS,
    ]
    counted = Counter(number for table in tables for number in table)
    assert [number for number, count in counted.items() if count > 1] == []
    assert reasons.APPROVED not in counted
    # Of a door those about codes have numbers that the ledger left free.
    hundreds = {1}, {1}, {1}, {2}, {3, 4}, {2, 3}
    for table, known in zip(tables, hundreds, strict=True):
        assert {number // 100 for number in table} == known


def test_no_name_has_anothers_number():
    """Two constants with one number would be one reason with two meanings."""
    for module in (errors, reasons, mqtt, delivery, ledger_reasons):
        found = re.findall(r"^([A-Z_]+) = (\d{3})$", inspect.getsource(module), re.MULTILINE)
        counted = Counter(number for _, number in found)
        assert [number for number, count in counted.items() if count > 1] == [], module


def test_every_error_has_a_text():
    assert set(error_texts.TEXTS) == {n for name, n in vars(errors).items() if name.isupper()}


def test_no_reader_imports_the_long_texts(repo_root):
    """They would cost heap that a reader does not have."""
    importers = []
    for path in sources(repo_root, ("firmware", "protocols")):
        if path.stem.endswith("_texts"):
            continue  # one of them may be made of another
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])] if _imports(node) else []
            if any(
                name.endswith("_texts") for name in [*names, getattr(node, "module", "") or ""]
            ):
                importers.append(path.name)
    assert importers == []


def _imports(node):
    return isinstance(node, ast.Import | ast.ImportFrom)
