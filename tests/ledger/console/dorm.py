"""A dormitory and a gate for the pages of doors: locks on cells, magnets, taps, who keeps them.

`fill` puts them into books with staff: the warden wen keeps the dormitory, and nobody the gate.
"""

import hashlib

from ledger import card_validity
from ledger.holders import Holder
from ledger.lifecycle import Act
from protocols.rules import access, door, lock, reasons
from protocols.rules.spending import STUDENT
from protocols.wire import messages
from tests.ledger.readers import Reader

SITE, GATES = "dorm-3", "east-gate"
ROOM, WEAK, EMPTY = 3101, 3102, 3103  # locks on cells
HALL, GATE = 3001, 4001  # magnets
GRANTED, LOST_CARD, STRANGER = 60_171, 60_172, 60_173  # cards
PERSON_NO = "2021013001"
EXAMPLES = {"door": str(ROOM)}


def key_of(device):
    return hashlib.sha256(b"key of device %d" % device).digest()


def door_reader(device):
    """A door whose records are sealed as it would; see `says` and `tapped`."""
    return Reader(device, 1)


def says(reader, state, event, time_s, cause=0):
    """A DOOR record of a magnet, or of a lock on cells."""
    is_lock = state in lock.STATES
    place = lock.STATES_AT + lock.STATES.index(state) if is_lock else door.STATES.index(state)
    reader.write(
        messages.DOOR,
        state=place,
        event=(lock if is_lock else door).number(event),
        levels=0,
        cause=cause,
        earliest_s=time_s,
        latest_s=time_s,
    )


def tapped(reader, card_no, reason, time_s):
    said = {"card_no": card_no, "reason": reason}
    reader.write(messages.ENTRY, earliest_s=time_s, latest_s=time_s, **said)


def battery(reader, battery_mv, time_s):
    said = {"source": messages.BATTERY, "battery_mv": battery_mv}
    reader.write(messages.POWER, earliest_s=time_s, latest_s=time_s, **said)


def fill(store, staff, now_s):
    """Doors, cards and what they have said in the last hours."""
    clerk, hour_ago = staff["clara"], now_s - 3_600
    store.register_merchant(1, "nobody")
    readers = {}
    for device, site, scope, is_lock in (
        (ROOM, SITE, "dorm", True),
        (WEAK, SITE, "dorm", True),
        (EMPTY, SITE, "dorm", True),
        (HALL, SITE, "dorm", False),
        (GATE, GATES, "public", False),
    ):
        readers[device] = door_reader(device)
        store.register_device(device, readers[device].key, 1, site)
        store.access.add_door(device, scope, 5_000, 0, is_lock, staff["eng"], now_s)
    store.access.appoint("appoint", SITE, "dorm", "wen", now_s, staff["hes"])
    for card_no in (GRANTED, LOST_CARD, STRANGER):
        store.holders.issue(card_no, now_s, Act(person=clerk))
    today, by = now_s // 86_400, Act(evidence="id-card", person=clerk)
    for at, card_no in enumerate((GRANTED, LOST_CARD, STRANGER)):
        holder = Holder(str(int(PERSON_NO) + at), STUDENT, "Nursing")
        store.holders.open(card_no, holder, (today - 9, today + 900), now_s, by)
        validity = card_validity.Validity(card_no, STUDENT, today - 9, today + 900)
        card_validity.know(store.database, [validity])
    for card_no in (GRANTED, LOST_CARD):
        store.access.grant(HALL, card_no, 1, 1, staff["wen"], now_s)
    store.cards.set("lose", LOST_CARD, now_s, by=Act(person=clerk))
    _say(readers, hour_ago)
    store.book([reader.records for reader in readers.values()])


def _say(readers, time_s):
    room, weak, empty = readers[ROOM], readers[WEAK], readers[EMPTY]
    for reader, battery_mv, grade in ((room, 6_100, 0), (weak, 4_225, 1), (empty, 3_800, 2)):
        battery(reader, battery_mv, time_s)
        says(reader, lock.LOCKED, "weaker" if grade else "home", time_s, grade)
    tapped(room, STRANGER, access.NO_ACCESS, time_s + 60)
    tapped(empty, GRANTED, reasons.BATTERY_EMPTY, time_s + 60)
    tapped(readers[HALL], GRANTED, reasons.APPROVED, time_s)
    tapped(readers[HALL], LOST_CARD, reasons.CARD_LOST, time_s + 90)
    says(readers[HALL], door.SECURED, "ready", time_s + 100)
    says(readers[GATE], door.DARK, "dark", time_s + 100)
