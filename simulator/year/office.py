"""The office that settles a campus's merchants, held against what the campus knows by itself.

Each month is closed some days after its end, over readers that are offline still, by name; four
persons approve it, each by a session of their own, the bank pays, and one account is wrong every
time. The first report of every other month is refused by the head, and its money goes on to a
second one, closed a day further on. What has to come of it is worked out from the truth
(simulator/year/truth.py): which sales of which day were told by then, and which records came late.
"""

import time
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from ledger.period_report import Due, late_lines
from ledger.periods import STEPS, Period
from ledger.store import LedgerStore
from protocols.wire import messages, seal
from simulator.year.campus import CENTRE_NO, DAY_S, START_S, Campus
from simulator.year.staff import CLERK, HEAD, LEADER, STEWARD, TREASURER, Staff
from simulator.year.truth import BANK
from simulator.year.visitors import Statements

MONTH_DAYS, CLOSED_AFTER_DAYS = 30, 3
REFUSED_EVERY = 2  # months, from the first one on
RATES_BP = (0, 60, 38, 250)
_ACCOUNT = 43_050_176_453_600_000_000
_SIGNERS = (STEWARD, HEAD, LEADER, TREASURER)
_RECORD = "SELECT sealed FROM record WHERE device = ? AND seq = ?"


@dataclass(frozen=True, slots=True)
class Settled:
    """A period as it was closed. `wrong`: what differs from the truth, in sentences.

    `late`: (name of the period that it is of, lines, fen) of what came late. A refused one has
    `refused_by`, and nothing of it is paid. `close_cpu_s` is of this process. `statements`: of
    those who paid with a phone.
    """

    name: str
    lines: int
    turnover_fen: int
    late: tuple[tuple[str, int, int], ...]
    commission_fen: int
    readers_open: int
    undecided: int
    close_s: float
    close_cpu_s: float
    approve_s: float
    refused_by: str
    paid_fen: int
    failed: int
    statements: Statements | None
    wrong: tuple[str, ...]

    @property
    def late_lines(self) -> int:
        return sum(count for _name, count, _fen in self.late)

    @property
    def late_fen(self) -> int:
        return sum(fen for _name, _count, fen in self.late)


class Office:
    """Settles `campus` month after month in `store`; its truth moves along. Raises PeriodRefused.

    A month has `month_days` and is closed `after_days` behind its end.
    """

    def __init__(
        self,
        store: LedgerStore,
        campus: Campus,
        staff: Staff,
        month_days: int = MONTH_DAYS,
        after_days: int = CLOSED_AFTER_DAYS,
    ) -> None:
        self._store = store
        self._staff = staff
        self._campus, self._truth = campus, campus.truth
        self._month_days = month_days
        self._after_days = after_days
        self._taken: Counter[tuple[int, int]] = Counter()  # (merchant, day) -> fen in a period
        self._brought: Counter[int] = Counter()  # merchant -> turnover that no report has paid
        self._rates: dict[int, int] = {}
        self._accounts = self._end_day = 0

    def days(self, months: int) -> int:
        """How long it takes until so many months are settled."""
        return self._month_days * months + self._after_days

    def evening(self, today: int) -> list[Settled]:
        """What is closed after day `today` (from 0 on): the periods of a month, or nothing."""
        months, over = divmod(today + 1 - self._after_days, self._month_days)
        if months <= 0 or over:
            return []
        now_s, end_day = START_S + (today + 1) * DAY_S, self._month_days * months
        if months == 1:
            self._begin(now_s)
        name, found = f"month {months}", []
        if (months - 1) % REFUSED_EVERY == 0:
            found.append(self._settle(f"{name}, refused", end_day, now_s, is_refused=True))
            name, end_day = f"{name}, again", end_day + 1
        return [*found, self._settle(name, end_day, now_s)]

    def _settle(self, name: str, end_day: int, now_s: int, *, is_refused: bool = False) -> Settled:
        """Close the period up to day `end_day`; have it approved and pay it, or refused."""
        first_day, self._end_day = self._end_day, end_day
        until_s, periods = START_S + end_day * DAY_S, self._store.periods
        quiet, left = periods.quiet(until_s)
        if left:
            places = [(one.device, one.seq) for one in left]
            person = self._staff.named(TREASURER, now_s)
            periods.decide(until_s, places, person, "offline since a power cut", now_s)
        start_s, start_cpu_s = time.monotonic(), time.process_time()
        period = periods.close(name, until_s, self._staff.named(CLERK, now_s), now_s)
        closed_s, close_cpu_s = time.monotonic(), time.process_time() - start_cpu_s
        due = periods.due(period.number)
        wrong = self._compare(due, first_day, end_day)
        late, astray = self._late(period, first_day)
        refused_by = self._refuse(period, now_s) if is_refused else ""
        if not is_refused:
            self._approve(period, due, now_s)
        approve_s = time.monotonic() - closed_s
        paid_fen, failed = (0, 0) if is_refused else self._pay(period, now_s)
        visitors = None if is_refused else self._campus.visitors
        statements = visitors.statements(now_s) if visitors is not None else None
        if statements is not None:
            wrong += statements.wrong
        return Settled(
            period.name,
            sum(one.count for one in due),
            sum(one.sales_fen - one.cancelled_fen for one in due),
            late,
            sum(one.commission_fen for one in due),
            len(left),
            sum(count for _no, count, _fen in quiet.undecided),
            closed_s - start_s,
            close_cpu_s,
            approve_s,
            refused_by,
            paid_fen,
            failed,
            statements,
            (*wrong, *astray, *periods.faults(period.number)),
        )

    def _begin(self, now_s: int) -> None:
        sql = "SELECT merchant_no FROM merchant WHERE merchant_no <> ? ORDER BY merchant_no"
        clerk = self._staff.named(CLERK, now_s)
        for at, (merchant_no,) in enumerate(list(self._store.database.rows(sql, (CENTRE_NO,)))):
            self._rates[merchant_no] = RATES_BP[at % len(RATES_BP)]
            self._store.periods.set_rate(merchant_no, self._rates[merchant_no], clerk, now_s)
            self._register(merchant_no, now_s)

    def _register(self, merchant_no: int, now_s: int) -> None:
        self._accounts += 1
        account = merchant_no, str(_ACCOUNT + self._accounts), f"merchant {merchant_no}"
        clerk = self._staff.named(CLERK, now_s)
        self._store.periods.payments.register(*account, clerk, now_s)

    # --- against the truth -----------------------------------------------------------------------

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
            turnover_fen = own[no] + self._brought[no]
            self._brought[no] = turnover_fen  # until this report is approved
            rate = Decimal(self._rates.get(no, 0)) / 10_000
            charged = int((turnover_fen * rate).quantize(Decimal(1), ROUND_HALF_UP))
            said = one.sales_fen - one.cancelled_fen, one.late_fen, one.commission_fen, one.due_fen
            true = own[no], late[no], charged, turnover_fen - charged
            if said != true:
                wrong.append(f"merchant {no}: {said} in the report, {true} in truth")
        return wrong

    def _late(
        self, period: Period, first_day: int
    ) -> tuple[tuple[tuple[str, int, int], ...], list[str]]:
        """What came late, by the period it is of, each line traced to its record; what is wrong.

        The record's own bytes have to say merchant, amount and time, and the truth that it was
        told so late.
        """
        before = [one for one in self._store.periods.every() if one.number < period.number]
        known = {
            record: self._truth.late.pop(record)
            for record, (_no, day, _fen) in list(self._truth.late.items())
            if day < self._end_day
        }
        true = {record: facts for record, facts in known.items() if facts[1] < first_day}
        of_period: dict[str, list[int]] = {}
        wrong = []
        for device, seq, _line, merchant_no, _kind, fen, time_s in late_lines(
            self._store.database, period.number, period.from_s, period.until_s
        ):
            ((sealed,),) = self._store.database.rows(_RECORD, (device, seq))
            fields = messages.decode_record(seal.payload_of(bytes(sealed)))
            told = fields["merchant_no"], fields["amount_fen"], fields["earliest_s"]
            day = (fields["latest_s"] - START_S) // DAY_S
            is_true = true.pop((device, seq), None) == (merchant_no, day, fen)
            if told != (merchant_no, fen, time_s) or not is_true:
                wrong.append(f"line of record {device}/{seq}: is not what was told late")
            names = [one.name for one in before if one.from_s <= time_s < one.until_s]
            of_period.setdefault(names[0] if names else "no period", []).append(fen)
        wrong += [f"record {device}/{seq} came late, and is no line" for device, seq in true]
        late = tuple((name, len(fens), sum(fens)) for name, fens in of_period.items())
        return late, wrong

    # --- what persons do -------------------------------------------------------------------------

    def _refuse(self, period: Period, now_s: int) -> str:
        """The head refuses behind the audit; all of it goes on to the next period."""
        what = period.sha256.hex()
        audit, head = list(STEPS)[:2]
        steward, person = self._staff.named(STEWARD, now_s), self._staff.named(HEAD, now_s)
        self._store.periods.approve(period.number, audit, what, steward, now_s)
        why = "the canteen's own book has a day more"
        self._store.periods.refuse(period.number, head, what, person, why, now_s)
        return str(person)

    def _approve(self, period: Period, due: list[Due], now_s: int) -> None:
        for step, login in zip(STEPS, _SIGNERS, strict=True):
            what = period.number, step, period.sha256.hex(), self._staff.named(login, now_s)
            self._store.periods.approve(*what, now_s)
        self._brought.clear()
        for one in due:
            payable = "merchant", one.merchant_no
            self._truth.move(payable, ("fees", 1), one.commission_fen)
            self._truth.move(payable, ("remittance", one.merchant_no), one.due_fen)

    def _pay(self, period: Period, now_s: int) -> tuple[int, int]:
        """(fen that were paid, payments that failed first)."""
        payments = self._store.periods.payments
        clerk, treasurer = self._staff.named(CLERK, now_s), self._staff.named(TREASURER, now_s)
        sent = payments.make_file(period.name, treasurer, now_s)
        failed = sent[:1]
        answers = [(one.number, "failed", "name differs") for one in failed]
        answers += [(one.number, "paid", "") for one in sent[1:]]
        payments.note_results(answers, clerk, now_s)
        for one in failed:
            self._register(one.owner, now_s)
        again = payments.make_file(f"{period.name}, 2nd", treasurer, now_s)
        payments.note_results([(one.number, "paid", "") for one in again], clerk, now_s)
        for one in (*sent[1:], *again):
            self._truth.move(("remittance", one.owner), BANK, one.amount_fen)
        return sum(one.amount_fen for one in (*sent[1:], *again)), len(failed)
