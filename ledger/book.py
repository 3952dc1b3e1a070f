"""What a delivery of records can touch in the books, and what it changes there: plain data.

ledger/loading.py fills a Book, ledger/booking.py decides, ledger/posting.py writes the Changes.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from ledger.acquirer_orders import Order
from ledger.cancels import Cancel
from ledger.card_status import Capture, Loss
from ledger.chain import Link
from ledger.claims import Claim, RecordRow
from ledger.doors import Newest
from ledger.evidence import Intent
from ledger.loads import Load
from ledger.reservations import Reservation
from ledger.runs import Run
from ledger.tampers import Tamper
from ledger.transfers import Transfer

RecordId = tuple[int, int]


@dataclass(slots=True)
class Device:
    """A registered reader, the head of its chain, and its keys, oldest first."""

    device: int
    merchant_no: int
    is_forked: bool
    head_seq: int
    head: Link
    keys: list[bytes] = field(default_factory=list, repr=False)  # never in a log
    has_ended: bool = False  # its key is dead (ledger/retirement.py)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An OUTCOME whose intent is not in the books yet."""

    device: int
    seq: int
    intent_device: int
    intent_seq: int
    result: int


@dataclass(frozen=True, slots=True)
class Case:
    """Something a person has to look at: a reason and the record it is about.

    `sha256` and `sealed` are the bytes in question where they stand nowhere else, else empty.
    """

    reason: int
    device: int
    seq: int
    sha256: bytes = b""
    sealed: bytes = b""


@dataclass
class Book:
    """The part of the books that a delivery can touch, as it was before and while it is booked."""

    devices: dict[int, Device] = field(default_factory=dict)
    accounts: set[int] = field(default_factory=set)
    # Of booked records that a claim repeats, and of those just before them.
    hashes: dict[RecordId, bytes] = field(default_factory=dict)
    links: dict[RecordId, Link] = field(default_factory=dict)
    lost: set[RecordId] = field(default_factory=set)  # booked as LOST
    forks: dict[RecordId, list[Link]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[int, Run] = field(default_factory=dict)  # by device: what goes on at its head
    unfit: list[Claim] = field(default_factory=list)  # of runs that do not
    due: list[Claim] = field(default_factory=list)  # parked, and their gap may close now
    parked: set[tuple[int, int, bytes]] = field(default_factory=set)
    intents: dict[RecordId, Intent] = field(default_factory=dict)
    # Of each card, by what its counter was.
    by_card: dict[int, dict[int, list[Intent]]] = field(default_factory=lambda: defaultdict(dict))
    early: dict[RecordId, list[Outcome]] = field(default_factory=dict)
    loads: dict[int, Load] = field(default_factory=dict)  # by number
    spoken_of: set[int] = field(default_factory=set)  # cards whose status has ever changed
    losses: dict[int, list[Loss]] = field(default_factory=dict)  # by card
    reservations: dict[RecordId, Reservation] = field(default_factory=dict)  # ahead of the heads
    orders: dict[RecordId, Order] = field(default_factory=dict)  # so too
    tries: dict[int, list[Intent]] = field(default_factory=lambda: defaultdict(list))
    cancels: dict[RecordId, Cancel] = field(default_factory=dict)  # by their sale
    cancel_numbers: set[int] = field(default_factory=set)  # that are taken
    # Of those sales: by whom it was made good before (an account), and how much of it, in fen.
    made_good: dict[RecordId, tuple[int, int]] = field(default_factory=dict)
    named: set[tuple[int, int]] = field(default_factory=set)  # (card, number of a credit on it)
    approved: set[RecordId] = field(default_factory=set)  # of the TAMPERs that claims name
    door_cases: Newest = field(default_factory=dict)  # of the doors that call out now
    held_back: set[int] = field(default_factory=set)  # of devices that are not in the books

    def add_intent(self, intent: Intent) -> None:
        record_id = intent.device, intent.seq
        if record_id in self.intents:
            return
        self.intents[record_id] = intent
        self.by_card[intent.card_no].setdefault(intent.counter, []).append(intent)
        if intent.credit_no:
            self.tries[intent.credit_no].append(intent)

    def others_near(self, intent: Intent, reach: int) -> list[Intent]:
        """The other intents that saw the same card within `reach` steps of its counter, in order
        of what it was then."""
        seen = self.by_card[intent.card_no]
        if len(seen) == 1 and len(seen.get(intent.counter, ())) == 1:
            return []  # itself, as nearly always
        found: list[Intent] = []
        for counter in range(intent.counter - reach, intent.counter + reach + 1):
            if counter in seen:
                found += [other for other in seen[counter] if other is not intent]
        return found


@dataclass
class Changes:
    """Rows to write, all in one transaction. `refused` is for the receipts: sha256 -> (device,
    seq, code), the first two as claimed."""

    records: list[RecordRow] = field(default_factory=list)  # but those of runs
    others: list[Claim] = field(default_factory=list)  # of them, neither INTENT nor OUTCOME
    advanced: set[int] = field(default_factory=set)  # devices with a new head
    forked: set[int] = field(default_factory=set)
    parked: list[Claim] = field(default_factory=list)
    unparked: list[Claim] = field(default_factory=list)
    rejected: list[tuple[Claim, int]] = field(default_factory=list)
    refused: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    of_refused: set[int] = field(default_factory=set)  # the devices that they claim
    cases: list[Case] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    settled: dict[RecordId, Intent] = field(default_factory=dict)  # known before, changed now
    early: list[Outcome] = field(default_factory=list)
    no_longer_early: list[Outcome] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)  # that are settled now
    cancels: list[Cancel] = field(default_factory=list)
    returned: list[Load] = field(default_factory=list)  # of cancelled sales: new, maybe loaded too
    loaded: list[Load] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    tampers: list[Tamper] = field(default_factory=list)
    duplicates: int = 0
