"""`onecard ledger payments`: yesterday's backup comes back, and the bank has today's file."""

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from ledger.store import LedgerStore
from tests.ledger.months import ACCOUNT
from tests.ledger.test_payments import office
from tools.cli import app

NAME = "2026-09"


@pytest.fixture
def came_back(tmp_path):
    """(run, the file that was made behind the backup); `run` a command on the restored books."""
    today, backup = tmp_path / "today.sqlite", tmp_path / "b.sqlite"
    office(str(today)).close()
    new = tmp_path / "new.sqlite"

    def run(*words, code=0, path=new):
        room, verb, *rest = map(str, words)
        done = CliRunner().invoke(app, ["ledger", room, verb, str(path), *rest])
        assert done.exit_code == code, done.output
        assert ACCOUNT not in done.output
        return done.output

    said = CliRunner().invoke(app, ["ledger", "backup", str(today), str(backup)])
    assert said.exit_code == 0, said.output
    lost = tmp_path / "lost.csv"
    run("period", "pay", "--file", NAME, "--out", lost, "--by", "sun", path=today)
    said = CliRunner().invoke(app, ["ledger", "restore", str(backup), str(new)])
    assert said.exit_code == 0 and "payments waiting" in said.output, said.output
    return run, lost


def test_from_the_restore_to_the_next_file(came_back, tmp_path):
    run, lost = came_back
    pay = "period", "pay", "--file", "2026-10", "--out", tmp_path / "again.csv", "--by", "sun"
    assert "(490, R7.1)" in run(*pay, code=2)
    assert not (tmp_path / "again.csv").exists()
    said = run("payments", "waiting", code=1)
    assert "came back from a backup at 20" in said and "0 payments noted" in said
    note = "payments", "note", lost, "--kind", "remittance", "--name", NAME, "--by", "clara"
    for _ in range(2):
        assert run(*note) == "1 of 1 payments are known\n"
    release = "payments", "release", "--newest", NAME, "--total"
    assert "(482)" in run(*release, "0.00", "--by", "clara", code=2)
    assert run(*release, "9.00", "--by", "clara") == "1 of 2 have said so; files wait\n"
    assert "is said by: clara" in run("payments", "waiting", code=1)
    assert run(*release, "9.00", "--by", "tian") == "2 of 2 have said so; files go again\n"
    assert run("payments", "waiting") == "no file waits\n"
    assert "0 payments, 0.00 yuan" in run(*pay)
    answer = tmp_path / "answer.csv"
    answer.write_text("payment,result,because\n1,paid,\n")
    assert "1 of them news" in run("period", "results", answer, "--by", "sun")
    store = LedgerStore.open(str(tmp_path / "new.sqlite"))
    assert check(store) == []
    store.close()


def test_what_is_not_known_again_is_told(came_back, tmp_path):
    run, lost = came_back
    other = tmp_path / "other.csv"
    text = lost.read_text("utf-8-sig").replace(",9.00,", ",1234567.00,")
    other.write_text(text, "utf-8")
    note = "payments", "note", other, "--kind", "remittance", "--name", NAME, "--by", "clara"
    told = "remittance 1 of 2026-09, merchant 12 period 1, 1234567.00 yuan: 900 fen are due of it"
    assert told in run(*note, code=1)
    assert "not known again" in run("payments", "waiting", code=1)
    again = "payments", "note", lost, "--kind", "remittance", "--name", NAME, "--by", "clara"
    assert "(492)" in run(*again, code=2)


@pytest.mark.parametrize(
    "line",
    ["x,1,a,9.00,b", "1,1,a,nine,b", "1,1,a,0,b", "12345678901234,1,a,9.00,b", "1,1,a,9.00"],
)
def test_a_list_that_cannot_be_read(came_back, tmp_path, line):
    run, _lost = came_back
    other = tmp_path / "other.csv"
    other.write_text(f"payment,account_no,name,amount,purpose\n{line}\n")
    note = "payments", "note", other, "--kind", "refund", "--name", NAME, "--by", "clara"
    assert "line 2" in run(*note, code=2)
    assert "0 payments noted" in run("payments", "waiting", code=1)


def test_books_that_were_copied_back_by_hand(came_back, tmp_path):
    """No command has restored them: somebody says so."""
    run, _lost = came_back
    path = tmp_path / "today.sqlite"
    assert run("payments", "waiting", path=path) == "no file waits\n"
    assert "(493)" in run("payments", "release", "--total", "0", "--by", "a", code=2, path=path)
    assert "no file is made" in run("payments", "restored", "--by", "wang", path=path)
    doctor = CliRunner().invoke(app, ["ledger", "doctor", str(path)])
    assert "payments to banks" in doctor.output and "onecard ledger payments" in doctor.output
    run("payments", "waiting", code=1, path=path)
    release = "payments", "release", "--newest", NAME, "--total", "0", "--by"
    for person in ("clara", "tian"):
        run(*release, person, path=path)
    assert run("payments", "waiting", path=path) == "no file waits\n"
