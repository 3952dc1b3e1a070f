"""Annex 1, the form of a temporary card, to print and to sign: `onecard ledger temporary form`.

Rules of this file. What the books have is printed, where it stands on the original; what they
never take (names, ID numbers, the reason) is left blank, for a pen. Whose signature the books have
is named with its day. Numbers of persons are masked, but for whoever may see them and says why,
as one who signs. Every text is escaped. The same books make the same page.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader

from ledger.holders import DAY_MAX
from ledger.privacy import masked, reveal_form
from ledger.temporary import CATEGORIES, STEPS, Extension, Form
from protocols.rules import clock
from tools.ledger_batch import write_private
from tools.ledger_forks import opened
from tools.ledger_lives import date_of
from tools.session import signing

TITLE = "校园一卡通临时卡申请表"
_CATEGORY_TEXTS = {
    "casual-worker": "临时用工人员",
    "family": "职工家属",
    "property": "物业公司",
    "tenant": "校内经营业主",
    "trainee": "培训学员",
    "other": "其他人员",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """Whose it is and of which day; "" where there is none yet."""

    person: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in the form. `term`: "" for one without end."""

    title: str
    number: int
    applied: str
    categories: tuple[tuple[str, bool], ...]
    applicant_no: str
    person_no: str
    relation: str
    card_no: str
    term: str
    department: str
    by_department: Signature
    by_finance: Signature
    extensions: tuple[str, ...]


def write(
    path: Path,
    number: int,
    out: Path,
    where: tuple[str, int],
    why: tuple[str, str],
    now_s: int,
) -> str:
    """Write the page of an application; `where`: what stands before the title, and its zone.

    `why`: the reason to see numbers unmasked ("": masked), and who. NotBooks, NotAllowed,
    CardRefused, BadInput, StoreUnavailable.
    """
    form = _told(path, number, why, now_s)
    sheet = sheet_of(number, form, *where)
    write_private(out, rendered("temporary_card.html", sheet))
    return f"{out}: application {number}, {len(form.signed)} of {len(STEPS)} signatures"


def _told(path: Path, number: int, why: tuple[str, str], now_s: int) -> Form:
    because, by = why
    if because:
        with signing(path, by, now_s) as (store, who):
            form = store.temporaries.form(number)
            department = form.application.department
            reveal_form(store.database, number, department, who, because, now_s)
            return form
    with opened(path) as store:
        form = store.temporaries.form(number)
    one = form.application
    numbers = {name: masked(getattr(one, name)) for name in ("person_no", "applicant_no")}
    return replace(form, application=replace(one, **numbers))


def sheet_of(number: int, form: Form, school: str, utc_offset_s: int) -> Sheet:
    """What the books say, in the words of the form."""
    one = form.application
    signed = {
        step: Signature(person, day_of(time_s, utc_offset_s))
        for step, (person, time_s) in form.signed.items()
    }
    days = _date(one.valid_from), _date(one.valid_to)
    return Sheet(
        school + TITLE,
        number,
        day_of(form.applied_s, utc_offset_s),
        tuple((_CATEGORY_TEXTS[name], no == one.category) for name, no in CATEGORIES.items()),
        one.applicant_no,
        one.person_no,
        one.relation,
        "" if form.card_no is None else str(form.card_no),
        "" if one.valid_to == DAY_MAX else "至".join(days),
        one.department,
        signed.get(STEPS["department"], Signature()),
        signed.get(STEPS["finance"], Signature()),
        tuple(_extended(each, utc_offset_s) for each in form.extensions),
    )


def rendered(template: str, sheet: object) -> bytes:
    """An HTML page of one sheet of paper; a second where more was written than it has room for."""
    environment = Environment(
        loader=PackageLoader("tools", "pages"), autoescape=True, trim_blocks=True
    )
    return environment.get_template(template).render(sheet=sheet).encode()


def day_of(time_s: int, utc_offset_s: int) -> str:
    """The local day of a moment, as forms have it: 2026年11月26日."""
    return _date(clock.day(time_s, utc_offset_s))


def _extended(one: Extension, utc_offset_s: int) -> str:
    days = f"由 {_date(one.was_to)} 延至 {_date(one.valid_to)}"
    proof = f"凭 {one.department} 续卡证明"
    return f"{days}，{proof}，经办 {one.person}，{day_of(one.time_s, utc_offset_s)}"


def _date(day: int) -> str:
    year, month, of_month = date_of(day).split("-")
    return f"{year}年{int(month)}月{int(of_month)}日"
