"""A number that somebody was shown, in words: every one of ours, with its rule and what to do."""

import re

import pytest

from ledger import (
    api_reasons,
    lifecycle,
    money_lists,
    people,
    period_reasons,
    procedures,
    reason_words,
    reasons,
)
from ledger.console import explain, pages, refusals
from ledger.console.asked import LANGUAGES
from ledger.payments import reasons as payment_reasons
from protocols.link import delivery_texts
from protocols.rules import access, access_texts, reason_texts
from protocols.rules import reasons as shown
from protocols.wire import error_texts, mqtt_texts
from tests.ledger.console.campus import visitor

_HAN = re.compile(r"[\u4e00-\u9fff]")
READERS = sorted(reason_texts.TEXTS | access_texts.TEXTS)
OTHERS = sorted(
    {
        *pages.REASONS,
        *reasons.TEXTS,
        *lifecycle.TEXTS,
        *people.TEXTS,
        *procedures.TEXTS,
        *error_texts.TEXTS,
        *mqtt_texts.TEXTS,
        *delivery_texts.TEXTS,
        *money_lists.TEXTS,
        *payment_reasons.TEXTS,
        *period_reasons.TEXTS,
        *api_reasons.TEXTS,
    }
    - set(READERS)
)


@pytest.mark.parametrize("number", READERS)
def test_what_a_reader_or_door_shows_is_said_in_both_languages_with_what_to_do(number):
    zh, en = (explain.explain(number, at) for at in range(len(LANGUAGES)))
    assert zh and en
    assert _HAN.search(zh.text) and _HAN.search(zh.advice)
    assert not _HAN.search(en.text) and not _HAN.search(en.advice)
    assert zh.display == shown.DISPLAY.get(number, "")
    assert zh.rule == en.rule


def test_every_other_number_is_said_too_and_says_where_it_comes_from():
    for number in OTHERS:
        for at in range(len(LANGUAGES)):
            said = explain.explain(number, at)
            assert said and said.text and said.advice and said.where in pages.TEXTS, number
            assert bool(_HAN.search(said.text)) == bool(_HAN.search(said.advice)) == (at == 0)


def test_no_number_has_two_chinese_texts_and_none_is_missing():
    assert not set(reason_words.ZH) & set(pages.REASONS)
    for number, (zh, do_zh) in reason_words.ZH.items():
        assert _HAN.search(zh) and _HAN.search(do_zh) and do_zh[-1] in "。；", number
        assert len(zh) <= 32, (number, "a line of a list")


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        (shown.CARD_LOST, "R14.2"),
        (shown.PIN_NEEDED, "R19.2"),
        (shown.EXPIRED, "R13"),
        (shown.CODE_NEEDS_NETWORK, "R24.1"),
        (shown.IDENTITY_CHECK, "R19.3, R19.4"),
        (access.CODE_UNANSWERED, "R24"),
        (reasons.LOCK_CELLS_EMPTY, "R23.3b"),
        (reasons.CARD_FOUND, "R10.2"),
        (shown.FOREIGN_CARD, ""),
    ],
)
def test_the_rule_that_decided_is_named(number, rule):
    assert explain.explain(number, 0).rule == rule


def test_the_page_explains_for_everybody_and_knows_what_it_does_not_know(campus):
    console, store = campus
    for login in ("clara", "wen", "gu", "pei", "anna"):
        who = visitor(console, store, login)
        text = who.get(f"/explain?number={shown.CARD_LOST}").text
        assert "此卡已挂失" in text and "R14.2" in text
    who = visitor(console, store, "eng")
    for number in ("999", "0", "x", "<b>", "00000271"):
        answer = who.get(f"/explain?number={number}".replace("<b>", "%3Cb%3E"))
        assert answer.status == 200 and "<b>" not in answer.text.split("<main")[0]
        assert ("没有这个编号" in answer.text) == (number != "00000271")
    english = visitor(console, store, "eng", "en").get(f"/explain?number={refusals.TOO_OFTEN}")
    assert "more requests than one browser may make" in english.text
    assert all(str(number) in english.text for number in READERS)
