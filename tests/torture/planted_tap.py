"""Bugs that a POS could have had, each planted over the product's code for the length of a test.

What a bug changes is one decision of purse, till or recorder; everything around it stays. Nothing
of this is in the product: `PLANTED[name](monkeypatch)` puts a bug in, and the test takes it out.
"""

import copy

from firmware.services import purse_classic as purse
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from firmware.services.purse_classic import ClassicPurse
from firmware.services.records import Recorder
from firmware.services.till import Till
from protocols.card import purse_classic
from protocols.rules import reasons
from protocols.wire import messages

STATE_FIELDS_BYTES = 11

# -- the order of things --------------------------------------------------------------------------


def intent_after_debit(monkeypatch):
    """The INTENT goes to flash only when the card has been written."""
    write = Recorder.write

    def late(self, kind, now_ms, **fields):
        if kind == messages.INTENT:
            self.held = fields
            return self.head_seq() + 1
        if vars(self).get("held"):
            held, self.held = self.held, None
            write(self, messages.INTENT, now_ms, **held)
        return write(self, kind, now_ms, **fields)

    monkeypatch.setattr(Recorder, "write", late)


def told_before_outcome(monkeypatch):
    """People are told first; the OUTCOME of a sale goes to flash with whatever comes next."""
    write = Recorder.write

    def late(self, kind, now_ms, **fields):
        if vars(self).get("held"):
            held, self.held = self.held, None
            write(self, messages.OUTCOME, now_ms, **held)
        if kind == messages.OUTCOME:
            self.held = fields
            return self.head_seq() + 1
        return write(self, kind, now_ms, **fields)

    monkeypatch.setattr(Recorder, "write", late)


def commit_before_backup(monkeypatch):
    """The state that makes the new slot rule is written before the value and the record of it."""
    prepare, commit = ClassicPurse._prepare, ClassicPurse._commit

    def commit_first(self, plan):
        commit(self, plan)
        prepare(self, plan)

    monkeypatch.setattr(ClassicPurse, "_prepare", lambda *_: None)
    monkeypatch.setattr(ClassicPurse, "_commit", commit_first)


# -- what became of a debit -----------------------------------------------------------------------


def _unknown_becomes(result):
    def plant(monkeypatch):
        debit = ClassicPurse.debit

        def sure(self, *spend):
            told = debit(self, *spend)
            return result if told == UNKNOWN else told

        monkeypatch.setattr(ClassicPurse, "debit", sure)

    return plant


def debit_again_when_unsure(monkeypatch):
    """A commit that was not acknowledged is made good by a whole new debit of what is read now."""
    debit = ClassicPurse.debit

    def twice(self, view, *spend):
        result = debit(self, view, *spend)
        if result != UNKNOWN:
            return result
        try:
            self._classic.reselect()
            return debit(self, self.read(), *spend)
        except Exception:  # noqa: BLE001
            return UNKNOWN

    monkeypatch.setattr(ClassicPurse, "_finish", lambda *_: None)
    monkeypatch.setattr(ClassicPurse, "debit", twice)


def outcome_of_the_transfer(monkeypatch):
    """The new value has arrived on the card: that is taken for the end of the debit."""
    prepare = ClassicPurse._prepare

    def sure(self, plan):
        prepare(self, plan)
        self._result = COMMITTED

    monkeypatch.setattr(ClassicPurse, "_prepare", sure)


def mac_not_checked(monkeypatch):
    """Whatever stands in a state block is taken for sealed."""
    decode_card = purse.decode_card

    def trusting(uid, blocks, mac):
        fields = bytes(blocks[purse_classic.IDENTITY_BLOCK])[: purse_classic.FIELDS_BYTES]
        resealed = dict(blocks)
        for slot, number in enumerate(purse_classic.STATE_BLOCKS):
            state = bytes(blocks[number])[:STATE_FIELDS_BYTES]
            value = purse_classic.decode_value(blocks[purse_classic.VALUE_BLOCKS[slot]])
            if value is not None and value >= 0:
                record = bytes(blocks[purse_classic.RECORD_BLOCKS[slot]])
                seal = mac.digest(uid + fields + state + value.to_bytes(4, "big") + record)
                resealed[number] = (state + seal)[: purse_classic.BLOCK_BYTES]
        view = decode_card(uid, resealed, mac)
        view.proof.states = tuple(bytes(blocks[number]) for number in purse_classic.STATE_BLOCKS)
        return view

    monkeypatch.setattr(purse, "decode_card", trusting)


# -- what the card says at the next tap -----------------------------------------------------------


def counter_not_compared(monkeypatch):
    """A card whose last spend is not ours was not debited, however far its counter has moved."""
    settle = Till._settle

    def by_record(self, purse, view, now_ms):
        ours = (view.last_device, view.last_seq) == (self._device, self.pending["seq"])
        seen = copy.copy(view)
        seen.counter = self.pending["counter"] + ours
        return settle(self, purse, seen, now_ms)

    monkeypatch.setattr(Till, "_settle", by_record)


def record_not_compared(monkeypatch):
    """A counter that has moved by one has been moved by us."""
    settle = Till._settle

    def by_counter(self, purse, view, now_ms):
        seen = copy.copy(view)
        seen.last_device, seen.last_seq = self._device, self.pending["seq"]
        return settle(self, purse, seen, now_ms)

    monkeypatch.setattr(Till, "_settle", by_counter)


def settled_and_charged_again(monkeypatch):
    """The card says that it has paid, and the amount is taken all the same."""
    settle = Till._settle

    def greedy(self, purse, view, now_ms):
        told = settle(self, purse, view, now_ms)
        return None if told == reasons.APPROVED else told

    monkeypatch.setattr(Till, "_settle", greedy)


def settled_with_wrong_amount(monkeypatch):
    """What is pending is what was left on the card, not what was to be paid."""
    opened = Till._open

    def mixed_up(self, seq, intent):
        opened(self, seq, intent)
        self.pending["amount_fen"] = intent["after_fen"]

    monkeypatch.setattr(Till, "_open", mixed_up)


def last_spend_not_recorded(monkeypatch):
    """An INTENT does not say which spend the card named: no other reader's can be resolved."""
    write = Recorder.write

    def forgetful(self, kind, now_ms, **fields):
        if kind == messages.INTENT:
            fields["last_device"] = fields["last_seq"] = 0
        return write(self, kind, now_ms, **fields)

    monkeypatch.setattr(Recorder, "write", forgetful)


# -- after a boot ---------------------------------------------------------------------------------


def _take_up(change):
    def plant(monkeypatch):
        take_up = Till.take_up

        def changed(self, now_ms):
            return change(self, take_up(self, now_ms))

        monkeypatch.setattr(Till, "take_up", changed)

    return plant


def _forget_pending(till, paid):
    till.pending = None
    return paid


def _open_intent_becomes(result):
    """A spend whose end nobody saw is written down as if somebody had."""

    def plant(monkeypatch):
        write = Recorder.write

        def sure(self, kind, now_ms, **fields):
            if kind == messages.OUTCOME and fields["result"] == messages.UNKNOWN:
                fields["result"] = result
            return write(self, kind, now_ms, **fields)

        monkeypatch.setattr(Recorder, "write", sure)

    return plant


def outcome_of_another_intent(monkeypatch):
    """The outcome names the record before its intent."""
    outcome = Till._outcome

    def beside(self, seq, result, now_ms, card_proof=b""):
        outcome(self, seq - 1, result, now_ms, card_proof)

    monkeypatch.setattr(Till, "_outcome", beside)


PLANTED = {
    "intent after debit": intent_after_debit,
    "told before the outcome": told_before_outcome,
    "commit before backup": commit_before_backup,
    "torn taken for paid": _unknown_becomes(COMMITTED),
    "torn taken for unpaid": _unknown_becomes(NOT_COMMITTED),
    "debit again when unsure": debit_again_when_unsure,
    "outcome of the transfer": outcome_of_the_transfer,
    "MAC not checked": mac_not_checked,
    "counter not compared": counter_not_compared,
    "record not compared": record_not_compared,
    "settled and charged again": settled_and_charged_again,
    "settled with wrong amount": settled_with_wrong_amount,
    "last spend not recorded": last_spend_not_recorded,
    "pending forgotten at boot": _take_up(_forget_pending),
    "LAST PAID not told": _take_up(lambda _till, _paid: None),
    "open intent taken for paid": _open_intent_becomes(messages.COMMITTED),
    "open intent taken for unpaid": _open_intent_becomes(messages.NOT_COMMITTED),
    "outcome of another intent": outcome_of_another_intent,
}
