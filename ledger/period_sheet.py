"""The settlement sheet of a period: a workbook, and a page to print and to sign.

Rules of this file. What stands in the report is printed, not worked out anew; beside it the days
of its time, as booked by now. A text from the books is written as a text, never as a formula, a
link or a number, and a page escapes it. Amounts are fen until they are a cell. The same books make
the same bytes.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import xlsxwriter
from jinja2 import Environment, PackageLoader
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from ledger.amount_words import in_words
from ledger.merchant_entries import days
from ledger.period_report import by_reader, late_lines
from ledger.periods import STEPS, Period
from ledger.quiescence import Bar
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan

TEXTS_ONLY = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_HEADS = (
    "商户号",
    "商户名称",
    "笔数",
    "销售额",
    "撤销额",
    "其他调整",
    "其中以前期间",
    "上期转入",
    "佣金率",
    "佣金",
    "应付金额",
    "应付金额（大写）",
)
_LATE_HEADS = ("商户号", "终端", "记录号", "金额", "记录时间")
_READER_HEADS = ("商户号", "终端", "笔数", "净额")
_DAY_HEADS = ("日期", "商户号", "笔数", "销售额", "撤销额", "其他调整", "净额")
_TRIAL_HEADS = ("账户类别", "借方", "贷方", "余额")
_OPEN_HEADS = ("终端", "记录号", "原因", "决定人", "理由")
_SIGNED_HEADS = ("步骤", "签字人", "时间")
# As the office calls kinds of accounts (ledger/chart.py), and what bars a period.
ACCOUNTS = {
    "holder": "持卡人",
    "merchant": "商户应付",
    "clearing": "银行存款",
    "suspense": "挂账",
    "fees": "手续费收入",
    "pending": "待圈存",
    "reserved": "付款码预留",
    "loss": "损失",
    "payout": "退款在途",
    "unclaimed": "无人认领",
    "device owner": "设备责任人",
    "remittance": "商户付款在途",
    "acquirer": "收单机构应收",
}
BARS = {
    Bar.NEVER_HEARD: "从未上报",
    Bar.SILENT: "期末后无记录",
    Bar.FORKED: "密钥重复使用",
    Bar.UNREADABLE: "记录不可读",
    Bar.NOT_BOOKED: "消费未入账",
}
_EPOCH = date(1970, 1, 1)
_ZONE_TEXT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Fen:
    """An amount in a cell."""

    fen: int

    def __str__(self) -> str:
        return format_yuan(self.fen)


Cell = str | int | Fen


@dataclass(frozen=True, slots=True)
class Sheet:
    """What both say: `tables` are (title, heads, rows); the first is that of the merchants.

    Both say that they were made at `closed_s`, when the period was closed.
    """

    title: str
    closed_s: int
    facts: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, Sequence[str], list[Sequence[Cell]]], ...]
    merchants: tuple[dict[str, Any], ...]
    total: Fen
    words: str


def read(store: LedgerStore, number: int, utc_offset_s: int) -> Sheet:
    """The sheet of a period; `store` has to be one state of the books. PeriodRefused."""
    period = store.periods.period(number)
    late = late_lines(store.database, number, period.from_s, period.until_s)
    every = days(store.database, period.from_s, period.until_s, utc_offset_s)
    told = by_reader(store.database, number)
    report = json.loads(period.report)
    zone = timedelta(seconds=utc_offset_s)
    merchants = [one for one in report["merchants"] if _has_any(one)]
    total = Fen(sum(max(one["due_fen"], 0) for one in merchants))
    rows_of_days: list[Sequence[Cell]] = [
        (
            (_EPOCH + timedelta(days=one.day)).isoformat(),
            one.merchant_no,
            one.count,
            Fen(one.sales_fen),
            Fen(one.cancelled_fen),
            Fen(one.other_fen),
            Fen(one.sales_fen - one.cancelled_fen + one.other_fen),
        )
        for one in every
    ]
    rows_of_readers: list[Sequence[Cell]] = [
        (merchant_no, str(device) if device else "更正", count, Fen(fen))
        for merchant_no, device, count, fen in told
    ]
    rows_late: list[Sequence[Cell]] = [
        (merchant_no, device, seq, Fen(fen), _time(time_s, zone) if time_s else "不明")
        for device, seq, _line, merchant_no, _kind, fen, time_s in late
    ]
    return Sheet(
        f"商户结算单 {period.name}",
        period.closed_s,
        tuple(_facts(period, zone)),
        (
            ("结算汇总", _HEADS, [_merchant_row(one) for one in merchants]),
            ("审批", _SIGNED_HEADS, list(_signed(period, zone))),
            ("未到终端", _OPEN_HEADS, [_open_row(one) for one in report["open"]]),
            ("终端合计", _READER_HEADS, rows_of_readers),
            ("以前期间", _LATE_HEADS, rows_late),
            ("逐日（按记录时间，截至出表）", _DAY_HEADS, rows_of_days),
            ("试算平衡", _TRIAL_HEADS, list(_trial(report["trial_balance"]))),
        ),
        tuple(_named(one) for one in merchants),
        total,
        in_words(total.fen),
    )


def workbook(sheet: Sheet) -> bytes:
    """An xlsx file."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, TEXTS_ONLY)
    made = datetime.fromtimestamp(sheet.closed_s, UTC).replace(tzinfo=None)
    book.set_properties({"title": sheet.title, "created": made})
    money = book.add_format({"num_format": "#,##0.00"})
    head = book.add_format({"bold": True, "bottom": 1})
    for at, (title, heads, rows) in enumerate(sheet.tables):
        table = book.add_worksheet(title)
        table.set_landscape()
        table.set_paper(9)  # A4
        table.fit_to_pages(1, 0)
        table.set_column(0, len(heads) - 1, 16)
        line = 0
        if at == 0:
            total: Sequence[Cell] = ("应付合计", sheet.total, sheet.words)
            for texts in [(sheet.title,), *sheet.facts, total, ()]:
                write_row(table, line, texts, money)
                line += 1
            table.set_column(len(heads) - 1, len(heads) - 1, 48)
        table.write_row(line, 0, heads, head)
        for row in rows:
            line += 1
            write_row(table, line, row, money)
    book.close()
    return out.getvalue()


def page(sheet: Sheet) -> bytes:
    """An HTML page: all merchants on the first sheets of paper, then one for each."""
    environment = Environment(
        loader=PackageLoader("ledger", "pages"), autoescape=True, trim_blocks=True
    )
    steps = list(STEPS.values())
    return environment.get_template("settlement.html").render(sheet=sheet, steps=steps).encode()


def write_row(table: Worksheet, line: int, row: Sequence[Cell], money: Format) -> None:
    """A row of cells, each as what it is."""
    for column, cell in enumerate(row):
        if isinstance(cell, Fen):
            table.write_number(line, column, cell.fen / 100, money)
        elif isinstance(cell, int):
            table.write_number(line, column, cell)
        else:
            table.write_string(line, column, cell)


def _facts(period: Period, zone: timedelta) -> Iterator[tuple[str, str]]:
    first = _time(period.from_s, zone) if period.from_s else "开始"
    yield "期间", f"{first} 至 {_time(period.until_s, zone)}（不含）"
    yield "结算", f"{period.person}，{_time(period.closed_s, zone)}"
    yield "报告编号", f"{period.number}"
    yield "报告摘要 SHA-256", period.sha256.hex()


def _signed(period: Period, zone: timedelta) -> Iterator[Sequence[Cell]]:
    done = {step: (person, _time(time_s, zone)) for step, person, time_s in period.approvals}
    if period.refusal:
        step, person, because, time_s = period.refusal
        done[step] = f"{person} 退回：{because}", _time(time_s, zone)
    for step, text in enumerate(STEPS.values(), 1):
        yield text, *done.get(step, ("", ""))


def _merchant_row(one: dict[str, Any]) -> Sequence[Cell]:
    return (
        one["merchant_no"],
        one["name"],
        one["count"],
        Fen(one["sales_fen"]),
        Fen(one["cancelled_fen"]),
        Fen(one["other_fen"]),
        Fen(one["late_fen"]),
        Fen(one["brought_turnover_fen"] + one["brought_fen"]),
        f"{one['rate_bp'] // 100}.{one['rate_bp'] % 100:02}%",
        Fen(one["commission_fen"]),
        Fen(one["due_fen"]),
        in_words(one["due_fen"]),
    )


def _named(one: dict[str, Any]) -> dict[str, Any]:
    """A merchant's own sheet: what stands in its row, by its head."""
    row = _merchant_row(one)
    return {"no": row[0], "name": row[1], "cells": list(zip(_HEADS[2:], row[2:], strict=True))}


def _open_row(one: dict[str, Any]) -> Sequence[Cell]:
    what = str(one["seq"]) if one["seq"] else "全部"
    return one["device"], what, BARS[Bar(one["bar"])], one["person"], one["because"]


def _trial(balances: list[dict[str, Any]]) -> Iterator[Sequence[Cell]]:
    rows = [(ACCOUNTS[one["kind"]], one["debit_fen"], one["credit_fen"]) for one in balances]
    rows.append(("合计", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for kind, debit_fen, credit_fen in rows:
        yield kind, Fen(debit_fen), Fen(credit_fen), Fen(credit_fen - debit_fen)


def _has_any(one: dict[str, Any]) -> bool:
    names = ("count", "due_fen", "commission_fen", "brought_fen", "brought_turnover_fen")
    return any(one[name] for name in names)


def _time(time_s: int, zone: timedelta) -> str:
    return (datetime.fromtimestamp(time_s, UTC) + zone).strftime(_ZONE_TEXT)
