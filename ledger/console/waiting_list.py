"""Everything that waits for the second signature of whoever has logged in, in one place (R4).

Each line says who said or signed it before, when, and what they gave for it, and leads to where it
is looked at and signed. A no takes a reason, and is said here (ledger/declines.py); reports and
dossiers have their own on their page, where what follows is said too.
"""

from ledger import declines, declining, marks
from ledger.card_status import CardRefused
from ledger.console import proposed, typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.corrections import CorrectionRefused
from ledger.declines import DECLINED, No

PATH = "/waiting"
NOT_WAITING = 801


def show(asked: Asked) -> Shown:
    """What waits, who has waited longest first, and what of one's own was declined."""
    from ledger.console.pages import to_sign  # which has this page

    return Shown("waiting.html", {"to_sign": to_sign(asked), "told": proposed.told(asked)})


def _wanted(asked: Asked) -> ToSign:
    """The line that the query names, as it waits now. Raises Refused."""
    from ledger.console.pages import to_sign

    what = asked.query.get("kind", ""), asked.query.get("subject", "")
    for one in to_sign(asked):
        if (one.declined_as, one.subject) == what and one.declined_as:
            return one
    raise Refused(NOT_WAITING)


def show_decline(asked: Asked) -> Shown:
    """The line again, and why not; without one that waits, the list."""
    if "kind" not in asked.query:
        return show(asked)
    one = _wanted(asked)
    _told, mark = marks.shown(asked.store, one.declined_as, one.subject)
    return Shown("decline.html", {"one": one, "mark": mark})


def decline(asked: Asked) -> str:
    """Say no to it; whoever has proposed it sees why."""
    one = _wanted(asked)
    no = No(asked.person, typed.text(asked, "because"), asked.now_s)
    mark = asked.fields.get("mark", "")
    try:
        declining.decline(asked.store, one.declined_as, one.subject, no, mark)
    except marks.OtherMark:
        raise Refused(NOT_WAITING) from None  # the books came back from a backup meanwhile
    except CorrectionRefused as error:
        raise Refused(BAD_FIELDS, str(error)) from None
    return f"{PATH}?done=declined"


PAGES = (
    Page(PATH, ("等我签字", "To sign"), show, menu="menu_day", access_key="2"),
    Page(
        f"{PATH}/decline", ("不同意", "Decline"), show_decline, verbs=declining.VERBS, do=decline
    ),
)
REFUSES = (CardRefused,)
REASONS = {
    DECLINED: Words(
        ("要签第二个字的人已经不同意", declines.TEXTS[DECLINED]),
        (
            "请看理由，改好后重新提议、重做名单或重新申请。",
            "See why; then propose it, make the list or apply anew.",
        ),
    ),
    NOT_WAITING: Words(
        ("这件事现在不等您签字", "this does not wait for your signature now"),
        (
            "别人可能已经签了、退回了或又改了：请看“等我签字”。",
            "Somebody may have signed, declined or changed it: see what waits for you.",
        ),
    ),
}
TEXTS: Texts = {
    "sign_what": ("事项", "What"),
    "sign_who": ("前一步是谁", "Said before by"),
    "sign_since": ("从什么时候起", "Since"),
    "sign_said": ("理由或凭据", "What was given for it"),
    "sign_do": ("办理", "Do"),
    "sign_look": ("看过再签", "Look, then sign"),
    "sign_by_command": ("由命令行签字", "signed by the command line"),
    "sign_nothing": ("没有等您签字的事。", "Nothing waits for your signature."),
    "sign_two": (
        "动钱、动权限的事由两个人办：前一步的人不能签后一步。",
        "What moves money or rights takes two persons: nobody says both halves.",
    ),
    "sign_told": ("您提出、被退回的", "What you have proposed and somebody has declined"),
    "sign_why": ("理由", "Why"),
    "sign_told_do": (
        "还是对的：用命令行重新提出。",
        "What is right after all is proposed anew, by the command line.",
    ),
    "decline": ("不同意", "Decline"),
    "decline_because": ("理由（提议的人会看到）", "Why (whoever has proposed it sees it)"),
    "decline_it": ("不同意并退回", "Decline it"),
    "declined": ("不同意", "declined"),
    "declined_by": ("不同意", "Declined by"),
    "done_declined": ("已退回，理由已记下", "Declined; the reason is noted"),
}
