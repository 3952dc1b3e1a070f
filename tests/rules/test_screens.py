"""What the clerk's LCD says: every text fits, is in the character ROM and says one thing only."""

import codecs
from collections import Counter

import pytest

from firmware.drivers import annunciator
from protocols.rules import (
    charging_texts,
    reasons,
    sale,
    scan_codes,
    screen_bytes,
    screen_texts,
    screens,
)
from tools import make_screen_bytes

TABLES = {"ENGLISH": screen_bytes.ENGLISH, "CHINESE": screen_bytes.CHINESE}
OWN = {
    name: value
    for name, value in vars(screens).items()
    if name.isupper() and isinstance(value, int) and 400 < value < 500
}
SOUNDS = ("look", *screen_texts.REFUSALS)
both = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def shown(lines):
    """A screen as people read it; each line is whole GB2312."""
    return [line.decode("gb2312") for line in lines]


# Reasons by whose matter they are; codes are the phone's, all others the holder's.
_GROUPS = {
    reasons.CARD_CAPTURED: 1,
    **dict.fromkeys(range(reasons.BATTERY_UNTESTED, reasons.READER_FAULT + 1), 2),
    **dict.fromkeys((reasons.OFFLINE, reasons.OVER_STALE_LIMIT, reasons.MAP_EXPIRED), 2),
    **dict.fromkeys((reasons.CASE_OPENED, reasons.MOVED), 2),
    **dict.fromkeys((reasons.NOT_TYPED, reasons.NOT_A_DESK), 2),
    **dict.fromkeys((reasons.NO_PERSON_NO, reasons.LOSS_UNSURE, reasons.CARD_BEHIND), 1),
}
# What a card is refused for, each with a sound of its own (R10, R14, R15).
_STATUS = {
    reasons.CARD_LOST: 4,
    reasons.CARD_SUSPENDED: 5,
    reasons.CARD_CLOSED: 6,
    reasons.NOT_YET_VALID: 7,
    reasons.EXPIRED: 8,
    reasons.KIND_NOT_SERVED: 9,
}


# ---------------------------------------------------------------- the texts


def test_every_reason_and_every_label_has_its_texts():
    assert len(OWN) >= 16 and len(set(OWN.values())) == len(OWN)
    answers = set(charging_texts.TEXTS)
    assert set(screen_texts.TEXTS) == set(reasons.DISPLAY) | set(OWN.values()) | answers
    assert all(number < screens.LABELS_END for number in OWN.values())
    assert all(number > screens.LABELS_END for number in answers)


@pytest.mark.parametrize("number", screen_texts.TEXTS)
def test_a_text_fits_and_its_glyphs_are_there(number):
    english, chinese, sound, value_cells = screen_texts.TEXTS[number]
    assert english.isascii() and english.isprintable() and english == english.strip().upper()
    assert any("\u4e00" <= char <= "\u9fff" for char in chinese)
    for text in (english, chinese):
        encoded = codecs.encode(text, "gb2312")
        assert codecs.decode(encoded, "gb2312") == text
        assert len(encoded) == screen_texts.width(text)
        assert 0 < len(encoded) + value_cells + (value_cells > 0) <= 16
    silent = {*OWN.values(), reasons.BATTERY_UNTESTED, reasons.BATTERY_WORN}
    assert sound == "" if number in silent else sound in SOUNDS


@pytest.mark.parametrize("language", [0, 1])
def test_no_text_says_two_things(language):
    counted = Counter(texts[language] for texts in screen_texts.TEXTS.values())
    assert [text for text, count in counted.items() if count > 1] == []


def test_the_sound_is_the_one_that_the_pos_plays():
    looks = {number for number in reasons.DISPLAY if screen_texts.TEXTS[number][2] == "look"}
    codes = {*scan_codes._REFUSALS, reasons.CODE_NEEDS_NETWORK}
    # These a POS hands on: the ledger refuses them, which ends a sale.
    codes -= {reasons.CODE_OF_WECHAT, reasons.CODE_OF_ALIPAY, reasons.CODE_OF_UNIONPAY}
    asked = {reason for reason, event in sale.EVENT_OF.items() if event not in ("paid", "undone")}
    asked.remove(screens.ONE_MOMENT)  # nobody has anything to do
    keys = {reasons.NOTHING_TO_CANCEL, reasons.CANCEL_TOO_LATE, reasons.CANCELLED_ALREADY}
    # What each really sounds like is heard in tests/codes/test_reason_records.py.
    assert looks == {*asked, *codes, *keys, reasons.CODE_NO_CANCEL}


def signals():
    """Every signal: (lights, its beeps in ms)."""
    size = annunciator.SIGNAL_BYTES
    assert len(annunciator.SIGNALS) % size == 0
    found = []
    for at in range(0, len(annunciator.SIGNALS), size):
        lights, *beeps = annunciator.SIGNALS[at : at + size]
        found.append((lights, [beep * annunciator._UNIT_MS for beep in beeps if beep]))
    return found


def test_every_kind_of_refusal_is_heard_as_itself():
    """Whose matter it is: the holder's, the card centre's, this reader's, the phone's; and six
    states of a card, which nobody has to look at the display for."""
    every = signals()
    assert annunciator.REFUSED + len(screen_texts.REFUSALS) == annunciator.CELLS_LOW
    refusals = every[annunciator.REFUSED : annunciator.CELLS_LOW]
    heard = [*every[annunciator.TAKEN : annunciator.LOOK + 1], *refusals]
    assert len({tuple(beeps) for _, beeps in heard}) == len(heard)
    assert len(every) == annunciator.CELLS_LOW + 1
    # What refuses by itself begins with one long beep and red light.
    assert {(lights, beeps[0]) for lights, beeps in refusals} == {(1, 400)}


def test_a_sound_is_over_before_what_is_shown_is():
    for _, beeps in signals():
        # A beep is one of two that nobody takes for each other, but for the click of a door's key.
        assert set(beeps) <= {80, 400} or beeps == [40]
        lasts_ms = sum(beeps) + annunciator._GAP_MS * max(len(beeps) - 1, 0)
        assert lasts_ms <= 1500 < sale.PATIENCE_MS[sale.SHOWN]


@pytest.mark.parametrize("number", reasons.DISPLAY)
def test_every_reason_has_a_sound(number):
    codes = reasons.CODE_UNKNOWN <= number <= reasons.CODE_FORGED
    expected = 3 if codes else _STATUS.get(number, _GROUPS.get(number, 0))
    assert reasons.sound(number) == expected
    assert reasons.sound(number + 1000) == reasons.sound(100) == 0
    # Of the six nobody else's reason has the sound.
    assert expected < 4 or number in _STATUS


def test_a_text_that_gb2312_has_not_is_refused_when_the_file_is_made(monkeypatch):
    monkeypatch.setitem(screen_texts.TEXTS, screens.PAID, ("PAID", "已付鎔", "", 0))
    with pytest.raises(UnicodeEncodeError):
        screen_texts.tables()


@pytest.mark.parametrize("text", ["ABCDEFGHIJKLMNOPQ", "记录将满请联系管理"])
def test_a_text_too_wide_is_refused_when_the_file_is_made(monkeypatch, text):
    monkeypatch.setitem(screen_texts.TEXTS, screens.PAID, (text, text, "", 0))
    with pytest.raises(ValueError, match=r"takes 1[78] cells"):
        screen_texts.tables()


def test_the_file_is_what_the_texts_say():
    found = make_screen_bytes.TARGET.read_text(encoding="ascii")
    assert found == make_screen_bytes.source(), "run python -m tools.make_screen_bytes"


@pytest.mark.parametrize("language", [0, 1])
def test_a_reader_finds_each_text(language):
    table = tuple(TABLES.values())[language]
    for number, texts in screen_texts.TEXTS.items():
        assert screens.text(table, number).decode("gb2312") == texts[language]


def test_the_customer_reads_each_text():
    for number, texts in screen_texts.TEXTS.items():
        assert screens.pole_text(number) == reasons.DISPLAY.get(number, texts[0])
    assert screens.pole_text(reasons.OVER_DAY_LIMIT) == "DAY LIMIT REACHED"
    assert screens.pole_text(screens.BALANCE) == "LEFT"


@pytest.mark.parametrize("number", [0, 199, 200, 400, 495, 496, 201 + 512, 51456, 65535])
def test_a_number_without_a_text_is_an_error(number):
    with pytest.raises(screens.UnknownText):
        screens.text(screen_bytes.ENGLISH, number)
    with pytest.raises(screens.UnknownText):
        screens.pole_text(number)


# ---------------------------------------------------------------- lines


def test_a_language_has_its_table():
    assert screens.texts("zh") is screen_bytes.CHINESE
    assert screens.texts("en") is screens.texts("") is screen_bytes.ENGLISH


@both
@pytest.mark.parametrize("number", screen_texts.TEXTS)
@pytest.mark.parametrize("value", ["", "1", "12.50", "999999.99", "-999999.99", "x" * 16])
def test_a_value_is_never_cut(table, number, value):
    found = screens.line(table, number, value)
    assert len(found) == 16 and found.endswith(value.encode())
    label = found[: 16 - len(value)]
    assert len(label) == 0 or label.endswith(b" ")
    whole = screens.text(table, number)
    assert whole.startswith(label.rstrip()) and label.decode("gb2312")[:-1].isprintable()


def test_a_label_gives_way_at_a_whole_character():
    assert screens.line(screen_bytes.CHINESE, screens.OFFLINE, "123456789") == (
        "脱机待 123456789".encode("gb2312")
    )
    assert screens.line(screen_bytes.CHINESE, screens.OFFLINE, "1234567890") == (
        "脱机  1234567890".encode("gb2312")
    )


# ---------------------------------------------------------------- screens


def test_what_screens_look_like():
    zh, en = screen_bytes.CHINESE, screen_bytes.ENGLISH
    notes = screens.notices(zh, waiting=12, battery=(64, 87), is_nearly_full=True)
    assert shown(notes) == ["电池   64% 87min", "记录将满", "脱机待传      12"]
    assert shown(screens.welcome(zh, notes)) == ["欢迎光临", *shown(notes)]
    assert shown(screens.keyed(zh, screens.AMOUNT, "12.", 0, notes)) == [
        "金额         12.",
        *shown(notes),
    ]
    assert shown(screens.message(zh, screens.CARD_PLEASE, "12.50")) == [
        *("请刷卡", "金额       12.50", "", "")
    ]
    assert shown(screens.message(zh, reasons.BALANCE_SHORT, "12.50", notes=notes)) == [
        *("余额不足", "金额       12.50", "E201", "电池   64% 87min")
    ]
    assert shown(screens.paid(en, 1250, -50, b"LI SI")) == [
        *("PAID       12.50", "LEFT       -0.50", "LI SI", "")
    ]
    assert shown(screens.pin(en, 4, "12.50")) == ["PIN         ****", "AMOUNT     12.50", "", ""]
    assert shown(screens.one_sale(zh, screens.LAST_PAID, 1250, 4711)) == [
        *("上笔已付", "金额       12.50", "卡号        4711", "")
    ]
    assert shown(screens.one_sale(zh, screens.CANCEL_CARD, 1250, 4711, notes)) == [
        *("撤销请刷原卡", "金额       12.50", "卡号        4711", "电池   64% 87min")
    ]
    assert shown(screens.one_sale(zh, screens.CANCELLED, 1250, 4711, notes)) == [
        *("已撤销", "金额       12.50", "卡号        4711", "将退回卡上")
    ]
    assert shown(screens.totals(zh, screens.SHIFT_TOTALS, (312, 402_180, 0, 0, 0, 0), notes)) == [
        *("本班汇总", "笔数         312", "合计     4021.80", "电池   64% 87min")
    ]
    assert shown(screens.totals(en, screens.SHIFT_TOTALS, (312, 402_180, 3, 3_650, 0, 0))) == [
        *("SHIFT TOTALS", "SALES        312", "TOTAL    4021.80", "VOID     3 36.50")
    ]
    by_scan = (312, 402_180, 0, 0, 12, 15_000)
    assert shown(screens.totals(zh, screens.SHIFT_TOTALS, by_scan, notes)) == [
        *("本班汇总", "笔数         312", "合计     4021.80", "扫码   12 150.00")
    ]
    both = (312, 402_180, 3, 3_650, 12, 15_000)
    assert shown(screens.totals(zh, screens.SHIFT_TOTALS, both, notes)) == [
        *("本班汇总     312", "合计     4021.80", "撤销     3 36.50", "扫码   12 150.00")
    ]
    assert shown(screens.scan(zh, "12.50", b"")) == ["请扫码", "12.50", "已付？", "OK / ESC"]
    assert shown(screens.scan(en, "12.50", b"x")) == [
        *("        SCAN ME", "        12.50", "        PAID?", "        OK / ESC")
    ]
    assert shown(screens.one_sale(zh, screens.BY_SCAN, 1250, 310, notes)) == [
        *("扫码付款待核对", "金额       12.50", "编号         310", "电池   64% 87min")
    ]


@both
def test_nothing_is_told_when_nothing_is_wrong(table):
    assert screens.notices(table) == []
    assert screens.welcome(table)[1:] == (b"", b"", b"")


@both
def test_offline_with_nothing_waiting_is_still_offline(table):
    (note,) = screens.notices(table, waiting=0)
    assert note.endswith(b" 0") and len(note) == 16


@both
def test_counts_beyond_their_cells_stand_at_their_ends(table):
    battery, offline = screens.notices(table, waiting=123_456, battery=(100, 5_000))
    assert battery.endswith(b" 100% 999min") and offline.endswith(b" 99999")


@both
def test_every_screen_has_four_lines_that_fit(table):
    notes = screens.notices(table, 16_000, (87, 120), True)
    for screen in (
        screens.paid(table, 99999999, -99999999, b"A" * 16, notes),
        screens.totals(table, screens.SEVEN_DAYS, (123456, 4294967295) * 3, notes),
        screens.one_sale(table, screens.LAST_PAID, 99999999, 4294967295, notes),
        screens.one_sale(table, screens.CANCELLED, 99999999, 4294967295, notes),
        *(screens.message(table, number, "999999.99", notes=notes) for number in reasons.DISPLAY),
    ):
        assert len(screen) == 4
        assert all(len(line) <= 16 for line in screen)
        shown(screen)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张三".encode("gb2312"), "张三".encode("gb2312")),
        ("阿迪力・买买提".encode("gb2312"), "阿迪力・买买提".encode("gb2312")),
        (b"John O'Neil", b"John O'Neil"),
        (b"", b"20260101"),
        ("张三丰".encode("gb2312")[:-1], b"20260101"),
        ("陶喆".encode("gbk"), b"20260101"),
        ("朱镕基".encode("gbk"), b"20260101"),
        ("张三".encode(), b"20260101"),
        ("阿卜杜热西提・买买提".encode("gb2312"), b"20260101"),
        (b"Li\x00Si", b"20260101"),
        (b"\x7f", b"20260101"),
        ("张，三".encode("gb2312"), b"20260101"),
    ],
)
def test_a_name_is_shown_whole_or_the_number_is(name, expected):
    assert screens.holder(name, "20260101") == expected


def test_glyphs_are_those_of_gb2312():
    """Every two bytes there are, against CPython's codec: all 6,763 hanzi and the dot, no more."""
    found = 0
    for upper in range(0x80, 0x100):
        for lower in range(0x100):
            pair = bytes((upper, lower))
            has = screens.has_glyphs(pair)
            try:
                char = pair.decode("gb2312")
            except UnicodeDecodeError:
                char = ""
            assert has == (len(char) == 1 and ("\u4e00" <= char <= "\u9fff" or char == "・"))
            found += has
    assert found == 6763 + 1
