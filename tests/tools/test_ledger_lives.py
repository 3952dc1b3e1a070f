"""`onecard ledger card`, `temporary` and `batch`: whole lives, beside a ledger that is at work."""

import csv
import stat

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from tests.adapters.test_spreadsheet import book
from tests.ledger.readers import Reader, open_ledger
from tools.cli import app

ACCOUNT, NAME = "6217001234567890122", "张三"


def onecard(*words, typed=""):
    return CliRunner().invoke(app, ["ledger", *map(str, words)], input=typed)


def good(*words, typed=""):
    done = onecard(*words, typed=typed)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store(path):
    """Books that a ledger has open."""
    store = open_ledger(Reader(1001), path=str(path))
    yield store
    assert check(store) == []
    store.close()


def issue_list(tmp_path, cards=(50, 51, 52)):
    file = tmp_path / "freshmen.csv"
    lines = [f"{card_no},N{card_no},student,Nursing,2026-09-01,2029-07-01" for card_no in cards]
    head = "card_no,person_no,kind,department,valid_from,valid_to"
    file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return file


def graduation_list(tmp_path, cards=(50, 51), account_no=ACCOUNT):
    file = tmp_path / "graduates.csv"
    lines = [f"{card_no},N{card_no},{account_no},{NAME}" for card_no in cards]
    file.write_text("\n".join(["card_no,person_no,account_no,name", *lines]), encoding="utf-8-sig")
    return file


def signed(path, file, kind):
    """The words of a run that two persons have signed."""
    done = onecard("batch", "dry-run", path, file, "--kind", kind)
    sha256 = done.output.split()[-1]
    words = path, file, "--kind", kind, "--sha256", sha256
    for person in ("wang", "li"):
        good("batch", "sign", *words, "--by", person)
    return words


def test_from_the_list_of_freshmen_to_the_money_of_graduates(store, path, tmp_path):
    words = signed(path, issue_list(tmp_path), "issue")
    for _ in range(2):
        done = good("batch", "run", *words, "--by", "wang")
        assert done == "3 lines are done, 0 are left\n"
    for card_no in (50, 51):
        store.top_ups.top_up(card_no, 1_250, f"order-{card_no}")
    file = graduation_list(tmp_path)
    said = good("batch", "dry-run", path, file, "--kind", "graduation").splitlines()
    assert said[:2] == ["line 2, card 50: close it", "line 3, card 51: close it"]
    assert said[2] == "card 52 ends with these and is not in the list"
    assert said[3:5] == [
        "2 of 2 lines would be done, 0 contradict",
        "on these cards and waiting for them: 25.00 yuan",
    ]
    good("batch", "run", *signed(path, file, "graduation"), "--by", "wang")
    assert good("card", "show", path, "--card", 50).startswith("card 50: closed\n")
    assert good("batch", "settle", path) == "nothing is due\n"
    _settle(path)
    _pay(path, tmp_path)
    assert good("refunds", "unpaid", path) == "everything is paid\n"
    assert store.balances()["clearing", 0] == -2 * 10_000


def _settle(path):
    """A reader that was never heard keeps the money back, until somebody passes over it."""
    settle = "batch", "settle", path, "--after-h", 0
    done = onecard(*settle)
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "reader 1001 keeps back 2 cards: no record of it is booked",
        "  ends it: any record of it with a known time; or release it, if it was never in use",
        "2 cards wait for that, or for somebody who decides (--despite)",
    ]
    for words in (("--by", "zhou"), ("--despite", "1001/x", "--by", "zhou", "--because", "new")):
        assert onecard(*settle, *words).exit_code == 2
    decided = "--despite", "1001", "--by", "zhou", "--because", "still in its box"
    assert "card 50: 12.50 yuan are to be paid out" in good(*settle, *decided)
    assert good(*settle) == "nothing is due\n"


def _signed_file(path, name, total):
    """The words of a file that two persons have signed."""
    said = good("refunds", "dry-run", path, "--file", name)
    assert f"{total} yuan; with the bank 0.00, without an account 0.00" in said
    words = path, "--file", name, "--sha256", said.split()[-1]
    assert onecard("refunds", "sign", *words, "--total", "1", "--by", "sun").exit_code == 2
    for person in ("sun", "qian"):
        good("refunds", "sign", *words, "--total", total, "--by", person)
    return words


def _pay(path, tmp_path):
    """One payment fails and goes again; who has registered an account does not make the file."""
    out = tmp_path / "refunds.csv"
    words = _signed_file(path, "2026-06", "25.00")
    words = "refunds", "make", *words, "--out", out
    assert onecard(*words, "--by", "wang").exit_code == 2
    assert not out.exists()
    for _ in range(2):
        said = good(*words, "--by", "li")
        assert said == f"2 payments, 25.00 yuan, are in {out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(encoding="utf-8-sig", newline="") as source:
        rows = list(csv.reader(source))
    assert rows[1] == ["1", ACCOUNT, NAME, "12.50", "card 50"]
    answer = tmp_path / "answer.csv"
    answer.write_text("payment,result,because\n1,paid,\n2,failed,closed account\n")
    for news in (2, 0):
        said = good("refunds", "results", path, answer, "--by", "li")
        assert said == f"2 payments, {news} of them news\n"
    left = onecard("refunds", "unpaid", path)
    assert (
        left.exit_code == 1 and "card 51: 12.50 yuan, no account that was not tried" in left.output
    )
    typed = f"430102199001011\n{NAME}\n"
    said = good("card", "payee", path, "--card", 51, "--by", "wang", typed=typed)
    assert "430102199001011" not in said and NAME not in said
    words = _signed_file(path, "2026-07", "12.50")
    good("refunds", "make", *words, "--out", out, "--by", "li")
    answer.write_text("payment,result,because\n3,paid,\n")
    good("refunds", "results", path, answer, "--by", "li")


def test_a_list_that_contradicts_exits_1_and_does_the_rest(store, path, tmp_path):
    file = issue_list(tmp_path, cards=(7, 50))  # 7 is in use
    done = onecard("batch", "dry-run", path, file, "--kind", "issue")
    assert done.exit_code == 1 and "line 2, card 7: is active (411)" in done.output
    done = onecard("batch", "run", *signed(path, file, "issue"), "--by", "wang")
    assert done.exit_code == 1 and "1 lines are done, 1 are left" in done.output
    assert store.cards.state(50) == "active"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line is not card_no,"),
        ("card_no,person_no,account_no,name\n", "no lines"),
        ("card_no,person_no,account_no,name\n50,N50\n", "line 2 has not 4 cells"),
        ("card_no,person_no,account_no,name\nx,N50,430102199001011,A\n", "line 2 cannot be"),
        (
            "card_no,person_no,account_no,name\n-3,N50,430102199001011,A\n",
            "line 2 cannot be: a ca",
        ),
        (
            "\ufeffcard_no,person_no,account_no,name\n٥,N50,430102199001011,A\n",
            "line 2 cannot be: a ca",
        ),
        (
            f"card_no,person_no,account_no,name\n{9**99},N50,{ACCOUNT},A\n",
            "line 2 cannot be: a ca",
        ),
        (f"card_no,person_no,account_no,name\n50,N50,{ACCOUNT}1,A\n", "line 2 cannot be: an acc"),
        ("card_no,person_no,account_no,name\n50,张,430102199001011,A\n", "line 2 cannot be: no"),
        ('card_no,person_no,account_no,name\n50,N50,"43', "line 2 is no CSV"),
    ],
)
def test_a_list_that_cannot_be_read_names_its_line_and_nobody(store, path, tmp_path, text, said):
    file = tmp_path / "list.csv"
    file.write_text(text, encoding="utf-8")
    before = store.dump()
    done = onecard("batch", "dry-run", path, file, "--kind", "graduation")
    assert done.exit_code == 2 and said in done.output
    assert ACCOUNT not in done.output and store.dump() == before


def test_a_list_from_another_program_and_a_hash_that_is_none(store, path, tmp_path):
    """A spreadsheet in Chinese, and a CSV in GB18030, are the list that the same lines are."""
    heads, line = "卡号,学工号,银行账号,户名", f"50,N50,{ACCOUNT},张"
    file, csv = tmp_path / "list.xlsx", tmp_path / "list.csv"
    file.write_bytes(book(heads.split(","), line.split(",")))
    csv.write_bytes(f"{heads}\n{line}\n".encode("gb18030"))
    for each in (file, csv):
        done = onecard("batch", "dry-run", path, each, "--kind", "graduation")
        assert "of 1 lines would be done" in done.output and ACCOUNT not in done.output
    file.write_bytes(book(heads.split(","), [50, "N50", int("4" * 19), "张"]))
    done = onecard("batch", "dry-run", path, file, "--kind", "graduation")
    assert done.exit_code == 2 and "C2 is a number of more than 15 digits" in done.output
    words = path, issue_list(tmp_path), "--kind", "issue", "--sha256", "12", "--by", "wang"
    for verb in ("sign", "run"):
        done = onecard("batch", verb, *words)
        assert done.exit_code == 2 and "64 hexadecimal digits" in done.output
    assert store.cards.epoch() == 0


def test_a_temporary_card_from_its_form_on(store, path):
    words = ("--category", "tenant", "--relation", "owner", "--department", "Logistics")
    done = onecard("temporary", "apply", path, *words, "--from", "2026-09-01", typed="T1\nS1\n")
    assert done.exit_code == 2 and "states a term" in done.output
    days = "--from", "2026-09-01", "--to", "2099-01-01"
    said = good("temporary", "apply", path, *words, *days, typed="T1\nS1\n")
    mark = said.partition("(mark ")[2][:8]
    assert said == f"application 1 (mark {mark}): two persons have to approve it\n"
    good("card", "issue", path, "--card", 50, "--by", "wang")
    one = path, "--application", 1
    unmarked = *one, "--card", 50, "--by", "wang"
    hand_out = "temporary", "hand-out", *unmarked, "--mark", mark
    assert "not approved by two persons" in onecard(*hand_out).output
    for step, person in (("department", "zhao"), ("finance", "qian")):
        approve = "temporary", "approve", *one, "--step", step, "--by", person
        for wrong in ((), ("--mark", "0" * 8)):  # behind a restore 1 may be somebody else's
            shown = onecard(*approve, *wrong)
            told = shown.output.replace("\n", " ")
            assert shown.exit_code == 2 and f"say its mark {mark}" in told
            assert "Logistics, from 2026-09-01, to 2099-01-01" in told and "T1" not in told
        good(*approve, "--mark", mark)
    assert onecard("temporary", "hand-out", *unmarked).exit_code == 2
    assert store.cards.state(50) == "issued"
    for _ in range(2):
        assert "20.00 yuan are booked" in good(*hand_out)
    assert store.balances()["fees", 0] == 2_000
    assert good("temporary", "ending", path) == "none ends within 10 days\n"
    extend = "temporary", "extend", path, "--card", 50, "--department", "Logistics"
    done = onecard(*extend, "--to", "2099-06-01", "--by", "wang")
    assert done.exit_code == 2 and "last 10 days only" in done.output


def test_staff_from_the_first_day_to_the_last(store, path):
    for verb in ("order", "issue"):
        good("card", verb, path, "--card", 50)
    words = ("--kind", "staff", "--department", "Library", "--from", "2026-09-01", "--by", "wang")
    opening = "card", "open", path, "--card", 50, *words, "--to"
    done = onecard(*opening, "2060-01-01", typed="S1001\n")
    assert done.exit_code == 2 and "evidence" in done.output and "S1001" not in done.output
    assert onecard(*opening, "soon", "--evidence", "id-card", typed="S1001\n").exit_code == 2
    done = onecard(*opening, "2060-01-01", "--evidence", "id-card+bank-card", typed="S1001\n")
    assert done.exit_code == 2 and "also takes hr-notice (414, R12.1)" in done.output
    shown = "--evidence", "id-card+hr-notice+bank-card"
    said = good(*opening, "2060-01-01", *shown, typed="S1001\n")
    assert said == "card 50 is active, valid until 2060-01-01\n"
    assert good("card", "expire", path) == "none is over\n"
    refused = onecard("card", "unlose", path, "--card", 50, "--as", "holder", "--channel", "app")
    assert refused.exit_code == 2 and "(412, R14.3)" in refused.output
    good("card", "terminate", path, "--card", 50, "--evidence", "leaving-notice", "--by", "wang")
    refused = onecard("card", "warn", path, "--card", 50, "--by", "wang")
    assert refused.exit_code == 2 and "is terminated" in refused.output
    left = onecard("refunds", "unpaid", path)
    assert (left.exit_code, store.cards.state(50)) == (0, "terminated")
