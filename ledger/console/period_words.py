"""The words of settlement in the console (periods.py, period_report.py, payments.py)."""

from ledger import period_reasons as why
from ledger.console.refusals import Words
from ledger.console.texts import Texts
from ledger.payments import reasons as payment_reasons
from ledger.periods import STEPS

STEPS_EN = {
    "audit": "audit by General Affairs",
    "head": "signature of its head",
    "leader": "signature of the leader over it",
    "centre": "audit by the card centre",
}
_ZH = {
    why.NOT_QUIET: (
        "期末以前的消费可能还没有到齐，也没有人决定带着它结账",
        "先让名单上的终端联网；确实来不了的，由财务复核逐项决定并写明原因。",
        "Get the named readers online; what cannot come, a treasurer decides about by name.",
    ),
    why.WRONG_SPAN: (
        "期间的名称或止日不对：名称不能重复，止日要在上期之后、今天以前",
        "请核对上期止日和名称。",
        "Look at where the one before ends, and at its name.",
    ),
    why.NOT_ENDED: (
        "上一期还没有批完，也没有退回",
        "先办完上一期的审批。",
        "Have the one before approved or refused first.",
    ),
    why.WRONG_STEP: (
        "还没有轮到这一步：四步按顺序来",
        "看页面上“下一步”是谁。",
        "The page says whose step is next.",
    ),
    why.SAME_PERSON: (
        "这一步要由另一个人办理",
        "请没有办过本期其他步骤的同事登录后办理。",
        "Somebody who has done no other step of it has to do it.",
    ),
    why.OTHER_REPORT: (
        "看到的报告与账簿里的不是同一份",
        "请重新打开报告再看一遍；仍然如此请告诉图书信息中心。",
        "Open the report again; if it stays so, tell the information centre.",
    ),
    why.ENDED: ("这份报告已经批完或退回", "看报告上的签字栏。", "See its signatures."),
    why.NOT_WITH_BANK: (
        "这笔付款不在银行那里，或名称已用过",
        "请核对付款号和文件名。",
        "Check the payment's number and the file's name.",
    ),
    why.NO_ACCOUNT: (
        "账号、商户号或佣金率不对",
        "请核对后重填。没有任何改动。",
        "Check it and fill it in again. Nothing was changed.",
    ),
    payment_reasons.WAITS: (
        "账簿是从备份恢复的，银行手里有什么还不清楚，暂不出付款文件",
        "请图书信息中心看 onecard ledger payments waiting。",
        "The information centre looks at onecard ledger payments waiting.",
    ),
    payment_reasons.NOT_NOTED: (
        "这笔付款是账簿恢复以前的，要先按银行清单补记",
        "请图书信息中心看 onecard ledger payments waiting。",
        "The information centre looks at onecard ledger payments waiting.",
    ),
}
_EN = why.TEXTS | payment_reasons.TEXTS
REASONS = {
    number: Words((zh, _EN[number]), (do_zh, do_en)) for number, (zh, do_zh, do_en) in _ZH.items()
}
TEXTS: Texts = {
    "period_waits": ("份结算报告等您审批", "settlement reports wait for your approval"),
    "sign_period": ("商户结算报告", "settlement report of merchants"),
    "period": ("期间", "Period"),
    "period_from": ("起", "From"),
    "period_until": ("止（不含）", "Until (not in it)"),
    "period_by": ("结账人", "Closed by"),
    "period_due": ("应付合计（元）", "Due in all (yuan)"),
    "period_state": ("进度", "How far"),
    "period_approved": ("已批完", "Approved"),
    "period_refused": ("已退回", "Refused"),
    "period_next": ("等", "Waits for"),
    "period_all": ("从头", "the beginning"),
    "period_new": ("结新的一期", "Close a new one"),
    "period_name": ("名称，如 2026-11", "Name, such as 2026-11"),
    "period_last_day": ("最后一天", "Its last day"),
    "period_look": ("看什么挡着", "See what bars it"),
    "period_after": ("上一期止于", "The one before ends at"),
    "period_free": ("没有什么挡着，可以结账。", "Nothing bars it: it can be closed."),
    "period_barred": ("挡着结账的", "What bars it"),
    "period_decided": ("已有人决定带着它结账", "Somebody has decided to close with it open"),
    "period_decide": ("带着打勾的结账", "Close with those that are ticked open"),
    "period_close": ("结账", "Close it"),
    "period_close_says": (
        "结账后本期不再变，钱还不动；四人批完才动。",
        "It changes no more once closed; money moves with the fourth approval.",
    ),
    "period_because": ("理由", "Why"),
    "period_undecided": ("结果未明的消费", "Sales without an outcome"),
    "period_merchants": ("商户", "Merchants"),
    "period_sales": ("销售", "Sales"),
    "period_cancelled": ("撤销", "Cancelled"),
    "period_other": ("其他", "Other"),
    "period_late": ("其中以前期间", "Of it late"),
    "period_brought": ("上期转入", "Brought on"),
    "period_commission": ("佣金", "Commission"),
    "period_pays": ("应付", "Due"),
    "period_count": ("笔数", "Count"),
    "period_total": ("应付合计", "Due in all"),
    "period_words": ("大写", "In words"),
    "period_open": ("带着结账的", "Closed with these open"),
    "period_signatures": ("审批", "Approvals"),
    "period_step": ("步骤", "Step"),
    "period_who": ("签字人", "By"),
    "period_when": ("时间", "At"),
    "period_hash": ("报告摘要", "Hash of the report"),
    "period_approve": ("同意这份报告", "Approve this report"),
    "period_refuse": ("退回这份报告", "Refuse this report"),
    "period_refuse_says": (
        "退回后本期不付款，全部转入下期。",
        "Refused, nothing is paid; all of it goes on to the next period.",
    ),
    "period_xlsx": ("下载结算单（Excel）", "Sheet (Excel)"),
    "period_print": ("打印结算单", "Sheet to print"),
    "period_paper": ("按 Ctrl+P 打印", "Ctrl+P prints it"),
    "period_sign_here": ("签字", "Signed"),
    "yuan_words": ("人民币（大写）", "In words"),
    "of_merchant": ("商户", "Merchant"),
    "done_decided": ("已记下这个决定", "The decision is noted"),
    "done_closed": ("已结账，等四人审批", "Closed; four approvals follow"),
    "done_approved": ("已同意", "Approved"),
    "done_refused": ("已退回", "Refused"),
    **{f"step_{step}": (zh, STEPS_EN[step]) for step, zh in STEPS.items()},
}
