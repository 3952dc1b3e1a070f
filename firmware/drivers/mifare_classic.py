"""MIFARE Classic: authenticate, read, write, and the value operations.

Rules of this file:

- Reading may be repeated, on a card that was selected and authenticated anew. Nothing that changes
  a card is ever repeated here: who calls knows what the card should hold, we do not.
- After a refusal (NAK) or a damaged frame the card has left the conversation; only a new selection
  brings it back.

Commands and times: MF1S50 data sheet rev. 3.2, sections 9 and 12.
"""

import struct

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mfrc522 import SILENCE

KEY_A = 0x60
KEY_B = 0x61
_READ = 0x30
_WRITE = 0xA0
_DECREMENT = 0xC0
_INCREMENT = 0xC1
_RESTORE = 0xC2
_TRANSFER = 0xB0

BLOCK_BYTES = 16
_BLOCK_BITS = 128
_KEY_BYTES = 6
_UID_BYTES = 4
_OPERAND_BYTES = 4
_NIBBLE_BITS = 4
_ACK = 0xA
# NAKs that say "I did not understand"; the others say "I will not".
_NAK_DAMAGED = (0x1, 0x5)

_COMMAND_US = 5000
_EEPROM_US = 12000  # the data sheet's limit is 10 ms

_READ_TRIES = 3
_AUTHENTICATION_TRIES = 2


class AuthFailed(Exception):
    """The card is there and does not accept the key."""


class CardRefused(Exception):
    """The card answered with a NAK; `nak` is its 4-bit code."""

    def __init__(self, nak):
        super().__init__("NAK {:#x}".format(nak))
        self.nak = nak


class Classic:
    """`card` (Card), selected by `pcd` (Pcd), seen as a MIFARE Classic.

    Every method raises CardGone when the card has left or only noise comes back, CardRefused for a
    NAK, and BusFault when the chip fails.
    """

    def __init__(self, pcd, card):
        self._pcd = pcd
        self._chip = pcd.chip
        self._card = card
        self._key = None  # (block, key, key_type) that opened the sector we are in

    def authenticate(self, block, key, key_type=KEY_A):
        """Open the sector of `block` with `key` (6 bytes), KEY_A or KEY_B; AuthFailed if wrong.

        A sector that is open already makes this a nested authentication, as the card expects it.
        """
        for _ in range(_AUTHENTICATION_TRIES):
            if self._authenticate_once(block, key, key_type):
                self._key = (block, key, key_type)
                return
            # Neither a wrong key nor an empty field says anything: ask who is there.
            self.reselect()
        raise AuthFailed("sector {}".format(block >> 2))

    def reselect(self):
        """Select the card anew; no sector is open afterwards."""
        self._key = None
        self._pcd.select(self._card)

    def read(self, block):
        """The 16 bytes of a block of the open sector, repeated on damage up to three times."""
        for _ in range(_READ_TRIES - 1):
            try:
                return self._read_once(block)
            except CardGone:
                self._reopen()
            except CardRefused as refusal:
                if refusal.nak not in _NAK_DAMAGED:
                    raise
                self._reopen()
        return self._read_once(block)

    def write(self, block, data):
        """Write 16 bytes; returning means that the card has acknowledged them."""
        self.begin_write(block)
        self.finish_write(data)

    def begin_write(self, block):
        """First half of a write: the card agrees to take 16 bytes. Nothing is changed yet."""
        self._command(_WRITE, block, _COMMAND_US)

    def finish_write(self, data):
        """Second half: from the first bit on, only an ACK tells what the block holds now."""
        tx = self._chip.tx
        tx[:BLOCK_BYTES] = data
        self._await_ack(BLOCK_BYTES, _EEPROM_US)

    def decrement(self, block, amount):
        """Value of `block` minus `amount` (0..2^31-1) into the card's transfer buffer."""
        self._prepare_transfer(_DECREMENT, block, amount)

    def increment(self, block, amount):
        """Value of `block` plus `amount` (0..2^31-1) into the card's transfer buffer."""
        self._prepare_transfer(_INCREMENT, block, amount)

    def restore(self, block):
        """Value of `block` into the card's transfer buffer."""
        self._prepare_transfer(_RESTORE, block, 0)

    def transfer(self, block):
        """The transfer buffer into `block`, of the same sector."""
        self._command(_TRANSFER, block, _EEPROM_US)

    # -- one frame each ---------------------------------------------------------------------

    def _authenticate_once(self, block, key, key_type):
        chip = self._chip
        tx = chip.tx
        tx[0] = key_type
        tx[1] = block
        tx[2 : 2 + _KEY_BYTES] = key
        uid = self._card.uid
        tx[2 + _KEY_BYTES : 2 + _KEY_BYTES + _UID_BYTES] = uid[len(uid) - _UID_BYTES :]
        chip.set_crc(True, True)
        # Before the try: if it fails, Crypto1 may be on from the sector before; if it is broken
        # off, from this one.
        self._pcd.is_encrypted = True
        return chip.authenticate(2 + _KEY_BYTES + _UID_BYTES, _COMMAND_US)

    def _reopen(self):
        if self._key is None:
            raise CardGone("no sector is open")
        block, key, key_type = self._key
        self.reselect()
        self.authenticate(block, key, key_type)

    def _read_once(self, block):
        chip = self._chip
        chip.set_crc(True, True)
        chip.tx[0] = _READ
        chip.tx[1] = block
        heard = chip.transceive(2, BLOCK_BYTES, _COMMAND_US)
        if heard == _NIBBLE_BITS:  # without CRC, which the chip will have complained about
            raise CardRefused(chip.rx[0] & 0xF)
        self._check(heard, _BLOCK_BITS)
        return bytes(chip.rx[:BLOCK_BYTES])

    def _command(self, command, block, timeout_us):
        tx = self._chip.tx
        tx[0] = command
        tx[1] = block
        self._await_ack(2, timeout_us)

    def _await_ack(self, length, timeout_us):
        heard = self._send(length, timeout_us)
        self._check(heard, _NIBBLE_BITS)
        if self._chip.rx[0] & 0xF != _ACK:
            raise CardRefused(self._chip.rx[0] & 0xF)

    def _prepare_transfer(self, command, block, operand):
        self._command(command, block, _COMMAND_US)
        tx = self._chip.tx
        tx[:_OPERAND_BYTES] = struct.pack("<I", operand)
        # Silence is consent here, and what speaks can only be a refusal.
        heard = self._send(_OPERAND_BYTES, _COMMAND_US)
        if heard != SILENCE:
            self._check(heard, _NIBBLE_BITS)
            raise CardRefused(self._chip.rx[0] & 0xF)

    def _send(self, length, timeout_us):
        self._chip.set_crc(True, False)  # four bits of ACK carry no CRC
        return self._chip.transceive(length, 1, timeout_us)

    def _check(self, heard, bits):
        if heard == SILENCE:
            raise CardGone("no answer")
        if heard != bits or self._chip.errors:
            self._pcd.garbled += 1
            raise CardGone("damaged answer")
