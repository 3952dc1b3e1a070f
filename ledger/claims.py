"""Claims: delivered records, taken apart but not believed.

Nothing here is verified. Device and sequence only say whose key and which place in the chain the
seal must be checked against.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from protocols.wire import messages, quick_records, seal
from protocols.wire.errors import TOO_LONG, WireError
from protocols.wire.routing import route

UNREADABLE_KIND = 0
UNCHECKED = -1


@dataclass(slots=True)  # not frozen, which would take as long as reading the record
class Claim:
    """A sealed record and what it says of itself.

    `device` and `seq` are 0 when it does not even say whose it is. `kind` is UNREADABLE_KIND and
    `code` (protocols/wire/errors.py) is not 0 when the rest cannot be read. `link` is what the
    next record of its chain must follow (ledger/chain.py).

    What ledger/read_ahead.py knows of a seal: it holds over the tag `over`, under the key of its
    device with the number `under`. UNCHECKED: nobody has looked, or it holds over another tag.
    """

    sealed: bytes
    sha256: bytes
    device: int = 0
    seq: int = 0
    kind: int = UNREADABLE_KIND
    fields: dict[str, Any] | None = None
    code: int = 0
    payload: bytes = b""
    link: bytes = b""
    over: bytes = b""
    under: int = UNCHECKED

    @property
    def place(self) -> tuple[int, int, bytes]:
        """The key of a parked claim: several may say that they are record `seq`."""
        return self.device, self.seq, self.sha256

    @property
    def target(self) -> tuple[int, int]:
        """The intent an OUTCOME or a CANCEL speaks of."""
        fields = self.fields or {}
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
        return Claim(sealed, digest, device, seq, code=error.code, payload=payload, link=tag)
    kind = fields["kind"]
    link = fields["next_sha256"] if kind == messages.LOST else tag
    number = fields["device"], fields["seq"]
    return Claim(sealed, digest, *number, kind, fields, 0, payload, link)


def _route(sealed: bytes) -> tuple[int, int]:
    """Device and sequence of a record that cannot be read, so that it does not wedge its reader.

    A newer firmware may write kinds and fields that this ledger does not know, and an agent must
    hear which record of its queue is refused.
    """
    try:
        return route(sealed)
    except WireError:
        return 0, 0
