"""What a reading of a POS's battery means: what is left of it, for how long, and when it is worn.

Nobody has measured a cell under the reader's load yet. The line is that of a published Li-ion cell
at rest (Molicel INR21700-P42A, by Sunil et al. 2025); a reading is corrected for what the load
takes off it in a cell of RESISTANCE_MOHM. Full is where the charger stops, empty where the reader
does: a permille is a thousandth of what lies between, and so is a capacity measured. A worn cell
or a cold one sags more than is corrected for, so its reading says less than it has. What is
promised is rounded down, and less by the part that cold may take, which a reader cannot feel.
"""

import struct

from protocols.rules import reasons

STOP_MV = 3350  # below it the battery may not last for another card dialogue
FULL_MV = 4150
RESISTANCE_MOHM = 100
ASSUMED_MAH = 1000  # between full and empty until it was measured: a cell of 1500 mAh, aged
RUN_MIN = 120  # what a battery has to last (R23.1a); one that does not is worn
BACKLIGHT_MA = 60  # of what a board says that it draws, if it can switch that light
TEST_EVERY_S = 180 * 86400
TEST_PERMILLE = 400  # so much has to be used for a measurement: the line is not that exact
# Charge in thousandths of what the cell holds and its rest voltage, two bytes each, rising.
_LINE = (
    b"\x00\x00\x09\xca\x00\x0f\x0b\x52\x00\x2d\x0c\x4a\x00\x60\x0c\xfb\x00\x97\x0d\x5e"
    b"\x01\x24\x0d\xf6\x01\xc9\x0e\x76\x03\x42\x0f\xe0\x03\xb6\x10\x05\x03\xe8\x10\x61"
)


def left(battery_mv, load_ma, test=b""):
    """(permille, minutes) that are left of a battery which reads `battery_mv` and gives `load_ma`.

    The minutes are those of the last measurement (see fault), less a sixth for the cold.
    """
    sag_mv = load_ma * RESISTANCE_MOHM // 1000
    charges = []  # hundred-thousandths of what the cell holds
    for rest_mv in (battery_mv + sag_mv, STOP_MV + sag_mv, FULL_MV):
        at = 4
        while at < len(_LINE) - 4 and rest_mv > (_LINE[at + 2] << 8 | _LINE[at + 3]):
            at += 4
        low, low_mv, high, high_mv = struct.unpack(">HHHH", _LINE[at - 4 : at + 4])
        charges.append(100 * low + 100 * (high - low) * (rest_mv - low_mv) // (high_mv - low_mv))
    now, empty, full = charges
    permille = min(max((now - empty) * 1000 // (full - empty), 0), 1000)
    capacity_mah = test[0] << 8 | test[1] if test else ASSUMED_MAH
    return permille, permille * capacity_mah // (20 * load_ma)


def measured_mah(used_mas, fall):
    """The capacity of which `used_mas` (mA times s) were `fall` permille, or 0."""
    return min(used_mas * 10 // (fall * 36), 0xFFFF) if fall >= TEST_PERMILLE else 0


def fault(test, load_ma, earliest_s):
    """What an inspection says of a battery: BATTERY_WORN, BATTERY_UNTESTED or APPROVED.

    `test`: the capacity measured (mAh) in two bytes and when that was (s) in four; b"": never.
    """
    if test and (test[0] << 8 | test[1]) * 60 < RUN_MIN * load_ma:
        return reasons.BATTERY_WORN
    if earliest_s > int.from_bytes(test[2:], "big") + TEST_EVERY_S:
        return reasons.BATTERY_UNTESTED
    return reasons.APPROVED
