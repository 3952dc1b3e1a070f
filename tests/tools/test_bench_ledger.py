"""The ledger's benchmarks on tiny parameters: no figure for books that are not right."""

import tempfile

import psycopg
import pytest

from ledger import people
from ledger.console.pages import PAGES
from ledger.invariants import check
from ledger.portions import DELIVERIES_MAX
from ledger.store import LedgerStore
from tools import bench_report
from tools.bench import (
    console,
    console_campus,
    console_visits,
    ledger_growth,
    ledger_period,
    ledger_rate,
)

# Of few taps many are what pages are about.
SHARES_OF_FEW = (0.5, 0.8, 0.85, 0.93, 0.95)


def test_a_rate_is_that_of_right_books(tmp_path):
    work = ledger_rate.Work.drawn(seed=1, spends=300, workers=1)
    assert sum(len(part) for part in work.portions[0]) > work.records, "some come twice"
    cost = ledger_rate.measure(str(tmp_path / "ledger.sqlite"), work)
    assert cost.rate > 0
    assert cost.us == cost.client_us > 0, "too few to read ahead"
    assert cost.server_us == 0, "there is none"


def test_a_server_s_processor_time_is_told_beside_that_of_a_transaction():
    with tempfile.TemporaryDirectory() as folder, ledger_rate.database_server(folder) as server:
        if server is None:
            pytest.skip("needs postgresql (Debian package)")
        work = ledger_rate.Work.drawn(seed=1, spends=300, workers=2)
        cost = ledger_rate._on(server, "books", work)
        tpcb = ledger_rate.pgbench(server, seconds=1)
    assert cost.us > cost.server_us > 0
    assert tpcb.us > tpcb.server_us > tpcb.client_us > 0
    shown = [_complete(row, "ledger_rate") for row in ledger_rate._rows("here", cost, tpcb)]
    assert [row["other"] for row in shown] == [round(tpcb.rate), round(tpcb.us, 1)]
    assert f"{cost.server_us:.1f} server" in shown[1]["name"]


def test_the_server_keeps_a_whole_portion_in_memory():
    """Its triggers look at all that it brings; 4 MB, as a server has it, were not enough."""
    with tempfile.TemporaryDirectory() as folder, ledger_rate.database_server(folder) as server:
        if server is None:
            pytest.skip("needs postgresql (Debian package)")
        server.run("CREATE DATABASE books")
        work = ledger_rate.Work.drawn(seed=1, spends=8_000, workers=1)
        work.register(server.url("books"))
        store = LedgerStore.open(server.url("books"))
        store.book(work.portions[0][:DELIVERIES_MAX])
        store.close()  # which tells the server's statistics
        sql = "SELECT temp_files FROM pg_stat_database WHERE datname = 'books'"
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute(sql.encode()).fetchone() == (0,)


def test_workers_share_the_readers_and_not_a_reader(tmp_path):
    one, two = (ledger_rate.Work.drawn(1, 300, workers) for workers in (1, 2))
    halves = [{sealed for part in portion for sealed in part} for portion in two.portions]
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] == {sealed for part in one.portions[0] for sealed in part}


@pytest.mark.parametrize("spoil", ["lost", "changed"])
def test_no_figure_for_books_that_lack_something(tmp_path, spoil):
    work = ledger_rate.Work.drawn(seed=1, spends=100, workers=1)
    if spoil == "lost":
        work.portions[0].pop()
    else:
        work.cards[0].balance_fen += 1
    with pytest.raises(ledger_rate.NotBooked):
        ledger_rate.measure(str(tmp_path / "ledger.sqlite"), work)


# --- growth ----------------------------------------------------------------------------------


def test_growth_is_measured_at_each_size_and_judged(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger_growth, "FIRST_SIZE", 60)
    monkeypatch.setattr(ledger_growth, "CARDS", 20)
    monkeypatch.setattr(ledger_growth, "READERS", 3)
    monkeypatch.setattr(ledger_growth, "TAPS_A_LOAD", 7)
    rows = list(ledger_growth._of("file", str(tmp_path / "l.sqlite"), 600, lambda: 1000))
    assert [row["ratio"] for row in map(_complete, rows[:7])] == [1.0] * 6 + [None]
    assert len(rows) == 14, "seven figures at 60 records, seven at 600"
    assert all(row["ours"] > 0 for row in rows if "room" not in row["name"])


def test_growth_of_books_that_lack_something_has_no_figure(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger_growth, "CARDS", 20)
    store = ledger_growth.LedgerStore.open(str(tmp_path / "l.sqlite"))
    growth = ledger_growth.Growth(store)
    growth.register()
    growth.grow(100)
    growth.judge()
    growth.cards[0].balance_fen += 1
    with pytest.raises(ledger_growth.NotBooked):
        growth.judge()
    monkeypatch.setattr(ledger_growth, "check", lambda store: ["not so"])
    with pytest.raises(ledger_growth.NotBooked, match="not so"):
        growth.check_s()
    store.close()


def test_only_what_grows_takes_a_size():
    with pytest.raises(bench_report.UnknownBench, match="codec does not grow"):
        bench_report.rows(["codec"], records=10_000)


def _complete(row, name="ledger_growth"):
    return bench_report.complete(name, row)


# --- periods ---------------------------------------------------------------------------------


def test_the_turn_that_closing_holds_is_a_part_of_closing(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger_growth, "CARDS", 20)
    monkeypatch.setattr(ledger_growth, "READERS", 3)
    place = str(tmp_path / "l.sqlite")
    rows = [_complete(row) for row in ledger_period.measure("file", place, 600)]
    closing, approving, checking = rows
    assert 0 < closing["ratio"] < 1 and 0 < approving["ratio"] < 1 and checking["ours"] > 0
    store = ledger_growth.LedgerStore.open(place)
    (period,) = store.periods.every()
    assert period.is_approved and sum(due.count for due in store.periods.due(1)) > 280
    store.close()


def test_no_figure_of_a_period_of_books_that_lack_something(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger_growth, "CARDS", 20)
    monkeypatch.setattr(ledger_growth, "READERS", 3)
    monkeypatch.setattr(ledger_period, "check", lambda store: ["not so"])
    with pytest.raises(ledger_rate.NotBooked):
        list(ledger_period.measure("file", str(tmp_path / "l.sqlite"), 1_000))


# --- the console -----------------------------------------------------------------------------


def test_each_page_of_the_console_is_asked_on_books_that_are_right(monkeypatch, tmp_path):
    for name, count in (("POS", 4), ("LOCKS", 4), ("MAGNETS", 4), ("MACHINES", 1)):
        monkeypatch.setattr(console_campus, name, count)
    monkeypatch.setattr(console_campus, "SHARES", SHARES_OF_FEW)
    # Every page is asked in tests/ledger/console/test_plans.py; here is how a figure comes about.
    monkeypatch.setattr(console_visits, "PAGES", [page for page in PAGES if page.menu][:6])
    monkeypatch.setattr(console_visits, "_QUESTIONS", console_visits._QUESTIONS[:1])
    monkeypatch.setattr(console_visits, "_POSTED", console_visits._POSTED[:1])
    monkeypatch.setattr(console_visits, "ASKED", 2)
    place = str(tmp_path / "l.sqlite")
    console.make(place, cards=30, records=600)
    found = console.measured(tmp_path, place)
    assert [one.count for one in found] == [2] * len(found) and len(found) == 8
    assert all(0 < one.median_ms <= one.late_ms for one in found)
    assert found[-1].size == 0, "a number leads to its card"
    monkeypatch.setattr(console, "measured", lambda _folder, _place: found)
    rows = list(console._rows("here", tmp_path, "large", "small", (30, 600), (30, 600)))
    assert [_complete(row, "console")["ratio"] for row in rows] == [1.0] * len(found)
    store = ledger_growth.LedgerStore.open(place)
    summary = store.summary()
    assert summary["records"] >= 600 and summary["booked"] > 100 and check(store) == []
    store.close()


def test_every_page_but_those_of_administrators_is_asked():
    unasked = [one for one in PAGES if not one.is_open and not console_visits.login_for(one)]
    assert unasked and all(one.is_for((people.ADMINISTRATOR,)) for one in unasked)


def test_a_page_that_is_refused_has_no_figure(tmp_path):
    place = str(tmp_path / "l.sqlite")
    ledger_growth.LedgerStore.open(place).close()
    served = console_visits.Console(tmp_path, place)
    try:
        with pytest.raises(console_visits.NoPage, match="login of clerk"):
            served.log_in("clerk")
    finally:
        served.close()
