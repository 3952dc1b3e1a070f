"""AES as every board has it (docs/ARCHITECTURE.md, board seam), by `cryptography`.

What the modules of protocols/card ask for as `ciphers`, wherever they run on CPython.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def aes(key: bytes) -> Callable[[bytes], bytes]:
    """encrypt(block) of AES-128: one block of 16 bytes in, one out."""
    # ECB of single blocks is the primitive that CMAC is built from, not a mode for data.
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return lambda block: encryptor.update(bytes(block))


class Ciphers:
    """`aes`, and chains of whole blocks."""

    aes = staticmethod(aes)

    @staticmethod
    def aes_cbc(key: bytes, iv: bytes, data: bytes, decrypting: bool) -> bytes:
        """`data` (whole blocks) under `key`, chained from `iv`."""
        cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
        return (cipher.decryptor() if decrypting else cipher.encryptor()).update(bytes(data))


CIPHERS = Ciphers()
