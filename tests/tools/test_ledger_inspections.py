"""`onecard ledger inspections`: for people, for a spreadsheet, and an exit code to act on."""

import csv
import io
import sqlite3

import pytest
from typer.testing import CliRunner

from ledger.inspections import _BACKWARDS
from protocols.rules import reasons
from tests.ledger.readers import KIOSK, open_ledger
from tests.ledger.test_inspections import NOON_S, Till
from tools.cli import app

DAY = "2026-11-30"
UTC = ["--utc-offset-s", "0"]


def onecard(path, *words, day=DAY):
    return CliRunner().invoke(app, ["ledger", "inspections", str(path), "--day", day, *words])


@pytest.fixture
def path(tmp_path):
    done, open_, missing = Till(1001), Till(1002), Till(1003, KIOSK)
    done.report(NOON_S - 60, reason=reasons.READER_FAULT)
    done.inspect(NOON_S, waiting=3)
    open_.report(NOON_S, NOON_S + 30)
    open_.inspect(NOON_S + 60, network=0)
    missing.inspect(NOON_S - 86_400)
    store = open_ledger(done, open_, missing, path=str(tmp_path / "ledger.sqlite"))
    store.book([reader.records for reader in (done, open_, missing)])
    store.tampers.answer_for([(1003, "logistics")])
    yield tmp_path / "ledger.sqlite"
    store.close()


def test_for_people_by_merchant_with_whom_to_remind(path):
    shown = onecard(path)
    assert shown.exit_code == 1
    assert shown.output.splitlines() == [
        "Inspections of 2026-11-30",
        "merchant 12, Canteen",
        "  reader 1001, campus: inspected 2026-11-30 12:00:00, record 3: in order",
        "    3 records waited",
        "    fault reported 2026-11-30 11:59:00, record 2, after 224 (the card front end does not"
        " answer): ended 2026-11-30 12:00:00, record 3",
        "  reader 1002, campus: inspected 2026-11-30 12:01:00, record 3: 229 (the agent of the"
        " building does not answer)",
        "    fault reported 2026-11-30 12:00:00 ~ 2026-11-30 12:00:30, record 2: STANDS",
        "merchant 13, Kiosk",
        "  reader 1003, campus (logistics): NOT INSPECTED, last 2026-11-29 12:00:00, record 2",
        "To remind (R7.3):",
        "  merchant 13, Kiosk: 1003",
    ]


def test_for_a_spreadsheet_a_line_for_each_reader(path):
    rows = list(csv.DictReader(io.StringIO(onecard(path, "--csv").output)))
    assert [(row["device"], row["state"]) for row in rows] == [
        ("1001", "inspected"),
        ("1002", "inspected"),
        ("1003", "missing"),
    ]
    assert (rows[0]["faults"], rows[0]["standing"], rows[1]["standing"]) == ("2", "", "2")
    assert rows[1]["wrong"] == str(reasons.OFFLINE)
    assert rows[2]["department"] == "logistics"


def test_a_day_is_the_local_one_and_passes_when_all_have_looked(path, tmp_path):
    till = Till(1001)
    till.inspect(NOON_S - 6 * 3_600)  # 22:00 UTC of the day before, 06:00 in China
    open_ledger(till, path=str(tmp_path / "one.sqlite")).book([till.records])
    assert onecard(tmp_path / "one.sqlite").exit_code == 0
    assert onecard(tmp_path / "one.sqlite", *UTC).exit_code == 1


@pytest.mark.parametrize("day", ["26-11-2026", "2026-11", "2026-02-30", ""])
def test_what_is_no_day_is_refused(path, day):
    refused = onecard(path, day=day)
    assert refused.exit_code == 2 and "is not a day such as" in refused.output


def test_the_index_that_was_made_for_it_is_used(path):
    with sqlite3.connect(path) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {_BACKWARDS}", (1001, 9, 20)).fetchall()
    assert ["record_inspected" in step[3] for step in plan] == [True]


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "x").write_text("no books")
    assert onecard(tmp_path / "x").exit_code == 2
