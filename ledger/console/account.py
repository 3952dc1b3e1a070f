"""The account page: what a card is, whose, what it holds, what was done, and what can be done.

Whose it is stands masked; unmasked it takes a reason, which is an act (ledger/privacy.py).
"""

from dataclasses import dataclass
from typing import Any

from ledger import card_validity, names, people
from ledger.card_status import CardRefused
from ledger.console.asked import Asked, Page, Refused, Shown
from ledger.console.card_words import COLOURS
from ledger.console.card_words import TEXTS as OF_CARDS
from ledger.console.refusals import NOTHING_HERE
from ledger.console.search import ROLES
from ledger.console.texts import Texts
from ledger.holders import KIND_NAMES, holder_of
from ledger.lifecycle import ABSENT, AND, COUNTER, RULES, Act, answer
from ledger.names import masked_name
from ledger.people import ENTERED_BY
from ledger.privacy import masked, reveal_holder

_MONEY = (people.CLERK, people.TREASURER)
_DAY_MAX = 65_535
_HISTORY = """
SELECT c.epoch, c.time_s, c.cause, c.evidence, a.role, a.channel, a.person FROM card_change c
LEFT JOIN card_act a ON a.epoch = c.epoch WHERE c.card_no = ? ORDER BY c.epoch DESC LIMIT 50"""
# What the counter does, in the order in which it stands there; what leads to a page of its own.
OFFERED = (
    "open",
    "lose",
    "unlose",
    "reissue",
    "swap",
    "suspend",
    "resume",
    "freeze",
    "unfreeze",
    "extend",
    "terminate",
    "close",
)
KEYS = {"open": "o", "lose": "l", "unlose": "u", "reissue": "r", "swap": "w", "extend": "x"}


@dataclass(frozen=True, slots=True)
class Change:
    """A line of what was done to a card; "" where nobody is on record with it."""

    time_s: int
    verb: str
    papers: tuple[str, ...]
    role: str
    channel: str
    person: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A verb that the table takes now, from whoever looks."""

    verb: str
    path: str
    key: str


def card_no_of(asked: Asked) -> int:
    """The card of the path. Raises Refused for what is in no books."""
    text = asked.path["card_no"]
    if not (text.isascii() and text.isdigit() and len(text) <= 8):
        raise Refused(NOTHING_HERE)
    if asked.store.cards.state(int(text)) == ABSENT:
        raise Refused(NOTHING_HERE)
    return int(text)


def act_of(asked: Asked, verb: str, papers: str = "") -> Act | None:
    """The act of whoever asks, as the first role that says this verb in person; None: nobody."""
    for role, channel in RULES[verb].who:
        if channel == COUNTER and set(ENTERED_BY.get(role, ())) & set(asked.roles):
            return Act(role, channel, papers, person=asked.person)
    return None


def summary(asked: Asked, card_no: int) -> dict[str, Any]:
    """What stands at the head of each page about a card."""
    database = asked.store.database
    state = asked.store.cards.state(card_no)
    holder = holder_of(database, card_no)
    valid = card_validity.of(database, card_no)
    return {
        "card_no": card_no,
        "state": state,
        "colour": COLOURS.get(state, ""),
        "name": masked_name(names.name_of(database, card_no)),
        "person_no": masked(holder.person_no) if holder else "",
        "kind": KIND_NAMES[holder.kind] if holder else "",
        "department": holder.department if holder else "",
        "valid": (valid.valid_from, valid.valid_to) if valid else None,
        "is_endless": bool(valid and valid.valid_to == _DAY_MAX),
    }


def show(asked: Asked) -> Shown:
    card_no = card_no_of(asked)
    store = asked.store
    context = {
        "card": summary(asked, card_no),
        "changes": history(asked, card_no),
        "offers": list(offers(asked, card_no)),
        "successor": store.reissues.successor(card_no),
        "heir": store.reissues.heir(card_no),
        "before": store.reissues.before(card_no),
        "money": None,
    }
    if set(asked.roles) & set(_MONEY):
        context["money"] = store.accounts.balance(card_no, asked.settings.carry_over_after_s)
    return Shown("account.html", context)


def history(asked: Asked, card_no: int) -> list[Change]:
    """The newest changes, the last one first."""
    rows = asked.store.database.rows(_HISTORY, (card_no,))
    return [
        Change(
            time_s,
            verb,
            tuple(word for word in papers.split(AND) if f"paper_{word}" in OF_CARDS),
            role or "",
            channel or "",
            person or "",
        )
        for _epoch, time_s, verb, papers, role, channel, person in list(rows)
    ]


def offers(asked: Asked, card_no: int):  # noqa: ANN201 - an iterator of Offer
    """What can be done to a card now by whoever asks: the rest does not stand there."""
    from ledger.card_status import states_of

    states = states_of(asked.store.database, card_no)
    valid = card_validity.of(asked.store.database, card_no)
    for verb in OFFERED:
        act = act_of(asked, verb, RULES[verb].evidence[0] if RULES[verb].evidence else "")
        said = act and answer(states, verb, act)
        is_it = verb != "extend" or (valid is not None and KIND_NAMES[valid.kind] == "temporary")
        if said and not said.reason and (said.is_new or verb == "extend") and is_it:
            yield Offer(verb, f"/cards/{card_no}/{verb}", KEYS.get(verb, ""))


# --- whose it is ------------------------------------------------------------------------------


def show_reveal(asked: Asked) -> Shown:
    return Shown("reveal.html", {"card": summary(asked, card_no_of(asked)), "shown": None})


def reveal(asked: Asked) -> Shown:
    """The number and the name as they stand, which is an act with its reason."""
    card_no = card_no_of(asked)
    because = asked.fields.get("because", "").strip()
    shown = reveal_holder(asked.store.database, card_no, asked.person, because, asked.now_s)
    name = names.name_of(asked.store.database, card_no)
    context = {"card": summary(asked, card_no), "shown": shown, "full_name": name}
    return Shown("reveal.html", context)


def show_name(asked: Asked) -> Shown:
    return Shown("name.html", {"card": summary(asked, card_no_of(asked))})


def set_name(asked: Asked) -> str:
    """The name by which its holder is found."""
    card_no = card_no_of(asked)
    name = asked.fields.get("name", "").strip()
    names.enter(asked.store.database, card_no, name, asked.person, asked.now_s)
    return f"/cards/{card_no}?done=name"


PAGES = (
    Page("/cards/{card_no}", ("账户", "Account"), show, roles=ROLES),
    Page(
        "/cards/{card_no}/reveal",
        ("查看个人信息", "Whose it is"),
        show_reveal,
        verbs=("personal.show",),
        do=reveal,
        is_once=False,
    ),
    Page(
        "/cards/{card_no}/name",
        ("登记姓名", "Name"),
        show_name,
        verbs=("personal.name",),
        do=set_name,
    ),
)
REFUSES = (CardRefused, names.BadName)
TEXTS: Texts = {
    **OF_CARDS,
    "holder": ("持卡人", "Holder"),
    "nobody": ("没有登记是谁的", "nobody has said whose it is"),
    "valid": ("有效期", "Valid"),
    "endless": ("长期", "without end"),
    "reveal": ("查看个人信息", "See whose it is"),
    "because": ("用途（写入审计）", "Why (it stands in the audit)"),
    "because_hint": ("例如：本人在柜台核对身份", "such as: the holder is here, ID checked"),
    "set_name": ("登记姓名", "Enter the name"),
    "done_name": ("姓名已登记", "The name is entered"),
    "money": ("余额", "Money"),
    "purse": ("卡上", "On the card"),
    "waiting_for_it": ("待领（刷卡时到账）", "Waits for it (comes on at a tap)"),
    "reserved": ("付款码占用", "Reserved by codes"),
    "frozen_of": ("旧卡上冻结", "Frozen on the card before"),
    "frozen_until": ("可结转时间", "Goes on from"),
    "can_do": ("可以办", "What can be done"),
    "can_do_nothing": ("现在没有可以办的手续。", "Nothing can be done now."),
    "was_done": ("办过的手续", "What was done"),
    "when": ("时间", "When"),
    "what": ("手续", "What"),
    "who": ("谁", "Who"),
    "papers": ("出示", "Shown"),
    "successor": ("现在由这张卡代替", "This card is in its place"),
    "before": ("代替了", "In the place of"),
    "loss_page": ("挂失详情", "About the loss"),
}
