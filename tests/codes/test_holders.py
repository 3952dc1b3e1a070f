"""Machines that ask the ledger about holders: a loss by identity code, and a desk's number.

What becomes of the words in between, of power and of the ledger; and who is told what.
"""

import random

import pytest

from firmware.roles import code_kiosk, identity
from ledger.holder_desk import LossDesk, PersonDesk
from ledger.relay_desk import RelayDesk
from protocols.rules import card_number, reasons, screen_texts, screens
from protocols.rules.card_status import ACTIVE, LOST
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from protocols.wire import messages
from simulator.chips.qr_scanner import QrScanner
from simulator.chips.usb_host import UsbHost
from simulator.host.board import HostBoard
from tests.codes.counter import CodeCentre
from tests.firmware.counter import CARD_NO, DEVICE, new_card
from tests.load.counter import Line, Window

HOME, SURE, SHOW, WAIT = (
    screen_texts.TEXTS[number][0]
    for number in (
        screens.TAP_CARD,
        screens.REPORT_LOSS,
        screens.SHOW_IDENTITY,
        screens.ONE_MOMENT,
    )
)
NOON = "LOSS REPORTED 12:00"
PERSON_NO = "T2026010203"


class HolderCentre(CodeCentre):
    """The card centre, which is asked about holders."""

    def boot(self):
        super().boot()
        interval_ms = lambda: (self.now_s * 1000, self.now_s * 1000)  # noqa: E731
        self.loss = LossDesk(self.store, self.codes._phones, interval_ms, lambda: self.now_s)
        self.persons = PersonDesk(self.store)
        relays = RelayDesk(self.store, self.loss, self.persons)
        relays.hear = lambda *said, hear=relays.hear: hear(*said[:-1], self.now_ms)
        self.desk = relays

    def identity(self, **how):
        return self.code(kind=CAMPUS_IDENTITY, **how)

    @property
    def status(self):
        return self.store.cards.status(CARD_NO)


class Machine(Window):
    """One machine on its line; `pos` is that machine."""

    def boot(self, tell_time=True):
        super().boot(tell_time)
        self.line.step = lambda now_ms: now_ms + 1_000
        self.pos._uplink = self.pos._question._uplink = self.line
        self.pos._question._others = self.line.on_relay
        self.line.on_relay = self.pos._question.hear
        self.run_ms(2_000)

    @property
    def said(self):
        return self.hardware.panel.lines[0].strip()


class Kiosk(Machine):
    """A self-service machine with a scanner."""

    build = staticmethod(code_kiosk.build)

    def boot(self, tell_time=True):
        if self.hardware.scanner is None:
            self.hardware.scanner = QrScanner(self.clock, random.Random(self.device))
        super().boot(tell_time)

    def show(self, code, hold_ms=800):
        self.hardware.scanner.show(code)
        self.run_ms(hold_ms)
        self.hardware.scanner.show(None)

    def report(self, code, hold_ms=800):
        """FN FN OK and a phone; what the display says then."""
        self.key(b"FF\r")
        assert self.said == SHOW
        self.run_ms(300)
        self.show(code, hold_ms)
        return self.said


@pytest.fixture
def at(tmp_path):
    """(centre, kiosk)."""
    centre = HolderCentre(tmp_path / "ledger.sqlite")
    yield centre, Kiosk(centre, loads=False)
    centre.store.close()


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fate", ["lost", "forged", "late", "twice"])
def test_a_word_that_goes_astray_reports_once_and_says_so_once_it_is(at, direction, fate):
    centre, kiosk = at
    kiosk.line.plan = {(direction, 0): fate}
    said = kiosk.report(centre.identity(), hold_ms=700)
    assert said in (WAIT, NOON)
    assert said == WAIT or centre.status == LOST
    kiosk.run_ms(1_500)
    assert kiosk.said == NOON
    kiosk.line.bring_late(kiosk.ticks_us() // 1000)
    kiosk.run_ms(20_000)
    assert kiosk.said == HOME
    assert len(set(kiosk.line.said["up"])) == 1
    assert len(centre.store.cards.history(CARD_NO)) == 1


def test_what_nobody_answers_is_not_said_to_be_reported(at):
    centre, kiosk = at
    kiosk.line.plan = {("down", at): "lost" for at in range(100)}
    assert kiosk.report(centre.identity()) == WAIT
    kiosk.run_ms(19_000)
    assert kiosk.said == WAIT
    kiosk.run_ms(1_500)
    assert kiosk.said == reasons.display(reasons.LOSS_UNSURE)
    first = centre.store.cards.history(CARD_NO)
    kiosk.run_ms(120_000)
    kiosk.line.plan = {}
    assert kiosk.report(centre.identity()) == NOON  # when it was reported first
    assert centre.store.cards.history(CARD_NO) == first


@pytest.mark.parametrize("heard", [False, True])
def test_while_the_centre_is_away_nobody_waits_for_it(at, heard):
    centre, kiosk = at
    kiosk.line.plan = {("up", at): "away" for at in range(int(heard), 100)}
    kiosk.line.plan["down", 0] = "late"
    assert kiosk.report(centre.identity(), hold_ms=1_500) == reasons.display(reasons.LOSS_UNSURE)
    kiosk.line.bring_late(kiosk.ticks_us() // 1000)
    kiosk.run_ms(200)
    assert kiosk.said == reasons.display(reasons.LOSS_UNSURE)
    assert (centre.status == LOST) == heard


def test_an_answer_behind_its_time_says_nothing(at):
    centre, kiosk = at
    kiosk.line.plan = {("down", at): "late" for at in range(100)}
    kiosk.report(centre.identity())
    kiosk.run_ms(40_000)
    assert kiosk.said == HOME
    kiosk.line.bring_late(kiosk.ticks_us() // 1000)
    kiosk.run_ms(200)
    assert kiosk.said == HOME
    assert "repeated" in kiosk.line.refused


@pytest.mark.parametrize("after_ms", range(0, 1_200, 150))
def test_power_gone_at_any_moment_leaves_a_report_that_can_be_asked_for_again(at, after_ms):
    centre, kiosk = at
    kiosk.line.plan = {("down", 0): "lost"}
    kiosk.report(centre.identity(), hold_ms=after_ms + 1)
    kiosk.die()
    was_lost = centre.store.cards.history(CARD_NO)
    kiosk.boot()
    assert kiosk.said == HOME
    assert kiosk.report(centre.identity(number=1)) == NOON
    assert centre.status == LOST
    assert not was_lost or centre.store.cards.history(CARD_NO) == was_lost


def test_a_ledger_that_dies_is_asked_the_same_again(at):
    centre, kiosk = at
    kiosk.line.plan = {("down", 0): "lost"}
    kiosk.report(centre.identity(), hold_ms=500)
    centre.die()
    kiosk.run_ms(3_000)
    assert kiosk.said == NOON
    assert len(centre.store.cards.history(CARD_NO)) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (lambda centre: centre.code(), reasons.CODE_IS_PAYMENT),
        (lambda centre: centre.identity(seed=bytes(32)), reasons.CODE_FORGED),
        (lambda centre: centre.identity(made_s=centre.now_s - 100), reasons.CODE_EXPIRED),
        (lambda _: b"134567890123456789", reasons.CODE_OF_WECHAT),
        (lambda _: b"https://example.org", reasons.CODE_UNKNOWN),
    ],
)
def test_what_proves_nothing_reports_nothing_and_says_why(at, code, reason):
    centre, kiosk = at
    assert kiosk.report(code(centre), hold_ms=1_500) == reasons.display(reason)
    assert centre.status == ACTIVE
    assert kiosk.records(messages.REFUSAL) == []


def test_without_network_nobody_is_asked_for_a_code(at):
    centre, kiosk = at
    kiosk.line.online = False
    kiosk.key(b"FF")
    assert kiosk.said == reasons.display(reasons.CODE_NEEDS_NETWORK)
    kiosk.show(centre.identity())
    assert centre.status == ACTIVE


def test_who_goes_away_or_changes_his_mind_has_reported_nothing(at):
    centre, kiosk = at
    for keys in (b"FF\x1b", b"FF\r\x1b", b"FF5"):
        kiosk.key(keys)
        kiosk.show(centre.identity())
        assert centre.status == ACTIVE
    kiosk.key(b"FF\r")
    kiosk.run_ms(31_000)
    assert kiosk.said == HOME
    kiosk.show(centre.identity())
    assert (kiosk.said, centre.status) == (HOME, ACTIVE)


def test_a_card_that_lies_there_is_nobody_s_business_while_a_loss_is_reported(at):
    _centre, kiosk = at
    kiosk.key(b"FF")
    card = new_card()
    kiosk.put(card)
    kiosk.run_ms(1_000)
    assert kiosk.said == SURE
    kiosk.take(card)
    kiosk.key(b"\x1b")
    assert kiosk.said == HOME
    kiosk.key(b"F")  # the first FN is for who has found one, as before
    kiosk.put(card)
    kiosk.run_ms(700)
    assert [each["card_no"] for each in kiosk.records(messages.CARD_FOUND)] == [CARD_NO]
    kiosk.take(card)


def test_nothing_of_the_holder_stands_on_the_display_or_in_the_journal(at):
    centre, kiosk = at
    code = centre.identity()
    kiosk.report(code, hold_ms=1_500)
    assert kiosk.said == NOON
    shown = " ".join(kiosk.witness.texts)
    assert str(CARD_NO) not in shown and code.decode() not in shown
    journal = b"".join(kiosk.sealed())
    assert code not in journal and CARD_NO.to_bytes(2, "big") not in journal


# --- the desk ---------------------------------------------------------------------------------


class Desk(Machine):
    """A library desk that is told personal numbers; with `usb` it types them."""

    build = staticmethod(identity.build)
    has_usb = False

    def boot(self, tell_time=True):
        self.hardware.nvs["desk_format"] = card_number.PERSON.encode()
        self.hardware.nvs["wifi_ssid"] = b"campus"
        if self.has_usb and self.hardware.usb is None:
            self.hardware.usb = UsbHost(self.clock)
        self.line = None
        self.hardware.power_on()
        board = HostBoard(self.hardware)
        self.ticks_us = board.ticks_us
        self.pos = self.build(board)
        self.pos._load = self.pos._question  # what Window puts on its line
        self.woken, self.step = board.after_wait, self.pos.step
        self.pos.step = lambda now_ms: (self.woken(), self.step(now_ms))[1]
        self.tell_time()
        self.line = self.make_line()
        self.run_ms(1_000)

    def make_line(self):
        line = Line(self.centre, self.device)
        line.step = lambda now_ms: now_ms + 1_000
        self.pos._uplink = self.pos._question._uplink = line
        line.on_relay = self.pos._question.hear
        return line

    def ask(self, hold_ms=3_600):
        """(what the display said last but home, what the desk was given)."""
        card, before = new_card(), len(self.hardware.desk_lines())
        self.put(card)
        seen = []
        for _ in range(hold_ms // 100):
            self.run_ms(100)
            if self.said not in (HOME, WAIT, *seen[-1:]):
                seen.append(self.said)
        self.take(card)
        self.run_ms(200)
        return seen, self.hardware.desk_lines()[before:]


class UsbDesk(Desk):
    has_usb = True


@pytest.fixture(params=[Desk, UsbDesk])
def desk(request, tmp_path):
    centre = HolderCentre(tmp_path / "ledger.sqlite")
    centre.store.person_numbers.know([(CARD_NO, PERSON_NO)])
    centre.store.person_numbers.let_ask([(DEVICE, True)])
    yield request.param(centre, loads=False)
    centre.store.close()


IN_ORDER = screen_texts.TEXTS[screens.IN_ORDER][0]


def test_a_number_is_told_once_and_stands_nowhere(desk):
    assert desk.ask() == ([IN_ORDER], [PERSON_NO])
    assert desk.ask() == ([IN_ORDER], [PERSON_NO])
    assert PERSON_NO not in " ".join(desk.witness.texts)
    assert PERSON_NO.encode() not in b"".join(desk.sealed())
    assert desk.records(messages.REFUSAL) == []


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fate", ["lost", "forged", "late", "twice"])
def test_a_number_whose_word_goes_astray_is_told_once(desk, direction, fate):
    desk.line.plan = {(direction, 0): fate}
    assert desk.ask() == ([IN_ORDER], [PERSON_NO])
    desk.line.bring_late(desk.ticks_us() // 1000)
    desk.run_ms(4_000)
    assert desk.hardware.desk_lines() == [PERSON_NO]


def test_without_network_or_answer_no_number_is_told(desk):
    desk.line.plan = {("down", at): "late" for at in range(4)}
    assert desk.ask(hold_ms=4_600) == (["NO NETWORK"], [])
    desk.line.bring_late(desk.ticks_us() // 1000)
    desk.run_ms(3_000)
    desk.line.online = False
    assert desk.ask() == (["NO NETWORK"], [])
    assert desk.hardware.desk_lines() == []
    assert len(desk.records(messages.REFUSAL)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda store: store.cards.set("lose", CARD_NO, 1), reasons.CARD_LOST),
        (lambda store: store.person_numbers.let_ask([(DEVICE, False)]), reasons.NOT_A_DESK),
        (lambda store: forget(store), reasons.NO_PERSON_NO),
    ],
)
def test_the_ledger_s_word_counts_and_is_shown(desk, change, reason):
    change(desk.centre.store)
    assert desk.ask() == ([reasons.display(reason)], [])
    assert [each["reason"] for each in desk.records(messages.REFUSAL)] == [reason]


def forget(store):
    with store.database.transaction():
        store.database.rows("DELETE FROM person_no")


def test_a_pc_that_does_not_take_it_is_told_of_and_nothing_else(tmp_path):
    centre = HolderCentre(tmp_path / "ledger.sqlite")
    centre.store.person_numbers.know([(CARD_NO, PERSON_NO)])
    centre.store.person_numbers.let_ask([(DEVICE, True)])
    desk = UsbDesk(centre, loads=False)
    desk.hardware.usb.sleep(True)
    assert desk.ask() == ([reasons.display(reasons.NOT_TYPED)], [])
    desk.hardware.usb.sleep(False)
    desk.run_ms(1_000)
    assert (desk.hardware.usb.field, desk.hardware.desk_lines()) == ("", [])
    assert desk.ask() == ([IN_ORDER], [PERSON_NO])
    centre.store.close()
