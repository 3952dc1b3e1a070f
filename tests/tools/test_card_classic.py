"""Personalising a MIFARE Classic: torn at every frame, worn, strange, in use already."""

from collections import Counter
from dataclasses import replace

import pytest

from adapters.aes import aes
from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import AuthFailed
from protocols.card.identity import ForeignCard, Identity
from protocols.card.personalise import access_bits, personalise
from protocols.card.purse_classic import PIN_BLOCK, RECORD_BLOCKS, STATE_BLOCKS, VALUE_BLOCKS
from simulator.cards.mifare_classic import (
    FACTORY_KEY,
    TRANSPORT_ACCESS,
    MifareClassic,
    value_block,
)
from tests.drivers.desk import UID4, UID7
from tests.tools.cards import (
    KEYS,
    ORDER,
    OTHER_KEYS,
    blank,
    desk_with,
    deviations,
    pull_after,
    reader_view,
    spend,
    write,
    written,
)
from tools.card import classic_check
from tools.card.classic import write_card
from tools.card.errors import BadInput, CardUnfit, NoCard
from tools.card.order import ALREADY, WRITTEN, Order

BEFORE_THE_ANSWER_US, INSIDE_THE_WRITE_US = 20, 2_000
# What an interrupted write leaves behind -> seeds to try it with; two of them need no dice.
SEEDS = {"mixed": range(3), "erased": range(3), "old": range(1), "new": range(1)}
NOT_OURS_TO_A_READER = (AuthFailed, ForeignCard)


def tear(frame, delay_us, torn="mixed", seed=0):
    """A card pulled in its first run after `frame`; (card, whether the run had ended before)."""
    card = blank(seed=seed)
    card.torn = torn
    desk = desk_with(card)
    pull_after(desk.board, card, frame, delay_us)
    try:
        write_card(desk.card(), ORDER, KEYS, False)
    except (CardGone, NoCard):
        return card, False
    return card, True


@pytest.fixture(scope="module")
def frames():
    """How many frames a whole run takes, and which of them program a block of the card."""
    card = blank()
    desk = desk_with(card)
    programmed, send = {}, desk.board.field.send

    def sending(frame, now):
        at, before = desk.board.field.frames, card.eeprom_writes
        talks = send(frame, now)
        if card.eeprom_writes != before:
            changed = [n for n in range(64) if card.blocks[n] != image[n]]
            programmed[at] = changed[0]
            image[:] = card.blocks
        return talks

    image = list(card.blocks)
    desk.board.field.send = sending
    write_card(desk.card(), ORDER, KEYS, False)
    return desk.board.field.frames, programmed


def is_accepted(card):
    try:
        reader_view(card)
    except NOT_OURS_TO_A_READER:
        return False
    return True


def check_finished(card):
    assert deviations(card) == []
    assert reader_view(card).balance_fen == ORDER.balance_fen


def test_a_run_writes_what_differs_and_nothing_else(frames):
    """Four blocks of data and sixteen trailers; those of the sectors readers open come last."""
    _, programmed = frames
    assert list(programmed.values()) == [
        *(4, 8, 9, 12),
        *(3, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59, 63),
        *(7, 11, 15, 19),
    ]


@pytest.mark.parametrize(
    ("delay_us", "part"),
    [(BEFORE_THE_ANSWER_US, 0), *((INSIDE_THE_WRITE_US, part) for part in range(4))],
)
def test_torn_after_every_frame_a_second_run_finishes(frames, delay_us, part):
    """Torn writes leave the old block here; what else they can leave is below."""
    seen = set()
    for frame in range(part, frames[0], 4):
        card, had_ended = tear(frame, delay_us, "old")
        assert not had_ended or frame >= frames[0] - 1, frame
        if card.image in seen:
            continue  # the same card: the second run would be the same run
        seen.add(card.image)
        # A reader takes the card only when there is nothing left to do.
        if is_accepted(card):
            assert deviations(card) == []
        assert write(card) in (WRITTEN, ALREADY), frame
        check_finished(card)
    assert len(seen) > 4


@pytest.mark.parametrize("torn", ["old", "new", "mixed", "erased"])
def test_torn_inside_every_write(frames, torn):
    """Data is always mended. A trailer may be spoilt; then it is named, and never called done."""
    results = Counter()
    for frame, block in frames[1].items():
        for seed in SEEDS[torn]:
            card, had_ended = tear(frame, INSIDE_THE_WRITE_US, torn, seed)
            assert not had_ended
            assert card.torn_writes == 1
            try:
                result = write(card)
            except CardUnfit as error:
                assert f"sector {block // 4}: opens neither" in str(error)
                assert block % 4 == 3
                assert torn in ("mixed", "erased")
                assert not is_accepted(card)
                result = "spoilt"
            else:
                check_finished(card)
            results[result] += 1
    assert results.total() == len(SEEDS[torn]) * len(frames[1])
    assert results[WRITTEN] >= len(SEEDS[torn]) * 4
    # Only a run of which nothing but the last acknowledge is missing has nothing left to do.
    assert results[ALREADY] == (1 if torn == "new" else 0)


def test_torn_twice_then_finished(frames):
    for frame in list(frames[1])[::3]:
        card, _ = tear(frame, INSIDE_THE_WRITE_US, "old")
        desk = desk_with(card)
        pull_after(desk.board, card, frame // 2, INSIDE_THE_WRITE_US)
        with pytest.raises(CardGone):
            write_card(desk.card(), ORDER, KEYS, False)
        write(card)
        check_finished(card)


@pytest.mark.parametrize("effect", ["flip_command", "flip_answer", "parity", "lose_answer"])
def test_one_disturbed_frame_is_survived(frames, effect):
    for frame in range(9, frames[0], 13):
        card = blank()
        desk = desk_with(card)
        desk.board.field.disturb(effect, 3, after=frame)
        assert write_card(desk.card(), ORDER, KEYS, False) in (WRITTEN, ALREADY)
        assert desk.board.field.disturbed == 1
        check_finished(card)


@pytest.mark.parametrize("uid", [UID4, UID7])
def test_every_block_is_as_the_layout_says(uid):
    card = written(uid)
    identity = Identity(ORDER.card_no, ORDER.kind, ORDER.valid_from, ORDER.valid_to, 3)
    masters = (KEYS.purse_key, KEYS.credit_key, KEYS.mac_key)
    assert card.blocks[1:] == personalise(uid, identity, ORDER.balance_fen, *masters, aes)[1:]
    assert card.blocks[0] == blank(uid).blocks[0]
    check_finished(card)


def test_a_card_in_use_is_refused_and_left_alone():
    card = written()
    card.blocks[VALUE_BLOCKS[0]] = value_block(50, 8)  # as if spent down, MAC or not
    image = card.image
    with pytest.raises(CardUnfit, match="ours already"):
        write(card)
    assert card.image == image
    assert write(card, again=True) == WRITTEN
    check_finished(card)


def test_a_spent_card_is_made_new_again():
    card = written()
    spend(card)
    assert reader_view(card).counter == 1
    with pytest.raises(CardUnfit, match="ours already"):
        write(card)
    assert write(card, Order(4712, 1, 20_700, 22_100, 500), again=True) == WRITTEN
    view = reader_view(card)
    assert (view.card_no, view.counter, view.balance_fen) == (4712, 0, 500)
    assert deviations(card) == []


def test_the_same_order_twice_is_already_so():
    card = written()
    writes = card.eeprom_writes
    assert write(card) == ALREADY
    assert card.eeprom_writes == writes


def test_another_key_generation_is_told_and_nothing_written():
    card = written(keys=OTHER_KEYS)
    image = card.image
    with pytest.raises(CardUnfit, match=r"sector 0, 1, 2, .* 15: opens neither"):
        write(card, again=True)
    assert card.image == image


def test_a_block_that_keeps_nothing_is_named():
    card = blank()
    program = card._program

    def worn(number, new, now):
        return program(number, card.blocks[number] if number == 9 else new, now)

    card._program = worn
    with pytest.raises(CardUnfit, match="block 9: does not keep"):
        write(card)
    assert not is_accepted(card)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (lambda new: new[:6] + TRANSPORT_ACCESS + new[10:], "the card refuses"),
        (lambda new: bytes(6) + new[6:], "does not open with its key A"),
        (lambda new: new[:9] + b"\x69" + new[10:], "its access bits are not what was written"),
    ],
)
def test_a_trailer_that_is_not_kept_is_found(keep, said):
    card = blank()
    program = card._program

    def worn(number, new, now):
        return program(number, keep(new) if number == 43 else new, now)

    card._program = worn
    with pytest.raises(CardUnfit, match=f"sector 10: {said}"):
        write(card)


def test_a_strangers_card_that_lets_nobody_write_is_told():
    frozen = access_bits((0b010, 0b010, 0b010, 0b110))
    blocks = blank().blocks
    blocks[7] = FACTORY_KEY + frozen + bytes(1) + FACTORY_KEY
    card = MifareClassic(UID7, blocks)
    with pytest.raises(CardUnfit, match="sector 1: the card refuses"):
        write(card)
    assert not is_accepted(card)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"card_no": 1 << 32}, "card_no"),
        ({"kind": 256}, "kind"),
        ({"valid_to": ORDER.valid_from - 1}, "valid_to"),
        ({"valid_from": -1}, "valid_from"),
        ({"balance_fen": 1 << 31}, "value|balance"),
    ],
)
def test_an_impossible_order_does_not_touch_the_card(change, named):
    card = blank()
    with pytest.raises(BadInput, match=named):
        write(card, Order(**{**ORDER.__dict__, **change}))
    assert card.eeprom_writes == 0


# ---------------------------------------------------------------- verify


def test_every_spoilt_block_is_found():
    for block in range(64):
        card = written()
        spoilt = bytearray(card.blocks[block])
        spoilt[9 if block % 4 == 3 else 2] ^= 0x10
        card.blocks[block] = bytes(spoilt)
        # A first spend that was torn leaves such a value, state or record in the idle slot; and
        # any 8 bytes are the verifier of some PIN.
        is_idle = block in (VALUE_BLOCKS[1], STATE_BLOCKS[1], RECORD_BLOCKS[1], PIN_BLOCK)
        assert bool(deviations(card)) != is_idle, block


def test_a_foreign_key_is_one_line_each():
    card = written()
    trailer = bytearray(card.blocks[23])
    trailer[0] ^= 1
    card.blocks[23] = bytes(trailer)
    assert deviations(card) == ["sector 5: key A is not ours"]
    trailer[0] ^= 1
    trailer[15] ^= 1
    card.blocks[23] = bytes(trailer)
    assert deviations(card) == ["sector 5: key B is not ours"]


def test_access_bits_that_open_a_hole_are_found():
    card = written()
    trailer = card.blocks[11]
    card.blocks[11] = trailer[:6] + bytes.fromhex("078f0f") + trailer[9:]
    assert any("sector 2: access bits 078f0f00 instead of" in line for line in deviations(card))


def test_a_blank_card_deviates_everywhere():
    lines = deviations(blank())
    assert len(lines) == 32
    assert lines.count("sector 7: key A is the factory's") == 1


def test_a_torn_spend_is_a_remark_and_no_deviation():
    card = written()
    card.blocks[STATE_BLOCKS[1]] = b"\x00\x01" + bytes(13) + b"\x07"
    report = classic_check.check(desk_with(card).card(), KEYS)
    assert report.deviations == []
    assert report.remarks == ["slot 1 was torn in a spend or credit; the other one rules"]


@pytest.mark.parametrize("period_use", [0, 249, 250])
def test_what_no_reader_counts_is_found(period_use):
    card = written()
    spend(card, period_use=period_use)
    found = ["purse: period_use 250, which no reader writes"] if period_use == 250 else []
    assert deviations(card) == found


def test_another_generation_than_it_says_is_found():
    card = written()
    assert deviations(card, replace(KEYS, key_version=4)) == [
        "block 4: says key generation 3, and opens with 4"
    ]
