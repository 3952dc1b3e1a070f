"""Who looks at every page of a console on the books of console_campus.py, over real HTTP.

The console is the process that `onecard ledger run` starts. Each page is asked by somebody whose
roles see it, about what there is most of: the fullest reader, door, merchant.
"""

import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

from ledger.console.asked import Page
from ledger.console.pages import PAGES
from ledger.store import LedgerStore
from simulator.operators import password_of
from tools import child
from tools.bench.console_campus import CANTEEN, DAY_S, DORM, FIRST_CARD, OFFSET_S, STAFF
from tools.rooms import ROOT

ASKED, PATIENCE_S, LEAST, ENOUGH_S = 20, 60, 3, 6.0
_LISTENS = re.compile(rb"console listens on [^ ]+, port (\d+)")
_SEAL = re.compile(r'name="(form_no|form_seal)" value="([0-9a-f]+)"')
_EPOCH = date(1970, 1, 1)
# The fullest of its kind, by the books: (name of a part of a path, what finds it).
_FULLEST = {
    "reader": "SELECT device FROM device WHERE device < 3000 ORDER BY head_seq DESC LIMIT 1",
    "door": "SELECT device FROM device WHERE device BETWEEN 3001 AND 6999"
    " ORDER BY head_seq DESC LIMIT 1",
    "case": "SELECT reason, device, seq FROM suspense_case WHERE reason = 331"
    " ORDER BY device LIMIT 1",
    "last": "SELECT MAX(earliest_s) FROM intent WHERE device = ?",
}


class NoPage(Exception):
    """The console did not answer as it should; the text says which page, and what came."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A page that is asked: by whom, how, and `posted` with which fields (None: by GET)."""

    name: str
    path: str
    login: str
    posted: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """What a visit took: of `count` answers the middle one and that of 95 %, ms; bytes.

    `cpu_ms`: the processor's time of the console for one, which hangs less on what else runs here.
    """

    visit: Visit
    median_ms: float
    late_ms: float
    cpu_ms: float
    size: int
    count: int


def visits(store: LedgerStore) -> Iterator[Visit]:
    """Every page of the table, and the questions by which some of them are asked for more."""
    known = _known(store)
    for page in PAGES:
        login = login_for(page)
        if login:
            yield Visit(page.path, page.path.format(**known), login)
    for name, path, login in _QUESTIONS:
        yield Visit(name, path.format(**known), login)
    for name, path, login, fields in _POSTED:
        said = {key: text.format(**known) for key, text in fields.items()}
        yield Visit(name, path.format(**known), login, said)


def login_for(page: Page) -> str:
    """Who asks a page; "": nobody here, as for those of the administrators, who are always few."""
    if page.is_open:
        return ""
    return next((name for name, (_of, role) in STAFF.items() if page.is_for((role,))), "")


_QUESTIONS = (
    ("/balance of a day", "/balance?day={day}", "clerk"),
    ("/takings of a week", "/takings?day={day}", "clerk"),
    ("/takings of one merchant", "/takings?day={day}&merchant={merchant}", "clerk"),
    ("/inspections of a day", "/inspections?day={day}", "steward"),
    ("a merchant's day", "/merchants/{merchant}/day?day={day}", "clerk"),
    ("/attendance of a month", "/attendance?month={month}", "steward"),
    ("/periods/close up to a day", "/periods/close?until={day}", "clerk"),
    ("doors of a building", f"/doors?site={DORM}", "warden"),
    ("may this card open it", "/doors/{door}?card={card_no}", "guard"),
    ("every case", "/cases?all=1", "clerk"),
    ("every case, further on", "/cases?all=1&r={case_reason}&d={reader}&s=0", "clerk"),
    ("/readers, further on", "/readers?after={reader}", "steward"),
    ("/statements, further on", "/statements?page=1", "clerk"),
    ("chain of the fullest reader", "/audit?reader={reader}", "engineer"),
    ("chain, further on", "/audit?reader={reader}&behind=1000", "engineer"),
    ("one yuan", "/audit?device={reader}&seq=2", "engineer"),
    ("whether a card is blocked", "/block?card={card_no}", "guard"),
)
_POSTED = (
    ("search by number", "/search", "clerk", {"q": "{card_no}"}),
    ("search by person", "/search", "clerk", {"q": "2021000097"}),
    ("search by one letter", "/search", "clerk", {"q": "w"}),
    ("search by initials", "/search", "clerk", {"q": "wl"}),
    ("search by name", "/search", "clerk", {"q": "王"}),
    ("search for nobody", "/search", "clerk", {"q": "zzzz"}),
    ("acts of the clerk", "/audit", "engineer", {"login": "clerk"}),
    ("acts of nobody", "/audit", "engineer", {"login": "nobody"}),
    (
        "who was at the fullest door",
        "/doors/{door}/who",
        "guard",
        {"from": "{day}T11:00", "to": "{day}T12:00", "purpose": "how long that takes"},
    ),
)


def _known(store: LedgerStore) -> dict[str, str]:
    rows = store.database.rows
    ((reader,),) = rows(_FULLEST["reader"])
    ((door,),) = rows(_FULLEST["door"])
    ((case_reason, _device, seq),) = rows(_FULLEST["case"])
    ((last_s,),) = rows(_FULLEST["last"], (reader,))
    day = (_EPOCH + timedelta(days=(last_s + OFFSET_S) // DAY_S)).isoformat()
    case = {"case_reason": str(case_reason), "record": str(seq)}
    known = {"reader": str(reader), "door": str(door), "day": day, "month": day[:7]} | case
    known |= {"card_no": str(FIRST_CARD), "merchant": str(CANTEEN), "period": "1"}
    return known | {"dossier": "1", "application": "1"}


class Console:
    """The process, on the books at `place`. Close it."""

    def __init__(self, folder: Path, place: str) -> None:
        config = configured(folder, place)
        command = [sys.executable, "-m", "ledger.console", str(config)]
        self._log = folder / "console.log"
        with self._log.open("wb") as log:
            self._process = child.start(
                command,
                stdin=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self.port = self._listens()
        self._sessions: dict[str, str] = {}

    def _listens(self) -> int:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s and self._process.poll() is None:
            found = _LISTENS.search(self._log.read_bytes())
            if found:
                return int(found[1])
            time.sleep(0.05)
        raise NoPage(self._log.read_text()[-2000:])

    def ask(
        self, login: str, path: str, fields: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """(status, body, the cookie that came) of one request of somebody who has logged in."""
        headers = {"Cookie": f"session={self._sessions.get(login, '')}; language=en"}
        body = None
        if fields is not None:
            headers |= {"Origin": f"http://127.0.0.1:{self.port}"}
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(fields)
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            line.request("GET" if body is None else "POST", path, body, headers)
            response = line.getresponse()
            return response.status, response.read(), response.getheader("set-cookie", "") or ""
        finally:
            line.close()

    def log_in(self, login: str) -> None:
        """Begin a session, as anybody does."""
        words = {"login": login, "password": password_of(login), "to": "/"}
        status, data, cookie = self.ask(login, "/login", words)
        while status == 429:  # logins have a pace
            time.sleep(1)
            status, data, cookie = self.ask(login, "/login", words)
        found = re.match(r"session=([^;]+)", cookie)
        if status != 303 or found is None:
            raise NoPage(f"login of {login}: {status} {data[-500:]!r}")
        self._sessions[login] = found[1].strip('"')

    def timed(self, visit: Visit) -> Timed:
        """The visit, ASKED times or as often as ENOUGH_S allows; the first one does not count."""
        took_ms, size, until_s = [], 0, time.monotonic() + ENOUGH_S
        fields: dict[str, str] | None = None
        if visit.posted is not None:
            _status, page, _cookie = self.ask(visit.login, visit.path)
            fields = dict(_seal_of(page.decode(), visit.path)) | dict(visit.posted)
        start_cpu_s = 0.0
        while len(took_ms) <= ASKED:
            if len(took_ms) == 1:
                start_cpu_s = self._cpu_s()
            if len(took_ms) > LEAST and time.monotonic() > until_s:
                break
            start_s = time.monotonic()
            status, data, _cookie = self.ask(visit.login, visit.path, fields)
            while status == 504 and time.monotonic() < start_s + PATIENCE_S:
                # Not in time: whoever asks again hears what came of it (ledger/api/books.py).
                status, data, _cookie = self.ask(visit.login, visit.path, fields)
            took_ms.append((time.monotonic() - start_s) * 1000)
            size = len(data)
            if status not in (200, 303):
                raise NoPage(f"{visit.path} of {visit.login}: {status} {data[-1500:]!r}")
        cpu_ms = (self._cpu_s() - start_cpu_s) * 1000 / (len(took_ms) - 1)
        took_ms = sorted(took_ms[1:])
        late_ms = took_ms[-1 - len(took_ms) // 20]
        middle_ms = statistics.median(took_ms)
        return Timed(visit, middle_ms, late_ms, cpu_ms, size, len(took_ms))

    def _cpu_s(self) -> float:
        """The processor's time that the console has taken so far."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:  # a page is under way that nobody waits for
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def _seal_of(page: str, path: str) -> Iterator[tuple[str, str]]:
    """Number and seal of the form of a page that is posted to `path`."""
    begins = page.rfind(f'action="{path}"')
    yield from _SEAL.findall(page[begins:])[:2]


def configured(folder: Path, place: str) -> Path:
    """The configuration of a ledger with a console on the books at `place`."""
    key = folder / "signing.key"
    key.write_text(bytes(range(32)).hex())
    key.chmod(0o600)
    where = f'database = "{place}"\n'
    if "://" not in place:
        where = ""
        (folder / "books").mkdir(exist_ok=True)
        for end in ("", "-wal", "-shm"):
            link = folder / "books" / f"ledger.sqlite{end}"
            link.unlink(missing_ok=True)
        (folder / "books" / "ledger.sqlite").symlink_to(place)
    path = folder / "ledger.toml"
    path.write_text(
        f'{where}data_dir = "books"\nsigning_key_file = "signing.key"\n[broker]\n[console]\n'
        'host = "127.0.0.1"\nport = 0\nrequests_per_s = 10000\n'
    )
    return path
