"""What Finance and General Affairs do in the console, over HTTP, and what the books have then.

Failure first: sent twice, by somebody else, of something that has changed, of a file that is bad.
"""

import csv
import io
import time

import openpyxl
import pytest

from ledger import reasons
from ledger.console.exports import csv_of, xlsx
from ledger.console.payments import UNREADABLE
from ledger.console.refusals import BAD_FIELDS
from ledger.people import NOT_FOR_ROLE
from ledger.period_reasons import OTHER_REPORT, SAME_PERSON, WRONG_STEP
from ledger.period_sheet import Fen
from ledger.procedures import ANOTHER_PERSON, NO_EVIDENCE
from tests.ledger.console.business import CARD_NO, DAY_S, KIOSK, STRANGE, midnight_s
from tests.ledger.console.campus import Console, books_in, configure, visitor
from tests.ledger.readers import CANTEEN

CASE = f"/cases/{reasons.UNKNOWN_CARD}/{STRANGE[0]}/{STRANGE[1]}"
STATEMENT = "channel,order_no,merchant_no,amount,time\n"
BOUNDARY = "b0undary"
HUGE = "9" * 5_000  # more than any database has, and than Python reads as a number


@pytest.fixture
def office(tmp_path):
    """(console, store) of books of this test alone."""
    config = configure(tmp_path)
    store = books_in(tmp_path)
    console = Console(config)
    yield console, store
    log = console.close()
    store.close()
    assert "Traceback" not in log, log


@pytest.fixture
def sits(office):
    """Who has logged in, by login; one browser each."""
    seats = {}
    return lambda login: seats.setdefault(login, visitor(*office, login))


def upload(person, page, action, name, data, **typed):
    """A form of `page` with a file."""
    fields = person.get(page).form(action) | typed
    fields.pop(name, None)
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'
        for key, text in fields.items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{data}\r\n--{BOUNDARY}--\r\n"
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return person.say("POST", action, "".join(parts), kind)


def signs(person, act="approve", **typed):
    """The form of the report for whoever is next."""
    forms = person.get("/periods/1").page.forms
    fields = next(fields for _where, fields in forms if fields.get("act") == act)
    return person.post("/periods/1", fields | typed)


def test_four_persons_approve_in_their_order_and_the_merchant_is_paid_once(office, sits):
    _console, store = office
    stale = _first(sits("stella").get("/periods/1"), "approve")
    answer = sits("stella").post("/periods/1", stale | {"step": "head"})
    assert answer.reason == NOT_FOR_ROLE
    answer = sits("stella").post("/periods/1", stale | {"sha256": "00" * 32})
    assert (answer.status, answer.reason) == (409, OTHER_REPORT)
    assert "没有办成" in answer.text
    for login in ("stella", "hua", "lin", "tian"):
        answer = signs(sits(login))
        assert (answer.status, answer.headers["location"]) == (303, "/periods/1?done=approved")
    period = store.periods.period(1)
    assert [who for _step, who, _time in period.approvals] == ["stella", "hua", "lin", "tian"]
    again = sits("stella").post("/periods/1", stale)
    assert again.status == 303, "asked again, it is answered the same"
    assert len(store.periods.period(1).approvals) == 4
    # An account of one clerk, a file of the treasurer; the second file of the name is the same.
    bank = {"act": "account", "account_no": "4305 0176 4536 0000 0123", "name": "食堂有限公司"}
    page = f"/merchants/{CANTEEN}"
    answer = sits("clara").post(page, _first(sits("clara").get(page), "account") | bank)
    assert answer.status == 303, answer.text
    shown = sits("clara").get(page).text
    assert "4305017645360000" not in shown and "0123" in shown
    files = [sits("tian").send("/payments", "/payments/file", file="2026-11") for _ in range(2)]
    assert files[0].data == files[1].data
    heads, line = csv.reader(io.StringIO(files[0].data.decode("utf-8-sig"), newline=""))
    assert heads == ["付款号", "账号", "户名", "金额", "用途"]
    assert line[:4] == ["1", "43050176453600000123", "食堂有限公司", "9.00"], "to the letter"
    sheet = {"file": "2026-11", "for": "people"}
    answer = sits("tian").send("/payments", "/payments/file", **sheet)
    (row,) = openpyxl.load_workbook(io.BytesIO(answer.data)).active.iter_rows(min_row=2)
    assert [cell.value for cell in row][:4] == [1, "43050176453600000123", "食堂有限公司", 9]
    assert (row[1].data_type, row[3].number_format) == ("s", "#,##0.00")
    for line in ("1,maybe,", "x,paid,"):  # a line that is not read, and none of the others is
        what = "/payments", "/payments/results", "results", f"付款号,结果,原因\n1,成功,\n{line}\n"
        answer = upload(sits("clara"), *what)
        assert (answer.status, answer.reason) == (422, UNREADABLE) and "line 3" in answer.text
    assert list(store.database.rows("SELECT number FROM remittance_result")) == []
    answer = sits("clara").send("/payments", "/payments/results", payment="1", result="paid")
    assert answer.status == 303, answer.text
    assert [one.owner for one in store.periods.payments.unpaid()] == [KIOSK]


def _first(answer, act):
    """The fields of the form that does `act`."""
    return next(fields for _where, fields in answer.page.forms if fields.get("act") == act)


def _way(answer, verb, role=None):
    """The fields of the form that takes a step, as that role."""
    return next(
        fields
        for _where, fields in answer.page.forms
        if fields.get("verb") == verb and role in (None, fields["role"])
    )


def test_a_report_is_refused_with_a_reason_and_by_the_right_person(office, sits):
    _console, store = office
    answer = signs(sits("stella"), "refuse", because=" ")
    assert (answer.status, answer.reason) == (409, WRONG_STEP)
    answer = signs(sits("stella"), "refuse", because="食堂的账本不一样")
    assert answer.headers["location"] == "/periods/1?done=refused"
    assert store.periods.period(1).refusal[1:3] == ("stella", "食堂的账本不一样")
    assert "食堂的账本不一样" in sits("hua").get("/periods/1").text
    assert sits("hua").get("/periods/9").status == 404
    assert sits("hua").get("/periods/x").status == 404


def test_what_bars_a_period_is_decided_by_another_person_than_closes_it(office, sits):
    _console, store = office
    signs(sits("stella"), "refuse", because="once more")
    kiosk = store.heads()[1002]
    assert kiosk
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
    # Today is not over: no period ends with it.
    page = f"/periods/close?until={today}"
    shown = sits("tian").get(page)
    assert 'name="open-1002-0"' in shown.text, "it has not told what comes until midnight"
    fields = _first(shown, "decide")
    answer = sits("tian").post("/periods/close", fields | {"because": "broken"})
    assert answer.status == 422, "nothing is ticked"
    for reader in (HUGE, f"1002-{HUGE}", f"{HUGE}-0", "1002"):
        answer = sits("tian").post("/periods/close", fields | {f"open-{reader}": "1"})
        assert (answer.status, answer.reason) == (422, BAD_FIELDS), reader
    barring = {f"open-{one.device}-{one.seq}": "1" for one in _bars(store)}
    answer = sits("tian").post("/periods/close", fields | {"because": "broken"} | barring)
    assert answer.status == 303, answer.text
    form = _first(sits("clara").get(page), "close")
    answer = sits("clara").post("/periods/close", form | {"name": "second"})
    assert answer.status == 409 and len(store.periods.every()) == 1, "it is not over yet"


def _bars(store):
    until_s = midnight_s(int(time.time())) + DAY_S
    return store.periods.quiet(until_s)[1]


def test_sheets_are_a_workbook_with_words_and_a_page_to_print(sits):
    answer = sits("clara").get("/periods/1/sheet.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.data))
    cells = [str(cell.value) for row in book["结算汇总"].iter_rows() for cell in row]
    assert "壹拾肆元整" in cells, cells
    page = sits("clara").get("/periods/1/sheet").text
    assert "人民币（大写）壹拾肆元整" in page and "总务处审核：" in page


def test_the_line_is_red_and_names_the_reader_and_the_record(sits, office):
    _console, store = office
    page = sits("clara").get("/balance")
    assert "不平" in page.text and f'href="{CASE}"' in page.text
    propose = {"bearer": "card centre", "because": "一张废卡"}
    answer = sits("clara").post(CASE, _first(sits("clara").get(CASE), "propose") | propose)
    assert answer.status == 303, answer.text
    # The second person sees it waiting, and both records.
    assert "/cases" in sits("tian").get("/").text
    seen = _first(sits("tian").get(CASE), "approve")
    assert sits("tian").post(CASE, seen | {"mark": "0" * 12}).reason == 793
    assert sits("clara").post(CASE, seen).status == 403, "a form of another session"
    answer = sits("tian").post(CASE, seen)
    assert answer.status == 303, answer.text
    assert "✓ 平账" in sits("clara").get("/balance").text
    ((fen,),) = store.database.rows(
        "SELECT COALESCE(SUM(amount_fen), 0) FROM transfer WHERE kind = 40"
    )
    assert fen == 400


def test_a_statement_comes_in_whole_or_not_at_all(sits, office):
    _console, store = office
    clerk = sits("clara")
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    bad = STATEMENT + f"wechat,A1,{CANTEEN},8.80,{now}\nwechat,A2,{CANTEEN},nothing,{now}\n"
    answer = upload(clerk, "/statements", "/statements", "statement", bad)
    assert (answer.status, answer.reason) == (409, UNREADABLE) or answer.status == 422
    assert "line 3" in answer.text and not store.aggregate.matched().lines
    good = STATEMENT + f"wechat,=A1,{CANTEEN},8.80,{now}\n"
    assert "line 2" in upload(clerk, "/statements", "/statements", "statement", good).text
    good = STATEMENT + f"wechat,4200001234567890123456789012,{CANTEEN},7.70,{now}\n"
    for done in ("statement", "statement_known"):
        answer = upload(clerk, "/statements", "/statements", "statement", good)
        today = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
        assert answer.headers["location"] == f"/statements?day={today}&done={done}"
    page = clerk.get("/statements").text
    assert "4200001234567890123456789012" in page and "没有对上 · 2" in page
    text = clerk.get("/statements/open?as=csv").data
    assert text.startswith(b"\xef\xbb\xbf")
    assert "4200001234567890123456789012\t" in text.decode("utf-8-sig")


def test_a_merchants_day_is_signed_as_it_was_seen(sits, office):
    _console, store = office
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
    path = f"/merchants/{CANTEEN}/day"
    page = sits("stella").get(f"{path}?day={today}")
    fields = page.form(path)
    assert sits("stella").post(path, fields | {"sha256": "00" * 32}).reason == 791
    answer = sits("stella").post(path, page.form(path))
    assert answer.headers["location"] == f"{path}?day={today}&done=day_signed"
    assert "✓ 签字 stella" in sits("stella").get(f"{path}?day={today}").text
    book = openpyxl.load_workbook(io.BytesIO(sits("stella").get(f"{path}/list?day={today}").data))
    assert [cell.value for cell in book["日合计"][2]][2] == "1005"
    del store


def test_a_ticket_goes_from_hand_to_hand_by_who_may(sits, office):
    _console, store = office
    path = "/dossiers/1"
    answer = sits("stella").post(path, _way(sits("stella").get(path), "accept", "department"))
    assert answer.status == 303, answer.text
    ways = [f["verb"] for _where, f in sits("eng").get(path).page.forms if "verb" in f]
    assert ways == ["hand-over", "fix"]
    fields = _way(sits("eng").get(path), "fix")
    assert sits("eng").post(path, fields).status == 303
    assert sits("eng").post(path, fields).status == 303, "a double click is one step"
    assert store.merchants.dossiers.dossier(1).state == "fixed"
    # Whoever has mended it does not confirm it; who has told it does, and reopening takes a text.
    answer = sits("stella").post(path, _way(sits("stella").get(path), "reopen", "department"))
    assert answer.reason == NO_EVIDENCE
    confirm = _way(sits("stella").get(path), "confirm", "department")
    assert sits("stella").post(path, confirm).status == 303
    assert store.merchants.dossiers.dossier(1).state == "closed"
    assert [where for where, _f in sits("stella").get(path).page.forms if where == path] == []


def test_a_merchant_becomes_one_with_the_fifth_signature(sits, office):
    _console, store = office
    page = "/dossiers/begin/merchant"
    form = {"reference": "2026-7", "merchant_no": "14", "name": "面包房", "because": "东门没有"}
    form |= {"department": "General Affairs", "project": "Informatisation"}
    form |= {"quantity": "1", "amount": "6000"}
    answer = sits("stella").send(page, page, **form)
    path = answer.headers["location"].partition("?")[0]
    assert path.startswith("/dossiers/"), answer.text
    for login in ("hua", "lin", "hip", "lip", "pei"):
        assert store.merchants.dossiers.dossier(int(path[10:])).state != "approved"
        fields = _way(sits(login).get(path), "sign")
        assert sits(login).post(path, fields).status == 303, login
    admit = _first(sits("eng").get(path), "admit")
    for devices in (HUGE, f"2001 {HUGE}", "2001-2002"):
        answer = sits("eng").post(path, admit | {"devices": devices})
        assert (answer.status, answer.reason) == (422, BAD_FIELDS), devices
    answer = sits("eng").post(path, admit | {"devices": "2001 2002"})
    assert answer.status == 409, "two, and one was signed for"
    answer = sits("eng").post(path, _first(sits("eng").get(path), "admit") | {"devices": "2001"})
    assert answer.status == 303, answer.text
    assert "面包房" in sits("clara").get("/merchants").text


def test_one_person_does_not_sign_what_he_has_applied_for(sits, office):
    _console, store = office
    page = "/dossiers/begin/relocation"
    form = {"reference": "M-1", "device": "1005", "site": "north", "because": "rebuilt"}
    answer = sits("stella").send(page, page, **form)
    path = answer.headers["location"].partition("?")[0]
    fields = _way(sits("stella").get(path), "sign")
    assert sits("stella").post(path, fields).reason == ANOTHER_PERSON
    assert store.merchants.dossiers.dossier(int(path[10:])).state == "applied"


def test_a_question_about_a_record_that_no_books_have_is_refused(sits):
    page = "/dossiers/begin/question"
    form = {"reference": "Q-1", "merchant_no": str(CANTEEN), "what": "why twice?"}
    for records in (HUGE, f"1005/{HUGE}", f"{HUGE}/1", "1005/99999999999999999999", "1005"):
        answer = sits("stella").send(page, page, **form, records=records)
        assert (answer.status, answer.reason) == (422, BAD_FIELDS), records[:40]


def test_a_month_has_masked_numbers_unless_somebody_says_why(sits, office):
    _console, store = office
    del store
    month = time.strftime("%Y-%m", time.gmtime())
    answer = sits("stella").send("/attendance", "/attendance", month=month)
    assert openpyxl.load_workbook(io.BytesIO(answer.data)).sheetnames[0] == "汇总"
    for none in ("2026-13", "9999-12"):
        assert sits("stella").send("/attendance", "/attendance", month=none).status == 422
        assert sits("stella").get(f"/attendance?month={none}").status == 200


def test_cells_open_right_in_a_chinese_excel():
    rows = [("=1+1", "0042", "430102199001011234", Fen(-1_250), 7, "@x", "-5", "李")]
    data = csv_of(tuple("abcdefgh"), rows)
    assert data.startswith(b"\xef\xbb\xbf")
    line = data.decode("utf-8-sig").splitlines()[1]
    assert line == "'=1+1,0042\t,430102199001011234\t,-12.50,7,'@x,'-5,李"
    made = xlsx("a", [("表", tuple("abcdefgh"), rows)], 1_790_000_000)
    assert made.data == xlsx("a", [("表", tuple("abcdefgh"), rows)], 1_790_000_000).data
    (cells,) = openpyxl.load_workbook(io.BytesIO(made.data))["表"].iter_rows(min_row=2)
    assert [cell.value for cell in cells] == [*rows[0][:3], -12.5, 7, "@x", "-5", "李"]
    assert [cell.data_type for cell in cells] == ["s", "s", "s", "n", "n", "s", "s", "s"]
    assert CARD_NO and SAME_PERSON
