"""Paying merchants: what no bank has, the file for the bank, and what the bank says of it (R7.1).

An account at a bank stands in the file and nowhere else: no page shows more of it than its end.
"""

from collections.abc import Callable
from typing import Any

from adapters import spreadsheet
from adapters.spreadsheet import SpreadsheetRefused
from ledger.console import exports, typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.payments.bank import RESULTS, Payment
from ledger.payments.kinds import REMITTANCE, Kind
from ledger.period_sheet import Fen

UNREADABLE = 790
PEOPLE = "people"
REASONS = {
    UNREADABLE: Words(
        ("这个文件读不懂", "this file cannot be read"),
        (
            "按提示改正那一行再传。一行也没有导入。",
            "Put that line right and send it again. No line was taken.",
        ),
        422,
    )
}
FILE_HEADS = ("付款号", "账号", "户名", "金额", "用途")
_RESULT_COLUMNS = {"payment": "付款号", "result": "结果", "because": "原因"}
_SHOWN = 200
Result = tuple[int, str, str]  # number of a payment, result, because
_WITH_BANK = f"""
SELECT t.file, t.number, d.owner, d.purpose, d.amount_fen FROM {{tries}} t
JOIN {{dues}} d ON d.number = t.{{due}} LEFT JOIN {{results}} r ON r.number = t.number
WHERE r.number IS NULL ORDER BY t.number LIMIT {_SHOWN}"""


def show(asked: Asked) -> Shown:
    """What waits for a file, and what waits for the bank."""
    with asked.store.database.reading():
        unpaid = asked.store.periods.payments.unpaid()
        context = {
            "unpaid": unpaid,
            "payable_fen": sum(one.amount_fen for one in unpaid if one.account),
            **at_bank(asked, REMITTANCE),
        }
    return Shown("payments.html", context)


def make_file(asked: Asked) -> Download:
    """The file of this name, as a download; again, it is the same payments."""
    file = typed.text(asked, "file")
    made = asked.store.periods.payments.make_file(file, asked.person, asked.now_s)
    return file_of(asked, "payments", made)


def note(asked: Asked) -> str:
    """What the bank says: of one payment, or a file of them; all of it or nothing."""
    return noted(asked, asked.store.periods.payments.note_results, "/payments")


def at_bank(asked: Asked, kind: Kind) -> dict[str, Any]:
    """Of a page of payments of `kind`: which are with the bank, and what it may say of them."""
    rows = asked.store.database.rows(kind.sql(_WITH_BANK))
    return {"with_bank": list(rows), "results": RESULTS}


def noted(asked: Asked, note_results: Callable[[list[Result], str, int], int], path: str) -> str:
    """Where to go when what the bank says is noted."""
    news = note_results(results_of(asked), asked.person, asked.now_s)
    return f"{path}?done={'noted' if news else 'noted_before'}"


def file_of(asked: Asked, name: str, made: list[Payment]) -> Download:
    """The payments of a file: for the bank's program, or where it was asked for, for people."""
    rows = [line_of(one) for one in made]
    if asked.fields.get("for") == PEOPLE:
        return exports.xlsx(name, [(name, FILE_HEADS, rows)], asked.now_s)
    return exports.for_bank(name, FILE_HEADS, rows)


def line_of(one: Payment) -> tuple[int, str, str, Fen, str]:
    """A line of a file for the bank, under FILE_HEADS."""
    return one.number, one.account_no, one.name, Fen(one.amount_fen), one.purpose


def results_of(asked: Asked) -> list[Result]:
    """Those of the file that was sent, or of the one that was typed."""
    sent = asked.files.get("results")
    return _read(sent.data) if sent and sent.data else [_typed(asked)]


def _typed(asked: Asked) -> Result:
    result = typed.text(asked, "result")
    if result not in RESULTS:
        raise Refused(BAD_FIELDS, "result")
    return typed.number(asked, "payment"), result, typed.text(asked, "because")


def _read(data: bytes) -> list[Result]:
    try:
        rows = spreadsheet.table(data, _RESULT_COLUMNS)
    except SpreadsheetRefused as error:
        raise Refused(UNREADABLE, str(error)) from None
    found = []
    for number, (payment, result, because) in rows:
        word = _WORDS.get(result, result)
        if not (payment.isascii() and payment.isdigit() and len(payment) < 14):
            raise Refused(UNREADABLE, f"line {number}: no number of a payment")
        if word not in RESULTS:
            raise Refused(UNREADABLE, f"line {number}: not {' or '.join(RESULTS)}")
        found.append((int(payment), word, because))
    if not found:
        raise Refused(UNREADABLE, "no lines")
    return found


_WORDS = {"成功": "paid", "失败": "failed", "退回": "returned"}
PAGES = (
    Page(
        "/payments",
        ("付款与回单", "Payments"),
        show,
        verbs=("period.file", "period.results"),
        menu="menu_money",
    ),
    Page(
        "/payments/file",
        ("付款文件", "File for the bank"),
        show,
        verbs=("period.file",),
        do=make_file,
        is_once=False,  # a file is made once by its name
    ),
    Page(
        "/payments/results",
        ("银行回单", "What the bank says"),
        show,
        verbs=("period.results",),
        do=note,
        takes_files=True,
    ),
)
TEXTS: Texts = {
    "pay_unpaid": ("批完未付", "Approved, and no bank has it"),
    "pay_purpose": ("用途", "What for"),
    "pay_amount": ("金额（元）", "Amount (yuan)"),
    "pay_account": ("账号", "Account"),
    "pay_has_account": ("已登记", "registered"),
    "pay_no_account": (
        "没有可用的账号：在商户页登记",
        "none that was not tried: register one on the merchant's page",
    ),
    "pay_payable": ("可以付", "Can be paid"),
    "pay_file_name": ("文件名，如 2026-11", "Name of the file, such as 2026-11"),
    "pay_make": ("生成付款文件并下载（CSV，交银行）", "Make the file for the bank (CSV)"),
    "pay_sheet": ("同一批付款的表格（xlsx，给人看）", "The same payments as a sheet (xlsx)"),
    "pay_not_excel": (
        "交银行的 CSV 请原样上传，不要用 Excel 打开后保存：账号会变样。",
        "Send the CSV as it is; Excel would round its account numbers. To look, take the sheet.",
    ),
    "pay_again": (
        "同一个名称再做一次，得到的是同一批付款，不会多付。",
        "The same name again gives the same payments; nothing is paid twice.",
    ),
    "pay_with_bank": ("在银行、还没有回单", "With the bank, and no answer yet"),
    "pay_number": ("付款号", "Payment"),
    "pay_file": ("文件", "File"),
    "pay_results": ("登记银行回单", "Note what the bank says"),
    "pay_upload": (
        "回单文件（列：付款号、结果、原因）",
        "File (columns: payment, result, because)",
    ),
    "pay_or_one": ("或者登记一笔", "Or of one payment"),
    "pay_result": ("结果", "Result"),
    "pay_paid": ("成功", "paid"),
    "pay_failed": ("失败", "failed"),
    "pay_returned": ("退回", "returned"),
    "pay_because": ("原因（可不填）", "Why (may be empty)"),
    "pay_note": ("登记", "Note it"),
    "done_noted": ("已登记", "Noted"),
    "done_noted_before": ("这些以前已经登记过", "All of it was noted before"),
}
