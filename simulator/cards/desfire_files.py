"""The files of a DESFire application: what they hold, what is pending, what is refused.

Rules of this file:

- What a file holds is its dataclass fields; those marked RAM are gone with the power, the others
  are the EEPROM and go into `image`.
- Backup, value and record files change in `commit` only, and reading shows the committed state.
- Rights are not asked here; ranges, limits and sizes are.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from simulator.cards.desfire_status import (
    BOUNDARY_ERROR,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    Refused,
)

STANDARD, BACKUP, VALUE, LINEAR, CYCLIC, TRANSACTION_MAC = range(6)

# The nibbles of the access rights, by how far they stand from the right.
READ, WRITE, READ_WRITE, CHANGE = 12, 8, 4, 0
FREE, NEVER = 0xE, 0xF

# Second byte of a value file's options: what it allows beyond its access rights.
LIMITED_CREDIT_ENABLED, FREE_GET_VALUE = 0x01, 0x02
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1

RAM: dict[str, bool] = {"ram": True}
_EEPROM_UNIT = 32  # assumption: how finely memory is shared out


@dataclass
class File:
    """What every file has: `kind`, communication `mode`, access `rights`."""

    kind: int
    mode: int
    rights: int

    def right(self, which: int) -> int:
        """The key number, FREE or NEVER, in one nibble of the rights."""
        return self.rights >> which & 15

    def settings(self) -> bytes:
        """The answer to GetFileSettings."""
        head = bytes((self.kind, self.mode)) + self.rights.to_bytes(2, "little")
        return head + self.settings_tail()

    def settings_tail(self) -> bytes:
        """What GetFileSettings says of this kind of file."""
        return b""

    @property
    def eeprom_bytes(self) -> int:
        """What it takes of the card's memory, one unit for the settings."""
        return _EEPROM_UNIT + -(-self.content_bytes // _EEPROM_UNIT) * _EEPROM_UNIT

    @property
    def content_bytes(self) -> int:
        """Bytes of contents, backups included."""
        return 0

    @property
    def has_changes(self) -> bool:
        """True when a commit would change something."""
        return False

    def commit(self) -> None:
        """Make the pending changes the contents."""

    def abort(self) -> None:
        """Forget the pending changes."""


@dataclass
class DataFile(File):
    """Standard and backup data files; only the latter wait for the commit."""

    data: bytes
    written: bytes | None = field(default=None, metadata=RAM)

    def settings_tail(self) -> bytes:
        return len(self.data).to_bytes(3, "little")

    @property
    def content_bytes(self) -> int:
        return len(self.data) * (2 if self.kind == BACKUP else 1)

    @property
    def has_changes(self) -> bool:
        return self.written is not None

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, 0 for all that follow."""
        end = offset + length if length else len(self.data)
        if offset >= len(self.data) or end > len(self.data):
            raise Refused(BOUNDARY_ERROR)
        return self.data[offset:end]

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`."""
        if offset + len(data) > len(self.data):
            raise Refused(BOUNDARY_ERROR)
        old = self.data if self.written is None else self.written
        new = old[:offset] + data + old[offset + len(data) :]
        if self.kind == BACKUP:
            self.written = new
        else:
            self.data = new

    def commit(self) -> None:
        if self.written is not None:
            self.data = self.written
        self.written = None

    def abort(self) -> None:
        self.written = None


@dataclass
class ValueFile(File):
    """A signed number within limits; `options` may enable LimitedCredit and free GetValue."""

    lower: int
    upper: int
    value: int
    options: int
    limited_credit: int = 0
    changed: int | None = field(default=None, metadata=RAM)
    debited: int = field(default=0, metadata=RAM)
    recredited: bool = field(default=False, metadata=RAM)

    def settings_tail(self) -> bytes:
        numbers = self.lower, self.upper, self.limited_credit
        head = b"".join(number.to_bytes(4, "little", signed=True) for number in numbers)
        return head + bytes((self.options,))

    @property
    def content_bytes(self) -> int:
        return 32

    @property
    def has_changes(self) -> bool:
        return self.changed is not None

    def credit(self, amount: int) -> None:
        """Add `amount`, however much, to the pending value."""
        self._move(amount, amount)

    def debit(self, amount: int) -> None:
        """Take `amount` from the pending value."""
        self._move(amount, -amount)
        self.debited += amount

    def recredit(self, amount: int) -> None:
        """LimitedCredit: give back at most what the last transaction with debits took, once."""
        if not self.options & LIMITED_CREDIT_ENABLED:
            raise Refused(PERMISSION_DENIED)
        if amount > self.limited_credit or self.recredited:
            raise Refused(BOUNDARY_ERROR)
        self._move(amount, amount)
        self.recredited = True

    def commit(self) -> None:
        if self.changed is not None:
            self.value = self.changed
        if self.debited:
            self.limited_credit = self.debited
        elif self.recredited:
            self.limited_credit = 0
        self.abort()

    def abort(self) -> None:
        self.changed, self.debited, self.recredited = None, 0, False

    def _move(self, amount: int, change: int) -> None:
        if amount < 0:
            raise Refused(PARAMETER_ERROR)
        new = (self.value if self.changed is None else self.changed) + change
        if not self.lower <= new <= self.upper:
            raise Refused(BOUNDARY_ERROR)
        self.changed = new


@dataclass
class RecordFile(File):
    """Records of `size` bytes, oldest first; a full linear file refuses, a cyclic one forgets.

    A cyclic file of n records keeps n - 1: one is where the next is written.
    """

    size: int
    records_max: int
    records: list[bytes] = field(default_factory=list)
    fresh: bytes | None = field(default=None, metadata=RAM)
    cleared: bool = field(default=False, metadata=RAM)

    def settings_tail(self) -> bytes:
        numbers = self.size, self.records_max, len(self.records)
        return b"".join(number.to_bytes(3, "little") for number in numbers)

    @property
    def content_bytes(self) -> int:
        return self.size * self.records_max

    @property
    def has_changes(self) -> bool:
        return self.fresh is not None or self.cleared

    def read(self, number: int, count: int) -> bytes:
        """`count` records up to `number` back from the newest, 0 for all; oldest first."""
        have = len(self.records)
        count = count or have - number
        if number >= have or count > have - number:
            raise Refused(BOUNDARY_ERROR)
        end = have - number
        return b"".join(self.records[end - count : end])

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` into the record that this transaction adds."""
        if offset + len(data) > self.size:
            raise Refused(BOUNDARY_ERROR)
        if self.cleared:
            raise Refused(PERMISSION_DENIED)
        if self.kind == LINEAR and len(self.records) >= self.records_max:
            raise Refused(BOUNDARY_ERROR)
        old = bytes(self.size) if self.fresh is None else self.fresh
        self.fresh = old[:offset] + data + old[offset + len(data) :]

    def clear(self) -> None:
        """Drop every record, also the one this transaction has begun."""
        self.fresh, self.cleared = None, True

    def commit(self) -> None:
        if self.cleared:
            self.records = []
        if self.fresh is not None:
            kept = self.records_max - (1 if self.kind == CYCLIC else 0)
            self.records = [*self.records, self.fresh][-kept:]
        self.abort()

    def abort(self) -> None:
        self.fresh, self.cleared = None, False


class Image:
    """EEPROM as JSON can hold it: numbers, booleans, hexadecimal for bytes, lists of these."""

    SKIPPED: ClassVar[set[str]] = {"files", "applications", "master"}  # not flat, see Memory

    @classmethod
    def of(cls, thing: Any) -> dict[str, Any]:
        """The fields of a dataclass, those of the RAM left out."""
        kept = [f for f in fields(thing) if "ram" not in f.metadata and f.name not in cls.SKIPPED]
        return {f.name: cls._shown(getattr(thing, f.name)) for f in kept}

    @classmethod
    def back(cls, image: dict[str, Any]) -> dict[str, Any]:
        """Arguments for the dataclass that `of` was given."""
        return {name: cls._meant(value) for name, value in image.items()}

    @classmethod
    def _shown(cls, value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        return [cls._shown(entry) for entry in value] if isinstance(value, list) else value

    @classmethod
    def _meant(cls, value: Any) -> Any:
        if isinstance(value, str):
            return bytes.fromhex(value)
        return [cls._meant(entry) for entry in value] if isinstance(value, list) else value
