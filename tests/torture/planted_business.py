"""Bugs in what a campus does beside selling lunch by Classic cards, planted like the others.

What a bug changes is one decision; everything around it stays. `PLANTED[name](monkeypatch)` puts
it in, and the test takes it out.
"""

from dataclasses import replace

from firmware.services import load
from firmware.services.load import Load
from ledger import booking
from ledger.evidence import Intent, State
from ledger.topups import TopUps
from protocols.wire import messages, seal
from tests.torture import planted_desfire

# -- DESFire cards --------------------------------------------------------------------------------

_OF_DESFIRE = (
    "unknown taken for paid",
    "unknown taken for unpaid",
    "counter stands still",
)

# -- loads ----------------------------------------------------------------------------------------


def load_written_twice(monkeypatch):
    """The ledger forgets which of its credits may have come on a card already."""
    next_of = TopUps.next_of

    def next_untried(self, card_no, counter):
        pending = next_of(self, card_no, counter)
        return pending and replace(pending, tries=())

    monkeypatch.setattr(TopUps, "next_of", next_untried)


def load_outcome_lost(monkeypatch):
    """When the OUTCOME of a credit is lost, the ledger does not look at what its card names."""
    load_it = booking._Clerk._load

    def load_own(self, intent, number):
        if intent.credit_no == number:
            load_it(self, intent, number)

    monkeypatch.setattr(booking._Clerk, "_load", load_own)
    monkeypatch.setattr(Intent, "mark", property(lambda self: self.record_id))


def unknown_load_taken_for_done(monkeypatch):
    """The ledger counts a credit as loaded when its reader cannot say what became of it."""
    stated = booking.stated_by_outcome

    def stated_surely(about, result):
        is_open = about.credit_no and result != messages.COMMITTED
        return State.COMMITTED if is_open else stated(about, result)

    monkeypatch.setattr(booking, "stated_by_outcome", stated_surely)


def old_order_carried_out(monkeypatch):
    """A reader carries out any order for the card it has asked about, however old that is."""

    def take_any(self, said, now_ms):
        order, self._credit_key = load.open_order(self._board, self._device_key, said["order"])
        self._offer = {**order, "counter": self._shown[1]}
        self._state, self._until_ms = load._READY, now_ms + load._CARD_MS
        return ""

    def hear_any(self, sealed, now_ms):
        key = self._key or seal.derive(self._device_key, messages.RELAY_LABEL)
        said = messages.decode_relayed(
            seal.unseal(key, sealed, messages.RELAY_DOWN), load._FROM_LEDGER
        )
        if said["kind"] == messages.LOAD_ORDER and self._state == load._ASKED:
            return take_any(self, said, now_ms)
        return hear(self, sealed, now_ms)

    hear = Load.hear
    monkeypatch.setattr(Load, "hear", hear_any)


PLANTED = {
    **{f"DESFire: {name}": planted_desfire.PLANTED[name] for name in _OF_DESFIRE},
    "load written twice": load_written_twice,
    "load OUTCOME lost": load_outcome_lost,
    "unknown load taken for done": unknown_load_taken_for_done,
    "old order carried out": old_order_carried_out,
}
