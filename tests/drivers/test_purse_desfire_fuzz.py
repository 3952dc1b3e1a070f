"""The POS before a DESFire whose answers are spoiled frame by frame, a hundred thousand times.

The firmware is whole, journal and display included; how answers are spoiled stands in
spoiled_desfire.py. At all times:

- no exception, and no step that takes for ever;
- what the card holds changes by a commit only, all of it at once, and only behind its INTENT;
- a sale is one debit or none;
- an OUTCOME says what has become of the card, or that nobody knows.

After each spoiled sale the card is held to the reader once more, honestly, and card and books
agree to the fen; what the card has signed fits what was booked.
"""

import functools
import random
from collections import Counter as Tally

import pytest

from firmware.roles import pos
from ledger import card_proofs
from ledger.forks import forks
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.card import ev2, personalise_desfire
from protocols.card import purse_desfire as layout
from protocols.card.identity import Identity
from protocols.wire import messages, seal
from simulator import cardbox_desfire
from simulator.cardbox_desfire import CIPHERS, DesfireMasters
from simulator.checkers import journal_of
from simulator.host.board import HostBoard
from simulator.host.card_port import front_end
from tests.drivers.desfire_desk import MASTERS
from tests.drivers.spoiled_desfire import EVERYTHING, ON_AIR, Spoiled, holding
from tests.firmware.counter import BALANCE_FEN, CARD_NO, DAY, DEVICE, DEVICE_KEY, MERCHANT, Counter

FEN = 50
PAID = "PAID 0.50"
OTHER_NO = CARD_NO + 1
UIDS = {CARD_NO: bytes.fromhex("04a1b2c3d4e5f6"), OTHER_NO: bytes.fromhex("04f6e5d4c3b2a1")}
STEP_MS_MAX = 15_000  # three times the slowest step that was ever seen here
PERCENTS = (10, 40, 80, 100, 100)
SKIPS = range(6, 20)  # frames before the first that may be spoiled; a sale has 19
SPOILED_TAPS, HOLD_MS = 5, 1_500
IMPATIENT_PERCENT = 10  # of the sales that the clerk clears instead of asking for the card again
SALES, SECTORS, WINDOWS = 80, 24, 8
STEPS = range(12)  # commands of a sale: select, login, login; three reads; abort .. commit
STATUS_HOLD_MS = 600
STATUSES = 256  # that one card's money is enough for
RESULTS = (messages.COMMITTED, messages.NOT_COMMITTED, messages.UNKNOWN)
REFUSALS = ("NOT OUR CARD", "CHECK LAST SALE")
WAITS = ("CARD PLEASE", "TAP AGAIN", "SAME CARD AGAIN", "SAME CARD PLEASE", "ONE CARD PLEASE")


@functools.cache
def image(card_no):
    """A card of the campus as it was issued."""
    identity = Identity(card_no, 2, DAY - 300, DAY + 700, 1)
    masters = DesfireMasters(**MASTERS)
    card = cardbox_desfire.issue(
        UIDS[card_no], identity, BALANCE_FEN, masters, random.Random(card_no)
    )
    return card.snapshot()


class Window(Counter):
    """A counter at card depth, a spoiled card of CARD_NO, and an honest one of OTHER_NO."""

    def __init__(self, seed, ways=EVERYTHING):
        self.slowest_ms = 0
        self.said = []
        self.wrong = []  # what cards have noticed
        self.debited = set()  # sequence numbers of the INTENTs that cards have carried out
        self.last_word = {}  # the newest result of each INTENT
        self._known = []
        super().__init__(seed, sectors=SECTORS, day_max_fen=1_000_000)
        self.other = Spoiled(image(OTHER_NO), random.Random(seed))
        self._debits = []  # seq, in the order of the commits
        self.watch(self.other)
        self.bring(Spoiled(image(CARD_NO), random.Random(seed), ways))

    def boot(self, tell_time=True):
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = pos.build(board, front_end(self.hardware))
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

    # -- cards ------------------------------------------------------------------------------

    def bring(self, card):
        """`card` is the spoiled one from now on."""
        self.card = card
        self.watch(card)

    def watch(self, card):
        card.on_change = functools.partial(self.note, self.see_debit)
        card.on_tear = functools.partial(self.note, self.see_tear)
        card.move = self.move

    def note(self, check, *seen):
        """What is seen in the middle of a debit is told after the sale: a debit raises nothing."""
        try:
            check(*seen)
        except Exception as error:
            self.wrong.append(error)
            raise

    def see_debit(self, card, before, after):
        """A card was changed: by the newest record, which is its INTENT, and as that says."""
        intent, view = self.records()[-1], cardbox_desfire.truth(card)
        assert (intent["kind"], intent["card_no"]) == (messages.INTENT, view.card_no)
        assert (intent["before_fen"], intent["after_fen"]) == (before.value, after.value)
        assert intent["amount_fen"] == FEN == before.value - after.value
        assert (view.last_device, view.last_seq) == (DEVICE, intent["seq"])
        assert view.counter == intent["counter"] + 1 == after.mac[0] == before.mac[0] + 1
        assert after.records == [*before.records, layout.encode_state(view)[11:]][-10:]
        assert intent["seq"] not in self.debited
        self.debited.add(intent["seq"])
        self._debits.append(intent["seq"])

    def see_tear(self, _card, is_before):
        """Power has taken the newest commit back, before anybody could have answered for it."""
        assert is_before
        seq = self._debits.pop()
        self.debited.remove(seq)
        assert self.last_word.get(seq) != messages.COMMITTED

    def move(self, way, delay_us):
        """Take the spoiled card away in a moment, and put it or another one there."""

        def come_and_go():
            if self.card.in_field:
                self.take(self.card)
                self.put(self.card if way == "pulled" else self.other)

        self.clock.at(self.clock.now_us + delay_us, come_and_go)

    # -- records ----------------------------------------------------------------------------

    def records(self, *kinds):
        """As Counter has it, but each record is read once; their seals are checked at the end."""
        journal = journal_of(self.flash)
        for seq in range(len(self._known) + 1, journal.head_seq + 1):
            record = messages.decode_record(seal.payload_of(journal.record(seq)))
            self._known.append(record)
            if record["kind"] == messages.OUTCOME:
                self._judge(record["intent_seq"], record["result"])
        return [record for record in self._known if not kinds or record["kind"] in kinds]

    def _judge(self, seq, result):
        """An outcome that was just written, or a moment ago: is it true of the card?"""
        self.last_word[seq] = result
        if result != messages.UNKNOWN:
            assert (result == messages.COMMITTED) == (seq in self.debited)

    # -- sales ------------------------------------------------------------------------------

    def spoiled_sale(self, draw):
        """A sale with spoiled answers, and an honest tap if the reader asks for one."""
        before, card = len(self.debited), self.card
        self.key(b"0.50\r")
        for _ in range(SPOILED_TAPS):
            if self.shown in WAITS:
                card.percent, card.skip = draw.choice(PERCENTS), draw.choice(SKIPS)
                self.tap(card, hold_ms=HOLD_MS)
                self.take(self.other)
        card.percent = 0
        if self.shown in WAITS and draw.randrange(100) >= IMPATIENT_PERCENT:
            self.run_ms(200)
            self.tap(card)
            self.settle_with_other(draw)
        assert len(self.debited) - before <= 1
        said = self.shown
        self.key(b"\x1b")
        self.run_ms(2_500)
        self.close()
        return said

    def close(self):
        """Nothing wrong was seen, nor is written down."""
        self.records()
        if self.wrong:
            raise self.wrong[0]

    def settle_with_other(self, draw):
        """The honest tap has paid, unless it is the other card that the reader waits for."""
        if self.shown == "SAME CARD PLEASE":
            self.tap(self.other)
        assert self.shown == PAID, self.shown


def spent_fen(window):
    return sum(BALANCE_FEN - holding(c).value for c in (window.card, window.other))


def booked(window):
    """A ledger with everything that stands in the journal; its books are right."""
    store = LedgerStore.open(":memory:")
    store.register_merchant(MERCHANT)
    for card_no in UIDS:
        store.issue_card(card_no, BALANCE_FEN)
    store.register_device(DEVICE, DEVICE_KEY, MERCHANT)
    journal = journal_of(window.flash)
    store.book([[journal.record(seq) for seq in range(1, journal.head_seq + 1)]])
    assert store.heads()[DEVICE] == journal.head_seq
    assert check(store) == []
    return store


def play(seed, ways=EVERYTHING, sales=SALES):
    """A window after so many spoiled sales and one more of each card; its books are right."""
    print("seed", seed)
    window, draw = Window(seed, ways), random.Random(seed + 1_000_000)
    for _ in range(sales):
        window.said.append(window.spoiled_sale(draw))
    for card in (window.card, window.other):
        assert window.sell("0.50", card) == PAID
        window.run_ms(2_500)
    # Read anew, with every seal and the whole chain.
    assert Counter.records(window) == window.records()
    assert set(window.said) <= {PAID, *WAITS, *REFUSALS}
    store = booked(window)
    assert store.takings(MERCHANT) == spent_fen(window) == FEN * len(window.debited)
    assert list(forks(store)) == []
    check_proofs(store, len(window.debited))
    return window


def check_proofs(store, debits):
    """No card signed anything else, and for nearly all debits there is its word."""
    master = MASTERS["transaction"]
    checked = card_proofs.check(store, CIPHERS, UIDS, master)
    assert {finding.doubt for finding in checked.findings} <= {card_proofs.Doubt.NO_PROOF}
    assert checked.proven + len(checked.findings) == debits
    assert checked.proven > debits * 3 // 4


@pytest.mark.parametrize("first", range(0, 10 * WINDOWS, WINDOWS))
def test_spoiled_answers_cost_nobody_a_fen(first):
    """Ten times ten thousand spoiled answers, at the depth of frames."""
    spoils, ends, slowest_ms = Tally(), Tally(), 0
    for seed in range(first, first + WINDOWS):
        window = play(seed)
        spoils += window.card.spoiled
        ends.update(record["result"] for record in window.records(messages.OUTCOME))
        slowest_ms = max(slowest_ms, window.slowest_ms)
    print(f"{spoils.total()} answers spoiled, {ends}, slowest step {slowest_ms} ms; {spoils}")
    assert spoils.total() >= 10_000
    assert min(spoils[way] for way in EVERYTHING) >= 50
    # Or nothing of this was ever near a debit.
    assert min(ends[result] for result in RESULTS) >= 10


@pytest.mark.parametrize("seed", range(200, 203))
def test_what_a_radio_does_makes_the_reader_break_no_rule(seed):
    """No command goes out again that a card has heard, and every sale is paid in the end."""
    window = play(seed, tuple(ON_AIR))
    assert window.card.violations == window.other.violations == []
    assert {*window.said} <= {PAID, *WAITS}


# -- every status there is ------------------------------------------------------------------------


class Refusing(Spoiled):
    """Answers its `step`-th command of each conversation with the next of `answers`, if any.

    Every other time it has carried the command out.
    """

    step = None
    answers = ()

    def begin(self):
        super().begin()
        self._commands = 0

    def apply(self, command, now):
        step, self._commands = self._commands, self._commands + 1
        if step != self.step or not self.answers:
            return super().apply(command, now)
        if len(self.answers) & 1:
            super().apply(command, now)
        return self.answers.pop(), 0


def statuses(step):
    """All of them, bare or with what could be a MAC; where the money moves, both."""
    draw, commit = random.Random(step), STEPS[-1]
    answers = []
    for code in range(256):
        noise = draw.randbytes(8) if (code + step) & 1 else b""
        answers.append(bytes((code,)) + noise)
        if step == commit:
            answers.append(bytes((code,)) + (b"" if noise else draw.randbytes(8)))
    return answers


@pytest.mark.parametrize("step", STEPS)
def test_every_status_at_every_step(step):
    answers = statuses(step)
    while answers:
        window = Window(step)
        window.bring(Refusing(image(CARD_NO), random.Random(step)))
        card = window.card
        card.answers, answers = answers[:STATUSES], answers[STATUSES:]
        while card.answers:
            card.step = step
            window.key(b"0.50\r")
            window.tap(card, hold_ms=STATUS_HOLD_MS)
            card.step = None
            if window.shown in WAITS:
                window.tap(card)
                assert window.shown == PAID
            assert window.shown in (PAID, *REFUSALS)
            window.key(b"\x1b")
            window.close()
        assert window.sell("0.50", card) == PAID
        assert booked(window).takings(MERCHANT) == spent_fen(window)


# -- a card that has been elsewhere ---------------------------------------------------------------


class Wanderer(Refusing):
    """Leaves in its `step`-th command, once, and is back at once: `away` has happened."""

    away = None

    def apply(self, command, now):
        step, self._commands = self._commands, self._commands + 1
        answer = Spoiled.apply(self, command, now)
        if step == self.step:
            self.step = None
            self.away()
        return answer


def debit_elsewhere(view, seq):
    """What another reader says to a card, and does with its money."""
    yield from personalise_desfire.select(layout.APPLICATION)
    key = DesfireMasters(**MASTERS).card_keys(view.uid).application[layout.SPEND_KEY]
    session = yield from personalise_desfire.login(CIPHERS, key, layout.SPEND_KEY, bytes)
    plan = layout.plan_debit(view, FEN, DEVICE + 1, seq, 0, (DAY, FEN, FEN, 1))
    for code, header, data in (
        (layout.WRITE_DATA, layout.place(layout.STATE_FILE, len(plan.state)), plan.state),
        (layout.WRITE_RECORD, layout.place(layout.RECORD_FILE, len(plan.record)), plan.record),
        (layout.DEBIT, bytes((layout.VALUE_FILE,)), FEN.to_bytes(4, "little")),
        (layout.COMMIT_READER_ID, plan.reader_id, b""),
        (layout.COMMIT_TRANSACTION, layout.WITH_TRANSACTION_MAC, b""),
    ):
        session.answer((yield session.command(code, header, data, ev2.FULL_COMMAND)))


def leave_at(step, torn, meanwhile):
    """A sale in whose `step`-th command the card leaves, to be back at once; the window then."""
    window = Window(step)
    window.bring(Wanderer(image(CARD_NO), random.Random(step)))
    card = window.card
    card.step, card.torn = step, torn

    def come_and_go():
        window.take(card)
        meanwhile(card)
        window.put(card)

    card.away = lambda: window.clock.at(window.clock.now_us + 10, come_and_go)
    window.sell("0.50", card, hold_ms=HOLD_MS)
    window.close()
    return window


@pytest.mark.parametrize("torn", ["old", "new"])
@pytest.mark.parametrize("step", STEPS)
def test_a_card_that_was_gone_for_a_moment_pays_in_the_same_debit(step, torn):
    window = leave_at(step, torn, lambda _card: None)
    assert window.shown == PAID
    assert len(window.records(messages.INTENT)) == len(window.debited) == 1
    check_proofs(booked(window), 1)


@pytest.mark.parametrize("torn", ["old", "new"])
@pytest.mark.parametrize("step", STEPS)
def test_a_card_that_has_paid_elsewhere_in_the_middle_of_a_debit(step, torn):
    """It takes a reader that waits long for an answer; what it knew of the card is old then."""

    def pay_elsewhere(card):
        on_change, card.on_change = card.on_change, lambda *_: None
        cardbox_desfire.drive(debit_elsewhere(cardbox_desfire.truth(card), 7), card)
        card.on_change = on_change

    window = leave_at(step, torn, pay_elsewhere)
    said, debits = window.shown, len(window.debited)
    assert spent_fen(window) == FEN * (debits + 1)
    unsure = "CHECK LAST SALE", int(torn == "new")
    assert (said, debits) == (unsure if step == STEPS[-1] else (PAID, 1))


# -- time -----------------------------------------------------------------------------------------


class Slow(Spoiled):
    """Asks for `busy_us` of time for every command, and takes it."""

    busy_us = 0

    def apply(self, command, now):
        return super().apply(command, now)[0], self.busy_us


@pytest.mark.parametrize(
    ("busy_us", "said", "step_ms_max"),
    [(1_000_000, PAID, 12_500), (20_000_000, "TAP AGAIN", 5_500)],
)
def test_a_card_that_wants_more_time_gets_no_more_than_there_is(busy_us, said, step_ms_max):
    window = Window(0)
    window.bring(Slow(image(CARD_NO), random.Random(0)))
    window.card.busy_us = busy_us
    window.key(b"0.50\r")
    window.put(window.card)
    window.run_ms(200)
    window.close()
    print(busy_us, "us for each command: step of", window.slowest_ms, "ms")
    assert window.shown == said
    assert window.slowest_ms <= step_ms_max
