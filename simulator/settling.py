"""Merchants that are new, and merchants that are settled, in a scenario: by the ledger's rules.

What the file says that a period comes to and does not is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ledger.onboarding import Form
from ledger.periods import STEPS, Period
from ledger.procedures import APPROVED, MERCHANT, Act
from protocols.rules.money import format_yuan
from simulator.refusals import refusing
from simulator.register import register_reader

if TYPE_CHECKING:
    from simulator.run import Run
    from simulator.scenario import Step

_SIGNING = ("department", "department-leader", "project", "project-leader", "president")
_ACCOUNT = "4305017645360{:07}"  # twenty digits, and no bank's
_PRICE_FEN = 300_000
_ENTERED_BY, _ADMITTED_BY = "wu", "wang"
_REGISTERED_BY, _PAID_BY = "qian", "sun"


def _new_reader(run: Run, step: Step) -> Mapping[str, Any]:
    (reader,) = (one for one in run.scenario.readers if one["name"] == step.fields["reader"])
    return reader


def _apply(run: Run, step: Step) -> None:
    """The form of annex 2; the register names the reader already, so it is held back."""
    reader, store = _new_reader(run, step), run.services.store
    merchant_no = run.scenario.merchants[reader["merchant"]]
    is_known = ("merchant", merchant_no) in store.balances()
    form = Form(reader["merchant"], "General Affairs", "Informatisation", 1, _PRICE_FEN)
    what = "device" if is_known else MERCHANT, f"annex-2 {reader['device']}", merchant_no, form
    onboarding, now_s = store.merchants.onboarding, run.world.utc_s()
    number = onboarding.apply(*what, "a window more", run.named(_ENTERED_BY), now_s)
    run.applications[reader["name"]] = number
    key, site = run.device_keys[reader["device"]], run.scenario.site
    onboarding.sift([], [(reader["device"], b"", key, merchant_no, site, "", False)])
    run.tell(f"{reader['merchant']} applies for {reader['name']}")


def _sign(run: Run, step: Step) -> None:
    """The next of five signatures; behind the last one it is admitted and registered."""
    reader, store = _new_reader(run, step), run.services.store
    number, now_s = run.applications.get(reader["name"], 0), run.world.utc_s()
    dossiers = store.merchants.dossiers
    signed = [one for one in dossiers.dossier(number).steps if one.verb == "sign"]
    role = _SIGNING[min(len(signed), len(_SIGNING) - 1)]
    dossiers.say(number, "sign", Act(role, step.fields["person"]), now_s)
    run.tell(f"{step.fields['person']} signs for {reader['name']} ({role})")
    if dossiers.dossier(number).state == APPROVED:
        device = reader["device"]
        store.merchants.onboarding.admit(number, [device], run.named(_ADMITTED_BY), now_s)
        register_reader(run, reader)
        run.tell(f"{reader['name']} is a reader")


def _decide(run: Run, step: Step) -> None:
    """It is closed though this reader may tell of a sale yet."""
    device, until_s = _new_reader(run, step)["device"], _until_s(run, step)
    what = until_s, [(device, 0)], step.fields["person"], "its cable is cut", run.world.utc_s()
    run.services.store.periods.decide(*what)
    run.tell(f"{step.fields['person']} decides that {step.fields['reader']} stays open")


def _close(run: Run, step: Step) -> None:
    periods, fields = run.services.store.periods, step.fields
    name = f"period {len(periods.every()) + 1}"
    period = periods.close(name, _until_s(run, step), fields["person"], run.world.utc_s())
    due = periods.due(period.number)
    for what, told in (("due", "due_fen"), ("late", "late_fen")):
        fen = sum(getattr(one, told) for one in due)
        run.tell(f"{name}: {what} {format_yuan(fen)}")
        if what in fields and fen != fields[what]:
            wanted = format_yuan(fields[what])
            run.not_shown.append(f"{name}: {what} is {format_yuan(fen)}, and should be {wanted}")


def _approve(run: Run, step: Step) -> None:
    """The next of four approvals."""
    periods = run.services.store.periods
    period: Period = periods.every()[-1]
    name = list(STEPS)[len(period.approvals)]
    words = period.sha256.hex(), step.fields["person"], run.world.utc_s()
    periods.approve(period.number, name, *words)
    run.tell(f"{step.fields['person']} approves {period.name} ({name})")


def _pay(run: Run, step: Step) -> None:
    """Accounts are registered, a file is made by another, and the bank pays all of it."""
    payments, now_s = run.services.store.periods.payments, run.world.utc_s()
    for due in payments.unpaid():
        if not due.account:
            account = due.owner, _ACCOUNT.format(due.owner), "食堂有限公司"
            payments.register(*account, run.named(_REGISTERED_BY), now_s)
    made = payments.make_file(f"file at {now_s}", run.named(_PAID_BY), now_s)
    results = [(one.number, "paid", "") for one in made]
    payments.note_results(results, run.named(_REGISTERED_BY), now_s)
    fen = sum(one.amount_fen for one in made)
    run.tell(f"the bank has paid {format_yuan(fen)} yuan to {len(made)} merchants")
    if fen != step.fields["amount"]:
        wanted = format_yuan(step.fields["amount"])
        run.not_shown.append(
            f"the bank has paid {format_yuan(fen)}, and should have paid {wanted}"
        )


def _until_s(run: Run, step: Step) -> int:
    return run.scenario.start_utc_s + step.fields["until"] // 1_000_000


VERBS: dict[str, Callable[[Run, Step], None]] = {
    "apply": refusing(_apply),
    "sign": refusing(_sign),
    "decide-period": refusing(_decide),
    "close-period": refusing(_close),
    "approve-period": refusing(_approve),
    "pay-merchants": refusing(_pay),
}
