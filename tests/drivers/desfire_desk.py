"""DESFire cards as the card centre makes them, for a desk (tests/drivers/desk.py)."""

import functools
import json
import random

from protocols.card import personalise_desfire
from protocols.card import purse_desfire as layout
from protocols.card.identity import Identity
from simulator.cardbox_desfire import drive
from simulator.cards.desfire import Desfire
from tests.drivers.desk import BALANCE_FEN, CIPHERS, CREDIT_KEY, PURSE_KEY, UID7

MASTERS = {
    "master": bytes(range(48, 64)),
    "read": bytes(range(64, 80)),
    "purse": PURSE_KEY,
    "credit": CREDIT_KEY,
    "transaction": bytes(range(112, 128)),
}
IDENTITY = Identity(4711, 1, 20_000, 22_000, 1)


def card_keys(uid=UID7, purse_key=PURSE_KEY, version=1):
    """All keys of one card."""
    masters = personalise_desfire.masters_of(CIPHERS, {**MASTERS, "purse": purse_key})
    return personalise_desfire.CardKeys(uid, masters, version)


def new_desfire(seed=0, uid=UID7, balance_fen=BALANCE_FEN, purse_key=PURSE_KEY, **options):
    """A personalised card; `options` as of simulator.cards.desfire.Desfire."""
    card = Desfire(uid, random.Random(seed), **options)
    card.restore(json.loads(_image(uid, balance_fen, purse_key, tuple(options.items()))))
    return card


@functools.cache
def _image(uid, balance_fen, purse_key, options):
    card = Desfire(uid, random.Random(0), **dict(options))
    keys = card_keys(uid, purse_key)
    draw = random.Random(1).randbytes
    drive(personalise_desfire.personalise(CIPHERS, IDENTITY, balance_fen, keys, draw), card)
    return json.dumps(card.snapshot())


def balance(card):
    """What really is in the purse, past all rights."""
    return card.truth(layout.APPLICATION, layout.VALUE_FILE)
