"""Periods of settlement: closed when readers are quiet, approved by four persons, in their order.

Rules of this file (R7.1). A period begins where the one before ends, and everything that merchants
got before its end and in no period yet is in it, once for all time: what comes later is in the
next one, as late. What is in it is cut out of one state of the books while others go on writing;
it is closed by that state, in one transaction with its report, which nothing changes any more.
Readers that may still tell of sales of before bar it, unless a person has decided, by name and
with a reason, that it is closed with them open; the report says so.

Nothing moves when it is closed. Four persons approve the report under its hash, and none of them
has closed it; each compares it with the books anew. With the fourth approval, in one transaction,
commission goes to the card centre and what a merchant is due on its way to its bank. A refused
report moves nothing: all of it goes on to the next period. So does what a merchant owes. Whose
word each of it is stands in ledger/people.py; an approval by a typed name counts for nothing once
the books have operators: who is called so approves it again, or the report is refused.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import chart, people
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.period_quiet import Quiet, examine, place_of
from ledger.period_reasons import (
    ENDED,
    NO_ACCOUNT,
    NOT_ENDED,
    NOT_QUIET,
    OTHER_REPORT,
    SAME_PERSON,
    WRONG_SPAN,
    WRONG_STEP,
    PeriodRefused,
    check_because,
    check_person,
)
from ledger.period_report import Cut, Due, build, cut, faults, read_due, write
from ledger.quiescence import Blocking
from ledger.remittances import Remittances
from ledger.signatures import are_there, signed, was_proven
from ledger.transfers import CHARGE, CHARGE_LINE, REMIT, REMIT_LINE, Transfer

STEPS = {
    "audit": "总务处审核",
    "head": "总务处负责人签字",
    "leader": "分管校领导签字",
    "centre": "一卡通中心复核",
}
_STEP_NAMES = tuple(STEPS)
# Of which department a step is; the others are of roles that only one department has.
_DEPARTMENTS = {"head": people.GENERAL, "leader": people.GENERAL}
RATE_BP_MAX = 10_000
_NAME_CHARS_MAX = 32
_SHOWN = 10
_COLUMNS = "number, name, from_s, until_s, person, closed_s, sha256, report"
_ALL = f"SELECT {_COLUMNS} FROM settlement_period ORDER BY number"
_OF = f"SELECT {_COLUMNS} FROM settlement_period WHERE number = ?"
_INSERT = "INSERT INTO settlement_period VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_APPROVALS = "SELECT step, person, time_s FROM period_approval WHERE period = ? ORDER BY step"
_REFUSAL = "SELECT step, person, because, time_s FROM period_refusal WHERE period = ?"
_APPROVE = "INSERT INTO period_approval VALUES (?, ?, ?, ?)"
_REFUSE = "INSERT INTO period_refusal VALUES (?, ?, ?, ?, ?)"
_DECIDED = "SELECT device, seq, person FROM open_decision WHERE until_s = ?"
_DECIDE = "INSERT INTO open_decision VALUES (?, ?, ?, ?, ?, ?, ?)"
_IS_MERCHANT = "SELECT 1 FROM merchant WHERE merchant_no = ?"
_NEXT_RATE = "SELECT COALESCE(MAX(number), 0) + 1 FROM commission_rate"
_RATE = "INSERT INTO commission_rate VALUES (?, ?, ?, ?, ?)"
_OPEN_ACCOUNT = (
    "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Period:
    """A closed period, and what has become of its report.

    `approvals`: (step from 1 on, person, time_s) in their order; `refusal`: (step, person,
    because, time_s), None if nobody has.
    """

    number: int
    name: str
    from_s: int
    until_s: int
    person: str
    closed_s: int
    sha256: bytes
    report: str
    approvals: tuple[tuple[int, str, int], ...]
    refusal: tuple[int, str, str, int] | None

    @property
    def is_approved(self) -> bool:
        return len(self.approvals) == len(STEPS)

    @property
    def has_ended(self) -> bool:
        return self.is_approved or self.refusal is not None


class Periods:
    """The periods in the books. Every method is one transaction, or only reads.

    Raises PeriodRefused, and NotAllowed where the books have operators: nothing was changed, and
    the text says why. Whoever asks again for what is done, with the same facts, is answered the
    same. `payments`: what is paid of them.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self.payments = Remittances(database)

    def every(self) -> list[Period]:
        """In their order."""
        return [self._period(*row) for row in list(self._database.rows(_ALL))]

    def period(self, number: int) -> Period:
        """One; PeriodRefused if there is none."""
        for row in list(self._database.rows(_OF, (number,))):
            return self._period(*row)
        raise PeriodRefused(f"there is no period {number}", WRONG_SPAN)

    def due(self, number: int) -> list[Due]:
        """What the merchants are due of a period."""
        return read_due(self._database, number)

    def faults(self, number: int) -> list[str]:
        """What the books say otherwise than a period's report; []: nothing."""
        return list(faults(self._database, number))

    def quiet(self, until_s: int) -> tuple[Quiet, list[Blocking]]:
        """What is proven of sales of before, and what bars that nobody has decided about."""
        return self._open(until_s)[:2]

    # --- before it is closed ---------------------------------------------------------------------

    def set_rate(self, merchant_no: int, rate_bp: int, person: str, time_s: int) -> None:
        """From the next period that is closed on: hundredths of a percent of the turnover."""
        check_person(person)
        if not 0 <= rate_bp <= RATE_BP_MAX:
            raise PeriodRefused(f"a commission is 0 to {RATE_BP_MAX} basis points", NO_ACCOUNT)
        with self._database.transaction():
            about = f"merchant {merchant_no}", f"{rate_bp} basis points"
            person = signed(self._database, "period.rate", person, time_s, *about)
            if not list(self._database.rows(_IS_MERCHANT, (merchant_no,))):
                raise PeriodRefused(f"merchant {merchant_no} is not registered", NO_ACCOUNT)
            ((number,),) = self._database.rows(_NEXT_RATE)
            row = number, merchant_no, rate_bp, person, time_s
            self._database.many(_RATE, [row])

    def decide(
        self,
        until_s: int,
        places: Sequence[tuple[int, int]],
        person: str,
        because: str,
        time_s: int,
    ) -> None:
        """`person` decides that the period that ends then is closed with these open.

        `places`: (device, 0) for a reader, (device, seq) for a record; each has to bar it.
        """
        check_person(person)
        check_because(because)
        with self._database.transaction():
            named = " ".join(f"{device}/{seq}" if seq else str(device) for device, seq in places)
            about = f"until {until_s}: {named}", because
            person = signed(self._database, "period.decide", person, time_s, *about)
            quiet, _left, decided = self._open(until_s)
            bars = {(one.device, one.seq): one.bar for one in quiet.blocking}
            if any(one.until_s >= until_s for one in self.every()):
                raise PeriodRefused("that time is in a closed period", WRONG_SPAN)
            for place in places:
                if place not in bars:
                    raise PeriodRefused(f"{_named(*place)} does not bar it", NOT_QUIET)
            rows = [
                (until_s, *place, bars[place].value, person, because, time_s)
                for place in dict.fromkeys(places)
                if place not in decided
            ]
            self._database.many(_DECIDE, rows)

    def close(self, name: str, until_s: int, person: str, now_s: int) -> Period:
        """Close the period up to `until_s` (not in it); again, the same: it is what it was."""
        check_person(person)
        if not 0 < len(name) <= _NAME_CHARS_MAX or not name.isprintable():
            raise PeriodRefused(f"a period has a name of 1 to {_NAME_CHARS_MAX}", WRONG_SPAN)
        ready, refusal = None, None
        with self._database.reading():
            if self._closed(name, until_s, person) is None:
                try:
                    ready = self._ready(name, until_s, str(person), now_s)
                except PeriodRefused as error:  # whoever may not close is told that first
                    refusal = error
        with self._database.transaction():
            about = f"period {name} until {until_s}"
            person = signed(self._database, "period.close", person, now_s, about)
            known = self._closed(name, until_s, person)
            if known is not None:
                return known
            if refusal is not None:
                raise refusal
            if ready is None:
                raise PeriodRefused(f"period {name!r} was there, and is not", WRONG_SPAN)
            what, made, report = ready
            for one in self.every()[made.number - 1 :]:
                raise PeriodRefused(f"{one.person} has closed one meanwhile", WRONG_SPAN)
            write(self._database, made)
            sha256 = hashlib.sha256(report.encode("ascii")).digest()
            self._database.many(_INSERT, [(*what, sha256, report)])
            return self.period(made.number)

    # --- what persons say of its report ----------------------------------------------------------

    def approve(self, number: int, step: str, sha256: str, person: str, time_s: int) -> Period:
        """`person` approves the report with this hash (hexadecimal), as the next of STEPS."""
        check_person(person)
        wrong = self.faults(number)  # looked for beforehand: a closed period does not change
        with self._database.transaction():
            person = self._signed(number, step, sha256, person, time_s)
            period = self.period(number)
            self._check_hash(period, sha256)
            if any(
                (_STEP_NAMES[one - 1], who) == (step, person) for one, who, _ in period.approvals
            ):
                return period
            at = self._check_step(period, step)
            if person in (period.person, *(who for _, who, _ in period.approvals)):
                raise PeriodRefused(f"{person} has done another step of it", SAME_PERSON)
            self._check_proven(period)
            if wrong:
                raise PeriodRefused("; ".join(wrong), OTHER_REPORT)
            self._database.many(_APPROVE, [(number, at, person, time_s)])
            if at == len(STEPS):
                self._post(number)
            return self.period(number)

    def refuse(
        self, number: int, step: str, sha256: str, person: str, because: str, time_s: int
    ) -> Period:
        """`person` refuses the report instead: all of it goes on to the next period."""
        check_person(person)
        check_because(because, reason=WRONG_STEP)
        with self._database.transaction():
            person = self._signed(number, step, sha256, person, time_s)
            period = self.period(number)
            self._check_hash(period, sha256)
            if period.refusal and period.refusal[1:3] == (person, because):
                return period
            at = self._check_step(period, step)
            self._database.many(_REFUSE, [(number, at, person, because, time_s)])
            return self.period(number)

    # --- how -------------------------------------------------------------------------------------

    def _signed(self, number: int, step: str, sha256: str, person: str, time_s: int) -> str:
        """Who says what is to be said of a report in this step."""
        if step not in STEPS:
            raise PeriodRefused(f"the steps are {', '.join(STEPS)}", WRONG_STEP)
        asked = {"department": _DEPARTMENTS.get(step, "")}
        words = person, time_s, _about(number), sha256.lower()
        return signed(self._database, f"period.{step}", *words, **asked)

    def _check_proven(self, period: Period) -> None:
        """PeriodRefused if anybody has approved it by a typed name, which counts for nothing."""
        if not are_there(self._database):
            return
        for step, who, _time_s in period.approvals:
            verb = f"period.{_STEP_NAMES[step - 1]}"
            about = _about(period.number), period.sha256.hex()
            if not was_proven(self._database, who, verb, *about):
                text = f"{who} approved it by a typed name, which counts for nothing since these"
                text += " books have operators: approve that again, or refuse the report"
                raise PeriodRefused(text, people.TYPED_NAME)

    def _closed(self, name: str, until_s: int, person: str) -> Period | None:
        """The period that this person has closed under this name up to then."""
        named = name, until_s, person
        same = [one for one in self.every() if (one.name, one.until_s, one.person) == named]
        return same[0] if same else None

    def _ready(
        self, name: str, until_s: int, person: str, now_s: int
    ) -> tuple[tuple[int, str, int, int, str, int], Cut, str]:
        """All that is to be written of the next period, of one state of the books."""
        before = self.every()
        from_s = self._check_span(before, name, until_s, now_s)
        quiet = self._check_quiet(until_s, person)
        what = len(before) + 1, name, from_s, until_s, person, now_s
        made = cut(self._database, what[0], from_s, until_s, now_s)
        return what, made, build(self._database, what, quiet, made)

    def _period(self, number: int, *row: Any) -> Period:
        approvals = tuple(self._database.rows(_APPROVALS, (number,)))
        refusal = next(iter(list(self._database.rows(_REFUSAL, (number,)))), None)
        return Period(number, *row, approvals=approvals, refusal=refusal)

    def _open(self, until_s: int) -> tuple[Quiet, list[Blocking], dict[tuple[int, int], str]]:
        quiet = examine(self._database, until_s)
        rows = list(self._database.rows(_DECIDED, (until_s,)))
        decided = {(device, seq): person for device, seq, person in rows}
        left = [one for one in quiet.blocking if (one.device, one.seq) not in decided]
        return quiet, sorted(left, key=place_of), decided

    def _check_span(self, before: Sequence[Period], name: str, until_s: int, now_s: int) -> int:
        from_s = before[-1].until_s if before else 0
        if name in (one.name for one in before) or not from_s < until_s <= now_s:
            text = f"{name!r} cannot be the period from {from_s} until {until_s}"
            raise PeriodRefused(text, WRONG_SPAN)
        if before and not before[-1].has_ended:
            text = f"period {before[-1].number} waits for its approvals"
            raise PeriodRefused(text, NOT_ENDED)
        return from_s

    def _check_quiet(self, until_s: int, person: str) -> Quiet:
        quiet, left, decided = self._open(until_s)
        if left:
            names = [_named(one.device, one.seq) + f" ({one.bar})" for one in left[:_SHOWN]]
            more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            raise PeriodRefused(f"barred by {', '.join(names)}{more}", NOT_QUIET)
        barred = {(one.device, one.seq) for one in quiet.blocking}
        if any(decided[place] == person for place in barred):
            text = f"{person} has decided what stays open: another one closes it"
            raise PeriodRefused(text, SAME_PERSON)
        return quiet

    def _check_hash(self, period: Period, sha256: str) -> None:
        if sha256.lower() != period.sha256.hex():
            text = f"{sha256!r} is not the hash of report {period.number}: see it again"
            raise PeriodRefused(text, OTHER_REPORT)

    def _check_step(self, period: Period, step: str) -> int:
        if period.has_ended:
            is_so = "approved" if period.is_approved else "refused"
            raise PeriodRefused(f"report {period.number} is {is_so}", ENDED)
        at = len(period.approvals)
        if step != _STEP_NAMES[at]:
            raise PeriodRefused(f"the next step is {_STEP_NAMES[at]}", WRONG_STEP)
        return at + 1

    def _post(self, number: int) -> None:
        transfers = [moved for due in self.due(number) for moved in _moved(due)]
        accounts = [(chart.remittance(due.merchant_no), due) for due in self.due(number)]
        rows = [
            (account, chart.REMITTANCE, due.merchant_no)
            for account, due in accounts
            if due.due_fen > 0
        ]
        self._database.many(_OPEN_ACCOUNT, rows)
        post_authorized(self._database, transfers)


def _moved(due: Due) -> Iterator[Transfer]:
    """What an approved report moves of one merchant's money."""
    payable = chart.payable(due.merchant_no)
    device, seq = chart.LEDGER_DEVICE, due.number
    if due.commission_fen:
        way = (payable, chart.COMMISSION)
        if due.commission_fen < 0:
            way = (chart.COMMISSION, payable)
        yield Transfer(device, seq, CHARGE_LINE, CHARGE, *way, abs(due.commission_fen))
    if due.due_fen > 0:
        to = chart.remittance(due.merchant_no)
        yield Transfer(device, seq, REMIT_LINE, REMIT, payable, to, due.due_fen)


def _about(number: int) -> str:
    """What an act on a report is on."""
    return f"report {number}"


def _named(device: int, seq: int) -> str:
    return f"record {device}/{seq}" if seq else f"reader {device}"
