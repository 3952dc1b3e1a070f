"""The API as a process on books of its own, and a client that speaks plain HTTP to it."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ledger import passwords
from ledger.api.clients import hash_of
from ledger.holders import Holder
from ledger.lifecycle import Act
from ledger.store import LedgerStore
from protocols.rules.spending import STUDENT
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.staff import CHEAP, staffed, token_of

PATIENCE_S = 60
ROOT = Path(__file__).resolve().parents[3]
TOKENS = {"ecode": "token-of-ecode", "today": "token-of-today", "watch": "token-of-watch"}
_SCOPES = {
    "ecode": '"accounts", "balances", "losses", "topups"',
    "today": '"accounts", "topups", "phones"',
    "watch": '"devices", "cases", "metrics"',
}
_LISTENS = re.compile(rb"listens on [^ ]+, port (\d+)")
RUN = "import logging, sys; logging.basicConfig(level='INFO'); "
RUN += "from ledger.api.server import run; run(sys.argv[1])"


def settle(folder, database="", http="requests_per_s = 10000", reader=None):
    """Files and books in `folder`, with two cards and a reader; the configuration's path."""
    for name in ("signing", "account", "code"):
        _secret(folder / f"{name}.key", bytes(range(32)).hex())
    clients = [
        f'[[client]]\nname = "{name}"\nscopes = [{_SCOPES[name]}]\n'
        f'token_sha256 = "{hash_of(token).hex()}"\n'
        for name, token in TOKENS.items()
    ]
    _secret(folder / "clients.toml", "".join(clients))
    (folder / "books").mkdir(exist_ok=True)
    path = folder / "ledger.toml"
    place = f'database = "{database}"\n' if database else ""
    path.write_text(
        f'data_dir = "books"\n{place}signing_key_file = "signing.key"\n[http]\nport = 0\n'
        f'clients_file = "clients.toml"\naccount_key_file = "account.key"\n{http}\n[broker]\n'
        '[codes]\nkey_file = "code.key"\n'
    )
    store = LedgerStore.open(database or str(folder / "books" / "ledger.sqlite"))
    store.register_merchant(CANTEEN)
    reader = reader or Reader(1001)
    store.register_device(reader.device, reader.key, CANTEEN)
    store.issue_cards([(CARD, OPENING_FEN), (OTHER_CARD, OPENING_FEN)])
    store.close()
    return path


PERSON_NO = "2021010042"


def let_in(folder):
    """Everybody of staff.py works with the books in `folder`, and CARD is somebody's."""
    now_s = int(time.time())
    store = LedgerStore.open(str(folder / "books" / "ledger.sqlite"))
    holder = Holder(PERSON_NO, STUDENT, "Nursing")
    store.holders.open(CARD, holder, (0, 65_535), now_s, Act(evidence="id-card", person="wang"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", CHEAP)
        staffed(store, now_s)
    return store


def session(store, login):
    """The token of a new session of `login`."""
    return token_of(store, login, int(time.time()))


def _secret(path, text):
    path.write_text(text)
    path.chmod(0o600)


class Served:
    """A running server; `url`, and `ask` for what it answers. Close it."""

    def __init__(self, config, code=RUN, words=()):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, str(config), *words]
        self.log = b""
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        while True:
            line = self.process.stderr.readline()
            self.log += line
            found = _LISTENS.search(line)
            if found:
                break
            assert line, self.log.decode()
        # Its log is read as it comes: a full pipe would stop it.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, client="ecode", headers=None):
        """(status, what the answer says) to a client, or a token. ConnectionError."""
        token = TOKENS.get(client, client)
        said = {} if client is None else {"Authorization": f"Bearer {token}"}
        status, _headers, data = self.say(method, path, body, said | (headers or {}))
        return status, json.loads(data)

    def say(self, method, path, body=None, headers=None):
        """(status, headers, bytes); `body` is bytes, or is sent as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()
        except http.client.HTTPException as error:
            raise ConnectionError from error
        finally:
            connection.close()

    def account(self, card_no=CARD, client="ecode"):
        status, told = self.ask("POST", "/v1/accounts", {"card_no": card_no}, client)
        assert status == 200, told
        return told["account"]

    def _read(self):
        for line in self.process.stderr:
            self.log += line

    def close(self):
        """End it as systemd does; what it has logged."""
        self.process.terminate()
        return self.ended()

    def ended(self):
        """Wait until it has ended; what it has logged."""
        self.process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        self.process.stderr.close()
        return self.log.decode()


def order(account, **other):
    facts = {"order_no": "A-1", "account": account, "amount_fen": 5_000}
    return facts | {"bank_reference": "bank-9001", "paid_s": 1_750_000_000} | other
