"""Money onto a card at a window, and everything that can go wrong on the way.

Whatever happens: what was paid in is on the card or waits for it, it comes on the card once, and
the card's next taps settle what nobody knew. Real cards, real reader, real books; the line between
them does what a test says (tests/load/counter.py).
"""

import random
from contextlib import contextmanager

import pytest

from ledger.dialect import StoreUnavailable
from protocols.card.credit_order import seal_order
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import CARD_NO, DEVICE, DEVICE_KEY, MERCHANT
from tests.load.counter import BALANCE_FEN, CHIPS, LOAD_FEN, Centre, Window, a_card, view_of

PAID_FEN = 100
BEFORE_FEN, AFTER_FEN = BALANCE_FEN - PAID_FEN, BALANCE_FEN - PAID_FEN + LOAD_FEN


@pytest.fixture
def centre_of(tmp_path):
    """Makes card centres; each has a database of its own."""
    made = []

    def make(chip, **options):
        made.append(Centre(tmp_path / f"{len(made)}.sqlite", chip, **options))
        return made[-1]

    yield make
    for centre in made:
        centre.store.close()


def assert_settles(centre, card, *windows, loads=1, said=""):
    """The card is used on as if nothing had been: every load is on it, once, and in the books."""
    for visit in range(2 + 2 * loads):
        window = windows[visit % len(windows)]
        window.line.plan.clear()
        window.line.bring_late(window.ticks_us() // 1000)
        window.visit(card)
        centre.book(*windows)
    purse_fen, pending_fen = centre.money()
    has_fen = view_of(card).balance_fen
    assert (pending_fen, purse_fen) == (0, has_fen), said
    assert has_fen + centre.store.takings(MERCHANT) == BALANCE_FEN + loads * LOAD_FEN, said
    summary = centre.store.summary()
    assert (summary["loaded"], summary["loading"], summary["pending"]) == (loads, 0, 0), said
    assert centre.store.cases() == [], said


def assert_whole(card):
    """Nothing of a load is ever on a card but all of it."""
    assert view_of(card).balance_fen in (BEFORE_FEN, AFTER_FEN)


def assert_never_denied(card, window):
    """No record says that nothing came of a credit which is on the card."""
    loads = [each["seq"] for each in window.records(messages.CREDIT)]
    outcomes = window.records(messages.OUTCOME)
    ends = [each["result"] for each in outcomes if each["intent_seq"] in loads]
    assert view_of(card).balance_fen == BEFORE_FEN or messages.NOT_COMMITTED not in ends


# --- as it should be --------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_it_comes_on_the_card_at_the_next_tap(centre_of, chip):
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre)
    assert window.visit(card) == "LOADED 50.00"
    view = view_of(card)
    assert view.balance_fen == AFTER_FEN
    credit, outcome = window.records()[-2:]
    assert (credit["kind"], outcome["kind"]) == (messages.CREDIT, messages.OUTCOME)
    assert (credit["before_fen"], credit["amount_fen"]) == (BEFORE_FEN, LOAD_FEN)
    assert (outcome["intent_seq"], outcome["result"]) == (credit["seq"], messages.COMMITTED)
    assert_settles(centre, card, window)


@pytest.mark.parametrize("chip", CHIPS)
def test_it_is_done_while_what_was_paid_is_still_shown(centre_of, chip):
    window = Window(centre_of(chip))
    window.visit(a_card(chip))
    texts = [text for text in window.witness.texts if "PAID" in text or "50.00" in text]
    assert texts == ["\x1bQAPAID 1.00\r", "\x1bQB+50.00 HOLD CARD\r", "\x1bQBLOADED 50.00\r"]


@pytest.mark.parametrize("chip", CHIPS)
def test_money_that_comes_on_is_no_sale(centre_of, chip):
    """Shift and days count what was taken; a boot behind it finds its way too."""
    window = Window(centre_of(chip))
    window.visit(a_card(chip))
    for _ in range(2):
        window.pos._totals.read_on()
        assert window.pos._totals.sums(True) == [1, PAID_FEN, 0, 0, 0, 0]
        window.die()
        window.boot()
        assert window.shown == "LAST PAID"


@pytest.mark.parametrize("chip", CHIPS)
def test_a_card_without_enough_can_be_loaded_and_then_pay(centre_of, chip):
    """The tap that is refused is the one that brings the money."""
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre, no_pin_max_fen=20_000, amount_max_fen=20_000, offline_max_fen=20_000)
    assert window.visit(card, "120.00") == "LOADED 50.00"
    window.visit(card, "120.00")
    assert view_of(card).balance_fen == BALANCE_FEN + LOAD_FEN - 12_000
    centre.book(window)
    assert centre.money() == (BALANCE_FEN + LOAD_FEN - 12_000, 0)


@pytest.mark.parametrize("chip", CHIPS)
def test_several_loads_come_one_by_one(centre_of, chip):
    centre, card = centre_of(chip, loads=3), a_card(chip)
    assert_settles(centre, card, Window(centre), loads=3)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_card_that_comes_back_in_time_gets_it(centre_of, chip):
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre)
    window.line.plan["down", 0] = "late"
    window.sell("1.00", card)
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(60)
    assert window.lines == ("PAID 1.00", "+50.00 HOLD CARD")
    window.tap(card, hold_ms=2_000)
    assert view_of(card).balance_fen == AFTER_FEN
    assert_settles(centre, card, window)


# --- nothing is promised that is not there ----------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_offline_nothing_is_offered(centre_of, chip):
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre)
    window.line.online = False
    assert window.visit(card) == "BALANCE 99.00"
    assert view_of(card).balance_fen == BEFORE_FEN
    assert not window.records(messages.CREDIT)
    window.line.online = True
    assert_settles(centre, card, window)


def test_a_reader_that_is_not_told_to_asks_nothing(centre_of):
    centre, card = centre_of("classic"), a_card("classic")
    window = Window(centre, loads=False)
    window.visit(card)
    assert view_of(card).balance_fen == BEFORE_FEN
    assert window.line.said["up"] == []


@pytest.mark.parametrize("chip", CHIPS)
def test_nothing_comes_on_a_lost_card(centre_of, chip):
    """It waits: for the card when it is found again, or the next one of its holder."""
    centre = centre_of(chip)
    window, card = Window(centre), a_card(chip)
    centre.store.cards.set("lose", CARD_NO, centre.now_s)
    window.visit(card)
    assert (centre.credit.counters["barred"], view_of(card).balance_fen) == (1, BEFORE_FEN)
    assert centre.money()[1] == LOAD_FEN
    centre.store.cards.set("unlose", CARD_NO, centre.now_s, "id-card")
    window.visit(card)
    assert view_of(card).balance_fen == AFTER_FEN - PAID_FEN


def test_a_card_that_is_lost_while_it_is_offered_gets_nothing(centre_of):
    """The last moment before anything is computed for it."""
    centre = centre_of("desfire")
    window, card = Window(centre), a_card("desfire")
    offer = centre.credit._offer

    def report(*arguments):
        answer = offer(*arguments)
        centre.store.cards.set("lose", CARD_NO, centre.now_s)
        return answer

    centre.credit._offer = report
    window.visit(card)
    assert view_of(card).balance_fen == BEFORE_FEN
    assert (centre.credit.counters["offers"], centre.credit.counters["commands"]) == (1, 0)


def test_what_was_not_paid_in_is_not_offered(centre_of):
    centre, card = centre_of("classic", loads=0), a_card("classic")
    window = Window(centre)
    window.visit(card)
    assert view_of(card).balance_fen == BEFORE_FEN
    assert window.line.said["down"] == []


@pytest.mark.parametrize("chip", CHIPS)
def test_the_next_sale_does_not_wait(centre_of, chip):
    """A clerk who goes on ends the load; it comes another time."""
    whole = Window(centre_of(chip))
    whole.visit(a_card(chip))
    for heard in range(len(whole.line.said["down"])):
        centre, card = centre_of(chip), a_card(chip)
        window = Window(centre)
        window.line.plan["down", heard] = "late"
        window.key(b"1.00\r")
        window.put(card)
        window.run_ms(1_500)
        window.key(b"2.00\r")
        window.run_ms(500)
        assert window.shown == "PAY ONCE MORE?", heard
        window.key(b"\r")
        window.run_ms(1_000)
        assert window.shown == "PAID 2.00", heard
        window.take(card)
        window.run_ms(5_000)
        assert_settles(centre, card, window, said=str(heard))


# --- hands ------------------------------------------------------------------------------------


def exchanges_of(centre_of, chip):
    """The numbers of the exchanges with the chip that belong to the load."""
    window = Window(centre_of(chip))
    spans = []

    def hear(sealed, now_ms, hear=window.line.on_relay):
        spans.append(window.hardware.chip.transactions)
        return hear(sealed, now_ms)

    window.line.on_relay = hear
    window.key(b"1.00\r")
    window.put(a_card(chip))
    window.run_ms(1_500)
    assert window.records(messages.CREDIT)
    return range(spans[0], window.hardware.chip.transactions)


@pytest.mark.parametrize("torn", ["old", "new", "mixed"])
@pytest.mark.parametrize("chip", CHIPS)
def test_torn_away_at_any_moment_it_comes_once(centre_of, chip, torn):
    moments = exchanges_of(centre_of, chip)
    chosen = random.Random(f"{chip} {torn}").sample(moments, 24)
    for moment in sorted(chosen):
        centre, card = centre_of(chip), a_card(chip, seed=moment, torn=torn)
        window = Window(centre)
        model = window.hardware.chip

        def pull(number, window=window, card=card, moment=moment):
            if number == moment:
                window.hardware.field.remove(card)

        model.before_exchange = pull
        window.visit(card)
        model.before_exchange = None
        assert_whole(card)
        assert_settles(centre, card, window, said=f"{chip} {torn} {moment}")


# --- the line ---------------------------------------------------------------------------------


_ASTRAY = ("lost", "twice", "late", "forged", "old")
_ON_THE_WAY = [
    *((direction, fault) for direction in ("up", "down") for fault in _ASTRAY),
    *(("up", "away"), ("up", "denied")),
]


@pytest.mark.parametrize(("direction", "fault"), _ON_THE_WAY)
@pytest.mark.parametrize("chip", CHIPS)
def test_a_message_goes_wrong(centre_of, chip, direction, fault):
    """Each of them, and some come when everything is over: no load comes twice, none is lost."""
    whole = Window(centre_of(chip))
    whole.visit(a_card(chip))
    for number in range(len(whole.line.said[direction])):
        centre, card = centre_of(chip), a_card(chip)
        window = Window(centre)
        window.line.plan[direction, number] = fault
        window.visit(card)
        assert_whole(card)
        assert_never_denied(card, window)
        assert_settles(centre, card, window, said=f"{direction} {number}")


@pytest.mark.parametrize("chip", CHIPS)
def test_while_the_centre_is_away_nobody_waits_for_it(centre_of, chip):
    """As behind silence, but at once; what waits comes later."""
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre)
    window.line.plan = {("up", number): "away" for number in range(99)}
    window.key(b"1.00\r")
    window.put(card)
    window.run_ms(1_000)
    load = window.pos._load
    assert len(window.line.said["up"]) == 1 and not load.wants_card and load.text == ""
    assert load._state == 0 and not window.records(messages.CREDIT)
    window.run_ms(2_000)
    window.take(card)
    window.run_ms(12_000)
    assert_settles(centre, card, window)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("chip", CHIPS)
def test_many_messages_go_wrong(centre_of, chip, seed):
    draw = random.Random(f"{chip} {seed}")
    centre, card = centre_of(chip, loads=2), a_card(chip)
    window = Window(centre)
    for visit in range(4):
        for direction in ("up", "down"):
            said = len(window.line.said[direction])
            for number in range(said, said + 16):
                if draw.randrange(6) == 0:
                    faults = ("lost", "twice", "late", "forged", "old", "away", "denied")
                    window.line.plan[direction, number] = draw.choice(faults)
        window.visit(card)
        if visit % 2:
            centre.book(window)
    assert_settles(centre, card, window, loads=2, said=f"seed {seed}")


@pytest.mark.parametrize("chip", CHIPS)
def test_everything_said_is_said_again_later(centre_of, chip):
    """Somebody has kept it all, and plays it to the reader, and to the centre, over and over."""
    centre, card = centre_of(chip), a_card(chip)
    window = Window(centre)
    window.visit(card)
    window.key(b"1.00\r")
    window.put(card)
    for _ in range(3):
        for sealed in window.line.said["down"][:20]:
            window.line._tell(sealed, window.ticks_us() // 1000)
            window.run_ms(20)
        for sealed in window.line.said["up"][:20]:
            window.line._up.append(sealed)
            window.run_ms(400)
    window.take(card)
    window.run_ms(10_000)
    assert view_of(card).balance_fen == AFTER_FEN - PAID_FEN
    assert_settles(centre, card, window)


# --- an order that is not for this ------------------------------------------------------------


def told(window, order, key=DEVICE_KEY, credit_key=bytes(6)):
    """The reader hears this order as an answer to what it has just asked."""
    from adapters.aes import CIPHERS

    load = window.pos._load
    sealed = seal_order(CIPHERS, DEVICE_KEY, order, credit_key)
    body = messages.encode_relayed(messages.LOAD_ORDER, {"nonce": load._nonce, "order": sealed})
    relay_key = seal.derive(key, messages.RELAY_LABEL)
    window.line._tell(seal.seal(relay_key, body, messages.RELAY_DOWN), window.ticks_us() // 1000)


@pytest.mark.parametrize(
    ("wrong", "starts"),
    [
        ({}, True),
        ({"device": DEVICE + 1}, False),
        ({"card_no": CARD_NO + 1}, False),
        ({"counter": 0}, False),
        ({"counter": 2}, False),
        ({"expires_s": 0}, False),
    ],
)
def test_an_order_for_something_else_is_not_begun(centre_of, wrong, starts):
    centre, card = centre_of("classic"), a_card("classic")
    window = Window(centre)
    window.line.plan["down", 0] = "lost"
    window.key(b"1.00\r")
    window.put(card)
    window.run_ms(1_000)
    order = {
        "device": DEVICE,
        "card_no": CARD_NO,
        "counter": 1,
        "number": 1,
        "amount_fen": LOAD_FEN,
        "expires_s": centre.now_s + 60,
    }
    told(window, {**order, **wrong})
    window.run_ms(2_000)
    # The key is not this card's: it refuses, so only the CREDIT tells whether it was begun.
    assert bool(window.records(messages.CREDIT)) == starts
    assert view_of(card).balance_fen == BEFORE_FEN
    window.take(card)
    window.run_ms(6_000)
    assert_settles(centre, card, window)


@pytest.mark.parametrize("late_s", [-6, 6])
def test_an_order_expires_by_the_readers_clock(centre_of, late_s):
    centre, card = centre_of("classic"), a_card("classic")
    window = Window(centre)
    centre.skew_s = late_s - 60
    said = window.visit(card)
    assert (said == "LOADED 50.00") == (late_s > 0)
    assert bool(window.records(messages.CREDIT)) == (late_s > 0)


def test_without_a_clock_no_order_is_carried_out(centre_of):
    centre, card = centre_of("classic"), a_card("classic")
    window = Window(centre)
    window.pos._load._clock = type("Lost", (), {"interval_ms": lambda *_: (0, 1 << 42)})()
    window.visit(card)
    assert not window.records(messages.CREDIT)
    assert view_of(card).balance_fen == BEFORE_FEN


@pytest.mark.parametrize("chip", CHIPS)
def test_another_card_does_not_get_it(centre_of, chip):
    centre, card = centre_of(chip), a_card(chip)
    window, other = Window(centre), a_card("classic")
    other.uid = b"\1\2\3\4"
    window.line.plan["down", 0] = "late"
    window.sell("1.00", card)
    window.line.bring_late(window.ticks_us() // 1000)
    window.tap(a_card(chip, seed=5), hold_ms=2_000)  # the same number, as it was before
    assert not window.records(messages.CREDIT)
    assert_settles(centre, card, window)


# --- power ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_power_goes_at_any_moment_it_comes_once(centre_of, chip):
    moments = exchanges_of(centre_of, chip)
    chosen = random.Random(f"power {chip}").sample(moments, 24)
    for moment in sorted(chosen):
        centre, card = centre_of(chip), a_card(chip, seed=moment)
        window = Window(centre)

        def cut(number, moment=moment):
            if number == moment:
                raise PowerCut

        window.hardware.chip.before_exchange = cut
        assert not window.survives(lambda window=window, card=card: window.visit(card))
        window.hardware.chip.before_exchange = None
        window.take(card)
        window.boot()
        assert_whole(card)
        assert_settles(centre, card, window, said=f"{chip} {moment}")


@pytest.mark.parametrize("chip", CHIPS)
def test_power_goes_at_any_write_to_flash(centre_of, chip):
    whole = Window(centre_of(chip))
    before = whole.flash.operations
    whole.visit(a_card(chip))
    for operation in range(before, whole.flash.operations):
        centre, card = centre_of(chip), a_card(chip)
        window = Window(centre)
        window.flash.cut_after(operation - before)
        if not window.survives(lambda window=window, card=card: window.visit(card)):
            window.take(card)
            window.boot()
        assert_settles(centre, card, window, said=f"{chip} {operation}")


# --- the centre -------------------------------------------------------------------------------


@contextmanager
def failing(store, commit):
    """The disk does not take the commit of this number; or it does and nobody hears of it."""
    database, transaction = store.database, store.database.transaction
    seen = []

    @contextmanager
    def counted():
        seen.append(None)
        if len(seen) - 1 == commit // 2:
            if commit % 2:
                with transaction():
                    yield
            raise StoreUnavailable("dies here")
        with transaction():
            yield

    database.transaction = counted
    try:
        yield seen
    finally:
        database.transaction = transaction


@pytest.mark.parametrize("chip", CHIPS)
def test_the_centre_dies_at_any_commit(centre_of, chip):
    centre = centre_of(chip)
    with failing(centre.store, -1) as seen:
        Window(centre).visit(a_card(chip))
    commits = len(seen)
    assert commits == {"classic": 1, "desfire": 2}[chip]
    for commit in range(2 * commits):
        centre, card = centre_of(chip), a_card(chip)
        window = Window(centre)
        with failing(centre.store, commit):
            window.visit(card)
        centre.die()
        assert_whole(card)
        assert_settles(centre, card, window, said=f"{chip} {commit}")


@pytest.mark.parametrize("chip", CHIPS)
def test_the_centre_is_new_between_any_two_messages(centre_of, chip):
    whole = Window(centre_of(chip))
    whole.visit(a_card(chip))
    for heard in range(len(whole.line.said["up"])):
        centre, card = centre_of(chip), a_card(chip)
        window = Window(centre)

        def hear(sealed, now_ms, hear=window.line.on_relay, window=window, heard=heard):
            if len(window.line.said["down"]) == heard + 1 and window.centre.boots == 1:
                window.centre.die()
            return hear(sealed, now_ms)

        window.line.on_relay = hear
        window.visit(card)
        assert_whole(card)
        assert_settles(centre, card, window, said=f"{chip} {heard}")


# --- two readers ------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
def test_two_readers_with_one_card(centre_of, chip):
    """The first gets its answers late; the card goes to the second in between."""
    whole = Window(centre_of(chip))
    whole.visit(a_card(chip))
    for heard in range(len(whole.line.said["down"])):
        centre = centre_of(chip, devices=(DEVICE, DEVICE + 1))
        card = a_card(chip)
        one, other = Window(centre), Window(centre, device=DEVICE + 1)
        one.line.plan["down", heard] = "late"
        one.visit(card)
        other.visit(card)
        one.line.bring_late(one.ticks_us() // 1000)
        one.run_ms(2_000)
        assert_settles(centre, card, other, one, said=f"{chip} {heard}")
