"""How long a POS lasts on its battery (R23.1a), and what light and radio that it saves are worth.

The whole POS runs on the modelled parts, sells to one card after the other at the declared rate,
without mains and network; what its parts draw (simulator/host/loads.py) is summed up. Then the
modelled cell gives that until the reader stops. Without savings is the same reader on mains, where
it saves nothing (a scanner looks for codes with every order), with its network gone. All of it
stands on data sheets; no board was measured.
"""

import random
from collections.abc import Iterator
from functools import cache

from protocols.rules import battery, clock, settings
from simulator.cardbox import CardKeys, Chip, make_cards
from simulator.chips.battery import Battery
from simulator.chips.nor_flash import NorFlash
from simulator.chips.qr_scanner import QrScanner
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.scenario import CardBatch
from simulator.scenario_words import DEFAULT_POLICY
from simulator.world.clock import ReaderClock, World
from simulator.world.transcript import Transcript

TAP_EVERY_S = 10  # the declared rate: 720 taps in two hours
TAPS = 24
START_UTC_S = 1_788_494_400  # 2026-09-04, noon in China
WORN = {"health_percent": 60, "celsius": 0}
_SECOND_US = 1_000_000
_KEYED_US, _HELD_US = 1_500_000, 700_000
_LOOK_US = 10 * _SECOND_US
_FLASH_BYTES = 256 * 1024


class NotSold(Exception):
    """The reader has not taken the money for which its currents were to be summed up."""


class _Window:
    """One POS, without network, and the cards of its customers."""

    def __init__(self, has_radio: bool, has_scanner: bool) -> None:
        draw = random.Random(7)
        keys = CardKeys.drawn(draw)
        policy = DEFAULT_POLICY
        batch = CardBatch("student", 2, "ours", TAPS, 20_001, (5_000, 5_000))
        today = clock.day(START_UTC_S, policy["utc_offset_s"])
        self.cards = [held.chip for held in make_cards(batch, keys, draw, today)]
        blob = settings.encode(
            {
                "device": 1001,
                "site": "canteen-1",
                "merchant_no": 71,
                "device_key": draw.randbytes(32),
                "purse_key": keys.purse,
                "mac_key": keys.mac,
                "broker_host": "building",
                "broker_port": 1883,
                "policy": policy,
                "language": "en",
            }
        )
        nvs = {"settings": blob, **({"wifi_ssid": b"campus"} if has_radio else {})}
        self.hardware = Hardware(
            "pos", World(START_UTC_S), Transcript(), NorFlash(_FLASH_BYTES, draw), nvs, draw
        )
        if has_scanner:
            self.hardware.scanner = QrScanner(self.hardware.clock, draw)
        self.home = HostHome("code_pos" if has_scanner else "pos", self.hardware)
        self.hardware.power_on()
        self.due_us = self.home.start(self.hardware.clock.now_us)

    def until(self, time_us: int) -> None:
        """Let the reader run."""
        reader = self.hardware.clock
        while self.due_us <= time_us:
            reader.advance_to(self.due_us)
            self.due_us = self.home.run(reader.now_us)
        reader.advance_to(time_us)

    def sell(self, card: Chip, begin_us: int) -> None:
        """One sale, and the time until the next one begins."""
        self.hardware.keys += b"1.00\r"
        self.due_us = begin_us
        self.until(begin_us + _KEYED_US)
        self.hardware.put_card(card)
        self.until(begin_us + _KEYED_US + _HELD_US)
        if self.hardware.panel.lines[0] != "PAID 1.00":
            raise NotSold(self.hardware.panel.lines[0])
        self.hardware.take_card(card)
        self.until(begin_us + TAP_EVERY_S * _SECOND_US)


@cache
def draws_ua(has_radio: bool, saves: bool, has_scanner: bool = False) -> int:
    """Microamperes on average, at the declared rate."""
    window = _Window(has_radio, has_scanner)
    window.hardware.set_mains(not saves)
    window.until(60 * _SECOND_US)
    cell, reader = window.hardware.battery, window.hardware.clock
    cell.terminal_mv()
    before, began_us = cell.drawn, reader.now_us
    for number, card in enumerate(window.cards):
        window.sell(card, began_us + number * TAP_EVERY_S * _SECOND_US)
    cell.terminal_mv()
    return (cell.drawn - before) // (reader.now_us - began_us)


def lasts_min(load_ua: int, **age: int) -> int:
    """Whole minutes from full until the reader stops."""
    reader = ReaderClock(World(START_UTC_S))
    cell = Battery(reader, lambda: None, **age)
    cell.plug(False)
    cell.draw("reader", load_ua)
    while cell.terminal_mv() >= battery.STOP_MV:
        reader.advance_us(_LOOK_US)
    return (reader.now_us - _LOOK_US) // (60 * _SECOND_US)


def rows() -> Iterator[dict[str, object]]:
    """For a board with a cable, one with a radio, and one with a scanner beside it: the current,
    and how long two cells last."""
    for board, *has in (
        ("cable", False, False),
        ("Wi-Fi", True, False),
        ("Wi-Fi and scanner", True, True),
    ):
        saving_ua, other_ua = (draws_ua(has[0], saves, has[1]) for saves in (True, False))
        without = "the same without savings"
        name = f"POS on battery, {board}, a tap in {TAP_EVERY_S} s"
        yield _row(f"{name}: draws", saving_ua // 1000, other_ua // 1000, without, "mA")
        ours, other = lasts_min(saving_ua), lasts_min(other_ua)
        yield _row(f"{name}: new cell", ours, other, without, "minutes")
        ours, other = lasts_min(saving_ua, **WORN), lasts_min(other_ua, **WORN)
        worn = "{health_percent} % of a cell at {celsius} C".format(**WORN)
        yield _row(f"{name}: {worn}", ours, other, without, "minutes")
        yield _row(f"{name}: {worn}", ours, battery.RUN_MIN, "two hours (R23.1a)", "minutes")


def _row(name: str, ours: int, other: int, against: str, unit: str) -> dict[str, object]:
    return {"name": name, "ours": ours, "other": other, "against": against, "unit": unit}
