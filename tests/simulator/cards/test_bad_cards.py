"""Bad cards at the POS, on the register model, and what the ledger makes of its journal.

Whatever the card: the reason is shown, every sale that was shown as paid is booked, nothing else
is, and no exception gets out of the POS (any would end the test). The counter's witness sees to it
that no card is written before its INTENT is on flash.
"""

import random

import pytest

from ledger.forks import Ground, Kind, forks
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.card.purse_classic import (
    IDENTITY_BLOCK,
    RECORD_BLOCKS,
    STATE_BLOCKS,
    VALUE_BLOCKS,
)
from protocols.rules import reasons
from protocols.wire import messages
from simulator.cards import bad_cards
from simulator.cards.bad_cards import WHOLE_BLOCK
from simulator.checkers import journal_of
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    DEVICE,
    DEVICE_KEY,
    MERCHANT,
    Counter,
    new_card,
    truth,
)

PAID, AGAIN, SAME = "PAID 12.50", "TAP AGAIN", "SAME CARD AGAIN"
FEN = 1250
NOT_OURS = reasons.display(reasons.FOREIGN_CARD)
ESC = b"\x1b"
PURSE_BLOCKS = (*VALUE_BLOCKS, *STATE_BLOCKS, *RECORD_BLOCKS)


def booked(*counters):
    """A ledger with everything that stands in the counters' journals; its books are right."""
    store = LedgerStore.open(":memory:")
    store.register_merchant(MERCHANT)
    store.issue_card(CARD_NO, BALANCE_FEN)
    for number, counter in enumerate(counters):
        store.register_device(DEVICE + number, DEVICE_KEY, MERCHANT)
        journal = journal_of(counter.flash)
        store.book([[journal.record(seq) for seq in range(1, journal.head_seq + 1)]])
        assert store.heads()[DEVICE + number] == journal.head_seq
    assert check(store) == []
    return store


def sell(counter, card, attempts=3):
    """Everything the display says of one sale, until it is paid, refused or given up."""
    said = [counter.sell("12.50", card)]
    while said[-1] in (AGAIN, SAME) and len(said) < attempts:
        counter.tap(card)
        said.append(counter.shown)
    if said[-1] != PAID:
        counter.key(ESC)
    counter.run_ms(6000)
    return said


def spent_fen(*cards):
    return sum(BALANCE_FEN - truth(card).balance_fen for card in cards)


# -- copied, written back -------------------------------------------------------------------------


def test_a_clone_pays_like_its_original_and_the_ledger_names_them():
    here, there = Counter(), Counter(device=DEVICE + 1)
    card = new_card()
    assert sell(here, card) == [PAID]
    copy = bad_cards.clone(card, random.Random(1))
    for counter, one in ((here, card), (there, copy), (here, card), (there, copy)):
        for each in (here, there):
            each.run_ms(60_000)
        assert sell(counter, one) == [PAID]
    store = booked(here, there)
    assert store.takings(MERCHANT) == 5 * FEN == BALANCE_FEN - store.holder_balance(CARD_NO)
    assert (spent_fen(card), spent_fen(copy)) == (3 * FEN, 3 * FEN)
    (fork,) = forks(store)
    assert (fork.card_no, fork.kind, fork.ground) == (CARD_NO, Kind.CLONE, Ground.TWO_DEBITS)
    assert {fork.first.device, fork.second.device} == {DEVICE, DEVICE + 1}
    assert fork.first.counter == fork.second.counter == 1


def test_a_card_that_was_written_back_pays_again_and_the_ledger_names_it():
    counter, card = Counter(), new_card()
    assert sell(counter, card) == [PAID]
    image = list(card.blocks)
    for _ in range(3):
        assert sell(counter, card) == [PAID]
    assert bad_cards.rolled_back(card, image) is card
    assert sell(counter, card) == [PAID]
    store = booked(counter)
    assert store.takings(MERCHANT) == 5 * FEN and spent_fen(card) == 2 * FEN
    (fork,) = forks(store)
    assert (fork.kind, fork.ground) == (Kind.ROLLBACK, Ground.TWO_DEBITS)
    assert fork.first.counter == fork.second.counter == 1
    assert fork.first.seq < fork.second.seq


def test_a_card_that_writes_itself_back_after_so_many_visits():
    counter, card = Counter(), bad_cards.WrittenBack(new_card(), 2)
    for _ in range(5):
        assert sell(counter, card) == [PAID]
    assert [truth(bad_cards.rolled_back(new_card(), image)).counter for image in card.undone] == [
        2,
        2,
    ]
    assert truth(card).counter == 1
    assert booked(counter).takings(MERCHANT) == 5 * FEN


def test_nobody_writes_a_card_that_lies_on_a_reader():
    counter, card = Counter(), new_card()
    counter.put(card)
    with pytest.raises(ValueError, match="one place"):
        bad_cards.rolled_back(card, card.blocks)
    counter.take(card)
    with pytest.raises(ValueError, match="64 blocks"):
        bad_cards.rolled_back(card, card.blocks[1:])


def test_card_and_copy_in_one_wallet_speak_with_one_voice_until_it_is_about_keys():
    """Their UIDs never collide, so this is no TWO CARDS; their nonces do."""
    counter, card = Counter(), new_card()
    copy = bad_cards.clone(card, random.Random(1))
    assert counter.sell("12.50", card, copy) == reasons.display(reasons.WRONG_KEY)
    assert spent_fen(card, copy) == 0 and booked(counter).takings(MERCHANT) == 0


def test_two_at_once_are_told_to_be_two():
    counter, card, other = Counter(), new_card(), new_card(CARD_NO + 1)
    assert counter.sell("12.50", card, other) == reasons.display(reasons.TWO_CARDS)
    counter.tap(card)
    assert counter.shown == PAID and spent_fen(card) == FEN and spent_fen(other) == 0


def test_a_card_from_the_shop_is_not_ours():
    counter, card = Counter(), bad_cards.foreign(new_card().uid)
    before = card.image
    assert sell(counter, card) == [reasons.display(reasons.WRONG_KEY)]
    assert card.image == before and booked(counter).takings(MERCHANT) == 0
    (refusal,) = counter.records(messages.REFUSAL)
    assert refusal["reason"] == reasons.WRONG_KEY


# -- torn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["mixed", "old", "new", "erased"])
@pytest.mark.parametrize(("write", "says"), [(1, AGAIN), (2, AGAIN), (3, SAME)])
@pytest.mark.parametrize("seed", range(3))
def test_torn_in_each_of_its_three_writes_it_is_paid_once(write, says, left, seed):
    counter, card = Counter(seed), new_card()
    card.torn = left
    card = bad_cards.torn(card, write, random.Random(seed))
    said = sell(counter, card)
    assert said == [says, PAID] and card.torn_writes == 1
    assert spent_fen(card) == FEN == booked(counter).takings(MERCHANT)
    assert sell(counter, card) == [PAID]
    store = booked(counter)
    assert spent_fen(card) == 2 * FEN == store.takings(MERCHANT)
    assert list(forks(store)) == []


# -- worn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", PURSE_BLOCKS)
def test_a_block_that_keeps_its_bits_takes_no_money(block):
    """Each slot's turn comes; the one that cannot be written never gets to rule."""
    counter, card = Counter(sectors=64), bad_cards.worn(new_card(), keeps={block: WHOLE_BLOCK})
    said = [sell(counter, card, attempts=2) for _ in range(2)]
    is_first_slot = block in (VALUE_BLOCKS[1], STATE_BLOCKS[1], RECORD_BLOCKS[1])
    word = SAME if block in STATE_BLOCKS else AGAIN
    assert said == ([[word, word]] * 2 if is_first_slot else [[PAID], [word, word]])
    store = booked(counter)
    paid = [PAID] in said
    assert spent_fen(card) == paid * FEN == store.takings(MERCHANT)
    assert list(forks(store)) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [IDENTITY_BLOCK, *PURSE_BLOCKS])
def test_a_block_that_reads_differently_may_turn_back_the_card_but_not_the_books(block, seed):
    """Where the ruling slot cannot be read, the older one rules: the card forgets a debit."""
    card = bad_cards.worn(new_card(), flickers={block: 1 << 20}, rng=random.Random(seed))
    counter = Counter(seed, sectors=64)
    said = [sell(counter, card) for _ in range(8)]
    assert {words[-1] for words in said} <= {PAID, AGAIN, SAME, NOT_OURS}
    store = booked(counter)
    paid = said.count([PAID]) + sum(words[-1] == PAID and len(words) > 1 for words in said)
    assert paid * FEN <= store.takings(MERCHANT)
    assert store.takings(MERCHANT) == BALANCE_FEN - store.holder_balance(CARD_NO)
    assert spent_fen(card) <= store.takings(MERCHANT)
    found = list(forks(store))
    # A card that wears out is no fraud.
    assert {fork.kind for fork in found} <= {Kind.UNDECIDED}
    if spent_fen(card) < store.takings(MERCHANT):
        assert {fork.card_no for fork in found} == {CARD_NO}


def test_some_worn_card_does_turn_back():
    """Or the test above would have nothing to see."""
    card = bad_cards.worn(new_card(), flickers={STATE_BLOCKS[1]: 1 << 20}, rng=random.Random(13))
    counter = Counter(sectors=64)
    for _ in range(4):
        assert sell(counter, card)[-1] == PAID
    store = booked(counter)
    assert spent_fen(card) < store.takings(MERCHANT) == 4 * FEN
    assert [(fork.kind, fork.card_no) for fork in forks(store)] == [(Kind.UNDECIDED, CARD_NO)]


# -- lying ----------------------------------------------------------------------------------------


def test_a_card_whose_every_crc_is_wrong_is_no_card():
    counter, card = Counter(), bad_cards.lying(new_card())
    assert counter.sell("12.50", card) == "CARD PLEASE"
    assert spent_fen(card) == 0 and counter.records(messages.INTENT, messages.REFUSAL) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("percent", [3, 10, 30, 60])
def test_now_and_then_a_wrong_crc_and_it_is_paid_once_or_not_at_all(percent, seed):
    counter = Counter(seed, sectors=64)
    card = bad_cards.lying(new_card(), percent, random.Random(seed))
    paid = 0
    for _ in range(4):
        said = sell(counter, card)
        assert said[-1] in (PAID, AGAIN, SAME, "CARD PLEASE")
        paid += said[-1] == PAID
    store = booked(counter)
    assert paid * FEN <= spent_fen(card) == store.takings(MERCHANT)
    assert paid == 4 or percent > 10
    assert list(forks(store)) == []


def test_a_worn_card_that_just_lies_there_does_not_fill_the_journal():
    """Each failed debit costs two records: after three the reader waits for it to leave."""
    block = RECORD_BLOCKS[1]
    counter, card = Counter(sectors=64), bad_cards.worn(new_card(), keeps={block: WHOLE_BLOCK})
    counter.key(b"12.50\r")
    counter.put(card)
    counter.run_ms(20_000)
    assert len(counter.records(messages.INTENT)) == 3
    counter.take(card)
    counter.run_ms(200)
    # The amount still waits, and the next card, or this one once more, gets its chance.
    counter.tap(new_card(card_no=4712))
    assert counter.shown == "PAID 12.50"
    assert len(counter.records(messages.INTENT)) == 4


def test_a_worn_card_that_was_taken_away_unseen_holds_up_nobody():
    """No look of the reader fell between the two cards: it looks only while it wants one."""
    block = RECORD_BLOCKS[1]
    counter, card = Counter(sectors=64), bad_cards.worn(new_card(), keeps={block: WHOLE_BLOCK})
    counter.key(b"12.50\r")
    counter.put(card)
    counter.run_ms(5_000)
    counter.key(b"\x1b")
    counter.take(card)
    counter.put(new_card(card_no=4712))
    counter.key(b"3\r")
    counter.run_ms(700)
    assert counter.shown == "PAID 3.00"
