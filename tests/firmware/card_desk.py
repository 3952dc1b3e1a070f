"""A reader with flash for a card map, and the agent that tells it of cards: both on a bench.

The agent here is the contract of protocols/spec: it answers what a reader asks, in one message
each, and pushes what is new when it is told to.
"""

import random
import struct

from firmware.services.card_map import CardMap
from firmware.services.clock import Clock
from firmware.services.journal import Journal
from firmware.services.records import Recorder
from protocols.rules import card_status
from protocols.rules.card_status import CHANGE_BYTES, PAGE_BYTES, change
from protocols.wire import messages, seal
from simulator.chips.nor_flash import NorFlash, PowerCut
from tests.firmware.test_clock import UTC_S, Board

DEVICE, KEY = 1001, bytes(range(32))
WARRANT_KEY = seal.derive(KEY, card_status.LABEL)
SECTOR_BYTES = 4096
CHANGES_MAX = (messages.CARDS_DATA_BYTES_MAX - card_status.WARRANT_BYTES) // CHANGE_BYTES


class Centre:
    """All changes there were, and what is said of them."""

    def __init__(self):
        self.changes = b""
        self.now_s = UTC_S

    @property
    def epoch(self):
        return len(self.changes) // CHANGE_BYTES

    def set(self, card_no, status):
        self.changes += change(card_no, status)

    def map_at(self, epoch):
        card_map = bytearray()
        card_status.fold(card_map, self.changes[: epoch * CHANGE_BYTES])
        return bytes(card_map)

    def warrant(self, epoch=None, made_s=None, key=WARRANT_KEY):
        epoch = self.epoch if epoch is None else epoch
        card_map = self.map_at(epoch)
        chain = card_status.chained(card_status.CHAIN_START, self.changes[: epoch * CHANGE_BYTES])
        body = struct.pack(
            card_status.WARRANT,
            epoch,
            self.now_s if made_s is None else made_s,
            len(card_map),
            chain,
            card_status.digest_of(card_map),
        )
        return seal.seal(key, body, card_status.LABEL)

    def news(self, since, epoch=None, **said):
        """Page 0 of a CARDS: what came behind `since`, up to `epoch`."""
        epoch = self.epoch if epoch is None else epoch
        changes = self.changes[since * CHANGE_BYTES : epoch * CHANGE_BYTES]
        if len(changes) > CHANGES_MAX * CHANGE_BYTES:
            since, changes = 0, b""
        return {"epoch": since, "page": 0, "data": self.warrant(epoch, **said) + changes}

    def page(self, epoch, page):
        at = (page - 1) * PAGE_BYTES
        return {"epoch": epoch, "page": page, "data": self.map_at(epoch)[at : at + PAGE_BYTES]}

    def answer(self, asked):
        if asked["page"]:
            return self.page(asked["epoch"], asked["page"])
        return self.news(asked["epoch"])

    def status(self, card_no, epoch=None):
        card_map, at = self.map_at(self.epoch if epoch is None else epoch), card_no // 4
        return card_status.status_in(card_map[at], card_no) if at < len(card_map) else 0


class Reader:
    """Journal and card map on two flashes; `asked` is what it has said. `run` lets them talk."""

    def __init__(self, centre, seed=0, card_sectors=10, journal_sectors=8):
        draw = random.Random(seed)
        self.centre = centre
        self.flash = NorFlash(journal_sectors * SECTOR_BYTES, draw)
        self.card_flash = NorFlash(card_sectors * SECTOR_BYTES, draw)
        self.settings = {"device_key": KEY, "device": DEVICE}
        self.now_ms = 0
        self.counters = {"sessions": 1}
        self.online = True
        self.on_cards = None
        self.asked = []
        self.spoil = lambda answer: answer
        self.boot()

    def boot(self, key=KEY):
        """`key` seals the records that come."""
        for flash in (self.flash, self.card_flash):
            if not flash.is_powered:
                flash.power_on()
        journal = Journal(self.flash)
        journal.recover()
        self.recorder = Recorder(journal, DEVICE, key, Clock(Board(None), journal, 0))
        self.on_cards = None
        self.card_map = CardMap(self, self.recorder, self)

    def say(self, message_type, fields):
        data = messages.encode_message(message_type, {**fields, "device": DEVICE})
        self.asked.append(messages.decode_message(data, (messages.CARDS,)))
        return True

    def hear(self, said):
        """The word that the reader has for a CARDS of the agent."""
        data = messages.encode_message(messages.CARDS, {**said, "device": DEVICE})
        assert self.on_cards is not None
        try:
            return self.on_cards(messages.decode_message(data, (messages.CARDS,)), self.now_ms)
        except OSError:
            self.connect()  # as the uplink does
            return "lost"

    def connect(self):
        self.counters["sessions"] += 1

    def run(self, rounds=1_000):
        """Until the reader has nothing more to ask within a minute; how often it has asked."""
        asked = 0
        for _ in range(rounds):
            due_ms = self.card_map.step(self.now_ms)
            if self.asked:
                asked += 1
                answer = self.spoil(self.centre.answer(self.asked.pop(0)))
                if answer is not None:
                    self.hear(answer)
            elif due_ms - self.now_ms > 30_000:
                return asked
            else:
                self.now_ms = max(due_ms, self.now_ms)
        raise AssertionError("the reader keeps asking")

    def survives(self, act):
        try:
            act()
        except PowerCut:
            self.flash.cut()
            self.card_flash.cut()
            self.boot()
            return False
        return True

    @property
    def made_s(self):
        return self.card_map.made_s()

    def status(self, card_no):
        return self.card_map.known(card_no)[0]

    def holds(self, epoch, cards=2_000):
        """Whether it says of every card what the map of this epoch does."""
        card_map = self.centre.map_at(epoch)
        for card_no in range(cards):
            at = card_no // 4
            wanted = card_status.status_in(card_map[at], card_no) if at < len(card_map) else 0
            if self.status(card_no) != wanted:
                return False
        return True
