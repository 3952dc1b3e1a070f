"""Locks without a network: what they say on cards, booked, and how each of them stands (R24.3).

Rules of this file. A letter from a lock comes in the record of whichever reader has taken it off
a card, and may come any number of times, late, or spoilt. Under a key of the lock it is its own
word, and its records are booked like those that come by a wire: by their numbers, in their chain,
once. Where the record before its first one is not booked, what cannot be sealed anew is passed
over; the lock tells it again until it has a receipt.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.aes import CIPHERS
from ledger import reasons
from ledger.book import Case, Changes
from ledger.claims import Claim, parse_claim
from ledger.dialect import Dialect
from ledger.retirement import IN_USE
from protocols.card import mailbox
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_LOCKS = (
    "SELECT l.device, k.device_key, v.head_seq, v.head_tag, COALESCE((SELECT MAX(number)"
    " FROM access_change c WHERE c.device = l.device), 0) FROM lock l"
    " JOIN device v ON v.device = l.device JOIN device_key k ON k.device = v.device"
    " AND k.key_no = v.head_key_no WHERE v.site = ? ORDER BY l.device"
)
_STATES = (
    "SELECT l.device, v.site, v.head_seq, COALESCE((SELECT MAX(number) FROM access_change c"
    " WHERE c.device = l.device), 0), w.epoch, w.made_s, w.battery_mv, w.heard_s FROM lock l"
    " JOIN device v ON v.device = l.device LEFT JOIN lock_word w ON w.device = l.device"
    " WHERE v.site = COALESCE(?, v.site)"
    " AND NOT EXISTS (SELECT 1 FROM retirement x WHERE x.device = l.device)"
    " ORDER BY v.site, l.device"
)
_NOTE = (
    "INSERT INTO lock_word VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
    " seq = excluded.seq, epoch = excluded.epoch, made_s = excluded.made_s,"
    " battery_mv = excluded.battery_mv, heard_s = excluded.heard_s WHERE excluded.seq >= seq"
)
_KEYS = (
    "SELECT k.device_key FROM device d JOIN device_key k ON k.device = d.device"
    f" WHERE d.device = ? AND k.key_no >= d.head_key_no AND {IN_USE} ORDER BY k.key_no DESC"
)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as a letter to it has to know it: the key and the tag of its newest record."""

    device: int
    device_key: bytes = field(repr=False)  # never in a log
    head_seq: int
    head_tag: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class LockState:
    """How a lock stands, for the warden's list.

    `epoch` is that of its access map in the books; `held_epoch` the one it says it holds, called
    the newest at `made_s`. `heard_s`: it was not earlier when it wrote the newest record that it
    told of itself with. None: it has said nothing on a card yet.
    """

    device: int
    site: str
    head_seq: int
    epoch: int
    held_epoch: int | None
    made_s: int | None
    battery_mv: int | None
    heard_s: int | None

    @property
    def is_confirmed(self) -> bool:
        """Whether it holds what was last granted or revoked there."""
        return self.held_epoch is not None and self.held_epoch >= self.epoch


@dataclass(slots=True)
class Letters:
    """What letters in a delivery say: records to book, words about their locks, and the spoilt."""

    claims: list[Claim] = field(default_factory=list)
    words: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    unread: set[bytes] = field(default_factory=set)  # sha256 of the records that carry them


class LockMail:
    """The locks in the books. Every method only reads, or is part of a transaction."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def at(self, site: str) -> list[Lock]:
        """The locks of a site."""
        return [Lock(*row) for row in self._database.rows(_LOCKS, (site,))]

    def states(self, site: str | None = None) -> list[LockState]:
        """How the locks of a site stand, or all of them."""
        return [LockState(*row) for row in self._database.rows(_STATES, (site,))]

    # --- letters from locks ------------------------------------------------------------------

    def letters_in(self, claims: Iterable[Claim]) -> Letters:
        """What the letters that `claims` carry say."""
        found = Letters()
        for claim in claims:
            if claim.kind == messages.MAIL and claim.fields is not None:
                if not self._read(claim.fields["lock"], claim.fields["sealed"], found):
                    found.unread.add(claim.sha256)
        return found

    def note(self, letters: Letters, changes: Changes) -> None:
        """The words of locks whose letters were read, and a case for each that was not."""
        self._database.many(_NOTE, letters.words)
        if not letters.unread:
            return  # nearly always
        changes.cases += [
            Case(reasons.UNREAD_LETTER, claim.device, claim.seq)
            for claim in changes.others
            if claim.sha256 in letters.unread
        ]

    def _read(self, lock: int, letter: bytes, found: Letters) -> bool:
        for (key,) in list(self._database.rows(_KEYS, (lock,))):
            try:
                content = mailbox.open_letter(CIPHERS, key, mailbox.FROM_LABEL, letter)
            except WireError:
                continue
            try:
                self._take(lock, key, content, found)
            except WireError:
                return False
            return True
        return False

    def _take(self, lock: int, key: bytes, content: bytes, found: Letters) -> None:
        epoch, made_s, battery_mv, first, entries = mailbox.decode_events(content)
        before = self._tag_before(lock, first)
        sealed = mailbox.records_of(key, lock, first, made_s, before, entries)
        claims = [parse_claim(each) for each in sealed]
        claims = [claim for claim in claims if claim.device == lock]
        found.claims += claims
        heard_s = max(
            (claim.fields["earliest_s"] for claim in claims if claim.fields), default=made_s
        )
        last = first + len(entries) - 1
        found.words.append((lock, last, epoch, made_s, battery_mv, heard_s))

    def _tag_before(self, lock: int, first: int) -> bytes | None:
        """The tag that record `first` of a lock was sealed over; None where it is not booked."""
        if first <= 1:
            return seal.CHAIN_START
        sql = "SELECT sealed FROM record WHERE device = ? AND seq = ?"
        for (sealed,) in self._database.rows(sql, (lock, first - 1)):
            return seal.tag_of(sealed)
        return None
