"""Activation and anticollision: who is there, alone or not, and still there."""

import random

import pytest

from firmware.drivers.iso14443 import Card, CardCollision, CardGone
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desk import UID4, UID7, Desk, new_card

OTHER4 = bytes.fromhex("de3ac416")
OTHER7 = bytes.fromhex("04a1b2c3d4e5f7")


@pytest.mark.parametrize("uid", [UID4, UID7])
@pytest.mark.parametrize("used", [False, True])
def test_resting_card_stays_present(uid, used):
    desk = Desk()
    desk.pcd.poll()
    desk.place(new_card(uid))
    first = desk.pcd.poll()
    for _ in range(100):
        if used:
            desk.purse(first).read()
        desk.clock.advance_us(50_000)
        assert desk.pcd.poll() is first
    assert desk.model.violations == []


@pytest.mark.parametrize("effect", ["flip_answer", "parity", "lose_command", "lose_answer"])
def test_resting_card_stays_present_through_a_lost_frame(effect):
    desk = Desk()
    desk.pcd.poll()
    desk.place(new_card())
    first = desk.pcd.poll()
    for frame in range(6):
        desk.field.disturb(effect, 5, after=frame)
        assert desk.pcd.poll() is first


def test_card_that_left_is_gone_at_the_next_poll():
    desk = Desk()
    desk.pcd.poll()
    card = new_card()
    desk.place(card)
    first = desk.pcd.poll()
    desk.field.remove(card)
    assert desk.pcd.poll() is None
    with pytest.raises(CardGone):
        desk.pcd.select(first)
    desk.place(card)
    again = desk.pcd.poll()
    assert again.uid == UID4
    assert again is not first


def test_exchanged_card_is_seen_at_once():
    desk = Desk()
    desk.pcd.poll()
    card = new_card()
    desk.place(card)
    desk.pcd.poll()
    desk.field.remove(card)
    desk.place(new_card(UID7))
    assert desk.pcd.poll().uid == UID7


def test_halted_card_is_found_again():
    desk = Desk()
    desk.pcd.poll()
    desk.place(new_card())
    card = desk.pcd.poll()
    desk.pcd.halt()
    assert desk.field.cards[0].state == "halt"
    desk.pcd.select(card)
    assert desk.field.cards[0].state == "active"
    desk.pcd.halt()
    assert desk.pcd.poll() is card


PAIRS = [
    (UID4, OTHER4),
    (UID7, OTHER7),
    (UID4, UID7),
    (UID4, bytes.fromhex("de3ac497")),
    (bytes.fromhex("00000001"), bytes.fromhex("00000080")),
    (bytes.fromhex("ffffffff"), bytes.fromhex("7fffffff")),
    (bytes.fromhex("00000000"), bytes.fromhex("00000080")),
    (UID7, bytes.fromhex("05a1b2c3d4e5f6")),
]


def cards_of(uids):
    """One card for each UID."""
    return [MifareClassic(uid, None, random.Random(1)) for uid in uids]


@pytest.mark.parametrize("uids", PAIRS)
@pytest.mark.parametrize("counts_align", [True, False])
def test_two_cards_are_proven_and_named(uids, counts_align):
    desk = Desk()
    desk.model.collision_counts_align = counts_align
    desk.pcd.poll()
    cards = cards_of(uids)
    desk.place(*cards)
    for _ in range(3):
        with pytest.raises(CardCollision, match="one card please") as caught:
            desk.pcd.poll()
        assert set(caught.value.uids) == set(uids)
    desk.field.remove(cards[0])
    assert desk.pcd.poll().uid == uids[1]
    assert desk.model.violations == []


def test_many_cards():
    rng = random.Random(14443)
    for _ in range(30):
        uids = {rng.randbytes(rng.choice((4, 7))) for _ in range(rng.randint(2, 5))}
        uids = {uid for uid in uids if uid[0] != 0x88}
        if len(uids) < 2:
            continue
        desk = Desk()
        desk.pcd.poll()
        desk.place(*cards_of(sorted(uids)))
        with pytest.raises(CardCollision) as caught:
            desk.pcd.poll()
        one, other = caught.value.uids
        assert one != other
        assert {one, other} <= uids


def test_any_single_card():
    rng = random.Random(3)
    for size in (4, 7) * 20:
        uid = rng.randbytes(size)
        if 0x88 in (uid[0], uid[3 if size == 7 else 0]):
            continue
        desk = Desk()
        desk.pcd.poll()
        desk.place(*cards_of([uid]))
        assert desk.pcd.poll().uid == uid


@pytest.mark.parametrize("frame", range(4))
@pytest.mark.parametrize(
    "effect", ["flip_answer", "flip_command", "parity", "lose_command", "lose_answer", "noise"]
)
def test_disturbed_activation_is_repeated_or_missed_but_never_wrong(effect, frame):
    for value in range(0, 40, 3):
        desk = Desk()
        desk.pcd.poll()
        desk.place(new_card())
        desk.field.disturb(effect, value, after=frame)
        card = desk.pcd.poll()
        assert card is None or card.uid == UID4
        if (effect, frame) == ("lose_answer", 0):
            desk.pcd.poll()  # the card was woken unheard, and a second call puts it back to sleep
        assert desk.pcd.poll().uid == UID4


def test_ten_byte_uid_is_selected_by_level():
    """No model of such a card: what is sent is looked at instead."""
    desk = Desk()
    desk.pcd.poll()
    sent = []

    def answer(length, expected, timeout_us, framing=0, proof=False):
        sent.append(bytes(desk.chip.tx[:length]))
        desk.chip.rx[0] = 0x24 if len(sent) < 4 else 0x20
        return 16 if length == 1 else 8

    desk.chip.transceive = answer
    uid = bytes(range(1, 11))
    desk.pcd.select(Card(uid, 0x20))
    assert [frame.hex() for frame in sent] == [
        "52",
        "93708801020388",
        "9570880405068f",
        "97700708090a0c",
    ]
