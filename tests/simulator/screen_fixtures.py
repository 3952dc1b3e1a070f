"""Every screen of the clerk's LCD, put on the modelled module by the reader's own driver.

`python -m tests.simulator.screen_fixtures` records them anew in screens.json;
`python -m tests.simulator.screen_fixtures PAGE.html` writes a page of what has changed, with
Unifont's glyphs if that font is installed.
"""

import json
import random
import sys
from pathlib import Path

from firmware.drivers.lcd import Lcd
from ledger.aggregate_picture import draw
from protocols.rules import charging_texts, reasons, screen_bytes, screens
from simulator import screen
from simulator.chips.st7920 import St7920

RECORDED = Path(__file__).with_name("screens.json")
TABLES = {"en": screen_bytes.ENGLISH, "zh": screen_bytes.CHINESE}
NAME = "欧阳建国".encode("gb2312")
PICTURE = draw("https://pay.example/q/71").data
DRAWN = "scan, drawn"


class Bench:
    """A module with the driver in front of it, and what the driver needs of a board."""

    def __init__(self):
        self.now_us = 0
        self.chip = St7920(self, random.Random(0))
        self.lcd = self.chip
        self.driver = Lcd(self)

    def advance_us(self, duration_us):
        self.now_us += duration_us

    def sleep_us(self, duration_us):
        self.now_us += duration_us


def lines_of(table):
    """Name -> four lines, of every screen in one language."""
    answers = sorted(charging_texts.TEXTS)
    worst = screens.notices(table, waiting=12_345, battery=(3, 7), is_nearly_full=True)
    return {
        "welcome": screens.welcome(table),
        "offline": screens.welcome(table, screens.notices(table, waiting=0)),
        "offline, some waiting": screens.welcome(table, screens.notices(table, waiting=12)),
        "on battery": screens.welcome(table, screens.notices(table, battery=(100, 218))),
        "nearly full": screens.welcome(table, screens.notices(table, is_nearly_full=True)),
        "old list": screens.welcome(table, screens.notices(table, list_min=95)),
        "old list for good": screens.welcome(table, screens.notices(table, list_min=-1)),
        "all at once": screens.welcome(table, worst),
        "amount": screens.keyed(table, screens.AMOUNT, "12.5", 0),
        "amount, all at once": screens.keyed(table, screens.AMOUNT, "12.5", 350, worst),
        "item": screens.keyed(table, screens.ITEM, "12", 0),
        "fixed amount": screens.keyed(table, screens.FIXED_AMOUNT, "", 0),
        "meal": screens.keyed(table, screens.MEAL, "", 0),
        "function": screens.keyed(table, screens.FUNCTION, "", 0),
        "card please": screens.message(table, screens.CARD_PLEASE, "12.50"),
        "card please, from to": screens.message(table, screens.CARD_PLEASE, "8.00-12.00"),
        "pin needed": screens.ask_pin(table, reasons.PIN_NEEDED, 3, "62.50"),
        "pin wrong": screens.ask_pin(table, reasons.PIN_WRONG, 1, "62.50"),
        "pin, none yet": screens.pin(table, 0, "62.50"),
        "pin, four": screens.pin(table, 4, "62.50"),
        **{f"who, kind {kind}": screens.who(table, kind, 20017) for kind in (1, 2, 3)},
        "punch here": screens.at_time(table, screens.PUNCH_HERE, "08:01", None),
        "punch here, no time": screens.at_time(table, screens.PUNCH_HERE, "--:--", None),
        "punched": screens.at_time(table, screens.PUNCHED, "08:01", 30001),
        "punched twice": screens.at_time(table, screens.PUNCHED_ALREADY, "08:01", 30001),
        "kiosk": screens.message(table, screens.TAP_CARD, ""),
        "kiosk, found": screens.message(table, screens.FOUND_CARD, ""),
        "kiosk, thanks": screens.message(table, screens.THANK_YOU, ""),
        "kiosk, card": screens.card(table, 2, 12_345_678, 1250, 0),
        "kiosk, card never used": screens.card(table, 1, 0, 0, reasons.BALANCE_SHORT),
        "kiosk, lost card": screens.card(table, 2, 1250, 800, reasons.CARD_LOST),
        "who, by name": screens.who(table, 2, 20017, NAME),
        "paid": screens.paid(table, 1250, 8750),
        "paid, by name": screens.paid(table, 1250, 8750, NAME, worst),
        "paid, most": screens.paid(table, 99999999, 99999999),
        "last paid": screens.one_sale(table, screens.LAST_PAID, 1250, 4711),
        "cancel, card please": screens.one_sale(table, screens.CANCEL_CARD, 1250, 4711),
        "cancelled": screens.one_sale(table, screens.CANCELLED, 1250, 4711),
        "shift totals": screens.totals(table, screens.SHIFT_TOTALS, (312, 402_180, 0, 0, 0, 0)),
        "shift totals, cancelled": screens.totals(
            table, screens.SHIFT_TOTALS, (312, 402_180, 3, 3_650, 0, 0), worst
        ),
        "shift totals, by scan": screens.totals(
            table, screens.SHIFT_TOTALS, (312, 402_180, 0, 0, 12, 15_000), worst
        ),
        "shift totals, both": screens.totals(
            table, screens.SHIFT_TOTALS, (312, 402_180, 3, 3_650, 12, 15_000), worst
        ),
        "seven days": screens.totals(
            table, screens.SEVEN_DAYS, (2_184, 2_815_260, 0, 0, 0, 0), worst
        ),
        "seven days, most": screens.totals(table, screens.SEVEN_DAYS, (65535, 0xFFFFFFFF) * 3),
        "scan": screens.scan(table, "12.50", b""),
        "scan, most": screens.scan(table, "167772.15", b""),
        DRAWN: screens.scan(table, "12.50", PICTURE),
        "by scan": screens.one_sale(table, screens.BY_SCAN, 1250, 4711, worst),
        **{f"reason {n}": screens.message(table, n, "12.50") for n in sorted(reasons.DISPLAY)},
        **{f"answer {number}": screens.message(table, number, "12.5") for number in answers},
    }


def shots(font=None):
    """Name -> what the glass shows, each screen after the one before it; and complaints."""
    bench = Bench()
    found = {}
    for language, table in TABLES.items():
        for name, lines in lines_of(table).items():
            bench.driver.show(lines, PICTURE if name == DRAWN else b"")
            found[f"{language}: {name}"] = screen.shoot(bench.chip, font)
    return found, bench.chip.violations


def recorded():
    """Name -> digest, as it was found right."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def digests(found):
    """What is recorded of shots."""
    return {name: shot.image.digest for name, shot in found.items()}


def main(arguments):
    """Record, or write a page for review."""
    found, _ = shots()
    if not arguments:
        text = json.dumps(digests(found), indent=1, ensure_ascii=False)
        RECORDED.write_text(text + "\n", encoding="utf-8")
        return
    if screen.UNIFONT.exists():
        readable, _ = shots(screen.load_font())
        changed = {n for n, digest in digests(found).items() if recorded().get(n) != digest}
        expected = {n: shot.image.digest for n, shot in readable.items() if n not in changed}
        page = screen.review_page(readable, expected)
    else:
        page = screen.review_page(found, recorded())
    Path(arguments[0]).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
