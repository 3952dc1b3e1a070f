"""`onecard card pin`: what may be set, who gets to see it, and a hand that pulls the card."""

import json
import random

import pytest

from adapters.aes import aes
from firmware.drivers.iso14443 import CardGone
from firmware.services.purse import COMMITTED
from protocols.card import pin
from protocols.card.diversify import Cmac
from protocols.rules import pin as pin_rules
from simulator import cardbox_desfire
from simulator.cards.desfire import Desfire
from tests.drivers.desk import MAC_KEY, UID7, Desk
from tests.tools.cards import (
    DESFIRE_KEYS,
    KEYS,
    ORDER,
    ORDER_WORDS,
    OTHER_KEYS,
    blank,
    desk_with,
    deviations,
    onecard,
    pull_after,
    write_keys,
    written,
)
from tools.card import desfire, desfire_check, jobs, pin_entry
from tools.card.errors import BadInput, CardUnfit, NoCard

DIGITS, OTHER = b"802613", b"802614"
KINDS = pytest.mark.parametrize("kind", ["classic", "desfire"])
KEYS_OF = {"classic": KEYS, "desfire": DESFIRE_KEYS}
TIME_S = 1_790_000_000
# PIN, what must not be it, what is wrong
WEAK = [
    ("", "", pin_rules.FORM),
    ("80261", "", pin_rules.FORM),
    ("8026130", "", pin_rules.FORM),
    ("80261a", "", pin_rules.FORM),
    ("８０２６１３", "", pin_rules.FORM),
    (" 802613", "", pin_rules.FORM),
    ("000000", "", pin_rules.EQUAL),
    ("777777", "", pin_rules.EQUAL),
    ("123456", "", pin_rules.RUN),
    ("567890", "", pin_rules.RUN),
    ("654321", "", pin_rules.RUN),
    ("098765", "", pin_rules.RUN),
    ("121212", "", pin_rules.REPEATED),
    ("829829", "", pin_rules.REPEATED),
    ("050314", "20050314", pin_rules.PERSONAL),
    ("200503", "20050314", pin_rules.PERSONAL),
    ("31423X", "43010420050314231X", pin_rules.FORM),
    ("142319", "20050314 430104200503142319", pin_rules.PERSONAL),
    ("802319", "2319", pin_rules.PERSONAL),
]


def new_card(kind, seed=0):
    """A card of ours without a PIN."""
    if kind == "classic":
        return written(seed=seed)
    card = Desfire(UID7, random.Random(seed))
    desfire.write_card(desk_with(card).card(), ORDER, DESFIRE_KEYS, False)
    return card


class Reader:
    """A reader of the campus, and the card that is held to it."""

    def __init__(self, card):
        self.desk = Desk()
        self.desk.place(card)
        self.card = card
        self.purse = self.desk.purse(self.desk.pcd.poll())
        self.view = self.purse.read()

    def takes(self, digits):
        return self.purse.is_pin(self.view, self.purse.pin_verifier(), digits)

    def leave(self):
        self.desk.field.remove(self.card)


def takes(card, digits):
    """Whether a reader finds that `digits` are the PIN."""
    reader = Reader(card)
    found = reader.takes(digits)
    reader.leave()
    return found


def use_up(card, count=2):
    """Count tries as a reader does."""
    reader = Reader(card)
    for seq in range(count):
        assert reader.purse.count_try(reader.view, 1001, seq + 1, TIME_S) == COMMITTED
        reader.view = reader.purse.read_again()
    reader.leave()
    return reader.view


def view_of(card):
    reader = Reader(card)
    reader.leave()
    return reader.view


# ---------------------------------------------------------------- what may be set


@pytest.mark.parametrize(("typed", "known", "fault"), WEAK)
def test_weak_ones_are_refused_and_not_repeated(tmp_path, typed, known, fault):
    keys = write_keys(tmp_path / "keys.toml")
    tray = tmp_path / "card.json"
    result = onecard("pin", "--tray", tray, "--keys", keys, stdin=f"{typed}\n{known}\n")
    assert result.exit_code == 2 and fault in result.stderr
    assert len(typed) < 2 or typed.strip() not in result.output
    assert known == "" or known not in result.output


def test_most_pins_may_be_set():
    known = [b"20050314", b"430104200503142319", b"13812345678"]
    tried = range(0, 10**6, 17)
    good = sum(pin_rules.fault_of(b"%06d" % number, known) is None for number in tried)
    print(f"{good} of {len(tried)} PINs may be set")
    assert 0.99 < good / len(tried) < 1


# ---------------------------------------------------------------- set


@KINDS
def test_a_pin_is_set_and_every_reader_knows_it(kind):
    card, keys = new_card(kind), KEYS_OF[kind]
    answer = jobs.pin(desk_with(card), keys, DIGITS)
    assert answer.data["set"] and not answer.data["reset"]
    assert takes(card, DIGITS) and not takes(card, OTHER)
    jobs.pin(desk_with(card), keys, OTHER)
    assert takes(card, OTHER) and not takes(card, DIGITS)
    assert view_of(card).counter == 0
    assert "802613" not in repr([answer, ORDER])


@KINDS
def test_a_card_with_a_pin_is_as_the_layout_demands(kind):
    card, keys = new_card(kind), KEYS_OF[kind]
    jobs.pin(desk_with(card), keys, DIGITS)
    if kind == "classic":
        assert deviations(card) == []
        card.blocks[5] = card.blocks[5][:15] + b"\x01"
        assert deviations(card) == ["block 5: holds something, and nothing belongs there"]
    else:
        report = desfire_check.check(desk_with(card).card(), keys)
        assert report.deviations == []


@KINDS
def test_tries_are_given_back_with_a_new_pin_or_without(kind):
    card, keys = new_card(kind), KEYS_OF[kind]
    jobs.pin(desk_with(card), keys, DIGITS)
    for digits in (OTHER, b""):
        used = use_up(card)
        assert used.pin_tries == 2
        answer = jobs.pin(desk_with(card), keys, digits)
        assert answer.data["reset"]
        view = view_of(card)
        assert (view.pin_tries, view.balance_fen) == (0, used.balance_fen)
        assert view.counter == used.counter + 1
        # What became of that record, the card tells all the same.
        assert (view.last_device, view.last_seq) == (used.last_device, used.last_seq)
        assert (view.last_time_s, view.last_amount_fen) == (TIME_S, 0)
        assert (view.day, view.since_pin_fen) == (used.day, used.since_pin_fen)
        assert takes(card, OTHER)
    assert not jobs.pin(desk_with(card), keys, b"").data["reset"]


@KINDS
def test_a_card_that_is_not_ours_gets_none(kind):
    keys = OTHER_KEYS if kind == "classic" else DESFIRE_KEYS
    card = new_card(kind)
    if kind == "desfire":
        card = Desfire(UID7, random.Random(0))  # from the factory
    before = list(card.blocks) if kind == "classic" else card.snapshot()
    with pytest.raises(CardUnfit):
        jobs.pin(desk_with(card), keys, DIGITS)
    assert before == (list(card.blocks) if kind == "classic" else card.snapshot())


def test_a_factory_card_gets_none():
    card = blank()
    before = list(card.blocks)
    with pytest.raises(CardUnfit):
        jobs.pin(desk_with(card), KEYS, DIGITS)
    assert list(card.blocks) == before


@KINDS
def test_pulled_at_every_frame_it_can_be_done_again(kind):
    """The purse is the old one or the new one, and the money is there."""
    keys, frame, ends = KEYS_OF[kind], 0, set()
    while "whole" not in ends:
        card = new_card(kind, frame)
        jobs.pin(desk_with(card), keys, DIGITS)
        used = use_up(card)
        desk = desk_with(card)
        pull_after(desk.board, card, frame, 900)
        try:
            jobs.pin(desk, keys, OTHER)
            ends.add("whole")
        except (CardGone, CardUnfit, NoCard):
            ends.add("torn")
        if card.in_field:
            desk.board.field.remove(card)
        view = view_of(card)
        assert view.balance_fen == used.balance_fen
        assert (view.counter, view.pin_tries) in ((used.counter, 2), (used.counter + 1, 0))
        jobs.pin(desk_with(card), keys, OTHER)
        assert takes(card, OTHER)
        again = view_of(card)
        assert (again.pin_tries, again.counter) == (0, used.counter + 1)
        frame += 3
    print(f"{kind}: pulled at every third of {frame} frames")
    assert ends == {"torn", "whole"} and frame > 30


def test_a_desfire_of_before_there_were_pins_gets_its_file():
    card = new_card("desfire")
    own = desfire.card_keys(desk_with(card).card(), DESFIRE_KEYS)
    draw = random.Random(0).randbytes

    def delete():
        desk = desfire.personalise_desfire
        yield from desk.select(desfire.layout.APPLICATION)
        session = yield from desk.login(desfire.CIPHERS, own.application[0], 0, draw)
        yield from desk.ask(session, 0xDF, bytes((desfire.layout.PIN_FILE,)))

    cardbox_desfire.drive(delete(), card)
    jobs.pin(desk_with(card), DESFIRE_KEYS, DIGITS)
    assert takes(card, DIGITS)


# ---------------------------------------------------------------- the command line


def test_from_the_command_line(tmp_path):
    keys, tray = write_keys(tmp_path / "keys.toml"), tmp_path / "card.json"
    words = ("--tray", tray, "--keys", keys)
    new = ("--blank", "--uid", UID7.hex(), "--pin", *ORDER_WORDS)
    result = onecard("personalise", *words, *new, stdin="802613\n20050314\n")
    assert result.exit_code == 0, result.stderr
    told = pin.verifier(Cmac(aes(MAC_KEY)), UID7, 4711, DIGITS, aes)
    assert told.hex() in tray.read_text()
    result = onecard("pin", *words, "--json", stdin="802614\n")
    assert json.loads(result.stdout) == {
        "uid": UID7.hex(),
        "kind": "MIFARE Classic 1K",
        "set": True,
        "reset": False,
    }
    for said in (result.output, onecard("info", *words).output):
        assert "802613" not in said and "802614" not in said and told.hex() not in said
    assert onecard("verify", *words).exit_code == 0
    result = onecard("pin", *words, "--unblock")
    assert result.exit_code == 0 and "no try was used" in result.stdout


def test_no_pin_no_card(tmp_path):
    keys, tray = write_keys(tmp_path / "keys.toml"), tmp_path / "card.json"
    words = ("--tray", tray, "--keys", keys, "--blank", "--uid", UID7.hex(), "--pin")
    result = onecard("personalise", *words, *ORDER_WORDS, stdin="123456\n")
    assert result.exit_code == 2 and not tray.exists()


def test_a_pin_is_typed_twice(monkeypatch):
    typed = iter(["802613", "802614"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(pin_entry, "getpass", lambda _: next(typed))
    with pytest.raises(BadInput, match="twice"):
        pin_entry.read_pin()
    typed = iter(["802613", "802613", "20050314"])
    assert pin_entry.read_pin() == DIGITS
