"""Prints what protocols.card makes of a few inputs; the same text in CPython and MicroPython.

Run by test_on_micropython.py, with the repository on the path.
"""

import binascii

from protocols.card import purse_classic as purse
from protocols.card.diversify import Cmac, cmac, diversify_aes128
from protocols.card.identity import ForeignCard, Identity
from protocols.card.personalise import encode_value, personalise


def board_aes():
    """What board.aes is here: key16 -> encrypt one block."""
    try:
        import cryptolib

        return lambda key: cryptolib.aes(key, 1).encrypt
    except ImportError:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return lambda key: Cipher(algorithms.AES(key), modes.ECB()).encryptor().update


def show(name, data):
    """One line: a name and bytes."""
    print(name, binascii.hexlify(data).decode())


def refused(name, act):
    """One line: a name and the error that `act` ends in."""
    try:
        act()
        print(name, "accepted")
    except (ValueError, ForeignCard) as error:
        print(name, type(error).__name__, error)


def keys(aes):
    """CMACs and keys for inputs of every length around the block borders."""
    encrypt = aes(bytes(range(16)))
    for length in (0, 1, 15, 16, 17, 31, 32, 33, 64):
        show(f"cmac {length}", cmac(encrypt, bytes(range(length))))
    for length in (1, 7, 14, 15, 16, 30, 31):
        show(f"key {length}", diversify_aes128(encrypt, bytes(range(length))))


def life_of_a_card(aes, uid):
    """Personalise, then debit until both slots have ruled several times."""
    identity = Identity(0xFFFFFFFE, 3, 20000, 65535, 255)
    purse_key, credit_key, mac_key = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
    blocks = personalise(uid, identity, 0x7FFFFFFF, purse_key, credit_key, mac_key, aes)
    for number in range(64):
        show(f"block {number}", blocks[number])
    mac = purse.card_mac(Cmac(aes(mac_key)), uid, aes)
    for seq in range(0xFFFFFFF8, 0x100000000):
        view = purse.decode_card(uid, blocks, mac)
        print(view.counter, view.balance_fen, view.last_seq, view.last_time_s, view.day_total_fen)
        usage = (seq & 0xFFFF, seq & 0xFFFFFF, 0xFFFFFF, seq & 15)
        plan = purse.plan_debit(view, mac, 0xFFFFFF, 0xFFFFFFFF, seq, 0xFFFFFFFF, usage)
        blocks[plan.record_block] = plan.record
        blocks[plan.target_block] = encode_value(plan.balance_fen, plan.source_block)
        blocks[plan.state_block] = plan.state
        show("record", plan.record)
        show("state", plan.state)
    view = purse.decode_card(uid, blocks, mac)
    refused("amount", lambda: purse.plan_debit(view, mac, 0, 1, 1, 1, (0, 0, 0, 0)))
    refused("seq", lambda: purse.plan_debit(view, mac, 1, 1, 1 << 32, 1, (0, 0, 0, 0)))
    refused("day", lambda: purse.plan_debit(view, mac, 1, 1, 1, 1, (-1, 0, 0, 0)))
    refused("count", lambda: purse.plan_debit(view, mac, 1, 1, 1, 1, (0, 0, 0, 16)))
    refused("uid", lambda: purse.decode_card(bytes(4), blocks, mac))
    refused("value", lambda: encode_value(1 << 31, 8))


def main():
    """All of it."""
    aes = board_aes()
    keys(aes)
    life_of_a_card(aes, binascii.unhexlify("de3ac417"))
    life_of_a_card(aes, binascii.unhexlify("04a1b2c3d4e5f6"))


if __name__ == "__main__":
    main()
