"""The console as it is run for a school: over TLS, on books in PostgreSQL."""

import ssl
import time

import pytest

from ledger import names, passwords
from ledger.console.refusals import OTHER_ORIGIN
from ledger.store import LedgerStore
from tests.ledger.console.campus import IN_USE, Console, Visitor, configure, fill
from tests.ledger.staff import CHEAP, password_of
from tools.identity import names as certificate_names
from tools.identity.authority import Authority


@pytest.fixture(scope="module")
def served(postgresql, tmp_path_factory):
    """(console, store): the process with a certificate, on a database of its own."""
    folder, url, now_s = tmp_path_factory.mktemp("tls"), postgresql.new_books(), int(time.time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", CHEAP)
        store = LedgerStore.open(url)
        fill(store, now_s)
    Authority.create(folder / "ca", "Campus", now_s)
    with Authority.opened(folder / "ca") as authority:
        authority.issue(certificate_names.broker("127.0.0.1"), folder / "tls", now_s)
    config = configure(folder, 'certificate = "tls/certificate.pem"\nkey = "tls/key.pem"')
    config.write_text(f'database = "{url}"\n{config.read_text()}')
    console = Console(config, ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem")))
    yield console, store
    log = console.close()
    store.close()
    postgresql.drop(url)
    assert "Traceback" not in log, log


def test_a_clerk_logs_in_finds_a_card_and_reports_its_loss_over_tls_on_postgresql(served):
    console, store = served
    me = Visitor(console)
    answer = me.post("/login", {"login": "clara", "password": password_of("clara"), "to": "/"})
    assert answer.status == 303, answer.text
    (cookie,) = answer.cookies
    assert cookie.startswith("__Host-session=")
    assert all(f"; {flag}" in cookie for flag in ("Secure", "HttpOnly", "SameSite=strict"))
    assert me.get("/").headers["strict-transport-security"]
    plain = f"http://127.0.0.1:{console.port}"
    assert me.post("/search", {}, Origin=plain).reason == OTHER_ORIGIN, "not from a page of ours"
    # Searches by name and by the number of a chip, an act that is sent twice, lists.
    whose = f"/cards/{IN_USE}"
    assert me.send("/search", "/search", q="sxm").headers["location"] == whose
    assert me.send("/search", "/search", q="0A0B0C0D0E").status == 200, "no chip of ours"
    with store.database.transaction():
        chip = bytes.fromhex("04112233445566")
        store.database.many("INSERT INTO chip VALUES (?, ?, ?)", [(IN_USE, chip, 2)])
    head, end = int.from_bytes(chip[:4], "little"), int.from_bytes(chip[-4:], "big")
    for typed in (chip[-5:].hex(), f"{end:010}", f"{end % (1 << 24):08}", f"{head:010}"):
        assert me.send("/search", "/search", q=typed).headers["location"] == whose, typed
    path = f"/cards/{IN_USE}/lose"
    form = me.get(path).form(path)
    for _ in range(2):
        answer = me.post(path, form)
        assert answer.status == 303, answer.text
        assert answer.headers["location"].startswith(whose)
    assert store.cards.state(IN_USE) == "lost"
    assert names.name_of(store.database, IN_USE) == "单小明"
    for page in ("/cases", "/temporary", "/lists", f"/cards/{IN_USE}", "/balance", "/statements"):
        assert me.get(page).status == 200, page
