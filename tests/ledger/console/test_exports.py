"""Every file that the console gives opens right in a Chinese Excel: each page that gives one."""

import csv
import io
import re
import time
from dataclasses import replace

import pytest
from openpyxl import load_workbook

from ledger import people
from ledger.aggregate_match import Line
from ledger.console import exports, pages
from ledger.console.asked import ZH, Asked, Download, Refused, Settings
from ledger.console.payments import FILE_HEADS
from ledger.period_sheet import Fen
from ledger.signatures import session_of
from ledger.store import LedgerStore
from tests.ledger.console.campus import EXAMPLES, fill
from tests.ledger.staff import CHEAP, OF_ROLE, log_in

EVIL = 9_901
EVIL_NAME = "=HYPERLINK(1)"
ORDERS = ("4200001234567890123456789012", "12E34", "@SUM(1)", "－1", "2026-11-27")
ID_18 = "430101199001011234"
# Columns of money, by what their heads end with; every other cell is a text or a count.
_MONEY = ("金额", "额", "合计", "佣金", "借方", "贷方", "余额")
_AMOUNT = re.compile(r"-?\d+\.\d\d")
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@pytest.fixture(scope="module")
def files():
    """(path, kind asked for) -> the file, of each page that gives one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ledger.passwords._HASHER", CHEAP)
        store = LedgerStore.open(":memory:")
        now_s = int(time.time())
        fill(store, now_s)
        store.register_merchant(EVIL, EVIL_NAME)
        lines = [(at, Line("wechat", order, EVIL, 770, now_s)) for at, order in enumerate(ORDERS)]
        store.aggregate.enter(lines)
        found = {}
        for role in people.ROLES:
            person = log_in(store, OF_ROLE[role], now_s)
            _login, department, roles = session_of(store.database, person.token_hash, now_s)
            for page in pages.PAGES:
                if page.is_for(roles) and not page.is_open:
                    who = person, department, roles, now_s, ZH
                    asked = Asked(store, Settings(1, 28_800), *who, EXAMPLES, {})
                    found |= dict(_files(page, asked))
        store.close()
    return found


def _files(page, asked):
    for kind in ("csv", "xlsx"):
        shows = [page.show]
        if page.path == "/attendance":
            shows.append(page.do)
        for show in shows:
            try:
                made = show(replace(asked, query={"as": kind}))
            except (Refused, *pages.REFUSES):
                continue
            if isinstance(made, Download):
                yield (page.path, kind), made


def test_each_page_of_files_is_looked_at(files):
    given = {path for path, _kind in files}
    assert given == {
        "/attendance",
        "/inspections/list",
        "/lists/merchants",
        "/lists/readers",
        "/merchants/{merchant}/day/list",
        "/periods/{period}/sheet.xlsx",
        "/statements/open",
        "/takings/list",
    }


def test_every_csv_is_utf_8_with_its_mark_and_no_cell_is_guessed_at(files):
    tables = [made for (_path, kind), made in files.items() if made.kind == exports.CSV]
    assert len(tables) >= 6
    for made in tables:
        assert made.data.startswith(b"\xef\xbb\xbf") and made.name.endswith(".csv")
        heads, *rows = csv.reader(io.StringIO(made.data.decode("utf-8-sig"), newline=""))
        assert rows, made.name
        for row in rows:
            for head, cell in zip(heads, row, strict=True):
                if head.endswith(_MONEY):
                    assert _AMOUNT.fullmatch(cell), (made.name, head, cell)
                else:
                    assert not _FORMULA.match(cell), (made.name, head, cell)
                    assert not re.fullmatch(r"\d{12,}|0\d+|\d+[eE]\d+", cell), (head, cell)
                    assert not _DATE.match(cell) or cell.endswith("\t"), (head, cell)


def test_every_workbook_has_texts_numbers_and_no_formula(files):
    books = [made for made in files.values() if made.kind == exports.XLSX]
    assert len(books) >= 8
    for made in books:
        texts = set()
        for sheet in load_workbook(io.BytesIO(made.data)):
            heads, *rows = sheet.iter_rows()
            for row in rows:
                for head, cell in zip(heads, row, strict=True):
                    assert cell.data_type != "f", (made.name, cell.value)
                    is_money = str(head.value).endswith(_MONEY)
                    if is_money and isinstance(cell.value, (int, float)):
                        assert cell.number_format == "#,##0.00", (made.name, head.value)
                    texts.add(str(cell.value))
        if made.name.startswith("unmatched"):
            assert set(ORDERS) <= texts, "as they are"


def test_what_a_stranger_has_named_is_a_text(files):
    data = files["/lists/merchants", "csv"].data.decode("utf-8-sig")
    assert f"'{EVIL_NAME}" in data and f",{EVIL_NAME}" not in data
    data = files["/statements/open", "csv"].data.decode("utf-8-sig")
    for order in ORDERS:
        assert f"{order}\t" in data or f"'{order}" in data, order


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (ID_18, f"{ID_18}\t"),
        ("43010119900101123X", "43010119900101123X"),
        ("007", "007\t"),
        ("12E34", "12E34\t"),
        ("3/4", "3/4\t"),
        ("1.2e+3", "1.2e+3\t"),
        ("11月27日", "11月27日\t"),
        ("2026年11月", "2026年11月\t"),
        ("7:30", "7:30\t"),
        ("(5)", "(5)\t"),
        ("2号楼", "2号楼"),
        ("06:30-09:00", "06:30-09:00"),
        ("2026-11-27 11:35:07", "2026-11-27 11:35:07\t"),
        ("+8613800000000", "'+8613800000000"),
        ("－1", "'－1"),
        ("\t=1", "'\t=1"),
        ("张三", "张三"),
        ("13800000000", "13800000000"),
        (Fen(-123_456), "-1234.56"),
        (20_001, "20001"),
    ],
)
def test_a_cell_of_csv_is_read_as_what_it_is(cell, told):
    heads, row = csv.reader(
        io.StringIO(exports.csv_of(FILE_HEADS[:1], [(cell,)]).decode("utf-8-sig"), newline="")
    )
    assert (heads, row) == ([FILE_HEADS[0]], [told])


def test_a_file_for_a_bank_has_every_cell_to_the_letter():
    """A bank's program knows no tab behind a number, and no apostrophe before a name."""
    lines = [
        (7, "0043050176453600", "＝甲-公司", Fen(1_250), "2026-11"),
        (8, ID_18, "'李", Fen(5), "3/4"),
    ]
    made = exports.for_bank("payments", FILE_HEADS, lines)
    assert made.name == "payments.csv" and b"\t" not in made.data
    _heads, *rows = csv.reader(io.StringIO(made.data.decode("utf-8-sig"), newline=""))
    assert rows == [[str(cell) for cell in line] for line in lines]
    sheet = load_workbook(io.BytesIO(exports.xlsx("x", [("x", FILE_HEADS, lines)], 0).data)).active
    for row, line in zip(sheet.iter_rows(min_row=2), lines, strict=True):
        assert [cell.value for cell in row] == [*line[:3], line[3].fen / 100, line[4]]
        assert [cell.data_type for cell in row] == ["n", "s", "s", "n", "s"]
