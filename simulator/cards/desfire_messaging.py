"""Secure messaging of DESFire EV2 with AES, as the card does it (AN12343, sections 5 to 9).

The ciphers are those of `cryptography`: the reader's side has its own, so that one mistake cannot
be made by both.
"""

import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from simulator.cards.desfire_status import (
    INTEGRITY_ERROR,
    LENGTH_ERROR,
    PERMISSION_DENIED,
    Refused,
)

# How a command and its answer are protected; the numbers are those of a file's settings.
PLAIN, MAC, FULL = 0, 1, 3

BLOCK_BYTES = 16
KEY_BYTES = 16
MAC_BYTES = 8
TI_BYTES = 4
COUNTER_MAX = 0xFFFF
ZERO_IV = bytes(BLOCK_BYTES)

COMMAND_LABEL, ANSWER_LABEL = b"\xa5\x5a", b"\x5a\xa5"
_KEY_TAIL = b"\x00\x01\x00\x80"  # counter 1, 128 bits of key


def cbc_encrypt(key: bytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """AES-CBC of whole blocks."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def cbc_decrypt(key: bytes, data: bytes, iv: bytes = ZERO_IV) -> bytes:
    """Undo cbc_encrypt."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC, all 16 bytes."""
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def truncated(mac: bytes) -> bytes:
    """The eight bytes of a CMAC that go over the air: the second, the fourth and so on."""
    return mac[1::2]


def padded(data: bytes) -> bytes:
    """`data` filled to whole blocks with 80 00 ..; always at least one byte is added."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK_BYTES)


def unpadded(data: bytes) -> bytes:
    """Undo `padded`; Refused for what it cannot have made."""
    body = data.rstrip(b"\x00")
    if body[-1:] != b"\x80" or len(data) - len(body) >= BLOCK_BYTES:
        raise Refused(INTEGRITY_ERROR)
    return body[:-1]


def protected_bytes(length: int, mode: int) -> int:
    """How long `length` bytes of data get under `mode`, MAC included."""
    if mode == PLAIN:
        return length
    hidden = length // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES if mode == FULL else length
    return hidden + MAC_BYTES


def crc32_key(key: bytes) -> bytes:
    """The check value of a new key in ChangeKey: CRC-32 without the final complement."""
    return (zlib.crc32(key) ^ 0xFFFFFFFF).to_bytes(4, "little")


def rotated(data: bytes) -> bytes:
    """`data` with its first byte last, the proof of having decrypted it."""
    return data[1:] + data[:1]


def session_keys(key: bytes, rnd_a: bytes, rnd_b: bytes) -> tuple[bytes, bytes]:
    """(encryption key, MAC key) that both nonces and `key` lead to."""
    crossed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
    context = _KEY_TAIL + rnd_a[:2] + crossed + rnd_b[6:] + rnd_a[8:]
    return cmac(key, COMMAND_LABEL + context), cmac(key, ANSWER_LABEL + context)


class Session:
    """One authentication with key `key_no`: what it opens, what it seals, how far it counted."""

    def __init__(
        self, key_no: int, keys: tuple[bytes, bytes], ti: bytes, counter: int = 0
    ) -> None:
        self.key_no = key_no
        self.ti = ti
        self.counter = counter
        self._enc_key, self._mac_key = keys

    def open(self, code: int, body: bytes, header_bytes: int, mode: int) -> tuple[bytes, bytes]:
        """(header, data) of a command in the clear, and count it; Refused if it is not genuine."""
        if self.counter >= COUNTER_MAX:
            raise Refused(PERMISSION_DENIED)
        header, data = body[:header_bytes], body[header_bytes:]
        if mode != PLAIN:
            if len(data) < MAC_BYTES:
                raise Refused(LENGTH_ERROR)
            data, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
            if mac != self._mac(code, header + data):
                raise Refused(INTEGRITY_ERROR)
        if mode == FULL and data:
            if len(data) % BLOCK_BYTES:
                raise Refused(LENGTH_ERROR)
            data = unpadded(cbc_decrypt(self._enc_key, data, self.iv(COMMAND_LABEL)))
        self.counter += 1
        return header, data

    def seal(self, status: int, data: bytes, mode: int) -> bytes:
        """The answer's `data` as `mode` wants it to go over the air."""
        if mode == PLAIN:
            return data
        if mode == FULL and data:
            data = cbc_encrypt(self._enc_key, padded(data), self.iv(ANSWER_LABEL))
        return data + self._mac(status, data)

    def iv(self, label: bytes) -> bytes:
        """The IV of the present counter, of a command or of an answer by `label`."""
        seed = label + self.ti + self.counter.to_bytes(2, "little") + bytes(8)
        return cbc_encrypt(self._enc_key, seed)

    def _mac(self, first: int, body: bytes) -> bytes:
        head = bytes((first,)) + self.counter.to_bytes(2, "little") + self.ti
        return truncated(cmac(self._mac_key, head + body))
