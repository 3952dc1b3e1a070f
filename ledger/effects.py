"""What a record that stands in its chain changes in the books: the second half of booking.

Rules of this file. Verdicts are those of ledger/evidence.py and hang on no order. Money that was
paid in for a card moves to its purse when the first record says that it is on the card: as an
outcome, or because the card names it. Its number makes that happen once. What cannot be right is
booked as it was sealed and opens a case.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ledger import acquirer_orders, cancels, chart, doors, locks, reasons
from ledger.acquirer_orders import Order
from ledger.book import Book, Case, Changes, Device, Outcome, RecordId
from ledger.cancels import Cancel
from ledger.card_status import Capture
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
from protocols.wire import messages

Fields = dict[str, Any]  # of a record, by name
_OF_CARDS = messages.INTENT, messages.OUTCOME  # nearly all records; of others more may be kept
# Within so many steps of a card's counter one intent may state something about another.
REACH = 2


class Effects:
    """Notes in `changes` what records change, and in `book` what the next ones have to know."""

    def __init__(self, book: Book, changes: Changes) -> None:
        self._book = book
        self._changes = changes
        self._sales = book.reservations.keys() | book.orders.keys()

    # --- one record ----------------------------------------------------------------------------

    def of_spend(self, device: Device, intent: Intent, result: int) -> None:
        """An INTENT that adds up and the OUTCOME behind it (ledger/runs.py), at once."""
        early: Sequence[Outcome] = ()
        if self._book.early:
            early = self._told_early(intent.record_id)
            self._blame(self._told_early((intent.device, intent.seq + 1)))
        self._enter_spend(device, intent, early)
        self._learn(intent, stated_by_outcome(intent, result))

    def of_record(self, device: Device, claim: Claim) -> None:
        """Any record of `device`: the one at its head, or one of the run that ends there."""
        record_id, kind = (claim.device, claim.seq), claim.kind
        if kind not in _OF_CARDS:
            self._changes.others.append(claim)
        early = self._told_early(record_id) if self._book.early else ()
        if kind == messages.CODE_SALE or record_id in self._sales:
            self._settle_sale(device, claim, record_id)
        if kind in _MAY_BE_SPOKEN_OF:
            _MAY_BE_SPOKEN_OF[kind](self, device, claim, early)
            return
        self._blame(early)
        if kind == messages.OUTCOME:
            self._book_outcome(claim)
        elif claim.named is None:
            self._open(reasons.UNREADABLE, claim.device, claim.seq)
        elif kind in _OTHERS:
            _OTHERS[kind](self, device, claim, claim.named)

    def _told_early(self, record_id: RecordId) -> Sequence[Outcome]:
        """The OUTCOMEs that have waited for this record."""
        early = self._book.early.pop(record_id, ())
        self._changes.no_longer_early += early
        return early

    def _blame(self, early: Sequence[Outcome]) -> None:
        for outcome in early:
            self._open(reasons.OUTCOME_OF_NO_INTENT, outcome.device, outcome.seq)

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
        if before_fen - amount_fen != after_fen:
            self._open(reasons.BAD_ARITHMETIC, claim.device, claim.seq)
        # A counted PIN try moves the card on like a debit, and is settled like one.
        if (amount_fen == 0) is not bool(flags & messages.FLAG_TRY):
            why = reasons.TRY_OF_MONEY if amount_fen else reasons.NO_AMOUNT
            self._open(why, claim.device, claim.seq)
        self._enter_spend(device, intent, early)

    def _enter_spend(self, device: Device, intent: Intent, early: Sequence[Outcome]) -> None:
        if intent.merchant_no != device.merchant_no:
            self._open(reasons.OTHER_MERCHANT, intent.device, intent.seq)
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
_MAY_BE_SPOKEN_OF: dict[int, Callable[[Effects, Device, Claim, Sequence[Outcome]], None]] = {
    messages.INTENT: Effects._book_intent,
    messages.CREDIT: Effects._book_credit,
    messages.LOST: Effects._book_lost,
}
_OTHERS: dict[int, Callable[[Effects, Device, Claim, Fields], None]] = {
    messages.CANCEL: Effects._book_cancel,
    messages.CAPTURE: Effects._book_capture,
    messages.CARD_FOUND: Effects._book_found,
    messages.ENTRY: Effects._book_entry,
    messages.DOOR: Effects._book_door,
    messages.TAMPER: Effects._book_tamper,
    messages.AGGREGATE: Effects._book_aggregate,
}
