"""`onecard journal verify`: whether a journal proves what its reader did; where it first fails.

The sectors are gone through in the order in which they were written. Each record has to be sealed
by the reader (its key says it) over the record before it, with the next number; a sector's header
says over which one its first record is. What power cuts and age leave is told as a note.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from protocols.wire import messages, seal
from protocols.wire.error_texts import TEXTS as ERROR_TEXTS
from protocols.wire.errors import WireError
from tools.journal import findings as why
from tools.journal.capture import Capture
from tools.journal.findings import Finding
from tools.journal.image import (
    HEAD_BYTES,
    HEADER_BYTES,
    KEPT,
    RECEIPTED,
    RECORD,
    SECTOR_BYTES,
    Entry,
    Image,
    Sector,
    Torn,
    entries_of,
    read_image,
)
from tools.journal.mend import mended

# A broken seal is tried over every record that is here: of so many, for it takes its time.
_SEARCHES_MAX = 4
START = ("the beginning of a chain", "链的开头")


@dataclass
class Verdict:
    """What `verify` has found of a reader's journal, in the order in which it was written.

    `sealed`: records whose seal holds, of `records`; `first` and `last` are their numbers, 0 of
    none. `has_key`: seals were checked at all.
    """

    device: int | None
    has_key: bool
    records: int = 0
    sealed: int = 0
    first: int = 0
    last: int = 0
    receipted: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def breaks(self) -> list[Finding]:
        """What does not hold; the first is the first broken link."""
        return [one for one in self.findings if one.is_break]

    @property
    def notes(self) -> list[Finding]:
        return [one for one in self.findings if not one.is_break]


def verify(capture: Capture, keys: Sequence[bytes] = (), device: int | None = None) -> Verdict:
    """Go through a journal. `keys`: its reader's, the oldest first; none: no seal is checked.

    `device`: whose journal it should be, if that is known; else it is that of its first record.
    NotAJournal.
    """
    data, flips = mended(capture.data)
    image = read_image(data)
    own = device if device is not None else _whose(capture, image)
    walk = _Walk(capture, image, keys, own)
    found = walk.verdict
    found.findings += [
        Finding(why.MENDED, at, facts={"byte": capture.address(at)}) for at in flips
    ]
    walk.go()
    if keys and found.records and not found.sealed:
        # Every seal is wrong: the key is, and each single one says no more than that.
        found.findings = [one for one in found.findings if one.why != why.SEAL_WRONG]
        at = walk.first_at
        found.findings.insert(0, Finding(why.WRONG_KEY, at, found.first, {"device": own}))
    if capture.missing:
        facts = {"count": len(capture.missing)}
        found.findings.append(
            Finding(why.CUT_SHORT, capture.missing[0] * SECTOR_BYTES, None, facts)
        )
    return found


def device_of(capture: Capture) -> int | None:
    """Whose journal it is, as far as it says so itself. NotAJournal."""
    return _whose(capture, read_image(capture.data))


class _Walk:
    """One journal, record by record."""

    def __init__(
        self, capture: Capture, image: Image, keys: Sequence[bytes], device: int | None
    ) -> None:
        self.verdict = Verdict(device, bool(keys))
        self.first_at = 0
        self._capture, self._image, self._keys = capture, image, keys
        self._key_no = self._searches = 0
        self._tag: bytes | None = None  # of the record before; None: it is not there
        self._lost: tuple[int, int] | None = None  # where what is lost was, and its size
        self._torn: dict[int, list[Torn]] = {}
        for torn in image.torn:
            self._torn.setdefault(torn.sector, []).append(torn)

    def go(self) -> None:
        sectors = self._image.sectors
        if sectors and self._is_disowned():
            sectors = sectors[:-1]
            self._find(why.DISOWNED, self._image.sectors[-1].number * SECTOR_BYTES)
        self.verdict.receipted = max(map(_receipted, self._image.everything), default=0)
        for sector in self._image.skipped:
            self._skip(sector)
        if sectors and sectors[0].first_seq > self.verdict.receipted + 1:
            # A reader notes a receipt before it erases what that is about.
            first, last = self.verdict.receipted + 1, sectors[0].first_seq - 1
            at = sectors[0].number * SECTOR_BYTES
            self._find(why.UNBOOKED, at, first, first=first, last=last)
        for at, sector in enumerate(sectors):
            self._open(sector, sectors[at - 1] if at else None)
            self._go_through(sector)
        for number, torn in self._torn.items():
            if torn and not any(one.number == number for one in sectors):
                self._headless(torn[0])

    # -- sectors ----------------------------------------------------------------------------

    def _is_disowned(self) -> bool:
        """Whether a boot has not seen the newest header, and wrote on in the sector before it."""
        if len(self._image.sectors) < 2:
            return False
        before, newest = self._image.sectors[-2:]
        is_used = any(entry.kind != KEPT for entry in newest.entries)
        return not is_used and _last_seq(before) >= newest.first_seq

    def _open(self, sector: Sector, before: Sector | None) -> None:
        found, at = self.verdict, sector.number * SECTOR_BYTES
        last, self._lost = found.last, None
        if before is None:
            self._tag = sector.link
            found.last = sector.first_seq - 1
            return
        if sector.first_seq <= last:
            facts = _span(sector)
            self._find(why.TWO_EPOCHS, at, sector.first_seq, **facts)
            self._tag, found.last = sector.link, sector.first_seq - 1
            return
        if sector.first_seq > last + 1:
            self._lose(last + 1, sector.first_seq - 1, before, sector)
            found.last = sector.first_seq - 1
        elif self._tag is not None and self._tag != sector.link:
            facts = {"behind": self._known(sector.link)}
            self._find(why.CHAIN_BROKEN, at, sector.first_seq, **facts)
        self._tag = sector.link

    def _lose(self, first: int, last: int, before: Sector, sector: Sector) -> None:
        """Records are missing between two sectors: what was between them?"""
        count, numbers = self._image.count, []
        at = (before.number + 1) % count
        while at != sector.number:
            numbers.append(at)
            at = (at + 1) % count
        torn = [*self._torn.get(before.number, [])[-1:]]
        torn += [one for number in numbers for one in self._torn.get(number, [])]
        if torn and not (numbers and torn[-1].sector == before.number):
            self._lose_to(torn[-1], first, last)
        elif numbers and sector.generation > before.generation + 1:
            said = ", ".join(map(str, numbers))
            facts = {"first": first, "last": last, "sectors": said}
            self._find(why.ERASED, numbers[0] * SECTOR_BYTES, first, **facts)
        else:
            facts = {"first": first, "last": last}
            self._find(why.GAP, sector.number * SECTOR_BYTES, first, **facts)

    def _headless(self, torn: Torn) -> None:
        """A sector without a header: torn by a cut, or the newest one, whose header is damaged."""
        base = torn.sector * SECTOR_BYTES
        data = self._capture.data[base : base + SECTOR_BYTES]
        generation = self._image.sectors[-1].generation + 1 if self._image.sectors else 1
        seqs = [entry.seq for entry in entries_of(data, generation) if entry.kind == RECORD]
        if seqs:
            facts = {"first": seqs[0], "last": seqs[-1], "size": HEADER_BYTES}
            self._find(why.BITS_FLIPPED, base, seqs[0], **facts)
        else:
            self._find(why.TORN, torn.address, size=torn.size_bytes)

    def _skip(self, sector: Sector) -> None:
        """A sector that is out of the ring's order: an old turn's, or another journal's."""
        oldest = self._image.sectors[0]
        is_old = sector.generation < oldest.generation and _last_seq(sector) < oldest.first_seq
        is_ours = is_old and _last_seq(sector) <= self.verdict.receipted
        number = why.OLD_SECTOR if is_ours else why.TWO_EPOCHS
        self._find(number, sector.number * SECTOR_BYTES, sector.first_seq, **_span(sector))

    # -- entries ----------------------------------------------------------------------------

    def _go_through(self, sector: Sector) -> None:
        torn, base = list(self._torn.get(sector.number, [])), sector.number * SECTOR_BYTES
        for entry in sector.entries:
            between = [one for one in torn if one.offset < entry.offset]
            torn = torn[len(between) :]
            if entry.kind != RECORD:
                self._tear(between)
                continue
            self._follow(base + entry.offset, entry, between)
        if torn and sector is self._image.sectors[-1] and not torn[-1].is_healed:
            last = torn.pop()
            self._find(why.TORN_END, last.address, size=last.size_bytes)
        self._tear(torn)

    def _tear(self, torn: list[Torn]) -> None:
        for one in torn:
            self._find(why.TORN, one.address, size=one.size_bytes)

    def _follow(self, at: int, entry: Entry, between: list[Torn]) -> None:
        """A record: its number, then whose it is, then its seal."""
        found, seq = self.verdict, entry.seq
        if seq == found.last + 1:
            self._tear(between)
        elif seq > found.last + 1:
            if between:
                self._lose_to(between[-1], found.last + 1, seq - 1)
            else:
                self._find(why.GAP, at, found.last + 1, first=found.last + 1, last=seq - 1)
                self._tag = None
        else:
            self._find(why.REPEATED, at, seq, behind=found.last)
        if not found.records:
            found.first, self.first_at = seq, at
        found.records, found.last = found.records + 1, seq
        self._judge(at, seq, entry.data)

    def _judge(self, at: int, seq: int, data: bytes) -> None:
        try:
            payload, tag = seal.payload_of(data), seal.tag_of(data)
            fields = messages.decode_record(payload)
        except WireError as error:
            self._find(why.NO_RECORD, at, seq, what=ERROR_TEXTS[error.code])
            self._tag = None
            return
        if fields["device"] != self.verdict.device:
            facts = {"device": fields["device"], "own": self.verdict.device}
            self._find(why.OTHER_DEVICE, at, seq, **facts)
        elif fields["seq"] != seq:
            self._find(why.REPEATED, at, seq, behind=fields["seq"])
        if self._keys:
            self._unseal(at, seq, payload, tag)
        self._tag = tag

    def _unseal(self, at: int, seq: int, payload: bytes, tag: bytes) -> None:
        """Whether a key of the reader has made this tag, and over what."""
        link = self._tag if self._tag is not None else self._link_in_lost(payload, tag)
        if link is None:
            self._find(why.UNPROVEN, at, seq)
            return
        key_no = self._key_of(payload, tag, link)
        if key_no is None:
            behind = self._behind(payload, tag)
            if behind is None:
                self._find(why.SEAL_WRONG, at, seq)
            else:
                self.verdict.sealed += 1
                self._find(why.CHAIN_BROKEN, at, seq, behind=behind)
            return
        self.verdict.sealed += 1
        if key_no < self._key_no:
            self._find(why.OLDER_KEY, at, seq)
        elif key_no > self._key_no and self.verdict.sealed > 1:
            self._find(why.NEWER_KEY, at, seq)
        self._key_no = max(key_no, self._key_no)

    def _key_of(self, payload: bytes, tag: bytes, link: bytes) -> int | None:
        for number, key in enumerate(self._keys):
            if hmac.compare_digest(seal.tag_of(seal.seal(key, payload, link)), tag):
                return number
        return None

    # -- what is not there ------------------------------------------------------------------

    def _lose_to(self, torn: Torn, first: int, last: int) -> None:
        """Records are missing where something torn lies."""
        data = self._capture.data
        piece = data[torn.address : torn.address + torn.size_bytes]
        self._lost, self._tag = (torn.address, torn.size_bytes), None
        facts = {"first": first, "last": last}
        length = int.from_bytes(piece[:2], "little")
        is_short = torn.what == "header" or torn.size_bytes + 4 <= length + HEAD_BYTES
        if is_short and torn.size_bytes:
            word = (torn.address + torn.size_bytes - 1) & ~3
            facts["word"] = self._capture.address(word)
            self._find(why.HALF_PROGRAMMED, torn.address, first, **facts)
        else:
            self._find(why.BITS_FLIPPED, torn.address, first, size=torn.size_bytes, **facts)

    def _link_in_lost(self, payload: bytes, tag: bytes) -> bytes | None:
        """The tag of the lost record, if that still stands in its ruin: then the chain goes on."""
        if self._lost is None:
            return None
        (at, size), self._lost = self._lost, None
        ruin = self._capture.data[at : at + size]
        for start in range(len(ruin) - seal.TAG_BYTES + 1):
            link = ruin[start : start + seal.TAG_BYTES]
            if self._key_of(payload, tag, link) is not None:
                return link
        return None

    def _behind(self, payload: bytes, tag: bytes) -> tuple[str, str] | None:
        """Over what a record is sealed that does not follow; None: over nothing that is here."""
        if self._searches < _SEARCHES_MAX:
            self._searches += 1
            for name, link in self._links():
                if self._key_of(payload, tag, link) is not None:
                    return name
        return None

    def _links(self) -> Iterator[tuple[tuple[str, str], bytes]]:
        yield START, seal.CHAIN_START
        for sector in self._image.everything:
            if sector.link != seal.CHAIN_START:
                behind = sector.first_seq - 1
                yield (f"record {behind}", f"记录 {behind}"), sector.link
            for entry in sector.entries:
                if entry.kind == RECORD and len(entry.data) > seal.TAG_BYTES:
                    yield (
                        (f"record {entry.seq}", f"记录 {entry.seq}"),
                        entry.data[-seal.TAG_BYTES :],
                    )

    def _known(self, link: bytes) -> tuple[str, str]:
        unknown = ("a record that is not here", "一条不在这里的记录")
        return next((name for name, one in self._links() if one == link), unknown)

    def _find(self, number: int, at: int, seq: int | None = None, **facts: object) -> None:
        self.verdict.findings.append(Finding(number, at, seq, facts))


def _last_seq(sector: Sector) -> int:
    return max((e.seq for e in sector.entries if e.kind == RECORD), default=sector.first_seq - 1)


def _receipted(sector: Sector) -> int:
    noted = (entry.seq for entry in sector.entries if entry.kind == RECEIPTED)
    return max(sector.receipted, *noted, 0)


def _span(sector: Sector) -> dict[str, int]:
    facts = {"first": sector.first_seq, "last": _last_seq(sector)}
    return {**facts, "generation": sector.generation}


def _whose(capture: Capture, image: Image) -> int | None:
    """Whose it is: as the board has said, else by its first record that can be read."""
    said = (capture.reader.get("settings") or {}).get("device")
    if said is not None:
        return said
    for sector in image.sectors:
        for entry in sector.entries:
            if entry.kind == RECORD:
                try:
                    return messages.decode_record(seal.payload_of(entry.data))["device"]
                except WireError:
                    continue
    return None
