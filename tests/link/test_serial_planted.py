"""Random campaigns on a serial line: what must hold does, and each planted bug breaks it."""

import random

import pytest

from edge_agent.polling import Polling
from firmware.drivers.rs485 import Rs485
from protocols.wire import messages
from protocols.wire.errors import WireError
from protocols.wire.frame import UP, decode_frame
from protocols.wire.serial_client import SerialClient
from tests.link import test_serial
from tests.link.bench import Source
from tests.link.serial_bench import Desk

SEEDS = range(6)
SEEDS_TO_FIND = range(20)
DEVICES = (1001, 1002, 1003)
ROUNDS = 40


class Broken(Exception):
    """Something that must always hold does not."""


class Campaign:
    """Three readers with something to say, and everything that can happen to them."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.desk = Desk(random.Random(seed), DEVICES)
        for device in DEVICES:
            self.desk.add(device, Source(2, device))
        self.desk.bus.mischief = self._spoil
        self.desk.bus.start()
        self.chance = 0.0
        self.number = 0

    def _spoil(self, data):
        if self.draw.random() >= self.chance:
            return [data]
        what = self.draw.randrange(4)
        if what == 0:
            return []
        if what == 1 and decode_frame(data[1:-1])[2] & UP:
            # As from a serial server, whose network takes its time.
            late_us = self.draw.randrange(300_000)
            self.desk.world.at(self.desk.world.now_us + late_us, lambda: self.desk.bus.hear(data))
            return [data]
        if what == 1:
            return [data, data]
        spoiled = bytearray(data[: self.draw.randrange(1, len(data) + 1)] if what == 2 else data)
        spoiled[self.draw.randrange(len(spoiled))] ^= 1 << self.draw.randrange(8)
        return [bytes(spoiled)]

    def _word(self):
        self.number += 1
        return self.number.to_bytes(4, "big") + bytes(self.draw.randrange(280))

    def _happen(self):
        reader, draw = self.draw.choice(self.desk.readers), self.draw
        what = draw.randrange(8)
        if what == 0:
            for each in self.desk.readers:
                each.busy_us = draw.randrange(350_000)
        elif what == 1:
            reader.tap.is_cut = not reader.tap.is_cut
        elif what == 2:
            reader.die()
            self.desk.run(draw.randrange(300))
            reader.boot()
        elif what == 3:
            self.chance = draw.choice((0.0, 0.05, 0.3))
        elif what == 4:
            reader.source.grow(draw.randrange(1, 12))
        elif what == 5:
            reader.uplink.say(messages.RELAY, {"sealed": self._word()})
        else:
            fields = {"device": reader.device, "sealed": self._word()}
            self.desk.bus.publish(reader.device, messages.encode_message(messages.RELAY, fields))

    def play(self):
        """Raises Broken for what must never be, or what does not come right in a minute."""
        try:
            for _ in range(ROUNDS):
                self._happen()
                self.desk.run(self.draw.randrange(20, 700))
            self._heal()
        except (AssertionError, WireError, IndexError) as error:
            raise Broken(str(error)) from error
        self._judge()

    def _heal(self):
        self.chance = 0.0
        for reader in self.desk.readers:
            reader.tap.is_cut = False
        self.desk.run_until(
            lambda: all(
                self.desk.held[reader.device] == reader.source.sealed
                for reader in self.desk.readers
            ),
            60_000,
        )

    def _judge(self):
        if self.desk.bus.collisions:
            raise Broken(f"{self.desk.bus.collisions} times two spoke at once")
        heard = [self.desk.relayed, *(reader.relays for reader in self.desk.readers)]
        for words in heard:
            if len(set(words)) < len(words):
                raise Broken("a word came twice")
        for reader in self.desk.readers:
            if reader.relays != sorted(reader.relays):
                raise Broken("words came in another order")
            for name in ("malformed", "forged", "foreign", "refused"):
                if reader.uplink.counters[name]:
                    raise Broken(f"a reader has heard what is {name}")


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_twice_spoken_over_or_made_up(seed):
    print("seed", seed)
    Campaign(seed).play()


# -- planted ---------------------------------------------------------------------------------


def hears_a_repeated_poll_again(client, sequence, more, piece, events):
    if sequence == client._sequence:
        client._sequence = (sequence - 2) % 63 + 1
    REAL["_take_poll"](client, sequence, more, piece, events)


def answers_a_repeated_poll_with_the_next_piece(client, sequence, more, piece, events):
    if sequence == client._sequence:
        client._take_arrival()
    REAL["_take_poll"](client, sequence, more, piece, events)


def keeps_a_stale_poll(stream, size):
    stream._looked_ms = stream._ticks_ms()
    return REAL["recv"](stream, size)


def lets_go_at_once(stream, data):
    stream._drive(1)
    stream._uart.write(data)
    stream._drive(0)
    return len(data)


def takes_any_answer(polling, data, now_ms):
    station = polling._asked
    if station is None or polling._is_look:
        return REAL["polling_receive"](polling, data, now_ms)
    for _device, _session, control, piece in polling._feed(data):
        if control & UP and polling._asked is not None:
            polling._take_answer(station, control, piece, now_ms)
    return None


def forgets_what_was_not_answered(polling, station, now_ms):
    if not polling._is_look and station.frame:
        polling._take_answer(station, 0, b"", now_ms)
    REAL["_time_out"](polling, station, now_ms)


REAL = {
    "_take_poll": SerialClient._take_poll,
    "recv": Rs485.recv,
    "polling_receive": Polling.receive,
    "_time_out": Polling._time_out,
}
PLANTED = (
    (SerialClient, "_take_poll", hears_a_repeated_poll_again),
    (SerialClient, "_take_poll", answers_a_repeated_poll_with_the_next_piece),
    (Rs485, "send", lets_go_at_once),
    (Polling, "receive", takes_any_answer),
    (Polling, "_time_out", forgets_what_was_not_answered),
)


@pytest.mark.parametrize(("owner", "name", "bug"), PLANTED)
def test_a_planted_bug_is_found(owner, name, bug, monkeypatch):
    monkeypatch.setattr(owner, name, bug)
    for seed in SEEDS_TO_FIND:
        try:
            Campaign(seed).play()
        except Broken as found:
            print("seed", seed, found)
            return
    raise AssertionError(f"not found by {len(SEEDS_TO_FIND)} campaigns")


def test_a_stale_poll_that_is_answered_is_found(monkeypatch):
    monkeypatch.setattr(Rs485, "recv", keeps_a_stale_poll)
    with pytest.raises(AssertionError, match="two spoke at once"):
        test_serial.test_a_reader_at_a_card_never_speaks_in_anothers_turn()
