"""Amounts in words: the official examples, and every shape of zeros read back to the fen."""

from itertools import product

import pytest

from ledger.amount_words import FEN_MAX, in_words

_DIGITS = {char: number for number, char in enumerate("零壹贰叁肆伍陆柒捌玖")}
_PLACES = {"仟": 1_000, "佰": 100, "拾": 10}
_SECTIONS = {"亿": 100_000_000, "万": 10_000}
_UNITS = {"元": 100, "角": 10, "分": 1}


@pytest.mark.parametrize(
    ("amount_fen", "words"),
    [
        # Of annex 1 of the rules; where they allow two forms, ours.
        (1_409_50, "壹仟肆佰零玖元伍角"),
        (6_007_14, "陆仟零柒元壹角肆分"),
        (1_680_32, "壹仟陆佰捌拾元叁角贰分"),
        (107_000_53, "壹拾万零柒仟元伍角叁分"),
        (16_409_02, "壹万陆仟肆佰零玖元零贰分"),
        (325_04, "叁佰贰拾伍元零肆分"),
        (0, "零元整"),
        (5, "伍分"),
        (50, "伍角"),
        (10_00, "壹拾元整"),
        (200_00, "贰佰元整"),
        (10_001_00, "壹万零壹元整"),
        (100_000_000_01, "壹亿元零壹分"),
        (100_000_001_00, "壹亿零壹元整"),
        (-12_30, "负壹拾贰元叁角"),
        (FEN_MAX, "玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分"),
    ],
)
def test_as_the_rules_say_it(amount_fen, words):
    assert in_words(amount_fen) == words


def read_back(words):
    """The fen of an amount in words, by the grammar of numbers alone."""
    amount_fen = section = whole = digit = 0
    for char in words:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _PLACES:
            section, digit = section + digit * _PLACES[char], 0
        elif char in _SECTIONS:
            whole, section, digit = whole + (section + digit) * _SECTIONS[char], 0, 0
        elif char in _UNITS:
            amount_fen += (whole + section + digit) * _UNITS[char]
            whole = section = digit = 0
        else:
            assert char == "整"
    return amount_fen


def check_form(words):
    assert ("零零" not in words and not words.startswith("零")) or words == "零元整", words
    assert words.endswith("整") == words.endswith("元整"), words
    assert not any(bad in words for bad in ("零万", "零亿", "零元", "亿万")) or words == "零元整"


def test_every_amount_up_to_two_hundred_yuan_reads_back():
    said = {}
    for amount_fen in range(20_000):
        words = in_words(amount_fen)
        assert read_back(words) == amount_fen
        check_form(words)
        assert said.setdefault(words, amount_fen) == amount_fen


def test_every_place_of_zeros_reads_back():
    """All fourteen digits, each zero or not: 16,384 shapes."""
    for digits in product("07", repeat=14):
        amount_fen = int("".join(digits))
        words = in_words(amount_fen)
        assert read_back(words) == amount_fen
        check_form(words)


@pytest.mark.parametrize("amount_fen", [FEN_MAX + 1, -FEN_MAX - 1])
def test_more_than_can_be_said(amount_fen):
    with pytest.raises(ValueError, match="more than can be said"):
        in_words(amount_fen)
