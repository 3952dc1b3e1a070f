"""The life of a spend (DESIGN section 4): decide, INTENT on flash, debit, OUTCOME on flash.

Rules of this file:
- INTENT stands on flash before the card is written, OUTCOME before anyone is told;
- nothing is written to the journal between an INTENT and its OUTCOME;
- UNKNOWN is neither paid nor unpaid: the card itself says so at its next tap, here or anywhere;
- a PIN is compared only behind a try that the card has counted, which is an INTENT of nothing with
  its OUTCOME: it moves no money, so nothing waits for an unknown one (docs/adr/0013).
"""

from firmware.services.exposure import Exposure
from firmware.services.journal import JournalFull
from protocols.card.pin import NO_PIN, is_pin
from protocols.rules import clock as clock_rules
from protocols.rules import posture, reasons, screens, spending, split
from protocols.rules.spending import tries_left
from protocols.wire import messages

REPEAT_MS = 5000  # a card that pays twice so soon may only have been forgotten on the reader
_CAPTURED_KEY = 2  # of Recorder.keep
_CARD_NO_BYTES = 4
_CAPTURED_BYTES_MAX = 16 * _CARD_NO_BYTES
# For so long who has proven to be the holder may lay the card back, for the same amount.
_PROVEN_MS = 30000
_LOOK_BACK = 96  # records that a boot reads for charges which may be one purchase with the next


class Till:
    """Takes money from cards for one merchant. `card_map` says which are lost; None: nobody.

    pending is the intent whose outcome the card has yet to tell: a dict with seq, card_no,
    counter, amount_fen, after_fen and flags; None if nothing is open.

    barred is why nothing is taken whatever else holds, or APPROVED: services/site.py says it.

    asked is the card whose holder was asked for the PIN, or whom the merchant has to look at: a
    dict with card_no, kind, name (GB2312, empty if not known), amount_fen and tries_left (0:
    look); None if nobody was.
    """

    def __init__(self, recorder, clock, settings, card_map=None):
        self._card_map = card_map
        self._recorder = recorder
        self._clock = clock
        self._device = settings["device"]
        self._merchant_no = settings["merchant_no"]
        self._policy = settings["policy"]
        self._conditions, self._bar = None, reasons.APPROVED
        self._paid_last = None, 0  # the card that paid here last, and when
        self._captured = recorder.kept(_CAPTURED_KEY)  # card numbers, oldest first
        self._exposure = Exposure(recorder, self._policy)
        self._recent = split.Recent(self._device, self._merchant_no)
        self._proven = None  # (card_no, counter, amount_fen, FLAG_PIN or FLAG_IDENTITY, until_ms)
        self.floor = None  # who asks the ledger about spends above the floor limit (floor.py)
        self.pending = None
        self.asked = None
        self.barred = reasons.APPROVED

    def take_up(self, now_ms):
        """After a boot: take up the spend that power went away from, before anything is written.

        An open INTENT is closed as UNKNOWN, and the card is asked for. Returns the INTENT of a
        spend that was paid and that nobody may have seen to be, or such a CODE_SALE or AGGREGATE,
        or None.
        """
        newest = self._recorder.newest()
        if newest is not None and newest["kind"] == messages.CAPTURE:
            self._mark(newest["card_no"], True)
        head_seq = self._recorder.head_seq()
        for seq in range(max(head_seq - _LOOK_BACK, 0), head_seq):
            record = self._recorder.fields(seq + 1)
            if record is not None:
                self._recent.take_up((record,))
        last = self._recorder.last_spend()
        if last is None:
            return None
        intent, result = last
        is_try = intent.get("flags", 0) & messages.FLAG_TRY
        if result == messages.COMMITTED:
            return None if is_try else intent
        if result != messages.NOT_COMMITTED and not is_try:
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
        conditions = (
            power,
            network,
            "room" if self._recorder.has_room() else "full",
            "known" if is_known else "unknown",
        )
        # Twice per tap, and mostly the same as ever: the table is read when they change.
        if conditions != self._conditions:
            stance = posture.of("pos", *conditions)
            self._conditions, self._bar = conditions, posture.BARS.get(stance, reasons.APPROVED)
        return self.barred or self._bar

    def spend(
        self,
        purse,
        cost,
        power,
        network,
        now_ms,
        may_repeat=True,
        pin=None,
        is_holder=False,
    ):
        """(reason, amount_fen, balance_fen): APPROVED and what is left, or why not.

        cost(view, now_ms) is what meals.sell says of the order for this card. The amount is that
        of the pending intent when the card tells that it was paid. Where the posture bars a spend,
        what is pending is settled all the same. PAID_JUST_NOW: the card has paid here within
        REPEAT_MS, and not `may_repeat`.

        ONE_MOMENT: to be called again, for the ledger is being asked (floor.py). PIN_NEEDED,
        PIN_WRONG: to be called again with `pin`, a bytearray of ASCII digits, which
        is zeroed as soon as it may have been counted as a try. IDENTITY_CHECK: to be called again
        with `is_holder` when the merchant says so, else `capture`. Both are for the card in
        `asked` and its amount; SAME_CARD_PLEASE for another card.

        `purse` is a Purse not yet read; it may raise what the card front end raises until
        the INTENT is written, and nothing after. JournalFull: the spend, if begun, is pending.
        Between the INTENT of a try and that of the spend it may raise again.
        """
        view = purse.read()
        if self.pending is not None:
            pending_fen = self.pending["amount_fen"]
            told = self._settle(purse, view, now_ms)
            if told is not None:
                if told == reasons.APPROVED:
                    self._paid_last = view.card_no, now_ms
                return told, pending_fen, view.balance_fen
        period, amount_fen, period_use, meal_flag = cost(view, now_ms)
        if period and not amount_fen:
            self.refuse(period, view.card_no, 0, now_ms)
            return period, 0, view.balance_fen
        card_no, paid_ms = self._paid_last
        if card_no == view.card_no and now_ms - paid_ms < REPEAT_MS and not may_repeat:
            return reasons.PAID_JUST_NOW, amount_fen, view.balance_fen
        asked = self.asked
        if (pin or is_holder) and asked is not None and asked["card_no"] != view.card_no:
            return reasons.SAME_CARD_PLEASE, amount_fen, view.balance_fen
        flags = (messages.FLAG_OFFLINE if network != "online" else 0) | (
            0 if power == "mains" else messages.FLAG_BATTERY
        )
        reason, state, proof = self._decide(view, amount_fen, power, network, now_ms, period)
        if reason == reasons.PIN_NEEDED:
            reason = self._prove(purse, view, amount_fen, flags, now_ms, pin, is_holder)
            if reason == reasons.APPROVED:
                view = purse.read_again()
                reason, state, proof = self._decide(
                    view, amount_fen, power, network, now_ms, period
                )
        if state is None:
            if reason not in (reasons.CARD_GONE, screens.ONE_MOMENT):
                self.refuse(reason, view.card_no, amount_fen, now_ms)
            return reason, amount_fen, view.balance_fen
        flags |= proof | meal_flag
        return self._take(purse, view, amount_fen, flags, now_ms, state + (period_use,))

    def capture(self, now_ms):
        """The merchant says that who is asked is not the holder: the card stays here (R19.4).

        Recorded, and refused by this reader until the card centre has given its tries back.
        Nothing happens when there is no such question.
        """
        asked, self.asked = self.asked, None
        if asked is None or asked["tries_left"]:
            return
        card_no = asked["card_no"]
        try:
            self._recorder.write(
                messages.CAPTURE, now_ms, card_no=card_no, reason=reasons.IDENTITY_CHECK
            )
        except JournalFull:
            pass  # worn flash behind the reserve: refused all the same, and that will be told
        self._mark(card_no, True)

    def is_recent(self, intent, now_ms):
        """APPROVED if a sale (its INTENT) may be cancelled yet, by every clock; or why not."""
        window_s = self._policy["cancel_window_s"]
        when = clock_rules.seconds(self._clock.interval_ms(now_ms))
        since = self._recorder.boot_id, now_ms // 1000, 0
        now = (self._device, split.NOT_YET, 0, 0, 0) + when + since
        least_s, most_s = split.apart_s(split.charge_of(intent), now)
        if most_s < window_s:
            return reasons.APPROVED
        return reasons.CANCEL_TOO_LATE if least_s >= window_s else reasons.CLOCK_UNKNOWN

    def cancelled(self, seq):
        """The sale of INTENT `seq` is cancelled: it is no part of a purchase any more (R19.1)."""
        self._recent.undo(seq)

    def refuse(self, reason, card_no, amount_fen, now_ms):
        """Record a refusal; a full journal loses no more than this line."""
        self._recorder.note(
            messages.REFUSAL, now_ms, card_no=card_no, amount_fen=amount_fen, reason=reason
        )

    def _decide(self, view, amount_fen, power, network, now_ms, period):
        """(reason, state, proof): as spending.decide, and by what the holder is known."""
        # Asked here, not before: settling or a try may have taken the last room.
        reason, state, proof = self.bars(power, network, now_ms), None, 0
        floor, word = self.floor, reasons.APPROVED  # who is not asked says yes
        if reason == reasons.APPROVED and self._is_captured(view):
            reason = reasons.CARD_CAPTURED
        if reason == reasons.APPROVED:
            if self._proven is not None and self._proven[4] >= now_ms:
                if self._proven[:3] == (view.card_no, view.counter, amount_fen):
                    proof = self._proven[3]
            interval_ms = self._clock.interval_ms(now_ms)
            offline = network != "online"
            if not offline and floor and spending.is_asked(self._policy, amount_fen):
                word = floor.word(view, amount_fen, now_ms)
                offline = word == reasons.OFFLINE
            if offline:
                reason = self._exposure.bar(amount_fen, interval_ms)
        if reason == reasons.APPROVED:
            window_s, purchase_fen = self._policy["split_window_s"], 0
            if window_s:
                charge = self._charge(split.NOT_YET, view, amount_fen, now_ms, 0)
                purchase_fen = self._recent.purchase_fen(charge, window_s)
            status, map_s = self._card_map.known(view.card_no) if self._card_map else (0, 0)
            card = view, amount_fen, interval_ms, offline, proof, purchase_fen, status, map_s
            reason, state = spending.decide(self._policy, *card, period)
            if floor and word not in (reasons.APPROVED, reasons.OFFLINE):
                # Only now: nobody is asked about a spend that cannot be.
                if reason in (reasons.APPROVED, reasons.PIN_NEEDED):
                    word = word or floor.ask(view, amount_fen, now_ms)
                    reason, state = word, None
        return reason, state, proof

    def _take(self, purse, view, amount_fen, flags, now_ms, state):
        """INTENT, debit, OUTCOME; what `spend` returns."""
        intent = self._intent(view, amount_fen, flags)
        seq = self._recorder.write(messages.INTENT, now_ms, **intent)
        self._recent.note(self._charge(seq, view, amount_fen, now_ms, flags))
        seconds = clock_rules.seconds(self._clock.interval_ms(now_ms))
        result = purse.debit(view, amount_fen, self._device, seq, self._time_s(now_ms), *state)
        if result != messages.NOT_COMMITTED:
            self._exposure.note(amount_fen, seconds)
            if self.floor:
                self.floor.end()
        self._open(seq, intent)
        self._outcome(seq, result, now_ms, purse.card_proof)
        if result == messages.COMMITTED:
            self.asked = None
            self._paid_last = view.card_no, now_ms
            return reasons.APPROVED, amount_fen, intent["after_fen"]
        reason = reasons.CARD_GONE if result == messages.NOT_COMMITTED else reasons.TAP_AGAIN
        return reason, amount_fen, view.balance_fen

    def _prove(self, purse, view, amount_fen, flags, now_ms, pin, is_holder):
        """APPROVED when it has turned out to be the holder; else what to ask for, or why not."""
        asked, left = self.asked, tries_left(self._policy, view)
        is_asked = asked is not None and asked["amount_fen"] == amount_fen
        if not left:
            if is_asked and is_holder and not asked["tries_left"]:
                self._prove_until(view, view.counter, amount_fen, messages.FLAG_IDENTITY, now_ms)
                return reasons.APPROVED
            return self._ask(view, amount_fen, reasons.IDENTITY_CHECK, purse)
        pin_verifier = purse.pin_verifier()
        if pin_verifier == NO_PIN:
            return reasons.NO_PIN_SET
        if not is_asked or not pin or not is_pin(pin):
            return self._ask(view, amount_fen, reasons.PIN_NEEDED)
        try:
            seq = self._recorder.write(
                messages.INTENT, now_ms, **self._intent(view, 0, flags | messages.FLAG_TRY)
            )
            result = purse.count_try(view, self._device, seq, self._time_s(now_ms))
            self._outcome(seq, result, now_ms, purse.card_proof)
            if result != messages.COMMITTED:
                return reasons.CARD_GONE
            if purse.is_pin(view, pin_verifier, pin):
                self._prove_until(view, view.counter + 1, amount_fen, messages.FLAG_PIN, now_ms)
                return reasons.APPROVED
        finally:
            for place in range(len(pin)):
                pin[place] = 0
        view.pin_tries += 1
        is_last = not tries_left(self._policy, view)
        if is_last:
            return self._ask(view, amount_fen, reasons.IDENTITY_CHECK, purse)
        return self._ask(view, amount_fen, reasons.PIN_WRONG)

    def _prove_until(self, view, counter, amount_fen, flag, now_ms):
        self.asked = None
        self._proven = (view.card_no, counter, amount_fen, flag, now_ms + _PROVEN_MS)

    def _ask(self, view, amount_fen, reason, purse=None):
        """What is asked for; with `purse`, whom to look for is read from the card."""
        self.asked = {
            "name": purse.holder_name() if purse else b"",
            "card_no": view.card_no,
            "kind": view.kind,
            "amount_fen": amount_fen,
            "tries_left": tries_left(self._policy, view),
        }
        return reason

    def _is_captured(self, view):
        """Whether this reader took the card from somebody and the centre has not seen it since."""
        if not self._place_of(view.card_no):
            return False
        if not tries_left(self._policy, view):
            return True
        self._mark(view.card_no, False)
        return False

    def _mark(self, card_no, is_captured):
        """Keep whether a card is captured; of too many the oldest is forgotten.

        On worn flash it holds until the next boot, which has the CAPTURE or not.
        """
        kept, place = self._captured, self._place_of(card_no)
        if place:
            kept = kept[: place - 1] + kept[place - 1 + _CARD_NO_BYTES :]
        if is_captured:
            kept += card_no.to_bytes(_CARD_NO_BYTES, "big")
        self._captured = kept[-_CAPTURED_BYTES_MAX:]
        try:
            self._recorder.keep(_CAPTURED_KEY, self._captured)
        except JournalFull:
            pass

    def _place_of(self, card_no):
        """From 1 on, where a card stands among the captured ones; 0: it does not."""
        name = card_no.to_bytes(_CARD_NO_BYTES, "big")
        for at in range(0, len(self._captured), _CARD_NO_BYTES):
            if self._captured[at : at + _CARD_NO_BYTES] == name:
                return at + 1
        return 0

    def _intent(self, view, amount_fen, flags):
        return {
            "card_no": view.card_no,
            "counter": view.counter,
            "amount_fen": amount_fen,
            "before_fen": view.balance_fen,
            "after_fen": view.balance_fen - amount_fen,
            "merchant_no": self._merchant_no,
            "last_device": view.last_device,
            "last_seq": view.last_seq,
            "flags": flags,
        }

    def _charge(self, seq, view, amount_fen, now_ms, flags):
        """What rules/split.py calls a charge."""
        when = clock_rules.seconds(self._clock.interval_ms(now_ms))
        since = self._recorder.boot_id, now_ms // 1000
        own = self._device, seq, view.card_no, self._merchant_no, amount_fen
        return own + when + since + (flags,)

    def _time_s(self, now_ms):
        return clock_rules.seconds(self._clock.interval_ms(now_ms))[0]

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
            self._exposure.undo(pending["amount_fen"])
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
            "flags": intent["flags"],
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
        if result == messages.NOT_COMMITTED:
            self._recent.undo(seq)
        if result != messages.UNKNOWN:
            self.pending = None
