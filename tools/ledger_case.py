"""Cases, who bears them, and how two persons say so: `onecard ledger case`.

May run beside the ledger; the rules are in ledger/corrections.py. A case is named by its reason
and its record, as `list` prints it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger import chart
from ledger.bearers import NO_LOSS, Bearer
from ledger.corrections import CaseOf, CorrectionRefused, Corrections, Proposal
from ledger.reasons import TEXTS
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.session import signing

NONE_OPEN, OPEN = 0, 1
_HASH_CHARS = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `propose` is asked for; None: as the record says."""

    bearer: Bearer
    person: str
    because: str
    amount_fen: int | None
    whose: int | None


def named(case: CaseOf) -> str:
    """How a case is called here: reason/device/record, and where needed the hash it has."""
    text = f"{case.reason}/{case.device}/{case.seq}"
    return f"{text}/{case.sha256.hex()[:_HASH_CHARS]}" if case.sha256 else text


def find(path: Path, with_all: bool) -> list[dict[str, Any]]:
    """What can be corrected and is not, or every case, each as `show` tells it; NotBooks."""
    with opened(path) as store:
        told = [_told(store.corrections, case) for case in store.corrections.cases()]
    return [case for case in told if with_all or case["state"] in ("open", "proposed")]


def show(path: Path, name: str) -> dict[str, Any]:
    """One case, and the mark of what is proposed for it. NotBooks, CorrectionRefused."""
    with opened(path) as store:
        return _told(store.corrections, _case(store.corrections, name))


def propose(path: Path, name: str, wanted: Wanted, now_s: int) -> dict[str, Any]:
    """The case with its new proposal. NotBooks, CorrectionRefused, StoreUnavailable."""
    with signing(path, wanted.person, now_s) as (store, who):
        case = _case(store.corrections, name)
        what = wanted.bearer, who, wanted.because
        store.corrections.propose(case, *what, now_s, wanted.amount_fen, wanted.whose)
        return _told(store.corrections, case)


def approve(path: Path, number: int, mark: str, person: str, now_s: int) -> Proposal:
    """What is booked now. NotBooks, CorrectionRefused, StoreUnavailable."""
    with signing(path, person, now_s) as (store, who):
        return store.corrections.approve(number, mark, who, now_s)


def to_json(told: Any) -> str:
    """As JSON; money in fen, times in seconds since 1970."""
    return json.dumps(told, indent=2)


def list_text(found: list[dict[str, Any]]) -> str:
    """For people: a line for each."""
    lines = [f"{case['case']:<28}  {case['state']:<9}  {case['text']}" for case in found]
    return "\n".join(lines or ["nothing waits"])


def show_text(told: dict[str, Any]) -> str:
    """For people: everything that whoever decides has to know."""
    return "\n".join(_lines(told))


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"case {told['case']}: {told['text']}"
    for name in ("card_no", "merchant_no", "amount_fen", "held_fen"):
        if told[name] is not None:
            yield f"  {name}: {told[name]}"
    if pair := told["pair"]:
        yield f"  card {pair['card_no']}, against record {pair['device']}/{pair['seq']}:"
        yield f"  {pair['ground']}; found {_time(pair['found_s'])}"
    yield f"  {told['state']}; as a rule: {told['rule']}"
    proposal, approval = told["proposal"], told["approval"]
    is_others = approval and approval["proposal"] != (proposal or {}).get("number")
    if proposal and not is_others:
        amount = format_yuan(proposal["amount_fen"])
        yield f"  proposal {proposal['number']}: {proposal['bearer']} bears {amount}"
        yield f"    from {proposal['debit']} to {proposal['credit']}"
        yield f"    by {proposal['person']}, {_time(proposal['time_s'])}: {proposal['because']}"
        if told["mark"]:
            yield f"    its mark, for who approves: {told['mark']}"
    if approval:
        of = (
            f" by proposal {approval['proposal']}, of another case of its sale,"
            if is_others
            else ""
        )
        yield f" {of} approved by {approval['person']}, {_time(approval['time_s'])}"


def _told(corrections: Corrections, case: CaseOf) -> dict[str, Any]:
    proposal, approval = corrections.proposed(case), corrections.approved(case)
    held_fen = corrections.held_fen(case)
    state = "proposed" if proposal else "no money" if held_fen == 0 else "open"
    if case.loss is None:
        rule, state = NO_LOSS.get(case.reason, "unknown here"), "no money"
    else:
        rule = f"{case.loss.bearer}: {case.loss.why}"
    pair = corrections.pair(case)
    names = ("card_no", "device", "seq", "ground", "found_s")
    return {
        "case": named(case),
        "text": TEXTS.get(case.reason, "unknown here"),
        "state": "corrected" if approval else state,
        "rule": rule,
        "card_no": case.card_no,
        "merchant_no": case.merchant_no,
        "amount_fen": case.amount_fen,
        "held_fen": held_fen,
        "pair": pair and dict(zip(names, pair, strict=True)),
        "proposal": proposal and _proposed(proposal),
        "mark": corrections.mark(case, proposal) if proposal and not approval else None,
        "approval": approval
        and dict(zip(("proposal", "person", "time_s"), approval, strict=True)),
    }


def _proposed(proposal: Proposal) -> dict[str, Any]:
    return {
        "number": proposal.number,
        "bearer": proposal.bearer,
        "debit": _account(proposal.debit_account),
        "credit": _account(proposal.credit_account),
        "amount_fen": proposal.amount_fen,
        "because": proposal.because,
        "person": proposal.person,
        "time_s": proposal.time_s,
    }


def _account(number: int) -> str:
    return f"{chart.KIND_NAMES[chart.kind(number)]} {chart.owner(number)}"


def _case(corrections: Corrections, name: str) -> CaseOf:
    parts = name.split("/")
    numbers, rest = parts[:3], parts[3:]
    if len(numbers) != 3 or not all(part.isdecimal() for part in numbers) or len(rest) > 1:
        raise CorrectionRefused(f"{name!r}: a case is called reason/device/record, as listed")
    reason, device, seq = map(int, numbers)
    return corrections.case(reason, device, seq, rest[0] if rest else "")


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
