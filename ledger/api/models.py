"""What goes over the wire, as types: requests are taken strictly, with no field too many.

Money is whole fen, times are seconds since 1970. The OpenAPI document is made from these.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from ledger.api.accounts import PATTERN
from ledger.card_status import NAMES
from ledger.channel_topups import State
from ledger.holder_accounts import KINDS
from ledger.holders import KIND_NAMES
from ledger.privacy import BECAUSE_CHARS_MAX
from protocols.card.purse import AMOUNT_FEN_MAX

U32 = 0xFFFFFFFF
PAGE_MAX = 50
_DIGITS = re.compile(r"[0-9]{1,5}")

AccountId = Annotated[str, Field(pattern=PATTERN, description="Of this client's making only.")]
OrderNo = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
BankReference = Annotated[str, Field(pattern="^[A-Za-z0-9_.:/-]{1,64}$")]
TimeS = Annotated[int, Field(ge=0, le=U32, description="Seconds since 1970.")]
MaybeTimeS = Annotated[TimeS | None, Field(description="null: nobody has told.")]
Fen = Annotated[int, Field(description="In fen; below nothing where it was taken.")]
CardStatus = Annotated[str, Field(json_schema_extra={"enum": [*NAMES.values()]})]
EntryKind = Annotated[str, Field(json_schema_extra={"enum": [*KINDS.values()]})]
Count = Annotated[int, Field(ge=0)]
Next = Annotated[str | None, Field(description="`after` of the next page; null: the last one.")]


def whole(value: Any) -> int:
    """What stands in a query is digits; pydantic alone would take 5_0 and 5.0 as well."""
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise ValueError("not a whole number")
    return int(value)


Limit = Annotated[int, BeforeValidator(whole), Field(ge=1, le=PAGE_MAX)]


# What stands in a path.
PATH_PARTS: dict[str, TypeAdapter[str]] = {
    "account": TypeAdapter(AccountId),
    "order_no": TypeAdapter(OrderNo),
    "period": TypeAdapter(Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$")]),
}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Problem(_Strict):
    """Why something was refused (RFC 9457); `reason` as in docs/reason-codes.md."""

    type: Annotated[str, Field(pattern="^urn:onecard:reason:[0-9]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    reason: Annotated[int, Field(ge=701, le=799)]
    fields: Annotated[list[str], Field(description="With 707: what is wrong with which.")] = []


class AccountAsk(_Strict):
    """Whose account: the card may be the one in use, or one before it."""

    card_no: Annotated[int, Field(ge=0, le=U32)]


class Account(_Strict):
    account: AccountId


class FrozenFen(_Strict):
    """Of a lost card: `amount_fen` goes to the card in use from `due_s` on, the rest at once."""

    due_s: TimeS
    amount_fen: Fen
    waiting_fen: Fen


class AccountBalance(_Strict):
    """On the card, waiting for its next tap, and reserved by payment codes."""

    account: AccountId
    status: CardStatus
    purse_fen: Fen
    waiting_fen: Fen
    reserved_fen: Fen
    frozen: list[FrozenFen]


class Page(_Strict):
    """Which part of a list: `after` is `next` of the page before."""

    limit: Limit = PAGE_MAX
    after: Annotated[str | None, Field(pattern="^[0-9]{1,10}(-[0-9a-f]{0,64}){0,3}$")] = None


class StatementEntry(_Strict):
    """What one transfer has changed; all of them together are the balance."""

    number: Annotated[str, Field(description="Of the transfer: its own for all time.")]
    kind: EntryKind
    time_s: MaybeTimeS
    merchant_no: Annotated[int | None, Field(ge=0, le=U32)]
    purse_fen: Fen
    waiting_fen: Fen
    reserved_fen: Fen


class Statement(_Strict):
    """Newest first. What readers tell late stands at its own time, so look again for it."""

    entries: list[StatementEntry]
    next: Next


class LossReported(_Strict):
    """Lost since `lost_s`, says the list of cards from `epoch` on, which readers get at once."""

    account: AccountId
    lost_s: TimeS
    epoch: Annotated[int, Field(ge=1, le=U32)]


class PhoneAsk(_Strict):
    """Bind a phone to the card in use. The app has proven the holder's real name: `person_no` is
    whose, by the school's number, `reference` where that proof is found. `phone`: the name that it
    has drawn for this phone and no other. `request_no`: the same again is answered the same."""

    request_no: OrderNo
    phone: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{22,64}$")]
    person_no: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,32}$")]
    reference: BankReference


class PhoneBound(_Strict):
    """`seed`, in hexadecimal, is all that the phone needs to make codes, and told to it alone."""

    account: AccountId
    card_no: Annotated[int, Field(ge=0, le=U32)]
    binding: Annotated[int, Field(ge=1, le=U32)]
    seed: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PhoneShown(_Strict):
    """Which binding of the card in use holds; null: it has no phone."""

    account: AccountId
    binding: Annotated[int | None, Field(ge=1, le=U32)]
    bound_s: TimeS | None


class TopUpAsk(_Strict):
    """What a channel took in; `bank_reference` names the movement at the bank at `paid_s`."""

    order_no: OrderNo
    account: AccountId
    amount_fen: Annotated[int, Field(ge=1, le=AMOUNT_FEN_MAX)]
    bank_reference: BankReference
    paid_s: TimeS


class TopUp(_Strict):
    """A channel's order in the books; `number` is that of its credit."""

    order_no: OrderNo
    number: Annotated[int, Field(ge=1, le=U32)]
    account: AccountId
    amount_fen: Annotated[int, Field(ge=1, le=AMOUNT_FEN_MAX)]
    bank_reference: BankReference
    paid_s: TimeS
    booked_s: TimeS


class TopUpStatus(TopUp):
    """And what became of it."""

    state: State
    cancelled_s: MaybeTimeS


class TopUpCancelled(_Strict):
    """The channel returns `amount_fen`; null: the order had not come, and is never taken."""

    order_no: OrderNo
    cancelled_s: TimeS
    amount_fen: Annotated[int | None, Field(ge=1, le=AMOUNT_FEN_MAX)]


class Inspection(_Strict):
    """What a reader has said of itself when its merchant looked last (R17.1)."""

    time_s: TimeS
    is_online: bool
    waiting: Count
    battery_mv: Count
    map_made_s: MaybeTimeS


class DeviceFacts(_Strict):
    """A registered reader; `door_epoch`: that of its access map in the books, 0 without one."""

    device: Annotated[int, Field(ge=1, le=U32)]
    site: str
    merchant_no: Annotated[int, Field(ge=0, le=U32)]
    head_seq: Count
    is_forked: bool
    door_epoch: Count
    inspected: Inspection | None


class Devices(_Strict):
    """`card_epoch`: that of the list of cards in the books; readers are told at once."""

    card_epoch: Count
    devices: list[DeviceFacts]
    next: Next


class CaseFacts(_Strict):
    """Something that somebody has to look at, and the record that it is about."""

    reason: Annotated[int, Field(ge=300, le=499)]
    text: str
    device: Annotated[int, Field(ge=0, le=U32)]
    seq: Annotated[int, Field(ge=0, le=U32)]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


class Cases(_Strict):
    cases: list[CaseFacts]
    next: Next


class LogIn(_Strict):
    """An operator's login and password."""

    login: Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
    password: Annotated[str, Field(min_length=1, max_length=128)]


class Session(_Strict):
    """`token` is the bearer of every request until `ends_s`, or half an hour without signing.

    That of a screen (role display) is until `ends_s`.
    """

    token: str
    login: str
    roles: list[str]
    ends_s: TimeS


class SessionEnded(_Strict):
    login: str


class HolderAsk(_Strict):
    """Whose card."""

    card_no: Annotated[int, Field(ge=0, le=U32)]


class HolderRevealed(HolderAsk):
    """`because` stands among the acts with who has asked."""

    because: Annotated[str, Field(min_length=1, max_length=BECAUSE_CHARS_MAX)]


class HolderFacts(_Strict):
    """Of a person the books know no more: no name, no ID."""

    card_no: Annotated[int, Field(ge=0, le=U32)]
    kind: Annotated[str, Field(json_schema_extra={"enum": [*KIND_NAMES.values()]})]
    department: str
    person_no: str
    is_masked: bool


class ActFacts(_Strict):
    """What an operator has said; `reason` 0: it was done."""

    number: Annotated[int, Field(ge=1)]
    login: str
    verb: str
    subject: str
    evidence: str
    reason: Annotated[int, Field(ge=0, le=799)]
    time_s: TimeS


class Acts(_Strict):
    acts: list[ActFacts]
    next: Next


class Health(_Strict):
    status: Literal["ok"] = "ok"
