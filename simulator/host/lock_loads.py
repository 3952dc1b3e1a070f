"""What each part of a lock draws from its cells, in microamperes: a linear regulator feeds it.

From data sheets, or assumed where one is named so; no board has been measured. `SLEEPING` is told
part by part, for `onecard bench lock_battery`.
"""

from simulator.host import loads

SLEEPING = {
    # Data sheet of the ESP32, table of power modes: deep sleep with RTC timer and memory.
    "ESP32": 10,
    # Assumed: the key's own wake-up source (EXT0) keeps the peripherals of its RTC powered.
    "ESP32, EXT0": 10,
    # Data sheet 112139 of the RC522: hard power-down, at most.
    "RC522": 5,
    # Data sheet of the HT7333-A: quiescent current, typical.
    "regulator": 4,
    # Data sheet of the DRV8833: asleep, typical, rounded up.
    "motor driver": 2,
    # 6 V across 2 Mohm, and 3.3 V across the pull-up of 1 Mohm that the shut case takes to ground.
    "divider": 3,
    "case switch": 3,
}
SLEEP_UA = sum(SLEEPING.values())
# Instead of the ESP32's 10: data sheet, light sleep.
LIGHT_SLEEP_UA = 800
# While it boots. Measured by others on an ESP32-S3 with its USB supply: 26.5 mC in 418 ms.
BOOT_UA = 63_000
# As loads.py: the idle core at 160 MHz and the flash beside it, and the front end.
AWAKE_UA = loads.CORE_UA + loads.FRONT_END_UA
FIELD_UA = loads.FIELD_UA
# Assumed, of what Energizer's handbook gives: charge that a cell loses by itself at 20 degrees.
SELF_DISCHARGE_PERCENT_PER_YEAR = 3
