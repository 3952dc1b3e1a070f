"""The purse of a card in the field: read it, take money off it, and never be wrong about which.

A debit ends in one of three ways, and the journal records which:

    COMMITTED      the card has said so
    NOT_COMMITTED  what makes it final was never sent, or the card has been read since: the old
                   state still rules, whatever else was written
    UNKNOWN        it was sent and not answered; the next read of the card, anywhere, tells

What is final on a MIFARE Classic stands in purse_classic.py, on a DESFire in purse_desfire.py;
which of them a card has, in purses.py.
"""

COMMITTED = 1
NOT_COMMITTED = 2
UNKNOWN = 3

_TRIES = 2


class Mismatch(Exception):
    """The card does not hold what it should: used elsewhere in between, or a write got lost."""


class Purse:
    """The purse on one card; a kind of card gives the steps at the end, and its PIN keys.

    `fault` is the last exception that disturbed the last debit, or None. `card_proof` is what the
    card gives the ledger of the last debit (bytes, see messages.OUTCOME), empty if it gives none.
    `shown` is what the card shows now (card_no, counter, last_device, last_seq), None if that is
    not known; `chip` its kind, as messages.LOAD_ASK has it.
    """

    chip = 0

    def __init__(self, pcd, card):
        self._pcd = pcd
        self._card = card
        self._fresh = None  # (session, proof) that a debit may rely on without looking again
        self._result = NOT_COMMITTED
        self._pin_keys = ()
        self.fault = None
        self.card_proof = b""
        self.shown = None

    def read(self):
        """The PurseView of the card (protocols.card.purse).

        CardGone, AuthFailed (not our keys), ForeignCard (not our card, or not as we make them),
        CardRefused, BusFault.
        """
        view = self._look()
        self._fresh = (self._pcd.session, view.proof)
        self.shown = (view.card_no, view.counter, view.last_device, view.last_seq)
        return view

    def read_again(self):
        """As `read`, of a card that this purse has read or changed before."""
        self._pcd.select(self._card)
        return self.read()

    def proof_of(self, _view):
        """The card_proof of the last debit that the view just read shows; empty if it has none."""
        return b""

    def debit(
        self,
        view,
        amount_fen,
        device,
        seq,
        time_s,
        day,
        day_total_fen,
        since_pin_fen,
        since_pin_count,
        pin_tries=None,
        period_use=None,
    ):
        """Take `amount_fen` off the card that `view` (PurseView) was read from.

        The last six are the card's spend state as it shall stand afterwards (None: as it is).
        Returns COMMITTED, NOT_COMMITTED (also for a view that is out of date) or
        UNKNOWN. ValueError (amount, range) comes before the card is touched; afterwards nothing is
        raised.
        """
        if pin_tries is None:
            pin_tries = view.pin_tries
        if period_use is None:
            period_use = view.period_use
        usage = (day, day_total_fen, since_pin_fen, since_pin_count, pin_tries, period_use)
        plan = self._plan(view, amount_fen, device, seq, time_s, usage)
        result = self._carry_out(view, plan)
        if result == COMMITTED:
            self.shown = (view.card_no, view.counter + 1, device, seq)
        return result

    def count_try(self, view, device, seq, time_s):
        """Count one more PIN try on the card: a debit of nothing, with the same results.

        ValueError, before the card is touched, for a counter or a count of tries at its end.
        """
        plan = self._plan_tries(view, view.pin_tries + 1, device, seq, time_s)
        return self._carry_out(view, plan)

    def is_pin(self, view, pin_verifier, digits):
        """Whether `digits` are the PIN that `pin_verifier`, read from this card, stands for."""
        for keys in self._pin_keys:
            if keys.verifier(view, digits) == pin_verifier:
                return True
        return False

    def _carry_out(self, view, plan):
        """COMMITTED, NOT_COMMITTED or UNKNOWN of what `plan` wants to make of `view`."""
        self.fault = None
        self.card_proof = b""
        self.shown = None
        self._result = NOT_COMMITTED
        is_fresh = self._fresh == (self._pcd.session, view.proof)
        self._fresh = None
        for attempt in range(_TRIES):
            try:
                if attempt or not is_fresh:
                    self._rejoin(view)
                # Nothing of this rules before the commit: to do it again does no harm.
                self._prepare(plan)
                self._commit(plan)
            # Once the card may have changed, whatever happens has to become a result, memory
            # that runs out too: the dialogue is behind us and its memory is free again.
            except Exception as error:  # noqa: BLE001
                self.fault = error
            if self._result != NOT_COMMITTED:
                break
        if self._result == UNKNOWN:
            try:
                self._finish(view, plan)
            except Exception as error:  # noqa: BLE001
                self.fault = error
        return self._result

    # -- what a kind of card gives ------------------------------------------------------------

    def _look(self):
        """The PurseView, read anew from a card that was just selected."""
        raise TypeError("of no kind")

    def _plan(self, _view, _amount_fen, _device, _seq, _time_s, _usage):
        """What a debit writes; ValueError for what cannot be."""

    def _plan_tries(self, _view, _pin_tries, _device, _seq, _time_s):
        """What a counted try writes; ValueError for what cannot be."""

    def pin_verifier(self):
        """What the card, just read, holds of its PIN (protocols.card.pin); NO_PIN for none.

        Errors as of `read`.
        """
        raise TypeError("of no kind")

    def holder_name(self):
        """The name of the holder on the card, just read (protocols.card.holder).

        Empty where there is none, and where the card does not say it: nobody waits for that.
        """
        raise TypeError("of no kind")

    def _rejoin(self, _view):
        """Select the card again; Mismatch when it is not as `view` says."""

    def _prepare(self, _plan):
        """Everything of a debit that does not make it final."""

    def _commit(self, _plan):
        """What does: `_result` is UNKNOWN from before it is sent until the card has said so."""

    def _finish(self, _view, _plan):
        """Find out what became of an unanswered commit, and do it if it was not done."""
