"""Bugs in what a campus does beside selling lunch by Classic cards, planted like the others.

What a bug changes is one decision; everything around it stays. `PLANTED[name](monkeypatch)` puts
it in, and the test takes it out.
"""

from dataclasses import replace
from itertools import count

from firmware.services import cancel, card_map
from firmware.services.card_map import CardMap
from ledger import booking, chart, effects, loading, reservations
from ledger.code_sales import CodeSales
from ledger.evidence import Intent
from ledger.reservations import Settled
from ledger.topups import TopUps
from ledger.transfers import CANCEL, Transfer
from protocols.wire import messages
from tests.torture import planted_desfire

# -- DESFire cards --------------------------------------------------------------------------------

_OF_DESFIRE = ("unknown taken for unpaid",)

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
    load_it = effects.Effects._load

    def load_own(self, intent, number):
        if intent.credit_no == number:
            load_it(self, intent, number)

    monkeypatch.setattr(effects.Effects, "_load", load_own)
    monkeypatch.setattr(Intent, "mark", property(lambda self: self.record_id))


# -- cancels --------------------------------------------------------------------------------------


class _NoCancels:
    """A recorder that has forgotten what was cancelled."""

    def __init__(self, recorder):
        self._recorder = recorder

    def fields(self, seq):
        record = self._recorder.fields(seq)
        is_cancel = record is not None and record["kind"] == messages.CANCEL
        return {**record, "kind": messages.BOOT} if is_cancel else record

    def __getattr__(self, name):
        return getattr(self._recorder, name)


def cancelled_twice(monkeypatch):
    """A reader cancels its last sale as often as the clerk asks for it."""
    find = cancel.find

    def find_again(recorder, till, power, network, now_ms, card_no=0, amount_fen=0):
        return find(_NoCancels(recorder), till, power, network, now_ms, card_no, amount_fen)

    monkeypatch.setattr(cancel, "find", find_again)


def cancel_paid_twice(monkeypatch):
    """The ledger gives the money back once more when a CANCEL it has booked comes again."""
    compare, lines = booking._Clerk._compare, count(100)

    def compare_and_give(self, device, claim):
        before = self._changes.duplicates
        compare(self, device, claim)
        if self._changes.duplicates > before and claim.kind == messages.CANCEL:
            payable, pending = chart.payable(device.merchant_no), claim.fields["card_no"]
            back = chart.pending(pending), claim.fields["amount_fen"]
            self._changes.transfers.append(
                Transfer(claim.device, claim.seq, next(lines), CANCEL, payable, *back)
            )

    monkeypatch.setattr(booking._Clerk, "_compare", compare_and_give)


# -- lost cards -----------------------------------------------------------------------------------


def map_forgotten_at_boot(monkeypatch):
    """A reader that boots knows nothing of lost cards until it is told anew."""
    monkeypatch.setattr(card_map, "_KEPT_KEY", 6)
    keep = CardMap._use

    def use_for_now(self, held, now_ms):
        told = keep(self, held, now_ms)
        if now_ms:
            self._recorder.keep(3, self._recorder.kept(6))
        else:
            self._held = None
        return told

    monkeypatch.setattr(CardMap, "_use", use_for_now)


def late_spend_is_no_case(monkeypatch):
    """The ledger does not look whether a card was lost when it was spent from."""
    monkeypatch.setattr(loading, "losses_of", lambda _changes: {})


# -- payment codes --------------------------------------------------------------------------------


def code_settled_twice(monkeypatch):
    """The ledger gives back what was reserved some time ago, and a sale may come all the same."""
    ask = CodeSales.ask

    def ask_and_tidy(self, what, seed_of, interval_ms, policy):
        for sale in self.open_since(interval_ms[0] // 1000 - 20):
            self.settle(sale.number, Settled.VOID)
        return ask(self, what, seed_of, interval_ms, policy)

    monkeypatch.setattr(CodeSales, "ask", ask_and_tidy)


def boot_sells(monkeypatch):
    """The ledger takes whatever stands where a sale was to stand for that sale."""
    told_by = reservations.told_by

    def told_by_anything(claim, reservation):
        told = told_by(claim, reservation)
        return Settled.SOLD if told is Settled.VOID else told

    monkeypatch.setattr(reservations, "told_by", told_by_anything)


PLANTED = {
    **{f"DESFire: {name}": planted_desfire.PLANTED[name] for name in _OF_DESFIRE},
    "load written twice": load_written_twice,
    "load OUTCOME lost": load_outcome_lost,
    "cancelled twice": cancelled_twice,
    "cancel paid twice": cancel_paid_twice,
    "map forgotten at boot": map_forgotten_at_boot,
    "late spend is no case": late_spend_is_no_case,
    "code settled twice": code_settled_twice,
    "boot sells": boot_sells,
}
