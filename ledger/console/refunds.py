"""Refunds of ended cards: what is due, the file that two sign, the bank's answer (R15.3, R15.4).

A dry run of a file names its payments and its sum; each of two types the sum from their own paper
and signs its hash; then the file is made, as it was signed (ledger/payouts.py). An account stands
in the file and on no page.
"""

from typing import Any
from urllib.parse import urlencode

from ledger import declines
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown, ToSign, Waiting
from ledger.console.payments import at_bank, file_of, noted
from ledger.console.periods import place
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.money_lists import NAME_USED, OTHER_SUM, REFUND, SIGNATURES, SUBSIDY, Signature
from ledger.money_lists import TEXTS as OF_LISTS
from ledger.payments.kinds import REFUND as KIND
from ledger.period_sheet import BARS
from ledger.quiescence import Blocking, Quiescence
from ledger.settlement_basis import Decision
from protocols.rules.money import format_yuan

PATH = "/refunds"
_TO_SIGN = """
SELECT l.kind, l.name, l.sha256, l.amount_fen, a.person, a.time_s FROM money_approval a
JOIN money_list l ON l.sha256 = a.sha256 WHERE a.person <> ? AND a.step = 1
AND NOT EXISTS (SELECT 1 FROM money_approval n WHERE n.sha256 = a.sha256 AND n.step = 2)
AND NOT EXISTS (SELECT 1 FROM money_run r WHERE r.kind = l.kind AND r.name = l.name)
ORDER BY a.time_s"""
_VERBS = ("refund.sign", "refund.approve", "refund.file", "refund.results")


def show(asked: Asked) -> Shown:
    """What is due, what is with the bank, and the dry run of the file that the query names."""
    payouts, file = asked.store.payouts, _file(asked)
    after_s = asked.settings.carry_over_after_s
    with asked.store.database.reading():
        held = asked.store.settlements.waiting(asked.now_s, after_s)
        context: dict[str, Any] = {
            "held": len(held),
            "blocking": _blocking(held),
            "bars": BARS,
            "unpaid": payouts.unpaid(),
            "file": file,
            "plan": None,
            "made": None,
            **at_bank(asked, KIND),
        }
        if file:
            context |= _plan(asked, file)
    return Shown("refunds.html", context)


def _blocking(held: list[Quiescence]) -> list[Blocking]:
    """What keeps the money of these cards, each once."""
    found = {(one.device, one.seq): one for card in held for one in card.blocking}
    return [found[key] for key in sorted(found)]


def _file(asked: Asked) -> str:
    return typed.text(asked, "file") or asked.query.get("file", "").strip()


def _plan(asked: Asked, file: str) -> dict[str, Any]:
    payouts = asked.store.payouts
    made = payouts.made(file)
    plan = payouts.dry_run(file)
    sha256 = made or plan.sha256
    signed = payouts.signatures(sha256)
    no = declines.declined(asked.store.database, REFUND, sha256.hex())
    verb = "refund.approve" if signed else "refund.sign"
    is_next = made is None and no is None and len(signed) < SIGNATURES
    may_sign = is_next and asked.may(verb) and str(asked.person) not in signed
    return {
        "plan": plan,
        "made": made,
        "sha256": sha256.hex(),
        "signed": signed,
        "no": no,
        "may_sign": may_sign and plan.amount_fen > 0,
        "may_make": len(signed) == SIGNATURES and asked.may("refund.file"),
    }


def settle(asked: Asked) -> str:
    """Move what is due and proven from ended cards to where refunds wait.

    A treasurer may decide that it moves though readers that they name may tell of a spend yet.
    """
    decision = None
    if asked.fields.get("act") == "decide":
        places = frozenset(place(name) for name in asked.fields if name.startswith("open-"))
        decision = Decision(asked.person, typed.text(asked, "because"), places)
    what = asked.now_s, asked.settings.carry_over_after_s, decision
    moved = asked.store.settlements.settle(*what)
    return f"{PATH}?done={'settled' if moved else 'settled_none'}"


def sign(asked: Asked) -> str:
    """Sign the dry run that was looked at, and its sum as it stands on one's own paper."""
    file = _file(asked)
    what = _hash(asked), typed.fen(asked, "amount"), asked.person, asked.now_s
    asked.store.payouts.sign(file, Signature(*what))
    return f"{PATH}?{urlencode({'file': file, 'done': 'refund_signed'})}"


def make_file(asked: Asked) -> Download:
    """The file as two have signed it; again, the same payments."""
    made = asked.store.payouts.make_file(_file(asked), _hash(asked), asked.person, asked.now_s)
    return file_of(asked, "refunds", made)


def note(asked: Asked) -> str:
    """What the bank says: of one payment, or a file of them; all of it or nothing."""
    return noted(asked, asked.store.payouts.note_results, PATH)


def _hash(asked: Asked) -> bytes:
    try:
        return bytes.fromhex(asked.fields.get("sha256", ""))
    except ValueError:
        raise Refused(BAD_FIELDS, "sha256") from None


def to_sign(asked: Asked) -> list[ToSign]:
    """Lists that move money and that another person has signed: refunds, and subsidies too."""
    database, lines = asked.store.database, []
    rows = list(database.rows(_TO_SIGN, (str(asked.person),)))
    for kind in (REFUND, SUBSIDY):
        if not asked.may(f"{kind}.approve"):
            continue
        declined = declines.all_declined(database, kind)
        for found, name, sha256, amount_fen, person, time_s in rows:
            subject = bytes(sha256).hex()
            if found == kind and subject not in declined:
                said = f"{name} · ¥ {format_yuan(amount_fen)}"
                path = f"{PATH}?{urlencode({'file': name})}" if kind == REFUND else ""
                lines.append(ToSign(f"money_{kind}", subject, person, time_s, said, path, kind))
    return lines


def waiting(asked: Asked) -> list[Waiting]:
    mine = to_sign(asked)
    path = mine[0].path if len(mine) == 1 and mine[0].path else "/waiting"
    return [Waiting("refund_waits", len(mine), path)]


WAITING, TO_SIGN = (waiting,), (to_sign,)
PAGES = (
    Page(
        PATH,
        ("退款", "Refunds"),
        show,
        verbs=_VERBS,
        menu="menu_money",
        access_key="f",
    ),
    Page(
        f"{PATH}/settle",
        ("到期结清", "Settle what is due"),
        show,
        verbs=("refund.sign", "refund.approve"),
        do=settle,
        is_once=False,  # each card in a transaction of its own; again, nothing is left to move
    ),
    Page(
        f"{PATH}/sign",
        ("退款文件签字", "Sign a file of refunds"),
        show,
        verbs=("refund.sign", "refund.approve"),
        do=sign,
    ),
    Page(
        f"{PATH}/file",
        ("退款文件", "File of refunds"),
        show,
        verbs=("refund.file",),
        do=make_file,
        is_once=False,  # a file is made once by its name
    ),
    Page(
        f"{PATH}/results",
        ("退款回单", "What the bank says"),
        show,
        verbs=("refund.results",),
        do=note,
        takes_files=True,
    ),
)
REASONS = {
    OTHER_SUM: Words(
        ("金额与名单合计不同", OF_LISTS[OTHER_SUM]),
        ("请与自己手上的纸核对；没有签字。", "Check it against your paper; nothing was signed."),
    ),
    NAME_USED: Words(
        ("这个名称已经用过", OF_LISTS[NAME_USED]),
        ("请换一个名称。", "Take another name."),
    ),
}
TEXTS: Texts = {
    "refund_waits": ("份动钱的名单等您复核签字", "lists that move money wait for you"),
    "refund_due": ("应退未付", "Due, and no bank has it"),
    "refund_none": ("没有应退的钱。", "Nothing is due."),
    "refund_settle": ("结清到期的卡", "Settle what is due"),
    "refund_settle_says": (
        "注销满七十二小时、终端记录到齐的卡，余额转到应退。",
        "Cards that ended 72 hours ago, of which every reader has told.",
    ),
    "refund_held": ("张卡到期，钱还不能动，挡着的是：", "cards are due and held back by:"),
    "refund_decide": ("带着打勾的结清", "Settle with those that are ticked open"),
    "refund_file": ("文件名，如 2026-graduation", "Name of the file, such as 2026-graduation"),
    "refund_look": ("试算（不改动）", "Dry run; nothing is done"),
    "refund_plan": ("试算", "Dry run"),
    "refund_pays": ("笔数", "Payments"),
    "refund_sum": ("合计", "Sum"),
    "refund_at_bank": ("在银行", "With the bank"),
    "refund_no_account": ("没有账号", "Without an account"),
    "refund_amount": ("您纸上的合计（元）", "The sum on your own paper (yuan)"),
    "refund_sign": ("核对无误，签字", "Checked: sign"),
    "refund_make": ("生成退款文件并下载（CSV，交银行）", "Make the file for the bank (CSV)"),
    "refund_made": ("文件已经生成；再下载得到同一批。", "It is made; again, the same payments."),
    "pay_card_account": ("没有可用账号：在持卡人处登记", "none: register one for the card"),
    "done_settled": ("已结清到期的卡", "What was due is settled"),
    "done_settled_none": ("现在没有到期可结的卡", "Nothing is due and proven now"),
    "done_refund_signed": ("已签字", "Signed"),
    "sign_money_refund": ("退款文件", "file of refunds"),
    "sign_money_subsidy": ("补助名单", "list of subsidies"),
}
