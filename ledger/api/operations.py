"""Every operation of the API, as a table: what it takes, what it answers, and who may.

The application (app.py) and the OpenAPI document (openapi.py) are made from it. A handler is
called with one store of the books, in a thread, and with nothing but what was checked; it writes
by the ledger's own verbs. What it does is done once, however often it is asked.
"""

from typing import Any

from pydantic import BaseModel

from ledger import api_reasons as why
from ledger import people
from ledger.api import models
from ledger.api import people as people_calls
from ledger.api import phones as phone_calls
from ledger.api.calls import BadPlace, Call, Operation, Policy, place, place_text
from ledger.api.clients import Scope
from ledger.api.devices import FIRST_CASE, cases_behind, readers_behind
from ledger.api.period_operations import PERIOD_OPERATIONS
from ledger.card_status import NAMES
from ledger.channel_topups import ChannelRefused, ChannelTopUp, Order
from ledger.holder_accounts import KINDS, START, Entry
from ledger.reasons import TEXTS
from ledger.store import LedgerStore

# --- accounts --------------------------------------------------------------------------------


def _account(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    store.accounts.card_in_use(call.body.card_no)
    return models.Account(account=policy.account_ids.of(call.client.name, call.body.card_no))


def _card(policy: Policy, call: Call, account: str) -> int:
    card_no = policy.account_ids.card_no(call.client.name, account)
    if card_no is None:
        raise ChannelRefused(why.NO_ACCOUNT)
    return card_no


def _balance(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    account = call.path["account"]
    found = store.accounts.balance(_card(policy, call, account), policy.carry_over_after_s)
    frozen = [
        models.FrozenFen(due_s=one.due_s, amount_fen=one.amount_fen, waiting_fen=one.waiting_fen)
        for one in found.frozen
    ]
    return models.AccountBalance(
        account=account,
        status=NAMES[found.status],
        purse_fen=found.purse_fen,
        waiting_fen=found.waiting_fen,
        reserved_fen=found.reserved_fen,
        frozen=frozen,
    )


def _statement(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    behind = place(call.query.after, START)
    card_no, count = _card(policy, call, call.path["account"]), call.query.limit
    entries = store.accounts.entries(card_no, count + 1, behind)
    shown = entries[:count]
    following = place_text(shown[-1].place) if len(entries) > count else None
    return models.Statement(entries=[_entry(entry) for entry in shown], next=following)


def _entry(entry: Entry) -> models.StatementEntry:
    return models.StatementEntry(
        number=place_text(entry.place[1:]),
        kind=KINDS[entry.kind],
        time_s=entry.time_s or None,
        merchant_no=entry.merchant_no or None,
        purse_fen=entry.purse_fen,
        waiting_fen=entry.waiting_fen,
        reserved_fen=entry.reserved_fen,
    )


def _loss(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    account = call.path["account"]
    card_no = _card(policy, call, account)
    lost_s, epoch = store.accounts.report_loss(card_no, call.now_s, call.client.name)
    return models.LossReported(account=account, lost_s=lost_s, epoch=epoch)


# --- top-ups ---------------------------------------------------------------------------------


def _top_up(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    asked = call.body
    if asked.amount_fen > policy.topup_max_fen:
        raise ChannelRefused(why.ABOVE_LIMIT)
    card_no = _card(policy, call, asked.account)
    facts = asked.amount_fen, asked.bank_reference, asked.paid_s
    order = Order(call.client.name, asked.order_no, card_no, *facts)
    booked = store.channel_top_ups.book(order, call.now_s)
    return models.TopUp(**_top_up_facts(policy, call, booked) | {"account": asked.account})


def _top_up_status(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    named = call.client.name, call.path["order_no"]
    found = store.channel_top_ups.find(*named)
    if found is None:
        is_void = store.channel_top_ups.voided_s(*named) is not None
        raise ChannelRefused(why.VOID if is_void else why.NO_ORDER)
    became = {"state": found.state, "cancelled_s": found.cancelled_s}
    return models.TopUpStatus(**_top_up_facts(policy, call, found) | became)


def _cancel(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    del policy
    order_no = call.path["order_no"]
    done = store.channel_top_ups.cancel(call.client.name, order_no, call.now_s)
    return models.TopUpCancelled(
        order_no=order_no, cancelled_s=done.cancelled_s, amount_fen=done.amount_fen or None
    )


def _top_up_facts(policy: Policy, call: Call, found: ChannelTopUp) -> dict[str, Any]:
    order = found.order
    return {
        "order_no": order.order_no,
        "number": found.number,
        "account": policy.account_ids.of(call.client.name, order.card_no),
        "amount_fen": order.amount_fen,
        "bank_reference": order.bank_reference,
        "paid_s": order.paid_s,
        "booked_s": found.heard_s,
    }


# --- the card centre's own -------------------------------------------------------------------


def _devices(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    del policy
    (behind,), count = place(call.query.after, (0,)), call.query.limit
    found = list(readers_behind(store.database, behind, count + 1))
    shown = found[:count]
    devices = [
        models.DeviceFacts(
            device=one.device,
            site=one.site,
            merchant_no=one.merchant_no,
            head_seq=one.head_seq,
            is_forked=one.is_forked,
            door_epoch=one.door_epoch,
            inspected=_inspection(one.inspection),
        )
        for one in shown
    ]
    following = str(shown[-1].device) if len(found) > count else None
    return models.Devices(card_epoch=store.cards.epoch(), devices=devices, next=following)


def _inspection(fields: dict[str, Any] | None) -> models.Inspection | None:
    if fields is None:
        return None
    return models.Inspection(
        time_s=fields["earliest_s"],
        is_online=bool(fields["network"]),
        waiting=fields["waiting"],
        battery_mv=fields["battery_mv"],
        map_made_s=fields.get("map_made_s"),
    )


def _case_place(text: str | None) -> tuple[int, int, int, bytes]:
    if text is None:
        return FIRST_CASE
    *numbers, sha256 = text.split("-")
    reason, device, seq = place("-".join(numbers), (0, 0, 0))
    try:
        return reason, device, seq, bytes.fromhex(sha256)
    except ValueError:
        raise BadPlace from None


def _cases(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    del policy
    behind, count = _case_place(call.query.after), call.query.limit
    found = cases_behind(store.database, behind, count + 1)
    shown = found[:count]
    cases = [
        models.CaseFacts(
            reason=reason, text=TEXTS.get(reason, ""), device=device, seq=seq, sha256=sha256.hex()
        )
        for reason, device, seq, sha256 in shown
    ]
    following = None
    if len(found) > count:
        *place, sha256 = shown[-1]
        following = "-".join([*map(str, place), sha256.hex()])
    return models.Cases(cases=cases, next=following)


_ACCOUNT = "/v1/accounts/{account}"
_ORDER = "/v1/topups/{order_no}"
OPERATIONS = (
    Operation(
        "find_account",
        "POST",
        "/v1/accounts",
        Scope.ACCOUNTS,
        "The account of the holder of a card, by the number that only this client has for it.",
        models.Account,
        _account,
        body=models.AccountAsk,
        reasons=(why.NO_ACCOUNT,),
    ),
    Operation(
        "show_balance",
        "GET",
        _ACCOUNT,
        Scope.BALANCES,
        "What is on the card in use, waits for it, is reserved by codes, and frozen of lost ones.",
        models.AccountBalance,
        _balance,
        reasons=(why.NO_ACCOUNT,),
    ),
    Operation(
        "show_statement",
        "GET",
        f"{_ACCOUNT}/entries",
        Scope.BALANCES,
        "What has changed the account, newest first; all entries together are its balance.",
        models.Statement,
        _statement,
        query=models.Page,
        reasons=(why.NO_ACCOUNT,),
    ),
    Operation(
        "report_loss",
        "POST",
        f"{_ACCOUNT}/loss",
        Scope.LOSSES,
        "From now on the card in use is lost. Again: since when it is. Only the card centre undoes"
        " it, in person (R14.2, R14.3).",
        models.LossReported,
        _loss,
        reasons=(why.NO_ACCOUNT, why.ACCOUNT_CLOSED, why.LOSS_IMPOSSIBLE),
    ),
    Operation(
        "bind_phone",
        "POST",
        f"{_ACCOUNT}/phone",
        Scope.PHONES,
        "Bind a phone to the card in use (R14b.3). A card has one phone: the one before pays no"
        " more from then on. The same request again is answered the same for ten minutes.",
        models.PhoneBound,
        phone_calls.bind,
        body=models.PhoneAsk,
        reasons=phone_calls.REASONS,
    ),
    Operation(
        "show_phone",
        "GET",
        f"{_ACCOUNT}/phone",
        Scope.PHONES,
        "Whether the card in use has a phone, and since when.",
        models.PhoneShown,
        phone_calls.show,
        reasons=(why.NO_ACCOUNT, why.NO_PHONES),
    ),
    Operation(
        "end_phone",
        "POST",
        f"{_ACCOUNT}/phone/end",
        Scope.PHONES,
        "From now on no phone pays for the card in use. Again: the same.",
        models.PhoneShown,
        phone_calls.end,
        reasons=(why.NO_ACCOUNT, why.NO_PHONES),
    ),
    Operation(
        "book_topup",
        "POST",
        "/v1/topups",
        Scope.TOPUPS,
        "Book what a channel took in (R14.1). The same again is answered the same, so ask until"
        " there is an answer; the money comes on the card at its next tap online.",
        models.TopUp,
        _top_up,
        body=models.TopUpAsk,
        reasons=(
            why.NO_ACCOUNT,
            why.ACCOUNT_CLOSED,
            why.ABOVE_LIMIT,
            why.ORDER_DIFFERS,
            why.REFERENCE_USED,
            why.VOID,
        ),
    ),
    Operation(
        "show_topup",
        "GET",
        _ORDER,
        Scope.TOPUPS,
        "What became of an order of this channel.",
        models.TopUpStatus,
        _top_up_status,
        reasons=(why.NO_ORDER, why.VOID),
    ),
    Operation(
        "cancel_topup",
        "POST",
        f"{_ORDER}/cancel",
        Scope.TOPUPS,
        "Take an order back, all of it, as long as it was not offered to the card; the channel"
        " then returns the money to whoever paid. One that has not come is never taken, however"
        " long it was under way. Again: what was done.",
        models.TopUpCancelled,
        _cancel,
        reasons=(why.NO_ORDER, why.ON_CARD, why.MAY_BE_ON_CARD, why.SPENT, why.WENT_ON),
    ),
    Operation(
        "list_devices",
        "GET",
        "/v1/devices",
        Scope.DEVICES,
        "Every registered reader, by number, with what it said at its last inspection.",
        models.Devices,
        _devices,
        query=models.Page,
    ),
    Operation(
        "list_cases",
        "GET",
        "/v1/cases",
        Scope.CASES,
        "Every case, by its reason and record.",
        models.Cases,
        _cases,
        query=models.Page,
    ),
    Operation(
        "begin_session",
        "POST",
        "/v1/sessions",
        None,
        "Log an operator in. Wrong, unknown and locked are told alike; after five wrong passwords"
        " a login is locked for a quarter of an hour.",
        models.Session,
        people_calls.begin_session,
        body=models.LogIn,
        reasons=(people.WRONG_LOGIN, people.INITIAL_PASSWORD),
    ),
    Operation(
        "end_session",
        "POST",
        "/v1/sessions/end",
        Scope.SESSIONS,
        "Log out: the token is nobody's from then on.",
        models.SessionEnded,
        people_calls.end_session,
    ),
    Operation(
        "show_holder",
        "POST",
        "/v1/holders",
        Scope.HOLDERS,
        "Whose a card is, or was: the school's number of the person, masked.",
        models.HolderFacts,
        people_calls.holder,
        body=models.HolderAsk,
        reasons=(people.NO_HOLDER,),
    ),
    Operation(
        "reveal_holder",
        "POST",
        "/v1/holders/reveal",
        Scope.PERSONAL,
        "The same unmasked, which is an act: who has asked, of which card, and why.",
        models.HolderFacts,
        people_calls.reveal,
        body=models.HolderRevealed,
        reasons=(people.NO_HOLDER, people.NO_REASON_GIVEN),
    ),
    Operation(
        "list_acts",
        "GET",
        "/v1/acts",
        Scope.ACTS,
        "What operators have said and what was refused, in order.",
        models.Acts,
        people_calls.said,
        query=models.Page,
    ),
    *PERIOD_OPERATIONS,
)
