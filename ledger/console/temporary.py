"""Temporary cards: applied for (annex 1), signed by two, handed out for their fee, and renewed.

The clerk enters the form, the head of its department and the treasurer sign it as they have logged
in, the clerk hands the card out and prints the receipt. Whoever signs sees whom, by a reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger import declines, marks, names, people
from ledger.amount_words import in_words
from ledger.card_status import CardRefused
from ledger.console.account import act_of
from ledger.console.asked import LANGUAGES, Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.card_acts import PAPER, day_in, number_in
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.console.texts import Texts
from ledger.holders import DAY_MAX
from ledger.lifecycle import AND, PAPERS
from ledger.people import DEPARTMENTS
from ledger.privacy import masked, reveal_form
from ledger.temporary import CATEGORIES, STEPS, Application, Form
from protocols.rules.spending import TEMPORARY

PATH = "/temporary"
PAGE = 50
_CATEGORY_NAMES = {number: name for name, number in CATEGORIES.items()}
_NUMBER_MAX = 2**31
# What nobody can hand out any more, its term being over, waits for nobody.
_OPEN = """
SELECT a.number, a.category, a.department, a.valid_from, a.valid_to, a.time_s,
    (SELECT COUNT(*) FROM temporary_approval p WHERE p.application = a.number)
FROM temporary_application a
WHERE a.number < ? AND a.valid_to >= ? AND (? = '' OR a.department = ?)
AND NOT EXISTS (SELECT 1 FROM temporary_card t WHERE t.application = a.number)
ORDER BY a.number DESC LIMIT ?"""
_WAITING = """
SELECT a.number, a.category,
    COALESCE((SELECT p.person FROM temporary_approval p WHERE p.application = a.number
        ORDER BY p.step DESC LIMIT 1), ''),
    COALESCE((SELECT MAX(p.time_s) FROM temporary_approval p WHERE p.application = a.number),
        a.time_s)
FROM temporary_application a
WHERE a.valid_to >= ? AND (? = '' OR a.department = ?)
AND NOT EXISTS (SELECT 1 FROM temporary_card t WHERE t.application = a.number)
AND ? = (SELECT COUNT(*) FROM temporary_approval p WHERE p.application = a.number)"""
_FEE = "SELECT amount_fen, person, time_s FROM card_fee WHERE card_no = ?"
# How many have signed -> what is next.
NEXT = ("temporary.department", "temporary.finance", "card.open")
_ROLES = (people.CLERK, people.TREASURER, people.HEAD)


@dataclass(frozen=True, slots=True)
class Row:
    """An application that has not come to a card yet."""

    number: int
    category: str
    department: str
    valid_from: int
    valid_to: int
    applied_s: int
    signatures: int


def show(asked: Asked) -> Shown:
    """Those under way, and the cards that end within ten days."""
    behind = asked.query.get("behind", "")
    below = int(behind) if behind.isascii() and behind.isdigit() and len(behind) < 10 else 0
    own = _own(asked)
    what = below or _NUMBER_MAX, asked.today(), own, own, PAGE + 1
    rows = list(asked.store.database.rows(_OPEN, what))
    shown = [_row(row) for row in rows[:PAGE]]
    declined = declines.all_declined(asked.store.database, declines.TEMPORARY) if rows else {}
    ending = asked.store.temporaries.ending(asked.today()) if asked.may("card.extend") else []
    context = {
        "rows": shown,
        "declined": {one.number: declined.get(f"application {one.number}") for one in shown},
        "behind": shown[-1].number if len(rows) > PAGE else None,
        "ending": ending,
        "names": names.masked_names(asked.store.database, (row[0] for row in ending)),
        "endless": DAY_MAX,
    }
    return Shown("temporary.html", context)


def _own(asked: Asked) -> str:
    """A head sees what the own department has applied for."""
    is_of_centre = {people.CLERK, people.TREASURER} & set(asked.roles)
    return "" if is_of_centre else asked.department


def _row(row: tuple[Any, ...]) -> Row:
    number, category, *rest = row
    return Row(number, _CATEGORY_NAMES[category], *rest)


# --- an application ---------------------------------------------------------------------------


def show_new(asked: Asked) -> Shown:
    del asked
    context = {"categories": tuple(CATEGORIES), "departments": tuple(DEPARTMENTS)}
    return Shown("temporary_new.html", context)


def apply(asked: Asked) -> str:
    """Enter the form as it lies there, signed or not."""
    fields = asked.fields
    category = CATEGORIES.get(fields.get("category", ""))
    if category is None:
        raise Refused(BAD_FIELDS, "category")
    number = asked.store.temporaries.apply(
        Application(
            fields.get("person_no", "").strip(),
            fields.get("applicant_no", "").strip(),
            fields.get("relation", "").strip(),
            category,
            fields.get("department", "").strip(),
            day_in(asked, "valid_from"),
            DAY_MAX if fields.get("is_endless") else day_in(asked, "valid_to"),
        ),
        asked.now_s,
        asked.person,
    )
    return f"{PATH}/{number}?done=applied"


def _number(asked: Asked) -> int:
    text = asked.path["application"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(NOTHING_HERE)
    return int(text)


def _form(asked: Asked) -> tuple[int, Form]:
    """The application of the path; of another department it is not there for a head."""
    number = _number(asked)
    try:
        form = asked.store.temporaries.form(number)
    except CardRefused:
        raise Refused(NOTHING_HERE) from None
    if _own(asked) not in ("", form.application.department):
        raise Refused(NOTHING_HERE)
    return number, form


def _context(asked: Asked, number: int, form: Form) -> dict[str, Any]:
    application = form.application
    no = asked.store.temporaries.declined(number)
    is_over = form.card_no is not None or no is not None
    following = "" if is_over else NEXT[len(form.signed)]
    return {
        "number": number,
        "mark": marks.shown(asked.store, declines.TEMPORARY, str(number))[1],
        "form_facts": application,
        "category": _CATEGORY_NAMES[application.category],
        "person_no": masked(application.person_no),
        "applicant_no": masked(application.applicant_no),
        "is_endless": application.valid_to == DAY_MAX,
        "applied_s": form.applied_s,
        "signed": [(name, form.signed.get(step)) for name, step in STEPS.items()],
        "issued": form.card_no,
        "no": no,
        "following": following if following and asked.may(following) else "",
        "full": None,
        "papers": PAPERS[TEMPORARY],
    }


def show_one(asked: Asked) -> Shown:
    number, form = _form(asked)
    return Shown("temporary_one.html", _context(asked, number, form))


def _marked(asked: Asked) -> int:
    """The number of the application, if it is still the one that the form has shown."""
    number, _form_of_it = _form(asked)
    try:
        marks.check(asked.store, declines.TEMPORARY, str(number), asked.fields.get("mark", ""))
    except marks.OtherMark:
        # The books came back from a backup since it was shown.
        raise Refused(people.NO_PROPOSAL) from None
    return number


def sign(asked: Asked) -> str:
    """The head's signature, or the treasurer's: whose turn it is."""
    number = _marked(asked)
    step = STEPS["department" if asked.may("temporary.department") else "finance"]
    asked.store.temporaries.approve(number, step, asked.person, asked.now_s)
    return f"{PATH}/{number}?done=signed"


def reveal(asked: Asked) -> Shown:
    """The numbers on the form, which is an act with its reason."""
    number, form = _form(asked)
    because = asked.fields.get("because", "").strip()
    department = form.application.department
    reveal_form(asked.store.database, number, department, asked.person, because, asked.now_s)
    full = form.application.person_no, form.application.applicant_no
    return Shown("temporary_one.html", _context(asked, number, form) | {"full": full})


def hand_out(asked: Asked) -> str:
    """An issued card for an application that two have signed; the fee is taken."""
    number = _marked(asked)
    words = (word for row in PAPERS[TEMPORARY] for word in row)
    papers = AND.join(word for word in words if asked.fields.get(PAPER + word))
    act = act_of(asked, "open", papers)
    assert act is not None, "whoever sees the page opens cards"
    what = number, number_in(asked, "new_card"), asked.now_s, act
    asked.store.temporaries.hand_out(*what, asked.today())
    return f"{PATH}/{number}/receipt?done=handed_out"


def show_receipt(asked: Asked) -> Shown:
    """The receipt of the fee, to be printed (R12.3)."""
    number, form = _form(asked)
    for amount_fen, person, time_s in asked.store.database.rows(_FEE, (form.card_no or -1,)):
        context = {
            "number": number,
            "issued": form.card_no,
            "amount_fen": amount_fen,
            "words": in_words(amount_fen),
            "person": person,
            "paid_s": time_s,
            "valid_to": form.application.valid_to,
            "is_endless": form.application.valid_to == DAY_MAX,
        }
        return Shown("temporary_receipt.html", context)
    raise Refused(NOTHING_HERE)


def _waiting(asked: Asked) -> Iterator[Waiting]:
    """What waits for a signature or for its card, and whose term ends within ten days."""
    for signatures, verb in enumerate(NEXT):
        if asked.may(verb):
            mine = _at(asked, signatures)
            path = f"{PATH}/{mine[0][0]}" if len(mine) == 1 else PATH
            yield Waiting(f"waits_{verb.replace('.', '_')}", len(mine), path)
    if asked.may("card.extend"):
        ending = asked.store.temporaries.ending(asked.today())
        yield Waiting("waits_ending", len(ending), f"{PATH}#ending")


def _at(asked: Asked, signatures: int) -> list[tuple[int, int, str, int]]:
    """(number, category, who has entered or signed it last, when) of those with so many."""
    own, database = _own(asked), asked.store.database
    rows = sorted(database.rows(_WAITING, (asked.today(), own, own, signatures)))
    declined = declines.all_declined(database, declines.TEMPORARY) if rows else {}
    return [row for row in rows if f"application {row[0]}" not in declined]


def _to_sign(asked: Asked) -> Iterator[ToSign]:
    """Applications whose next signature is that of whoever asks."""
    for signatures, verb in enumerate(NEXT[:2]):
        for number, category, person, time_s in _at(asked, signatures) if asked.may(verb) else ():
            said = TEXTS[f"category_{_CATEGORY_NAMES[category]}"][LANGUAGES.index(asked.language)]
            what = "temporary", f"application {number}", person, time_s, said
            yield ToSign(*what, f"{PATH}/{number}", declines.TEMPORARY)


_SIGNING = ("temporary.department", "temporary.finance")
_ONE = f"{PATH}/{{application}}"
PAGES = (
    Page(
        PATH,
        ("临时卡", "Temporary cards"),
        show,
        roles=_ROLES,
        menu="menu_cards",
        access_key="t",
    ),
    Page(
        f"{PATH}/new",
        ("临时卡申请（附表一）", "Application (annex 1)"),
        show_new,
        verbs=("temporary.apply",),
        do=apply,
        menu="menu_cards",
        access_key="n",
    ),
    Page(_ONE, ("临时卡申请", "Application"), show_one, roles=_ROLES),
    Page(f"{_ONE}/sign", ("签字", "Sign"), show_one, verbs=_SIGNING, do=sign),
    Page(
        f"{_ONE}/reveal",
        ("查看申请人", "Whose application"),
        show_one,
        verbs=("personal.form",),
        do=reveal,
        is_once=False,
    ),
    Page(
        f"{_ONE}/hand-out",
        ("发卡收费", "Hand out"),
        show_one,
        verbs=("card.open",),
        do=hand_out,
    ),
    Page(
        f"{_ONE}/receipt",
        ("工本费收据", "Receipt of the fee"),
        show_receipt,
        roles=(people.CLERK, people.TREASURER),
    ),
)
WAITING, TO_SIGN = (_waiting,), (_to_sign,)
TEXTS: Texts = {
    "category_casual-worker": ("临时用工人员", "casual worker"),
    "category_family": ("职工家属", "family of staff"),
    "category_property": ("物业公司", "property company"),
    "category_tenant": ("校内经营业主", "tenant"),
    "category_trainee": ("培训学员", "trainee"),
    "category_other": ("其他人员", "other"),
    "category": ("用户类别", "Category"),
    "applicant_no": ("申请人证件号或学工号", "Who applies: number"),
    "user_no": ("使用人编号", "Who uses it: number"),
    "relation": ("与申请人关系", "Relation to who applies"),
    "their_department": ("申请部门", "Department"),
    "is_endless": ("长期（只限职工家属）", "Without end (family of staff only)"),
    "apply": ("登记申请", "Enter the application"),
    "done_applied": ("已登记，等申请部门负责人签字", "Entered; the head of its department signs"),
    "application_no": ("申请编号", "Application"),
    "applied": ("登记时间", "Entered at"),
    "step_department": ("申请部门负责人", "Head of the department"),
    "step_finance": ("财务处负责人", "Finance"),
    "not_signed": ("还没有签", "not yet"),
    "sign_it": ("签字同意", "Sign"),
    "done_signed": ("已签字", "Signed"),
    "see_whom": ("查看申请人和使用人", "See whom it is about"),
    "hand_out": ("收 20 元工本费并发卡", "Take 20 yuan and hand it out"),
    "done_handed_out": ("已发卡，已收工本费", "Handed out, the fee is taken"),
    "issued_card": ("已发的卡", "Card handed out"),
    "receipt": ("工本费收据", "Receipt"),
    "receipt_of": ("临时卡工本费", "Fee of a temporary card"),
    "taken_by": ("收款人", "Taken by"),
    "in_words": ("大写", "In words"),
    "print": ("打印：Ctrl 加 P", "To print: Ctrl and P"),
    "under_way": ("办理中的申请", "Applications under way"),
    "ending": ("十天内到期的临时卡", "Cards that end within ten days"),
    "ending_none": ("十天内没有到期的临时卡。", "None ends within ten days."),
    "sign_temporary": ("临时卡申请（附表一）", "application for a temporary card"),
    "signatures": ("签字", "Signatures"),
    "waits_temporary_department": ("份临时卡申请等您签字", "applications wait for your signature"),
    "waits_temporary_finance": ("份临时卡申请等财务签字", "applications wait for finance"),
    "waits_card_open": ("份临时卡申请可以发卡", "applications may be handed out"),
    "waits_ending": ("张临时卡十天内到期", "temporary cards end within ten days"),
}
