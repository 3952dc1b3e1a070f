"""A sale is cancelled at a window, and its money comes back onto the card: once, or it waits.

Real cards, real reader, real books. What the window has written reaches the centre when a test
says so (`deliver`), as an agent would bring it, and the receipt comes back.
"""

import random

import pytest

from ledger.invariants import check
from protocols.rules import reasons
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import CARD_NO, DEVICE, DEVICE_KEY, MERCHANT
from tests.load.counter import BALANCE_FEN, CHIPS, Centre, Window, a_card, view_of

PAID_FEN = 1250
SOLD_FEN = BALANCE_FEN - PAID_FEN


class Booth(Window):
    """A window that is online: its records are booked so many ms after they were written."""

    delay_ms = 300

    def __init__(self, centre, **options):
        self._seen = 0
        self._since_ms = 0
        super().__init__(centre, **options)

    def boot(self, tell_time=True):
        super().boot(tell_time)
        self.line.step = self._step
        self.pos._uplink = self.line
        self.tell_time()

    def _step(self, now_ms):
        head_seq = self.pos._recorder.head_seq()
        if head_seq != self._seen:
            self._seen, self._since_ms = head_seq, now_ms
        due_ms = self._since_ms + self.delay_ms
        if not self.line.online or self.pos._recorder.receipted_seq() == head_seq:
            return now_ms + 1_000
        if now_ms >= due_ms:
            self.deliver()
            return now_ms + 1_000
        return due_ms

    def deliver(self):
        self.centre.book(self)
        self.pos._recorder.receipt(self.pos._recorder.head_seq())

    def sealed(self):
        return [sealed for sealed in super().sealed() if sealed is not None]

    def cancel(self, card, hold_ms=3_000):
        """FN 7 and the card, which stays for a while; all that the display said since."""
        shown = len(self.witness.texts)
        self.key(b"F7")
        self.put(card)
        self.run_ms(hold_ms)
        self.take(card)
        self.run_ms(12_000)
        return "".join(self.witness.texts[shown:])


@pytest.fixture
def centre_of(tmp_path):
    made = []

    def make(chip, **options):
        options.setdefault("loads", 0)
        made.append(Centre(tmp_path / f"{len(made)}.sqlite", chip, **options))
        return made[-1]

    yield make
    for centre in made:
        centre.store.close()


def sold(centre_of, chip, **options):
    """(centre, window, card): the card has just paid 12.50."""
    centre, card = centre_of(chip), a_card(chip, **options)
    window = Booth(centre)
    window.visit(card, "12.50")
    assert view_of(card).balance_fen == SOLD_FEN
    return centre, window, card


def settled(centre, card, *windows, cancelled=1, said=""):
    """The card is used on; every cancelled sale is on it once, in the books too, none is more."""
    for visit in range(3):
        window = windows[visit % len(windows)]
        window.line.online = True
        window.line.plan.clear()
        window.line.bring_late(window.ticks_us() // 1000)
        window.visit(card)
        window.deliver()
    assert check(centre.store) == []
    balances = centre.store.balances()
    has_fen = view_of(card).balance_fen
    assert balances.get(("pending", CARD_NO), 0) == 0, said
    assert balances["holder", CARD_NO] == has_fen, said
    store = centre.store
    assert store.given_back(MERCHANT) == cancelled * PAID_FEN, said
    net_fen = store.takings(MERCHANT) - store.given_back(MERCHANT)
    assert balances["merchant", MERCHANT] == net_fen
    assert has_fen + net_fen == BALANCE_FEN, said
    assert (store.summary()["cancelled"], store.summary()["loading"]) == (cancelled, 0)
    assert store.cases() == [], said


# --- as it should be --------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_it_comes_back_while_the_card_still_lies_there(centre_of, chip):
    centre, window, card = sold(centre_of, chip)
    said = window.cancel(card)
    order = ("CANCELLED 12.50", "COMES ONTO CARD", "+12.50 HOLD CARD", "LOADED 12.50", "WELCOME")
    places = [said.index(text) for text in order]
    assert places == sorted(places)
    assert view_of(card).balance_fen == BALANCE_FEN
    settled(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_or_at_the_next_tap_at_any_window(centre_of, chip):
    centre = centre_of(chip, devices=(DEVICE, DEVICE + 1))
    here, there = Booth(centre), Booth(centre, device=DEVICE + 1)
    card = a_card(chip)
    here.visit(card, "12.50")
    here.cancel(card, hold_ms=150)
    assert view_of(card).balance_fen == SOLD_FEN
    there.visit(card)
    assert view_of(card).balance_fen == BALANCE_FEN - 100
    settled(centre, card, there, here)


@pytest.mark.parametrize("between", [4, 7])
@pytest.mark.parametrize("chip", CHIPS)
def test_the_card_may_have_paid_elsewhere_in_between(centre_of, chip, between):
    """As far back as a DESFire is asked for the sale, and further."""
    centre, window, card = sold(centre_of, chip)
    window.cancel(card, hold_ms=150)
    window.line.online = False
    for _ in range(between):
        window.visit(card)
    assert view_of(card).balance_fen == SOLD_FEN - between * 100
    window.line.online = True
    window.visit(card)
    assert view_of(card).balance_fen == BALANCE_FEN - (between + 1) * 100
    settled(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_what_was_paid_in_comes_too(centre_of, chip):
    centre = centre_of(chip, loads=1)
    window, card = Booth(centre), a_card(chip)
    window.line.online = False
    window.visit(card, "12.50")
    window.line.online = True
    window.cancel(card)
    for _ in range(2):
        window.visit(card)
        window.deliver()
    assert centre.store.balances()["pending", CARD_NO] == 0
    assert view_of(card).balance_fen == BALANCE_FEN + 5_000 - 200


@pytest.mark.parametrize("chip", CHIPS)
def test_a_reader_that_loads_nothing_still_cancels(centre_of, chip):
    centre, card = centre_of(chip, devices=(DEVICE, DEVICE + 1)), a_card(chip)
    window, other = Booth(centre, loads=False), Booth(centre, device=DEVICE + 1)
    window.visit(card, "12.50")
    assert "LOADED" not in window.cancel(card)
    assert view_of(card).balance_fen == SOLD_FEN
    settled(centre, card, other)


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("delay_ms", [0, 2_000, 4_900, 20_000])
def test_however_late_the_record_is_booked(centre_of, chip, delay_ms):
    centre, window, card = sold(centre_of, chip)
    window.delay_ms = delay_ms
    said = window.cancel(card, hold_ms=8_000)
    assert ("LOADED 12.50" in said) == (delay_ms < 5_000)
    settled(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_network_goes_when_it_is_cancelled(centre_of, chip):
    """The record is on flash; the money waits until it has come through."""
    centre, window, card = sold(centre_of, chip)
    window.key(b"F7")
    window.put(card)
    window.run_ms(100)
    assert window.shown == "CANCELLED 12.50"
    window.line.online = False
    window.run_ms(10_000)
    window.take(card)
    assert view_of(card).balance_fen == SOLD_FEN
    assert centre.store.summary()["cancelled"] == 0
    settled(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_ledger_restarts_between_booking_and_load(centre_of, chip):
    centre, window, card = sold(centre_of, chip)
    window.cancel(card, hold_ms=150)
    assert centre.store.summary()["cancelled"] == 1
    centre.die()
    assert view_of(card).balance_fen == SOLD_FEN
    settled(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_power_goes_at_any_write_to_flash(centre_of, chip):
    """Before CANCEL: nothing was cancelled, and it may be yet. Behind it: it comes back, once."""
    _, whole, card = sold(centre_of, chip)
    before = whole.flash.operations
    whole.cancel(card)
    operations = whole.flash.operations - before
    assert operations >= 3  # CANCEL, CREDIT, OUTCOME
    seen = set()
    for operation in range(operations):
        centre, window, card = sold(centre_of, chip)
        window.flash.cut_after(operation)
        if not window.survives(lambda window=window, card=card: window.cancel(card)):
            window.take(card)
            window.boot()
        window.key(b"\x1b")
        is_on_flash = bool(window.records(messages.CANCEL))
        seen.add(is_on_flash)
        assert ("CANCELLED ALREADY" in window.cancel(card)) == is_on_flash
        assert len(window.records(messages.CANCEL)) == 1
        settled(centre, card, window, said=f"{chip} {operation}")
    assert seen == {False, True}


@pytest.mark.parametrize("torn", ["old", "new", "mixed"])
@pytest.mark.parametrize("chip", CHIPS)
def test_the_card_is_pulled_at_any_moment(centre_of, chip, torn):
    _, whole, card = sold(centre_of, chip)
    first = whole.hardware.chip.transactions
    whole.cancel(card, hold_ms=2_000)
    moments = whole.hardware.chip.transactions - first
    for moment in sorted(random.Random(f"{chip} {torn}").sample(range(moments), 8)):
        centre, window, card = sold(centre_of, chip, seed=moment, torn=torn)
        model = window.hardware.chip

        def pull(number, window=window, card=card, last=model.transactions + moment):
            if number == last:
                window.hardware.field.remove(card)

        model.before_exchange = pull
        window.cancel(card)
        model.before_exchange = None
        window.key(b"\x1b")  # nobody waits for it any longer
        cancelled = len(window.records(messages.CANCEL))
        assert view_of(card).balance_fen in (SOLD_FEN, BALANCE_FEN)[: 1 + cancelled]
        settled(centre, card, window, cancelled=cancelled, said=f"{chip} {torn} {moment}")


@pytest.mark.parametrize("fault", ["lost", "twice", "late", "forged", "old"])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("chip", CHIPS)
def test_a_message_goes_wrong(centre_of, chip, direction, fault):
    _, whole, card = sold(centre_of, chip)
    before = len(whole.line.said[direction])
    whole.cancel(card)
    for number in range(before, len(whole.line.said[direction])):
        centre, window, card = sold(centre_of, chip)
        window.line.plan[direction, number] = fault
        window.cancel(card)
        settled(centre, card, window, said=f"{direction} {number}")


@pytest.mark.parametrize("chip", CHIPS)
def test_power_goes_in_the_middle_of_the_load(centre_of, chip):
    for moment in random.Random(chip).sample(range(40, 200), 8):
        centre, window, card = sold(centre_of, chip)
        window.key(b"F7")
        window.put(card)
        window.run_ms(100)
        assert window.shown == "CANCELLED 12.50"

        def cut(number, last=window.hardware.chip.transactions + moment):
            if number == last:
                raise PowerCut

        window.hardware.chip.before_exchange = cut
        window.survives(lambda window=window: window.run_ms(3_000))
        window.hardware.chip.before_exchange = None
        window.take(card)
        if window.pos is None:
            window.boot()
        settled(centre, card, window, said=f"{chip} {moment}")


@pytest.mark.parametrize("chip", CHIPS)
def test_it_is_cancelled_once_whatever_is_tried(centre_of, chip):
    """At this window, over a boot, after the load, and with the load's CREDIT behind it."""
    centre, window, card = sold(centre_of, chip)
    window.cancel(card)
    for _ in range(2):
        assert reasons.display(reasons.CANCELLED_ALREADY) in window.cancel(card)
        window.die()
        window.boot()
    settled(centre, card, window)


def made_up(window):
    """The reader of a window lies: a sale to a card that was never there, and its cancellation."""
    recorder = window.pos._recorder
    sale = recorder.write(
        messages.INTENT,
        0,
        card_no=CARD_NO,
        counter=0,
        amount_fen=PAID_FEN,
        before_fen=BALANCE_FEN,
        after_fen=SOLD_FEN,
        merchant_no=MERCHANT,
        last_device=0,
        last_seq=0,
        flags=0,
    )
    own = {"intent_device": DEVICE, "intent_seq": sale}
    recorder.write(messages.OUTCOME, 0, result=messages.COMMITTED, **own)
    recorder.write(messages.CANCEL, 0, card_no=CARD_NO, amount_fen=PAID_FEN, **own)
    window.deliver()


@pytest.mark.parametrize("lies", [False, True])
def test_a_made_up_sale_is_not_paid_out_to_a_desfire(centre_of, lies):
    """The books turn once, the card gets nothing: it has not moved, whatever the reader says."""
    centre, card = centre_of("desfire"), a_card("desfire")
    window = Booth(centre)
    made_up(window)
    relay_key = seal.derive(DEVICE_KEY, messages.RELAY_LABEL)

    def say(message_type, fields, say=window.line.say):
        payload = seal.unseal(relay_key, fields["sealed"], messages.RELAY_UP)
        said = messages.decode_relayed(payload, (messages.LOAD_ASK, messages.CARD_ANSWER))
        if said["kind"] == messages.LOAD_ASK and lies:
            payload = messages.encode_relayed(said["kind"], {**said, "counter": 5})
        sealed = seal.seal(relay_key, payload, messages.RELAY_UP)
        return say(message_type, {**fields, "sealed": sealed})

    window.line.say = say
    window.visit(card, "999.00")  # refused, and asked for
    assert bool(centre.credit.counters["offers"]) == lies
    assert view_of(card).balance_fen == BALANCE_FEN
    assert centre.store.summary()["loading"] == 1
