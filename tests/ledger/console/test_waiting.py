"""What takes two persons, in one place: who is let in, what is signed or declined, refunds."""

import re
import time
from urllib.parse import quote

import pytest

from ledger import people, reasons
from ledger.bearers import Bearer
from ledger.code_sales import Ask
from ledger.console import cases, opened, operators, refusals
from ledger.console.asked import EN, Asked, Settings
from ledger.console.waiting_list import NOT_WAITING
from ledger.corrections import CorrectionRefused
from ledger.invariants import check
from ledger.list_files import read
from ledger.money_lists import OTHER_SUM
from ledger.operators import ENROL, Wanted
from ledger.proposals import CUT_SHORT
from ledger.reservations import Settled
from ledger.signatures import NotAllowed, Proven, acts, write_act
from ledger.tampers import CENTRE, DEPARTMENT
from ledger.topups import TopUpRefused
from protocols.rules.scan_codes import WECHAT
from protocols.wire import messages
from tests.ledger.console.business import CARD_NO, STRANGE, TILL
from tests.ledger.console.campus import IN_USE, PEOPLE, Console, books_in, configure, visitor
from tests.ledger.readers import Reader
from tests.ledger.staff import log_in

CASE = f"/cases/{reasons.UNKNOWN_CARD}/{STRANGE[0]}/{STRANGE[1]}"
LONG_AGO_S = 80 * 3_600
ACCOUNT = "430102199001011"
GRADUATES = f"卡号,学工号,银行账号,户名\n{IN_USE},{PEOPLE[1][1]},{ACCOUNT},单小明\n"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """(console, store, who has logged in by login) of books of this module."""
    folder = tmp_path_factory.mktemp("waiting")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    seats = {}
    yield console, store, lambda login: seats.setdefault(login, visitor(console, store, login))
    log = console.close()
    assert check(store) == []
    store.close()
    assert "Traceback" not in log, log


def test_two_administrators_let_somebody_in_and_the_first_password_is_shown_once(office):
    console, store, sits = office
    what = {"verb": "enrol", "login": "dora", "department": people.FINANCE, "role-clerk": "1"}
    answer = sits("anna").send("/operators", "/operators", **what)
    assert answer.headers["location"] == "/operators?done=op_proposed"
    form = sits("anna").get("/operators").page.forms
    assert "/operators/approve" not in [action for action, _fields in form]
    waits = sits("bao").get("/waiting").text
    assert "dora · Finance · clerk" in waits and "anna" in waits
    fields = sits("bao").get("/operators").form("/operators/approve")
    other = sits("bao").post("/operators/approve", fields | {"mark": "00000000"})
    assert other.reason == people.NO_PROPOSAL, "shown before a restore"
    answer = sits("bao").send("/operators", "/operators/approve")
    first = answer.text.partition('id="first">')[2].partition("<")[0]
    assert len(first) >= 20 and answer.headers["cache-control"] == "no-store"
    assert first not in sits("bao").get("/operators").text
    store.operators.set_password("dora", first, "another-good-horse", int(time.time()))
    assert "dora" in sits("bao").get("/operators").text
    fields = sits("bao").get("/operators").form("/operators/alone") | {"number": "99"}
    assert sits("bao").post("/operators/approve", fields).reason == refusals.FORM_FORGED
    assert first.encode() not in console.log


def test_what_an_administrator_may_not_is_refused_with_its_reason(office):
    _console, store, sits = office
    both = {"role-clerk": "1", "role-treasurer": "1"}
    for login, more, reason in (
        ("erin", {"department": people.FINANCE, **both}, people.ROLES_APART),
        ("clara", {"department": people.FINANCE, "role-clerk": "1"}, people.NO_OPERATOR),
        ("not a login", {"department": people.FINANCE, "role-clerk": "1"}, people.NO_OPERATOR),
    ):
        answer = sits("anna").send("/operators", "/operators", verb="enrol", login=login, **more)
        assert (answer.status, answer.reason) == (refusals.REASONS[reason].status, reason), login
    assert sits("anna").send("/operators", "/operators", verb="x").reason == refusals.BAD_FIELDS
    number = store.operators.propose(
        Wanted(ENROL, "finn", people.FINANCE, (people.CLERK,)), _seat(store, "anna"), _now()
    )
    path = f"/waiting/decline?kind=operator&subject=proposal+{number}"
    answer = sits("bao").get(path)
    fields = answer.form(f"/waiting/decline?kind=operator&subject=proposal%20{number}")
    assert sits("bao").post(path, fields | {"because": ""}).reason == people.NO_REASON_GIVEN
    answer = sits("bao").send(path, _action(path), because="nobody knows them")
    assert answer.headers["location"] == "/waiting?done=declined"
    assert store.operators.proposals() == []
    assert sits("bao").get(path).reason == NOT_WAITING
    for act, state in (("unlock", "op_in"), ("disable", "op_disabled")):
        answer = sits("anna").send("/operators", "/operators/alone", act=act, login="engel")
        assert answer.status == 303
        (text,) = [zh for key, (zh, _en) in operators.TEXTS.items() if key == state]
        row = sits("anna").get("/operators").text.partition("<td>engel</td>")[2]
        assert text in row.partition("</tr>")[0]
    assert "不能兼任" in sits("pei").get("/roles").text


def test_a_proposal_is_declined_with_its_reason_and_whoever_made_it_sees_why(office):
    _console, store, sits = office
    case = store.corrections.case(reasons.UNKNOWN_CARD, *STRANGE)
    what = Bearer.CARD_CENTRE, _seat(store, "clara"), "the camera shows it", _now()
    proposal = store.corrections.propose(case, *what)
    waits = sits("tian").get("/waiting")
    assert "the camera shows it" in waits.text and "clara" in waits.text
    assert "the camera shows it" not in sits("clara").get("/waiting").text
    path = f"/waiting/decline?kind=case&subject=proposal+{proposal.number}"
    assert f'href="{path}"'.replace("+", "%20").replace("&", "&amp;") in waits.text
    for login, reason in (("clara", refusals.NOTHING_HERE), ("tian", None)):
        assert sits(login).get(path).reason == reason
    fields = sits("tian").get(path).form(_action(path)) | {"because": "whose is it?"}
    for _each in range(2):  # a double click
        answer = sits("tian").post(path, fields)
        assert answer.headers["location"] == "/waiting?done=declined"
    said = [one for one in acts(store.database, 1_000) if one.verb == "case.decline"]
    assert [(one.login, one.evidence) for one in said] == [("tian", "whose is it?")]
    page = sits("clara").get(f"{CASE}?sha={case.sha256.hex()}").text
    assert "whose is it?" in page and "tian" in page
    mark = store.corrections.mark(case, proposal)
    with pytest.raises(CorrectionRefused, match="800"):
        store.corrections.approve(proposal.number, mark, _seat(store, "tian"), _now())
    assert "the camera shows it" not in sits("tian").get("/waiting").text


def test_everything_that_waits_leads_to_where_it_is_signed(office):
    _console, store, sits = office
    for login, text, path in (
        ("stella", "商户结算报告", "/periods/1"),
        ("stella", "报修", None),  # a repair is no signature
    ):
        waits = sits(login).get("/waiting").text.partition("<main")[2]
        assert (text in waits) == (path is not None), text
        if path:
            assert f'href="{path}"' in waits
            assert sits(login).get(path).status == 200
    assert "没有等您签字的事" in sits("clara").get("/waiting").text
    del store


def test_money_by_hand_waits_for_a_treasurer_and_is_declined_for_a_reason(office):
    _console, store, sits = office
    by_hand = store.top_ups.propose(CARD_NO, 700, "till-7", _seat(store, "clara"), _now())
    ask = Ask(TILL, b"\1" * 8, b"", 300, 900)
    order = store.acquirer_orders.ask(ask, b"13" * 9, WECHAT, _now())
    clerk = _seat(store, "chen")
    code = store.acquirer_orders.propose(order.number, Settled.SOLD, clerk, _now())
    assert "till-7" not in sits("clara").get("/waiting").text, "who has said it does not sign it"
    tian = sits("tian")
    paid = f"{order.number} 笔 · ¥ 3.00 · 归商户", f"{order.number} · ¥ 3.00 · sold"
    said = {
        "zh": (f"卡 {CARD_NO} · ¥ 7.00 · 单号 till-7", paid[0]),
        "en": (f"card {CARD_NO} · ¥ 7.00 · order till-7", paid[1]),
    }
    for language in ("en", "zh"):
        waits = tian.get(f"/waiting?lang={language}").text
        assert all(text in waits for text in said[language]), waits
    assert "2</" in tian.get("/").text and "笔人工提出的钱等您复核" in tian.get("/").text
    for kind, number in (("topup", by_hand), ("code", code)):
        path = f"/waiting/decline?kind={kind}&subject=proposal+{number}"
        assert sits("clara").get(path).reason == refusals.NOTHING_HERE
        empty = tian.get(path).form(_action(path)) | {"because": " "}
        assert tian.post(path, empty).reason == people.NO_REASON_GIVEN
        other = empty | {"because": "no slip", "mark": "00000000"}
        assert tian.post(path, other).reason == NOT_WAITING, "shown before a restore"
        answer = tian.send(path, _action(path), because=f"no slip for {kind}")
        assert answer.headers["location"] == "/waiting?done=declined", answer.text
        assert tian.get(path).reason == NOT_WAITING
    waits = tian.get("/waiting").text
    assert "till-7" not in waits and "¥ 3.00" not in waits
    with pytest.raises(TopUpRefused, match="800"):
        store.top_ups.top_up(CARD_NO, 700, "till-7", 0, _seat(store, "tian"), _now())
    for login, kind, other in (("clara", "topup", "code"), ("chen", "code", "topup")):
        page = sits(login).get("/waiting").text
        assert f"no slip for {kind}" in page and f"no slip for {other}" not in page
        assert said["zh"][kind == "code"] in page
    store.top_ups.propose(CARD_NO, 700, "till-7", _seat(store, "clara"), _now())
    assert "no slip" not in sits("clara").get("/waiting").text
    assert "till-7" in tian.get("/waiting").text


def test_an_opened_reader_goes_on_when_both_departments_have_looked(office):
    _console, store, sits = office
    pos = Reader(5_001)
    store.register_device(pos.device, pos.key, 1)
    store.tampers.answer_for([(pos.device, "General Affairs")])
    pos.write(messages.TAMPER, state=messages.CASE_OPENED, number=0)
    store.book([pos.records])
    (barred,) = [one for one in store.tampers.waiting() if one.device == pos.device]
    assert f"{pos.device} / " not in sits("eng").get("/waiting").text  # the department is first
    for login in ("stella", "eng"):
        assert str(pos.device) in sits(login).get("/waiting").text
        answer = sits(login).send("/opened", "/opened")
        assert answer.headers["location"] == "/opened?done=opn", answer.text
        forms = sits(login).get("/opened").page.forms
        assert not [fields for _action, fields in forms if fields.get("device") == "5001"]
    assert store.tampers.is_approved(pos.device, barred.seq)
    assert TILL not in [one.device for one in store.tampers.waiting()]


@pytest.mark.parametrize(
    ("login", "step"), [("stella", 0), ("eng", CENTRE)], ids=["who signed before", "another"]
)
def test_nobody_takes_both_steps_of_an_opened_reader_whatever_role_they_have_now(
    office, login, step
):
    _console, store, _sits = office
    who = Proven(login, b""), people.INFORMATION, (people.ENGINEER,)
    asked = Asked(store, Settings(259_200, 28_800), *who, _now(), EN, {}, {})
    taken = {DEPARTMENT: ("stella", _now())}
    assert opened._step(asked, people.GENERAL, taken) == step


def test_a_case_waits_for_another_person_than_proposed_it_whatever_role_they_have_now(office):
    _console, store, _sits = office
    case = store.corrections.case(reasons.UNKNOWN_CARD, *STRANGE)
    what = Bearer.CARD_CENTRE, _seat(store, "clara"), "it was found", _now()
    number = store.corrections.propose(case, *what).number
    for login, waits in (("clara", False), ("tian", True)):
        who = Proven(login, b""), people.FINANCE, (people.TREASURER,)
        asked = Asked(store, Settings(259_200, 28_800), *who, _now(), EN, {}, {})
        found = [one.subject for one in cases.to_sign(asked)]
        assert (f"proposal {number}" in found) == waits, login


def test_a_refund_goes_to_the_bank_as_two_have_signed_its_sum(office):
    _console, store, sits = office
    then_s = _now() - LONG_AGO_S
    lines, sha256 = read(GRADUATES.encode(), "graduation")
    plan = store.batches.dry_run("graduation", lines, sha256)
    for login in ("chen", "tian"):
        who = log_in(store, login, then_s)
        store.batches.sign("graduation", lines, sha256, plan.sha256, who, then_s)
    who = log_in(store, "chen", then_s)
    done = store.batches.run("graduation", lines, sha256, plan.sha256, who, then_s)
    assert [one.reason for one in done] == [0]
    forms = sits("tian").get("/refunds").page.forms
    plain = next(one for action, one in forms if action == "/refunds/settle" and "act" not in one)
    answer = sits("tian").post("/refunds/settle", plain)
    assert answer.headers["location"] == "/refunds?done=settled_none"
    page = sits("tian").get("/refunds")
    opened = {
        said["name"]: "1"
        for tag, said in page.page.elements
        if tag == "input" and said.get("name", "").startswith("open-")
    }
    assert opened
    fields = next(one for _action, one in page.page.forms if one.get("act") == "decide") | opened
    answer = sits("clara").post("/refunds/settle", fields | {"because": "all were looked at"})
    assert answer.reason == refusals.FORM_FORGED
    answer = sits("tian").post("/refunds/settle", fields | {"because": "all were looked at"})
    assert answer.headers["location"] == "/refunds?done=settled", answer.text
    # A file that was declined waits for nobody's signature; it is made under another name.
    look = "/refunds?file=first"
    assert sits("clara").send(look, "/refunds/sign", amount="12.50").status == 303
    signing = "/refunds/sign", "/refunds/file"
    assert signing[0] in [where for where, _fields in sits("tian").get(look).page.forms]
    (subject,) = re.findall(r"kind=refund&amp;subject=(\w+)", sits("tian").get("/waiting").text)
    no = f"/waiting/decline?kind=refund&subject={subject}"
    answer = sits("tian").send(no, no, because="the name of the account")
    assert answer.headers["location"] == "/waiting?done=declined", answer.text
    for login in ("tian", "chen"):
        page = sits(login).get(look)
        assert "the name of the account" in page.text
        assert not [where for where, _fields in page.page.forms if where in signing], login
    look = "/refunds?file=graduation"
    bad = sits("clara").send(look, "/refunds/sign", amount="12.49")
    assert bad.reason == OTHER_SUM and "12.49" in bad.text
    assert sits("clara").send(look, "/refunds/sign", amount="12.50").status == 303
    assert "graduation · ¥ 12.50" in sits("tian").get("/waiting").text
    assert sits("tian").send(look, "/refunds/sign", amount="12.50").status == 303
    file = sits("tian").send(look, "/refunds/file")
    line = file.data.decode("utf-8-sig").splitlines()[1]
    assert line.split(",")[:4] == ["1", ACCOUNT, "单小明", "12.50"]
    again = sits("tian").send(look, "/refunds/file")
    assert again.data == file.data
    with pytest.raises(NotAllowed):
        store.payouts.make_file("other", plan.sha256, _seat(store, "clara"), _now())
    answer = sits("clara").send("/refunds", "/refunds/results", payment="1", result="paid")
    assert answer.headers["location"] == "/refunds?done=noted", answer.text
    assert "没有应退的钱" in sits("clara").get("/refunds").text


def test_what_was_declined_or_is_old_hides_nothing_that_waits(office):
    """A list signed once and declined stands in the books for good; a hundred of them too."""
    _console, store, sits = office
    kinds = range(120)
    with store.database.transaction():
        for at in kinds:
            sha256 = bytes([1, at]) * 16
            store.database.many("INSERT INTO card_batch VALUES (?, ?, ?)", [(sha256, "issue", at)])
            signed = sha256, 1, "chen", at
            store.database.many("INSERT INTO batch_approval VALUES (?, ?, ?, ?)", [signed])
            money = sha256, "subsidy", f"old-{at}", 1, 100, at
            store.database.many("INSERT INTO money_list VALUES (?, ?, ?, ?, ?, ?)", [money])
            store.database.many("INSERT INTO money_approval VALUES (?, ?, ?, ?)", [signed])
            if at != kinds[-1]:
                for kind in ("batch", "subsidy"):
                    said = f"{kind}.decline", sha256.hex(), "an old one", 0, at
                    write_act(store.database, "tian", *said)
    waits = sits("tian").get("/waiting").text
    last = (bytes([1, kinds[-1]]) * 16).hex()
    for kind in ("batch", "subsidy"):
        assert f"kind={kind}&amp;subject={last}" in waits, kind
        path = f"/waiting/decline?kind={kind}&subject={last}"
        answer = sits("tian").send(path, path, because="an old one as well")
        assert answer.headers["location"] == "/waiting?done=declined"


def test_a_proposal_that_was_cut_short_is_named_and_hides_nothing(office):
    """Books of before took numbers of any length, and an act keeps 64 characters of them."""
    _console, store, sits = office
    about = f"card 7: 900 fen, credit {'9' * 80}"
    with store.database.transaction():
        for at, words in enumerate((f"card {'9' * 80}: 900 fen", about)):
            said = "topup.propose", words, f"till-{79 + at}", 0, _now()
            write_act(store.database, "clara", *said)
    whole = store.top_ups.propose(CARD_NO, 800, "till-81", _seat(store, "clara"), _now())
    tian = sits("tian")
    for language, kept in (("en", "cut short"), ("zh", "截断")):
        waits = tian.get(f"/waiting?lang={language}").text
        assert kept in waits and f"({CUT_SHORT})" in waits.replace("（", "(").replace("）", ")")
        assert all(f"till-{order}" in waits for order in (79, 80, 81))
        assert tian.get(f"/?lang={language}").status == 200
    cut = store.top_ups.waiting()[-2]
    assert (cut.about, cut.words) == (about[:64], "till-80")
    path = f"/waiting/decline?kind=topup&subject=proposal+{cut.number}"
    answer = tian.send(path, _action(path), because="enter it again")
    assert answer.headers["location"] == "/waiting?done=declined", answer.text
    assert "enter it again" in sits("clara").get("/waiting").text
    assert [one.number for one in store.top_ups.waiting()][-1] == whole
    with pytest.raises(TopUpRefused):
        store.top_ups.top_up(7, 900, "till-80", int("9" * 80), _seat(store, "tian"), _now())


def _action(path):
    before, _, subject = path.partition("subject=")
    return f"{before}subject={quote(subject.replace('+', ' '))}"


def _seat(store, login):
    return log_in(store, login, _now())


def _now():
    return int(time.time())
