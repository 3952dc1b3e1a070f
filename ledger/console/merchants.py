"""Merchants: the list, one of them, the account it is paid to, its commission (R7.1, R16)."""

from ledger import chart
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import asked_for
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.console.texts import Texts
from ledger.dialect import Dialect
from ledger.payments.accounts import masked
from ledger.period_sheet import Fen
from ledger.retirement import IN_USE

_SHOWN = 100
_PATH = "/merchants/{merchant}"
WORKS_WITH = ("day.sign", "period.close", "period.centre", "period.head")
_FACTS = f"""
SELECT m.merchant_no, m.name, (SELECT COUNT(*) FROM device d
        WHERE d.merchant_no = m.merchant_no AND {IN_USE}),
    COALESCE((SELECT c.rate_bp FROM commission_rate c WHERE c.merchant_no = m.merchant_no
        ORDER BY c.number DESC LIMIT 1), 0),
    COALESCE((SELECT a.balance_fen FROM account a
        WHERE a.id = {chart.payable(0)} + m.merchant_no), 0),
    CASE WHEN EXISTS (SELECT 1 FROM merchant_account n WHERE n.merchant_no = m.merchant_no)
        THEN 1 ELSE 0 END
FROM merchant m"""
_LIST = f"{_FACTS} WHERE m.merchant_no > ? ORDER BY m.merchant_no LIMIT {_SHOWN + 1}"
_ONE = f"{_FACTS} WHERE m.merchant_no = ?"
_ALL = f"{_FACTS} ORDER BY m.merchant_no"
_READERS = f"""
SELECT d.device, d.site, d.head_seq, CASE WHEN {IN_USE} THEN 1 ELSE 0 END FROM device d
WHERE d.merchant_no = ? ORDER BY d.device LIMIT 500"""
_DOSSIERS = """
SELECT d.number, d.kind, d.reference, (SELECT s.state_after FROM dossier_step s
    WHERE s.dossier = d.number ORDER BY s.step DESC LIMIT 1)
FROM dossier d WHERE d.merchant_no = ? ORDER BY d.number DESC LIMIT 20"""
_ACCOUNT = """
SELECT account_no, name, person, time_s FROM merchant_account WHERE merchant_no = ?
ORDER BY number DESC LIMIT 1"""


def show(asked: Asked) -> Shown:
    """The merchants, by number."""
    behind = typed.in_query(asked, "after", -1)
    rows = list(asked.store.database.rows(_LIST, (behind,)))
    more = rows[_SHOWN - 1][0] if len(rows) > _SHOWN else None
    return Shown("merchants.html", {"merchants": rows[:_SHOWN], "more": more})


def show_file(asked: Asked) -> Download:
    """The same as a file, all of them."""
    heads = ("商户号", "商户名称", "在用终端", "佣金率", "应付余额", "收款账号")
    rows = [
        (str(no), name, readers, percent(rate_bp), Fen(fen), "已登记" if has else "")
        for no, name, readers, rate_bp, fen, has in asked.store.database.rows(_ALL)
    ]
    return asked_for(asked.query.get("as", ""), "merchants", ("商户", heads, rows), asked.now_s)


def show_one(asked: Asked) -> Shown:
    """A merchant, its readers and dossiers, and what may be said of it."""
    merchant_no = typed.in_path(asked, "merchant")
    database = asked.store.database
    with database.reading():
        facts = merchant(database, merchant_no)
        context = {
            "facts": facts,
            "rate": percent(facts[3]),
            "readers": list(database.rows(_READERS, (merchant_no,))),
            "dossiers": list(database.rows(_DOSSIERS, (merchant_no,))),
            "accounts": [
                (masked(no), name, person, time_s)
                for no, name, person, time_s in database.rows(_ACCOUNT, (merchant_no,))
            ],
            "today": asked.today(),
        }
    return Shown("merchant.html", context)


def change(asked: Asked) -> str:
    """Register its account at a bank, or set its commission."""
    merchant_no, act = typed.in_path(asked, "merchant"), asked.fields.get("act")
    if act == "account":
        account = typed.text(asked, "account_no").replace(" ", ""), typed.text(asked, "name")
        payments = asked.store.periods.payments
        payments.register(merchant_no, *account, asked.person, asked.now_s)
        return f"/merchants/{merchant_no}?done=account"
    if act == "rate":
        rate_bp = typed.fen(asked, "rate")  # 0.60 percent is 60 hundredths of one
        asked.store.periods.set_rate(merchant_no, rate_bp, asked.person, asked.now_s)
        return f"/merchants/{merchant_no}?done=rate"
    raise Refused(BAD_FIELDS, "act")


def merchant(database: Dialect, merchant_no: int) -> tuple:
    """(number, name, readers, rate_bp, payable fen, has an account); Refused: there is none."""
    for row in list(database.rows(_ONE, (merchant_no,))):
        return tuple(row)
    raise Refused(NOTHING_HERE)


def percent(rate_bp: int) -> str:
    """60 as 0.60%."""
    return f"{rate_bp // 100}.{rate_bp % 100:02}%"


PAGES = (
    Page(
        "/merchants",
        ("商户", "Merchants"),
        show,
        verbs=WORKS_WITH,
        menu="menu_devices",
        access_key="c",
    ),
    Page("/lists/merchants", ("商户清单", "List of merchants"), show_file, verbs=WORKS_WITH),
    Page(_PATH, ("商户", "Merchant"), show_one, verbs=WORKS_WITH, do=change),
)
TEXTS: Texts = {
    "mer_no": ("商户号", "Number"),
    "mer_name": ("名称", "Name"),
    "mer_readers": ("在用终端", "Readers in use"),
    "mer_rate": ("佣金率", "Commission"),
    "mer_payable": ("应付余额（元）", "Payable (yuan)"),
    "mer_account": ("收款账号", "Account"),
    "mer_new": ("新商户申请（附表二）", "A new merchant (annex 2)"),
    "mer_day": ("今天的日合计与签字", "Today's total, to sign"),
    "mer_site": ("地点", "Site"),
    "mer_heard": ("已收到记录", "Records heard"),
    "mer_ended": ("已停用", "Ended"),
    "mer_dossiers": ("手续与工单", "Applications and tickets"),
    "mer_register": ("登记收款账号", "Register an account"),
    "mer_account_no": ("账号", "Account number"),
    "mer_account_name": ("户名", "Its owner"),
    "mer_account_says": (
        "登记的人不能再做付款文件。",
        "Whoever registers it makes no file that pays to it.",
    ),
    "mer_account_set": ("登记", "Register it"),
    "mer_rate_new": ("佣金率（%），如 0.60", "Commission (%), such as 0.60"),
    "mer_rate_set": ("从下一期起用", "From the next period on"),
    "mer_registered_by": ("登记人", "Registered by"),
    "done_account": ("账号已登记", "The account is registered"),
    "done_rate": ("佣金率已改，从下一期起用", "The commission is set, from the next period on"),
}
