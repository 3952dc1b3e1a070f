"""Lists as files that open right in a Chinese Excel: xlsx, and CSV in UTF-8 with its mark.

Rules of this file. A text is written as a text. In CSV, where a program guesses, what would begin
a formula has an apostrophe before it (also in full width, which a Chinese Excel takes for the
same), and what it would make another thing of has a tab behind it: digits that would lose their
end or their leading zeros, 12E34, a date, a time of day, (5). A file for a bank is read by no
spreadsheet, and has none of that. An amount is a number in both. Amounts are fen until they are a
cell.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import xlsxwriter

from ledger.console.asked import Download
from ledger.period_sheet import TEXTS_ONLY, Cell, Fen, write_row

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_DIGITS_SURE = 11  # longer numbers are shown rounded
_GUESSES = (
    rf"\d{{{_DIGITS_SURE + 1},}}",
    r"0\d+",
    r"\d+(\.\d+)?[eE][-+]?\d+",
    r"\d{1,4}[-/]\d{1,2}([-/ ].*)?",
    r"(\d{4}年)?\d{1,2}月(\d{1,2}日)?",
    r"\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?",
    r"\(\d+(\.\d+)?\)",  # of a bookkeeper, less than nothing
)
_GUESSED = re.compile("|".join(_GUESSES), re.ASCII)

Table = tuple[str, Sequence[str], Iterable[Sequence[Cell]]]  # title, heads, rows


def xlsx(name: str, tables: Sequence[Table], made_s: int) -> Download:
    """A workbook with a sheet for each table."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, TEXTS_ONLY)
    book.set_properties({"created": datetime.fromtimestamp(made_s, UTC).replace(tzinfo=None)})
    money = book.add_format({"num_format": "#,##0.00"})
    bold = book.add_format({"bold": True, "bottom": 1})
    for title, heads, rows in tables:
        sheet = book.add_worksheet(title)
        sheet.set_column(0, len(heads) - 1, 16)
        sheet.freeze_panes(1, 0)
        for column, head in enumerate(heads):
            sheet.write_string(0, column, head, bold)
        for line, row in enumerate(rows, 1):
            write_row(sheet, line, row, money)
    book.close()
    return Download(f"{name}.xlsx", XLSX, out.getvalue())


def comma_separated(name: str, table: Table) -> Download:
    """One table as CSV."""
    _title, heads, rows = table
    return Download(f"{name}.csv", CSV, csv_of(heads, rows))


def csv_of(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """The bytes of a CSV file for people."""
    return _csv(heads, ([_guarded(cell) for cell in row] for row in rows))


def for_bank(name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Download:
    """CSV that a bank's program reads: every cell to the letter, with nothing before or behind.

    A spreadsheet would round its account numbers: who looks at them takes the workbook.
    """
    return Download(f"{name}.csv", CSV, _csv(heads, rows))


def _csv(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([str(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def asked_for(kind: str, name: str, table: Table, made_s: int) -> Download:
    """The table as a file of `kind`: "csv", else xlsx."""
    return comma_separated(name, table) if kind == "csv" else xlsx(name, [table], made_s)


def _guarded(cell: Cell) -> str:
    text = str(cell)
    if isinstance(cell, (int, Fen)):
        return text
    if text.startswith(_FORMULA):
        return f"'{text}"
    return f"{text}\t" if _GUESSED.fullmatch(text) else text
