"""Annex 2, the form of a merchant and his readers, to print and to sign.

Rules of this file are those of tools/annex_form.py: what the books have stands where the original
has it, and what they never take (contacts and their telephones) is left blank, for a pen. Whoever
has agreed or refused is named with the day and what was said; an opinion that nobody has given yet
is blank. `onecard ledger merchant form`, and `device form`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.amount_words import in_words
from ledger.dossiers import Dossier, refuse
from ledger.onboarding import Form
from ledger.procedures import ANNEX_2, NO_DOSSIER, Step
from protocols.rules.money import format_yuan
from tools.annex_form import Signature, day_of, rendered
from tools.ledger_batch import write_private
from tools.ledger_forks import opened

TITLE = "校园一卡通设备申请表"
# Whose opinion stands where, in the order of the original and of the signatures.
OPINIONS = {
    "department": "管理部门负责人意见",
    "department-leader": "管理部门分管校领导意见",
    "project": "项目管理部门意见",
    "project-leader": "项目管理部门分管校领导意见",
    "president": "校长意见",
}
_WORDS = {"sign": "同意", "reject": "不同意"}
_ENDS = {"rejected": "未获批准", "withdrawn": "申请人已撤回"}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One field of the form: whose, of which department ("": it is not named), and what."""

    head: str
    department: str
    words: str
    signature: Signature


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in the form. `ended`: "" while it may still be signed, or is approved."""

    title: str
    number: int
    reference: str
    applied: str
    merchant: str
    merchant_no: int
    department: str
    quantity: int
    amount: str
    amount_words: str
    necessity: str
    applicant: Signature
    opinions: tuple[Opinion, ...]
    ended: str
    devices: tuple[int, ...]


def write(path: Path, number: int, out: Path, school: str, utc_offset_s: int) -> str:
    """Write the page of an application. NotBooks, DossierRefused."""
    with opened(path) as store:
        dossier = store.merchants.dossiers.dossier(number)
        if dossier.kind not in ANNEX_2:
            refuse(dossier.kind, f"dossier {number} is no form of annex 2", NO_DOSSIER)
        form = store.merchants.onboarding.form(number)
        devices = store.merchants.onboarding.admitted(number)
    sheet = sheet_of(dossier, form, devices, school, utc_offset_s)
    write_private(out, rendered("device_form.html", sheet))
    signed = sum(bool(one.signature.person) for one in sheet.opinions)
    return f"{out}: dossier {number}, {signed} of {len(OPINIONS)} opinions"


def sheet_of(
    dossier: Dossier, form: Form, devices: Sequence[int], school: str, utc_offset_s: int
) -> Sheet:
    """What the books say, in the words of the form."""
    first = dossier.steps[0]
    said = {step.by.role: step for step in dossier.steps if step.verb in _WORDS}
    named = {"department": form.department, "project": form.project}
    applied = day_of(first.time_s, utc_offset_s)
    assert dossier.merchant_no is not None  # Onboarding.apply takes none without
    return Sheet(
        school + TITLE,
        dossier.number,
        dossier.reference,
        applied,
        form.name,
        dossier.merchant_no,
        form.department,
        form.quantity,
        f"{format_yuan(form.amount_fen)} 元",
        in_words(form.amount_fen),
        first.by.said,
        Signature(first.by.person, applied),
        tuple(
            _opinion(head, named.get(role, ""), said.get(role), utc_offset_s)
            for role, head in OPINIONS.items()
        ),
        _ended(dossier, utc_offset_s),
        tuple(devices),
    )


def _opinion(head: str, department: str, step: Step | None, utc_offset_s: int) -> Opinion:
    if step is None:
        return Opinion(head, department, "", Signature())
    words = "：".join(filter(None, (_WORDS[step.verb], step.by.said)))
    by = Signature(step.by.person, day_of(step.time_s, utc_offset_s))
    return Opinion(head, department, words, by)


def _ended(dossier: Dossier, utc_offset_s: int) -> str:
    text = _ENDS.get(dossier.state, "")
    return f"{text}，{day_of(dossier.since_s, utc_offset_s)}" if text else ""
