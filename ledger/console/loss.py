"""A loss: its 72 hours, what will go on, and which readers keep anybody from knowing for sure.

The hours count from the report, whenever the new card came (R14.4b). The amount is what the books
say now: what a reader tells late of before the report is still the holder's.
"""

from dataclasses import dataclass

from ledger import people
from ledger.card_status import changes_of, losses_of
from ledger.console.account import card_no_of, summary
from ledger.console.asked import Asked, Page, Refused, Shown
from ledger.console.refusals import Words
from ledger.console.search import ROLES
from ledger.console.texts import Texts
from ledger.map_news import behind
from ledger.quiescence import examine

NEVER_LOST = 782
READERS_MAX = 200
_READER = """
SELECT d.site, d.merchant_no, m.name FROM device d
LEFT JOIN merchant m ON m.merchant_no = d.merchant_no WHERE d.device = ?"""
_PURSE = (people.CLERK, people.TREASURER)


@dataclass(frozen=True, slots=True)
class Reader:
    """One that somebody has to look after; `bar` is why ("": it has not said its map)."""

    device: int
    site: str
    merchant: str
    bar: str = ""
    seq: int = 0


def show(asked: Asked) -> Shown:
    """The page of a lost card, or of one that took the place of a lost one."""
    card_no = card_no_of(asked)
    found = losses_of(changes_of(asked.store.database, [card_no])).get(card_no, [])
    if not found:
        raise Refused(NEVER_LOST)
    lost = found[-1]
    store, after_s = asked.store, asked.settings.carry_over_after_s
    proof = examine(store.database, card_no)
    heir = store.reissues.heir(card_no)
    context = {
        "card": summary(asked, card_no),
        "lost_s": lost.from_s,
        "is_over": lost.until_s is not None,
        "due_s": lost.from_s + after_s,
        "left_s": max(lost.from_s + after_s - asked.now_s, 0),
        "heir": heir if heir != card_no else None,
        "amount_fen": None if lost.until_s is not None else _amount_fen(asked, card_no, heir),
        "blocking": [_reader(asked, *one) for one in _places(proof.blocking)],
        "behind": [_reader(asked, one.device) for one in behind(store.database)[:READERS_MAX]],
    }
    return Shown("loss.html", context)


def _places(blocking) -> list[tuple[int, str, int]]:  # noqa: ANN001 - of ledger/quiescence.py
    return [(one.device, str(one.bar), one.seq) for one in blocking[:READERS_MAX]]


def _amount_fen(asked: Asked, card_no: int, heir: int) -> int | None:
    """What would go on now, in fen; None: not for whoever asks."""
    if not set(asked.roles) & set(_PURSE):
        return None
    if heir == card_no:
        balance = asked.store.accounts.balance(card_no, asked.settings.carry_over_after_s)
        return max(balance.purse_fen, 0) + balance.waiting_fen
    frozen = asked.store.carry_overs.frozen(heir, asked.settings.carry_over_after_s)
    return sum(one.amount_fen + one.waiting_fen for one in frozen if one.old_card == card_no)


def _reader(asked: Asked, device: int, bar: str = "", seq: int = 0) -> Reader:
    for site, merchant_no, name in list(asked.store.database.rows(_READER, (device,))):
        return Reader(device, site, name or str(merchant_no), bar, seq)
    return Reader(device, "", "", bar, seq)


PAGES = (Page("/cards/{card_no}/loss", ("挂失详情", "About the loss"), show, roles=ROLES),)
REASONS = {
    NEVER_LOST: Words(
        ("这张卡没有挂失过", "this card was never reported lost"),
        ("请先在账户页挂失。", "Report its loss on the account page first."),
        409,
    ),
}
TEXTS: Texts = {
    "lost_since": ("挂失时间", "Reported at"),
    "loss_over": ("这次挂失已经解除。", "This report was undone."),
    "claim_from": ("可结转时间（挂失起 72 小时）", "Goes on from (72 hours since the report)"),
    "time_left": ("还要等", "Still to wait"),
    "time_is_over": (
        "已满 72 小时：在任何一台在线的消费机或自助机刷新卡即可结转。",
        "The 72 hours are over: the new card at any POS or kiosk that is online brings it on.",
    ),
    "hours_left": ("{} 小时 {} 分", "{} h {} min"),
    "claim_amount": ("可结转金额（按现在的账）", "Amount, by the books of now"),
    "claim_note": (
        "挂失以前的消费迟到的，从中扣除。",
        "What is told late of before the report is taken from it.",
    ),
    "no_heir_yet": ("还没有补卡。", "No new card yet."),
    "heir_is": ("新卡", "New card"),
    "behind_title": ("还没有报告收到挂失名单的读卡机", "Readers that have not said they know"),
    "behind_none": ("所有读卡机都已报告收到。", "All readers have said that they know."),
    "behind_note": (
        "读卡机巡检时报告名单版本；在线的十秒内已拒收，断网的在恢复联网时更新。",
        "A reader says so at its inspection. One that is online refuses the card within 10 s.",
    ),
    "blocking_title": (
        "还不能证明没有漏账的读卡机",
        "Readers that may still tell of an earlier spend",
    ),
    "blocking_none": ("所有读卡机的账都齐了。", "Nothing is missing of any reader."),
    "reader": ("读卡机", "Reader"),
    "site": ("地点", "Site"),
    "merchant": ("商户", "Merchant"),
    "why": ("原因", "Why"),
    "record": ("记录", "record"),
}
