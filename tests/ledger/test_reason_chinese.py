"""Every number has its words in Chinese, and no number has them twice."""

import re

from ledger import reasons
from ledger.console import explain
from ledger.reason_chinese import CHINESE
from protocols.link import delivery_texts
from protocols.wire import mqtt_texts
from tools import ledger_firmware

TABLES = {
    *(number for _where, texts, _advice in explain._OTHERS for number in texts),
    *ledger_firmware.REASONS,
    *mqtt_texts.TEXTS,
    *delivery_texts.TEXTS,
    *reasons.WRITE_OFFS,
}


def test_every_number_of_the_tables_has_chinese_words_and_no_other_one_has():
    assert set(CHINESE) == TABLES


def test_words_are_chinese_short_and_name_the_same_articles():
    texts = {number: text for _, table, _ in explain._OTHERS for number, text in table.items()}
    for number, words in CHINESE.items():
        assert re.search("[\u4e00-\u9fff]{2}", words) and len(words) <= 40, number
        named = re.findall(r"R\d+b?(?:\.\d+[ab]?)?", texts.get(number, ""))
        assert re.findall(r"R\d+b?(?:\.\d+[ab]?)?", words) == named, number


def test_a_clerk_reads_what_a_number_means_in_chinese():
    found = explain.explain(342, 0)
    assert found is not None and not found.is_english
    assert found.text == "可能在挂失之后消费（R14.2）；已入账" and found.rule == "R14.2"
    assert explain.explain(342, 1).text.startswith("it may have been spent after")
    numbers = [number for _, table, _ in explain._OTHERS for number in table]
    assert [one for one in numbers if explain.explain(one, 0).is_english] == []


def test_the_page_has_both_languages_for_every_number(repo_root):
    page = (repo_root / "docs" / "reason-codes.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(rows) > 250
    assert [row for row in rows if not re.search("[\u4e00-\u9fff]", row)] == []
