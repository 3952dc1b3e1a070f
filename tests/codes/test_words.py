"""What becomes of words between a window and the ledger: lost, late, twice, forged, or of before.

And of power: at every flash operation of a payment, and while the answer is on its way.
"""

import random

import pytest

from firmware.services.journal import JournalFull
from protocols.rules import reasons
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from tests.codes.counter import SALE_FEN, WAITING_FEN, CodeCentre, CodeWindow
from tests.firmware.counter import BALANCE_FEN, CARD_NO, DEVICE_KEY, MERCHANT, new_card, truth

PAID = "PAID 12.50"
UNHEARD = reasons.display(reasons.CODE_NEEDS_NETWORK)
NO, YES = messages.NOT_COMMITTED, messages.COMMITTED
SEED = 2026
DRAWN_PLAYS = 6


@pytest.fixture
def at(tmp_path):
    """(centre, window) of a window that sells."""
    centre = CodeCentre(tmp_path / "ledger.sqlite")
    yield centre, CodeWindow(centre, loads=False)
    centre.store.close()


def asks(window):
    """The different asks that were said, sealed."""
    return set(window.line.said["up"])


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fate", ["lost", "forged", "late"])
def test_a_word_that_does_not_come_is_said_again(at, direction, fate):
    centre, window = at
    window.line.plan = {(direction, 0): fate}
    assert window.pay(centre.code(), hold_ms=1_600) == PAID
    assert len(asks(window)) == 1 < len(window.line.said["up"])
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(5_000)
    assert window.sales() == [(1, YES)]
    centre.settled(1, window)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_comes_twice_sells_once(at, direction):
    centre, window = at
    window.line.plan = {(direction, 0): "twice"}
    assert window.pay(centre.code()) == PAID
    window.run_ms(3_000)
    assert window.sales() == [(1, YES)]
    if direction == "down":
        assert window.line.refused == ["repeated"]
    centre.settled(1, window)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_silence_sells_nothing_and_is_told(at, direction):
    """The ledger may have said yes: its books give back what nobody has sold."""
    centre, window = at
    window.line.plan = {(direction, number): "lost" for number in range(40)}
    window.arm()
    window.show(centre.code())
    assert window.lines == ("ONE MOMENT", "12.50")
    reserved = centre.store.balances().get(("reserved", CARD_NO), 0)
    assert reserved == (SALE_FEN if direction == "down" else 0)
    window.run_ms(4_800)
    assert window.shown == UNHEARD and window.hardware.panel.red
    assert window.sales() == [(0, NO)]
    centre.settled(0, window)
    # The code is burned if the ledger has seen it; another one pays.
    window.line.plan.clear()
    window.run_ms(3_000)
    assert window.pay(centre.code(number=1)) == PAID
    centre.settled(1, window)


def test_a_yes_behind_the_silence_does_nothing(at):
    centre, window = at
    window.line.plan = {("down", number): "late" for number in range(40)}
    window.pay(centre.code())
    window.run_ms(4_800)
    assert window.shown == UNHEARD
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(2_000)
    assert set(window.line.refused) == {"repeated"}
    assert window.sales() == [(0, NO)] and not window.hardware.panel.green
    centre.settled(0, window)


def test_an_old_yes_is_none_for_the_next_customer(at):
    """Somebody on the line answers every ask with the last answer that he has seen."""
    centre, window = at
    assert window.pay(centre.code()) == PAID
    window.run_ms(3_000)
    window.line.plan = {("down", number): "old" for number in range(1, 2)}
    window.line.plan |= {("down", number): "lost" for number in range(2, 40)}
    window.pay(centre.code(seed=bytes(32)))
    window.run_ms(5_000)
    assert window.line.refused == ["repeated"]
    assert window.sales() == [(1, YES), (0, NO)]
    centre.settled(1, window)


def test_a_yes_of_somebody_else_is_none(at):
    """Who lacks the key of this reader cannot make one; who has another reader's cannot either."""
    centre, window = at
    window.line.plan = {("up", number): "lost" for number in range(40)}
    window.arm()
    window.show(centre.code())
    nonce = window.pos._codes._nonce
    yes = {"nonce": nonce, "reason": 0, "number": 1, "balance_fen": 0}
    payload = messages.encode_relayed(messages.PAY_ANSWER, yes)
    now_ms = window.ticks_us() // 1000
    for key in (bytes(32), DEVICE_KEY[::-1]):
        relay_key = seal.derive(key, messages.RELAY_LABEL)
        sealed = seal.seal(relay_key, payload, messages.RELAY_DOWN)
        assert window.pos._codes.hear(sealed, now_ms) == "forged"
    # Nor can a reader's own words be said back to it.
    own_key = seal.derive(DEVICE_KEY, messages.RELAY_LABEL)
    own_words = seal.seal(own_key, payload, messages.RELAY_UP)
    assert window.pos._codes.hear(own_words, now_ms) == "forged"
    window.run_ms(5_000)
    assert window.shown == UNHEARD
    centre.settled(0, window)


def test_the_line_breaks_after_the_code_was_read(at):
    """Online when the code was shown; then nothing can be said, and then it can again."""
    centre, window = at
    say, window.line.say = window.line.say, lambda *_: False
    window.arm()
    window.show(centre.code(), hold_ms=500)
    assert window.shown == "ONE MOMENT"
    window.line.say = say
    window.run_ms(300)
    assert window.shown == PAID
    centre.settled(1, window)


def test_the_ledger_dies_between_ask_and_answer(at):
    centre, window = at
    window.line.plan = {("down", 0): "lost"}
    window.arm()
    window.show(centre.code(), hold_ms=300)
    centre.die()
    window.run_ms(1_500)
    assert window.shown == PAID
    assert window.sales() == [(1, YES)]
    centre.settled(1, window)


def test_what_the_load_is_told_still_reaches_it(tmp_path):
    """Both listen on one line: money comes on a card at a window that takes codes."""
    centre = CodeCentre(tmp_path / "ledger.sqlite")
    window = CodeWindow(centre)
    card = new_card()
    window.visit(card)
    window.deliver()
    assert truth(card).balance_fen == BALANCE_FEN - 100 + WAITING_FEN
    assert window.pay(centre.code()) == reasons.display(reasons.BALANCE_SHORT)
    assert window.line.refused == []
    centre.store.close()


# --- power --------------------------------------------------------------------------------------


def played(centre, window, cut_at=None):
    """One order and one phone; how many flash operations that were, or None if power went."""
    before = window.hardware.flash_operations

    def cut(operation):
        if cut_at is not None and operation == before + cut_at:
            raise PowerCut

    window.hardware.before_flash = cut
    code = centre.code()
    is_on = window.survives(lambda: (window.pay(code), window.run_ms(100)))
    window.hardware.before_flash = None
    return window.hardware.flash_operations - before if is_on else None


def check_one_way(centre, window):
    """Sold and said so, or neither: by the books, the journal and the display."""
    sold = [number for number, result in window.sales() if result == YES]
    assert len(sold) <= 1
    assert (window.shown == "LAST PAID") == bool(sold)
    centre.settled(len(sold), window)
    return len(sold)


def test_power_goes_at_every_flash_operation(tmp_path):
    ends = set()
    cut_at = 0
    while True:
        cut_at += 1
        centre = CodeCentre(tmp_path / f"{cut_at}.sqlite")
        window = CodeWindow(centre, loads=False, seed=cut_at)
        done = played(centre, window, cut_at)
        if done is not None:
            break
        window.boot()
        ends.add(check_one_way(centre, window))
        centre.store.close()
    centre.store.close()
    assert cut_at == done + 1 > 1
    assert 0 in ends


@pytest.mark.parametrize("at_ms", range(0, 700, 140))
def test_power_goes_at_any_moment(at, at_ms):
    """Also while the answer is on its way; what is brought after the boot is nobody's."""
    centre, window = at
    window.line.plan = {("down", 0): "late"}
    window.arm()
    window.hardware.scanner.show(centre.code())
    window.run_ms(at_ms)
    was_asked = bool(window.pos._codes._said)
    window.die()
    line = window.line
    window.boot()
    window.line._late = line._late
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(1_000)
    assert window.sales() == []
    assert set(window.line.refused) <= {"repeated"}
    (*_, boot) = window.records(messages.BOOT)
    assert boot["seq"] == window.records()[-1]["seq"]
    centre.settled(0, window)
    assert was_asked or at_ms < 400


def test_a_worn_flash_that_cannot_say_so_has_not_sold(at):
    centre, window = at
    journal = window.pos._recorder._journal

    def append(_data):
        del journal.append
        raise JournalFull

    journal.append = append
    assert window.pay(centre.code()) == reasons.display(reasons.JOURNAL_FULL)
    assert window.sales() == [] and not window.hardware.panel.green
    window.run_ms(3_000)
    window.key(b"F6")  # something is written there
    centre.settled(0, window)
    assert centre.store.balances().get(("merchant", MERCHANT), 0) == 0


def test_somebody_else_has_paid_before_the_power_went(at):
    """With the same amount, to the fen: that a display says so must not be taken for this one."""
    centre, window = at
    assert window.pay(centre.code()) == PAID
    window.run_ms(3_000)
    window.line.plan = {("down", number): "lost" for number in range(1, 40)}
    window.pay(centre.code(number=1), hold_ms=300)
    assert window.shown == "ONE MOMENT"
    window.die()
    window.boot()
    assert window.shown == "WELCOME"
    assert window.sales() == [(1, YES)]
    centre.settled(1, window)


def test_nor_is_the_card_of_the_one_before_asked_for(at):
    """Whose debit nobody saw the end of: the clerk had gone on to a phone."""
    centre, window = at
    window.pos._recorder.write(
        messages.INTENT, 1, card_no=CARD_NO, counter=9, amount_fen=5, before_fen=9, after_fen=4,
        merchant_no=MERCHANT, last_device=0, last_seq=0, flags=0,
    )  # fmt: skip
    seq = window.pos._recorder.head_seq()
    window.pos._recorder.write(
        messages.OUTCOME, 1, intent_device=window.device, intent_seq=seq, result=messages.UNKNOWN
    )
    window.die()
    window.boot()
    assert window.shown == reasons.display(reasons.TAP_AGAIN)
    window.key(b"\x1b")
    window.line.plan = {("down", number): "lost" for number in range(40)}
    window.pay(centre.code(), hold_ms=300)
    window.die()
    window.boot()
    assert window.shown == "WELCOME"


def test_a_flash_that_is_worn_before_the_ask(at):
    centre, window = at
    journal = window.pos._recorder._journal

    def keep(*_):
        raise JournalFull

    journal.keep = keep
    assert window.pay(centre.code()) == reasons.display(reasons.JOURNAL_FULL)
    assert window.line.said["up"] == [] and window.sales() == []
    del journal.keep
    window.run_ms(3_000)
    assert window.pay(centre.code(number=1)) == PAID


# --- all of it at once --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEED, SEED + DRAWN_PLAYS))
def test_a_bad_afternoon(tmp_path, seed):
    """Four customers, any fate for any word, mains, cuts, cards and keys at any moment."""
    print("seed", seed)
    draw = random.Random(seed)
    centre = CodeCentre(tmp_path / "ledger.sqlite")
    window = CodeWindow(centre, loads=False, seed=seed)
    fates = ("lost", "late", "twice", "forged", "old", "", "", "")
    card = new_card()
    for customer in range(4):
        window.line.plan = {
            (direction, len(window.line.said[direction]) + number): draw.choice(fates)
            for direction in ("up", "down")
            for number in range(8)
        }
        window.arm()
        window.hardware.scanner.show(centre.code(number=customer))
        for _ in range(draw.randrange(1, 12)):
            window.run_ms(draw.randrange(600))
            act = draw.randrange(6)
            if act == 0:
                window.hardware.set_mains(not window.hardware.mains_on)
            elif act == 1:
                window.key(draw.choice((b"\x1b", b"1", b"\r", b"F6")))
            elif act == 2:
                window.line.bring_late(window.ticks_us() // 1000)
            elif act == 3 and draw.randrange(3) == 0:
                window.die()
                window.boot()
            elif act == 4:
                centre.die()
        window.hardware.scanner.show(None)
        window.run_ms(8_000)
        window.key(b"\x1b")
        window.run_ms(1_000)
    window.line.bring_late(window.ticks_us() // 1000)
    window.run_ms(1_000)
    sold = [number for number, result in window.sales() if result == YES]
    assert len(set(sold)) == len(sold)
    centre.settled(len(sold), window)
    assert truth(card).balance_fen == BALANCE_FEN
