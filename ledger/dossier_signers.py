"""Whose word a step of a dossier is: who has logged in, for the department that it is about.

Rules of this file. Every step of a procedure is somebody's word, of the verb that ledger/people.py
has for its role; asked in the transaction that takes the step. An opinion on a form is asked of
the department that stands there, or of the leader over it; a step about a reader of the department
that answers for it, and the end of a merchant of the one that let it in. What was signed by a
typed name counts for nothing once the books have operators: who is called so signs it again, or it
is withdrawn and applied for anew. Where nothing can be withdrawn (a damage, a question) it stands
as typed, and what follows takes a proven name. No reader is admitted on typed signatures either,
nor ends on one.
"""

from dataclasses import replace

from ledger import people
from ledger.dialect import Dialect
from ledger.procedures import (
    ANNEX_2,
    APPROVED,
    CLOSING,
    DEPARTMENT,
    DEPARTMENT_LEADER,
    MERCHANT,
    PROJECT,
    PROJECT_LEADER,
    QUESTION,
    SIGN,
    WITHDRAWN_ANY_TIME,
    Act,
    Step,
    of,
)
from ledger.signatures import are_there, signed, was_proven

# What of the form an opinion is asked of.
_ON_THE_FORM = {
    DEPARTMENT: "department",
    DEPARTMENT_LEADER: "department",
    PROJECT: "project",
    PROJECT_LEADER: "project",
}
_ENDING = ("reject", "withdraw")
_WRITE_OFF = CLOSING, "write-off"  # rests on a proposal, which has to be somebody's too
_OF_FORM = "SELECT {} FROM annex_form WHERE dossier = ?"
_OF_MERCHANT = f"""
SELECT f.department FROM dossier m JOIN annex_form f ON f.dossier = m.number
JOIN dossier_step s ON s.dossier = m.number AND s.state_after = '{APPROVED}'
WHERE m.kind = '{MERCHANT}' AND m.merchant_no = ?"""
_LEAVES = "SELECT merchant_no FROM dossier WHERE number = ?"
_OF_READER = """
SELECT r.department FROM dossier d JOIN responsible r ON r.device = d.device WHERE d.number = ?
UNION ALL SELECT department FROM duty_ticket WHERE dossier = ?"""


def proven(
    database: Dialect, what: tuple[str, str, str], by: Act, time_s: int, department: str = ""
) -> Act:
    """`by` with the name that is written down for (kind, reference, verb). NotAllowed.

    `department`: the one it is asked of; "": any.
    """
    kind, reference, verb = what
    about = _subject(kind, reference, verb)
    words = by.person, time_s, about, by.evidence or by.said
    if not any((row.verb, row.role) == (verb, by.role) for row in of(kind)):
        return by  # no such step of that role in this procedure: its table refuses, whoever it is
    verb = people.step_verb(kind, by.role)
    return replace(by, person=signed(database, verb, *words, department=department))


def department_of(database: Dialect, number: int, kind: str, role: str) -> str:
    """Of which department the next step of a dossier is asked as `role`; "": of any."""
    if kind in ANNEX_2:
        column = _ON_THE_FORM.get(role)
        rows = database.rows(_OF_FORM.format(column), (number,)) if column else ()
    elif kind == CLOSING and role in (DEPARTMENT, DEPARTMENT_LEADER):
        ((merchant_no,),) = list(database.rows(_LEAVES, (number,)))
        return over_merchant(database, merchant_no)
    elif role != DEPARTMENT:
        return ""
    elif kind == QUESTION:
        return people.GENERAL
    else:
        rows = database.rows(_OF_READER, (number, number))
    return next((name for (name,) in list(rows)), "")


def over_merchant(database: Dialect, merchant_no: int) -> str:
    """The department of the form by which one became a merchant; of before, that of merchants."""
    rows = list(database.rows(_OF_MERCHANT, (merchant_no,)))
    return next((name for (name,) in rows), people.GENERAL)


def typed_signer(
    database: Dialect, kind: str, reference: str, steps: tuple[Step, ...], verb: str
) -> str:
    """Whose typed signature keeps a dossier from going on by `verb`; "": nobody's."""
    if not are_there(database) or verb in _ENDING:
        return ""
    if (kind, verb) == _WRITE_OFF:
        return _typed(database, kind, reference, steps[-1])
    if kind not in WITHDRAWN_ANY_TIME:
        return ""
    signed_by = (_typed(database, kind, reference, step) for step in steps if step.act == SIGN)
    return next((who for who in signed_by if who), "")


def _typed(database: Dialect, kind: str, reference: str, step: Step) -> str:
    """Who has said a step by a typed name; "": it is somebody's who was proven."""
    said = people.step_verb(kind, step.by.role), _subject(kind, reference, step.verb)
    return "" if was_proven(database, step.by.person, *said) else step.by.person


def _subject(kind: str, reference: str, verb: str) -> str:
    return f"{kind} {reference}: {verb}"
