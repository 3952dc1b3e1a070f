"""A reader without keys and screen: journal, till and antenna, and somebody who types a PIN.

Both kinds of card, at register depth. `compared` notes every PIN that a reader compares, with what
the card has counted by then: no reader may compare what no card has counted.
"""

import functools
import json
import random

from adapters.aes import CIPHERS, aes
from firmware.drivers.iso14443 import CardGone, Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.mifare_classic import CardRefused
from firmware.services.clock import Clock
from firmware.services.journal import Journal
from firmware.services.purses import Purses
from firmware.services.records import Recorder
from firmware.services.till import Till
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.card import pin, purse_classic
from protocols.card.diversify import Cmac
from protocols.card.identity import Identity
from protocols.card.personalise import encode_name, personalise
from protocols.rules import reasons, settings
from protocols.wire import messages
from simulator import cardbox_desfire
from simulator.cardbox_desfire import DesfireMasters
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.checkers import journal_of
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.board import HostBoard
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from tests.drivers.desfire_desk import MASTERS
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    CREDIT_KEY,
    DAY,
    DEVICE,
    DEVICE_KEY,
    MAC_KEY,
    MERCHANT,
    NOON_S,
    POLICY,
    PURSE_KEY,
    SECTOR_BYTES,
    SITE,
    records_on,
)

DIGITS, WRONG = b"802613", b"802614"
CLASSIC, DESFIRE = "classic", "desfire"
UIDS = {CLASSIC: bytes.fromhex("de3ac417"), DESFIRE: bytes.fromhex("04a1b2c3d4e5f6")}
AMOUNT_FEN = 6_000  # above no_pin_max_fen
LITTLE_FEN = 1_250
# What a tap says when the card or the reader is gone in the middle of it.
GONE, DEAD = "gone", "dead"


def _cost(amount_fen, _view, _now_ms):
    """What is to be paid, whoever pays."""
    return 0, amount_fen, 0, 0


def verifier_of(uid, card_no=CARD_NO, digits=DIGITS, mac_key=MAC_KEY):
    return pin.verifier(Cmac(aes(mac_key)), uid, card_no, digits, aes)


@functools.cache
def _image(kind, card_no, digits, name):
    uid, identity = UIDS[kind], Identity(card_no, 2, DAY - 300, DAY + 700, 1)
    if kind == CLASSIC:
        keys = PURSE_KEY, CREDIT_KEY, MAC_KEY
        return personalise(uid, identity, BALANCE_FEN, *keys, aes, digits, name)
    card, draw = Desfire(uid, random.Random(0)), random.Random(1).randbytes
    told = verifier_of(uid, card_no, digits) if digits else pin.NO_PIN
    keys = DesfireMasters(**MASTERS).card_keys(uid)
    steps = cardbox_desfire.personalise_desfire.personalise(
        CIPHERS, identity, BALANCE_FEN, keys, draw, told, encode_name(name)
    )
    cardbox_desfire.drive(steps, card)
    return json.dumps(card.snapshot())


def new_card(kind, seed=0, card_no=CARD_NO, digits=DIGITS, torn="mixed", name=""):
    """A card that has a PIN; `torn` as of simulator.cards.mifare_classic."""
    image = _image(kind, card_no, digits, name)
    if kind == CLASSIC:
        card = MifareClassic(UIDS[kind], list(image), random.Random(seed))
        card.torn = torn
        return card
    card = Desfire(UIDS[kind], random.Random(seed))
    card.restore(json.loads(image))
    return card


def truth(card):
    """What really stands on a card of either kind."""
    if isinstance(card, Desfire):
        return cardbox_desfire.truth(card)
    mac = purse_classic.card_mac(Cmac(aes(MAC_KEY)), card.uid, aes)
    return purse_classic.decode_card(card.uid, dict(enumerate(card.blocks)), mac)


class _Silence:
    """A transcript nobody reads."""

    def add(self, *_event):
        pass


class Window:
    """One reader with its power on; `policy` overrides single figures of POLICY.

    `keys` are the card keys in its settings, where they are not those of the cards here.
    """

    def __init__(self, seed=0, device=DEVICE, keys=None, **policy):
        self.device, self.compared = device, []
        self.exchanges = 0  # SPI transactions when the last tap had ended
        self.flash = NorFlash(8 * SECTOR_BYTES, random.Random(seed))
        self.blob = settings.encode(
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
                **(keys or {}),
            }
        )
        nvs, draw = {"settings": self.blob}, random.Random(seed)
        self.hardware = Hardware("pos", World(NOON_S), _Silence(), self.flash, nvs, draw)
        self.till = None
        self.boot()

    def boot(self):
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.now_ms = board.ticks_ms
        journal = Journal(board.flash)
        journal.recover()
        clock = Clock(board, journal, self.now_ms())
        clock.observe(NOON_S, self.now_ms(), self.now_ms())
        self.recorder = Recorder(journal, self.device, DEVICE_KEY, clock)
        self.till = Till(self.recorder, clock, board.settings)
        self.paid = self.till.take_up(self.now_ms())
        self.recorder.note(messages.BOOT, self.now_ms(), cause=1, firmware=1)
        self.pcd = Pcd(Mfrc522(board))
        self.purses = Purses(board, self.pcd)

    def tap(self, card, digits=None, amount_fen=AMOUNT_FEN, is_holder=False, arm=None):
        """The reason that the till gives, GONE, or DEAD when the power went; the card is taken.

        `arm()` is called when the card lies there and nothing is said to it yet.
        """
        typed = None if digits is None else bytearray(digits)
        if self.till is None:
            self.boot()
        self.hardware.put_card(card)
        self.hardware.clock.advance_us(10_000)
        if arm is not None:
            arm()
        try:
            found = self.pcd.poll()
            if found is None:
                return GONE
            purse = self.purses.of(found)
            self._watch(purse, card)
            cost = functools.partial(_cost, amount_fen)
            at_ms, answers = self.now_ms(), {"pin": typed, "is_holder": is_holder}
            return self.till.spend(purse, cost, "mains", "online", at_ms, **answers)[0]
        except (CardGone, CardRefused):
            return GONE
        except PowerCut:
            self.die()
            return DEAD
        finally:
            self.exchanges = self.hardware.chip.transactions
            if self.hardware.chip.before_exchange is not None:
                self.hardware.chip.before_exchange = None
            if card.in_field:
                self.hardware.take_card(card)
            if self.till is not None:
                self.pcd.poll()  # so that the reader knows that it is gone
                self.hardware.clock.advance_us(200_000)
            self.typed = typed

    def die(self):
        self.till = None
        self.flash.cut_after(1 << 40)
        self.hardware.power_off()
        self.hardware.clock.advance_us(1_000_000)

    def _watch(self, purse, card):
        is_pin = purse.is_pin

        def noted(view, pin_verifier, digits):
            self.compared.append((bytes(digits), truth(card).pin_tries))
            return is_pin(view, pin_verifier, digits)

        purse.is_pin = noted

    def records(self, *kinds):
        found = records_on(self.flash, self.device)
        return [record for record in found if not kinds or record["kind"] in kinds]

    # -- disturbances -------------------------------------------------------------------------

    def cut_before(self, exchange):
        """For `arm`: the power goes before that many SPI transactions more."""
        return lambda: self._at(exchange, self._cut)

    def pull_before(self, exchange, card):
        """For `arm`: the card is taken before that many SPI transactions more."""
        return lambda: self._at(exchange, lambda: self.hardware.take_card(card))

    def pull_after_us(self, delay_us, card):
        """For `arm`: the card is taken that much later, whatever it is at."""

        def take():
            if card.in_field:
                self.hardware.take_card(card)

        clock = self.hardware.clock
        return lambda: clock.at(clock.now_us + delay_us, take)

    def _at(self, exchange, act):
        chip = self.hardware.chip
        last = chip.transactions + exchange

        def look(number):
            if number == last:
                chip.before_exchange = None
                act()

        chip.before_exchange = look

    def _cut(self):
        self.flash.cut()
        raise PowerCut("at the bus")


def books_of(*windows):
    """A ledger that has booked all journals; its invariants hold."""
    store = LedgerStore.open(":memory:")
    store.register_merchant(MERCHANT)
    store.issue_card(CARD_NO, BALANCE_FEN)
    for window in windows:
        store.register_device(window.device, DEVICE_KEY, MERCHANT)
    for window in windows:
        journal = journal_of(window.flash)
        store.book([[journal.record(seq) for seq in range(1, journal.head_seq + 1)]])
    assert check(store) == []
    return store


def paid_fen(store):
    """What the ledger says that the card has paid."""
    ((fen,),) = store.database.rows(
        "SELECT COALESCE(SUM(amount_fen), 0) FROM intent WHERE state = 3"
    )
    return fen


APPROVED, CARD_GONE = reasons.APPROVED, reasons.CARD_GONE
