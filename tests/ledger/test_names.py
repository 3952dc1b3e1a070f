"""Names: every surname is found as its bearer reads it, and as others misread it."""

import pytest

from ledger import names
from ledger.holders import Holder
from ledger.lifecycle import Act
from ledger.names import KEYS_MAX, BadName, check, keys_of, masked_name
from ledger.store import LedgerStore
from protocols.rules.spending import STUDENT

# As a surname, which is seldom the first reading in a dictionary.
SURNAMES = {
    "单": "shan", "曾": "zeng", "仇": "qiu", "解": "xie", "区": "ou", "查": "zha", "任": "ren",
    "朴": "piao", "盖": "ge", "覃": "qin", "种": "chong", "缪": "miao", "翟": "zhai", "员": "yun",
    "乐": "yue", "华": "hua", "繁": "po", "折": "she", "黑": "he", "洗": "xian", "纪": "ji",
    "秘": "bi", "召": "shao", "冼": "xian", "尹": "yin", "长孙": "zhangsun", "尉迟": "yuchi",
    "万俟": "moqi", "单于": "chanyu", "令狐": "linghu", "吕": "lv", "欧阳": "ouyang",
}  # fmt: skip


@pytest.mark.parametrize("surname", SURNAMES)
def test_a_surname_is_found_as_it_is_read(surname):
    keys = keys_of(f"{surname}小明")
    assert f"{SURNAMES[surname]}xiaoming" in keys, keys
    assert f"{surname}小明" in keys


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("张三", "zs"),
        ("单小明", "sxm"),
        ("单小明", "dxm"),
        ("曾志伟", "zzw"),
        ("曾志伟", "czw"),
        ("Anna-Maria O'Neill", "annamariaoneill"),
        ("买买提·艾力", "mmtal"),
        ("吕布", "lvbu"),
    ],
)
def test_initials_and_letters(name, key):
    assert key in keys_of(name)


def test_keys_are_few_and_short():
    for name in ("重" * 32, "单曾仇解区查" * 5, "x" * 32):
        keys = keys_of(name)
        assert len(keys) <= 2 * KEYS_MAX + 1
        assert max(map(len, keys)) <= 192


@pytest.mark.parametrize("name", ["", " ", "·", "x" * 33, "a\nb", "\u200b"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(BadName):
        check(name)


def test_a_masked_name_is_what_the_counter_needs():
    assert [masked_name(name) for name in ("", "张", "张三", "欧阳小明")] == [
        "",
        "张",
        "张*",
        "欧**明",
    ]


def test_a_search_reads_one_stretch_of_an_index():
    """So it is as quick among 100,000 holders as among ten."""
    store = LedgerStore.open(":memory:")
    said = "z", "z\U0010ffff", "", 0, "z", 20
    plan = [row[3] for row in store.database.rows(f"EXPLAIN QUERY PLAN {names._SEARCH}", said)]
    assert any("SEARCH k USING PRIMARY KEY (key>? AND key<?)" in line for line in plan), plan
    assert not any(line.startswith("SCAN") or "TEMP B-TREE" in line for line in plan), plan


def test_a_page_goes_on_behind_the_last():
    store = LedgerStore.open(":memory:")
    store.issue_cards([(card_no, 0) for card_no in range(1, 46)])
    for card_no in range(1, 46):
        by = Act(evidence="id-card", person="wang")
        holder = Holder(f"N{card_no}", STUDENT, "Nursing")
        store.holders.open(card_no, holder, (1, 2), 9, by)
        names.enter(store.database, card_no, f"张{'一二三'[card_no % 3]}", "wang", 9)
    found, place = [], ("", 0)
    while page := names.search(store.database, "张", 20, place):
        found += [one.card_no for one in page]
        place = page[-1].place
    assert sorted(found) == list(range(1, 46))
    names.enter(store.database, 1, "", "wang", 9)
    assert len(names.search(store.database, "z", 100)) == 44


def test_nobody_is_on_two_pages_by_two_readings():
    """单, 曾 and 解 are found by each of their readings, and by z or s each of them once."""
    store = LedgerStore.open(":memory:")
    store.issue_cards([(card_no, 0) for card_no in range(1, 31)])
    for card_no in range(1, 31):
        by = Act(evidence="id-card", person="wang")
        store.holders.open(card_no, Holder(f"N{card_no}", STUDENT, "Nursing"), (1, 2), 9, by)
        names.enter(store.database, card_no, f"{'单曾解'[card_no % 3]}重行", "wang", 9)
    for text in ("s", "z", "c", "zc", "zeng"):
        every = [one.card_no for one in names.search(store.database, text, 1_000)]
        found, place = [], ("", 0)
        while page := names.search(store.database, text, 4, place):
            assert len(page) <= 4
            found += [one.card_no for one in page]
            place = page[-1].place
        assert found == every and len(set(found)) == len(found), text


def test_names_of_a_list_of_cards_are_masked():
    store = LedgerStore.open(":memory:")
    store.issue_cards([(card_no, 0) for card_no in (1, 2, 3)])
    for card_no, name in ((1, "张三"), (2, "欧阳小明")):
        by = Act(evidence="id-card", person="wang")
        store.holders.open(card_no, Holder(f"N{card_no}", STUDENT, "Nursing"), (1, 2), 9, by)
        names.enter(store.database, card_no, name, "wang", 9)
    found = names.masked_names(store.database, [1, 2, 3, 2, 99])
    assert found == {1: "张*", 2: "欧**明"}
    assert names.masked_names(store.database, []) == {}
    names.enter(store.database, 1, "", "wang", 9)
    assert names.name_of(store.database, 1) == ""
