"""What `onecard ledger merchant` and `onecard ledger device` do with dossiers in the books.

Each says what it has done. NotBooks, DossierRefused, NotAllowed, StoreUnavailable, BadRecord.
Reports read only, and may run beside the ledger and on a backup.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.closing import newest, open_things
from ledger.debts import proposed_fen
from ledger.dossiers import Dossier
from ledger.onboarding import Form
from ledger.procedures import (
    APPROVED,
    CAPTURE,
    CLOSING,
    DEBT_PROPOSED,
    DUE_H,
    KINDS,
    REPAIR,
    RETIREMENT,
    SETTLED,
    TAKE,
    WINDING_UP,
    Act,
    custodian,
)
from ledger.questions import ask, exhibits, found
from ledger.retirement import bars, head_of
from ledger.store import LedgerStore
from ledger.tickets import Open
from protocols.rules import split
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.ledger_lives import date_of
from tools.session import signing

NOTHING_WAITS, SOMETHING_WAITS = 0, 1
_HOURS_CHARS_MAX = 5
_TIME_UNKNOWN_S = 0xFFFFFFFF
_COLUMNS = (
    "dossier",
    "kind",
    "reference",
    "merchant",
    "device",
    "state",
    "since",
    "due",
    "late",
    "in the hands of",
)


class BadRecord(Exception):
    """Not the number of a record such as 1001/17."""


def records_of(words: Sequence[str]) -> list[tuple[int, int]]:
    """(device, seq) of each "1001/17"; BadRecord."""
    found = []
    for word in words:
        device, _, seq = word.partition("/")
        if not (device.isascii() and device.isdigit() and seq.isascii() and seq.isdigit()):
            raise BadRecord(f"'{word}' is no record such as 1001/17")
        found.append((int(device), int(seq)))
    return found


class BadHours(Exception):
    """Not hours of a state, such as repair/reported=2."""


def hours_of(words: Sequence[str]) -> dict[tuple[str, str], int]:
    """(procedure, state) -> hours, of each "repair/reported=2"; BadHours."""
    found = {}
    for word in words:
        where, _, hours = word.partition("=")
        kind, _, state = where.partition("/")
        is_number = hours.isascii() and hours.isdigit() and len(hours) <= _HOURS_CHARS_MAX
        if (kind, state) not in DUE_H or not is_number:
            raise BadHours(f"'{word}' is no hours of a state, such as repair/reported=2")
        found[kind, state] = int(hours)
    return found


# --- what begins ---------------------------------------------------------------------------------


def apply(
    path: Path,
    kind: str,
    reference: str,
    merchant_no: int,
    form: Form,
    said: str,
    by: str,
    now_s: int,
) -> str:
    """Note a form of annex 2."""
    with signing(path, by, now_s) as (store, who):
        begin = store.merchants.onboarding.apply
        number = begin(kind, reference, merchant_no, form, said, who, now_s)
        return _told(store, number)


def admit(path: Path, application: int, devices: Sequence[int], by: str, now_s: int) -> str:
    """Admit numbers of readers for an approved application."""
    with signing(path, by, now_s) as (store, who):
        count = store.merchants.onboarding.admit(application, devices, who, now_s)
        form = store.merchants.onboarding.form(application)
    return (
        f"application {application}: {count} of {form.quantity} readers; they go to the register"
    )


def move(
    path: Path, reference: str, device: int, site: str, because: str, by: str, now_s: int
) -> str:
    """Ask that a reader be moved."""
    with signing(path, by, now_s) as (store, who):
        number = store.merchants.tickets.move(reference, device, site, who, because, now_s)
        return _told(store, number)


def report(
    path: Path, reference: str, device: int, records: Sequence[str], act: Act, now_s: int
) -> str:
    """Report a fault."""
    places = records_of(records)
    with signing(path, act.person, now_s) as (store, who):
        by = replace(act, person=who)
        return _told(store, store.merchants.tickets.report(reference, device, by, now_s, places))


def take_up(path: Path, by: str, now_s: int) -> str:
    """A ticket for each fault that was told at a reader and has none."""
    with signing(path, by, now_s) as (store, who):
        numbers = store.merchants.tickets.take_up(who, now_s)
        lines = [_told(store, number) for number in numbers]
    return "\n".join(lines or ["nothing to take up"])


def damage(path: Path, reference: str, device: int, act: Act, now_s: int) -> str:
    """Open the case of a reader that was damaged."""
    with signing(path, act.person, now_s) as (store, who):
        by = replace(act, person=who)
        return _told(store, store.merchants.tickets.damage(reference, device, by, now_s))


def retire(path: Path, reference: str, device: int, act: Act, now_s: int) -> str:
    """Ask that a reader be in use no more."""
    with signing(path, act.person, now_s) as (store, who):
        by = replace(act, person=who)
        return _told(store, store.merchants.tickets.retire(reference, device, by, now_s))


def leave(path: Path, reference: str, merchant_no: int, act: Act, now_s: int) -> str:
    """Begin a merchant's end."""
    with signing(path, act.person, now_s) as (store, who):
        by = replace(act, person=who)
        return _told(store, store.merchants.tickets.leave(reference, merchant_no, by, now_s))


def withhold(path: Path, record: str, by: str, now_s: int) -> str:
    """Say who has the card of a CAPTURE record."""
    (place,) = records_of([record])
    with signing(path, by, now_s) as (store, who):
        return _told(store, store.merchants.tickets.withhold(place, who, now_s))


def question(
    path: Path,
    reference: str,
    merchant_no: int,
    records: Sequence[str],
    said: str,
    by: str,
    now_s: int,
) -> str:
    """Ask a merchant about records."""
    places = records_of(records)
    with signing(path, by, now_s) as (store, who):
        begin = store.merchants.tickets.ask
        return _told(store, begin(reference, merchant_no, places, who, said, now_s))


def question_all(path: Path, limit_fen: int, window_s: int | None, by: str, now_s: int) -> str:
    """Ask about everything that the books find; each finding once."""
    lines = []
    with signing(path, by, now_s) as (store, who):
        for one in list(found(store, limit_fen, window_s or split.WINDOW_S)):
            number, is_new = ask(store, one, who, now_s)
            told = "asked" if is_new else "was asked before"
            lines.append(f"dossier {number}: merchant {one.merchant_no}, {one.reference}: {told}")
    return "\n".join(lines or ["nothing to ask about"])


def say(
    path: Path,
    number: int,
    verb: str,
    act: Act,
    costs: dict[str, int | None],
    bearer: str,
    now_s: int,
) -> str:
    """Take a step. `costs`: item -> amount_fen, None where nothing was said."""
    told = [(item, fen) for item, fen in costs.items() if fen is not None]
    with signing(path, act.person, now_s) as (store, who):
        by = replace(act, person=who)
        store.merchants.dossiers.say(number, verb, by, now_s, told, bearer)
        return _told(store, number)


# --- reports -------------------------------------------------------------------------------------


def show(path: Path, number: int) -> str:
    """A dossier: what it is about, its steps, what it cost, and spends that are its evidence."""
    with opened(path) as store:
        dossier = store.merchants.dossiers.dossier(number)
        lines = [_head(dossier), *_form(store, dossier), *map(_step, dossier.steps)]
        lines += _hands(dossier)
        for item, bearer, amount_fen in store.merchants.dossiers.costs(number):
            lines.append(f"  {item}: {format_yuan(amount_fen)} yuan, borne by the {bearer}")
        lines += _evidence(store, dossier)
        lines += _left(store, dossier)
    return "\n".join(lines)


def open_ones(
    path: Path,
    kinds: Sequence[str],
    now_s: int,
    as_csv: bool,
    hours: dict[tuple[str, str], int],
) -> tuple[int, str]:
    """(exit code, what is open): SOMETHING_WAITS if any is late, or nobody has taken it up."""
    with opened(path) as store:
        tickets = store.merchants.tickets
        every = [each for each in tickets.open(now_s, hours) if each.dossier.kind in kinds]
        captures = tickets.captures() if CAPTURE in kinds else []
        faults = tickets.faults(now_s) if REPAIR in kinds else []
    waits = bool(captures or faults or any(each.is_late for each in every))
    text = _csv(every) if as_csv else "\n".join(_lines(every, captures, faults))
    return (SOMETHING_WAITS if waits else NOTHING_WAITS), text


def _lines(
    every: Iterable[Open], captures: Iterable[tuple[int, int]], faults: Iterable[tuple[int, int]]
) -> list[str]:
    lines = [f"{_head(each.dossier)}, {_due(each)}" for each in every]
    for device, seq in captures:
        lines.append(f"record {device}/{seq}: a card was withheld, and NOBODY SAYS WHO HAS IT")
    for device, seq in faults:
        lines.append(f"record {device}/{seq}: a fault stands, and IS NO TICKET")
    return lines or ["nothing is open"]


def _csv(every: Iterable[Open]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in every:
        one = each.dossier
        about: list[Any] = ["" if fact is None else fact for fact in (one.merchant_no, one.device)]
        due = "" if each.due_s is None else _time(each.due_s)
        late = "late" if each.is_late else ""
        row = one.number, one.kind, one.reference, *about, one.state, _time(one.since_s), due, late
        writer.writerow((*row, custodian(one.steps)))
    return out.getvalue().rstrip("\n")


def _told(store: LedgerStore, number: int) -> str:
    return _head(store.merchants.dossiers.dossier(number))


def _head(dossier: Dossier) -> str:
    about = [("merchant", dossier.merchant_no), ("reader", dossier.device)]
    named = [f"{what} {fact}" for what, fact in about if fact is not None]
    what = ", ".join([f"{dossier.kind} {dossier.reference}", *named])
    return f"dossier {dossier.number}: {what}: {dossier.state}"


def _due(each: Open) -> str:
    since = f"since {_time(each.dossier.since_s)}"
    if each.due_s is None or not each.is_late:
        return f"{since}, due {_time(each.due_s)}" if each.due_s is not None else since
    return f"{since}, LATE: due {_time(each.due_s)}"


def _form(store: LedgerStore, dossier: Dossier) -> Iterator[str]:
    text, article = KINDS[dossier.kind]
    yield f"  {text} ({article})"
    form = store.merchants.dossiers.detail(dossier.number, "annex_form")
    if form is not None:
        name, department, project, quantity, amount_fen = form
        yield f"  {name}: {quantity} readers, {format_yuan(amount_fen)} yuan"
        yield f"  answers for them: {department}; project: {project}"
        devices = store.merchants.onboarding.admitted(dossier.number)
        yield f"  admitted: {', '.join(map(str, devices)) or 'none'}"
    plan = store.merchants.dossiers.detail(dossier.number, "relocation")
    if plan is not None:
        yield "  from {} to {}".format(*plan)
    origin = store.merchants.duties.origin(dossier.number)
    if origin is not None:
        department, site, day, item = origin
        yield f"  {item} at {site}, by the round of {department} on {date_of(day)}"


def _step(step: Any) -> str:
    by = step.by
    words = [f"  {_time(step.time_s)} {step.verb}: {by.person} as {by.role}"]
    words += [f"from {by.given_by}"] if by.given_by else []
    words += [f"shown: {by.evidence}"] if by.evidence else []
    words += [f'"{by.said}"'] if by.said else []
    return f"{', '.join(words)} -> {step.after}"


def _hands(dossier: Dossier) -> Iterator[str]:
    """Who has a thing, and as what: what is at a merchant stands there by who has entered it."""
    if custodian(dossier.steps):
        last = next(step for step in reversed(dossier.steps) if step.act == TAKE)
        yield f"  in the hands of {last.by.person} as {last.by.role}"


def _evidence(store: LedgerStore, dossier: Dossier) -> Iterator[str]:
    if not dossier.records:
        return
    told = {(one.device, one.seq): one for one in exhibits(store, dossier.records)}
    for record in dossier.records:
        one = told.get(record)
        line = "  record {}/{}".format(*record)
        if one is not None:
            line += f": {format_yuan(one.amount_fen)} yuan, {_time(one.earliest_s)}"
            line += f" to {_time(one.latest_s)}, {'offline' if one.is_offline else 'online'}"
            line += f", {'with' if one.has_pin else 'without'} PIN or identity"
        yield line


def _left(store: LedgerStore, dossier: Dossier) -> Iterator[str]:
    """What bars the end of a reader or a merchant, and what whoever ends it has to show."""
    if dossier.kind == RETIREMENT and dossier.state == APPROVED and dossier.device is not None:
        yield f"  newest booked record: {head_of(store.database, dossier.device)}"
        found = bars(store.database, dossier.device, dossier.approved_s)
        yield from (f"  bars its end: {one}" for one in found or ["nothing"])
    if dossier.kind == CLOSING and dossier.state in (WINDING_UP, SETTLED):
        assert dossier.merchant_no is not None
        found = open_things(store.database, dossier.merchant_no, dossier.number)
        yield from (f"  open: {one}" for one in found or ["nothing"])
    if dossier.kind == CLOSING and dossier.state == DEBT_PROPOSED:
        fen = proposed_fen(store.database, dossier.number, len(dossier.steps))
        yield f"  to be written off: {fen} fen, borne by the {dossier.steps[-1].by.evidence}"
    statement = newest(store.database, dossier.number)
    if statement is not None:
        yield f"  statement {statement.mark}, of {_time(statement.time_s)}"


def _time(time_s: int) -> str:
    if not 0 <= time_s < _TIME_UNKNOWN_S:
        return "?"
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
