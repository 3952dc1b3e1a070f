"""Money that one person has proposed and no form keeps: top-ups by hand, payments by code (R14).

Both are proposed and done by the command line (`onecard ledger topup`, `settle`); here they stand
among what waits for whoever would sign second, and whoever has proposed one sees why it was
declined.
"""

from ledger import proposals
from ledger.console.asked import LANGUAGES, Asked, Page, ToSign, Waiting
from ledger.console.refusals import Words
from ledger.console.texts import Texts
from ledger.proposals import CODE, CUT_SHORT, KINDS, TOPUP, Proposal
from ledger.topups import told_of
from protocols.rules.money import format_yuan

PAGES: tuple[Page, ...] = ()


def to_sign(asked: Asked) -> list[ToSign]:
    """Proposals of others that whoever asks may do."""
    waits = {TOPUP: asked.store.top_ups.waiting, CODE: asked.store.code_sales.waiting}
    lines = [
        _line(kind, one, _TOLD[kind](asked, one))
        for kind, found in waits.items()
        if asked.may(KINDS[kind].do)
        for one in found()
    ]
    return [line for line in lines if line.person != str(asked.person)]


def told(asked: Asked) -> list[tuple[ToSign, str, str, int]]:
    """(what whoever asks has proposed, who has declined it, why, when), newest last."""
    found = []
    for kind, verb in ((TOPUP, "topup.propose"), (CODE, "code.propose")):
        if asked.may(verb):
            what = asked.store.database, kind, str(asked.person), asked.now_s
            for one, no in proposals.told(*what):
                said = _TOLD[kind](asked, one)
                found.append((_line(kind, one, said), no.person, no.because, no.time_s))
    return sorted(found, key=lambda row: row[3])


def _line(kind: str, one: Proposal, said: str) -> ToSign:
    return ToSign(kind, one.subject, one.person, one.time_s, said, "", kind)


def _of_top_up(asked: Asked, one: Proposal) -> str:
    told = told_of(one.about)
    if told is None:
        words = _words(asked, "said_cut_short")
        return words.format(about=one.about, order=one.words, reason=CUT_SHORT)
    card_no, amount_fen, _number = told
    words = _words(asked, "said_topup")
    return words.format(card_no=card_no, yuan=format_yuan(amount_fen), order=one.words)


def _of_code(asked: Asked, one: Proposal) -> str:
    facts = asked.store.code_sales.facts(one)
    words = _words(asked, f"said_{one.words}")
    what = {"number": facts.number, "record": f"{facts.device}/{facts.seq}"}
    return words.format(yuan=format_yuan(facts.amount_fen), **what)


_TOLD = {TOPUP: _of_top_up, CODE: _of_code}


def _words(asked: Asked, key: str) -> str:
    return TEXTS[key][LANGUAGES.index(asked.language)]


def waiting(asked: Asked) -> list[Waiting]:
    """How many those are."""
    return [Waiting("waits_proposed", len(to_sign(asked)), "/waiting")]


REASONS = {
    CUT_SHORT: Words(
        ("提出的内容记下时被截断，谁也不能办", proposals.TEXTS[CUT_SHORT]),
        (
            "请退回，让提出的人重新提出。",
            "Decline it; whoever has proposed it proposes it anew.",
        ),
    ),
}
WAITING, TO_SIGN = (waiting,), (to_sign,)
TEXTS: Texts = {
    "sign_topup": ("人工登记的充值", "top-up by hand"),
    "sign_code": ("没有记录的付款码", "payment by code without a record"),
    "said_topup": (
        "卡 {card_no} · ¥ {yuan} · 单号 {order}",
        "card {card_no} · ¥ {yuan} · order {order}",
    ),
    "said_cut_short": (
        "{about}… · 单号 {order} · 记下时被截断，谁也不能办：请退回（{reason}）",
        "{about}… · order {order} · cut short, so nobody can do it: decline it ({reason})",
    ),
    "said_sold": (
        "第 {number} 笔 · ¥ {yuan} · 归商户（记录 {record}）",
        "payment {number} · ¥ {yuan} · sold (record {record})",
    ),
    "said_void": (
        "第 {number} 笔 · ¥ {yuan} · 退还付款人（记录 {record}）",
        "payment {number} · ¥ {yuan} · void (record {record})",
    ),
    "waits_proposed": ("笔人工提出的钱等您复核", "proposed by hand wait for a second person"),
}
