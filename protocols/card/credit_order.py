"""An order of the ledger: put so much on this one MIFARE Classic, with this key, once.

The key (6 bytes) opens the values of one card upwards. It is hidden under a key that only the
reader and the ledger can make, and the whole is sealed: nobody on the way can read it, give it to
another reader, or change what it is for. A reader uses it for one transaction and keeps nothing.
The order fits one state of the card, by its counter, and it expires.
"""

from protocols.wire import cbor, seal
from protocols.wire.errors import BAD_FIELD, MISSING_FIELD, NOT_A_MAP, TOO_LONG, WireError

_LABEL = b"credit-order"
_HIDING = b"credit-key"
_ORDER_BYTES_MAX = 160
_BLOCK = 16
_AES_KEY_BYTES = 16
_CREDIT_KEY_BYTES = 6
_U32 = 0xFFFFFFFF
_NAMES = ("device", "card_no", "counter", "number", "amount_fen", "expires_s")


def seal_order(ciphers, device_key, order, credit_key):
    """The sealed bytes of `order`: device, card_no, counter, number, amount_fen, expires_s."""
    numbers = [order[name] for name in _NAMES]
    for name, number in zip(_NAMES, numbers):
        if not _is_u32(number):
            raise WireError(BAD_FIELD, name)
    if len(credit_key) != _CREDIT_KEY_BYTES:
        raise WireError(BAD_FIELD, "credit_key")
    # One block, and different in every order: the number of a credit is used once.
    block = credit_key + bytes(_BLOCK - _CREDIT_KEY_BYTES - 4) + order["number"].to_bytes(4, "big")
    hidden = ciphers.aes(_hiding_key(device_key))(block)
    return seal.seal(device_key, cbor.encode(numbers + [hidden]), _LABEL)


def open_order(ciphers, device_key, sealed):
    """(order, credit_key) of an order for this reader; WireError for anything else."""
    if len(sealed) > _ORDER_BYTES_MAX:
        raise WireError(TOO_LONG)
    numbers = cbor.decode(seal.unseal(device_key, sealed, _LABEL))
    if not isinstance(numbers, list):
        raise WireError(NOT_A_MAP)
    if len(numbers) != len(_NAMES) + 1:
        raise WireError(MISSING_FIELD)
    hidden = numbers.pop()
    order = {}
    for name, number in zip(_NAMES, numbers):
        if not _is_u32(number):
            raise WireError(BAD_FIELD, name)
        order[name] = number
    if not isinstance(hidden, bytes) or len(hidden) != _BLOCK:
        raise WireError(BAD_FIELD, "credit_key")
    block = ciphers.aes_cbc(_hiding_key(device_key), bytes(_BLOCK), hidden, True)
    return order, block[:_CREDIT_KEY_BYTES]


def _hiding_key(device_key):
    return seal.derive(device_key, _HIDING)[:_AES_KEY_BYTES]


def _is_u32(number):
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _U32
