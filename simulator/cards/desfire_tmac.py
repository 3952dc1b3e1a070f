"""The transaction MAC: what a card signs of each transaction, for whoever holds the MAC key.

The rules are those of the DESFire Light data sheet (MF2DL(H)x0 rev. 3.3, section 10.3), the only
public ones; that EV2 keeps them is an assumption. Open questions are marked as such.
"""

from dataclasses import dataclass, field

from simulator.cards.desfire_files import NEVER, RAM, READ_WRITE, File
from simulator.cards.desfire_messaging import BLOCK_BYTES, cbc_encrypt, cmac, truncated
from simulator.cards.desfire_status import PERMISSION_DENIED, Refused

READER_ID_BYTES = 16
TMC_MAX = 0xFFFFFFFF
AES_KEY_TYPE = 0x02
LIMIT_GIVEN = 0x20  # bit of the file option in ChangeFileSettings
COMMIT_READER_ID = 0xC8

_MAC_LABEL, _ENC_LABEL = b"\x5a", b"\xa5"
_KEY_TAIL = b"\x00\x01\x00\x80"


def transaction_keys(key: bytes, tmc: int, uid: bytes) -> tuple[bytes, bytes]:
    """(MAC key, encryption key) of the transaction that is to bring the counter to `tmc`."""
    context = _KEY_TAIL + tmc.to_bytes(4, "little") + uid
    return cmac(key, _MAC_LABEL + context), cmac(key, _ENC_LABEL + context)


def zero_filled(data: bytes) -> bytes:
    """`data` with zeros up to whole blocks."""
    return data + bytes(-len(data) % BLOCK_BYTES)


@dataclass
class TransactionMacFile(File):
    """Counter and last MAC (readable), and what they are made with (not readable).

    Its right to read and write names the key that CommitReaderID needs; NEVER means that no
    reader commits itself, anything else that every transaction must be committed to one.
    """

    key: bytes
    key_version: int
    tmc: int = 0
    tmv: bytes = bytes(8)
    reader_before: bytes = bytes(READER_ID_BYTES)
    limit: int = TMC_MAX
    message: bytes = field(default=b"", metadata=RAM)
    reader_now: bytes | None = field(default=None, metadata=RAM)

    def settings_tail(self) -> bytes:
        tail = bytes((AES_KEY_TYPE, self.key_version))
        return tail if self.limit == TMC_MAX else tail + self.limit.to_bytes(4, "little")

    @property
    def content_bytes(self) -> int:
        return 64

    @property
    def has_changes(self) -> bool:
        return bool(self.message)

    @property
    def contents(self) -> bytes:
        """What ReadData shows: TMC and TMV of the last transaction."""
        return self.tmc.to_bytes(4, "little") + self.tmv

    @property
    def needs_reader(self) -> bool:
        """True when a transaction without CommitReaderID must not be committed."""
        return self.right(READ_WRITE) != NEVER

    def note(self, command: bytes, data: bytes = b"") -> None:
        """Take a command on a file into the transaction: `command` and `data` in the clear."""
        if self.tmc >= self.limit:
            raise Refused(PERMISSION_DENIED)
        self.message += zero_filled(command) + zero_filled(data)

    def commit_reader(self, reader_id: bytes, uid: bytes, is_authenticated: bool) -> bytes:
        """Bind the transaction to a reader, once; who the last one was, hidden, if it may know."""
        if self.reader_now is not None:
            raise Refused(PERMISSION_DENIED)
        hidden = b""
        if is_authenticated:
            _, enc_key = transaction_keys(self.key, self.tmc + 1, uid)
            hidden = cbc_encrypt(enc_key, self.reader_before)
        self.note(bytes((COMMIT_READER_ID,)) + reader_id + hidden)
        self.reader_now = reader_id
        return hidden

    def sign(self, uid: bytes) -> None:
        """Commit: one transaction further, and its MAC; nothing happens without a message."""
        if self.message:
            mac_key, _ = transaction_keys(self.key, self.tmc + 1, uid)
            self.tmc += 1
            self.tmv = truncated(cmac(mac_key, self.message))
            if self.reader_now is not None:
                self.reader_before = self.reader_now
        self.abort()

    def abort(self) -> None:
        self.message, self.reader_now = b"", None
