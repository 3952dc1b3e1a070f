"""What is done to one card at the counter: a page for each verb of the table of its life.

The seven of R6.4 (开通, 挂失, 解挂, 换卡, 补卡, 解冻, 注销) and those of R15. What has to be shown
is ticked by whoever has seen it, never before.
"""

import re
from collections.abc import Callable
from datetime import date

from ledger import names
from ledger.card_status import VERBS as ALONE
from ledger.console.account import OFFERED, act_of, card_no_of, summary
from ledger.console.asked import Asked, Do, Page, Refused, Show, Shown
from ledger.console.card_words import TEXTS as OF_CARDS
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.holders import KINDS, Holder
from ledger.lifecycle import AND, PAPERS, RULES, Act
from ledger.people import DEPARTMENTS
from protocols.rules.spending import TEMPORARY

_EPOCH = date(1970, 1, 1)
_DANGER = ("close", "terminate", "reissue", "swap")  # for good
_OPENED_AS = tuple(name for name, kind in KINDS.items() if kind != TEMPORARY)
PAPER = "paper_"


def papers_for(verb: str) -> tuple[str, ...]:
    """What may be shown for a verb at the counter, as it stands on its page."""
    if verb == "open":
        rows = [row for kind, each in PAPERS.items() if kind != TEMPORARY for row in each]
        return tuple(dict.fromkeys(word for row in rows for word in row))
    return RULES[verb].evidence


def ticked(asked: Asked, verb: str) -> str:
    """The words of what was seen, in their order."""
    return AND.join(word for word in papers_for(verb) if asked.fields.get(PAPER + word))


def day_in(asked: Asked, name: str) -> int:
    """A day of a form (2026-11-27), in days since 1970. Raises Refused."""
    text = asked.fields.get(name, "")
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise Refused(BAD_FIELDS, f"{name}: a day such as 2026-11-27") from None


def number_in(asked: Asked, name: str) -> int:
    """A number of a card in a form. Raises Refused."""
    text = asked.fields.get(name, "").strip()
    if not re.fullmatch("[0-9]{1,10}", text):
        raise Refused(BAD_FIELDS, f"{name}: digits of a card's number")
    return int(text)


def _show(verb: str) -> Show:
    def show(asked: Asked) -> Shown:
        card = summary(asked, card_no_of(asked))
        context = {
            "card": card,
            "verb": verb,
            "papers": papers_for(verb),
            "is_danger": verb in _DANGER,
            "needs_new_card": verb in ("swap", "reissue"),
            "opens": verb == "open",
            "extends": verb == "extend",
            "kinds": _OPENED_AS,
            "departments": tuple(DEPARTMENTS),
        }
        return Shown("card_act.html", context)

    return show


def _act(asked: Asked, verb: str) -> Act:
    act = act_of(asked, verb, ticked(asked, verb))
    assert act is not None, "whoever sees the page says the verb"
    return act


def _alone(verb: str) -> Do:
    def do(asked: Asked) -> str:
        card_no, act = card_no_of(asked), _act(asked, verb)
        asked.store.cards.set(verb, card_no, asked.now_s, act.evidence, act)
        return f"/cards/{card_no}/loss?done=lose" if verb == "lose" else _to(card_no, verb)

    return do


def _replace(verb: str) -> Do:
    def do(asked: Asked) -> str:
        old_card, new_card = card_no_of(asked), number_in(asked, "new_card")
        act = _act(asked, verb)
        replace: Callable[..., None] = getattr(asked.store.reissues, verb)
        replace(old_card, new_card, asked.now_s, act.evidence, act)
        return _to(new_card, verb)

    return do


def _open(asked: Asked) -> str:
    card_no, fields = card_no_of(asked), asked.fields
    if fields.get("kind") not in _OPENED_AS:
        raise Refused(BAD_FIELDS, "kind: staff or student")
    facts = fields.get("person_no", "").strip(), KINDS[fields["kind"]]
    holder = Holder(*facts, fields.get("department", "").strip())
    days = day_in(asked, "valid_from"), day_in(asked, "valid_to")
    asked.store.holders.open(card_no, holder, days, asked.now_s, _act(asked, "open"))
    if name := fields.get("name", "").strip():
        names.write(asked.store.database, card_no, name)
    return _to(card_no, "open")


def _extend(asked: Asked) -> str:
    card_no = card_no_of(asked)
    what = asked.fields.get("department", "").strip(), day_in(asked, "valid_to")
    act = _act(asked, "extend")
    asked.store.temporaries.extend(card_no, *what, asked.today(), asked.now_s, act)
    return _to(card_no, "extend")


def _to(card_no: int, verb: str) -> str:
    return f"/cards/{card_no}?done={verb}"


_DO: dict[str, Do] = {
    **{verb: _alone(verb) for verb in ALONE},
    "swap": _replace("swap"),
    "reissue": _replace("reissue"),
    "open": _open,
    "extend": _extend,
}
PAGES = tuple(
    Page(
        f"/cards/{{card_no}}/{verb}",
        OF_CARDS[f"verb_{verb}"],
        _show(verb),
        verbs=(f"card.{verb}",),
        do=_DO[verb],
    )
    for verb in OFFERED
)
TEXTS: Texts = {
    "seen": ("已看过原件", "I have seen"),
    "new_card": ("新卡号（放在读卡器上刷）", "New card (tap it)"),
    "valid_from": ("起始日", "First day"),
    "valid_to": ("截止日", "Last day"),
    "do_it": ("办理", "Do it"),
}
