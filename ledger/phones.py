"""Phones: each card has one virtual card, and at most one phone has its seed (R14b.1).

A seed is drawn when a phone is bound, told once, and rests here sealed with AES-256-GCM under a
key that stands in no database, bound to its card and binding: no row can be put in the place of
another. Binding again draws a new one, so what the old phone shows is forged from then on.

Whoever binds a phone has proven to be the card's holder (R14b.3): which document was seen, and by
whom, stands beside the binding, never what is on it. A phone lives with its card: it is bound to
one in use, shows nothing that is taken while the card is lost, suspended or frozen, and has no
seed any more once its card has ended (ledger/card_status.py); the next card is bound anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.api_reasons import CARD_NOT_IN_USE, NOT_THE_HOLDER
from ledger.card_status import Cards
from ledger.dialect import Dialect
from ledger.holders import holder_of
from ledger.person_numbers import PersonNumbers
from ledger.signatures import signed
from protocols.card.virtual_code import SEED_BYTES

NO_DOCUMENT = 650
NO_SUCH_CARD = 651
TEXTS = {
    NO_DOCUMENT: "nobody says that they have seen a document that proves who it is",
    NO_SUCH_CARD: "a card that was never issued has no phone",
}
CODE_KEY_BYTES = 32
_NONCE_BYTES = 12
PERSON_CHARS_MAX = 32
# What has to be shown, beside the card's holder, to a clerk.
WAYS = ("id-card", "passport", "residence-permit")
ENDED = "ended"  # the way of a binding that is none
IN_USE = "active"  # of ledger.lifecycle
_LABEL = b"onecard/v1/seed"
_UNBOUND = b""
_FIND = "SELECT binding, sealed_seed FROM phone WHERE card_no = ?"
_BIND = """
INSERT INTO phone VALUES (?, ?, ?) ON CONFLICT (card_no)
DO UPDATE SET binding = excluded.binding, sealed_seed = excluded.sealed_seed"""
_PROVE = "INSERT INTO phone_proof VALUES (?, ?, ?, ?, ?)"
_PROOF = "SELECT way, person, time_s FROM phone_proof WHERE card_no = ? AND binding = ?"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was shown (one of WAYS) to `person`, and whom it has shown, by the school's number.

    `person_no` is empty where the books do not know whose the card is.
    """

    way: str
    person: str
    person_no: str = field(default="", repr=False)  # personal: never in a log


class PhoneRefused(Exception):
    """A phone that cannot be bound; nothing was changed.

    `reason` of TEXTS, or of ledger.api_reasons; the text says why, and names nobody.
    """

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(f"{text} ({reason})")
        self.reason = reason


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

    def bind(self, card_no: int, proof: Proof, time_s: int) -> tuple[int, bytes]:
        """A new phone for a card: (number of the binding, seed). The seed is never told again.

        Raises PhoneRefused, NotAllowed.
        """
        if proof.way not in WAYS or not 0 < len(proof.person) <= PERSON_CHARS_MAX:
            raise PhoneRefused(NO_DOCUMENT, f"somebody has seen one of: {', '.join(WAYS)}")
        with self._database.transaction():
            words = f"card {card_no}", proof.way
            person = signed(self._database, "phone.bind", proof.person, time_s, *words)
            self._next(card_no)
            self._check(card_no, proof)
            return self.renew(card_no, proof.way, person, time_s)

    def renew(self, card_no: int, way: str, who: str, time_s: int) -> tuple[int, bytes]:
        """The next binding of a card, whose holder has proven to be it, by `way` to `who`.

        Inside a transaction of the caller, who has looked whose it is. PhoneRefused.
        """
        binding = self._next(card_no)
        seed, nonce = self._random(SEED_BYTES), self._random(_NONCE_BYTES)
        sealed = nonce + self._sealer.encrypt(nonce, seed, _bound_to(card_no, binding))
        self._database.many(_BIND, [(card_no, binding, sealed)])
        self._database.many(_PROVE, [(card_no, binding, way, who, time_s)])
        return binding, seed

    def proof(self, card_no: int) -> tuple[str, str, int] | None:
        """(what was shown, to whom, when) for the binding that holds; None: not known, or none."""
        for row in self._database.rows(_PROOF, (card_no, self.binding(card_no))):
            return row
        return None

    def unbind(self, card_no: int, person: str, time_s: int) -> int:
        """From now on no phone pays for a card; the number of the binding.

        Raises PhoneRefused, NotAllowed.
        """
        if not 0 < len(person) <= PERSON_CHARS_MAX:
            raise PhoneRefused(NO_DOCUMENT, "somebody says that a phone has ended")
        with self._database.transaction():
            about = f"card {card_no}", "unbind"
            return self.end(
                card_no, signed(self._database, "phone.bind", person, time_s, *about), time_s
            )

    def end(self, card_no: int, who: str, time_s: int) -> int:
        """As `unbind`, inside a transaction of the caller, who has asked whose word it is."""
        binding = self._next(card_no)
        self._database.many(_BIND, [(card_no, binding, _UNBOUND)])
        self._database.many(_PROVE, [(card_no, binding, ENDED, who, time_s)])
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

    def _check(self, card_no: int, proof: Proof) -> None:
        state = Cards(self._database).state(card_no)
        if state != IN_USE:
            raise PhoneRefused(CARD_NOT_IN_USE, f"card {card_no} is {state}")
        holder = holder_of(self._database, card_no)
        known = holder.person_no if holder else PersonNumbers(self._database).known(card_no)
        if known != proof.person_no:
            text = f"card {card_no} is not that of the person who was shown"
            raise PhoneRefused(NOT_THE_HOLDER, text)

    def _next(self, card_no: int) -> int:
        if not list(self._database.rows("SELECT 1 FROM card WHERE card_no = ?", (card_no,))):
            raise PhoneRefused(NO_SUCH_CARD, f"card {card_no} was never issued")
        for binding, _sealed in self._database.rows(_FIND, (card_no,)):
            return binding + 1
        return 1


def _bound_to(card_no: int, binding: int) -> bytes:
    return _LABEL + card_no.to_bytes(4, "big") + binding.to_bytes(4, "big")
