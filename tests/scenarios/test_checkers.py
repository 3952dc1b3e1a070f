"""The judge is judged: each kind of theft, loss and lie is planted, and must be named."""

import pytest

from protocols.card import personalise, purse_classic
from protocols.card.diversify import Cmac
from protocols.card.purse import PurseState
from simulator.cardbox import aes, truth
from simulator.checkers import judge
from simulator.run import Run
from simulator.scenario import load

SCENARIO = """
name = "two spends"
seed = 5
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
[[cards]]
name = "card"
count = 2
first_no = 100
balance = "50.00"
[[step]]
at = "00:00:01"
do = "tap"
card = "card-1"
reader = "pos-1"
amount = "7.00"
[[step]]
at = "00:00:09"
do = "tap"
card = "card-2"
reader = "pos-1"
amount = "3.00"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    (directory / "two.toml").write_text(SCENARIO)
    played = Run(load(directory / "two.toml"), 5, "cpython", "register", directory, None)
    played.build("amqtt")
    report = played.play()
    assert report.booked == 2
    yield played
    played.close()


@pytest.fixture
def verdict(run):
    """Judge the run as it is now; what a test planted on the cards is taken back afterwards."""
    blocks = [list(card.chip.blocks) for card in run.cards]
    flashes = {1: run.readers["pos-1"].hardware.flash}

    def judged(paid=run.paid):
        return judge(run.cards, run.keys, run.services.store, flashes, paid)

    yield judged
    for card, kept in zip(run.cards, blocks, strict=True):
        card.chip.blocks[:] = kept


def debit(card, keys, fen):
    """Take money off a card behind everyone's back, with all the right keys."""
    mac = purse_classic.card_mac(Cmac(aes(keys.mac)), card.chip.uid, aes)
    view = truth(card.chip, keys)
    plan = purse_classic.plan_debit(view, mac, fen, 77, 1, 0, (0, 0, 0, 0))
    card.chip.blocks[plan.record_block] = plan.record
    value = personalise.encode_value(plan.balance_fen, plan.target_block)
    card.chip.blocks[plan.target_block] = value
    card.chip.blocks[plan.state_block] = plan.state


def test_an_honest_run_has_nothing_to_say(verdict):
    found = verdict()
    assert (found.violations, found.lost, found.duplicated, found.unseen) == ([], 0, 0, 0)
    assert found.conserved
    assert (found.issued_fen, found.on_cards_fen, found.booked_fen) == (10000, 9000, 1000)


def test_a_debit_nobody_booked_is_lost_money(run, verdict):
    debit(run.cards[0], run.keys, 200)
    found = verdict()
    assert found.lost == 1
    assert not found.conserved
    assert any("debits not booked" in text for text in found.violations)


def test_a_card_that_was_rolled_back_has_booked_more_than_it_paid(run, verdict):
    card = run.cards[0]
    view = truth(card.chip, run.keys)
    # With the newer slot gone, the one from before the spend rules again.
    card.chip.blocks[purse_classic.STATE_BLOCKS[view.counter & 1]] = bytes(16)
    assert truth(card.chip, run.keys).counter == view.counter - 1
    found = verdict()
    assert found.duplicated == 1
    assert any("never paid" in text for text in found.violations)


def test_money_made_on_a_card_is_not_conserved(run, verdict):
    card = run.cards[1]
    mac = purse_classic.card_mac(Cmac(aes(run.keys.mac)), card.chip.uid, aes)
    view = truth(card.chip, run.keys)
    state = PurseState(view.counter, view.balance_fen + 1)
    slot = view.counter & 1
    for name in ("last_device", "last_seq", "last_time_s", "last_amount_fen"):
        setattr(state, name, getattr(view, name))
    value_block = purse_classic.VALUE_BLOCKS[slot]
    card.chip.blocks[value_block] = personalise.encode_value(state.balance_fen, value_block)
    card.chip.blocks[purse_classic.STATE_BLOCKS[slot]] = purse_classic.encode_state(
        state, card.chip.uid, view.proof.identity_fields, mac
    )
    found = verdict()
    assert not found.conserved
    assert any("issued 10000" in text for text in found.violations)


def test_a_spend_shown_as_paid_and_not_booked_is_named(run, verdict):
    paid = run.paid.copy()
    paid[100, 700] += 1
    assert any("shown as paid, not booked" in text for text in verdict(paid).violations)


def test_a_spend_booked_that_nobody_saw_is_counted(run, verdict):
    paid = run.paid.copy()
    paid[100, 700] -= 1
    assert verdict(paid).unseen == 1
