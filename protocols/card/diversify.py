"""AES-CMAC (RFC 4493) and key diversification for AES-128 (NXP AN10922, section 2.2).

AES itself comes from the caller: `encrypt` takes one block of 16 bytes and gives 16 bytes under a
key that it keeps to itself, so the same code runs over `cryptolib`, `cryptography` or a SAM.
Blocks are added as 128-bit integers: one operation in bytecode instead of a loop over 16 bytes.
"""

_BLOCK = 16
_PADDING = b"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
_TOP_BIT = 1 << 127
_MASK = (1 << 128) - 1
_REDUCE = 0x87
_DIVERSIFY_AES128 = b"\x01"
_DIVERSIFY_BYTES = 32


def _double(number):
    """Multiplication by x in GF(2^128), as RFC 4493 section 2.3 derives its subkeys."""
    doubled = number << 1 & _MASK
    return doubled ^ _REDUCE if number & _TOP_BIT else doubled


class Cmac:
    """AES-CMAC under the key of `encrypt`; the two subkeys are computed once."""

    def __init__(self, encrypt):
        self._encrypt = encrypt
        self._whole_key = _double(int.from_bytes(encrypt(bytes(_BLOCK)), "big"))
        self._padded_key = _double(self._whole_key)

    def digest(self, message):
        """The 16-byte MAC of `message` (bytes, any length)."""
        over = len(message) % _BLOCK
        if over or not message:
            return self._chain(message + _PADDING[: _BLOCK - over], self._padded_key)
        return self._chain(message, self._whole_key)

    def diversify(self, div_input):
        """The AES-128 key that belongs to `div_input` (1 to 31 bytes, the card's UID first).

        AN10922 pads to two blocks whatever the length: a plain CMAC over the same bytes gives
        another key whenever they fit into one block.
        """
        if not 1 <= len(div_input) < _DIVERSIFY_BYTES:
            raise ValueError("diversification input of 1 to 31 bytes")
        message = _DIVERSIFY_AES128 + div_input
        missing = _DIVERSIFY_BYTES - len(message)
        if not missing:
            return self._chain(message, self._whole_key)
        return self._chain(message + b"\x80" + bytes(missing - 1), self._padded_key)

    def _chain(self, blocks, last_key):
        encrypt = self._encrypt
        last = len(blocks) - _BLOCK
        if last:
            state = encrypt(blocks[:_BLOCK])
            for at in range(_BLOCK, last, _BLOCK):
                block = int.from_bytes(blocks[at : at + _BLOCK], "big")
                block ^= int.from_bytes(state, "big")
                state = encrypt(block.to_bytes(_BLOCK, "big"))
            last_key ^= int.from_bytes(state, "big")
        block = int.from_bytes(blocks[last:], "big") ^ last_key
        return encrypt(block.to_bytes(_BLOCK, "big"))


def cmac(encrypt, message):
    """The 16-byte AES-CMAC of `message` under the key of `encrypt` (block of 16 -> 16 bytes)."""
    return Cmac(encrypt).digest(message)


def diversify_aes128(encrypt, div_input):
    """AN10922 AES-128: the key (16 bytes) for `div_input` under the master key of `encrypt`."""
    return Cmac(encrypt).diversify(div_input)
