"""A holder's app binds its phone to the card in use, over the HTTP API (R14b.1, R14b.3).

Rules of this file. The app proves the holder's real name on its own side, and says whom it has
proven, by the school's number, and where that proof is found; it has to be the holder that the
books know. A card has one phone and a phone one card: binding another phone ends the one before at
once, and whatever it still shows is forged from then on; a phone that has a card takes no second
one. A request is done once: whoever had no answer asks again, the same, and hears the same seed,
for ten minutes and while its binding holds. Wrong persons and new bindings are counted for each
card, whoever asks: five of either in a day are enough.
"""

import hashlib
from dataclasses import dataclass, field

from ledger import api_reasons
from ledger.card_status import Cards
from ledger.channel_topups import ChannelRefused
from ledger.dialect import Dialect
from ledger.holders import holder_of
from ledger.phones import IN_USE, Phones

REAL_NAME = "real-name"  # the way of such a proof, beside ledger.phones.WAYS
TELL_AGAIN_S = 600
DAY_S = 86_400
WRONG_PER_DAY_MAX = BINDINGS_PER_DAY_MAX = 5
_KNOWN = """
SELECT card_no, binding, phone_sha256, reference, time_s FROM phone_app
WHERE client = ? AND request_no = ?"""
_OTHER_CARD = """
SELECT a.card_no FROM phone_app a JOIN phone p ON p.card_no = a.card_no
    AND p.binding = a.binding AND length(p.sealed_seed) > 0
WHERE a.phone_sha256 = ? AND a.card_no <> ?"""
_WRONG = "SELECT COUNT(*) FROM phone_refusal WHERE card_no = ? AND time_s > ?"
_BOUND = "SELECT COUNT(*) FROM phone_app WHERE card_no = ? AND time_s > ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM phone_refusal"
_REFUSE = "INSERT INTO phone_refusal VALUES (?, ?, ?, ?)"
_KEEP = "INSERT INTO phone_app VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an app asks: `phone` is the name that it has drawn for the phone, `person_no` whom it
    has proven, `reference` where its proof is found, `request_no` the number of this request."""

    client: str
    request_no: str
    reference: str
    phone: str = field(repr=False)
    person_no: str = field(repr=False)  # personal: never in a log

    @property
    def phone_sha256(self) -> bytes:
        return hashlib.sha256(self.phone.encode()).digest()


class PhoneApps:
    """Phones that apps bind, in `database`. Every method is one transaction. ChannelRefused."""

    def __init__(self, database: Dialect, phones: Phones) -> None:
        self._database = database
        self._phones = phones

    def bind(self, card_no: int, asked: Asked, now_s: int) -> tuple[int, bytes]:
        """(number of the binding, seed) for the phone of a card in use."""
        with self._database.transaction():
            known = self._known(card_no, asked, now_s)
            if known is not None:
                return known
            refusal = self._refusal(card_no, asked, now_s)
            if not refusal:
                binding, seed = self._phones.renew(card_no, REAL_NAME, asked.client, now_s)
                row = card_no, binding, asked.client, asked.request_no, asked.phone_sha256
                self._database.many(_KEEP, [(*row, asked.reference, now_s)])
                return binding, seed
            if refusal == api_reasons.NOT_THE_HOLDER:  # which is counted, and stays
                ((number,),) = self._database.rows(_NEXT)
                self._database.many(_REFUSE, [(number, card_no, asked.client, now_s)])
        raise ChannelRefused(refusal)

    def end(self, card_no: int, client: str, now_s: int) -> None:
        """From now on no phone pays for a card, says `client`. Again: nothing."""
        with self._database.transaction():
            if self._phones.binding(card_no):
                self._phones.end(card_no, client, now_s)

    def _known(self, card_no: int, asked: Asked, now_s: int) -> tuple[int, bytes] | None:
        """What the same request was answered; None: it is a new one."""
        key = asked.client, asked.request_no
        for of_card, binding, *facts, time_s in list(self._database.rows(_KNOWN, key)):
            said = bytes(facts[0]), facts[1]
            is_same = (of_card, *said) == (card_no, asked.phone_sha256, asked.reference)
            if not is_same or not self._is_holder(card_no, asked):
                raise ChannelRefused(api_reasons.REQUEST_DIFFERS)
            seed = self._phones.seed_of(card_no)
            holds = self._phones.binding(card_no) == binding and seed is not None
            if not holds or not 0 <= now_s - time_s <= TELL_AGAIN_S:
                raise ChannelRefused(api_reasons.TOLD_BEFORE)
            return binding, seed or b""
        return None

    def _refusal(self, card_no: int, asked: Asked, now_s: int) -> int:
        """Why a new request is refused; 0: it is not."""
        since_s = now_s - DAY_S
        for sql, most in ((_WRONG, WRONG_PER_DAY_MAX), (_BOUND, BINDINGS_PER_DAY_MAX)):
            ((count,),) = self._database.rows(sql, (card_no, since_s))
            if count >= most:
                return api_reasons.TOO_MANY_TRIES
        if Cards(self._database).state(card_no) != IN_USE:
            return api_reasons.CARD_NOT_IN_USE
        if not self._is_holder(card_no, asked):
            return api_reasons.NOT_THE_HOLDER
        if list(self._database.rows(_OTHER_CARD, (asked.phone_sha256, card_no))):
            return api_reasons.PHONE_HAS_CARD
        return 0

    def _is_holder(self, card_no: int, asked: Asked) -> bool:
        """Whether whom the app has proven is whose card it is."""
        holder = holder_of(self._database, card_no)
        return holder is not None and holder.person_no == asked.person_no
