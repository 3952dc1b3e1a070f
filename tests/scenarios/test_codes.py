"""Payments by code, end to end: phones, scanners, POS, an agent, two brokers and the books."""

import pytest

from simulator import checkers
from simulator.code_checker import judge_codes
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load
from simulator.world.transcript import Transcript

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
wifi = 1
scanner = 1
[[cards]]
name = "ada"
first_no = 100
balance = "50.00"
phone = 1
[[cards]]
name = "ben"
first_no = 200
balance = "50.00"
[[step]]
at = "00:00:01"
do = "topup"
card = "ada"
amount = "40.00"
"""
PHONE = """
[[step]]
at = "00:00:{at:02}"
do = "phone"
card = "ada"
amount = "{amount}"
reader = "pos-1"
shows = "{shows}"
"""
TAP = """
[[step]]
at = "00:00:{at:02}"
do = "tap"
card = "ben"
amount = "{amount}"
reader = "pos-1"
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A phone pays, a picture of its code does not, a card pays, the phone pays again."""
    path = tmp_path_factory.mktemp("short") / "short.toml"
    phones = [(5, "7.00", "payment"), (12, "7.00", "picture"), (25, "3.00", "payment")]
    text = [PHONE.format(at=at, amount=fen, shows=shows) for at, fen, shows in phones]
    path.write_text(SHORT + "".join(text) + TAP.format(at=18, amount="2.00"), encoding="utf-8")
    return path


def test_phones_pay_through_cuts(repo_root):
    path = repo_root / "simulator" / "scenarios" / "codes.toml"
    report = run_scenario(path, broker="amqtt")
    assert report.violations == [] and report.failures == []
    assert (report.lost, report.duplicated, report.unseen) == (0, 0, 0)
    assert report.conserved and report.sold_by_code > 10
    refusals = report.refusals
    assert refusals["CODE ALREADY USED"] == refusals["CODE TOO OLD"] == 1
    # Without network it is asked on mains only: on its battery a POS leaves the scanner dark.
    assert refusals["CODE NEEDS NETWORK"] > 0
    assert sum(report.takings_fen.values()) == report.booked_fen + report.sold_by_code_fen


def test_each_is_paid_once(short):
    report = run_scenario(short, broker="amqtt")
    assert report.violations == [] and report.failures == []
    assert (report.booked, report.sold_by_code, report.sold_by_code_fen) == (1, 2, 1_000)
    assert report.takings_fen == {"tea": 1_200}
    assert report.refusals == {"CODE ALREADY USED": 1}


def test_while_the_centre_is_away_a_phone_is_refused_at_once(tmp_path, monkeypatch):
    """As soon as its agent knows; and not any more when it is back."""
    events = []

    def add(self, time_us, who, what, data=b"", add=Transcript.add):
        if what == "display":
            events.append((time_us, data))
        add(self, time_us, who, what, data)

    monkeypatch.setattr(Transcript, "add", add)
    path = tmp_path / "away.toml"
    cut = '[[step]]\nat = "00:00:{at}"\ndo = "{do}"\nwhat = "upstream"\n'
    path.write_text(
        SHORT
        + cut.format(at="04", do="cut")
        + PHONE.format(at=30, amount="7.00", shows="payment")
        + cut.format(at="45", do="plug")
        # The agent dials again after at most 30 s.
        + PHONE.format(at=55, amount="3.00", shows="payment").replace("00:00:55", "00:01:25"),
        encoding="utf-8",
    )
    report = run_scenario(path, broker="amqtt")
    assert report.violations == [] and report.failures == []
    assert (report.sold_by_code, report.sold_by_code_fen) == (1, 300)
    assert report.refusals == {"CODE NEEDS NETWORK": 1}
    asked_us = next(time_us for time_us, data in events if b"ONE MOMENT" in data)
    told_us = next(time_us for time_us, data in events if b"CODE NEEDS" in data)
    print(f"refused {(told_us - asked_us) // 1000} ms after the question")
    assert told_us - asked_us < 500_000


def test_same_log_in_a_real_micropython(short, micropython):
    reports = [run_scenario(short, home=home, broker="amqtt") for home in ("cpython", "vm")]
    assert [report.sold_by_code for report in reports] == [2, 2]
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("wifi = 1\n", "", 11, "with a cable no pin is left for one"),
        ("scanner = 1", 'role = "attendance"\nscanner = 1', 13, "a door or a kiosk has one"),
        ("scanner = 1", 'role = "kiosk"\nscanner = 1', 34, "the verb is report"),
        ("scanner = 1", 'role = "door"\nscanner = 1', 34, "the verb is scan"),
        ('do = "phone"\n', 'do = "scan"\n', 32, "unknown field of [[step]] 'amount'"),
        ("scanner = 1\n", "", 32, "'pos-1' has no scanner = 1"),
        ("phone = 1\n", "", 30, "the holder of 'ada' has no phone"),
        ('shows = "payment"', 'shows = "paymnet"', 34, "did you mean 'payment'?"),
        ("scanner = 1", "scanner = 2", 12, "unknown scanner"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, line, said):
    text = SHORT + PHONE.format(at=5, amount="7.00", shows="payment")
    path = tmp_path / "bad.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value


# --- the judge is judged ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(short, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    played = Run(load(short), 5, "cpython", "register", directory, None)
    played.build("amqtt")
    assert played.play().violations == []
    yield played
    played.close()


def verdict(run, seen=None):
    found = checkers.Verdict()
    flashes = {1: run.readers["pos-1"].hardware.flash}
    judge_codes(run.services.store, flashes, run.by_code if seen is None else seen, found)
    return found


def test_an_honest_run_has_nothing_to_say(run):
    found = verdict(run)
    assert (found.violations, found.unseen, found.sold_by_code) == ([], 0, 2)
    assert run.by_code == {(100, 700): 1, (100, 300): 1}


def test_what_was_shown_and_is_not_on_record_is_named(run):
    more = run.by_code.copy()
    more[100, 700] += 1
    assert any("shown as paid by code" in text for text in verdict(run, more).violations)


def test_what_was_taken_and_nobody_saw_is_counted(run):
    less = run.by_code.copy()
    less[100, 700] -= 1
    found = verdict(run, less)
    assert (found.violations, found.unseen) == ([], 1)


@pytest.mark.parametrize(
    ("act", "word"),
    [
        ("UPDATE reservation SET amount_fen = amount_fen + 1 WHERE number = 1", "nobody has"),
        ("UPDATE reservation SET state = 0 WHERE number = 1", "is OPEN, not SOLD"),
        ("UPDATE reservation SET state = 2 WHERE number = 1", "is VOID, not SOLD"),
        ("DELETE FROM reservation WHERE number = 2", "what nobody has reserved"),
        ("UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 6", "waiting for cards"),
    ],
)
def test_books_that_say_something_else_are_named(run, act, word):
    database = run.services.store.database
    names = [
        name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    ]
    database.rows("SAVEPOINT planted")
    try:
        for name in names:
            database.rows(f"DROP TRIGGER {name}")
        database.rows(act)
        assert any(word in text for text in verdict(run).violations)
    finally:
        database.rows("ROLLBACK TO planted")
        database.rows("RELEASE planted")
    assert verdict(run).violations == []
