"""A thief with everything a reader holds, the driver included: no value block ever rises.

The keys of a reader are key A of every sector and the write key (key B of sectors 3 and 4); with
its MAC key he can also say over what stands there that it is right.
"""

import random

import pytest

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mifare_classic import KEY_A, KEY_B, AuthFailed, CardRefused, Classic
from firmware.services.purse import COMMITTED
from protocols.card import personalise
from protocols.card.diversify import Cmac
from protocols.card.identity import ForeignCard
from protocols.card.purse import PurseState, encode_record
from protocols.card.purse_classic import (
    READ_KEY,
    RECORD_BLOCKS,
    STATE_BLOCKS,
    VALUE_BLOCKS,
    WRITE_KEY,
    card_mac,
    decode_value,
    encode_state,
    sector_key,
)
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desk import CREDIT_KEY, MAC_KEY, PURSE_KEY, UID4, Desk, aes, new_card

RICH = personalise.encode_value(0x7FFFFFFF, 8)
DECREMENT, INCREMENT, RESTORE = 0xC0, 0xC1, 0xC2
# Nothing, little, much, and what somebody could take for a negative number.
OPERANDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Sectors 1 to 4, and the first of those that are all alike.
SECTORS = range(1, 6)
BLOCKS = [number for sector in SECTORS for number in range(sector * 4, sector * 4 + 4)]
WRITABLE = {12, 13, 14, 16, 17, 18}
DEBITS = 3


def spent_card(keeps_transfer=True):
    """(card, [(slot, S, R)] of its life): some debits old, so that its two values differ."""
    desk, card = Desk(), new_card()
    card.keeps_transfer = keeps_transfer
    desk.place(card)
    purse = desk.purse(desk.pcd.poll())
    life = []
    for seq in range(DEBITS + 1):
        view = purse.read()
        slot = view.counter & 1
        life.append((slot, card.blocks[STATE_BLOCKS[slot]], card.blocks[RECORD_BLOCKS[slot]]))
        if seq < DEBITS:
            spend = (350, 1001, seq + 1, 1_700_000_000, 19_700, 900, 700, 2)
            assert purse.debit(view, *spend) == COMMITTED
    desk.field.remove(card)
    return card, life


def values(card):
    """What the two value blocks hold; a block that is none holds nothing."""
    return [decode_value(card.blocks[number]) or 0 for number in VALUE_BLOCKS]


class Thief:
    """Everything in reach of the keys of a reader, tried on one card."""

    def __init__(self, card):
        self.card = card
        self.desk = Desk()
        self.desk.place(card)
        self.classic = Classic(self.desk.pcd, self.desk.pcd.poll())
        purse = Cmac(aes(PURSE_KEY))
        self.keys = {(s, KEY_A): sector_key(purse, UID4, READ_KEY, s) for s in SECTORS}
        self.keys.update({(s, KEY_B): sector_key(purse, UID4, WRITE_KEY, s) for s in (3, 4)})
        self.at = None  # (sector, kind) that is open
        self.places = [(n, kind) for n in BLOCKS for kind in (KEY_A, KEY_B) if self.has(n, kind)]

    def has(self, block, kind):
        return (block // 4, kind) in self.keys

    def open(self, block, kind):
        """Authenticate if need be, nested if possible: the card may keep its transfer buffer."""
        at = block // 4, kind
        if at == self.at:
            return True
        done = self.tries(self.classic.authenticate, block, self.keys[at], kind)
        self.at = at if done else None
        return done

    def tries(self, act, *args):
        """Whether the card let it happen; after a refusal it is selected anew."""
        try:
            act(*args)
        except (AuthFailed, CardGone, CardRefused):
            self.classic.reselect()
            self.at = None
            return False
        return True

    def writes(self, block, kind, data=RICH):
        return self.open(block, kind) and self.tries(self.classic.write, block, data)

    def loads(self, command, block, kind, operand=0):
        """A value operation into the transfer buffer."""
        opened = self.open(block, kind)
        return opened and self.tries(self.classic._prepare_transfer, command, block, operand)

    def stores(self, block, kind):
        return self.open(block, kind) and self.tries(self.classic.transfer, block)

    def carries(self, load, target):
        """One whole move: `load` = (command, block, kind, operand), `target` = (block, kind)."""
        return self.loads(*load) and self.stores(*target)

    def leave(self):
        self.desk.field.remove(self.card)


def attack(card):
    """Write into every block, then carry every value everywhere, each time from the same start.

    Returns (places that were written, moves that succeeded, the highest value ever seen in V).
    """
    thief = Thief(card)
    written = {place for place in thief.places if thief.writes(*place)}
    start, highest, moves = list(card.blocks), max(values(card)), set()
    loads = [(RESTORE, *place, 0) for place in thief.places]
    loads += [
        (command, *place, operand)
        for command in (DECREMENT, INCREMENT)
        for place in thief.places
        for operand in OPERANDS
    ]
    for load in loads:
        if not thief.loads(*load):
            continue
        for target in thief.places:
            if thief.carries(load, target):
                moves.add((load, target))
                highest = max(highest, *values(card))
                card.blocks[:] = start
    return written, moves, highest


def read_honestly(card):
    """The balance that an honest reader sees, or None when it takes the card for foreign."""
    desk = Desk()
    desk.place(card)
    try:
        return desk.purse(desk.pcd.poll()).read().balance_fen
    except ForeignCard:
        return None
    finally:
        desk.field.remove(card)


# ---------------------------------------------------------------- value blocks


@pytest.mark.parametrize("keeps_transfer", [True, False])
def test_no_single_move_raises_a_value(keeps_transfer):
    card, _ = spent_card(keeps_transfer)
    before = max(values(card))
    written, moves, highest = attack(card)
    assert written == {(number, KEY_B) for number in WRITABLE}
    assert highest == before
    # Only values move, only by what key A may do, and only among themselves.
    assert {command for (command, *_), _ in moves} == {RESTORE, DECREMENT}
    touched = {place for (_, *place, _), target in moves for place in (tuple(place), target)}
    assert touched == {(number, KEY_A) for number in VALUE_BLOCKS}


def loosen(card, hole):
    """Let both keys do everything with one block; `hole` = (sector, position)."""
    sector, position = hole
    last = sector * 4 + 3
    trailer = card.blocks[last]
    now = {2: [0b110, 0b110, 0b100, 0b011]}.get(sector, [0b100, 0b100, 0b100, 0b110])
    assert personalise.access_bits(now) == trailer[6:9]
    now[position] = 0b000
    card.blocks[last] = trailer[:6] + personalise.access_bits(now) + trailer[9:]


@pytest.mark.parametrize("hole", [(2, 2), (3, 0), (4, 1)])
@pytest.mark.parametrize("keeps_transfer", [True, False])
def test_the_attack_finds_a_hole(hole, keeps_transfer):
    """Readers write such a block and carry it into a purse: the layout must have none."""
    card, _ = spent_card(keeps_transfer)
    before = max(values(card))
    loosen(card, hole)
    _, _, highest = attack(card)
    carried = keeps_transfer or hole[0] == VALUE_BLOCKS[0] // 4
    assert highest == (0x7FFFFFFF if carried else before)


def wander(card, rng, moves=300):
    """Moves in any order, after refusals, half done, over what earlier ones have left.

    Returns (how many transfers succeeded, the highest value ever seen in V).
    """
    thief = Thief(card)
    purse = [place for place in thief.places if place[0] in VALUE_BLOCKS]
    stored, highest = 0, max(values(card))
    for _ in range(moves):
        place, target = rng.choice(thief.places), rng.choice(rng.choice((thief.places, purse)))
        act = rng.randrange(10)
        if act < 3:
            thief.writes(*place, rng.choice((RICH, RICH, card.blocks[rng.choice(BLOCKS)])))
        if act > 1:
            command = rng.choice((DECREMENT, INCREMENT, RESTORE, RESTORE))
            operand = rng.choice((rng.randrange(100), rng.choice(OPERANDS)))
            thief.loads(command, *rng.choice((place, place, target)), operand)
        if act > 2:
            stored += thief.stores(*target)
        highest = max(highest, *values(card))
    return stored, highest


@pytest.mark.parametrize("keeps_transfer", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_no_walk_raises_a_value(keeps_transfer, seed):
    print("seed", seed)
    card, _ = spent_card(keeps_transfer)
    before = max(values(card))
    stored, highest = wander(card, random.Random(seed))
    assert highest == before
    assert stored > 20


@pytest.mark.parametrize("keeps_transfer", [True, False])
def test_the_walk_finds_a_hole(keeps_transfer):
    card, _ = spent_card(keeps_transfer)
    loosen(card, (3, 0) if keeps_transfer else (2, 2))
    _, highest = wander(card, random.Random(0))
    assert highest == 0x7FFFFFFF


@pytest.mark.parametrize("step", [0x7FFFFFFF, 0x40000001])
def test_values_do_not_wrap(step):
    """Far enough down would be up again, if the card let it."""
    card, _ = spent_card()
    thief = Thief(card)
    place = VALUE_BLOCKS[0], KEY_A
    seen = [values(card)[0]]
    while thief.carries((DECREMENT, *place, step), place):
        seen.append(values(card)[0])
    assert 2 <= len(seen) <= 4
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("torn", ["mixed", "erased"])
def test_a_torn_transfer_stays_below_the_next_power_of_two(torn):
    """What the layout leaves open: pulled away at the right moment, two values can mix.

    All three copies have to mix alike, and only the MAC key makes money of it.
    """
    card = MifareClassic(UID4, rng=random.Random(0))
    card.torn = torn
    high, low = personalise.encode_value(0x2000, 8), personalise.encode_value(0x1000, 8)
    left = {decode_value(card._tear(high, low)) for _ in range(3000)}
    assert left - {None} <= {0, 0x1000, 0x2000, 0x3000}
    assert (0x3000 in left) == (torn == "mixed")


# ---------------------------------------------------------------- what an honest reader sees


@pytest.mark.parametrize("keeps_transfer", [True, False])
def test_without_the_mac_key_only_the_past_comes_back(keeps_transfer):
    """Every S and R of the card's life, over every value that can stand in V."""
    card, life = spent_card(keeps_transfer)
    old, ruling = max(values(card)), min(values(card))
    start, seen = list(card.blocks), set()
    for source in (None, *VALUE_BLOCKS):
        for target in VALUE_BLOCKS:
            for spoilt in STATE_BLOCKS:
                for slot, state, record in life:
                    card.blocks[:] = start
                    thief = Thief(card)
                    if source is not None:
                        assert thief.carries((RESTORE, source, KEY_A, 0), (target, KEY_A))
                    assert thief.writes(spoilt, KEY_B, bytes(16))
                    assert thief.writes(RECORD_BLOCKS[slot], KEY_B, record)
                    assert thief.writes(STATE_BLOCKS[slot], KEY_B, state)
                    thief.leave()
                    seen.add(read_honestly(card))
    # The last debit can be undone: for the ledger to see. Nothing that is no longer in V can.
    assert seen == {None, ruling, old}


@pytest.mark.parametrize("slot", [0, 1])
def test_with_the_mac_key_a_lie_is_worth_no_more_than_the_value_below_it(slot):
    card, _ = spent_card()
    before = max(values(card))
    attack(card)
    mac = card_mac(Cmac(aes(MAC_KEY)), UID4, aes)
    for claim_fen in (*values(card), before + 1, 0x7FFFFFFF):
        thief = Thief(card)
        state = PurseState(0xFFF0 + slot, claim_fen)
        state.last_device, state.last_seq = 77, 1
        sealed = encode_state(state, UID4, card.blocks[4][:10], mac)
        for number in STATE_BLOCKS:
            assert thief.writes(number, KEY_B, bytes(16))
        assert thief.writes(RECORD_BLOCKS[slot], KEY_B, encode_record(state))
        assert thief.writes(STATE_BLOCKS[slot], KEY_B, sealed)
        thief.leave()
        expected = claim_fen if claim_fen == values(card)[slot] else None
        assert read_honestly(card) == expected
    assert max(values(card)) == before


# ---------------------------------------------------------------- keys


def test_keys_cannot_be_read_with_any_key():
    thief = Thief(new_card())
    for sector, kind in thief.keys:
        last = sector * 4 + 3
        assert thief.open(last, kind)
        block = thief.classic.read(last)
        assert block[6:9] == thief.card.blocks[last][6:9]
        assert block[:6] == block[10:] == bytes(6)


def test_nobody_changes_the_trailers_of_the_written_sectors():
    """Not even with key B, which readers hold there: a stolen reader locks no card out."""
    card = MifareClassic(UID4, new_card().blocks)
    thief = Thief(card)
    image = card.image
    for number, kind in thief.places:
        if number % 4 == 3:
            assert not thief.writes(number, kind, bytes.fromhex("ff" * 6 + "ff078069" + "ff" * 6))
    assert card.image == image


def test_credit_key_opens_what_the_reader_cannot():
    """The issuer can load the purse: the access bits forbid it to the reader's key only."""
    card = new_card()
    thief = Thief(card)
    block = VALUE_BLOCKS[1]
    credit = Cmac(aes(CREDIT_KEY))
    key = sector_key(credit, UID4, personalise.CREDIT_KEY, block // 4)
    thief.keys[block // 4, KEY_B] = key
    assert thief.writes(block, KEY_B, personalise.encode_value(123, block))
    assert thief.carries((INCREMENT, block, KEY_B, 400), (block, KEY_B))
    assert decode_value(thief.classic.read(block)) == 523
