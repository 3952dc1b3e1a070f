"""One window of a canteen, as torture needs it: production firmware on a flash that can be cut.

A witness looks at every pin. Whenever the card is written, its INTENT must be on flash; whenever
PAID is shown, its OUTCOME. What it notices goes into `seen_wrong`, whatever the firmware does
next.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from protocols.card import personalise
from protocols.card.identity import Identity
from protocols.rules import money, settings, spending
from protocols.wire import messages, seal
from simulator import cardbox_desfire
from simulator.cardbox import CardKeys, aes
from simulator.checkers import journal_of
from simulator.chips.nor_flash import PowerCut
from simulator.host import card_port
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.torture.tap_blows import (
    CutFlash,
    FlashCut,
    RfBlow,
    StruckCard,
    StruckClassic,
    StruckDesfire,
)
from simulator.world.clock import World
from simulator.world.transcript import Transcript

HOME, AWAY, MERCHANT = 1001, 1002, 71
CARD_NO, ISSUED_FEN = 4711, 10_000
DEVICE_KEY = bytes(range(32))
KEYS = CardKeys(purse=bytes(range(16)), credit=bytes(range(32, 48)), mac=bytes(range(16, 32)))
DAY = 20_700  # 2026-09-04
NOON_S = DAY * 86_400 + 4 * 3_600  # in China
_IDENTITY = Identity(CARD_NO, 2, DAY - 300, DAY + 700, 1)
CLASSIC, DESFIRE = "classic", "desfire"  # kinds of card
DESFIRE_UID = bytes.fromhex("04a1b2c3d4e5f6")
SECTORS, SECTOR_BYTES = 8, 4096
CARD, REGISTER = "card", "register"  # how deep the model of the antenna goes
PAID, LAST_PAID = "PAID", "LAST PAID"
HOLD_MS = 600
_POWER_LOOK_MS = 500
_DARK_US = 1_000_000
_POLICY = {
    "epoch": 1,
    "utc_offset_s": 28_800,
    "amount_max_fen": 8_000,
    "no_pin_max_fen": 5_000,
    "since_pin_max_fen": 50_000,
    "day_max_fen": 60_000,
    "offline_max_fen": 6_000,
    "clock_width_max_ms": 120_000,
    "blind_max_fen": 2_000,
    "pin_tries_max": 3,
    "split_window_s": 0,  # people here pay again and again
}


def device_settings(device: int) -> bytes:
    """What the device centre has written into a reader."""
    return settings.encode(
        {
            "device": device,
            "site": "north",
            "merchant_no": MERCHANT,
            "device_key": DEVICE_KEY,
            "purse_key": KEYS.purse,
            "mac_key": KEYS.mac,
            "broker_host": "192.0.2.1",
            "broker_port": 1883,
            "policy": spending.POLICY_DEFAULTS | _POLICY,
        }
    )


@functools.cache
def _image() -> str:
    draw = random.Random(0)
    card = cardbox_desfire.issue(DESFIRE_UID, _IDENTITY, ISSUED_FEN, KEYS.desfire, draw)
    return json.dumps(card.snapshot())


@functools.cache
def _blocks(uid: bytes) -> list[bytes]:
    return personalise.personalise(
        uid, _IDENTITY, ISSUED_FEN, KEYS.purse, KEYS.credit, KEYS.mac, aes
    )


def new_card(seed: int, chip: str = CLASSIC) -> StruckCard:
    """The card, as it was issued; `seed` draws what torn writes leave."""
    if chip == DESFIRE:
        return StruckDesfire(DESFIRE_UID, json.loads(_image()), random.Random(seed))
    uid = (0xDE000000 + CARD_NO).to_bytes(4, "big")
    return StruckClassic(uid, _blocks(uid), random.Random(seed))


def records_on(flash: CutFlash) -> list[bytes]:
    """The sealed records of a journal, oldest first."""
    journal = journal_of(flash)
    found = (journal.record(seq) for seq in range(1, journal.head_seq + 1))
    return [sealed for sealed in found if sealed is not None]


class Witness(Transcript):
    """Stands where the transcript stands.

    `lit`: the intents (seq) that were shown as PAID, once for each time; `told`: as LAST PAID.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window
        self.lit: list[int] = []
        self.told: list[int] = []
        self.seen_wrong: list[str] = []

    @property
    def shown(self) -> set[int]:
        """All that people here know to be paid."""
        return {*self.lit, *self.told}

    def add(self, time_us: int, who: str, what: str, data: bytes | str | int = b"") -> None:
        """One event at the pins."""
        del time_us, who
        if what == "display" and isinstance(data, bytes):
            self._read(data.decode("ascii"))
        elif what == "led" and data == "10" and not self._window.shown.startswith(PAID):
            self.seen_wrong.append(f"green, and the display says {self._window.shown!r}")

    def card_written(self) -> None:
        """A card in the field was just written: the newest record must be its INTENT."""
        newest = next(self._backwards(), {"kind": 0})
        if newest["kind"] != messages.INTENT or newest["card_no"] != CARD_NO:
            self.seen_wrong.append(f"card written, newest record is {newest}")

    def _read(self, text: str) -> None:
        line = text[3:].strip()
        if line.startswith(PAID):
            newest = next(self._backwards(), {"kind": 0})
            self._note(self.lit, newest, line.removeprefix(PAID).strip())
        elif text[2:3] == "B" and self._window.shown == LAST_PAID:
            amount, _, card = line.partition(" #")
            outcomes = (r for r in self._backwards() if r["kind"] == messages.OUTCOME)
            if card == str(CARD_NO):
                self._note(self.told, next(outcomes, {"kind": 0}), amount)

    def _note(self, where: list[int], outcome: dict[str, Any], amount: str) -> None:
        """What is said to be paid must stand on flash as paid, and with that amount."""
        if outcome["kind"] == messages.OUTCOME and outcome["result"] == messages.COMMITTED:
            seq = outcome["intent_seq"]
            intent = next((r for r in self._backwards() if r["seq"] == seq), {})
            if money.format_yuan(intent.get("amount_fen", 0)) == amount:
                where.append(seq)
                return
        self.seen_wrong.append(f"PAID {amount} is shown, and the newest record is {outcome}")

    def _backwards(self) -> Iterator[dict[str, Any]]:
        journal = journal_of(self._window.flash)
        for seq in range(journal.head_seq, 0, -1):
            sealed = journal.record(seq)
            if sealed is not None:
                yield messages.decode_record(seal.payload_of(sealed))


class Window:
    """One POS; off until `boot`. `image` is what its journal partition holds."""

    def __init__(
        self, device: int, world: World, image: bytes | None, seed: int, depth: str = CARD
    ) -> None:
        self.device = device
        self.flash = CutFlash(SECTORS * SECTOR_BYTES, random.Random(seed), SECTOR_BYTES)
        if image is not None:
            self.flash.load(image)
        self.witness = Witness(self)
        # One seed for all windows: what a record's size depends on must not change with the cut.
        self.hardware = Hardware(
            "pos",
            world,
            self.witness,
            self.flash,
            {"settings": device_settings(device)},
            random.Random(device),
        )
        self.clock = self.hardware.clock
        self.is_on = False
        self._world = world
        front_end = card_port.front_end if depth == CARD else None
        self._home = HostHome("pos", self.hardware, front_end)

    @property
    def shown(self) -> str:
        """The upper line of the display."""
        return self.hardware.panel.lines[0]

    def boot(self, typed: bytes = b"") -> None:
        """Power comes back; `typed` is keyed in while the reader starts."""
        self.hardware.power_on()
        self.hardware.keys = typed
        self.is_on = True
        self._act(lambda: self._home.start(self.clock.now_us))
        self.run_ms(0)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        self.hardware.keys += keys
        self.run_ms(0)

    def put(self, card: StruckCard) -> None:
        """Hold the card to the reader; it wakes up at once if the reader is on."""
        card.on_write = self.witness.card_written
        card.clock = self.clock
        card.leave = functools.partial(self.hardware.take_card, card)
        self.hardware.put_card(card)
        self.run_ms(0)

    def tap(self, card: StruckCard) -> None:
        """Hold the card to the reader for a while."""
        self.put(card)
        self.run_ms(HOLD_MS)
        self.hardware.take_card(card)

    def open(self, keys: bytes = b"", hurried: bool = False, records: int = 0) -> None:
        """Boot, and write some records: the mains go and come back. `hurried`: the amount is keyed
        in before, and waits for a card all the while."""
        self.boot(keys if hurried else b"")
        for number in range(records):
            self.hardware.set_mains(bool(number & 1))
            self.run_ms(_POWER_LOOK_MS)

    def first_sale(self, card: StruckCard, keys: bytes, hurried: bool) -> None:
        """Sell, after `open`. The card stays."""
        if not hurried:
            self.type(keys)
        self.put(card)
        self.run_ms(HOLD_MS)

    def strike(self, card: StruckCard, rf: RfBlow | None, cut: FlashCut | None) -> None:
        """Count from here on what the card hears and what the flash does, and strike them."""
        card.strike(rf)
        self.flash.strike(cut)
        self.flash.frames_heard = lambda: card.frames

    def run_ms(self, duration_ms: int) -> None:
        """Let the loop of main.py run for that long, as long as there is power."""
        if self.is_on:
            self._act(lambda: self._run_until(self.clock.now_us + duration_ms * 1000))

    def _run_until(self, end_us: int) -> None:
        while True:
            due_us = max(self._home.run(self.clock.now_us), self.clock.now_us)
            if due_us > end_us:
                self.clock.advance_to(end_us)
                return
            self.clock.advance_to(due_us)

    def _act(self, deed: Callable[[], object]) -> None:
        self.clock.advance_to(self._world.now_us)
        try:
            deed()
        except PowerCut:
            self._home.kill()
            self.hardware.power_off()
            self.is_on = False
            self.clock.advance_us(_DARK_US)
        self._world.now_us = max(self._world.now_us, self.clock.now_us)
