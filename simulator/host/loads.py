"""What each part of a reader draws from its battery, in microamperes behind the regulator.

From data sheets, or assumed where one is named so; no board has been measured. A customer display
of the vacuum fluorescent kind takes some 500 mA more than the one assumed here, and a reader with
one needs a larger battery.
"""

# ESP32: data sheet of the ESP32, table of power modes: modem sleep, 160 MHz, 27 to 44 mA. Flash
# and PSRAM of the module beside it: assumed.
CORE_UA = 35_000 + 5_000
# Data sheet of the ESP32-PICO-ZERO (the same radio): receiving 110 mA, of it 30 the idle CPU. A
# station whose access point is gone listens and asks for ever. Assumed: what it draws while it
# sleeps between some beacons (the port's PM_PERFORMANCE) or most of them (PM_POWERSAVE).
_SEARCHING_UA, _JOINED_UA, _SAVING_UA = 80_000, 25_000, 15_000
# LAN8720A, with and without a link: assumed from the figures of such chips.
PHY_UA = 50_000
# RC522: data sheet 112139, typical: IDDD 6.5 mA, IDDA 7 mA, and 60 mA into the antenna.
FRONT_END_UA = 13_500
FIELD_UA = 60_000
# ST7920 module of 128x64: assumed, as such modules are sold.
LCD_UA = 5_000
BACKLIGHT_UA = 60_000
# The customer display, of the LCD kind, and how bright CD5220's ESC * makes it; and the keypad.
POLE_UA = {1: 12_000, 2: 20_000, 3: 28_000, 4: 40_000}
KEYPAD_UA = 5_000
# A scanner that is dark, and one that looks: user manual of the GM65-S, V1.2. Its 3 mA asleep are
# not used: what wakes it is not told.
SCANNER_UA = {False: 30_000, True: 160_000}
# What every reader draws all the time.
STEADY_UA = CORE_UA + FRONT_END_UA + LCD_UA + KEYPAD_UA
LED_UA = 10_000  # each, behind its resistor
BEEPER_UA = 30_000


def radio_ua(level: int, is_joined: bool) -> int:
    """Of the radio that is off (0), saving (1) or on (2)."""
    if not level:
        return 0
    return (_SAVING_UA if level == 1 else _JOINED_UA) if is_joined else _SEARCHING_UA
