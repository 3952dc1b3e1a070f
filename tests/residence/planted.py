"""Bugs that a door, or what stands behind it, could have had, each planted for one test.

What a bug changes is one decision; everything around it stays. Nothing of this is in the product:
`PLANTED[name](monkeypatch)` puts a bug in, and the test takes it out.
"""

from firmware.roles.door import DoorController
from firmware.services.access_map import AccessMap
from firmware.services.card_map import CardMap
from firmware.services.uplink import Uplink
from ledger import doors
from ledger import reasons as cases
from protocols.rules import access, door, reasons
from protocols.wire import messages


def fire_ends_by_itself(monkeypatch):
    """Locked again as soon as the loop is closed, without a key."""
    event = door.Door.event

    def event_or_end(self, levels, is_free, now_ms):
        found = event(self, levels, is_free, now_ms)
        return found or ("arm" if self.state == door.FIRE and levels & door.FIRE_QUIET else "")

    monkeypatch.setattr(door.Door, "event", event_or_end)


def a_map_is_never_replaced(monkeypatch):
    """Who has lost his right goes on entering until the next boot."""
    is_new = AccessMap.is_new
    monkeypatch.setattr(AccessMap, "is_new", lambda self: self._told is None and is_new(self))


def a_lost_card_opens(monkeypatch):
    """The card map is kept and never asked."""
    monkeypatch.setattr(CardMap, "known", lambda self, card_no: (0, 0))


def an_entry_is_not_recorded(monkeypatch):
    """Whoever may enter is not written down."""
    record = DoorController._record

    def record_some(self, kind, now_ms, **fields):
        if kind != messages.ENTRY or fields["reason"] != reasons.APPROVED:
            record(self, kind, now_ms, **fields)

    monkeypatch.setattr(DoorController, "_record", record_some)


def held_open_is_never_told(monkeypatch):
    """A chair in the door calls nobody."""
    end = door.Door._end

    def end_but_left_open(self, is_free, now_ms):
        found = end(self, is_free, now_ms)
        return "" if found == "left-open" else found

    monkeypatch.setattr(door.Door, "_end", end_but_left_open)


def a_forced_door_is_no_case(monkeypatch):
    """It is on record, and nobody is sent there."""
    case_of = doors.case_of

    def case_of_others(fields):
        reason = case_of(fields)
        return None if reason == cases.DOOR_FORCED else reason

    monkeypatch.setattr(doors, "case_of", case_of_others)


def records_of_an_earlier_boot_are_not_sent(monkeypatch):
    """What waited when the power went is taken for booked."""
    make = Uplink.__init__

    def make_forgetful(self, board, source, site, device, device_key, on_receipt):
        make(self, board, source, site, device, device_key, on_receipt)
        self._delivery.receipted = self._delivery.stored = self._delivery.sent = source.head_seq()

    monkeypatch.setattr(Uplink, "__init__", make_forgetful)


def the_exit_button_is_not_told(monkeypatch):
    """The door lets go, and nobody can say why."""
    record = DoorController._record

    def record_some(self, kind, now_ms, **fields):
        if kind != messages.DOOR or fields["state"] != door.STATES.index(door.EXIT):
            record(self, kind, now_ms, **fields)

    monkeypatch.setattr(DoorController, "_record", record_some)


def duress_is_a_pin_like_any_other(monkeypatch):
    """Nobody is sent to who is forced to open."""
    judge = access.judge

    def judge_calmly(device_keys, group, expected, digits):
        found = judge(device_keys, group, expected, digits)
        return reasons.APPROVED if found == access.DURESS else found

    monkeypatch.setattr(access, "judge", judge_calmly)


def the_clock_of_a_schedule_is_ignored(monkeypatch):
    """Curfew keeps nobody out."""
    monkeypatch.setattr(access, "holds", lambda schedule, ends_s, utc_offset_s: bool(schedule))


def five_wrong_cards_call_nobody(monkeypatch):
    """Somebody may try for ever."""
    monkeypatch.setattr(access.Tries, "wrong", lambda self, now_ms: False)


def locks_as_soon_as_the_mains_are_back(monkeypatch):
    """Nothing is waited for behind a power cut."""
    event = door.Door.event

    def at_once(self, levels, is_free, now_ms):
        if self.state == door.DARK and levels & door.MAINS:
            self.happen("mains", now_ms)
            self.happen("ready", now_ms)
            return ""
        return event(self, levels, is_free, now_ms)

    monkeypatch.setattr(door.Door, "event", at_once)


PLANTED = {
    "fire ends by itself": fire_ends_by_itself,
    "a map is never replaced": a_map_is_never_replaced,
    "a lost card opens": a_lost_card_opens,
    "an entry is not recorded": an_entry_is_not_recorded,
    "held open is never told": held_open_is_never_told,
    "a forced door is no case": a_forced_door_is_no_case,
    "records of an earlier boot are not sent": records_of_an_earlier_boot_are_not_sent,
    "the exit button is not told": the_exit_button_is_not_told,
    "duress is a PIN like any other": duress_is_a_pin_like_any_other,
    "the clock of a schedule is ignored": the_clock_of_a_schedule_is_ignored,
    "five wrong cards call nobody": five_wrong_cards_call_nobody,
    "locks as soon as the mains are back": locks_as_soon_as_the_mains_are_back,
}
