"""Calls of the API about phones: bound by the app of a holder, shown, ended (R14b.1, R14b.3)."""

import os

from pydantic import BaseModel

from ledger import api_reasons as why
from ledger.api import models
from ledger.api.calls import Call, Policy
from ledger.channel_topups import ChannelRefused
from ledger.phone_apps import Asked, PhoneApps
from ledger.phones import Phones
from ledger.store import LedgerStore

REASONS = (
    why.NO_ACCOUNT,
    why.CARD_NOT_IN_USE,
    why.NOT_THE_HOLDER,
    why.PHONE_HAS_CARD,
    why.TOO_MANY_TRIES,
    why.REQUEST_DIFFERS,
    why.TOLD_BEFORE,
    why.NO_PHONES,
)


def bind(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """A phone for the card in use, and its seed."""
    phones, card_no, account = _about(store, policy, call)
    asked = call.body
    wanted = Asked(
        call.client.name, asked.request_no, asked.reference, asked.phone, asked.person_no
    )
    binding, seed = PhoneApps(store.database, phones).bind(card_no, wanted, call.now_s)
    return models.PhoneBound(account=account, card_no=card_no, binding=binding, seed=seed.hex())


def show(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """Which binding holds."""
    phones, card_no, account = _about(store, policy, call)
    proof = phones.proof(card_no)
    binding = phones.binding(card_no) or None
    return models.PhoneShown(account=account, binding=binding, bound_s=proof and proof[2])


def end(store: LedgerStore, policy: Policy, call: Call) -> BaseModel:
    """No phone from now on."""
    phones, card_no, account = _about(store, policy, call)
    PhoneApps(store.database, phones).end(card_no, call.client.name, call.now_s)
    return models.PhoneShown(account=account, binding=None, bound_s=None)


def _about(store: LedgerStore, policy: Policy, call: Call) -> tuple[Phones, int, str]:
    account = call.path["account"]
    card_no = policy.account_ids.card_no(call.client.name, account)
    if card_no is None:
        raise ChannelRefused(why.NO_ACCOUNT)
    if policy.code_key is None:
        raise ChannelRefused(why.NO_PHONES)
    phones = Phones(store.database, policy.code_key, os.urandom)
    return phones, store.accounts.card_in_use(card_no), account
