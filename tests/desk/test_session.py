"""What people do on the desk, and what a headless run of its recording does."""

import sqlite3

import pytest

from simulator.desk.verbs import Refused
from simulator.run import run_scenario
from tests.desk.conftest import SECOND_US, SMALL

STORY = (
    (7.3, {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "12.50"}),
    (6, {"do": "cut", "what": "reader-network", "site": "canteen-1"}),
    (2.000_001, {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "8.00"}),
    (2.1, {"do": "kill", "reader": "pos-1"}),
    (3, {"do": "revive", "reader": "pos-1"}),
    (4, {"do": "plug", "what": "reader-network", "site": "canteen-1"}),
    (9, {"do": "cut", "what": "mains", "site": "dorm-3"}),
    (0.3, {"do": "enter", "card": "zhang-san", "reader": "gate"}),
    (5, {"do": "plug", "what": "mains", "site": "dorm-3"}),
    (1, {"do": "press", "reader": "pos-1", "keys": "5.00\r"}),
    (2, {"do": "present", "card": "zhang-san", "reader": "pos-1", "hold_ms": 60}),
    (4, {"do": "present", "card": "zhang-san", "reader": "pos-1"}),
    (4, {"do": "slow", "site": "canteen-1", "delay_ms": 300, "loss_percent": 20}),
    (0.4, {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "2.00"}),
    (4, {"do": "cut", "what": "broker", "site": "canteen-1"}),
    (0, {"do": "cut", "what": "ledger"}),
    (3, {"do": "present", "card": "zhang-san", "reader": "pos-1", "with": ["new"]}),
    (4, {"do": "plug", "what": "broker", "site": "canteen-1"}),
    (1, {"do": "plug", "what": "ledger"}),
    (0, {"do": "slow"}),
    (1, {"do": "slow", "what": "upstream", "delay_ms": 2000, "loss_percent": 20}),
    (2, {"do": "dark", "what": "upstream", "site": "canteen-1"}),
    (1, {"do": "plug", "what": "upstream"}),
    (0, {"do": "slow", "what": "upstream"}),
    (3, {"do": "lose", "card": "zhang-san"}),
    (1, {"do": "reissue", "card": "zhang-san", "new": "new"}),
    (1, {"do": "rest", "over": "01:00:00"}),
    (900, {"do": "unlose", "card": "new", "is": "refused"}),
    (2690, {"do": "tap", "card": "new", "reader": "pos-1", "amount": "3.00"}),
)


def books(folder):
    """Everything a ledger has written, row by row, of the tables it has."""
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        return list(connection.iterdump())


def play(session, story):
    for after_s, table in story:
        session.advance(session.now_us + int(after_s * SECOND_US))
        if table.get("is") == "refused":
            before = session.recorder.text()
            with pytest.raises(Refused):
                session.act({"do": table["do"], "card": table["card"]})
            assert session.recorder.text() == before
            continue
        session.act(table)
    session.advance(session.now_us + 8 * SECOND_US)


def test_a_recording_plays_headless_to_the_same_books(open_session, tmp_path):
    session = open_session(SMALL, seed=11)
    play(session, STORY)
    there = session.finish()
    recorded = tmp_path / "recorded.toml"
    text = session.recorder.text()
    assert text.count('sees = "PAID') >= 2 and 'sees = "door open"' in text and "shows = " in text
    recorded.write_text(text, encoding="utf-8")
    here = run_scenario(recorded, keep=tmp_path / "kept")
    assert (there.violations, there.failures) == ([], []) == (here.violations, here.failures)
    assert here.approved == there.approved >= 3
    assert here.transcript_sha256 == there.transcript_sha256
    session.run.services.store.close()
    assert books(tmp_path / "kept") == books(tmp_path / "session-0")


def test_a_recording_of_nobody_is_the_file_itself(open_session):
    session = open_session(SMALL)
    session.advance(SECOND_US)
    assert session.recorder.text() == SMALL
    with pytest.raises(Refused, match="no verb"):
        session.act({"do": "fly"})
    assert session.recorder.text() == SMALL


def test_a_step_has_a_microsecond_of_its_own(open_session):
    session = open_session(SMALL)
    session.advance(5 * SECOND_US - 1)
    steps = [session.act({"do": "wait"}) for _ in range(3)]
    times = [step.at_us for step in steps]
    assert len(set(times)) == 3 and 5 * SECOND_US not in times


def test_a_reader_that_nobody_touches_says_when_its_network_goes_and_comes(open_session):
    """The clerk would send for somebody else: "offline, one waiting" of an hour ago."""
    session = open_session(SMALL.replace("card_map = 1\nload_cards = 1", 'language = "en"'))
    lcd = session.run.readers["pos-1"].hardware.lcd

    def shown():
        return [line.decode().strip() for line in lcd.lines()]

    session.advance(10 * SECOND_US)
    assert shown() == ["WELCOME", "", "", ""]
    cable = {"what": "reader-network", "site": "canteen-1"}
    session.act({"do": "cut", **cable})
    session.advance(session.now_us + 10 * SECOND_US)
    assert shown() == ["WELCOME", "", "", "OFFLINE Q      0"]
    session.act({"do": "plug", **cable})
    session.advance(session.now_us + 40 * SECOND_US)
    assert shown() == ["WELCOME", "", "", ""]


def test_what_was_read_is_expected_beside_what_happens(open_session, tmp_path):
    session = open_session(SMALL)
    tap = {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "12.50"}
    play(session, [(8, tap), (9, tap | {"amount": "60.00"}), (9, {"do": "wait"})])
    assert [one.happened for one in session.played[1:3]] == [["PAID 12.50"], ["BALANCE TOO LOW"]]
    recording = session.recorder.text()
    again = open_session(recording)
    again.advance(40 * SECOND_US)
    steps = [(one.expected, one.happened, one.is_as_expected) for one in again.played[1:3]]
    assert steps == [(text, [text], True) for text in ("PAID 12.50", "BALANCE TOO LOW")]
    other = open_session(recording.replace('balance = "68.20"', 'balance = "98.20"'))
    other.advance(40 * SECOND_US)
    second = other.played[2]
    assert (second.expected, second.happened) == ("BALANCE TOO LOW", ["CARD HAS NO PIN"])
    assert not second.is_as_expected and other.played[1].is_as_expected


def test_a_step_that_says_what_it_expects_is_recorded_as_it_is(open_session):
    session = open_session(SMALL)
    enter = {"do": "enter", "card": "new", "reader": "gate", "sees": "door open"}
    play(session, [(8, enter)])
    assert session.recorder.text().count('sees = "door open"') == 1
    assert session.played[1].happened == ["door shut"] and not session.played[1].is_as_expected
