"""The process: what it refuses to start with, how it bounds who asks, TLS, and slow books."""

import asyncio
import itertools
import socket
import sqlite3
import ssl
import threading
import time
from contextlib import closing

import pytest

from adapters.sqlite import SchemaTooNew
from ledger.api.accounts import AccountIds
from ledger.api.app import READY_S, Api
from ledger.api.books import LONG_MAX, THREADS, WAITING_MAX, Books, BooksBusy, BooksSlow
from ledger.api.clients import Client, Clients, Scope, hash_of, load_clients
from ledger.api.limits import Pace
from ledger.api.operations import Policy
from ledger.api.server import CannotListen, run
from ledger.config import ConfigError, load_config
from ledger.dialect import SchemaTooOld, StoreUnavailable
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from tests.ledger.api.served import RUN, TOKENS, Served, settle
from tests.ledger.readers import CARD, OTHER_CARD
from tools.identity import names
from tools.identity.authority import Authority


def test_a_client_that_asks_too_often_waits(tmp_path):
    """And the others do not; who has no token is one of them."""
    served = Served(settle(tmp_path, http="requests_per_s = 1"))
    for headers, usual in (({"Authorization": f"Bearer {TOKENS['ecode']}"}, 404), ({}, 401)):
        for _ in range(500):  # two at once, and one each second
            status, told, _body = served.say("GET", "/v1/topups/none", headers=headers)
            if status == 429:
                break
            assert status == usual
        assert (status, told["retry-after"]) == (429, "1")
    assert served.ask("GET", "/v1/cases", client="watch")[0] == 200
    _sends_half(served)
    assert "Traceback" not in served.close()


def _sends_half(served):
    """A body that does not come is no booking, and holds nobody else up."""
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        head = (
            f"POST /v1/topups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS['today']}\r\n"
        )
        line.sendall(f"{head}Content-Length: 500\r\n\r\n".encode() + b'{"order_no": "A-1"')
        assert served.ask("GET", "/healthz", client=None)[0] == 200
        line.shutdown(socket.SHUT_WR)
        line.settimeout(60)
        assert line.recv(4_096)[:12] in (b"", b"HTTP/1.1 400")
    assert served.ask("GET", "/readyz", client=None)[0] == 200


def test_with_certificates_nobody_else_gets_a_byte(tmp_path):
    now_s = int(time.time())
    Authority.create(tmp_path / "ca", "Campus", now_s)
    with Authority.opened(tmp_path / "ca") as authority:
        authority.issue(names.broker("127.0.0.1"), tmp_path / "http-tls", now_s)
        authority.issue(names.client("north/agent"), tmp_path / "client", now_s)
    http = 'certificate = "http-tls/certificate.pem"\nkey = "http-tls/key.pem"\n'
    served = Served(settle(tmp_path, http=http + 'ca = "http-tls/ca.pem"'))
    context = ssl.create_default_context(cafile=str(tmp_path / "client" / "ca.pem"))
    assert _over_tls(served, context) == b""
    context.load_cert_chain(tmp_path / "client" / "certificate.pem", tmp_path / "client/key.pem")
    assert b"200 OK" in _over_tls(served, context)
    with pytest.raises(ConnectionError):
        served.ask("GET", "/healthz", client=None)
    served.close()


def _over_tls(served, context):
    """What it answers; in TLS 1.3 who is refused may only see the connection end."""
    bare = socket.create_connection(("127.0.0.1", served.port))
    with bare, context.wrap_socket(bare, server_hostname="127.0.0.1") as line:
        try:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return line.recv(4_096)
        except (ssl.SSLError, ConnectionError):
            return b""


# --- before it serves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ('host = "0.0.0.0"', "without a certificate"),
        ('certificate = "c.pem"', "certificate and key, or none"),
        ('ca = "c.pem"', "certificate and key, or none"),
        ("requests_per_s = 0", "1 at least"),
        ("topup_max_fen = -1", "whole number"),
        ("prot = 1", "nothing of this name"),
    ],
)
def test_a_section_that_cannot_be_is_refused(tmp_path, http, said):
    with pytest.raises(ConfigError, match=said):
        load_config(settle(tmp_path, http=http))


def test_what_it_cannot_serve_with_is_told_before(tmp_path):
    config = settle(tmp_path)
    text = config.read_text()
    (tmp_path / "account.key").chmod(0o644)
    with pytest.raises(ConfigError, match=r"account.key: others may read it"):
        run(config)
    (tmp_path / "account.key").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(text.replace("port = 0", f"port = {taken.getsockname()[1]}"))
        with pytest.raises(CannotListen, match="in use"):
            run(config)
    pem = 'certificate = "account.key"\nkey = "account.key"\n[broker]'
    config.write_text(text.replace("[broker]", pem))
    with pytest.raises(CannotListen, match=r"account\.key"):
        run(config)
    config.write_text(text.partition("[http]")[0] + "[broker]\n")
    with pytest.raises(ConfigError, match="nobody may ask"):
        run(config)


@pytest.mark.parametrize(
    ("version", "error", "said"),
    [
        (0, SchemaTooOld, "onecard ledger run"),
        (len(MIGRATIONS) - 1, SchemaTooOld, "onecard ledger run"),
        (len(MIGRATIONS) + 1, SchemaTooNew, "newer program"),
        (None, StoreUnavailable, "unable to open"),
    ],
)
def test_books_of_another_version_are_left_alone(tmp_path, version, error, said):
    """The ledger that runs on them would find them changed under it."""
    config = settle(tmp_path)
    path = tmp_path / "books" / "ledger.sqlite"
    if version is None:
        path.unlink()
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(error, match=said):
        run(config)
    assert path.exists() == (version is not None)


HASH = hash_of("x").hex()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[client]]\n", "has name, scopes, token_sha256"),
        (f'[[client]]\nname = "E"\ntoken_sha256 = "{HASH}"\nscopes = []', "name: a-z"),
        ('[[client]]\nname = "e"\ntoken_sha256 = "secret"\nscopes = []', "64 hexadecimal"),
        (f'[[client]]\nname = "e"\ntoken_sha256 = "{HASH}"\nscopes = ["all"]', "scopes: some of"),
        (f'[[client]]\nname = "e"\ntoken_sha256 = "{HASH}"\nscopes = "topups"', "scopes: some"),
        ("client = 5", "nothing but"),
        ("more = 5", "nothing but"),
        ("[[client", "Expected"),
        (f'[[client]]\nname = "e"\ntoken_sha256 = "{HASH}"\nscopes = []\n' * 2, "one name"),
        (
            "".join(
                f'[[client]]\nname = "{name}"\ntoken_sha256 = "{HASH}"\nscopes = []\n'
                for name in "ef"
            ),
            "one token",
        ),
    ],
)
def test_clients_that_cannot_be_are_refused(tmp_path, text, said):
    path = tmp_path / "clients.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=said) as caught:
        load_clients(path)
    assert "secret" not in str(caught.value)


def test_a_token_is_its_client_s():
    clients = Clients(
        [Client(name, hash_of(f"token {name}"), frozenset({Scope.CASES})) for name in "abc"]
    )
    assert [clients.by_token(f"token {name}").name for name in "abc"] == ["a", "b", "c"]
    assert clients.by_token("token d") is None
    assert clients.by_token("") is None
    assert "token" not in repr(clients.by_token("token a"))


def test_an_account_has_another_number_for_each_client_and_key():
    ids, other = AccountIds(bytes(32)), AccountIds(bytes(31) + b"\1")
    numbers = {
        ids.of(client, card) for client in ("ecode", "today") for card in (0, CARD, 2**32 - 1)
    }
    assert len(numbers) == 6
    account = ids.of("ecode", CARD)
    assert ids.card_no("ecode", account) == CARD
    assert ids.card_no("today", account) is None
    assert other.card_no("ecode", account) is None
    assert ids.card_no("ecode", f"{int(account, 16) ^ 1:032x}") is None
    assert ids.of("ecode", OTHER_CARD) != account


def test_a_pace_fills_at_its_rate():
    now_ms = [0]
    pace = Pace(2, lambda: now_ms[0])
    assert [pace.wait_s("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    assert pace.wait_s("b") == 0
    now_ms[0] = 500
    assert [pace.wait_s("a") for _ in range(2)] == [0, 1]
    now_ms[0] = 10**9
    assert [pace.wait_s("a") for _ in range(5)] == [0, 0, 0, 0, 1]


def test_books_that_do_not_answer_hold_nobody_for_ever(tmp_path):
    """Who waits is told in time, what has begun is finished, and no more than so much is begun."""
    path = str(tmp_path / "ledger.sqlite")
    go_on, begun, opening = threading.Event(), [], threading.Lock()

    def opened():
        with opening:  # threads that make one file at once find it locked, however long they wait
            return LedgerStore.open(path)

    def slow(store):
        begun.append(store)
        go_on.wait(60)
        return store.cards.epoch()

    async def ask():
        books = Books(opened, answer_s=0.2)
        waiting = [asyncio.create_task(books.do(slow)) for _ in range(THREADS + WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(BooksBusy):
            await books.do(slow)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(answer) for answer in answers} == {BooksSlow}
        await until(lambda: len(begun) >= THREADS)
        assert len(begun) == THREADS
        go_on.set()
        await until(lambda: len(begun) >= THREADS + WAITING_MAX)
        assert len(begun) == THREADS + WAITING_MAX
        await asyncio.to_thread(books.close)

    async def until(is_so):
        end_s = time.monotonic() + 60
        while not is_so() and time.monotonic() < end_s:
            await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert len({id(store) for store in begun}) == THREADS


def test_long_work_is_under_way_once_and_told_to_who_asks_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ledger.api.books.KEPT_S", 0.2)
    path = str(tmp_path / "ledger.sqlite")
    LedgerStore.open(path).close()
    go_on, begun = threading.Event(), itertools.count(1)

    def slow(_store):
        number = next(begun)
        go_on.wait(60)
        if number == LONG_MAX + 1:
            raise StoreUnavailable("away")
        return number

    async def ask():
        books = Books(lambda: LedgerStore.open(path), answer_s=0.2)
        names = [f"{number}" for number in range(LONG_MAX)]
        for _ in range(2):
            asked = [books.do(slow, name) for name in names * 2]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {BooksSlow}
        with pytest.raises(BooksBusy):
            await books.do(slow, "another")
        assert await books.do(lambda store: store.cards.epoch()) == 0
        go_on.set()
        assert sorted([await books.do(slow, name) for name in names]) == [1, 2]
        # It was told: asked again it is done again, and what it raises is told once too.
        with pytest.raises(StoreUnavailable):
            await books.do(slow, "0")
        assert await books.do(slow, "0") == LONG_MAX + 2
        # What nobody comes for is kept for so long.
        go_on.clear()
        with pytest.raises(BooksSlow):
            await books.do(slow, "0")
        go_on.set()
        while books._long:
            await asyncio.sleep(0.01)
        assert await books.do(slow, "0") == LONG_MAX + 4
        await asyncio.to_thread(books.close)

    asyncio.run(ask())


def test_whoever_asks_how_the_books_are_takes_no_place_from_clients(tmp_path):
    """No token is needed for it, so one look serves all who ask within a second."""
    path = str(tmp_path / "ledger.sqlite")
    LedgerStore.open(path).close()
    go_on, looks = threading.Event(), []

    def opened():
        go_on.wait(60)
        return LedgerStore.open(path)

    async def ready(application):
        sent, scope = [], {"type": "http", "method": "GET", "path": "/readyz", "headers": []}

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            sent.append(message.get("status"))

        await application({**scope, "query_string": b"", "root_path": ""}, receive, send)
        return sent[0]

    async def ask():
        books = Books(opened)
        do = books.do
        books.do = lambda work: (looks.append(1), do(work))[1]
        pace = Pace(50, lambda: time.monotonic_ns() // 1_000_000)
        policy = Policy(AccountIds(bytes(32)), 100_000, 0)
        application = Api(books, Clients([]), policy, pace, lambda: 0).application()
        crowd = [
            asyncio.create_task(ready(application)) for _ in range(2 * (THREADS + WAITING_MAX))
        ]
        await asyncio.sleep(0.1)
        client = asyncio.create_task(do(lambda store: store.cards.epoch()))
        await asyncio.sleep(0)
        go_on.set()
        assert await client == 0
        assert set(await asyncio.gather(*crowd)) == {200} and len(looks) == 1
        await asyncio.sleep(READY_S)
        assert await ready(application) == 200 and len(looks) == 2
        await asyncio.to_thread(books.close)

    asyncio.run(ask())


_IMPATIENT = f"""
from adapters import sqlite
sqlite._SETTINGS = ("PRAGMA busy_timeout = 100", *sqlite._SETTINGS[1:])
from ledger.holder_accounts import HolderAccounts
HolderAccounts.entries = lambda *_: [][0]
{RUN}"""


def test_books_that_are_locked_and_a_fault_of_ours_are_told_of(tmp_path):
    """Locked by somebody who holds the writer's place for longer than anybody waits."""
    served = Served(settle(tmp_path), _IMPATIENT)
    store = LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite"))
    with store.database.transaction():  # before the first thread has opened them: only a look
        assert served.ask("POST", "/v1/accounts", {"card_no": CARD})[0] == 200
    account = served.account()
    with store.database.transaction():
        status, told = served.ask("POST", f"/v1/accounts/{account}/loss")
        assert (status, told["reason"]) == (503, 709)
        assert served.ask("GET", f"/v1/accounts/{account}")[1]["status"] == "active"
    assert served.ask("POST", f"/v1/accounts/{account}/loss")[0] == 200
    store.close()
    status, told = served.ask("GET", f"/v1/accounts/{account}/entries")
    assert (status, told["reason"]) == (500, 711)
    headers = {"Authorization": f"Bearer {TOKENS['watch']}"}
    shown = served.say("GET", "/metrics", headers=headers)[2].decode()
    for reason, count in ((709, 1), (711, 1)):
        assert f'onecard_ledger_api_refusals_total{{reason="{reason}"}} {count}.0' in shown
    assert "IndexError" in served.close()
