"""Opaque numbers of accounts, which may stand in a URL.

A number is one block of AES over the card's, under a key for each client: nobody learns a card's
number from it, two clients cannot find out that they speak of the same holder, and what nobody has
made is seen by its 96 zero bits. Nothing has to be kept for it but the key.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ACCOUNT_KEY_BYTES = 32
PATTERN = "^[0-9a-f]{32}$"
_LABEL = b"onecard/v1/account/"
_ZEROS = bytes(12)


class AccountIds:
    """`account_key`: 32 bytes; another one makes other numbers of all accounts."""

    def __init__(self, account_key: bytes) -> None:
        self._account_key = account_key

    def of(self, client: str, card_no: int) -> str:
        """How `client` calls the account of a card."""
        encryptor = self._cipher(client).encryptor()
        return (encryptor.update(_ZEROS + card_no.to_bytes(4, "big")) + encryptor.finalize()).hex()

    def card_no(self, client: str, account: str) -> int | None:
        """The card whose account `client` calls so; None: nobody has made that number for it."""
        decryptor = self._cipher(client).decryptor()
        block = decryptor.update(bytes.fromhex(account)) + decryptor.finalize()
        is_ours = hmac.compare_digest(block[:12], _ZEROS)
        return int.from_bytes(block[12:], "big") if is_ours else None

    def _cipher(self, client: str) -> Cipher[modes.ECB]:
        key = hmac.digest(self._account_key, _LABEL + client.encode(), hashlib.sha256)[:16]
        # One block, which is never the same for two cards: the mode has nothing to add.
        return Cipher(algorithms.AES(key), modes.ECB())
