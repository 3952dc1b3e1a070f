"""The words of cases in the console (cases.py)."""

from ledger import reasons
from ledger.bearers import Bearer
from ledger.console.refusals import Words
from ledger.console.texts import Texts
from ledger.reason_words import OF_RECORDS

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
TEXTS: Texts = {
    **{f"case_{number}": (zh, reasons.TEXTS[number]) for number, (zh, _do) in OF_RECORDS.items()},
    **{f"bearer_{name.replace(' ', '_')}": words for name, words in BEARERS.items()},
    "case_waits": ("项差错处理等您批准", "proposals for cases wait for your approval"),
    "sign_case": ("差错处理", "settling a case"),
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
    "case_of_its_sale": ("按同一笔消费的另一项差错", "by another case of the same sale"),
    "done_case_proposed": ("已提议，等财务复核批准", "Proposed; the treasurer approves it"),
    "done_case_approved": ("已批准并入账", "Approved and booked"),
}
