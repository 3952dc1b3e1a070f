"""What each part of a lock draws from its cells, in microamperes, by data sheets.

No board has been measured. What is assumed is named so.
"""

# ESP32 data sheet, table of power modes: deep sleep with RTC timer and memory, 10 uA.
_CHIP_SLEEP_UA = 10
# RC522 data sheet 112139: hard power-down, 5 uA at most.
_FRONT_END_SLEEP_UA = 5
# Regulator, motor driver asleep, the divider of 2 Mohm, leakage: assumed together.
_REST_SLEEP_UA = 10
SLEEP_UA = _CHIP_SLEEP_UA + _FRONT_END_SLEEP_UA + _REST_SLEEP_UA
# As loads.py: the idle core at 160 MHz and the flash beside it, and the front end.
AWAKE_UA = 40_000 + 13_500
FIELD_UA = 60_000
