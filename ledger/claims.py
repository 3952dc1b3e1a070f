"""Claims: delivered records, taken apart but not believed.

Nothing here is verified. Device and sequence only say whose key and which place in the chain the
seal must be checked against.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from protocols.wire import messages, quick_records, seal
from protocols.wire.errors import TOO_LONG, WireError
from protocols.wire.routing import route

UNREADABLE_KIND = 0
# What booking asks of nearly all records: few numbers, which cost less to make, to send and to
# forget than all of the fields by name. Those of an INTENT and of a CREDIT begin like an Intent
# (ledger/evidence.py); a CREDIT has no merchant.
SIGHTING_NUMBERS = 10
_SIGHTING = ("device", "seq", "card_no", "counter", "amount_fen", "merchant_no")
_SIGHTING += ("last_device", "last_seq", "earliest_s", "latest_s")
_OF_INTENT = itemgetter(*_SIGHTING, "before_fen", "after_fen", "flags")
_OF_CREDIT = itemgetter(*_SIGHTING, "number")
_NUMBERS: dict[int, Callable[[dict[str, Any]], tuple[int, ...]]] = {
    messages.INTENT: _OF_INTENT,
    messages.CREDIT: lambda fields: _OF_CREDIT(fields | {"merchant_no": 0}),
    messages.OUTCOME: itemgetter("intent_device", "intent_seq", "result"),
}


# Of the table: device, seq, kind, sha256, sealed, and the number of the key it is sealed under.
RecordRow = tuple[int, int, int, bytes, bytes, int]


@dataclass(slots=True)  # not frozen, which would take as long as reading the record
class Claim:
    """A sealed record and what it says of itself.

    `device` and `seq` are 0 when it does not even say whose it is. `kind` is UNREADABLE_KIND and
    `code` (protocols/wire/errors.py) is not 0 when the rest cannot be read. `numbers` are those of
    _NUMBERS; of other kinds `named` has the fields by name. `link` is
    what the next record of its chain must follow (ledger/chain.py), empty where no seal is.
    """

    sealed: bytes
    sha256: bytes
    device: int = 0
    seq: int = 0
    kind: int = UNREADABLE_KIND
    numbers: tuple[Any, ...] = ()
    named: dict[str, Any] | None = None
    code: int = 0
    link: bytes = b""

    @property
    def fields(self) -> dict[str, Any] | None:
        """All of its fields by name; None when they cannot be read."""
        if self.numbers:
            return quick_records.decode_record(seal.payload_of(self.sealed))
        return self.named

    @property
    def place(self) -> tuple[int, int, bytes]:
        """The key of a parked claim: several may say that they are record `seq`."""
        return self.device, self.seq, self.sha256

    @property
    def target(self) -> tuple[int, int]:
        """The intent an OUTCOME or a CANCEL speaks of."""
        if self.kind == messages.OUTCOME:
            return self.numbers[:2]
        fields = self.named or {}
        return fields["intent_device"], fields["intent_seq"]


def parse_claim(sealed: bytes) -> Claim:
    """The claim that `sealed` makes; never raises for bytes, whatever they are."""
    digest = hashlib.sha256(sealed).digest()
    if len(sealed) > messages.RECORD_BYTES_MAX:
        return Claim(sealed, digest, code=TOO_LONG)
    try:
        payload = seal.payload_of(sealed)
    except WireError as error:
        return Claim(sealed, digest, code=error.code)
    tag = sealed[-seal.TAG_BYTES :]
    try:
        fields = quick_records.decode_record(payload)
    except WireError as error:
        device, seq = _route(sealed)
        return Claim(sealed, digest, device, seq, code=error.code, link=tag)
    kind, device, seq = fields["kind"], fields["device"], fields["seq"]
    if kind in _NUMBERS:
        return Claim(sealed, digest, device, seq, kind, _NUMBERS[kind](fields), None, 0, tag)
    link = fields["next_sha256"] if kind == messages.LOST else tag
    return Claim(sealed, digest, device, seq, kind, (), fields, 0, link)


def _route(sealed: bytes) -> tuple[int, int]:
    """Device and sequence of a record that cannot be read, so that it does not wedge its reader.

    A newer firmware may write kinds and fields that this ledger does not know, and an agent must
    hear which record of its queue is refused.
    """
    try:
        return route(sealed)
    except WireError:
        return 0, 0
