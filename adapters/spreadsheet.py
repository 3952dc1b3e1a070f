"""A table from a stranger's file, as lines of text: xlsx, or CSV in UTF-8 or GB18030.

Rules of this file. Everything has a limit, and it is kept before anything is unpacked or built. A
cell is what its text says; where a program may show another thing than what stands there (a
formula, a merged cell, a number that was rounded, a character that only one machine's font knows)
the file is refused, and the error names the cell, never what stands in it. Nothing is left out
without a word: one sheet, its rows and columns in their order.
"""

import csv
import io
import math
import re
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from typing import Any
from xml.parsers import expat

BYTES_MAX = 16 << 20
UNPACKED_BYTES_MAX = 64 << 20
PARTS_MAX = 256
ROWS_MAX = 50_000  # behind the header
COLUMNS_MAX = 64
CELL_CHARS_MAX = 1_024
# Of all parts together: each becomes an object of some kilobytes, or takes some microseconds.
_CELLS_MAX, _TABLE_ELEMENTS_MAX, _OTHER_ELEMENTS_MAX = 500_000, 2_000_000, 100_000
_DEPTH_MAX = 64
_READ_BYTES = 1 << 16
_EXACT_BELOW = 10**15  # spreadsheet programs keep 15 digits of a number
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TABLES = (f"{_SHEET} worksheet", f"{_SHEET} sst")
_PLACE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Control, format, surrogate and private characters, and what stands for one that was lost.
_REFUSED_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half a character",
    "Co": "a character that only one machine's font knows",
    "Zl": "a line break",
    "Zp": "a line break",
}
_LOST = "\ufffd"
# GB18030-2022 gives these eight Han characters their places in Unicode; Python's codec, as that of
# 2005, has them in the private use area.
_OF_2022 = {
    0xE81E: 0x9FB4,
    0xE826: 0x9FB5,
    0xE82B: 0x9FB6,
    0xE82C: 0x9FB7,
    0xE832: 0x9FB8,
    0xE843: 0x9FB9,
    0xE854: 0x9FBA,
    0xE864: 0x9FBB,
}
# What openpyxl and zipfile raise for files that are broken, or were made to be.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

Line = tuple[int, list[str]]


class SpreadsheetRefused(Exception):
    """A file that is not taken; nothing of it was read, and the text says which cell, and why."""


def table(data: bytes, columns: Mapping[str, str]) -> list[Line]:
    """(number, cells) of each line behind the header that has anything in it.

    `columns`: the names in the first line, in order, and what each is called in Chinese; either
    is taken. A cell is stripped text. Raises SpreadsheetRefused.
    """
    lines = read(data)
    number, heads = next(lines, (0, []))
    names = list(columns.items())
    if (
        number != 1
        or len(heads) != len(names)
        or any(head not in name for head, name in zip(heads, names, strict=True))
    ):
        raise SpreadsheetRefused(f"the first line is not {','.join(columns)}")
    found = list(lines)
    for number, cells in found:
        if len(cells) != len(names):
            raise SpreadsheetRefused(f"line {number} has not {len(names)} cells")
    return found


def read(data: bytes) -> Iterator[Line]:
    """(number from 1, stripped cells) of each line with anything in it; SpreadsheetRefused.

    Of an xlsx a line has as many cells as the first one at least: empty ones are not in the file.
    """
    if len(data) > BYTES_MAX:
        raise SpreadsheetRefused(f"longer than {BYTES_MAX} bytes")
    if data.startswith(_OLE):
        raise SpreadsheetRefused("an old xls, or one with a password: save it as xlsx without one")
    if data.startswith(_ZIP):
        return iter(_of_workbook(data))
    return _of_csv(data)


# --- CSV -----------------------------------------------------------------------------------------


def _of_csv(data: bytes) -> Iterator[Line]:
    rows = csv.reader(io.StringIO(_decoded(data), newline=""), strict=True)
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            _check_size(number, len(row))
            cells = [_checked(_name(number, at), cell) for at, cell in enumerate(row, 1)]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise SpreadsheetRefused(f"line {number + 1} is no CSV: {error}") from None


def _decoded(data: bytes) -> str:
    """UTF-8 if it is that, else GB18030; what may well be either is refused."""
    if data.startswith(_UTF_16):
        raise SpreadsheetRefused("UTF-16: save it as CSV in UTF-8")
    if b"\0" in data:
        raise SpreadsheetRefused("neither an xlsx nor a CSV")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _of_gb18030(data)
    highest = max(text, default="")
    if data.startswith(b"\xef\xbb\xbf") or highest < "\x80" or highest > "\u07ff":
        return text
    # Pairs of bytes only: Han characters are never that in UTF-8, and some are in GB18030.
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return text
    raise SpreadsheetRefused("it may be UTF-8 or GB18030: save it as CSV in UTF-8 with its mark")


def _of_gb18030(data: bytes) -> str:
    try:
        return data.decode("gb18030").translate(_OF_2022)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpreadsheetRefused(f"line {line}: neither UTF-8 nor GB18030") from None


# --- xlsx ----------------------------------------------------------------------------------------


def _of_workbook(data: bytes) -> list[Line]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_parts(archive)
        sheets = list(_sheets(data))
    except _BROKEN as error:
        raise SpreadsheetRefused(f"a broken xlsx: {type(error).__name__}") from None
    filled = [lines for lines in sheets if lines]
    if len(filled) > 1:
        raise SpreadsheetRefused(f"{len(filled)} sheets have something in them: leave one")
    lines = filled[0] if filled else []
    width = len(lines[0][1]) if lines else 0
    return [(number, cells + [""] * (width - len(cells))) for number, cells in lines]


def _sheets(data: bytes) -> Iterator[list[Line]]:
    # Whoever reads no xlsx does not wait for its library.
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what it does not show us: styles, pictures
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file says anything there
            yield list(_lines(sheet.iter_rows()))


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[Line]:
    for number, row in enumerate(rows, 1):
        cells = [_text(_name(number, at), cell) for at, cell in enumerate(row, 1)]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _text(name: str, cell: Any) -> str:
    """What a cell of openpyxl says, as text."""
    value, kind = cell.value, cell.data_type
    if value is None:
        return ""
    if kind == "f":
        raise SpreadsheetRefused(f"{name} is a formula: put in what it comes to")
    if kind == "e" or isinstance(value, bool):
        raise SpreadsheetRefused(f"{name} is neither text nor a number nor a day")
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(" ", "minutes")
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, (int, float)):
        return _number_text(name, value, str(cell.number_format))
    if not isinstance(value, str):
        raise SpreadsheetRefused(f"{name} is neither text nor a number nor a day")
    return _checked(name, value)


def _number_text(name: str, value: int | float, shown_as: str) -> str:
    if not math.isfinite(value) or abs(value) >= _EXACT_BELOW:
        raise SpreadsheetRefused(
            f"{name} is a number of more than 15 digits, which was rounded: enter it as text"
        )
    if value == int(value):
        digits = str(int(value))
        # "00000": the leading zeros that everybody sees.
        return digits.zfill(len(shown_as)) if set(shown_as) == {"0"} else digits
    text = format(value, ".15g")
    if "e" in text:
        raise SpreadsheetRefused(f"{name} is too small a number")
    return text


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Refuse a zip that unpacks to too much, and XML that is not a plain sheet of ours."""
    parts = archive.infolist()
    if len(parts) > PARTS_MAX or len({part.filename for part in parts}) < len(parts):
        raise SpreadsheetRefused(f"a zip of more than {PARTS_MAX} parts, or of two of one name")
    if sum(part.file_size for part in parts) > UNPACKED_BYTES_MAX:
        raise SpreadsheetRefused(f"it unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    watch = _Watch()
    for part in parts:
        if part.flag_bits & 1 or part.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise SpreadsheetRefused("a zip with a password, or packed as no xlsx is")
        # openpyxl goes by links, so a name proves nothing: all of it is looked at.
        try:
            with archive.open(part) as source:
                watch.look(source)
        except expat.ExpatError:
            if part.filename.endswith((".xml", ".rels")):
                raise SpreadsheetRefused("a broken xlsx: ExpatError") from None


class _Watch:
    """Goes through the parts of a file before anything is built of them."""

    def __init__(self) -> None:
        self._cells = self._depth = self._row = self._column = 0
        self._elements = {True: 0, False: 0}  # of tables, and of everything else
        self._is_table = False
        self._of = {
            f"{_SHEET} row": self._in_row,
            f"{_SHEET} c": self._in_cell,
            f"{_SHEET} mergeCell": self._merged,
        }

    def look(self, source: Any) -> None:
        """All of a part. Raises SpreadsheetRefused, ExpatError, and what zipfile does."""
        self._depth = self._row = self._column = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        while chunk := source.read(_READ_BYTES):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)

    def _doctype(self, *_names: Any) -> None:
        raise SpreadsheetRefused("its XML has a document type, as no xlsx has")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._depth:
            self._is_table = name in _TABLES
        self._depth += 1
        self._elements[self._is_table] += 1
        elements_max = _TABLE_ELEMENTS_MAX if self._is_table else _OTHER_ELEMENTS_MAX
        if self._depth > _DEPTH_MAX or self._elements[self._is_table] > elements_max:
            raise SpreadsheetRefused("its XML is deeper, or has more in it, than a table of ours")
        if name in self._of:
            self._of[name](attributes)

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _in_row(self, attributes: dict[str, str]) -> None:
        number = int(attributes.get("r", self._row + 1))
        if number <= self._row:
            raise SpreadsheetRefused(f"line {number} stands behind line {self._row}")
        self._row, self._column = number, 0
        _check_size(number, 0)

    def _in_cell(self, attributes: dict[str, str]) -> None:
        self._cells += 1
        if self._cells > _CELLS_MAX:
            raise SpreadsheetRefused(f"more than {_CELLS_MAX} cells")
        if not self._row:
            return  # none of a sheet: the list of formulas has elements of this name too
        column = self._column + 1
        if "r" in attributes:
            found = _PLACE.fullmatch(attributes["r"])
            if found is None or int(found[2]) != self._row:
                raise SpreadsheetRefused(f"a cell of line {self._row} says that it is elsewhere")
            column = _column(found[1])
        if column <= self._column:
            raise SpreadsheetRefused(f"the cells of line {self._row} are not in their order")
        self._column = column
        _check_size(self._row, column)

    def _merged(self, attributes: dict[str, str]) -> None:
        raise SpreadsheetRefused(f"{attributes.get('ref', '')[:16]} is a merged cell: split it")


# --- both ----------------------------------------------------------------------------------------


def _checked(name: str, text: str) -> str:
    text = text.strip()
    if len(text) > CELL_CHARS_MAX:
        raise SpreadsheetRefused(f"{name} is longer than {CELL_CHARS_MAX} characters")
    if text.startswith("="):
        raise SpreadsheetRefused(f"{name} is a formula: put in what it comes to")
    for character in text if not text.isascii() or not text.isprintable() else "":
        what = _REFUSED_CATEGORIES.get(unicodedata.category(character))
        if character == _LOST:
            what = "a character that was lost when it was saved"
        if what:
            raise SpreadsheetRefused(f"{name} has {what} in it (U+{ord(character):04X})")
    return text


def _check_size(row: int, column: int) -> None:
    if row > ROWS_MAX + 1:
        raise SpreadsheetRefused(f"more than {ROWS_MAX} lines behind the header")
    if column > COLUMNS_MAX:
        raise SpreadsheetRefused(f"line {row} has more than {COLUMNS_MAX} cells")


def _name(row: int, column: int) -> str:
    """As spreadsheet programs name a cell: C5."""
    letters = ""
    while column:
        column, at = divmod(column - 1, 26)
        letters = chr(ord("A") + at) + letters
    return f"{letters}{row}"


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
