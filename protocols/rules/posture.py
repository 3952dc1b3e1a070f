"""What a device does when something is missing: one total table (R23, R24).

Rules of this file. Conditions are what a device can tell about itself at one moment; the first row
of its kind that fits them is its posture, and the last row fits all. Nobody else decides from
conditions. They are words in a text, because a text costs a reader no heap: the table lies in ROM.
Of bytes, because MicroPython looks among all names for each str that it makes: for the words of
some rows that was a fifth of the bytecode of a spend. What the words mean, and docs/posture.md,
come from posture_texts.py, which no reader imports.
"""

from protocols.rules import reasons
from protocols.rules.battery import STOP_MV

# The magnet of a door has no battery behind it, whatever its controller runs on.
TABLE = b"""
device      power    network  journal  clock    fire     posture
pos         none     *        *        *        *        dark
pos         empty    *        *        *        *        stopped-empty
pos         *        *        full     *        *        stopped-full
pos         *        online   *        known    *        serving
pos         *        online   *        *        *        blind
pos         *        *        *        known    *        serving-offline
pos         *        *        *        *        *        blind-offline
door        *        *        *        *        alarm    released
door        mains    *        *        *        *        secured
door        *        *        *        *        *        released
lock        none     *        *        *        *        key-only
lock        empty    *        *        *        *        key-only
lock        *        *        *        *        *        secured
attendance  none     *        *        *        *        dark
attendance  empty    *        *        *        *        stopped-empty
attendance  *        *        full     *        *        stopped-full
attendance  *        *        *        *        *        collecting
kiosk       none     *        *        *        *        dark
kiosk       mains    online   room     known    *        serving
kiosk       *        *        *        *        *        read-only
"""

# Posture that bars every new spend -> why. What is pending is settled all the same.
BARS = {
    "stopped-full": reasons.JOURNAL_FULL,
    "stopped-empty": reasons.BATTERY_EMPTY,
    "dark": reasons.BATTERY_EMPTY,
}


def of(device, power, network, journal, clock, fire="quiet"):
    """The posture of a device under these conditions; the words of TABLE and posture_texts."""
    asked = [word.encode() for word in (device, power, network, journal, clock, fire)]
    start = TABLE.index(b"\n" + asked[0] + b" ") + 1
    while True:
        end = TABLE.index(b"\n", start)
        row = TABLE[start:end].split()
        at = 0
        while row[at] == b"*" or row[at] == asked[at]:
            at += 1
            if at == len(asked):
                return row[at].decode()
        start = end + 1


def battery(battery_mv):
    """The power of a device that has lost its mains."""
    return "battery" if battery_mv >= STOP_MV else "empty"
