"""A canteen counter: the POS as it is built on its modelled hardware, and the cards one brings.

A witness stands by and looks at every pin. Whenever a card is written it asks the flash whether
the INTENT is there; whenever PAID is shown, whether the OUTCOME is.
"""

import functools
import random

from adapters.aes import aes
from firmware.roles import pos
from firmware.services.journal import Journal
from protocols.card import purse_desfire
from protocols.card.diversify import Cmac
from protocols.card.identity import Identity
from protocols.card.personalise import encode_value, personalise
from protocols.card.purse_classic import (
    RECORD_BLOCKS,
    STATE_BLOCKS,
    VALUE_BLOCKS,
    card_mac,
    decode_card,
    encode_record,
    encode_state,
)
from protocols.rules import reasons, settings
from protocols.wire import messages, seal
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.board import HostBoard
from simulator.host.hardware import Hardware
from simulator.world.clock import World

DEVICE, MERCHANT, SITE = 1001, 71, "north"
DEVICE_KEY = bytes(range(32))
PURSE_KEY = bytes(range(16))
MAC_KEY = bytes(range(16, 32))
CREDIT_KEY = bytes(range(32, 48))
DAY = 20_700  # 2026-09-04
NOON_S = DAY * 86400 + 4 * 3600  # in China
CARD_NO = 4711
BALANCE_FEN = 10_000
SECTOR_BYTES = 4096
POLICY = {
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
    "split_window_s": 0,  # most tests sell to one card again and again
    "map_stale_s": 0,
    "stale_max_fen": 0,
    "map_expired_s": 0,
    "offline_day_max_fen": 0,
    "offline_count_max": 0,
    "offline_sum_max_fen": 0,
    "offline_age_max_s": 0,
    "since_pin_count_max": 0,
    "staff_day_max_fen": 0,
    "student_day_max_fen": 0,
    "temporary_day_max_fen": 0,
    "floor_max_fen": 0,
}
RESTING_MS = 700
_UID_BASE = 0xDE000000


def worn(_key, _data):
    """Instead of nvs_set of a board's hardware: its key-value store takes nothing any more."""
    raise OSError("the key-value store is worn")


@functools.cache
def _image(uid, card_no, balance_fen, kind, first_day, last_day, purse_key, mac_key):
    identity = Identity(card_no, kind, first_day, last_day, 1)
    return personalise(uid, identity, balance_fen, purse_key, CREDIT_KEY, mac_key, aes)


def new_card(
    card_no=CARD_NO,
    balance_fen=BALANCE_FEN,
    kind=2,
    days=(DAY - 300, DAY + 700),
    purse_key=PURSE_KEY,
    mac_key=MAC_KEY,
    seed=0,
):
    """A card as the card centre makes it; its UID follows from its number."""
    uid = (_UID_BASE + card_no).to_bytes(4, "big")
    blocks = _image(uid, card_no, balance_fen, kind, *days, purse_key, mac_key)
    return MifareClassic(uid, blocks, random.Random(seed))


def card_no_of(card):
    """The number of a card that new_card has made."""
    return int.from_bytes(card.uid, "big") - _UID_BASE


def truth(card):
    """What really stands on a card, read past all access rights."""
    mac = card_mac(Cmac(aes(MAC_KEY)), card.uid, aes)
    return decode_card(card.uid, dict(enumerate(card.blocks)), mac)


def with_counter(card, counter):
    """The card after so many spends, as far as its counter goes."""
    state = truth(card)
    state.counter = counter
    slot = counter & 1
    mac = card_mac(Cmac(aes(MAC_KEY)), card.uid, aes)
    card.blocks[VALUE_BLOCKS[slot]] = encode_value(state.balance_fen, VALUE_BLOCKS[slot])
    card.blocks[RECORD_BLOCKS[slot]] = encode_record(state)
    fields = state.proof.identity_fields
    card.blocks[STATE_BLOCKS[slot]] = encode_state(state, card.uid, fields, mac)
    return card


class _ReadOnly:
    """A flash to look at."""

    sector_bytes = SECTOR_BYTES

    def __init__(self, flash):
        self.size_bytes = flash.size_bytes
        self.read = flash.read

    def program(self, address, data):
        pass


def records_on(flash, device):
    """All records on a flash as dicts, oldest first; their seals and their chain are checked."""
    journal = Journal(_ReadOnly(flash))
    journal.recover()
    records = []
    link = bytes(32)
    for seq in range(1, journal.head_seq + 1):
        sealed = journal.record(seq)
        if sealed is None:
            assert seq <= journal.receipted
            continue
        payload = seal.unseal(DEVICE_KEY, sealed, link) if seq == 1 or records else None
        link = seal.tag_of(sealed)
        fields = messages.decode_record(payload or seal.payload_of(sealed))
        assert (fields["device"], fields["seq"]) == (device, seq)
        records.append(fields)
    return records


class Witness:
    """Stands where the transcript stands and sees every event of the hardware."""

    def __init__(self, counter):
        self._counter = counter
        self.written = {}  # EEPROM writes of each card so far
        self.beeps = []
        self.lights = []
        self.texts = []

    def add(self, time_us, who, what, data=b""):
        if what == "spi":
            self.look_at_cards()
        elif what == "display":
            self.texts.append(data.decode("latin-1"))
            if b"PAID" in data and b"LAST" not in data:
                last = self._counter.records()[-1]
                assert (last["kind"], last["result"]) == (messages.OUTCOME, messages.COMMITTED)
        elif what == "beep":
            self.beeps.append((time_us // 1000, data))
        elif what == "led":
            self.lights.append(data)

    def look_at_cards(self):
        """If a card was just written, the newest record is the INTENT that speaks of it."""
        for card in self._counter.cards:
            if writes_of(card) != self.written[card]:
                self.written[card] = writes_of(card)
                intent = self._counter.records()[-1]
                assert intent["kind"] == messages.INTENT
                assert intent["card_no"] == self._counter.card_no_of(card)


def writes_of(card):
    """How often a card was written to; of a DESFire, the transactions that it was to commit."""
    if isinstance(card, Desfire):
        return card.commands.get(purse_desfire.COMMIT_TRANSACTION, 0)
    return card.eeprom_writes


class Counter:
    """One window; booted unless `boot` is False. `policy` overrides single figures of POLICY.

    `language`: of the clerk's display, if there is one; `menu`: the blob of protocols.rules.menu;
    `own`: more settings; `age`: of the battery; `has_radio`: no cable, but Wi-Fi; `card_sectors`:
    of the flash for the card map, if there is one.
    """

    def __init__(
        self,
        seed=0,
        sectors=8,
        boot=True,
        device=DEVICE,
        language=None,
        menu=b"",
        own=(),
        age=None,
        has_radio=False,
        card_sectors=0,
        **policy,
    ):
        self.flash = NorFlash(sectors * SECTOR_BYTES, random.Random(seed))
        card_flash = None
        if card_sectors:
            card_flash = NorFlash(card_sectors * SECTOR_BYTES, random.Random(seed))
        self._device = device
        self.cards = []
        self.witness = Witness(self)
        blob = settings.encode(
            {
                "device": device,
                "site": SITE,
                "merchant_no": MERCHANT,
                "device_key": DEVICE_KEY,
                "purse_key": PURSE_KEY,
                "mac_key": MAC_KEY,
                "broker_host": "192.0.2.1",
                "broker_port": 1883,
                "policy": {**POLICY, **policy},
                **({"language": language} if language else {}),
                **dict(own),
            }
        )
        nvs = {"settings": blob, "menu": menu, **({"wifi_ssid": b"net"} if has_radio else {})}
        self.hardware = Hardware(
            "pos",
            World(NOON_S),
            self.witness,
            self.flash,
            nvs,
            random.Random(seed),
            age,
            card_flash,
        )
        self.clock = self.hardware.clock
        self.pos = None
        self._is_told = False
        if boot:
            self.boot()

    card_no_of = staticmethod(card_no_of)
    build = staticmethod(pos.build)

    # -- power --------------------------------------------------------------------------------

    def boot(self, tell_time=True):
        """Power comes back. At the first boot a receipt tells the time, as in a reader's life."""
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = self.build(board)
        if tell_time and not self._is_told:
            self.tell_time()
        self.run_ms(0)

    def tell_time(self):
        """What a receipt does to the clock of a reader that is online for a moment."""
        self._is_told = True
        now_ms = self.ticks_us() // 1000
        time_s = self.hardware.world.utc_s(self.clock.now_us)
        self.pos._clock.observe(time_s, now_ms, now_ms)

    def die(self):
        """Power is gone, and with it everything but flash and cards."""
        self.pos = None
        self.hardware.power_off()
        self.witness.look_at_cards()
        self.clock.advance_us(1_000_000)
        self.hardware.world.now_us = self.clock.now_us

    def survives(self, act):
        """Whether the power stayed on while `act` was done; if not, the reader is dead."""
        try:
            act()
        except PowerCut:
            self.die()
            return False
        return True

    # -- time ---------------------------------------------------------------------------------

    def run_ms(self, duration_ms):
        """Let the loop of main.py run for that long."""
        end_us = self.clock.now_us + duration_ms * 1000
        while True:
            due_ms = self.pos.step(self.ticks_us() // 1000)
            wait_us = max(due_ms * 1000 - self.ticks_us(), 0)
            if self.clock.now_us + wait_us > end_us:
                self.clock.advance_to(end_us)
                return
            self.clock.advance_us(wait_us)

    def after_ms(self, delay_ms, event):
        """Let something happen at that moment, whatever the firmware is at."""
        self.clock.at(self.clock.now_us + delay_ms * 1000, event)

    # -- people -------------------------------------------------------------------------------

    def key(self, keys):
        """Press keys; one step."""
        self.hardware.keys += keys
        self.run_ms(0)

    def put(self, *cards):
        for card in cards:
            if card not in self.cards:
                self.cards.append(card)
            if not card.in_field:
                self.witness.written[card] = writes_of(card)
                self.hardware.put_card(card)

    def take(self, *cards):
        for card in cards:
            self.hardware.take_card(card)

    def tap(self, *cards, hold_ms=RESTING_MS):
        """Hold cards to the reader for a while."""
        self.put(*cards)
        self.run_ms(hold_ms)
        self.take(*cards)
        self.run_ms(200)

    def sell(self, amount, *cards, hold_ms=RESTING_MS):
        """Key an amount ("12.50"), hold cards to it; the upper line of the display."""
        self.key(amount.encode() + b"\r")
        self.tap(*cards, hold_ms=hold_ms)
        if self.shown == reasons.display(reasons.PAID_JUST_NOW):
            self.key(b"\r")
            self.tap(*cards, hold_ms=hold_ms)
        return self.shown

    @property
    def shown(self):
        return self.hardware.panel.lines[0]

    @property
    def lines(self):
        return tuple(self.hardware.panel.lines)

    # -- books --------------------------------------------------------------------------------

    def records(self, *kinds):
        """The records on flash of these kinds (default: all)."""
        records = records_on(self.flash, self._device)
        return [record for record in records if not kinds or record["kind"] in kinds]
