"""Payments by code at a counter: real reader, real scanner model, the ledger's own code and books.

One record decides: whatever becomes of words, power and time, the money is the merchant's or the
holder's, and nobody is told "paid" before it stands on flash.
"""

import pytest

from ledger.invariants import check
from protocols.rules import charging, menu, reasons, sale, scan_codes
from protocols.wire import messages
from tests.codes.counter import SALE_FEN, WAITING_FEN, CodeCentre, CodeWindow
from tests.firmware.counter import BALANCE_FEN, CARD_NO, DEVICE, MERCHANT, new_card, truth
from tests.ledger.acquiring import Way

PAID = "PAID 12.50"
NO, YES = messages.NOT_COMMITTED, messages.COMMITTED


@pytest.fixture
def centre_of(tmp_path):
    made = []

    def make(**options):
        made.append(CodeCentre(tmp_path / f"{len(made)}.sqlite", **options))
        return made[-1]

    yield make
    for centre in made:
        centre.store.close()


@pytest.fixture
def at(centre_of):
    """(centre, window) of a window that sells."""
    centre = centre_of()
    return centre, CodeWindow(centre, loads=False)


def display(reason):
    return reasons.display(reason)


# --- as it should be --------------------------------------------------------------------------


def test_a_phone_pays(at):
    centre, window = at
    window.arm()
    assert window.lines == ("CARD OR CODE", "12.50")
    window.show(centre.code(), hold_ms=500)
    assert window.lines == (PAID, "BALANCE 37.50")
    assert window.hardware.panel.green
    assert window.sales() == [(1, YES)]
    assert window.records()[-1]["amount_fen"] == SALE_FEN
    window.pos._totals.read_on()
    assert window.pos._totals.sums(True) == [1, SALE_FEN, 0, 0, 0, 0]
    assert window.pos._totals.sums(False) == [1, SALE_FEN, 0, 0, 0, 0]
    window.run_ms(5_000)
    assert window.shown == "WELCOME"
    centre.settled(1, window)


def test_a_phone_held_there_pays_once_and_the_next_one_too(at):
    centre, window = at
    assert window.pay(centre.code(), hold_ms=1_500) == PAID
    window.run_ms(3_000)
    assert window.pay(centre.code(number=1)) == PAID
    assert window.sales() == [(1, YES), (2, YES)]
    centre.settled(2, window)


def test_cards_pay_there_as_ever(at):
    centre, window = at
    card = new_card()
    assert window.sell("12.50", card) == PAID
    assert window.pos._codes._scanner.is_wanted is False
    assert window.sales() == []
    window.deliver()
    assert truth(card).balance_fen == BALANCE_FEN - SALE_FEN
    assert centre.money() == (BALANCE_FEN - SALE_FEN, WAITING_FEN)


def test_the_scanner_looks_only_while_a_code_could_pay(at):
    _, window = at
    scanner = window.pos._codes._scanner
    seen = {}
    for keys in (b"", b"12.50\r", b"\x1b"):
        window.key(keys)
        window.run_ms(500)
        seen[keys] = scanner.is_wanted
    assert seen == {b"": False, b"12.50\r": True, b"\x1b": False}


def test_what_costs_each_kind_of_card_something_else_is_paid_by_card_alone(centre_of):
    """No code tells of which kind it is: the scanner stays dark, and nobody pays too much."""
    prices = charging.packed([(1, 2, 0, 800), (1, 0, 0, 1250)])
    centre = centre_of()
    window = CodeWindow(centre, loads=False, menu=menu.encode(prices, ()))
    window.key(b"F31\r")
    window.run_ms(300)
    assert window.lines == ("CARD PLEASE", "8.00-12.50")
    window.show(centre.code())
    assert window.lines == ("CARD PLEASE", "8.00-12.50")
    assert window.pos._codes._scanner.is_wanted is False
    assert window.records(messages.REFUSAL, messages.CODE_SALE) == []
    assert centre.codes.counters["asks"] == 0
    window.tap(new_card())
    assert window.shown == "PAID 8.00"
    # One price for everybody: any code may pay it.
    window.run_ms(6_000)
    window.key(b"F112.50\r")
    assert window.shown == "CARD OR CODE"
    window.show(centre.code())
    assert window.shown == PAID


# --- codes that this window cannot take ---------------------------------------------------------

STRANGE = {
    reasons.CODE_UNKNOWN: b"https://example.org/menu",
    reasons.CODE_OF_WALLET: b"0112345678901234567",
    reasons.CODE_OF_TRANSIT: b"\x80\x00\x70" + bytes(range(32, 144)),
}


@pytest.mark.parametrize("reason", [*STRANGE, reasons.CODE_IS_IDENTITY])
def test_what_it_cannot_take_is_said_and_recorded(at, reason):
    centre, window = at
    code = STRANGE.get(reason) or centre.code(kind=scan_codes.CAMPUS_IDENTITY)
    window.arm()
    beeps = len(window.witness.beeps)
    window.show(code)
    assert window.lines == (display(reason), "12.50")
    assert len(window.witness.beeps) > beeps
    window.run_ms(2_000)
    window.show(code)  # once more: said already, and recorded once
    (refusal,) = window.records(messages.REFUSAL)
    assert (refusal["reason"], refusal["card_no"]) == (reason, 0)
    assert refusal["amount_fen"] == SALE_FEN
    assert window.sales() == [] and centre.codes.counters["asks"] == 0
    # The order waits on: the same customer has a card, or the right code.
    window.show(centre.code())
    assert window.shown == PAID
    centre.settled(1, window)


PLATFORMS = {
    reasons.CODE_OF_WECHAT: b"134567890123456789",
    reasons.CODE_OF_ALIPAY: b"281234567890123456",
    reasons.CODE_OF_UNIONPAY: b"6212345678901234567",
}


def _with_acquirer(centre_of, **faults):
    centre = centre_of(acquirer=Way(lambda: "2026-09-01", **faults))
    return centre, CodeWindow(centre, loads=False)


def _settled_there(centre, window, sold):
    """What the merchant has is what payers are without, however long it takes to be told."""
    window.deliver()
    centre.way.line.faults.heal()
    for _ in range(8):
        window.run_ms(300_000)
        centre.step_acquirer()
    assert check(centre.store) == []
    assert centre.store.takings(MERCHANT) == sold * SALE_FEN
    assert sum(centre.way.payments.charged().values()) == sold * SALE_FEN
    assert centre.store.cases() == []


@pytest.mark.parametrize("reason", PLATFORMS)
def test_a_platform_s_code_pays_through_the_acquirer(centre_of, reason):
    centre, window = _with_acquirer(centre_of)
    assert window.pay(PLATFORMS[reason], hold_ms=2_000) == PAID
    assert window.lines == (PAID, ""), "what the payer has left is not ours to show"
    assert window.sales() == [(1, YES)]
    assert centre.money() == (BALANCE_FEN, WAITING_FEN), "no card has paid"
    _settled_there(centre, window, 1)


def test_an_acquirer_that_is_silent_is_as_good_as_no_network_and_takes_nothing(centre_of):
    """It has taken the money, and nobody heard: shown as not paid, so it goes back."""
    plan = {"reserve": ["silent"], "query": ["silent"] * 9}
    centre, window = _with_acquirer(centre_of, plan=plan)
    window.pay(PLATFORMS[reasons.CODE_OF_WECHAT], hold_ms=2_000)
    window.run_ms(4_000)
    assert window.shown == display(reasons.CODE_NEEDS_NETWORK)
    assert sum(centre.way.payments.charged().values()) == SALE_FEN
    assert window.sales() == [(0, NO)]
    _settled_there(centre, window, 0)


def test_power_goes_while_the_acquirer_is_asked(centre_of):
    centre, window = _with_acquirer(centre_of)
    window.arm()
    window.show(PLATFORMS[reasons.CODE_OF_WECHAT], hold_ms=500)
    centre.step_acquirer()
    assert sum(centre.way.payments.charged().values()) == SALE_FEN
    window.die()
    window.boot()
    assert window.sales() == [], "a BOOT stands where the sale would"
    _settled_there(centre, window, 0)


def test_without_network_a_code_is_refused_and_a_card_pays(at):
    centre, window = at
    window.line.online = False
    assert window.pay(centre.code()) == display(reasons.CODE_NEEDS_NETWORK)
    (refusal,) = window.records(messages.REFUSAL)
    assert refusal["reason"] == reasons.CODE_NEEDS_NETWORK
    window.tap(new_card())
    assert window.shown == PAID
    assert window.line.said["up"] == []
    assert window.sales() == []


def test_on_battery_without_network_the_scanner_stays_dark(at):
    """No code could pay, and its light takes more than all that is saved elsewhere (R23.1a)."""
    centre, window = at
    cell, scanner = window.hardware.battery, window.pos._codes._scanner
    drawn = {}
    for has_mains, online in ((True, False), (False, True), (False, False)):
        window.hardware.set_mains(has_mains)
        window.line.online = online
        window.run_ms(1_000)
        window.arm()
        drawn[has_mains, online] = cell._loads_ua["scanner"], scanner.is_wanted, window.shown
        window.key(b"\x1b")
        window.run_ms(500)
    assert drawn == {
        (True, False): (160_000, True, "CARD OR CODE"),
        (False, True): (160_000, True, "CARD OR CODE"),
        (False, False): (30_000, False, "CARD PLEASE"),
    }
    assert window.pay(centre.code()) == "CARD PLEASE"
    assert window.records(messages.REFUSAL, messages.CODE_SALE) == []
    window.line.online = True  # it is back before the card is there
    window.run_ms(500)
    window.show(centre.code())
    assert window.shown == PAID


def test_a_full_journal_and_an_empty_battery_bar_codes_too(at):
    centre, window = at
    window.pos._recorder._journal.has_room = lambda: False
    assert window.pay(centre.code()) == display(reasons.JOURNAL_FULL)
    del window.pos._recorder._journal.has_room
    window.run_ms(3_000)
    window.hardware.set_mains(False)
    window.hardware.battery_mv_now = 3_000
    window.run_ms(1_000)
    assert window.pay(centre.code()) == display(reasons.BATTERY_EMPTY)
    assert window.sales() == [] and window.line.said["up"] == []


def test_a_card_that_is_unsettled_here_comes_first(at):
    """Its amount may be on the card already: a code would pay it twice."""
    centre, window = at
    card = new_card()
    window.arm()
    window.put(card)
    window.after_ms(98, lambda: window.take(card))
    while window.pos._till.pending is None:
        window.take(card)
        window.key(b"\x1b12.50\r")
        window.put(card)
        window.after_ms(60 + window.clock.now_us // 1000 % 50, lambda: window.take(card))
        window.run_ms(300)
    window.show(centre.code())
    assert window.sales() == [] and window.pos._codes._scanner.is_wanted is False
    assert window.shown == display(reasons.TAP_AGAIN)


# --- what the ledger refuses --------------------------------------------------------------------

REFUSED = {
    reasons.CODE_FORGED: lambda centre: centre.code(seed=bytes(32)),
    reasons.CODE_EXPIRED: lambda centre: centre.code(made_s=centre.now_s - 90),
    reasons.CODE_NOT_YET: lambda centre: centre.code(made_s=centre.now_s + 60),
    # It has no acquirer.
    reasons.CODE_OF_WECHAT: lambda centre: PLATFORMS[reasons.CODE_OF_WECHAT],
    reasons.CODE_OF_ALIPAY: lambda centre: PLATFORMS[reasons.CODE_OF_ALIPAY],
    reasons.CODE_OF_UNIONPAY: lambda centre: PLATFORMS[reasons.CODE_OF_UNIONPAY],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_the_ledger_says_no(at, reason):
    centre, window = at
    assert window.pay(REFUSED[reason](centre)) == display(reason)
    assert window.hardware.panel.red
    assert window.sales() == [(0, NO)]
    (refusal,) = window.records(messages.REFUSAL)
    assert (refusal["reason"], refusal["amount_fen"]) == (reason, SALE_FEN)
    window.run_ms(3_000)
    assert window.shown == "WELCOME"
    centre.settled(0, window)


def test_a_code_pays_once_at_one_window_of_two(centre_of):
    centre = centre_of(devices=(DEVICE, DEVICE + 1))
    here = CodeWindow(centre, loads=False)
    there = CodeWindow(centre, device=DEVICE + 1, loads=False)
    there.run_ms(100)
    code = centre.code()
    assert here.pay(code) == PAID
    assert there.pay(code) == display(reasons.CODE_USED)
    assert there.sales() == [(0, NO)]
    centre.settled(1, here, there)


def test_no_more_than_waits_and_no_more_than_the_limits(at):
    centre, window = at
    window.arm("30.01")
    window.show(centre.code())
    assert window.shown == display(reasons.OVER_SPEND_LIMIT)
    window.run_ms(3_000)
    for number in range(4):
        assert window.pay(centre.code(number=number)) == PAID
        window.run_ms(3_000)
    assert window.pay(centre.code(number=9)) == display(reasons.OVER_DAY_LIMIT)
    centre.settled(4, window)


def test_a_lost_card_pays_no_more_by_code_than_by_tap(at):
    centre, window = at
    centre.store.cards.set("lose", CARD_NO, centre.now_s, "id-card")
    assert window.pay(centre.code()) == display(reasons.CARD_LOST)
    centre.settled(0, window)


@pytest.mark.parametrize(("reason", "number"), [(0, 0), (9_999, 0), (9_999, 5)])
def test_a_word_that_this_firmware_does_not_know_is_no_yes(at, reason, number):
    centre, window = at
    answer = {"reason": reason, "number": number, "balance_fen": 0}
    centre.codes.answer = lambda *_: (messages.PAY_ANSWER, answer)
    assert window.pay(centre.code()) == display(reasons.ASK_LEDGER)
    assert window.sales() == [(0, NO)]
    centre.settled(0, window)


# --- the centre is away, and the agent says so ---------------------------------------------------


def _told(window):
    """Of each record of the last order what it says, without its time."""
    said = window.records(messages.CODE_SALE, messages.REFUSAL)
    own = ("kind", "number", "amount_fen", "result", "reason", "card_no")
    return [[record.get(name) for name in own] for record in said]


def test_away_is_silence_that_nobody_waits_for(centre_of):
    ends = []
    for fate, at_most_ms in (("lost", 5_300), ("away", 400)):
        centre = centre_of()
        window = CodeWindow(centre, loads=False)
        window.line.plan = {("up", number): fate for number in range(40)}
        window.arm()
        window.hardware.scanner.show(centre.code())
        while not window.line.said["up"]:
            window.run_ms(10)
        asked_ms = window.clock.now_us // 1000
        while not window.sales():
            window.run_ms(10)
        waited_ms = window.clock.now_us // 1000 - asked_ms
        window.hardware.scanner.show(None)
        window.run_ms(50)
        ends.append((window.shown, _told(window)))
        print(fate, "refused after", waited_ms, "ms")
        assert waited_ms <= at_most_ms and (fate == "away" or waited_ms > 4_500)
        window.run_ms(3_000)
        assert window.shown == "WELCOME"
        centre.settled(0, window)
    assert ends[0] == ends[1]
    assert ends[0][0] == display(reasons.CODE_NEEDS_NETWORK)


@pytest.mark.parametrize("answer", ["lost", "late"])
def test_an_ask_was_heard_and_then_the_centre_goes(at, answer):
    """It has reserved, the answer is on its way or lost; the record gives the money back."""
    centre, window = at
    window.line.plan = {("up", number): "away" for number in range(1, 40)}
    window.line.plan["down", 0] = answer
    assert window.pay(centre.code(), hold_ms=1_800) == display(reasons.CODE_NEEDS_NETWORK)
    assert len(window.line.said["down"]) == 1  # reserved
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(1_000)
    assert window.sales() == [(0, NO)]
    assert set(window.line.refused) <= {"repeated"}
    centre.settled(0, window)


def test_whichever_word_comes_first_counts(at):
    """A lying agent hands an ask on, and says that it has not: no more than a lost answer."""
    centre, window = at
    window.line.plan = {("up", 0): "denied", ("down", 1): "denied"}
    assert window.pay(centre.code()) == display(reasons.CODE_NEEDS_NETWORK)
    window.run_ms(3_000)
    assert window.pay(centre.code(number=1)) == PAID
    assert window.sales() == [(0, NO), (2, YES)]
    centre.settled(1, window)


def test_it_is_away_and_comes_back(at):
    centre, window = at
    window.line.plan = {("up", 0): "away"}
    code = centre.code()
    assert window.pay(code) == display(reasons.CODE_NEEDS_NETWORK)
    window.run_ms(3_000)
    assert window.pay(code) == PAID  # nobody has seen it
    centre.settled(1, window)


def test_what_is_said_of_another_question_ends_none(at):
    centre, window = at
    window.line.plan = {("down", 0): "lost"}
    window.arm()
    window.show(centre.code(), hold_ms=300)
    end = window.line.said["up"][0][-messages.UNHEARD_BYTES :]
    for word in (bytes(messages.UNHEARD_BYTES), end[1:], end[:-1] + bytes((end[-1] ^ 1,))):
        window.line.on_relay(word, window.ticks_us() // 1000)
    window.run_ms(1_500)
    assert window.shown == PAID
    centre.settled(1, window)


# --- cancel, and the boot behind it --------------------------------------------------------------


def test_fn_7_says_that_a_payment_by_code_stays(at):
    centre, window = at
    assert window.pay(centre.code()) == PAID
    window.run_ms(3_000)
    window.key(b"F7")
    assert window.shown == display(reasons.CODE_NO_CANCEL)
    # One that came to nothing is passed over: the sale before it is the last one.
    card = new_card()
    window.run_ms(6_000)
    assert window.sell("12.50", card) == PAID
    window.run_ms(3_000)
    assert window.pay(REFUSED[reasons.CODE_EXPIRED](centre)) == display(reasons.CODE_EXPIRED)
    window.run_ms(3_000)
    window.key(b"F7")
    assert window.lines == ("CANCEL: TAP CARD", f"12.50 #{CARD_NO}")


def test_a_boot_says_that_the_last_one_has_paid(at):
    centre, window = at
    window.sell("3.00", new_card())
    window.run_ms(6_000)
    assert window.pay(centre.code()) == PAID
    for _ in range(3):
        window.die()
        window.boot()
        assert window.lines == ("LAST PAID", "12.50")
    window.deliver()
    assert window.pay(REFUSED[reasons.CODE_EXPIRED](centre)) == display(reasons.CODE_EXPIRED)
    window.die()
    window.boot()
    assert window.shown == "WELCOME"


# --- who else would write ------------------------------------------------------------------------


def test_nothing_is_written_where_a_code_sale_is_awaited(at):
    """Mains, faults of the card reader, keys, an inspection and a card, all at once."""
    centre, window = at
    card = new_card()
    window.line.plan = {("up", number): "lost" for number in range(40)}
    window.arm()
    head_seq = window.records()[-1]["seq"]
    window.show(centre.code(), hold_ms=300)
    assert window.lines == ("ONE MOMENT", "12.50")
    window.hardware.set_mains(False)
    window.pos._front_end.chip.faults += 1
    window.pos._supply.has_news = True
    window.key(b"1\r\x1bF6F5F7")
    window.put(card)
    window.run_ms(1_500)
    window.hardware.set_mains(True)
    window.run_ms(1_000)
    assert window.records()[-1]["seq"] == head_seq
    assert window.lines == ("ONE MOMENT", "12.50")
    window.run_ms(3_000)
    window.take(card)
    kinds = [record["kind"] for record in window.records() if record["seq"] > head_seq]
    assert kinds[0] == messages.CODE_SALE
    told = (messages.FRONT_END, messages.INSPECTION, messages.POWER, messages.POWER)
    # Last, why there was no sale.
    assert sorted(kinds[1:-1]) == sorted(told) and kinds[-1] == messages.REFUSAL
    assert truth(card).balance_fen == BALANCE_FEN
    centre.settled(0, window)


def test_who_writes_there_all_the_same_is_stopped(at):
    _, window = at
    recorder = window.pos._recorder
    head_seq = recorder.head_seq()
    assert recorder.reserve() == head_seq + 1
    with pytest.raises(RuntimeError):
        recorder.write(messages.CAPTURE, 1, card_no=1, reason=0)
    with pytest.raises(RuntimeError):
        recorder.write(messages.CODE_SALE, 1, number=1, amount_fen=1, result=YES)
    recorder.note(messages.FAULT, 5, network=0, last_reason=0)
    assert recorder.head_seq() == head_seq
    assert recorder.settle(9, number=0, amount_fen=1, result=NO)
    kinds = [record["kind"] for record in window.records()[-2:]]
    assert kinds == [messages.CODE_SALE, messages.FAULT]


def test_a_card_that_comes_while_the_ledger_is_asked_waits(at):
    centre, window = at
    card = new_card()
    window.line.plan = {("down", 0): "lost"}
    window.arm()
    window.show(centre.code(), hold_ms=300)
    window.put(card)
    window.run_ms(500)
    assert window.shown == "ONE MOMENT"
    window.run_ms(700)
    assert window.shown == PAID
    window.take(card)
    assert truth(card).balance_fen == BALANCE_FEN
    centre.settled(1, window)


def test_a_case_that_is_opened_during_an_ask_waits_for_the_record(at):
    """Its record comes behind that of the code; then nothing more is taken (R18.1)."""
    centre, window = at
    window.line.plan = {("up", number): "lost" for number in range(40)}
    window.arm()
    window.hardware.scanner.show(centre.code())
    window.run_ms(600)
    window.hardware.scanner.show(None)
    assert window.pos._state == sale.ASKED
    window.hardware.case_is_open = True
    window.run_ms(9_000)
    kinds = [record["kind"] for record in window.records(messages.CODE_SALE, messages.TAMPER)]
    assert kinds == [messages.CODE_SALE, messages.TAMPER]
    assert window.sales() == [(0, NO)]
    window.arm()
    assert window.pay(centre.code(number=1)) != PAID
    assert window.sales() == [(0, NO)]
    centre.store.book([list(window.sealed())])
    assert centre.store.balances()["pending", CARD_NO] == WAITING_FEN
