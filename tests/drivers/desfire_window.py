"""A canteen counter with a DESFire whose answers may be spoiled, and what must hold at all times.

- No exception comes out of the POS, and no step takes for ever.
- What a card holds changes by a commit only, all of it at once, and only behind its INTENT.
- A sale is one debit or none.
- An OUTCOME says what has become of the card, or that nobody knows; the counter's own witness
  sees to it that PAID is shown behind one of COMMITTED only.
"""

import functools
import random

from firmware.roles import pos
from ledger import card_proofs
from ledger.invariants import check
from ledger.store import LedgerStore
from protocols.card.identity import Identity
from protocols.wire import messages, seal
from simulator import cardbox_desfire
from simulator.cardbox_desfire import CIPHERS, DesfireMasters
from simulator.checkers import journal_of
from simulator.host.board import HostBoard
from simulator.host.card_port import front_end
from tests.drivers.desfire_desk import MASTERS
from tests.drivers.spoiled_desfire import EVERYTHING, Spoiled, holding
from tests.firmware.counter import BALANCE_FEN, CARD_NO, DAY, DEVICE, DEVICE_KEY, MERCHANT, Counter

FEN = 50
PAID = "PAID 0.50"
OTHER_NO = CARD_NO + 1
UIDS = {CARD_NO: bytes.fromhex("04a1b2c3d4e5f6"), OTHER_NO: bytes.fromhex("04f6e5d4c3b2a1")}
STEP_MS_MAX = 20_000  # the watchdog of a reader waits for 30 s
PERCENTS = (10, 40, 80, 100, 100)
SKIPS = range(6, 20)  # frames before the first that may be spoiled; a sale has 19
SPOILED_TAPS, HOLD_MS = 5, 1_500
IMPATIENT_PERCENT = 10  # of the sales that the clerk clears instead of asking for the card again
SECTORS = 24
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
        assert after.credits == before.credits == []
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
        self.run_ms(6_000)
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


def check_proofs(store, debits):
    """No card signed anything else, and for nearly all debits there is its word."""
    master = MASTERS["transaction"]
    checked = card_proofs.check(store, CIPHERS, UIDS, master)
    assert {finding.doubt for finding in checked.findings} <= {card_proofs.Doubt.NO_PROOF}
    assert checked.proven + len(checked.findings) == debits
    assert checked.proven > debits * 3 // 4
