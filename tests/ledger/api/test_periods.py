"""Merchants' settlement over HTTP, by who has logged in: from its gate to the bank."""

import hashlib
import io
import json
import time

import openpyxl
import pytest

from ledger import api_reasons as why
from ledger import people
from ledger.api.books import THREADS
from ledger.api.periods import HTML, XLSX
from ledger.invariants import check
from ledger.operators import CHANGE, Wanted
from ledger.signatures import acts
from tests.ledger.api.served import RUN, Served, let_in, session, settle
from tests.ledger.months import ACCOUNT, END_S, FROM_S, NEXT_END_S, Pos
from tests.ledger.readers import CANTEEN
from tests.ledger.staff import OF_ROLE, log_in

# Who says what of a report, in its order.
SIGNERS = {
    "audit": OF_ROLE[people.STEWARD],
    "head": "hua",
    "leader": OF_ROLE[people.LEADER],
    "centre": OF_ROLE[people.TREASURER],
}
CLERK = "clara"


# Closing goes on until it is let go, and nobody waits for it as long.
_SLOW = """
import logging, pathlib, sys, time
from ledger.api import books, server
from ledger.periods import Periods
logging.basicConfig(level="INFO")
books.Books.__init__.__defaults__ = (1.0,)
folder, close = pathlib.Path(sys.argv[1]).parent, Periods.close

def slow(*words):
    with (folder / "begun").open("a") as begun:
        begun.write("x")
    while not (folder / "go on").exists():
        time.sleep(0.01)
    return close(*words)

Periods.close = slow
server.run(sys.argv[1])
"""


class Office:
    """A served ledger whose canteen has sold 900 fen in September, and everybody's session."""

    def __init__(self, folder, is_there=True, code=RUN):
        self.pos = Pos(1001)
        self.served = Served(settle(folder, reader=self.pos), code)
        self.books = let_in(folder)
        self.tokens = {}
        self.pos.sell(600, FROM_S + 5)
        self.pos.sell(300, END_S - 9)
        if is_there:
            self.pos.inspect(END_S)
        self.books.book([self.pos.records])

    def ask(self, login, method, path, body=None):
        token = self.tokens.setdefault(login, None) or session(self.books, login)
        self.tokens[login] = token
        return self.served.ask(method, path, body, token)

    def close(self, login=CLERK, **other):
        return self.ask(
            login, "POST", "/v1/periods", {"name": "2026-09", "until_s": END_S} | other
        )

    def approve(self, step, sha256, login=None):
        said = {"step": step, "sha256": sha256}
        return self.ask(login or SIGNERS[step], "POST", "/v1/periods/1/approve", said)

    def end(self):
        assert check(self.books) == []
        self.books.close()
        log = self.served.close()
        assert "Traceback" not in log and ACCOUNT not in log


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path)
    yield office
    office.end()


def reason(answer):
    status, told = answer
    assert status >= 400, told
    assert status == why.TEXTS[told["reason"]][0]
    return told["reason"]


def good(answer):
    status, told = answer
    assert status == 200, told
    return told


def test_a_month_from_its_gate_to_the_bank(office):
    gate = good(office.ask(CLERK, "POST", "/v1/period-gate", {"until_s": END_S}))
    assert gate == {"until_s": END_S, "is_open": True, "barring": []}
    period = good(office.close())
    assert hashlib.sha256(period["report"].encode()).hexdigest() == period["sha256"]
    assert json.loads(period["report"])["closed_by"] == period["closed_by"] == CLERK
    assert [one["due_fen"] for one in period["merchants"]] == [900]
    assert good(office.close()) == period, "asked again, closed once"
    for number, step in enumerate(SIGNERS, 1):
        for _ in range(2):
            told = good(office.approve(step, period["sha256"]))
            assert [one["step"] for one in told["approvals"]] == list(SIGNERS)[:number]
    assert told["next_step"] is None
    account = CANTEEN, ACCOUNT, "食堂有限公司"
    books, now_s = office.books, int(time.time())
    unpaid = good(office.ask(CLERK, "GET", "/v1/unpaid"))["unpaid"]
    assert [(one["due_fen"], one["has_account"]) for one in unpaid] == [(900, False)]
    books.periods.payments.register(*account, log_in(books, CLERK, now_s), now_s)
    books.after_restore.restored(log_in(books, CLERK, now_s), now_s)
    waits = office.ask(SIGNERS["centre"], "POST", "/v1/payment-files", {"file": "2026-09"})
    assert reason(waits) == why.FILES_WAIT
    for who in (CLERK, SIGNERS["centre"]):
        books.after_restore.release("", 0, "", log_in(books, who, now_s), now_s)
    files = [
        good(office.ask(SIGNERS["centre"], "POST", "/v1/payment-files", {"file": name}))[
            "payments"
        ]
        for name in ("2026-09", "2026-09", "again")
    ]
    assert files[0] == files[1] and files[2] == []
    assert [(one["amount_fen"], one["account_no"]) for one in files[0]] == [(900, ACCOUNT)]
    said = {"results": [{"payment": files[0][0]["payment"], "result": "paid"}]}
    for news in (1, 0):
        assert good(office.ask(CLERK, "POST", "/v1/payment-results", said)) == {"news": news}
    said["results"][0]["result"] = "failed"
    assert reason(office.ask(CLERK, "POST", "/v1/payment-results", said)) == why.NOT_WITH_BANK
    assert good(office.ask(CLERK, "GET", "/v1/unpaid")) == {"unpaid": []}
    balances = good(office.ask(CLERK, "GET", "/v1/trial-balance"))["kinds"]
    assert sum(one["debit_fen"] - one["credit_fen"] for one in balances) == 0
    said = [one.verb for one in acts(books.database, 1_000) if one.verb.startswith("period.")]
    assert set(said) == {"period.close", "period.account", "period.file", "period.results"} | {
        f"period.{step}" for step in SIGNERS
    }


def test_a_result_of_a_payment_that_a_restore_has_lost_is_refused_with_its_number(office):
    books, now_s = office.books, int(time.time())
    books.after_restore.restored(log_in(books, CLERK, now_s), now_s)
    said = {"results": [{"payment": 17, "result": "paid"}]}
    assert reason(office.ask(CLERK, "POST", "/v1/payment-results", said)) == why.FILES_WAIT


def test_approvals_out_of_order_by_others_and_of_another_report(office):
    sha256 = good(office.close())["sha256"]
    assert reason(office.approve("head", sha256)) == why.WRONG_STEP
    assert reason(office.approve("audit", "0" * 64)) == why.OTHER_REPORT
    for login in ("clara", "wen"):
        assert reason(office.approve("audit", sha256, login)) == people.NOT_FOR_ROLE
    assert reason(office.approve("audit", sha256, "tian")) == people.NOT_FOR_ROLE
    good(office.approve("audit", sha256))
    assert reason(office.approve("head", sha256, "hes")) == people.OTHER_DEPARTMENT
    # Who has audited is made the head meanwhile, and is the same person still.
    books, now_s = office.books, int(time.time())
    wanted = Wanted(CHANGE, SIGNERS["audit"], people.GENERAL, (people.HEAD,))
    number = books.operators.propose(wanted, log_in(books, "anna", now_s), now_s)
    books.operators.approve(number, log_in(books, "bao", now_s), now_s)
    office.tokens.clear()
    assert reason(office.approve("head", sha256, SIGNERS["audit"])) == why.SAME_SIGNER
    for step in ("head", "leader", "centre"):
        good(office.approve(step, sha256))
    assert reason(office.approve("audit", sha256, "hua")) == people.NOT_FOR_ROLE
    said = {"step": "centre", "sha256": sha256, "because": "no"}
    refusing = office.ask(SIGNERS["centre"], "POST", "/v1/periods/1/refuse", said)
    assert reason(refusing) == why.REPORT_ENDED
    assert office.books.balances()["remittance", CANTEEN] == 900, "booked once"


def test_what_bars_it_is_named_decided_and_closed_by_another(tmp_path):
    office = Office(tmp_path, is_there=False)
    (bar,) = good(office.ask("stella", "POST", "/v1/period-gate", {"until_s": END_S}))["barring"]
    assert (bar["device"], bar["seq"], bar["bar"], bar["is_decided"]) == (1001, 0, "silent", False)
    assert reason(office.close()) == why.NOT_QUIET
    said = {"until_s": END_S, "open": [{"device": 1001, "seq": 9}], "because": "in repair"}
    path = "/v1/period-gate/decide"
    assert reason(office.ask("tian", "POST", path, said)) == why.NOT_QUIET
    said["open"] = [{"device": 1001, "seq": 0}]
    assert reason(office.ask(CLERK, "POST", path, said)) == people.NOT_FOR_ROLE
    for _ in range(2):
        assert good(office.ask("tian", "POST", path, said))["is_open"] is True
    period = good(office.close())
    assert [one["person"] for one in json.loads(period["report"])["open"]] == ["tian"]
    assert reason(office.close(name="2026-09 b")) == why.WRONG_SPAN
    assert reason(office.close(name="2026-10", until_s=END_S + 1)) == why.NOT_ENDED
    refusal = {"step": "audit", "sha256": period["sha256"], "because": "the till says otherwise"}
    told = good(office.ask("stella", "POST", "/v1/periods/1/refuse", refusal))
    assert (told["refusal"]["login"], told["next_step"]) == ("stella", None)
    # What it tells late is in the next one.
    office.pos.sell(40, END_S - 5)
    office.pos.inspect(NEXT_END_S)
    office.books.book([office.pos.records])
    good(office.close(name="2026-10", until_s=NEXT_END_S))
    lines = good(office.ask("tian", "GET", "/v1/periods/2/late"))["lines"]
    assert [(one["amount_fen"], one["time_s"]) for one in lines] == [(40, END_S - 5)]
    assert good(office.ask("hua", "GET", "/v1/periods"))["next"] is None
    (due,) = good(office.ask("tian", "GET", "/v1/periods/2"))["merchants"]
    assert (due["late_fen"], due["brought_turnover_fen"], due["due_fen"]) == (40, 900, 940)
    office.end()


def test_closing_that_takes_long_is_begun_once_and_holds_up_nobody_else(tmp_path):
    """Asked again for as long as it takes, as whoever is told 710 should."""
    office = Office(tmp_path, code=_SLOW)
    for _ in range(THREADS + 1):
        assert reason(office.close()) == why.TOO_SLOW
    good(office.served.ask("GET", "/v1/devices", client="watch"))
    (tmp_path / "go on").touch()
    period = good(office.close())
    assert (tmp_path / "begun").read_text() == "x"
    assert good(office.close()) == period
    office.end()


def test_statements_and_sheets_say_what_the_report_says(office):
    period = good(office.close())
    told = good(office.ask("hua", "GET", "/v1/periods/1/statements"))
    assert [(one["day"], one["sales_fen"]) for one in told["days"]] == [
        ("2026-09-01", 600),
        ("2026-09-30", 300),
    ]
    assert told["months"][0]["settled"] == [{"period": 1, "fen": 900}]
    headers = {"Authorization": f"Bearer {office.tokens['hua']}"}
    status, said, data = office.served.say("GET", "/v1/periods/1/sheet.xlsx", headers=headers)
    assert (status, said["content-type"]) == (200, XLSX)
    assert said["content-disposition"] == 'attachment; filename="period-1.xlsx"'
    book = openpyxl.load_workbook(io.BytesIO(data))
    cells = [cell.value for row in book["结算汇总"].iter_rows() for cell in row]
    assert period["sha256"] in cells and "玖元整" in cells and 9 in cells
    status, said, data = office.served.say("GET", "/v1/periods/1/sheet.html", headers=headers)
    assert (status, said["content-type"]) == (200, HTML)
    assert "玖元整" in data.decode()
    for path in ("9", "9/sheet.xlsx", "0", "x", "9/late", "9/statements"):
        assert reason(office.ask("hua", "GET", f"/v1/periods/{path}")) == why.NO_PERIOD
    assert reason(office.ask("hua", "GET", "/v1/periods/1/statements?utc_offset_s=x")) == 707
