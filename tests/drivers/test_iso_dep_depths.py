"""ISO-DEP at card depth beside register depth: the same frames, the same words, the same time."""

import random

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.iso_dep import IsoDep
from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.host.card_port import front_end
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.drivers.desk import Desk
from tests.rules.test_settings import GOOD
from tests.simulator.cards.test_iso_dep import Echo

COMMANDS = (1, 20, 58, 59, 60, 150, 20, 5)
EFFECTS = ["flip_command", "flip_answer", "parity", "lose_command", "lose_answer"]


class Port:
    """An antenna at card depth whose board has these settings."""

    def __init__(self, **tuning):
        store = {"settings": settings.encode({**GOOD, **tuning})}
        flash = NorFlash(4096, random.Random(0))
        hardware = Hardware("pos", World(0), Transcript(), flash, store, random.Random(0))
        hardware.power_on()
        self.clock, self.field = hardware.clock, hardware.field
        self.pcd = front_end(hardware)

    def place(self, card):
        self.field.place(card)
        self.clock.advance_us(10_000)


def converse(depth, rate, prepare=lambda opened, card: None):
    """(answers, frames, virtual us of activation, of all exchanges) of one dialogue."""
    opened = (Port if depth == "card" else Desk)(rfid_rate=rate)
    card = Echo()
    opened.pcd.poll()
    opened.place(card)
    link = IsoDep(opened.pcd, opened.pcd.poll())
    frames, start_us = opened.field.frames, opened.clock.now_us
    link.activate()
    active_us = opened.clock.now_us
    prepare(opened, card)
    answers = []
    for size in COMMANDS:
        try:
            answers.append(link.exchange(bytes(size), size + 1))
        except CardGone:
            answers.append(None)
    end_us = opened.clock.now_us
    assert link.rate == (1 if rate == 212 else 0)
    assert card.violations == []
    return answers, opened.field.frames - frames, active_us - start_us, end_us - active_us


def disturbed(effect, after):
    return lambda opened, card: opened.field.disturb(effect, 9, after=after)


def asking_for_time(opened, card):
    card.asks_for_time, card.cost_us = 2, 100_000


def mute(opened, card):
    card.mute_after = 5


@pytest.mark.parametrize("rate", [106, 212])
@pytest.mark.parametrize("effect", EFFECTS)
def test_what_is_disturbed_is_made_good_alike(rate, effect):
    for after in range(12):
        prepare = disturbed(effect, after)
        card, register = (converse(depth, rate, prepare) for depth in ("card", "register"))
        assert card[:2] == register[:2]
        assert None not in card[0]


@pytest.mark.parametrize("rate", [106, 212])
@pytest.mark.parametrize("prepare", [lambda opened, card: None, asking_for_time, mute])
def test_a_dialogue_takes_as_long(rate, prepare):
    """Virtual time, within the 3 % that tests/simulator/test_card_depth.py allows."""
    card, register = (converse(depth, rate, prepare) for depth in ("card", "register"))
    assert card[:2] == register[:2]
    for name, here_us, there_us in zip(
        ("activation", "exchanges"), card[2:], register[2:], strict=True
    ):
        print(f"{name} at {rate}: register {there_us} us, card {here_us / there_us:.3f} of that")
        assert abs(here_us - there_us) <= there_us * 3 // 100
