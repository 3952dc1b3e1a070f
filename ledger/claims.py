"""Claims: delivered records, taken apart but not believed.

Nothing here is verified. Device and sequence only say whose key and which place in the chain the
seal must be checked against.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from protocols.wire import cbor, messages, seal
from protocols.wire.errors import TOO_LONG, WireError

UNREADABLE_KIND = 0
_DEVICE_KEY, _SEQ_KEY = 1, 2  # the same in every kind of record, also in kinds to come


@dataclass(frozen=True, slots=True)
class Claim:
    """A sealed record and what it says of itself.

    `device` and `seq` are 0 when it does not even say whose it is. `kind` is UNREADABLE_KIND and
    `code` (protocols/wire/errors.py) is not 0 when the rest cannot be read.
    """

    sealed: bytes
    sha256: bytes
    device: int = 0
    seq: int = 0
    kind: int = UNREADABLE_KIND
    fields: dict[str, Any] | None = None
    code: int = 0

    @property
    def place(self) -> tuple[int, int, bytes]:
        """The key of a parked claim: several may say that they are record `seq`."""
        return self.device, self.seq, self.sha256

    @property
    def target(self) -> tuple[int, int]:
        """The intent an OUTCOME speaks of."""
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
    try:
        fields = messages.decode_record(payload)
    except WireError as error:
        device, seq = _route(payload)
        return Claim(sealed, digest, device, seq, code=error.code)
    return Claim(sealed, digest, fields["device"], fields["seq"], fields["kind"], fields)


def _route(payload: bytes) -> tuple[int, int]:
    """Device and sequence of a record that cannot be read, so that it does not wedge its reader.

    A newer firmware may write kinds and fields that this ledger does not know.
    """
    try:
        values = cbor.decode(payload)
    except WireError:
        return 0, 0
    if not isinstance(values, dict):
        return 0, 0
    device, seq = (_number(values.get(key)) for key in (_DEVICE_KEY, _SEQ_KEY))
    return (device, seq) if device and seq else (0, 0)


def _number(value: Any) -> int:
    """`value` if it can be a device or a sequence, else 0."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value <= 0xFFFFFFFF else 0
