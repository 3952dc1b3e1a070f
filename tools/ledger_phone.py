"""Binds a phone to a card's virtual card: `onecard ledger phone bind CONFIG --card N`.

CONFIG is the ledger's own: it names the books, and the key that seeds rest under. May run beside
the ledger. What is printed by `bind` is all that a phone needs, and nobody can print it again.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from ledger.config import ConfigError, load_code_key, load_config
from ledger.phones import Phones, Proof
from tools.ledger_forks import opened
from tools.session import signing


def run(
    config_path: Path,
    verb: str,
    card_no: int,
    by: str = "",
    now_s: int = 0,
    shown: tuple[str, str] = ("", ""),
) -> str:
    """What to say about `bind`, `unbind` or `show` of a card's phone.

    `shown`: for `bind`, the document and the school's number of whose it is.

    ConfigError, NotBooks, NotAllowed, PhoneRefused, StoreUnavailable.
    """
    config = load_config(config_path)
    if config.codes is None:
        raise ConfigError(f"{config_path}: codes.key_file: missing, so no phone can pay")
    code_key = load_code_key(config.codes.key_file)
    if verb == "show":
        with opened(config_path) as store:
            return _told(Phones(store.database, code_key, os.urandom), card_no)
    with signing(config_path, by, now_s) as (store, who):
        phones = Phones(store.database, code_key, os.urandom)
        if verb == "bind":
            way, person_no = shown
            binding, seed = phones.bind(card_no, Proof(way, who, person_no), now_s)
            return f"card_no {card_no}\nbinding {binding}\nseed {seed.hex()}"
        return f"card {card_no} has no phone; binding {phones.unbind(card_no, who, now_s)}"


def _told(phones: Phones, card_no: int) -> str:
    binding, proof = phones.binding(card_no), phones.proof(card_no)
    said = f"binding {binding}" if binding else "no phone"
    if proof is not None:
        day = datetime.fromtimestamp(proof[2], UTC).date()
        said += f", {proof[0]} shown to {proof[1]} on {day}"
    return f"card {card_no}: {said}"
