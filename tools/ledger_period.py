"""Settlement of merchants as `onecard ledger period` tells and does it.

May run beside the ledger; the rules are in ledger/periods.py. Raises NotBooks, PeriodRefused,
NotAllowed, StoreUnavailable, and BadInput for what cannot be read. A sheet is in
tools/period_sheet.py.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ledger.merchant_entries import days, months, trial_balance, untied
from ledger.period_report import by_reader, late_lines
from ledger.periods import STEPS, Period
from ledger.quiescence import TEXTS
from ledger.remittances import RESULTS
from protocols.rules.money import format_yuan
from tools.ledger_batch import csv_text, list_rows, write_private
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput, date_of
from tools.session import signing

PAYMENT_COLUMNS = ["payment", "account_no", "name", "amount", "purpose"]
RESULT_COLUMNS = ["payment", "result", "because"]


def set_rate(path: Path, merchant_no: int, rate_bp: int, by: str, now_s: int) -> str:
    """Note a merchant's commission."""
    with signing(path, by, now_s) as (store, who):
        store.periods.set_rate(merchant_no, rate_bp, who, now_s)
    return f"merchant {merchant_no}: {percent(rate_bp)} from the next period that is closed"


def register(path: Path, merchant_no: int, account: Sequence[str], by: str, now_s: int) -> str:
    """Note a merchant's account and whose it is."""
    account_no, name = account
    with signing(path, by, now_s) as (store, who):
        store.periods.payments.register(merchant_no, account_no, name, who, now_s)
    return f"merchant {merchant_no}: an account that ends in {account_no[-4:]} is registered"


def quiet(path: Path, until: str) -> tuple[str, bool]:
    """What bars a period that ends then, and whether nothing does."""
    until_s = seconds(until)
    with opened(path) as store:
        found, left = store.periods.quiet(until_s)
    open_still = {(one.device, one.seq) for one in left}
    lines = []
    for one in found.blocking:
        what, way_out = TEXTS[one.bar]
        word = "bars it" if (one.device, one.seq) in open_still else "is decided about"
        lines.append(f"{place_text(one.device, one.seq)} {word}: {what}")
        lines += [f"  ends it: {way_out}"] * (word == "bars it")
    for one in found.released:
        lines.append(f"{place_text(one.device, one.seq)}: released by {one.person}: {one.because}")
    for merchant_no, count, fen in found.undecided:
        text = f"merchant {merchant_no}: of {count} sales, {format_yuan(fen)} yuan,"
        lines.append(f"{text} nobody knows whether they were paid; they come when it is known")
    marks = sum(one.seq > 0 for one in found.said)
    lines.append(f"{marks} of {len(found.said)} readers have a mark of then or later")
    lines.append("it can be closed" if not left else f"{len(left)} bar it")
    return "\n".join(lines), not left


def decide(
    path: Path, until: str, places: Sequence[str], by: str, because: str, now_s: int
) -> str:
    """A person's word that it is closed with these open."""
    until_s, named = seconds(until), [_place(text) for text in places]
    with signing(path, by, now_s) as (store, who):
        store.periods.decide(until_s, named, who, because, now_s)
    return f"{who} has decided about {', '.join(places)}; the report will say so"


def close(path: Path, name: str, until: str, by: str, now_s: int) -> str:
    """Close a period."""
    until_s = seconds(until)
    with signing(path, by, now_s) as (store, who):
        period = store.periods.close(name, until_s, who, now_s)
    return _told(period)


def approve(path: Path, number: int, step: str, sha256: str, by: str, now_s: int) -> str:
    """Put a name under a report."""
    with signing(path, by, now_s) as (store, who):
        return _told(store.periods.approve(number, step, sha256, who, now_s))


def refuse(
    path: Path, number: int, step: str, sha256: str, by: str, because: str, now_s: int
) -> str:
    """Say that a report is not approved."""
    with signing(path, by, now_s) as (store, who):
        return _told(store.periods.refuse(number, step, sha256, who, because, now_s))


def listed(path: Path) -> str:
    """A line for each period."""
    with opened(path) as store:
        lines = [_told(period) for period in store.periods.every()]
    return "\n".join(lines or ["no period is closed"])


def show(path: Path, number: int) -> str:
    """What merchants are due of a period, and who has said what of its report."""
    with opened(path) as store:
        period, due = store.periods.period(number), store.periods.due(number)
    lines = [f"{_told(period)}: {time_text(period.from_s)} until {time_text(period.until_s)}"]
    for one in due:
        if not (one.count or one.due_fen or one.brought_turnover_fen or one.brought_fen):
            continue
        turnover_fen = one.sales_fen - one.cancelled_fen
        brought_fen = one.brought_turnover_fen + one.brought_fen
        parts = [f"turnover {format_yuan(turnover_fen)}", f"other {format_yuan(one.other_fen)}"]
        parts.append(f"brought {format_yuan(brought_fen)}")
        parts.append(f"commission {format_yuan(one.commission_fen)} ({percent(one.rate_bp)})")
        parts.append(f"late {one.late_count}: {format_yuan(one.late_fen)}")
        due_text = f"due {format_yuan(one.due_fen)}"
        lines.append(f"merchant {one.merchant_no}: {due_text}; {', '.join(parts)}")
    report = json.loads(period.report)
    for one in report["open"]:
        where = place_text(one["device"], one["seq"])
        lines.append(f"closed with {where} open: {one['person']}: {one['because']}")
    lines += _said(period)
    return "\n".join(lines)


def report_of(path: Path, number: int) -> str:
    """The report itself: the bytes that its hash is over."""
    with opened(path) as store:
        return store.periods.period(number).report


def verify(path: Path, number: int) -> tuple[list[str], str]:
    """(what does not hold, the hash) of a report, its lines, and the statements."""
    with opened(path) as store:
        period = store.periods.period(number)
        found = store.periods.faults(number)
        found += untied(store.database, number, period.from_s, period.until_s)
    return found, period.sha256.hex()


def readers(path: Path, number: int) -> str:
    """What each reader has told for a merchant, for who audits it against its papers."""
    with opened(path) as store:
        store.periods.period(number)
        rows = by_reader(store.database, number)
    lines = []
    for merchant_no, device, count, fen in rows:
        where = f"reader {device}" if device else "corrections"
        lines.append(f"merchant {merchant_no}, {where}: {count} lines, {format_yuan(fen)}")
    return "\n".join(lines or ["nothing was sold"])


def late(path: Path, number: int) -> str:
    """Each line of a period that is not of its time, with its record."""
    with opened(path) as store:
        period = store.periods.period(number)
        every = store.periods.every()
        rows = late_lines(store.database, number, period.from_s, period.until_s)
    lines = []
    for device, seq, _line, merchant_no, _kind, fen, time_s in rows:
        of = next((one.name for one in every if one.from_s <= time_s < one.until_s), "")
        when = f"of {time_text(time_s)}, in {of}" if time_s else "of a time that nobody knows"
        when = f"of {time_text(time_s)}, a time to come" if time_s >= period.until_s else when
        lines.append(f"merchant {merchant_no}: {format_yuan(fen)}, record {device}/{seq}, {when}")
    return "\n".join(lines or ["nothing came late"])


def daily(path: Path, number: int, utc_offset_s: int) -> str:
    """What merchants got day by day in a period's time, and where it is settled."""
    with opened(path) as store:
        period = store.periods.period(number)
        span = period.from_s, period.until_s
        found = days(store.database, *span, utc_offset_s)
        whole = months(store.database, *span)
    lines = [
        f"{date_of(one.day)}  merchant {one.merchant_no}: {one.count} lines,"
        f" sales {format_yuan(one.sales_fen)}, cancelled {format_yuan(one.cancelled_fen)},"
        f" other {format_yuan(one.other_fen)}"
        for one in found
    ]
    for one in whole:
        where = [
            f"{format_yuan(fen)} " + (f"in period {period}" if period else "in none yet")
            for period, fen in one.settled
        ]
        text = f"{period.name}  merchant {one.merchant_no}: {format_yuan(one.fen)}"
        lines.append(f"{text}; settled {', '.join(where)}")
    return "\n".join(lines or ["nothing was sold"])


def balance(path: Path) -> str:
    """The trial balance, as of now."""
    with opened(path) as store:
        found = trial_balance(store.database)
    lines = [f"{'':<14}{'debit':>18}{'credit':>18}{'balance':>18}"]
    rows = [(one.kind, one.debit_fen, one.credit_fen) for one in found]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for kind, debit_fen, credit_fen in rows:
        amounts = debit_fen, credit_fen, credit_fen - debit_fen
        lines.append(f"{kind:<14}" + "".join(f"{format_yuan(fen):>18}" for fen in amounts))
    return "\n".join(lines)


def pay(path: Path, name: str, out: Path, by: str, now_s: int) -> str:
    """Write the payments of a file. The books have them first: stopped before, write it again."""
    with signing(path, by, now_s) as (store, who):
        payments = store.periods.payments.make_file(name, who, now_s)
    rows = [
        (
            one.number,
            one.account_no,
            one.name,
            format_yuan(one.amount_fen),
            f"merchant {one.merchant_no} period {one.period}",
        )
        for one in payments
    ]
    write_private(out, csv_text([PAYMENT_COLUMNS, *rows]))
    total_fen = sum(payment.amount_fen for payment in payments)
    return f"{len(payments)} payments, {format_yuan(total_fen)} yuan, are in {out}"


def results(path: Path, file: Path, by: str, now_s: int) -> str:
    """Note what the bank says."""
    found = []
    for number, (payment, result, because) in list_rows(file.read_bytes(), file, RESULT_COLUMNS):
        if not (payment.isascii() and payment.isdigit()) or result not in RESULTS:
            raise BadInput(f"{file}: line {number} is not a payment, and {' or '.join(RESULTS)}")
        found.append((int(payment), result, because))
    with signing(path, by, now_s) as (store, who):
        news = store.periods.payments.note_results(found, who, now_s)
    return f"{len(found)} payments, {news} of them news"


def unpaid(path: Path) -> tuple[str, bool]:
    """What is approved and no bank has; whether there is none."""
    with opened(path) as store:
        lines = [
            f"merchant {merchant_no}, period {period}: {format_yuan(fen)} yuan,"
            f" {'goes with the next file' if is_known else 'no account that was not tried'}"
            for period, merchant_no, fen, is_known in store.periods.payments.unpaid()
        ]
    return "\n".join(lines or ["everything is paid"]), not lines


def percent(rate_bp: int) -> str:
    """60 -> 0.60%."""
    return f"{rate_bp // 100}.{rate_bp % 100:02}%"


def place_text(device: int, seq: int) -> str:
    """How a reader, or one of its records, is called here."""
    return f"record {device}/{seq}" if seq else f"reader {device}"


def time_text(time_s: int) -> str:
    """A time as UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def seconds(text: str) -> int:
    """Seconds since 1970 of a time with its zone; BadInput."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 0 < moment.timestamp() < 1 << 32:
        raise BadInput(f"{text!r}: no time with its zone (2026-10-01T00:00:00+08:00)")
    return int(moment.timestamp())


def _place(text: str) -> tuple[int, int]:
    device, _slash, seq = text.partition("/")
    if not device.isdecimal() or not (seq.isdecimal() or not seq):
        raise BadInput(f"{text!r}: a reader's number, or reader/record")
    return int(device), int(seq or 0)


def _told(period: Period) -> str:
    count = len(period.approvals)
    state = f"{count} of {len(STEPS)} approvals"
    if period.refusal:
        state = f"refused by {period.refusal[1]}"
    elif not period.is_approved:
        state += f", next {list(STEPS)[count]}"
    return f"period {period.number} {period.name}, {state}, sha256 {period.sha256.hex()}"


def _said(period: Period) -> Iterator[str]:
    names = list(STEPS)
    yield f"closed by {period.person}, {time_text(period.closed_s)}"
    for step, person, time_s in period.approvals:
        yield f"{names[step - 1]}: {person}, {time_text(time_s)}"
    if period.refusal:
        step, person, because, time_s = period.refusal
        yield f"{names[step - 1]}: refused by {person}, {time_text(time_s)}: {because}"
