"""The words of cases in the console (cases.py)."""

from ledger import reasons
from ledger.bearers import Bearer
from ledger.console.refusals import Words
from ledger.console.texts import Texts

REFUSED = 793
REASONS = {
    REFUSED: Words(
        ("这样不能处理这个差错", "a case cannot be settled like that"),
        (
            "请看提示；没有任何改动。",
            "See what the text says; nothing was changed.",
        ),
    )
}
BEARERS = {
    Bearer.HOLDER.value: ("持卡人", "the holder"),
    Bearer.MERCHANT.value: ("商户", "the merchant"),
    Bearer.CARD_CENTRE.value: ("一卡通中心", "the card centre"),
    Bearer.DEVICE_OWNER.value: ("设备责任部门", "the reader's department"),
}
_ZH = {
    reasons.FORK: "同一记录号有两条真记录",
    reasons.UNREADABLE: "记录真实但读不懂",
    reasons.LOST: "终端上已读不出的记录",
    reasons.FOUND: "说丢了又找到的记录",
    reasons.CONTRADICTION: "既说扣了又说没扣",
    reasons.UNKNOWN_CARD: "没有发过的卡",
    reasons.UNKNOWN_MERCHANT: "没有登记的商户",
    reasons.OTHER_MERCHANT: "不是这台终端的商户",
    reasons.BAD_ARITHMETIC: "余额与金额对不上",
    reasons.TRY_OF_MONEY: "试密码却扣了钱",
    reasons.UNKNOWN_CREDIT: "没有给过的圈存",
    reasons.CREDITED_TWICE: "一笔圈存上卡两次",
    reasons.SPENT_WHILE_LOST: "挂失以后的消费",
    reasons.LATE_SPEND: "挂失以前、结转以后才到的消费",
    reasons.LOADED_TOO_LATE: "钱已结转，圈存又上了旧卡",
    reasons.SPENT_BEFORE_ITS_END: "注销结算以后才到的消费",
    reasons.UNRESERVED_SALE: "没有预留的付款码消费",
    reasons.SETTLED_OTHERWISE: "人工处理与记录不同",
    reasons.CARD_FORKED: "疑似复制卡",
    reasons.TOO_FAST: "两地刷卡太快",
    reasons.ABOVE_LOAD: "卡上的钱多于充入的",
    reasons.IMBALANCE: "卡上余额与上一笔对不上",
    reasons.TOLD_AFTER_ITS_END: "终端停用以后才到的记录",
}
TEXTS: Texts = {
    **{f"case_{number}": (zh, reasons.TEXTS[number]) for number, zh in _ZH.items()},
    **{f"bearer_{name.replace(' ', '_')}": words for name, words in BEARERS.items()},
    "case_waits": ("项差错处理等您批准", "proposals for cases wait for your approval"),
    "case_what": ("情况", "What"),
    "case_record": ("终端 / 记录号", "Reader / record"),
    "case_proposed_by": ("已提议", "Proposed by"),
    "case_settled": ("已入账", "Settled"),
    "case_open": ("未结、有钱的差错", "Open cases with money"),
    "case_every": ("所有差错", "Every case"),
    "case_counts": ("按类别", "By kind"),
    "case_field": ("字段", "Field"),
    "case_own": ("差错记录", "Record of the case"),
    "case_pair": ("与它矛盾的记录", "The record it contradicts"),
    "case_booked": ("已入账的同号记录", "The record that is booked under its number"),
    "case_last": ("这张卡记住的上一笔", "The last one that its card named"),
    "case_differs": ("不同", "differs"),
    "case_held": ("挂账金额（元）", "Held there (yuan)"),
    "case_no_money": ("这类差错没有钱要处理", "This kind of case has no money"),
    "case_settle": ("处理", "Settle it"),
    "case_bearer": ("由谁承担", "Who bears it"),
    "case_amount": ("金额（元，不填按记录）", "Amount (yuan; empty: as recorded)"),
    "case_whose": ("卡号或商户号（记录里没有时填）", "Card or merchant, if not the record's"),
    "case_because": ("理由", "Why"),
    "case_propose": ("提议", "Propose it"),
    "case_approve": ("看过两条记录，同意并入账", "Seen both: approve and book it"),
    "case_moves": ("从 → 到", "From → to"),
    "case_who_proposed": ("提议人", "Proposed by"),
    "case_who_approved": ("批准人", "Approved by"),
    "done_case_proposed": ("已提议，等财务复核批准", "Proposed; the treasurer approves it"),
    "done_case_approved": ("已批准并入账", "Approved and booked"),
}
