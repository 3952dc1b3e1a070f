"""Binds a phone to a card's virtual card: `onecard ledger phone bind CONFIG --card N`.

CONFIG is the ledger's own: it names the books, and the key that seeds rest under. May run beside
the ledger. What is printed by `bind` is all that a phone needs, and nobody can print it again.
"""

import os
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ledger.config import ConfigError, load_code_key, load_config
from ledger.phones import PhoneRefused, Phones, Proof
from tools.ledger_forks import books_in, opened


def run(config_path: Path, verb: str, card_no: int, proof: Proof | None = None) -> str:
    """What to say about `bind`, `unbind` or `show` of a card's phone; bind takes a `proof`.

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
            if proof is None:
                raise PhoneRefused("nobody has said what was shown, and to whom")
            binding, seed = phones.bind(card_no, proof, int(time.time()))
            return f"card_no {card_no}\nbinding {binding}\nseed {seed.hex()}"
        if verb == "unbind":
            return f"card {card_no} has no phone; binding {phones.unbind(card_no)}"
        binding, shown = phones.binding(card_no), phones.proof(card_no)
        said = f"binding {binding}" if binding else "no phone"
        if shown is not None:
            day = datetime.fromtimestamp(shown[2], UTC).date()
            said += f", {shown[0]} shown to {shown[1]} on {day}"
        return f"card {card_no}: {said}"
