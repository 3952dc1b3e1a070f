"""The statement of a payment channel as a CSV file: every line is read, or none.

The columns `channel`, `order_no`, `merchant_no`, `amount` (yuan) and `time` (ISO 8601 with its
zone) are found by the names in the first line, in any order. What else a channel tells, such as
who has paid, is not looked at and not kept.
"""

import csv
import io
import re
from datetime import datetime

from ledger.aggregate import StatementRefused
from ledger.aggregate_match import Line
from protocols.rules.money import parse_yuan

COLUMNS = ("channel", "order_no", "merchant_no", "amount", "time")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,15}")
_ORDER_NO = re.compile(r"[A-Za-z0-9_-]{1,64}")
_U32 = 0xFFFFFFFF


class _BadField(Exception):
    """Why a line cannot be read."""


def read(data: bytes) -> list[tuple[int, Line]]:
    """Each line of a statement (UTF-8) with its number in the file; raises StatementRefused.

    The number is that of the file's line on which the entry ends, as editors count them.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise StatementRefused([f"line {number}: not UTF-8"]) from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, Line]] = []
    faults: list[str] = []
    try:
        heads = next(rows, [])
        places = _places(heads)
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            try:
                if len(row) != len(heads):
                    raise _BadField(f"{len(row)} fields, and {len(heads)} columns")
                lines.append((rows.line_num, _line(*(row[place].strip() for place in places))))
            except _BadField as fault:
                faults.append(f"line {rows.line_num}: {fault}")
    except csv.Error as error:
        faults.append(f"line {rows.line_num}: {error}")
    if faults:
        raise StatementRefused(faults)
    return lines


def _places(heads: list[str]) -> list[int]:
    names = [head.strip() for head in heads]
    wrong = [name for name in COLUMNS if names.count(name) != 1]
    if wrong:
        raise StatementRefused([f"line 1: needs each column once: {', '.join(wrong)}"])
    return [names.index(name) for name in COLUMNS]


def _line(channel: str, order_no: str, merchant_no: str, amount: str, time: str) -> Line:
    if not _CHANNEL.fullmatch(channel):
        raise _BadField(f"'{channel}' is no channel: a-z, 0-9 and -, at most 16")
    if not _ORDER_NO.fullmatch(order_no):
        raise _BadField(f"'{order_no}' is no order number: letters, digits, - and _, at most 64")
    if not (merchant_no.isascii() and merchant_no.isdigit()) or int(merchant_no) > _U32:
        raise _BadField(f"'{merchant_no}' is no merchant's number")
    amount_fen = parse_yuan(amount)
    if not amount_fen:
        raise _BadField(f"'{amount}' is no amount such as 12.50; refunds are not imported")
    return Line(channel, order_no, int(merchant_no), amount_fen, _seconds(time))


def _seconds(time: str) -> int:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _BadField(f"'{time}' is no time with its zone, such as 2026-09-01T12:00:00+08:00")
    time_s = int(moment.timestamp())
    if not 0 <= time_s <= _U32:
        raise _BadField(f"'{time}' is no time of ours")
    return time_s
