"""The pages that are made from the code are up to date."""

import re

from protocols.wire import errors
from tools import make_docs


def test_pages_are_what_the_code_says():
    for name, text in make_docs.pages().items():
        assert (make_docs.FOLDER / name).read_text(encoding="utf-8") == text, (
            f"docs/{name}: run python -m tools.make_docs"
        )


def test_every_number_stands_on_the_page_once():
    rows = re.findall(r"^\| (\d{3}) \|", make_docs.reason_codes(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert len(rows) > 50
    assert str(errors.BAD_SEAL) in rows


def test_tables_are_rectangular():
    widths = {}
    for line in make_docs.reason_codes().splitlines():
        if line.startswith("|"):
            widths.setdefault(line.count("|"), []).append(line)
    assert set(widths) == {3, 4, 5, 7}
