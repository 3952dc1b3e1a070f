"""The spending PIN at a reader (R19.2 to R19.4): what a card has not counted nobody compares.

A tap with a PIN has four moments: the try is written down, the card counts it, the PIN is
compared, the money is taken. The card leaves and the power goes in all of them and between, on
both kinds of card; then the customer taps again. At the end the money was taken once and the
ledger says so.
"""

import random
from functools import cache

import pytest

from firmware.drivers.mifare_classic import KEY_B, AuthFailed, CardRefused, Classic
from ledger import card_proofs, forks
from ledger import reasons as ledger_reasons
from ledger.evidence import State
from protocols.card import ev2, personalise_desfire, pin
from protocols.card import purse_desfire as layout
from protocols.card.diversify import Cmac
from protocols.card.purse_classic import PIN_BLOCK
from protocols.rules import reasons
from protocols.wire import messages
from simulator import cardbox_desfire
from simulator.cardbox_desfire import DesfireMasters
from simulator.chips.nor_flash import SECTOR_FAULTS, PowerCut
from tests.drivers.desfire_desk import MASTERS
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    CREDIT_KEY,
    DEVICE,
    DEVICE_KEY,
    MAC_KEY,
    PURSE_KEY,
)
from tests.firmware.pin_window import (
    AMOUNT_FEN,
    CIPHERS,
    CLASSIC,
    DEAD,
    DESFIRE,
    DIGITS,
    GONE,
    LITTLE_FEN,
    UIDS,
    WRONG,
    Window,
    aes,
    books_of,
    new_card,
    paid_fen,
    truth,
    verifier_of,
)
from tests.tools.cards import desk_with
from tools.card import classic_pin
from tools.card.keyfile import CardKeys

APPROVED, CARD_GONE, TAP_AGAIN = reasons.APPROVED, reasons.CARD_GONE, reasons.TAP_AGAIN
PIN_NEEDED, PIN_WRONG, CHECK = reasons.PIN_NEEDED, reasons.PIN_WRONG, reasons.IDENTITY_CHECK
INTENT, OUTCOME, TRIES_MAX = messages.INTENT, messages.OUTCOME, 3
KINDS = pytest.mark.parametrize("kind", [CLASSIC, DESFIRE])
OTHER_DEVICE = 1002


def check_counted(*windows):
    """Whatever was compared stood on the card as a try before."""
    for window in windows:
        for _, tries in window.compared:
            assert 0 < tries <= TRIES_MAX
        assert window.hardware.chip.violations == []


def check_books(card, *windows):
    """What the card has lost, somebody was paid; what cards signed is what was written down."""
    store = books_of(*windows)
    assert paid_fen(store) == BALANCE_FEN - truth(card).balance_fen
    assert list(forks.forks(store)) == []
    if card.uid == UIDS[DESFIRE]:
        found = card_proofs.check(store, CIPHERS, {CARD_NO: card.uid}, MASTERS["transaction"])
        assert {one.doubt for one in found.findings} <= {card_proofs.Doubt.NO_PROOF}
    return store


def asked(kind, seed=0, torn="mixed"):
    """A reader that has asked for the PIN of a card."""
    window, card = Window(seed), new_card(kind, seed, torn=torn)
    assert window.tap(card) == PIN_NEEDED
    return window, card


def go_on(window, card):
    """The customer does as told until the money is taken; a PIN is typed when it is asked for."""
    said = None
    for _ in range(6):
        said = window.tap(card, DIGITS if said == PIN_NEEDED else None)
        if said == APPROVED:
            return
        assert said in (PIN_NEEDED, CARD_GONE, TAP_AGAIN), said
    raise AssertionError(said)


@cache
def whole_tap(kind):
    """(SPI transactions, those before the try is written, flash operations) of a right PIN."""
    window, card = asked(kind)
    chip, flash = window.hardware.chip, window.flash
    first, operations, at_try = [], [], []

    def arm():
        first.append(chip.transactions)
        operations.append(flash.operations)

        def look(_number):
            if flash.operations > operations[0] and not at_try:
                at_try.append(chip.transactions - first[0])

        chip.before_exchange = look

    assert window.tap(card, DIGITS, arm=arm) == APPROVED
    return window.exchanges - first[0], at_try[0], flash.operations - operations[0]


# -- disturbed ------------------------------------------------------------------------------


@KINDS
def test_the_tap_that_is_disturbed_is_worth_it(kind):
    exchanges, before, operations = whole_tap(kind)
    print(f"{kind}: {exchanges} SPI transactions, {before} before the try is written")
    assert 30 < before < exchanges - 60 and operations == 4


def moments(kind, stride):
    """Every transaction behind the try, and some before it."""
    exchanges, before, _ = whole_tap(kind)
    return [*range(1, before, 3 * stride), *range(before, exchanges, stride)]


@KINDS
@pytest.mark.parametrize("torn", ["old", "new"])
def test_the_card_is_pulled_at_every_moment(kind, torn):
    seen = set()
    for exchange in moments(kind, 3):
        window, card = asked(kind, exchange, torn)
        said = window.tap(card, DIGITS, arm=window.pull_before(exchange, card))
        seen.add(said)
        if said != APPROVED:
            go_on(window, card)
        check_counted(window)
        assert truth(card).balance_fen == BALANCE_FEN - AMOUNT_FEN
        assert (truth(card).pin_tries, truth(card).since_pin_fen) == (0, 0)
        check_books(card, window)
    assert seen > {GONE, CARD_GONE} and seen & {TAP_AGAIN, APPROVED}


@KINDS
def test_the_power_goes_at_every_moment(kind):
    """Before the count, between count and comparison, before the debit, inside it."""
    tries = set()
    for exchange in moments(kind, 4):
        window, card = asked(kind, exchange)
        assert window.tap(card, DIGITS, arm=window.cut_before(exchange)) == DEAD
        tries.add(truth(card).pin_tries)
        window.boot()
        assert window.till.asked is None
        go_on(window, card)
        check_counted(window)
        assert truth(card).balance_fen == BALANCE_FEN - AMOUNT_FEN
        assert truth(card).pin_tries == 0
        check_books(card, window)
    assert tries == {0, 1}


@KINDS
def test_the_power_goes_in_every_write_of_the_journal(kind):
    for operation in range(whole_tap(kind)[2]):
        for seed in range(3):
            window, card = asked(kind, seed)
            said = window.tap(card, DIGITS, arm=lambda: window.flash.cut_after(operation))  # noqa: B023
            assert said == DEAD
            window.boot()
            pending = window.till.pending
            # A try is never asked for again, a debit is.
            assert (pending is not None) == (operation == 3)
            assert window.paid is None or window.paid["amount_fen"] == AMOUNT_FEN
            go_on(window, card)
            check_counted(window)
            assert truth(card).balance_fen == BALANCE_FEN - AMOUNT_FEN
            check_books(card, window)


@KINDS
def test_no_interleaving_compares_more_than_the_card_allows(kind):
    """A thief with the card, two readers, wrong PINs, a quick hand and a switch on the wall."""
    for seed in range(12):
        print("seed", seed)
        draw, card = random.Random(seed), new_card(kind, seed, torn="mixed")
        windows = [Window(seed), Window(seed + 100, device=OTHER_DEVICE)]
        exchanges = whole_tap(kind)[0]
        for _ in range(25):
            window = draw.choice(windows)
            strike = draw.choice((window.cut_before, None, None, "pull"))
            at = draw.randrange(1, exchanges)
            arm = None if strike is None else window.pull_before(at, card)
            if strike == window.cut_before:
                arm = window.cut_before(at)
            window.tap(card, draw.choice((WRONG, WRONG, None)), arm=arm)
        compared = [window.compared for window in windows]
        assert sum(map(len, compared)) <= truth(card).pin_tries <= TRIES_MAX
        check_counted(*windows)
        # What tries are left can still be had, and then nobody may try any more.
        for _ in range(2 * TRIES_MAX + 2):
            windows[0].tap(card, WRONG)
        assert windows[0].tap(card, DIGITS) == windows[1].tap(card, DIGITS) == CHECK
        assert truth(card).pin_tries == TRIES_MAX
        assert sum(map(len, compared)) <= TRIES_MAX
        assert truth(card).balance_fen == BALANCE_FEN
        check_books(card, *windows)


# -- a try ----------------------------------------------------------------------------------


@KINDS
def test_right_the_first_time(kind):
    window, card = asked(kind)
    assert window.till.asked == {
        "card_no": CARD_NO,
        "kind": 2,
        "amount_fen": AMOUNT_FEN,
        "name": b"",
        "tries_left": 3,
    }
    assert window.tap(card, DIGITS) == APPROVED
    assert window.till.asked is None and window.typed == bytearray(len(DIGITS))
    view = truth(card)
    assert (view.counter, view.balance_fen, view.pin_tries) == (2, BALANCE_FEN - AMOUNT_FEN, 0)
    assert (view.since_pin_fen, view.since_pin_count) == (0, 0)
    attempt, debit = window.records(INTENT)
    assert (attempt["flags"], attempt["amount_fen"]) == (messages.FLAG_TRY, 0)
    assert attempt["before_fen"] == attempt["after_fen"] == BALANCE_FEN
    assert (debit["flags"], debit["amount_fen"]) == (messages.FLAG_PIN, AMOUNT_FEN)
    assert (debit["last_device"], debit["last_seq"]) == (DEVICE, attempt["seq"])
    store = check_books(card, window)
    assert store.cases() == []


@KINDS
def test_a_right_pin_begins_the_limits_without_one_anew(kind):
    window, card = Window(since_pin_max_fen=2 * LITTLE_FEN), new_card(kind)
    for said in (APPROVED, APPROVED, PIN_NEEDED):
        assert window.tap(card, amount_fen=LITTLE_FEN) == said
    assert window.tap(card, DIGITS, LITTLE_FEN) == APPROVED
    for said in (APPROVED, APPROVED, PIN_NEEDED):
        assert window.tap(card, amount_fen=LITTLE_FEN) == said


@KINDS
def test_wrong_ones_are_counted_on_every_reader_and_over_reboots(kind):
    window, other, card = Window(), Window(1, device=OTHER_DEVICE), new_card(kind)
    for reader, left, said in ((window, 3, PIN_WRONG), (other, 2, PIN_WRONG), (window, 1, CHECK)):
        assert reader.tap(card) == PIN_NEEDED
        assert reader.till.asked["tries_left"] == left
        assert reader.tap(card, WRONG) == said
        assert reader.till.asked["tries_left"] == left - 1
        assert truth(card).pin_tries == TRIES_MAX + 1 - left
        reader.die()
        reader.boot()
    for reader in (window, other):
        assert reader.tap(card) == CHECK
        assert reader.tap(card, DIGITS) == CHECK
        # What needs no PIN is not held up.
        assert reader.tap(card, amount_fen=LITTLE_FEN) == APPROVED
    assert truth(card).pin_tries == TRIES_MAX
    store = check_books(card, window, other)
    assert store.cases() == []
    tries = "SELECT COUNT(*) FROM intent WHERE amount_fen = 0 AND state = ?"
    assert list(store.database.rows(tries, (int(State.COMMITTED),))) == [(TRIES_MAX,)]


@KINDS
def test_a_right_one_gives_the_tries_back(kind):
    window, card = Window(no_pin_max_fen=100), new_card(kind)
    for _ in range(3):
        typed = (None, WRONG, WRONG, DIGITS)
        said = [window.tap(card, digits, amount_fen=LITTLE_FEN) for digits in typed]
        assert said == [PIN_NEEDED, PIN_WRONG, PIN_WRONG, APPROVED]
        assert truth(card).pin_tries == 0


@pytest.mark.parametrize("tries_max", [0, 1, 15])
def test_the_policy_says_how_many(tries_max):
    window, card = Window(pin_tries_max=tries_max), new_card(CLASSIC)
    said = [window.tap(card)] + [window.tap(card, WRONG) for _ in range(tries_max)]
    wrong = [PIN_WRONG] * (tries_max - 1)
    assert said == ([PIN_NEEDED, *wrong, CHECK] if tries_max else [CHECK])


@pytest.mark.parametrize("digits", [b"", b"80261", b"8026130", b"80261\r", b"80261a"])
def test_what_is_no_pin_is_no_try(digits):
    window, card = asked(CLASSIC)
    assert window.tap(card, digits) == PIN_NEEDED
    assert truth(card).pin_tries == 0 and window.records(INTENT) == []


def test_a_pin_that_nobody_was_asked_for_is_no_try():
    window, card = Window(), new_card(CLASSIC)
    assert window.tap(card, DIGITS) == PIN_NEEDED
    assert window.typed == DIGITS  # still the caller's
    assert window.tap(card, DIGITS, amount_fen=AMOUNT_FEN + 1) == PIN_NEEDED
    assert window.compared == [] and truth(card).pin_tries == 0


def test_a_pin_is_not_tried_on_another_card():
    window, card = asked(CLASSIC)
    other = new_card(DESFIRE, card_no=4712)
    assert window.tap(other, DIGITS) == reasons.SAME_CARD_PLEASE
    assert truth(other).pin_tries == 0 and window.compared == []
    assert window.tap(card, DIGITS) == APPROVED


@KINDS
def test_a_spend_that_fails_otherwise_costs_no_try(kind):
    window, card = asked(kind)
    assert window.tap(card, DIGITS, amount_fen=7_999) == PIN_NEEDED
    assert window.tap(card, DIGITS, amount_fen=8_001) == reasons.OVER_SPEND_LIMIT
    poor = Window(day_max_fen=100)
    assert poor.tap(card, DIGITS) == reasons.OVER_DAY_LIMIT
    assert truth(card).pin_tries == 0


@KINDS
def test_a_card_without_a_pin(kind):
    window, card = Window(), new_card(kind, digits=b"")
    for digits in (None, DIGITS, b"000000"):
        assert window.tap(card, digits) == reasons.NO_PIN_SET
    assert truth(card).counter == 0 and window.till.asked is None
    assert window.tap(card, amount_fen=LITTLE_FEN) == APPROVED
    kept = [r["reason"] for r in window.records(messages.REFUSAL)]
    assert kept == [reasons.NO_PIN_SET] * 3


@KINDS
@pytest.mark.parametrize("has_new_mac_key", [False, True])
def test_a_card_of_the_generation_before(kind, has_new_mac_key):
    """While keys are replaced, a card and its PIN are those of the old ones."""
    keys = {"purse_key": bytes([7]) * 16, "previous_purse_key": PURSE_KEY}
    if has_new_mac_key:
        keys |= {"mac_key": bytes([8]) * 16, "previous_mac_key": MAC_KEY}
    window, card = Window(keys=keys), new_card(kind)
    said = [window.tap(card, digits) for digits in (None, WRONG, DIGITS)]
    assert said == [PIN_NEEDED, PIN_WRONG, APPROVED]


def test_a_desfire_of_before_there_were_pins():
    window, card = Window(), new_card(DESFIRE)
    keys = DesfireMasters(**MASTERS).card_keys(card.uid)

    def delete():
        yield from personalise_desfire.select(layout.APPLICATION)
        session = yield from personalise_desfire.login(
            CIPHERS, keys.application[0], layout.MASTER_KEY, random.Random(0).randbytes
        )
        yield from personalise_desfire.ask(session, 0xDF, bytes((layout.PIN_FILE,)))

    cardbox_desfire.drive(delete(), card)
    assert window.tap(card) == reasons.NO_PIN_SET
    assert window.tap(card, amount_fen=LITTLE_FEN) == APPROVED


def test_no_room_for_a_try_no_try():
    window, card = asked(CLASSIC)
    while window.recorder.has_room():
        window.recorder.write(messages.POWER, window.now_ms(), source=0, battery_mv=4000)
    assert window.tap(card, DIGITS) == reasons.JOURNAL_FULL
    assert truth(card).counter == 0


# -- who has shown to be the holder ---------------------------------------------------------


def proven(kind, wait_ms=0):
    """A right PIN, and the card leaves before the money is taken."""
    for exchange in range(whole_tap(kind)[0] - 1, 0, -1):
        window, card = asked(kind, torn="old")
        window.tap(card, DIGITS, arm=window.pull_before(exchange, card))
        if window.compared and truth(card).pin_tries and window.till.pending is None:
            window.hardware.clock.advance_us(wait_ms * 1000)
            return window, card
    raise AssertionError("the PIN is compared and nothing is between")


@KINDS
def test_who_pulls_too_early_need_not_type_again(kind):
    window, card = proven(kind)
    assert window.tap(card) == APPROVED
    assert truth(card).pin_tries == 0 and len(window.compared) == 1
    assert window.records(INTENT)[-1]["flags"] == messages.FLAG_PIN


@KINDS
@pytest.mark.parametrize("change", ["later", "another amount", "used elsewhere", "rebooted"])
def test_but_for_this_and_now_only(kind, change):
    window, card = proven(kind, 31_000 if change == "later" else 0)
    if change == "used elsewhere":
        assert Window(9, device=OTHER_DEVICE).tap(card, amount_fen=LITTLE_FEN) == APPROVED
    elif change == "rebooted":
        window.die()
    amount_fen = AMOUNT_FEN - (change == "another amount")
    if change == "used elsewhere":
        amount_fen = AMOUNT_FEN
    assert window.tap(card, amount_fen=amount_fen) == PIN_NEEDED


# -- the last wrong one: who is it? (R19.3, R19.4) --------------------------------------------


def used_up(kind=CLASSIC, **policy):
    """A reader that asks who the holder of a card is."""
    window, card = Window(**policy), new_card(kind)
    assert window.tap(card) == PIN_NEEDED
    assert [window.tap(card, WRONG) for _ in range(3)] == [PIN_WRONG, PIN_WRONG, CHECK]
    return window, card


@KINDS
def test_a_match_is_good_for_one_spend(kind):
    window, card = used_up(kind)
    assert window.tap(card, is_holder=True) == APPROVED
    view = truth(card)
    assert view.pin_tries == TRIES_MAX and view.since_pin_fen == AMOUNT_FEN
    assert window.records(INTENT)[-1]["flags"] == messages.FLAG_IDENTITY
    # The next spend is another question.
    assert window.tap(card, amount_fen=BALANCE_FEN - AMOUNT_FEN) == APPROVED
    store = check_books(card, window)
    assert store.cases() == []


def test_a_match_is_for_the_card_and_the_amount_that_were_asked_about():
    window, card = used_up()
    other = new_card(DESFIRE, card_no=4712)
    assert window.tap(other, is_holder=True) == reasons.SAME_CARD_PLEASE
    assert window.tap(card, is_holder=True, amount_fen=AMOUNT_FEN + 1) == CHECK
    assert window.tap(card, is_holder=True, amount_fen=AMOUNT_FEN) == CHECK
    assert window.tap(card, is_holder=True) == APPROVED
    assert Window(5).tap(card, is_holder=True, amount_fen=3_000) == APPROVED  # needs no PIN


def test_a_match_does_not_stand_in_for_a_pin():
    window, card = asked(CLASSIC)
    assert window.tap(card, is_holder=True) == PIN_NEEDED
    assert truth(card).counter == 0


@KINDS
def test_a_mismatch_keeps_the_card_here(kind):
    window, card = used_up(kind)
    before = truth(card).counter
    window.till.capture(window.now_ms())
    (record,) = window.records(messages.CAPTURE)
    assert (record["card_no"], record["reason"]) == (CARD_NO, CHECK)
    for _ in range(2):
        for amount_fen in (AMOUNT_FEN, LITTLE_FEN):
            said = window.tap(card, amount_fen=amount_fen, is_holder=True)
            assert said == reasons.CARD_CAPTURED
        window.die()
        window.boot()
    assert truth(card).counter == before
    store = check_books(card, window)
    assert store.cases() == [(ledger_reasons.CARD_CAPTURED, DEVICE, record["seq"])]


def test_nobody_is_captured_without_a_question():
    window, card = asked(CLASSIC)
    window.till.capture(window.now_ms())
    window.till.capture(window.now_ms())
    assert window.records(messages.CAPTURE) == []
    assert window.tap(card) == PIN_NEEDED


def test_the_power_goes_in_every_write_of_a_capture():
    for operation in range(4):
        for seed in range(4):
            window, card = used_up()
            window.flash.cut_after(operation, how="" if seed else "none")
            try:
                window.till.capture(window.now_ms())
                is_whole = True
            except PowerCut:
                is_whole = False
            window.die()
            window.boot()
            is_told = bool(window.records(messages.CAPTURE))
            assert is_told or not is_whole
            said = window.tap(card)
            assert said == (reasons.CARD_CAPTURED if is_told else CHECK)


@pytest.mark.parametrize("how", SECTOR_FAULTS)
def test_a_capture_on_flash_that_takes_nothing_any_more(how):
    """It cannot be told, and the card is not let pass for that; nor does the reader end."""
    window, card = used_up()
    for sector in range(8):
        window.flash.fail_sector(sector, how)
    window.till.capture(window.now_ms())
    assert window.tap(card) in (reasons.CARD_CAPTURED, reasons.JOURNAL_FULL)
    assert window.till._is_captured(truth(card))


def test_a_boot_behind_a_capture_on_flash_that_takes_nothing_any_more():
    window, card = used_up()
    window.flash.cut_after(1, how="none")  # the record stands, and not yet that it is captured
    with pytest.raises(PowerCut):
        window.till.capture(window.now_ms())
    window.die()
    for sector in range(8):
        window.flash.fail_sector(sector, "no program")
    window.boot()
    assert window.records(messages.CAPTURE)
    assert window.tap(card) != APPROVED


def test_of_many_captured_ones_the_oldest_is_forgotten():
    window = Window()
    for card_no in range(1, 18):
        window.till._mark(card_no, True)
    window.boot()
    kept = [no for no in range(1, 18) if window.till._place_of(no)]
    assert kept == list(range(2, 18))
    window.till._mark(5, True)
    assert window.recorder.kept(2)[-4:] == (5).to_bytes(4, "big")
    assert len(window.recorder.kept(2)) == 64


# -- at the card centre's desk -----------------------------------------------------------------


def give_back(card):
    """What `onecard card pin --unblock` does."""
    if card.uid == UIDS[DESFIRE]:
        keys, draw = DesfireMasters(**MASTERS).card_keys(card.uid), random.Random(0).randbytes
        return cardbox_desfire.drive(personalise_desfire.reset_tries(CIPHERS, keys, draw), card)
    desk = desk_with(card)
    keys = CardKeys(PURSE_KEY, CREDIT_KEY, MAC_KEY, 1)
    is_reset = classic_pin.reset_tries(desk.card(), keys)
    desk.board.field.remove(card)
    return is_reset


@KINDS
def test_a_card_that_was_withheld_is_taken_again_when_the_centre_has_seen_it(kind):
    window, card = used_up(kind)
    window.till.capture(window.now_ms())
    assert window.tap(card) == reasons.CARD_CAPTURED
    assert give_back(card) and not give_back(card)
    assert window.tap(card) == PIN_NEEDED
    assert window.tap(card, DIGITS) == APPROVED
    assert window.recorder.kept(2) == b""
    # And it can be withheld again, by who looks again.
    assert window.tap(card, amount_fen=BALANCE_FEN - AMOUNT_FEN) == APPROVED
    check_books(card, window)


@KINDS
def test_what_nobody_knew_when_the_tries_were_given_back_is_told_later(kind):
    """A debit without an answer, then the desk, then any reader: the ledger books it."""
    for pull_us in range(80_000, 20_000, -200):
        window, card = asked(kind, torn="new")
        assert window.tap(card, WRONG) == PIN_WRONG
        pull = window.pull_after_us(pull_us, card)
        said = window.tap(card, amount_fen=LITTLE_FEN, arm=pull)
        if said == TAP_AGAIN and truth(card).counter == 2:
            break
    else:
        raise AssertionError("always known")
    assert give_back(card)
    assert (truth(card).counter, truth(card).pin_tries) == (3, 0)
    other = Window(5, device=OTHER_DEVICE)
    assert other.tap(card, amount_fen=LITTLE_FEN) == APPROVED
    assert truth(card).balance_fen == BALANCE_FEN - 2 * LITTLE_FEN
    store = check_books(card, window, other)
    assert store.cases() == []


# -- what a thief finds in a reader ------------------------------------------------------------


@KINDS
def test_a_readers_memory_has_nothing_to_compare_a_guess_with(kind):
    """Flash and settings, after right PINs and wrong ones: no PIN, no verifier, no part of one."""
    window, card = asked(kind)
    assert window.tap(card, WRONG) == PIN_WRONG
    assert window.tap(card, DIGITS) == APPROVED
    memory = bytes(window.flash._cells) + window.blob
    assert MAC_KEY in memory  # it would be found
    own_key = Cmac(aes(MAC_KEY)).diversify(card.uid + b"V" + bytes(1) + b"onecard")
    told = verifier_of(card.uid)
    secrets = (DIGITS, WRONG, own_key, told, told[:4], told[4:])
    assert [secret for secret in secrets if secret in memory] == []
    if kind == CLASSIC:
        assert told in b"".join(card.blocks)


def test_a_readers_keys_write_no_verifier_on_a_classic():
    window, card = Window(), new_card(CLASSIC)
    before = list(card.blocks)
    window.hardware.put_card(card)
    window.hardware.clock.advance_us(10_000)
    found, keys = window.pcd.poll(), window.purses.classic_keys[0]
    classic = Classic(window.pcd, found)
    for key, key_type in (keys.sector(card.uid, 1), (keys.sector(card.uid, 3)[0], KEY_B)):
        with pytest.raises((AuthFailed, CardRefused)):
            classic.authenticate(PIN_BLOCK, key, key_type)
            classic.write(PIN_BLOCK, bytes(16))
        classic.reselect()
    assert list(card.blocks) == before


def test_a_readers_keys_write_no_verifier_on_a_desfire():
    card = new_card(DESFIRE)
    keys = DesfireMasters(**MASTERS).card_keys(card.uid)
    place = layout.place(layout.PIN_FILE, pin.VERIFIER_BYTES)
    read = []

    def write():
        yield from personalise_desfire.select(layout.APPLICATION)
        key, draw = keys.application[layout.SPEND_KEY], random.Random(0).randbytes
        session = yield from personalise_desfire.login(CIPHERS, key, layout.SPEND_KEY, draw)
        ask = personalise_desfire.ask
        read.append((yield from ask(session, layout.READ_DATA, place, hidden=True)))
        yield from ask(session, layout.WRITE_DATA, place, pin.NO_PIN)

    with pytest.raises(ev2.CardStatus) as refused:
        cardbox_desfire.drive(write(), card)
    assert refused.value.status in (ev2.PERMISSION_DENIED, ev2.AUTHENTICATION_ERROR)
    assert read == [verifier_of(card.uid)]
    assert card.truth(layout.APPLICATION, layout.PIN_FILE)[:8] == verifier_of(card.uid)


def test_a_pin_is_nowhere_in_what_a_reader_keeps_in_memory():
    window, card = asked(CLASSIC)
    assert window.tap(card, DIGITS) == APPROVED
    assert DIGITS not in repr([vars(window.till), vars(window.purses)]).encode()


def test_each_card_and_each_site_has_a_verifier_of_its_own():
    told = {
        verifier_of(uid, card_no, digits, key)
        for uid in UIDS.values()
        for card_no in (1, 2)
        for digits in (DIGITS, WRONG)
        for key in (MAC_KEY, PURSE_KEY)
    }
    assert len(told) == 16 and pin.NO_PIN not in told and DEVICE_KEY not in told
