"""Books with something on each page, the console as a process on them, and who looks at it.

`Visitor` speaks plain HTTP and takes what it reads apart; a browser is in test_browser.py.
"""

import functools
import html.parser
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ledger import names, passwords, people
from ledger.holders import Holder
from ledger.lifecycle import HOLDER, Act
from ledger.store import LedgerStore
from ledger.temporary import Application
from protocols.rules.spending import STUDENT
from tests.ledger.console import business, dorm
from tests.ledger.readers import CANTEEN, Reader
from tests.ledger.staff import CHEAP, staffed, token_of

PATIENCE_S = 60
ROOT = Path(__file__).resolve().parents[3]
RUN = "import logging, sys; logging.basicConfig(level='INFO'); "
RUN += "from ledger.console.server import run; run(sys.argv[1])"
# What stands for a part of a path where every page is looked at; whoever adds one adds it here.
LOST, IN_USE, TEMPORARY = 7, 8, 9
NEW = (20, 21, 22)
LOST_AGO_S = 3_600
PEOPLE = ((LOST, "2021010042", "张三"), (IN_USE, "2021010043", "单小明"))
EXAMPLES = {"card_no": str(LOST), "application": "1", **dorm.EXAMPLES, **business.EXAMPLES}
_LISTENS = re.compile(rb"console listens on [^ ]+, port (\d+)")
_HERE = (str(ROOT), os.environ.get("PYTHONPATH", ""))
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in _HERE if each)}


def example(path):
    """A path of the table with EXAMPLES in it."""
    return path.format(**EXAMPLES)


def configure(folder, console="requests_per_s = 10000", more=""):
    """Files for a ledger in `folder`; the path of its configuration."""
    key = folder / "signing.key"
    key.write_text(bytes(range(32)).hex())
    key.chmod(0o600)
    (folder / "books").mkdir(exist_ok=True)
    path = folder / "ledger.toml"
    path.write_text(
        'data_dir = "books"\nsigning_key_file = "signing.key"\n[broker]\n'
        f'{more}\n[console]\nhost = "127.0.0.1"\nport = 0\n{console}\n'
    )
    return path


@functools.cache
def _staffed():
    """The file of books with everybody of staff.py, a merchant and a reader; made once."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "ledger.sqlite"
        patch.setattr(passwords, "_HASHER", CHEAP)
        store = LedgerStore.open(str(path))
        store.database._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls a plug here
        fill(store, int(time.time()))
        store.close()
        return path.read_bytes()


def fill(store, now_s):
    """Everybody of staff.py, and something on each page, in books that are empty."""
    then_s = now_s - LOST_AGO_S
    staff = staffed(store, then_s)
    _people(store, staff, then_s)
    dorm.fill(store, staff, then_s)
    store.register_merchant(CANTEEN, "Canteen 1")
    reader = Reader(1001)
    store.register_device(reader.device, reader.key, CANTEEN)
    business.fill(store, now_s)


def _people(store, staff, now_s):
    """People with their cards: one is lost, one in use, one temporary; new ones lie ready."""
    clerk = staff["clara"]
    today = now_s // 86_400
    store.issue_cards([(LOST, 6_820), (IN_USE, 1_250)])
    for card_no in (*NEW, TEMPORARY):
        store.holders.issue(card_no, now_s, Act(person=clerk))
    by = Act(evidence="id-card", person=clerk)
    for card_no, person_no, name in PEOPLE:
        holder = Holder(person_no, STUDENT, "Nursing")
        store.holders.open(card_no, holder, (today - 100, today + 900), now_s, by)
        names.enter(store.database, card_no, name, clerk, now_s)
    form = Application("T0000001", "S0000001", "厨师", 1, people.GENERAL, today - 90, today + 5)
    number = store.temporaries.apply(form, now_s, clerk)
    for step, login in ((1, "hua"), (2, "tian")):
        store.temporaries.approve(number, step, staff[login], now_s)
    shown = Act(evidence="id-card+application", person=clerk)
    store.temporaries.hand_out(number, TEMPORARY, now_s, shown)
    store.cards.set("lose", LOST, now_s, by=Act(HOLDER, person=clerk))


def books_in(folder):
    """Books in `folder` with everybody of staff.py, a merchant and a reader."""
    path = folder / "books" / "ledger.sqlite"
    path.write_bytes(_staffed())
    return LedgerStore.open(str(path))


class Console:
    """The process; `url`. Close it. `tls`: the context of whoever asks, where it has TLS."""

    def __init__(self, config, tls=None):
        self.tls = tls
        command = [sys.executable, "-c", RUN, str(config)]
        self.log = b""
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
        while True:
            line = self.process.stderr.readline()
            self.log += line
            found = _LISTENS.search(line)
            if found:
                break
            assert line, self.log.decode()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.port = int(found[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def line(self):
        """A connection to it."""
        where = "127.0.0.1", self.port
        if self.tls:
            return http.client.HTTPSConnection(*where, timeout=PATIENCE_S, context=self.tls)
        return http.client.HTTPConnection(*where, timeout=PATIENCE_S)

    def _read(self):
        for line in self.process.stderr:
            self.log += line

    def close(self):
        """End it as systemd does; what it has logged."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        self.process.stderr.close()
        return self.log.decode()


class Answer:
    """`status`, `headers`, `text`, and what stands in the HTML."""

    def __init__(self, status, headers, data):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        self.data = data
        is_text = self.headers.get("content-type", "").startswith("text/")
        self.text = data.decode() if is_text else ""
        self.page = _Html(self.text)

    @property
    def reason(self):
        """The number of the refusal that the page tells; None if it tells none."""
        found = re.search(r'class="number">\D*(\d+)</span>', self.text)
        return int(found[1]) if found else None

    def form(self, action):
        """The fields of the form that is posted to `action`, as they stand there."""
        (found,) = [fields for where, fields in self.page.forms if where == action]
        return dict(found)


class _Html(html.parser.HTMLParser):
    """Elements with their attributes, forms with the fields that they have, what is said.

    `forms` are those that are posted; one that only asks by a query has nothing to seal.
    """

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.forms = []
        self.inline = []
        self._open = []
        self._posts = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.elements.append((tag, said))
        if tag in ("script", "style"):
            self._open.append(tag)
        if tag == "form":
            self._posts = said.get("method", "get").lower() == "post"
            if self._posts:
                self.forms.append((said.get("action"), {}))
        if tag in ("input", "select", "textarea") and self._posts and said.get("name"):
            kind = said.get("type")
            if kind in ("checkbox", "radio") and "checked" not in said:
                return
            self.forms[-1][1][said["name"]] = said.get("value", "")

    def handle_endtag(self, tag):
        if self._open and tag == self._open[-1]:
            self._open.pop()

    def handle_data(self, data):
        if self._open and data.strip():
            self.inline.append(data)


class Visitor:
    """Somebody at a browser without scripts: it keeps cookies and says where it comes from."""

    def __init__(self, console, token="", language=""):
        self._console = console
        self.cookies = {"session": token} if token else {}
        if language:
            self.cookies["language"] = language

    def say(self, method, path, body=None, headers=None):
        """An answer; nothing is followed. `headers` of None are left out."""
        own = {"Host": f"127.0.0.1:{self._console.port}"}
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        if method == "POST":
            own |= {
                "Origin": self._console.url,
                "Content-Type": "application/x-www-form-urlencoded",
            }
        own |= headers or {}
        line = self._console.line()
        try:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, text in own.items():
                if text is not None:
                    line.putheader(name, text)
            data = body.encode() if isinstance(body, str) else body
            line.putheader("Content-Length", str(len(data or b"")))
            line.endheaders(data)
            response = line.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        finally:
            line.close()
        for cookie in answer.cookies:
            name, _, text = cookie.partition(";")[0].partition("=")
            self.cookies[name] = text.strip('"')
            if not self.cookies[name]:
                del self.cookies[name]
        return answer

    def get(self, path, **headers):
        return self.say("GET", path, headers=headers)

    def post(self, path, fields, **headers):
        return self.say("POST", path, urlencode(fields), headers)

    def send(self, page, path, **typed):
        """Open `page`, fill in the form that goes to `path`, and send it."""
        return self.post(path, self.get(page).form(path) | typed)


def visitor(console, store, login, language=""):
    """Somebody with a session that begins now."""
    return Visitor(console, token_of(store, login, int(time.time())), language)
