"""Booking: what a delivery of records changes in the books. No SQL, no clock, no keys but given.

Money that was paid in for a card moves to its purse when the first record says that it is on the
card: as an outcome, or because the card names it. Its number makes that happen once.

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
from collections.abc import Callable, Container, Sequence
from operator import attrgetter
from typing import Any

from ledger import acquirer_orders, cancels, chain, chart, doors, locks, reasons
from ledger.acquirer_orders import Order
from ledger.book import Book, Case, Changes, Device, Outcome, RecordId
from ledger.cancels import Cancel
from ledger.card_status import Capture
from ledger.chain import CHAIN_START, Link, fork_link
from ledger.claims import SIGHTING_NUMBERS, Claim
from ledger.evidence import (
    COMMITTED,
    PENDING,
    Intent,
    State,
    is_contradiction,
    stated_by,
    stated_by_outcome,
)
from ledger.reservations import settle
from ledger.tampers import told_by
from ledger.transfers import SPEND, SPEND_LINE, Transfer
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL

# How far ahead of a gap records are kept, and how many that claim the same number: what is beyond
# is dropped without a receipt, so its reader sends it again.
PARKED_AHEAD_MAX = 1024
PARKED_RIVALS_MAX = 4

Fields = dict[str, Any]  # of a record, by name
_SEQ = attrgetter("seq")
_OF_CARDS = messages.INTENT, messages.OUTCOME  # nearly all records; of others more may be kept
# Within so many steps of a card's counter one intent may state something about another.
REACH = 2


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
        self._due = {claim.place for claim in book.due}
        self._sales = book.reservations.keys() | book.orders.keys()
        self._rivals = Counter((device, seq) for device, seq, _sha256 in book.parked)

    def book(self, claims: Sequence[Claim]) -> Changes:
        of_device: dict[int, list[Claim]] = defaultdict(list)
        for claim in self._book.due:
            of_device[claim.device].append(claim)
        parked, devices = self._book.parked, self._book.devices
        for claim in claims:
            if parked and claim.place in parked:
                self._changes.duplicates += 1
            elif claim.device in devices:
                of_device[claim.device].append(claim)
            else:
                is_held = claim.device in self._book.held_back
                why = reasons.NOT_APPROVED if is_held else reasons.UNKNOWN_DEVICE
                self._reject(claim, claim.code or why)
        for number in sorted(of_device):
            self._book_device(self._book.devices[number], of_device[number])
        return self._changes

    # --- one device's chain --------------------------------------------------------------------

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
        self._changes.refused[claim.sha256] = reasons.TOLD_AFTER_ITS_END
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
        self._changes.refused[claim.sha256] = reasons.FORK
        self._book.forks[claim.device, claim.seq].append(fork_link(claim.sealed))
        self._keep(reasons.FORK, claim)

    def _keep(self, reason: int, claim: Claim) -> None:
        """A case with the bytes of a record that stands nowhere else."""
        case = Case(reason, claim.device, claim.seq, claim.sha256, claim.sealed)
        self._changes.cases.append(case)

    def _reject(self, claim: Claim, code: int) -> None:
        self._changes.refused[claim.sha256] = code
        self._changes.rejected.append((claim, code))

    # --- one record ----------------------------------------------------------------------------

    def _book_record(self, device: Device, claim: Claim, link: Link) -> None:
        record_id = claim.device, claim.seq
        device.head_seq, device.head = claim.seq, link
        self._book.hashes[record_id] = claim.sha256
        self._book.links[record_id] = link
        kind = claim.kind
        self._changes.records.append((*record_id, kind, claim.sha256, claim.sealed, link.key_no))
        if kind not in _OF_CARDS:
            self._changes.others.append(claim)
        early: Sequence[Outcome] = ()
        if self._book.early:
            early = self._book.early.pop(record_id, ())
            self._changes.no_longer_early += early
        if kind == messages.CODE_SALE or record_id in self._sales:
            self._settle_sale(device, claim, record_id)
        if kind in _MAY_BE_SPOKEN_OF:
            _MAY_BE_SPOKEN_OF[kind](self, device, claim, early)
            return
        for outcome in early:
            self._open(reasons.OUTCOME_OF_NO_INTENT, outcome.device, outcome.seq)
        if kind == messages.OUTCOME:
            self._book_outcome(claim)
        elif claim.named is None:
            self._open(reasons.UNREADABLE, claim.device, claim.seq)
        elif kind in _OTHERS:
            _OTHERS[kind](self, device, claim, claim.named)

    def _settle_sale(self, device: Device, claim: Claim, record_id: RecordId) -> None:
        """Whatever a payment by code has reserved under this number is decided now."""
        order = self._book.orders.get(record_id)
        if order is not None:
            self._settle_order(device, claim, order)
            return
        reservation = self._book.reservations.get(record_id)
        transfers, found = settle(claim, reservation, device.merchant_no, self._book.accounts)
        self._changes.transfers += transfers
        for reason in found:
            self._open(reason, claim.device, claim.seq)

    def _settle_order(self, device: Device, claim: Claim, order: Order) -> None:
        before = order.state
        settled = acquirer_orders.settle(claim, order, device.merchant_no, self._book.accounts)
        self._changes.transfers += settled[0]
        if order.state is not before:
            self._changes.orders.append(order)
        for reason in settled[1]:
            self._open(reason, claim.device, claim.seq)

    def _book_intent(self, device: Device, claim: Claim, early: Sequence[Outcome]) -> None:
        intent = Intent(*claim.numbers[:SIGHTING_NUMBERS])
        before_fen, after_fen, flags = claim.numbers[SIGHTING_NUMBERS:]
        amount_fen = intent.amount_fen
        if intent.merchant_no != device.merchant_no:
            self._open(reasons.OTHER_MERCHANT, claim.device, claim.seq)
        if before_fen - amount_fen != after_fen:
            self._open(reasons.BAD_ARITHMETIC, claim.device, claim.seq)
        # A counted PIN try moves the card on like a debit, and is settled like one.
        if (amount_fen == 0) is not bool(flags & messages.FLAG_TRY):
            why = reasons.TRY_OF_MONEY if amount_fen else reasons.NO_AMOUNT
            self._open(why, claim.device, claim.seq)
        self._enter(intent, early)

    def _book_credit(self, _device: Device, claim: Claim, early: Sequence[Outcome]) -> None:
        *sighting, number = claim.numbers
        intent = Intent(*sighting, credit_no=number)
        load = self._book.loads.get(intent.credit_no)
        if load is None or load.what != (intent.card_no, intent.amount_fen):
            self._open(reasons.UNKNOWN_CREDIT, intent.device, intent.seq)
        self._enter(intent, early)

    def _book_lost(self, _device: Device, claim: Claim, _early: Sequence[Outcome]) -> None:
        # Whatever it was, intent or not: one case.
        self._book.lost.add((claim.device, claim.seq))
        self._open(reasons.LOST, claim.device, claim.seq)

    def _enter(self, intent: Intent, early: Sequence[Outcome]) -> None:
        self._book.add_intent(intent)
        self._changes.intents.append(intent)
        if intent.last_device == CARD_CENTRE:
            self._book.named.add((intent.card_no, intent.last_seq))
            self._load(intent, intent.last_seq)
        for outcome in early:
            self._learn(intent, stated_by_outcome(intent, outcome.result))
        for other in self._book.others_near(intent, REACH):
            self._learn(other, stated_by(intent, other))
            self._learn(intent, stated_by(other, intent))

    def _book_outcome(self, claim: Claim) -> None:
        intent_device, intent_seq, result = claim.numbers
        target = intent_device, intent_seq
        intent = self._book.intents.get(target)
        if intent is not None:
            self._learn(intent, stated_by_outcome(intent, result))
            return
        if target in self._book.lost:
            return
        device = self._book.devices.get(target[0])
        # Its own future is no intent, whatever will stand there; nor is a booked record we know
        # to be something else.
        is_own = target[0] == claim.device and target[1] >= claim.seq
        if is_own or (device is not None and target[1] <= device.head_seq):
            self._open(reasons.OUTCOME_OF_NO_INTENT, claim.device, claim.seq)
            return
        outcome = Outcome(claim.device, claim.seq, *target, result)
        self._book.early.setdefault(target, []).append(outcome)
        self._changes.early.append(outcome)

    def _book_cancel(self, device: Device, claim: Claim, fields: Fields) -> None:
        intent = self._book.intents.get(claim.target)
        fault = cancels.fault_of(fields, intent, device.merchant_no)
        if not fault and claim.target in self._book.cancels:
            fault = reasons.CANCELLED_TWICE
        if fault or intent is None:
            self._open(fault, claim.device, claim.seq)
            return
        number = cancels.free_number(*claim.target, self._book.cancel_numbers)
        cancel = Cancel(claim.device, claim.seq, intent.seq, number)
        self._book.cancels[claim.target] = cancel
        self._book.cancel_numbers.add(number)
        self._changes.cancels.append(cancel)
        if intent.state is State.COMMITTED:
            self._give_back(intent)

    def _book_capture(self, _device: Device, claim: Claim, fields: Fields) -> None:
        self._open(reasons.CARD_CAPTURED, claim.device, claim.seq)
        when = fields["earliest_s"], fields["latest_s"]
        capture = Capture(claim.device, claim.seq, fields["card_no"], *when)
        self._changes.captures.append(capture)

    def _book_found(self, _device: Device, claim: Claim, _fields: Fields) -> None:
        self._open(reasons.CARD_FOUND, claim.device, claim.seq)

    def _book_entry(self, _device: Device, claim: Claim, fields: Fields) -> None:
        if fields["reason"] in reasons.ALARMS:
            self._open(reasons.ALARMS[fields["reason"]], claim.device, claim.seq)

    def _book_door(self, _device: Device, claim: Claim, fields: Fields) -> None:
        reason = locks.case_of(fields) or doors.new_case(fields, self._book.door_cases)
        if reason:
            self._open(reason, claim.device, claim.seq)

    def _book_tamper(self, _device: Device, claim: Claim, _fields: Fields) -> None:
        tamper, reason = told_by(claim, self._book.approved)
        self._changes.tampers.append(tamper)
        if reason:
            self._open(reason, claim.device, claim.seq)

    def _book_aggregate(self, device: Device, claim: Claim, fields: Fields) -> None:
        if fields["merchant_no"] != device.merchant_no:
            self._open(reasons.OTHER_MERCHANT, claim.device, claim.seq)

    # --- one intent ----------------------------------------------------------------------------

    def _learn(self, intent: Intent, stated: State) -> None:
        if stated is PENDING:
            return  # nothing
        if intent.state is not PENDING:
            if is_contradiction(intent.state, stated):
                self._open(reasons.CONTRADICTION, intent.device, intent.seq)
            if stated <= intent.state:
                return
        intent.state = stated
        if intent.is_stored:
            self._changes.settled[intent.device, intent.seq] = intent
        if stated is not COMMITTED:
            return
        self._post(intent)
        for rival in self._book.others_near(intent, 0):
            self._learn(rival, stated_by(intent, rival))

    def _post(self, intent: Intent) -> None:
        if intent.credit_no:
            self._load(intent, intent.credit_no)
            if any(
                t.counter != intent.counter and t.state is State.COMMITTED
                for t in self._book.tries[intent.credit_no]
            ):
                self._open(reasons.CREDITED_TWICE, CARD_CENTRE, intent.credit_no)
            return
        if intent.amount_fen == 0:
            return
        for loss in self._book.losses.get(intent.card_no, ()):
            if loss.may_cover(intent.earliest_s, intent.latest_s):
                self._open(reasons.SPENT_WHILE_LOST, intent.device, intent.seq)
                break
        debit = chart.purse(intent.card_no)
        credit = chart.payable(intent.merchant_no)
        if debit not in self._book.accounts:
            debit = chart.suspense(reasons.UNKNOWN_CARD)
            self._open(reasons.UNKNOWN_CARD, intent.device, intent.seq)
        if credit not in self._book.accounts:
            credit = chart.suspense(reasons.UNKNOWN_MERCHANT)
            self._open(reasons.UNKNOWN_MERCHANT, intent.device, intent.seq)
        what = SPEND_LINE, SPEND, debit, credit, intent.amount_fen
        self._changes.transfers.append(Transfer(intent.device, intent.seq, *what))
        if self._book.cancels and (intent.device, intent.seq) in self._book.cancels:
            self._give_back(intent)

    def _give_back(self, intent: Intent) -> None:
        """The sale is booked and cancelled: its money waits for its card from now on."""
        back = cancels.given_back(intent, self._book.accounts)
        self._changes.transfers.append(back)
        bearer, borne_fen = self._book.made_good.get(intent.record_id, (0, 0))
        if borne_fen:
            self._changes.transfers.append(cancels.recovered(back, bearer, borne_fen))
            self._open(reasons.CANCELLED_WHEN_MADE_GOOD, intent.device, intent.seq)
        if chart.purse(intent.card_no) not in self._book.accounts:
            return  # nobody's card; its purse was not debited
        load = self._book.cancels[intent.record_id].load_of(intent, borne_fen)
        if not load.amount_fen:
            return
        self._book.loads[load.number] = load
        self._changes.returned.append(load)
        # Records that are booked anew in another order may have told of it already.
        if (load.card_no, load.number) in self._book.named or any(
            t.card_no == load.card_no and t.state is State.COMMITTED
            for t in self._book.tries[load.number]
        ):
            load.is_loaded = True
            self._changes.loaded.append(load)

    def _load(self, witness: Intent, number: int) -> None:
        """The card carries credit `number`, says `witness`."""
        load = self._book.loads.get(number)
        if load is None or load.card_no != witness.card_no:
            self._open(reasons.UNKNOWN_CREDIT, witness.device, witness.seq)
        elif not load.is_loaded:
            load.is_loaded = True
            self._changes.loaded.append(load)

    def _open(self, reason: int, device: int, seq: int) -> None:
        self._changes.cases.append(Case(reason, device, seq))


# What an early OUTCOME may speak of, and what else changes more than its own row.
_MAY_BE_SPOKEN_OF: dict[int, Callable[[_Clerk, Device, Claim, Sequence[Outcome]], None]] = {
    messages.INTENT: _Clerk._book_intent,
    messages.CREDIT: _Clerk._book_credit,
    messages.LOST: _Clerk._book_lost,
}
_OTHERS: dict[int, Callable[[_Clerk, Device, Claim, Fields], None]] = {
    messages.CANCEL: _Clerk._book_cancel,
    messages.CAPTURE: _Clerk._book_capture,
    messages.CARD_FOUND: _Clerk._book_found,
    messages.ENTRY: _Clerk._book_entry,
    messages.DOOR: _Clerk._book_door,
    messages.TAMPER: _Clerk._book_tamper,
    messages.AGGREGATE: _Clerk._book_aggregate,
}


def _link(claim: Claim, device: Device, before: Link) -> Link | None:
    """What follows `claim` if it is a genuine successor of `before`; None if it is not.

    Neither a LOST record nor the one it names ends an older key: what stands behind them in the
    journal may still be under it. What was checked ahead is believed behind one that holds here
    under the same key: books that came back from a backup may lack it, or have another there.
    """
    if claim.under == device.sure_of and claim.over == before.tag and claim.under >= before.key_no:
        return Link(claim.link, claim.under)
    if claim.sha256 == before.tag:
        return Link(claim.link, before.key_no)
    is_lost, payload = claim.kind == messages.LOST, seal.payload_of(claim.sealed)
    over = messages.LOST_LABEL if is_lost else before.tag
    for key_no in range(before.key_no, len(device.keys)):
        if chain.is_sealed(device.keys[key_no], payload, claim.sealed, over):
            if claim.under == key_no and claim.over == over:
                device.sure_of = key_no
            return Link(claim.link, before.key_no if is_lost else key_no)
    return None
