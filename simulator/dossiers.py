"""Moves, faults, captures, damages, questions and rounds in a scenario, as persons say them.

A step that the ledger refuses is a mistake of the file, unless the file names the refusal. What a
file says of rounds, hours and inspections, and the books do not, is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ledger import closing, inspections
from ledger.duties import ITEMS
from ledger.procedures import (
    CAPTURE,
    CLOSING,
    COSTS,
    COSTS_SAID,
    DAMAGE,
    MERCHANT,
    MOVE_OF,
    QUESTION,
    REPAIR,
    RETIREMENT,
    Act,
)
from ledger.procedures import is_open as may_go_on
from ledger.takings import taken
from protocols.rules import clock
from protocols.rules.money import format_yuan
from protocols.wire import messages
from simulator.refusals import refusing
from simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from ledger.dossiers import Dossier
    from ledger.store import LedgerStore
    from simulator.run import Run
    from simulator.scenario import Step

_DAY_S = 86_400
STATEMENT = "statement"  # what is shown is its mark, which no file can know


def _reader(run: Run, step: Step) -> Mapping[str, Any]:
    (reader,) = (one for one in run.scenario.readers if one["name"] == step.fields["reader"])
    return reader


def _act(step: Step) -> Act:
    fields = step.fields
    words = (fields.get(name, "") for name in ("shown", "said", "given_by"))
    return Act(fields["role"], fields["person"], *words)


def _begin(run: Run, step: Step) -> None:
    """About a reader, or its merchant; `ref` is the number on the paper."""
    kind, reader = step.fields["kind"], _reader(run, step)
    number = _BEGIN[kind](run, step, reader["device"], run.scenario.merchants[reader["merchant"]])
    run.tell(f"{step.fields['person']} begins a {kind} of {step.fields['reader']}: {number}")


def _move(run: Run, step: Step, device: int, _merchant_no: int) -> int:
    who = step.fields["person"], step.fields.get("said", ""), run.world.utc_s()
    to = step.fields.get("site", "")
    return run.services.store.merchants.tickets.move(step.fields["ref"], device, to, *who)


def _report(run: Run, step: Step, device: int, _merchant_no: int) -> int:
    """With the FAULT records of the reader that are booked."""
    store, now_s = run.services.store, run.world.utc_s()
    what = step.fields["ref"], device, _act(step), now_s
    return store.merchants.tickets.report(*what, _records(store, device, messages.FAULT))


def _withhold(run: Run, step: Step, device: int, _merchant_no: int) -> int:
    store = run.services.store
    newest = _records(store, device, messages.CAPTURE)[-1]
    return store.merchants.tickets.withhold(newest, step.fields["person"], run.world.utc_s())


def _damage(run: Run, step: Step, device: int, _merchant_no: int) -> int:
    tickets = run.services.store.merchants.tickets
    return tickets.damage(step.fields["ref"], device, _act(step), run.world.utc_s())


def _ask(run: Run, step: Step, device: int, merchant_no: int) -> int:
    """About every spend of that reader that is booked."""
    store, fields = run.services.store, step.fields
    sql = "SELECT device, seq FROM intent WHERE device = ? AND merchant_no = ? AND amount_fen > 0"
    records = list(store.database.rows(sql, (device, merchant_no)))
    words = records, fields["person"], fields.get("said", ""), run.world.utc_s()
    return store.merchants.tickets.ask(fields["ref"], merchant_no, *words)


def _retire(run: Run, step: Step, device: int, _merchant_no: int) -> int:
    tickets = run.services.store.merchants.tickets
    return tickets.retire(step.fields["ref"], device, _act(step), run.world.utc_s())


def _leave(run: Run, step: Step, _device: int, merchant_no: int) -> int:
    tickets = run.services.store.merchants.tickets
    return tickets.leave(step.fields["ref"], merchant_no, _act(step), run.world.utc_s())


def _records(store: LedgerStore, device: int, kind: int) -> list[tuple[int, int]]:
    sql = "SELECT device, seq FROM record WHERE device = ? AND kind = ? ORDER BY seq"
    return list(store.database.rows(sql, (device, kind)))


# Of simulator/dossier_words.py each one.
_BEGIN: dict[str, Callable[[Run, Step, int, int], int]] = {
    MOVE_OF: _move,
    REPAIR: _report,
    CAPTURE: _withhold,
    DAMAGE: _damage,
    QUESTION: _ask,
    RETIREMENT: _retire,
    CLOSING: _leave,
}


def _say(run: Run, step: Step) -> None:
    """The next step of the newest dossier whose paper has this number; a round's are `round-1`."""
    fields, dossiers = step.fields, run.services.store.merchants.dossiers
    found = [one for one in dossiers.every() if one.reference == fields["ref"]]
    if not found:
        raise ScenarioError(run.scenario.path, step.line, f"nothing is called '{fields['ref']}'")
    known: Dossier = found[-1]
    items = COSTS[known.kind] if COSTS_SAID.get(known.kind) == fields["verb"] else ()
    costs = list(zip(items, fields.get("amounts", ()), strict=False))
    bearer = fields.get("bearer", MERCHANT)
    by = _act(step)
    if by.evidence == STATEMENT:
        by = replace(by, evidence=_mark(run.services.store, known))
    what = known.number, fields["verb"], by, run.world.utc_s()
    state = dossiers.say(*what, costs, bearer)
    told = "".join(f", {item} {format_yuan(fen)}" for item, fen in costs)
    run.tell(f"{fields['person']}: {fields['verb']} {known.kind} {known.reference}{told}: {state}")


def _mark(store: LedgerStore, known: Dossier) -> str:
    """What whoever closes a merchant has read on the newest statement of its end."""
    statement = closing.newest(store.database, known.number)
    return statement.mark if statement else STATEMENT


def _duty(run: Run, step: Step) -> None:
    """A department names who makes the rounds of the first site, and how often."""
    fields = step.fields
    where = fields["department"], run.scenario.site, fields["person"], fields["days"]
    by = _today(run), fields["by"], run.world.utc_s()
    run.services.store.merchants.duties.name(*where, *by)
    run.tell(f"{fields['by']} names {fields['person']} for rounds each {fields['days']} days")


def _round(run: Run, step: Step) -> None:
    """Readers, network lines and power lines were looked at; what is told becomes tickets."""
    fields, duties = step.fields, run.services.store.merchants.duties
    where = fields["department"], run.scenario.site, _today(run), fields["person"]
    words = fields["finds"], fields.get("said", ""), run.world.utc_s()
    numbers = duties.go_round(*where, *words)
    finds = ", ".join(f"{item} {word}" for item, word in zip(ITEMS, fields["finds"], strict=True))
    run.tell(f"{fields['person']} has been round: {finds}; {len(numbers)} tickets")


def _look(run: Run, step: Step) -> None:
    """Who has not made a round in time, what is late, which readers nobody inspected today, and
    what each merchant took today, in how many spends (R7.5)."""
    store, now_s, today = run.services.store, run.world.utc_s(), _today(run)
    offset_s = run.scenario.policy["utc_offset_s"]
    names = {reader["device"]: reader["name"] for reader in run.scenario.readers}
    merchants = {number: name for name, number in run.scenario.merchants.items()}
    begins_s = today * _DAY_S - offset_s
    days = inspections.of_day(store.database, begins_s, begins_s + _DAY_S)
    found = {
        "overdue": [one.person for one in store.merchants.duties.every(today) if one.due < today],
        "delayed": [
            one.dossier.reference for one in store.merchants.tickets.open(now_s) if one.is_late
        ],
        "open": [
            one.reference
            for one in store.merchants.dossiers.every()
            if may_go_on(one.kind, one.state)
        ],
        "uninspected": [names[one.device] for one in days if one.state == inspections.MISSING],
        "taken": [
            f"{merchants[merchant_no]} {count} {format_yuan(fen)}"
            for merchant_no, (count, fen) in taken(store.database, begins_s, now_s).items()
        ],
    }
    for key, got in found.items():
        run.tell(f"{key}: {', '.join(got) or 'none'}")
        wanted = step.fields.get(key)
        if wanted is not None and sorted(wanted) != sorted(got):
            run.not_shown.append(f"line {step.line}: {key} is {got}, not {wanted}")


def _today(run: Run) -> int:
    return clock.day(run.world.utc_s(), run.scenario.policy["utc_offset_s"])


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "begin": refusing(_begin),
    "say": refusing(_say),
    "duty": refusing(_duty),
    "round": refusing(_round),
    "look": _look,
}
