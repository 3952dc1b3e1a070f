"""A cloned card and one that is written back pay at two windows: the ledger books what happened,
its books balance, and exactly these cards are named, with records that stand in the journals.
"""

import hashlib
import json
import random

import pytest
from typer.testing import CliRunner

from protocols.wire import messages, seal
from simulator.cardbox import as_one, truth
from simulator.checkers import journal_of, judge
from simulator.chips.nor_flash import NorFlash
from simulator.run import Run, run_scenario
from simulator.scenario import load
from tests.scenarios.test_checkers import debit
from tools.cli import app
from tools.ledger_forks import find

ZHANG, LI = 40001, 40011
READERS = {3001: "pos-1", 3002: "pos-2"}
SEEDS = (17, 1, 2)


@pytest.fixture(scope="module")
def scenario(repo_root):
    return repo_root / "simulator" / "scenarios" / "bad_cards.toml"


@pytest.fixture(scope="module")
def played(scenario, tmp_path_factory):
    """A run that is over, with its cards and its ledger."""
    run = Run(load(scenario), 17, "cpython", "register", tmp_path_factory.mktemp("run"), None)
    run.build("amqtt")
    report = run.play()
    assert report.violations == [] and report.failures == []
    yield run
    run.close()


def sealed_record(kept, device, seq):
    """A record as it stands on the flash that a run has left behind."""
    image = (kept / f"{READERS[device]}.flash").read_bytes()
    flash = NorFlash(len(image), random.Random(0))
    flash.load(image)
    return journal_of(flash).record(seq)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_balance_and_exactly_the_bad_cards_are_named(scenario, tmp_path, seed):
    kept = tmp_path / "kept"
    report = run_scenario(scenario, seed=seed, broker="amqtt", keep=kept)
    assert (report.violations, report.failures) == ([], [])
    assert report.conserved and report.booked == report.approved == 13
    done = CliRunner().invoke(app, ["ledger", "forks", str(kept / "ledger.sqlite"), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [(fork["card_no"], fork["kind"]) for fork in found] == [
        (ZHANG, "clone"),
        (LI, "rollback"),
    ]
    for fork in found:
        for evidence in fork["evidence"]:
            sealed = sealed_record(kept, evidence["device"], evidence["seq"])
            assert evidence["sha256"] == hashlib.sha256(sealed).hexdigest()
            fields = messages.decode_record(seal.payload_of(sealed))
            assert fields["kind"] == messages.INTENT
            assert (fields["card_no"], fields["counter"]) == (fork["card_no"], 0)
            assert (evidence["counter"], evidence["outcome"]) == (0, "committed")


def test_a_lunch_without_bad_cards_names_nobody(repo_root, tmp_path):
    """Every fault at once, and torn taps in a quarter of all cases."""
    kept = tmp_path / "kept"
    every_fault = repo_root / "simulator" / "scenarios" / "every_fault.toml"
    report = run_scenario(every_fault, seed=11, broker="amqtt", keep=kept)
    assert report.booked > 10
    assert find(kept / "ledger.sqlite") == []


def test_as_one_card_they_show_what_the_ledger_has_booked(played):
    store = played.services.store
    for card in played.cards:
        if card.issued_fen is not None:
            one, _ = as_one(card, played.keys)
            assert one.balance_fen == store.holder_balance(card.card_no)
            is_bad = card.card_no in (ZHANG, LI)
            assert (one.counter > truth(card.chip, played.keys).counter) == is_bad


@pytest.mark.parametrize("name", ["zhang-1", "zhang-2", "li"])
def test_a_debit_of_a_bad_card_that_nobody_booked_is_still_missed(played, name):
    """The judge forgives a card its lives, and not the ledger its losses."""
    (held,) = [card for card in played.cards if card.name == name]
    flashes = {device: played.readers[at].hardware.flash for device, at in READERS.items()}
    before = list(held.chip.blocks)
    debit(held, played.keys, 200)
    verdict = judge(played.cards, played.keys, played.services.store, flashes, played.paid)
    held.chip.blocks[:] = before
    assert (verdict.lost, verdict.conserved) == (1, False)
    assert any(f"card {held.card_no}: 1 debits not booked" in say for say in verdict.violations)
