"""Bugs on purpose in locks of rooms, each of which the drill has to find."""

from firmware.roles.lock import SmartLock
from firmware.services.clock import Clock
from firmware.services.mailbox import Mailbox
from protocols.rules import access, cells, reasons
from protocols.wire import messages


def only_the_first_letter_is_taken(monkeypatch):
    """Who has moved out goes on entering."""
    apply = Mailbox._apply

    def apply_first(self, update, now_ms):
        if not self._access_map.held()[0]:
            apply(self, update, now_ms)

    monkeypatch.setattr(Mailbox, "_apply", apply_first)


def an_entry_is_not_recorded(monkeypatch):
    """Whoever may enter is not written down."""
    record = SmartLock._record

    def record_some(self, kind, now_ms, **fields):
        if kind != messages.ENTRY or fields["reason"] != reasons.APPROVED:
            record(self, kind, now_ms, **fields)

    monkeypatch.setattr(SmartLock, "_record", record_some)


def low_cells_are_not_told(monkeypatch):
    """They are good until they are empty."""
    grade = cells.grade

    def grade_late(*readings):
        found = grade(*readings)
        return cells.GOOD if found == cells.LOW else found

    monkeypatch.setattr(cells, "grade", grade_late)


def the_clock_chip_is_not_believed(monkeypatch):
    """Each boot knows the time as badly as one with the ESP32's own clock."""
    monkeypatch.setattr(Clock, "believe_crystal", lambda self: None)


def wrong_tries_are_forgotten_asleep(monkeypatch):
    """Somebody may try for ever, if he gives it time to fall asleep."""
    monkeypatch.setattr(access.Tries, "resume", lambda self, ages, slept_ms, now_ms: None)


PLANTED = {
    "only the first letter is taken": only_the_first_letter_is_taken,
    "an entry is not recorded": an_entry_is_not_recorded,
    "low cells are not told": low_cells_are_not_told,
    "the clock chip is not believed": the_clock_chip_is_not_believed,
    "wrong tries are forgotten asleep": wrong_tries_are_forgotten_asleep,
}
