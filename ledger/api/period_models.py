"""What goes over the wire of merchants' settlement, as types; the rest is in models.py."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ledger.api.models import U32, Count, Fen, MaybeTimeS, Next, TimeS, whole
from ledger.payments.bank import RESULTS
from ledger.period_reasons import BECAUSE_CHARS_MAX
from ledger.quiescence import Bar

_DAY_S = 86_400
_PAYMENT_NO_MAX = 9_999_999_999_999  # of 13 digits behind a restore (ledger/payments/schema.py)
_LINES_MAX = 80  # so that a body has room for them

PeriodNo = Annotated[int, Field(ge=1, le=U32)]
PaymentNo = Annotated[int, Field(ge=1, le=_PAYMENT_NO_MAX)]
MerchantNo = Annotated[int, Field(ge=0, le=U32)]
Name = Annotated[str, Field(min_length=1, max_length=32)]
Because = Annotated[str, Field(min_length=1, max_length=BECAUSE_CHARS_MAX)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Step = Literal["audit", "head", "leader", "centre"]
BarName = Annotated[str, Field(json_schema_extra={"enum": [*map(str, Bar)]})]
Offset = Annotated[
    int,
    BeforeValidator(whole),
    Field(ge=0, le=_DAY_S, description="Where the school is, in seconds east of Greenwich."),
]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Zone(_Strict):
    """When days begin."""

    utc_offset_s: Offset = 28_800


class Signed(_Strict):
    """An approval, in its order."""

    step: Step
    login: str
    time_s: TimeS


class Refusal(Signed):
    """Who has refused the report instead: all of it is in the next period."""

    because: str


class PeriodFacts(_Strict):
    """A closed period; `sha256` is that of its report, which is what persons approve."""

    period: PeriodNo
    name: str
    from_s: TimeS
    until_s: TimeS
    closed_by: str
    closed_s: TimeS
    sha256: Sha256
    approvals: list[Signed]
    next_step: Annotated[Step | None, Field(description="null: approved, or refused.")]
    refusal: Refusal | None


class Periods(_Strict):
    """In their order."""

    periods: list[PeriodFacts]
    next: Next


class MerchantDue(_Strict):
    """What a merchant is due of a period; `late_fen` is in the sums."""

    merchant_no: MerchantNo
    count: Count
    sales_fen: Fen
    cancelled_fen: Fen
    other_fen: Fen
    late_count: Count
    late_fen: Fen
    brought_turnover_fen: Fen
    brought_fen: Fen
    rate_bp: Annotated[int, Field(ge=0, le=10_000)]
    commission_fen: Fen
    due_fen: Fen


class PeriodReport(PeriodFacts):
    """And its report, byte for byte: canonical JSON whose SHA-256 is `sha256`."""

    merchants: list[MerchantDue]
    report: str


class GateAsk(_Strict):
    """When the period would end (not in it)."""

    until_s: Annotated[int, Field(ge=1, le=U32)]


class Place(_Strict):
    """A reader, or where `seq` is not 0 one of its records."""

    device: Annotated[int, Field(ge=1, le=U32)]
    seq: Annotated[int, Field(ge=0, le=U32)]


class Barring(Place):
    """What bars a period, and what ends that. `is_decided`: it is to be closed all the same."""

    bar: BarName
    text: str
    ended_by: str
    is_decided: bool


class Gate(_Strict):
    """`is_open`: nothing bars it that nobody has decided about."""

    until_s: TimeS
    is_open: bool
    barring: list[Barring]


class DecideAsk(GateAsk):
    """Close it with these open, and why; each has to bar it."""

    open: Annotated[list[Place], Field(min_length=1, max_length=_LINES_MAX)]
    because: Because


class CloseAsk(GateAsk):
    name: Name


class ApproveAsk(_Strict):
    """`sha256`: of the report that was seen."""

    step: Step
    sha256: Sha256


class RefuseAsk(ApproveAsk):
    because: Because


class LateLine(_Strict):
    """One that is not of its period's time; `time_s` null: no record dates it."""

    device: Annotated[int, Field(ge=0, le=U32)]
    seq: Annotated[int, Field(ge=0, le=U32)]
    line: Count
    merchant_no: MerchantNo
    amount_fen: Fen
    time_s: MaybeTimeS


class LateLines(_Strict):
    lines: list[LateLine]
    next: Next


class DayFacts(_Strict):
    """What a merchant's records of a day came to, as booked so far."""

    day: Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    merchant_no: MerchantNo
    count: Count
    sales_fen: Fen
    cancelled_fen: Fen
    other_fen: Fen


class SettledIn(_Strict):
    """null: in no period yet."""

    period: PeriodNo | None
    fen: Fen


class MonthFacts(_Strict):
    """The same of the whole time, and where it is settled."""

    merchant_no: MerchantNo
    count: Count
    sales_fen: Fen
    cancelled_fen: Fen
    other_fen: Fen
    settled: list[SettledIn]


class PeriodStatements(_Strict):
    """By the time of records, as booked so far: it changes with what is told late."""

    days: list[DayFacts]
    months: list[MonthFacts]


class KindBalance(_Strict):
    """All accounts of a kind: what moved out of them and into them, ever."""

    kind: str
    debit_fen: Fen
    credit_fen: Fen


class TrialBalance(_Strict):
    """As of now: all debits are all credits."""

    kinds: list[KindBalance]


class FileAsk(_Strict):
    """The file's name, for ever."""

    file: Name


class PaymentFacts(_Strict):
    """A line for the bank."""

    payment: PaymentNo
    merchant_no: MerchantNo
    purpose: str
    account_no: str
    name: str
    amount_fen: Annotated[int, Field(ge=1)]


class PaymentFile(_Strict):
    """Made once: again it has the same payments, less those that the bank has answered."""

    file: str
    payments: list[PaymentFacts]


class BankWord(_Strict):
    payment: PaymentNo
    result: Annotated[str, Field(json_schema_extra={"enum": [*RESULTS]})]
    because: Annotated[str, Field(max_length=64)] = ""


class ResultsAsk(_Strict):
    """What the bank says: all of it is noted, or nothing."""

    results: Annotated[list[BankWord], Field(min_length=1, max_length=16)]


class ResultsNoted(_Strict):
    """How many of them were news."""

    news: Count


class UnpaidFacts(_Strict):
    """Approved, and no bank has it. `has_account`: it goes with the next file."""

    merchant_no: MerchantNo
    purpose: str
    due_fen: Annotated[int, Field(ge=1)]
    has_account: bool


class Unpaid(_Strict):
    unpaid: list[UnpaidFacts]
