"""A PC/SC reader (ACR122U and its like): a MIFARE Classic through the reader's own pseudo-APDUs.

The reader does anticollision, Crypto1 and CRC; we say which key and which block. PC/SC part 3,
section 3.2.2:

    FF CA 00 00 00                      -> uid
    FF 82 00 00 06 key                  load a key into the reader's volatile memory
    FF 86 00 00 05 01 00 block type 00  authenticate the sector of a block with it
    FF B0 00 block 10                   -> 16 bytes
    FF D6 00 block 10 data              write 16 bytes

What kind of card it is stands in the ATR, as part 3 section 3.1.3 has readers make it up.
"""

import os
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed, CardRefused
from tools.card.errors import DeskMissing, NoCard
from tools.card.trace import APDU, Exchange, Recorder, octets

# APDU -> answer with its two status bytes; any exception is a card that left.
Transmit = Callable[[bytes], bytes]

_GET_UID = bytes.fromhex("ffca000000")
_LOAD_KEY = bytes.fromhex("ff82000006")
_AUTHENTICATE = bytes.fromhex("ff860000050100")
_READ, _WRITE = 0xB0, 0xD6
_BLOCK_BYTES = 16
_WRAPPED, _WRAPPED_STATUS = 0x90, 0x91
_OK = 0x9000
_UID_LENGTHS = (4, 7, 10)
# Wrong key, or no answer to it; readers use all of these.
_AUTH_REFUSALS = (0x6300, 0x6982, 0x6983)
# "No information given": the card refused, or it is not there any more. Its uid tells which.
_VAGUE = (0x6300, 0x6401)
_NO_CHECK = 0x00
# ATR of a storage card: ... 4F 0C A0 00 00 03 06, standard, name (2 bytes).
_STORAGE_MARK = bytes.fromhex("a000000306")
_SAK_BY_NAME = {0x0001: 0x08, 0x0002: 0x18, 0x0026: 0x09}
_SAK_ISO_DEP = 0x20
_SAK_OTHER = 0x00


class PcscRefused(CardRefused):
    """The reader answered with status bytes `status` that are no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status & 0xF)
        self.args = (f"status {status:04X}",)
        self.status = status


class PcscPort:
    """The card behind `transmit`; `atr` is its answer to reset as the reader made it up."""

    def __init__(self, transmit: Transmit, atr: bytes, recorder: Recorder) -> None:
        self._transmit = transmit
        self._recorder = recorder
        self.sak = sak_of(atr)
        self.uid = self._ask_uid()

    def authenticate(self, block: int, key: bytes, key_type: int) -> None:
        """Load the key into the reader and open the sector with it; AuthFailed."""
        status, _ = self._send(_LOAD_KEY + key)
        if status != _OK:
            raise PcscRefused(status)
        status, _ = self._send(_AUTHENTICATE + bytes((block, key_type, _NO_CHECK)))
        if status in _AUTH_REFUSALS:
            raise AuthFailed(f"sector {block >> 2}")
        if status != _OK:
            raise PcscRefused(status)

    def read(self, block: int) -> bytes:
        """16 bytes of a block of the open sector."""
        data = self._ask(bytes((0xFF, _READ, 0, block, _BLOCK_BYTES)))
        if len(data) != _BLOCK_BYTES:
            raise CardGone(f"{len(data)} bytes of a block")
        return data

    def write(self, block: int, data: bytes) -> None:
        """Write 16 bytes; returning means that the reader has seen the acknowledge."""
        self._ask(bytes((0xFF, _WRITE, 0, block, _BLOCK_BYTES)) + bytes(data))

    def reselect(self) -> None:
        """The reader selects by itself; what can be asked is whether it is still this card."""
        if self._ask_uid() != self.uid:
            raise CardGone("another card lies there")

    def transmit(self, command: bytes) -> bytes:
        """A native DESFire command, wrapped as readers pass it on; status, then data."""
        body = command[1:]
        wrapped = bytes((_WRAPPED, command[0], 0, 0))
        wrapped += (bytes((len(body),)) + body if body else b"") + bytes(1)
        status, data = self._send(wrapped)
        if status >> 8 != _WRAPPED_STATUS:
            raise CardGone(f"status {status:04X}")
        return bytes((status & 0xFF,)) + data

    def random(self, count: int, /) -> bytes:
        """Fresh bytes."""
        return os.urandom(count)

    def _ask_uid(self) -> bytes:
        status, uid = self._send(_GET_UID)
        if status != _OK or len(uid) not in _UID_LENGTHS:
            raise CardGone(f"no uid: status {status:04X}")
        return uid

    def _ask(self, command: bytes) -> bytes:
        status, data = self._send(command)
        if status in _VAGUE:
            self.reselect()
        if status != _OK:
            raise PcscRefused(status)
        return data

    def _send(self, command: bytes) -> tuple[int, bytes]:
        start_us = time.monotonic_ns() // 1000
        answer = b""
        try:
            answer = self._transmit(command)
        finally:
            end_us, heard = time.monotonic_ns() // 1000, octets(answer) if answer else None
            sent, bits = octets(command), 8 * len(answer)
            self._recorder.add(
                Exchange(APDU, start_us, end_us, sent, 8 * len(command), heard, bits)
            )
        if len(answer) < 2:
            raise CardGone("no status from the reader")
        return int.from_bytes(answer[-2:], "big"), answer[:-2]


def sak_of(atr: bytes) -> int:
    """The SAK that an ATR stands for: a storage card by its name, anything else speaks APDUs."""
    at = atr.find(_STORAGE_MARK)
    if at < 0:
        return _SAK_ISO_DEP
    name = int.from_bytes(atr[at + len(_STORAGE_MARK) + 1 :][:2], "big")
    return _SAK_BY_NAME.get(name, _SAK_OTHER)


class PcscDesk:
    """The first reader whose name contains `wanted`; DeskMissing without pyscard or reader."""

    def __init__(self, wanted: str = "") -> None:
        try:
            self._system: Any = import_module("smartcard.System")
            self._errors: Any = import_module("smartcard.Exceptions")
        except ImportError as error:
            raise DeskMissing(
                f"the PC/SC desk needs pyscard: pip install pyscard ({error})"
            ) from None
        self.recorder = Recorder()
        self._reader = self._choose(wanted)
        self.name = f"pcsc {self._reader}"
        self._connection: Any = None

    def _choose(self, wanted: str) -> Any:
        try:
            readers = self._system.readers()
        except self._errors.SmartcardException as error:
            raise DeskMissing(f"PC/SC does not answer (is pcscd running?): {error}") from None
        for reader in readers:
            if wanted.lower() in str(reader).lower():
                return reader
        names = ", ".join(map(str, readers)) or "none at all"
        raise DeskMissing(f"no PC/SC reader named {wanted or 'anything'!r}; there are: {names}")

    def card(self) -> PcscPort:
        """The card on the reader; NoCard."""
        self._connection = self._reader.createConnection()
        try:
            self._connection.connect()
        except self._errors.SmartcardException:
            raise NoCard("no card on the desk") from None
        return PcscPort(self._exchange, bytes(self._connection.getATR()), self.recorder)

    def _exchange(self, command: bytes) -> bytes:
        try:
            data, sw1, sw2 = self._connection.transmit(list(command))
        except self._errors.SmartcardException as error:
            raise CardGone(str(error)) from None
        return bytes((*data, sw1, sw2))

    def close(self) -> None:
        """Let go of the card."""
        if self._connection is not None:
            self._connection.disconnect()
