"""Booking: what a delivery of records changes in the books. No SQL, no clock, no keys but given.

Here it is decided what stands in a chain; what that changes is in ledger/effects.py.

Rules of this file. Each device's records are taken in the order of its chain; what is ahead of a
gap waits; what was booked before is compared, never booked again. The result is a function of the
set of records booked, not of how they were delivered. The one exception is a fork, two genuine
records with one number: the first to arrive stands, the other becomes a case.

A LOST record stands in for one that its reader could not read any more (docs/adr/
0011-lost-records.md): it uses up the number and opens a case. Of a number that is booked it is no
news; the genuine record behind it still is, and becomes a case too, never money.

A device's keys follow one another (docs/adr/0009-device-key-rotation.md). A record may be sealed
under the key of the record before it or a newer one, never an older one: the first record under
a new key ends the old one for good.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from operator import attrgetter

from ledger import chain, reasons
from ledger.book import Book, Case, Changes, Device
from ledger.chain import CHAIN_START, Link, fork_link
from ledger.claims import Claim
from ledger.effects import Effects
from ledger.evidence import Intent
from ledger.runs import Run
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL

# How far ahead of a gap records are kept, and how many that claim the same number: what is beyond
# is dropped without a receipt, so its reader sends it again.
PARKED_AHEAD_MAX = 1024
PARKED_RIVALS_MAX = 4

_SEQ = attrgetter("seq")


def decide(claims: Sequence[Claim], book: Book) -> Changes:
    """Everything that booking `claims` (in order of arrival) changes. `book` is used up."""
    return _Clerk(book).book(claims)


def reach(head_seq: int, seqs: Container[int]) -> int:
    """The highest head a device at `head_seq` could have once records `seqs` are booked."""
    while head_seq + 1 in seqs:
        head_seq += 1
    return head_seq


class _Clerk:
    def __init__(self, book: Book) -> None:
        self._book = book
        self._changes = Changes()
        self._effects = Effects(book, self._changes)
        self._due = {claim.place for claim in book.due}
        self._rivals = Counter((device, seq) for device, seq, _sha256 in book.parked)

    def book(self, claims: Sequence[Claim]) -> Changes:
        of_device: dict[int, list[Claim]] = defaultdict(list)
        for claim in self._book.due:
            of_device[claim.device].append(claim)
        parked, devices = self._book.parked, self._book.devices
        for claim in (*claims, *self._book.unfit):
            if parked and claim.place in parked:
                self._changes.duplicates += 1
            elif claim.device in devices:
                of_device[claim.device].append(claim)
            else:
                is_held = claim.device in self._book.held_back
                why = reasons.NOT_APPROVED if is_held else reasons.UNKNOWN_DEVICE
                self._reject(claim, claim.code or why)
        runs = self._book.runs
        for number in sorted(of_device.keys() | runs.keys()):
            if number in runs:
                self._book_run(devices[number], runs[number])
            else:
                self._book_device(devices[number], of_device[number])
        return self._changes

    # --- one device's chain --------------------------------------------------------------------

    def _book_run(self, device: Device, run: Run) -> None:
        self._changes.duplicates += len(run.again)
        self._changes.advanced.add(device.device)
        device.head_seq, device.head = run.last_seq, run.head
        for one in run.told:
            if isinstance(one, Claim):
                self._effects.of_record(device, one)
            else:
                numbers, result = one
                self._effects.of_spend(device, Intent(*numbers), result)

    def _book_device(self, device: Device, claims: list[Claim]) -> None:
        self._book.links[device.device, 0] = CHAIN_START
        self._book.links[device.device, device.head_seq] = device.head
        before = device.head_seq
        # Stable: of two that claim one number, the one that arrived first is tried first, but a
        # record before the word that it is lost.
        if any(claim.kind == messages.LOST for claim in claims):
            claims.sort(key=lambda claim: claim.kind == messages.LOST)
        claims.sort(key=_SEQ)
        for claim in claims:
            if device.has_ended and claim.seq > device.head_seq:
                self._keep_late(device, claim)
                continue
            if claim.seq > device.head_seq + 1:
                self._park(device, claim)
                continue
            if self._due and claim.place in self._due:
                self._changes.unparked.append(claim)
            if claim.seq <= device.head_seq:
                self._compare(device, claim)
                continue
            link = _link(claim, device, device.head)
            if link is not None:
                self._book_record(device, claim, link)
            else:
                self._fork_or_reject(device, claim)
        if device.head_seq != before:
            self._changes.advanced.add(device.device)

    def _keep_late(self, device: Device, claim: Claim) -> None:
        """A claim behind the head of a reader that has ended: what is genuine becomes a case.

        Ahead of a gap nobody can tell: it is not answered, so whoever has it sends it again.
        """
        befores = list(self._book.forks.get((claim.device, claim.seq - 1), ()))
        if claim.seq == device.head_seq + 1:
            befores.append(device.head)
        if not befores:
            return
        if all(_link(claim, device, before) is None for before in befores):
            self._reject(claim, BAD_SEAL)
            return
        if claim.place in self._due:
            self._changes.unparked.append(claim)
        self._refuse(claim, reasons.TOLD_AFTER_ITS_END)
        self._book.forks[claim.device, claim.seq].append(fork_link(claim.sealed))
        self._keep(reasons.TOLD_AFTER_ITS_END, claim)

    def _park(self, device: Device, claim: Claim) -> None:
        if claim.place in self._book.parked:
            self._changes.duplicates += claim.place not in self._due
            return
        is_near = claim.seq <= device.head_seq + PARKED_AHEAD_MAX
        if is_near and self._rivals[claim.device, claim.seq] < PARKED_RIVALS_MAX:
            self._rivals[claim.device, claim.seq] += 1
            self._book.parked.add(claim.place)
            self._changes.parked.append(claim)

    def _compare(self, device: Device, claim: Claim) -> None:
        """A claim to a number that is booked: the same record again, a fork, or a forgery."""
        if self._book.hashes.get((claim.device, claim.seq)) == claim.sha256:
            self._changes.duplicates += 1
            return
        before = self._book.links[claim.device, claim.seq - 1]
        if _link(claim, device, before) is None:
            self._fork_or_reject(device, claim)
        elif claim.kind == messages.LOST:
            self._changes.duplicates += 1
        elif (claim.device, claim.seq) in self._book.lost:
            self._keep(reasons.FOUND, claim)
        else:
            self._fork(device, claim)

    def _fork_or_reject(self, device: Device, claim: Claim) -> None:
        # A twin goes on with its own chain: its next record follows its fork, not our head.
        for before in self._book.forks.get((claim.device, claim.seq - 1), ()):
            if _link(claim, device, before) is not None:
                self._fork(device, claim)
                return
        self._reject(claim, BAD_SEAL)

    def _fork(self, device: Device, claim: Claim) -> None:
        device.is_forked = True
        self._changes.forked.add(device.device)
        self._refuse(claim, reasons.FORK)
        self._book.forks[claim.device, claim.seq].append(fork_link(claim.sealed))
        self._keep(reasons.FORK, claim)

    def _keep(self, reason: int, claim: Claim) -> None:
        """A case with the bytes of a record that stands nowhere else."""
        case = Case(reason, claim.device, claim.seq, claim.sha256, claim.sealed)
        self._changes.cases.append(case)

    def _reject(self, claim: Claim, code: int) -> None:
        self._refuse(claim, code)
        self._changes.rejected.append((claim, code))

    def _refuse(self, claim: Claim, code: int) -> None:
        self._changes.refused[claim.sha256] = claim.device, claim.seq, code
        self._changes.of_refused.add(claim.device)

    # --- one record ----------------------------------------------------------------------------

    def _book_record(self, device: Device, claim: Claim, link: Link) -> None:
        record_id = claim.device, claim.seq
        device.head_seq, device.head = claim.seq, link
        self._book.hashes[record_id] = claim.sha256
        self._book.links[record_id] = link
        row = (*record_id, claim.kind, claim.sha256, claim.sealed, link.key_no)
        self._changes.records.append(row)
        self._effects.of_record(device, claim)


def _link(claim: Claim, device: Device, before: Link) -> Link | None:
    """What follows `claim` if it is a genuine successor of `before`; None if it is not.

    Neither a LOST record nor the one it names ends an older key: what stands behind them in the
    journal may still be under it.
    """
    if claim.sha256 == before.tag:
        return Link(claim.link, before.key_no)
    is_lost, payload = claim.kind == messages.LOST, seal.payload_of(claim.sealed)
    over = messages.LOST_LABEL if is_lost else before.tag
    for key_no in range(before.key_no, len(device.keys)):
        if chain.is_sealed(device.keys[key_no], payload, claim.sealed, over):
            return Link(claim.link, before.key_no if is_lost else key_no)
    return None
