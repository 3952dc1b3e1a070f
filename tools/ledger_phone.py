"""Binds a phone to a card's virtual card: `onecard ledger phone bind CONFIG --card N`.

CONFIG is the ledger's own: it names the books, and the key that seeds rest under. May run beside
the ledger. What is printed by `bind` is all that a phone needs, and nobody can print it again.
"""

import os
from pathlib import Path

from ledger.config import ConfigError, load_code_key, load_config
from ledger.phones import Phones
from tools.ledger_forks import opened
from tools.session import signing


def run(config_path: Path, verb: str, card_no: int, by: str = "", now_s: int = 0) -> str:
    """What to say about `bind`, `unbind` or `show` of a card's phone.

    ConfigError, NotBooks, NotAllowed, PhoneRefused, StoreUnavailable.
    """
    config = load_config(config_path)
    if config.codes is None:
        raise ConfigError(f"{config_path}: codes.key_file: missing, so no phone can pay")
    code_key = load_code_key(config.codes.key_file)
    if verb == "show":
        with opened(config_path) as store:
            binding = Phones(store.database, code_key, os.urandom).binding(card_no)
            return f"card {card_no}: " + (f"binding {binding}" if binding else "no phone")
    with signing(config_path, by, now_s) as (store, who):
        phones = Phones(store.database, code_key, os.urandom)
        if verb == "bind":
            binding, seed = phones.bind(card_no, who, now_s)
            return f"card_no {card_no}\nbinding {binding}\nseed {seed.hex()}"
        return f"card {card_no} has no phone; binding {phones.unbind(card_no, who, now_s)}"
