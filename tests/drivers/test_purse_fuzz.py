"""The POS before a MIFARE Classic whose answers are spoiled frame by frame, thousands of times.

The firmware is whole, journal and display included; the card behind the spoiled answers is the
honest model. Sometimes it has not even heard the command whose answer is made up. At all times:
no exception, no step that takes long, no write to the card but behind its INTENT, nothing shown as
paid before its outcome is on flash. After each spoiled tap the card is held to the reader once
more, honestly, and card and books agree to the fen.

Frames that carry a right CRC over wrong data are a case of their own: where that hits the ruling
slot of the purse, the older slot rules, as it does on a worn card. The card may then be poorer in
debits than the books, never richer, and the ledger names it.
"""

import random
from collections import Counter as Tally
from dataclasses import replace
from functools import partial

import pytest

from firmware.roles import pos
from ledger.forks import Kind, forks
from protocols.card.purse_classic import BLOCK_BYTES, STATE_BLOCKS
from protocols.wire import messages, seal
from simulator.cards.field import FDT_BIT_1, US, Answer, Frame, Session, with_crc
from simulator.cards.mifare_classic import ACK, MifareClassic
from simulator.checkers import journal_of
from simulator.host.board import HostBoard
from simulator.host.card_port import front_end
from tests.firmware.counter import BALANCE_FEN, CARD_NO, MERCHANT, Counter, new_card, truth
from tests.simulator.cards.test_bad_cards import booked

FEN = 50
PAID = "PAID 0.50"
STEP_MS_MAX = 1_000  # three times the slowest step that was ever seen here
PERCENTS = (5, 20, 50, 80, 100)
SKIPS = (0, 10, 20, 30, 40, 50, 60, 70)  # frames before the first that may be spoiled
DEAF_PERCENT = 25
IMPATIENT_PERCENT = 10  # of the sales that the clerk clears instead of asking for the card again
TAPS = 190  # what a card of BALANCE_FEN can pay
SILENT = Answer(FDT_BIT_1, Frame(0, 1))  # what an answer is made up from when there was none
WINDOWS = 3
RESULTS = (messages.COMMITTED, messages.NOT_COMMITTED, messages.UNKNOWN)
REFUSALS = ("NOT OUR CARD", "CHECK LAST SALE")
WAITS = ("CARD PLEASE", "TAP AGAIN", "SAME CARD AGAIN", "SAME CARD PLEASE", "ONE CARD PLEASE")


def flip(answer, draw, _cipher):
    value = answer.frame.value
    for _ in range(draw.randint(1, 3)):
        value ^= 1 << draw.randrange(answer.frame.nbits)
    return answer._replace(frame=replace(answer.frame, value=value))


def noise(nbits, answer, draw, cipher):
    """So many bits as chance has them, under the key stream that the reader expects."""
    length = nbits(draw)
    return answer._replace(frame=Frame(draw.getrandbits(length), length, cipher))


def forge(lengths, answer, draw, cipher):
    """Random bytes and a right CRC."""
    data = draw.randbytes(draw.choice(lengths))
    return answer._replace(frame=Frame.of(with_crc(data), cipher))


def late(answer, draw, _cipher):
    return answer._replace(delay=answer.delay + draw.randint(50, 30_000) * US)


def stranger(answer, draw, _cipher):
    """The right bits under another key stream."""
    session = Session(draw.randbytes(6), draw.randbytes(4), draw.randbytes(4))
    return answer._replace(frame=replace(answer.frame, cipher=session))


def bad_parity(answer, _draw, _cipher):
    return answer._replace(frame=replace(answer.frame, bad_parity=True))


def silence(_answer, _draw, _cipher):
    return None


SPOILS = {
    "bits flipped": flip,
    "any length": partial(noise, lambda draw: draw.randint(1, 200)),
    "nonce": partial(noise, lambda _draw: 32),
    "nibble": partial(noise, lambda _draw: 4),  # every NAK there is, and ACKs of nothing
    "forged": partial(forge, (1, 2, 3, 4, 5, 7, 15, 17)),
    "late": late,
    "stranger": stranger,
    "parity": bad_parity,
    "silence": silence,
}
FORGED_BLOCKS = {"forged block": partial(forge, (BLOCK_BYTES,))}


class Spoiled(MifareClassic):
    """A good card, of whose answers `percent` in a hundred are spoiled in one of `ways`.

    Not of the next `skip`. `before_write` is called before each EEPROM write. `heard`: the frames
    that reached it, and `spoiled`: those of them that were answered otherwise, by way.
    """

    def __init__(self, draw, ways, before_write):
        card = new_card()
        super().__init__(card.uid, card.blocks, draw)
        self.percent = self.skip = 0
        self.heard = 0
        self.spoiled = Tally()
        self._draw, self._ways, self._before_write = draw, ways, before_write
        self._names = sorted(ways)

    def hear(self, frame, now):
        self.heard += 1
        self.skip -= 1
        draw = self._draw
        if self.skip >= 0 or draw.randrange(100) >= self.percent:
            return super().hear(frame, now)
        cipher = self._session
        is_deaf = draw.randrange(100) < DEAF_PERCENT
        answer = None if is_deaf else super().hear(frame, now)
        name = draw.choice(self._names)
        cipher = answer.frame.cipher if answer else cipher
        bent = self._ways[name](answer or SILENT, draw, cipher)
        self.spoiled[name] += bent != answer
        return bent

    def _program(self, number, new, now):
        self._before_write()
        return super()._program(number, new, now)


class Window(Counter):
    """A counter at card or register depth with one spoiled card."""

    def __init__(self, seed, ways, depth):
        self._is_shallow = depth == "card"
        self.slowest_ms = 0
        self.said = []
        self._known = []
        super().__init__(seed, sectors=64, day_max_fen=1_000_000)
        self.card = Spoiled(random.Random(seed), ways, self.look_for_the_intent)
        self.behind_intents = 0

    def boot(self, tell_time=True):
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = pos.build(board, front_end(self.hardware) if self._is_shallow else None)
        self._step = self.pos.step
        self.pos.step = self.step
        self.tell_time()
        self.run_ms(0)

    def step(self, now_ms):
        """One step of the firmware, and how long it took."""
        start_us = self.clock.now_us
        due_ms = self._step(now_ms)
        self.slowest_ms = max(self.slowest_ms, (self.clock.now_us - start_us) // 1000)
        assert self.slowest_ms <= STEP_MS_MAX
        return due_ms

    def look_for_the_intent(self):
        """The newest record on flash is the INTENT of this card, and no outcome."""
        intent = self.records()[-1]
        assert (intent["kind"], intent["card_no"]) == (messages.INTENT, CARD_NO)
        assert intent["amount_fen"] == FEN
        self.behind_intents += 1

    def records(self, *kinds):
        """As Counter has it, but each record is read once; their seals are checked at the end."""
        journal = journal_of(self.flash)
        for seq in range(len(self._known) + 1, journal.head_seq + 1):
            sealed = journal.record(seq)
            self._known.append(messages.decode_record(seal.payload_of(sealed)))
        return [record for record in self._known if not kinds or record["kind"] in kinds]

    def spoiled_sale(self, draw):
        """A sale with spoiled answers, and an honest tap if the reader asks for one."""
        self.key(b"0.50\r")
        self.card.percent, self.card.skip = draw.choice(PERCENTS), draw.choice(SKIPS)
        self.tap(self.card, hold_ms=1_500)
        self.card.percent = 0
        if self.shown in WAITS and draw.randrange(100) >= IMPATIENT_PERCENT:
            self.tap(self.card)
            assert self.shown == PAID
        said = self.shown
        self.key(b"\x1b")
        self.run_ms(6_000)
        return said

    def told_fen(self):
        """What the journal says was paid for sure, and perhaps: the last word on each INTENT."""
        last = {}
        for record in self.records(messages.OUTCOME):
            last[record["intent_seq"]] = record["result"]
        results = list(last.values())
        return [FEN * results.count(result) for result in (messages.COMMITTED, messages.UNKNOWN)]


def spent_fen(window):
    return BALANCE_FEN - truth(window.card).balance_fen


def play(seed, ways, depth):
    """A card's money spent under spoiled answers; yields the window after each sale.

    Then one more sale, honest, after which everything that was left open is known.
    """
    window = Window(seed, ways, depth)
    draw = random.Random(seed + 1_000_000)
    for _ in range(TAPS):
        window.said.append(window.spoiled_sale(draw))
        yield window
    assert window.sell("0.50", window.card) == PAID
    # Read anew, with every seal and the whole chain.
    assert Counter.records(window) == window.records()
    card = window.card
    print(
        f"seed {seed}, {depth} depth: {TAPS} sales, {card.heard} frames heard, "
        f"{card.spoiled.total()} spoiled, {window.behind_intents} writes behind their INTENTs, "
        f"slowest step {window.slowest_ms} ms"
    )


def check_seeds(seeds, depth):
    """Play them; how many answers were spoiled, and how debits ended, by their results."""
    spoiled, ends = Tally(), Tally()
    for seed in seeds:
        window = None
        for window in play(seed, SPOILS, depth):
            paid_fen, open_fen = window.told_fen()
            assert paid_fen <= spent_fen(window) <= paid_fen + open_fen
        assert set(window.said) <= {PAID, *WAITS, *REFUSALS}
        store = booked(window)
        assert store.takings(MERCHANT) == spent_fen(window)
        assert list(forks(store)) == []
        spoiled += window.card.spoiled
        ends.update(record["result"] for record in window.records(messages.OUTCOME))
    return spoiled, ends


@pytest.mark.parametrize("first", range(0, 10 * WINDOWS, WINDOWS))
def test_spoiled_answers_cost_nobody_a_fen(first):
    """Ten times ten thousand spoiled answers, at the depth of frames."""
    spoiled, ends = check_seeds(range(first, first + WINDOWS), "card")
    print(f"seeds {first} to {first + WINDOWS - 1}: {spoiled.total()} answers spoiled, {ends}")
    assert spoiled.total() >= 10_000
    assert min(spoiled[name] for name in SPOILS) > 300
    # Or nothing of this was ever near a debit.
    assert min(ends[result] for result in RESULTS) >= 5


class Deaf(MifareClassic):
    """Does not hear the first data for a state block, while noise looks like its acknowledge."""

    is_deaf = True

    def hear(self, frame, now):
        is_data = frame.nbits == 8 * (BLOCK_BYTES + 2) and self._awaited is not None
        if self.is_deaf and is_data and self._awaited[1] in STATE_BLOCKS:
            self.is_deaf = False
            return Answer(FDT_BIT_1, Frame(ACK, 4, self._session))
        return super().hear(frame, now)


def test_an_acknowledge_that_was_noise_is_found_out():
    """The fuzzer's find: the card refused to be read then, and the sale was shown as paid."""
    counter, good = Counter(), new_card()
    card = Deaf(good.uid, good.blocks, random.Random(0))
    assert counter.sell("0.50", card) == PAID
    assert not card.is_deaf and truth(card).balance_fen == BALANCE_FEN - FEN


def test_spoiled_answers_through_the_chip_and_its_driver():
    spoiled, ends = check_seeds([7], "register")
    assert spoiled.total() > 1_000 and min(ends[result] for result in RESULTS) >= 1


@pytest.mark.parametrize("seed", range(100, 106))
def test_wrong_data_under_a_right_crc_never_makes_a_card_richer_than_its_books_say(seed):
    window = None
    for window in play(seed, {**SPOILS, **FORGED_BLOCKS}, "card"):
        paid_fen, _ = window.told_fen()
    store = booked(window)
    assert spent_fen(window) <= store.takings(MERCHANT)
    assert paid_fen <= store.takings(MERCHANT)
    found = list(forks(store))
    assert {fork.kind for fork in found} <= {Kind.UNDECIDED}
    if spent_fen(window) < store.takings(MERCHANT):
        assert {fork.card_no for fork in found} == {CARD_NO}
