"""Phones: each card has one virtual card, and at most one phone has its seed (R14b.1).

A seed is drawn when a phone is bound, told once, and rests here sealed with AES-256-GCM under a
key that stands in no database, bound to its card and binding: no row can be put in the place of
another. Binding again draws a new one, so what the old phone shows is forged from then on.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.card_status import Cards
from ledger.dialect import Dialect
from ledger.signatures import signed
from protocols.card.virtual_code import SEED_BYTES
from protocols.rules.card_status import CLOSED

CODE_KEY_BYTES = 32
_NONCE_BYTES = 12
_LABEL = b"onecard/v1/seed"
_UNBOUND = b""
_FIND = "SELECT binding, sealed_seed FROM phone WHERE card_no = ?"
_BIND = """
INSERT INTO phone VALUES (?, ?, ?) ON CONFLICT (card_no)
DO UPDATE SET binding = excluded.binding, sealed_seed = excluded.sealed_seed"""


class PhoneRefused(Exception):
    """A phone that cannot be bound; nothing was changed, and the text says why."""


class SeedUnreadable(Exception):
    """A seed does not open under this key: another key, or a row that was changed."""


class Phones:
    """The bindings in the books of `database`. Every method is one transaction, or only reads.

    `code_key` (32 bytes) seals the seeds; random(n) gives n bytes. Raises StoreUnavailable.
    """

    def __init__(self, database: Dialect, code_key: bytes, random: Callable[[int], bytes]) -> None:
        self._database = database
        self._sealer = AESGCM(code_key)
        self._random = random

    def bind(self, card_no: int, person: str = "", time_s: int = 0) -> tuple[int, bytes]:
        """A new phone for a card: (number of the binding, seed). The seed is never told again.

        `person` has seen whose it is. Raises PhoneRefused, NotAllowed.
        """
        seed, nonce = self._random(SEED_BYTES), self._random(_NONCE_BYTES)
        with self._database.transaction():
            signed(self._database, "phone.bind", person, time_s, f"card {card_no}")
            if Cards(self._database).status(card_no) == CLOSED:
                raise PhoneRefused(f"card {card_no} is closed")
            binding = self._next(card_no)
            sealed = nonce + self._sealer.encrypt(nonce, seed, _bound_to(card_no, binding))
            self._database.many(_BIND, [(card_no, binding, sealed)])
        return binding, seed

    def unbind(self, card_no: int, person: str = "", time_s: int = 0) -> int:
        """From now on no phone pays for a card; the number of the binding. Raises PhoneRefused."""
        with self._database.transaction():
            signed(self._database, "phone.bind", person, time_s, f"card {card_no}", "unbind")
            binding = self._next(card_no)
            self._database.many(_BIND, [(card_no, binding, _UNBOUND)])
        return binding

    def binding(self, card_no: int) -> int:
        """The number of the binding that holds; 0: no phone is bound."""
        for binding, sealed in self._database.rows(_FIND, (card_no,)):
            return binding if sealed else 0
        return 0

    def seed_of(self, card_no: int) -> bytes | None:
        """The seed of the phone that is bound; None if none is. Raises SeedUnreadable."""
        for binding, sealed in self._database.rows(_FIND, (card_no,)):
            if not sealed:
                return None
            nonce, data = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            try:
                return self._sealer.decrypt(nonce, data, _bound_to(card_no, binding))
            except InvalidTag as error:
                raise SeedUnreadable(f"binding {binding} of card {card_no}") from error
        return None

    def _next(self, card_no: int) -> int:
        if not list(self._database.rows("SELECT 1 FROM card WHERE card_no = ?", (card_no,))):
            raise PhoneRefused(f"card {card_no} was never issued")
        for binding, _sealed in self._database.rows(_FIND, (card_no,)):
            return binding + 1
        return 1


def _bound_to(card_no: int, binding: int) -> bytes:
    return _LABEL + card_no.to_bytes(4, "big") + binding.to_bytes(4, "big")
