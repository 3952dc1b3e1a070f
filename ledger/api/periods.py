"""What operators ask of merchants' settlement: by the ledger's own verbs, which ask who it is.

Rules of this file. A handler changes nothing but by ledger/periods.py, which looks at the session
in its own transaction; a scope only says who gets so far. What is shown is one state of the books.
Accounts at a bank are in a file of payments and nowhere else.
"""

from datetime import date, timedelta
from typing import Any, cast

from pydantic import BaseModel

from ledger import api_reasons as why
from ledger import period_sheet
from ledger.api import period_models as models
from ledger.api.calls import Call, Download, Policy, place
from ledger.channel_topups import ChannelRefused
from ledger.merchant_entries import days, months, trial_balance
from ledger.period_reasons import PeriodRefused
from ledger.period_report import late_lines
from ledger.periods import STEPS, Period
from ledger.quiescence import TEXTS
from ledger.store import LedgerStore

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html; charset=utf-8"
_STEP_NAMES = cast("tuple[models.Step, ...]", tuple(STEPS))
_EPOCH = date(1970, 1, 1)


def refused(error: PeriodRefused) -> int:
    """The number that a refusal of ledger/period_reasons.py has here."""
    return why.OF_PERIODS.get(error.reason, error.reason)


def listed(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A page of the periods."""
    del policy
    (behind,), count = place(call.query.after, (0,)), call.query.limit
    with store.database.reading():
        found = [one for one in store.periods.every() if one.number > behind]
    shown = found[:count]
    following = str(shown[-1].number) if len(found) > count else None
    facts = [models.PeriodFacts(**_facts(one)) for one in shown]
    return models.Periods(periods=facts, next=following)


def report(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A period with its report."""
    del policy
    with store.database.reading():
        period = _period(store, call)
        return _report(store, period)


def gate(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """What bars a period that ends then."""
    del policy
    until_s = call.body.until_s
    with store.database.reading():
        quiet, left = store.periods.quiet(until_s)
    open_still = {(one.device, one.seq) for one in left}
    barring = [
        models.Barring(
            device=one.device,
            seq=one.seq,
            bar=one.bar.value,
            text=TEXTS[one.bar][0],
            ended_by=TEXTS[one.bar][1],
            is_decided=(one.device, one.seq) not in open_still,
        )
        for one in quiet.blocking
    ]
    return models.Gate(until_s=until_s, is_open=not left, barring=barring)


def decide(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Decide that it is closed with these open."""
    asked = call.body
    places = [(one.device, one.seq) for one in asked.open]
    words = call.client.person, asked.because, call.now_s
    store.periods.decide(asked.until_s, places, *words)
    return gate(store, policy, call)


def close(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Close a period."""
    del policy
    asked = call.body
    made = store.periods.close(asked.name, asked.until_s, call.client.person, call.now_s)
    return _report(store, made)


def approve(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Approve a report, as the next step."""
    del policy
    number, asked = _period(store, call).number, call.body
    words = asked.step, asked.sha256, call.client.person, call.now_s
    return models.PeriodFacts(**_facts(store.periods.approve(number, *words)))


def refuse(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Refuse it instead."""
    del policy
    number, asked = _period(store, call).number, call.body
    words = asked.step, asked.sha256, call.client.person, asked.because, call.now_s
    return models.PeriodFacts(**_facts(store.periods.refuse(number, *words)))


def late(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A page of a period's lines that are not of its time."""
    del policy
    (begun,), count = place(call.query.after, (0,)), call.query.limit
    with store.database.reading():
        period = _period(store, call)
        found = late_lines(store.database, period.number, period.from_s, period.until_s)
    shown = found[begun : begun + count]
    end = begun + len(shown)
    lines = [
        models.LateLine(
            device=device,
            seq=seq,
            line=line,
            merchant_no=merchant_no,
            amount_fen=fen,
            time_s=time_s or None,
        )
        for device, seq, line, merchant_no, _kind, fen, time_s in shown
    ]
    return models.LateLines(lines=lines, next=str(end) if end < len(found) else None)


def statements(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """The daily and the monthly statement of a period's time."""
    del policy
    with store.database.reading():
        period = _period(store, call)
        span = period.from_s, period.until_s
        of_days = days(store.database, *span, call.query.utc_offset_s)
        of_months = months(store.database, *span)
    return models.PeriodStatements(
        days=[
            models.DayFacts(day=(_EPOCH + timedelta(days=one.day)).isoformat(), **_sums(one))
            for one in of_days
        ],
        months=[
            models.MonthFacts(
                settled=[
                    models.SettledIn(period=number or None, fen=fen) for number, fen in one.settled
                ],
                **_sums(one),
            )
            for one in of_months
        ],
    )


def trial(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """The trial balance, as of now."""
    del policy, call
    kinds = [
        models.KindBalance(kind=one.kind, debit_fen=one.debit_fen, credit_fen=one.credit_fen)
        for one in trial_balance(store.database)
    ]
    return models.TrialBalance(kinds=kinds)


def workbook(store: LedgerStore, policy: Policy, call: Call) -> Download:
    """The sheet as a spreadsheet."""
    del policy
    sheet, number = _sheet(store, call)
    return Download(period_sheet.workbook(sheet), XLSX, f"period-{number}.xlsx")


def page(store: LedgerStore, policy: Policy, call: Call) -> Download:
    """The sheet as a page to print and to sign."""
    del policy
    sheet, number = _sheet(store, call)
    return Download(period_sheet.page(sheet), HTML, f"period-{number}.html")


def payment_file(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """The payments of a file for the bank."""
    del policy
    file = call.body.file
    made = store.periods.payments.make_file(file, call.client.person, call.now_s)
    payments = [
        models.PaymentFacts(
            payment=one.number,
            merchant_no=one.owner,
            purpose=one.purpose,
            account_no=one.account_no,
            name=one.name,
            amount_fen=one.amount_fen,
        )
        for one in made
    ]
    return models.PaymentFile(file=file, payments=payments)


def results(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Note what the bank says."""
    del policy
    said = [(one.payment, one.result, one.because) for one in call.body.results]
    noted = store.periods.payments.note_results(said, call.client.person, call.now_s)
    return models.ResultsNoted(news=noted)


def unpaid(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """What is approved and no bank has."""
    del policy, call
    with store.database.reading():
        found = [
            models.UnpaidFacts(
                merchant_no=one.owner,
                purpose=one.purpose,
                due_fen=one.amount_fen,
                has_account=bool(one.account),
            )
            for one in store.periods.payments.unpaid()
        ]
    return models.Unpaid(unpaid=found)


# --- how -------------------------------------------------------------------------------------


def _period(store: LedgerStore, call: Call) -> Period:
    try:
        return store.periods.period(int(call.path["period"]))
    except PeriodRefused:
        raise ChannelRefused(why.NO_PERIOD) from None


def _sheet(store: LedgerStore, call: Call) -> tuple[period_sheet.Sheet, int]:
    with store.database.reading():
        number = _period(store, call).number
        return period_sheet.read(store, number, call.query.utc_offset_s), number


def _report(store: LedgerStore, period: Period) -> models.PeriodReport:
    names = models.MerchantDue.model_fields
    merchants = [
        models.MerchantDue(**{name: getattr(one, name) for name in names})
        for one in store.periods.due(period.number)
    ]
    return models.PeriodReport(merchants=merchants, report=period.report, **_facts(period))


def _facts(period: Period) -> dict[str, Any]:
    refusal = None
    if period.refusal:
        step, person, because, time_s = period.refusal
        name = _STEP_NAMES[step - 1]
        refusal = models.Refusal(step=name, login=person, because=because, time_s=time_s)
    return {
        "period": period.number,
        "name": period.name,
        "from_s": period.from_s,
        "until_s": period.until_s,
        "closed_by": period.person,
        "closed_s": period.closed_s,
        "sha256": period.sha256.hex(),
        "approvals": [
            models.Signed(step=_STEP_NAMES[step - 1], login=person, time_s=time_s)
            for step, person, time_s in period.approvals
        ],
        "next_step": None if period.has_ended else _STEP_NAMES[len(period.approvals)],
        "refusal": refusal,
    }


def _sums(one: Any) -> dict[str, int]:
    names = ("merchant_no", "count", "sales_fen", "cancelled_fen", "other_fen")
    return {name: getattr(one, name) for name in names}
