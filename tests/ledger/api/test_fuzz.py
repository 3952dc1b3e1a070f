"""A fuzzer that has only the OpenAPI document, against a real server on real books.

Schemathesis draws what the document allows and what it forbids; some of what it draws gets the
numbers of accounts that there are, and few order numbers, so that requests meet. Whatever comes,
no answer is a fault, each is as the document says, nothing that it forbids is done, and the books
balance. Here each operation gets the same draws in every run; `make soak` draws new ones.
"""

import os
import random
import time

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ledger.invariants import check
from ledger.store import LedgerStore
from tests.ledger.api.served import TOKENS, Served, let_in, session, settle
from tests.ledger.months import END_S, FROM_S, Pos
from tests.ledger.readers import CARD, OTHER_CARD
from tests.ledger.staff import log_in, password_of

schemathesis = pytest.importorskip("schemathesis")

ALLOWED = schemathesis.GenerationMode.POSITIVE
FORBIDDEN = schemathesis.GenerationMode.NEGATIVE
# Of each operation and each kind: most of what moves money.
EXAMPLES, EXAMPLES_OF = 7, {"book_topup": 30}
ACCEPTED, TOO_LONG, REFUSED = 200, 413, "refused"
_CLIENT = {
    "list_devices": "watch",
    "list_cases": "watch",
    "bind_phone": "today",
    "show_phone": "today",
    "end_phone": "today",
}
# Operations of operators, and who asks: each by a session of its own.
_OPERATOR = {
    "end_session": "clara",
    "show_holder": "clara",
    "reveal_holder": "clara",
    "list_acts": "anna",
    **dict.fromkeys(("list_periods", "show_period", "show_gate", "close_period"), "clara"),
    **dict.fromkeys(("list_late", "show_statements", "show_trial_balance"), "hua"),
    **dict.fromkeys(("download_workbook", "download_page", "list_unpaid"), "tian"),
    **dict.fromkeys(("decide_period", "make_payment_file"), "tian"),
    **dict.fromkeys(("approve_period", "refuse_period"), "stella"),
    "note_results": "clara",
}
# Once a report is audited it is not refused by who has done that, and no payment is with a bank.
_REFUSED_ALWAYS = {"refuse_period", "note_results"}
_REFUSED_ALWAYS |= {"bind_phone", "show_phone", "end_phone"}  # these books have no key for phones
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def served(folder):
    reader = Pos(1001)
    http = "requests_per_s = 10000\ntopup_max_fen = 16777215"
    config = settle(folder, http=http, reader=reader)
    store = let_in(folder)
    served = Served(config)
    served.sessions = {name: session(store, login) for name, login in _OPERATOR.items()}
    served.period = _closed(store, reader)
    store.close()
    yield served
    assert "Traceback" not in served.close()


def _closed(store, reader):
    """What names a period that clara has closed, and what could be decided of the next one."""
    reader.sell(600, FROM_S)
    reader.inspect(END_S)
    store.book([reader.records])
    now_s = int(time.time())
    period = store.periods.close("2026-09", END_S, log_in(store, "clara", now_s), now_s)
    asked = {"name": period.name, "until_s": END_S, "step": "audit", "file": "2026-09"}
    return asked | {"sha256": period.sha256.hex(), "open": [{"device": 1001, "seq": 0}]}


@pytest.fixture(scope="module")
def schema(served):
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def steer(case, period, account, order_no, is_from_the_start, is_known):
    """Put what there is in the place of what was drawn; None: leave it."""
    is_of_period = is_known or is_from_the_start
    if is_of_period and "period" in (case.path_parameters or {}):
        case.path_parameters["period"] = "1"
    if is_of_period and isinstance(case.body, dict):
        known = period | ({"until_s": END_S + 1} if "open" in case.body else {})
        case.body |= {name: value for name, value in known.items() if name in case.body}
    for name, value in (("account", account), ("order_no", order_no)):
        for place in (case.path_parameters, case.body):
            if value is not None and isinstance(place, dict) and name in place:
                place[name] = value
    if isinstance(case.body, dict):
        # To JSON Schema 2.0 is a whole number; here it is none, which other tests see to.
        case.body = {n: int(v) if isinstance(v, float) else v for n, v in case.body.items()}
        if account is not None and "card_no" in case.body:
            case.body["card_no"] = CARD
    if is_known and isinstance(case.body, dict):
        known = {"card_no": CARD, "login": "clara", "password": password_of("clara")}
        case.body |= {name: value for name, value in known.items() if name in case.body}
    if is_from_the_start and case.query:
        case.query.pop("after", None)


def requests(operation, mode, accounts, period):
    """What is sent: of what is forbidden nothing is changed."""
    drawn = operation.as_strategy(generation_mode=mode)
    if mode is FORBIDDEN:
        return drawn

    def steered(case, *there):
        steer(case, period, *there)
        return case

    account = st.sampled_from([None, *accounts * 3])
    order_no = st.sampled_from([None, *"ABCDEFGH"])
    return st.builds(steered, drawn, account, order_no, st.booleans(), st.booleans())


def fuzz(served, operation, draws_from, examples):
    """How many requests of `operation` were accepted and refused."""
    raw = operation.definition.raw
    client = _CLIENT.get(raw["operationId"], "ecode")
    token = served.sessions.get(raw["operationId"], TOKENS[client])
    headers = {"Authorization": f"Bearer {token}"}
    accounts = [served.account(CARD), served.account(OTHER_CARD)]
    checks = [getattr(schemathesis.checks, check) for check in _CHECKS]
    seen = {ACCEPTED: 0, REFUSED: 0}

    def send(case):
        response = case.call(headers=headers)
        # A body that is too long is refused unread, for which the last check knows no 413.
        own = checks[:-1] if response.status_code == TOO_LONG else checks
        case.validate_response(response, checks=own)
        seen[ACCEPTED if response.status_code == ACCEPTED else REFUSED] += 1

    takes_something = raw.keys() & {"parameters", "requestBody"}
    for mode in (ALLOWED, FORBIDDEN) if takes_something else (ALLOWED,):
        tried = given(case=requests(operation, mode, accounts, served.period))(send)
        bounds = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=_SLOW,
        )
        seed(draws_from)(bounds(tried))()
    return seen


def operations(schema):
    return [result.ok() for result in schema.get_all_operations()]


def test_no_request_makes_a_fault_or_a_fen(served, schema, folder):
    seen = {}
    for number, operation in enumerate(operations(schema)):
        name = operation.definition.raw["operationId"]
        seen[name] = fuzz(served, operation, number, EXAMPLES_OF.get(name, EXAMPLES))
    store = LedgerStore.open(str(folder / "books" / "ledger.sqlite"))
    assert check(store) == []
    store.close()
    print(seen)
    never = {name for name, counts in seen.items() if not counts[ACCEPTED]}
    assert never <= _REFUSED_ALWAYS, seen
    assert sum(counts[REFUSED] for counts in seen.values()) > 50, seen


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak(served, schema, folder):
    first = draws_from = random.SystemRandom().randrange(1 << 30)
    end_s = time.monotonic() + int(os.environ.get("ONECARD_SOAK_S", "60"))
    print(f"seeds from {first}")
    store = LedgerStore.open(str(folder / "books" / "ledger.sqlite"))
    while time.monotonic() < end_s:
        for operation in operations(schema):
            fuzz(served, operation, draws_from, 30)
        assert check(store) == [], f"seed {draws_from}"
        draws_from += 1
    store.close()
    print(f"seeds {first} to {draws_from - 1}")
