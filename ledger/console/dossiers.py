"""Applications, tickets and cases of merchants and readers, by the one table of procedures.

The list of what is open has its clocks (R17.2, R20); a dossier shows its steps, and for each step
that may follow and that whoever has logged in may say, a form (ledger/procedures.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import closing, people, procedures
from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.dossier_words import KINDS, REASONS, TEXTS
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.dialect import Dialect
from ledger.dossier_signers import department_of
from ledger.dossiers import BEARERS, Dossier, DossierRefused, find
from ledger.procedures import ANNEX_2, APPROVED, CLOSING, DUE_H, NO_DOSSIER, RETIREMENT, Act
from protocols.rules.money import format_yuan

__all__ = ["PAGES", "REASONS", "REFUSES", "TEXTS", "TO_SIGN", "WAITING"]

REFUSES = (DossierRefused,)
_SHOWN = 200
_HOUR_S = 3_600
_OPEN = {
    (kind, state)
    for kind in procedures.KINDS
    for state in procedures.states(kind)
    if procedures.is_open(kind, state) and state != procedures.ABSENT
}
# By the index of states first: one that is open in one procedure may be the end of another.
_STATES = ", ".join(f"'{state}'" for state in sorted({state for _kind, state in _OPEN}))
_PAIRS = ", ".join(f"('{kind}', '{state}')" for kind, state in sorted(_OPEN))
_LIST = f"""
SELECT d.number FROM dossier_step s JOIN dossier d ON d.number = s.dossier
WHERE s.state_after IN ({_STATES}) AND (d.kind, s.state_after) IN (VALUES {_PAIRS})
AND d.number > ? AND ? IN ('', d.kind) AND NOT EXISTS (
    SELECT 1 FROM dossier_step n WHERE n.dossier = s.dossier AND n.step = s.step + 1)
ORDER BY d.number LIMIT {_SHOWN + 1}"""
# What is shown with a step, where it is no word of procedures.EVIDENCE.
YUAN, NUMBER, MARK = "yuan", "number", "mark"
_SHOWN_AS = {
    (CLOSING, "pay-in"): YUAN,
    (CLOSING, "write-off"): YUAN,
    (CLOSING, "close"): MARK,
    (RETIREMENT, "pass-over"): NUMBER,
}
_DETAILS = {"relocation": "relocation", **dict.fromkeys(ANNEX_2, "annex_form")}


@dataclass(frozen=True, slots=True)
class Listed:
    """An open dossier. `due_s`: until when, None: no hours are set; `whose`: who may go on."""

    dossier: Dossier
    due_s: int | None
    is_late: bool
    whose: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A step that may follow, said as `role`; what has to come with it."""

    verb: str
    role: str
    words: tuple[str, ...]
    shown_as: str
    needs_text: bool
    costs: tuple[str, ...]
    is_danger: bool


def opened(database: Dialect, now_s: int, behind: int = 0, kind: str = "") -> list[Listed]:
    """Those behind a number, in their order: a page of them, and one more if there is one."""
    rows = list(database.rows(_LIST, (behind, kind)))
    return [_listed(find(database, number), now_s) for (number,) in rows]


def _every(asked: Asked) -> Iterator[Listed]:
    """All that is open, page by page."""
    behind = 0
    while found := opened(asked.store.database, asked.now_s, behind):
        yield from found
        behind = found[-1].dossier.number


def _listed(dossier: Dossier, now_s: int) -> Listed:
    for_h = DUE_H.get((dossier.kind, dossier.state))
    due_s = None if for_h is None else dossier.since_s + for_h * _HOUR_S
    roles = tuple(dict.fromkeys(row.role for row in _following(dossier)))
    return Listed(dossier, due_s, due_s is not None and due_s < now_s, roles)


def _following(dossier: Dossier) -> list[procedures.Row]:
    return [row for row in procedures.of(dossier.kind) if row.before == dossier.state]


def show(asked: Asked) -> Shown:
    """What is open, with its clock; of one kind where the query says so."""
    kind = asked.query.get("kind", "")
    kind = kind if kind in procedures.KINDS else ""
    with asked.store.database.reading():
        found = opened(asked.store.database, asked.now_s, typed.in_query(asked, "after"), kind)
    more = found[_SHOWN - 1].dossier.number if len(found) > _SHOWN else 0
    shown = sorted(found[:_SHOWN], key=lambda one: (one.due_s is None, one.due_s or 0))
    begins = [name for name in KINDS if may_begin(asked, name)]
    context = {"found": shown, "more": more, "kinds": list(KINDS), "kind": kind}
    return Shown("dossiers.html", context | {"begins": begins})


def may_begin(asked: Asked, kind: str) -> list[str]:
    """As whom whoever asks may begin a dossier of this kind."""
    return [role for role in begun_as(kind) if asked.may(people.step_verb(kind, role))]


def begun_as(kind: str) -> list[str]:
    """The roles of ledger/procedures.py that may begin one."""
    return [row.role for row in procedures.of(kind) if row.before == procedures.ABSENT]


def show_one(asked: Asked) -> Shown:
    """A dossier, its steps, and what whoever asks may say now."""
    database = asked.store.database
    with database.reading():
        dossier = _find(asked)
        ways = ways_of(asked, dossier)
        table = _DETAILS.get(dossier.kind)
        context = {
            "dossier": dossier,
            "one": _listed(dossier, asked.now_s),
            "ways": ways,
            "has_it": procedures.custodian(dossier.steps),
            "costs": asked.store.merchants.dossiers.costs(dossier.number),
            "detail": asked.store.merchants.dossiers.detail(dossier.number, table)
            if table
            else None,
            "bearers": BEARERS,
            "mark": _mark(database, dossier),
            "admitted": asked.store.merchants.onboarding.admitted(dossier.number),
            "admits": dossier.kind in ANNEX_2
            and dossier.state == APPROVED
            and asked.may("device.admit"),
        }
    return Shown("dossier.html", context)


def ways_of(asked: Asked, dossier: Dossier) -> list[Way]:
    """Each step that follows, for each role as which whoever asks may say it."""
    found = []
    for row in _following(dossier):
        if not asked.may(people.step_verb(dossier.kind, row.role)):
            continue
        whose = department_of(asked.store.database, dossier.number, dossier.kind, row.role)
        if whose and whose != asked.department:
            continue
        key = dossier.kind, row.verb
        costs = procedures.COSTS[dossier.kind] if _has_costs(key) else ()
        found.append(
            Way(
                row.verb,
                row.role,
                procedures.EVIDENCE.get(key, ()),
                _SHOWN_AS.get(key, ""),
                key in procedures.WITH_TEXT,
                costs,
                row.verb in ("reject", "withdraw", "dismiss", "destroy", "decline", "expel"),
            )
        )
    return found


def _has_costs(key: tuple[str, str]) -> bool:
    """Whether costs are said with this step."""
    return procedures.COSTS_SAID.get(key[0]) == key[1]


def step(asked: Asked) -> str:
    """Take a step, or admit readers of an approved application."""
    number = typed.in_path(asked, "dossier")
    if asked.fields.get("act") == "admit":
        devices = _numbers(typed.text(asked, "devices"))
        onboarding = asked.store.merchants.onboarding
        onboarding.admit(number, devices, asked.person, asked.now_s)
        return f"/dossiers/{number}?done=admitted"
    dossier = _find(asked)
    verb, role = asked.fields.get("verb", ""), asked.fields.get("role", "")
    rows = [row for row in procedures.of(dossier.kind) if (row.verb, row.role) == (verb, role)]
    if not rows:
        raise Refused(BAD_FIELDS, "verb")
    moves = rows[0].act in (procedures.TAKE, procedures.GIVE)
    given_by = procedures.custodian(dossier.steps) if moves else ""
    shown = _evidence(asked, dossier, verb)
    by = Act(role, asked.person, shown, typed.text(asked, "said"), given_by)
    items = procedures.COSTS[dossier.kind] if _has_costs((dossier.kind, verb)) else ()
    costs = [(item, typed.fen(asked, f"cost-{item}")) for item in items]
    bearer = asked.fields.get("bearer", BEARERS[0])
    if bearer not in BEARERS:
        raise Refused(BAD_FIELDS, "bearer")
    say = asked.store.merchants.dossiers.say
    say(number, verb, by, asked.now_s, costs, bearer)
    return f"/dossiers/{number}?done=step"


def _evidence(asked: Asked, dossier: Dossier, verb: str) -> str:
    """What is shown with a step, as the books have it."""
    if _SHOWN_AS.get((dossier.kind, verb)) == YUAN:
        return str(typed.fen(asked, "shown"))
    return typed.text(asked, "shown")


def _mark(database: Dialect, dossier: Dossier) -> str:
    """That of the statement of a merchant that is settled, and what it owes, in yuan."""
    if dossier.kind != CLOSING or dossier.merchant_no is None:
        return ""
    if dossier.state == procedures.SETTLED:
        statement = closing.newest(database, dossier.number)
        return statement.mark if statement else ""
    return format_yuan(closing.owed_fen(database, dossier.merchant_no))


def _find(asked: Asked) -> Dossier:
    try:
        return find(asked.store.database, typed.in_path(asked, "dossier"))
    except DossierRefused as error:
        if error.reason != NO_DOSSIER:
            raise
        raise Refused(NOTHING_HERE) from None


def _numbers(text: str) -> list[int]:
    words = text.replace(",", " ").replace("，", " ").split()
    found = [number for word in words if (number := typed.whole(word)) is not None]
    if not words or len(found) < len(words):
        raise Refused(BAD_FIELDS, "devices")
    return found


def waiting(asked: Asked) -> list[Waiting]:
    """What whoever asks may take the next step of."""
    mine = [one for one in _every(asked) if ways_of(asked, one.dossier)]
    path = f"/dossiers/{mine[0].dossier.number}" if len(mine) == 1 else "/dossiers"
    return [Waiting("dos_waits", len(mine), path)]


def to_sign(asked: Asked) -> list[ToSign]:
    """Dossiers whose next step is a signature of whoever asks; their page has the no too."""
    found = []
    for one in _every(asked):
        dossier = one.dossier
        mine = {(way.verb, way.role) for way in ways_of(asked, dossier)}
        last = dossier.steps[-1]
        if last.by.person != str(asked.person) and any(
            row.act == procedures.SIGN and (row.verb, row.role) in mine
            for row in _following(dossier)
        ):
            what = f"dossier_{dossier.kind}", dossier.reference, last.by.person, last.time_s
            found.append(ToSign(*what, last.by.said, f"/dossiers/{dossier.number}"))
    return found


WAITING, TO_SIGN = (waiting,), (to_sign,)
WORKS_WITH = tuple(
    dict.fromkeys(
        people.step_verb(kind, row.role)
        for kind in procedures.KINDS
        for row in procedures.of(kind)
    )
)
PAGES = (
    Page(
        "/dossiers",
        ("手续与工单", "Applications and tickets"),
        show,
        verbs=WORKS_WITH,
        menu="menu_devices",
        access_key="h",
    ),
    Page(
        "/dossiers/{dossier}",
        ("手续", "Dossier"),
        show_one,
        verbs=(*WORKS_WITH, "device.admit"),
        do=step,
    ),
)
