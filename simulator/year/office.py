"""The office that settles a campus's merchants, held against what the campus knows by itself.

Each month is closed some days after its end, over readers that are offline still, by name; four
persons approve it, the bank pays, and one account is wrong every time. What has to come of it is
worked out from the truth (simulator/year/truth.py): which sales of which day were told by then.
"""

import time
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from ledger.period_report import Due
from ledger.periods import STEPS, Period
from ledger.store import LedgerStore
from simulator.year.campus import CENTRE_NO, DAY_S, START_S
from simulator.year.truth import BANK, Truth

MONTH_DAYS, CLOSED_AFTER_DAYS = 30, 3
RATES_BP = (0, 60, 38, 250)
_ACCOUNT = 43_050_176_453_600_000_000
_CLOSER, _DECIDER, _CASHIER, _REGISTRAR = "chen", "zhou", "sun-cashier", "qian"
_SIGNERS = ("wang", "li", "zhao", "sun")


@dataclass(frozen=True, slots=True)
class Settled:
    """A month as it was closed. `wrong`: what differs from the truth, in sentences."""

    name: str
    lines: int
    turnover_fen: int
    late_lines: int
    late_fen: int
    commission_fen: int
    paid_fen: int
    failed: int
    readers_open: int
    undecided: int
    close_s: float
    wrong: tuple[str, ...]


class Office:
    """Settles month after month in `store`; `truth` moves along. Raises PeriodRefused.

    A month has `month_days` and is closed `after_days` behind its end.
    """

    def __init__(
        self,
        store: LedgerStore,
        truth: Truth,
        month_days: int = MONTH_DAYS,
        after_days: int = CLOSED_AFTER_DAYS,
    ) -> None:
        self._store = store
        self._truth = truth
        self._month_days = month_days
        self._after_days = after_days
        self._taken: Counter[tuple[int, int]] = Counter()  # (merchant, day) -> fen in a period
        self._rates: dict[int, int] = {}
        self._accounts = 0

    def days(self, months: int) -> int:
        """How long it takes until so many months are settled."""
        return self._month_days * months + self._after_days

    def evening(self, today: int) -> Settled | None:
        """What is settled after day `today` (from 0 on): a month, or nothing."""
        months, over = divmod(today + 1 - self._after_days, self._month_days)
        return self._settle(months - 1, today) if months > 0 and not over else None

    def _settle(self, month: int, today: int) -> Settled:
        """Close month `month` (from 0 on), have it approved, and pay it."""
        first_day, end_day = self._month_days * month, self._month_days * (month + 1)
        until_s, now_s = START_S + end_day * DAY_S, START_S + (today + 1) * DAY_S
        if not month:
            self._begin(now_s)
        periods = self._store.periods
        quiet, left = periods.quiet(until_s)
        if left:
            places = [(one.device, one.seq) for one in left]
            periods.decide(until_s, places, _DECIDER, "offline since a power cut", now_s)
        start_s = time.monotonic()
        period = periods.close(f"month {month + 1}", until_s, _CLOSER, now_s)
        close_s = time.monotonic() - start_s
        due = periods.due(period.number)
        wrong = self._compare(due, first_day, end_day)
        self._approve(period, due, now_s)
        paid_fen, failed = self._pay(period, now_s)
        return Settled(
            period.name,
            sum(one.count for one in due),
            sum(one.sales_fen - one.cancelled_fen for one in due),
            sum(one.late_count for one in due),
            sum(one.late_fen for one in due),
            sum(one.commission_fen for one in due),
            paid_fen,
            failed,
            len(left),
            sum(count for _no, count, _fen in quiet.undecided),
            close_s,
            (*wrong, *periods.faults(period.number)),
        )

    def _begin(self, now_s: int) -> None:
        sql = "SELECT merchant_no FROM merchant WHERE merchant_no <> ? ORDER BY merchant_no"
        for at, (merchant_no,) in enumerate(list(self._store.database.rows(sql, (CENTRE_NO,)))):
            self._rates[merchant_no] = RATES_BP[at % len(RATES_BP)]
            self._store.periods.set_rate(merchant_no, self._rates[merchant_no], "wang", now_s)
            self._register(merchant_no, now_s)

    def _register(self, merchant_no: int, now_s: int) -> None:
        self._accounts += 1
        account = str(_ACCOUNT + self._accounts)
        payments = self._store.periods.payments
        payments.register(merchant_no, account, f"merchant {merchant_no}", _REGISTRAR, now_s)

    def _compare(self, due: list[Due], first_day: int, end_day: int) -> list[str]:
        """What merchants are due, against the sales that were told and are in no period yet."""
        own: Counter[int] = Counter()
        late: Counter[int] = Counter()
        for (merchant_no, day), fen in self._truth.sales.items():
            new_fen = fen - self._taken[merchant_no, day]
            if day < end_day and new_fen:
                own[merchant_no] += new_fen
                late[merchant_no] += new_fen if day < first_day else 0
                self._taken[merchant_no, day] = fen
        wrong = []
        for one in due:
            no = one.merchant_no
            rate = Decimal(self._rates.get(no, 0)) / 10_000
            charged = (own[no] * rate).quantize(Decimal(1), ROUND_HALF_UP)
            said = one.sales_fen - one.cancelled_fen, one.late_fen, one.commission_fen, one.due_fen
            true = own[no], late[no], int(charged), own[no] - int(charged)
            if said != true:
                wrong.append(f"merchant {no}: {said} in the report, {true} in truth")
        return wrong

    def _approve(self, period: Period, due: list[Due], now_s: int) -> None:
        for step, person in zip(STEPS, _SIGNERS, strict=True):
            what = period.number, step, period.sha256.hex(), person
            self._store.periods.approve(*what, now_s)
        for one in due:
            payable = "merchant", one.merchant_no
            self._truth.move(payable, ("fees", 1), one.commission_fen)
            self._truth.move(payable, ("remittance", one.merchant_no), one.due_fen)

    def _pay(self, period: Period, now_s: int) -> tuple[int, int]:
        """(fen that were paid, payments that failed first)."""
        payments = self._store.periods.payments
        sent = payments.make_file(period.name, _CASHIER, now_s)
        failed = sent[:1]
        answers = [(one.number, "failed", "name differs") for one in failed]
        answers += [(one.number, "paid", "") for one in sent[1:]]
        payments.note_results(answers, _CASHIER, now_s)
        for one in failed:
            self._register(one.owner, now_s)
        again = payments.make_file(f"{period.name} again", _CASHIER, now_s)
        payments.note_results([(one.number, "paid", "") for one in again], _CASHIER, now_s)
        for one in (*sent[1:], *again):
            self._truth.move(("remittance", one.owner), BANK, one.amount_fen)
        return sum(one.amount_fen for one in (*sent[1:], *again)), len(failed)
