"""Tables from strangers: what is read, and what is refused before it costs anything."""

import io
import random
import struct
import time
import zipfile
from datetime import date, datetime

import pytest
import xlsxwriter

from adapters import spreadsheet
from adapters.spreadsheet import SpreadsheetRefused, read, table

SEED = 470
COLUMNS = {"person_no": "工号", "team": "班组"}
HEADS = ["person_no", "team"]
# As another program writes one: inline strings, and nothing that is not needed.
_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-'
    'types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override '
    'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/'
    '2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/'
    'main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/'
    'package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/worksheet" Target="worksheets/s.png"/></Relationships>',
}
_WHERE = "xl/worksheets/s.png"  # openpyxl goes by the link, not by the name


def cell(place, text):
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def by_hand(rows, before="", behind=""):
    """A workbook whose sheet has these rows, in XML."""
    sheet = (
        f'{before}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="A1"/><sheetData>{rows}</sheetData>{behind}</worksheet>'
    )
    return packed({**_PARTS, _WHERE: sheet})


def packed(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def book(*rows, sheets=(), form=None, **options):
    """A workbook as the library that writes ours makes it."""
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out, {"in_memory": True, **options})
    style = made.add_format(form) if form else None
    for lines in (rows, *sheets):
        sheet = made.add_worksheet()
        for at, row in enumerate(lines):
            for column, value in enumerate(row):
                sheet.write(at, column, value, style)
    made.close()
    return out.getvalue()


def test_a_table_is_the_same_from_everywhere():
    rows = [["工号", "班组"], ["P001", "保洁一班"], ["P002", "𠮷林㐀"]]
    said = [(2, rows[1]), (3, rows[2])]
    text = "".join(",".join(row) + "\r\n" for row in rows)
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        assert table(text.encode(encoding), COLUMNS) == said
    assert table(book(*rows), COLUMNS) == said
    assert table(book(HEADS, *rows[1:]), COLUMNS) == said


def test_blank_lines_keep_the_number_of_the_others():
    assert table(b"person_no,team\n\n , \nP1,a\n", COLUMNS) == [(4, ["P1", "a"])]
    assert table(book(HEADS, [], ["", ""], ["P1", "a"]), COLUMNS) == [(4, ["P1", "a"])]
    assert table(book(HEADS, ["P1"]), COLUMNS) == [(2, ["P1", ""])]


def test_what_a_sheet_says_of_its_size_is_not_believed():
    rows = f'<row r="1">{cell("A1", "person_no")}{cell("B1", "team")}</row>'
    rows += f'<row r="3">{cell("A3", "P1")}{cell("B3", "a")}</row>'
    assert table(by_hand(rows), COLUMNS) == [(3, ["P1", "a"])]


def test_numbers_and_days_are_what_everybody_sees():
    day, moment = datetime(2026, 12, 1), datetime(2026, 12, 1, 8, 30)  # noqa: DTZ001
    rows = [["x"], [20001], [12.5], [0.1 + 0.2]]
    assert [cells for _number, cells in read(book(*rows))] == [["x"], ["20001"], ["12.5"], ["0.3"]]
    days = book([day], [moment], [date(2027, 1, 1)], form={"num_format": "yyyy-mm-dd hh:mm"})
    assert [cells[0] for _number, cells in read(days)] == [
        "2026-12-01",
        "2026-12-01 08:30",
        "2027-01-01",
    ]
    assert list(read(book([7], form={"num_format": "00000"}))) == [(1, ["00007"])]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (book(HEADS, ["P1", "=1+1"]), "B2 is a formula"),
        (b"person_no,team\nP1,=1+1\n", "B2 is a formula"),
        (book(HEADS, [True, "a"]), "A2 is neither text nor a number"),
        (book(HEADS, [430102199001011234, "a"]), "A2 is a number of more than 15 digits"),
        (book(HEADS, [1e-9, "a"]), "A2 is too small a number"),
        (book(HEADS, ["P1", "a"], sheets=[[["b"]]]), "2 sheets have something in them"),
        (book(HEADS, ["P1", "a\nb"]), "B2 has a control character in it (U+000A)"),
        (book(HEADS, ["P1", "a\u200bb"]), "B2 has an invisible character in it (U+200B)"),
        (book(HEADS, ["P1", "\ue000"]), "B2 has a character that only one machine's font knows"),
        ("person_no,team\nP1,\ufffd\n".encode(), "B2 has a character that was lost"),
        (b"person_no,team\nP1,a,b\n", "line 2 has not 2 cells"),
        (b"person_no,team\nP1\n", "line 2 has not 2 cells"),
        (b'person_no,team\nP1,"a\n', "line 2 is no CSV"),
        (b"team,person_no\n", "the first line is not person_no,team"),
        (b"", "the first line is not person_no,team"),
        (book(), "the first line is not person_no,team"),
        (b"\n" + b"person_no,team\n", "the first line is not person_no,team"),
        ("工号".encode("utf-16"), "UTF-16"),
        (b"a\0b", "neither an xlsx nor a CSV"),
        (b"person_no,team\nP1,\xff\n", "line 2: neither UTF-8 nor GB18030"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "an old xls"),
        (b"PK\x03\x04" + bytes(99), "a broken xlsx"),
        (bytes(spreadsheet.BYTES_MAX + 1), "longer than"),
        (b"a," * spreadsheet.COLUMNS_MAX + b"a\n", "more than 64 cells"),
        (b"a" * 1_025 + b"\n", "A1 is longer than 1024 characters"),
    ],
)
def test_what_cannot_be_sure_is_refused_and_named(data, said):
    with pytest.raises(SpreadsheetRefused) as refused:
        table(data, COLUMNS)
    assert said in str(refused.value)


def test_merged_cells_are_refused_by_their_place():
    out = io.BytesIO()
    made = xlsxwriter.Workbook(out, {"in_memory": True})
    made.add_worksheet().merge_range("A2:B3", "P1")
    made.close()
    with pytest.raises(SpreadsheetRefused, match="A2:B3 is a merged cell"):
        table(out.getvalue(), COLUMNS)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (f'<row r="2">{cell("A2", "x")}</row><row r="1"/>', "line 1 stands behind line 2"),
        (f'<row r="1">{cell("B1", "x")}{cell("A1", "y")}</row>', "not in their order"),
        (f'<row r="1">{cell("A2", "x")}</row>', "a cell of line 1 says that it is elsewhere"),
        (f'<row r="1">{cell("XFD1", "x")}</row>', "line 1 has more than 64 cells"),
        ('<row r="1048576"/>', "more than 50000 lines"),
        ('<row r="1"><c r="A1" t="s"><v>9</v></c></row>', "a broken xlsx: IndexError"),
        ('<row r="1"><c r="A1"><v>many</v></c></row>', "a broken xlsx: ValueError"),
        ('<row r="1"><c r="A1" t="e"><v>#REF!</v></c></row>', "A1 is neither text"),
        ("<a>" * 70 + "</a>" * 70, "deeper"),
    ],
)
def test_sheets_made_to_be_misread_are_refused(rows, said):
    """The library would leave these out without a word, or fill memory with what is not there."""
    with pytest.raises(SpreadsheetRefused) as refused:
        table(by_hand(rows), COLUMNS)
    assert said in str(refused.value)


def test_entities_are_refused_before_one_is_resolved():
    bomb = '<!DOCTYPE z [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(SpreadsheetRefused, match="document type"):
        table(by_hand(f'<row r="1">{cell("A1", "&b;")}</row>', before=bomb), COLUMNS)


def test_zip_bombs_are_refused_unopened():
    zeros = packed({**_PARTS, "bomb.bin": bytes(spreadsheet.UNPACKED_BYTES_MAX)})
    assert len(zeros) < 100_000
    many = packed({f"{number}.xml": "<a/>" for number in range(257)})
    for data, said in ((zeros, "unpacks to more"), (many, "more than 256 parts")):
        began_s = time.monotonic()
        with pytest.raises(SpreadsheetRefused, match=said):
            table(data, COLUMNS)
        assert time.monotonic() - began_s < 1
    # What is small in XML too, and large once a library has made objects of it.
    styles = packed({**_PARTS, "xl/styles.xml": f"<s>{'<xf/>' * 100_000}</s>"})
    cells = by_hand(f"<row>{'<c/>' * 64}</row>" * 7_813)
    for data, said in ((styles, "has more in it"), (cells, "more than 500000 cells")):
        assert len(data) < 30_000
        with pytest.raises(SpreadsheetRefused, match=said):
            table(data, COLUMNS)
    # One that lies about its size ends where it says, and its check sum is wrong.
    data = bytearray(packed({"a.xml": "<a>" + " " * 9_000_000 + "</a>"}))
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(magic) + at, 7)
    with pytest.raises(SpreadsheetRefused, match="broken"):
        table(bytes(data), COLUMNS)


def test_a_zip_with_a_password_is_refused():
    data = bytearray(packed({"a.xml": "<a/>"}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + at] |= 1
    with pytest.raises(SpreadsheetRefused, match="password"):
        table(bytes(data), COLUMNS)


def test_the_eight_characters_of_gb18030_2022():
    """Their bytes are those of the standard; the codec's answer is that of 2005."""
    pairs = bytes.fromhex("FE59 FE61 FE66 FE67 FE6D FE7E FE90 FEA0")
    (line,) = read("㐀,".encode("gb18030") + pairs + b"\n")
    assert line == (1, ["㐀", "".join(map(chr, range(0x9FB4, 0x9FBC)))])


def test_what_may_be_either_encoding_is_refused():
    text = "模"
    assert text.encode("gb18030").decode("utf-8") == "\u0123"
    with pytest.raises(SpreadsheetRefused, match="may be UTF-8 or GB18030"):
        list(read(text.encode("gb18030")))
    assert list(read("模板".encode())) == [(1, ["模板"])]
    assert list(read("\ufeff\u0123".encode())) == [(1, ["\u0123"])]


def test_fifty_thousand_lines_and_not_one_more():
    for count in (spreadsheet.ROWS_MAX, spreadsheet.ROWS_MAX + 1):
        text = "person_no,team\n" + "".join(f"P{number},保洁\n" for number in range(count))
        rows = '<row><c t="str"><v>person_no</v></c><c t="str"><v>team</v></c></row>'
        rows += '<row><c><v>1</v></c><c t="str"><v>a</v></c></row>' * count
        for data in (text.encode("gb18030"), by_hand(rows)):
            if count > spreadsheet.ROWS_MAX:
                with pytest.raises(SpreadsheetRefused, match="more than 50000 lines"):
                    table(data, COLUMNS)
            else:
                assert len(table(data, COLUMNS)) == count


def test_broken_files_are_refused_and_nothing_else_happens():
    print("seed", SEED)
    draw = random.Random(SEED)
    sound = book(HEADS, ["P1", "保洁"], ["P2", 7])
    read_anyway = 0
    for _ in range(150):
        data = bytearray(sound)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(4, len(data))] = draw.randrange(256)
        if draw.random() < 0.2:
            del data[draw.randrange(5, len(data)) :]
        try:
            table(bytes(data), COLUMNS)
            read_anyway += 1
        except SpreadsheetRefused:
            pass
    assert read_anyway < 150
