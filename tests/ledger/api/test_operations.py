"""What the API does, asked over the wire of a real server with real books."""

import json

import pytest

from ledger import api_reasons as why
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.phones import Phones
from ledger.store import LedgerStore
from protocols.rules.spending import STUDENT
from protocols.wire import messages
from tests.ledger.api.served import PERSON_NO, TOKENS, Served, order, settle
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, OTHER_CARD, Reader

APP_CARD, LOST_CARD = 60, 61
_secrets = []  # what was said in a test, and stands in no log


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def reader():
    return Reader(1001)


@pytest.fixture(scope="module")
def served(folder, reader):
    served = Served(settle(folder, reader=reader))
    yield served
    log = served.close()
    assert served.process.returncode == 0
    assert "Traceback" not in log
    for secret in (*TOKENS.values(), "A-1", "bank-9001", *_secrets):
        assert secret not in log


@pytest.fixture
def books(served, folder):
    """The same books, as the ledger beside the API has them."""
    store = LedgerStore.open(str(folder / "books" / "ledger.sqlite"))
    yield store
    assert check(store) == []
    store.close()


def reason(answer):
    status, told = answer
    assert told["status"] == status == why.TEXTS[told["reason"]][0]
    return told["reason"]


def test_a_top_up_is_booked_once_and_comes_on_the_card(served, books):
    account = served.account()
    asked = order(account, order_no="A-1")
    first = served.ask("POST", "/v1/topups", asked)
    assert first[0] == 200
    assert served.ask("POST", "/v1/topups", asked) == first
    assert books.balances()["pending", CARD] == 5_000
    assert served.ask("GET", "/v1/topups/A-1")[1]["state"] == "waiting"
    number = first[1]["number"]
    books.top_ups.note_try(number, 5, 1001)
    assert served.ask("GET", "/v1/topups/A-1")[1]["state"] == "offered"
    assert reason(served.ask("POST", "/v1/topups/A-1/cancel")) == why.MAY_BE_ON_CARD
    books.top_ups.note_carried(number, 6, OPENING_FEN + 5_000, b"")
    assert served.ask("GET", "/v1/topups/A-1")[1]["state"] == "on_card"
    assert reason(served.ask("POST", "/v1/topups/A-1/cancel")) == why.ON_CARD
    assert served.ask("POST", "/v1/topups", asked) == first
    assert reason(served.ask("POST", "/v1/topups", asked | {"amount_fen": 1})) == why.ORDER_DIFFERS
    assert (
        reason(served.ask("POST", "/v1/topups", asked | {"order_no": "B"})) == why.REFERENCE_USED
    )


def test_a_channel_has_its_own_orders_and_its_own_names_of_accounts(served, books):
    account, other = served.account(OTHER_CARD), served.account(OTHER_CARD, "today")
    assert account != other
    asked = order(account, order_no="C-1", bank_reference="c-1")
    assert served.ask("POST", "/v1/topups", asked)[0] == 200
    assert reason(served.ask("GET", "/v1/topups/C-1", client="today")) == why.NO_ORDER
    assert reason(served.ask("POST", "/v1/topups", asked, "today")) == why.NO_ACCOUNT
    theirs = asked | {"account": other}
    assert served.ask("POST", "/v1/topups", theirs, "today")[0] == 200
    done = served.ask("POST", "/v1/topups/C-1/cancel")
    assert (done[0], done[1]["amount_fen"]) == (200, 5_000)
    assert served.ask("POST", "/v1/topups/C-1/cancel") == done
    assert served.ask("GET", "/v1/topups/C-1")[1]["state"] == "cancelled"
    assert served.ask("GET", "/v1/topups/C-1", client="today")[1]["state"] == "waiting"
    assert books.balances()["pending", OTHER_CARD] == 5_000


def test_an_order_that_its_cancellation_has_overtaken_is_never_taken(served, books):
    done = served.ask("POST", "/v1/topups/E-1/cancel")
    assert (done[0], done[1]["amount_fen"]) == (200, None)
    before = books.dump()
    asked = order(served.account(), order_no="E-1", bank_reference="e-1")
    assert reason(served.ask("POST", "/v1/topups", asked)) == why.VOID
    assert reason(served.ask("GET", "/v1/topups/E-1")) == why.VOID
    assert served.ask("POST", "/v1/topups/E-1/cancel") == done
    assert books.dump() == before


def test_a_statement_is_its_balance_page_by_page(served, books, reader):
    reader.spend(amount_fen=300, earliest_s=1_750_000_000, latest_s=1_750_000_001)
    sale = reader.spend(counter=2, last=(1001, 1), amount_fen=200)
    reader.cancel(sale, amount_fen=200)
    books.book([reader.records])
    account = served.account()
    topped_up = order(account, order_no="S-1", bank_reference="s-1")
    assert served.ask("POST", "/v1/topups", topped_up)[0] == 200
    path = f"/v1/accounts/{account}"
    _status, balance = served.ask("GET", path)
    assert balance["purse_fen"] == books.holder_balance(CARD)
    entries, after = [], ""
    while after is not None:
        _status, page = served.ask("GET", f"{path}/entries?limit=2{after and '&after=' + after}")
        assert len(page["entries"]) <= 2
        entries += page["entries"]
        after = page["next"]
    assert len({entry["number"] for entry in entries}) == len(entries) >= 5
    times = [entry["time_s"] or 0 for entry in entries]
    assert times == sorted(times, reverse=True)
    for pot in ("purse_fen", "waiting_fen", "reserved_fen"):
        assert sum(entry[pot] for entry in entries) == balance[pot]
    (spent,) = [entry for entry in entries if entry["purse_fen"] == -300]
    assert (spent["kind"], spent["merchant_no"]) == ("spend", CANTEEN)
    assert spent["time_s"] == 1_750_000_001


def test_a_loss_is_reported_at_once_and_keeps_its_time(served, books):
    books.issue_card(LOST_CARD, 0)  # no other test's: they run in any order
    account = served.account(LOST_CARD)
    status, told = served.ask("POST", f"/v1/accounts/{account}/loss")
    assert (status, told["epoch"]) == (200, books.cards.epoch())
    assert served.ask("GET", f"/v1/accounts/{account}")[1]["status"] == "lost"
    assert served.ask("POST", f"/v1/accounts/{account}/loss") == (status, told)
    *_, (_epoch, _status, lost_s, cause, evidence) = books.cards.history(LOST_CARD)
    assert (lost_s, cause, evidence) == (told["lost_s"], "lose", "ecode")
    books.cards.set("close", LOST_CARD, lost_s, "id-card")
    assert reason(served.ask("POST", f"/v1/accounts/{account}/loss")) == why.ACCOUNT_CLOSED
    asked = order(account, order_no="D-1", bank_reference="d-1")
    assert reason(served.ask("POST", "/v1/topups", asked)) == why.ACCOUNT_CLOSED


def test_readers_and_cases_page_by_page(served, books, reader):
    other = Reader(1002)
    books.register_device(other.device, other.key, CANTEEN, "north")
    said = {"network": 1, "waiting": 3, "battery_mv": 4000, "clock_width_s": 1}
    other.write(
        messages.INSPECTION, **said, reader_faults=0, free_sectors=9, map_made_s=77, earliest_s=5
    )
    other.spend(card_no=99)
    other.spend(card_no=98, counter=2)
    books.book([other.records])
    first, second = (
        served.ask("GET", f"/v1/devices?limit=1{after}", client="watch")[1]
        for after in ("", "&after=1001")
    )
    assert (first["devices"][0]["device"], first["next"]) == (1001, "1001")
    assert first["card_epoch"] == books.cards.epoch()
    assert (second["devices"][0]["site"], second["next"]) == ("north", None)
    inspected = {"time_s": 5, "is_online": True, "waiting": 3, "battery_mv": 4000}
    assert second["devices"][0]["inspected"] == inspected | {"map_made_s": 77}
    found, after = [], ""
    while after is not None:
        path = f"/v1/cases?limit=1{after and '&after=' + after}"
        _status, page = served.ask("GET", path, client="watch")
        found += [(one["reason"], one["device"], one["seq"]) for one in page["cases"]]
        after = page["next"]
    assert sorted(found) == sorted(books.cases())
    assert len(found) >= 2


def test_no_scope_no_answer(served):
    account = served.account()
    for path in ("/v1/devices", "/v1/cases", "/metrics"):
        assert reason(served.ask("GET", path)) == why.NOT_ALLOWED
    assert reason(served.ask("GET", f"/v1/accounts/{account}", client="watch")) == why.NOT_ALLOWED
    assert reason(served.ask("POST", "/v1/topups", b"{", client="watch")) == why.NOT_ALLOWED


@pytest.mark.parametrize(
    "said",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer token-of-ecod",
        "Basic token-of-ecode",
        "Bearer \u00fc",
    ],
)
def test_without_a_token_of_ours_nobody_is_anybody(served, said):
    headers = {} if said is None else {"Authorization": said.encode("latin-1")}
    status, told, body = served.say("GET", "/v1/devices", headers=headers)
    assert (status, json.loads(body)["reason"]) == (401, why.NO_TOKEN)
    assert told["www-authenticate"] == 'Bearer realm="onecard"'


GOOD = order("0" * 32)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", why.NOT_JSON),
        (b"{", why.NOT_JSON),
        (b"[]", why.NOT_JSON),
        (b"\xff", why.NOT_JSON),
        (b"[" * 4_000, why.NOT_JSON),
        (json.dumps(GOOD).replace('"A-1"', '"\\ud800"').encode(), why.NOT_JSON),
        (json.dumps(GOOD).encode()[:-1] + b', "amount_fen": 1}', why.NOT_JSON),
        (b" " * 4_097, why.TOO_LARGE),
        (GOOD | {"amount_fen": 0}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": -5}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": 5.0}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": 5.5}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": "5"}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": True}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": 10**30}, why.BAD_FIELDS),
        (GOOD | {"amount_fen": 100_001}, why.ABOVE_LIMIT),
        (GOOD | {"bank_reference": ""}, why.BAD_FIELDS),
        (GOOD | {"bank_reference": None}, why.BAD_FIELDS),
        (GOOD | {"order_no": "A\t1"}, why.BAD_FIELDS),
        (GOOD | {"order_no": "A-1\n"}, why.BAD_FIELDS),
        (GOOD | {"order_no": "x" * 65}, why.BAD_FIELDS),
        (GOOD | {"paid_s": -1}, why.BAD_FIELDS),
        (GOOD | {"paid_s": 2**32}, why.BAD_FIELDS),
        (GOOD | {"card_no": 7}, why.BAD_FIELDS),
        ({"order_no": "A-1"}, why.BAD_FIELDS),
        (GOOD, why.NO_ACCOUNT),
    ],
)
def test_a_body_that_cannot_be_is_refused(served, books, body, expected):
    before = books.dump()
    assert reason(served.ask("POST", "/v1/topups", body)) == expected
    assert books.dump() == before


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/nothing", why.NOTHING_HERE),
        ("/v1/topups/A%2F1", why.NOTHING_HERE),
        ("/v1/topups/%00", why.NO_ORDER),
        ("/v1/topups/none", why.NO_ORDER),
        ("/v1/accounts/7", why.NO_ACCOUNT),
        (f"/v1/accounts/{'f' * 32}", why.NO_ACCOUNT),
        (f"/v1/accounts/{'F' * 32}", why.NO_ACCOUNT),
        ("/v1/topups", why.WRONG_METHOD),
    ],
)
def test_a_path_that_cannot_be_is_refused(served, path, expected):
    assert reason(served.ask("GET", path)) == expected


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=51", "limit=5.0", "limit=1_0", "limit=", "limit=1&limit=2", "more=1"]
    + [f"after={after}" for after in ("", "x", "1-2", "9-9-9-zz", "1-1-1-0", "-1", "1-a-1-00")],
)
def test_a_query_that_cannot_be_is_refused(served, query):
    assert reason(served.ask("GET", f"/v1/cases?{query}", client="watch")) == why.BAD_FIELDS


def test_it_says_how_it_is(served):
    assert served.ask("GET", "/healthz", client=None) == (200, {"status": "ok"})
    assert served.ask("GET", "/readyz", client=None) == (200, {"status": "ok"})
    headers = {"Authorization": f"Bearer {TOKENS['watch']}"}
    status, _headers, body = served.say("GET", "/metrics", headers=headers)
    assert status == 200
    line = 'onecard_ledger_api_requests_total{client="watch",operation="list_cases",status="422"}'
    assert line.encode() in body


def test_an_app_binds_a_phone_whose_codes_then_pay(served, books):
    books.issue_cards([(APP_CARD, 0)])
    holder = Holder(PERSON_NO, STUDENT, "Nursing")
    books.holders.open(
        APP_CARD, holder, (0, 65_535), 1_750_000_000, Act(evidence="id-card", person="wang")
    )
    path = f"/v1/accounts/{served.account(APP_CARD, 'today')}/phone"
    asked = {"request_no": "P-1", "phone": "a" * 22, "person_no": PERSON_NO, "reference": "wx:77"}
    none = {"account": path.split("/")[3], "binding": None, "bound_s": None}
    assert served.ask("GET", path, client="today") == (200, none)
    wrong = asked | {"person_no": "2021019999"}
    assert reason(served.ask("POST", path, wrong, "today")) == why.NOT_THE_HOLDER
    status, told = served.ask("POST", path, asked, "today")
    assert (status, told["card_no"], told["binding"]) == (200, APP_CARD, 1)
    assert served.ask("POST", path, asked, "today") == (200, told)  # the answer was lost
    phones = Phones(books.database, bytes(range(32)), bytes)
    assert phones.seed_of(APP_CARD).hex() == told["seed"]
    assert served.ask("GET", path, client="today")[1]["binding"] == 1
    assert reason(served.ask("POST", path, asked | {"phone": "short"}, "today")) == why.BAD_FIELDS
    for _ in range(2):
        assert served.ask("POST", f"{path}/end", client="today") == (200, none)
    assert phones.seed_of(APP_CARD) is None
    assert reason(served.ask("POST", path, asked, "today")) == why.TOLD_BEFORE
    assert reason(served.ask("POST", path, asked, "ecode")) == why.NOT_ALLOWED
    _secrets.extend([told["seed"], PERSON_NO, asked["phone"]])
