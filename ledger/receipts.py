"""Receipts: what the ledger promises once the books are on its disk.

Two seals, for two readers. The device can check a MAC under a key of its own, the agent (which has
no device's key) the Ed25519 signature over the whole message.
"""

from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.store import Head
from protocols.wire import messages, seal

TAG_BYTES = 8  # of the head record's tag: names the record, authenticates nothing


class Signer:
    """Makes RECEIPTS with the ledger's Ed25519 key (32 bytes, the seed of RFC 8032)."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(signing_key)
        self._receipt_keys: dict[bytes, bytes] = {}  # device key -> the key of its receipts

    def device_receipt(self, head: Head, time_s: int) -> bytes:
        """The sealed RECEIPT body for one device: everything up to its head is booked."""
        key = self._receipt_keys.get(head.key)
        if key is None:
            key = self._receipt_keys[head.key] = seal.derive(head.key, messages.RECEIPT_LABEL)
        body = messages.encode_receipt(head.device, head.seq, head.tag[:TAG_BYTES], time_s)
        return seal.seal(key, body, messages.RECEIPT_LABEL)

    def receipts(
        self,
        number: int,
        heads: Iterable[Head],
        refused: Sequence[tuple[int, int, int]],
        time_s: int,
    ) -> bytes:
        """The signed RECEIPTS that answers FORWARD `number`; `time_s` is UTC seconds."""
        fields = {
            "number": number,
            "receipts": [
                (head.device, head.seq, self.device_receipt(head, time_s)) for head in heads
            ],
            "refused": refused,
        }
        payload = messages.encode_message(messages.RECEIPTS, fields)
        return self.sign(payload, messages.RECEIPTS_LABEL)

    def sign(self, payload: bytes, label: bytes) -> bytes:
        """COSE_Sign1 of `payload`, bound to `label`."""
        return seal.sign1_pack(payload, self._key.sign(seal.sign1_tbs(payload, label)))


def public_key(signing_key: bytes) -> bytes:
    """The 32-byte public key that agents verify RECEIPTS with."""
    return Ed25519PrivateKey.from_private_bytes(signing_key).public_key().public_bytes_raw()
