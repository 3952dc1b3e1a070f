"""Money in and out as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import money
from tests.rules.tables import FORMATTED, PARSED


@pytest.mark.parametrize(("text", "expected"), PARSED, ids=ascii)
def test_parse(text, expected):
    assert money.parse_yuan(text) == expected


@pytest.mark.parametrize(("fen", "expected"), FORMATTED)
def test_format(fen, expected):
    assert money.format_yuan(fen) == expected


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{0,8}[.,]?[0-9]{0,3}", fullmatch=True))
def test_any_text_is_an_amount_or_none(text):
    fen = money.parse_yuan(text)
    if fen is not None:
        assert 0 <= fen <= money.FEN_MAX
        assert round(float(text) * 100) == fen


@given(st.integers(0, money.FEN_MAX))
def test_what_is_written_is_read_again(fen):
    text = money.format_yuan(fen)
    assert money.parse_yuan(text) == fen
    assert money.format_yuan(-fen) == ("-" + text if fen else text)


def test_no_amount_is_wider_than_a_display():
    assert len(money.format_yuan(-money.FEN_MAX)) <= 20
