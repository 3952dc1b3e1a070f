"""Topping up, end to end (R14.1): a telephone, the books, two brokers, an agent, a POS, a card."""

import pytest

from protocols.card.purse import CARD_CENTRE
from simulator import checkers
from simulator.run import Run, run_scenario
from simulator.scenario import load

SHORT = """
name = "short"
seed = 5
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
load_cards = 1
[[cards]]
name = "classic"
first_no = 100
balance = "50.00"
[[cards]]
name = "desfire"
chip = "desfire"
first_no = 200
balance = "50.00"
"""
STEP = """
[[step]]
at = "00:00:{at:02}"
do = "{do}"
card = "{card}"
amount = "{amount}"
"""
LOAD_FEN = 2_000


def written(path, *steps):
    """A scenario of top-ups and taps: (at, card, amount, whether it is a top-up)."""
    text = SHORT
    for at, card, amount, is_topup in steps:
        text += STEP.format(at=at, card=card, amount=amount, do="topup" if is_topup else "tap")
        text += "" if is_topup else 'reader = "pos-1"\nhold_ms = 900\n'
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def short(tmp_path):
    """Both cards are topped up, are held once long enough, and pay once more."""
    steps = [(1, card, "20.00", True) for card in ("classic", "desfire")]
    for at in (5, 25):
        steps += [(at, "classic", "7.00", False), (at + 10, "desfire", "3.00", False)]
    return written(tmp_path / "short.toml", *steps)


@pytest.mark.parametrize("seed", [7, 9])
def test_people_top_up_through_cuts(repo_root, seed):
    path = repo_root / "simulator" / "scenarios" / "load.toml"
    report = run_scenario(path, seed=seed, broker="amqtt")
    print(f"replay: onecard sim run {path.name} --seed {seed}")
    assert report.violations == []
    assert (report.lost, report.duplicated, report.unseen) == (0, 0, 0)
    assert report.conserved and report.loaded > 10
    together_fen = report.on_cards_fen + report.booked_fen + report.in_flight_fen
    assert together_fen == report.issued_fen + report.loaded_fen


def test_each_card_gets_what_was_paid_in_for_it(short):
    report = run_scenario(short, broker="amqtt")
    assert report.violations == [] and report.failures == []
    assert (report.topped_up, report.loaded, report.booked) == (2, 2, 4)
    assert report.on_cards_fen == 10_000 + 2 * LOAD_FEN - 2 * 700 - 2 * 300


def test_same_log_in_a_real_micropython(short, micropython):
    reports = [run_scenario(short, home=home, broker="amqtt") for home in ("cpython", "vm")]
    assert [report.loaded for report in reports] == [2, 2]
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


def test_card_depth_loads_too(short):
    report = run_scenario(short, depth="card", broker="amqtt")
    assert (report.violations, report.loaded) == ([], 2)


# --- the judge is judged ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A card that was loaded, and one for which something still waits."""
    directory = tmp_path_factory.mktemp("run")
    path = written(
        directory / "judged.toml",
        (1, "classic", "20.00", True),
        (5, "classic", "7.00", False),
        (20, "desfire", "20.00", True),
    )
    played = Run(load(path), 5, "cpython", "register", directory, None)
    played.build("amqtt")
    report = played.play()
    assert (report.violations, report.loaded, report.topped_up) == ([], 1, 2)
    yield played
    played.close()


def verdict(run, paid_in=None):
    flashes = {1: run.readers["pos-1"].hardware.flash}
    paid_in = run.paid_in if paid_in is None else paid_in
    return checkers.judge(run.cards, run.keys, run.services.store, flashes, run.paid, (), paid_in)


def test_what_was_paid_in_and_not_booked_is_named(run):
    more = run.paid_in.copy()
    more[100, 100] += 1
    assert any("not paid in as booked" in text for text in verdict(run, more).violations)


def test_what_was_booked_and_never_paid_in_is_named(run):
    less = run.paid_in.copy()
    less[100, LOAD_FEN] -= 1
    assert any("not paid in as booked" in text for text in verdict(run, less).violations)


@pytest.mark.parametrize("is_told", [False, True])
def test_a_credit_on_the_card_beside_the_books_is_named(run, monkeypatch, is_told):
    """Somebody has put it on twice, or says that it is there and it is not."""
    held = run.cards[0] if not is_told else run.cards[1]
    honest = checkers.as_one

    def lying(card, keys):
        view, names = honest(card, keys)
        if card is held and not is_told:
            view.counter += 1
            view.balance_fen += LOAD_FEN
        elif card is held:
            names = {*names, (CARD_CENTRE, 2)}
        return view, names

    monkeypatch.setattr(checkers, "as_one", lying)
    found = verdict(run)
    assert not found.conserved
    assert found.duplicated == is_told and found.lost == (not is_told)
