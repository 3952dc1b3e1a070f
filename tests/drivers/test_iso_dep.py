"""ISO-DEP from the reader's side: lost blocks, slow and lying cards, dead chips, budgets."""

import random
from dataclasses import replace
from functools import partial

import pytest

from firmware.drivers.iso14443 import CardCollision, CardGone
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mfrc522 import BusFault
from simulator.cards.field import US, Answer, Frame, with_crc
from simulator.cards.iso_dep import ACTIVE, ATS_DESFIRE, HALT, PROTOCOL
from tests.drivers.desk import UID4, UID7, Desk, new_card
from tests.simulator.cards.test_iso_dep import Echo

UID10 = bytes.fromhex("0102030405060708090a")
SIZES = (0, 1, 59, 60, 61, 62, 122, 300)
EFFECTS = ["flip_command", "flip_answer", "parity", "lose_command", "lose_answer"]


def ats(body):
    """An ATS with its length byte."""
    raw = bytes.fromhex(body)
    return bytes((len(raw) + 1,)) + raw


class Talk:
    """A desk, a card that repeats what it is told, and the conversation with it."""

    def __init__(self, card=None, seed=1, **settings):
        self.desk = Desk(seed, **settings)
        self.desk.pcd.poll()
        self.card = card if card is not None else Echo()
        self.desk.place(self.card)
        self.link = IsoDep(self.desk.pcd, self.desk.pcd.poll())

    def exchange(self, size, expected=2):
        """Say `size` bytes and check what comes back."""
        command = random.Random(size).randbytes(size)
        answer = self.link.exchange(command, expected)
        assert answer == bytes((size & 0xFF,)) + command
        return answer

    def sound(self):
        """Neither card nor chip has anything to complain about, nor the driver of the chip."""
        complaints = self.card.violations + self.desk.model.violations
        return complaints == [] and self.desk.chip.faults == 0


def talk(card=None, seed=1, **settings):
    """A Talk that is activated."""
    opened = Talk(card, seed, **settings)
    opened.link.activate()
    assert opened.card.state == PROTOCOL
    return opened


# ---------------------------------------------------------------- activation that fails

MALFORMED = [
    "00",
    "01ff",
    "0502",
    "0378",
    "0278",
    "021005",
    "047077",
    "ff75778102",
    "0675778102ff00",
]


@pytest.mark.parametrize("raw", MALFORMED)
def test_a_malformed_ats_is_no_card(raw):
    opened = Talk()
    opened.card._terms.ats = bytes.fromhex(raw)
    with pytest.raises(CardGone, match="answer to select"):
        opened.link.activate()
    with pytest.raises(CardGone, match="not in ISO-DEP"):
        opened.link.exchange(b"\x60")
    opened.card.set_ats(ATS_DESFIRE)
    assert opened.desk.pcd.poll().uid == UID7
    opened.link.activate()
    opened.exchange(5)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("rate", [106, 212])
def test_a_disturbed_activation_is_tried_again(effect, rate):
    for frame in range(3):
        opened = Talk(rfid_rate=rate)
        opened.desk.field.disturb(effect, 5, after=frame)
        opened.link.activate()
        opened.exchange(70)
        assert opened.sound()


def test_a_card_that_cannot_agree_on_a_rate_is_spoken_to_at_106():
    """The answer to PPS gets lost, and card and reader are left with two rates."""
    opened = Talk(rfid_rate=212)
    opened.desk.field.disturb("lose_answer", after=1)
    opened.link.activate()
    assert opened.link.rate == 0
    opened.exchange(70)
    assert opened.sound()


def test_a_card_that_leaves_before_rats_is_gone():
    opened = Talk()
    opened.desk.field.remove(opened.card)
    with pytest.raises(CardGone):
        opened.link.activate()
    assert opened.desk.pcd.poll() is None


def test_a_classic_card_does_not_activate():
    desk = Desk()
    desk.pcd.poll()
    desk.place(new_card())
    card = desk.pcd.poll()
    with pytest.raises(CardGone):
        IsoDep(desk.pcd, card).activate()
    assert desk.pcd.poll() is card


# ---------------------------------------------------------------- blocks that do not arrive


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("rate", [106, 212])
def test_any_one_disturbed_block_is_made_good_and_no_command_runs_twice(effect, rate):
    for size in (5, 150):
        frames = 0
        while True:
            opened = talk(rfid_rate=rate)
            begin = opened.desk.field.frames
            opened.desk.field.disturb(effect, 11, after=frames)
            opened.exchange(size)
            opened.exchange(3)
            assert len(opened.card.applied) == 2
            assert opened.sound()
            if opened.desk.field.frames - begin <= frames:
                break
            frames += 1
        assert frames >= (2 if size == 5 else 6)


@pytest.mark.parametrize("effect", ["lose_command", "lose_answer"])
def test_two_lost_blocks_in_a_row_are_made_good_and_three_are_not(effect):
    for count in (2, 3):
        opened = talk()
        for after in range(count):
            opened.desk.field.disturb(effect, after=after)
        if count == 2:
            opened.exchange(5)
            assert opened.card.applied == [random.Random(5).randbytes(5)]
        else:
            with pytest.raises(CardGone):
                opened.exchange(5)
        assert len(opened.card.applied) <= 1
        assert opened.sound()


@pytest.mark.parametrize("fault", ["mute", "crc", "left"])
def test_a_card_that_says_nothing_understandable_is_gone_in_bounded_time(fault):
    opened = talk()
    opened.exchange(5)
    if fault == "mute":
        opened.card.mute_after = 0
    elif fault == "crc":
        opened.card.lies_crc = True
    else:
        opened.desk.field.remove(opened.card)
    start_us = opened.desk.clock.now_us
    with pytest.raises(CardGone):
        opened.exchange(5)
    assert opened.desk.clock.now_us - start_us < 260_000  # three times FWT of 81 ms
    transactions = opened.desk.model.transactions
    with pytest.raises(CardGone, match="not in ISO-DEP"):
        opened.exchange(5)
    assert opened.desk.model.transactions == transactions


def test_noise_of_seeds_never_makes_a_command_run_twice():
    """Three in ten frames spoiled: an answer is right, or the card is gone; it did it once."""
    whole = 0
    for seed in range(60):
        print("seed", seed)
        rng = random.Random(seed)
        opened = talk(seed=seed)
        for after in range(40):
            if rng.random() < 0.3:
                opened.desk.field.disturb(rng.choice(EFFECTS), rng.randrange(64), after=after)
        try:
            opened.exchange(rng.choice(SIZES))
            whole += 1
        except CardGone:
            pass
        assert len(opened.card.applied) <= 1
        assert opened.sound()
    assert 20 < whole < 60


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("multiplier", [1, 2, 59])
@pytest.mark.parametrize("size", [5, 150])
def test_a_request_for_time_is_granted(multiplier, size):
    opened = talk(Echo(ats=ats("75778102")))
    opened.card.asks_for_time = multiplier
    opened.exchange(size)
    opened.exchange(size)
    assert opened.sound()


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_disturbed_request_for_time_is_made_good(effect):
    for after in range(5):
        opened = talk()
        opened.card.asks_for_time = 3
        opened.card.cost_us = 150_000
        opened.desk.field.disturb(effect, 9, after=after)
        opened.exchange(5)
        assert len(opened.card.applied) == 1
        assert opened.sound()


def test_a_card_that_works_longer_than_its_waiting_time_is_waited_for():
    opened = talk()
    opened.card.slow = True
    opened.card.cost_us = 400_000
    _, _, _, duration_us = opened.desk.counted(lambda: opened.exchange(5))
    assert 400_000 < duration_us < 600_000
    assert opened.sound()


@pytest.mark.parametrize("fwi", range(15))
def test_every_waiting_time_is_waited_and_not_much_longer(fwi):
    opened = talk(Echo(ats=ats(f"25{fwi:x}0")))
    fwt_us = 4096 * 2**fwi / 13.56
    opened.card.cost_us = int(fwt_us * 0.9) - 100
    _, _, _, duration_us = opened.desk.counted(lambda: opened.exchange(5))
    assert opened.card.cost_us < duration_us < opened.card.cost_us * 1.03 + 3_000
    opened.card.mute_after = 0
    start_us = opened.desk.clock.now_us
    with pytest.raises(CardGone):
        opened.exchange(5)
    spent_us = opened.desk.clock.now_us - start_us
    assert min(3 * fwt_us, 4_900_000) < spent_us < min(3 * fwt_us * 1.03 + 20_000, 5_200_000)


@pytest.mark.parametrize("sfgi", [10, 12, 14])
def test_a_card_that_wants_to_hold_the_reader_is_not_served(sfgi):
    with pytest.raises(CardGone):
        talk(Echo(ats=ats(f"257{sfgi:x}")))


@pytest.mark.parametrize("sfgi", [1, 5, 9])
def test_the_start_up_guard_is_kept(sfgi):
    opened = talk(Echo(ats=ats(f"257{sfgi:x}")))
    opened.exchange(5)
    assert opened.sound()


def test_what_is_reserved_in_an_ats_is_read_as_its_default():
    opened = talk(Echo(ats=ats("3f08ff")), rfid_rate=212)
    assert opened.link.rate == 0
    opened.exchange(150)
    assert opened.sound()
    opened.card.mute_after = 0
    start_us = opened.desk.clock.now_us
    with pytest.raises(CardGone):
        opened.exchange(5)
    assert opened.desk.clock.now_us - start_us < 60_000  # FWI 4, three times


# ---------------------------------------------------------------- who is there, and since when


def test_whoever_wakes_the_card_ends_the_conversation():
    for wake in ("poll", "select"):
        opened = talk()
        card = opened.desk.pcd.card
        opened.desk.pcd.poll() if wake == "poll" else opened.desk.pcd.select(card)
        with pytest.raises(CardGone):
            opened.exchange(5)
        opened.link.activate()
        opened.exchange(5)
        assert opened.sound()


def test_a_second_conversation_takes_over_from_the_first():
    opened = talk()
    other = IsoDep(opened.desk.pcd, opened.desk.pcd.card)
    other.activate()
    with pytest.raises(CardGone):
        opened.link.exchange(b"\x60")
    assert other.exchange(b"\x60") == b"\x01\x60"
    opened.link.deselect()  # of a conversation that is over, and not of the other's
    assert other.exchange(b"\x60") == b"\x01\x60"
    assert opened.sound()


@pytest.mark.parametrize("uid", [UID4, UID7, UID10])
@pytest.mark.parametrize("rate", [106, 212])
@pytest.mark.parametrize("use", ["never", "activated", "deselected", "halted"])
def test_a_resting_card_stays_present_whatever_was_done_with_it(uid, rate, use):
    opened = Talk(Echo(uid), rfid_rate=rate)
    first = opened.desk.pcd.card
    assert (first.uid, first.sak) == (uid, 0x20)
    for _ in range(30):
        if use != "never":
            opened.link.activate()
            assert opened.link.rate == (1 if rate == 212 else 0)
            opened.exchange(5)
        if use == "deselected":
            opened.link.deselect()
            assert opened.card.state == HALT
        if use == "halted":
            opened.desk.pcd.halt()
            assert opened.card.state == HALT
        opened.desk.clock.advance_us(50_000)
        assert opened.desk.pcd.poll() is first
        assert opened.card.state == ACTIVE
    assert opened.sound()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("rate", [106, 212])
def test_a_resting_card_stays_present_through_lost_frames(effect, rate):
    """Two in a row: the card does not hear DESELECT at all, and only loses the field."""
    for after in range(6):
        opened = talk(rfid_rate=rate)
        first = opened.desk.pcd.card
        opened.desk.field.disturb(effect, 3, after=after)
        opened.desk.field.disturb(effect, 3, after=after + 1)
        found = opened.desk.pcd.poll() or opened.desk.pcd.poll()
        assert found.uid == first.uid
        opened.link = IsoDep(opened.desk.pcd, found)
        opened.link.activate()
        opened.exchange(5)
        assert opened.sound()


class Stubborn(Echo):
    """Answers S(DESELECT) with something else, and stays."""

    def hear(self, frame, now):
        if self.state == PROTOCOL and frame.data[:1] == b"\xc2":
            return Answer(100 * US, replace(Frame.of(with_crc(b"\xa2")), rate=frame.rate))
        return super().hear(frame, now)


def test_a_card_that_does_not_let_go_loses_the_field():
    opened = talk(Stubborn(), rfid_rate=212)
    first = opened.desk.pcd.card
    opened.link.deselect()
    assert opened.desk.pcd.poll() is first
    opened.link.activate()
    opened.exchange(5)
    assert opened.sound()


def test_an_open_conversation_does_not_hide_that_the_card_left():
    opened = talk(rfid_rate=212)
    opened.desk.field.remove(opened.card)
    _, _, _, duration_us = opened.desk.counted(opened.desk.pcd.poll)
    assert opened.desk.pcd.card is None
    assert duration_us < 40_000
    opened.desk.place(new_card())
    assert opened.desk.pcd.poll().uid == UID4


def test_ten_byte_uids_collide_and_are_told_apart():
    rng = random.Random(10)
    for _ in range(20):
        head = rng.randrange(10)
        one = bytes((1,)) + rng.randbytes(9)
        other = one[:head] + bytes((one[head] ^ 1 << rng.randrange(7),)) + one[head + 1 :]
        if 0x88 in (one[0], other[0], one[3], other[3], one[6], other[6]):
            continue
        desk = Desk()
        desk.pcd.poll()
        cards = [Echo(one), Echo(other)]
        desk.place(*cards)
        with pytest.raises(CardCollision) as caught:
            desk.pcd.poll()
        assert set(caught.value.uids) == {one, other}
        desk.field.remove(cards[0])
        assert desk.pcd.poll().uid == other
        assert desk.model.violations == []


def test_three_cards_of_three_sizes():
    """Any two of them are named, and each is found once it is alone."""
    for seed in range(20):
        print("seed", seed)
        rng = random.Random(seed)
        uids = [bytes((rng.randrange(0x80),)) + rng.randbytes(size - 1) for size in (4, 7, 10)]
        if any(0x88 in uid for uid in uids):
            continue
        desk = Desk(seed)
        desk.pcd.poll()
        cards = [Echo(uid, seed) for uid in uids]
        desk.place(*cards)
        for _ in range(3):
            with pytest.raises(CardCollision) as caught:
                desk.pcd.poll()
            assert len(set(caught.value.uids) & set(uids)) == 2
        desk.field.remove(cards[0])
        with pytest.raises(CardCollision) as caught:
            desk.pcd.poll()
        assert set(caught.value.uids) == set(uids[1:])
        desk.field.remove(cards[1])
        assert desk.pcd.poll().uid == uids[2]
        assert [card.violations for card in cards] == [[], [], []]


# ---------------------------------------------------------------- the chip fails


@pytest.mark.parametrize("fault", [0x00, 0xFF, "reset"])
@pytest.mark.parametrize("rate", [106, 212])
def test_a_chip_that_fails_during_an_exchange_is_told_and_healed(fault, rate):
    """At every transaction of a chained exchange."""
    k = 0
    while True:
        opened = talk(rfid_rate=rate)
        model, card = opened.desk.model, opened.desk.pcd.card
        begin = model.transactions

        def fail(number, begin=begin, model=model, k=k):
            if number - begin == k:
                if fault == "reset":
                    model.brown_out()
                else:
                    model.miso = fault

        model.before_exchange = fail
        try:
            opened.exchange(100)
            break  # it came too late
        except BusFault:
            pass
        with pytest.raises(CardGone):
            opened.exchange(1)
        model.before_exchange = model.miso = None
        start_us = opened.desk.clock.now_us
        assert opened.desk.pcd.poll() is card
        # Far below the second allowed: nobody says goodbye to a card that has lost its power.
        assert opened.desk.clock.now_us - start_us < 25_000
        opened.link.activate()
        opened.exchange(100)
        assert opened.desk.chip.recoveries == 1
        k += 1
    assert k >= 15


# ---------------------------------------------------------------- all is well


@pytest.mark.parametrize("body", [f"0{fsci:x}" for fsci in range(9)])
def test_any_length_through_any_frame_size(body):
    opened = talk(Echo(ats=ats(body)))
    for size in SIZES:
        if size <= 32 * 13:
            opened.exchange(size)
    assert opened.sound()


def test_a_command_too_long_for_the_protocol_is_the_callers_mistake():
    opened = talk()
    with pytest.raises(ValueError, match="too long"):
        opened.link.exchange(bytes(32 * 61 + 1))
    opened.exchange(32 * 61)


def test_an_ats_of_nothing_means_the_defaults():
    opened = talk(Echo(ats=b"\x01"), rfid_rate=212)
    assert (opened.link.rate, opened.link.historical) == (0, b"")
    opened.exchange(100)
    assert opened.sound()


def test_historical_bytes_are_kept():
    opened = talk(Echo(ats=ats("75778102" + "80aabbcc")))
    assert opened.link.historical.hex() == "80aabbcc"


# Interface byte TA of the card, the board's setting, the rate that comes of them.
RATES = [
    ("77", 212, 1),
    ("11", 212, 1),
    ("91", 212, 1),
    ("10", 212, 0),
    ("01", 212, 0),
    ("66", 212, 0),
    ("99", 212, 0),  # reserved bit
    ("00", 212, 0),
    ("77", 106, 0),
]


@pytest.mark.parametrize(("rates", "setting", "rate"), RATES)
def test_212_is_agreed_on_when_board_and_card_can(rates, setting, rate):
    opened = talk(Echo(ats=ats("15" + rates)), rfid_rate=setting)
    assert opened.link.rate == rate
    opened.exchange(150)
    opened.exchange(150)
    assert opened.desk.pcd.poll() is opened.desk.pcd.card
    assert opened.sound()


def test_212_is_faster():
    spans = {}
    for rate in (106, 212):
        opened = talk(rfid_rate=rate)
        opened.exchange(50, 51)
        spans[rate] = opened.desk.counted(partial(opened.exchange, 50, 51))[3]
    assert spans[212] < spans[106] * 0.65


# Transactions allowed by the design.


def test_budget_of_activation():
    opened = Talk()
    _, transactions, _, duration_us = opened.desk.counted(opened.link.activate)
    assert transactions <= 5
    assert duration_us < 3_000


@pytest.mark.parametrize("rate", [106, 212])
@pytest.mark.parametrize("size", [1, 20, 58])
def test_budget_of_an_exchange(size, rate):
    opened = talk(rfid_rate=rate)
    opened.exchange(size, size + 1)  # sets the timer
    for _ in range(3):
        _, transactions, _, _ = opened.desk.counted(lambda: opened.exchange(size, size + 1))
        assert transactions <= 5
    _, transactions, _, _ = opened.desk.counted(lambda: opened.exchange(size, 0))
    assert transactions <= 6


def test_budget_of_a_ten_byte_select():
    desk = Desk()
    desk.pcd.poll()
    desk.place(Echo(UID10))
    card, transactions, _, duration_us = desk.counted(desk.pcd.poll)
    assert card.uid == UID10
    assert transactions <= 63
    assert duration_us < 9_000


def test_a_fast_card_is_heard_at_once():
    """A long waiting time does not delay what comes early."""
    opened = talk()
    opened.card.cost_us = 2_000
    opened.exchange(20, 21)
    _, _, _, duration_us = opened.desk.counted(lambda: opened.exchange(20, 21))
    air_us = (20 + 21 + 6) * 9 * 128 / 13.56
    assert duration_us < 2_000 + air_us + 500
