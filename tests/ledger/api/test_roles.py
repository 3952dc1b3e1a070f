"""Every operation of the API by every role, by every subsystem, and by nobody."""

import time

import pytest

from ledger import api_reasons as why
from ledger import people, signatures
from ledger.api.clients import OF_ROLES, Scope, check
from ledger.api.operations import OPERATIONS
from ledger.api.period_operations import PERIOD_OPERATIONS
from ledger.config import ConfigError
from ledger.operators import CHANGE, Wanted
from ledger.signatures import acts
from tests.ledger.api.served import PERSON_NO, TOKENS, Served, let_in, order, session, settle
from tests.ledger.readers import CARD, OTHER_CARD
from tests.ledger.staff import OF_ROLE, log_in, password_of

ACCOUNT = "0" * 32
PHONE = {"request_no": "P-1", "phone": "a" * 22, "person_no": PERSON_NO, "reference": "wx:77"}
# What each operation is asked with: (path, body).
ASKED = {
    "find_account": ("/v1/accounts", {"card_no": CARD}),
    "show_balance": (f"/v1/accounts/{ACCOUNT}", None),
    "show_statement": (f"/v1/accounts/{ACCOUNT}/entries", None),
    "report_loss": (f"/v1/accounts/{ACCOUNT}/loss", None),
    "bind_phone": (f"/v1/accounts/{ACCOUNT}/phone", PHONE),
    "show_phone": (f"/v1/accounts/{ACCOUNT}/phone", None),
    "end_phone": (f"/v1/accounts/{ACCOUNT}/phone/end", None),
    "book_topup": ("/v1/topups", order(ACCOUNT)),
    "show_topup": ("/v1/topups/A-1", None),
    "cancel_topup": ("/v1/topups/A-1/cancel", None),
    "list_devices": ("/v1/devices", None),
    "list_cases": ("/v1/cases", None),
    "begin_session": ("/v1/sessions", {"login": "clara", "password": password_of("clara")}),
    "end_session": ("/v1/sessions/end", None),
    "show_holder": ("/v1/holders", {"card_no": CARD}),
    "reveal_holder": ("/v1/holders/reveal", {"card_no": CARD, "because": "found in the canteen"}),
    "list_acts": ("/v1/acts", None),
    "list_periods": ("/v1/periods", None),
    "show_period": ("/v1/periods/1", None),
    "show_gate": ("/v1/period-gate", {"until_s": 1}),
    "decide_period": (
        "/v1/period-gate/decide",
        {"until_s": 1, "open": [{"device": 1, "seq": 0}], "because": "in repair"},
    ),
    "close_period": ("/v1/periods", {"name": "2026-09", "until_s": 1}),
    "approve_period": ("/v1/periods/1/approve", {"step": "audit", "sha256": "0" * 64}),
    "refuse_period": (
        "/v1/periods/1/refuse",
        {"step": "audit", "sha256": "0" * 64, "because": "no"},
    ),
    "list_late": ("/v1/periods/1/late", None),
    "show_statements": ("/v1/periods/1/statements", None),
    "show_trial_balance": ("/v1/trial-balance", None),
    "download_workbook": ("/v1/periods/1/sheet.xlsx", None),
    "download_page": ("/v1/periods/1/sheet.html", None),
    "make_payment_file": ("/v1/payment-files", {"file": "2026-09"}),
    "note_results": ("/v1/payment-results", {"results": [{"payment": 1, "result": "paid"}]}),
    "list_unpaid": ("/v1/unpaid", None),
}
CLIENTS = {
    "ecode": "accounts balances losses topups",
    "today": "accounts topups phones",
    "watch": "devices cases metrics",
}
STATUS = {reason: status for reason, (status, _text) in why.TEXTS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("roles")


@pytest.fixture(scope="module")
def served(folder):
    served = Served(settle(folder, http="requests_per_s = 1000"))
    yield served
    log = served.close()
    assert "Traceback" not in log
    for secret in (PERSON_NO, password_of("clara"), "clara", "op_"):
        assert secret not in log


@pytest.fixture(scope="module")
def books(served, folder):
    """The same books; everybody of staff.py is let in while the API runs."""
    store = let_in(folder)
    yield store
    store.close()


def asked(served, operation, token):
    path, body = ASKED[operation.name]
    status, told = served.ask(operation.method, path, body, token)
    reason = told.get("reason", 0) if status != 200 else 0
    assert status == (STATUS[reason] if reason else 200), (operation.name, told)
    return reason


def expected(scope, may, refusal):
    return 0 if scope is None or may else refusal


def test_what_is_asked_is_every_operation():
    assert list(ASKED) == [operation.name for operation in OPERATIONS]


def test_every_operation_by_every_role_every_client_and_nobody(served, books):
    """A refusal says so by its number; whoever may gets an answer, or that there is no such."""
    table, refused = [], 0
    for operation in OPERATIONS:
        row = [operation.name]
        for role in people.ROLES:
            reason = asked(served, operation, session(books, OF_ROLE[role]))
            may = operation.scope is None or role in OF_ROLES.get(operation.scope, ())
            assert (reason == people.NOT_FOR_ROLE) == (not may), (operation.name, role, reason)
            # These books have no period: whoever may is told that, and no more.
            of_periods = operation.reasons if operation in PERIOD_OPERATIONS else ()
            assert reason in (0, people.NOT_FOR_ROLE, *of_periods)
            refused += not may
            row.append("yes" if may else "753")
        for client, scopes in CLIENTS.items():
            reason = asked(served, operation, TOKENS[client])
            may = operation.scope is None or operation.scope in scopes.split()
            assert (reason == why.NOT_ALLOWED) == (not may), (operation.name, client, reason)
        nobody = asked(served, operation, None)
        assert nobody == expected(operation.scope, False, why.NO_TOKEN)
        table.append(row)
    print("\n".join(f"{name:<19}" + "".join(f"{may:>5}" for may in row) for name, *row in table))
    said = [one for one in acts(books.database, 10_000) if one.verb.startswith("api.")]
    assert len(said) == refused and {one.reason for one in said} == {people.NOT_FOR_ROLE}


def test_metrics_are_the_engineer_s_and_name_nobody(served, books):
    for role in people.ROLES:
        headers = {"Authorization": f"Bearer {session(books, OF_ROLE[role])}"}
        status, _headers, data = served.say("GET", "/metrics", headers=headers)
        assert status == (200 if role in OF_ROLES[Scope.METRICS] else 403)
        assert b"clara" not in data and b'eng"' not in data


def test_a_session_over_the_wire_from_its_beginning_to_its_end(served, books):
    path, body = ASKED["begin_session"]
    status, told = served.ask("POST", path, body, None)
    assert (status, told["login"], told["roles"]) == (200, "clara", ["clerk"])
    token = told["token"]
    assert served.ask("POST", "/v1/sessions/end", None, token) == (200, {"login": "clara"})
    for path in ("/v1/sessions/end", "/v1/holders"):
        status, told = served.ask("POST", path, {"card_no": CARD}, token)
        assert (status, told["reason"]) == (401, why.NO_TOKEN)


def test_a_session_says_how_long_it_lasts_by_its_roles(served, books):
    for login, lasts_s in (("clara", signatures.SESSION_S), ("wall", signatures.DISPLAY_S)):
        body = {"login": login, "password": password_of(login)}
        begun_s = int(time.time())
        ends_s = served.ask("POST", "/v1/sessions", body, None)[1]["ends_s"]
        assert begun_s + lasts_s <= ends_s <= int(time.time()) + lasts_s, login


def test_wrong_unknown_and_locked_are_told_alike(served, books):
    words = [("gu", "wrong")] * 6 + [("nobody", "wrong"), ("gu", password_of("gu"))]
    said = {
        str(served.ask("POST", "/v1/sessions", {"login": login, "password": word}, None))
        for login, word in words
    }
    assert len(said) == 1 and f"'reason': {people.WRONG_LOGIN}" in said.pop()


def test_a_person_is_masked_until_somebody_says_why(served, books):
    clara = session(books, "clara")
    status, told = served.ask("POST", "/v1/holders", {"card_no": CARD}, clara)
    assert (status, told["person_no"], told["is_masked"]) == (200, "20******42", True)
    why_asked = {"card_no": CARD, "because": "found in the canteen"}
    status, told = served.ask("POST", "/v1/holders/reveal", why_asked, clara)
    assert (status, told["person_no"], told["is_masked"]) == (200, PERSON_NO, False)
    last = acts(books.database, 10_000)[-1]
    assert (last.login, last.verb, last.subject, last.evidence) == (
        *("clara", "personal.show", f"card {CARD}"),
        "found in the canteen",
    )
    for because in (" ", "a\tb"):
        said = {"card_no": CARD, "because": because}
        status, told = served.ask("POST", "/v1/holders/reveal", said, clara)
        assert (status, told["reason"]) == (422, people.NO_REASON_GIVEN)
    status, told = served.ask("POST", "/v1/holders", {"card_no": OTHER_CARD}, clara)
    assert (status, told["reason"]) == (404, people.NO_HOLDER)


def test_a_role_that_is_taken_away_is_gone_with_the_next_request(served, books):
    stella = session(books, "stella")
    assert served.ask("GET", "/v1/devices", None, stella)[0] == 200
    now_s = int(time.time())
    wanted = Wanted(CHANGE, "stella", people.GENERAL, (people.HEAD,))
    number = books.operators.propose(wanted, log_in(books, "anna", now_s), now_s)
    books.operators.approve(number, log_in(books, "bao", now_s), now_s)
    assert served.ask("GET", "/v1/devices", None, stella)[1]["reason"] == why.NO_TOKEN
    stella = session(books, "stella")
    assert served.ask("GET", "/v1/devices", None, stella)[1]["reason"] == people.NOT_FOR_ROLE


def test_no_subsystem_s_token_may_have_what_takes_a_person():
    for scope in (
        *("sessions", "holders", "personal", "acts", "periods", "period-close"),
        *("period-decide", "period-sign", "payments", "results"),
    ):
        table = {"name": "ecode", "token_sha256": "0" * 64, "scopes": [scope]}
        with pytest.raises(ConfigError, match="scopes: some of"):
            check(table)
