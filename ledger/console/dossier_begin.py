"""Forms that begin a dossier, a page for each kind: annex 2, moves, faults, ends (R16 to R22)."""

from collections.abc import Callable
from functools import partial

from ledger import people, procedures
from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown
from ledger.console.dossier_words import KINDS
from ledger.console.dossiers import begun_as, may_begin
from ledger.console.refusals import BAD_FIELDS
from ledger.onboarding import Form
from ledger.procedures import (
    ANNEX_2,
    CAPTURE,
    CLOSING,
    DAMAGE,
    MOVE_OF,
    QUESTION,
    REPAIR,
    RETIREMENT,
    Act,
)
from protocols.wire import topics

# field -> (key of its label, type of input, most characters); each form names its own.
FIELDS = {
    "reference": ("dos_reference", "text", 32),
    "merchant_no": ("dos_merchant_no", "number", 10),
    "name": ("dos_form_name", "text", 64),
    "department": ("dos_form_department", "text", 32),
    "project": ("dos_form_project", "text", 32),
    "quantity": ("dos_form_quantity", "number", 4),
    "amount": ("dos_form_amount", "text", 10),
    "device": ("dos_device", "number", 10),
    "site": ("dos_site", "text", 32),
    "record": ("dos_record", "number", 10),
    "records": ("dos_record_list", "text", 200),
    "because": ("dos_because", "text", 200),
    "what": ("dos_what", "text", 200),
}
_ANNEX = ("reference", "merchant_no", "name", "department", "project", "quantity", "amount")
FORMS = {
    **dict.fromkeys(ANNEX_2, (*_ANNEX, "because")),
    MOVE_OF: ("reference", "device", "site", "because"),
    REPAIR: ("reference", "device", "what"),
    CAPTURE: ("device", "record"),
    DAMAGE: ("reference", "device", "what"),
    QUESTION: ("reference", "merchant_no", "records", "what"),
    RETIREMENT: ("reference", "device"),
    CLOSING: ("reference", "merchant_no", "because"),
}


def show(kind: str, asked: Asked) -> Shown:
    """The form of a kind, with what is known filled in."""
    roles = may_begin(asked, kind)
    given = {name: asked.fields.get(name, asked.query.get(name, "")) for name in FORMS[kind]}
    if "reference" in given and not given["reference"]:
        given["reference"] = f"{kind[:1].upper()}-{asked.now_s}"
    context = {
        "kind": kind,
        "roles_as": roles,
        "names": FORMS[kind],
        "field_of": FIELDS,
        "given": given,
        "words": procedures.EVIDENCE.get((kind, _first_verb(kind)), ()),
        "sites": _sites(asked),
        "departments": _departments(asked),
    }
    return Shown("dossier_begin.html", context)


def begin(kind: str, asked: Asked) -> str:
    """Begin it, by the verb of its own."""
    role = asked.fields.get("role", "")
    if role not in may_begin(asked, kind):
        raise Refused(BAD_FIELDS, "role")
    number = _BEGIN[kind](asked, kind, role)
    return f"/dossiers/{number}?done=begun"


def _apply(asked: Asked, kind: str, role: str) -> int:
    del role
    name, department, project = (
        typed.text(asked, field) for field in ("name", "department", "project")
    )
    amount_fen = typed.fen(asked, "amount")
    form = Form(name, department, project, typed.number(asked, "quantity"), amount_fen)
    merchant_no, because = typed.number(asked, "merchant_no"), typed.text(asked, "because")
    what = kind, typed.text(asked, "reference"), merchant_no, form, because
    return asked.store.merchants.onboarding.apply(*what, asked.person, asked.now_s)


def _move(asked: Asked, kind: str, role: str) -> int:
    del kind, role
    site = typed.text(asked, "site")
    if not topics.is_site(site):
        raise Refused(BAD_FIELDS, "site")
    what = typed.text(asked, "reference"), typed.number(asked, "device"), site, asked.person
    return asked.store.merchants.tickets.move(*what, typed.text(asked, "because"), asked.now_s)


def _report(asked: Asked, kind: str, role: str) -> int:
    tickets = asked.store.merchants.tickets
    begin_it = tickets.report if kind == REPAIR else tickets.damage
    by = Act(role, asked.person, said=typed.text(asked, "what"))
    what = typed.text(asked, "reference"), typed.number(asked, "device"), by
    return begin_it(*what, asked.now_s)


def _withhold(asked: Asked, kind: str, role: str) -> int:
    del kind, role
    record = typed.number(asked, "device"), typed.number(asked, "record")
    return asked.store.merchants.tickets.withhold(record, asked.person, asked.now_s)


def _retire(asked: Asked, kind: str, role: str) -> int:
    del kind
    by = Act(role, asked.person, typed.text(asked, "shown"))
    what = typed.text(asked, "reference"), typed.number(asked, "device"), by
    return asked.store.merchants.tickets.retire(*what, asked.now_s)


def _leave(asked: Asked, kind: str, role: str) -> int:
    del kind
    by = Act(role, asked.person, said=typed.text(asked, "because"))
    what = typed.text(asked, "reference"), typed.number(asked, "merchant_no"), by
    return asked.store.merchants.tickets.leave(*what, asked.now_s)


def _ask(asked: Asked, kind: str, role: str) -> int:
    del kind, role
    words = typed.text(asked, "records").split()
    records = [typed.record(word, "/", "records") for word in words]
    what = typed.text(asked, "reference"), typed.number(asked, "merchant_no"), records
    said = typed.text(asked, "what")
    return asked.store.merchants.tickets.ask(*what, asked.person, said, asked.now_s)


_BEGIN: dict[str, Callable[[Asked, str, str], int]] = {
    **dict.fromkeys(ANNEX_2, _apply),
    MOVE_OF: _move,
    REPAIR: _report,
    CAPTURE: _withhold,
    DAMAGE: _report,
    QUESTION: _ask,
    RETIREMENT: _retire,
    CLOSING: _leave,
}


def _first_verb(kind: str) -> str:
    return procedures.of(kind)[0].verb


def _sites(asked: Asked) -> list[str]:
    rows = asked.store.database.rows("SELECT DISTINCT site FROM device ORDER BY site")
    return [site for (site,) in rows]


def _departments(asked: Asked) -> list[str]:
    rows = asked.store.database.rows("SELECT DISTINCT department FROM operator ORDER BY 1")
    return [name for (name,) in rows]


PAGES = tuple(
    Page(
        f"/dossiers/begin/{kind}",
        words,
        partial(show, kind),
        verbs=tuple(people.step_verb(kind, role) for role in begun_as(kind)),
        do=partial(begin, kind),
    )
    for kind, words in KINDS.items()
)
