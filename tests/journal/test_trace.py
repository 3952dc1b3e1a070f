"""`onecard journal trace`: wherever a spend has got to, that is the step which is named."""

import json
import random
import sqlite3
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from edge_agent.store import Store as AgentStore
from firmware.services.journal import Journal
from ledger import one_yuan
from protocols.wire import messages
from simulator.chips.nor_flash import NorFlash
from tests.journal.writer import SECTOR_BYTES
from tests.ledger.months import (
    CLOSED_S,
    FROM_S,
    NEXT_END_S,
    SIGNERS,
    Pos,
    approve,
    close,
    month,
    register,
)
from tests.ledger.readers import CANTEEN, CARD, Reader, open_ledger
from tools.cli import app
from tools.journal import trace_words as words
from tools.journal.sought import BadSearch, agent_opened, journals, of_card, record_of
from tools.journal.trace import Places, is_wrong, trace
from tools.journal.trace_words import DONE, ENDS, LACKS, UNSEEN, WRONG


def flashed(path, records, upto=None):
    """A flash on which a reader's records lie, as its firmware writes them."""
    flash = NorFlash(8 * SECTOR_BYTES, random.Random(1))
    journal = Journal(flash)
    journal.recover()
    for sealed in records[:upto]:
        journal.append(sealed)
    path.write_bytes(flash.image())
    return path


def said(steps):
    return [(step.number, step.status, step.word) for step in steps]


def last(steps):
    return said(steps)[-1]


@pytest.fixture
def september(tmp_path):
    """(path of the books, store, canteen): 900 fen of the canteen in September, all booked."""
    path = tmp_path / "ledger.sqlite"
    store, canteen, _kiosk = month(str(path))
    return path, store, canteen


def traced(*words):
    return CliRunner().invoke(app, ["journal", "trace", *map(str, words)])


def books(store, held=None, agent=None, masks=True):
    return Places(held or {}, agent, store.database, masks)


def test_a_debit_that_moved_no_money_is_wrong(september, monkeypatch):
    """The books say that the card paid, and nobody has the money: that is no step to wait at."""
    _path, store, canteen = september
    follow = one_yuan.follow

    def without(database, *record):
        return replace(follow(database, *record), transfers=())

    monkeypatch.setattr(one_yuan, "follow", without)
    steps = trace((canteen.device, 1), books(store))
    assert last(steps) == (words.MOVED, WRONG, "no-moves") and is_wrong(steps)


def test_from_the_tap_to_the_bank_step_by_step(september, tmp_path):
    _path, store, canteen = september
    held = journals([flashed(tmp_path / "flash", canteen.records)])
    places, record = books(store, held), (canteen.device, 1)
    assert last(trace(record, places)) == (words.PERIOD, LACKS, "no-period")
    period = close(store)
    step = trace(record, places)[-1]
    assert (step.number, step.status) == (words.APPROVED, LACKS)
    assert step.facts == {"count": 0, "needed": 4, "step": "audit", "step_zh": "总务处审核"}
    approve(store, period)
    assert last(trace(record, places)) == (words.PAID, LACKS, "no-payment")
    register(store)
    payments = store.periods.payments
    (payment, *_) = payments.make_file("2026-09", SIGNERS["centre"], CLOSED_S)
    for result, english, status in (
        (None, "the bank has not answered", LACKS),
        ("paid", "paid", ENDS),
        ("returned", "sent it back", LACKS),
    ):
        if result:
            payments.note_results([(payment.number, result, "")], "sun", CLOSED_S)
        step = trace(record, places)[-1]
        assert (step.number, step.status) == (words.PAID, status) and english in step.text(0)
    steps = trace(record, places)
    assert [number for number, _, _ in said(steps)] == list(range(1, 10))
    assert said(steps)[2] == (words.AGENT, UNSEEN, "agent")
    shown = "".join(step.text(language) for step in steps for language in (0, 1))
    assert f"holder {CARD}" not in shown and "sun" not in shown
    steps = trace(record, books(store, held, masks=False))
    shown = "".join(step.text(0) for step in steps)
    assert f"6.00 holder {CARD} -> merchant {CANTEEN}" in shown and "sun" in shown


def test_a_period_that_was_refused_says_by_whom_it_waits(september):
    _path, store, canteen = september
    period = close(store)
    store.periods.refuse(1, "audit", period.sha256.hex(), "wang", "another sum", NEXT_END_S)
    step = trace((canteen.device, 1), books(store))[-1]
    assert (step.word, step.status) == ("refused", LACKS) and "another sum" in step.text(1)


def test_a_record_that_has_not_come_is_with_the_agent_or_the_reader(tmp_path):
    pos = Pos(1001)
    pos.sell(600, FROM_S)
    pos.sell(300, FROM_S + 60)
    store = open_ledger(pos)
    store.book([pos.records[:2]])
    held = journals([flashed(tmp_path / "flash", pos.records)])
    record = (1001, 3)
    assert said(trace(record, books(store, held)))[-2:] == [
        (words.AGENT, UNSEEN, "agent"),
        (words.BOOKED, LACKS, "not-come"),
    ]
    path = tmp_path / "agent.sqlite"
    agent = AgentStore(str(path))
    agent.put_many([(1001, 1 + at, sealed) for at, sealed in enumerate(pos.records[:2])])
    with agent_opened(path) as rows:
        step = trace(record, books(store, held, rows))[2]
        assert (step.status, step.facts) == (LACKS, {"upto": 2})
    agent.put_many([(1001, 3, pos.records[2])])
    with agent_opened(path) as rows:
        places = Places({}, rows, store.database)
        assert said(trace(record, places))[0][1] == DONE  # the agent's record says who and what
        assert said(trace(record, places))[2] == (words.AGENT, DONE, "agent-has")
    agent.close()
    assert trace(record, Places({}, None, None))[0].word == "tap-nowhere"
    with pytest.raises(BadSearch), agent_opened(tmp_path / "flash"):
        pass


def test_what_waits_for_a_gap_and_what_the_books_refuse(tmp_path):
    pos = Pos(1001)
    for number in range(3):
        pos.sell(100, FROM_S + number)
    held = journals([flashed(tmp_path / "flash", pos.records)])
    store = open_ledger(pos)
    store.book([pos.records[4:]])
    step = trace((1001, 5), books(store, held))[-1]
    assert (step.word, step.facts) == ("parked", {"first": 1, "last": 4})
    stranger = open_ledger(Reader(1009))
    stranger.book([pos.records])
    step = trace((1001, 1), books(stranger, held))[-1]
    assert (step.word, step.status, step.facts) == ("rejected", WRONG, {"reason": 301})


def test_a_twin_is_seen_in_the_journal_against_the_books(tmp_path):
    pos = Pos(1001)
    pos.boot()
    twin = pos.fork()
    pos.sell(600, FROM_S)
    twin.spend(amount_fen=900)
    store = open_ledger(pos)
    store.book([pos.records])
    held = journals([flashed(tmp_path / "flash", twin.records)])
    steps = trace((1001, 2), books(store, held))
    assert last(steps) == (words.BOOKED, WRONG, "other-record") and is_wrong(steps)


def test_a_twin_is_seen_in_two_journals_and_in_the_agents_records(tmp_path):
    pos = Pos(1001)
    pos.boot()
    twin = pos.fork()
    pos.sell(600, FROM_S)
    twin.spend(amount_fen=900)
    files = [flashed(tmp_path / name, one.records) for name, one in (("a", pos), ("b", twin))]
    same = journals([files[0], files[0]])
    assert said(trace((1001, 2), Places(same)))[0] == (words.TAP, DONE, "tap")
    for order in (files, files[::-1]):
        steps = trace((1001, 2), Places(journals(order)))
        assert said(steps) == [(words.TAP, WRONG, "two-journals")]
        assert steps[0].facts == {"one": order[0], "other": order[1]}
    agent = AgentStore(str(tmp_path / "agent.sqlite"))
    agent.put_many([(1001, 1 + at, sealed) for at, sealed in enumerate(twin.records[:2])])
    agent.close()
    with agent_opened(tmp_path / "agent.sqlite") as rows:
        steps = trace((1001, 2), Places(journals(files[:1]), rows))
    assert (words.AGENT, WRONG, "agent-other") in said(steps) and is_wrong(steps)


def test_the_end_of_a_tap_that_nobody_saw_and_one_that_moved_nothing(tmp_path):
    pos = Pos(1001)
    pos.try_to_sell(600, FROM_S)
    store = open_ledger(pos)
    store.book([pos.records])
    held = journals([flashed(tmp_path / "flash", pos.records)])
    assert said(trace((1001, 1), books(store, held)))[1:] == [
        (words.OUTCOME, LACKS, "no-outcome"),
        (words.AGENT, UNSEEN, "agent"),
        (words.BOOKED, DONE, "booked"),
        (words.FATE, LACKS, "open"),
    ]
    pos.outcome((1001, 1), messages.NOT_COMMITTED)
    store.book([pos.records])
    held = journals([flashed(tmp_path / "flash", pos.records)])
    steps = trace((1001, 1), books(store, held))
    assert said(steps)[1] == (words.OUTCOME, DONE, "not-committed")
    assert last(steps) == (words.FATE, ENDS, "not-debited")
    assert last(trace((1001, 2), books(store)))[1:] == (ENDS, "no-spend")


def test_a_case_and_a_cancelled_sale_stand_among_the_steps(tmp_path):
    pos = Pos(1001)
    pos.boot()
    pos.sell(600, FROM_S, card_no=999)  # a card the books do not know
    sale = pos.sell(300, FROM_S + 60)
    pos.cancel(sale, amount_fen=300)
    store = open_ledger(pos)
    store.book([pos.records])
    steps = trace((1001, 2), books(store))
    assert (words.FATE, DONE, "case") in said(steps) and "suspense" in steps[-2].text(0)
    steps = trace(sale, books(store))
    assert (words.MOVED, DONE, "cancelled") in said(steps)


def test_by_card_and_counter_or_by_transfer(september, tmp_path):
    path, store, canteen = september
    held = journals([flashed(tmp_path / "flash", canteen.records)])
    assert of_card(CARD, 0, None, held) == [(canteen.device, 1)]
    assert of_card(CARD, 1, store.database, held) == [(1002, 1)]
    assert record_of("1001/17/0", 3) == (1001, 17)
    for text, parts in (("1001", 2), ("1001/x", 2), ("1001/17", 3), ("0/5/31", 3), ("-1/2", 2)):
        with pytest.raises(BadSearch):
            record_of(text, parts)
    store.close()

    def run(*words):
        return traced(*words, "--books", path)

    done = run("--card", CARD, "--counter", 1)
    assert done.exit_code == 0 and "1002/1" in done.output
    assert "settlement period: missing" in done.output and "结算期：缺" in done.output
    done = run("--transfer", f"{canteen.device}/1/0", "--json")
    (one,) = json.loads(done.output)
    assert one["record"] == f"{canteen.device}/1" and one["steps"][-1]["status"] == LACKS
    assert run("1001/999").exit_code == 1
    assert run("--card", CARD, "--counter", 50).exit_code == 1
    assert run("1001/1", "--transfer", "1001/1/0").exit_code == 2
    assert run("--card", CARD).exit_code == 2
    sqlite3.connect(tmp_path / "none").close()
    assert traced("1001/1", "--books", tmp_path / "none").exit_code == 2


def test_every_word_is_there_in_both_languages():
    for english, chinese in (
        *words.NAMES.values(),
        *words.WORDS.values(),
        *words.RESULTS.values(),
    ):
        assert english and chinese
        assert english.count("{") == chinese.count("{")


def test_a_number_that_nothing_has_is_refused_and_is_no_verdict(september):
    path, _store, _canteen = september
    large = "99999999999999999999"
    for sought in (
        [f"{large}/1"],
        [f"1001/{large}"],
        [f"1001/{'9' * 5000}"],
        ["--card", large, "--counter", 1],
        ["--card", 1, "--counter", large],
    ):
        assert traced(*sought, "--books", path).exit_code == 2
