"""Binds a phone to a card's virtual card: `onecard ledger phone bind CONFIG --card N`.

CONFIG is the ledger's own: it names the books, and the key that seeds rest under. May run beside
the ledger. What is printed by `bind` is all that a phone needs, and nobody can print it again.
"""

import os
from contextlib import closing
from pathlib import Path

from ledger.config import ConfigError, load_code_key, load_config
from ledger.phones import Phones
from tools.ledger_forks import books_in, opened


def run(config_path: Path, verb: str, card_no: int) -> str:
    """What to say about `bind`, `unbind` or `show` of a card's phone.

    ConfigError, NotBooks, PhoneRefused, StoreUnavailable.
    """
    config = load_config(config_path)
    if config.codes is None:
        raise ConfigError(f"{config_path}: codes.key_file: missing, so no phone can pay")
    code_key = load_code_key(config.codes.key_file)
    with opened(config_path):
        pass  # these are books, and of this program's schema: nothing is migrated by the way
    with closing(books_in(config_path)) as store:
        phones = Phones(store.database, code_key, os.urandom)
        if verb == "bind":
            binding, seed = phones.bind(card_no)
            return f"card_no {card_no}\nbinding {binding}\nseed {seed.hex()}"
        if verb == "unbind":
            return f"card {card_no} has no phone; binding {phones.unbind(card_no)}"
        binding = phones.binding(card_no)
        return f"card {card_no}: " + (f"binding {binding}" if binding else "no phone")
