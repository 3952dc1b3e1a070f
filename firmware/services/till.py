"""The life of a spend (DESIGN section 4): decide, INTENT on flash, debit, OUTCOME on flash.

Rules of this file:
- INTENT stands on flash before the card is written, OUTCOME before anyone is told;
- nothing is written to the journal between an INTENT and its OUTCOME;
- UNKNOWN is neither paid nor unpaid: the card itself says so at its next tap, here or anywhere.
"""

from firmware.services.journal import JournalFull
from protocols.rules import clock as clock_rules
from protocols.rules import posture, reasons, spending
from protocols.wire import messages

REPEAT_MS = 5000  # a card that pays twice so soon may only have been forgotten on the reader


class Till:
    """Takes money from cards for one merchant.

    pending is the intent whose outcome the card has yet to tell: a dict with seq, card_no,
    counter, amount_fen and after_fen; None if nothing is open.
    """

    def __init__(self, recorder, clock, settings):
        self._recorder = recorder
        self._clock = clock
        self._device = settings["device"]
        self._merchant_no = settings["merchant_no"]
        self._policy = settings["policy"]
        self._paid_last = None, 0  # the card that paid here last, and when
        self.pending = None

    def take_up(self, now_ms):
        """After a boot: take up the spend that power went away from, before anything is written.

        An open INTENT is closed as UNKNOWN, and the card is asked for. Returns the INTENT of a
        spend that was paid and that nobody may have seen to be, or None.
        """
        last = self._recorder.last_spend()
        if last is None:
            return None
        intent, result = last
        if result == messages.COMMITTED:
            return intent
        if result != messages.NOT_COMMITTED:
            self._open(intent["seq"], intent)
        if result is None:
            try:
                self._outcome(intent["seq"], messages.UNKNOWN, now_ms)
            except JournalFull:
                pass  # the uplink has to run to make room, and the card tells anyway
        return None

    def bars(self, power, network, now_ms):
        """Why nothing could be taken from any card now, or APPROVED; words of rules/posture.py."""
        is_known = clock_rules.is_known(
            self._clock.interval_ms(now_ms), self._policy["clock_width_max_ms"]
        )
        stance = posture.of(
            "pos",
            power,
            network,
            "room" if self._recorder.has_room() else "full",
            "known" if is_known else "unknown",
        )
        return posture.BARS.get(stance, reasons.APPROVED)

    def spend(self, purse, cost, power, network, now_ms, may_repeat=True):
        """(reason, amount_fen, balance_fen): APPROVED and what is left, or why not.

        cost(kind, now_ms) is (0, fen) of what is to be paid by a card of this kind, or (why not,
        0). The amount is that of the pending intent when the card tells that it was paid. Where
        the posture bars a spend, what is pending is settled all the same. PAID_JUST_NOW: the card
        has paid here within REPEAT_MS, and not `may_repeat`.

        `purse` is a Purse not yet read; it may raise what the card front end raises until
        the INTENT is written, and nothing after. JournalFull: the spend, if begun, is pending.
        """
        view = purse.read()
        if self.pending is not None:
            pending_fen = self.pending["amount_fen"]
            told = self._settle(purse, view, now_ms)
            if told is not None:
                if told == reasons.APPROVED:
                    self._paid_last = view.card_no, now_ms
                return told, pending_fen, view.balance_fen
        why_not, amount_fen = cost(view.kind, now_ms)
        if why_not:
            return why_not, 0, view.balance_fen
        card_no, paid_ms = self._paid_last
        if card_no == view.card_no and now_ms - paid_ms < REPEAT_MS and not may_repeat:
            return reasons.PAID_JUST_NOW, amount_fen, view.balance_fen
        told = self._spend(purse, view, amount_fen, power, network, now_ms)
        if told[0] == reasons.APPROVED:
            self._paid_last = view.card_no, now_ms
        return told

    def refuse(self, reason, card_no, amount_fen, now_ms):
        """Record a refusal; a full journal loses no more than this line."""
        self._recorder.note(
            messages.REFUSAL, now_ms, card_no=card_no, amount_fen=amount_fen, reason=reason
        )

    def _spend(self, purse, view, amount_fen, power, network, now_ms):
        interval_ms = self._clock.interval_ms(now_ms)
        offline = network != "online"
        # Asked here, not before: settling may have taken the last room.
        reason, state = self.bars(power, network, now_ms), None
        if reason == reasons.APPROVED:
            reason, state = spending.decide(self._policy, view, amount_fen, interval_ms, offline)
        if state is None:
            self.refuse(reason, view.card_no, amount_fen, now_ms)
            return reason, amount_fen, view.balance_fen
        intent = {
            "card_no": view.card_no,
            "counter": view.counter,
            "amount_fen": amount_fen,
            "before_fen": view.balance_fen,
            "after_fen": view.balance_fen - amount_fen,
            "merchant_no": self._merchant_no,
            "last_device": view.last_device,
            "last_seq": view.last_seq,
            "flags": (messages.FLAG_OFFLINE if offline else 0)
            | (0 if power == "mains" else messages.FLAG_BATTERY),
        }
        seq = self._recorder.write(messages.INTENT, now_ms, **intent)
        time_s = clock_rules.seconds(interval_ms)[0]
        result = purse.debit(view, amount_fen, self._device, seq, time_s, *state)
        self._open(seq, intent)
        self._outcome(seq, result, now_ms, purse.card_proof)
        if result == messages.COMMITTED:
            return reasons.APPROVED, amount_fen, intent["after_fen"]
        reason = reasons.CARD_GONE if result == messages.NOT_COMMITTED else reasons.TAP_AGAIN
        return reason, amount_fen, view.balance_fen

    def _settle(self, purse, view, now_ms):
        """What the card says of the pending intent: the reason to show, or None to go on.

        Same card, counter moved on by one, and our record is its last: the debit is on the card.
        Counter unmoved: it is not, and the amount is still to be taken. Counter further on: the
        card was somewhere else since, and the ledger will tell from what it met there.
        """
        pending = self.pending
        if view.card_no != pending["card_no"]:
            return reasons.SAME_CARD_PLEASE
        if view.counter == pending["counter"]:
            self._outcome(pending["seq"], messages.NOT_COMMITTED, now_ms)
            return None
        ours = (view.last_device, view.last_seq) == (self._device, pending["seq"])
        if view.counter == pending["counter"] + 1 and ours:
            proof = purse.proof_of(view)
            self._outcome(pending["seq"], messages.COMMITTED, now_ms, proof)
            return reasons.APPROVED
        self.pending = None
        return reasons.ASK_LEDGER

    def _open(self, seq, intent):
        self.pending = {
            "seq": seq,
            "card_no": intent["card_no"],
            "counter": intent["counter"],
            "amount_fen": intent["amount_fen"],
            "after_fen": intent["after_fen"],
        }

    def _outcome(self, seq, result, now_ms, card_proof=b""):
        self._recorder.write(
            messages.OUTCOME,
            now_ms,
            intent_device=self._device,
            intent_seq=seq,
            result=result,
            card_proof=card_proof,
        )
        if result != messages.UNKNOWN:
            self.pending = None
