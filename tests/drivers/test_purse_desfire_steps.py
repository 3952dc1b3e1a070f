"""Whatever may happen at each single command of a sale with a DESFire: refusals, absence, delay.

What must hold at all times stands in desfire_window.py.
"""

import random

import pytest

from protocols.card import ev2, personalise_desfire
from protocols.card import purse_desfire as layout
from protocols.wire import messages
from simulator import cardbox_desfire
from simulator.cardbox_desfire import CIPHERS, DesfireMasters
from tests.drivers.desfire_desk import MASTERS
from tests.drivers.desfire_window import (
    FEN,
    HOLD_MS,
    PAID,
    REFUSALS,
    STEP_MS_MAX,
    WAITS,
    Window,
    booked,
    check_proofs,
    image,
    spent_fen,
)
from tests.drivers.spoiled_desfire import Spoiled
from tests.firmware.counter import CARD_NO, DAY, DEVICE, MERCHANT

STEPS = range(11)  # commands of a sale: select, login, login; three reads; abort .. commit
STATUS_HOLD_MS = 600
STATUSES = 256  # that one card's money is enough for

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
            window.run_ms(6_000)
            window.close()
        assert window.sell("0.50", card) == PAID
        assert booked(window).takings(MERCHANT) == spent_fen(window)


# -- one answer that is lost ----------------------------------------------------------------------


class Hushed(Refusing):
    """The answer to its `step`-th command is lost, once."""

    is_lost = False

    def apply(self, command, now):
        step, self._commands = self._commands, self._commands + 1
        if step == self.step:
            self.step, self.is_lost = None, True
        return Spoiled.apply(self, command, now)

    def hear(self, frame, now):
        answer = super().hear(frame, now)
        is_lost, self.is_lost = self.is_lost, False
        return None if is_lost else answer


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_is_lost_is_asked_for_and_its_command_not_told_again(step):
    window = Window(step)
    window.bring(Hushed(image(CARD_NO), random.Random(step)))
    card = window.card
    card.step = step
    assert window.sell("0.50", card) == PAID
    window.close()
    assert card.step is None and card.violations == []
    assert len(window.records(messages.INTENT)) == len(window.debited) == 1
    assert card.conversations == 1
    check_proofs(booked(window), 1)


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
        (layout.WRITE_RECORD, layout.NEW_STATE, plan.state),
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
    """From its `first` command on it asks for `busy_us` of time for each, and takes it."""

    busy_us = first = heard_commands = 0

    def apply(self, command, now):
        answer, busy_us = super().apply(command, now)
        self.heard_commands += 1
        return answer, self.busy_us if self.heard_commands > self.first else busy_us


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("busy_us", [400_000, 1_500_000, 4_900_000, 20_000_000])
def test_no_card_holds_a_reader_until_its_watchdog_bites(busy_us, first):
    window = Window(first)
    window.bring(Slow(image(CARD_NO), random.Random(first)))
    window.card.busy_us, window.card.first = busy_us, first
    window.key(b"0.50\r")
    window.put(window.card)
    window.run_ms(60)
    window.take(window.card)
    window.run_ms(200)
    window.close()
    print(f"{busy_us} us from command {first} on: {window.slowest_ms} ms, {window.shown}")
    assert window.shown in (PAID, *WAITS)
    assert window.shown == PAID or busy_us > 400_000
    assert window.slowest_ms <= STEP_MS_MAX
