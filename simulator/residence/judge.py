"""What must hold when a residence has healed: flash, locks, people and books against each other.

Nothing here believes what a door says of itself: what it wrote is taken from its flash at the
moment it was written, what its lock did from the circuit, what came of it from the ledger's file.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ledger import reasons as cases
from protocols.rules import access, door, reasons
from protocols.wire import messages
from simulator.residence.building import SECOND_US, Building
from simulator.residence.doorway import Doorway
from simulator.residence.place import Place, Written
from simulator.residence.room_judge import case_of, judge_room, must_be_then
from simulator.residence.visit import Expected, Seen

_NEAR_US = 2 * SECOND_US
_RECORDS = "SELECT seq, sealed FROM record WHERE device = ? ORDER BY seq"
_CASES = "SELECT reason, device, seq FROM suspense_case"
_WHYS = (door.number("slip"), door.number("opened"))
# Where a door ends up by which event, and who has to see it; once in so long.
_CALLS = {
    (door.FORCED, "opened"): cases.DOOR_FORCED,
    (door.HELD, "left-open"): cases.DOOR_HELD_OPEN,
}
_EPISODE_MS = 10 * 60 * 1000
# How long mains and fire loop have to be in order before a door locks (less a step or two).
_SETTLE_US = 1_900_000


def judge(building: Building, seen: Seen) -> None:
    """Report whatever does not agree."""
    booked: dict[int, list[Written]] = {}
    for each in building.doors:
        booked[each.device] = _compare(building, each)
        _must_be_explained(building, each, booked[each.device])
        _must_not_lock_early(building, each)
        _must_have_been_there(building, each, seen)
        if each.fooled_us < 0:  # no clock of it has ever lied by less than a day
            must_be_then(building, each)
    for room in building.rooms:
        booked[room.device] = _compare(building, room)
        judge_room(building, room, booked[room.device], seen)
    _must_be_booked(building, seen, booked)


def _compare(building: Building, each: Place) -> list[Written]:
    """Every record that came on flash is in the ledger once, as it was written; in their order."""
    versions: dict[int, list[Written]] = defaultdict(list)
    for written in each.written:
        if all(written.sealed != other.sealed for other in versions[written.seq]):
            versions[written.seq].append(written)
    for seq, found in versions.items():
        if len(found) > 1:
            building.report(f"{each.name}: {len(found)} records have the number {seq}")
    rows: dict[int, bytes] = dict(building.books.database.rows(_RECORDS, (each.device,)))
    booked = []
    for seq, sealed in rows.items():
        written = next((one for one in (*versions[seq], *each.torn) if one.sealed == sealed), None)
        if written is None:
            building.report(f"{each.name}: record {seq} is booked and was never written")
        else:
            booked.append(written)
    for seq in versions.keys() - rows.keys():
        building.report(f"{each.name}: record {seq} was written and is not booked")
    if sorted(rows) != list(range(1, len(rows) + 1)):
        building.report(f"{each.name}: the books have gaps")
    return booked


def _must_be_explained(building: Building, each: Doorway, booked: list[Written]) -> None:
    """Of each time at which the coil let go the books say why."""
    # Time, whether it says why, whether it is a BOOT, whether the door is at fault from then on.
    told: list[tuple[int, bool, bool, bool]] = []
    for written in booked:
        fields = written.fields
        is_door = fields["kind"] == messages.DOOR
        is_full = fields["kind"] == messages.FAULT
        is_full = is_full and fields["last_reason"] == reasons.JOURNAL_FULL
        if is_door or is_full or fields["kind"] == messages.BOOT:
            state = door.STATES[fields["state"]] if is_door else ""
            is_why = is_door and (state not in door.LOCKING or fields["event"] in _WHYS)
            told.append((written.time_us, is_why, not is_door, state == door.FAULT))
    told.sort()
    times = [time_us for time_us, *_ in told]
    each.lock.is_powered()
    for span in each.lock.unlocked[1:]:
        building.done["unlocking"] += 1
        first = bisect_left(times, span[0] - _NEAR_US)
        near = [one for one in told[first : first + 50] if one[0] <= span[0] + _NEAR_US]
        behind = bisect_left(times, span[0])
        is_told = any(is_why for _, is_why, *_ in near)
        # One at fault has said that it does not lock; its relay may let go whenever it is mended.
        is_told = is_told or (behind > 0 and told[behind - 1][3])
        if not is_told and not (behind < len(told) and told[behind][2]):
            at_s = span[0] / SECOND_US
            building.report(f"{each.name}: nobody has told why it let go at {at_s:.3f}")


def _must_not_lock_early(building: Building, each: Doorway) -> None:
    """Behind a fire only a key locks a door again; behind anything it waits for a while first."""
    ends = [(span[1], "locks") for span in each.lock.unlocked if len(span) > 1]
    is_latched, is_alive, changed_us = False, False, 0
    for time_us, what in sorted([*each.story, *ends]):
        if what == "locks":
            if is_latched:
                text = "it has burned, and nobody has turned the key"
                building.report(f"{each.name} locks at {time_us / SECOND_US:.3f}: {text}")
            elif time_us < changed_us + _SETTLE_US:
                waited_ms = (time_us - changed_us) // 1000
                building.report(f"{each.name} locks {waited_ms} ms behind mains or fire")
        elif what in ("boot", "dead"):
            is_alive = what == "boot"
        elif what == "fire":
            is_latched = is_alive
        elif what == "key":
            is_latched = False
        if what in ("quiet", "mains"):
            changed_us = time_us


def _must_have_been_there(building: Building, each: Doorway, seen: Seen) -> None:
    """Nobody enters but with a card."""
    for written in each.written:
        fields = written.fields
        is_entry = fields["kind"] == messages.ENTRY and fields["reason"] != access.LOCKED_OUT
        if is_entry and written.sealed not in seen.answered:
            if fields["reason"] != access.NO_PIN_GIVEN:
                building.report(
                    f"{each.name}: record {written.seq} is of a card that was not there"
                )


def _must_be_booked(building: Building, seen: Seen, booked: dict[int, list[Written]]) -> None:
    """What people have seen is in the books, and a case where somebody has to come."""
    filed = Counter(building.books.database.rows(_CASES))
    for expected in seen.expected:
        found = [one for one in booked[expected.door.device] if _is(one, expected)]
        if not found:
            at_s = expected.from_us / SECOND_US
            text = f"{expected.fields} at {at_s:.3f} is not in the books"
            building.report(f"{expected.door.name}: {text}")
    wanted = Counter(
        (reason, device, seq)
        for device, records in booked.items()
        for reason, seq in _cases_of(records)
    )
    for (reason, device, seq), _ in ((filed - wanted) + (wanted - filed)).items():
        building.report(f"case {reason} about {device}/{seq}: there, or not there, and should not")
    building.done["case"] += wanted.total()


def _cases_of(records: list[Written]) -> Iterator[tuple[int, int]]:
    """Reason and record of each case that one place must have; `records` in their order."""
    began: dict[tuple[int, int], int] = {}  # (reason, boot_id) -> mono_ms
    for one in records:
        fields = one.fields
        if (reason := _case_of(fields)) is not None:
            yield reason, one.seq
        elif (call := _call_of(fields)) is not None:
            key, mono_ms = (call, fields["boot_id"]), fields["mono_ms"]
            if key not in began or mono_ms - began[key] >= _EPISODE_MS:
                began[key] = mono_ms
                yield call, one.seq


def _case_of(fields: Mapping[str, Any]) -> int | None:
    """The case that a record must be, whatever was before it."""
    if fields["kind"] == messages.ENTRY:
        return cases.ALARMS.get(fields["reason"])
    return case_of(fields)


def _call_of(fields: Mapping[str, Any]) -> int | None:
    """The case that a door's record must be, or belong to."""
    if fields["kind"] != messages.DOOR or fields["state"] >= len(door.STATES):
        return None
    for (state, event), reason in _CALLS.items():
        if door.STATES[fields["state"]] == state and fields["event"] == door.number(event):
            return reason
    return None


def _is(written: Written, expected: Expected) -> bool:
    fields = {"kind": expected.kind, **expected.fields}
    is_then = expected.from_us <= written.time_us <= expected.to_us
    return is_then and all(written.fields[name] == fields[name] for name in fields if is_then)


def log_of(building: Building) -> str:
    """A hash over all that was written at all doors, and when: the same seed, the same log."""
    digest = hashlib.sha256()
    for each in (*building.doors, *building.rooms):
        for written in each.written:
            digest.update(written.time_us.to_bytes(8, "big") + written.sealed)
    return digest.hexdigest()
