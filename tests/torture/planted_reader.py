"""Bugs a reader could have had about time and about what is missing, planted for a test.

What a bug changes is one decision of clock, spending, posture or till; everything around it stays.
Nothing of this is in the product: `PLANTED[name](monkeypatch)` puts a bug in, and the test takes
it out.
"""

import copy

from firmware.services.clock import Clock
from firmware.services.records import Recorder
from firmware.services.supply import Supply
from firmware.services.till import Till
from firmware.services.uplink import Uplink
from protocols.rules import clock, posture, reasons, spending

# -- the clock --------------------------------------------------------------------------------


def battery_clock_is_believed(monkeypatch):
    """Whatever it reads at boot is the time: 1970, 2000, or what somebody has set."""

    def claimed(rtc_s, confirmed, floor_s, claim_s_max, drift_ppm):
        del confirmed, floor_s, claim_s_max, drift_ppm
        return clock.NEVER_SET if rtc_s is None else (rtc_s * 1000 - 30_000, rtc_s * 1000 + 30_000)

    monkeypatch.setattr(clock, "claimed", claimed)
    monkeypatch.setattr(Clock, "_rtc_s", lambda self: self._board.utc_s())


def receipts_tell_no_round_trip(monkeypatch):
    """The ledger's time is taken for the time of the answer, however long that was under way."""
    observed = clock.observed
    monkeypatch.setattr(clock, "observed", lambda time_s, _trip_ms: observed(time_s, 0))


def receipts_of_an_earlier_boot_are_timed(monkeypatch):
    """What an earlier boot has sent counts as sent just now."""
    observe = Clock.observe
    monkeypatch.setattr(
        Clock,
        "observe",
        lambda self, time_s, _sent_ms, now_ms: observe(self, time_s, now_ms, now_ms),
    )


def time_stands_still(monkeypatch):
    """What was proven once is not moved on by what has passed since."""
    monkeypatch.setattr(Clock, "interval_ms", lambda self, _now_ms: self._interval_ms)


def day_of_the_later_end(monkeypatch):
    """A new day begins for a card as soon as it may have begun."""
    decide = spending.decide

    def hasty(policy, card, amount_fen, interval_ms, offline, *known):
        latest_ms = interval_ms[1], interval_ms[1]
        return decide(policy, card, amount_fen, latest_ms, offline, *known)

    monkeypatch.setattr(spending, "decide", hasty)


def an_earlier_day_resets_the_limit(monkeypatch):
    """A card that has seen a later day than this reader starts at nothing."""
    decide = spending.decide

    def reset(policy, card, amount_fen, interval_ms, offline, *known):
        today = clock.day(clock.seconds(interval_ms)[0], policy["utc_offset_s"])
        if card.day != today:
            card = copy.copy(card)
            card.day = card.day_total_fen = 0
        return decide(policy, card, amount_fen, interval_ms, offline, *known)

    monkeypatch.setattr(spending, "decide", reset)


# -- what is missing --------------------------------------------------------------------------


def sells_on_an_empty_battery(monkeypatch):
    """Nobody asks the battery."""
    monkeypatch.setattr(posture, "battery", lambda _battery_mv: "battery")


def sells_blind_without_bound(monkeypatch):
    """A reader that does not know the time sells as if it did."""
    decide = spending.decide

    def unbounded(policy, card, amount_fen, interval_ms, offline, *known):
        free = {**policy, "blind_max_fen": policy["amount_max_fen"]}
        return decide(free, card, amount_fen, interval_ms, offline, *known)

    monkeypatch.setattr(spending, "decide", unbounded)


def sells_offline_without_bound(monkeypatch):
    """The limit for readers without network is forgotten."""
    decide = spending.decide

    def unbounded(policy, card, amount_fen, interval_ms, offline, *known):
        del offline
        return decide(policy, card, amount_fen, interval_ms, False, *known)

    monkeypatch.setattr(spending, "decide", unbounded)


def never_offline(monkeypatch):
    """The uplink is taken for online once and for all."""
    monkeypatch.setattr(Uplink, "online", property(lambda self: True))


def never_on_battery(monkeypatch):
    """The mains are taken for there."""
    monkeypatch.setattr(Supply, "word", lambda self: "mains")


def takes_a_new_spend_while_one_is_pending(monkeypatch):
    """The next card is served, and what the last one left open is forgotten."""
    settle = Till._settle

    def hurried(self, purse, view, now_ms):
        told = settle(self, purse, view, now_ms)
        if told == reasons.SAME_CARD_PLEASE:
            self.pending = None
            return None
        return told

    monkeypatch.setattr(Till, "_settle", hurried)


def takes_the_pending_amount_again(monkeypatch):
    """The card of an open spend comes back, and nobody asks it whether it has paid."""

    def forget(self, purse, view, now_ms):
        del view, now_ms
        self.pending = None

    monkeypatch.setattr(Till, "_settle", forget)


def spends_into_a_full_journal(monkeypatch):
    """Room for an INTENT is thought to be enough: there is no reserve for what follows it."""
    monkeypatch.setattr(Recorder, "has_room", lambda self: self._journal.free_sectors() >= 0)


PLANTED = {
    plant.__name__.replace("_", " "): plant
    for plant in (
        battery_clock_is_believed,
        receipts_tell_no_round_trip,
        receipts_of_an_earlier_boot_are_timed,
        time_stands_still,
        day_of_the_later_end,
        an_earlier_day_resets_the_limit,
        sells_on_an_empty_battery,
        sells_blind_without_bound,
        sells_offline_without_bound,
        never_offline,
        never_on_battery,
        takes_a_new_spend_while_one_is_pending,
        takes_the_pending_amount_again,
        spends_into_a_full_journal,
    )
}
