"""Explain a refusal: a number that somebody was shown, in words, by which rule, and what to do.

Each number has one meaning everywhere (docs/reason-codes.md). What a reader or a door shows is in
both languages; so is what only clerks of the books see (ledger/reason_chinese.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ledger import (
    api_reasons,
    lifecycle,
    money_lists,
    people,
    period_reasons,
    procedures,
    reasons,
)
from ledger.console import door_words, refusals
from ledger.console.asked import Asked, Page, Shown
from ledger.console.door_words import Both
from ledger.console.doors import column, number_of
from ledger.console.texts import Texts
from ledger.payments import reasons as payment_reasons
from ledger.reason_chinese import CHINESE
from protocols.rules import access_texts, reason_texts
from protocols.rules import reasons as shown
from protocols.wire import error_texts

_ARTICLE = re.compile(r"\bR\d+(?:bis|b)?(?:\.\d+[a-z]?)?|\bannex \d\b")
# Whose matter it is, as it sounds at the reader (protocols/rules/reasons.py): what to do then.
_BY_SOUND: Mapping[int, Both] = {
    0: (
        "持卡人自己的事：看余额、限额、密码，按提示再刷一次。",
        "The holder's own: balance, limits or PIN; then tap again.",
    ),
    1: ("请持卡人带证件到一卡通中心。", "The holder goes to the card centre, with an ID."),
    2: (
        "是机具或楼里的问题，不是卡的问题：报修；实体卡在别的机具上能用。",
        "Not the card: report the reader; the card works at another one.",
    ),
    3: ("请打开校园卡的正确二维码，或改用实体卡。", "Show the right code, or use the card."),
}
# What is said more exactly than by whose matter it is.
_ADVICE: Mapping[int, Both] = door_words.ADVICE | {
    shown.BALANCE_SHORT: ("先充值；充值要刷一次联机的机具才到卡上。",
                          "Top up; it comes on the card at a reader that is online."),
    shown.PIN_NEEDED: ("超过免密限额：请持卡人输消费密码（R19.2）。",
                       "Above the limit without PIN: the holder types it (R19.2)."),
    shown.OVER_SPEND_LIMIT: ("一次不能收这么多；不得拆成几笔（R19.1）。",
                             "Too much at once; never in several charges (R19.1)."),
    shown.OVER_DAY_LIMIT: ("今天已到日限额，明天再用。", "The day's limit: tomorrow again."),
    shown.OFFLINE: ("没有网络：实体卡照常可用，虚拟卡暂停（R24）。",
                    "No network: cards go on, codes do not (R24)."),
    shown.CODE_NEEDS_NETWORK: ("脱机不收虚拟卡：请用实体卡（R24.1）。",
                               "No codes without network: use the card (R24.1)."),
    shown.IDENTITY_CHECK: ("密码错满：商户核对持卡人，不是本人就扣留卡片交中心（R19.3、R19.4）。",
                           "PINs used up: check who that is; else withhold it (R19.3, R19.4)."),
    shown.PIN_WRONG: ("再输一次；忘了密码请到一卡通中心。", "Again; forgotten: the card centre."),
    shown.CARD_CAPTURED: ("扣留的卡交一卡通中心（R19.4）。",
                          "Hand it to the card centre (R19.4)."),
    shown.PAID_JUST_NOW: ("五秒内同一张卡：确认要再付一次才按确认。",
                          "The same card within seconds: confirm only if meant twice."),
    shown.JOURNAL_FULL: ("先让机具联网上传，再收款。", "Let it upload first."),
    shown.BATTERY_EMPTY: ("门锁：用钥匙开门后换电池；消费机：接上电源。",
                          "A lock: the key, then new cells. A POS: plug it in."),
    shown.ASK_LEDGER: ("上一笔结果不明：请同一张卡再刷一次，账簿会核清。",
                       "The last sale is open: the same card again settles it."),
}  # fmt: skip
_TO_BOOKS: Both = ("请把编号告诉一卡通中心或图书信息中心。", "Tell the card centre this number.")
_BYTES: Both = (
    "请把编号和机具号告诉图书信息中心。",
    "Tell the information centre which reader.",
)
# Whose Chinese stands in ledger/reason_chinese.py: heading, the table, what to do.
_OTHERS: tuple[tuple[str, Mapping[int, str], Both], ...] = (
    ("explain_record", reasons.TEXTS, _TO_BOOKS),
    ("explain_card", lifecycle.TEXTS, _TO_BOOKS),
    ("explain_person", people.TEXTS, _TO_BOOKS),
    ("explain_merchant", procedures.TEXTS, _TO_BOOKS),
    ("explain_period", period_reasons.TEXTS, _TO_BOOKS),
    ("explain_list", money_lists.TEXTS, _TO_BOOKS),
    ("explain_bank", payment_reasons.TEXTS, _TO_BOOKS),
    ("explain_api", {number: text for number, (_, text) in api_reasons.TEXTS.items()}, _TO_BOOKS),
    ("explain_bytes", error_texts.TEXTS, _BYTES),
)


@dataclass(frozen=True, slots=True)
class Explained:
    """A number in words; `display` what a reader shows, `rule` ids of the regulation or ""."""

    number: int
    where: str
    text: str
    advice: str
    rule: str = ""
    display: str = ""
    is_english: bool = False


def explain(number: int, at: int) -> Explained | None:
    """What a number means, in Chinese (`at` 0) or English (1); None: it means nothing."""
    both = access_texts.TEXTS.get(number)
    where = "explain_door" if both else "explain_tap"
    both = both or reason_texts.TEXTS.get(number)
    if both:
        advice = _ADVICE.get(number) or _BY_SOUND.get(shown.sound(number), _BY_SOUND[1])
        rule = _rule(both[0], *advice)
        display = shown.DISPLAY.get(number, "")
        return Explained(number, where, both[1 - at], advice[at], rule, display)
    return _of_console(number, at) or _of_others(number, at)


def _of_console(number: int, at: int) -> Explained | None:
    from ledger.console.pages import REASONS  # which has this page

    words: refusals.Words | None = REASONS.get(number)
    if words is None:
        return None
    rule = _rule(*words.text, *words.advice, _english(number))
    return Explained(number, "explain_console", words.text[at], words.advice[at], rule)


def _of_others(number: int, at: int) -> Explained | None:
    for where, texts, advice in _OTHERS:
        if number in texts:
            text = texts[number]
            chinese = CHINESE.get(number, "") if at == 0 else ""
            is_english = at == 0 and not chinese
            said = chinese or text
            return Explained(number, where, said, advice[at], _rule(text), "", is_english)
    return None


def _english(number: int) -> str:
    return next((texts[number] for _, texts, _ in _OTHERS if number in texts), "")


def _rule(*texts: str) -> str:
    """The articles that the words name, each once."""
    named = [one for text in texts for one in _ARTICLE.findall(text)]
    return ", ".join(dict.fromkeys(named))


def show(asked: Asked) -> Shown:
    """A number that was typed, and those that people are shown at readers and doors."""
    typed, at = asked.query.get("number", ""), column(asked)
    number = number_of(typed)
    listed = sorted(reason_texts.TEXTS | access_texts.TEXTS)
    context = {
        "typed": typed,
        "found": explain(number, at) if number is not None else None,
        "listed": [explain(one, at) for one in listed],
    }
    return Shown("explain.html", context)


PAGES = (
    Page(
        "/explain",
        ("这个编号是什么意思", "Explain a number"),
        show,
        menu="menu_day",
        access_key="e",
    ),
)
TEXTS: Texts = {
    "explain_number": ("机具或页面上显示的编号", "The number that was shown"),
    "explain_find": ("查", "Explain"),
    "explain_none": ("没有这个编号。", "No number of ours."),
    "explain_all": ("刷卡和开门时会看到的编号", "Numbers seen at readers and doors"),
    "explain_display": ("机具显示", "On the display"),
    "explain_rule": ("办法条款", "Rule"),
    "explain_where": ("出处", "Said by"),
    "explain_tap": ("消费机、考勤机、门：刷卡被拒", "a reader: why a tap was refused"),
    "explain_door": ("门：没有开", "a door: why it stayed shut"),
    "explain_console": ("本控制台：没有办成", "this console: why it was not done"),
    "explain_record": ("账簿：对一条记录的说明", "the ledger, of a record"),
    "explain_card": ("账簿：卡片手续", "the ledger, of a card"),
    "explain_person": ("账簿：操作员", "the ledger, of an operator"),
    "explain_merchant": ("账簿：商户与机具手续", "the ledger, of a merchant or reader"),
    "explain_period": ("账簿：商户结算", "the ledger, of a settlement"),
    "explain_list": ("账簿：付款清单", "the ledger, of a list that moves money"),
    "explain_bank": ("账簿：给银行的文件", "the ledger, of files to banks"),
    "explain_api": ("对外接口", "the HTTP API"),
    "explain_bytes": ("通信：收到的数据不对", "any tier: why bytes were refused"),
}
